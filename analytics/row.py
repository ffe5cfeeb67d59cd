"""A consented zone visit on its way from `watch` to the keeper, and in the keeper's hands.

The payload of an inbox row of kind `visit` is canonical JSON (RFC 8785):

    {"camera":"entrance","decisions":[9000000],"end":"crossed","enter_us":1790000000000000,
     "leave_us":1790000012500000,"outcomes":["take_candidate"],"poses":[4500000],"start":"crossed",
     "stopped_us":8000000,"undecided":false,"zone":"coffee"}

What was seen of the face of somebody who said yes to that is a row of its own, of kind `expression`, so that it needs
that yes and no other, and ends with it:

    {"camera":"entrance","enter_us":1790000000000000,"leave_us":1790000012500000,"samples":20,
     "shares":[0,0,0,250,0,0,500,250],"zone":"coffee"}

Both say where and how long, and not who: the subject stands beside them in the inbox, and no pseudonym is computed
before the keeper loads the row. Anything but exactly these forms is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

import rfc8785

from analytics.decision import COUNTS_US, Outcome, deliberations
from analytics.model import AnalyticsError, EndReason, StartReason, Visit
from analytics.reach import Handling
from analytics.zones import ZoneKind

VISIT, EXPRESSION = "visit", "expression"  # kinds of inbox rows
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "unknown")  # numbered like their shares
THOUSAND = 1000
_LONGEST_NAME = 64  # characters of a camera or zone


class RowError(AnalyticsError):
    """A payload that `watch` of this version does not write."""


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One closed zone visit of somebody who said yes.

    Attributes:
        camera: name of the camera.
        zone: name of the zone, unique in its camera.
        enter_us: first instant inside, UTC microseconds.
        leave_us: first instant outside, or the last sight for a censored visit.
        start: why it begins when it does.
        end: why it ends when it does.
        stopped_us: length of all stops inside, microseconds.
        decisions: `decision_box` of each deliberation inside, microseconds, in order; empty but in a product zone.
        undecided: the end of the last of them was not seen: it took at least that long.
        poses: `decision_pose` of those that have one, microseconds, in order.
        outcomes: what came of each of these.
    """

    camera: str
    zone: str
    enter_us: int
    leave_us: int
    start: StartReason
    end: EndReason
    stopped_us: int
    decisions: tuple[int, ...] = ()
    undecided: bool = False
    poses: tuple[int, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.camera, self.zone):
            if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
                raise RowError(f"a camera or a zone has a name of 1 to {_LONGEST_NAME} characters")
        if any(type(v) is not int for v in (self.enter_us, self.leave_us, self.stopped_us)):
            raise RowError("the instants of a visit are whole microseconds")
        if not 0 <= self.enter_us <= self.leave_us < 2**53 or not 0 <= self.stopped_us <= self.leave_us - self.enter_us:
            raise RowError("a visit ends after it starts, and is not stopped for longer than it lasts")
        if type(self.decisions) is not tuple or any(type(v) is not int or v < COUNTS_US for v in self.decisions):
            raise RowError("a deliberation takes whole microseconds, and three seconds or more")
        if type(self.undecided) is not bool or (self.undecided and not (self.decisions and self.censored)):
            raise RowError("a deliberation is left open where sight was lost, and nowhere else")
        if sum(self.decisions) > self.leave_us - self.enter_us:
            raise RowError("nobody deliberates for longer than they are there")
        self._check_poses()

    def _check_poses(self) -> None:
        if type(self.poses) is not tuple or any(type(v) is not int or v < 0 for v in self.poses):
            raise RowError("from facing a shelf to a reach it takes whole microseconds")
        if type(self.outcomes) is not tuple or any(type(o) is not Outcome for o in self.outcomes):
            raise RowError("what came of a deliberation has a name")
        if not len(self.outcomes) == len(self.poses) <= len(self.decisions):
            raise RowError("a deliberation has one outcome at most")
        if sum(self.poses) > sum(self.decisions):
            raise RowError("nobody faces a shelf for longer than they deliberate before it")
        if Outcome.LOST in (self.outcomes if not self.undecided else self.outcomes[:-1]):
            raise RowError("an outcome is lost where sight was, and nowhere else")

    @classmethod
    def of(cls, camera: str, visit: Visit, kind: ZoneKind, handling: Handling | None = None) -> Self:
        """Return the row of a visit, as the gate admitted it.

        Args:
            camera: name of the camera.
            visit: see `analytics.gate.ConsentedRow`.
            kind: of its zone.
            handling: what was seen of it before the shelf, if anything.
        """
        made = deliberations(visit, handling) if kind is ZoneKind.PRODUCT else ()
        posed = [(length, d.outcome) for d in made if (length := d.pose_us) is not None]
        return cls(
            camera,
            visit.zone,
            visit.enter_us,
            visit.leave_us,
            visit.start_reason,
            visit.end_reason,
            sum(end - start for start, end in visit.stops),
            tuple(d.box_us for d in made),
            any(d.censored for d in made),
            tuple(length for length, _ in posed),
            tuple(outcome for _, outcome in posed),
        )

    @property
    def censored(self) -> bool:
        """True where the end was not seen: the true stay is at least this long."""
        return self.end in (EndReason.LOST, EndReason.BLIND)

    @property
    def decided(self) -> tuple[tuple[int, bool], ...]:
        """(`decision_box` in microseconds, censored) of each deliberation."""
        last = len(self.decisions) - 1
        return tuple((length, self.undecided and i == last) for i, length in enumerate(self.decisions))

    @property
    def posed(self) -> tuple[tuple[int, Outcome], ...]:
        """(`decision_pose` in microseconds, outcome) of each deliberation that has one."""
        return tuple(zip(self.poses, self.outcomes, strict=True))

    def encode(self) -> bytes:
        """Return the payload."""
        return rfc8785.dumps({**asdict(self), "start": self.start.value, "end": self.end.value})

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read a payload.

        Raises:
            RowError: it is not exactly what `encode` writes; the text does not repeat it.
        """
        try:
            fields = json.loads(payload)
            fields |= {"start": StartReason(fields["start"]), "end": EndReason(fields["end"])}
            outcomes = tuple(Outcome(one) for one in fields["outcomes"])
            lists = {"decisions": tuple(fields["decisions"]), "poses": tuple(fields["poses"]), "outcomes": outcomes}
            row = cls(**{**fields, **lists})
            same = row.encode() == payload
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RowError("this is no visit as this version writes it") from error
        if not same:
            raise RowError("this visit is not in canonical form")
        return row


@dataclass(frozen=True, slots=True)
class ExpressionRow:
    """What the face of somebody who said yes to that showed in one zone visit: shares of its looks, and no series.

    Attributes:
        camera: name of the camera.
        zone: name of the zone.
        enter_us: first instant of the visit, UTC microseconds.
        leave_us: its last.
        samples: looks in it, those without an answer too.
        shares: of the looks, in thousandths, as `CLASSES` numbers them; they add up to a thousand.
    """

    camera: str
    zone: str
    enter_us: int
    leave_us: int
    samples: int
    shares: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in (self.camera, self.zone):
            if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
                raise RowError(f"a camera or a zone has a name of 1 to {_LONGEST_NAME} characters")
        if any(type(v) is not int for v in (self.enter_us, self.leave_us, self.samples, *self.shares)):
            raise RowError("instants, samples and shares are whole numbers")
        if not 0 <= self.enter_us <= self.leave_us < 2**53 or not 0 < self.samples < 2**31:
            raise RowError("a visit ends after it starts, and its expression was looked at once or more")
        if type(self.shares) is not tuple or len(self.shares) != len(CLASSES):
            raise RowError(f"there are {len(CLASSES)} shares")
        if min(self.shares) < 0 or sum(self.shares) != THOUSAND:
            raise RowError("shares add up to a thousand")

    @classmethod
    def of(cls, camera: str, visit: Visit, looks: tuple[int, ...]) -> Self:
        """Return the row of a visit.

        Args:
            camera: name of the camera.
            visit: as the gate admitted it.
            looks: how many looks showed each of `CLASSES`, one or more in all.
        """
        shares = apportion(looks, THOUSAND)
        return cls(camera, visit.zone, visit.enter_us, visit.leave_us, sum(looks), shares)

    def encode(self) -> bytes:
        """Return the payload."""
        return rfc8785.dumps(asdict(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read a payload.

        Raises:
            RowError: it is not exactly what `encode` writes; the text does not repeat it.
        """
        try:
            fields = json.loads(payload)
            row = cls(**{**fields, "shares": tuple(fields["shares"])})
            same = row.encode() == payload
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RowError("this is no expression as this version writes it") from error
        if not same:
            raise RowError("this expression is not in canonical form")
        return row


def apportion(weights: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """Split whole parts by weight, the largest remainders first; the parts add up."""
    whole = sum(weights)
    found = [parts * weight // whole for weight in weights]
    first = sorted(range(len(weights)), key=lambda i: (-(parts * weights[i] % whole), i))
    for i in first[: parts - sum(found)]:
        found[i] += 1
    return tuple(found)
