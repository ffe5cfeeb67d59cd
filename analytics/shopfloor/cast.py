"""The demo clip's people: who they are, what each does, and which consents they give. Written by hand, fixed for ever.

Sixteen shoppers, two of staff and two who only pass by outside, in 100 seconds. Between them they do everything that
the metric definitions name. Nobody is modelled on anybody.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from analytics.shopfloor.figure import Look
from analytics.shopfloor.script import ENTER, LEAVE, Browse, Checkout, Go, Person, Stand, StepOf, Touch, pad
from analytics.shopfloor.shop import AFTER_PAYING, PAD_HEADING, STAFF_HEADING, STAFF_SPOT, STREET_OUT, Colour

SEED = 20261120
DURATION_S = 100.0

STAFF_PLACE = (4.5, 6.1)  # of the second of staff, behind the counter
AROUND: tuple[StepOf, ...] = (Go((6.2, 0.6)), Go((6.0, 3.4)))  # past the far end of the tables, from the back
TO_THE_BACK: tuple[StepOf, ...] = (Go((6.6, 0.8)), Go((6.2, -0.3)))

PAY: tuple[StepOf, ...] = (Checkout(9.0), Go(AFTER_PAYING))


def _shopper(name: str, height: float, pace: float, start_s: float, *plan: StepOf) -> Person:
    return Person(name, "shopper", height, pace, start_s, (*ENTER, *plan, *LEAVE))


CAST: tuple[Person, ...] = (
    Person("staff1", "staff", 1.70, 1.1, 0.0, (Stand(STAFF_SPOT, STAFF_HEADING, 999.0),), start=STAFF_SPOT),
    # stocks up, and comes back to the counter
    Person(
        "staff2",
        "staff",
        1.83,
        1.15,
        0.0,
        (
            Stand(STAFF_PLACE, STAFF_HEADING, 15.0),
            *AROUND[::-1],
            Browse(
                "sweets",
                0.75,
                10.0,
                (Touch(1.0, "put_back"), Touch(4.0, "put_back"), Touch(7.0, "put_back", 0, "left")),
            ),
            *AROUND,
            Stand(STAFF_PLACE, STAFF_HEADING, 999.0),
        ),
        start=STAFF_PLACE,
    ),
    # already in the shop when the clip begins
    Person(
        "s01",
        "shopper",
        1.78,
        1.25,
        0.0,
        (Browse("tea", 0.7, 9.0, (Touch(3.5, "take", 1.1),)), *PAY, *LEAVE),
        start=(3.7, -1.005),
    ),
    Person(
        "s02",
        "shopper",
        1.63,
        1.1,
        0.0,
        (Browse("fruit", 0.3, 8.5, (Touch(1.5), Touch(5.5, "put_back"))), *LEAVE),
        start=(3.78, 2.0075),
    ),
    Person(
        "s03",
        "shopper",
        1.58,
        1.1,
        0.0,
        (Browse("sweets", 0.6, 8.0, (Touch(3.0),)), *LEAVE),
        start=(4.26, 0.405),
    ),
    # dwell granted; takes, puts back, takes another
    _shopper(
        "s04",
        1.74,
        1.3,
        0.0,
        pad(6.3),
        *TO_THE_BACK,
        Browse(
            "tea",
            0.3,
            17.0,
            (
                Touch(4.0, "take", 1.45),
                Touch(8.5, "put_back", 1.45),
                Touch(13.0, "take", 1.1, "left"),
            ),
        ),
        Checkout(23.0),
        Go(AFTER_PAYING),
    ),
    # passes along the shelves without a stop
    _shopper(
        "s05", 1.91, 1.4, 43.0, Go((6.4, 0.2)), Go((5.9, -0.65)), Go((3.2, -0.65)), Go((4.6, -0.3)), Go((6.3, 0.2))
    ),
    _shopper("s06", 1.88, 1.3, 39.5, Browse("tea", 0.5, 9.5, (Touch(3.0, "take", 1.1), Touch(6.5, "put_back", 1.1)))),
    # parent and child: nobody is alone on the pad, so nothing is granted
    _shopper(
        "s07",
        1.69,
        1.1,
        14.0,
        pad(7.0),
        Browse("coffee", 0.3, 8.5, (Touch(1.5, "take", 1.1), Touch(6.0, "put_back", 1.1, "left"))),
    ),
    _shopper(
        "s08",
        1.22,
        1.1,
        14.9,
        Stand((7.4, 5.2), PAD_HEADING, 6.2),
        Browse("coffee", 0.72, 8.0, (Touch(2.0, "touch", 0.9),)),
        Browse("sweets", 0.55, 6.0),
    ),
    # objects to being counted
    _shopper("s09", 1.80, 1.3, 25.0, pad(6.3), Browse("fruit", 0.15, 5.5, (Touch(2.0, "touch"),))),
    # leaves the queue
    _shopper(
        "s10",
        1.76,
        1.25,
        32.5,
        Browse("sweets", 0.2, 6.0, (Touch(3.0, "take"),)),
        Checkout(9.0, patience=10.0),
        Go(AFTER_PAYING),
    ),
    # dwell and emotion granted
    _shopper(
        "s11",
        1.72,
        1.2,
        36.5,
        pad(6.5),
        Browse("fruit", 0.15, 12.0, (Touch(3.0), Touch(7.0, "put_back"))),
        Browse("sweets", 0.15, 8.0, (Touch(5.0, "take"),)),
        *PAY,
    ),
    _shopper("s12", 1.95, 1.35, 84.0, Browse("fruit", 0.2, 6.5, (Touch(3.0),))),
    # stands on the pad and refuses
    _shopper("s13", 1.54, 1.2, 48.7, pad(5.0)),
    # dwell and repeat granted
    _shopper(
        "s14", 1.84, 1.3, 58.7, pad(6.5), *TO_THE_BACK, Browse("tea", 0.3, 11.0, (Touch(6.5, "take", 1.1),)), *PAY
    ),
    # dwell granted, withdrawn by phone at the shelf
    _shopper("s15", 1.70, 1.2, 72.0, pad(6.3), Browse("coffee", 0.3, 16.0, (Touch(4.0, "take", 1.45),)), *PAY),
    _shopper("s16", 1.73, 1.25, 87.5, pad(30.0)),
    Person("p01", "passer", 1.75, 1.35, 19.0, (Go((9.5, 3.3)), Go(STREET_OUT))),
    Person("p02", "passer", 1.66, 1.2, 61.0, (Go((9.5, 3.3)), Go(STREET_OUT))),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One act of consent in the script of the clip.

    Attributes:
        t_s: seconds from the first frame, when the button is tapped.
        screen_s: when the screen that asks was opened (equal to `t_s` for a phone).
        person: who.
        act: ``grant``, ``refuse``, ``object`` or ``withdraw``.
        purposes: of a grant or withdrawal.
        place: ``pad`` or ``phone``.
        binds: whether the rule of the pad lets it take effect on a track (alone, nobody in the ring).
    """

    t_s: float
    screen_s: float
    person: str
    act: str
    purposes: tuple[str, ...]
    place: str
    binds: bool


# Seconds after stepping onto the pad at which the screen opens and the choice is tapped.
SCREEN_AFTER, TAP_AFTER = 1.0, 4.5

AT_THE_PAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "s04": ("grant", ("dwell",)),
    "s07": ("grant", ("dwell",)),  # the child stands in the ring: not bound
    "s09": ("object", ()),
    "s11": ("grant", ("dwell", "emotion")),
    "s13": ("refuse", ()),
    "s14": ("grant", ("dwell", "repeat")),
    "s15": ("grant", ("dwell",)),
}
BY_PHONE: tuple[tuple[float, str, tuple[str, ...]], ...] = ((97.0, "s15", ("dwell",)),)

SKIN: tuple[Colour, ...] = (
    (0.58, 0.36, 0.26),
    (0.45, 0.26, 0.17),
    (0.30, 0.16, 0.10),
    (0.16, 0.08, 0.05),
    (0.64, 0.43, 0.33),
)
HAIR: tuple[Colour, ...] = (
    (0.02, 0.015, 0.01),
    (0.10, 0.05, 0.02),
    (0.30, 0.20, 0.08),
    (0.33, 0.32, 0.30),
    (0.18, 0.05, 0.02),
)
TOPS: tuple[Colour, ...] = (
    (0.40, 0.04, 0.05), (0.05, 0.10, 0.35), (0.52, 0.50, 0.45), (0.05, 0.20, 0.09), (0.03, 0.03, 0.035),
    (0.45, 0.28, 0.06), (0.20, 0.09, 0.22), (0.22, 0.32, 0.42), (0.30, 0.17, 0.10), (0.58, 0.58, 0.58),
)  # fmt: skip
BOTTOMS: tuple[Colour, ...] = (
    (0.03, 0.05, 0.11),
    (0.025, 0.025, 0.03),
    (0.22, 0.17, 0.11),
    (0.10, 0.10, 0.11),
    (0.06, 0.09, 0.17),
)
STAFF_GREEN: Colour = (0.04, 0.26, 0.20)


def looks(cast: tuple[Person, ...] = CAST, seed: int = SEED) -> dict[str, Look]:
    """Return how each person looks, drawn once from the seed."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible wardrobe, no secret
    found = {}
    for k, person in enumerate(cast):
        staff = person.role == "staff"
        found[person.name] = Look(
            height=person.height,
            build=round(rng.uniform(0.9, 1.18), 3),
            top=STAFF_GREEN if staff else TOPS[k % len(TOPS)],
            bottom=BOTTOMS[1] if staff else rng.choice(BOTTOMS),
            skin=rng.choice(SKIN),
            hair=rng.choice(HAIR),
            shoes=rng.choice(((0.03, 0.03, 0.03), (0.25, 0.23, 0.2), (0.12, 0.06, 0.03))),
            cut=("short", "long", "short", "cap", "long", "bald", "short")[k % 7],
            wear="shirt" if staff else ("shirt", "tee", "coat", "shirt", "skirt", "tee")[k % 6],
            bag="none" if staff or person.height < 1.3 else ("none", "basket", "backpack", "none", "handbag")[k % 5],
        )
    return found
