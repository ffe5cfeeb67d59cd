"""Pictures of released cells, for the pages. They draw in the browser from what is bundled, and fetch nothing.

A cell is drawn over its own stretch of time, never spread or cut; what is suppressed is drawn as such and not as zero.
Times are on the store's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from analytics.bins import HOUR, local
from analytics.colours import LIGHT, Colours
from analytics.lifetable import EDGES_US
from analytics.marks import LEGEND, Spec, channel, either, mark, over, plain, value
from analytics.model import SECOND
from analytics.notes import Note
from analytics.released import FLAGGED, Cell, Sum, joined
from analytics.report import Dwell

_TIME = channel("start:T", axis={"format": "%H:%M", "tickCount": "hour", "title": None, "grid": False})


def zone_by_hour(cells: Sequence[Cell], tz: str, colours: Colours = LIGHT, notes: Sequence[Note] = ()) -> Spec:
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
    peak = max((float(row["per_hour"] or 0) for row in rows), default=0.0)
    peak = max(peak, 1.0)
    tooltip = [
        channel("zone:N", title="Zone"),
        channel("when:N", title="Time"),
        channel("label:N", title="Visits (rounded to 5)"),
        channel("coverage:N", title="Coverage"),
    ]
    where = {"y": channel("zone:N", title=None, axis={"labelLimit": 160, "ticks": False}), "tooltip": tooltip}
    box = {**where, "x": _TIME, "x2": channel("end")}
    scale = {"range": [colours.low, colours.accent], "domain": [0, peak]}
    colour = either("isValid(datum.per_hour)", channel("per_hour:Q", scale=scale, legend=None), value(colours.grey))
    ink = either(f"datum.per_hour > {0.55 * peak}", value(colours.on_accent), value(colours.ink))
    dashed: Spec = {"fillOpacity": 0, "stroke": colours.amber, "strokeWidth": 1.5, "strokeDash": [4, 3], "aria": False}
    unseen = (
        [mark("rect", box, where="datum.flagged", cornerRadius=3, **dashed)] if any(r["flagged"] for r in rows) else []
    )
    drawn = over(
        rows,
        mark("rect", {**box, "color": colour}, stroke=colours.ground, strokeWidth=2, cornerRadius=3),
        *unseen,
        mark(
            "text", {**where, "x": {**_TIME, "field": "middle"}, "text": channel("label:N"), "color": ink}, fontSize=13
        ),
    )
    return plain([drawn, *happened(notes, colours)], 46 * len({row["zone"] for row in rows}) + 40)


def footfall_by_hour(
    cells: Sequence[Cell],
    tz: str,
    usual: Sequence[tuple[int, int, float]] = (),
    colours: Colours = LIGHT,
    notes: Sequence[Note] = (),
) -> Spec:
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
    bars = {
        "x": _TIME,
        "x2": channel("end"),
        "y": channel("zero:Q", title="Entries an hour"),
        "y2": channel("per_hour"),
        "tooltip": [
            channel("door:N", title="Entrance"),
            channel("when:N", title="Time"),
            channel("entries:Q", title="Entries (rounded to 5)"),
            channel("coverage:N", title="Coverage"),
        ],
    }
    layers = [over(rows, mark("rect", bars, color=colours.accent, stroke=colours.ground, strokeWidth=2))]
    line = [
        {"start": _clock(start, tz), "end": _clock(end, tz), "usual": rate, "what": "as usual"}
        for start, end, rate in usual
    ]
    if line:
        ticks = {
            "x": _TIME,
            "x2": channel("end"),
            "y": channel("usual:Q"),
            "color": channel(
                "what:N",
                scale={"domain": ["as usual"], "range": [colours.other]},
                legend=LEGEND,
            ),
            "tooltip": [channel("usual:Q", title="As usual, entries an hour", format=".0f")],
        }
        layers.append(over(line, mark("rule", ticks, strokeWidth=3)))
    return plain([*layers, *happened(notes, colours)], 230)


def footfall_by_day(days: Sequence[tuple[date, Sum]], colours: Colours = LIGHT, notes: Sequence[Note] = ()) -> Spec:
    """Draw entries of each day; a day that is not whole is drawn pale."""
    reach = timedelta(hours=10)
    rows = [
        {
            "day": at(day, -reach),
            "to": at(day, reach),
            "label": f"{day:%a} {day.day} {day:%b}",
            "zero": 0,
            "entries": total.n,
            "whole": "yes" if not total.suppressed and (total.coverage or 0) >= FLAGGED else "no",
            "coverage": "not known" if total.coverage is None else f"{total.coverage:.0%}",
        }
        for day, total in days
    ]
    tones = {"domain": ["yes", "no"], "range": [colours.accent, colours.pale]}
    bars = {
        "x": DAYS,
        "x2": channel("to"),
        "y": channel("zero:Q", title="Entries a day"),
        "y2": channel("entries"),
        "color": channel("whole:N", scale=tones, legend=None),
        "tooltip": [
            channel("label:N", title="Day"),
            channel("entries:Q", title="Entries (rounded)"),
            channel("coverage:N", title="Coverage"),
        ],
    }
    span = (days[0][0], days[-1][0]) if days else None
    return plain([over(rows, mark("rect", bars)), *happened(notes, colours, by_day=span)], 230)


# the axis of a chart over days; each day stands at its midnight, in a column called ``day`` (see `at`)
DAYS = channel(
    "day:T", title=None, axis={"format": "%d %b", "grid": False, "labelOverlap": True, "tickMinStep": 86_400_000}
)


def happened(notes: Sequence[Note], colours: Colours = LIGHT, *, by_day: tuple[date, date] | None = None) -> list[Spec]:
    """Return the layers that draw what happened over a chart over time.

    Args:
        notes: of the time that is drawn.
        colours: of the page.
        by_day: first and last day of a chart over days (see `DAYS`); without them the chart is over the hours of
            one day, and what happened stands above it.
    """
    if not notes:
        return []
    looks: Spec = {"baseline": "bottom", "color": colours.amber, "fontSize": 12}
    if by_day is None:
        text = "; ".join(note.text for note in notes)
        place = {"x": value(0), "y": value(0), "text": channel("text:N")}
        return [
            over([{"text": f"◆ {text}"}], mark("text", place, align="left", dy=-4, limit={"expr": "width"}, **looks))
        ]
    middle = by_day[0] + (by_day[1] - by_day[0]) / 2
    rows = [
        {
            "day": at(note.day),
            "text": note.text,
            "zone": note.zone or "whole shop",
            "row": i % 3,
            "late": note.day > middle,
        }
        for i, note in enumerate(notes)
    ]
    tooltip = [
        channel("text:N", title="Happened"),
        channel("zone:N", title="About"),
        channel("day:T", title="Day", format="%Y-%m-%d"),
    ]
    words = {"x": DAYS, "y": value(0), "text": channel("text:N"), "tooltip": tooltip}
    return [
        over(
            rows,
            mark("rule", {"x": DAYS, "tooltip": tooltip}, color=colours.amber, strokeDash=[5, 3], strokeWidth=2),
            *(
                mark(
                    "text",
                    words,
                    where=f"datum.row == {row} && datum.late == {str(late).lower()}",
                    align="right" if late else "left",
                    limit={"expr": f"{'' if late else 'width - '}scale('x', datum.day)"},
                    dy=-4 - 13 * row,
                    **looks,
                )
                for row, late in sorted({(i % 3, note.day > middle) for i, note in enumerate(notes)})
            ),
        )
    ]


def dwell(figure: Dwell, colours: Colours = LIGHT) -> Spec:
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
    axis = {
        "title": "Length of stay",
        "values": [2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200],
        "labelExpr": "datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? datum.value / 60 + ' min'"
        " : datum.value / 3600 + ' h'",
        "grid": False,
    }
    bars = {
        "x": channel("from:Q", scale={"type": "log", "nice": False}, axis=axis),
        "x2": channel("to"),
        "y": channel("low:Q", title="Stays"),
        "y2": channel("high"),
        "color": channel(
            "what:N",
            scale={"domain": ["seen to end", "lost from sight"], "range": [colours.accent, colours.pale]},
            legend=LEGEND,
        ),
        "tooltip": [
            channel("range:N", title="Stay"),
            channel("what:N", title="End"),
            channel("stays:Q", title="Stays (rounded)"),
        ],
    }
    points = [
        {"at": point.at, "label": f"{name} {duration(point.at)}"}
        for name, point in (("median", figure.median), ("p90", figure.p90))
        if point.at is not None
    ]
    words = {"x": channel("at:Q"), "y": value(0), "text": channel("label:N")}
    lines = over(
        points,
        mark("rule", {"x": channel("at:Q")}, color=colours.ink, strokeDash=[4, 3], strokeWidth=1.5),
        mark("text", words, align="left", dx=-2, dy=-4, baseline="bottom", color=colours.ink, fontSize=12),
    )
    return plain([over(rows, mark("rect", bars, stroke=colours.ground, strokeWidth=1)), lines], 300)


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


def _clock(t_us: int, tz: str) -> str:
    """Return what the store's clock shows, without a zone: browsers would turn it into their own."""
    return local(t_us, tz).replace(tzinfo=None).isoformat()


def _stretch(cell: Cell, tz: str) -> str:
    start, end = local(cell.start_us, tz), local(cell.end_us, tz)
    return f"{start:%H:%M}–{end:%H:%M}" if cell.end_us - cell.start_us <= 24 * HOUR else f"{start:%x}–{end:%x}"


def _share(cell: Cell) -> str:
    return f"{cell.observed_us / cell.open_us:.0%}" if cell.open_us else "not known"


def at(day: date, more: timedelta = timedelta()) -> str:
    """Return the midnight at which a day stands on `DAYS`, or some time after it; a bare date would be read as UTC."""
    return (datetime(day.year, day.month, day.day) + more).isoformat()
