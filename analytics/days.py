"""One number a day, of released cells: what is held against another period, and drawn over time.

A day counts only where all of it was seen: one with a suppressed part, or of which cameras saw under 90 %, is left out
and counted as left out; its sum would be lower than what happened.

The median of one day is read off its life table (Cutler and Ederer 1958) along the logarithm of time, as quickly as a
page of weeks and zones needs it; the median of a whole period, with its interval, is `analytics.survival`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from analytics.bins import local
from analytics.comparison import Daily
from analytics.figures import TIMES, Figure
from analytics.lifetable import EDGES_US
from analytics.model import SECOND
from analytics.released import FLAGGED, Cell

ROUNDING = 6.25  # greatest variance of one count rounded to 5 without bias


class Measure(StrEnum):
    """What is told of a day."""

    ENTRIES = "entries"
    VISITS = "zone visits"
    ENGAGED = "engaged share"
    STAY = "median stay"
    DECISION = "median decision"


FIGURE = {
    Measure.ENTRIES: Figure.FOOTFALL,
    Measure.VISITS: Figure.VISITS,
    Measure.ENGAGED: Figure.VISITS,
    Measure.STAY: Figure.DWELL,
    Measure.DECISION: Figure.DECISION,
}


@dataclass(frozen=True, slots=True)
class Days:
    """The days of one measure of one zone.

    Attributes:
        values: of the days that count.
        left_out: days that do not.
        cells: all they are made of.
    """

    values: Mapping[date, Daily] = field(default_factory=dict)
    left_out: tuple[date, ...] = ()
    cells: tuple[Cell, ...] = ()


def by_zone(measure: Measure, cells: Sequence[Cell], tz: str) -> dict[tuple[str, str], Days]:
    """Return the days of each (camera, zone) of which there is a cell.

    Args:
        measure: see `Measure`.
        cells: of its figure.
        tz: IANA name of the store's time zone.
    """
    lines: dict[tuple[str, str], dict[date, list[Cell]]] = {}
    for cell in cells:
        day = local(cell.start_us, tz).date()
        lines.setdefault((cell.camera, cell.zone), {}).setdefault(day, []).append(cell)
    return {zone: _days(measure, lines[zone]) for zone in sorted(lines)}


def _days(measure: Measure, by_day: Mapping[date, Sequence[Cell]]) -> Days:
    values, left_out = {}, []
    for day, cells in sorted(by_day.items()):
        one = None if not whole(cells) else _value(measure, cells)
        if one is None:
            left_out.append(day)
        else:
            values[day] = one
    return Days(values, tuple(left_out), tuple(cell for cells in by_day.values() for cell in cells))


def whole(cells: Sequence[Cell]) -> bool:
    """Say whether all of a day was seen and is released."""
    seen, meant = sum(cell.observed_us for cell in cells), sum(cell.open_us for cell in cells)
    return bool(cells) and not any(cell.suppressed for cell in cells) and meant > 0 and seen >= FLAGGED * meant


def _value(measure: Measure, cells: Sequence[Cell]) -> Daily | None:
    n = sum(cell.n or 0 for cell in cells)
    if measure in (Measure.ENTRIES, Measure.VISITS):
        return Daily(n, ROUNDING * len(cells) / n**2) if n else None
    if measure is Measure.ENGAGED:
        engaged = sum(cell.tiers["engaged"] + cell.tiers["deliberating"] for cell in cells)
        return Daily(engaged / n, ROUNDING * 2 * len(cells) / engaged**2 + 1 / engaged) if engaged else None
    return median(cells)


def median(cells: Sequence[Cell]) -> Daily | None:
    """Return the median of times of one day, seconds; None where fewer than half of them were seen to end.

    Its noise is Greenwood's (1926) and that of rounding, over the slope of the curve where it crosses one half.
    """
    shown = [cell.counts for cell in cells if not cell.suppressed]
    sums = [sum(column) for column in zip(*shown, strict=True)]
    left = total = sum(sums)
    share, greenwood = 1.0, 0.0
    for i, (died, lost) in enumerate(zip(sums[0::2], sums[1::2], strict=True)):
        exposed = left - lost / 2
        after = share * (1 - died / exposed) if exposed > 0 else share
        if after <= 0.5:
            if i + 1 == len(EDGES_US):
                return None  # the last bin has no end
            step = math.log(EDGES_US[i + 1] / EDGES_US[i])
            part = (share - 0.5) / (share - after)
            greenwood += part * died / (exposed * max(exposed - died, 1.0))
            variance = 0.25 * greenwood + ROUNDING * len(shown) / total**2
            return Daily(EDGES_US[i] / SECOND * math.exp(step * part), variance * (step / (share - after)) ** 2)
        greenwood += died / (exposed * (exposed - died)) if exposed > died else 0.0
        left, share = left - died - lost, after
    return None


def is_time(measure: Measure) -> bool:
    """Say whether a measure is in seconds."""
    return FIGURE[measure] in TIMES
