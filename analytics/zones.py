"""Zones on the floor, and the ground they lie on. Pure geometry: no pixels, no files, no clock.

A zone is a simple polygon in pixels of the full frame; a foot point is in it or not. Distances on the floor are
metres by a four-point homography where the zone file has one, else body heights (1 BH = 1.7 m).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

BODY_HEIGHT_M = 1.7  # one body height in metres, where nothing better is known
FARTHEST = 100_000  # pixels from the picture's corner; beyond it drawing overflows, and no camera's picture reaches it

Point = tuple[float, float]


class ZoneKind(StrEnum):
    """What a zone is for; `pad`, `staff` and `outside` are never measured as zones of a shop."""

    ENTRANCE = "entrance"
    PRODUCT = "product"
    QUEUE = "queue"
    SERVICE = "service"
    PAD = "pad"
    STAFF = "staff"
    EXIT = "exit"
    OUTSIDE = "outside"

    @property
    def in_shop(self) -> bool:
        """Whether visits of it are figures and rows; outside, people only pass by and are counted."""
        return self not in (ZoneKind.PAD, ZoneKind.STAFF, ZoneKind.OUTSIDE)


def contains(polygon: tuple[Point, ...], x: float, y: float) -> bool:
    """Say whether (x, y) lies in the polygon, by the even-odd rule."""
    inside = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


def nearest_border(polygon: tuple[Point, ...], x: float, y: float) -> Point:
    """Return the point on the polygon's edges nearest to (x, y)."""
    best, nearest = math.inf, polygon[0]
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        dx, dy = x2 - x1, y2 - y1
        length2 = dx * dx + dy * dy
        t = 0.0 if length2 == 0 else min(1.0, max(0.0, ((x - x1) * dx + (y - y1) * dy) / length2))
        distance = math.hypot(x - x1 - t * dx, y - y1 - t * dy)
        if distance < best:
            best, nearest = distance, (x1 + t * dx, y1 + t * dy)
        x1, y1 = x2, y2
    return nearest


def out_of_picture(polygon: tuple[Point, ...], width: float, height: float) -> bool:
    """Say whether a polygon lies wholly beside a picture of this size, pixels, as far as its bounding box tells."""
    across, down = [x for x, _ in polygon], [y for _, y in polygon]
    return min(across) >= width or min(down) >= height or max(across) <= 0 or max(down) <= 0


def border_distance(polygon: tuple[Point, ...], x: float, y: float) -> float:
    """Return the distance from (x, y) to the nearest edge, in the polygon's own units."""
    return math.dist((x, y), nearest_border(polygon, x, y))


def _crosses(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _check_points(corners: tuple[Point, ...], what: str) -> None:
    if not all(math.isfinite(v) for corner in corners for v in corner):
        raise ValueError(f"{what} has a corner that is not a number")
    if any(abs(v) > FARTHEST for corner in corners for v in corner):
        raise ValueError(f"{what} has a corner over {FARTHEST} pixels away; give pixels of the picture")


def _check(corners: tuple[Point, ...], what: str) -> None:
    """Raise where corners make no simple polygon in or near a picture."""
    if len(corners) < 3:
        raise ValueError(f"{what} has {len(corners)} corners; it needs three or more")
    _check_points(corners, what)
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in edges)) < 2:
        raise ValueError(f"{what} has no area; move its corners apart")
    for i, (a, b) in enumerate(edges):
        for c, d in edges[i + 1 :]:
            if _crosses(a, b, c, d):
                raise ValueError(f"{what} has edges that cross; list its corners in order around it")


@dataclass(frozen=True, slots=True)
class Shelf:
    """What stands before a product zone, as the camera sees it; with it, facing and reaches can be told.

    Attributes:
        face: the shelf's face in the picture, where hands reach in: three corners or more, pixels; edges do not cross.
        edge: the two ends of the shelf's foot on the floor, pixels, on the side of the zone.

    Raises:
        ValueError: the face is no polygon, or the edge has no length.
    """

    face: tuple[Point, ...]
    edge: tuple[Point, Point]

    def __post_init__(self) -> None:
        _check(self.face, "the face of a shelf")
        _check_points(self.edge, "the edge of a shelf")
        if math.dist(*self.edge) < 2:
            raise ValueError("the edge of a shelf has no length; give the two ends of its foot on the floor")


@dataclass(frozen=True, slots=True)
class Zone:
    """A named floor polygon.

    Attributes:
        name: unique in its camera.
        kind: see `ZoneKind`.
        polygon: three corners or more, pixels; edges do not cross.
        shelf: what people in a product zone stand before, where it is drawn.

    Raises:
        ValueError: fewer than three corners, a corner far outside any picture, no area, edges that cross, or a shelf
            where no goods are.
    """

    name: str
    kind: ZoneKind
    polygon: tuple[Point, ...]
    shelf: Shelf | None = None

    def __post_init__(self) -> None:
        _check(self.polygon, f"zone {self.name!r}")
        if self.shelf is not None and self.kind is not ZoneKind.PRODUCT:
            raise ValueError(f"zone {self.name!r} is no product zone; take the shelf away, or make it one")

    def contains(self, x: float, y: float) -> bool:
        """Say whether the foot point (x, y) in pixels is inside."""
        return contains(self.polygon, x, y)

    def border_distance(self, x: float, y: float) -> float:
        """Return pixels from (x, y) to the nearest edge."""
        return border_distance(self.polygon, x, y)


@dataclass(frozen=True, slots=True)
class Ground:
    """The floor plane: turns steps in the picture into metres.

    Attributes:
        image: four floor points in pixels, or empty where the camera is not calibrated.
        metres: the same four points on the floor, metres.
    """

    image: tuple[Point, ...] = ()
    metres: tuple[Point, ...] = ()
    _matrix: tuple[float, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if not self.image and not self.metres:
            return
        if len(self.image) != 4 or len(self.metres) != 4:
            raise ValueError("a ground calibration needs four image points and the same four in metres")
        rows, rhs = [], []
        for (u, v), (x, y) in zip(self.image, self.metres, strict=True):
            rows += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
            rhs += [x, y]
        a = np.asarray(rows, dtype=np.float64)
        if np.linalg.cond(a) > 1e12:
            raise ValueError("the four ground points lie on a line; choose the corners of a floor rectangle")
        h = np.linalg.solve(a, np.asarray(rhs, dtype=np.float64))
        object.__setattr__(self, "_matrix", (*map(float, h), 1.0))

    @property
    def calibrated(self) -> bool:
        """True where distances are metres by homography, False where they are body heights."""
        return bool(self._matrix)

    def locate(self, x: float, y: float) -> Point:
        """Return the floor point in metres of a pixel.

        Raises:
            ValueError: the camera is not calibrated, or the pixel lies on the horizon.
        """
        if not self._matrix:
            raise ValueError("this camera has no ground calibration")
        m = self._matrix
        w = m[6] * x + m[7] * y + m[8]
        if abs(w) < 1e-12:
            raise ValueError(f"pixel ({x:g}, {y:g}) lies on the horizon of the ground calibration")
        return (m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w

    def floor(self, polygon: tuple[Point, ...]) -> tuple[Point, ...]:
        """Return a polygon in metres; empty where there is no calibration or the polygon crosses the horizon."""
        if not self._matrix:
            return ()
        depths = [self._matrix[6] * x + self._matrix[7] * y + self._matrix[8] for x, y in polygon]
        if min(map(abs, depths)) < 1e-9 or min(depths) < 0 < max(depths):
            return ()
        return tuple(self.locate(x, y) for x, y in polygon)

    def distance(self, ax: float, ay: float, bx: float, by: float, height: float) -> float:
        """Return metres on the floor between two pixels.

        Args:
            ax: first foot point, pixels.
            ay: first foot point, pixels.
            bx: second foot point, pixels.
            by: second foot point, pixels.
            height: body height of the person in pixels, used where there is no calibration.
        """
        if self._matrix:
            return math.dist(self.locate(ax, ay), self.locate(bx, by))
        return math.hypot(bx - ax, by - ay) / max(height, 1.0) * BODY_HEIGHT_M
