"""Tablets that may use the kiosk's pages from elsewhere in the shop.

Rules:
- A tablet is let in once by a code that an administrator makes on the shop's computer. The code works once, for ten
  minutes, and dies after five wrong tries.
- The tablet then holds a random key in a cookie; the file holds only hashes. Without the file nobody is let in.
- A till is a tablet that was paired as one: it may redeem vouchers, which those that shoppers touch may not.

Nothing here is about a shopper. The file belongs to the kiosk's user and nobody else reads it.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from consent.events import ConsentError

CODE_US = 600 * 1_000_000
TRIES = 5
MOST_TABLETS = 64
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is misread


class PairingError(ConsentError):
    """The file of the paired tablets cannot be used."""


def new_code(path: Path, *, now_us: int, till: bool = False) -> str:
    """Make a code for one tablet, or one till, in place of the last one, and return it to be read out: 8 characters."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    with _changing(path) as kept:
        kept["code"] = {"sha256": _hash(code), "until_us": now_us + CODE_US, "tries": TRIES, "till": till}
    return code


def pair(path: Path, code: str, *, now_us: int) -> str | None:
    """Return a key for the tablet on which the code was typed; None where it does not fit or is over."""
    typed = "".join(code.split()).replace("-", "").upper()
    with _changing(path) as kept:
        offered = kept["code"]
        if offered is None or now_us >= offered["until_us"] or offered["tries"] < 1:
            kept["code"] = None
            return None
        if not hmac.compare_digest(_hash(typed), offered["sha256"]):
            offered["tries"] -= 1
            return None
        key = secrets.token_urlsafe(32)
        kept["code"] = None
        one = {"sha256": _hash(key), "since_us": now_us, "till": bool(offered.get("till"))}
        kept["tablets"] = [*kept["tablets"], one][-MOST_TABLETS:]
        return key


def is_paired(path: Path, key: str, *, till: bool = False) -> bool:
    """Say whether a tablet's key is known; with `till`, whether it is that of a till."""
    if not key or not path.is_file():
        return False
    wanted = _hash(key)
    return any(
        hmac.compare_digest(wanted, tablet["sha256"]) and (not till or tablet.get("till") is True)
        for tablet in _read(path)["tablets"]
    )


def unpair(path: Path) -> int:
    """Forget every tablet and the code, and return how many tablets there were."""
    with _changing(path) as kept:
        gone = len(kept["tablets"])
        kept["code"], kept["tablets"] = None, []
    return gone


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Any]]:
    """Read, let the caller change, and write; one process at a time."""
    if path.exists() and not path.is_file():
        raise PairingError(f"{path} is no regular file; remove it and pair the tablets again")
    try:
        path.touch(mode=0o600)
        with path.open("r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            kept = _parse(path, file.read())
            yield kept
            file.seek(0)
            json.dump(kept, file)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    except UnicodeDecodeError as error:
        raise PairingError(f"{path} is damaged; remove it and pair the tablets again") from error
    except OSError as error:
        raise PairingError(f"{path} cannot be written: {error.strerror}; pair as the user of the kiosk") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _parse(path, file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise PairingError(f"{path} cannot be read; remove it and pair the tablets again") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    if not text:
        return {"code": None, "tablets": []}
    try:
        kept = json.loads(text)
        code = kept["code"]
        if code is not None:
            str(code["sha256"]), int(code["until_us"]), int(code["tries"])
        return {"code": code, "tablets": [{**t, "sha256": str(t["sha256"])} for t in kept["tablets"]]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PairingError(f"{path} is damaged; remove it and pair the tablets again") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
