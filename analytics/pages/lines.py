"""Pictures of figures over days, of parts of a whole, and of differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import altair as alt
import pandas as pd

from analytics.charts import day_axis, happened, plain
from analytics.colours import LIGHT, Colours
from analytics.notes import Note

VERDICTS = ("higher", "lower", "no difference shown")


def over_days(
    values: Mapping[date, float],
    title: str,
    colours: Colours = LIGHT,
    notes: Sequence[Note] = (),
    *,
    levels: Sequence[tuple[date, date, float, str]] = (),
    form: str = ",.0f",
) -> alt.LayerChart:
    """Draw one number a day; a day without one is a gap.

    Args:
        values: by local day.
        title: of the axis, with the unit.
        colours: of the page.
        notes: of those days.
        levels: (first, last, value, name) of periods, drawn as lines across them.
        form: of the numbers, as d3 writes it.
    """
    rows = [{"day": _at(day), "value": value} for day, value in sorted(values.items())]
    base = alt.Chart(pd.DataFrame(rows, columns=["day", "value"])).encode(
        x=day_axis(),
        y=alt.Y("value:Q", title=title, axis=alt.Axis(format=form)),
        tooltip=[alt.Tooltip("day:T", title="Day", format="%a %d %b %Y"), alt.Tooltip("value:Q", format=form)],
    )
    layers = [base.mark_circle(size=55, color=colours.accent)]
    spans = [{"day": _at(a), "until": _at(b), "value": v, "period": name} for a, b, v, name in levels]
    if spans:
        tones = [colours.other, colours.accent]
        layers.append(
            alt.Chart(pd.DataFrame(spans))
            .mark_rule(strokeWidth=2.5)
            .encode(
                x=day_axis(),
                x2="until:T",
                y="value:Q",
                color=alt.Color(
                    "period:N",
                    scale=alt.Scale(domain=[name for *_, name in levels], range=tones[: len(spans)]),
                    legend=alt.Legend(title=None, orient="top"),
                ),
            )
        )
    else:
        layers.insert(0, base.mark_line(color=colours.accent, strokeWidth=1.5, opacity=0.6))
    span = (min(values), max(values)) if values else None
    return plain([*layers, *happened(notes, colours, by_day=span)], 230)


def parts(rows: Sequence[Mapping[str, Any]], names: Sequence[str], colours: Colours = LIGHT) -> alt.LayerChart:
    """Draw shares of a whole, a bar a row: columns ``zone``, ``part`` (one of `names`), ``share`` and ``n``."""
    tones = [colours.soft, colours.pale, colours.accent, colours.deep]
    bars = (
        alt.Chart(pd.DataFrame([{**row, "rank": list(names).index(row["part"])} for row in rows]))
        .mark_bar(stroke=colours.ground, strokeWidth=1)
        .encode(
            y=alt.Y("zone:N", title=None, axis=alt.Axis(labelLimit=160, ticks=False)),
            x=alt.X("share:Q", title=None, axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=list(names), range=tones[: len(names)]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order="rank:Q",
            tooltip=[
                alt.Tooltip("zone", title="Zone"),
                alt.Tooltip("part", title="Part"),
                alt.Tooltip("share", format=".0%", title="Share"),
                alt.Tooltip("n", title="Visits (rounded)"),
            ],
        )
    )
    return plain([bars], 34 * len({row["zone"] for row in rows}) + 50)


def differences(rows: Sequence[Mapping[str, Any]], colours: Colours = LIGHT) -> alt.LayerChart:
    """Draw differences with their 95 % intervals: columns ``what``, ``change``, ``low``, ``high`` and ``verdict``."""
    data = pd.DataFrame(list(rows))
    y = alt.Y("what:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, ticks=False))
    axis = alt.Axis(format="+%", grid=True)
    tone = alt.Color(
        "verdict:N",
        scale=alt.Scale(
            domain=["higher", "lower", "no difference shown"], range=[colours.accent, colours.other, "#78716c"]
        ),
        legend=alt.Legend(title=None, orient="top"),
    )
    tooltip = [
        alt.Tooltip("what", title="What"),
        alt.Tooltip("change", format="+.0%", title="Later against earlier"),
        alt.Tooltip("low", format="+.0%", title="95 % interval from"),
        alt.Tooltip("high", format="+.0%", title="to"),
        alt.Tooltip("verdict", title="Verdict"),
    ]
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    reach = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=None, axis=axis), x2="high:Q", color=tone)
    points = base.mark_point(filled=True, size=90).encode(
        x="change:Q",
        color=tone,
        shape=alt.Shape(
            "verdict:N",
            scale=alt.Scale(domain=list(VERDICTS), range=["triangle-up", "triangle-down", "circle"]),
            legend=None,
        ),
    )
    none = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=colours.ink, strokeDash=[3, 3]).encode(x="x:Q")
    return plain([none, reach, points], 26 * len(rows) + 60)


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
