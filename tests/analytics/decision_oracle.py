"""Decision duration again, from the sentences of `docs/metrics.md` alone; nothing shared with the engine, no threshold.

It sees the whole walk of one person at once, in metres, and answers by looking at all of it. Where a sentence leaves
room it is read like this:

* `speed v median-filtered over 1 s`: at an instant, the median of the step speeds within half a second of it.
* `STOP v < 0.35 m/s for >= 1 s, backdated`: the first instant from which v stays below for a second.
* `RESUME v > 0.6 m/s for >= 1 s`: the first instant after a STOP from which v stays above for a second.
* A stop is cut to the stay in the zone: a STOP before the door is a STOP at the door, and the zone's exit ends it.
* What was already going on at the first sight began nobody knows when, and has no length.
* A walk that ends unseen leaves the last deliberation open, unless its 3 s apart had passed before.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

STOP, RESUME, HOLD_S, HALF_WINDOW_S = 0.35, 0.6, 1.0, 0.5  # m/s, m/s, s, s
APART_S, COUNTS_S = 3.0, 3.0

Sample = tuple[float, float, float]  # seconds, metres, metres
Seconds = float | Fraction


@dataclass(frozen=True)
class Told:
    """One deliberation: first STOP and LEAVE in seconds, and whether its end was seen."""

    stop_s: Seconds
    leave_s: Seconds
    ended: bool


def speeds(walk: list[Sample]) -> list[float]:
    """v at each sample."""
    steps = [
        ((b[0] + a[0]) / 2, ((b[1] - a[1]) ** 2 + (b[2] - a[2]) ** 2) ** 0.5 / (b[0] - a[0]))
        for a, b in itertools.pairwise(walk)
    ]
    return [statistics.median([v for at, v in steps if abs(at - t) <= HALF_WINDOW_S]) for t, _, _ in walk]


def stops(walk: list[Sample]) -> list[tuple[float, float | None]]:
    """(STOP, RESUME) of the walk; the last RESUME is None where it never came."""
    v, times = speeds(walk), [t for t, _, _ in walk]

    def holds(i: int, low: bool) -> bool:
        ahead = [v[j] for j in range(len(v)) if times[i] <= times[j] <= times[i] + HOLD_S + 1e-9]
        return times[-1] - times[i] >= HOLD_S - 1e-9 and all(x < STOP if low else x > RESUME for x in ahead)

    found: list[tuple[float, float | None]] = []
    start: float | None = None
    for i, t in enumerate(times):
        if start is None and holds(i, low=True):
            start = t
        elif start is not None and holds(i, low=False):
            found.append((start, t))
            start = None
    return [*found, (start, None)] if start is not None else found


def told(
    stays: Sequence[tuple[Seconds, Seconds]], *, enter_s: Seconds, leave_s: Seconds, left: bool, seen_coming: bool
) -> list[Told]:
    """Return the deliberations of one stay in a product zone.

    Args:
        stays: stops, seconds, in order.
        enter_s: of the zone.
        leave_s: first instant outside, or the last sight.
        left: the leaving was seen.
        seen_coming: the entering was seen.
    """
    cut = [(max(a, enter_s), min(b, leave_s)) for a, b in stays if min(b, leave_s) > max(a, enter_s)]
    groups: list[list[tuple[Seconds, Seconds]]] = []
    for stop in cut:
        if groups and stop[0] - groups[-1][-1][1] < APART_S:
            groups[-1].append(stop)
        else:
            groups.append([stop])
    out = []
    for group in groups:
        if group[0][0] - enter_s < HALF_WINDOW_S and not seen_coming:
            continue
        ended = left or leave_s - group[-1][1] >= APART_S
        if sum(b - a for a, b in group) >= COUNTS_S:
            out.append(Told(group[0][0], group[-1][1], ended))
    return out
