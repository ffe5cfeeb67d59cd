"""Compare: two periods, or before and after something that happened, and whether they differ by more than days do.

What is told stands in `analytics.pages.verdicts`; the weekly report tells the same of the same periods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import streamlit as st

from analytics.comparison import FEWEST_DAYS
from analytics.days import FIGURE, Measure, is_time
from analytics.notes import Note
from analytics.pages.choice import period
from analytics.pages.happened import drawn, notes_button
from analytics.pages.lines import VERDICTS, differences, over_days
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import beside, show
from analytics.pages.source import Counted
from analytics.pages.style import begin, figures
from analytics.pages.verdicts import Row, Span, counted, numbers, points, rows, said, table

TWO, AROUND = "Two periods", "Before and after a note"
LONGEST = 28  # days on either side of a note


def compare_page(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; its folder of released cells and its notes are read.
    """
    begin("Compare")
    report = figures(state_dir, "Compare")
    if report is None:
        return
    days, tz = report.days(), report.tz
    if len(days) < 2:
        _too_few()
        return
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
    found = [row for row in rows(report, before, after) if not places or row.place[1] in places]
    if not found:
        nothing_here(report, *set(FIGURE.values()), what="either period")
        return
    by = counted(found, tz)
    _verdicts(found, before, after, by)
    _table(found, by)
    _one(state_dir, found, before, after, tz)
    not_shown(report, before[0], after[1], tuple(dict.fromkeys(FIGURE.values())))


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


def _verdicts(found: Sequence[Row], before: Span, after: Span, by: Sequence[Counted]) -> None:
    real = [row for row in found if row.verdict in VERDICTS[:2]]
    told = [row for row in found if row.change.ratio is not None]
    st.header(f"{before[0]} to {before[1]}, against {after[0]} to {after[1]}")
    if not told:
        _too_few()
        return
    if real:
        st.markdown(
            f"**{len(real)} of {len(told)}** compared {'differs' if len(real) == 1 else 'differ'} by more than days"
            " differ anyway. What else differs could be chance.\n\n"
            + "\n".join(f"- {said(row)}" for row in sorted(real, key=lambda row: row.worth))
        )
    else:
        st.markdown(f"**No difference is shown** among the {len(told)} compared: days differ as much.")
    marks = points(told)
    show(
        lambda colours: differences(marks, colours),
        marks,
        name="Differences",
        told="The later period against the earlier one, with 95 % intervals: "
        + (", ".join(said(row) for row in real) or "no difference shown")
        + ".",
        by=by,
    )


def _too_few() -> None:
    st.info(
        f"**Too few days to tell.** Each period needs {FEWEST_DAYS} whole days or more, of weekdays that are in"
        " both. Choose longer periods; a week more of figures is there a week later.",
        icon=":material/hourglass_empty:",
    )


def _table(found: Sequence[Row], by: Sequence[Counted]) -> None:
    lines = table(found)
    st.dataframe(lines, hide_index=True)
    beside(lines, name="comparison", by=by, numbers=numbers(found))


def _one(state_dir: Path, found: Sequence[Row], before: Span, after: Span, tz: str) -> None:
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
        by=counted([row], tz),
    )
