"""Second factors of local accounts: codes of an app (TOTP, RFC 6238), and recovery codes for a lost phone.

Rules:
- The seed is sealed by a key that is made from the account's password (argon2id; AES-256-GCM), so that neither the
  file alone nor a password alone opens anything. Whoever sets another person's password ends their second factor.
- A code counts once, and for its own half minute and the one before and after it.
- Of a recovery code there is a SHA-256; each counts once. They are shown once, when the factor is made.
- A wrong code takes as long as a wrong password; `access` says how often one may try.

A code is HOTP (RFC 4226) of the number of half minutes since 1970: SHA-1, 20-byte seed, 6 digits, as every app has it.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import struct
from base64 import b32encode
from urllib.parse import quote

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent.accessfile import AccessFile, digest
from consent.accounts import turns

STEP_S = 30
RECOVERY = 8  # codes
_AROUND = 1  # steps before and after now, for clocks that differ
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is misread
_SEED, _SALT, _NONCE = 20, 16, 12  # bytes


def seed() -> bytes:
    """Return a new seed: 160 random bits."""
    return secrets.token_bytes(_SEED)


def code_at(seed: bytes, step: int) -> str:
    """Return the six digits of a seed at one half minute since 1970 (RFC 4226 section 5.3)."""
    told = hmac.digest(seed, struct.pack(">Q", step), "sha1")
    at = told[-1] & 15
    return f"{(int.from_bytes(told[at : at + 4]) & 0x7FFFFFFF) % 1_000_000:06d}"


def step_of(seed: bytes, code: str, now_us: int, *, after: int = -1) -> int | None:
    """Return the half minute whose code this is, None where it is none of now or was used already.

    Args:
        seed: of the account.
        code: as typed.
        now_us: UTC microseconds.
        after: the last one that was used.
    """
    typed = "".join(code.split())
    now = now_us // (STEP_S * 1_000_000)
    for step in range(now - _AROUND, now + _AROUND + 1):
        if hmac.compare_digest(code_at(seed, step).encode(), typed.encode()) and step > after:
            return step
    return None


def address(seed: bytes, shop: str, name: str) -> str:
    """Return what the square picture says to an app."""
    label, issuer = quote(f"{shop}:{name}", safe=""), quote(shop, safe="")
    return f"otpauth://totp/{label}?secret={written(seed)}&issuer={issuer}"


def written(seed: bytes) -> str:
    """Return a seed as people type it into an app."""
    return b32encode(seed).decode("ascii").rstrip("=")


class Factors:
    """The second factors of a shop's accounts.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: AccessFile) -> None:
        self._file = file

    def has(self, account: str) -> bool:
        """Say whether an account has one."""
        return bool(self._file.rows("SELECT 1 FROM factors WHERE account = ?", account))

    def left(self, account: str) -> int:
        """Return how many recovery codes an account still has."""
        return int(self._file.rows("SELECT count(*) FROM recovery WHERE account = ?", account)[0][0])

    def put(self, account: str, seed: bytes, password: str, step: int) -> list[str]:
        """Give an account a second factor in place of what it had, and return its recovery codes.

        Args:
            account: number of the account.
            seed: which the app holds by now.
            password: of the account, which was just checked.
            step: of the code that showed it; none up to it counts again.
        """
        codes = ["".join(secrets.choice(_ALPHABET) for _ in range(10)) for _ in range(RECOVERY)]
        salt, sealed = _seal(seed, password, account)
        with self._file.write() as db:
            _remove(db, account)
            db.execute("INSERT INTO factors VALUES (?, ?, ?, ?)", (account, salt, sealed, step))
            db.executemany("INSERT INTO recovery VALUES (?, ?)", [(digest(code), account) for code in codes])
        return [f"{code[:5]}-{code[5:]}" for code in codes]

    def use(self, account: str, password: str, code: str, *, now_us: int) -> bool:
        """Say whether a code is the account's, and use it up.

        Args:
            account: number of the account.
            password: of the account, which was just checked.
            code: of the app, or for recovery, as typed.
            now_us: UTC microseconds.
        """
        found = self._file.rows("SELECT salt, sealed, step FROM factors WHERE account = ?", account)
        salt, sealed, last = found[0] if found else (bytes(_SALT), b"", 0)
        seed = _open(salt, sealed, password, account)  # takes as long where there is none
        if seed is None:
            return False
        step = step_of(seed, code, now_us, after=last)
        with self._file.write() as db:
            if step is not None:
                sql = "UPDATE factors SET step = ? WHERE account = ? AND step < ?"
                return db.execute(sql, (step, account, step)).rowcount == 1
            typed = "".join(code.split()).replace("-", "").upper()
            sql = "DELETE FROM recovery WHERE code = ? AND account = ?"
            return db.execute(sql, (digest(typed), account)).rowcount == 1

    def follow(self, account: str, old: str, new: str) -> None:
        """Seal the seed of an account to another password of theirs, which they changed themselves."""
        found = self._file.rows("SELECT salt, sealed FROM factors WHERE account = ?", account)
        salt, sealed = found[0] if found else (bytes(_SALT), b"")
        seed = _open(salt, sealed, old, account) if found else None
        if seed is not None:
            with self._file.write() as db:
                sql = "UPDATE factors SET salt = ?, sealed = ? WHERE account = ?"
                db.execute(sql, (*_seal(seed, new, account), account))

    def remove(self, account: str) -> bool:
        """Take the second factor of an account away; False where it had none."""
        with self._file.write() as db:
            return _remove(db, account)


def _remove(db: sqlite3.Connection, account: str) -> bool:
    db.execute("DELETE FROM recovery WHERE account = ?", (account,))
    return db.execute("DELETE FROM factors WHERE account = ?", (account,)).rowcount == 1


def _seal(seed: bytes, password: str, account: str) -> tuple[bytes, bytes]:
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    return salt, nonce + AESGCM(_key(salt, password)).encrypt(nonce, seed, account.encode())


def _open(salt: bytes, sealed: bytes, password: str, account: str) -> bytes | None:
    try:
        return AESGCM(_key(salt, password)).decrypt(sealed[:_NONCE], sealed[_NONCE:], account.encode())
    except (InvalidTag, ValueError):
        return None


def _key(salt: bytes, password: str) -> bytes:
    """Return the key that a password gives, by RFC 9106's parameters for little memory: 64 MiB, 3 passes."""
    with turns:
        return hash_secret_raw(password.encode(), salt, 3, 65536, 4, 32, Type.ID)
