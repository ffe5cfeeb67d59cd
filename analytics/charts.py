"""Pictures of released cells, for the pages. They draw in the browser from what is bundled, and fetch nothing.

A cell is drawn over its own stretch of time, never spread or cut; what is suppressed is drawn as such and not as zero.
Times are on the store's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import cast

import altair as alt
import pandas as pd

from analytics.bins import HOUR, local
from analytics.lifetable import EDGES_US
from analytics.model import SECOND
from analytics.released import FLAGGED, Cell, Sum, joined
from analytics.report import Dwell

_ACCENT, _PALE, _GREY, _INK = "#0f766e", "#99d5cf", "#e7e5e4", "#44403c"
_AMBER = "#b45309"
_SCALE = ("#ecfdf5", "#0f766e")
_TIME = alt.Axis(format="%H:%M", tickCount="hour", title=None, grid=False)


def zone_by_hour(cells: Sequence[Cell], tz: str) -> alt.LayerChart:
    """Draw visits of one day: a row a zone, a box a cell, its n written in it."""
    cells = joined(cells, zones_apart=True)
    cameras = {(cell.zone, cell.camera) for cell in cells}
    twice = {zone for zone, _ in cameras if sum(zone == other for other, _ in cameras) > 1}
    rows = [
        {
            "zone": f"{cell.zone} ({cell.camera})" if cell.zone in twice else cell.zone,
            "start": _clock(cell.start_us, tz),
            "end": _clock(cell.end_us, tz),
            "middle": _clock((cell.start_us + cell.end_us) // 2, tz),
            "visits": cell.n,
            "per_hour": None if cell.suppressed else (cell.n or 0) * HOUR / (cell.end_us - cell.start_us),
            "label": f"under {cell.k} people" if cell.suppressed else str(cell.n),
            "when": _stretch(cell, tz),
            "coverage": _share(cell),
            "flagged": cell.observed_us < FLAGGED * cell.open_us,
        }
        for cell in cells
    ]
    data = pd.DataFrame(rows)
    peak = max(float(data["per_hour"].max() or 0), 1.0)
    tooltip = [
        alt.Tooltip("zone", title="Zone"),
        alt.Tooltip("when", title="Time"),
        alt.Tooltip("label", title="Visits (rounded to 5)"),
        alt.Tooltip("coverage", title="Coverage"),
    ]
    base = alt.Chart(data).encode(
        x=alt.X("start:T", axis=_TIME), y=alt.Y("zone:N", title=None, axis=alt.Axis(labelLimit=160, ticks=False))
    )
    boxes = base.mark_rect(stroke="white", strokeWidth=2, cornerRadius=3).encode(
        x2="end:T",
        color=alt.condition(
            "isValid(datum.per_hour)",
            alt.Color("per_hour:Q", scale=alt.Scale(range=_SCALE, domain=[0, peak]), legend=None),
            alt.value(_GREY),
        ),
        tooltip=tooltip,
    )
    unseen = (
        base.transform_filter("datum.flagged")
        .mark_rect(fillOpacity=0, stroke=_AMBER, strokeWidth=1.5, strokeDash=[4, 3], cornerRadius=3)
        .encode(x2="end:T", tooltip=tooltip)
    )
    words = base.mark_text(fontSize=13).encode(
        x=alt.X("middle:T", axis=_TIME),
        text="label:N",
        color=alt.condition(f"datum.per_hour > {0.55 * peak}", alt.value("white"), alt.value(_INK)),
        tooltip=tooltip,
    )
    return _plain([boxes, unseen, words], 46 * data["zone"].nunique() + 40)


def footfall_by_hour(cells: Sequence[Cell], tz: str) -> alt.LayerChart:
    """Draw entries of one day: a bar a cell, as wide as the cell is long, as high as its entries an hour."""
    rows = [
        {
            "start": _clock(cell.start_us, tz),
            "end": _clock(cell.end_us, tz),
            "entries": cell.n,
            "zero": 0,
            "per_hour": (cell.n or 0) * HOUR / (cell.end_us - cell.start_us),
            "when": _stretch(cell, tz),
            "coverage": _share(cell),
            "door": cell.zone,
        }
        for cell in joined(cells, zones_apart=False)
        if not cell.suppressed
    ]
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect(color=_ACCENT, stroke="white", strokeWidth=2)
        .encode(
            x=alt.X("start:T", axis=_TIME),
            x2="end:T",
            y=alt.Y("zero:Q", title="Entries an hour"),
            y2="per_hour:Q",
            tooltip=[
                alt.Tooltip("door", title="Entrance"),
                alt.Tooltip("when", title="Time"),
                alt.Tooltip("entries", title="Entries (rounded to 5)"),
                alt.Tooltip("coverage", title="Coverage"),
            ],
        )
    )
    return _plain([bars], 230)


def footfall_by_day(days: Sequence[tuple[date, Sum]]) -> alt.LayerChart:
    """Draw entries of each day; a day that is not whole is drawn pale."""
    rows = [
        {
            "day": datetime(day.year, day.month, day.day),
            "label": f"{day:%a} {day.day} {day:%b}",
            "order": index,
            "entries": total.n,
            "whole": "yes" if not total.suppressed and (total.coverage or 0) >= FLAGGED else "no",
            "coverage": "not known" if total.coverage is None else f"{total.coverage:.0%}",
        }
        for index, (day, total) in enumerate(days)
    ]
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            x=alt.X("label:N", sort=alt.SortField("order"), title=None, axis=alt.Axis(labelAngle=-45, ticks=False)),
            y=alt.Y("entries:Q", title="Entries a day"),
            color=alt.Color("whole:N", scale=alt.Scale(domain=["yes", "no"], range=[_ACCENT, _PALE]), legend=None),
            tooltip=[
                alt.Tooltip("label", title="Day"),
                alt.Tooltip("entries", title="Entries (rounded)"),
                alt.Tooltip("coverage", title="Coverage"),
            ],
        )
    )
    return _plain([bars], 230)


def dwell(figure: Dwell) -> alt.LayerChart:
    """Draw the distribution of stays over a logarithmic scale, with median and p90."""
    used = [i for i, (a, b) in enumerate(zip(figure.ended, figure.lost, strict=True)) if a or b]
    upper = (*EDGES_US[1:], 2 * EDGES_US[-1])
    rows = [
        {
            "from": EDGES_US[i] / SECOND,
            "to": upper[i] / SECOND,
            "low": low,
            "high": high,
            "stays": high - low,
            "what": what,
            "range": f"{duration(EDGES_US[i] / SECOND)} to {duration(upper[i] / SECOND)}",
        }
        for i in range(min(used), max(used) + 1)
        for what, low, high in (
            ("seen to end", 0, figure.ended[i]),
            ("lost from sight", figure.ended[i], figure.ended[i] + figure.lost[i]),
        )
    ]
    x = alt.X(
        "from:Q",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(
            title="Length of stay",
            values=[2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200],
            labelExpr="datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? datum.value / 60 + ' min'"
            " : datum.value / 3600 + ' h'",
            grid=False,
        ),
    )
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=x,
            x2="to:Q",
            y=alt.Y("low:Q", title="Stays"),
            y2="high:Q",
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=["seen to end", "lost from sight"], range=[_ACCENT, _PALE]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("range", title="Stay"),
                alt.Tooltip("what", title="End"),
                alt.Tooltip("stays", title="Stays (rounded)"),
            ],
        )
    )
    marks = [
        {"at": point.at, "label": f"{name} {duration(point.at)}"}
        for name, point in (("median", figure.median), ("p90", figure.p90))
        if point.at is not None
    ]
    lines = alt.Chart(pd.DataFrame(marks, columns=["at", "label"])).encode(x=alt.X("at:Q"))
    rules = lines.mark_rule(color=_INK, strokeDash=[4, 3], strokeWidth=1.5)
    words = lines.mark_text(align="left", dx=-2, dy=-4, baseline="bottom", color=_INK, fontSize=12).encode(
        y=alt.value(0), text="label:N"
    )
    return _plain([bars, rules, words], 300)


def duration(seconds: float) -> str:
    """Return a length of time as people say it: 7.5 s, 42 s, 3 min 20 s, 1 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _clock(t_us: int, tz: str) -> datetime:
    """Return what the store's clock shows, without a zone: browsers would turn it into their own."""
    return local(t_us, tz).replace(tzinfo=None)


def _stretch(cell: Cell, tz: str) -> str:
    start, end = local(cell.start_us, tz), local(cell.end_us, tz)
    return f"{start:%H:%M}–{end:%H:%M}" if cell.end_us - cell.start_us <= 24 * HOUR else f"{start:%x}–{end:%x}"


def _share(cell: Cell) -> str:
    return f"{cell.observed_us / cell.open_us:.0%}" if cell.open_us else "not known"


def _plain(layers: list[alt.Chart], height: int) -> alt.LayerChart:
    chart = alt.layer(*layers).properties(height=height, width="container").configure_view(strokeWidth=0)
    return cast(alt.LayerChart, chart)
