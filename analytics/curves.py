"""Pictures of how long people take and what comes of it: curves with their bands, shares with their intervals.

Drawn in the browser from what is bundled; nothing is fetched. A band or bar is always drawn with what it is around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analytics.charts import duration
from analytics.colours import LIGHT, Colours
from analytics.marks import LEGEND, Spec, channel, mark, over, plain
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


def still(curves: Mapping[str, Curve], colours: Colours = LIGHT) -> Spec:
    """Draw the share of people who still decide, over the time since their first stop.

    Args:
        curves: one or two, by whose they are; the second is drawn dashed.
        colours: of the page.
    """
    whose = list(curves)
    axis = {"title": "Time since the first stop", "values": _TICKS, "labelExpr": _WORDS, "grid": False}
    x = channel("Seconds:Q", scale={"type": "log", "nice": False}, axis=axis)
    up = {"format": "%", "title": "Still deciding", "values": [0, 0.25, 0.5, 0.75, 1]}
    colour = channel(
        "Of:N",
        scale={"domain": whose, "range": [colours.accent, colours.other][: len(whose)]},
        legend=LEGEND,
    )
    band = {
        "x": x,
        "y": channel("95 % from:Q", axis=up, scale={"domain": [0, 1]}),
        "y2": channel("95 % to"),
        "color": colour,
    }
    dashes = {"domain": whose, "range": [[1, 0], [6, 4]][: len(whose)]}
    line = {
        "x": x,
        "y": channel("Still deciding:Q", axis=up),
        "color": colour,
        "strokeDash": channel("Of:N", scale=dashes, legend=LEGEND),
        "tooltip": [
            channel("Of:N"),
            channel("Seconds:Q", format=".1f"),
            channel("Still deciding:Q", format=".0%"),
            channel("95 % from:Q", format=".0%"),
            channel("95 % to:Q", format=".0%"),
        ],
    }
    drawn = over(
        rows(curves),
        mark("area", band, interpolate="step-after", opacity=0.18),
        mark("line", line, interpolate="step-after", strokeWidth=2.2),
    )
    half = mark("rule", {"y": channel("half:Q")}, color=colours.ink, strokeDash=[2, 4])
    return plain([drawn, over([{"half": 0.5}], half)], 300)


def shares(table: Sequence[Mapping[str, Any]], colours: Colours = LIGHT) -> Spec:
    """Draw how often each outcome came of a decision, a row a shelf, a mark with its interval an outcome.

    Args:
        table: rows of `Zone`, `Outcome`, `share`, `low` and `high`; shares from 0 to 1.
        colours: of the page.
    """
    outcomes = list(dict.fromkeys(row["Outcome"] for row in table))
    axis = {"format": "%", "title": "Share of decisions", "values": [0, 0.25, 0.5, 0.75, 1]}
    row = {
        "y": channel("Zone:N", title=None, scale={"paddingInner": 0.3}, axis={"labelLimit": 140, "ticks": False}),
        "yOffset": channel("Outcome:N", scale={"domain": outcomes}),
        "color": channel(
            "Outcome:N",
            scale={"domain": outcomes, "range": [colours.accent, colours.amber, colours.ink][: len(outcomes)]},
            legend=LEGEND,
        ),
    }
    bars = {**row, "x": channel("low:Q", axis=axis, scale={"domain": [0, 1]}), "x2": channel("high")}
    points = {
        **row,
        "x": channel("share:Q", axis=axis),
        "shape": channel("Outcome:N", scale={"domain": outcomes}, legend=LEGEND),
        "tooltip": [
            channel("Zone:N"),
            channel("Outcome:N"),
            channel("share:Q", title="Share", format=".0%"),
            channel("low:Q", title="95 % from", format=".0%"),
            channel("high:Q", title="95 % to", format=".0%"),
        ],
    }
    drawn = over(table, mark("rule", bars, strokeWidth=2), mark("point", points, size=70, filled=True, opacity=1))
    return plain([drawn], 84 * max(len({one["Zone"] for one in table}), 1) + 120)


def told(shelf: str, medians: Mapping[str, float | None]) -> str:
    """Return what the curve shows, for those who do not see it."""
    parts = [
        f"half of {whose} are done after {duration(at)}" if at is not None else f"of {whose} fewer than half are done"
        for whose, at in medians.items()
    ]
    return (
        f"{shelf}: the share still deciding falls from all to none; {', '.join(parts)}. The band is the 95 % interval."
    )
