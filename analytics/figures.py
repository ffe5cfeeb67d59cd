"""Which figures there are, what each counts, and how many people it needs.

How many are enough is written here and, once more, in `retention.release`; no argument, setting or test lowers it. A
figure that changes its meaning gets a new `RULE`, and cells of two rules are never added up. No clock, no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from analytics.lifetable import BINS, bin_index
from analytics.model import SECOND
from analytics.zones import ZoneKind


class Audience(StrEnum):
    """Of whom a figure speaks."""

    EVERYBODY = "everybody"
    CONSENTING = "consenting"


class Figure(StrEnum):
    """What a cell holds. Each has bins and a least number of people of its own."""

    FOOTFALL = "footfall"
    VISITS = "zone_visits"
    DWELL = "dwell"
    DECISION = "decision_box"


FIGURES = {
    Audience.EVERYBODY: (Figure.FOOTFALL, Figure.VISITS, Figure.DWELL, Figure.DECISION),
    Audience.CONSENTING: (Figure.VISITS, Figure.DWELL, Figure.DECISION),
}

K_EVERYBODY: Final = 5  # tracks
K_CONSENTING: Final = 10  # visitors
RULE = "1"  # version of the rules that make the counts below
TIERS = ("pass_by", "glance", "engaged", "deliberating")
SLOTS = {Figure.FOOTFALL: 1, Figure.VISITS: len(TIERS), Figure.DWELL: 2 * BINS, Figure.DECISION: 2 * BINS}
TIMES = frozenset({Figure.DWELL, Figure.DECISION})  # histograms, from which a median can be read

_KIND = {Figure.FOOTFALL: ZoneKind.ENTRANCE, Figure.DECISION: ZoneKind.PRODUCT}


def least(audience: Audience, figure: Figure) -> int:
    """Return how many people a cell needs; twice as many where a median can be read from it."""
    k = K_EVERYBODY if audience is Audience.EVERYBODY else K_CONSENTING
    return 2 * k if figure in TIMES else k


def measured(figure: Figure, kind: ZoneKind) -> bool:
    """Say whether there is such a figure of zones of this kind; pads and staff zones have none."""
    return kind not in (ZoneKind.PAD, ZoneKind.STAFF) and _KIND.get(figure, kind) is kind


def tier(dwell_us: int, stopped: bool) -> int:
    """Return the tier of a visit as a position in `TIERS`, by the thresholds of the metric definitions."""
    if dwell_us < 2 * SECOND or not stopped:
        return 0
    return 1 if dwell_us < 5 * SECOND else 2 if dwell_us < 8 * SECOND else 3


def slots(
    figure: Figure, dwell_us: int, *, stopped: bool, censored: bool, decisions: Iterable[tuple[int, bool]] = ()
) -> tuple[int, ...]:
    """Return where a visit counts among the counts of a figure; nowhere, once, or once for each deliberation.

    The counts of `zone_visits` are one a tier; those of `dwell` and `decision_box` are, bin after bin, the times seen
    to end and those lost from sight, of visits that are not a pass-by and of deliberations.

    Args:
        figure: see `Figure`.
        dwell_us: length of the visit.
        stopped: whether there was a stop in it.
        censored: whether its end was not seen.
        decisions: (`decision_box` in microseconds, censored) of each deliberation in it.
    """
    if figure is Figure.VISITS:
        return (tier(dwell_us, stopped),)
    if figure is Figure.DWELL:
        return (_time(dwell_us, censored),) if tier(dwell_us, stopped) else ()
    if figure is Figure.DECISION:
        return tuple(_time(length_us, lost) for length_us, lost in decisions)
    return (0,)


def _time(length_us: int, censored: bool) -> int:
    return 2 * bin_index(length_us) + censored
