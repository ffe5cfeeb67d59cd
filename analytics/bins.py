"""Where a bin of time begins and ends, and how long a zone's bins are.

Rules:
- Bins lie on a grid fixed by the store's local midnight (weeks: Monday's); one is cut at midnight where the clock
  changed, so a local day always holds whole bins.
- How long a zone's bins are is fixed before they begin, from what was released before, and never from what is in them.

It knows no count of anybody: that a bin has enough people in it is `analytics.cells`' business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from analytics.figures import Audience, Figure
from analytics.model import SECOND

HOUR = 3600 * SECOND
DAY = 24 * HOUR
WEEK = 7 * DAY
LENGTHS = (HOUR, 3 * HOUR, DAY, WEEK)  # shortest first
ENOUGH = 0.9  # share of earlier bins that would have passed; the release rules' own figure

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


LONGEST = {Audience.EVERYBODY: DAY, Audience.CONSENTING: WEEK}  # everybody's bins live in RAM, and no longer than a day


# the steps out of a zone lead to many places, with few people to each in an hour
FIXED = {Figure.TRANSITIONS: DAY, Figure.FUNNEL: DAY, Figure.SALES: HOUR}


@lru_cache(maxsize=1 << 15)  # a page asks for the same hours again and again; a year has 9,000
def local(t_us: int, tz: str) -> datetime:
    """Return an instant as the store's clock shows it, exact to the microsecond."""
    return (_EPOCH + timedelta(microseconds=t_us)).astimezone(_zone(tz))


def bin_of(t_us: int, length_us: int, tz: str) -> tuple[int, int]:
    """Return (start, end) of the bin that holds an instant; the end is the first instant after it.

    Args:
        t_us: UTC microseconds.
        length_us: one of `LENGTHS`.
        tz: IANA name of the store's time zone.

    Raises:
        ValueError: no such length.
    """
    if length_us not in LENGTHS:
        raise ValueError(f"a bin is 1 h, 3 h, a day or a week long, not {length_us / HOUR:g} h")
    day = local(t_us, tz).date().toordinal()
    if length_us == WEEK:
        monday = day - (day - 1) % 7
        return _midnight(monday, tz), _midnight(monday + 7, tz)
    start, end = _midnight(day, tz), _midnight(day + 1, tz)
    if length_us == DAY:
        return start, end
    at = start + (t_us - start) // length_us * length_us
    return at, min(at + length_us, end)


def day_of(t_us: int, tz: str) -> tuple[int, int]:
    """Return (start, end) of the local day that holds an instant."""
    return bin_of(t_us, DAY, tz)


@lru_cache(maxsize=8)
def _zone(tz: str) -> ZoneInfo:
    return ZoneInfo(tz)


@lru_cache(maxsize=4096)
def _midnight(ordinal: int, tz: str) -> int:
    when = datetime.fromordinal(ordinal).replace(tzinfo=_zone(tz))
    return (when.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Choice:
    """From an instant on, the bins of one figure of one zone are this long.

    Attributes:
        audience: see `Audience`.
        figure: see `Figure`.
        camera: name of the camera.
        zone: name of the zone.
        from_us: the Monday midnight from which it holds, UTC microseconds.
        bin_us: one of `LENGTHS`.
    """

    audience: Audience
    figure: Figure
    camera: str
    zone: str
    from_us: int
    bin_us: int

    def __post_init__(self) -> None:
        if self.bin_us not in LENGTHS or self.bin_us > LONGEST[self.audience]:
            raise ValueError(f"{self.audience} bins cannot be {self.bin_us / HOUR:g} h long")


@dataclass(frozen=True, slots=True)
class Plan:
    """The lengths chosen so far. A zone nobody chose for has bins of an hour; see `FIXED` for what nobody chooses."""

    choices: tuple[Choice, ...] = ()
    _by_line: dict[tuple[str, str, str, str], list[tuple[int, int]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines: dict[tuple[str, str, str, str], list[tuple[int, int]]] = {}
        for choice in sorted(self.choices, key=lambda c: c.from_us):
            key = (choice.audience.value, choice.figure.value, choice.camera, choice.zone)
            lines.setdefault(key, []).append((choice.from_us, choice.bin_us))
        object.__setattr__(self, "_by_line", lines)

    def length(self, audience: Audience, figure: Figure, camera: str, zone: str, t_us: int) -> int:
        """Return how long the bin is that holds an instant, microseconds."""
        if figure in FIXED:
            return FIXED[figure]
        line = self._by_line.get((audience.value, figure.value, camera, zone), [])
        at = bisect_right(line, (t_us, WEEK))
        return line[at - 1][1] if at else HOUR


def choose(
    spans: Iterable[tuple[int, int, float]], least: int, *, longest_us: int, tz: str, enough: float = ENOUGH
) -> int:
    """Return the shortest length whose bins would have had enough people in them often enough.

    Args:
        spans: (start, end, people) of earlier cells of one figure of one zone; what was suppressed counts as 0 people.
            People are taken as spread evenly over their cell.
        least: how many people a bin needs.
        longest_us: the longest length there is a choice of; it is taken where none is good enough.
        tz: IANA name of the store's time zone.
        enough: share of bins that must pass.
    """
    cells = list(spans)
    for length in (n for n in LENGTHS if n < longest_us):
        people: dict[int, float] = {}
        for start, end, n in cells:
            at = start
            while at < end:
                b_start, b_end = bin_of(at, length, tz)
                share = (min(end, b_end) - at) / (end - start)
                people[b_start] = people.get(b_start, 0.0) + n * share
                at = b_end
        passed = sum(n >= least - 1e-9 for n in people.values())
        if passed >= enough * len(people):
            return length
    return longest_us
