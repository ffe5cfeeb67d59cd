"""The place: floor plan, furniture, shelves, ceiling camera. Numbers only; nothing moves and nothing is drawn here.

Space is metres: x along the back wall, y away from the front wall, z up, the floor at z = 0. The camera is a pinhole
without distortion; its pixels are those of the full frame, origin top left, pixel i covering [i, i + 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analytics import zones as drawn
from analytics.zones import Zone, ZoneKind

Array = NDArray[np.float64]
Colour = tuple[float, float, float]  # linear RGB, 0 to 1

WIDTH, HEIGHT = 640, 360  # pixels of the clip
FPS = 10  # frames a second of the clip


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole under the ceiling.

    Attributes:
        place: optical centre, metres.
        target: the point that it looks at, metres, not straight below it; the picture's up is the world's.
        focal: focal length, pixels.
        roll: by which the camera is turned clockwise around its axis, radians.
    """

    place: tuple[float, float, float]
    target: tuple[float, float, float]
    focal: float
    roll: float = 0.0

    @cache  # noqa: B019 - a camera is frozen, and there is one
    def axes(self) -> Array:
        """Return (3, 3): the directions right, down and forward of the picture, in world axes, as rows."""
        forward = np.subtract(self.target, self.place)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        down = np.cross(forward, right)
        c, s = math.cos(self.roll), math.sin(self.roll)
        return np.stack([c * right + s * down, c * down - s * right, forward])

    def project(self, points: Array) -> Array:
        """Return (n, 3) pixel x, pixel y and depth in metres of (n, 3) world points; depth ≤ 0 is behind the camera."""
        seen = (np.asarray(points, dtype=np.float64) - np.asarray(self.place)) @ self.axes().T
        depth = np.where(np.abs(seen[:, 2]) < 1e-6, 1e-6, seen[:, 2])
        return np.stack(
            [
                WIDTH / 2 + self.focal * seen[:, 0] / depth,
                HEIGHT / 2 + self.focal * seen[:, 1] / depth,
                seen[:, 2],
            ],
            axis=1,
        )

    def standing(self, x: float, y: float, height: float) -> tuple[float, float, float, float]:
        """Return about the box of somebody who stands at a floor point: x1, y1, x2, y2, pixels, not cut at the frame.

        A shape between a cylinder and a body: good to a tenth of the height, for simulations without bodies.
        """
        around = [(0.13 * math.cos(a) * height, 0.13 * math.sin(a) * height) for a in np.linspace(0, 2 * math.pi, 9)]
        rings = ((0.0, 0.6), (0.5, 1.0), (0.78, 1.0), (1.0, 0.3))
        points = [(x + wide * dx, y + wide * dy, up * height) for up, wide in rings for dx, dy in around]
        pixels = self.project(np.array(points))
        (x1, y1), (x2, y2) = pixels[:, :2].min(axis=0), pixels[:, :2].max(axis=0)
        return float(x1), float(y1), float(x2), float(y2)


# In the middle of the near wall, high up: whoever stands at the till, at a table or before the back wall is seen from
# the side, so that their hands are in free view, and who is three metres behind another is seen over that one's head.
CAMERA = Camera(place=(-1.9, 2.3, 4.2), target=(4.6, 2.4, 0.6), focal=425.0)


@dataclass(frozen=True, slots=True)
class Block:
    """A box-shaped thing standing on or hanging over the floor.

    Attributes:
        name: what it is.
        low: corner with the smallest x, y, z, metres.
        high: corner with the largest x, y, z, metres.
        colour: linear RGB.
        solid: whether people walk around it.
    """

    name: str
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: Colour
    solid: bool = True


WALL = (0.52, 0.50, 0.46)
WOOD = (0.42, 0.27, 0.15)
METAL = (0.55, 0.56, 0.58)
DARK = (0.05, 0.05, 0.06)
TABLE = 0.4  # metres from a table's edge to where the next one begins
TALL = 4.8  # metres from floor to ceiling


@dataclass(frozen=True, slots=True)
class Shelf:
    """Goods with a face that people stand before and reach into.

    Attributes:
        name: that of the product zone before it.
        low: first corner of the face on the floor, metres (x, y).
        high: last corner of the face on the floor.
        facing: unit vector out of the face, to where people stand.
        heights: boards that can be reached, metres above the floor.
        open_top: a table with goods on top rather than a shelf with boards.
    """

    name: str
    low: tuple[float, float]
    high: tuple[float, float]
    facing: tuple[float, float]
    heights: tuple[float, ...]
    open_top: bool = False

    def spot(self, along: float, height: float = 1.7) -> tuple[float, float]:
        """Return where somebody `height` metres tall stands for the goods at `along` (0 to 1 of the face's length)."""
        x, y = self.goods(along)
        off = 0.25 * height
        return x + off * self.facing[0], y + off * self.facing[1]

    def goods(self, along: float) -> tuple[float, float]:
        """Return the point of the face at `along`, metres on the floor plan."""
        (x1, y1), (x2, y2) = self.low, self.high
        return x1 + along * (x2 - x1), y1 + along * (y2 - y1)

    def depth(self, x: float, y: float) -> float:
        """Return how far a point is behind the face, metres; negative in front of it."""
        return -((x - self.low[0]) * self.facing[0] + (y - self.low[1]) * self.facing[1])

    @property
    def heading(self) -> float:
        """Direction in which somebody at the shelf looks, radians from the x axis."""
        return math.atan2(-self.facing[1], -self.facing[0])


SHELVES = {
    s.name: s
    for s in (
        Shelf("tea", (2.3, -1.45), (4.3, -1.45), (0.0, 1.0), (0.75, 1.1, 1.45)),
        Shelf("coffee", (5.0, -1.45), (6.8, -1.45), (0.0, 1.0), (0.75, 1.1, 1.45)),
        Shelf("sweets", (3.3, 0.8), (4.9, 0.8), (0.0, -1.0), (0.92,), open_top=True),
        Shelf("fruit", (3.3, 1.6), (4.9, 1.6), (0.0, 1.0), (0.92,), open_top=True),
    )
}

BLOCKS = (
    Block("back wall", (-2.0, -2.0, 0.0), (8.1, -1.9, TALL), WALL),
    Block("front wall", (-2.0, 6.6, 0.0), (8.1, 6.7, TALL), WALL),
    Block("right wall, front", (8.0, 4.5, 0.0), (8.1, 6.6, TALL), WALL),
    Block("right wall, back", (8.0, -1.9, 0.0), (8.1, 2.1, TALL), WALL),
    Block("lintel", (8.0, 2.1, 2.3), (8.1, 4.5, TALL), WALL, solid=False),
    Block("tea shelf", (2.2, -1.9, 0.0), (4.4, -1.45, 1.85), METAL),
    Block("coffee shelf", (4.9, -1.9, 0.0), (6.9, -1.45, 1.85), METAL),
    Block("sweets table", (3.2, 0.8, 0.0), (5.0, 1.2, 0.9), WOOD),
    Block("fruit table", (3.2, 1.2, 0.0), (5.0, 1.6, 0.9), WOOD),
    Block("counter", (2.5, 4.95, 0.0), (3.4, 5.45, 0.95), WOOD),
    Block("till", (2.95, 5.05, 0.95), (3.25, 5.35, 1.25), DARK),
    Block("kiosk foot", (6.55, 6.2, 0.0), (6.85, 6.35, 1.05), DARK),
    Block("kiosk screen", (6.42, 6.22, 1.05), (6.98, 6.32, 1.45), (0.1, 0.25, 0.5), solid=False),
)

GOODS_COLOURS: tuple[Colour, ...] = (
    (0.35, 0.09, 0.07), (0.45, 0.26, 0.08), (0.10, 0.20, 0.09), (0.09, 0.14, 0.27),
    (0.45, 0.41, 0.34), (0.20, 0.10, 0.16), (0.38, 0.34, 0.14), (0.12, 0.24, 0.26),
)  # fmt: skip


def dressing(seed: int = 7) -> tuple[Block, ...]:
    """Return what the eye sees of the furniture: shelves with boards and goods instead of their outer boxes."""
    rng = np.random.default_rng(seed)
    shown = [b for b in BLOCKS if not b.name.endswith((" shelf", " table"))]

    def add(low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour, name: str) -> None:
        shown.append(Block(name, low, high, colour, solid=False))

    for block in BLOCKS:
        (x1, y1, _), (x2, y2, top) = block.low, block.high
        if block.name.endswith(" table"):
            add((x1, y1, 0.0), (x2, y2, 0.76), WOOD, block.name)
            for i in range(6):
                px, py = x1 + 0.03 + 0.295 * i, y1 + 0.03
                colour = GOODS_COLOURS[int(rng.integers(len(GOODS_COLOURS)))]
                add((px, py, 0.76), (px + 0.27, y2 - 0.03, float(rng.uniform(0.84, 0.9))), colour, "crate")
        elif block.name.endswith(" shelf"):
            # both stand along x; the panel is where nobody reaches in
            away = SHELVES[block.name.removesuffix(" shelf")].facing[1] < 0
            panel, inner = (
                ((y2 - 0.05, y2), (y1 + 0.03, y2 - 0.1)) if away else ((y1, y1 + 0.05), (y1 + 0.1, y2 - 0.03))
            )
            add((x1, y1, 0.0), (x2, y2, 0.12), METAL, "plinth")
            add((x1, panel[0], 0.0), (x2, panel[1], top), METAL, "back panel")
            for z in (0.45, 0.8, 1.15, 1.5, top - 0.02):
                add((x1, y1, z), (x2, y2, z + 0.02), (0.8, 0.8, 0.78), "board")
            for z in (0.12, 0.47, 0.82, 1.17, 1.52):
                at, colour = x1 + 0.02, GOODS_COLOURS[0]
                while at < x2 - 0.16:
                    wide, tall = float(rng.uniform(0.07, 0.14)), float(rng.uniform(0.16, 0.28))
                    if rng.random() < 0.4:
                        colour = GOODS_COLOURS[int(rng.integers(len(GOODS_COLOURS)))]
                    add((at, inner[0], z), (at + wide, inner[1], z + tall), colour, "goods")
                    at += wide + 0.015
    return tuple(shown)


# Corners in metres; the zone file holds the same corners in pixels.
FLOOR_ZONES: dict[str, tuple[ZoneKind, tuple[tuple[float, float], ...]]] = {
    "entrance": (ZoneKind.ENTRANCE, ((6.7, 4.5), (7.95, 4.5), (7.95, 3.35), (6.7, 3.35))),
    "exit": (ZoneKind.EXIT, ((6.9, 3.25), (7.95, 3.25), (7.95, 2.1), (6.9, 2.1))),
    "pad": (ZoneKind.PAD, ((6.2, 5.95), (7.2, 5.95), (7.2, 4.95), (6.2, 4.95))),
    "tea": (ZoneKind.PRODUCT, ((2.1, -0.35), (4.5, -0.35), (4.5, -1.4), (2.1, -1.4))),
    "coffee": (ZoneKind.PRODUCT, ((4.8, -0.35), (7.0, -0.35), (7.0, -1.4), (4.8, -1.4))),
    "sweets": (ZoneKind.PRODUCT, ((3.0, 0.75), (5.2, 0.75), (5.2, -0.2), (3.0, -0.2))),
    "fruit": (ZoneKind.PRODUCT, ((3.1, 2.6), (5.2, 2.6), (5.2, 1.65), (3.1, 1.65))),
    "service": (ZoneKind.SERVICE, ((2.15, 4.9), (3.05, 4.9), (3.05, 4.05), (2.15, 4.05))),
    "queue": (ZoneKind.QUEUE, ((2.15, 4.05), (3.05, 4.05), (3.05, 1.7), (2.15, 1.7))),
    "staff": (ZoneKind.STAFF, ((2.2, 6.55), (5.0, 6.55), (5.0, 5.5), (2.2, 5.5))),
    # what the camera sees of the street through the door
    "pavement": (ZoneKind.OUTSIDE, ((8.2, 4.5), (10.4, 5.0), (10.4, 2.0), (8.2, 2.05))),
}

GUARD_RING = 0.6  # metres around the pad in which nobody else may stand when a consent is tied to a track
PAD_CLEARANCE = 0.8  # metres around the pad through which nobody walks who does not want to go there

SERVICE_SPOT = (2.6, 4.5)
SERVICE_HEADING = math.pi / 2  # who queues or pays looks at the counter
QUEUE_SPOTS = ((2.6, 3.75), (2.6, 3.0), (2.6, 2.25))
STAFF_SPOT = (2.65, 5.85)
STAFF_HEADING = -math.pi / 2
PAD_SPOT = (6.7, 5.5)
PAD_HEADING = math.pi / 2
STREET_IN = (9.4, 6.2)  # out of sight of the camera: people come into being here
STREET_OUT = (9.4, -0.3)  # and end here
WAY_IN = ((8.8, 3.75), (7.7, 3.75), (7.0, 3.75))
WAY_OUT = ((7.5, 2.7), (8.6, 2.55), STREET_OUT)
AFTER_PAYING = (3.7, 3.8)  # out of the queue's way


def zones(camera: Camera = CAMERA) -> tuple[Zone, ...]:
    """Return the floor zones in pixels, to a tenth of a pixel as the zone file holds them."""
    faces = shelf_faces(camera)
    found = []
    for name, (kind, corners) in FLOOR_ZONES.items():
        shelf = None
        if name in SHELVES:
            left, right = _pixels(camera, [(*SHELVES[name].low, 0.0), (*SHELVES[name].high, 0.0)])
            shelf = drawn.Shelf(faces[name], (left, right))
        found.append(Zone(name, kind, _pixels(camera, [(x, y, 0.0) for x, y in corners]), shelf))
    return tuple(found)


def _pixels(camera: Camera, points: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(u), 1), round(float(v), 1)) for u, v, _ in camera.project(np.array(points)))


def shelf_faces(camera: Camera = CAMERA) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return each shelf's face in pixels: four corners, for the REACH rule of the metric definitions."""
    faces = {}
    for shelf in SHELVES.values():
        bottom, top = (0.7, 1.3) if shelf.open_top else (0.55, 1.85)
        (x1, y1), (x2, y2) = shelf.low, shelf.high
        if shelf.open_top:  # the goods lie on top: the face is the table top
            deep = -TABLE * shelf.facing[1]
            corners = [(x1, y1, 0.85), (x2, y2, 0.85), (x2, y2 + deep, 0.85), (x1, y1 + deep, 0.85)]
        else:
            corners = [(x1, y1, bottom), (x2, y2, bottom), (x2, y2, top), (x1, y1, top)]
        faces[shelf.name] = _pixels(camera, corners)
    return faces
