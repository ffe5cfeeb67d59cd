"""Pictures of figures over days, of parts of a whole, and of differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from analytics.charts import DAYS, at, happened
from analytics.colours import LIGHT, Colours
from analytics.marks import FEW, LEGEND, Spec, channel, mark, over, plain
from analytics.notes import Note

TIER_WORDS = {  # by the tiers of a visit
    "pass_by": "passes by",
    "glance": "glances, 2–5 s",
    "engaged": "engaged, 5–8 s",
    "deliberating": "deliberates, 8 s or more",
}
VERDICTS = ("higher", "lower", "no difference shown")


def over_days(
    values: Mapping[date, float],
    title: str,
    colours: Colours = LIGHT,
    notes: Sequence[Note] = (),
    *,
    levels: Sequence[tuple[date, date, float, str]] = (),
    form: str = ",.0f",
) -> Spec:
    """Draw one number a day; a day without one is a gap.

    Args:
        values: by local day.
        title: of the axis, with the unit.
        colours: of the page.
        notes: of those days.
        levels: (first, last, value, name) of periods, drawn as lines across them.
        form: of the numbers, as d3 writes it.
    """
    number = {
        "x": DAYS,
        "y": channel("value:Q", title=title, axis={"format": form}),
        "tooltip": [channel("day:T", title="Day", format="%a %d %b %Y"), channel("value:Q", format=form)],
    }
    line = mark("line", number, color=colours.accent, strokeWidth=1.5, opacity=0.6)
    dots = mark("circle", number, size=55, color=colours.accent)
    rows = [{"day": at(day), "value": value} for day, value in sorted(values.items())]
    layers = [over(rows, *(() if levels else (line,)), dots)]
    if levels:
        tones = {
            "domain": [name for *_, name in levels],
            "range": [colours.other, colours.accent][: len(levels)],
        }
        across = {
            "x": DAYS,
            "x2": channel("until"),
            "y": channel("value:Q"),
            "color": channel("period:N", scale=tones, legend=LEGEND),
        }
        spans = [{"day": at(a), "until": at(b), "value": v, "period": name} for a, b, v, name in levels]
        layers.append(over(spans, mark("rule", across, strokeWidth=2.5)))
    span = (min(values), max(values)) if values else None
    return plain([*layers, *happened(notes, colours, by_day=span)], 230)


def no_stay(visits: int, passed: int) -> str:
    """Say why a zone has no length of stay: at a door nobody stops.

    Args:
        visits: that are shown.
        passed: of these, who passed by.
    """
    return "all walk through" if visits and passed == visits else "too few people"


def parts(rows: Sequence[Mapping[str, Any]], names: Sequence[str], colours: Colours = LIGHT) -> Spec:
    """Draw shares of a whole, a bar a row: columns ``zone``, ``part`` (one of `names`), ``share`` and ``n``."""
    tones = [colours.soft, colours.pale, colours.accent, colours.deep]
    bars = {
        "y": channel("zone:N", title=None, axis={"labelLimit": 160, "labelOverlap": False, "ticks": False}),
        "x": channel("share:Q", title=None, axis={"format": "%", **FEW}, scale={"domain": [0, 1]}),
        "color": channel(
            "part:N",
            scale={"domain": list(names), "range": tones[: len(names)]},
            legend=LEGEND,
        ),
        "order": channel("rank:Q"),
        "tooltip": [
            channel("zone:N", title="Zone"),
            channel("part:N", title="Part"),
            channel("share:Q", format=".0%", title="Share"),
            channel("n:Q", title="Visits (rounded)"),
        ],
    }
    drawn = over(
        [{**row, "rank": list(names).index(row["part"])} for row in rows],
        mark("bar", bars, stroke=colours.ground, strokeWidth=1),
    )
    return plain([drawn], 34 * len({row["zone"] for row in rows}) + 50)


def differences(rows: Sequence[Mapping[str, Any]], colours: Colours = LIGHT) -> Spec:
    """Draw differences with their 95 % intervals: columns ``what``, ``change``, ``low``, ``high`` and ``verdict``."""
    tones = {"domain": list(VERDICTS), "range": [colours.accent, colours.other, "#78716c"]}
    shapes = {"domain": list(VERDICTS), "range": ["triangle-up", "triangle-down", "circle"]}
    row = {
        "y": channel("what:N", sort=None, title=None, axis={"labelLimit": 220, "labelOverlap": False, "ticks": False}),
        "color": channel("verdict:N", scale=tones, legend=LEGEND),
        "tooltip": [
            channel("what:N", title="What"),
            channel("change:Q", format="+.0%", title="Later against earlier"),
            channel("low:Q", format="+.0%", title="95 % interval from"),
            channel("high:Q", format="+.0%", title="to"),
            channel("verdict:N", title="Verdict"),
        ],
    }
    reach = {
        **row,
        "x": channel("low:Q", title=None, axis={"format": "+%", "grid": True, **FEW}),
        "x2": channel("high"),
    }
    points = {**row, "x": channel("change:Q"), "shape": channel("verdict:N", scale=shapes, legend=LEGEND)}
    none = over([{"x": 0}], mark("rule", {"x": channel("x:Q")}, color=colours.ink, strokeDash=[3, 3]))
    drawn = over(rows, mark("rule", reach, strokeWidth=3), mark("point", points, filled=True, size=90))
    return plain([none, drawn], 26 * len(rows) + 60)
