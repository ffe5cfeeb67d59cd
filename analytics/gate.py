"""The gate: from a tap at the kiosk to a linked track, and from a zone visit to a row, a plain count, or nothing.

Rules:
- A grant binds only to a track that has stood on the pad alone and unbroken from the consent screen until a second
  after the tap, with nobody in the ring around it. Whatever looks like a person counts as one, numbered or not, and
  somebody who vanished near the pad is taken to be there still. Otherwise nothing is bound and the answer says why.
- An objection asks for no such proof: it takes everybody on the pad and in the ring out of every figure, with
  whatever their tracks are continued by. Withdrawing at the pad ends every link on the pad and in the ring.
- Doubt always means no row. Staff never get one. A visit begins no earlier than its grant.

It writes nothing and keeps no history of anybody: one standing place, and the tracks of the last half minute. It
does not know whether a grant still lives; that is checked in the transaction that writes the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from analytics.links import STRAY, Box, Doubt, Guard, LinkRules, Links, Permit, overlap, touching
from analytics.model import SECOND, EndReason, Sighting, StartReason, Visit
from analytics.zones import BODY_HEIGHT_M, Ground, Point, Zone, border_distance, contains
from consent.events import Level, Purpose

if TYPE_CHECKING:
    from analytics.dwell import Stitch


class RequestKind(StrEnum):
    """What somebody at the kiosk asks for."""

    GRANT = "grant"  # a yes, just given
    LINK = "link"  # a returning shopper showed their code
    WITHDRAW = "withdraw"  # stop, without any code
    OBJECT = "object"  # do not count me either


class Outcome(StrEnum):
    """What became of a request, so that the kiosk can say it and what to do."""

    LINKED = "linked"
    UNLINKED = "unlinked"
    SUPPRESSED = "suppressed"
    NOBODY_ON_PAD = "nobody_on_pad"  # stand on the pad
    SEVERAL_PEOPLE = "several_people"  # one at a time
    SOMEBODY_NEAR = "somebody_near"  # ask the other to step back
    MOVED_AWAY = "moved_away"  # stay until it says so
    LOST_SIGHT = "lost_sight"  # the camera lost you; try again
    POSSIBLE_SWITCH = "possible_switch"  # somebody passed before you; try again
    BLIND = "blind"  # the camera does not see
    TOO_OLD = "too_old"  # the tap came too late, or the screen stood too long
    ALREADY_LINKED = "already_linked"  # nothing to do
    CONFLICT = "conflict"  # this track or this code was linked otherwise; both links are gone, try again
    NOT_LINKED = "not_linked"  # nobody linked stands here; use the code


@dataclass(frozen=True, slots=True)
class PadRequest:
    """One wish from the kiosk.

    Attributes:
        id: of the request; the same id gets the same answer.
        kind: see `RequestKind`.
        subject: opaque hash for a grant or link, else None.
        purposes: what was said yes to; empty unless a grant or link.
        shown_us: when the screen that was answered appeared, UTC microseconds.
        tapped_us: when it was answered, None while it stands.
    """

    id: int
    kind: RequestKind
    subject: str | None
    purposes: frozenset[Purpose]
    shown_us: int
    tapped_us: int | None = None

    def __post_init__(self) -> None:
        binds = self.kind in (RequestKind.GRANT, RequestKind.LINK)
        if binds != bool(self.subject) or binds != bool(self.purposes):
            raise ValueError(f"pad request {self.id}: a grant or link names a subject and purposes, nothing else does")
        if self.tapped_us is not None and self.tapped_us < self.shown_us:
            raise ValueError(f"pad request {self.id} was tapped before its screen appeared")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Attributes:
        id: of the request.
        outcome: see `Outcome`.
        tracks: those linked, unlinked or suppressed.
        subjects: those whose link ended by it.
    """

    id: int
    outcome: Outcome
    tracks: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PadRules:
    """Thresholds of the pad; seconds and metres on the floor. Ours, not sourced.

    The ring must reach every place from which a hand reaches the screen.

    Attributes:
        ring_m: width of the guard ring.
        band_m: how far feet may seem to stray over the pad's edge without leaving it.
        after_s: alone for this long after the tap.
        sight_s: unseen for longer breaks the standing.
        confirm_s: a track seen for less leaves nobody behind when it vanishes.
        vanish_m: whoever vanishes in the open nearer than this to the ring may be in it.
        hidden_m: the same for somebody who vanishes behind whoever stands on the pad ...
        hidden_speed: ... as soon as they can have walked there, metres a second.
        vanish_s: for how long.
        patience_s: a screen unanswered for longer binds nobody.
        late_s: a grant that reaches us later than this after its tap binds nobody.
        before_s: an objection or withdrawal reaches back this far before its tap.
        restart_s: tracks first seen this soon after the start, or after blindness, stay uncounted; 0 for files.
        reborn_s: a track born this soon after an objector's vanished ...
        reborn_m: ... and this near is theirs.
        link: what ends a link.
    """

    ring_m: float = 0.6
    band_m: float = 0.15
    after_s: float = 1.0
    sight_s: float = 0.3
    confirm_s: float = 0.5
    vanish_m: float = 0.3
    hidden_m: float = 3.0
    hidden_speed: float = 1.5
    vanish_s: float = 30.0
    patience_s: float = 300.0
    late_s: float = 5.0
    before_s: float = 0.5
    restart_s: float = 0.0
    reborn_s: float = 4.0
    reborn_m: float = 3.0
    link: LinkRules = field(default_factory=LinkRules)


@dataclass(slots=True)
class _Trace:
    """What is remembered of one track."""

    person: int
    first_us: int
    last_us: int
    last: Sighting
    away_m: float  # from the pad's edge, 0 on it
    near_us: int = -1  # last instant on the pad or in the ring
    hidden: bool = False  # vanished behind somebody on the pad
    ghost: bool = False  # out of sight, and may be in the ring
    born: bool = True  # not yet set against a ghost, and leaves none
    objected: bool = False
    hushed: bool = False  # may be somebody who objected


@dataclass(slots=True)
class _Objection:
    """An objection that still takes effect on whoever comes into sight at the pad."""

    id: int
    from_us: int
    until_us: int
    tracks: set[int] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)


class PadLinker:
    """Binds grants to tracks at one pad, and keeps objectors out of every figure.

    Args:
        pad: the floor polygon before the kiosk, in this camera's pixels.
        ground: metres where calibrated, body heights where not.
        rules: see `PadRules`.
        frame_size: (width, height) in pixels; with it, a track that ends at the frame's edge has gone.

    Attributes:
        links: the links of this camera.
    """

    def __init__(
        self,
        pad: Zone,
        *,
        ground: Ground,
        rules: PadRules | None = None,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        self._pad, self._ground, self._frame_size = pad, ground, frame_size
        self._rules = rules or PadRules()
        self._floor: tuple[Point, ...] = tuple(ground.locate(*c) for c in pad.polygon) if ground.calibrated else ()
        self.links = Links(ground, self._rules.link)
        self._traces: dict[int, _Trace] = {}
        self._hushed: dict[int, tuple[float, int]] = {}  # person: (until, last seen)
        self._stand: Guard | None = None  # the one who stands on the pad alone
        self._since_us = 0
        self._touched = False  # by anybody's box
        self._why = Outcome.BLIND  # nothing was seen before the first frame
        self._pending: dict[int, PadRequest] = {}
        self._answered: dict[int, tuple[int, Answer]] = {}
        self._objections: dict[int, _Objection] = {}
        self._t_us: int | None = None
        self._before_us: int | None = None  # of the step before
        self._quiet_until_us = -1  # whoever is first seen up to here was in view before we looked

    @property
    def alone(self) -> int | None:
        """The track that stands on the pad alone now; the kiosk draws its box and no other."""
        return None if self._stand is None else self._stand.track

    @property
    def why_not(self) -> Outcome | None:
        """Why nobody could be linked now, None where somebody could."""
        return None if self._stand is not None else self._why

    def step(
        self,
        t_us: int,
        sightings: Sequence[Sighting],
        requests: Sequence[PadRequest] = (),
        *,
        others: Sequence[Box] = (),
        people: Mapping[int, int] | None = None,
        stitches: Sequence[Stitch] = (),
    ) -> list[Answer]:
        """Take one frame, after the dwell engine has taken it.

        Args:
            t_us: its instant, UTC microseconds, later than the one before.
            sightings: each track at most once.
            requests: new or changed since the last step; sending one again does no harm.
            others: boxes of people without a track number; each counts as somebody.
            people: person number of each track, where it differs from the track's.
            stitches: those the dwell engine made in this step.

        Returns:
            Answers to requests, each within `after_s` of its tap or of its arrival.

        Raises:
            ValueError: time does not advance.
        """
        rules = self._rules
        if self._t_us is not None and t_us <= self._t_us:
            raise ValueError(f"time must advance: {t_us} after {self._t_us}")
        if self._t_us is None:
            self._quiet_until_us = t_us + int(rules.restart_s * SECOND) if rules.restart_s else -1
        elif t_us - self._t_us > rules.link.blind_s * SECOND:
            self.blind(t_us)
        self._before_us, self._t_us = self._t_us, t_us
        self.links.step(t_us, sightings, others, people=people, stitches=stitches)
        strays = [self._away(box[0] / 2 + box[2] / 2, box[3], box[3] - box[1]) for box in others]
        self._trace(t_us, sightings, people or {})
        why = self._look_at_pad(t_us, sightings, others, strays)
        if why is not None:
            self._stand, self._why = None, why
        self._take(t_us, requests)
        self._hush(t_us, sightings, stitches)
        return self._answer(t_us)

    def blind(self, t_us: int) -> None:
        """Take note that nothing was seen for a while, up to this instant."""
        self.links.blind()
        self._stand, self._why = None, Outcome.BLIND
        if any(trace.objected or trace.hushed for trace in self._traces.values()):
            # objectors may come back under any number: nobody in view is counted
            self._quiet_until_us = t_us + int(max(self._rules.restart_s, 1.0) * SECOND)
        for trace in self._traces.values():
            trace.ghost = False

    def suppressed(self, visit: Visit) -> bool:
        """Say whether a visit belongs to somebody who must not appear in any figure."""
        return visit.enter_us < self._hushed.get(visit.track, (-inf, 0))[0]

    # --- the floor --------------------------------------------------------------------------------------------------

    def _away(self, x: float, y: float, height: float) -> float:
        """Return metres from a foot point to the pad's edge, 0 on the pad."""
        if self._pad.contains(x, y):
            return 0.0
        if not self._floor:
            return self._pad.border_distance(x, y) / max(height, 1.0) * BODY_HEIGHT_M
        try:
            point = self._ground.locate(x, y)
        except ValueError:  # on the horizon
            return inf
        return 0.0 if contains(self._floor, *point) else border_distance(self._floor, *point)

    def _metres(self, a: Sighting, b: Sighting) -> float:
        return self._ground.distance(a.x, a.y, b.x, b.y, (a.height + b.height) / 2)

    # --- tracks -----------------------------------------------------------------------------------------------------

    def _trace(self, t_us: int, sightings: Sequence[Sighting], people: Mapping[int, int]) -> None:
        """Bring every track up to date, and keep count of those who vanished near the pad."""
        rules, traces = self._rules, self._traces
        for sighting in sightings:
            away_m = self._away(sighting.x, sighting.y, sighting.height)
            trace = traces.get(sighting.track)
            person = people.get(sighting.track, sighting.track)
            if trace is None:
                trace = traces[sighting.track] = _Trace(person, t_us, t_us, sighting, away_m)
            else:
                trace.person, trace.last_us, trace.last, trace.away_m = person, t_us, sighting, away_m
                trace.ghost = False
            if away_m <= rules.ring_m:
                trace.near_us = t_us
            if trace.born and t_us - trace.first_us >= rules.confirm_s * SECOND:
                trace.born = False
                self._lay_ghost(trace)
        on_pad = [k.last.box for k in traces.values() if k.away_m == 0.0]
        for track, trace in list(traces.items()):
            if trace.last_us == t_us:
                continue
            unseen_s = (t_us - trace.last_us) / SECOND
            if trace.last_us == self._before_us:
                trace.hidden = any(touching(trace.last.box, box, rules.link.touch) for box in on_pad)
            trace.ghost = not trace.born and unseen_s <= rules.vanish_s and self._may_be_near(trace, unseen_s)
            if trace.ghost:
                trace.near_us = t_us
            if unseen_s > rules.link.keep_s:
                del traces[track]

    def _may_be_near(self, trace: _Trace, unseen_s: float) -> bool:
        """Say whether somebody out of sight may be in the ring: they vanished there, or behind the one on the pad."""
        rules = self._rules
        if self._at_edge(trace.last.box):
            return False
        if trace.away_m <= rules.ring_m + rules.vanish_m:
            return True
        return trace.hidden and trace.away_m <= rules.ring_m + min(rules.hidden_speed * unseen_s, rules.hidden_m)

    def _lay_ghost(self, trace: _Trace) -> None:
        """Set a new track against the nearest person who vanished before: one body, one track."""
        gone = [(self._metres(k.last, trace.last), n) for n, k in self._traces.items() if k.ghost]
        distance, track = min(gone, default=(inf, STRAY))
        if distance <= self._rules.reborn_m:
            self._traces[track].ghost, self._traces[track].born = False, True

    def _at_edge(self, box: Box) -> bool:
        if self._frame_size is None:
            return False
        width, height = self._frame_size
        margin = 2.0  # pixels
        return box[0] <= margin or box[1] <= margin or box[2] >= width - margin or box[3] >= height - margin

    # --- the pad ----------------------------------------------------------------------------------------------------

    def _look_at_pad(
        self, t_us: int, sightings: Sequence[Sighting], others: Sequence[Box], strays: Sequence[float]
    ) -> Outcome | None:
        """Follow who stands on the pad alone; say what is in the way, or None."""
        rules, stand = self._rules, self._stand
        mine: Sighting | None = None
        on_pad, in_ring = sum(m == 0.0 for m in strays), any(0.0 < m <= rules.ring_m for m in strays)
        for sighting in sightings:
            away_m = self._traces[sighting.track].away_m
            own = stand is not None and sighting.track == stand.track
            if away_m == 0.0 or (own and away_m <= rules.band_m):
                on_pad += 1
                mine = sighting
            elif own:
                return Outcome.MOVED_AWAY
            elif away_m <= rules.ring_m:
                in_ring = True
        if on_pad > 1:
            return Outcome.SEVERAL_PEOPLE
        own_track = STRAY if stand is None else stand.track
        if in_ring or any(k.ghost for n, k in self._traces.items() if n != own_track):
            return Outcome.SOMEBODY_NEAR
        if mine is None:
            if stand is None:
                return Outcome.NOBODY_ON_PAD if self._why is not Outcome.MOVED_AWAY else None
            if t_us - stand.last_us > rules.sight_s * SECOND:
                return Outcome.LOST_SIGHT
        elif stand is not None and mine.track != stand.track:
            return Outcome.POSSIBLE_SWITCH
        if stand is None and mine is not None:
            stand = self._stand = Guard(self._ground, rules.link, mine.track, mine, t_us, t_us)
            self._since_us = t_us
        # no bodies: who keeps their feet on the pad is the same body whoever passes before or behind it
        if stand is not None and stand.step(t_us, mine, ()) is not None:
            return Outcome.POSSIBLE_SWITCH
        if mine is not None:
            boxes = [s.box for s in sightings if s.track != mine.track] + list(others)
            self._touched = any(touching(mine.box, box, rules.link.touch) for box in boxes)
        return None

    # --- requests ---------------------------------------------------------------------------------------------------

    def _take(self, t_us: int, requests: Sequence[PadRequest]) -> None:
        rules = self._rules
        for request in requests:
            if request.id not in self._answered:
                self._pending[request.id] = request
        for request in self._pending.values():
            if request.kind is RequestKind.OBJECT and request.tapped_us is not None and request.tapped_us <= t_us:
                from_us = request.tapped_us - int(rules.before_s * SECOND)
                until_us = max(t_us, request.tapped_us + int(rules.after_s * SECOND))
                self._objections.setdefault(request.id, _Objection(request.id, from_us, until_us))

    def _hush(self, t_us: int, sightings: Sequence[Sighting], stitches: Sequence[Stitch]) -> None:
        """Find every track that must not appear in a figure."""
        traces = self._traces
        for objection in list(self._objections.values()):
            for track, trace in traces.items():
                if trace.near_us >= objection.from_us:
                    trace.objected = True
                    objection.tracks.add(track)
                    permit = self.links.linked(track)
                    if permit is not None:
                        objection.subjects.add(permit.subject)
                        self.links.withdraw(permit.subject)
            if t_us > objection.until_us:
                del self._objections[objection.id]
        for stitch in stitches:
            if stitch.track in traces and self._hushed.get(stitch.person, (0.0, 0))[0] == inf:
                traces[stitch.track].objected = True
        objectors = [k for k in traces.values() if k.objected]
        for sighting in sightings:
            trace = traces[sighting.track]
            if not trace.objected and trace.first_us == t_us:
                trace.objected = t_us <= self._quiet_until_us or any(self._reborn(t_us, k, trace) for k in objectors)
            if not trace.objected and not trace.hushed:
                trace.hushed = any(k.last_us == t_us and self._swapped(k, trace) for k in objectors)
        for trace in traces.values():
            if trace.objected or trace.hushed:
                self._hushed[trace.person] = (inf, trace.last_us)
            elif trace.person in self._hushed:
                self._hushed[trace.person] = (self._hushed[trace.person][0], trace.last_us)
        keep = t_us - int(self._rules.link.keep_s * SECOND)
        self._hushed = {person: known for person, known in self._hushed.items() if known[1] >= keep}

    def _reborn(self, t_us: int, gone: _Trace, born: _Trace) -> bool:
        unseen_us = t_us - gone.last_us
        if not 0 < unseen_us <= self._rules.reborn_s * SECOND:
            return False
        return self._metres(gone.last, born.last) <= self._rules.reborn_m

    def _swapped(self, objector: _Trace, other: _Trace) -> bool:
        """Say whether two tracks may have changed places; one remove from the objector and no further."""
        iou, cover = overlap(objector.last.box, other.last.box)
        return iou > self._rules.link.iou or cover > self._rules.link.cover

    def _answer(self, t_us: int) -> list[Answer]:
        late_us = int(self._rules.link.keep_s * SECOND)
        self._answered = {n: known for n, known in self._answered.items() if known[0] >= t_us - late_us}
        answers = []
        for request in list(self._pending.values()):
            answer = self._decide(t_us, request)
            if answer is not None:
                answers.append(answer)
                self._answered[request.id] = (t_us, answer)
                del self._pending[request.id]
        return answers

    def _decide(self, t_us: int, request: PadRequest) -> Answer | None:
        """Answer one request, or None while it must wait."""
        patience_us = int(self._rules.patience_s * SECOND)
        if request.tapped_us is None:
            return Answer(request.id, Outcome.TOO_OLD) if t_us - request.shown_us > patience_us else None
        if request.tapped_us > t_us:
            return None  # a file's grants are scheduled in media time
        if request.kind is RequestKind.OBJECT:
            return self._object(t_us, request)
        if request.kind is RequestKind.WITHDRAW:
            return self._withdraw(request, request.tapped_us)
        if t_us - request.tapped_us > self._rules.late_s * SECOND:
            return Answer(request.id, Outcome.TOO_OLD)
        if request.tapped_us - request.shown_us > patience_us:
            return Answer(request.id, Outcome.TOO_OLD)
        return self._bind(t_us, request, request.tapped_us)

    def _object(self, t_us: int, request: PadRequest) -> Answer | None:
        objection = self._objections.get(request.id)
        if objection is not None and objection.tracks:
            tracks, subjects = tuple(sorted(objection.tracks)), tuple(sorted(objection.subjects))
            return Answer(request.id, Outcome.SUPPRESSED, tracks, subjects)
        waiting = objection is not None and t_us < objection.until_us
        return None if waiting else Answer(request.id, Outcome.NOBODY_ON_PAD)

    def _withdraw(self, request: PadRequest, tapped_us: int) -> Answer:
        from_us = tapped_us - int(self._rules.before_s * SECOND)
        near = [n for n, k in self._traces.items() if k.near_us >= from_us]
        held = {n: permit for n in near if (permit := self.links.linked(n)) is not None}
        if not held:
            return Answer(request.id, Outcome.NOT_LINKED if near else Outcome.NOBODY_ON_PAD)
        subjects = tuple(sorted({permit.subject for permit in held.values()}))
        for subject in subjects:
            self.links.withdraw(subject)
        return Answer(request.id, Outcome.UNLINKED, tuple(sorted(held)), subjects)

    def _bind(self, t_us: int, request: PadRequest, tapped_us: int) -> Answer | None:
        stand, subject = self._stand, request.subject
        if stand is None or subject is None or self._since_us > request.shown_us:
            return Answer(request.id, self._why)
        if t_us < tapped_us + self._rules.after_s * SECOND or stand.last_us < t_us:
            return None
        if self._touched:
            patient = t_us < tapped_us + 2 * self._rules.after_s * SECOND
            return None if patient else Answer(request.id, Outcome.POSSIBLE_SWITCH)
        track, holder = stand.track, self.links.holder(subject)
        known = self.links.linked(track)
        if (holder is not None and holder != track) or (known is not None and known.subject != subject):
            self.links.end(track, Doubt.CONFLICT)
            if holder is not None:
                self.links.end(holder, Doubt.CONFLICT)
            return Answer(request.id, Outcome.CONFLICT, (track,))
        if known is not None and request.kind is RequestKind.LINK and request.purposes <= known.purposes:
            return Answer(request.id, Outcome.ALREADY_LINKED, (track,))
        trace = self._traces[track]
        self.links.bind(
            t_us,
            stand.last,
            subject=subject,
            purposes=request.purposes,
            start_us=tapped_us,
            person=trace.person,
        )
        if trace.objected or trace.hushed:  # a yes, said alone, ends an earlier no; the visit it fell into stays out
            trace.objected = trace.hushed = False
            self._hushed[trace.person] = (tapped_us, t_us)
        return Answer(request.id, Outcome.LINKED, (track,))


@dataclass(frozen=True, slots=True)
class Counted:
    """A visit that may be summed into everybody's figures and must then be forgotten.

    Attributes:
        visit: the whole visit.
    """

    visit: Visit


@dataclass(frozen=True, slots=True)
class ConsentedRow:
    """A visit that may be written, once its grant is found alive in the same transaction; one row a purpose.

    Attributes:
        subject: opaque hash of who granted.
        purposes: what it may be written for; never empty.
        visit: the visit, clipped to what the grant covers and to what is surely theirs.
        counted: the same visit for everybody's figures.
    """

    subject: str
    purposes: frozenset[Purpose]
    visit: Visit
    counted: Counted


def admit(
    visit: Visit,
    permit: Permit | None,
    *,
    level: Level,
    now_us: int,
    suppressed: bool = False,
    staff: bool = False,
) -> ConsentedRow | Counted | None:
    """Decide what becomes of one closed visit.

    A shopper who said stop keeps no open visit: their permit has no purpose left, and the visit is only counted.

    Args:
        visit: as the dwell engine closed it.
        permit: what `Links.permit` knows of its person.
        level: of the store; it caps the purposes.
        now_us: instant of the decision, UTC microseconds.
        suppressed: what `PadLinker.suppressed` says of the visit.
        staff: the person works here.

    Returns:
        A row, a plain count, or None: not even counted.

    Raises:
        ValueError: the visit ends in the future.
    """
    if visit.leave_us > now_us:
        raise ValueError(f"a visit cannot end at {visit.leave_us}, after {now_us}; give media time as now_us")
    if suppressed or staff:
        return None
    counted = Counted(visit)
    if permit is None:
        return counted
    # the smile tablet keeps nothing but a voucher, so no visit is written for it
    purposes = frozenset(p for p in permit.purposes if level.allows(p)) - {Purpose.SMILE}
    enter_us, leave_us = max(visit.enter_us, permit.start_us), min(visit.leave_us, permit.until_us)
    if not purposes or leave_us <= enter_us:
        return counted
    clipped = replace(
        visit,
        enter_us=enter_us,
        leave_us=leave_us,
        start_reason=visit.start_reason if enter_us == visit.enter_us else StartReason.CONSENT,
        end_reason=visit.end_reason if leave_us == visit.leave_us else EndReason.LOST,
        stops=tuple(
            (max(a, enter_us), min(b, leave_us)) for a, b in visit.stops if min(b, leave_us) > max(a, enter_us)
        ),
    )
    return ConsentedRow(permit.subject, purposes, clipped, counted)
