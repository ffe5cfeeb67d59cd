"""The tree that grows with every change of the ledger, and the checkpoints that are signed over it.

Rules:
- A leaf is appended in the transaction of the change it speaks of, and its hashes are stored with it.
- The payload of a leaf and the key of its commitment stand in an erasable record.
- A checkpoint is signed only when the log continues the one before.

The form of leaves, proofs and checkpoints is that of `events`, `merkle` and `log`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from consent import log, merkle
from consent.database import Database, LedgerError
from consent.events import EventKind, Leaf, Level, Purpose, Value, commit, encode_payload


@dataclass(frozen=True, slots=True)
class Record:
    """The erasable part of one event.

    Attributes:
        leaf_index: where its leaf stands.
        kind: what happened.
        at_us: when, UTC microseconds.
        entry_key: the key of the commitment, 32 bytes.
        payload: canonical JSON.
    """

    leaf_index: int
    kind: EventKind
    at_us: int
    entry_key: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to append: a leaf's fields, and the payload behind its commitment."""

    kind: EventKind
    at_us: int
    payload: Mapping[str, Value]
    subject: bytes | None = None
    purposes: frozenset[Purpose] = frozenset()
    level: Level | None = None
    count: int | None = None
    digest: bytes | None = None


class Tree(Database):
    """The log inside the ledger."""

    @property
    def size(self) -> int:
        """Number of entries in the log."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaves").fetchone()[0])

    def append_events(self, entries: Sequence[Entry]) -> range:
        """Append events that change nothing else, in one transaction, and return their leaf indices."""
        with self._write() as db:
            first = self.size
            for entry in entries:
                self._append(db, entry)
            return range(first, first + len(entries))

    def append_event(
        self,
        kind: EventKind,
        *,
        now_us: int,
        level: Level | None = None,
        count: int | None = None,
        digest: bytes | None = None,
        details: Mapping[str, Value] | None = None,
        operation: bytes | None = None,
    ) -> int:
        """Log something that is about no person, and return its leaf index; `details` are kept for ever.

        An operation id (16 random bytes or more) makes a retry return the first index and write nothing.

        Raises:
            ConsentError: the kind is about a person, or a field holds free text.
        """
        if kind.personal:
            raise LedgerError(f"{kind} is about a person; it is logged by the change itself")
        return self.append_once(Entry(kind, now_us, details or {}, level=level, count=count, digest=digest), operation)

    def append_once(self, entry: Entry, operation: bytes | None) -> int:
        """Log one event and return its leaf index; for an operation that was done already, only return it."""
        with self._write() as db:
            if done := self._done(entry.kind, operation):
                return int(done["leaf"])
            leaf = self._append(db, entry)
            self._did(entry.kind, operation, entry.at_us, None, {"leaf": leaf})
            return leaf

    def _append(self, db: sqlite3.Connection, entry: Entry) -> int:
        payload = encode_payload({**entry.payload, "at_us": entry.at_us})
        entry_key = secrets.token_bytes(32)
        data = Leaf(
            entry.kind, commit(entry_key, payload), entry.purposes, entry.level, entry.count, entry.digest
        ).encode()
        index = self._grow(db, data)
        db.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
            (index, entry.kind.value, entry.subject, entry.at_us, entry_key, payload),
        )
        return index

    def _grow(self, db: sqlite3.Connection, data: bytes) -> int:
        index = self.size
        nodes = merkle.grown(index, merkle.leaf_hash(data), self._node)
        db.execute("INSERT INTO leaves VALUES (?, ?, ?)", (index, nodes[0][2], data))
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?)", nodes[1:])
        return index

    def _node(self, level: int, index: int) -> bytes:
        if level == 0:
            row = self._db.execute("SELECT hash FROM leaves WHERE idx = ?", (index,)).fetchone()
        else:
            row = self._db.execute("SELECT hash FROM nodes WHERE level = ? AND idx = ?", (level, index)).fetchone()
        if row is None:
            raise LedgerError(f"the log has no subtree {index} at level {level}")
        return bytes(row[0])

    def root(self, size: int | None = None) -> bytes:
        """Return the root hash of the log at a size, now by default."""
        with self._lock:
            return merkle.root(self.size if size is None else size, self._node)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that an entry stands in the log of that size."""
        with self._lock:
            return merkle.inclusion_proof(index, size, self._node)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the log of the new size only added to that of the old one."""
        with self._lock:
            return merkle.consistency_proof(old, new, self._node)

    def leaves(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index, leaf data) of the entries from start up to stop."""
        for low in range(start, stop, 1000):
            sql = "SELECT idx, data FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx"
            with self._lock:
                rows = self._db.execute(sql, (low, min(stop, low + 1000))).fetchall()
            yield from rows

    def record(self, index: int) -> Record | None:
        """Return the erasable part of an entry, None where it was erased."""
        found = self._records("leaf = ?", index)
        return found[0] if found else None

    def records_of(self, subject: bytes) -> list[Record]:
        """Return everything the ledger still tells about what a subject said, oldest first."""
        return self._records("subject = ?", subject)

    def last_event(self, kind: EventKind) -> tuple[Record, Leaf] | None:
        """Return the newest entry of a kind whose payload still stands."""
        found = self._records("leaf = (SELECT max(leaf) FROM records WHERE kind = ?)", kind.value)
        if not found:
            return None
        ((_, data),) = self.leaves(found[0].leaf_index, found[0].leaf_index + 1)
        return found[0], Leaf.decode(data)

    def _records(self, where: str, argument: object) -> list[Record]:
        sql = f"SELECT leaf, kind, at_us, entry_key, payload FROM records WHERE {where} ORDER BY leaf"  # noqa: S608
        with self._lock:
            rows = self._db.execute(sql, (argument,)).fetchall()
        return [Record(leaf, EventKind(kind), at_us, key, payload) for leaf, kind, at_us, key, payload in rows]

    # checkpoints

    def newest_checkpoint(self) -> tuple[str, log.Checkpoint] | None:
        """Return the newest signed note and what it says, None before the first."""
        with self._lock:
            row = self._db.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else (str(row[0]), log.Checkpoint.parse(log.split(str(row[0]))[0]))

    def sign_checkpoint(self) -> str | None:
        """Sign the log as it stands; None where nothing was added since the last time. The keeper alone can.

        Raises:
            ConsentError: this process does not hold the log key, or the log does not continue what was signed before.
        """
        key = self.keys.signing_key("log")
        with self._write() as db:
            size, newest = self.size, self.newest_checkpoint()
            if newest is not None:
                before = newest[1]
                if before.size > size or self.root(before.size) != before.root:
                    raise LedgerError("the log does not continue its last checkpoint: it was changed; restore a backup")
                if before.size == size:
                    return None
            note = log.sign(log.Checkpoint(self.origin, size, self.root(size)), key)
            db.execute("INSERT INTO checkpoints (size, note) VALUES (?, ?)", (size, note))
            return note
