"""The file of accounts, sessions and tokens, `access.sqlite`: opened, brought to its newest form, written whole.

Every process opens its own. Who writes what into it is said by `accounts` and `tokens`.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from consent.events import ConsentError

_BUSY_MS = 5_000

_ACCOUNTS = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE accounts (
    id TEXT PRIMARY KEY CHECK (length(id) = 16), name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, desk TEXT NOT NULL,
    password TEXT, invited BLOB UNIQUE, provider BLOB UNIQUE, made_us INTEGER NOT NULL) STRICT;
CREATE TABLE sessions (
    token BLOB PRIMARY KEY CHECK (length(token) = 32),
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    begun_us INTEGER NOT NULL, seen_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE codes (
    code BLOB PRIMARY KEY CHECK (length(code) = 32), account TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    until_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE proposals (
    id INTEGER PRIMARY KEY CHECK (id = 1), level TEXT NOT NULL, dpia BLOB NOT NULL CHECK (length(dpia) = 32),
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, opened_us INTEGER NOT NULL) STRICT;
"""
_TOKENS = """
CREATE TABLE tokens (
    token BLOB PRIMARY KEY CHECK (length(token) = 32), id TEXT NOT NULL UNIQUE CHECK (length(id) = 16),
    name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, scope TEXT NOT NULL,
    made_us INTEGER NOT NULL, until_us INTEGER NOT NULL, used_us INTEGER) STRICT, WITHOUT ROWID;
"""
_FACTORS = """
CREATE TABLE factors (
    account TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    salt BLOB NOT NULL, sealed BLOB NOT NULL, step INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE recovery (
    code BLOB PRIMARY KEY CHECK (length(code) = 32),
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE) STRICT, WITHOUT ROWID;
CREATE TABLE tries (
    key BLOB PRIMARY KEY CHECK (length(key) = 32), spare REAL NOT NULL, at_us INTEGER NOT NULL,
    full_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
_SCHEMAS = (_ACCOUNTS, _TOKENS, _FACTORS)  # each on top of those before it


class AccountError(ConsentError):
    """An account or token that cannot be made, changed or found; the text says what to do."""


class AccessFile:
    """One open `access.sqlite`. Safe to share between threads.

    Args:
        path: the file; it is made when missing.

    Raises:
        AccountError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            if not path.exists():
                with contextlib.suppress(FileExistsError):
                    path.touch(mode=0o600, exist_ok=False)
            self._db = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            for pragma in (
                *(f"busy_timeout = {_BUSY_MS}", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"),
                *("foreign_keys = ON", "temp_store = MEMORY"),
            ):
                self._db.execute(f"PRAGMA {pragma}")
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise AccountError(
                f"{path} cannot be used ({error}); move it away, and make the accounts again with `openaisle user add`"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > len(_SCHEMAS):
                raise AccountError(f"{self.path} was written by a newer openaisle (schema {version}); upgrade this one")
            for tables in _SCHEMAS[version:]:
                for statement in tables.split(";\n"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(_SCHEMAS)}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection within a transaction, which is taken back where the block fails.

        Raises:
            AccountError: it could not be written.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise AccountError(f"{self.path} could not be written ({error}); try again") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def rows(self, sql: str, *arguments: object) -> list[Any]:
        """Return what a query finds.

        Raises:
            AccountError: it could not be read.
        """
        with self._lock:
            try:
                return self._db.execute(sql, arguments).fetchall()
            except sqlite3.Error as error:
                raise AccountError(f"{self.path} could not be read ({error}); try again") from error


def digest(token: str) -> bytes:
    """Return under what a token or code is kept: its SHA-256."""
    return hashlib.sha256(token.encode()).digest()
