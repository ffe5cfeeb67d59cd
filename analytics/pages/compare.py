"""Compare: two periods, or before and after something that happened, and whether they differ by more than days do.

The test and what it does not say stand in `analytics.comparison`. Everything on the page is looked at together, so one
chance hit in twenty is corrected for (Holm), whatever is filtered away afterwards or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.answers import Answers
from analytics.charts import duration
from analytics.comparison import FEWEST_DAYS, Change, compare
from analytics.days import FIGURE, Days, Measure, by_zone, is_time
from analytics.difference import LEVEL, holm
from analytics.figures import Audience
from analytics.notes import Note
from analytics.pages.choice import period
from analytics.pages.happened import drawn, notes_button
from analytics.pages.lines import VERDICTS, differences, over_days
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import beside, show
from analytics.pages.source import source
from analytics.pages.style import begin, figures
from analytics.released import Sum

TWO, AROUND = "Two periods", "Before and after a note"
LONGEST = 28  # days on either side of a note
TOO_FEW = "too few days"
Span = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is compared.

    Attributes:
        measure: see `Measure`.
        zone: its name, with its camera's where two have one.
        days: of both periods.
        change: see `Change`.
        worth: its p among everything compared.
        verdict: one of `VERDICTS`, or `TOO_FEW`.
    """

    measure: Measure
    zone: str
    days: Days
    change: Change
    worth: float
    verdict: str

    @property
    def what(self) -> str:
        """Both in words."""
        return f"{self.zone}: {self.measure}"


def compare_page(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; its folder of released cells and its notes are read.
    """
    begin("Compare")
    report = figures(state_dir)
    if report is None:
        return
    days, tz = report.days(), report.tz
    zones = report.zones()
    spans = _periods(state_dir, days)
    if spans is None:
        return
    before, after = spans
    with st.container(horizontal=True):
        notes_button(state_dir, after[0], zones, tz)
    if before[1] >= after[0]:
        st.error("The earlier period must end before the later one begins; choose other days.")
        return
    places = st.multiselect("Zones", zones, key="zones", bind="query-params", placeholder="All zones")
    found = rows(report, before, after, tuple(places))
    if not found:
        nothing_here(report, *set(FIGURE.values()), what="either period")
        return
    _verdicts(found, before, after)
    _table(found)
    for figure in dict.fromkeys(FIGURE.values()):
        cells = {id(cell): cell for row in found if FIGURE[row.measure] is figure for cell in row.days.cells}
        if cells:
            source(Sum.of(f"{Audience.EVERYBODY}.{figure}", list(cells.values())), tz)
    _one(state_dir, found, before, after)
    not_shown(report, before[0], after[1], tuple(dict.fromkeys(FIGURE.values())))
    st.caption(
        "**How it is told.** A day is one trial: its visits share its weather and its offers. Weekdays are held against"
        " the same weekdays; days of which cameras saw under 90 %, or with a suppressed part, are left out. The"
        f" interval is 95 % for each row alone; the verdict is at {LEVEL:.0%} for all rows together (Holm), so it can"
        " be “no difference shown” where a row's own interval leaves 0 out. “No difference shown” is not “no"
        " difference”. That two periods differ does not say why: seasons and offers change, too."
    )


def _periods(state_dir: Path, days: Sequence[date]) -> tuple[Span, Span] | None:
    """Draw the choice of the two periods, and return them; None while it is not made."""
    notes = [note for note in drawn(state_dir, days[0], days[-1]) if days[0] < note.day]
    how = TWO
    if notes:
        how = (
            st.segmented_control(
                "Compare", (AROUND, TWO), default=AROUND, required=True, key="how", bind="query-params"
            )
            or AROUND
        )
    left, right = st.columns(2)
    if how == AROUND:
        names = {f"{note.day}: {note.text}": note for note in reversed(notes)}
        name = left.selectbox("Note", list(names), key="note", bind="query-params")
        length = right.slider("Days on either side", 7, LONGEST, 14, 7, key="length", bind="query-params")
        return around(names.get(name) or notes[-1], length, days)
    middle = days[-1] - timedelta(days=min(LONGEST, (days[-1] - days[0]).days + 1) // 2)
    earlier = period(left, "Earlier period", "before", days, max(days[0], middle - timedelta(days=13)), middle)
    later = period(right, "Later period", "after", days, min(middle + timedelta(days=1), days[-1]), days[-1])
    return None if earlier is None or later is None else (earlier, later)


def around(note: Note, length: int, days: Sequence[date]) -> tuple[Span, Span]:
    """Return as many days before a note as from it on; the day of the note is the first of the later ones."""
    first = max(days[0], note.day - timedelta(days=length))
    last = min(days[-1], note.day + timedelta(days=length - 1))
    return (first, note.day - timedelta(days=1)), (note.day, max(last, note.day))


@lru_cache(maxsize=8)
def rows(report: Answers, before: Span, after: Span, zones: tuple[str, ...] = ()) -> list[Row]:
    """Compare every measure of every zone in two periods.

    Args:
        report: of the released cells.
        before: the earlier period, first and last day.
        after: the later one; no day is in both.
        zones: names; empty for all.

    Returns:
        Remembered, for a click on the page that changes nothing of it; not to be changed.
    """
    raw: list[tuple[Measure, str, Days, Change]] = []
    for measure in Measure:
        cells = [
            cell
            for first, last in (before, after)
            for cell in report.cells(FIGURE[measure], first, last)
            if not zones or cell.zone in zones
        ]
        found = by_zone(measure, cells, report.tz)
        names = [zone for _, zone in found]
        for (camera, zone), days in found.items():
            if not days.values:
                continue
            change = compare(
                {day: one for day, one in days.values.items() if day <= before[1]},
                {day: one for day, one in days.values.items() if day >= after[0]},
            )
            raw.append((measure, zone if names.count(zone) == 1 else f"{zone} ({camera})", days, change))
    tested = [i for i, (*_, change) in enumerate(raw) if change.ratio is not None]
    worth = dict(zip(tested, holm([raw[i][3].p for i in tested]), strict=True))
    return [
        Row(measure, zone, days, change, worth.get(i, 1.0), _verdict(change, worth.get(i)))
        for i, (measure, zone, days, change) in enumerate(raw)
    ]


def _verdict(change: Change, worth: float | None) -> str:
    if worth is None or change.ratio is None:
        return TOO_FEW
    if worth > LEVEL:
        return VERDICTS[2]
    return VERDICTS[0] if change.ratio > 1 else VERDICTS[1]


def _verdicts(found: Sequence[Row], before: Span, after: Span) -> None:
    real = [row for row in found if row.verdict in VERDICTS[:2]]
    told = [row for row in found if row.change.ratio is not None]
    st.header(f"{before[0]} to {before[1]}, against {after[0]} to {after[1]}")
    if not told:
        st.info(
            f"**Too few days to tell.** Each period needs {FEWEST_DAYS} whole days or more, of weekdays that are in"
            " both. Choose longer periods; a week more of figures is there a week later.",
            icon=":material/hourglass_empty:",
        )
        return
    if real:
        st.markdown(
            f"**{len(real)} of {len(told)}** compared differ by more than days differ anyway:\n\n"
            + "\n".join(f"- {said(row)}" for row in sorted(real, key=lambda row: row.worth))
        )
    else:
        st.markdown(f"**No difference is shown** among the {len(told)} compared: days differ as much.")
    points = [
        {
            "what": row.what,
            "change": row.change.ratio - 1,
            "low": row.change.low - 1,
            "high": min(row.change.high - 1, 2.0),
            "verdict": row.verdict,
        }
        for row in sorted(told, key=lambda row: (list(Measure).index(row.measure), row.zone))
        if row.change.ratio is not None and row.change.low is not None and row.change.high is not None
    ]
    show(
        lambda colours: differences(points, colours),
        points,
        name="Differences",
        told="The later period against the earlier one, with 95 % intervals: "
        + (", ".join(said(row) for row in real) or "no difference shown")
        + ".",
    )


def said(row: Row) -> str:
    """Return a difference in words."""
    change = row.change
    if change.ratio is None or change.low is None or change.high is None:
        return f"{row.what}: {TOO_FEW}"
    return (
        f"{row.what}: {row.verdict}, {change.ratio - 1:+.0%} (95 % interval {change.low - 1:+.0%} to"
        f" {change.high - 1:+.0%}, p among all {_p(row.worth)})"
    )


def _p(worth: float) -> str:
    return "under 0.001" if worth < 0.001 else f"{worth:.3f}"


def told(measure: Measure, value: float | None) -> str:
    """Return a value of a measure in words."""
    if value is None:
        return "–"
    if is_time(measure):
        return duration(value)
    return f"{value:.0%}" if measure is Measure.ENGAGED else f"{value:,.0f} a day"


def table(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the comparison as rows of a table."""
    return [
        {
            "What": str(row.measure).capitalize(),
            "Zone": row.zone,
            "Earlier": told(row.measure, row.change.before),
            "Later": told(row.measure, row.change.after),
            "Difference": "–" if row.change.ratio is None else f"{row.change.ratio - 1:+.0%}",
            "95 % interval": "–"
            if row.change.low is None or row.change.high is None
            else f"{row.change.low - 1:+.0%} to {row.change.high - 1:+.0%}",
            "p among all": "–" if row.change.ratio is None else _p(row.worth),
            "Verdict": row.verdict,
            "Days": f"{row.change.days[0]} and {row.change.days[1]}",
            "Left out": len(row.days.left_out) + row.change.left_out,
        }
        for row in found
    ]


def _table(found: Sequence[Row]) -> None:
    lines = table(found)
    st.dataframe(lines, hide_index=True)
    beside(lines, name="comparison")


def _one(state_dir: Path, found: Sequence[Row], before: Span, after: Span) -> None:
    drawable = {row.what: row for row in found if len(row.days.values) > 1}
    if not drawable:
        return
    st.header("Day by day")
    best = min(drawable.values(), key=lambda row: row.worth).what
    name = st.selectbox("What", list(drawable), index=list(drawable).index(best), key="what", bind="query-params")
    row = drawable.get(name) or drawable[best]
    values: Mapping[date, float] = {day: one.value for day, one in row.days.values.items()}
    levels = [
        (*span, level, which)
        for span, level, which in ((before, row.change.before, "earlier"), (after, row.change.after, "later"))
        if level is not None
    ]
    notes = drawn(state_dir, before[0], after[1])
    unit, form = (", s", ".1f") if is_time(row.measure) else ("", ".0%" if row.measure is Measure.ENGAGED else ",.0f")
    show(
        lambda colours: over_days(
            values, str(row.measure).capitalize() + unit, colours, notes, levels=levels, form=form
        ),
        [{"day": day, str(row.measure) + unit: value} for day, value in sorted(values.items())],
        name=f"Day by day {row.what}",
        told=f"{row.what.capitalize()} by day. {said(row)}.",
    )
