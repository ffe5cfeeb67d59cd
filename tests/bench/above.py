"""Leaning over a shelf's edge, seen from straight above, by exact boxes: ``python -m tests.bench.above``.

`analytics.stance.OVER` was chosen on these people, so it is no test of it. Each has a camera of their own above the
shelf, 2.6 to 3.4 m high; the edge is drawn at several heights. Nothing is detected: boxes are those of the bodies. A
reach whose beginning is not seen counts for nothing on either side.
"""

from __future__ import annotations

import random
import sys

import numpy as np

from analytics.decided import Reached, match_reaches
from analytics.model import SECOND
from analytics.reach import handling
from analytics.shopfloor import sight, truth
from analytics.shopfloor.shop import FPS, SHELVES, Camera
from analytics.stance import Viewpoint
from analytics.zones import Ground, Point, Shelf
from tests.bench.drawn import EVERY, SETTLED, shop_of

SEEDS, TOP = range(9000, 9010), 0.9  # metres: of a table
HEIGHTS = (0.0, 0.9, 1.1)  # metres, at which the edge is drawn
BEGUN_S = (2.05, 2.2)  # first look, measured and true


def _pixels(camera: Camera, *points: tuple[float, float, float]) -> tuple[Point, ...]:
    return tuple((float(u), float(v)) for u, v, _ in camera.project(np.array(points)))


def main() -> int:
    """Simulate, look and print."""
    found = {height: [0, 0, 0] for height in HEIGHTS}  # right, measured, true
    for seed in SEEDS:
        stage, rng = shop_of(seed)[0], random.Random(seed)
        reaches = truth.reaches(stage)
        for who in stage.instants[-1].people:
            shelf, body = SHELVES[who.shelf], sight._Bodies(stage.parts[who.name])
            (_, fy), (gx, gy) = shelf.facing, shelf.goods(0.5)
            off, x = rng.uniform(0.3, 1.2), who.x + rng.uniform(-0.7, 0.7)
            y, high = gy + off * fy, rng.uniform(2.6, 3.4)
            target = (x + rng.uniform(-0.15, 0.15), y - fy * rng.uniform(0.1, 1.0), 0.0)
            camera = Camera((x, y, high), target, rng.uniform(380, 560))
            frames = range(SETTLED, len(stage.posed), EVERY)
            boxes = [(n, body.see(stage.posed[n][who.name], camera).full) for n in frames]
            floor = _pixels(camera, *((gx + i, gy + fy * j, 0.0) for i, j in ((-0.5, 0.9), (0.5, 0.9), (0.0, 1.2))))
            true = [Reached("", r.onset_s) for r in reaches if r.person == who.name and r.onset_s > BEGUN_S[1]]
            for height, tally in found.items():
                z = min(height, TOP) if shelf.open_top else height
                low, top = _pixels(camera, (*shelf.low, z), (*shelf.high, z))
                view = Viewpoint(Shelf((low, top, floor[2]), (low, top), above=True), floor, Ground())
                spans = handling(view.over(n * SECOND // FPS, box) for n, box in boxes).reaches
                seen = [Reached("", a / SECOND) for a, _ in spans if a / SECOND > BEGUN_S[0]]
                for i, count in enumerate((len(match_reaches(true, seen)), len(seen), len(true))):
                    tally[i] += count
    for height, (right, measured, real) in found.items():
        f1 = 2 * right / max(1, measured + real)
        sys.stdout.write(f"edge at {height:g} m: {right} of {real} found, {measured} measured, F1 {f1:.2f}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
