"""At the door: who comes in, and who only passes by outside. Pure; RAM only.

- A visit of an entrance is *footfall* where it is its person's first visit of any zone of the shop and they were seen
  to walk on from it: whoever leaves has been elsewhere, or is lost at the door. What they did outside is no matter.
- A *passer-by* was seen in a zone of kind `outside`, and under this number in no other zone, pads and staff zones too.
  They are told once, when they have gone, however often they came back meanwhile. Who was first seen at a door came
  out of it and passes by nobody: they may be somebody who was lost there, and may have objected.

So nobody is both. It takes an entrance before the same camera that reaches across the whole door: without it nothing
would tell those who come in from those who pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from analytics.figures import Figure
from analytics.model import EndReason, StartReason, Visit
from analytics.walks import Told
from analytics.zones import Zone, ZoneKind


class Doors:
    """The doors of one camera.

    Args:
        zones: all that are drawn.
    """

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._kinds = {zone.name: zone.kind for zone in zones}
        self._inside: dict[int, float] = {}  # person: first instant in any zone of the shop; inf: before they were seen
        self._outside: dict[int, str] = {}  # person: first zone outside

    def people(self) -> set[int]:
        """Return the numbers of those who may still come in or pass by."""
        return {*self._inside, *self._outside}

    def add(self, visit: Visit) -> bool:
        """Take a closed visit of any zone; say whether it is footfall."""
        kind, person = self._kinds.get(visit.zone), visit.track
        if kind is ZoneKind.OUTSIDE:
            self._outside.setdefault(person, visit.zone)
            return False
        first = self._inside.setdefault(person, visit.enter_us + 1)
        self._inside[person] = min(first, visit.enter_us)
        came = visit.start_reason in (StartReason.CROSSED, StartReason.APPEARED)
        walked_on = visit.end_reason is EndReason.CROSSED
        return kind is ZoneKind.ENTRANCE and came and walked_on and visit.enter_us < first

    def came_out(self, person: int) -> None:
        """Take somebody who was first seen at a door: they pass by nobody, and may still turn and come in."""
        self._inside.setdefault(person, inf)

    def gone(self, person: int) -> list[Told]:
        """Say that somebody will not come back under this number."""
        inside, outside = self._inside.pop(person, None), self._outside.pop(person, None)
        return [Told(Figure.PASSERS, outside, 0)] if outside is not None and inside is None else []

    def forget(self, person: int) -> None:
        """Count somebody neither in nor by from now on: they are in no figure."""
        self._inside[person] = -1
