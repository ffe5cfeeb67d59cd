"""Pictures of how long people take and what comes of it: curves with their bands, shares with their intervals.

Drawn in the browser from what is bundled; nothing is fetched. A band or bar is always drawn with what it is around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from analytics.charts import duration, plain
from analytics.colours import LIGHT, Colours
from analytics.survival import Curve

_TICKS = [2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200]
_WORDS = (
    "datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? datum.value / 60 + ' min' : datum.value / 3600 + ' h'"
)
_STEPS = 60  # points drawn of a curve; more cannot be seen


def rows(curves: Mapping[str, Curve]) -> list[dict[str, Any]]:
    """Return the points of curves as a table, thinned to what can be seen.

    Args:
        curves: by whose they are.
    """
    found = []
    for whose, curve in curves.items():
        shown = [i for i in range(len(curve.seconds)) if curve.seconds[i] > 0]
        every = max(1, len(shown) // _STEPS)
        for i in sorted({*shown[::every], *shown[-1:]}):
            found.append(
                {
                    "Of": whose,
                    "Seconds": round(curve.seconds[i], 2),
                    "Still deciding": round(curve.share[i], 4),
                    "95 % from": round(curve.low[i], 4),
                    "95 % to": round(curve.high[i], 4),
                }
            )
    return found


def still(curves: Mapping[str, Curve], colours: Colours = LIGHT) -> alt.LayerChart:
    """Draw the share of people who still decide, over the time since their first stop.

    Args:
        curves: one or two, by whose they are; the second is drawn dashed.
        colours: of the page.
    """
    data = pd.DataFrame(rows(curves), columns=["Of", "Seconds", "Still deciding", "95 % from", "95 % to"])
    whose = list(curves)
    x = alt.X(
        "Seconds:Q",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(title="Time since the first stop", values=_TICKS, labelExpr=_WORDS, grid=False),
    )
    axis = alt.Axis(format="%", title="Still deciding", values=[0, 0.25, 0.5, 0.75, 1])
    scale = alt.Scale(domain=whose, range=[colours.accent, colours.other][: len(whose)])
    colour = alt.Color("Of:N", scale=scale, legend=alt.Legend(title=None, orient="top"))
    base = alt.Chart(data)
    band = base.mark_area(interpolate="step-after", opacity=0.18).encode(
        x=x,
        y=alt.Y(r"95 % from:Q", axis=axis, scale=alt.Scale(domain=[0, 1])),
        y2=r"95 % to:Q",
        color=colour,
    )
    line = base.mark_line(interpolate="step-after", strokeWidth=2.2).encode(
        x=x,
        y=alt.Y("Still deciding:Q", axis=axis),
        color=colour,
        strokeDash=alt.StrokeDash(
            "Of:N", scale=alt.Scale(domain=whose, range=[[1, 0], [6, 4]][: len(whose)]), legend=None
        ),
        tooltip=[
            alt.Tooltip("Of:N"),
            alt.Tooltip("Seconds:Q", format=".1f"),
            alt.Tooltip("Still deciding:Q", format=".0%"),
            alt.Tooltip("95 % from:Q", format=".0%"),
            alt.Tooltip("95 % to:Q", format=".0%"),
        ],
    )
    half = alt.Chart(pd.DataFrame({"half": [0.5]})).mark_rule(color=colours.ink, strokeDash=[2, 4]).encode(y="half:Q")
    return plain([band, line, half], 300)


def shares(table: Sequence[Mapping[str, Any]], colours: Colours = LIGHT) -> alt.LayerChart:
    """Draw how often each outcome came of a decision, a row a shelf, a mark with its interval an outcome.

    Args:
        table: rows of `Zone`, `Outcome`, `share`, `low` and `high`; shares from 0 to 1.
        colours: of the page.
    """
    data = pd.DataFrame(list(table))
    outcomes = list(dict.fromkeys(row["Outcome"] for row in table))
    y = alt.Y("Zone:N", title=None, scale=alt.Scale(paddingInner=0.3), axis=alt.Axis(labelLimit=140, ticks=False))
    offset = alt.YOffset("Outcome:N", scale=alt.Scale(domain=outcomes))
    scale = alt.Scale(domain=outcomes, range=[colours.accent, colours.amber, colours.ink][: len(outcomes)])
    colour = alt.Color("Outcome:N", scale=scale, legend=alt.Legend(title=None, orient="top", direction="vertical"))
    shape = alt.Shape("Outcome:N", scale=alt.Scale(domain=outcomes), legend=None)
    axis = alt.Axis(format="%", title="Share of decisions", values=[0, 0.25, 0.5, 0.75, 1])
    base = alt.Chart(data)
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", axis=axis, scale=alt.Scale(domain=[0, 1])), x2="high:Q", y=y, yOffset=offset, color=colour
    )
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=alt.X("share:Q", axis=axis),
        y=y,
        yOffset=offset,
        color=colour,
        shape=shape,
        tooltip=[
            alt.Tooltip("Zone:N"),
            alt.Tooltip("Outcome:N"),
            alt.Tooltip("share:Q", title="Share", format=".0%"),
            alt.Tooltip("low:Q", title="95 % from", format=".0%"),
            alt.Tooltip("high:Q", title="95 % to", format=".0%"),
        ],
    )
    return plain([bars, points], 84 * max(data["Zone"].nunique(), 1) + 120)


def told(shelf: str, medians: Mapping[str, float | None]) -> str:
    """Return what the curve shows, for those who do not see it."""
    parts = [
        f"half of {whose} are done after {duration(at)}" if at is not None else f"of {whose} fewer than half are done"
        for whose, at in medians.items()
    ]
    return (
        f"{shelf}: the share still deciding falls from all to none; {', '.join(parts)}. The band is the 95 % interval."
    )
