"""The ledger of one store: promises, and the one door through which a row about a person is written.

Rules:
- A row about a person is written only in the transaction that finds the grant live: given before the visit began, its
  term not over, not ended by anybody.
- Destroying a subject removes its key, payloads, entry keys, rows and requests, rewrites the tables they stood in and
  empties the write-ahead log; the leaves stay and say nothing without them.
- The store's privacy level rises only with two people's approval and an assessment; it falls at once.

`database` holds the file, `tree` the log in it, `mailbox` the messages between processes, `consents` who said yes. The
ledger never keeps a secret, and never sees a pixel.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from consent.consents import Consents, Grant, Withdrawal, read_sha256
from consent.database import ERASABLE, LedgerError
from consent.events import PERMITTING, STAFF_EVENTS, EventKind, Leaf, Level, Purpose, Value, commit
from consent.mailbox import InboxRow, PadRequest, Request, RequestStatus
from consent.padwords import PadKind, PadOutcome
from consent.register import Standing, UnknownCodeError
from consent.tree import Entry, Record

__all__ = [
    "Entry",
    "Grant",
    "InboxRow",
    "Ledger",
    "LedgerError",
    "PadKind",
    "PadOutcome",
    "PadRequest",
    "Record",
    "Request",
    "RequestStatus",
    "Standing",
    "UnknownCodeError",
    "Withdrawal",
]


class Ledger(Consents):
    """The ledger of one store; see `Database` for the arguments."""

    _level_read: tuple[int, Level] = (0, Level.COUNTS)  # how many entries were read, and the level they say

    # writing rows

    def write_inbox(
        self,
        kind: str,
        subject: bytes | None,
        payload: bytes,
        *,
        now_us: int,
        visit_end_us: int,
        requires: Collection[Purpose] = (),
        visit_start_us: int | None = None,
        level: Level = Level.EMOTION,
        operation: bytes | None = None,
    ) -> bool:
        """Write a row for the keeper in the transaction that finds every required purpose live.

        Args:
            kind: one word for the keeper; `cells` is about nobody and needs no grant.
            subject: whom the row is about.
            payload: what the keeper will read.
            now_us: UTC microseconds.
            visit_end_us: last instant the row is about.
            requires: the purposes it needs, one or more where there is a subject.
            visit_start_us: first instant the row is about, `visit_end_us` by default.
            level: the store's privacy level.
            operation: 16 random bytes or more that make a retry harmless.

        Returns:
            False where it may not be written, and then nothing is.
        """
        if (subject is None) != (kind == "cells"):
            raise LedgerError("rows of kind 'cells' are about nobody; every other row needs a subject")
        needed = frozenset(requires)
        if subject is not None and not needed:
            raise LedgerError("a row about a person names the purposes it needs")
        instants = {now_us, visit_end_us, visit_end_us if visit_start_us is None else visit_start_us}
        with self._write():
            if self._done("inbox", operation):
                return True
            if subject is not None and not all(needed <= self.permits(subject, t, level=level) for t in instants):
                return False
            row = self._put_inbox(kind, subject, payload, now_us)
            self._did("inbox", operation, now_us, subject, {"row": row})
            return True

    # the store's level and settings

    def approved_level(self) -> Level:
        """Return the highest privacy level that was approved; `counts` until somebody raised it.

        Where table and log do not say the same, somebody changed the file, and the lower one holds.
        """
        return min(self.levels_told(), key=lambda level: level.rank)

    def levels_told(self) -> tuple[Level, Level]:
        """Return the approved level as the table of levels has it, and as the newest entry of the log about it says."""
        with self._lock:
            row = self._db.execute("SELECT level FROM levels ORDER BY id DESC LIMIT 1").fetchone()
            read, logged = self._level_read
            size = self.size
            if size > read:
                sql = "SELECT data FROM leaves WHERE idx >= ? AND instr(data, ?) > 0 ORDER BY idx DESC LIMIT 1"
                found = self._db.execute(sql, (read, b'"kind":"level_')).fetchone()
                logged = logged if found is None else Leaf.decode(found[0]).level or Level.COUNTS
                if not self._db.in_transaction:  # else it may never have been
                    self._level_read = size, logged
        return (Level.COUNTS if row is None else Level(row[0])), logged

    def set_level(
        self, level: Level, *, now_us: int, approvals: Collection[bytes] = (), dpia_sha256: bytes | str | None = None
    ) -> int | None:
        """Approve a privacy level and return the leaf index; None where it was that already.

        Args:
            level: lowering is instant; raising needs the rest.
            now_us: UTC microseconds.
            approvals: SHA-256 of two different people's account names or more.
            dpia_sha256: SHA-256 of the reference to the data protection impact assessment.

        Raises:
            ConsentError: raising it lacks an approval or the assessment.
        """
        with self._write() as db:
            before = self.approved_level()
            if level is before:
                return None
            people = sorted({read_sha256(a, "an approval").hex() for a in approvals})
            if level > before and (len(people) < 2 or dpia_sha256 is None):
                raise LedgerError("raising the privacy level needs two different people and a DPIA reference")
            kind = EventKind.LEVEL_RAISED if level > before else EventKind.LEVEL_LOWERED
            digest = None if dpia_sha256 is None else read_sha256(dpia_sha256, "the DPIA reference")
            leaf = self._append(db, Entry(kind, now_us, {"approvals": list(people)}, level=level, digest=digest))
            db.execute("INSERT INTO levels (level, leaf) VALUES (?, ?)", (level.value, leaf))
            return leaf

    def note_config(
        self,
        sha256: bytes | str,
        *,
        now_us: int,
        policy: bytes | None = None,
        level: Level | None = None,
        notice: Mapping[str, str] | None = None,
        approver: str | None = None,
    ) -> int | None:
        """Log what is in force, where any of it differs from the last time, and return the index: see the arguments.

        Args:
            sha256: of store.toml; it stands in the entry itself.
            now_us: UTC microseconds.
            policy: SHA-256 of the retention policy in force; it stands in the payload, which is exported, too.
            level: the privacy level in force.
            notice: its `version`, and by language the SHA-256 of its text, 64 hex digits.
            approver: SHA-256 of the key of the outsider who may approve a level, hex; empty where there is none.

        What is not given stands in the new entry as it was told last.
        """
        digest = read_sha256(sha256, "store.toml")
        details: dict[str, Value] = {} if policy is None else {"policy": read_sha256(policy, "the policy").hex()}
        if level is not None:
            details["level"] = level.value
        if notice is not None:
            details["notice"] = dict(notice)
        if approver is not None:
            details["approver"] = approver
        with self._write() as db:
            last = self.last_event(EventKind.CONFIG_CHANGED)
            if last is not None:
                told = json.loads(last[0].payload)
                if last[1].digest == digest and all(told.get(name) == value for name, value in details.items()):
                    return None
                details = {**{name: value for name, value in told.items() if name != "at_us"}, **details}
            return self._append(db, Entry(EventKind.CONFIG_CHANGED, now_us, details, digest=digest))

    # after a restore

    def adopt(self, entries: Sequence[tuple[bytes, tuple[bytes, bytes] | None]]) -> None:
        """Append entries of the log that were lost, as they were, so that it fits every receipt and every witness.

        What was behind an entry about a person stays lost, as if it had been erased.

        Args:
            entries: leaf data and, for an entry about no person, its entry key and payload.

        Raises:
            ConsentError: a payload is missing or does not fit its entry; nothing was written.
        """
        with self._write() as db:
            for data, opening in entries:
                leaf = Leaf.decode(data)
                if (opening is None) is not leaf.kind.personal:
                    raise LedgerError("an entry of the log is opened where it is about no person, and only there")
                index = self._grow(db, data)
                if opening is not None:
                    entry_key, payload = opening
                    if commit(entry_key, payload) != leaf.commitment:
                        raise LedgerError(f"the payload of entry {index} does not match the log")
                    row = (index, leaf.kind.value, None, int(json.loads(payload)["at_us"]), entry_key, payload)
                    db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
                if leaf.kind in (EventKind.LEVEL_RAISED, EventKind.LEVEL_LOWERED) and leaf.level is not None:
                    db.execute("INSERT INTO levels (level, leaf) VALUES (?, ?)", (leaf.level.value, index))

    def never_again(self, table: str, number: int) -> None:
        """Let the numbers of `inbox` or `requests` go on above one that was in use elsewhere."""
        if table not in ("inbox", "requests"):
            raise LedgerError("only the inbox and the requests are numbered for others")
        with self._write() as db:
            if db.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, table)).rowcount == 0:
                db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))

    # forgetting

    def destroy_subject(self, subject: bytes, *, now_us: int, rows: int = 0, log: bool = True) -> int | None:
        """Destroy one subject; see `destroy_subjects`."""
        return self.destroy_subjects([subject], now_us=now_us, rows=rows, log=log)

    def destroy_subjects(
        self, subjects: Collection[bytes], *, now_us: int, rows: int = 0, log: bool = True
    ) -> int | None:
        """Destroy keys, payloads, entry keys, grants, inbox rows and requests, then their bytes in the file.

        Running it again finishes what a crash or a busy reader left: the deletion is one transaction, the rewriting
        of the file repeats. Every subject must have nothing live.

        Args:
            subjects: whom; who is destroyed already is passed over.
            now_us: UTC microseconds.
            rows: how many rows the caller deleted elsewhere, for the log.
            log: False leaves the `erased` entry to the caller, who appends it when the bytes are checked.

        Returns:
            The leaf index of the `erased` entry, None where there is none.

        Raises:
            ConsentError: a consent is live, or a reader held the write-ahead log, so that bytes remain: try again.
        """
        leaf = None
        with self._write() as db:
            known = [s for s in subjects if self._first_known([s])]
            for subject in known:
                self._expire_due(db, now_us, subject)
                if any(s.state in PERMITTING for s in self.standing(subject)):
                    raise LedgerError("a consent of this subject is live; end it before destroying the subject")
            gone = {
                table: sum(
                    db.execute(f"DELETE FROM {table} WHERE subject = ?", (s,)).rowcount  # noqa: S608
                    for s in known
                )
                for table in ERASABLE
                if table not in ("requests", "cases")  # they name no subject; `forget` ends them
            }
            if known and log:
                details: dict[str, Value] = {"rows": rows, "inbox": gone["inbox"], "records": gone["records"]}
                leaf = self._append(db, Entry(EventKind.ERASED, now_us, details, count=len(known)))
        self.compact()
        return leaf

    def forget(self, before_us: int | Mapping[str, int]) -> int:
        """Delete what serves nobody any more: older answers, settled requests, operations, records about nobody known.

        Args:
            before_us: what is older goes, UTC microseconds; by class of the retention policy, where they differ.

        Returns:
            How many rows went.
        """
        refusals = ", ".join(f"'{k.value}'" for k in EventKind if k.personal and k not in STAFF_EVENTS)
        accesses = ", ".join(f"'{k.value}'" for k in STAFF_EVENTS)
        statements = {
            "pad_requests": "DELETE FROM pad_requests WHERE opened_us < ?",
            "requests": "DELETE FROM requests WHERE settled_us < ?",
            "operations": "DELETE FROM operations WHERE at_us < ?",
            "cases": "DELETE FROM cases WHERE closed_us < ?",
            "refusals": f"DELETE FROM records WHERE at_us < ? AND subject IS NULL AND kind IN ({refusals})",  # noqa: S608
            "accesses": f"DELETE FROM records WHERE at_us < ? AND kind IN ({accesses})",  # noqa: S608
        }
        before = dict.fromkeys(statements, before_us) if isinstance(before_us, int) else before_us
        with self._write() as db:
            return sum(db.execute(statements[name], (instant,)).rowcount for name, instant in before.items())

    def compact(self) -> None:
        """Rewrite the erasable tables and empty the write-ahead log, so that no deleted byte is left in either.

        The time grows with what can be erased, not with the log.

        Raises:
            ConsentError: another process was reading: the bytes may still be there, so try again.
        """
        with self._lock:
            try:
                # emptying a table frees, and so clears, whole pages only while foreign keys are not looked after
                self._db.execute("PRAGMA foreign_keys = OFF")
                with self._write() as db:
                    self._rewrite(db)
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise LedgerError(f"the ledger could not be rewritten ({error}); try again") from error
            finally:
                self._db.execute("PRAGMA foreign_keys = ON")
        if busy:
            raise LedgerError("another process was reading the ledger, so deleted bytes may remain; try again")

    def _rewrite(self, db: sqlite3.Connection) -> None:
        """Move every erasable row out, clear the pages, and move it back.

        `secure_delete` clears a deleted cell, but a page that was split keeps stale copies of moved cells in its gap:
        of 100 subjects deleted among 300, one was still in the file after a checkpoint.
        """
        for table in ERASABLE:
            db.execute(f"CREATE TEMP TABLE moved AS SELECT * FROM main.{table} ORDER BY rowid")  # noqa: S608
            db.execute(f"DELETE FROM main.{table}")  # noqa: S608
            db.execute(f"INSERT INTO main.{table} SELECT * FROM temp.moved ORDER BY rowid")  # noqa: S608
            db.execute("DROP TABLE temp.moved")
        if db.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise LedgerError("the ledger refers to what is not there; restore it from a backup")

    def rewrap(self) -> int:
        """Seal every subject's key to the newest sealing key; return how many were older."""
        with self._write() as db:
            newest = self.keys.generation_of(self.keys.seal(bytes(32), bytes(32)))
            old = [
                (subject, wrapped)
                for subject, wrapped in db.execute("SELECT subject, wrapped FROM subjects").fetchall()
                if self.keys.generation_of(wrapped) != newest
            ]
            for subject, wrapped in old:
                again = self.keys.seal(subject, self.keys.unseal(subject, wrapped))
                db.execute("UPDATE subjects SET wrapped = ? WHERE subject = ?", (again, subject))
            return len(old)
