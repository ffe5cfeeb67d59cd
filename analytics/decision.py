"""Decision duration from boxes: how long somebody deliberates before a shelf. Pure: events in, deliberations out.

The definitions are those of docs/metrics.md. STOP and RESUME come from `analytics.gait`, the zone's edges and the loss
of sight from `analytics.dwell`; a closed visit carries both. What they mean is the table below and nothing else:

- Stops less than 3 s apart are one deliberation; it counts when stopped for 3 s or more in all.
- It lasts from the first STOP to LEAVE, the final RESUME or the zone's exit. That is an upper bound, labelled so.
- Where sight was lost before its end was sure, it is censored: it lasted at least that long.
- One that was under way at the first sight, or when the grant came, began at an instant nobody may know: no length.

What somebody looked at or reached for is not here. Facing and reaches will be further events between `start_us` and
`leave_us` of a deliberation, on tracks that may be analysed, and split its end by what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto

from analytics.model import SECOND, EndReason, StartReason, Visit

TOGETHER_US = 3 * SECOND  # stops less than this apart are one deliberation
COUNTS_US = 3 * SECOND  # it counts when stopped for this long in all
FIRST_SIGHT_US = SECOND // 2  # speed is known half a second after the first sight; a STOP by then may be older

_UNSEEN = (StartReason.APPEARED, StartReason.SPLIT, StartReason.CONSENT)


class Event(StrEnum):
    """What happens to somebody in a product zone."""

    STOP = auto()
    RESUME = auto()
    APART = auto()  # it is `TOGETHER_US` since RESUME
    LEAVE = auto()  # the zone's exit, seen
    LOST = auto()  # last sight


class Phase(StrEnum):
    """Where somebody is between two events."""

    WALKING = auto()
    STOPPED = auto()
    RESUMED = auto()  # may stop again and still deliberate


class _Act(StrEnum):
    BEGIN = auto()
    REST = auto()  # note the end of a stop
    GO_ON = auto()
    END = auto()  # LEAVE is the last end of a stop
    CENSOR = auto()


# what is not in the table does not happen
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[_Act, ...]]] = {
    (Phase.WALKING, Event.STOP): (Phase.STOPPED, (_Act.BEGIN,)),
    (Phase.STOPPED, Event.RESUME): (Phase.RESUMED, (_Act.REST,)),
    (Phase.RESUMED, Event.STOP): (Phase.STOPPED, (_Act.GO_ON,)),
    (Phase.RESUMED, Event.APART): (Phase.WALKING, (_Act.END,)),
    (Phase.WALKING, Event.LEAVE): (Phase.WALKING, ()),
    (Phase.STOPPED, Event.LEAVE): (Phase.WALKING, (_Act.REST, _Act.END)),
    (Phase.RESUMED, Event.LEAVE): (Phase.WALKING, (_Act.END,)),
    (Phase.WALKING, Event.LOST): (Phase.WALKING, ()),
    (Phase.STOPPED, Event.LOST): (Phase.WALKING, (_Act.REST, _Act.CENSOR)),
    (Phase.RESUMED, Event.LOST): (Phase.WALKING, (_Act.CENSOR,)),
}


@dataclass(frozen=True, slots=True)
class Deliberation:
    """One time of making up one's mind before a shelf.

    Attributes:
        stops: (start_us, end_us) of each stop of it, in order; at least one.
        censored: its end was not seen; it lasted at least until the last of them.
    """

    stops: tuple[tuple[int, int], ...]
    censored: bool

    @property
    def start_us(self) -> int:
        """The first STOP, UTC microseconds."""
        return self.stops[0][0]

    @property
    def leave_us(self) -> int:
        """LEAVE, or the last instant at which it was going on."""
        return self.stops[-1][1]

    @property
    def box_us(self) -> int:
        """`decision_box`: LEAVE − first STOP, microseconds."""
        return self.leave_us - self.start_us

    @property
    def counts(self) -> bool:
        """True where stopped long enough in all."""
        return sum(end - start for start, end in self.stops) >= COUNTS_US


class Deliberator:
    """Takes the events of one stay in order and hands out what was deliberated. Holds one deliberation at most."""

    def __init__(self) -> None:
        self.phase = Phase.WALKING
        self._stops: list[tuple[int, int]] = []
        self._since_us = 0

    def take(self, event: Event, t_us: int) -> Deliberation | None:
        """Take one event; return the deliberation that it ends, if any.

        Raises:
            ValueError: such an event cannot come now.
        """
        try:
            self.phase, acts = TABLE[self.phase, event]
        except KeyError as error:
            raise ValueError(f"nobody who is {self.phase} can {event}") from error
        done = None
        for act in acts:
            if act in (_Act.BEGIN, _Act.GO_ON):
                self._since_us = t_us
            elif act is _Act.REST:
                self._stops.append((self._since_us, t_us))
            else:
                done = Deliberation(tuple(self._stops), censored=act is _Act.CENSOR)
                self._stops = []
        return done


def events(visit: Visit) -> Iterator[tuple[Event, int]]:
    """Yield what happened in a closed visit, in order."""
    resumed_us: int | None = None
    for start_us, end_us in visit.stops:
        if resumed_us is not None and start_us - resumed_us >= TOGETHER_US:
            yield Event.APART, resumed_us + TOGETHER_US
        yield Event.STOP, start_us
        if end_us == visit.leave_us:
            resumed_us = None  # still standing when the visit ends
            break
        yield Event.RESUME, end_us
        resumed_us = end_us
    if resumed_us is not None and visit.leave_us - resumed_us >= TOGETHER_US:
        yield Event.APART, resumed_us + TOGETHER_US
    yield Event.LOST if visit.censored else Event.LEAVE, visit.leave_us


def deliberations(visit: Visit) -> tuple[Deliberation, ...]:
    """Return what was deliberated in one stay in a product zone, oldest first, as far as it counts and has a length."""
    if visit.end_reason is EndReason.OPT_OUT:
        return ()
    one = Deliberator()
    found = [done for event, t_us in events(visit) if (done := one.take(event, t_us)) is not None]
    unseen_us = visit.enter_us + FIRST_SIGHT_US if visit.start_reason in _UNSEEN else 0
    return tuple(d for d in found if d.counts and not d.start_us < unseen_us)
