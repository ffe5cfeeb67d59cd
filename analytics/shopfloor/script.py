"""What people do, in words: the steps of a plan, a person, and how one instant of the shop is told. Pure data.

A plan is a list of steps: walk, stand, browse with touches, check out. `floor` carries plans out, `cast` has those of
the demo clip, written by hand, and `crowd` draws them at random. Floor metres, radians from the x axis, seconds from
the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytics.shopfloor.shop import PAD_HEADING, PAD_SPOT, STREET_IN, WAY_IN, WAY_OUT

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Go:
    """Walk to a floor point and on, without stopping."""

    to: Point


@dataclass(frozen=True, slots=True)
class Stand:
    """Walk to a floor point and stand there, looking along `heading`, for `seconds`."""

    at: Point
    heading: float
    seconds: float
    activity: str = "stand"


@dataclass(frozen=True, slots=True)
class Touch:
    """One reach into a shelf.

    Attributes:
        at: seconds after arrival at which the arm starts to rise.
        kind: ``take``, ``put_back`` or ``touch`` (nothing leaves the shelf).
        height: of the hand, metres; 0 for the shelf's middle board.
        hand: ``right`` or ``left``.
        highest: of the hand at most, in heights of the body.
        aside: of the hand from straight before the shoulder, metres to the person's left.
    """

    at: float
    kind: str = "take"
    height: float = 0.0
    hand: str = "right"
    highest: float = 0.92
    aside: float = 0.0


@dataclass(frozen=True, slots=True)
class Browse:
    """Walk to the goods at `along` of a shelf and stay before them for `seconds`."""

    shelf: str
    along: float
    seconds: float
    touches: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkout:
    """Queue, pay for `seconds`; give up after waiting for `patience` seconds."""

    seconds: float
    patience: float = math.inf


StepOf = Go | Stand | Browse | Checkout


def pad(seconds: float) -> Stand:
    """Return the step of standing on the kiosk pad."""
    return Stand(PAD_SPOT, PAD_HEADING, seconds, "pad")


ENTER: tuple[StepOf, ...] = tuple(Go(p) for p in WAY_IN)
LEAVE: tuple[StepOf, ...] = tuple(Go(p) for p in WAY_OUT)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a plan.

    Attributes:
        name: unique.
        role: ``shopper``, ``staff`` or ``passer`` (never enters).
        height: metres.
        pace: preferred walking speed, m/s.
        start_s: when they come into being.
        start: where.
        plan: what they do; when it is over they are gone.
    """

    name: str
    role: str
    height: float
    pace: float
    start_s: float
    plan: tuple[StepOf, ...]
    start: Point = STREET_IN


@dataclass(frozen=True, slots=True)
class PersonState:
    """One person at one instant.

    Attributes:
        name: see `Person`.
        role: see `Person`.
        height: metres.
        x: floor position.
        y: floor position.
        heading: direction of the body, radians from the x axis.
        speed: m/s.
        activity: ``walk``, ``stand``, ``browse``, ``pad``, ``queue`` or ``pay``.
        shelf: name of the shelf browsed, else empty.
        hand: hand that is stretched out or holds goods before the eyes, else empty.
        target: where the wrist is drawn to, metres.
        weight: 0 (arm rests) to 1 (wrist at the target).
        inspecting: the target is before the own eyes, not in a shelf.
        holds: hand that holds goods, else empty.
    """

    name: str
    role: str
    height: float
    x: float
    y: float
    heading: float
    speed: float
    activity: str
    shelf: str = ""
    hand: str = ""
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)
    weight: float = 0.0
    inspecting: bool = False
    holds: str = ""


@dataclass(frozen=True, slots=True)
class Instant:
    """Everybody at one instant.

    Attributes:
        t_s: seconds from the start.
        people: in the order in which they came.
    """

    t_s: float
    people: tuple[PersonState, ...]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done, as the script knows it.

    Attributes:
        person: who.
        kind: ``take``, ``put_back``, ``touch``, ``paid``, ``abandoned``.
        where: shelf, or ``till``.
        start_s: arm begins to rise, or service begins.
        end_s: arm is back, or service is over.
        hand: of a touch.
    """

    person: str
    kind: str
    where: str
    start_s: float
    end_s: float
    hand: str = ""
