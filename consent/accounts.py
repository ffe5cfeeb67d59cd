"""Accounts and sessions of the staff: `access.sqlite`, apart from the ledger.

Rules:
- Of a password there is an argon2id hash, of a session or a one-time code a SHA-256; neither can be got back.
- There is no account to begin with and no password that anybody knows beforehand: the first administrator is made with
  a set-up code or on the command line.
- A session ends when it is idle, when it is over, when its account changes or goes, and when somebody ends it; what is
  ended is deleted. It is looked up at every request, so an end counts at once, in every process.
- The log knows an account by its random number alone. Whose number it was is forgotten with the account.

Who may do what is said by `desks`, who may try how often by `access`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import sqlite3
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from consent.accessfile import AccessFile, AccountError, digest
from consent.desks import Desk, Who

__all__ = ["Account", "AccountError", "Accounts", "Span", "columns", "digest", "fold", "hash_password", "turns"]

SHORTEST, LONGEST = 12, 256  # characters of a password
CODE_US = 3_600_000_000  # a set-up code lives for an hour
LINK_US = 86_400_000_000  # a one-time link for a day
_MINUTE_US = 60_000_000
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is misread
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")

# blank though Unicode calls them letters, marks or signs
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

_log = logging.getLogger(__name__)
_ARGON2 = PasswordHasher()  # argon2id with RFC 9106's parameters for little memory: 64 MiB, 3 passes
turns = threading.BoundedSemaphore(2)  # each takes 64 MiB: guessers must not take all of the machine
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$Oh54a/VhfvkvgDdqE4Kweg$/vN83k8fZQZ0aevsNbTBTh8lQ6lYNHEAM+eKlnW+P9A"


@dataclass(frozen=True, slots=True)
class Account:
    """One account.

    Attributes:
        id: random number, 16 hexadecimal digits.
        name: as it was given.
        desk: where they work.
        local: they have a password here.
        made_us: when it was made, UTC microseconds.
    """

    id: str
    name: str
    desk: Desk
    local: bool
    made_us: int

    def who(self) -> Who:
        """Return what pages get to know."""
        return Who(self.name, self.desk, self.id)


@dataclass(frozen=True, slots=True)
class Span:
    """How long a session lives.

    Attributes:
        idle_us: without anything done, microseconds.
        whole_us: in all, microseconds.
    """

    idle_us: int = 30 * _MINUTE_US
    whole_us: int = 12 * 60 * _MINUTE_US


class Accounts(AccessFile):
    """One open `access.sqlite`. Safe to share between threads; every process opens its own.

    Args:
        path: the file; it is made when missing.
        span: how long a session lives.

    Raises:
        AccountError: the file cannot be used.
    """

    def __init__(self, path: Path, span: Span | None = None) -> None:
        super().__init__(path)
        self.span = span or Span()

    # accounts

    def accounts(self) -> list[Account]:
        """Return all accounts by name."""
        return [_account(row) for row in self.rows(f"SELECT {_COLUMNS} FROM accounts ORDER BY folded")]  # noqa: S608

    def find(self, name: str) -> Account:
        """Return the account of a name, however its letters are cased.

        Raises:
            AccountError: there is none.
        """
        rows = self.rows(f"SELECT {_COLUMNS} FROM accounts WHERE folded = ?", fold(name))  # noqa: S608
        if not rows:
            raise AccountError(f"there is no account {name.strip()!r}; `openaisle user list` shows all")
        return _account(rows[0])

    def add(
        self, name: str, desk: Desk, *, now_us: int, password: str | None = None, invited: bytes | None = None
    ) -> Account:
        """Make an account and return it.

        Args:
            name: one that is free, 1 to 64 characters.
            desk: where they work.
            now_us: UTC microseconds.
            password: None where they sign in otherwise.
            invited: SHA-256 by which the sign-in provider's word is known at the first time; see `consent.oidc`.

        Raises:
            AccountError: the name is taken or none, or the password is too weak.
        """
        clean = " ".join(name.split())
        if not _NAME.fullmatch(clean):
            raise AccountError("a name has 1 to 64 characters")
        if _UNSEEN.search(clean) or any(unicodedata.category(letter) in ("Cf", "Cc", "Cs") for letter in clean):
            raise AccountError("this name has characters that nobody sees, so it could pass for another; type it anew")
        hashed = None if password is None else hash_password(password, clean)
        account = secrets.token_hex(8)
        try:
            with self.write() as db:
                row = (account, clean, fold(clean), desk.value, hashed, invited, None, now_us)
                db.execute("INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except AccountError as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                what = "this address" if "invited" in str(error.__cause__) else repr(clean)
                raise AccountError(f"there is an account for {what} already; choose another") from error
            raise
        return Account(account, clean, desk, password is not None, now_us)

    def add_first(self, name: str, password: str, *, now_us: int) -> Account:
        """Make the first administrator.

        Raises:
            AccountError: there is an account already, or the name or password will not do.
        """
        with self._lock:
            if self.accounts():
                raise AccountError("there is an account already; ask its owner for one of your own")
            return self.add(name, Desk.ADMINISTRATOR, now_us=now_us, password=password)

    def remove(self, name: str) -> Account:
        """Delete an account, its sessions and its codes, and return what it was.

        Raises:
            AccountError: there is none, or it is the last administrator.
        """
        account = self.find(name)
        with self.write() as db:
            self._leave_one(db, account)
            db.execute("DELETE FROM accounts WHERE id = ?", (account.id,))
        return account

    def set_desk(self, name: str, desk: Desk) -> Account:
        """Move somebody to another desk, end their sessions, and return the account.

        Raises:
            AccountError: there is none, or it is the last administrator.
        """
        account = self.find(name)
        with self.write() as db:
            if desk is not Desk.ADMINISTRATOR:
                self._leave_one(db, account)
            db.execute("UPDATE accounts SET desk = ? WHERE id = ?", (desk.value, account.id))
            _end_sessions(db, account.id)
        return self.find(name)

    def set_password(self, name: str, password: str, *, own: bool = False) -> Account:
        """Set a password, end the account's sessions and codes, and return it.

        Args:
            name: of the account.
            password: new.
            own: they change it themselves; otherwise their second factor, which opens by the old one alone, goes.

        Raises:
            AccountError: there is no such account, or the password is too weak.
        """
        account = self.find(name)
        hashed = hash_password(password, account.name)
        with self.write() as db:
            db.execute("UPDATE accounts SET password = ? WHERE id = ?", (hashed, account.id))
            for table in () if own else ("factors", "recovery"):
                db.execute(f"DELETE FROM {table} WHERE account = ?", (account.id,))  # noqa: S608
            _end_sessions(db, account.id)
        return self.find(name)

    def _leave_one(self, db: sqlite3.Connection, account: Account) -> None:
        sql = "SELECT count(*) FROM accounts WHERE desk = ? AND id <> ?"
        (others,) = db.execute(sql, (Desk.ADMINISTRATOR.value, account.id)).fetchone()
        if account.desk is Desk.ADMINISTRATOR and not others:
            raise AccountError(f"{account.name!r} is the only administrator; make another one first")

    def check(self, name: str, password: str) -> Account | None:
        """Return the account that name and password belong to; None takes as long, whatever is wrong."""
        rows = self.rows(f"SELECT {_COLUMNS} FROM accounts WHERE folded = ?", fold(name))  # noqa: S608
        stored = rows[0][3] if rows else None
        with turns:
            right = _is_right(stored or _NOBODY, password[:LONGEST])
        if not right or stored is None or len(password) > LONGEST:
            return None
        if _ARGON2.check_needs_rehash(stored):
            with self.write() as db:
                sql = "UPDATE accounts SET password = ? WHERE id = ? AND password = ?"
                db.execute(sql, (_ARGON2.hash(password), rows[0][0], stored))
        return _account(rows[0])

    def by_provider(self, number: bytes, invited: bytes | None) -> Account | None:
        """Return the account of somebody whom the sign-in provider vouches for.

        Args:
            number: SHA-256 of the provider and the number under which it knows them.
            invited: SHA-256 of the provider and their checked address. It counts once: from then on the account is
                bound to the number, so that whoever gets the address later does not get the account.
        """
        rows = self.rows(f"SELECT {_COLUMNS} FROM accounts WHERE provider = ?", number)  # noqa: S608
        if not rows and invited is not None:
            with self.write() as db:
                sql = f"SELECT {_COLUMNS} FROM accounts WHERE invited = ? AND provider IS NULL"  # noqa: S608
                rows = db.execute(sql, (invited,)).fetchall()
                sql = "UPDATE accounts SET provider = ?, invited = NULL WHERE id = ?"
                db.executemany(sql, [(number, row[0]) for row in rows])
        return _account(rows[0]) if rows else None

    # sessions

    def begin(self, account: Account, *, now_us: int) -> str:
        """Begin a session and return its token, which is kept nowhere else: 256 random bits."""
        token = secrets.token_urlsafe(32)
        with self.write() as db:
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (digest(token), account.id, now_us, now_us))
        return token

    def session(self, key: bytes, *, now_us: int, active: bool = False) -> Who | None:
        """Return who is signed in under the hash of a token; None where nobody is any more.

        Args:
            key: SHA-256 of the token, see `digest`.
            now_us: UTC microseconds; a session that seems to begin in the future is over.
            active: somebody does something just now, so that idleness begins anew.
        """
        sql = (
            "SELECT s.begun_us, s.seen_us, a.name, a.desk, a.id FROM sessions s JOIN accounts a ON a.id = s.account"
            " WHERE s.token = ?"
        )
        rows = self.rows(sql, key)
        if not rows:
            return None
        begun_us, seen_us, name, desk, account = rows[0]
        if not self._stands(begun_us, seen_us, now_us):
            self.end(key)
            return None
        if active and now_us - seen_us >= min(_MINUTE_US, self.span.idle_us // 10):
            with self.write() as db:
                db.execute("UPDATE sessions SET seen_us = ? WHERE token = ?", (now_us, key))
        return Who(name, Desk(desk), account)

    def _stands(self, begun_us: int, seen_us: int, now_us: int) -> bool:
        age_us, idle_us = now_us - begun_us, now_us - seen_us
        return -_MINUTE_US <= age_us < self.span.whole_us and -_MINUTE_US <= idle_us < self.span.idle_us

    def end(self, key: bytes) -> None:
        """End one session, by the hash of its token."""
        with self.write() as db:
            db.execute("DELETE FROM sessions WHERE token = ?", (key,))

    def end_all(self, account: str) -> int:
        """End every session and code of an account, and return how many sessions there were."""
        with self.write() as db:
            return _end_sessions(db, account)

    def tidy(self, *, now_us: int) -> None:
        """Delete sessions and codes that are over."""
        with self.write() as db:
            for key, begun_us, seen_us in db.execute("SELECT token, begun_us, seen_us FROM sessions").fetchall():
                if not self._stands(begun_us, seen_us, now_us):
                    db.execute("DELETE FROM sessions WHERE token = ?", (key,))
            db.execute("DELETE FROM codes WHERE until_us <= ? OR until_us > ?", (now_us, now_us + 2 * LINK_US))

    # codes that work once

    def set_up_code(self, *, now_us: int) -> str | None:
        """Return a new code that makes the first administrator, in place of the last; None where there is one."""
        code = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        with self.write() as db:
            if db.execute("SELECT 1 FROM accounts LIMIT 1").fetchone():
                return None
            db.execute("DELETE FROM codes WHERE account IS NULL")
            db.execute("INSERT INTO codes VALUES (?, NULL, ?)", (digest(code), now_us + CODE_US))
        return "-".join(code[i : i + 4] for i in range(0, 12, 4))

    def is_set_up_code(self, code: str, *, now_us: int) -> bool:
        """Say whether a code opens the page that makes the first administrator; `add_first` then uses it up."""
        typed = "".join(code.split()).replace("-", "").upper()
        sql = "SELECT 1 FROM codes WHERE code = ? AND account IS NULL AND until_us > ?"
        return bool(self.rows(sql, digest(typed), now_us))

    def forget_set_up(self) -> None:
        """Use the set-up code up."""
        with self.write() as db:
            db.execute("DELETE FROM codes WHERE account IS NULL")

    def link(self, account: Account, *, now_us: int) -> str:
        """Return a code that signs an account in once, for a day."""
        code = secrets.token_urlsafe(32)
        with self.write() as db:
            db.execute("INSERT INTO codes VALUES (?, ?, ?)", (digest(code), account.id, now_us + LINK_US))
        return code

    def use_link(self, code: str, *, now_us: int) -> Account | None:
        """Use a code of `link` up and return whose it was; None where it is none, was used, or is over."""
        with self.write() as db:
            sql = "DELETE FROM codes WHERE code = ? AND account IS NOT NULL AND until_us > ? RETURNING account"
            used = db.execute(sql, (digest(code), now_us)).fetchall()
            if not used:
                return None
            sql = f"SELECT {_COLUMNS} FROM accounts WHERE id = ?"  # noqa: S608
            return _account(db.execute(sql, used[0]).fetchone())

    # a higher privacy level, asked for and not approved yet

    def propose(self, level: str, dpia: bytes, account: str, *, now_us: int) -> None:
        """Write down who asks for which level on which assessment, in place of what was asked before."""
        with self.write() as db:
            db.execute("DELETE FROM proposals")
            db.execute("INSERT INTO proposals VALUES (1, ?, ?, ?, ?)", (level, dpia, account, now_us))

    def proposal(self) -> tuple[str, bytes, str, int] | None:
        """Return level, assessment (SHA-256), account and instant of what is asked for."""
        rows = self.rows("SELECT level, dpia, account, opened_us FROM proposals")
        return tuple(rows[0]) if rows else None

    def settle(self) -> None:
        """Forget what was asked for."""
        with self.write() as db:
            db.execute("DELETE FROM proposals")


_COLUMNS = "id, name, desk, password, made_us"


def columns(path: Path) -> dict[str, list[str]]:
    """Return the columns of an `access.sqlite` by table; nothing where there is none that this process may read.

    Args:
        path: of the file; it is not changed.
    """
    sql = (
        "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_xinfo(m.name) p"
        " WHERE m.type IN ('table', 'view') ORDER BY m.name, p.cid"
    )
    found: dict[str, list[str]] = {}
    if not path.is_file():
        return found
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
            for table, column in db.execute(sql).fetchall():
                found.setdefault(table, []).append(column)
    except sqlite3.Error as error:  # another user's, or damaged: the dashboard says so
        _log.debug("%s cannot be looked at: %s", path, error)
    return found


def _account(row: tuple[str, str, str, str | None, int]) -> Account:
    number, name, desk, password, made_us = row
    return Account(number, name, Desk(desk), password is not None, made_us)


def _end_sessions(db: sqlite3.Connection, account: str) -> int:
    db.execute("DELETE FROM codes WHERE account = ?", (account,))
    return db.execute("DELETE FROM sessions WHERE account = ?", (account,)).rowcount


def fold(name: str) -> str:
    """Return a name as names are compared: one typed in two ways is one."""
    plain = unicodedata.normalize("NFKC", " ".join(name.split()).casefold())
    return unicodedata.normalize("NFKC", plain.casefold())


def _is_right(stored: str, password: str) -> bool:
    try:
        return _ARGON2.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def hash_password(password: str, name: str) -> str:
    """Return the argon2id hash of a password.

    Raises:
        AccountError: it is too short, too long, of few letters, or the name.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountError(f"a password has {SHORTEST} to {LONGEST} characters; four words make a good one")
    if len(set(password)) < 5 or fold(password) == fold(name) * (len(password) // max(1, len(fold(name)))):
        raise AccountError("this password is too easy to guess; four words that do not belong together make a good one")
    with turns:
        return _ARGON2.hash(password)
