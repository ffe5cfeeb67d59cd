"""Vouchers: a discount that is worth something once, at the till, and that names nobody.

Rules:
- A voucher is a code of 16 characters: generation of the key, the end of its time in steps of ten minutes, 30 random
  bits, and a MAC under a key of its own. What is kept of it is a keyed hash, what it is worth, and whether it was
  redeemed: no instant, no subject, no place in a sequence. Who opens the file can use no voucher and link none.
- Once a day under one receipt's code: kept is a keyed hash of subject and day, in another table, and gone with the day.
  Who asks without a code leaves no hash.
- The vouchers of one day never come to more than the budget of that day. Issuing is one transaction with the sum.
- Redeeming is one transaction: of two tills that ask at once exactly one is told yes.

The files of a day lie in a folder of their own, outside the ledger and every backup: an older ledger that is put back
must not make a redeemed voucher worth something again. The keeper deletes a file a day after its last voucher.

Nothing here knows a face or asks for a consent; whoever issues has looked into the ledger first.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consent.events import ConsentError
from consent.keys import KeyRing

FOLDER = "vouchers"  # in the state directory
STEP_US = 600 * 1_000_000  # in which the end of a voucher is told; finer would tell the minute of a shopper's visit
MOST_MINUTES = 240  # that one holds: the file of its day must outlive it
WAIT_S = 5.0  # for a file that another page holds

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32, as for the codes on receipts
_MISREAD = str.maketrans("OIL", "011")
_GAPS = re.compile(r"[\s‐-―−_.-]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = 1_767_225_600_000_000  # 2026-01-01T00:00Z, from which steps are counted
_GENERATION, _STEPS, _CHANCE, _MAC = 5, 20, 30, 25  # bits of each part, 80 in all
LENGTH = 16

_GIVEN = "SELECT coalesce(sum(worth), 0) FROM vouchers"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS vouchers (id INTEGER PRIMARY KEY, worth INTEGER NOT NULL CHECK (worth > 0),"
    " state TEXT NOT NULL CHECK (state IN ('unused', 'redeemed'))) STRICT",
    "CREATE TABLE IF NOT EXISTS takers (id INTEGER PRIMARY KEY) STRICT",
)
_T = TypeVar("_T")


class VoucherError(ConsentError):
    """No voucher was made or redeemed; nothing was changed."""


class SpentError(VoucherError):
    """The budget of the day does not reach for one more."""

    def __init__(self) -> None:
        super().__init__("today's discounts are all given away; raise `budget` under [smile], or wait for tomorrow")


class TakenError(VoucherError):
    """Under this code there was a voucher today."""

    def __init__(self) -> None:
        super().__init__("under this code a voucher was given today already")


class Answer(StrEnum):
    """What a till is told."""

    GOOD = "good"  # take it off, once
    USED = "used"
    OVER = "over"  # its time is over
    UNKNOWN = "unknown"  # not one of ours, or typed wrong


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher, as it is handed over.

    Attributes:
        code: 16 characters; it is kept nowhere else.
        worth: what is taken off, in the smallest unit of the currency.
        until_us: the end of its time, UTC microseconds.
    """

    code: str
    worth: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a till is told of a code; `worth` is 0 where nothing is to be taken off."""

    answer: Answer
    worth: int = 0


class Vouchers:
    """The vouchers of one shop. Safe to share between threads and processes.

    Args:
        folder: where the files of the days lie; made when missing.
        keys: of a process that holds the voucher key.
        zone: the shop's time zone: its midnight ends a day.

    Raises:
        ConsentError: the keys hold no voucher key.
    """

    def __init__(self, folder: Path, keys: KeyRing, zone: tzinfo) -> None:
        keys.voucher_key()
        self._folder, self._keys, self._zone = folder, keys, zone

    def issue(self, worth: int, *, budget: int, minutes: int, now_us: int, subject: bytes | None = None) -> Voucher:
        """Make a voucher.

        Args:
            worth: what is taken off, in the smallest unit of the currency.
            budget: of the day, same unit.
            minutes: it holds at least this long, 1 to `MOST_MINUTES`.
            now_us: UTC microseconds.
            subject: under whose code it is asked for, None where no code was shown.

        Raises:
            SpentError: the budget of the day does not reach.
            TakenError: there was one under this code today.
            VoucherError: the file cannot be written.
        """
        if not (worth > 0 and 0 < minutes <= MOST_MINUTES):
            raise VoucherError("a voucher is worth something, and holds from one minute to four hours")
        generation, _ = self._keys.voucher_key()
        step = -(-(now_us + minutes * 60_000_000 - _FIRST_US) // STEP_US)
        if not 0 <= step < 1 << _STEPS:
            raise VoucherError("the clock of this computer is years off; set it")
        day = self._day(now_us)

        def write(db: sqlite3.Connection) -> Voucher:
            given = db.execute(_GIVEN).fetchone()[0]
            if given + worth > budget:
                raise SpentError
            if subject is not None:
                if self._taken(db, subject, day):
                    raise TakenError
                db.execute("INSERT INTO takers VALUES (?)", (self._tag(generation, subject, day),))
            while True:  # 30 random bits may come up twice
                code = self._code(generation, step)
                row = (self._id(generation, code), worth)
                if db.execute("INSERT OR IGNORE INTO vouchers VALUES (?, ?, 'unused')", row).rowcount:
                    return Voucher(code, worth, _FIRST_US + step * STEP_US)

        self._forget_takers(day)
        return self._write(day, write, make=True)

    def had_one(self, subject: bytes, *, now_us: int) -> bool:
        """Say whether there was a voucher under this code today."""
        day = self._day(now_us)
        return self._file(day).is_file() and self._write(day, lambda db: self._taken(db, subject, day))

    def left(self, budget: int, *, now_us: int) -> int:
        """Return what is left of a budget today; never below 0."""
        day = self._day(now_us)
        if not self._file(day).is_file():
            return max(0, budget)
        given = self._write(day, lambda db: int(db.execute(_GIVEN).fetchone()[0]))
        return max(0, budget - given)

    def redeem(self, typed: str, *, now_us: int) -> Redeemed:
        """Redeem a voucher; only the first to ask is told `Answer.GOOD`.

        Raises:
            VoucherError: the file cannot be written: nothing is redeemed.
        """
        code = read(typed)
        if code is None:
            return Redeemed(Answer.UNKNOWN)
        generation, step = self._open(code)
        if generation is None:
            return Redeemed(Answer.UNKNOWN)
        until_us = _FIRST_US + step * STEP_US
        if now_us >= until_us:
            return Redeemed(Answer.OVER)
        id_ = self._id(generation, code)

        def write(db: sqlite3.Connection) -> Redeemed:
            row = db.execute("SELECT worth FROM vouchers WHERE id = ?", (id_,)).fetchone()
            if row is None:
                return Redeemed(Answer.UNKNOWN)
            done = db.execute("UPDATE vouchers SET state = 'redeemed' WHERE id = ? AND state = 'unused'", (id_,))
            return Redeemed(Answer.GOOD, int(row[0])) if done.rowcount == 1 else Redeemed(Answer.USED)

        for day in sorted({self._day(now_us), self._day(now_us - MOST_MINUTES * 60_000_000)}, reverse=True):
            if self._file(day).is_file():
                found = self._write(day, write)
                if found.answer is not Answer.UNKNOWN:
                    return found
        return Redeemed(Answer.UNKNOWN)

    # codes

    def _code(self, generation: int, step: int) -> str:
        number = ((generation % (1 << _GENERATION)) << _STEPS | step) << _CHANCE | secrets.randbits(_CHANCE)
        return _spell(number << _MAC | self._mac(generation, number))

    def _open(self, code: str) -> tuple[int | None, int]:
        """Return the generation whose key signed a code and its step; (None, 0) where none did."""
        whole = 0
        for letter in code:
            whole = whole << 5 | _ALPHABET.index(letter)
        number, mac = whole >> _MAC, whole & (1 << _MAC) - 1
        short, step = number >> _STEPS + _CHANCE, number >> _CHANCE & (1 << _STEPS) - 1
        for generation in self._keys.generations("voucher"):
            if generation % (1 << _GENERATION) == short:
                wanted = self._mac(generation, number).to_bytes(4, "big")
                if hmac.compare_digest(wanted, mac.to_bytes(4, "big")):
                    return generation, step
        return None, 0

    def _mac(self, generation: int, number: int) -> int:
        return _first_bits(self._derived(generation, b"mac"), number.to_bytes(7, "big"), _MAC)

    def _id(self, generation: int, code: str) -> int:
        """Return what is kept of a code: keyed, for 30 random bits alone could be tried out."""
        return _first_bits(self._derived(generation, b"kept"), code.encode(), 63)

    def _tag(self, generation: int, subject: bytes, day: date) -> int:
        return _first_bits(self._derived(generation, b"taker"), day.isoformat().encode() + subject, 63)

    def _taken(self, db: sqlite3.Connection, subject: bytes, day: date) -> bool:
        tags = [self._tag(generation, subject, day) for generation in self._keys.generations("voucher")]
        return any(db.execute("SELECT 1 FROM takers WHERE id = ?", (tag,)).fetchone() is not None for tag in tags)

    def _derived(self, generation: int, label: bytes) -> bytes:
        key = self._keys.voucher_key(generation)[1]
        return HKDF(SHA256(), 32, salt=None, info=b"openaisle voucher v1 " + label).derive(key)

    # files

    def _day(self, t_us: int) -> date:
        return (_EPOCH + timedelta(microseconds=t_us)).astimezone(self._zone).date()

    def _file(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.sqlite"

    def _forget_takers(self, today: date) -> None:
        """Forget who had one on another day; the vouchers of that night may still be redeemed."""
        for path in self._folder.glob("*.sqlite"):
            if path.stem != today.isoformat() and path.stat().st_size:
                with self._opened(path) as db:
                    if db.execute("SELECT 1 FROM takers LIMIT 1").fetchone() is not None:
                        db.execute("DELETE FROM takers")

    def _write(self, day: date, change: Callable[[sqlite3.Connection], _T], *, make: bool = False) -> _T:
        """Run a change of one day's file as one transaction."""
        path = self._file(day)
        if make:
            self._folder.mkdir(mode=0o770, exist_ok=True)
            with suppress(FileExistsError):
                path.touch(mode=0o600, exist_ok=False)
                path.chmod(0o660)  # as the ledger: one group, nobody else
        with self._opened(path, make=make) as db:
            return change(db)

    @contextmanager
    def _opened(self, path: Path, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        # a connection a change: nothing stays open of a file that the keeper deletes. No write-ahead log: the time of
        # the file is that of its last voucher, and the keeper goes by it
        try:
            address = f"{path.absolute().as_uri()}?mode={'rwc' if make else 'rw'}"
            db = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
        except sqlite3.Error as error:
            raise VoucherError(f"{path} cannot be opened ({error}); nothing was given or redeemed") from error
        try:
            for pragma in ("journal_mode = DELETE", "synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY"):
                db.execute(f"PRAGMA {pragma}")
            db.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                db.execute(table)
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise VoucherError(f"{path} cannot be written ({error}); nothing was given or redeemed") from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
            db.close()


def read(typed: str) -> str | None:
    """Return the voucher code that was typed or scanned, None where it cannot be one; see `subjects.read_secret`."""
    code = _GAPS.sub("", unicodedata.normalize("NFKC", typed[:300]).upper()).translate(_MISREAD)
    return code if len(code) == LENGTH and set(code) <= set(_ALPHABET) else None


def show(code: str) -> str:
    """Return a code in four groups of four, to read and type."""
    return "-".join(code[i : i + 4] for i in range(0, LENGTH, 4))


def _spell(number: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))


def _first_bits(key: bytes, message: bytes, bits: int) -> int:
    digest = int.from_bytes(hmac.new(key, message, hashlib.sha256).digest(), "big")
    return digest >> 256 - bits
