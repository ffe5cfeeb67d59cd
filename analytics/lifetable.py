"""How long people stay, from a histogram that knows who was still there when sight was lost. Pure arithmetic.

The edges are fixed for ever, so that days, zones and stores can be added up. Survival is the actuarial life table
(Cutler and Ederer 1958): whoever was lost in a bin counts for half of it. Means of completed stays are biased short and
are not computed here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.model import SECOND

EDGES_US = tuple(round(2 * SECOND * math.pow(2, i / 2)) for i in range(25))  # 2 s to 8,192 s; the last bin is open
BINS = len(EDGES_US)
_Z = 1.959964  # 97.5 % point of the normal distribution


def bin_index(duration_us: int) -> int:
    """Return the histogram bin of a duration; what is shorter than the first edge falls into the first bin."""
    return max(0, sum(edge <= duration_us for edge in EDGES_US) - 1)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A point of the distribution, seconds.

    Attributes:
        at: the estimate; None where fewer than that share of stays were seen to end.
        low: lower end of the 95 % interval, None where it cannot be told.
        high: upper end, None where it cannot be told.
    """

    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LifeTable:
    """Survival at the upper edge of each bin.

    Attributes:
        survival: share of stays longer than the bin's upper edge, one a bin.
        deviation: its standard deviation (Greenwood 1926, plus the given noise).
    """

    survival: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, ended: Sequence[int], censored: Sequence[int], *, noise: float = 0.0) -> LifeTable:
        """Build the table of one histogram.

        Args:
            ended: stays seen to end, one number a bin.
            censored: stays lost from sight, one number a bin.
            noise: variance of each cumulated count that comes from rounding, in people squared.

        Raises:
            ValueError: not one number a bin, or a negative one.
        """
        if len(ended) != BINS or len(censored) != BINS or min(*ended, *censored) < 0:
            raise ValueError(f"a dwell histogram has {BINS} bins of counts")
        total = at_risk = sum(ended) + sum(censored)
        survival, deviation, s, greenwood = [], [], 1.0, 0.0
        for died, lost in zip(ended, censored, strict=True):
            exposed = at_risk - lost / 2
            if died and exposed > 0:
                s *= 1 - min(1.0, died / exposed)
                greenwood += died / (exposed * (exposed - died)) if exposed > died else 0.0
            at_risk -= died + lost
            survival.append(s)
            deviation.append(math.sqrt(s * s * greenwood + (noise / total**2 if total else 0.0)))
        return cls(tuple(survival), tuple(deviation))

    def quantile(self, share: float) -> Quantile:
        """Return the duration that this share of stays does not exceed, with its 95 % interval.

        Between two edges the curve is straight over the logarithm of the duration.
        """
        level = 1 - share
        low = [max(0.0, s - _Z * d) for s, d in zip(self.survival, self.deviation, strict=True)]
        high = [min(1.0, s + _Z * d) for s, d in zip(self.survival, self.deviation, strict=True)]
        return Quantile(_crossing(self.survival, level), _crossing(low, level), _crossing(high, level))


def _crossing(survival: Sequence[float], level: float) -> float | None:
    before = 1.0
    for i, after in enumerate(survival[:-1]):  # the last bin has no upper edge: nothing can be read within it
        if after <= level:
            start, end = EDGES_US[i] / SECOND, EDGES_US[i + 1] / SECOND
            part = (before - level) / (before - after) if before > after else 0.0
            return start * math.pow(end / start, min(1.0, max(0.0, part)))
        before = after
    return None
