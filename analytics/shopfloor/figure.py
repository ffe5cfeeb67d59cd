"""Bodies: what a person of the demo shop is made of and how the parts stand for a given pose. Pure numpy.

A figure is a handful of rigid convex parts (lofted rings and ellipsoids) on a skeleton: pelvis, chest, head, two-bone
arms and legs solved by inverse kinematics from wrists and ankles. The same meshes are rendered by `scene` and projected
by `truth`, so a true box fits the picture to the pixel. No face is modelled beyond eyes and a nose; nobody is meant.

Local axes of every body: x forward, y left, z up. Lengths of the body are fractions of its height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from analytics.shopfloor.shop import Array, Colour

HIP, WAIST, NECK = 0.530, 0.620, 0.845  # heights of the joints, fractions of body height
ANKLE = 0.045
THIGH = SHIN = (HIP - ANKLE) / 2
UPPER_ARM, FOREARM = 0.172, 0.150
LOWEST = 0.505  # of the pelvis while walking: below that the heel lifts instead
BALL = 0.075  # ankle to the ball of the foot
SHOULDER = (0.0, 0.108, 0.188)  # in chest axes, from the waist
SEGMENTS = 14  # corners of a ring


@dataclass(frozen=True, slots=True)
class Look:
    """How a person looks.

    Attributes:
        height: metres.
        build: width of the body against the average, about 0.85 to 1.2.
        top: colour of shirt or coat.
        bottom: colour of trousers or skirt.
        skin: colour of the skin.
        hair: colour of the hair or cap.
        shoes: colour of the shoes.
        cut: ``short``, ``long``, ``bald`` or ``cap``.
        wear: ``shirt``, ``tee`` (bare forearms), ``coat`` (to the thigh) or ``skirt``.
        bag: ``none``, ``backpack``, ``basket`` or ``handbag``.
    """

    height: float
    build: float
    top: Colour
    bottom: Colour
    skin: Colour
    hair: Colour
    shoes: Colour
    cut: str = "short"
    wear: str = "shirt"
    bag: str = "none"


@dataclass(frozen=True, slots=True)
class Part:
    """One rigid piece of a body.

    Attributes:
        bone: the joint frame that it hangs on.
        vertices: (n, 3) in metres in the axes of the bone.
        faces: corner numbers of each face.
        colour: linear RGB.
        worn: part of the person; False for what they carry, which a box drawn around a person leaves out.
    """

    bone: str
    vertices: Array = field(repr=False)
    faces: tuple[tuple[int, ...], ...] = field(repr=False)
    colour: Colour
    worn: bool = True


Mesh = tuple[Array, tuple[tuple[int, ...], ...]]


def _loft(rings: list[tuple[float, float, float, float]]) -> Mesh:
    """Skin a stack of ellipses: z, half width (y), half depth (x), forward offset."""
    angles = np.linspace(0, 2 * math.pi, SEGMENTS, endpoint=False)
    vertices = np.concatenate(
        [
            np.stack([x + depth * np.cos(angles), width * np.sin(angles), np.full(SEGMENTS, z)], axis=1)
            for z, width, depth, x in rings
        ]
    )
    faces: list[tuple[int, ...]] = []
    for r in range(len(rings) - 1):
        for k in range(SEGMENTS):
            a, b = r * SEGMENTS + k, r * SEGMENTS + (k + 1) % SEGMENTS
            faces.append((a, b, b + SEGMENTS, a + SEGMENTS))
    faces.append(tuple(reversed(range(SEGMENTS))))
    faces.append(tuple(range((len(rings) - 1) * SEGMENTS, len(rings) * SEGMENTS)))
    return vertices, tuple(faces)


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Mesh:
    levels = np.linspace(-0.98, 0.98, 9) * math.pi / 2
    rings = [
        (centre[2] + radii[2] * math.sin(a), radii[1] * math.cos(a), radii[0] * math.cos(a), centre[0]) for a in levels
    ]
    vertices, faces = _loft(rings)
    return vertices + np.array([0.0, centre[1], 0.0]), faces


def _limb(length: float, top: float, bottom: float, bulge: float = 0.0) -> Mesh:
    """A rounded, tapered cylinder from the joint (z = 0) down to z = -length."""
    middle = (top + bottom) / 2 + bulge
    rings = [
        (-length - bottom * 0.8, bottom * 0.35, bottom * 0.35, 0.0),
        (-length - bottom * 0.5, bottom * 0.8, bottom * 0.8, 0.0),
        (-length, bottom, bottom, 0.0),
        (-length * 0.45, middle, middle, 0.0),
        (0.0, top, top, 0.0),
        (top * 0.5, top * 0.8, top * 0.8, 0.0),
        (top * 0.8, top * 0.35, top * 0.35, 0.0),
    ]
    return _loft(rings)


def _block(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    vertices = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    return vertices, ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


SIDES = (("l", 1.0), ("r", -1.0))


def body(look: Look) -> tuple[Part, ...]:
    """Return the parts of a body, metres; the same for every frame."""
    h, w = look.height, look.build
    parts: list[Part] = []

    def add(bone: str, colour: Colour, mesh: Mesh, worn: bool = True) -> None:
        parts.append(Part(bone, mesh[0] * h, mesh[1], colour, worn))

    def loft(rings: list[tuple[float, float, float, float]], wide: float = w) -> Mesh:
        return _loft([(z, a * wide, b * wide, x) for z, a, b, x in rings])

    chest = [
        (-0.04, 0.079, 0.058, 0.0), (0.0, 0.077, 0.057, 0.002), (0.06, 0.083, 0.062, 0.004),
        (0.12, 0.094, 0.068, 0.006), (0.165, 0.101, 0.062, 0.002), (0.195, 0.092, 0.05, -0.004),
        (0.213, 0.06, 0.038, -0.004), (0.228, 0.034, 0.032, -0.002),
    ]  # fmt: skip
    add("chest", look.top, loft(chest))
    hips = [
        (-0.065, 0.05, 0.05, 0.0), (-0.03, 0.084, 0.066, -0.004), (0.02, 0.088, 0.068, -0.006),
        (0.06, 0.081, 0.061, -0.002), (0.1, 0.077, 0.056, 0.0),
    ]  # fmt: skip
    add("pelvis", look.bottom, loft(hips))
    if look.wear == "coat":
        coat = [
            (-0.2, 0.112, 0.092, 0.0),
            (-0.05, 0.1, 0.08, -0.003),
            (0.04, 0.091, 0.072, -0.003),
            (0.1, 0.083, 0.062, 0.0),
        ]
        add("pelvis", look.top, loft(coat))
    if look.wear == "skirt":
        skirt = [
            (-0.2, 0.125, 0.105, 0.0),
            (-0.05, 0.1, 0.082, -0.004),
            (0.03, 0.091, 0.071, -0.004),
            (0.1, 0.08, 0.06, 0.0),
        ]
        add("pelvis", look.bottom, loft(skirt))
    add(
        "chest",
        look.skin,
        _loft([(0.21, 0.032, 0.032, 0.0), (0.235, 0.029, 0.029, 0.004), (0.275, 0.029, 0.03, 0.012)]),
    )
    add("head", look.skin, _loft([
        (-0.062, 0.018, 0.026, 0.022), (-0.05, 0.032, 0.04, 0.014), (-0.02, 0.043, 0.053, 0.004),
        (0.01, 0.047, 0.057, 0.0), (0.035, 0.045, 0.055, -0.002), (0.055, 0.034, 0.042, -0.003),
        (0.066, 0.014, 0.018, -0.004),
    ]))  # fmt: skip
    add("head", look.skin, _ellipsoid((0.058, 0.0, -0.008), (0.012, 0.007, 0.013)))
    for _, sign in SIDES:
        add("head", (0.02, 0.015, 0.01), _ellipsoid((0.052, 0.018 * sign, 0.008), (0.005, 0.007, 0.004)))
        add("head", look.skin, _ellipsoid((-0.002, 0.047 * sign, -0.004), (0.011, 0.005, 0.016)))
    if look.cut != "bald":
        add("head", look.hair, _ellipsoid((-0.013, 0.0, 0.024), (0.055, 0.052, 0.05)))
        add("head", look.hair, _ellipsoid((-0.028, 0.0, -0.005), (0.036, 0.047, 0.05)))
    if look.cut == "long":
        add("head", look.hair, _ellipsoid((-0.035, 0.0, -0.05), (0.03, 0.052, 0.075)))
    if look.cut == "cap":
        add("head", look.hair, _loft([(0.022, 0.03, 0.035, 0.075), (0.03, 0.03, 0.035, 0.075)]))

    arm, thigh = math.sqrt(w), w
    sleeve = look.skin if look.wear == "tee" else look.top
    calf = look.skin if look.wear == "skirt" else look.bottom
    for side, sign in SIDES:
        add(f"arm_{side}", look.top, _limb(UPPER_ARM, 0.033 * arm, 0.026 * arm))
        add(f"fore_{side}", sleeve, _limb(FOREARM, 0.025 * arm, 0.018 * arm, 0.001))
        add(f"fore_{side}", look.skin, _ellipsoid((0.004, 0.0, -FOREARM - 0.042), (0.025, 0.014, 0.046)))
        add(f"thigh_{side}", look.bottom, _limb(THIGH, 0.051 * thigh, 0.035 * thigh, 0.003))
        add(f"shin_{side}", calf, _limb(SHIN, 0.034 * thigh, 0.024 * thigh, 0.005))
        add(f"foot_{side}", look.shoes, _loft([
            (-ANKLE, 0.026, 0.074, 0.034), (-ANKLE * 0.6, 0.028, 0.076, 0.034),
            (-ANKLE * 0.2, 0.025, 0.055, 0.02), (ANKLE * 0.4, 0.021, 0.025, -0.004),
        ]))  # fmt: skip
        if look.bag == "handbag" and sign > 0:
            add(f"fore_{side}", look.shoes, _block((-0.07, -0.02, -0.32), (0.07, 0.02, -0.2)), worn=False)
        if look.bag == "basket" and sign > 0:
            add(f"fore_{side}", (0.5, 0.03, 0.03), _block((-0.13, -0.07, -0.32), (0.13, 0.07, -0.22)), worn=False)
    if look.bag == "backpack":
        add("chest", look.shoes, _ellipsoid((-0.085, 0.0, 0.1), (0.05, 0.075, 0.11)))
    return tuple(parts)


GOODS = _block((-0.05, -0.035, -0.14), (0.05, 0.035, 0.01))  # metres, hung on a wrist
