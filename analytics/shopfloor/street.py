"""The street before the simulated shop: who passes by, and whom the camera sees through the door. Seconds, metres.

Passers-by walk straight, at a pace of their own, on the way where the script's shoppers come and go. They meet nobody.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analytics.shopfloor.script import PersonState
from analytics.shopfloor.shop import CAMERA, STREET_IN, STREET_OUT

WALL, DOOR = 8.05, (2.1, 4.5)  # x of the wall, and from where to where along it the door is
_FROM_THE_DOOR = 1.45  # metres


def through_the_door(x: float, y: float) -> bool:
    """Say whether the camera sees a floor point: it lies inside, or on a line from the camera through the door."""
    if x <= WALL:
        return True
    from_x, from_y, _ = CAMERA.place
    at = from_y + (y - from_y) * (WALL - from_x) / (x - from_x)
    return DOOR[0] < at < DOOR[1]


@dataclass(frozen=True, slots=True)
class _Passer:
    name: str
    height: float
    pace: float  # negative: from right to left
    since_s: float

    def state(self, t_s: float) -> PersonState | None:
        walked = (t_s - self.since_s) * abs(self.pace)
        if walked > STREET_IN[1] - STREET_OUT[1]:
            return None
        y = STREET_IN[1] - walked if self.pace > 0 else STREET_OUT[1] + walked
        heading = -1.5708 if self.pace > 0 else 1.5708
        x = WALL + _FROM_THE_DOOR
        return PersonState(self.name, "passer", self.height, x, y, heading, abs(self.pace), "walk")


def following(rng: random.Random, rates: Sequence[float], t: float) -> float | None:
    """Return when the next one comes: a Poisson process whose rate changes with the hour; None after the last hour.

    Args:
        rng: of when.
        rates: people an hour, from second 0 on.
        t: seconds.
    """
    while (hour := int(t // 3600)) < len(rates):
        after = t + rng.expovariate(rates[hour] / 3600)
        if int(after // 3600) == hour:
            return after
        t = 3600.0 * (hour + 1)
    return None


class Street:
    """Who passes by on one simulated day.

    Args:
        rng: of who passes.
        due: returns the second at which the next one comes after a given one, None after the last.
    """

    def __init__(self, rng: random.Random, due: Callable[[float], float | None]) -> None:
        self._rng, self._due = rng, due
        self._next = due(0.0)
        self._here: list[_Passer] = []
        self.passed = 0

    def at(self, t_s: float) -> tuple[PersonState, ...]:
        """Return everybody on the street at an instant; instants come in order."""
        while self._next is not None and self._next <= t_s:
            self.passed += 1
            height = min(2.0, max(1.45, self._rng.gauss(1.7, 0.09)))
            pace = min(1.8, max(0.7, self._rng.gauss(1.3, 0.2))) * self._rng.choice((-1, 1))
            self._here.append(_Passer(f"p{self.passed}", height, pace, self._next))
            self._next = self._due(self._next)
        states = [(one, one.state(t_s)) for one in self._here]
        self._here = [one for one, state in states if state is not None]
        return tuple(state for _, state in states if state is not None)

    @property
    def next_s(self) -> float | None:
        """When the next one comes, seconds."""
        return self._next
