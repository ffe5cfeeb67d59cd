"""From where somebody goes to how their body stands: footsteps, leaning, looking. Pure.

Feet are planted: between two steps a foot keeps its place on the floor exactly, the body moves over it, and the next
landing is chosen from where the body will be (the whole path is known). So feet never slide, people turn by stepping,
and the length of a step follows from the speed and the person.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np

from analytics.shopfloor.figure import FOREARM, SHOULDER, UPPER_ARM, WAIST, Look
from analytics.shopfloor.script import PersonState
from analytics.shopfloor.skeleton import Stance, rotation

SUBSTEPS = 5  # planning instants per frame
APART = 0.052  # feet from the middle, fractions of body height
Foot = tuple[float, float, float, float, float]  # x, y, height, heading, pitch


@dataclass(slots=True)
class _Foot:
    x: float
    y: float
    yaw: float
    start: float = 0.0  # of the step under way
    length: float = 0.0  # seconds of that step; 0 when planted
    source: tuple[float, float, float] = (0.0, 0.0, 0.0)
    goal: tuple[float, float, float] = (0.0, 0.0, 0.0)


def _turn(to: float, start: float) -> float:
    return (to - start + math.pi) % (2 * math.pi) - math.pi


class _Path:
    """Position and heading at any time, between the frames too."""

    def __init__(self, times: list[float], states: list[PersonState]) -> None:
        self._t, self._s = times, states

    def at(self, t: float) -> tuple[float, float, float]:
        k = bisect.bisect_right(self._t, t) - 1
        if k < 0:
            s = self._s[0]
            return s.x, s.y, s.heading
        if k >= len(self._t) - 1:
            s = self._s[-1]
            return s.x, s.y, s.heading
        a, b = self._s[k], self._s[k + 1]
        f = (t - self._t[k]) / (self._t[k + 1] - self._t[k])
        return a.x + f * (b.x - a.x), a.y + f * (b.y - a.y), a.heading + f * _turn(b.heading, a.heading)


def footsteps(times: list[float], states: list[PersonState], height: float) -> list[tuple[Foot, Foot]]:
    """Plan all footsteps of one person.

    Args:
        times: seconds of the states, rising, evenly spaced.
        states: the person at those times.
        height: metres.

    Returns:
        Left and right foot at each time.
    """
    path, apart = _Path(times, states), APART * height
    signs = (1.0, -1.0)

    def home(t: float, sign: float) -> tuple[float, float, float]:
        x, y, yaw = path.at(t)
        return x - sign * apart * math.sin(yaw), y + sign * apart * math.cos(yaw), yaw + sign * 0.12

    feet = [_Foot(*home(times[0], s)) for s in signs]
    found: list[tuple[Foot, Foot]] = []
    dt = (times[1] - times[0]) / SUBSTEPS if len(times) > 1 else 0.02
    turn_of = 0
    for t in times:
        for sub in range(SUBSTEPS):
            now = t + sub * dt
            for foot in feet:
                if foot.length and now >= foot.start + foot.length - 1e-9:
                    foot.x, foot.y, foot.yaw = foot.goal
                    foot.length = 0.0
            if not any(f.length for f in feet):
                errors = []
                for foot, sign in zip(feet, signs, strict=True):
                    hx, hy, hyaw = home(now, sign)
                    errors.append(math.hypot(foot.x - hx, foot.y - hy) + 0.22 * abs(_turn(foot.yaw, hyaw)))
                # alternate while walking; at rest move whichever foot is worse placed
                pick = turn_of if errors[turn_of] > 0.6 * max(errors) else int(errors[1] > errors[0])
                ax, ay, _ = path.at(now)
                bx, by, _ = path.at(now + 0.3)
                speed = math.hypot(bx - ax, by - ay) / 0.3
                if errors[pick] > (0.09 if speed > 0.15 else 0.13) or (errors[pick] > 0.05 and speed < 0.05):
                    swing = 0.42 * math.sqrt(height / 1.7) if speed > 0.25 else 0.36
                    # the foot will carry the body for about as long as the other one swings
                    goal = home(now + swing * 1.5, signs[pick])
                    moved = feet[pick]
                    moved.start, moved.length, moved.goal = now, swing, goal
                    moved.source = (moved.x, moved.y, moved.yaw)
                    turn_of = 1 - pick
            if sub == 0:
                found.append((_place(feet[0], now), _place(feet[1], now)))
    return found


def _place(foot: _Foot, t: float) -> Foot:
    if not foot.length:
        return foot.x, foot.y, 0.0, foot.yaw, 0.0
    f = min(1.0, max(0.0, (t - foot.start) / foot.length))
    ease = f * f * (3 - 2 * f)
    (sx, sy, syaw), (gx, gy, gyaw) = foot.source, foot.goal
    far = math.dist((sx, sy), (gx, gy))
    lift = min(0.09, 0.03 + 0.08 * far) * math.sin(math.pi * f)
    pitch = min(0.6, far) * (0.9 * math.sin(math.pi * min(1.0, 1.6 * f)) - 0.35 * f * (1 - f) * 4 * (f > 0.6))
    return sx + ease * (gx - sx), sy + ease * (gy - sy), lift, syaw + ease * _turn(gyaw, syaw), pitch


def lean(state: PersonState, build: float = 1.0) -> float:
    """Return the smallest forward pitch of the chest from which the arm reaches its target, radians.

    Args:
        state: the person.
        build: width of the body against the average.
    """
    if not state.weight or state.inspecting:
        return 0.03
    sign = 1.0 if state.hand == "left" else -1.0
    arm = 0.98 * (UPPER_ARM + FOREARM) * state.height
    for pitch in np.linspace(0.03, 0.75, 25):
        offset = rotation(state.heading, float(pitch)) @ np.array([0.0, sign * SHOULDER[1] * build, SHOULDER[2]])
        shoulder = np.array([state.x, state.y, WAIST * state.height]) + offset * state.height
        if float(np.linalg.norm(np.asarray(state.target) - shoulder)) <= arm:
            return 0.03 + (float(pitch) - 0.03) * state.weight
    return 0.03 + 0.72 * state.weight


def stances(look: Look, times: list[float], states: list[PersonState]) -> list[Stance]:
    """Return the stance of one person at each of their instants.

    Args:
        look: the body.
        times: seconds, rising, evenly spaced.
        states: the person at those times.
    """
    feet = footsteps(times, states, look.height)
    phase = sum(ord(c) for c in states[0].name) * 0.7  # so that heads do not nod in step
    found = []
    for t, state, pair in zip(times, states, feet, strict=True):
        sway = math.sin(0.9 * t + phase) * 0.5 + math.sin(0.37 * t + 2 * phase) * 0.5
        yaw, nod = 0.15 * sway, 0.04
        if state.activity == "browse":
            yaw, nod = 0.45 * sway, 0.22 + 0.1 * math.sin(0.6 * t + phase)
        elif state.activity in ("stand", "queue", "pad", "pay"):
            yaw, nod = 0.35 * sway, 0.12
        reach = (*state.target, state.weight) if state.weight else None
        both = (reach, None) if state.hand == "left" else (None, reach)
        found.append(
            Stance(state.x, state.y, state.heading, pair, lean(state, look.build), (yaw, nod), both, state.holds)
        )
    return found
