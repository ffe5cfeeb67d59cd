"""Whether two figures differ by more than noise. Pure arithmetic on estimates and their intervals.

Rules:
- The interval of a difference follows from those of both figures (MOVER; Donner and Zou 2012), so whatever widens a
  figure's own interval, rounding and unlike days too, widens that of the difference.
- Who looks at many differences at once sees one by chance: what a page calls a difference is one at 5 % for the page
  (Holm 1979), and not each by itself.
- What cannot be told is None, and is never a difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from analytics.lifetable import Quantile

LEVEL = 0.05  # how often a page may call something a difference where there is none

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure minus another.

    Attributes:
        at: in their unit; None where either is not known.
        low: lower end of the 95 % interval, None where it cannot be told.
        high: upper end, None where it cannot be told.
        p: how often chance alone gives so large a difference or a larger one; 1 where that cannot be told.
    """

    at: float | None
    low: float | None
    high: float | None
    p: float


def difference(now: Quantile, before: Quantile) -> Difference:
    """Return the difference of two independent figures.

    Args:
        now: with its 95 % interval.
        before: with its 95 % interval, of other people.
    """
    if now.at is None or before.at is None:
        return Difference(None, None, None, 1.0)
    at = now.at - before.at
    down = _hypot(now.at, now.low, before.at, before.high)
    up = _hypot(now.at, now.high, before.at, before.low)
    toward_zero = down if at > 0 else up
    p = 1.0
    if toward_zero and at:
        p = 2 * (1 - NormalDist().cdf(_Z * abs(at) / toward_zero))
    return Difference(at, None if down is None else at - down, None if up is None else at + up, p)


def holm(ps: Sequence[float]) -> list[float]:
    """Return what each p is worth among all of them: compare with `LEVEL`.

    Args:
        ps: of everything that is looked at together.
    """
    worth, most = [1.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        most = max(most, min(1.0, (len(ps) - rank) * ps[i]))
        worth[i] = most
    return worth


def _hypot(a: float, a_end: float | None, b: float, b_end: float | None) -> float | None:
    return None if a_end is None or b_end is None else math.hypot(a - a_end, b - b_end)
