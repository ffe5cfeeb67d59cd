"""Staffing: how many people come in an hour, how many tills are open then, and how many people to each.

Nobody who works here is measured: a till is open in an hour in which it wrote five receipts or more, and who stood at
it is not known. The page helps to plan a week; it says nothing about how anybody works.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import floor
from pathlib import Path
from statistics import mean
from typing import Any

import streamlit as st

from analytics.bins import HOUR, local
from analytics.colours import LIGHT, Colours
from analytics.figures import LOOK_US, Figure
from analytics.marks import Spec, channel, either, mark, over, plain, value
from analytics.pages import missing, picture
from analytics.pages.choice import by_days
from analytics.pages.source import Counted, fold, summed
from analytics.released import Cell, joined

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FIGURES = (Figure.FOOTFALL, Figure.SALES, Figure.OCCUPANCY)
_MEAN = (
    "Mean entries of that hour over the weeks chosen. Hours that were released together with others, because one alone"
    " held too few people, are left out, so that quiet hours look a little busier than they are."
)
_LOOKS = (
    "Looked at four times a minute. A cell that is several hours long stands at its first hour; what is longer than"
    " three is left out, and with it the quietest hours."
)


def staffing(state_dir: Path) -> None:
    """Draw the page."""
    opened = by_days("Staffing", state_dir)
    if opened is None:
        return
    report, first, last = opened
    tz = report.tz
    came = report.cells(Figure.FOOTFALL, first, last)
    sold = report.cells(Figure.SALES, first, last)
    rows = by_hour(came, sold, tz)
    if not rows:
        missing.nothing_here(report, Figure.FOOTFALL, what="entries by the hour")
    else:
        busiest = max(rows, key=lambda row: float(row["Visitors an hour"]))
        boxes = st.columns(3)
        boxes[0].metric("Busiest hour", f"{busiest['Weekday']} {busiest['Hour']}")
        boxes[1].metric("Visitors in it", f"{_whole(busiest['Visitors an hour'])}")
        per_till = [row for row in rows if row["Visitors a till"] is not None]
        worst = max(per_till, key=lambda row: float(row["Visitors a till"]), default=None)
        boxes[2].metric(
            "Most visitors to one till",
            "–" if worst is None else f"{_whole(worst['Visitors a till'])}",
            help="Tills come from receipts; see page Conversion" if worst is None else None,
            delta=None if worst is None else f"{worst['Weekday']} {worst['Hour']}",
            delta_color="off",
            delta_arrow="off",
        )
        st.header("Visitors an hour")
        st.markdown(f"Most come on **{busiest['Weekday']} at {busiest['Hour']}**.")
        picture.show(
            partial(_heat, rows, "Visitors an hour"),
            rows,
            name="Visitors an hour",
            told=f"A heat map of weekdays and hours. Most come on {busiest['Weekday']} at {busiest['Hour']}:"
            f" {_whole(busiest['Visitors an hour'])} in an hour on average.",
            by=[Counted.of(summed(Figure.FOOTFALL, came), tz, _MEAN)],
        )
        st.header("Visitors to each open till")
        _tills(rows, sold, tz)
    _crowds(report.cells(Figure.OCCUPANCY, first, last), tz)
    missing.not_shown(report, first, last, _FIGURES)


def _whole(people: float) -> int:
    """Round as the charts do, a half up; Python would take it to the even number."""
    return floor(people + 0.5)


def _tills(rows: Sequence[dict[str, Any]], sold: Sequence[Cell], tz: str) -> None:
    """Draw how many come to one till, where several are open at times."""
    per_till = [row for row in rows if row["Visitors a till"] is not None]
    counted = Counted.of(summed(Figure.SALES, sold), tz, "Of the sales, only which till was open.")
    if not per_till:
        st.info(
            "**No tills yet.** Bring receipts in on page Conversion; a till is open in an hour in which it wrote"
            " five receipts or more.",
            icon=":material/point_of_sale:",
        )
        return
    if all(row["Tills open"] == 1 for row in per_till):
        st.markdown("One till was open in every hour, so all visitors came to it: the picture is the one above.")
        fold(counted)
        return
    worst = max(per_till, key=lambda row: float(row["Visitors a till"]))
    st.markdown(f"Most come to one till on **{worst['Weekday']} at {worst['Hour']}**.")
    picture.show(
        partial(_heat, per_till, "Visitors a till"),
        per_till,
        name="Visitors to each till",
        told="A heat map of weekdays and hours: entries of the hour, divided by the tills that were open. Most"
        f" on {worst['Weekday']} at {worst['Hour']}: {_whole(worst['Visitors a till'])}.",
        by=[counted],
    )


def _crowds(cells: Sequence[Cell], tz: str) -> None:
    """Draw how many people are in each zone, hour by hour."""
    st.header("People in each zone")
    seen: dict[tuple[str, int], list[float]] = {}
    for cell in cells:
        if not cell.suppressed and cell.observed_us and cell.end_us - cell.start_us <= 3 * HOUR:
            at = seen.setdefault((cell.zone, local(cell.start_us, tz).hour), [0.0, 0.0])
            at[0] += cell.n or 0
            at[1] += cell.observed_us / LOOK_US
    rows: list[dict[str, Any]] = [
        {"Zone": zone, "Hour": f"{hour:02d}:00", "People at once": n / looks}
        for (zone, hour), (n, looks) in sorted(seen.items())
    ]
    by = [Counted.of(summed(Figure.OCCUPANCY, cells), tz, _LOOKS)]
    if not rows:
        st.markdown("No zone held ten people within three hours on the days chosen. Choose a longer period.")
        fold(*by)
        return
    fullest = max(rows, key=lambda row: float(row["People at once"]))
    st.markdown(
        f"**{fullest['Zone']}** is fullest, at {fullest['Hour']}: {fullest['People at once']:.1f} people at once."
    )
    picture.show(
        partial(_full, rows),
        rows,
        name="People in each zone",
        told=f"A heat map of zones and hours: mean number of people at once. Fullest: {fullest['Zone']} at"
        f" {fullest['Hour']}, {fullest['People at once']:.1f}.",
        by=by,
    )
    st.caption(missing.NO_ZERO)


def _full(rows: Sequence[dict[str, Any]], colours: Colours = LIGHT) -> Spec:
    tooltip = [channel("Zone:N"), channel("Hour:O"), channel("People at once:Q", format=".2f")]
    up = channel("Zone:N", title=None, axis={"ticks": False, "labelLimit": 160})
    return _boxes(rows, "People at once", up, tooltip, ".2f", colours)


def by_hour(came: Iterable[Cell], sold: Iterable[Cell], tz: str) -> list[dict[str, Any]]:
    """Return mean entries and open tills of each hour of each weekday, from cells of one hour."""
    entries: dict[tuple[int, int], list[int]] = {}
    for cell in joined(list(came), zones_apart=False):
        if not cell.suppressed and cell.end_us - cell.start_us <= HOUR:
            at = local(cell.start_us, tz)
            entries.setdefault((at.weekday(), at.hour), []).append(cell.n or 0)
    open_tills: dict[int, set[str]] = {}
    for cell in sold:
        for start in range(cell.start_us, cell.end_us if not cell.suppressed else cell.start_us, HOUR):
            if (cell.counts[0] if cell.counts else 0) * HOUR >= 5 * (cell.end_us - cell.start_us):
                open_tills.setdefault(start, set()).add(cell.zone)
    tills: dict[tuple[int, int], list[int]] = {}
    for start, names in open_tills.items():
        at = local(start, tz)
        tills.setdefault((at.weekday(), at.hour), []).append(len(names))
    rows = []
    for (weekday, hour), counts in sorted(entries.items()):
        there = tills.get((weekday, hour))
        people = mean(counts)
        rows.append(
            {
                "Weekday": _DAYS[weekday],
                "Hour": f"{hour:02d}:00",
                "Visitors an hour": people,
                "Weeks": len(counts),
                "Tills open": mean(there) if there else None,
                "Visitors a till": people / mean(there) if there else None,
            }
        )
    return rows


def _heat(rows: Sequence[dict[str, Any]], what: str, colours: Colours = LIGHT) -> Spec:
    tooltip = [
        channel("Weekday:O"),
        channel("Hour:O"),
        channel("Visitors an hour:Q", format=".0f"),
        channel("Tills open:Q", format=".1f"),
        channel("Visitors a till:Q", format=".0f"),
        channel("Weeks:Q"),
    ]
    up = channel("Weekday:O", sort=list(_DAYS), title=None, axis={"ticks": False})
    return _boxes(rows, what, up, tooltip, ".0f", colours)


def _boxes(
    rows: Sequence[dict[str, Any]], what: str, up: Spec, tooltip: Sequence[Spec], form: str, colours: Colours
) -> Spec:
    peak = max(float(row[what]) for row in rows)
    scale = {"range": [colours.low, colours.accent], "domain": [0, peak]}
    across = {"labelAngle": 0, "labelOverlap": True, "ticks": False}
    box = {"x": channel("Hour:O", title=None, axis=across), "y": up, "tooltip": tooltip}
    ink = either(f"datum['{what}'] > {0.7 * peak}", value(colours.on_accent), value(colours.ink))
    boxes = {**box, "color": channel(f"{what}:Q", scale=scale, legend=None)}
    words = {**box, "text": channel(f"{what}:Q", format=form), "color": ink}
    drawn = over(rows, mark("rect", boxes, stroke=colours.ground, strokeWidth=2), mark("text", words, fontSize=12))
    return plain([drawn], 34 * len({row[up["field"]] for row in rows}) + 40)
