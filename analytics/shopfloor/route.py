"""Ways around the furniture: shortest paths on the floor plan. Pure geometry; people are not obstacles here.

Solid blocks are grown by a body's half width; a path runs through their corners (a visibility graph). The pad and its
guard ring are walked around too by everybody who neither stands in them nor wants to.
"""

from __future__ import annotations

import heapq
import math
from functools import cache

from analytics.shopfloor.shop import BLOCKS, FLOOR_ZONES, PAD_CLEARANCE

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]  # x1, y1, x2, y2

MARGIN = 0.38  # metres between a path and furniture
BODY = 0.24  # metres that the middle of a body keeps from furniture whatever happens

FURNITURE: tuple[Rectangle, ...] = tuple((b.low[0], b.low[1], b.high[0], b.high[1]) for b in BLOCKS if b.solid)


def _pad_ring() -> Rectangle:
    corners = FLOOR_ZONES["pad"][1]
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    return min(xs) - PAD_CLEARANCE, min(ys) - PAD_CLEARANCE, max(xs) + PAD_CLEARANCE, max(ys) + PAD_CLEARANCE


PAD_RING = _pad_ring()


def _grow(r: Rectangle, by: float) -> Rectangle:
    return r[0] - by, r[1] - by, r[2] + by, r[3] + by


def _holds(r: Rectangle, p: Point) -> bool:
    return r[0] < p[0] < r[2] and r[1] < p[1] < r[3]


def _cuts(r: Rectangle, a: Point, b: Point) -> bool:
    """Say whether the segment passes through the inside of the rectangle (Liang and Barsky's clipping)."""
    low, high = 0.0, 1.0
    for k in (0, 1):
        d = b[k] - a[k]
        near, far = r[k] - a[k], r[k + 2] - a[k]
        if abs(d) < 1e-12:
            if near >= 0 or far <= 0:
                return False
            continue
        t1, t2 = sorted((near / d, far / d))
        low, high = max(low, t1), min(high, t2)
    return high - low > 1e-9


@cache
def path(start: Point, goal: Point) -> tuple[Point, ...]:
    """Return the corners to walk to, goal last; the straight way where nothing can be found."""
    grown = []
    for f in FURNITURE:
        for by in (MARGIN, BODY):  # whoever stands close to a thing walks around it closely
            r = _grow(f, by)
            if not _holds(r, start) and not _holds(r, goal):
                grown.append(r)
                break
    if not _holds(PAD_RING, start) and not _holds(PAD_RING, goal):
        grown.append(PAD_RING)
    nodes: list[Point] = [start, goal]
    for r in grown:
        for corner in ((r[0], r[1]), (r[2], r[1]), (r[2], r[3]), (r[0], r[3])):
            out_of_bounds = not (0.3 < corner[0] < 7.7 and -0.6 < corner[1] < 6.2)
            if not out_of_bounds and not any(_holds(other, corner) for other in grown):
                nodes.append(corner)
    best = {0: 0.0}
    before: dict[int, int] = {}
    heap = [(0.0, 0)]
    while heap:
        cost, at = heapq.heappop(heap)
        if at == 1:
            break
        if cost > best[at]:
            continue
        for to in range(1, len(nodes)):
            if to == at or any(_cuts(r, nodes[at], nodes[to]) for r in grown):
                continue
            total = cost + math.dist(nodes[at], nodes[to])
            if total < best.get(to, math.inf):
                best[to], before[to] = total, at
                heapq.heappush(heap, (total, to))
    if 1 not in before:
        return (goal,)
    way, at = [], 1
    while at:
        way.append(nodes[at])
        at = before[at]
    return tuple(reversed(way))


def push_out(x: float, y: float) -> Point:
    """Return the nearest place whose body does not stand in furniture."""
    for f in FURNITURE:
        r = _grow(f, BODY)
        if _holds(r, (x, y)):
            ways = ((x - r[0], (r[0], y)), (r[2] - x, (r[2], y)), (y - r[1], (x, r[1])), (r[3] - y, (x, r[3])))
            x, y = min(ways)[1]
    return x, y
