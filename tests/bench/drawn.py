"""Reaches in drawn shops, by one look at each crop and by two: ``python -m tests.bench.drawn``.

Other people, cameras, clothes and goods than the demo clip's and the training's, on which rules about hands may be
chosen. The pictures are drawn here, polygon by polygon, in seconds and without Blender: light falls from one side, and
there are no shadows. Each person is looked at five times a second, in the box that our own person detector gives; whom
it does not find, or of whom less than six tenths can be seen, is left out. A true reach counts where three looks or
more lie in its first second; a measured one beside a true one that does not count is neither right nor wrong.

Told: how many true reaches were found within half a second, how many were measured, F1, and the share of hands away
from where they would hang that are found within a tenth of the body's height.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics import pose
from analytics.body import Box
from analytics.decided import Reached, match_reaches
from analytics.detect import detector
from analytics.guard import overlap
from analytics.model import SECOND
from analytics.pose import Pose
from analytics.reach import handling
from analytics.shopfloor import sight, truth
from analytics.shopfloor.cast import BOTTOMS, HAIR, SKIN
from analytics.shopfloor.figure import Look, Part
from analytics.shopfloor.floor import play
from analytics.shopfloor.shop import FPS, HEIGHT, WIDTH, Array, Camera, Colour, dressing, zones
from analytics.shopfloor.skeleton import Posed
from analytics.stance import HANGS, LIFTED, Stance, Viewpoint
from analytics.training.stills import reachers
from analytics.zones import Ground

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOPS, FIRST, LENGTH_S = 4, 7000, 18.0
SETTLED, EVERY = 20, 2  # frames: everybody stands by then; from one look to the next
KEPT = 0.55  # of those whom `reachers` draws: fewer stand before each other
FINE = 2  # times finer than the picture
SUN = np.array([0.3, -0.4, 0.87])
FLOOR = ((2.3, 4.9), (7.0, 4.6), (7.0, -0.4), (2.2, -0.4))  # metres, of the calibration
SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))  # of a block's corners

Layer = tuple["NDArray[np.float32]", "NDArray[np.float32]"]  # colours and depths, `FINE` times the picture
Side = tuple[float, Array, Array]  # depth, corners in pixels, colour


def _shine(colour: Colour, normal: Array) -> Array:
    light = 0.5 + 0.5 * max(0.0, float(normal @ SUN))
    return np.asarray(np.clip(np.array(colour)[::-1] * light * 1.25, 0, 1) ** (1 / 2.2))


def _sides(camera: Camera, corners: Array, faces: Sequence[Sequence[int]], colour: Colour) -> Iterator[Side]:
    """Yield the faces of a convex thing that look at the camera."""
    pixels, middle = camera.project(corners), corners.mean(axis=0)
    if pixels[:, 2].min() < 0.4:
        return
    for face in map(list, faces):
        own = corners[face]
        normal = np.cross(own[1] - own[0], own[2] - own[0])
        length = float(np.linalg.norm(normal))
        if length == 0:
            continue
        normal = normal / length * (1 if normal @ (own.mean(axis=0) - middle) > 0 else -1)
        if (np.asarray(camera.place) - own.mean(axis=0)) @ normal > 0:
            yield float(pixels[face, 2].mean()), pixels[face], _shine(colour, normal)


def _paint(layer: Layer, sides: Iterator[Side]) -> None:
    """Fill sides into a layer, the farthest first."""
    colours, depths = layer
    for depth, pixels, colour in sorted(sides, key=lambda side: -side[0]):
        outline = np.round(pixels[:, :2] * FINE * 16).astype(np.int32)
        cv2.fillPoly(colours, [outline], colour.tolist(), cv2.LINE_8, 4)
        cv2.fillPoly(depths, [outline], (depth,), cv2.LINE_8, 4)


def _layer() -> Layer:
    size = (HEIGHT * FINE, WIDTH * FINE)
    return np.full((*size, 3), 0.62, np.float32), np.full(size, np.inf, np.float32)


def furnished(camera: Camera, seed: int) -> Layer:
    """Draw the shop without people; the depth of a pixel is that of its own place on a side."""
    layer, depths = _layer(), np.full((HEIGHT * FINE, WIDTH * FINE), np.inf, np.float32)
    sides: list[Side] = []
    for block in dressing(seed):
        low, high = np.array(block.low), np.array(block.high)
        corners = np.array([np.where([i & 4, i & 2, i & 1], high, low) for i in range(8)])
        sides += _sides(camera, corners, SIDES, block.colour)
    _paint(layer, iter(sides))
    for _, pixels, _ in sorted(sides, key=lambda side: -side[0]):
        plane = np.c_[pixels[:, :2] * FINE, np.ones(len(pixels))]
        a, b, c = np.linalg.lstsq(plane, 1 / pixels[:, 2], rcond=None)[0]  # over a side, 1 / depth is linear
        mask = np.zeros(depths.shape, np.uint8)
        cv2.fillPoly(mask, [np.round(plane[:, :2] * 16).astype(np.int32)], (1,), cv2.LINE_8, 4)
        y, x = np.nonzero(mask)
        depths[y, x] = 1 / np.maximum(a * x + b * y + c, 1e-3)
    return layer[0], depths


def draw(
    camera: Camera,
    shop: Layer,
    people: dict[str, Posed],
    parts: dict[str, tuple[Part, ...]],
    chance: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the picture: (360, 640, 3) uint8, BGR."""
    layer = _layer()
    sides: list[Side] = []
    for name, posed in people.items():
        for part in parts[name]:
            if (frame := posed.bones.get(part.bone)) is not None:
                corners = part.vertices @ frame[:3, :3].T + frame[:3, 3]
                sides += _sides(camera, corners, part.faces, part.colour)
    _paint(layer, iter(sides))
    mixed = np.where((layer[1] < shop[1])[..., None], layer[0], shop[0])
    small = cv2.resize(mixed, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) * 255
    return np.asarray(np.clip(small + chance.normal(0, 4, small.shape), 0, 255), np.uint8)


def shop_of(seed: int) -> tuple[sight.Stage, Camera]:
    """Draw by chance who stands where and does what, and a camera beside them, high up."""
    rng = random.Random(seed)
    people = tuple(p for p in reachers(rng, LENGTH_S) if rng.random() < KEPT)

    def colour() -> Colour:
        return rng.uniform(0.02, 0.6) ** 1.3, rng.uniform(0.02, 0.6) ** 1.3, rng.uniform(0.02, 0.6) ** 1.3

    looks = {
        p.name: Look(
            height=p.height,
            build=rng.uniform(0.85, 1.25),
            top=colour(),
            bottom=colour() if rng.random() < 0.4 else rng.choice(BOTTOMS),
            skin=rng.choice(SKIN),
            hair=rng.choice(HAIR),
            shoes=(0.03, 0.03, 0.03),
            cut=rng.choice(("short", "long", "bald", "cap")),
            wear=rng.choice(("shirt", "tee", "coat", "skirt")),
            bag=rng.choice(("none", "none", "basket", "backpack", "handbag")),
        )
        for p in people
    }
    camera = Camera(
        place=(-1.9 + rng.uniform(0, 0.5), rng.uniform(0.8, 4.0), rng.uniform(2.8, 4.5)),
        target=(4.6 + rng.uniform(-0.4, 0.4), rng.uniform(1.2, 2.6), rng.uniform(0.3, 0.9)),
        focal=rng.uniform(380, 470),
    )
    instants, deeds = play(people, LENGTH_S, FPS)
    return sight.posed(people, looks, instants, deeds), camera


@dataclass(slots=True)
class Tally:
    """What one way of looking came to."""

    true: int = 0
    found: int = 0
    measured: int = 0
    lifted: int = 0
    right: int = 0

    def add(self, true: Sequence[truth.Reach], stances: Sequence[Stance]) -> None:
        """Add one person: all their true reaches, and how they stood at each look."""
        times = [s.t_us / SECOND for s in stances]
        whole = [r for r in true if sum(r.onset_s - 0.25 <= t <= r.onset_s + 0.9 for t in times) >= 4]
        measured = [Reached("", start / SECOND) for start, _ in handling(stances).reaches]
        pairs = match_reaches([Reached("", r.onset_s) for r in whole], measured)
        rest = [m for i, m in enumerate(measured) if i not in {j for _, j in pairs}]
        partly = [r for r in true if r not in whole]
        self.true += len(whole)
        self.found += len(pairs)
        self.measured += len(pairs) + sum(all(abs(m.onset_s - r.onset_s) > 0.8 for r in partly) for m in rest)

    def __str__(self) -> str:
        f1 = 2 * self.found / max(1, self.true + self.measured)
        return (
            f"{self.found} of {self.true} reaches found, {self.measured} measured, F1 {f1:.3f};"
            f" {self.right / max(1, self.lifted):.3f} of {self.lifted} lifted hands within a tenth"
        )


def _hands(tally: Tally, joints: NDArray[np.float32], body: Posed, camera: Camera, box: Box) -> None:
    """Count the hands that do not hang, and those of them that were found."""
    tall = box[3] - box[1]
    for side, wrist in (("l", 9), ("r", 10)):
        at = camera.project(np.stack([body.points[f"wrist_{side}"], body.bones[f"arm_{side}"][:3, 3]]))[:, :2]
        if math.dist(at[0], at[1] + (0, HANGS * tall)) > LIFTED * tall:
            tally.lifted += 1
            tally.right += math.dist(at[0], joints[wrist, :2].tolist()) <= 0.1 * tall


def main(words: Sequence[str] | None = None) -> int:
    """Draw, look and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drawn", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--shops", type=int, default=SHOPS, help=f"how many (default: {SHOPS})")
    given = parser.parse_args(words)
    ways: dict[str, Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]] = {
        "one look": lambda one, _: one,
        "the mean of two": lambda one, other: np.asarray((one + other) / 2, np.float32),
        "two looks": pose.agreed,
    }
    tallies = {name: Tally() for name in ways}
    looks: list[NDArray[np.float32]] = []

    def both(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        looks.extend((one, other))
        return one

    net = Pose()
    setattr(pose, "agreed", both)  # noqa: B010 - what the looks say apart is wanted here
    for seed in range(FIRST, FIRST + 2 * given.shops, 2):
        stage, camera = shop_of(seed)
        empty, eyes, chance = furnished(camera, seed), detector(None), np.random.default_rng(seed)
        drawn = {zone.name: zone for zone in zones(camera) if zone.shelf is not None}
        corners = camera.project(np.array([(x, y, 0.0) for x, y in FLOOR]))[:, :2]
        ground = Ground(tuple((float(u), float(v)) for u, v in corners), FLOOR)
        views = {name: Viewpoint(z.shelf, z.polygon, ground) for name, z in drawn.items() if z.shelf is not None}
        bodies = defaultdict(list)
        for body in sight.boxes(stage, step=EVERY, camera=camera):
            x1, y1, x2, y2 = body.box
            if body.visible >= 0.6 and min(x1, y1, WIDTH - x2, HEIGHT - y2) > 2:
                bodies[body.frame].append(body)
        shelf = {s.name: s.shelf for s in stage.instants[-1].people}
        stances: dict[tuple[str, str], list[Stance]] = defaultdict(list)
        for n in range(SETTLED, len(stage.posed), EVERY):
            picture = draw(camera, empty, stage.posed[n], stage.parts, chance)
            seen = eyes.detect(picture)
            boxes: list[Box] = [tuple(b) for b in seen.xyxy[np.asarray(seen.confidence) >= 0.3].tolist()]
            for body in bodies[n]:
                box = max(boxes, key=lambda b, mine=body.box: overlap(b, mine)[0], default=None)  # type: ignore[misc]
                if box is None or overlap(box, body.box)[0] < 0.5:
                    continue
                looks.clear()
                if (first := net.points(picture, box)) is None:
                    continue
                for name, way in ways.items():
                    joints = way(*looks) + (first - looks[0]) if looks else first
                    stand = views[shelf[body.person]].stance(n * SECOND // FPS, joints, box[3] - box[1])
                    stances[name, body.person].append(stand)
                    _hands(tallies[name], joints, stage.posed[n][body.person], camera, body.box)
        true = truth.reaches(stage)
        for (name, person), known in stances.items():
            tallies[name].add([r for r in true if r.person == person], known)
    for name, tally in tallies.items():
        sys.stdout.write(f"{name}: {tally}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
