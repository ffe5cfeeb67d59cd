"""The bins that times are counted in, and a point of their distribution. Pure arithmetic.

The edges are fixed for ever, so that days, zones and stores can be added up. Beside the times seen to end a histogram
holds those that were still going on when sight was lost: a life table. What is estimated from it: `analytics.survival`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytics.model import SECOND

EDGES_US = tuple(round(2 * SECOND * math.pow(2, i / 2)) for i in range(25))  # 2 s to 8,192 s; the last bin is open
BINS = len(EDGES_US)


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
