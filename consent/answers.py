"""Asking for everything that is held under a code, and opening the answer: only the code can.

Rules:
- The keeper never sees a code. Whoever asks derives a key pair from it and leaves the public half with the question;
  the keeper seals the answer to that, and only the code opens it again.
- A code has 100 random bits, so the key is derived from it without stretching (HKDF-SHA256; X25519; AES-256-GCM).
- A code that nobody is known under is noted, without the code. Ten within a minute, and the next that fails waits; one
  that is right never does.
- An answer lies in `exports/` for a day, or until anybody is erased.

What is in an answer is the keeper's business, in `retention.access`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consent.events import ConsentError
from consent.ledger import Ledger, LedgerError, RequestStatus, UnknownCodeError
from consent.subjects import read_secret

REQUEST = "access"  # kind of request
_MISS = "miss"  # a look-up that failed
_MOST_MISSES, _MINUTE_US = 10, 60_000_000
_HEAD = b"openaisle answer v1\n"

_log = logging.getLogger(__name__)


class AnswerError(ConsentError):
    """An answer is not there, or does not open."""


def lock_of(secret: str) -> bytes:
    """Return the public half of the key pair of a code, 32 bytes."""
    return _key(secret).public_key().public_bytes_raw()


def _key(secret: str) -> X25519PrivateKey:
    derived = HKDF(SHA256(), 32, salt=_HEAD, info=b"key pair of a code").derive(read_secret(secret).encode("ascii"))
    return X25519PrivateKey.from_private_bytes(derived)


def seal(lock: bytes, data: bytes) -> bytes:
    """Return data that only the code behind the lock opens."""
    once = X25519PrivateKey.generate()
    public = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(lock))
    # the derived key serves one message only, so the nonce may be constant
    return _HEAD + public + AESGCM(_derive(shared, public + lock)).encrypt(bytes(12), data, _HEAD + public)


def unseal(secret: str, sealed: bytes) -> bytes:
    """Open an answer by its code.

    Raises:
        AnswerError: it was changed, or is sealed to another code.
    """
    key, start = _key(secret), len(_HEAD) + 32
    public = sealed[len(_HEAD) : start]
    try:
        if not sealed.startswith(_HEAD):
            raise ValueError
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        derived = _derive(shared, public + key.public_key().public_bytes_raw())
        return AESGCM(derived).decrypt(bytes(12), sealed[start:], sealed[:start])
    except (InvalidTag, ValueError) as error:
        raise AnswerError("this answer does not open with this code: it was changed, or is for another") from error


def _derive(shared: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=salt, info=_HEAD).derive(shared)


def look_up(ledger: Ledger, code: str, *, now_us: int) -> bytes:
    """Return the subject of a code; one that fails is noted, and too many of those have to wait.

    Raises:
        UnknownCodeError: nobody is known under it.
        LedgerError: so are too many others within a minute.
    """
    try:
        return ledger.find(code)
    except UnknownCodeError:
        sql = "SELECT count(*) FROM requests WHERE kind = ? AND opened_us > ?"
        ((misses,),) = ledger.select(sql, _MISS, now_us - _MINUTE_US)
        _log.info("a code that nobody is known under was tried (%d before it within a minute)", misses)
        if misses >= _MOST_MISSES:
            raise LedgerError("too many codes that nobody is known under; wait a minute") from None
        miss = ledger.open_request(_MISS, now_us=now_us)
        ledger.settle_request(miss, RequestStatus.REFUSED, now_us=now_us)
        raise


def ask(ledger: Ledger, code: str, *, now_us: int) -> int:
    """Ask the keeper for everything that is held under a code, and return the number to fetch the answer by.

    Args:
        ledger: opened with a role that holds the pepper.
        code: as typed.
        now_us: UTC microseconds.

    Raises:
        ConsentError: see `look_up`.
    """
    subject = look_up(ledger, code, now_us=now_us)
    told = {"number": ledger.number_of(subject), "lock": lock_of(code).hex()}
    return ledger.open_request(REQUEST, json.dumps(told).encode(), now_us=now_us)


def fetch(ledger: Ledger, exports: Path, request: int, code: str) -> bytes | None:
    """Return the opened answer to a question, a ZIP archive; None while the keeper is at it.

    Args:
        ledger: opened by any role.
        exports: folder of sealed answers.
        request: what `ask` returned.
        code: the same as asked with.

    Raises:
        AnswerError: there is none, or not any more.
    """
    asked = ledger.read_request(request)
    gone = AnswerError("this answer is gone: it is kept for a day, and until anybody is erased; ask again")
    if asked is None or asked.kind != REQUEST:
        raise gone
    if asked.status in (RequestStatus.PENDING, RequestStatus.RUNNING):
        return None
    if asked.status is not RequestStatus.DONE or asked.result is None:
        raise AnswerError("the keeper could not answer: everything under this code may be erased by now; ask again")
    try:
        sealed = (exports / json.loads(asked.result)["file"]).read_bytes()
    except FileNotFoundError:
        raise gone from None
    return unseal(code, sealed)
