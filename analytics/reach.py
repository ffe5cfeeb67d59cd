"""What somebody does before a shelf: since when they face it, and when a hand goes in. Pure but for what it holds.

- Stances come a few times a second. One holds until the next; of a gap of more than half a second nothing is known.
- A single odd stance is no event: what a hand does is the median of three looks. A reach begins where that crosses
  into the shelf, between two looks by proportion. One that is interrupted for less than 0.35 s goes on; one of less
  than 0.3 s in all is none.
- Both hands are one: two that go in together are one reach.

The order in which stances arrive does not matter. What a reach means is `analytics.decision`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from analytics.model import SECOND, Sighting
from analytics.stance import Stance, Viewpoint
from analytics.zones import Ground, Zone
from consent.events import Purpose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.body import Box

REACH_US = round(0.3 * SECOND)  # a hand in the shelf for less is no reach
JOIN_US = round(0.35 * SECOND)  # one that is out for less goes on
GAP_US = round(0.5 * SECOND)  # two looks further apart say nothing of the time between them
NEAR = 0.15  # body heights from a zone's border within which its shelf is looked at

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Handling:
    """What was seen of somebody before one shelf, in time spans (start, end), UTC microseconds, in order.

    Attributes:
        seen: when they were looked at.
        facing: when they faced the shelf.
        reaches: when a hand was in it.
    """

    seen: tuple[Span, ...] = ()
    facing: tuple[Span, ...] = ()
    reaches: tuple[Span, ...] = ()


def handling(stances: Iterable[Stance]) -> Handling:
    """Return what a person's stances before one shelf amount to; of two at one instant the first counts."""
    by_time: dict[int, Stance] = {}
    for one in stances:
        by_time.setdefault(one.t_us, one)
    runs: list[list[Stance]] = []
    for t_us in sorted(by_time):
        if runs and t_us - runs[-1][-1].t_us <= GAP_US:
            runs[-1].append(by_time[t_us])
        else:
            runs.append([by_time[t_us]])
    facing: list[Span] = []
    reaches: list[Span] = []
    for run in runs:
        for one, after in pairwise(run):
            if one.facing:
                _add(facing, one.t_us, after.t_us)
        for start, end in _inside(run):
            if reaches and start - reaches[-1][1] < JOIN_US:
                _add(reaches, reaches[-1][1], end)
            else:
                reaches.append((start, end))
    return Handling(
        tuple((run[0].t_us, run[-1].t_us) for run in runs if len(run) > 1),
        tuple(facing),
        tuple((a, b) for a, b in reaches if b - a >= REACH_US),
    )


def _add(spans: list[Span], start: int, end: int) -> None:
    """Add a span that begins where the last one ends, or later."""
    if spans and spans[-1][1] == start:
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((start, end))


def _inside(run: Sequence[Stance]) -> Iterable[Span]:
    """Yield when a hand was in the shelf during one unbroken run of looks."""
    known = [(s.t_us, s.hand) for s in run if s.hand is not None]
    # an odd one out in the middle of three is outvoted; the first and the last have nobody to say so
    smooth = [
        (known[i][0], median(h for _, h in known[i - 1 : i + 2]) if 0 < i < len(known) - 1 else known[i][1])
        for i in range(len(known))
    ]
    since: int | None = None
    before: tuple[int, float] | None = None
    for t_us, hand in smooth:
        if before is not None and t_us - before[0] > GAP_US:  # the arms were not seen for a while
            if since is not None:
                yield since, before[0]
            since = before = None
        crossing = t_us
        if before is not None and (hand > 0) != (before[1] > 0):
            crossing = before[0] + round((t_us - before[0]) * before[1] / (before[1] - hand))
        if hand > 0 and since is None:
            since = crossing
        elif hand <= 0 and since is not None:
            yield since, crossing
            since = None
        before = t_us, hand
    if since is not None and before is not None:
        yield since, before[0]


class Reaches:
    """Looks at whoever stands before a drawn shelf, and remembers their stances until their visit is over.

    Args:
        zones: of one camera; those without a shelf are left alone.
        ground: metres where calibrated.
    """

    purpose = Purpose.DWELL

    def __init__(self, zones: Iterable[Zone], ground: Ground) -> None:
        self._zones = tuple(
            (zone, Viewpoint(zone.shelf, zone.polygon, ground)) for zone in zones if zone.shelf is not None
        )
        self._now: dict[int, Sighting] = {}  # as they were asked about last
        self._stances: dict[int, dict[str, list[Stance]]] = {}  # by person and zone

    def __bool__(self) -> bool:
        """Say whether there is a shelf at all."""
        return bool(self._zones)

    def wants(self, t_us: int, person: int, sighting: Sighting) -> bool:
        """Say whether somebody stands in or close to a zone with a shelf; see `analytics.look.Looker`."""
        near = any(_near(zone, sighting) for zone, _ in self._zones)
        if near:
            self._now[person] = sighting
        return near

    def look(
        self,
        t_us: int,
        person: int,
        image: NDArray[np.uint8],
        keypoints: NDArray[np.float32],
        box: Box,
        others: Sequence[Box],
    ) -> None:
        """Note how somebody stands; picture and joints are not kept. See `analytics.look.Looker`."""
        mine = self._now[person]
        for zone, view in self._zones:
            if _near(zone, mine):
                stances = self._stances.setdefault(person, {}).setdefault(zone.name, [])
                stances.append(view.stance(t_us, keypoints, mine.height))

    def take(self, person: int, zone: str, enter_us: int, leave_us: int) -> Handling:
        """Return what was seen of a stay in a zone; nothing where there is no shelf or no consent."""
        stances = self._stances.get(person, {}).get(zone, ())
        return handling(s for s in stances if enter_us <= s.t_us <= leave_us)

    def forget(self, keep: Collection[int]) -> None:
        """Drop everybody else; see `analytics.look.Looker`."""
        self._now = {person: s for person, s in self._now.items() if person in keep}
        self._stances = {person: s for person, s in self._stances.items() if person in keep}


def _near(zone: Zone, mine: Sighting) -> bool:
    return zone.contains(mine.x, mine.y) or zone.border_distance(mine.x, mine.y) <= NEAR * mine.height
