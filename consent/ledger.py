"""The promises: who said yes to what, until when, and whether a row may be written now.

Rules:
- A grant, a renewal, a refusal, an objection and every end of a consent is one transaction with its leaf in the log.
- A row about a person is written only in the transaction that finds the grant live: given before the visit began, its
  term not over, not ended by anybody. An end counts at once and for every clock: nothing is permitted afterwards, not
  even for instants before it.
- What repeats is harmless: an operation id makes a retry return the first result and write nothing.
- Destroying a subject removes its key, payloads, entry keys, rows and requests, rewrites the file and empties the
  write-ahead log; the leaves stay and say nothing without them.

The ledger never keeps a secret, and never sees a pixel or a measurement.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from consent.database import Entry, LedgerError, Record
from consent.events import (
    DAY_US,
    DEFAULT_TERM,
    END_EVENTS,
    PERMITTING,
    Channel,
    EventKind,
    Level,
    Move,
    Purpose,
    State,
    Value,
    move,
)
from consent.mailbox import InboxRow, Mailbox, PadKind, PadOutcome, PadRequest, Request, RequestStatus
from consent.subjects import new_secret, read_secret

__all__ = [
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

_LIVE = "state IN ('ConsentGiven', 'RenewedConsentGiven')"


class UnknownCodeError(LedgerError):
    """Nobody is known under this code: it was typed wrong, or everything under it is erased already."""

    def __init__(self) -> None:
        super().__init__("nobody is known under this code: check it, or everything under it is erased already")


@dataclass(frozen=True, slots=True)
class Grant:
    """A yes, as the receipt needs it.

    Attributes:
        secret: the code for the receipt; it is kept nowhere else, so hand it over and forget it.
        subject: under what the ledger keeps it, 32 bytes.
        grant_id: random number of this grant, 16 bytes.
        until: end of the term of each purpose, UTC microseconds.
        leaf_index: where it stands in the log.
    """

    secret: str = field(repr=False)
    subject: bytes
    grant_id: bytes
    until: Mapping[Purpose, int]
    leaf_index: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An end of consent.

    Attributes:
        subject: whose.
        purposes: what ended now; empty where nothing was live any more.
        leaf_index: where it stands in the log, None where nothing ended.
    """

    subject: bytes
    purposes: frozenset[Purpose]
    leaf_index: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one purpose of one subject stands; instants are UTC microseconds."""

    purpose: Purpose
    state: State
    given_us: int
    until_us: int
    ended_us: int | None
    leaf_index: int


class Ledger(Mailbox):
    """The ledger of one store; see `Database` for the arguments."""

    # saying yes

    def grant(
        self,
        purposes: Collection[Purpose],
        *,
        now_us: int,
        notice_sha256: bytes | str,
        language: str,
        version: str,
        terms: Mapping[Purpose, int] | None = None,
        channel: Channel = Channel.KIOSK,
        controller_sha256: bytes | str | None = None,
        jurisdiction: str = "",
        level: Level = Level.EMOTION,
        stated_age: int | None = None,
        minimum_age: int = 0,
        secret: str | None = None,
        operation: bytes | None = None,
    ) -> Grant:
        """Write a consent down, with its leaf.

        Args:
            purposes: what the shopper switched on, one or more.
            now_us: when they tapped, UTC microseconds.
            notice_sha256: SHA-256 of the notice as shown, 32 bytes or hex.
            language: its language, BCP 47.
            version: its version.
            terms: days per purpose where the store's differ from `DEFAULT_TERM`.
            channel: where it was said; a phone cannot grant.
            controller_sha256: SHA-256 of the controller's name and address as shown.
            jurisdiction: ISO 3166 code of the law that applies.
            level: the store's privacy level; it caps the grant.
            stated_age: as the shopper stated it, if asked; it is not kept.
            minimum_age: under it one can only refuse.
            secret: the code of a returning shopper, or one made beforehand with `new_secret`.
            operation: 16 random bytes or more that make a retry harmless; needs `secret`.

        Raises:
            ConsentError: nothing was written, and the text says why.
        """
        wanted = _purposes(purposes)
        if channel is Channel.PHONE:
            raise LedgerError("a consent is given at the kiosk; a phone can withdraw, show and export")
        if stated_age is not None and stated_age < minimum_age:
            raise LedgerError(f"somebody under {minimum_age} can only refuse; offer the refusal")
        if capped := sorted(p.value for p in wanted if not level.allows(p)):
            raise LedgerError(f"the store's privacy level {level.value} does not allow {', '.join(capped)}")
        if operation is not None and secret is None:
            raise LedgerError("make the code with new_secret() and pass it, so that a retry can return the same one")
        secret = new_secret() if secret is None else read_secret(secret)
        with self._write() as db:
            if done := self._done(operation):
                return _grant_again(secret, done)
            subject = self._find(secret) or self.keys.subjects_of(secret)[0]
            self._expire_due(db, now_us, subject)
            states = {s.purpose: s.state for s in self.standing(subject)}
            after = {p: move(states.get(p, State.UNKNOWN), Move.REQUEST, Move.GIVE) for p in wanted}
            wrapped = self.keys.seal(subject, secrets.token_bytes(32))
            db.execute(
                "INSERT INTO subjects (subject, number, wrapped, created_us) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (subject) DO NOTHING",
                (subject, secrets.randbits(63), wrapped, now_us),
            )
            notice = _sha256(notice_sha256, "the notice")
            details: dict[str, Value] = {"language": language, "version": version, "channel": channel.value}
            if controller_sha256 is not None:
                details["controller"] = _sha256(controller_sha256, "the controller").hex()
            if jurisdiction:
                details["jurisdiction"] = jurisdiction
            return self._give(db, EventKind.GRANTED, secret, subject, after, now_us, terms, notice, details, operation)

    def renew(
        self,
        secret: str,
        *,
        now_us: int,
        notice_sha256: bytes | str,
        language: str,
        version: str,
        purposes: Collection[Purpose] | None = None,
        terms: Mapping[Purpose, int] | None = None,
        channel: Channel = Channel.KIOSK,
        operation: bytes | None = None,
    ) -> Grant:
        """Start the term of live purposes anew, all of them by default.

        Raises:
            ConsentError: the code is unknown, or a purpose is not live; nothing was written.
        """
        if channel is Channel.PHONE:
            raise LedgerError("a consent is renewed at the kiosk; a phone can withdraw, show and export")
        secret = read_secret(secret)
        with self._write() as db:
            if done := self._done(operation):
                return _grant_again(secret, done)
            subject = self._known(secret)
            states = {s.purpose: s for s in self.standing(subject)}
            due = {p for p, s in states.items() if s.state in PERMITTING and s.until_us <= now_us}
            live = {p for p, s in states.items() if s.state in PERMITTING} - due
            wanted = _purposes(live if purposes is None else purposes)
            if late := sorted(p.value for p in wanted & due):
                raise LedgerError(f"the term of {', '.join(late)} is over; ask anew")
            after = {p: move(states[p].state if p in states else State.UNKNOWN, Move.RENEW) for p in wanted}
            notice = _sha256(notice_sha256, "the notice")
            details: dict[str, Value] = {"language": language, "version": version, "channel": channel.value}
            return self._give(db, EventKind.RENEWED, secret, subject, after, now_us, terms, notice, details, operation)

    def _give(
        self,
        db: sqlite3.Connection,
        kind: EventKind,
        secret: str,
        subject: bytes,
        after: Mapping[Purpose, State],
        now_us: int,
        terms: Mapping[Purpose, int] | None,
        notice: bytes,
        details: Mapping[str, Value],
        operation: bytes | None,
    ) -> Grant:
        days = {**DEFAULT_TERM, **(terms or {})}
        if any(days[p] < 1 for p in after):
            raise LedgerError("the term of a consent is one day or more")
        until = {p: now_us + days[p] * DAY_US for p in sorted(after)}
        grant_id = secrets.token_bytes(16)
        payload: dict[str, Value] = {**details, "grant": grant_id.hex(), "until_us": {p.value: until[p] for p in until}}
        leaf = self._append(db, Entry(kind, now_us, payload, subject, frozenset(after), digest=notice))
        for purpose, state in after.items():
            # a renewal keeps the first instant: what was recorded under the old term stays covered
            db.execute(
                "INSERT INTO grants (subject, purpose, state, grant_id, given_us, until_us, leaf)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (subject, purpose) DO UPDATE SET state = excluded.state,"
                " given_us = CASE WHEN ? THEN grants.given_us ELSE excluded.given_us END, grant_id = excluded.grant_id,"
                " until_us = excluded.until_us, ended_us = NULL, leaf = excluded.leaf",
                (
                    *(subject, purpose.value, state.value, grant_id, now_us, until[purpose], leaf),
                    kind is EventKind.RENEWED,
                ),
            )
        self._did(
            operation,
            now_us,
            subject,
            {"subject": subject.hex(), "grant": grant_id.hex(), "leaf": leaf, "until": payload["until_us"]},
        )
        return Grant(secret, subject, grant_id, until, leaf)

    # saying no

    def refuse(
        self,
        *,
        now_us: int,
        notice_sha256: bytes | str,
        language: str,
        version: str,
        purposes: Collection[Purpose] = tuple(Purpose),
        channel: Channel = Channel.KIOSK,
        operation: bytes | None = None,
    ) -> int:
        """Write down that somebody said no, and return the leaf index; nothing tells who."""
        details: dict[str, Value] = {"language": language, "version": version, "channel": channel.value}
        entry = Entry(
            EventKind.REFUSED,
            now_us,
            details,
            purposes=_purposes(purposes),
            digest=_sha256(notice_sha256, "the notice"),
        )
        return self._once(entry, operation)

    def object(self, *, now_us: int, channel: Channel = Channel.KIOSK, operation: bytes | None = None) -> int:
        """Write down that somebody does not want to be counted either, and return the leaf index; nothing tells who.

        Their track is suppressed by a pad request of kind `object`; a linked shopper's consent ends by `end`.
        """
        return self._once(Entry(EventKind.OBJECTED, now_us, {"channel": channel.value}), operation)

    def _once(self, entry: Entry, operation: bytes | None) -> int:
        with self._write() as db:
            if done := self._done(operation):
                return int(str(done["leaf"]))
            leaf = self._append(db, entry)
            self._did(operation, entry.at_us, None, {"leaf": leaf})
            return leaf

    def withdraw(
        self,
        secret: str,
        *,
        now_us: int,
        purposes: Collection[Purpose] | None = None,
        channel: Channel = Channel.KIOSK,
        operation: bytes | None = None,
    ) -> Withdrawal:
        """Take a consent back by its code: from this commit on nothing is permitted.

        Args:
            secret: the code, as typed.
            now_us: UTC microseconds.
            purposes: which, all by default.
            channel: where it was said.
            operation: 16 random bytes or more that make a retry return the first result.

        Raises:
            UnknownCodeError: nobody is known under the code.
        """
        subjects = self.keys.subjects_of(read_secret(secret))
        return self._end(subjects, Move.WITHDRAW, now_us, purposes, channel, operation)

    def withdraw_subject(
        self,
        subject: bytes,
        *,
        now_us: int,
        purposes: Collection[Purpose] | None = None,
        channel: Channel = Channel.PAD,
        operation: bytes | None = None,
    ) -> Withdrawal:
        """Take a consent back for a shopper who stands linked on the pad, without a code."""
        return self._end((subject,), Move.WITHDRAW, now_us, purposes, channel, operation)

    def end(
        self,
        subject: bytes,
        how: Move,
        *,
        now_us: int,
        purposes: Collection[Purpose] | None = None,
        channel: Channel = Channel.DESK,
        operation: bytes | None = None,
    ) -> Withdrawal:
        """End a consent otherwise: `REVOKE` and `INVALIDATE` by the officer, `OBJECT` by a linked shopper."""
        if how not in END_EVENTS or how is Move.EXPIRE:
            raise LedgerError(f"{how} does not end a consent; a term ends by `expire`")
        return self._end((subject,), how, now_us, purposes, channel, operation)

    def _end(
        self,
        subjects: Sequence[bytes],
        how: Move,
        now_us: int,
        purposes: Collection[Purpose] | None,
        channel: Channel,
        operation: bytes | None,
    ) -> Withdrawal:
        with self._write() as db:
            if done := self._done(operation):
                ended = frozenset(Purpose(p) for p in str(done["purposes"]).split())
                leaf = done["leaf"]
                return Withdrawal(bytes.fromhex(str(done["subject"])), ended, None if leaf is None else int(str(leaf)))
            subject = self._first_known(subjects)
            if subject is None:
                raise UnknownCodeError
            result = self._finish(db, subject, how, now_us, purposes, channel)
            words = " ".join(sorted(p.value for p in result.purposes))
            self._did(
                operation, now_us, subject, {"subject": subject.hex(), "purposes": words, "leaf": result.leaf_index}
            )
            return result

    def _finish(
        self,
        db: sqlite3.Connection,
        subject: bytes,
        how: Move,
        now_us: int,
        purposes: Collection[Purpose] | None,
        channel: Channel,
    ) -> Withdrawal:
        live = {s.purpose: s.state for s in self.standing(subject) if s.state in PERMITTING}
        chosen = {p: move(live[p], how) for p in live if purposes is None or p in purposes}
        if not chosen:
            return Withdrawal(subject, frozenset(), None)
        leaf = self._append(db, Entry(END_EVENTS[how], now_us, {"channel": channel.value}, subject, frozenset(chosen)))
        for purpose, state in chosen.items():
            db.execute(
                "UPDATE grants SET state = ?, ended_us = ?, leaf = ? WHERE subject = ? AND purpose = ?",
                (state.value, now_us, leaf, subject, purpose.value),
            )
        return Withdrawal(subject, frozenset(chosen), leaf)

    def expire(self, now_us: int) -> list[Withdrawal]:
        """End every consent whose term is over, each with its leaf; permission ends at the term even before this."""
        with self._write() as db:
            return self._expire_due(db, now_us, None)

    def _expire_due(self, db: sqlite3.Connection, now_us: int, subject: bytes | None) -> list[Withdrawal]:
        due: dict[bytes, set[Purpose]] = {}
        sql = f"SELECT subject, purpose FROM grants WHERE {_LIVE} AND until_us <= ?"  # noqa: S608
        for found, purpose in db.execute(sql, (now_us,)).fetchall():
            if subject in (None, found):
                due.setdefault(found, set()).add(Purpose(purpose))
        return [self._finish(db, s, Move.EXPIRE, now_us, p, Channel.SYSTEM) for s, p in due.items()]

    # asking

    def permits(self, subject: bytes, at_us: int, *, level: Level = Level.EMOTION) -> frozenset[Purpose]:
        """Return what may be recorded about a subject at an instant, as far as is known now.

        Args:
            subject: 32 bytes.
            at_us: UTC microseconds.
            level: the store's privacy level; it caps what any grant can allow.
        """
        sql = f"SELECT purpose FROM grants WHERE subject = ? AND {_LIVE} AND given_us <= ? AND ? < until_us"  # noqa: S608
        with self._lock:
            found = {Purpose(row[0]) for row in self._db.execute(sql, (subject, at_us, at_us))}
        return frozenset(p for p in found if level.allows(p))

    def live_subjects(self, now_us: int, *, level: Level = Level.EMOTION) -> dict[bytes, frozenset[Purpose]]:
        """Return every subject with a live grant, and for what."""
        sql = f"SELECT subject, purpose FROM grants WHERE {_LIVE} AND given_us <= ? AND ? < until_us"  # noqa: S608
        found: dict[bytes, set[Purpose]] = {}
        with self._lock:
            for subject, purpose in self._db.execute(sql, (now_us, now_us)):
                if level.allows(Purpose(purpose)):
                    found.setdefault(subject, set()).add(Purpose(purpose))
        return {subject: frozenset(purposes) for subject, purposes in found.items()}

    def standing(self, subject: bytes) -> list[Standing]:
        """Return how each purpose of a subject stands; what is not listed is `State.UNKNOWN`."""
        sql = "SELECT purpose, state, given_us, until_us, ended_us, leaf FROM grants WHERE subject = ? ORDER BY purpose"
        with self._lock:
            rows = self._db.execute(sql, (subject,)).fetchall()
        return [Standing(Purpose(p), State(s), given, until, ended, leaf) for p, s, given, until, ended, leaf in rows]

    def find(self, secret: str) -> bytes:
        """Return the subject of a code as typed.

        Raises:
            UnknownCodeError: nobody is known under it.
        """
        return self._known(read_secret(secret))

    def subjects(self) -> list[bytes]:
        """Return every subject that is not destroyed, live or not."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT subject FROM subjects ORDER BY id")]

    def subjects_granted(self, start_us: int, end_us: int) -> list[bytes]:
        """Return the subjects whose consent was given in a window, for somebody who lost their code."""
        sql = "SELECT DISTINCT subject FROM records WHERE kind IN ('granted', 'renewed') AND at_us BETWEEN ? AND ?"
        with self._lock:
            return [row[0] for row in self._db.execute(sql, (start_us, end_us))]

    def number_of(self, subject: bytes) -> int:
        """Return the random number under which an erasure journal may name a subject outside the state directory."""
        return int(self._subject("number", "subject", subject))

    def subject_of_number(self, number: int) -> bytes:
        """Return the subject of a number from an erasure journal."""
        return bytes(self._subject("subject", "number", number))

    def subject_key(self, subject: bytes) -> bytes:
        """Return a subject's own key, 32 bytes; `watch` and the keeper can.

        Raises:
            ConsentError: the subject is destroyed, or this process does not hold the sealing key.
        """
        return self.keys.unseal(subject, self._subject("wrapped", "subject", subject))

    def _subject(self, column: str, by: str, value: bytes | int) -> bytes:
        with self._lock:
            row = self._db.execute(f"SELECT {column} FROM subjects WHERE {by} = ?", (value,)).fetchone()  # noqa: S608
        if row is None:
            raise LedgerError("this subject is not in the ledger, or is destroyed")
        return row[0]  # type: ignore[no-any-return]

    def _find(self, secret: str) -> bytes | None:
        return self._first_known(self.keys.subjects_of(secret))

    def _known(self, secret: str) -> bytes:
        subject = self._find(secret)
        if subject is None:
            raise UnknownCodeError
        return subject

    def _first_known(self, subjects: Sequence[bytes]) -> bytes | None:
        with self._lock:
            for subject in subjects:
                if self._db.execute("SELECT 1 FROM subjects WHERE subject = ?", (subject,)).fetchone():
                    return subject
        return None

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
        with self._write() as db:
            if self._done(operation):
                return True
            if subject is not None and not all(needed <= self.permits(subject, t, level=level) for t in instants):
                return False
            self._put_inbox(kind, subject, payload, now_us)
            self._did(operation, now_us, subject, {"written": 1})
            del db
            return True

    # the store's level and settings

    def approved_level(self) -> Level:
        """Return the highest privacy level that was approved; `counts` until somebody raised it."""
        with self._lock:
            row = self._db.execute("SELECT level FROM levels ORDER BY id DESC LIMIT 1").fetchone()
        return Level.COUNTS if row is None else Level(row[0])

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
            people = sorted({_sha256(a, "an approval").hex() for a in approvals})
            if level > before and (len(people) < 2 or dpia_sha256 is None):
                raise LedgerError("raising the privacy level needs two different people and a DPIA reference")
            kind = EventKind.LEVEL_RAISED if level > before else EventKind.LEVEL_LOWERED
            digest = None if dpia_sha256 is None else _sha256(dpia_sha256, "the DPIA reference")
            leaf = self._append(db, Entry(kind, now_us, {"approvals": list(people)}, level=level, digest=digest))
            db.execute("INSERT INTO levels (level, leaf) VALUES (?, ?)", (level.value, leaf))
            return leaf

    def note_config(self, sha256: bytes | str, *, now_us: int) -> int | None:
        """Log the hash of store.toml where it differs from the last one, and return the leaf index."""
        digest = _sha256(sha256, "store.toml")
        with self._write() as db:
            last = self.last_event(EventKind.CONFIG_CHANGED)
            if last is not None and last[1].digest == digest:
                return None
            return self._append(db, Entry(EventKind.CONFIG_CHANGED, now_us, {}, digest=digest))

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
                for table in ("inbox", "pad_requests", "operations", "records", "grants", "subjects")
            }
            if known and log:
                details: dict[str, Value] = {"rows": rows, "inbox": gone["inbox"], "records": gone["records"]}
                leaf = self._append(db, Entry(EventKind.ERASED, now_us, details, count=len(known)))
        self.compact()
        return leaf

    def forget(self, before_us: int) -> int:
        """Delete what serves nobody any more: older answers, settled requests, operations, records about nobody known.

        Returns:
            How many rows went.
        """
        personal = ", ".join(f"'{k.value}'" for k in EventKind if k.personal)
        statements = (
            "DELETE FROM pad_requests WHERE opened_us < ?",
            "DELETE FROM requests WHERE settled_us < ?",
            "DELETE FROM operations WHERE at_us < ?",
            f"DELETE FROM records WHERE at_us < ? AND subject IS NULL AND kind IN ({personal})",  # noqa: S608
        )
        with self._write() as db:
            return sum(db.execute(sql, (before_us,)).rowcount for sql in statements)

    def compact(self) -> None:
        """Rewrite the file and empty the write-ahead log, so that no deleted byte is left in either.

        Raises:
            ConsentError: another process was reading: the bytes may still be there, so try again.
        """
        with self._lock:
            try:
                # secure_delete clears cells, but a page that was split keeps stale copies in its gap
                self._db.execute("VACUUM")
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise LedgerError(f"the ledger could not be rewritten ({error}); try again") from error
        if busy:
            raise LedgerError("another process was reading the ledger, so deleted bytes may remain; try again")

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


def _purposes(purposes: Collection[Purpose]) -> frozenset[Purpose]:
    if not purposes:
        raise LedgerError("name one purpose or more; nothing is switched on by itself")
    return frozenset(Purpose(p) for p in purposes)


def _sha256(value: bytes | str, what: str) -> bytes:
    try:
        digest = bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError as error:
        raise LedgerError(f"{what} is named by its SHA-256: 32 bytes or 64 hex digits") from error
    if len(digest) != 32:
        raise LedgerError(f"{what} is named by its SHA-256: 32 bytes or 64 hex digits")
    return digest


def _grant_again(secret: str, done: Mapping[str, object]) -> Grant:
    until = done["until"]
    if not isinstance(until, Mapping):
        raise LedgerError("this operation id was used for something else; make a new one")
    return Grant(
        secret,
        bytes.fromhex(str(done["subject"])),
        bytes.fromhex(str(done["grant"])),
        {Purpose(p): int(str(t)) for p, t in until.items()},
        int(str(done["leaf"])),
    )
