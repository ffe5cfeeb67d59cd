"""A share day by day as a line, with what happened in the shop drawn over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from analytics.charts import DAYS, at, happened
from analytics.colours import LIGHT, Colours
from analytics.marks import Spec, channel, mark, over, plain
from analytics.notes import Note


def share_by_day(
    rows: Sequence[Mapping[str, Any]],
    column: str,
    beside: Sequence[str] = (),
    notes: Sequence[Note] = (),
    colours: Colours = LIGHT,
) -> Spec:
    """Draw a share of each day; a day without one is a gap.

    Args:
        rows: one a day, with its date under ``day`` and as text under ``Day``; one or more.
        column: the share, 0 to 1 or a little above.
        beside: further columns for the tooltip, whole numbers.
        notes: of those days.
        colours: of the page.
    """
    days: list[date] = [row["day"] for row in rows]
    share = {
        "x": DAYS,
        "y": channel(f"{column}:Q", axis={"format": "%", "title": column}, scale={"zero": True}),
        "tooltip": [
            channel("Day:N"),
            channel(f"{column}:Q", format=".0%"),
            *(channel(f"{one}:Q") for one in beside),
        ],
    }
    drawn = over(
        [{**row, "day": at(row["day"])} for row in rows],
        mark("line", share, color=colours.accent),
        mark("point", share, color=colours.accent, filled=True, size=60),
    )
    return plain([drawn, *happened(notes, colours, by_day=(days[0], days[-1]))], 230)
