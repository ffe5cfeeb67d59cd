"""Erasure by window, for somebody who lost their code: every consent given between two instants goes.

Rules:
- How many that are is said first; only somebody who repeats the number ends them. They may be other people's, too, and
  nothing tells them apart: who is erased by it can say yes again.
- An officer says so. The log keeps the SHA-256 of their name and how many ended, and not the window: it would tell for
  ever when somebody who wanted to be forgotten stood at the kiosk.
- From the moment of the end nothing is recorded; the keeper erases as after any end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from consent.events import Channel, EventKind, Move
from consent.ledger import Ledger
from retention.holds import person
from retention.model import RetentionError


class WindowError(RetentionError):
    """A window that is none, or that holds another number of consents than was said."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends in it; UTC microseconds."""

    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_us <= self.end_us:
            raise WindowError("a window ends after it begins; swap --from and --to")


def instant(text: str, zone: tzinfo, *, last: bool = False) -> int:
    """Return an instant as typed, UTC microseconds; without an offset it is on the shop's clock.

    Args:
        text: such as `2026-11-21 15:10` or `2026-11-21T15:10+01:00`.
        zone: the shop's.
        last: of an hour that comes twice, the second; and the end of a minute that is given without seconds.

    Raises:
        WindowError: it is none.
    """
    try:
        said = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise WindowError(f"{text!r} is no instant; write '2026-11-21 15:10', on the shop's clock") from error
    if said.tzinfo is None:
        said = said.replace(tzinfo=zone, fold=int(last))
    if not 1971 <= said.year <= 2100:
        raise WindowError(f"{text!r} is no year of this shop; give an instant from 1971 to 2100")
    whole_minute = last and not said.second and not said.microsecond
    return round(said.replace(microsecond=0).timestamp()) * 1_000_000 + (
        59_999_999 if whole_minute else said.microsecond
    )


def count(ledger: Ledger, window: Window) -> int:
    """Return how many people's consents were given in a window and are not erased."""
    return len(ledger.subjects_granted(window.start_us, window.end_us))


def erase(ledger: Ledger, window: Window, number: int, *, officer: str, now_us: int) -> int:
    """End every consent given in a window, and return the number of the log entry that says so.

    Running it again after a crash ends the rest.

    Args:
        ledger: opened by any role.
        window: see `Window`.
        number: how many there are, as `count` said.
        officer: who says so.
        now_us: UTC microseconds.

    Raises:
        WindowError: there are more or fewer by now, or none; nothing was ended.
        RetentionError: nobody is named.
    """
    who = person(officer)
    subjects = ledger.subjects_granted(window.start_us, window.end_us)
    if len(subjects) != number:
        raise WindowError(f"it is {len(subjects)} by now, not {number}: nothing was ended; look again")
    if not subjects:
        raise WindowError("nobody's consent was given in this window and is held; nothing to erase")
    for subject in subjects:
        ledger.end(subject, Move.REVOKE, now_us=now_us, channel=Channel.DESK)
    details = {"kind": "window", "officer": who}
    return ledger.append_event(EventKind.ANSWERED, now_us=now_us, count=len(subjects), details=details)
