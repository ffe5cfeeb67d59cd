"""How often something was tried, kept in `access.sqlite`: a restart forgets no try, and every process counts the same.

Rules:
- Whose tries they are stands there as a salted SHA-256, and only until they may try as often as at first.
- A clock that was put back gives no try back.
- Each kind has room of its own, and whoever used up the fewest tries makes room: nobody is forgotten who has to wait.
  Where all of a kind have to, whoever is new waits, too. One that waits writes nothing.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import sqlite3
from collections.abc import Callable

from consent.accessfile import AccessFile
from consent.kiosk.pace import network

MOST = 4096  # of a kind remembered at once
_SECOND_US = 1_000_000
_SALT = "tries"
_KIND = 4  # bytes of a key that say of what kind it is


class Tries:
    """Allows each `most` tries at once and `per_s` a second in the long run.

    Args:
        file: where they are kept.
        what: is tried, a word; each is counted apart.
        most: at once.
        per_s: a second.
        counted_as: under what one is counted, where it is no network address.
    """

    def __init__(
        self, file: AccessFile, what: str, most: float, per_s: float, counted_as: Callable[[str], str] = network
    ) -> None:
        self._file, self._what, self._most, self._per_s, self._counted_as = file, what, most, per_s, counted_as

    def wait_s(self, whose: str, now_us: int) -> int:
        """Count one more, and return how many seconds to wait; 0 where they need not. One that waits is not counted.

        Args:
            whose: address or name.
            now_us: UTC microseconds.

        Raises:
            AccountError: the file cannot be written: nobody may try.
        """
        key = self._key(whose)
        with self._file.write() as db:
            found = db.execute("SELECT spare, at_us FROM tries WHERE key = ?", (key,)).fetchone()
            spare, at_us = found or (self._most, now_us)
            spare = self._spare(spare, at_us, now_us)
            if spare < 1:
                return math.ceil((1 - spare) / self._per_s)
            if found is None and (wait_s := self._make_room(db, key[:_KIND], now_us)):
                return wait_s
            full_us = now_us + math.ceil((self._most - spare + 1) / self._per_s) * _SECOND_US
            db.execute("INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?)", (key, spare - 1, now_us, full_us))
        return 0

    def _spare(self, spare: float, at_us: int, now_us: int) -> float:
        return min(self._most, spare + max(0, now_us - at_us) / _SECOND_US * self._per_s)

    def _make_room(self, db: sqlite3.Connection, kind: bytes, now_us: int) -> int:
        """Forget who used up the fewest tries where there are too many; return how long to wait where all have to."""
        sql = "SELECT key, spare, at_us FROM tries WHERE key >= ? AND key < ? ORDER BY full_us"
        rows = db.execute(sql, (kind + bytes(32 - _KIND), kind + b"\xff" * (32 - _KIND))).fetchall()
        if len(rows) < MOST:
            return 0
        key, spare, at_us = rows[0]
        spare = self._spare(spare, at_us, now_us)
        if spare < 1:
            return math.ceil((1 - spare) / self._per_s)
        db.execute("DELETE FROM tries WHERE key = ?", (key,))
        return 0

    def forgive(self, whose: str) -> None:
        """Forget what was counted: it turned out to be right."""
        key = self._key(whose)
        if self._file.rows("SELECT 1 FROM tries WHERE key = ?", key):
            with self._file.write() as db:
                db.execute("DELETE FROM tries WHERE key = ?", (key,))

    def _key(self, whose: str) -> bytes:
        salt = salt_of(self._file)
        key = hashlib.sha256(f"{salt}\n{self._what}\n{self._counted_as(whose)}".encode()).digest()
        return hashlib.sha256(self._what.encode()).digest()[:_KIND] + key[_KIND:]


def salt_of(file: AccessFile) -> str:
    """Return the file's own salt; it is made at the first try."""
    while not (found := file.rows("SELECT value FROM meta WHERE key = ?", _SALT)):
        with file.write() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_SALT, secrets.token_hex(16)))
    return str(found[0][0])


def tidy(file: AccessFile, *, now_us: int) -> None:
    """Delete what is as if it had never been counted."""
    with file.write() as db:
        db.execute("DELETE FROM tries WHERE full_us <= ?", (now_us,))
