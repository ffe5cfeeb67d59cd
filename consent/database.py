"""The ledger's file: its tables, its transactions, and what makes a retry harmless.

Rules:
- A change is one transaction (`BEGIN IMMEDIATE` … `COMMIT`): all of it is on disk, or nothing.
- `leaves`, `nodes`, `checkpoints` and `levels` only grow: triggers refuse UPDATE, DELETE and REPLACE.
- What may have to be forgotten (subjects, grants, records, requests, cases, inbox, operations) stands in tables of its
  own.
- The file is opened with `synchronous=FULL` and `secure_delete=ON`; temporary data stays in memory.
- Where the disk is full, a no is written into the room that is kept for it (`reserve`); everything else is refused.

What the rows mean is not decided here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from consent.events import ConsentError
from consent.keys import KeyRing
from consent.reserve import Reserve

SCHEMA_VERSION = 2
_BUSY_MS = 20_000
_Result = TypeVar("_Result")
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
    op BLOB PRIMARY KEY, what TEXT NOT NULL, subject BLOB REFERENCES subjects (subject), at_us INTEGER NOT NULL,
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
_CASES = """
CREATE TABLE cases (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, received TEXT NOT NULL, due TEXT NOT NULL,
    extended TEXT, closed TEXT, closed_us INTEGER, outcome TEXT) STRICT;
"""

# tables of what may have to be forgotten; who refers to another stands before it
ERASABLE = ("inbox", "pad_requests", "operations", "requests", "cases", "records", "grants", "subjects")

# REPLACE removes rows without firing DELETE triggers, so growth itself is checked on INSERT
_GROW_ONLY = {
    "leaves": "NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM leaves)",
    "nodes": "EXISTS (SELECT 1 FROM nodes WHERE level = NEW.level AND idx = NEW.idx)",
    "checkpoints": "NEW.size <= (SELECT max(size) FROM checkpoints)"
    " OR EXISTS (SELECT 1 FROM checkpoints WHERE id = NEW.id)",
    "levels": "NEW.leaf <= (SELECT max(leaf) FROM levels) OR EXISTS (SELECT 1 FROM levels WHERE id = NEW.id)",
}


def _schema() -> str:
    script = [_TABLES, _CASES]
    for table, broken in _GROW_ONLY.items():
        for verb, when in (("UPDATE", ""), ("DELETE", ""), ("INSERT", f"WHEN {broken} ")):
            script.append(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} {when}"
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END;"
            )
    return "\n".join(script)


class LedgerError(ConsentError):
    """The ledger's file cannot be used as asked."""


class DiskFullError(LedgerError):
    """There is no room on the disk for what was to be written."""

    def __init__(self) -> None:
        super().__init__("the disk is full, so nothing was written: make room, and repeat the same operation")


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
        self.reserve = Reserve(path.parent)
        self.origin = f"openaisle/{store}"
        self._lock = threading.RLock()
        if path.parent.is_dir() and not path.exists():
            # the four processes share one group, nobody else reads; SQLite gives its side files the same mode
            with contextlib.suppress(FileExistsError):
                path.touch(mode=0o600, exist_ok=False)
                path.chmod(0o660)
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

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a ledger that another process holds after this long; whoever stands before a page waits less."""
        with self._lock:
            self._db.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

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
            db.execute("PRAGMA temp_store = MEMORY")  # else a rewrite would leave a copy in the temporary directory
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
        if self._version() == 1:  # there were no cases yet
            with self._write() as db:
                if self._version() == 1:
                    for statement in _statements(_CASES):
                        db.execute(statement)
                    db.execute("PRAGMA user_version = 2")
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
            except sqlite3.IntegrityError as error:
                raise LedgerError(f"the ledger refused it and changed nothing: {error}") from error
            except sqlite3.Error as error:
                if _is_full(error):
                    raise DiskFullError from error
                raise LedgerError(f"the ledger could not be written ({error}); repeat the same operation") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _surely(self, write: Callable[[], _Result]) -> _Result:
        """Write a no; where the disk is full, in the room that is kept for it."""
        while True:
            try:
                return write()
            except DiskFullError:
                if not self.reserve.give():
                    raise

    def select(self, sql: str, *args: bytes | str | int) -> list[Any]:
        """Return the rows of a SELECT."""
        with self._lock:
            return self._db.execute(sql, args).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Reads inside the block see the ledger as it stood at the first of them."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    # what was already done

    def _done(self, what: str, operation: bytes | None) -> dict[str, Any] | None:
        """Return the result of an operation that was carried out before, so that a retry changes nothing.

        Raises:
            ConsentError: the id is too short, or was used for something else.
        """
        if operation is None:
            return None
        if len(operation) < 16:
            raise LedgerError("an operation id has 16 random bytes or more")
        row = self._db.execute("SELECT what, result FROM operations WHERE op = ?", (_op(operation),)).fetchone()
        if row is not None and row[0] != what:
            raise LedgerError("this operation id was used for something else; make a new one")
        return None if row is None else dict(json.loads(row[1]))

    def _did(
        self, what: str, operation: bytes | None, now_us: int, subject: bytes | None, result: Mapping[str, Any]
    ) -> None:
        if operation is not None:
            row = (_op(operation), what, subject, now_us, json.dumps(result))
            self._db.execute("INSERT INTO operations VALUES (?, ?, ?, ?, ?)", row)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


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
