"""Whether the keeper's clock can be believed, before it throws away what only a right clock may throw away.

Rules:
- A clock that stands a week or more ahead of the last sweep is doubted: until it has gone on from there for a week, or
  was put back. A machine whose battery failed comes up in another year; a shop that was shut for a month does, too.
- Meanwhile the journal and the certificates are kept: they prove what was erased, and no clock gives them back.
- What is about people is not kept for that: their terms end by the clock as it is, early rather than late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from consent.events import DAY_US

WEEK_US = 7 * DAY_US


@dataclass(frozen=True, slots=True)
class Clock:
    """What is thought of the clock; instants are UTC microseconds.

    Attributes:
        believed_us: the last instant that was believed.
        doubted_us: the first that was not, None where the clock is believed.
    """

    believed_us: int
    doubted_us: int | None = None

    @property
    def believed(self) -> bool:
        """Whether what only a right clock may throw away can go."""
        return self.doubted_us is None

    def look(self, now_us: int) -> Clock:
        """Return what is to be thought of it now."""
        if now_us - self.believed_us <= WEEK_US:  # one that was put back keeps everything longer, by itself
            return Clock(now_us)
        if self.doubted_us is None or not 0 <= now_us - self.doubted_us <= 2 * WEEK_US:
            return Clock(self.believed_us, now_us)
        return Clock(now_us) if now_us - self.doubted_us >= WEEK_US else self

    def complaint(self) -> str | None:
        """Say what is wrong in one line, None where nothing is."""
        if self.doubted_us is None:
            return None
        days = (self.doubted_us - self.believed_us) // DAY_US
        return f"went {days} days ahead since the last sweep; journal and certificates stay until a week bears it out"

    def as_dict(self) -> dict[str, int | None]:
        """Return it for a file."""
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, int | None] | None) -> Clock | None:
        """Read it back, None where there is none; raises KeyError or TypeError where it is another thing."""
        if told is None:
            return None
        believed_us, doubted_us = told["believed_us"], told["doubted_us"]
        if not isinstance(believed_us, int) or not isinstance(doubted_us, int | None):
            raise TypeError("a clock is told in whole microseconds")
        return cls(believed_us, doubted_us)
