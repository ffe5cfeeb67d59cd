"""The dwell engine: sightings of tracks in, closed zone visits out.

The definitions are those of docs/metrics.md. Pure and deterministic: time is an argument, nothing is read or written,
and what it holds is bounded by the people of the last half minute.

- The state of somebody between two steps is the one of the first; a step in which they are not seen starts time
  *unseen*, which is neither inside nor outside.
- Within the boundary band the earlier state holds: a walk across the edge is believed once it leads beyond the band,
  and then from the first instant on that side.
- A person is one or more tracks: one that dies away from exits and one born away from them, near by, are stitched.
- Doubt splits: a jump no walker can make gives a new person, and a blind interval forgets everybody.

It does not know who anybody is, what a zone is for, or which visits may be kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from analytics.gait import Gait, GaitRules
from analytics.model import SECOND, EndReason, Sighting, StartReason, Visit
from analytics.zones import Ground, Zone, ZoneKind, border_distance, nearest_border


@dataclass(frozen=True, slots=True)
class Rules:
    """Every threshold of the dwell definitions; seconds, metres, metres a second. Ours where not sourced.

    Attributes:
        enter_s: inside for this long is a visit.
        leave_s: seen outside for this long is its end.
        blind_s: a longer gap between steps is a blind interval.
        band_m: half width of the boundary band where the ground is calibrated.
        band_bh: the same in body heights, where it is not.
        hold_moving_s: how long an unseen walker's visit stays open.
        hold_standing_s: how long an unseen stander's visit stays open.
        stitch_gap_s: longest gap between a walker's tracks.
        stitch_gap_standing_s: longest gap between a stander's tracks.
        stitch_base_m: distance two tracks of one person may be apart without any gap.
        stitch_speed: how fast that distance grows with the gap.
        stitch_max_m: and what it never exceeds.
        stitch_height: relative difference of body height at most.
        stitch_wait: among several it could be, a second unseen weighs as much as so many metres apart.
        max_speed: nobody in a shop is faster.
        guard_s: shortest time base of the switch guard; one frame's jitter is no speed.
        exit_m: who is last seen nearer than this to an exit or the frame's edge has gone.
        door_m: who is first seen nearer than this to an entrance or exit came out of it.
        gait: the STOP and RESUME rules.
    """

    enter_s: float = 0.5
    leave_s: float = 1.5
    blind_s: float = 2.0
    band_m: float = 0.1
    band_bh: float = 0.03
    hold_moving_s: float = 3.0
    hold_standing_s: float = 30.0
    stitch_gap_s: float = 4.0
    stitch_gap_standing_s: float = 30.0
    stitch_base_m: float = 0.8
    stitch_speed: float = 1.5
    stitch_max_m: float = 3.0
    stitch_height: float = 0.2
    stitch_wait: float = 0.5
    max_speed: float = 3.0
    guard_s: float = 0.5
    exit_m: float = 0.5
    door_m: float = 1.0
    gait: GaitRules = field(default_factory=GaitRules)


@dataclass(frozen=True, slots=True)
class Stitch:
    """Two tracks taken for one person.

    Attributes:
        track: the new track.
        person: the number both now share.
        confidence: 0 to 1; falls with distance, gap, and the number of others it could have been.
    """

    track: int
    person: int
    confidence: float


@dataclass(slots=True)
class _Place:
    """Where one person is with one zone: the present run of sightings on one side of its border."""

    inside: bool
    since_us: int  # first instant of the run
    start: StartReason  # of the visit that begins with it
    first: bool = True  # nothing came before this run, so there is no earlier state to hold
    beyond: bool = True  # the last sighting was not in the band, or is no change of state
    seen_us: int = 0  # how much of the run was seen
    enter_us: int | None = None  # of the open visit


@dataclass(slots=True)
class _Person:
    number: int
    track: int
    gait: Gait
    last: Sighting
    last_us: int
    origin: StartReason  # how a visit starts if the first sight is inside
    places: dict[str, _Place] = field(default_factory=dict)
    seen: bool = True  # in the last step


class DwellEngine:
    """Turns the sightings of one camera into zone visits.

    Args:
        zones: the floor zones; they may overlap and are independent of one another.
        ground: metres where calibrated, body heights where not.
        rules: see `Rules`.
        frame_size: (width, height) in pixels; with it, a track that ends at the frame's edge has gone.
    """

    def __init__(
        self,
        zones: Sequence[Zone],
        *,
        ground: Ground | None = None,
        rules: Rules | None = None,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        self._zones = tuple(zones)
        if len({zone.name for zone in self._zones}) != len(self._zones):
            raise ValueError("two zones share a name; give each its own")
        self._doors = tuple(z for z in self._zones if z.kind in (ZoneKind.EXIT, ZoneKind.ENTRANCE))
        self._exits = (*self._doors, *(z for z in self._zones if z.kind is ZoneKind.OUTSIDE))
        self._ground = ground or Ground()
        self._rules = rules or Rules()
        self._floors = {zone.name: self._ground.floor(zone.polygon) for zone in self._zones}
        self._frame_size = frame_size
        self._people: dict[int, _Person] = {}  # by the track that stands for them now
        self._numbers = 0
        self._t_us: int | None = None
        self.stitches: list[Stitch] = []  # made in the last step
        self.came_out: list[int] = []  # numbers of whoever was first seen in the last step, at a door

    def person(self, track: int) -> int:
        """Return the person number of a track seen lately; stitched tracks share it.

        Raises:
            KeyError: the track is unknown, or was forgotten after its holds ran out.
        """
        return self._people[track].number

    def alive(self) -> set[int]:
        """Return the numbers of everybody who is seen or may still come back."""
        return {person.number for person in self._people.values()}

    def step(self, t_us: int, sightings: Sequence[Sighting]) -> list[Visit]:
        """Take the sightings of one frame.

        Args:
            t_us: presentation time of the frame, UTC microseconds, later than the step before.
            sightings: each track at most once, in any order.

        Returns:
            The visits that closed, in order of leaving. Closing may lag behind by the occlusion hold.

        Raises:
            ValueError: time does not advance, or a track appears twice.
        """
        if self._t_us is not None and t_us <= self._t_us:
            raise ValueError(f"time must advance: {t_us} after {self._t_us}")
        if len({s.track for s in sightings}) != len(sightings):
            raise ValueError("a track appears twice in one frame")
        closed: list[Visit] = []
        if self._t_us is not None and t_us - self._t_us > self._rules.blind_s * SECOND:
            closed += self.blind(self._t_us, t_us)
        self._t_us = t_us
        self.stitches, self.came_out = [], []
        closed += self._let_time_pass(t_us)
        closed += self._expire(t_us)
        known = sorted((s for s in sightings if s.track in self._people), key=lambda s: s.track)
        born = sorted((s for s in sightings if s.track not in self._people), key=lambda s: s.track)
        for sighting in known:
            closed += self._see_again(t_us, sighting)
        for sighting, person in self._stitch(t_us, [s for s in born if not self._at_exit(s)]):
            self._people[sighting.track] = person
            self._follow(t_us, person, sighting)
        for sighting in born:
            if sighting.track not in self._people:
                self._welcome(t_us, sighting, StartReason.APPEARED)
        return sorted(closed, key=lambda v: (v.leave_us, v.track, v.zone))

    def blind(self, start_us: int, end_us: int) -> list[Visit]:
        """Close everything at last sight, because nothing was seen between the two instants."""
        if end_us < start_us:
            raise ValueError(f"a blind interval ends before it starts: {start_us} > {end_us}")
        closed = [v for p in self._people.values() for v in self._close_all(p, EndReason.BLIND)]
        self._people.clear()
        return sorted(closed, key=lambda v: (v.leave_us, v.track, v.zone))

    def flush(self) -> list[Visit]:
        """Close everything at last sight: the source has ended, and what came after is unknown."""
        return self.blind(self._t_us or 0, self._t_us or 0)

    # --- time -------------------------------------------------------------------------------------------------------

    def _let_time_pass(self, t_us: int) -> list[Visit]:
        """Credit the time since the last step to everybody seen in it."""
        closed = []
        for person in self._people.values():
            if not person.seen:
                continue
            person.seen = False
            for zone, place in person.places.items():
                place.seen_us += t_us - person.last_us
                if not place.beyond:
                    continue
                if place.inside:
                    if place.enter_us is None and place.seen_us >= self._rules.enter_s * SECOND:
                        place.enter_us = place.since_us
                elif place.enter_us is not None and place.seen_us >= self._rules.leave_s * SECOND:
                    closed += self._visit(person, zone, place, EndReason.CROSSED)
        return closed

    def _expire(self, t_us: int) -> list[Visit]:
        """Close visits whose occlusion hold ran out, and forget people nothing can bring back."""
        rules, closed = self._rules, []
        for track, person in list(self._people.items()):
            unseen = t_us - person.last_us
            standing = person.gait.standing
            if unseen > (rules.hold_standing_s if standing else rules.hold_moving_s) * SECOND:
                closed += self._close_all(person, EndReason.LOST)
                person.places.clear()
                person.origin = StartReason.APPEARED
                if unseen > (rules.stitch_gap_standing_s if standing else rules.stitch_gap_s) * SECOND:
                    del self._people[track]
        return closed

    # --- people -----------------------------------------------------------------------------------------------------

    def _welcome(self, t_us: int, sighting: Sighting, origin: StartReason) -> None:
        self._numbers += 1
        person = _Person(
            number=self._numbers,
            track=sighting.track,
            gait=Gait(self._ground, self._rules.gait),
            last=sighting,
            last_us=t_us,
            origin=origin,
        )
        self._people[sighting.track] = person
        self._place(t_us, person, sighting)
        if self._at(self._doors, sighting, self._rules.door_m):
            self.came_out.append(person.number)

    def _see_again(self, t_us: int, sighting: Sighting) -> list[Visit]:
        person = self._people[sighting.track]
        if self._jumps(t_us, person, sighting):
            closed = self._close_all(person, EndReason.LOST)
            self._welcome(t_us, sighting, StartReason.SPLIT)
            return closed
        self._follow(t_us, person, sighting)
        return []

    def _jumps(self, t_us: int, person: _Person, sighting: Sighting) -> bool:
        """Say whether no walker gets here from where the person was last, or within the guard's time before."""
        base = int(self._rules.guard_s * SECOND)
        past = person.gait.since(t_us - base) or ((person.last_us, person.last.x, person.last.y, person.last.height),)
        return any(
            self._ground.distance(x, y, sighting.x, sighting.y, (height + sighting.height) / 2) * SECOND
            > self._rules.max_speed * max(t_us - at_us, base)
            for at_us, x, y, height in past
        )

    def _follow(self, t_us: int, person: _Person, sighting: Sighting) -> None:
        person.track, person.last, person.last_us, person.seen = sighting.track, sighting, t_us, True
        self._place(t_us, person, sighting)

    def _place(self, t_us: int, person: _Person, sighting: Sighting) -> None:
        """Move a person to where they are seen now."""
        person.gait.see(t_us, sighting.x, sighting.y, sighting.height)
        earliest = t_us
        for zone in self._zones:
            place = person.places.get(zone.name)
            inside = zone.contains(sighting.x, sighting.y)
            if place is None:
                start = person.origin if inside else StartReason.CROSSED
                person.places[zone.name] = _Place(inside=inside, since_us=t_us, start=start)
                continue
            if inside != place.inside:
                place.inside, place.since_us, place.seen_us, place.first = inside, t_us, 0, False
                place.start = StartReason.CROSSED if place.enter_us is None else place.start
            changes = inside != (place.enter_us is not None)
            place.beyond = not changes or place.first or not self._in_band(zone, sighting)
            if place.enter_us is not None or place.inside:
                earliest = min(earliest, place.since_us if place.enter_us is None else place.enter_us)
        person.gait.forget_before(earliest)

    def _in_band(self, zone: Zone, sighting: Sighting) -> bool:
        if self._ground.calibrated:
            return self._metres_to_border(zone, sighting) <= self._rules.band_m
        return zone.border_distance(sighting.x, sighting.y) <= self._rules.band_bh * sighting.height

    def _metres_to_border(self, zone: Zone, sighting: Sighting) -> float:
        """Return metres on the floor from a foot point to the nearest edge."""
        floor = self._floors[zone.name]
        if floor:
            return border_distance(floor, *self._ground.locate(sighting.x, sighting.y))
        # the zone reaches over the horizon, where there are no metres: the nearest edge of the picture must do
        x, y = nearest_border(zone.polygon, sighting.x, sighting.y)
        return self._ground.distance(sighting.x, sighting.y, x, y, sighting.height)

    def _distance(self, a: Sighting, b: Sighting) -> float:
        return self._ground.distance(a.x, a.y, b.x, b.y, (a.height + b.height) / 2)

    # --- stitching --------------------------------------------------------------------------------------------------

    def _stitch(self, t_us: int, born: Sequence[Sighting]) -> Iterator[tuple[Sighting, _Person]]:
        """Pair new tracks with unseen people, one to one, nearest in space and time in all."""
        rules = self._rules
        lost = [p for p in self._people.values() if p.last_us < t_us and not p.seen and not self._at_exit(p.last)]
        if not born or not lost:
            return
        cost = np.full((len(born), len(lost)), math.inf)
        share = np.zeros_like(cost)  # of the way they may be apart
        for j, person in enumerate(lost):
            gap_s = (t_us - person.last_us) / SECOND
            if gap_s > (rules.stitch_gap_standing_s if person.gait.standing else rules.stitch_gap_s):
                continue
            reach = min(
                rules.stitch_base_m + rules.stitch_speed * gap_s,
                rules.stitch_max_m,
                rules.max_speed * max(gap_s, rules.guard_s),
            )
            for i, sighting in enumerate(born):
                ratio = sighting.height / max(person.last.height, 1.0)
                if 1 - rules.stitch_height <= ratio <= 1 + rules.stitch_height:
                    distance = self._distance(person.last, sighting)
                    if distance <= reach:
                        cost[i, j] = distance + rules.stitch_wait * gap_s
                        share[i, j] = distance / reach
        possible = np.isfinite(cost)
        rows, columns = linear_sum_assignment(np.where(possible, cost, 1e6))
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
            if not possible[i, j]:
                continue
            person, sighting = lost[j], born[i]
            rivals = int(possible[i].sum() + possible[:, j].sum()) - 1  # 1 where nothing else was possible
            gap_s = (t_us - person.last_us) / SECOND
            confidence = (1 - float(share[i, j])) * (1 - gap_s / (rules.stitch_gap_standing_s + 1)) / rivals
            self.stitches.append(Stitch(sighting.track, person.number, confidence))
            del self._people[person.track]
            yield sighting, person

    def _at_exit(self, here: Sighting) -> bool:
        """Say whether people come and go here: near an exit, or near the left, right or lower edge of the picture."""
        if self._frame_size is not None:
            width, height = self._frame_size
            x1, _, x2, y2 = here.box
            edge = min(x1, width - x2, height - y2)
            if (
                edge <= 0
                or self._ground.distance(here.x, here.y, here.x + edge, here.y, here.height) <= self._rules.exit_m
            ):
                return True
        return self._at(self._exits, here, self._rules.exit_m)

    def _at(self, zones: Sequence[Zone], here: Sighting, metres: float) -> bool:
        return any(zone.contains(here.x, here.y) or self._near(zone, here, metres) for zone in zones)

    def _near(self, zone: Zone, sighting: Sighting, metres: float) -> bool:
        if self._ground.calibrated:
            return self._metres_to_border(zone, sighting) <= metres
        pixels = zone.border_distance(sighting.x, sighting.y)
        return self._ground.distance(0, 0, pixels, 0, sighting.height) <= metres

    # --- closing ----------------------------------------------------------------------------------------------------

    def _close_all(self, person: _Person, reason: EndReason) -> list[Visit]:
        return [v for zone, place in person.places.items() for v in self._visit(person, zone, place, reason)]

    def _visit(self, person: _Person, zone: str, place: _Place, reason: EndReason) -> list[Visit]:
        """Close the open visit, if any: at the first instant outside if last seen beyond the edge, else at last sight.

        One that ends, at last sight, before it is long enough to be a visit is none.
        """
        if place.enter_us is None:
            return []
        enter_us, place.enter_us = place.enter_us, None
        outside = not place.inside and place.beyond
        leave_us = place.since_us if outside else person.last_us
        if leave_us - enter_us < self._rules.enter_s * SECOND:
            return []
        return [
            Visit(
                track=person.number,
                zone=zone,
                enter_us=enter_us,
                leave_us=leave_us,
                start_reason=place.start,
                end_reason=EndReason.CROSSED if outside else reason,
                stops=person.gait.stops(enter_us, leave_us),
            )
        ]
