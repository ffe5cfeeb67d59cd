"""How a body stands: joints from a stance, by inverse kinematics. Pure.

The pelvis hangs over the feet as high as both legs allow, heels lift where a leg is too short, arms swing with the
opposite leg unless a wrist is drawn to a target. Local axes of every body: x forward, y left, z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analytics.shopfloor.figure import (
    ANKLE,
    BALL,
    FOREARM,
    HIP,
    LOWEST,
    SHIN,
    SHOULDER,
    SIDES,
    THIGH,
    UPPER_ARM,
    WAIST,
    Look,
)
from analytics.shopfloor.shop import Array


@dataclass(frozen=True, slots=True)
class Stance:
    """One instant of a body, world axes, metres and radians.

    Attributes:
        x: floor position of the pelvis.
        y: floor position of the pelvis.
        heading: direction of the chest.
        feet: per foot (left, right): x, y, height over the floor, heading, pitch (heel up is positive).
        lean: forward pitch of the chest.
        look: yaw and downward pitch of the head against the chest.
        reach: per hand (left, right): None, or target x, y, z of the wrist and weight 0 to 1 against the resting arm.
        holds: hand that holds goods, ``left`` or ``right``, else empty.
    """

    x: float
    y: float
    heading: float
    feet: tuple[tuple[float, float, float, float, float], tuple[float, float, float, float, float]]
    lean: float = 0.0
    look: tuple[float, float] = (0.0, 0.0)
    reach: tuple[tuple[float, float, float, float] | None, tuple[float, float, float, float] | None] = (None, None)
    holds: str = ""


def _frame(origin: Array, up: Array, forward: Array) -> Array:
    """Build a 4×4 bone frame whose z axis is `up` and whose x axis lies towards `forward`."""
    # plain floats: numpy's cross costs ten times as much on three numbers
    zx, zy, zz = map(float, up)
    fx, fy, fz = map(float, forward)
    n = math.sqrt(zx * zx + zy * zy + zz * zz)
    zx, zy, zz = zx / n, zy / n, zz / n
    yx, yy, yz = zy * fz - zz * fy, zz * fx - zx * fz, zx * fy - zy * fx
    n = math.sqrt(yx * yx + yy * yy + yz * yz)
    if n < 1e-6:  # the bone points forward: any direction across it will do
        yx, yy, yz, n = 0.0, zz, -zy, math.hypot(zy, zz)
    yx, yy, yz = yx / n, yy / n, yz / n
    ox, oy, oz = map(float, origin)
    return np.array([
        (yy * zz - yz * zy, yx, zx, ox), (yz * zx - yx * zz, yy, zy, oy), (yx * zy - yy * zx, yz, zz, oz),
        (0.0, 0.0, 0.0, 1.0),
    ])  # fmt: skip


def bend(root: Array, tip: Array, first: float, second: float, hint: Array) -> tuple[Array, Array]:
    """Return middle joint and tip (drawn in when out of reach) of two bones, bent towards `hint`."""
    line = tip - root
    far = math.dist(root, tip)
    reach = min(max(far, abs(first - second) + 1e-4), 0.9995 * (first + second))
    line = line / max(far, 1e-9)
    along = (reach * reach + first * first - second * second) / (2 * reach)
    out = math.sqrt(max(0.0, first * first - along * along))
    side = hint - line * float(hint @ line)
    side = side / max(math.hypot(*side), 1e-9)
    return root + line * along + side * out, root + line * reach


def rotation(yaw: float, pitch: float = 0.0) -> Array:
    """Return the 3×3 axes of something that looks along `yaw` and nods forward by `pitch`."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    return np.array([[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, 0.0, cp]])


@dataclass(frozen=True, slots=True)
class Posed:
    """A body at one instant.

    Attributes:
        bones: 4×4 world frame of every bone.
        points: key points in metres: head (its centre), left and right wrist, left and right ankle.
    """

    bones: dict[str, Array]
    points: dict[str, Array]


def pose(look: Look, stance: Stance) -> Posed:
    """Return where every bone is, by inverse kinematics from feet and wrists."""
    h, w = look.height, look.build
    turn = rotation(stance.heading)
    forward, left = turn[:, 0], turn[:, 1]
    up = np.array([0.0, 0.0, 1.0])
    floor = np.array([stance.x, stance.y, 0.0])
    leg = (THIGH + SHIN) * h * 0.995
    tall = HIP * h
    hips_xy, ankles = [], []
    for (fx, fy, fz, _, _), (_, sign) in zip(stance.feet, SIDES, strict=True):
        hip, ankle = floor + left * (0.048 * h * w * sign), np.array([fx, fy, fz + ANKLE * h])
        hips_xy.append(hip)
        ankles.append(ankle)
        spread = math.dist(hip[:2], ankle[:2])
        tall = min(tall, float(ankle[2]) + math.sqrt(max(leg * leg - spread * spread, 0.0)))
    tall = max(tall, LOWEST * h)
    pelvis = floor + up * tall
    bones = {"pelvis": _frame(pelvis, up, forward)}
    points: dict[str, Array] = {}
    for k, (side, _) in enumerate(SIDES):
        _, _, fz, yaw, pitch = stance.feet[k]
        hip = hips_xy[k] + up * tall
        # a leg too short for its foot lifts the heel and rolls over the ball, which stays on its spot of the floor
        ball = ankles[k] + rotation(yaw)[:, 0] * (BALL * h)
        while math.dist(hip, ankles[k]) > leg + 1e-6 and pitch < 1.2:
            pitch += 0.05
            ankles[k] = ball - rotation(yaw, pitch)[:, 0] * (BALL * h)
        knee, ankle = bend(hip, ankles[k], THIGH * h, SHIN * h, forward + 0.12 * (left if k == 0 else -left))
        axes = rotation(yaw, pitch)
        bones[f"thigh_{side}"] = _frame(hip, hip - knee, forward)
        bones[f"shin_{side}"] = _frame(knee, knee - ankle, forward)
        bones[f"foot_{side}"] = _frame(ankle, axes[:, 2], axes[:, 0])
        points[f"ankle_{side}"] = ankle

    chest_axes = rotation(stance.heading, stance.lean)
    waist = pelvis + up * ((WAIST - HIP) * h)
    bones["chest"] = _frame(waist, chest_axes[:, 2], chest_axes[:, 0])
    head_axes = rotation(stance.heading + stance.look[0], stance.lean * 0.6 + stance.look[1])
    head = waist + chest_axes @ np.array([0.014, 0.0, 0.312]) * h
    bones["head"] = _frame(head, head_axes[:, 2], head_axes[:, 0])
    points["head"] = head

    for k, (side, sign) in enumerate(SIDES):
        shoulder = waist + chest_axes @ np.array([SHOULDER[0], sign * SHOULDER[1] * w, SHOULDER[2]]) * h
        other = np.asarray(stance.feet[1 - k][:2]) - floor[:2]  # an arm swings with the opposite leg
        swing = max(-0.6, min(0.6, 1.25 * float(other @ forward[:2]) / (0.5 * h)))
        bent = 0.22 + 0.5 * max(0.0, swing)
        carried = look.bag in ("basket", "handbag") and k == 0
        if carried:
            swing, bent = 0.25 * swing, 0.15
        rest = shoulder + chest_axes @ np.array([
            UPPER_ARM * math.sin(swing) + FOREARM * math.sin(swing + bent),
            sign * (0.018 + (0.03 if carried else 0.0)),
            -UPPER_ARM * math.cos(swing) - FOREARM * math.cos(swing + bent),
        ]) * h  # fmt: skip
        target = stance.reach[k]
        tip = rest if target is None else rest + (np.array(target[:3]) - rest) * target[3]
        hint = -forward * 0.8 - up * 0.5 + left * (sign * 0.2)
        elbow, wrist = bend(shoulder, tip, UPPER_ARM * h, FOREARM * h, hint)
        bones[f"arm_{side}"] = _frame(shoulder, shoulder - elbow, forward)
        bones[f"fore_{side}"] = _frame(elbow, elbow - wrist, forward)
        points[f"wrist_{side}"] = wrist
    if stance.holds:
        bones["goods"] = _frame(points[f"wrist_{stance.holds[0]}"] - up * 0.03, up, forward)
    return Posed(bones, points)
