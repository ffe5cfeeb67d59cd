"""Pictures of released cells, for the pages. They draw in the browser from what is bundled, and fetch nothing.

A cell is drawn over its own stretch of time, never spread or cut; what is suppressed is drawn as such and not as zero.
Times are on the store's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import cast

import altair as alt
import pandas as pd

from analytics.bins import HOUR, local
from analytics.colours import LIGHT, Colours
from analytics.lifetable import EDGES_US
from analytics.model import SECOND
from analytics.notes import Note
from analytics.released import FLAGGED, Cell, Sum, joined
from analytics.report import Dwell

_TIME = alt.Axis(format="%H:%M", tickCount="hour", title=None, grid=False)


def zone_by_hour(
    cells: Sequence[Cell], tz: str, colours: Colours = LIGHT, notes: Sequence[Note] = ()
) -> alt.LayerChart:
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
    scale = alt.Scale(range=[colours.low, colours.accent], domain=[0, peak])
    tooltip = [
        alt.Tooltip("zone", title="Zone"),
        alt.Tooltip("when", title="Time"),
        alt.Tooltip("label", title="Visits (rounded to 5)"),
        alt.Tooltip("coverage", title="Coverage"),
    ]
    base = alt.Chart(data).encode(
        x=alt.X("start:T", axis=_TIME), y=alt.Y("zone:N", title=None, axis=alt.Axis(labelLimit=160, ticks=False))
    )
    boxes = base.mark_rect(stroke=colours.ground, strokeWidth=2, cornerRadius=3).encode(
        x2="end:T",
        color=alt.condition(
            "isValid(datum.per_hour)",
            alt.Color("per_hour:Q", scale=scale, legend=None),
            alt.value(colours.grey),
        ),
        tooltip=tooltip,
    )
    unseen = (
        base.transform_filter("datum.flagged")
        .mark_rect(fillOpacity=0, stroke=colours.amber, strokeWidth=1.5, strokeDash=[4, 3], cornerRadius=3, aria=False)
        .encode(x2="end:T", tooltip=tooltip)
    )
    words = base.mark_text(fontSize=13).encode(
        x=alt.X("middle:T", axis=_TIME),
        text="label:N",
        color=alt.condition(f"datum.per_hour > {0.55 * peak}", alt.value(colours.on_accent), alt.value(colours.ink)),
        tooltip=tooltip,
    )
    return plain([boxes, unseen, words, *happened(notes, colours)], 46 * data["zone"].nunique() + 40)


def footfall_by_hour(
    cells: Sequence[Cell],
    tz: str,
    usual: Sequence[tuple[int, int, float]] = (),
    colours: Colours = LIGHT,
    notes: Sequence[Note] = (),
) -> alt.LayerChart:
    """Draw entries of one day: a bar a cell, as wide as the cell is long, as high as its entries an hour.

    Args:
        cells: of one day.
        tz: IANA name of the store's time zone.
        usual: (start, end, entries an hour) as they usually are, drawn as a line over the bars.
        colours: of the page.
        notes: of that day.
    """
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
    columns = ["start", "end", "entries", "zero", "per_hour", "when", "coverage", "door"]
    bars = (
        alt.Chart(pd.DataFrame(rows, columns=columns))
        .mark_rect(color=colours.accent, stroke=colours.ground, strokeWidth=2)
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
    line = [
        {"start": _clock(start, tz), "end": _clock(end, tz), "usual": rate, "what": "as usual"}
        for start, end, rate in usual
    ]
    ticks = (
        alt.Chart(pd.DataFrame(line, columns=["start", "end", "usual", "what"]))
        .mark_rule(strokeWidth=3)
        .encode(
            x=alt.X("start:T", axis=_TIME),
            x2="end:T",
            y="usual:Q",
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=["as usual"], range=[colours.other]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[alt.Tooltip("usual", title="As usual, entries an hour", format=".0f")],
        )
    )
    return plain([bars, *([ticks] if line else []), *happened(notes, colours)], 230)


def footfall_by_day(
    days: Sequence[tuple[date, Sum]], colours: Colours = LIGHT, notes: Sequence[Note] = ()
) -> alt.LayerChart:
    """Draw entries of each day; a day that is not whole is drawn pale."""
    reach = timedelta(hours=10)
    rows = [
        {
            "day": _at(day) - reach,
            "to": _at(day) + reach,
            "label": f"{day:%a} {day.day} {day:%b}",
            "zero": 0,
            "entries": total.n,
            "whole": "yes" if not total.suppressed and (total.coverage or 0) >= FLAGGED else "no",
            "coverage": "not known" if total.coverage is None else f"{total.coverage:.0%}",
        }
        for day, total in days
    ]
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect()
        .encode(
            x=day_axis(),
            x2="to:T",
            y=alt.Y("zero:Q", title="Entries a day"),
            y2="entries:Q",
            color=alt.Color(
                "whole:N", scale=alt.Scale(domain=["yes", "no"], range=[colours.accent, colours.pale]), legend=None
            ),
            tooltip=[
                alt.Tooltip("label", title="Day"),
                alt.Tooltip("entries", title="Entries (rounded)"),
                alt.Tooltip("coverage", title="Coverage"),
            ],
        )
    )
    span = (days[0][0], days[-1][0]) if days else None
    return plain([bars, *happened(notes, colours, by_day=span)], 230)


def day_axis() -> alt.X:
    """Return the axis of a chart over days; each day stands at its midnight, in a column called ``day``."""
    return alt.X(
        "day:T", title=None, axis=alt.Axis(format="%d %b", grid=False, labelOverlap=True, tickMinStep=86_400_000)
    )


def happened(
    notes: Sequence[Note], colours: Colours = LIGHT, *, by_day: tuple[date, date] | None = None
) -> list[alt.Chart]:
    """Return the layers that draw what happened over a chart over time.

    Args:
        notes: of the time that is drawn.
        colours: of the page.
        by_day: first and last day of a chart over days (see `day_axis`); without them the chart is over the hours of
            one day, and what happened stands above it.
    """
    if not notes:
        return []
    if by_day is None:
        text = "; ".join(note.text for note in notes)
        mark = alt.Chart(pd.DataFrame([{"text": f"◆ {text}"}])).mark_text(
            align="left", baseline="bottom", dy=-4, color=colours.amber, fontSize=12
        )
        return [mark.encode(x=alt.value(0), y=alt.value(0), text="text:N")]
    middle = by_day[0] + (by_day[1] - by_day[0]) / 2
    rows = [
        {
            "day": _at(note.day),
            "text": note.text,
            "zone": note.zone or "whole shop",
            "row": i % 3,
            "late": note.day > middle,
        }
        for i, note in enumerate(notes)
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(x=day_axis())
    tooltip = [
        alt.Tooltip("text", title="Happened"),
        alt.Tooltip("zone", title="About"),
        alt.Tooltip("day:T", title="Day", format="%Y-%m-%d"),
    ]
    rules = base.mark_rule(color=colours.amber, strokeDash=[5, 3], strokeWidth=2).encode(tooltip=tooltip)
    words = [
        base.transform_filter(f"datum.row == {row} && datum.late == {str(late).lower()}")
        .mark_text(
            align="right" if late else "left", baseline="bottom", dy=-4 - 13 * row, color=colours.amber, fontSize=12
        )
        .encode(y=alt.value(0), text="text:N", tooltip=tooltip)
        for row, late in sorted({(i % 3, note.day > middle) for i, note in enumerate(notes)})
    ]
    return [rules, *words]


def dwell(figure: Dwell, colours: Colours = LIGHT) -> alt.LayerChart:
    """Draw the distribution of stays over a logarithmic scale, with median and p90."""
    rows = [
        {
            "from": start,
            "to": end,
            "low": low,
            "high": high,
            "stays": high - low,
            "what": what,
            "range": f"{duration(start)} to {duration(end)}",
        }
        for start, end, ended, lost in bins(figure)
        for what, low, high in (("seen to end", 0, ended), ("lost from sight", ended, ended + lost))
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
        .mark_rect(stroke=colours.ground, strokeWidth=1)
        .encode(
            x=x,
            x2="to:Q",
            y=alt.Y("low:Q", title="Stays"),
            y2="high:Q",
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=["seen to end", "lost from sight"], range=[colours.accent, colours.pale]),
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
    rules = lines.mark_rule(color=colours.ink, strokeDash=[4, 3], strokeWidth=1.5)
    words = lines.mark_text(align="left", dx=-2, dy=-4, baseline="bottom", color=colours.ink, fontSize=12).encode(
        y=alt.value(0), text="label:N"
    )
    return plain([bars, rules, words], 300)


def bins(figure: Dwell) -> list[tuple[float, float, int, int]]:
    """Return (from, to, seen to end, lost from sight) of each bin that is drawn, lengths in seconds."""
    used = [i for i, (a, b) in enumerate(zip(figure.ended, figure.lost, strict=True)) if a or b]
    upper = (*EDGES_US[1:], 2 * EDGES_US[-1])
    return [
        (EDGES_US[i] / SECOND, upper[i] / SECOND, figure.ended[i], figure.lost[i])
        for i in range(min(used), max(used) + 1)
    ]


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


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def plain(layers: list[alt.Chart], height: int) -> alt.LayerChart:
    """Return layers as one chart, as wide as its place."""
    chart = alt.layer(*layers).properties(height=height, width="container").configure_view(strokeWidth=0)
    return cast(alt.LayerChart, chart)
