"""Whether two periods differ by more than days do, in words, rows and marks; for page and paper alike.

The test and what it does not say stand in `analytics.comparison`. Everything that two periods can be compared by is
looked at together, so one chance hit in twenty is corrected for (Holm), whatever of it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from analytics.answers import Answers
from analytics.charts import duration
from analytics.comparison import Change, compare
from analytics.days import FIGURE, Days, Measure, by_zone, is_time
from analytics.difference import LEVEL, holm
from analytics.pages.lines import VERDICTS
from analytics.pages.source import Counted, summed

TOO_FEW = "too few days"
HOW = (
    "A day is one trial: its visits share its weather and its offers. Weekdays are held against the same weekdays; days"
    " of which cameras saw under 90 %, or with a suppressed part, are left out. The interval is 95 % for each row"
    f" alone; the verdict is at {LEVEL:.0%} for everything compared in these two periods (Holm), shown here or not, so"
    " it can be “no difference shown” where a row's own interval leaves 0 out. “No difference shown” is not “no"
    " difference”."
    " That two periods differ does not say why: seasons and offers change, too; and other periods can say otherwise."
)
Span = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is compared.

    Attributes:
        measure: see `Measure`.
        place: camera and zone.
        zone: its name, with its camera's where two have one.
        days: of both periods.
        change: see `Change`.
        worth: its p among everything compared.
        verdict: one of `VERDICTS`, or `TOO_FEW`.
    """

    measure: Measure
    place: tuple[str, str]
    zone: str
    days: Days
    change: Change
    worth: float
    verdict: str

    @property
    def what(self) -> str:
        """Both in words."""
        return f"{self.zone}: {self.measure}"


@lru_cache(maxsize=8)
def rows(report: Answers, before: Span, after: Span) -> list[Row]:
    """Compare every measure of every zone in two periods; what is shown of it changes no verdict.

    Args:
        report: of the released cells.
        before: the earlier period, first and last day.
        after: the later one; no day is in both.

    Returns:
        Remembered, for a click on the page that changes nothing of it; not to be changed.
    """
    raw: list[tuple[Measure, tuple[str, str], str, Days, Change]] = []
    for measure in Measure:
        cells = [cell for first, last in (before, after) for cell in report.cells(FIGURE[measure], first, last)]
        found = by_zone(measure, cells, report.tz)
        names = [zone for _, zone in found]
        for (camera, zone), days in found.items():
            if not days.values:
                continue
            change = compare(
                {day: one for day, one in days.values.items() if day <= before[1]},
                {day: one for day, one in days.values.items() if day >= after[0]},
            )
            called = zone if names.count(zone) == 1 else f"{zone} ({camera})"
            raw.append((measure, (camera, zone), called, days, change))
    tested = [i for i, (*_, change) in enumerate(raw) if change.ratio is not None]
    worth = dict(zip(tested, holm([raw[i][-1].p for i in tested]), strict=True))
    return [
        Row(measure, place, zone, days, change, worth.get(i, 1.0), _verdict(change, worth.get(i)))
        for i, (measure, place, zone, days, change) in enumerate(raw)
    ]


def _verdict(change: Change, worth: float | None) -> str:
    if worth is None or change.ratio is None:
        return TOO_FEW
    if worth > LEVEL:
        return VERDICTS[2]
    return VERDICTS[0] if change.ratio > 1 else VERDICTS[1]


def counted(found: Sequence[Row], tz: str) -> list[Counted]:
    """Return how what is compared was counted, and how a difference is told from chance.

    Args:
        found: see `rows`.
        tz: IANA name of the store's time zone.
    """
    out = [Counted(HOW)]
    for figure in dict.fromkeys(FIGURE.values()):
        cells = {id(cell): cell for row in found if FIGURE[row.measure] is figure for cell in row.days.cells}
        if cells:
            out.append(Counted.of(summed(figure, list(cells.values())), tz))
    return out


def points(found: Sequence[Row]) -> list[dict[str, object]]:
    """Return what is drawn of a comparison, measure by measure; see `analytics.pages.lines.differences`."""
    return [
        {
            "what": row.what,
            "change": row.change.ratio - 1,
            "low": row.change.low - 1,
            "high": min(row.change.high - 1, 2.0),
            "verdict": row.verdict,
        }
        for row in sorted(found, key=lambda row: (list(Measure).index(row.measure), row.zone))
        if row.change.ratio is not None and row.change.low is not None and row.change.high is not None
    ]


def said(row: Row) -> str:
    """Return a difference in words."""
    change = row.change
    if change.ratio is None or change.low is None or change.high is None:
        return f"{row.what}: {TOO_FEW}"
    return (
        f"{row.what}: {row.verdict}, {percent(change.ratio - 1)} (95 %: {percent(change.low - 1)} to"
        f" {percent(change.high - 1)})"
    )


def percent(share: float) -> str:
    """Return a change in whole per cent, with its sign; nothing is neither more nor less."""
    text = f"{share:+.0%}"
    return "0%" if text in ("+0%", "-0%") else text


def _p(worth: float) -> str:
    return "under 0.001" if worth < 0.001 else f"{worth:.3f}"


def told(measure: Measure, value: float | None) -> str:
    """Return a value of a measure in words."""
    if value is None:
        return "–"
    if is_time(measure):
        return duration(value)
    return f"{value:.0%}" if measure is Measure.ENGAGED else f"{value:,.0f} a day"


def numbers(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the comparison as numbers for a file: seconds, shares or a day's count, and relative differences."""
    return [
        {
            "what": str(row.measure),
            "unit": "s" if is_time(row.measure) else "share" if row.measure is Measure.ENGAGED else "a day",
            "zone": row.zone,
            "earlier": row.change.before,
            "later": row.change.after,
            "difference": _less(row.change.ratio),
            "difference, low": _less(row.change.low),
            "difference, high": _less(row.change.high),
            "p among all": None if row.change.ratio is None else row.worth,
            "verdict": row.verdict,
            "days earlier": row.change.days[0],
            "days later": row.change.days[1],
            "left out": len(row.days.left_out) + row.change.left_out,
        }
        for row in found
    ]


def _less(ratio: float | None) -> float | None:
    return None if ratio is None else ratio - 1


def table(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the comparison as rows of a table."""
    return [
        {
            "What": str(row.measure).capitalize(),
            "Zone": row.zone,
            "Earlier": told(row.measure, row.change.before),
            "Later": told(row.measure, row.change.after),
            "Difference": "–" if row.change.ratio is None else percent(row.change.ratio - 1),
            "95 % interval": "–"
            if row.change.low is None or row.change.high is None
            else f"{percent(row.change.low - 1)} to {percent(row.change.high - 1)}",
            "p among all": "–" if row.change.ratio is None else _p(row.worth),
            "Verdict": row.verdict,
            "Days": f"{row.change.days[0]} and {row.change.days[1]}",
            "Left out": len(row.days.left_out) + row.change.left_out,
        }
        for row in found
    ]
