"""A random shop: shoppers drawn from a seed, for tests and simulations of any length. No bodies, no picture."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from analytics.shopfloor.floor import Floor
from analytics.shopfloor.script import ENTER, LEAVE, Browse, Checkout, Go, Instant, Person, Stand, StepOf, Touch, pad
from analytics.shopfloor.shop import AFTER_PAYING, SHELVES, STAFF_HEADING, STAFF_SPOT


def wander(rng: random.Random, name: str, start_s: float) -> Person:
    """Draw a shopper with a plausible plan: pad or not, one to three shelves or none, till or not."""
    plan: list[StepOf] = list(ENTER)
    if rng.random() < 0.3:
        plan.append(pad(rng.uniform(5, 12)))
    names = list(SHELVES)
    buys = False
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        shelf = rng.choice(names)
        seconds = min(120.0, 2.0 + rng.lognormvariate(2.3, 0.7))
        touches: list[Touch] = []
        if seconds > 6 and rng.random() < 0.55:
            first = rng.uniform(1.5, seconds - 4)
            touches.append(Touch(first))
            if seconds - first > 9 and rng.random() < 0.35:
                touches.append(Touch(first + rng.uniform(3.0, 5.5), "put_back"))
            else:
                buys = True
        plan.append(Browse(shelf, round(rng.uniform(0.08, 0.92), 3), seconds, tuple(touches)))
    if buys:
        plan += [Checkout(rng.uniform(5, 25), patience=rng.choice((40.0, 90.0, math.inf))), Go(AFTER_PAYING)]
    plan += LEAVE
    height = min(2.0, max(1.45, rng.gauss(1.7, 0.09)))
    return Person(name, "shopper", height, min(1.6, max(0.8, rng.gauss(1.2, 0.15))), start_s, tuple(plan))


def simulate(seed: int, duration_s: float, arrivals_per_hour: float = 120.0, fps: int = 10) -> Iterator[Instant]:
    """Yield a shop with random shoppers and one cashier, instant by instant, without keeping any.

    Args:
        seed: the same seed gives the same crowd.
        duration_s: seconds to run.
        arrivals_per_hour: mean of the Poisson arrivals at the door.
        fps: instants a second.
    """
    rng = random.Random(seed)  # noqa: S311 - a reproducible crowd, no secret
    floor = Floor(1.0 / fps)
    cashier = Person("staff1", "staff", 1.72, 1.1, 0.0, (Stand(STAFF_SPOT, STAFF_HEADING, math.inf),), start=STAFF_SPOT)
    floor.admit(cashier)
    number, due = 1, rng.expovariate(arrivals_per_hour / 3600)
    for n in range(round(duration_s * fps)):
        t = n / fps
        while due <= t:
            floor.admit(wander(rng, f"w{number}", due))
            number += 1
            due += rng.expovariate(arrivals_per_hour / 3600)
        yield Instant(t, floor.step(t))
