"""What one camera did in each hour, for the log: pictures, tracks, links, rows, and how often which net ran. RAM only.

    {"camera":"9f2c…","expression":"0","frames":45000,"from_us":1790000000000000,"links":"0-4","looks":"hidden",…}

Rules:
- An entry of the log stays for ever, so it must say nothing about one person: tracks, links and rows are bands that
  begin with 0–4; where fewer than five shoppers were looked at or written about, how often is not told (`hidden`).
- Only who is counted is counted here: no staff, nobody who objected.
- Where the level never allowed it in the hour, a number is told exactly: it must be 0.
- Nothing of an hour is kept but these numbers; who they were is forgotten with it.

An hour is one of the clock, UTC. One that was not finished when the process was killed is lost, and no entry says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from analytics.model import SECOND, AnalyticsError

HOUR_US = 3600 * SECOND
HIDDEN = "hidden"
LEAST = 5  # people
_STEPS = (1, 2, 5)
_FIELDS = ("camera", "from_us", "frames", "tracks", "links", "rows", "looks", "expression")


class HourError(AnalyticsError):
    """What was read is no hour."""


def band(count: int) -> str:
    """Return the band of a count: 0-4, 5-9, 10-19, 20-49, 50-99, 100-199 and so on."""
    low, tens = 0, 1
    while True:
        for step in _STEPS:
            edge = step * tens
            if edge >= LEAST:
                if count < edge:
                    return f"{low}-{edge - 1}"
                low = edge
        tens *= 10


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one camera, as the log keeps it.

    Attributes:
        camera: SHA-256 of its name, hex; the log holds no free text.
        from_us: begin, UTC microseconds.
        frames: pictures looked at.
        tracks: people followed and counted, as a band.
        links: tracks linked to a yes, as a band.
        rows: written about people who said yes: a band, `hidden`, or exactly where nothing allowed it.
        looks: how often the pose net ran, likewise.
        expression: how often the expression net ran, likewise.
    """

    camera: str
    from_us: int
    frames: int
    tracks: str
    links: str
    rows: str
    looks: str
    expression: str

    def details(self) -> dict[str, str | int]:
        """Return it as the payload of a log entry."""
        return asdict(self)

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Hour:
        """Read it back from the payload of a log entry.

        Raises:
            HourError: it is none.
        """
        try:
            return cls(**{name: details[name] for name in _FIELDS})
        except KeyError as error:
            raise HourError("this entry of the log is no hour of a camera") from error


def camera_of(name: str) -> str:
    """Return under what the log names a camera."""
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(slots=True)
class _Open:
    """The hour that is not over yet."""

    from_us: int
    frames: int = 0
    tracks: set[int] = field(default_factory=set)
    linked: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    rows: int = 0
    looked: set[int] = field(default_factory=set)
    looks: int = 0
    expressions: int = 0
    looks_allowed: bool = False
    expressions_allowed: bool = False


class Hourly:
    """The hours of one camera.

    Args:
        camera: its name.
        put: takes an hour that is over, and the instant.
    """

    def __init__(self, camera: str, put: Callable[[Hour, int], object]) -> None:
        self._camera, self._put = camera_of(camera), put
        self._open: _Open | None = None

    def see(self, t_us: int, people: set[int], *, looks: bool, expression: bool) -> None:
        """Take one picture.

        Args:
            t_us: its instant, UTC microseconds.
            people: numbers of those who are counted.
            looks: the level allows looks at the joints of who said yes.
            expression: and at their faces.
        """
        hour = self._at(t_us)
        hour.frames += 1
        hour.tracks |= people
        hour.looks_allowed |= looks
        hour.expressions_allowed |= expression

    def forget(self, person: int) -> None:
        """Leave somebody out who turned out to work here, or objected."""
        if self._open is not None:
            self._open.tracks.discard(person)

    def linked(self, t_us: int, person: int) -> None:
        """Take a link."""
        self._at(t_us).linked.add(person)

    def wrote(self, t_us: int, person: int) -> None:
        """Take a row."""
        hour = self._at(t_us)
        hour.rows += 1
        hour.written.add(person)

    def looked(self, t_us: int, people: set[int], looks: int, expressions: int) -> None:
        """Take second looks: at whom, and how often each net ran."""
        if looks or expressions:
            hour = self._at(t_us)
            hour.looked |= people
            hour.looks += looks
            hour.expressions += expressions

    def finish(self, t_us: int) -> None:
        """Hand over what there is: the camera's watching ends."""
        self._close(t_us)

    def _at(self, t_us: int) -> _Open:
        if self._open is None or t_us >= self._open.from_us + HOUR_US:  # a clock that was set back ends none
            self._close(t_us)
            self._open = _Open(t_us - t_us % HOUR_US)
        return self._open

    def _close(self, t_us: int) -> None:
        if self._open is None:
            return
        one, self._open = self._open, None
        allowed, reads = one.looks_allowed, one.expressions_allowed
        hour = Hour(
            camera=self._camera,
            from_us=one.from_us,
            frames=one.frames,
            tracks=band(len(one.tracks)),
            links=band(len(one.linked)),
            rows=_told(one.rows, len(one.written), allowed),
            looks=_told(one.looks, len(one.looked), allowed),
            expression=_told(one.expressions, len(one.looked), reads),
        )
        self._put(hour, t_us)


def _told(count: int, people: int, allowed: bool) -> str:
    """Return how often something was done to people who said yes, as far as it may be told."""
    if not allowed:
        return str(count)
    return band(count) if people >= LEAST else HIDDEN
