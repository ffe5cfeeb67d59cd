"""Who said yes, without a name: the secret on the receipt, the subject in the ledger, the pseudonym of a row.

Rules:
- A *secret* has 100 random bits. It is handed over on the receipt and kept nowhere.
- `subject = HMAC-SHA256(pepper, secret)`. The pepper lies in the key directory, never in the state directory.
- `visitor` is what a row of measurements stands under. Days cannot be linked; without the subject's own key nobody can
  compute it again.

Nothing here is derived from a face, and nothing here reads or writes a file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import struct
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo

from consent.events import ConsentError, Purpose
from consent.keys import KeyRing, Role, subject_of

__all__ = [
    "ALWAYS",
    "KeyRing",
    "Role",
    "new_secret",
    "period_of",
    "read_secret",
    "show_secret",
    "subject_of",
    "visitor",
]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O or U to misread
_SECRET = re.compile(f"[{_ALPHABET}]{{20}}")
_MISREAD = str.maketrans("OIL", "011")
_GAPS = re.compile(r"[\s‐-―−_.-]")  # with the dashes that phones make
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS = "always"  # the period of repeat visits


def new_secret() -> str:
    """Return 100 fresh random bits as 20 base32 characters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))


def read_secret(typed: str) -> str:
    """Return the secret that a person typed: case, blanks, dashes, full width, and O/0, I/1, L/1 do not matter.

    Raises:
        ConsentError: it cannot be one; the text is not repeated in the message.
    """
    secret = _GAPS.sub("", unicodedata.normalize("NFKC", typed).upper()).translate(_MISREAD)
    if not _SECRET.fullmatch(secret):
        raise ConsentError("a code has 20 letters and digits; please check it against the receipt")
    return secret


def show_secret(secret: str) -> str:
    """Return the secret in five groups of four, to read and type."""
    return "-".join(secret[i : i + 4] for i in range(0, 20, 4))


def period_of(purpose: Purpose, t_us: int, zone: tzinfo) -> str:
    """Return the period a visitor hash holds for: the store's calendar day (ISO 8601), or `ALWAYS` for repeat visits.

    Args:
        purpose: the purpose of the row.
        t_us: an instant of the visit, UTC microseconds.
        zone: the store's time zone.
    """
    if purpose is Purpose.REPEAT:
        return ALWAYS
    return (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone).date().isoformat()


def visitor(key: bytes, purpose: Purpose, period: str, store: str) -> int:
    """Return the pseudonym of a row: the first 64 bits of HMAC-SHA256(K, purpose, period, store), unsigned.

    Each part is preceded by its length (4 bytes, big-endian), so that no two triples share a message.
    """
    if len(key) != 32:
        raise ConsentError("a subject's key has 32 bytes")
    parts = [part.encode() for part in (purpose.value, period, store)]
    message = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return int.from_bytes(hmac.new(key, message, hashlib.sha256).digest()[:8], "big")
