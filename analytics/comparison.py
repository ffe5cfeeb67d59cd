"""Whether two periods differ by more than days differ anyway. Pure arithmetic on one number a day.

Rules:
- A day is what varies, not a visit: visits of one day share its weather, its offers and its queue, and to take each for
  a trial of its own would call almost every difference real.
- Saturdays are held against Saturdays: every weekday has a level of its own, and a weekday that is in one period only
  says nothing. What is asked is by which factor the later period lies above or below the earlier one, over weekdays.
- Days never scatter less than the rounding of their counts alone would make them.
- A difference says that the periods differ, and not why. Seasons, offers and weather differ between periods, too.

The model is log(value) = weekday + period + day's noise, by least squares with a t interval. Who looks at many
differences at once corrects for it (`analytics.difference.holm`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats loads for longer

FEWEST_DAYS = 4  # in each period; ours: fewer cannot tell a difference from a day
FEWEST_LEFT = 4  # degrees of freedom
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Daily:
    """One number of one day.

    Attributes:
        value: above zero.
        noise: variance of its logarithm that comes from rounding, or from how few people it is made of.
    """

    value: float
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """How a later period differs from an earlier one.

    Attributes:
        before: geometric mean of the earlier days, over the weekdays of both.
        after: of the later days.
        ratio: after ÷ before with weekdays held level; None where there are too few days.
        low: lower end of its 95 % interval.
        high: upper end.
        p: how often chance alone gives so large a difference or a larger one; 1 where that cannot be told.
        days: how many days are in it, earlier and later.
        left_out: days of a weekday that is in one period only.
    """

    before: float | None
    after: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float
    days: tuple[int, int]
    left_out: int


def compare(before: Mapping[date, Daily], after: Mapping[date, Daily]) -> Change:
    """Hold two periods against each other, of which no day is in both.

    Raises:
        ValueError: a day is in both, or a value is not above zero.
    """
    if before.keys() & after.keys():
        raise ValueError("a day stands in both periods; choose periods that do not overlap")
    if any(one.value <= 0 for side in (before, after) for one in side.values()):
        raise ValueError("a value is not above zero; leave such a day out")
    shared = {day.weekday() for day in before} & {day.weekday() for day in after}
    sides = [{day: one for day, one in side.items() if day.weekday() in shared} for side in (before, after)]
    days = (len(sides[0]), len(sides[1]))
    left_out = len(before) + len(after) - sum(days)
    means = [math.exp(np.mean([math.log(one.value) for one in side.values()])) if side else None for side in sides]
    left = sum(days) - len(shared) - 1
    if min(days) < FEWEST_DAYS or left < FEWEST_LEFT:
        return Change(means[0], means[1], None, None, None, 1.0, days, left_out)

    order = sorted(shared)
    rows = [(day, one, late) for late, side in enumerate(sides) for day, one in side.items()]
    design = np.zeros((len(rows), len(order) + 1))
    for i, (day, _, late) in enumerate(rows):
        design[i, order.index(day.weekday())] = 1.0
        design[i, -1] = late
    logs = np.log([one.value for _, one, _ in rows])
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ logs
    scatter = float(np.sum((logs - design @ found) ** 2)) / left
    scatter = max(scatter, float(np.mean([one.noise for _, one, _ in rows])))
    at, deviation = float(found[-1]), math.sqrt(scatter * float(inverse[-1, -1]))
    reach = float(stdtrit(left, 0.5 + CONFIDENCE / 2)) * deviation
    p = 1.0 if at == 0 else 0.0 if deviation == 0 else 2 * float(stdtr(left, -abs(at) / deviation))
    return Change(means[0], means[1], math.exp(at), math.exp(at - reach), math.exp(at + reach), p, days, left_out)
