"""Unbiased random rounding. Pure arithmetic: whoever calls brings the chance, and draws once."""

from __future__ import annotations

import math
from collections.abc import Sequence

ROUND_TO = 5


def round_counts(counts: Sequence[int], draw: float) -> tuple[int, ...]:
    """Round counts to multiples of 5 so that each, and each sum of neighbours, is right on average.

    Systematic sampling: the running sum is rounded with the same draw throughout, so the rounded counts add up to the
    rounded sum, and no count and no running sum is off by 5 or more.

    Args:
        counts: exact counts, none negative.
        draw: one number drawn evenly from [0, 1).
    """
    offset = math.floor(draw * ROUND_TO)  # whole numbers: a draw close to 1 must not round a sum up twice
    out, total, before = [], 0, 0
    for count in counts:
        total += count
        rounded = ROUND_TO * ((total + offset) // ROUND_TO)
        out.append(rounded - before)
        before = rounded
    return tuple(out)
