"""Withdrawals posted outside the shop: the sealed letter, what a mailbox knows of its store, and where it keeps them.

    98 bytes: 1 version, 4 generation, 32 ephemeral key, 61 ciphertext of
              1 version, 8 posted (UTC microseconds), 16 random number, 20 code

Rules:
- A letter is sealed to the store's mailbox key the moment it is posted, and opens with the keeper's key only.
- A mailbox knows two public values of its store, so it can neither open a letter nor pretend to be the keeper.
- What it keeps is bounded, and a letter that was acknowledged is never dropped.

The pages of a mailbox are in `kiosk.letterbox`; the keeper fetches with `mailpost`.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

from consent.events import ConsentError
from consent.keys import LETTER, KeyRing, seal_to
from consent.subjects import read_secret

MOST_LETTERS = 20_000  # kept at once, two megabytes; ours, a shop that loses so many at a time has other troubles
PAGE = 100  # letters handed out at once
_FORM = struct.Struct(">BQ16s20s")


class LetterError(ConsentError):
    """A letter, or the line that a mailbox is set up with, is not what it should be."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A withdrawal on its way. It opens once, at the keeper.

    Attributes:
        posted_us: when, by the mailbox's clock, UTC microseconds.
        number: random, 16 bytes; a copy of the letter has the same.
        code: which consent to end.
    """

    posted_us: int
    number: bytes
    code: str = field(repr=False)

    def seal(self, store: bytes, generation: int) -> bytes:
        """Return the letter sealed to a store's mailbox key."""
        plain = _FORM.pack(1, self.posted_us, self.number, self.code.encode("ascii"))
        return seal_to(store, generation, plain, LETTER)

    @classmethod
    def open(cls, sealed: bytes, keys: KeyRing) -> Letter:
        """Open a letter; the keeper can.

        Raises:
            ConsentError: it was not sealed for this store, or holds something else.
        """
        try:
            version, posted_us, number, code = _FORM.unpack(keys.open_letter(sealed))
            if version != 1:
                raise LetterError("this letter is of a newer version; upgrade the keeper")
            return cls(posted_us, number, read_secret(code.decode("ascii")))
        except (struct.error, UnicodeDecodeError) as error:
            raise LetterError("this letter from the mailbox holds no code") from error


@dataclass(frozen=True, slots=True)
class Setup:
    """What a mailbox knows of its store; public, and one line of text.

    Attributes:
        name: of the store's log.
        generation: of the mailbox key.
        public: X25519, 32 bytes.
        door: SHA-256 of the token with which the keeper comes.
    """

    name: str
    generation: int
    public: bytes
    door: bytes

    @classmethod
    def of(cls, name: str, keys: KeyRing) -> Setup:
        """Return the setup for a store; needs the keeper's keys."""
        generation, public = keys.newest("mailbox")
        return cls(name, generation, public, hashlib.sha256(keys.mailbox_tokens()[0]).digest())

    def line(self) -> str:
        """Return it as one line of text, with a check against a copy that lost something."""
        head = f"{self.name}+{self.generation}+{base64.b64encode(self.public + self.door).decode('ascii')}"
        return f"{head}+{hashlib.sha256(head.encode()).hexdigest()[:8]}"

    @classmethod
    def read(cls, line: str) -> Setup:
        """Read what `line` wrote.

        Raises:
            LetterError: it is damaged.
        """
        try:
            name, generation, rest = line.strip().split("+", 2)
            encoded, check = rest.rsplit("+", 1)
            raw = base64.b64decode(encoded, validate=True)
            found = cls(name, int(generation), raw[:32], raw[32:])
        except ValueError as error:
            raise LetterError("this is no line of `openaisle mailbox line`; copy the whole line again") from error
        if len(raw) != 64 or found.line() != line.strip() or not check:
            raise LetterError("this line of `openaisle mailbox line` is damaged; copy the whole line again")
        return found


class Letters:
    """The sealed letters of one mailbox, on disk.

    Args:
        directory: where they lie; it is made with mode 0700.

    Raises:
        LetterError: they cannot be kept there.
    """

    def __init__(self, directory: Path) -> None:
        self._lock = threading.Lock()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(directory / "letters.sqlite", isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS letters (id INTEGER PRIMARY KEY AUTOINCREMENT, sealed BLOB NOT NULL) STRICT"
            )
        except (OSError, sqlite3.Error) as error:
            raise LetterError(f"letters cannot be kept in {directory}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __len__(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM letters").fetchone()[0])

    def put(self, sealed: bytes) -> bool:
        """Keep a letter, on disk when this returns; False where there is no room."""
        with self._lock:
            sql = "INSERT INTO letters (sealed) SELECT ? WHERE (SELECT count(*) FROM letters) < ?"
            return self._db.execute(sql, (sealed, MOST_LETTERS)).rowcount == 1

    def page(self) -> list[tuple[int, bytes]]:
        """Return the oldest letters."""
        with self._lock:
            return self._db.execute("SELECT id, sealed FROM letters ORDER BY id LIMIT ?", (PAGE,)).fetchall()

    def drop(self, ids: list[int]) -> None:
        """Forget letters that the keeper has dealt with."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM letters WHERE id = ?", [(i,) for i in ids])
            self._db.execute("COMMIT")
