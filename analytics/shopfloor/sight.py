"""What the camera sees of the demo shop: who is where in each frame, to the tenth of a pixel, and how much of them.

Computed from the bodies' geometry, never from a rendered pixel, so it is exact whatever the renderer does. Only the
visible share is approximate: it is counted on a pixel raster with one depth for each body part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.shopfloor import cast, gait
from analytics.shopfloor.figure import Look, Part, body
from analytics.shopfloor.floor import play
from analytics.shopfloor.script import Deed, Instant, Person
from analytics.shopfloor.shop import BLOCKS, CAMERA, FPS, HEIGHT, WIDTH, Array, Camera
from analytics.shopfloor.skeleton import Posed, pose

POINTS = ("head", "wrist_l", "wrist_r", "ankle_l", "ankle_r")


@dataclass(frozen=True, slots=True)
class Stage:
    """The whole performance, posed.

    Attributes:
        people: the cast.
        looks: by name.
        parts: bodies by name.
        instants: everybody at each frame.
        deeds: what was done.
        posed: per frame, the bodies by name.
    """

    people: tuple[Person, ...]
    looks: dict[str, Look]
    parts: dict[str, tuple[Part, ...]]
    instants: tuple[Instant, ...]
    deeds: tuple[Deed, ...]
    posed: tuple[dict[str, Posed], ...] = field(repr=False)


def stage(duration_s: float = cast.DURATION_S) -> Stage:
    """Play the demo clip's script and pose every body at every frame."""
    instants, deeds = play(cast.CAST, duration_s, FPS)
    return posed(cast.CAST, cast.looks(), instants, deeds)


def posed(
    people: tuple[Person, ...], looks: dict[str, Look], instants: tuple[Instant, ...], deeds: tuple[Deed, ...] = ()
) -> Stage:
    """Pose every body of a performance at every instant."""
    found: tuple[dict[str, Posed], ...] = tuple({} for _ in instants)
    for person in people:
        seen = [(n, i.t_s, s) for n, i in enumerate(instants) for s in i.people if s.name == person.name]
        if not seen:
            continue
        look = looks[person.name]
        stances = gait.stances(look, [t for _, t, _ in seen], [s for _, _, s in seen])
        for (n, _, _), stance in zip(seen, stances, strict=True):
            found[n][person.name] = pose(look, stance)
    return Stage(people, looks, {n: body(look) for n, look in looks.items()}, instants, deeds, found)


@dataclass(frozen=True, slots=True)
class Box:
    """One person in one frame.

    Attributes:
        frame: number from 0.
        person: name.
        box: x1, y1, x2, y2 of the whole body in pixels, hidden parts too, cut at the frame's edge.
        visible: share of the body's silhouette that can be seen, 0 to 1.
        points: (5, 2) pixels of `POINTS`, wherever they are.
    """

    frame: int
    person: str
    box: tuple[float, float, float, float]
    visible: float
    points: Array = field(repr=False)


def _furniture_depth(camera: Camera) -> NDArray[np.float32]:
    """Return (height, width) metres to the first furniture or wall along the view axis; infinite where none is."""
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    axes = camera.axes()
    right, down = (u[..., None] - WIDTH / 2) / camera.focal, (v[..., None] - HEIGHT / 2) / camera.focal
    rays = right * axes[0] + down * axes[1] + axes[2]
    place = np.asarray(camera.place)
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    for block in BLOCKS:
        a, b = (np.asarray(block.low) - place) / rays, (np.asarray(block.high) - place) / rays
        enter, leave = np.minimum(a, b).max(axis=2), np.maximum(a, b).min(axis=2)
        nearest = np.where((enter < leave) & (enter > 0), np.minimum(nearest, enter), nearest)
    return nearest.astype(np.float32)


@dataclass(slots=True)
class _Seen:
    """One projected body: full box (uncut), outline of each part, and its depth raster once it is wanted."""

    full: tuple[float, float, float, float]
    corners: Array  # (n, 3) pixel x, y, depth
    spans: list[tuple[int, int]]
    raster: NDArray[np.float32] | None = None

    @property
    def origin(self) -> tuple[int, int]:
        return math.floor(self.full[0]), math.floor(self.full[1])

    def depths(self) -> NDArray[np.float32]:
        if self.raster is None:
            ox, oy = self.origin
            size = (math.ceil(self.full[3]) - oy + 1, math.ceil(self.full[2]) - ox + 1)
            raster = np.full(size, np.inf, np.float32)
            outline = (self.corners[:, :2] - (ox + 0.5, oy + 0.5)).astype(np.float32)
            starts, ends = np.array(self.spans).T
            far = np.add.reduceat(self.corners[:, 2], starts) / (ends - starts)
            for k in np.argsort(-far, kind="stable"):  # far parts first, nearer ones over them
                hull = np.round(cv2.convexHull(outline[starts[k] : ends[k]]) * 16).astype(np.int32)
                cv2.fillConvexPoly(raster, hull, float(far[k]), lineType=cv2.LINE_8, shift=4)
            self.raster = raster
        return self.raster


class _Bodies:
    """Projects one body quickly: all corners of a bone in one multiplication."""

    def __init__(self, parts: Sequence[Part]) -> None:
        worn = sorted((p for p in parts if p.worn), key=lambda p: p.bone)
        ends = [0, *np.cumsum([len(p.vertices) for p in worn]).tolist()]
        self.spans = list(pairwise(ends))
        self.bones: list[tuple[str, int, int, Array]] = []
        for bone in sorted({p.bone for p in worn}):
            mine = [k for k, p in enumerate(worn) if p.bone == bone]
            corners = np.concatenate([worn[k].vertices for k in mine])
            self.bones.append((bone, ends[mine[0]], ends[mine[-1] + 1], corners))
        self.count = ends[-1]

    def see(self, posed: Posed, camera: Camera) -> _Seen:
        world = np.empty((self.count, 3))
        for bone, a, b, corners in self.bones:
            m = posed.bones[bone]
            world[a:b] = corners @ m[:3, :3].T + m[:3, 3]
        pixels = camera.project(world)
        (x1, y1), (x2, y2) = pixels[:, :2].min(axis=0), pixels[:, :2].max(axis=0)
        return _Seen((float(x1), float(y1), float(x2), float(y2)), pixels, self.spans)


def _visible(name: str, seen: dict[str, _Seen], furniture: NDArray[np.float32]) -> float:
    """Count the share of a body's silhouette before which nothing nearer stands, and which lies in the frame."""
    me = seen[name]
    x1, y1, x2, y2 = me.full
    fx1, fy1 = max(0, math.floor(x1)), max(0, math.floor(y1))
    fx2, fy2 = min(WIDTH, math.ceil(x2)), min(HEIGHT, math.ceil(y2))
    if fx1 >= fx2 or fy1 >= fy2:
        return 0.0
    near = [
        o for n, o in seen.items()
        if n != name and o.full[0] < x2 and o.full[2] > x1 and o.full[1] < y2 and o.full[3] > y1
    ]  # fmt: skip
    inside = (fx1, fy1, fx2, fy2) == (math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    if inside and not near and float(furniture[fy1:fy2, fx1:fx2].min()) > float(me.corners[:, 2].max()):
        return 1.0
    mine = me.depths()
    ox, oy = me.origin
    whole = int(np.isfinite(mine).sum())
    if not whole:
        return 0.0
    part = mine[fy1 - oy : fy2 - oy, fx1 - ox : fx2 - ox]
    before = furniture[fy1:fy2, fx1:fx2].copy()
    for other in near:
        theirs = other.depths()
        px, py = other.origin
        bx1, by1 = max(fx1, px), max(fy1, py)
        bx2, by2 = min(fx2, px + theirs.shape[1]), min(fy2, py + theirs.shape[0])
        if bx1 < bx2 and by1 < by2:
            view = before[by1 - fy1 : by2 - fy1, bx1 - fx1 : bx2 - fx1]
            np.minimum(view, theirs[by1 - py : by2 - py, bx1 - px : bx2 - px], out=view)
    return float((np.isfinite(part) & (part < before)).sum()) / whole


def boxes(performance: Stage, step: int = 1, camera: Camera = CAMERA) -> list[Box]:
    """Return every person of every `step`-th frame of whom anything can be seen."""
    furniture = _furniture_depth(camera)
    bodies = {name: _Bodies(parts) for name, parts in performance.parts.items()}
    found = []
    for n in range(0, len(performance.posed), step):
        seen = {name: bodies[name].see(p, camera) for name, p in performance.posed[n].items()}
        for name, me in seen.items():
            visible = _visible(name, seen, furniture)
            if visible <= 0.0:
                continue
            x1, y1, x2, y2 = me.full
            cut = (max(0.0, x1), max(0.0, y1), min(float(WIDTH), x2), min(float(HEIGHT), y2))
            points = camera.project(np.stack([performance.posed[n][name].points[k] for k in POINTS]))[:, :2]
            box = tuple(round(v, 1) for v in cut)
            found.append(Box(n, name, (box[0], box[1], box[2], box[3]), round(visible, 2), points))
    return found
