"""Which figures there are, what each counts, and how many people it needs.

How many are enough is written here and, once more, in `retention.release`; no argument, setting or test lowers it. A
figure that changes its meaning gets a new `RULE`, and cells of two rules are never added up. No clock, no file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from analytics.lifetable import BINS, bin_index
from analytics.model import SECOND


class Audience(StrEnum):
    """Of whom a figure speaks."""

    EVERYBODY = "everybody"
    CONSENTING = "consenting"


class Figure(StrEnum):
    """What a cell holds. Each has bins and a least number of people of its own."""

    FOOTFALL = "footfall"
    VISITS = "zone_visits"
    DWELL = "dwell"


FIGURES = {
    Audience.EVERYBODY: (Figure.FOOTFALL, Figure.VISITS, Figure.DWELL),
    Audience.CONSENTING: (Figure.VISITS, Figure.DWELL),
}

K_EVERYBODY: Final = 5  # tracks
K_CONSENTING: Final = 10  # visitors
RULE = "1"  # version of the rules that make the counts below
TIERS = ("pass_by", "glance", "engaged", "deliberating")
SLOTS = {Figure.FOOTFALL: 1, Figure.VISITS: len(TIERS), Figure.DWELL: 2 * BINS}


def least(audience: Audience, figure: Figure) -> int:
    """Return how many people a cell needs; twice as many where a median can be read from it."""
    k = K_EVERYBODY if audience is Audience.EVERYBODY else K_CONSENTING
    return 2 * k if figure is Figure.DWELL else k


def tier(dwell_us: int, stopped: bool) -> int:
    """Return the tier of a visit as a position in `TIERS`, by the thresholds of the metric definitions."""
    if dwell_us < 2 * SECOND or not stopped:
        return 0
    return 1 if dwell_us < 5 * SECOND else 2 if dwell_us < 8 * SECOND else 3


def slot(figure: Figure, dwell_us: int, *, stopped: bool, censored: bool) -> int | None:
    """Return where a visit counts among the counts of a figure, None where it does not.

    The counts of `zone_visits` are one a tier; those of `dwell` are, bin after bin, the stays seen to end and those
    lost from sight, of visits that are not a pass-by.
    """
    if figure is Figure.VISITS:
        return tier(dwell_us, stopped)
    if figure is Figure.DWELL:
        return 2 * bin_index(dwell_us) + censored if tier(dwell_us, stopped) else None
    return 0
