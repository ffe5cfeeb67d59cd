"""From zone to zone: what comes after what on one walk, who went out, and how long they were in. Pure; RAM only.

- A walk is the closed visits of one person, in the order in which they ended; overlapping zones follow that order, too.
  A zone that was only passed through (the tier `pass_by`) is no place of it, but for doors, which nobody stops in.
- A step leads from a zone to the next one, or to `LOST` where the person had gone and no other zone followed. From an
  entrance leads the first step of whoever came in by it, and no other; from an exit leads none.
- Out went who was seen to step into an exit or entrance and was not seen any more.
- The stay in the shop lasts from an entry to that; of whoever was lost elsewhere it lasted at least until the last
  visit.

Each is told when it is known: a step when the visit it leads to has ended, the others when the person has gone. It is
not for this module to say who that is, or how many are enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analytics.figures import LOST, Figure, tier, time_slot
from analytics.model import StartReason, Visit
from analytics.zones import Zone, ZoneKind

_DOORS = (ZoneKind.ENTRANCE, ZoneKind.EXIT)


@dataclass(frozen=True, slots=True)
class Told:
    """Something that is known now of one person, and counts once.

    Attributes:
        figure: in which.
        zone: of which zone.
        at: where it counts among the counts of the figure; of a step, the number of the place it leads to.
    """

    figure: Figure
    zone: str
    at: int


@dataclass(slots=True)
class _Walk:
    """What is remembered of somebody who may still be here."""

    last: Visit
    leads: bool  # a step leads on from the last visit
    entry: Visit | None = None  # by which they came in
    until_us: int = 0


class Walks:
    """The walks of one camera.

    Args:
        zones: those that are measured.

    Attributes:
        places: where a step may lead; `Told.at` is a position in it.
    """

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._kinds = {zone.name: zone.kind for zone in zones}
        self.places = (*self._kinds, LOST)
        self._walks: dict[int, _Walk] = {}

    def people(self) -> set[int]:
        """Return the numbers of those who walk."""
        return set(self._walks)

    def add(self, visit: Visit, *, entry: bool) -> list[Told]:
        """Take a closed visit.

        Args:
            visit: of a measured zone.
            entry: it is footfall.
        """
        told = []
        walk, kind = self._walks.get(visit.track), self._kinds[visit.zone]
        if kind not in _DOORS and not tier(visit.dwell_us, bool(visit.stops)):
            if walk is not None:
                walk.until_us = max(visit.leave_us, walk.until_us)
            return []
        if walk is not None and walk.leads:
            told.append(Told(Figure.TRANSITIONS, walk.last.zone, self.places.index(visit.zone)))
        self._walks[visit.track] = _Walk(
            last=visit,
            leads=entry if kind is ZoneKind.ENTRANCE else kind is not ZoneKind.EXIT,
            entry=visit if entry else walk.entry if walk else None,
            until_us=max(visit.leave_us, walk.until_us if walk else 0),
        )
        return told

    def gone(self, person: int) -> list[Told]:
        """Say that somebody will not come back under this number."""
        walk = self._walks.pop(person, None)
        if walk is None:
            return []
        told = []
        last, entry = walk.last, walk.entry
        out = self._kinds[last.zone] in _DOORS and last.start_reason is StartReason.CROSSED and last is not entry
        if out:
            told.append(Told(Figure.EXITS, last.zone, 0))
        elif walk.leads:
            told.append(Told(Figure.TRANSITIONS, last.zone, self.places.index(LOST)))
        if entry is not None:
            told.append(Told(Figure.STAY, entry.zone, time_slot(walk.until_us - entry.enter_us, not out)))
        return told

    def forget(self, person: int) -> None:
        """Drop the walk of somebody who is in no figure."""
        self._walks.pop(person, None)
