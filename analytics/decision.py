"""Decision duration: how long somebody deliberates before a shelf. Pure: events in, deliberations out.

The definitions are those of docs/metrics.md. STOP and RESUME come from `analytics.gait`, the zone's edges and the loss
of sight from `analytics.dwell`; a closed visit carries both. Facing and reaches come from `analytics.reach`, of
shoppers who said yes and nobody else. What they mean is the table below and nothing else:

- Stops less than 3 s apart are one deliberation; it counts when stopped for 3 s or more in all.
- `decision_box` lasts from the first STOP to LEAVE, the final RESUME or the zone's exit: an upper bound, labelled so.
- `decision_pose` lasts from ENGAGE, the first instant of facing the shelf while stopped, for a second or more in all,
  to the last REACH, and to LEAVE where nothing was touched. What came of it is its outcome.
- Where sight was lost before its end was sure, both are censored: they lasted at least that long.
- One that was under way at the first sight, or when the grant came, began at an instant nobody may know: no length.
- One that was not looked at for four fifths of its time has no `decision_pose`: what was missed may have been a reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto

from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.reach import Handling, Span

TOGETHER_US = 3 * SECOND  # stops less than this apart are one deliberation
COUNTS_US = 3 * SECOND  # it counts when stopped for this long in all
FIRST_SIGHT_US = SECOND // 2  # speed is known half a second after the first sight; a STOP by then may be older
ENGAGED_US = SECOND  # facing the shelf for this long in all
PUT_BACK_US = 10 * SECOND  # a second reach within this may have put something back
LOOKED_AT = 0.8  # share of a deliberation; ours

_UNSEEN = (StartReason.APPEARED, StartReason.SPLIT, StartReason.CONSENT)


class Event(StrEnum):
    """What happens to somebody in a product zone."""

    STOP = auto()
    FACE = auto()  # turns to the shelf while stopped, or stops so
    REACH = auto()  # a hand goes into the shelf
    AWAY = auto()  # turns away
    RESUME = auto()
    APART = auto()  # it is `TOGETHER_US` since RESUME
    LEAVE = auto()  # the zone's exit, seen
    LOST = auto()  # last sight


class Outcome(StrEnum):
    """What came of a deliberation, as far as a camera can tell; a candidate is never called a sale."""

    TAKE = "take_candidate"
    PUT_BACK = "put_back_candidate"
    NO_TOUCH = "no_touch"
    LOST = "lost"  # censored: what would have come of it was not seen


class Phase(StrEnum):
    """Where somebody is between two events."""

    WALKING = auto()
    STOPPED = auto()
    RESUMED = auto()  # may stop again and still deliberate


class _Act(StrEnum):
    BEGIN = auto()
    REST = auto()  # note the end of a stop
    GO_ON = auto()
    LOOK_AT = auto()
    LOOK_OFF = auto()  # note how long the shelf was faced
    TOUCH = auto()
    END = auto()  # LEAVE is the last end of a stop
    CENSOR = auto()


# what is not in the table does not happen
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[_Act, ...]]] = {
    (Phase.WALKING, Event.REACH): (Phase.WALKING, ()),  # whoever grabs in passing deliberates nothing
    (Phase.WALKING, Event.STOP): (Phase.STOPPED, (_Act.BEGIN,)),
    (Phase.STOPPED, Event.FACE): (Phase.STOPPED, (_Act.LOOK_AT,)),
    (Phase.STOPPED, Event.AWAY): (Phase.STOPPED, (_Act.LOOK_OFF,)),
    (Phase.STOPPED, Event.REACH): (Phase.STOPPED, (_Act.TOUCH,)),
    (Phase.RESUMED, Event.REACH): (Phase.RESUMED, (_Act.TOUCH,)),
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
        facing: when the shelf was faced during the stops, as far as it was looked at.
        reaches: onset of each reach from the first STOP to LEAVE.
        looked_at: it was looked at for long enough to tell what came of it.
    """

    stops: tuple[Span, ...]
    censored: bool
    facing: tuple[Span, ...] = ()
    reaches: tuple[int, ...] = ()
    looked_at: bool = False

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
        return _length(self.stops) >= COUNTS_US

    @property
    def engage_us(self) -> int | None:
        """ENGAGE, UTC microseconds; None where the shelf was not faced for long enough."""
        return self.facing[0][0] if _length(self.facing) >= ENGAGED_US else None

    @property
    def outcome(self) -> Outcome:
        """What came of it; of use only where there is a `pose_us`."""
        if self.censored:
            return Outcome.LOST
        if not self.reaches:
            return Outcome.NO_TOUCH
        again = len(self.reaches) > 1 and self.reaches[-1] - self.reaches[-2] <= PUT_BACK_US
        return Outcome.PUT_BACK if again else Outcome.TAKE

    @property
    def pose_us(self) -> int | None:
        """`decision_pose`: last REACH, or LEAVE without one, − ENGAGE, microseconds; None where nobody can say.

        Censored, it is what is sure: the last reach that was seen may have been the last of all.
        """
        if self.engage_us is None or not self.looked_at:
            return None
        return max(0, (self.reaches[-1] if self.reaches else self.leave_us) - self.engage_us)


def _length(spans: tuple[Span, ...]) -> int:
    return sum(end - start for start, end in spans)


def _shared(spans: tuple[Span, ...], others: tuple[Span, ...]) -> Iterator[Span]:
    """Yield what two lists of spans have in common, in order."""
    for a, b in spans:
        for c, d in others:
            if max(a, c) < min(b, d):
                yield max(a, c), min(b, d)


class Deliberator:
    """Takes the events of one stay in order and hands out what was deliberated. Holds one deliberation at most."""

    def __init__(self, seen: tuple[Span, ...] = ()) -> None:
        self.phase = Phase.WALKING
        self._seen = seen  # when they were looked at
        self._stops: list[Span] = []
        self._facing: list[Span] = []
        self._reaches: list[int] = []
        self._since_us = self._face_us = 0

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
            elif act is _Act.LOOK_AT:
                self._face_us = t_us
            elif act is _Act.LOOK_OFF:
                self._facing.append((self._face_us, t_us))
            elif act is _Act.TOUCH:
                self._reaches.append(t_us)
            else:
                done = self._end(censored=act is _Act.CENSOR)
        return done

    def _end(self, *, censored: bool) -> Deliberation:
        whole = (self._stops[0][0], self._stops[-1][1])
        looked_us = _length(tuple(_shared((whole,), self._seen)))
        done = Deliberation(
            tuple(self._stops),
            censored,
            tuple(self._facing),
            tuple(t_us for t_us in self._reaches if t_us < whole[1]),  # not those after the final RESUME
            looked_at=looked_us >= LOOKED_AT * (whole[1] - whole[0]) and looked_us > 0,
        )
        self._stops, self._facing, self._reaches = [], [], []
        return done


def _seen_of(visit: Visit, handling: Handling) -> Iterator[tuple[Event, int]]:
    """Yield what was seen of a stay beside its stops."""
    for start_us, end_us in _shared(visit.stops, handling.facing):
        yield Event.FACE, start_us
        yield Event.AWAY, end_us
    yield from ((Event.REACH, start_us) for start_us, _ in handling.reaches)


def _moved(visit: Visit) -> Iterator[tuple[Event, int]]:
    """Yield the stops of a stay, and how it ends."""
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


# of events at one instant: what ends comes before what begins, and the end of all last
_ORDER = (Event.AWAY, Event.RESUME, Event.APART, Event.STOP, Event.FACE, Event.REACH, Event.LEAVE, Event.LOST)


def events(visit: Visit, handling: Handling | None = None) -> Iterator[tuple[Event, int]]:
    """Yield what happened in a closed visit, in order; of what was seen, all that lies between its ends.

    Args:
        visit: in a product zone.
        handling: what was seen of it, if anything, in any order.
    """
    seen = [
        (event, t_us)
        for event, t_us in (_seen_of(visit, handling) if handling is not None else ())
        if visit.enter_us <= t_us <= visit.leave_us
    ]
    yield from sorted((*_moved(visit), *seen), key=lambda one: (one[1], _ORDER.index(one[0])))


def deliberations(visit: Visit, handling: Handling | None = None) -> tuple[Deliberation, ...]:
    """Return what was deliberated in one stay in a product zone, oldest first, as far as it counts and has a length.

    Args:
        visit: in a product zone.
        handling: what was seen of it, if anything.
    """
    if visit.end_reason is EndReason.OPT_OUT:
        return ()
    one = Deliberator(handling.seen if handling is not None else ())
    found = [done for event, t_us in events(visit, handling) if (done := one.take(event, t_us)) is not None]
    unseen_us = visit.enter_us + FIRST_SIGHT_US if visit.start_reason in _UNSEEN else 0
    return tuple(d for d in found if d.counts and not d.start_us < unseen_us)
