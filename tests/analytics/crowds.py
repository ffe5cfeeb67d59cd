"""Simulated crowds at the pad: who truly stands where, and what a faulty detector and tracker make of it.

People walk on a floor before a tilted camera. What the camera reports is made worse on purpose: people behind others
are missed, anybody may be missed for a while, tracks break and go on under a new number, two who come near each other
swap numbers or one takes the other's, a fresh track has no number for two frames, some are seen twice, and there are
boxes where nobody is. The true person of every track in every frame is kept beside, for the judge alone.

The tracker here is worse than a real one where people meet; it does not model a number that jumps to a far person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analytics.gate import PadKind, PadLinker, PadOutcome, PadRequest, PadRules
from analytics.guard import Box
from analytics.model import SECOND, Sighting
from analytics.zones import Ground, Zone, ZoneKind
from consent.events import Purpose

FRAME = (1280, 720)
START_US = 1_700_000_000 * SECOND
SUBJECT = "tapper"
NOBODY = -1  # the true person of a false box

_FOCAL, _HEIGHT, _TILT = 700.0, 3.2, math.radians(25)


class Scene(StrEnum):
    """What happens at the pad."""

    LONELY = "lonely"  # nobody else comes near, the shop is busy
    COUPLE = "couple"  # two walk up together, either taps
    QUEUE = "queue"  # somebody waits close behind
    TODDLER = "toddler"  # a small child at the hand
    REPLACED = "replaced"  # one reads the screen and goes, another taps
    PASSER = "passer"  # somebody walks through while the screen is read
    REACH = "reach"  # one stands on the pad, another taps from beside it
    HURRY = "hurry"  # gone as soon as tapped, the next one steps on
    CROWD = "crowd"  # everybody mills about the pad


def project(x: NDArray[np.float64], y: NDArray[np.float64], z: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pixels (…, 2) of floor points at height z, metres."""
    depth = y * math.cos(_TILT) + (_HEIGHT - z) * math.sin(_TILT)
    down = (_HEIGHT - z) * math.cos(_TILT) - y * math.sin(_TILT)
    return np.stack([FRAME[0] / 2 + _FOCAL * x / depth, FRAME[1] / 2 + _FOCAL * down / depth], axis=-1)


def _quad(x: float, y0: float, y1: float) -> tuple[tuple[float, float], ...]:
    return ((-x, y0), (x, y0), (x, y1), (-x, y1))


def _pixels(corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    xs, ys = np.array([c[0] for c in corners]), np.array([c[1] for c in corners])
    return tuple((float(u), float(v)) for u, v in project(xs, ys, 0.0))


PAD_CENTRE = (0.0, 4.05)
PAD = Zone("pad", ZoneKind.PAD, _pixels(_quad(0.45, 3.6, 4.5)))
GROUND = Ground(_pixels(_quad(2.0, 3.0, 7.0)), _quad(2.0, 3.0, 7.0))


@dataclass(frozen=True, slots=True)
class Picture:
    """What the gate is given of one frame, and the truth beside it."""

    t_us: int
    sightings: tuple[Sighting, ...]
    others: tuple[Box, ...]
    truth: dict[int, int]  # track: true person


@dataclass(frozen=True, slots=True)
class Crowd:
    """One simulated scene."""

    scene: Scene
    pictures: tuple[Picture, ...]
    request: PadRequest
    tapper: int  # true person
    ground: Ground


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate made of a crowd."""

    scene: Scene
    outcome: str
    bound: bool
    wrong: bool  # bound to somebody else
    kept_s: float  # recorded of the tapper after the grant
    own_s: float  # how long the tapper was there after the grant
    foreign_s: float  # recorded of anybody else
    why_ended: str


Path = list[tuple[float, float, float]]  # (time s, x m, y m)


def _walk(rng: np.random.Generator, start_s: float, end_s: float, here: tuple[float, float]) -> Path:
    """Walk about from here, stopping now and then, never through the middle of the pad's ring on purpose."""
    path: Path = [(start_s, *here)]
    t, (x, y) = start_s, here
    while t < end_s:
        tx, ty = rng.uniform(-3.2, 3.2), rng.uniform(2.6, 8.5)
        t += max(math.hypot(tx - x, ty - y) / rng.uniform(0.5, 1.5), 0.1)
        x, y = tx, ty
        path.append((t, x, y))
        if rng.random() < 0.4:
            t += rng.uniform(0.5, 4)
            path.append((t, x, y))
    return path


def _away(rng: np.random.Generator, near: bool) -> tuple[float, float]:
    """Somewhere in the room; near the pad or well off it."""
    while True:
        x, y = rng.uniform(-3.2, 3.2), rng.uniform(2.6, 8.5)
        if near or math.hypot(x - PAD_CENTRE[0], y - PAD_CENTRE[1]) > 2.2:
            return float(x), float(y)


def _keeps_off(path: Path, end_s: float) -> bool:
    """Say whether a walker stays two metres off the pad all the time."""
    times = np.arange(0.0, end_s, 0.2)
    xs = np.interp(times, [p[0] for p in path], [p[1] for p in path])
    ys = np.interp(times, [p[0] for p in path], [p[2] for p in path])
    return bool(np.all(np.hypot(xs - PAD_CENTRE[0], ys - PAD_CENTRE[1]) > 2.0))


def _visit(
    rng: np.random.Generator, arrive_s: float, leave_s: float, end_s: float, spot: tuple[float, float], lead_s: float
) -> Path:
    """Come to a spot, stand there, and walk off into the crowd."""
    angle = rng.uniform(0, 2 * math.pi)
    origin = (
        float(np.clip(spot[0] + lead_s * math.cos(angle), -3.3, 3.3)),
        float(np.clip(spot[1] + lead_s * math.sin(angle), 2.5, 8.5)),
    )
    return [(arrive_s - lead_s, *origin), (arrive_s, *spot), *_walk(rng, leave_s, end_s, spot)]


def crowd(seed: int, scene: Scene | None = None, *, faults: float = 1.0, most: int = 5) -> Crowd:
    """Make one scene; the same arguments make the same scene.

    Args:
        seed: of everything random.
        scene: any, if None.
        faults: how often detector and tracker fail, 1 for far worse than real ones and 0 for never.
        most: strollers besides those the scene needs.
    """
    rng = np.random.default_rng(seed)
    scene = scene or tuple(Scene)[int(rng.integers(len(Scene)))]
    fps = float(rng.choice([4.0, 6.0, 9.0]))
    shown = rng.uniform(3.0, 4.0)
    tap = shown + rng.uniform(0.8, 3.0)
    stay = tap + (rng.uniform(0.0, 0.9) if scene is Scene.HURRY else rng.uniform(1.3, 3.0))
    end = stay + 7.0
    spot = (PAD_CENTRE[0] + rng.uniform(-0.2, 0.2), PAD_CENTRE[1] + rng.uniform(-0.2, 0.2))
    side = 1 if rng.random() < 0.5 else -1
    arrive = shown - rng.uniform(0.3, 1.0)
    main = _visit(rng, arrive, stay, end, spot, 2.0)
    paths, heights, tapper = [main], [float(rng.uniform(1.55, 1.9))], 0

    def join(path: Path, height: float | None = None) -> int:
        paths.append(path)
        heights.append(height or float(rng.uniform(1.55, 1.9)))
        return len(paths) - 1

    if scene is Scene.COUPLE:
        beside = (spot[0] + side * rng.uniform(0.3, 0.8), spot[1] + rng.uniform(-0.3, 0.3))
        shift = beside[0] - spot[0], beside[1] - spot[1]
        other = join([(t + 0.1, x + shift[0], y + shift[1]) for t, x, y in main])
        tapper = other if rng.random() < 0.5 else 0
    elif scene is Scene.QUEUE:
        behind = (spot[0] + rng.uniform(-0.3, 0.3), spot[1] + side * rng.uniform(0.6, 1.5))
        join(_visit(rng, arrive + rng.uniform(-1, 2), stay + 1.0, end, behind, 2.0))
    elif scene is Scene.TODDLER:
        drift = rng.uniform(-0.4, 0.4, size=(len(main), 2))
        join([(t, x + 0.1 * side + d[0], y + d[1]) for (t, x, y), d in zip(main, drift, strict=True)], 0.85)
    elif scene is Scene.REPLACED:
        gone = shown + rng.uniform(0.2, max(0.25, tap - shown - 0.4))
        paths[0] = _visit(rng, arrive, gone, end, spot, 2.0)
        tapper = join(_visit(rng, min(gone + rng.uniform(0.2, 1.2), tap), stay, end, PAD_CENTRE, 1.5))
    elif scene is Scene.PASSER:
        when, off = rng.uniform(shown, tap + 1), rng.uniform(-0.9, 0.9)
        join([(when - 2.5, -3.0 * side, 4.05 + off), (when + 2.5, 3.0 * side, 4.05 + off), (end, 3.0 * side, 8.0)])
    elif scene is Scene.REACH:
        beside = (side * rng.uniform(0.6, 0.95), 4.05 + rng.uniform(-0.5, 0.5))
        tapper = join(_visit(rng, arrive + rng.uniform(-0.5, 0.5), stay, end, beside, 2.0))
    elif scene is Scene.HURRY:
        join(_visit(rng, stay + rng.uniform(0.1, 0.6), stay + 3, end, PAD_CENTRE, 1.2))
    for _ in range(int(rng.integers(0, most + 1))):
        near = scene is Scene.CROWD
        path = _walk(rng, 0.0, end, _away(rng, near))
        for _ in range(200):
            if near or _keeps_off(path, stay):
                break
            path = _walk(rng, 0.0, end, _away(rng, near))
        join(path)

    times = np.arange(0.0, end, 1 / fps) + rng.uniform(0, 0.02)
    stamps = [START_US + round(t * SECOND) for t in times.tolist()]
    pictures = _report(rng, times, stamps, paths, np.array(heights), fps, faults)
    request = PadRequest(
        1,
        PadKind.GRANT,
        SUBJECT,
        frozenset({Purpose.DWELL}),
        START_US + round(shown * SECOND),
        START_US + round(tap * SECOND),
    )
    return Crowd(scene, tuple(pictures), request, tapper, GROUND if rng.random() < 0.5 else Ground())


def _overlaps(boxes: NDArray[np.float64], grow: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (T, N, N) intersection over union of grown boxes, and the share of the first box that is covered."""
    margin = (boxes[..., 2:3] - boxes[..., 0:1]) * grow
    big = boxes + margin * np.array([-1.0, -1.0, 1.0, 1.0])
    a, b = big[:, :, None, :], big[:, None, :, :]
    size = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    common = size[..., 0] * size[..., 1]
    area = (big[..., 2] - big[..., 0]) * (big[..., 3] - big[..., 1])
    return common / (area[:, :, None] + area[:, None, :] - common), common / area[:, :, None]


def _report(
    rng: np.random.Generator,
    times: NDArray[np.float64],
    stamps: list[int],
    paths: list[Path],
    heights: NDArray[np.float64],
    fps: float,
    faults: float,
) -> Iterator[Picture]:
    """Turn true paths into what a poor detector and a poor tracker say of them."""
    steps, people = len(times), len(paths)
    xs, ys = np.empty((steps, people)), np.empty((steps, people))
    present = np.empty((steps, people), dtype=bool)
    for n, path in enumerate(paths):
        at = [p[0] for p in path]
        xs[:, n] = np.interp(times, at, [p[1] for p in path])
        ys[:, n] = np.interp(times, at, [p[2] for p in path])
        present[:, n] = times >= at[0]
    feet, heads = project(xs, ys, 0.0), project(xs, ys, heights)
    tall = feet[..., 1] - heads[..., 1]
    wide = tall * 0.32
    boxes = np.stack([feet[..., 0] - wide / 2, heads[..., 1], feet[..., 0] + wide / 2, feet[..., 1]], axis=-1)
    boxes += rng.normal(0, 0.012, size=boxes.shape) * tall[..., None]

    iou, cover = _overlaps(boxes, 0.0)
    both = present[:, :, None] & present[:, None, :] & ~np.eye(people, dtype=bool)
    nearer = ys[:, None, :] < ys[:, :, None]
    covered = np.where(both & nearer, cover, 0).max(axis=2)
    missed = (covered > 0.6) & (rng.random((steps, people)) < 0.9)
    missed |= rng.random((steps, people)) < faults * np.where(heights < 1.2, 0.35, 0.03)
    for t, n in np.argwhere(rng.random((steps, people)) < faults * 0.04 / fps):
        missed[t : t + int(rng.integers(2, int(2 * fps) + 2)), n] = True
    seen = present & ~missed
    close = _overlaps(boxes, 0.25)[0] > 0
    swap = np.where(iou > 0.1, 0.06, np.where(iou > 0, 0.01, 0.0))
    swap = np.where(close & (missed[:, :, None] | missed[:, None, :]), np.maximum(swap, 0.03), swap)
    swaps = both & (rng.random(swap.shape) < faults * swap * 6 / fps)
    twice = rng.random((steps, people)) < faults * 0.03
    confidence = np.clip(rng.normal(0.75, 0.12, size=(steps, people)), 0.1, 0.98)

    number, ids, last, age = 0, [0] * people, [-(10**6)] * people, [0] * people
    keeps = rng.random((steps, people))
    false_at = {int(t): int(rng.integers(1, 8)) for t in rng.integers(0, steps, size=rng.poisson(faults))}
    false: list[tuple[int, Box, int]] = []  # (last step, box, track or 0)
    box_list, seen_list, confidence_list = boxes.tolist(), seen.tolist(), confidence.tolist()
    swap_at: dict[int, list[tuple[int, int]]] = {}
    for t, i, j in np.argwhere(swaps):
        if i < j:
            swap_at.setdefault(int(t), []).append((int(i), int(j)))
    for t in range(steps):
        for i, j in swap_at.get(t, ()):
            if ids[i] and ids[j]:
                ids[i], ids[j] = ids[j], ids[i]
                age[i] = age[j] = 9
        sightings, others, truth = [], [], {}
        for n in range(people):
            if not seen_list[t][n]:
                continue
            box = box_list[t][n]
            gap_s = (t - last[n]) / fps
            if gap_s > 3 or (gap_s > 0.4 and keeps[t, n] < 0.4) or keeps[t, n] > 1 - faults * 0.01 / fps:
                number += 1
                ids[n], age[n] = number, 0
            last[n] = t
            age[n] += 1
            if twice[t, n]:  # half of them once more, too faint for a number
                others.append((box[0], box[1], box[2], (box[1] + box[3]) / 2 + 0.3 * (box[3] - box[1])))
            if age[n] <= 2:
                others.append(tuple(box))
                continue
            sightings.append(
                Sighting(ids[n], (box[0] + box[2]) / 2, box[3], box[3] - box[1], confidence_list[t][n], tuple(box))
            )
            truth[ids[n]] = n
        if t in false_at:
            u, v = rng.uniform(200, 1080), rng.uniform(250, 700)
            number += 1
            false.append(
                (t + false_at[t], (u - 30, v - 170, u + 30, v), number if rng.random() < 0.4 else 0),
            )
        for until, box, track in false:
            if t <= until and track:
                sightings.append(Sighting(track, (box[0] + box[2]) / 2, box[3], box[3] - box[1], 0.3, box))
                truth[track] = NOBODY
            elif t <= until:
                others.append(box)
        yield Picture(stamps[t], tuple(sightings), tuple(others), truth)


def judge(crowd_: Crowd, rules: PadRules | None = None) -> Verdict:
    """Run the gate over a crowd and compare with the truth."""
    linker = PadLinker(PAD, ground=crowd_.ground, rules=rules, frame_size=FRAME)
    outcome, track, wrong, asked = "unanswered", 0, False, False
    history: list[tuple[int, int | None]] = []  # (instant, true person of the linked track)
    for picture in crowd_.pictures:
        due, asked = ([crowd_.request], True) if not asked and picture.t_us >= crowd_.request.shown_us else ([], asked)
        for answer in linker.step(picture.t_us, picture.sightings, due, others=picture.others):
            outcome = answer.outcome.value
            if answer.outcome is PadOutcome.LINKED:
                track = answer.tracks[0]
                wrong = picture.truth.get(track) != crowd_.tapper
        if track:
            history.append((picture.t_us, picture.truth.get(track)))
    if not track:
        return Verdict(crowd_.scene, outcome, False, False, 0.0, 0.0, 0.0, "")
    permit = linker.links.permit(track)
    assert permit is not None
    kept = foreign = 0
    for (t_us, who), (next_us, _) in pairwise(history):
        if t_us <= permit.until_us:
            if who in (crowd_.tapper, None):
                kept += next_us - t_us
            else:
                foreign += next_us - t_us
    own = crowd_.pictures[-1].t_us - permit.start_us
    why = "" if permit.ended is None else permit.ended.value
    return Verdict(crowd_.scene, outcome, True, wrong, kept / SECOND, own / SECOND, foreign / SECOND, why)
