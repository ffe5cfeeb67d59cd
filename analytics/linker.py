"""The pad linker: from a tap at the kiosk to a linked track, or to the reason why not.

Rules:
- A grant binds only to a track that has stood on the pad alone and unbroken from the consent screen until a second
  after the tap, with nobody in the ring around it. Whatever looks like a person counts as one, numbered or not, and
  so does who may be there out of sight. Otherwise nothing is bound, and the answer says why.
- A picture may be older than it looks. The standing counts from the first picture that had arrived when the screen
  appeared, and is over with the first that was surely taken a second after the tap; see `analytics.latency`.
- Withdrawing at the pad needs no code: it ends every link on the pad and in the ring, of whoever is seen there until
  the instant of the tap is surely past. An objection needs no proof either: see `analytics.objections`.
- The same request gets the same answer, however often it is sent.

It writes nothing, and remembers of the past only since when the present track has stood there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analytics.guard import STRAY, Box, Doubt, Guard
from analytics.links import Links, Permit
from analytics.model import SECOND, Sighting, Visit
from analytics.objections import Objections
from analytics.pad import Answer, Pad, PadRequest, PadRules
from analytics.zones import Ground, Zone
from consent.padview import PadMark, PadView
from consent.padwords import PadKind, PadOutcome

if TYPE_CHECKING:
    from analytics.dwell import Stitch


class PadLinker:
    """Binds grants to tracks at one pad, and keeps objectors out of every figure.

    Args:
        pad: the floor polygon before the kiosk, in this camera's pixels.
        ground: metres where calibrated, body heights where not.
        rules: see `PadRules`.
        frame_size: (width, height) in pixels; with it, a track that ends at the frame's edge has gone.

    Attributes:
        links: the links of this camera.
        objected: the tracks that objections took in at the last step; what they did before must not be counted either.
    """

    def __init__(
        self,
        pad: Zone,
        *,
        ground: Ground,
        rules: PadRules | None = None,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        self._rules, self._ground = rules or PadRules(), ground
        self._pad = Pad(pad, ground, self._rules, frame_size)
        self._objections = Objections(self._pad, self._rules)
        self.links = Links(ground, self._rules.link)
        self.objected: frozenset[int] = frozenset()
        self._stand: Guard | None = None  # the one who stands on the pad alone
        self._sole: Sighting | None = None  # the one person on the pad, whoever is near
        self._people, self._near = 0, False
        self._frame_size = frame_size
        self._since_us = 0
        self._bodies: list[tuple[int, Box]] = []
        self._covered = False  # by anybody's box, for all the ground between them
        self._shadow_us: int | None = None  # since when a box without a number has lain over theirs
        self._why = PadOutcome.BLIND  # nothing was seen before the first frame
        self._pending: dict[int, PadRequest] = {}
        self._answered: dict[int, tuple[int, Answer]] = {}
        self._stops: dict[int, tuple[int, int]] = {}  # withdrawals that may mean somebody not seen yet
        self._t_us: int | None = None
        self._taken_us = (0, 0)

    @property
    def alone(self) -> int | None:
        """The track that stands on the pad alone now; the kiosk draws its box and no other."""
        return None if self._stand is None else self._stand.track

    @property
    def why_not(self) -> PadOutcome | None:
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
        taken_us: tuple[int, int] | None = None,
    ) -> list[Answer]:
        """Take one frame, after the dwell engine has taken it.

        Args:
            t_us: its instant, UTC microseconds, later than the one before.
            sightings: each track at most once.
            requests: new or changed since the last step; sending one again does no harm.
            others: boxes of people without a track number; each counts as somebody.
            people: person number of each track, where it differs from the track's.
            stitches: those the dwell engine made in this step.
            taken_us: earliest and latest instant at which the frame was taken, where it is not `t_us`.

        Returns:
            Answers to requests, each as soon as the frames say what became of it. A withdrawal is answered once more
            when somebody else comes to be meant by it.

        Raises:
            ValueError: time does not advance.
        """
        if self._t_us is not None and t_us <= self._t_us:
            raise ValueError(f"time must advance: {t_us} after {self._t_us}")
        if self._t_us is None:
            self._objections.start(t_us)
        elif t_us - self._t_us > self._rules.link.blind_s * SECOND:
            self.blind(t_us)
        self._t_us = t_us
        self._taken_us = (t_us, t_us) if taken_us is None else taken_us
        self.links.step(t_us, sightings, others, people=people, stitches=stitches)
        self._pad.step(t_us, sightings, people or {})
        why = self._look(t_us, sightings, others)
        if why is not None:
            self._stand, self._why = None, why
        again = []
        for request in requests:
            if request.id in self._answered:
                again.append(self._answered[request.id][1])
            else:
                self._pending[request.id] = request
        return again + self._answer(t_us, sightings, stitches)

    def blind(self, t_us: int) -> None:
        """Take note that nothing was seen for a while, up to this instant."""
        self.links.blind()
        self._objections.blind(t_us)
        self._pad.blind()
        self._stand, self._why = None, PadOutcome.BLIND
        self._people, self._near, self._sole = 0, False, None

    def suppressed(self, visit: Visit) -> bool:
        """Say whether a visit belongs to somebody who must not appear in any figure."""
        return self._objections.suppressed(visit)

    def uncounted(self, track: int) -> bool:
        """Say whether what a track does from now on is in no figure."""
        trace = self._pad.traces.get(track)
        return trace is not None and (trace.objected or trace.hushed)

    def view(self) -> PadView | None:
        """Return what the kiosk may show of the newest frame: everybody as a number, and one shopper's own box.

        Returns:
            None before the first frame, or without a frame size.
        """
        if self._t_us is None or self._frame_size is None:
            return None
        sole, (width, height) = self._sole, self._frame_size
        if sole is None:
            return PadView(self._people, self._near, None, PadMark.NONE, self._t_us)
        shares = zip(sole.box, (width, height, width, height), strict=True)
        left, top, right, bottom = (min(max(side / whole, 0.0), 1.0) for side, whole in shares)
        mark = PadMark.NONE
        if self.uncounted(sole.track):
            mark = PadMark.SUPPRESSED
        elif self.links.linked(sole.track) is not None:
            mark = PadMark.LINKED
        return PadView(1, self._near, (left, top, right, bottom), mark, self._t_us)

    # --- standing on the pad ----------------------------------------------------------------------------------------

    def _look(self, t_us: int, sightings: Sequence[Sighting], others: Sequence[Box]) -> PadOutcome | None:
        """Follow who stands on the pad alone; say what is in the way, or None."""
        rules, stand = self._rules, self._stand
        mine: Sighting | None = None
        on_pad, in_ring, moved = 0, False, False
        for sighting in sightings:
            away_m = self._pad.traces[sighting.track].away_m
            own = stand is not None and sighting.track == stand.track
            if away_m == 0.0 or (own and away_m <= rules.band_m):
                on_pad += 1
                mine = sighting
            else:
                moved = moved or own
                in_ring = in_ring or away_m <= rules.ring_m
        for box in self._not_them(t_us, mine, others):
            away_m = self._pad.away((box[0] + box[2]) / 2, box[3], box[3] - box[1])
            on_pad += away_m == 0.0
            in_ring = in_ring or 0.0 < away_m <= rules.ring_m
        own_track = STRAY if stand is None else stand.track
        self._near = in_ring or any(track != own_track for track in self._pad.ghosts())
        self._people, self._sole = min(on_pad, 2), mine if on_pad == 1 else None
        if on_pad == 0 and stand is not None and not moved:
            self._people, self._sole = 1, stand.last  # out of sight for a moment
        if moved:
            return PadOutcome.MOVED_AWAY
        if on_pad > 1:
            return PadOutcome.SEVERAL_PEOPLE
        if self._near:
            return PadOutcome.SOMEBODY_NEAR
        if mine is None:
            if stand is None:
                return PadOutcome.NOBODY_ON_PAD if self._why is not PadOutcome.MOVED_AWAY else None
            if t_us - stand.last_us > rules.sight_s * SECOND:
                return PadOutcome.LOST_SIGHT
        elif stand is not None and mine.track != stand.track:
            return PadOutcome.POSSIBLE_SWITCH
        if stand is None and mine is not None:
            stand = self._stand = Guard(self._ground, rules.link, mine.track, mine, t_us, t_us)
            self._since_us = self._taken_us[1]
        # no bodies: who keeps their feet on the pad is the same body whoever passes before or behind it
        if stand is not None and stand.step(t_us, mine, ()) is not None:
            return PadOutcome.POSSIBLE_SWITCH
        if mine is not None:
            self._bodies = [(s.track, s.box) for s in sightings] + [(STRAY, box) for box in others]
            others_in_view = (box for track, box in self._bodies if track != mine.track)
            self._covered = any(rules.link.covers(mine.box, box) for box in others_in_view)
        return None

    def _not_them(self, t_us: int, mine: Sighting | None, others: Sequence[Box]) -> Sequence[Box]:
        """Return the boxes without a number, less a momentary second one over whoever stands on the pad."""
        link = self._rules.link
        shadows = [] if mine is None else [box for box in others if link.covers(mine.box, box)]
        if not shadows:
            self._shadow_us = None
            return others
        if self._shadow_us is None:
            self._shadow_us = t_us
        if len(shadows) > 1 or t_us - self._shadow_us > link.flicker_s * SECOND:
            return others
        return [box for box in others if box not in shadows]

    # --- requests ---------------------------------------------------------------------------------------------------

    def _answer(self, t_us: int, sightings: Sequence[Sighting], stitches: Sequence[Stitch]) -> list[Answer]:
        keep = t_us - int(self._rules.link.keep_s * SECOND)
        self._answered = {n: known for n, known in self._answered.items() if known[0] >= keep}
        objections = {
            request.id: self._objections.object(t_us, request.id, request.tapped_us)
            for request in self._pending.values()
            if request.kind is PadKind.OBJECT and request.tapped_us is not None and request.tapped_us <= t_us
        }
        unlinked = set()
        self.objected = frozenset(self._objections.step(t_us, sightings, stitches))
        for track in self.objected:
            permit = self.links.linked(track)
            if permit is not None:
                unlinked.add(permit.subject)
                self.links.withdraw(permit.subject)
        answers = []
        for number, (from_us, until_us) in list(self._stops.items()):
            near = (n for n, k in self._pad.traces.items() if k.near_us >= from_us)
            held = {n: permit for n in near if (permit := self.links.linked(n)) is not None}
            if held and number not in self._pending:
                answers.append(self._stop(number, held))
            if t_us >= until_us:
                del self._stops[number]
        for request in list(self._pending.values()):
            objection = objections.get(request.id)
            if objection is None:
                answer = self._decide(t_us, request)
            elif objection.tracks:
                tracks = tuple(sorted(objection.tracks))
                answer = Answer(request.id, PadOutcome.SUPPRESSED, tracks, tuple(sorted(unlinked)))
            else:
                answer = Answer(request.id, PadOutcome.NOBODY_ON_PAD) if t_us >= objection.until_us else None
            if answer is not None:
                answers.append(answer)
                self._answered[request.id] = (t_us, answer)
                del self._pending[request.id]
        return answers

    def _decide(self, t_us: int, request: PadRequest) -> Answer | None:
        """Answer one request, or None while it must wait."""
        patience_us = int(self._rules.patience_s * SECOND)
        if request.tapped_us is None:
            return Answer(request.id, PadOutcome.TOO_OLD) if t_us - request.shown_us > patience_us else None
        if request.tapped_us > t_us:
            return None  # a file's grants are scheduled in media time
        if request.kind is PadKind.WITHDRAW:
            return self._withdraw(t_us, request, request.tapped_us)
        if self._taken_us[1] - request.tapped_us > (self._rules.late_s + self._rules.latency_s) * SECOND:
            return Answer(request.id, PadOutcome.TOO_OLD)
        if request.tapped_us - request.shown_us > patience_us:
            return Answer(request.id, PadOutcome.TOO_OLD)
        return self._bind(t_us, request, request.tapped_us)

    def _withdraw(self, t_us: int, request: PadRequest, tapped_us: int) -> Answer | None:
        from_us = tapped_us - int(self._rules.before_s * SECOND)
        near = [n for n, k in self._pad.traces.items() if k.near_us >= from_us]
        held = {n: permit for n in near if (permit := self.links.linked(n)) is not None}
        until_us = tapped_us + int(self._rules.latency_s * SECOND)
        if t_us < until_us:  # whoever tapped may be on none of the pictures yet
            self._stops[request.id] = (from_us, until_us)
        if not held:
            why = PadOutcome.NOT_LINKED if near else PadOutcome.NOBODY_ON_PAD
            return None if t_us < until_us else Answer(request.id, why)
        return self._stop(request.id, held)

    def _stop(self, request: int, held: Mapping[int, Permit]) -> Answer:
        subjects = tuple(sorted({permit.subject for permit in held.values()}))
        for subject in subjects:
            self.links.withdraw(subject)
        return Answer(request, PadOutcome.UNLINKED, tuple(sorted(held)), subjects)

    def _bind(self, t_us: int, request: PadRequest, tapped_us: int) -> Answer | None:
        stand, subject = self._stand, request.subject
        if stand is None or subject is None or self._since_us > request.shown_us:
            return Answer(request.id, self._why)
        sure_us = self._taken_us[0]
        if sure_us < tapped_us + self._rules.after_s * SECOND or stand.last_us < t_us:
            return None
        if self._covered:
            patient = sure_us < tapped_us + 2 * self._rules.after_s * SECOND
            return None if patient else Answer(request.id, PadOutcome.POSSIBLE_SWITCH)
        track, holder = stand.track, self.links.holder(subject)
        known = self.links.linked(track)
        if (holder is not None and holder != track) or (known is not None and known.subject != subject):
            self.links.end(track, Doubt.CONFLICT)
            if holder is not None:
                self.links.end(holder, Doubt.CONFLICT)
            return Answer(request.id, PadOutcome.CONFLICT, (track,))
        if known is not None and request.kind is PadKind.LINK and request.purposes <= known.purposes:
            return Answer(request.id, PadOutcome.ALREADY_LINKED, (track,))
        trace = self._pad.traces[track]
        self.links.bind(
            t_us,
            stand.last,
            subject=subject,
            purposes=request.purposes,
            start_us=tapped_us,
            person=trace.person,
            bodies=self._bodies,
        )
        self._objections.lift(trace, t_us, tapped_us)
        return Answer(request.id, PadOutcome.LINKED, (track,))
