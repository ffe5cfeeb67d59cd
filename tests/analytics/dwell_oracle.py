"""The dwell definitions again: slow, obvious, and sharing nothing with `analytics.dwell`, thresholds included.

Each function is one sentence of `docs/metrics.md` turned into a question about the whole recording of one person,
answered by looking back over all of it. Nothing is carried from one instant to the next, so that nothing can be
carried wrongly. It knows one track at a time; whether two tracks are one person is `may_be_one_person`.

Where a sentence leaves room, it is read like this:

* A *stretch* is what is known about one person without a break. A blind interval, an occlusion hold that ran out and
  a step too fast to be one person each end it; what comes after starts with no memory of what was before.
* A sighting speaks for the time until the next step of the source, whoever is seen in that; the rest of the time is
  unseen, and neither time inside nor time outside. Both times are summed over a run of sightings on the same side:
  `seen outside for 1.5 s or more`, in however many pieces, `backdated to the first instant`.
* The band: within it `the earlier state holds`, the state being in a visit or not. So a run of sightings on one side
  is believed at its sightings beyond the band only, and then from its first instant on. A stretch that begins has no
  earlier state: its first run is believed as it is.
* A visit is over by its last sight, so one that comes out shorter than 0.5 s was none.
* A hold lasts as long as it says, end included; only longer is too long.
* A stretch that ends outside and beyond the band, too early to be sure, still ended outside: the 1.5 s guard against
  coming back, and nobody came back. Such a visit is crossed at the first instant outside, not censored.
* A speed needs a time base: from one frame to the next a good box moves a few pixels, and that is no speed. Nobody
  may have come here from their last sighting, nor from any in the half second before (`GUARD_S`), at more than 3 m/s;
  a shorter time than that half second counts as one.
* A person never seen twice has no speed and is taken to be moving: the shorter hold.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.model import SECOND, EndReason, Sighting, StartReason
from analytics.zones import BODY_HEIGHT_M, Ground, Zone, ZoneKind, border_distance

# The figures of the definitions, once more: seconds, metres, metres a second, body heights.
ENTER_S, LEAVE_S, BLIND_S = 0.5, 1.5, 2.0
BAND_M, BAND_BH = 0.1, 0.03
HOLD_MOVING_S, HOLD_STANDING_S = 3.0, 30.0
STITCH_GAP_MOVING_S, STITCH_GAP_STANDING_S = 4.0, 30.0
STITCH_BASE_M, STITCH_SPEED, STITCH_MAX_M, STITCH_HEIGHT = 0.8, 1.5, 3.0, 0.2
MAX_SPEED, STOP_SPEED, SPEED_WINDOW_S = 3.0, 0.35, 1.0
GUARD_S, EXIT_M = 0.5, 0.5  # not in the definitions: ours, see above and `may_be_one_person`

Recording = Sequence[tuple[int, Sighting | None]]  # every step of the source, with the person or without


@dataclass(frozen=True, slots=True)
class Stay:
    """A visit, told without a person number: zone, microseconds, and why it began and ended."""

    zone: str
    enter_us: int
    leave_us: int
    start_reason: StartReason
    end_reason: EndReason


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sightings of one person without a break, how it began, why it ended, and when that was known."""

    seen: tuple[tuple[int, Sighting], ...]
    began: StartReason
    ended: EndReason
    ended_us: int


def metres(ground: Ground, a: Sighting, b: Sighting) -> float:
    """Floor distance; body heights are those of the two sightings, averaged."""
    return ground.distance(a.x, a.y, b.x, b.y, (a.height + b.height) / 2)


def speed(ground: Ground, seen: Sequence[tuple[int, Sighting]], i: int) -> float | None:
    """`speed v median-filtered over 1 s`, at sighting i and over the second before it, in metres a second."""
    window = [
        metres(ground, seen[j - 1][1], seen[j][1]) * SECOND / (seen[j][0] - seen[j - 1][0])
        for j in range(1, i + 1)
        if seen[i][0] - seen[j][0] <= SPEED_WINDOW_S * SECOND
    ]
    return statistics.median(window) if window else None


def standing(ground: Ground, seen: Sequence[tuple[int, Sighting]]) -> bool:
    """`standing` at last sight: slower than the speed of a stop."""
    v = speed(ground, seen, len(seen) - 1)
    return v is not None and v < STOP_SPEED


def implied_speed(ground: Ground, before: Sequence[tuple[int, Sighting]], now: tuple[int, Sighting]) -> float:
    """`implied speed`: the fastest that the last sighting, or any of the last half second, makes this one; in m/s."""
    t = now[0]
    close = [(at, s) for at, s in before if t - at < GUARD_S * SECOND or at == before[-1][0]]
    return max(metres(ground, s, now[1]) / max((t - at) / SECOND, GUARD_S) for at, s in close)


def stretches(recording: Recording, ground: Ground, blinds: Sequence[tuple[int, int]]) -> list[Stretch]:
    """Cut a recording where a blind interval, a hold that ran out, or an impossible step breaks it."""
    steps = [t for t, _ in recording]
    holes = [*blinds, *((a, b) for a, b in itertools.pairwise(steps) if b - a > BLIND_S * SECOND)]
    sightings = [(t, s) for t, s in recording if s is not None]
    found: list[Stretch] = []
    current: list[tuple[int, Sighting]] = []
    began = StartReason.APPEARED
    for i, (t, sighting) in enumerate(sightings):
        current.append((t, sighting))
        last = i + 1 == len(sightings)
        next_t = steps[-1] if last else sightings[i + 1][0]
        hold = (HOLD_STANDING_S if standing(ground, current) else HOLD_MOVING_S) * SECOND
        hole = min((a for a, b in holes if t <= a and b <= next_t), default=None)
        ended, follows = None, StartReason.APPEARED
        if hole is not None:
            ended = EndReason.LOST if hole - t > hold else EndReason.BLIND
        elif next_t - t > hold:
            ended = EndReason.LOST
        elif last:
            ended = EndReason.BLIND
        elif implied_speed(ground, current, sightings[i + 1]) > MAX_SPEED:
            ended, follows = EndReason.LOST, StartReason.SPLIT
        if ended is not None:
            found.append(Stretch(tuple(current), began, ended, next_t if hole is None else hole))
            current, began = [], follows
    return found


def in_band(zone: Zone, ground: Ground, s: Sighting) -> bool:
    """`Within the boundary band (±0.1 m or ±3 % of body height)`: metres where the floor is calibrated."""
    if ground.calibrated:
        floor = tuple(ground.locate(x, y) for x, y in zone.polygon)
        return border_distance(floor, *ground.locate(s.x, s.y)) <= BAND_M
    return zone.border_distance(s.x, s.y) <= BAND_BH * s.height


@dataclass(frozen=True, slots=True)
class Run:
    """Sightings in a row on one side of one zone's border."""

    inside: bool
    first_us: int
    seen_us: int  # how long the person had been seen on that side when last seen there beyond the band
    beyond: bool  # the last sighting lies beyond the band


def runs(recording: Recording, stretch: Stretch, zone: Zone, ground: Ground) -> list[Run]:
    """Gather a stretch into runs; a sighting speaks for the time to the next step, and unseen time for nothing."""
    following = dict(itertools.pairwise(t for t, _ in recording))
    found: list[Run] = []
    for inside, group in itertools.groupby(stretch.seen, key=lambda pair: zone.contains(pair[1].x, pair[1].y)):
        seen = list(group)
        until = [following.get(t, t) for t, _ in seen]
        if stretch.ended is EndReason.BLIND and seen[-1][0] == stretch.seen[-1][0]:
            # nobody knows what came after the last step before a hole
            until[-1] = min(until[-1], stretch.ended_us)
        beyond = [not found or not in_band(zone, ground, s) for _, s in seen]
        believed = max((i + 1 for i, far in enumerate(beyond) if far), default=0)
        seen_us = sum(b - t for b, (t, _) in zip(until[:believed], seen[:believed], strict=True))
        found.append(Run(inside, seen[0][0], seen_us, beyond[-1]))
    return found


def stays(
    recording: Recording, zones: Sequence[Zone], ground: Ground, blinds: Sequence[tuple[int, int]] = ()
) -> list[Stay]:
    """Return the visits of one track, by zone and time; `both are backdated to the first instant`.

    Args:
        recording: every step of the source in order, with the sighting of the track or None.
        zones: where.
        ground: the floor.
        blinds: blind intervals that were announced, microseconds; longer gaps between steps are found here.
    """
    found = []
    for stretch in stretches(recording, ground, blinds):
        for zone in zones:
            found += stays_of_stretch(stretch, zone.name, runs(recording, stretch, zone, ground))
    return sorted(found, key=lambda stay: (stay.zone, stay.enter_us))


def stays_of_stretch(stretch: Stretch, zone: str, todo: list[Run]) -> list[Stay]:
    """A visit is from the first long enough run inside to the next long enough run outside, and again from there."""
    entry = next((r for r in todo if r.inside and r.seen_us >= ENTER_S * SECOND), None)
    if entry is None:
        return []
    rest = todo[todo.index(entry) :]
    way_out = next((r for r in rest if not r.inside and r.seen_us >= LEAVE_S * SECOND), None)
    if way_out is None and (rest[-1].inside or not rest[-1].beyond):
        leave, end = stretch.seen[-1][0], stretch.ended
    else:
        leave, end = (way_out or rest[-1]).first_us, EndReason.CROSSED
    start = StartReason.CROSSED if entry.first_us > stretch.seen[0][0] else stretch.began
    stay = [Stay(zone, entry.first_us, leave, start, end)] if leave - entry.first_us >= ENTER_S * SECOND else []
    return stay + (stays_of_stretch(stretch, zone, rest[rest.index(way_out) :]) if way_out else [])


def may_be_one_person(
    dead: Sequence[tuple[int, Sighting]],
    born: tuple[int, Sighting],
    *,
    zones: Sequence[Zone],
    ground: Ground,
    frame_size: tuple[int, int] | None,
) -> bool:
    """`Stitching`: may a track that died and one that was born be one person?

    Away from exits means, of both the last sight and the first: neither in an exit or entrance zone nor within 0.5 m of
    one, and not within 0.5 m of the left, right or lower edge of the picture.
    """
    (died_us, a), (born_us, b) = dead[-1], born
    gap = (born_us - died_us) / SECOND
    still = standing(ground, dead)
    for s in (a, b):
        for zone in zones:
            if zone.kind in (ZoneKind.EXIT, ZoneKind.ENTRANCE):
                if ground.calibrated:
                    floor = tuple(ground.locate(x, y) for x, y in zone.polygon)
                    away = border_distance(floor, *ground.locate(s.x, s.y))
                else:
                    away = zone.border_distance(s.x, s.y) / s.height * BODY_HEIGHT_M
                if zone.contains(s.x, s.y) or away <= EXIT_M:
                    return False
        if frame_size is not None:
            x1, _, x2, y2 = s.box
            edge = max(0.0, min(x1, frame_size[0] - x2, frame_size[1] - y2))
            if ground.distance(s.x, s.y, s.x + edge, s.y, s.height) <= EXIT_M:
                return False
    return (
        0 < gap <= (STITCH_GAP_STANDING_S if still else STITCH_GAP_MOVING_S)
        and metres(ground, a, b) <= min(STITCH_MAX_M, STITCH_BASE_M + STITCH_SPEED * gap, MAX_SPEED * max(gap, GUARD_S))
        and abs(a.height - b.height) <= STITCH_HEIGHT * a.height
    )
