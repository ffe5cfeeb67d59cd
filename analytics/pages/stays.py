"""One zone: how long people stay in it, and how that changes from day to day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from analytics import charts
from analytics.answers import Answers
from analytics.charts import duration
from analytics.days import Measure, by_zone
from analytics.figures import Audience, Figure
from analytics.pages.choice import Choice
from analytics.pages.happened import drawn
from analytics.pages.lines import over_days
from analytics.pages.picture import show
from analytics.pages.source import Counted, half, interval, many, quantile, summed
from analytics.report import Dwell


def one_zone(
    state_dir: Path,
    report: Answers,
    choice: Choice,
    audience: Audience,
    timed: Mapping[str, tuple[tuple[str, str], Dwell]],
) -> None:
    """Draw the choice of a zone and its stays.

    Args:
        state_dir: of the store, for its notes.
        report: of the released cells.
        choice: days and hours.
        audience: of whom.
        timed: by name of the zone: camera and zone, and its stays.
    """
    if not timed:
        return
    st.header("One zone")
    asked = st.selectbox("Zone", list(timed), key="zone", bind="query-params")
    name = asked if asked in timed else next(iter(timed))
    (where, stay), tz = timed[name], report.tz
    st.markdown(half(f"the stays at **{name}**", "last", stay.median))
    show(
        lambda colours: charts.dwell(stay, colours),
        _bins(stay),
        name=f"Length of stay {name}",
        told=f"How long people stay in {name}: median {quantile(stay.median)} ({interval(stay.median)}),"
        f" 90 % stay under {quantile(stay.p90)}; {stay.censored:.0%} were lost from sight.",
        by=[Counted.of(stay.total, tz)],
    )
    if audience is not Audience.EVERYBODY:
        st.caption(
            "The median by day is told of everybody alone: a figure of consenting shoppers takes ten of them, which a"
            " day may not have."
        )
        return
    cells, _ = choice.keep(report.cells(Figure.DWELL, choice.first, choice.last), tz)
    days = by_zone(Measure.STAY, cells, tz).get(where)
    if days is None or len(days.values) < 2:
        st.caption("Fewer than two days have a median of their own, so that none is drawn by day.")
        return
    medians = {day: one.value for day, one in days.values.items()}
    notes = drawn(state_dir, choice.first, choice.last, (where[1],))
    show(
        lambda colours: over_days(medians, "Median stay, s", colours, notes, form=".1f"),
        [{"day": day, "median stay, s": round(value, 1)} for day, value in medians.items()],
        name=f"Median stay by day {name}",
        told=f"Median stay in {name} by day, from {duration(min(medians.values()))} to"
        f" {duration(max(medians.values()))}.",
        by=[Counted.of(summed(Figure.DWELL, days.cells), tz, _gaps(len(days.left_out)))],
    )


def _gaps(left_out: int) -> str:
    if not left_out:
        return ""
    verb = "is" if left_out == 1 else "are"
    return f"{many(left_out, 'day')} {verb} not drawn: too few people, or cameras saw under 90 %."


def _bins(stay: Dwell) -> Sequence[Mapping[str, Any]]:
    return [
        {"from, s": low, "to, s": high, "seen to end": ended, "lost from sight": lost}
        for low, high, ended, lost in charts.bins(stay)
    ]
