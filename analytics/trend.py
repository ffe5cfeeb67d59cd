"""A share day by day as a line, with what happened in the shop drawn over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import altair as alt
import pandas as pd

from analytics.charts import day_axis, happened, plain
from analytics.colours import LIGHT, Colours
from analytics.notes import Note


def share_by_day(
    rows: Sequence[Mapping[str, Any]],
    column: str,
    beside: Sequence[str] = (),
    notes: Sequence[Note] = (),
    colours: Colours = LIGHT,
) -> alt.LayerChart:
    """Draw a share of each day; a day without one is a gap.

    Args:
        rows: one a day, with its date under ``day`` and as text under ``Day``; one or more.
        column: the share, 0 to 1 or a little above.
        beside: further columns for the tooltip, whole numbers.
        notes: of those days.
        colours: of the page.
    """
    days: list[date] = [row["day"] for row in rows]
    data = pd.DataFrame([{**row, "day": datetime(row["day"].year, row["day"].month, row["day"].day)} for row in rows])
    base = alt.Chart(data).encode(
        x=day_axis(),
        y=alt.Y(f"{column}:Q", axis=alt.Axis(format="%", title=column), scale=alt.Scale(zero=True)),
        tooltip=["Day", alt.Tooltip(column, format=".0%"), *beside],
    )
    line = base.mark_line(color=colours.accent)
    dots = base.mark_point(color=colours.accent, filled=True, size=60)
    return plain([line, dots, *happened(notes, colours, by_day=(days[0], days[-1]))], 230)
