"""What a good pose net would say of the people of a simulated shop: joints by geometry, a little off. No picture.

Stands for `analytics.pose.Pose` where there is nothing to look at. Heads are not modelled: their points have no
confidence. Hands hang, or are where the floor says: in a shelf, or before the eyes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from analytics.body import Box
from analytics.shopfloor.figure import FOREARM, HIP, SHOULDER, UPPER_ARM, WAIST
from analytics.shopfloor.gait import lean
from analytics.shopfloor.script import PersonState
from analytics.shopfloor.shop import CAMERA, Array
from analytics.shopfloor.skeleton import bend, rotation

_HEAD = 5  # points of it
_JITTER = 0.012  # of a point, body heights
_SURE = 0.9
_FARTHEST = 6.0  # pixels between the feet of a box and those of whose box it is


class SimulatedJoints:
    """The pose net of a simulated shop.

    Args:
        people: returns who is on the floor now.
        rng: of how far off each point is.
    """

    def __init__(self, people: Callable[[], Sequence[PersonState]], rng: random.Random) -> None:
        self._people, self._rng = people, rng

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32] | None:
        """Return (17, 3) as `analytics.pose.Pose.points` does, None where nobody's feet are where the box ends."""
        people = self._people()
        if not people:
            return None
        feet = CAMERA.project(np.array([(s.x, s.y, 0.0) for s in people]))[:, :2]
        apart = np.hypot(*(feet - ((box[0] + box[2]) / 2, box[3])).T)
        nearest = int(apart.argmin())
        if apart[nearest] > _FARTHEST:
            return None
        return self.of(people[nearest], box[3] - box[1])

    def of(self, person: PersonState, height: float) -> NDArray[np.float32]:
        """Return the joints of one person, `height` pixels tall in the picture."""
        found = np.zeros((17, 3), np.float32)
        found[_HEAD:, :2] = CAMERA.project(_body(person))[:, :2]
        off = [self._rng.gauss(0, _JITTER * height) for _ in range(2 * (17 - _HEAD))]
        found[_HEAD:, :2] += np.array(off, np.float32).reshape(-1, 2)
        found[_HEAD:, 2] = _SURE
        return found


def _body(s: PersonState) -> Array:
    """Return (12, 3) metres: shoulders, elbows, wrists, hips, knees and ankles, each left and right."""
    h, forward = s.height, np.array([math.cos(s.heading), math.sin(s.heading), 0.0])
    left, up, floor = np.array([-forward[1], forward[0], 0.0]), np.array([0.0, 0.0, 1.0]), np.array([s.x, s.y, 0.0])
    chest = rotation(s.heading, lean(s))
    arms: list[list[Array]] = [[], [], []]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder = floor + up * (WAIST * h) + chest @ np.array([0.0, sign * SHOULDER[1], SHOULDER[2]]) * h
        tip = shoulder + left * (sign * 0.02 * h) - up * ((UPPER_ARM + FOREARM) * 0.99 * h)
        if s.hand == side:
            tip = tip + (np.array(s.target) - tip) * s.weight
        hint = -forward * 0.8 - up * 0.5 + left * (sign * 0.2)
        elbow, wrist = bend(shoulder, tip, UPPER_ARM * h, FOREARM * h, hint)
        for joint, place in zip(arms, (shoulder, elbow, wrist), strict=True):
            joint.append(place)
    legs = [floor + left * (sign * 0.05 * h) + up * (z * h) for z in (HIP, 0.28, 0.045) for sign in (1.0, -1.0)]
    return np.array([place for joint in arms for place in joint] + legs)
