"""The metrics by id: what each counts, of whom, in which unit, and from which privacy level on it exists.

A metric below the level that is in force does not exist: it is neither listed nor answered for, whatever was released
while the level was higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from analytics.figures import (
    CROWDS,
    FIGURES,
    FUNNEL,
    OUTCOMES,
    RECEIPTS,
    RULE,
    SLOTS,
    TIERS,
    TIMES,
    Audience,
    Figure,
    Served,
    least,
)
from analytics.lifetable import EDGES_US
from analytics.model import SECOND
from analytics.row import CLASSES
from consent.events import Level

ROUNDED_TO: Final = 5  # every count is rounded to a multiple of this, at random and without bias
EDGES_S: Final = tuple(round(edge / SECOND, 3) for edge in EDGES_US)

# name, what n counts, what it is
_WORDS: dict[Figure, tuple[str, str, str]] = {
    Figure.FOOTFALL: ("Entries", "entries", "Confirmed inward crossings of an entrance."),
    Figure.VISITS: (
        "Zone visits",
        "visits",
        "Stays in a zone, by tier: pass-by (under 2 s, or no stop), glance (2 to 5 s), engaged (5 to 8 s), deliberating"
        " (8 s or more).",
    ),
    Figure.DWELL: ("Length of stay", "visits", "How long visits that are no pass-by last, from entering to leaving."),
    Figure.DECISION: (
        "Decision duration",
        "deliberations",
        "From the first stop before a shelf until walking on; an upper bound, from boxes alone.",
    ),
    Figure.POSE: (
        "Decision duration, by a second look",
        "deliberations",
        "From turning to the shelf until the last reach for it. A take_candidate is no sale.",
    ),
    Figure.EXPRESSION: (
        "Expression",
        "tenths of visits",
        "Which posed expression faces resembled, ten parts a visit. What a face shows is not what a person feels.",
    ),
    Figure.TRANSITIONS: ("Steps from zone to zone", "steps", "Steps from a zone to the next one of the same walk."),
    Figure.WAIT: ("Waits in the queue", "waits", "How long people wait until they are served, give up, or are lost."),
    Figure.OCCUPANCY: (
        "People at once",
        "people at looks",
        "People in a zone, counted four times a minute, by how many were in it. Their sum over the looks in the"
        " observed time is the mean number of people.",
    ),
    Figure.EXITS: ("Ways out", "exits", "People who were seen to leave by a door and did not come back."),
    Figure.STAY: ("Stays in the shop", "stays", "From an entry to the way out."),
    Figure.SALES: ("Receipts", "receipts, items and amount", "Receipts of the tills, from their own file."),
    Figure.FUNNEL: ("Questions at the kiosk", "steps of questions", "What questions at the kiosk came to."),
    Figure.PASSERS: (
        "Passers-by",
        "passers-by",
        "People seen outside before the door, and nowhere else. Capture is entries over entries and passers-by, of"
        " cameras that see both.",
    ),
}
_PEOPLE = {Figure.SALES: "receipts", Figure.FUNNEL: "questions"}


@dataclass(frozen=True, slots=True)
class Metric:
    """What one metric is.

    Attributes:
        id: audience.figure.
        name: what people call it.
        definition: what it counts.
        of: everybody, or consenting shoppers.
        unit: of n.
        people_unit: of people; consenting shoppers of several days are visitor-days.
        least: people that a cell needs; one of fewer is suppressed.
        rounded_to: counts are rounded to a multiple of this, so sums are near and not exact.
        rule: version of the counting rules; cells of two rules are never added up.
        is_time: its counts are a histogram of times.
        edges_s: of a histogram: where each bin begins, seconds; the last is open.
        slots: what each number of `counts` counts, in order; `ended_from_2s` is a bin of a histogram.
        time_base: of its cells.
    """

    id: str
    name: str
    definition: str
    of: Audience
    unit: str
    people_unit: str
    least: int
    rounded_to: int
    rule: str
    is_time: bool
    edges_s: tuple[float, ...]
    slots: tuple[str, ...]
    time_base: str

    @property
    def figure(self) -> Figure:
        """Which figure it is of."""
        return Figure(self.id.partition(".")[2])


def least_level(audience: Audience, figure: Figure) -> Level:
    """Return the privacy level from which on a figure exists."""
    if audience is Audience.EVERYBODY:
        return Level.COUNTS
    return Level.EMOTION if figure is Figure.EXPRESSION else Level.DWELL


def metrics(level: Level) -> dict[str, Metric]:
    """Return the metrics that exist at a privacy level, by id."""
    found = [
        _metric(audience, figure)
        for audience in Audience
        for figure in FIGURES[audience]
        if level >= least_level(audience, figure)
    ]
    return {metric.id: metric for metric in found}


def _metric(audience: Audience, figure: Figure) -> Metric:
    name, unit, text = _WORDS[figure]
    return Metric(
        id=f"{audience}.{figure}",
        name=name,
        definition=text,
        of=audience,
        unit=unit,
        people_unit=_PEOPLE.get(figure, "tracks" if audience is Audience.EVERYBODY else "visitors"),
        least=least(audience, figure),
        rounded_to=ROUNDED_TO,
        rule=RULE,
        is_time=figure in TIMES,
        edges_s=EDGES_S if figure in TIMES else (),
        slots=_slots(figure),
        time_base="UTC; a cell holds what became known from its start to below its end; bins of 1 h, 3 h, a day or a"
        " week lie on the store's clock",
    )


def _slots(figure: Figure) -> tuple[str, ...]:
    if figure in TIMES:
        kinds: tuple[str, ...] = ("ended", "lost")
        if figure is Figure.WAIT:
            kinds = tuple(how.name.lower() if how is not Served.YES else "served" for how in Served)
        elif figure is Figure.POSE:
            kinds = tuple(outcome.value for outcome in OUTCOMES)
        return tuple(f"{kind}_from_{edge:g}s" for edge in EDGES_S for kind in kinds)
    crowds = (*(f"{a}" if b == a + 1 else f"{a}_to_{b - 1}" for a, b in pairwise(CROWDS)), "10_up")
    named: dict[Figure, tuple[str, ...]] = {
        Figure.VISITS: TIERS,
        Figure.EXPRESSION: tuple(CLASSES),
        Figure.OCCUPANCY: tuple(f"people_{crowd}" for crowd in crowds),
        Figure.SALES: RECEIPTS,
        Figure.FUNNEL: FUNNEL,
    }
    return named.get(figure, (_WORDS[figure][1],) * SLOTS[figure])
