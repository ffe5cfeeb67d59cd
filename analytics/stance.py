"""How somebody stands before a shelf: which way the chest looks, and whether a hand is in the shelf. Pure: joints in.

One camera knows no depth. What it does know:

- Two shoulders are equally high, so on the calibrated floor the line between them, taken as if it lay there, points as
  the true one does; the chest looks square to it. Without calibration the picture is taken for a floor seen from 30°
  above.
- A hand that hangs before a shelf lies in the shelf's face as the picture has it, and so does one that holds goods
  before the eyes. A hand is taken to be in the shelf where the wrist lies in the face, well away from where the arm
  would hang, and the arm is not bent as it is to hold something close.

The thresholds of the last two are ours; they were chosen on simulated shoppers before four cameras, none of them the
demo clip's people. Nothing here knows time: what a stance lasts is `analytics.reach`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.zones import Ground, Point, Shelf, border_distance, contains

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SURE = 0.3  # confidence from which a joint is used
FACING = math.radians(60)  # between the chest's direction and the way square to the shelf's edge
LIFTED = 0.16  # body heights between the wrist and where it would hang
STRAIGHT = 0.66  # from shoulder to wrist, against the way over the elbow
HANGS = 0.31  # body heights from the shoulder down to a hanging wrist
_BEND = 0.35  # weighs the bend of an arm against body heights
_FROM_ABOVE = 2.0  # how much a floor seen from 30° above is flattened in the picture
_ARMS = ((5, 7, 9), (6, 8, 10))  # shoulder, elbow, wrist in `analytics.pose.POINTS`
_SHOULDERS, _HIPS = (5, 6), (11, 12)


@dataclass(frozen=True, slots=True)
class Stance:
    """How somebody stands before one shelf in one picture.

    Attributes:
        t_us: instant of the picture, UTC microseconds.
        facing: the chest looks at the shelf; None where the shoulders are not seen.
        hand: how surely a hand is in the shelf: positive where one is, body heights from the nearest threshold; None
            where no arm is seen.
    """

    t_us: int
    facing: bool | None
    hand: float | None


class Viewpoint:
    """How one shelf is seen by its camera.

    Args:
        shelf: as drawn.
        zone: the floor polygon before it, pixels.
        ground: metres where calibrated.
    """

    def __init__(self, shelf: Shelf, zone: tuple[Point, ...], ground: Ground) -> None:
        middle = (sum(x for x, _ in zone) / len(zone), sum(y for _, y in zone) / len(zone))
        self._shelf = shelf
        # across the horizon there are no metres
        self._ground = ground if ground.floor((*shelf.edge, middle)) else Ground()
        (ax, ay), (bx, by), (mx, my) = map(self._floor, (*shelf.edge, middle))
        nx, ny = ay - by, bx - ax  # square to the edge, away from the zone
        if nx * (ax - mx) + ny * (ay - my) < 0:
            nx, ny = -nx, -ny
        self._towards = math.atan2(ny, nx)

    def stance(self, t_us: int, keypoints: NDArray[np.float32], height: float) -> Stance:
        """Return how somebody stands.

        Args:
            t_us: instant of the picture, UTC microseconds.
            keypoints: (17, 3) x, y in pixels and confidence, in the order of `analytics.pose.POINTS`.
            height: of the body in the picture, pixels.
        """
        joints: list[tuple[float, float, float]] = [(float(x), float(y), float(c)) for x, y, c in keypoints]
        return Stance(t_us, self._facing(joints), self._hand(joints, max(height, 1.0)))

    def _floor(self, point: Point) -> Point:
        return self._ground.locate(*point) if self._ground.calibrated else (point[0], point[1] * _FROM_ABOVE)

    def _mirrored(self, at: Point) -> bool:
        """Say whether the floor's axes turn the other way round than the picture's."""
        (ax, ay), (bx, by), (cx, cy) = map(self._floor, (at, (at[0] + 1, at[1]), (at[0], at[1] + 1)))
        return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0

    def _facing(self, joints: list[tuple[float, float, float]]) -> bool | None:
        left, right = (joints[i] for i in _SHOULDERS)
        if min(left[2], right[2]) < SURE:
            return None
        ends = (left[:2], right[:2])
        if self._ground.calibrated and not self._ground.floor((*self._shelf.edge, *ends)):
            return None  # shoulders above the horizon: the camera hangs lower than they are
        (lx, ly), (rx, ry) = map(self._floor, ends)
        wx, wy = lx - rx, ly - ry
        if math.hypot(wx, wy) == 0:
            return None
        direction = math.atan2(-wx, wy) if self._mirrored(left[:2]) else math.atan2(wx, -wy)
        off = (direction - self._towards + math.pi) % (2 * math.pi) - math.pi
        return abs(off) <= FACING

    def _hand(self, joints: list[tuple[float, float, float]], height: float) -> float | None:
        down = _down(joints)
        known = [
            self._in_shelf(joints[shoulder][:2], joints[elbow][:2], joints[wrist][:2], down, height)
            for shoulder, elbow, wrist in _ARMS
            if min(joints[i][2] for i in (shoulder, elbow, wrist)) >= SURE
        ]
        return max(known, default=None)

    def _in_shelf(self, shoulder: Point, elbow: Point, wrist: Point, down: Point, height: float) -> float:
        """Return by how much an arm is on the right side of the threshold that it is nearest to."""
        face = self._shelf.face
        inside = border_distance(face, *wrist) / height * (1 if contains(face, *wrist) else -1)
        hangs = (shoulder[0] + HANGS * height * down[0], shoulder[1] + HANGS * height * down[1])
        lifted = math.dist(wrist, hangs) / height - LIFTED
        over = math.dist(shoulder, elbow) + math.dist(elbow, wrist)
        straight = math.dist(shoulder, wrist) / over if over else 1.0
        return min(inside, lifted, (straight - STRAIGHT) * _BEND)


def _down(joints: list[tuple[float, float, float]]) -> Point:
    """Return the way down the body in the picture, from the shoulders to the hips; the picture's own without hips."""
    if min(joints[i][2] for i in (*_SHOULDERS, *_HIPS)) >= SURE:
        x, y = (sum(joints[i][k] for i in _HIPS) - sum(joints[i][k] for i in _SHOULDERS) for k in (0, 1))
        length = math.hypot(x, y)
        if length > 0:
            return x / length, y / length
    return 0.0, 1.0
