"""The in−out ledger, a line a day: who was seen to come in, who to go out, and what rounding alone can make of it.

It begins at zero each day. Whoever is lost from sight came in and never went out, so a ledger that stays above zero
tells of the cameras, and not of people who spend the night.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import streamlit as st

from analytics.bins import local
from analytics.charts import DAYS, at, happened
from analytics.colours import LIGHT, Colours
from analytics.days import ROUNDING
from analytics.figures import Figure
from analytics.marks import Spec, channel, mark, over, plain
from analytics.notes import Note
from analytics.pages import missing, picture
from analytics.pages.source import Counted, summed
from analytics.released import Cell
from analytics.report import Report

_BAND = 1.96  # of a normal spread, 95 % lie within so many deviations
_NOTE = (
    "In: confirmed inward crossings. Out: seen to step into an exit or entrance zone, and not seen again. The bar is"
    " what rounding alone makes of a day in 95 of 100; a suppressed part of the ways out is of up to four people."
)


def in_and_out(report: Report, first: date, last: date, notes: Sequence[Note]) -> None:
    """Draw who came in and who went out.

    Args:
        report: of the released cells.
        first: local day.
        last: local day.
        notes: of those days.
    """
    st.header("In and out")
    came, left = (report.cells(figure, first, last) for figure in (Figure.FOOTFALL, Figure.EXITS))
    rows = ledger(came, left, report.tz)
    by = [
        Counted.of(summed(Figure.FOOTFALL, came), report.tz),
        Counted.of(summed(Figure.EXITS, left), report.tz, _NOTE),
    ]
    if not rows:
        missing.nothing_here(report, Figure.EXITS, what="ways out")
        return
    entries, ways = (sum(row[side] for row in rows) for side in ("In", "Out"))
    st.markdown(
        f"**{entries:,}** came in and {ways:,} were seen to go out again. What is lost between is the cameras' doing."
    )
    picture.show(
        partial(_drawn, rows, notes),
        [{name: value for name, value in row.items() if name != "day"} for row in rows],
        name="In and out by day",
        told=f"Entries less ways out, day by day, over {len(rows)} days: from {min(row['Less out'] for row in rows)} to"
        f" {max(row['Less out'] for row in rows)}, with what rounding alone can make of it.",
        by=by,
    )


def ledger(came: Iterable[Cell], left: Iterable[Cell], tz: str) -> list[dict[str, Any]]:
    """Return entries, ways out and their difference of each local day that has both, with what rounding can make of it.

    Args:
        came: cells of `footfall`.
        left: cells of `exits`.
        tz: IANA name of the store's time zone.
    """
    days: dict[date, list[list[int]]] = {}
    for side, cells in enumerate((came, left)):
        for cell in cells:
            if not cell.suppressed:
                days.setdefault(local(cell.start_us, tz).date(), [[], []])[side].append(cell.n or 0)
    rows = []
    for day, (entries, ways) in sorted(days.items()):
        if entries and ways:
            less = sum(entries) - sum(ways)
            reach = round(_BAND * math.sqrt(ROUNDING * (len(entries) + len(ways))))
            rows.append(
                {
                    "day": day,
                    "Day": f"{day}",
                    "In": sum(entries),
                    "Out": sum(ways),
                    "Less out": less,
                    "From": less - reach,
                    "To": less + reach,
                }
            )
    return rows


def _drawn(rows: Sequence[Mapping[str, Any]], notes: Sequence[Note], colours: Colours = LIGHT) -> Spec:
    where = {
        "x": DAYS,
        "tooltip": [channel("Day:N"), channel("In:Q"), channel("Out:Q"), channel("Less out:Q", title="In less out")],
    }
    reach = {**where, "y": channel("From:Q", title="In less out"), "y2": channel("To")}
    drawn = over(
        [{**row, "day": at(row["day"])} for row in rows],
        mark("rule", reach, color=colours.pale, strokeWidth=4),
        mark("point", {**where, "y": channel("Less out:Q")}, color=colours.accent, filled=True, size=60),
    )
    none = over([{"zero": 0}], mark("rule", {"y": channel("zero:Q")}, color=colours.ink, strokeDash=[3, 3]))
    return plain([none, drawn, *happened(notes, colours, by_day=(rows[0]["day"], rows[-1]["day"]))], 200)
