"""Waiting in line: from the first sight in the queue to the till, or to giving up. Pure; RAM only.

- A wait begins with a visit of a queue zone. Visits of it less than `AWAY_US` apart are one wait.
- It ends *served* with the first visit of a service zone that lasts `SERVICE_US` or more and begins no later than
  `AWAY_US` after the queue was left; its length is until that visit began.
- Whoever was seen to leave the queue after `TAIL_US` or more, and did not come to a till, *gave up*. Who left earlier
  only walked through, and waited for nothing.
- Whoever was lost from sight waited at least that long: *lost*, and never a short wait.

Which of them it was is known when the till is done with them, when they are found elsewhere later, or have gone; until
then the wait is open. Several tills of one camera are taken together; a queue that one camera sees and a till that
another sees have no wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from analytics.figures import Figure, Served, wait_slot
from analytics.model import SECOND, Visit
from analytics.walks import Told
from analytics.zones import Zone, ZoneKind

SERVICE_US: Final = 2 * SECOND  # from the metric definitions
TAIL_US: Final = 10 * SECOND  # from the metric definitions
AT_ONCE_US: Final = 4 * SECOND  # ours: who is at the till so soon only walked up to it; an edge of the bins
AWAY_US: Final = 10 * SECOND  # ours: a queue that bends around a corner leaves its zone for a moment


@dataclass(slots=True)
class _Wait:
    zone: str
    since_us: int
    until_us: int
    lost: bool


class Waits:
    """The queues of one camera.

    Args:
        zones: those that are measured.
    """

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._kinds = {zone.name: zone.kind for zone in zones}
        self._waits: dict[int, _Wait] = {}

    def add(self, visit: Visit) -> list[Told]:
        """Take a closed visit of a measured zone; say what is known of its person's wait by it."""
        person, kind, told = visit.track, self._kinds[visit.zone], []
        wait = self._waits.get(person)
        near = wait is not None and visit.enter_us <= wait.until_us + AWAY_US
        if wait is not None and not near:
            told += self.gone(person)
            wait = None
        if kind is ZoneKind.QUEUE:
            if wait is None:
                self._waits[person] = _Wait(visit.zone, visit.enter_us, visit.leave_us, visit.censored)
            elif visit.leave_us >= wait.until_us:
                wait.until_us, wait.lost = visit.leave_us, visit.censored
        elif wait is not None and kind is ZoneKind.SERVICE and visit.dwell_us >= SERVICE_US:
            del self._waits[person]
            length = visit.enter_us - wait.since_us
            if length >= 0:
                told.append(Told(Figure.WAIT, wait.zone, wait_slot(length, Served.YES)))
        return told

    def gone(self, person: int) -> list[Told]:
        """Say that no till will see this wait any more."""
        wait = self._waits.pop(person, None)
        if wait is None:
            return []
        length = wait.until_us - wait.since_us
        if wait.lost:
            return [Told(Figure.WAIT, wait.zone, wait_slot(length, Served.LOST))]
        return [Told(Figure.WAIT, wait.zone, wait_slot(length, Served.GAVE_UP))] if length >= TAIL_US else []

    def forget(self, person: int) -> None:
        """Drop the wait of somebody who is in no figure."""
        self._waits.pop(person, None)
