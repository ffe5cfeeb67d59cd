"""The ledger's file: schema, transactions, and the tree that grows with every change.

Rules:
- Every change and its Merkle leaf stand in one transaction (`BEGIN IMMEDIATE` … `COMMIT`), or neither does.
- `leaves`, `nodes`, `checkpoints` and `levels` only grow: triggers refuse UPDATE, DELETE and REPLACE.
- What may have to be forgotten (subjects, grants, records, requests, inbox, operations) stands in tables of its own.
- The file is opened with `synchronous=FULL` and `secure_delete=ON`; temporary data stays in memory.

What a consent is, is not decided here.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from consent import log, merkle
from consent.events import ConsentError, EventKind, Leaf, Level, Purpose, Value, commit, encode_payload
from consent.subjects import KeyRing

SCHEMA_VERSION = 1
_BUSY_MS = 20_000
_STORE = re.compile(r"[A-Za-z0-9._-]{1,64}")

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE leaves (
    idx INTEGER PRIMARY KEY, hash BLOB NOT NULL CHECK (length(hash) = 32), data BLOB NOT NULL) STRICT;
CREATE TABLE nodes (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (id INTEGER PRIMARY KEY, size INTEGER NOT NULL UNIQUE, note TEXT NOT NULL) STRICT;
CREATE TABLE levels (
    id INTEGER PRIMARY KEY, level TEXT NOT NULL, leaf INTEGER NOT NULL UNIQUE REFERENCES leaves (idx)) STRICT;

CREATE TABLE subjects (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subject BLOB NOT NULL UNIQUE CHECK (length(subject) = 32),
    number INTEGER NOT NULL UNIQUE, wrapped BLOB NOT NULL, created_us INTEGER NOT NULL) STRICT;
CREATE TABLE grants (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subject BLOB NOT NULL REFERENCES subjects (subject), purpose TEXT NOT NULL,
    state TEXT NOT NULL, grant_id BLOB NOT NULL, given_us INTEGER NOT NULL, until_us INTEGER NOT NULL,
    ended_us INTEGER, leaf INTEGER NOT NULL REFERENCES leaves (idx), UNIQUE (subject, purpose)) STRICT;
CREATE TABLE records (
    leaf INTEGER PRIMARY KEY REFERENCES leaves (idx), kind TEXT NOT NULL,
    subject BLOB REFERENCES subjects (subject), at_us INTEGER NOT NULL,
    entry_key BLOB NOT NULL CHECK (length(entry_key) = 32), payload BLOB NOT NULL) STRICT;
CREATE INDEX records_subject ON records (subject) WHERE subject IS NOT NULL;
CREATE INDEX records_kind ON records (kind, leaf);
CREATE TABLE operations (
    op BLOB PRIMARY KEY, subject BLOB REFERENCES subjects (subject), at_us INTEGER NOT NULL,
    result TEXT NOT NULL) STRICT;
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject BLOB REFERENCES subjects (subject),
    written_us INTEGER NOT NULL, payload BLOB NOT NULL, CHECK ((subject IS NULL) = (kind = 'cells'))) STRICT;
CREATE INDEX inbox_subject ON inbox (subject) WHERE subject IS NOT NULL;
CREATE TABLE pad_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pad TEXT NOT NULL, kind TEXT NOT NULL,
    subject BLOB REFERENCES subjects (subject), screen_us INTEGER NOT NULL, tap_us INTEGER NOT NULL,
    opened_us INTEGER NOT NULL, outcome TEXT, answered_us INTEGER) STRICT;
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, args BLOB NOT NULL, status TEXT NOT NULL,
    opened_us INTEGER NOT NULL, settled_us INTEGER, result BLOB) STRICT;
"""

# REPLACE removes rows without firing DELETE triggers, so growth itself is checked on INSERT
_GROW_ONLY = {
    "leaves": "NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM leaves)",
    "nodes": "EXISTS (SELECT 1 FROM nodes WHERE level = NEW.level AND idx = NEW.idx)",
    "checkpoints": "NEW.size <= (SELECT max(size) FROM checkpoints)"
    " OR EXISTS (SELECT 1 FROM checkpoints WHERE id = NEW.id)",
    "levels": "NEW.leaf <= (SELECT max(leaf) FROM levels) OR EXISTS (SELECT 1 FROM levels WHERE id = NEW.id)",
}


def _schema() -> str:
    script = [_TABLES]
    for table, broken in _GROW_ONLY.items():
        for verb, when in (("UPDATE", ""), ("DELETE", ""), ("INSERT", f"WHEN {broken} ")):
            script.append(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} {when}"
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END;"
            )
    return "\n".join(script)


class LedgerError(ConsentError):
    """The ledger's file cannot be used as asked."""


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


class Database:
    """One open ledger file. Safe to share between threads; every process opens its own.

    Args:
        path: the file; it is made when missing.
        keys: the keys of this process.
        store: the store's name in the log, letters, digits, dot, dash and underscore.
        factory: the connection class, where a caller needs its own.

    Raises:
        ConsentError: the file belongs to another store or a newer version, or the keys lie beside it.
    """

    def __init__(
        self, path: Path, keys: KeyRing, *, store: str, factory: type[sqlite3.Connection] = sqlite3.Connection
    ) -> None:
        if not _STORE.fullmatch(store):
            raise LedgerError("a store's name in the log has 1 to 64 letters, digits, dots, dashes or underscores")
        if keys.directory.resolve().is_relative_to(path.resolve().parent):
            raise LedgerError(
                f"keys must not lie in the state directory {path.parent}; move {keys.directory} elsewhere"
            )
        self.path, self.keys, self.store = path, keys, store
        self.origin = f"openaisle/{store}"
        self._lock = threading.RLock()
        self._db = self._connect(factory)
        self._watcher = self._connect(sqlite3.Connection)  # `data_version` only sees the commits of other connections
        self._prepare()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
            self._watcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def data_version(self) -> int:
        """Return a number that changes whenever anybody has changed the ledger; cheap enough for every frame."""
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def _connect(self, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(
                self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False, factory=factory
            )
            db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
                db.execute(f"PRAGMA {pragma}")
            db.execute("PRAGMA temp_store = MEMORY")  # VACUUM would otherwise leave a copy in the temporary directory
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} cannot be opened as a ledger: {error}") from error
        return db

    def _prepare(self) -> None:
        if self._version() == 0:
            with self._write() as db:
                if self._version() == 0:
                    for statement in _statements(_schema()):
                        db.execute(statement)
                    db.execute("INSERT INTO meta VALUES ('store', ?)", (self.store,))
                    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                    self.path.chmod(0o660)  # the four processes share one group, nobody else reads
        if self._version() != SCHEMA_VERSION:
            raise LedgerError(
                f"{self.path} is of schema {self._version()}, this program knows {SCHEMA_VERSION}: upgrade openaisle"
            )
        (store,) = self._db.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()
        if store != self.store:
            raise LedgerError(f"{self.path} is the ledger of {store}, not of {self.store}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk when the block ends, or nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise LedgerError(f"the ledger could not be written ({error}); repeat the same operation") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    # the tree

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
    ) -> int:
        """Log something that is about no person, and return its leaf index; `details` are kept for ever.

        Raises:
            ConsentError: the kind is about a person, or a field holds free text.
        """
        if kind.personal:
            raise LedgerError(f"{kind} is about a person; it is logged by the change itself")
        return self.append_events([Entry(kind, now_us, details or {}, level=level, count=count, digest=digest)])[0]

    def _append(self, db: sqlite3.Connection, entry: Entry) -> int:
        payload = encode_payload({**entry.payload, "at_us": entry.at_us})
        entry_key = secrets.token_bytes(32)
        data = Leaf(
            entry.kind, commit(entry_key, payload), entry.purposes, entry.level, entry.count, entry.digest
        ).encode()
        index = self.size
        nodes = merkle.grown(index, merkle.leaf_hash(data), self._node)
        db.execute("INSERT INTO leaves VALUES (?, ?, ?)", (index, nodes[0][2], data))
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?)", nodes[1:])
        db.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
            (index, entry.kind.value, entry.subject, entry.at_us, entry_key, payload),
        )
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

    # what was already done

    def _done(self, operation: bytes | None) -> dict[str, object] | None:
        """Return the result of an operation that was carried out before, so that a retry changes nothing."""
        if operation is None:
            return None
        if len(operation) < 16:
            raise LedgerError("an operation id has 16 random bytes or more")
        row = self._db.execute("SELECT result FROM operations WHERE op = ?", (_op(operation),)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def _did(self, operation: bytes | None, now_us: int, subject: bytes | None, result: Mapping[str, object]) -> None:
        if operation is not None:
            self._db.execute(
                "INSERT INTO operations VALUES (?, ?, ?, ?)", (_op(operation), subject, now_us, json.dumps(result))
            )


def _op(operation: bytes) -> bytes:
    return hashlib.sha256(operation).digest()


def _statements(script: str) -> Iterator[str]:
    """Yield single statements: `executescript` would commit the transaction it runs in."""
    pending = ""
    for part in script.splitlines():
        pending += part + "\n"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
