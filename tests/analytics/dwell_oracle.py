"""The dwell definitions again: slow, obvious, and written without a look at `analytics.dwell`.

Each function is one sentence of `docs/metrics.md` turned into a question about the whole recording of one person,
answered by looking back over all of it. Nothing is carried from one instant to the next, so that nothing can be
carried wrongly. It knows one track at a time; whether two tracks are one person is `may_be_one_person`.

Where a sentence leaves room, it is read like this:

* A *stretch* is what is known about one person without a break. A blind interval, an occlusion hold that ran out and
  a step too fast to be one person each end it; what comes after starts with no memory of what was before.
* Two sightings inside, in one stretch, were inside in between too: time unseen is not time outside. Two sightings
  outside count as outside in between only when they are no further apart than the leave time itself; else the run of
  being outside begins anew after the gap.
* A hold lasts as long as it says, end included; only longer is too long.
* A stretch that ends outside, too early to be sure, still ended outside: the 1.5 s guard against coming back, and
  nobody came back. Such a visit is crossed at the first instant outside, not censored.
* A person never seen twice has no speed and is taken to be moving: the shorter hold.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.model import SECOND, EndReason, Sighting, StartReason
from analytics.zones import BODY_HEIGHT_M, Ground, Zone, ZoneKind, border_distance

if TYPE_CHECKING:
    from analytics.dwell import Rules

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
    """Sightings of one person without a break, why it began (None: first sight) and why it ended."""

    seen: tuple[tuple[int, Sighting], ...]
    began: StartReason
    ended: EndReason


def metres(ground: Ground, a: Sighting, b: Sighting) -> float:
    """Floor distance; body heights are those of the two sightings, averaged."""
    return ground.distance(a.x, a.y, b.x, b.y, (a.height + b.height) / 2)


def speed(ground: Ground, seen: Sequence[tuple[int, Sighting]], i: int, rules: Rules) -> float | None:
    """`speed v median-filtered over 1 s`, at sighting i and over the second before it, in metres a second."""
    window = [
        metres(ground, seen[j - 1][1], seen[j][1]) * SECOND / (seen[j][0] - seen[j - 1][0])
        for j in range(1, i + 1)
        if seen[i][0] - seen[j][0] <= rules.gait.window_s * SECOND
    ]
    return statistics.median(window) if window else None


def standing(ground: Ground, seen: Sequence[tuple[int, Sighting]], rules: Rules) -> bool:
    """`standing` at last sight: slower than the speed of a stop."""
    v = speed(ground, seen, len(seen) - 1, rules)
    return v is not None and v < rules.gait.stop_speed


def stretches(recording: Recording, ground: Ground, rules: Rules, blinds: Sequence[tuple[int, int]]) -> list[Stretch]:
    """Cut a recording where a blind interval, a hold that ran out, or an impossible step breaks it."""
    steps = [t for t, _ in recording]
    holes = [*blinds, *((a, b) for a, b in itertools.pairwise(steps) if b - a > rules.blind_s * SECOND)]
    sightings = [(t, s) for t, s in recording if s is not None]
    found: list[Stretch] = []
    current: list[tuple[int, Sighting]] = []
    began = StartReason.APPEARED
    for i, (t, sighting) in enumerate(sightings):
        current.append((t, sighting))
        last = i + 1 == len(sightings)
        next_t = steps[-1] if last else sightings[i + 1][0]
        hold = (rules.hold_standing_s if standing(ground, current, rules) else rules.hold_moving_s) * SECOND
        hole = min((a for a, b in holes if t <= a and b <= next_t), default=None)
        ended, follows = None, StartReason.APPEARED
        if hole is not None:
            ended = EndReason.LOST if hole - t > hold else EndReason.BLIND
        elif next_t - t > hold:
            ended = EndReason.LOST
        elif last:
            ended = EndReason.BLIND
        elif metres(ground, sighting, sightings[i + 1][1]) * SECOND / (next_t - t) > rules.max_speed:
            ended, follows = EndReason.LOST, StartReason.SPLIT
        if ended is not None:
            found.append(Stretch(tuple(current), began, ended))
            current, began = [], follows
    return found


def in_band(zone: Zone, ground: Ground, rules: Rules, s: Sighting) -> bool:
    """`Within the boundary band (±0.1 m or ±3 % of body height)`: metres where the floor is calibrated."""
    if ground.calibrated:
        floor = tuple(ground.locate(x, y) for x, y in zone.polygon)
        return border_distance(floor, *ground.locate(s.x, s.y)) <= rules.band_m
    return zone.border_distance(s.x, s.y) <= rules.band_bh * s.height


def inside(zone: Zone, ground: Ground, rules: Rules, stretch: Stretch, i: int) -> bool:
    """In the zone at sighting i; within the band `the earlier state holds`."""
    for _, s in reversed(stretch.seen[: i + 1]):
        if not in_band(zone, ground, rules, s):
            return zone.contains(s.x, s.y)
    first = stretch.seen[0][1]
    return zone.contains(first.x, first.y)


@dataclass(frozen=True, slots=True)
class Sides:
    """When one stretch was seen, and on which side of one zone's border: True is inside."""

    t: tuple[int, ...]
    inside: tuple[bool, ...]
    rules: Rules

    def inside_since(self, i: int) -> int:
        """The first sighting of the run inside that i belongs to."""
        return self.inside_since(i - 1) if i > 0 and self.inside[i - 1] else i

    def outside_since(self, i: int) -> int:
        """The first sighting of the run outside that i belongs to; a gap longer than the leave time breaks a run."""
        unbroken = i > 0 and not self.inside[i - 1] and self.t[i] - self.t[i - 1] <= self.rules.leave_s * SECOND
        return self.outside_since(i - 1) if unbroken else i

    def has_entered(self, i: int) -> bool:
        """`Enter: inside ≥ 0.5 s.`"""
        return self.inside[i] and self.t[i] - self.t[self.inside_since(i)] >= self.rules.enter_s * SECOND

    def has_left(self, i: int) -> bool:
        """`Leave: outside ≥ 1.5 s.`"""
        return not self.inside[i] and self.t[i] - self.t[self.outside_since(i)] >= self.rules.leave_s * SECOND


def stays(
    recording: Recording, zone: Zone, ground: Ground, rules: Rules, blinds: Sequence[tuple[int, int]] = ()
) -> list[Stay]:
    """Return the visits of one track to one zone, in order of time; `both are backdated to the first instant`.

    Args:
        recording: every step of the source in order, with the sighting of the track or None.
        zone: where.
        ground: the floor.
        rules: thresholds.
        blinds: blind intervals that were announced, microseconds; longer gaps between steps are found here.
    """
    found = []
    for stretch in stretches(recording, ground, rules, blinds):
        n = len(stretch.seen)
        t = tuple(at for at, _ in stretch.seen)
        sides = Sides(t, tuple(inside(zone, ground, rules, stretch, i) for i in range(n)), rules)
        left: int | None = 0
        while left is not None:
            entered = next((i for i in range(left, n) if sides.has_entered(i)), None)
            if entered is None:
                break
            first = sides.inside_since(entered)
            left = next((i for i in range(entered, n) if sides.has_left(i)), None)
            start = StartReason.CROSSED if first > 0 else stretch.began
            if left is not None:
                leave, end = t[sides.outside_since(left)], EndReason.CROSSED
            elif sides.inside[-1]:
                leave, end = t[-1], stretch.ended
            else:
                leave, end = t[sides.outside_since(n - 1)], EndReason.CROSSED
            found.append(Stay(zone.name, t[first], leave, start, end))
    return found


def may_be_one_person(
    dead: Sequence[tuple[int, Sighting]],
    born: tuple[int, Sighting],
    *,
    zones: Sequence[Zone],
    ground: Ground,
    rules: Rules,
    frame_size: tuple[int, int] | None,
) -> bool:
    """`Stitching`: may a track that died and one that was born be one person?

    Away from exits means: last sight neither in an exit or entrance zone nor within 0.5 m of one, and its box off the
    border of the frame.
    """
    (died_us, a), (born_us, b) = dead[-1], born
    gap = (born_us - died_us) / SECOND
    still = standing(ground, dead, rules)
    for zone in zones:
        if zone.kind in (ZoneKind.EXIT, ZoneKind.ENTRANCE):
            if ground.calibrated:
                floor = tuple(ground.locate(x, y) for x, y in zone.polygon)
                away = border_distance(floor, *ground.locate(a.x, a.y))
            else:
                away = zone.border_distance(a.x, a.y) / a.height * BODY_HEIGHT_M
            if zone.contains(a.x, a.y) or away <= rules.exit_m:
                return False
    if frame_size is not None:
        x1, y1, x2, y2 = a.box
        if x1 <= 0 or y1 <= 0 or x2 >= frame_size[0] or y2 >= frame_size[1]:
            return False
    return (
        0 < gap <= (rules.stitch_gap_standing_s if still else rules.stitch_gap_s)
        and metres(ground, a, b) <= min(rules.stitch_max_m, rules.stitch_base_m + rules.stitch_speed * gap)
        and abs(a.height - b.height) <= rules.stitch_height * a.height
    )
