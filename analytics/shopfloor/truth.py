"""What an exact observer of the demo shop writes down: visits, stops, reaches and decisions.

Everything follows from the script and the bodies' geometry. Definitions are those of the metric page (docs); what that
page leaves open is fixed here: an interval begins at the first frame inside and ends at the first frame outside; ENGAGE
is backdated to the first instant of facing; a REACH is the wrist less than 0.08 m before the shelf's face, or behind
it, for 0.3 s or more. All times are those of frames, seconds from the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.shopfloor.script import Instant, PersonState
from analytics.shopfloor.shop import FLOOR_ZONES, FPS, SHELVES, zones
from analytics.shopfloor.sight import Box, Stage
from analytics.zones import contains

MERGE_S, SHORTEST_S = 1.5, 0.5  # truth-format: absences merged, visits dropped
STOP_MPS, RESUME_MPS, STILL_S = 0.35, 0.6, 1.0
TOGETHER_S, DELIBERATE_S = 3.0, 3.0
FACING = math.radians(60)
PUT_BACK_S = 10.0
REACH_S, REACH_DEPTH = 0.3, -0.08

Interval = tuple[float, float]


def intervals(times: Sequence[float], inside: Iterable[bool], dt: float) -> list[Interval]:
    """Turn a yes/no per instant into intervals: first instant inside to first instant outside.

    Args:
        times: seconds, rising; a gap in them is an absence.
        inside: per instant.
        dt: seconds between instants; the last instant of a track counts for that long.
    """
    found: list[Interval] = []
    start: float | None = None
    last = 0.0
    for t, yes in zip(times, inside, strict=True):
        if start is not None and (not yes or t - last > 1.5 * dt):
            found.append((start, last + dt))
            start = None
        if yes:
            start = t if start is None else start
            last = t
    if start is not None:
        found.append((start, last + dt))
    return found


def merged(found: Sequence[Interval], gap_s: float = MERGE_S, shortest_s: float = SHORTEST_S) -> list[Interval]:
    """Join intervals over short absences, then drop the short ones."""
    joined: list[Interval] = []
    for a, b in found:
        if joined and a - joined[-1][1] <= gap_s + 1e-9:
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return [(a, b) for a, b in joined if b - a >= shortest_s - 1e-9]


@dataclass(frozen=True, slots=True)
class TrueVisit:
    """One stay in a zone; seconds from the first frame."""

    zone: str
    person: str
    enter_s: float
    leave_s: float


def visits(found: Sequence[Box], duration_s: float) -> list[TrueVisit]:
    """Return all zone visits by the foot point of the boxes (bottom centre), in pixels, of everybody in every zone."""
    result = []
    by_person: dict[str, list[Box]] = {}
    for b in found:
        by_person.setdefault(b.person, []).append(b)
    for zone in zones():
        for person, rows in by_person.items():
            times = [r.frame / FPS for r in rows]
            inside = [zone.contains((r.box[0] + r.box[2]) / 2, r.box[3]) for r in rows]
            for enter, leave in merged(intervals(times, inside, 1 / FPS)):
                result.append(TrueVisit(zone.name, person, round(enter, 2), round(min(leave, duration_s), 2)))
    return sorted(result, key=lambda v: (v.enter_s, v.zone, v.person))


def floor_visits(instants: Iterable[Instant], fps: int = FPS) -> list[TrueVisit]:
    """Return all zone visits of a simulation by floor position, in metres: no bodies, no picture, any length."""
    tracks: dict[tuple[str, str], tuple[list[float], list[bool]]] = {}
    for instant in instants:
        for s in instant.people:
            for name, (_, corners) in FLOOR_ZONES.items():
                times, inside = tracks.setdefault((name, s.name), ([], []))
                times.append(instant.t_s)
                inside.append(contains(corners, s.x, s.y))
    result = [
        TrueVisit(zone, person, round(a, 3), round(b, 3))
        for (zone, person), (times, inside) in tracks.items()
        for a, b in merged(intervals(times, inside, 1 / fps))
    ]
    return sorted(result, key=lambda v: (v.enter_s, v.zone, v.person))


@dataclass(frozen=True, slots=True)
class TrueStop:
    """One stop of a shopper in a product zone; seconds from the first frame."""

    zone: str
    person: str
    start_s: float
    end_s: float


def stops(times: Sequence[float], states: Sequence[PersonState], fps: int = FPS) -> list[Interval]:
    """Return all stops of one person by the STOP and RESUME rule, floor speed median-filtered over one second."""
    xy = np.array([(s.x, s.y) for s in states])
    if len(xy) < 3:
        return []
    speed = np.hypot(*np.gradient(xy, axis=0).T) * fps
    half = fps // 2
    padded = np.pad(speed, half, mode="edge")
    speed = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    hold = round(STILL_S * fps)
    found: list[Interval] = []
    start: int | None = None
    for k in range(len(speed)):
        window = speed[k : k + hold]
        if len(window) < hold:
            break
        if start is None and bool((window < STOP_MPS).all()):
            start = k
        elif start is not None and bool((window > RESUME_MPS).all()):
            found.append((times[start], times[k]))
            start = None
    if start is not None:
        found.append((times[start], times[-1] + 1 / fps))
    return found


@dataclass(frozen=True, slots=True)
class Reach:
    """One reach into a shelf; seconds from the first frame."""

    person: str
    shelf: str
    hand: str
    onset_s: float
    end_s: float


def reaches(performance: Stage) -> list[Reach]:
    """Return all reaches, by where the wrists are in space."""
    wrists: dict[tuple[str, str, str], tuple[list[float], list[bool]]] = {}
    for instant, posed in zip(performance.instants, performance.posed, strict=True):
        for s in instant.people:
            if not s.shelf:
                continue
            for hand in ("left", "right"):
                x, y, _ = posed[s.name].points[f"wrist_{hand[0]}"]
                times, inside = wrists.setdefault((s.name, s.shelf, hand), ([], []))
                times.append(instant.t_s)
                inside.append(SHELVES[s.shelf].depth(float(x), float(y)) > REACH_DEPTH)
    found = [
        Reach(person, shelf, hand, round(a, 2), round(b, 2))
        for (person, shelf, hand), (times, inside) in wrists.items()
        for a, b in intervals(times, inside, 1 / FPS)
        if b - a >= REACH_S - 1e-9
    ]
    return sorted(found, key=lambda r: (r.onset_s, r.person))


@dataclass(frozen=True, slots=True)
class Decision:
    """One deliberation before a shelf; seconds from the first frame.

    Attributes:
        person: who.
        zone: product zone.
        stop_s: first STOP.
        leave_s: LEAVE.
        engage_s: ENGAGE, or None where the person never faced the shelf.
        last_reach_s: onset of the last reach, or None.
        decision_box_s: LEAVE − first STOP.
        decision_pose_s: last reach onset − ENGAGE; LEAVE − ENGAGE without a reach; None without ENGAGE.
        outcome: ``take_candidate``, ``put_back_candidate`` or ``no_touch``, by the rule of the metric definitions.
        did: what the last touch really was: ``take``, ``put_back``, ``touch`` or empty.
        censored: the clip ended first.
    """

    person: str
    zone: str
    stop_s: float
    leave_s: float
    engage_s: float | None
    last_reach_s: float | None
    decision_box_s: float
    decision_pose_s: float | None
    outcome: str
    did: str
    censored: bool


def stops_in_zones(performance: Stage, stays: Sequence[TrueVisit]) -> list[TrueStop]:
    """Return every shopper's stops in every product zone, cut to the stay there."""
    tracks = _tracks(performance.instants)
    found = []
    for stay in stays:
        times, states = tracks[stay.person]
        if stay.zone not in SHELVES or states[0].role != "shopper":
            continue
        for begin, end in stops(times, states):
            start, finish = max(begin, stay.enter_s), min(end, stay.leave_s)
            if finish > start:
                found.append(TrueStop(stay.zone, stay.person, round(start, 2), round(finish, 2)))
    return sorted(found, key=lambda s: (s.start_s, s.person))


def _deliberations(found: Sequence[Interval], stay: TrueVisit) -> list[list[Interval]]:
    """Return the stops within a stay, cut to it, in groups less than 3 s apart that are long enough to count."""
    groups: list[list[Interval]] = []
    for a, b in found:
        a, b = max(a, stay.enter_s), min(b, stay.leave_s)
        if b <= a:
            continue
        if groups and a - groups[-1][-1][1] < TOGETHER_S:
            groups[-1].append((a, b))
        else:
            groups.append([(a, b)])
    return [g for g in groups if sum(b - a for a, b in g) >= DELIBERATE_S - 1e-9]


def decisions(
    performance: Stage, stays: Sequence[TrueVisit], touched: Sequence[Reach], duration_s: float
) -> list[Decision]:
    """Return every shopper's deliberation in every product zone."""
    tracks = _tracks(performance.instants)
    found = []
    for stay in stays:
        times, states = tracks[stay.person]
        if stay.zone not in SHELVES or states[0].role != "shopper":
            continue
        shelf = SHELVES[stay.zone]
        for group in _deliberations(stops(times, states), stay):
            start, leave = group[0][0], group[-1][1]
            facing = [
                t for t, s in zip(times, states, strict=True)
                if any(a <= t < b for a, b in group)
                and abs((s.heading - shelf.heading + math.pi) % (2 * math.pi) - math.pi) <= FACING
            ]  # fmt: skip
            engage = facing[0] if len(facing) >= FPS else None
            here = (stay.person, stay.zone)
            mine = [r for r in touched if (r.person, r.shelf) == here and start <= r.onset_s < leave]
            last = mine[-1].onset_s if mine else None
            outcome = "no_touch"
            if mine:
                again = len(mine) > 1 and mine[-1].onset_s - mine[-2].onset_s <= PUT_BACK_S
                outcome = "put_back_candidate" if again else "take_candidate"
            until = leave if last is None else last
            did = [d.kind for d in performance.deeds if (d.person, d.where) == here and start <= d.start_s < leave]
            found.append(Decision(
                stay.person, stay.zone, round(start, 2), round(leave, 2),
                None if engage is None else round(engage, 2), last, round(leave - start, 2),
                None if engage is None else round(until - engage, 2),
                outcome, did[-1] if did else "", leave >= duration_s - 1.5 / FPS,
            ))  # fmt: skip
    return sorted(found, key=lambda d: (d.stop_s, d.person))


def _tracks(instants: Iterable[Instant]) -> dict[str, tuple[list[float], list[PersonState]]]:
    tracks: dict[str, tuple[list[float], list[PersonState]]] = {}
    for instant in instants:
        for s in instant.people:
            times, states = tracks.setdefault(s.name, ([], []))
            times.append(instant.t_s)
            states.append(s)
    return tracks
