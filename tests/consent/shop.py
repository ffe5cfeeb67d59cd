"""Short words for what the tests say to a ledger, and how many runs they make."""

from __future__ import annotations

import os
from collections.abc import Collection

from consent.events import Purpose
from consent.ledger import Grant, Ledger

NOTICE = "ab" * 32
NOON = 1_790_000_000_000_000  # UTC microseconds
SECOND = 1_000_000


def runs(quick: int) -> int:
    """Return how often to repeat: `quick` in the suite, OPENAISLE_RUNS where somebody asks for more."""
    return int(os.environ.get("OPENAISLE_RUNS", quick))


def say_yes(
    ledger: Ledger,
    *purposes: Purpose,
    now_us: int = NOON,
    secret: str | None = None,
    operation: bytes | None = None,
) -> Grant:
    wanted: Collection[Purpose] = purposes or (Purpose.DWELL,)
    return ledger.grant(
        wanted, now_us=now_us, notice_sha256=NOTICE, language="en", version="1", secret=secret, operation=operation
    )


def write(
    ledger: Ledger, subject: bytes, *, at_us: int, purpose: Purpose = Purpose.DWELL, payload: bytes = b"r"
) -> bool:
    return ledger.write_inbox(
        "dwell", subject, payload, now_us=at_us, visit_end_us=at_us, visit_start_us=at_us, requires=[purpose]
    )
