"""Tokens by which programs read: a till's office, a dashboard elsewhere, a monitor. They open no page and no session.

Rules:
- A token opens one thing, its scope, and only reads. It ends on a day that was fixed when it was made, or when somebody
  revokes it; both count at the next request.
- `access.sqlite` holds its SHA-256. It is told once, when it is made, and cannot be got back.
- A token is nobody's account: the log knows it by a random number, as it knows accounts.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consent.accessfile import AccessFile, AccountError, digest
from consent.events import DAY_US

PREFIX = "openaisle_"  # so that whoever finds one knows what it is, and scanners of code do
MOST_DAYS = 366
_KEPT_US = 30 * DAY_US  # one that is over is listed for so long, so that somebody sees why a program reads no more
_NOTED_US = 3_600_000_000  # between two notes that it was used
_SKEW_US = 60_000_000
_NAME = re.compile(r"[\w .-]{1,64}")


class Scope(StrEnum):
    """What a token opens."""

    FIGURES = "figures"  # the released figures, by /api
    METRICS = "metrics"  # how the shop's processes do, by /metrics


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without its secret.

    Attributes:
        id: random number, 16 hexadecimal digits; the log knows it by this.
        name: as it was given.
        scope: what it opens.
        made_us: when it was made, UTC microseconds.
        until_us: when it is over.
        used_us: when it was last used, to within an hour; None for never.
    """

    id: str
    name: str
    scope: Scope
    made_us: int
    until_us: int
    used_us: int | None

    def stands(self, now_us: int) -> bool:
        """Say whether it opens anything now; one that seems to be made in the future does not."""
        return self.made_us - _SKEW_US <= now_us < self.until_us


class Tokens:
    """The tokens of a shop.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: AccessFile) -> None:
        self._file = file

    def all(self) -> list[Token]:
        """Return every token by name, those that are over too."""
        return [_token(row) for row in self._file.rows(f"SELECT {_COLUMNS} FROM tokens ORDER BY folded")]  # noqa: S608

    def add(self, name: str, scope: Scope, days: int, *, now_us: int) -> tuple[Token, str]:
        """Make a token and return it with its secret, which is kept nowhere: 256 random bits.

        Args:
            name: one that is free, 1 to 64 characters.
            scope: what it opens.
            days: how long it stands.
            now_us: UTC microseconds.

        Raises:
            AccountError: the name is taken or none, or the days are too many.
        """
        clean = unicodedata.normalize("NFKC", " ".join(name.split()))
        if not _NAME.fullmatch(clean):
            raise AccountError("a token's name has 1 to 64 letters, figures, spaces, dots and dashes")
        if not 1 <= days <= MOST_DAYS:
            raise AccountError(f"a token stands for 1 to {MOST_DAYS} days; make a new one then")
        secret = PREFIX + secrets.token_urlsafe(32)
        made = Token(secrets.token_hex(8), clean, scope, now_us, now_us + days * DAY_US, None)
        row = (digest(secret), made.id, clean, clean.casefold(), scope.value, now_us, made.until_us, None)
        try:
            with self._file.write() as db:
                db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except AccountError as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                raise AccountError(f"there is a token {clean!r} already; revoke it, or choose another name") from error
            raise
        return made, secret

    def revoke(self, name: str) -> Token:
        """Delete a token and return what it was.

        Raises:
            AccountError: there is none.
        """
        folded = unicodedata.normalize("NFKC", " ".join(name.split())).casefold()
        with self._file.write() as db:
            sql = f"DELETE FROM tokens WHERE folded = ? RETURNING {_COLUMNS}"  # noqa: S608
            gone = db.execute(sql, (folded,)).fetchall()
        if not gone:
            raise AccountError(f"there is no token {name.strip()!r}; `openaisle token list` shows all")
        return _token(gone[0])

    def of(self, secret: str) -> Token | None:
        """Return the token of a secret, whether it still stands or not; None where there is none."""
        found = self._file.rows(f"SELECT {_COLUMNS} FROM tokens WHERE token = ?", digest(secret))  # noqa: S608
        return _token(found[0]) if found else None

    def used(self, token: Token, *, now_us: int) -> None:
        """Note that a token was used, once an hour."""
        if token.used_us is None or not 0 <= now_us - token.used_us < _NOTED_US:
            with self._file.write() as db:
                db.execute("UPDATE tokens SET used_us = ? WHERE id = ?", (now_us, token.id))

    def tidy(self, *, now_us: int) -> None:
        """Delete tokens that are over for a month."""
        with self._file.write() as db:
            db.execute("DELETE FROM tokens WHERE until_us <= ?", (now_us - _KEPT_US,))


_COLUMNS = "id, name, scope, made_us, until_us, used_us"


def _token(row: Sequence[Any]) -> Token:
    number, name, scope, *instants = row
    return Token(number, name, Scope(scope), *instants)
