"""Queues: how long people wait until they are served, how many give up, and how long the line is.

A wait whose end was not seen lasted at least as long as it was seen, and so did one that was given up: neither is ever
counted as a short wait. The line is looked at four times a minute; what is shown is its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.bins import HOUR, local
from analytics.charts import duration
from analytics.colours import LIGHT, Colours
from analytics.config import read_store
from analytics.figures import CROWDS, LOOK_US, Figure
from analytics.lifetable import EDGES_US, bin_index
from analytics.marks import LEGEND, Spec, channel, mark, over, plain
from analytics.model import SECOND
from analytics.pages import missing, picture
from analytics.pages.choice import choose
from analytics.pages.source import Counted, fold, half, interval, quantile, summed
from analytics.pages.style import begin, figures
from analytics.released import Cell
from analytics.report import Wait, wait
from analytics.state import STORE_TOML
from analytics.waits import AT_ONCE_US
from analytics.zones import ZoneKind

_FIGURES = (Figure.WAIT, Figure.OCCUPANCY)
_WAIT = (
    "From the first sight in the queue to the first two seconds at the till. Who is there in less than 4 s walked up to"
    " a free till and is in no median. Given up: seen to leave the queue after ten seconds or more without coming to a"
    " till. Whoever was lost from sight waited at least that long (Kaplan and Meier)."
)
_LINE = (
    "People in the zone at four looks a minute, over the time that the camera saw. A time in which fewer than ten were"
    " there joins its neighbours; by the hour, what is longer than three hours is left out, and with it the quietest"
    " hours."
)


def queues(state_dir: Path) -> None:
    """Draw the page."""
    begin("Queues")
    report = figures(state_dir, "Queues")
    if report is None:
        return
    days = report.days()
    lines = sorted(
        {c.zone for figure in _FIGURES for c in report.cells(figure, days[0], days[-1]) if c.kind == ZoneKind.QUEUE}
    )
    if not lines:
        st.info(
            "**No queue yet.** Draw a zone of kind `queue` where people stand in line, and one of kind `service` before"
            " the till, seen by the same camera. Figures follow two hours after ten people have waited.",
            icon=":material/group_add:",
        )
        return
    chosen = choose(days, lines, length=28)
    if chosen is None:
        return
    tz = report.tz
    waits, left_out = chosen.keep(report.cells(Figure.WAIT, chosen.first, chosen.last), tz)
    total = summed(Figure.WAIT, waits)
    if total.cells:
        by = [Counted.of(total, tz, _WAIT, left_out=left_out)]
        _waiting(wait(waits), by)
        _by_hour(waits, tz, by)
    else:
        missing.nothing_here(report, Figure.WAIT, what="waiting times")
    crowds, left_out = chosen.keep(
        (c for c in report.cells(Figure.OCCUPANCY, chosen.first, chosen.last) if c.kind == ZoneKind.QUEUE), tz
    )
    _length(crowds, tz, left_out)
    _alert(state_dir)
    missing.not_shown(report, chosen.first, chosen.last, _FIGURES)


def _waiting(found: Wait, by: Sequence[Counted]) -> None:
    whole = found.served + found.gave_up + found.lost
    boxes = st.columns(4)
    boxes[0].metric("Median wait", quantile(found.median), help=f"95 % interval: {interval(found.median)}")
    boxes[1].metric("90 % wait under", quantile(found.p90), help=f"95 % interval: {interval(found.p90)}")
    boxes[2].metric("Served at once", f"{found.at_once / whole:.0%}", help="At the till in less than 4 s; in no wait")
    boxes[3].metric("Gave up", "–" if found.abandoned is None else f"{found.abandoned:.1%}")
    st.markdown(
        f"Of {whole:,} in the queue, **{found.at_once / whole:.0%}** walked straight up to a till."
        f" {half('the others', 'waited', found.median)}"
    )
    first = bin_index(AT_ONCE_US)
    rows: list[dict[str, Any]] = [
        {"Waited up to": duration(EDGES_US[at] / SECOND), "order": at, "Waits": n, "How it ended": how}
        for how, counts in (("served", found.served_after), ("gave up", found.gone_after))
        for at, n in enumerate(counts[:-1], start=1)
        if n and at > first
    ]
    picture.show(
        partial(_histogram, rows),
        [
            {"Waited up to": "served at once", "Waits": found.at_once, "How it ended": "served"},
            *({name: value for name, value in row.items() if name != "order"} for row in rows),
        ],
        numbers=[
            {"waited up to, s": AT_ONCE_US / SECOND, "waits": found.at_once, "how it ended": "served at once"},
            *(
                {
                    "waited up to, s": EDGES_US[row["order"]] / SECOND,
                    "waits": row["Waits"],
                    "how it ended": row["How it ended"],
                }
                for row in rows
            ),
        ],
        name="Waits by length",
        told=f"Bars: {found.served - found.at_once:,} waits of 4 s or more that ended at the till and"
        f" {found.gave_up:,} given up, by length.",
        by=by,
    )


def _histogram(rows: Sequence[dict[str, Any]], colours: Colours = LIGHT) -> Spec:
    order = [row["Waited up to"] for row in sorted(rows, key=lambda row: int(row["order"]))]
    bars = {
        "x": channel("Waited up to:N", sort=order, axis={"title": "Waited up to", "labelAngle": -45}),
        "y": channel("Waits:Q", title="Waits"),
        "color": channel(
            "How it ended:N",
            scale={"domain": ["served", "gave up"], "range": [colours.accent, colours.amber]},
            legend=LEGEND,
        ),
        "tooltip": [
            channel("Waited up to:N"),
            channel("How it ended:N"),
            channel("Waits:Q", title="Waits (rounded)"),
        ],
    }
    return plain([over(rows, mark("bar", bars, stroke=colours.ground))], 230)


def _hours(cells: Sequence[Cell], tz: str) -> dict[int, list[Cell]]:
    """Return the cells by the hour of the day in which they lie; what is longer than three hours lies in none."""
    found: dict[int, list[Cell]] = {}
    for cell in cells:
        if not cell.suppressed and cell.end_us - cell.start_us <= 3 * HOUR:
            found.setdefault(local(cell.start_us, tz).hour, []).append(cell)
    return dict(sorted(found.items()))


def _by_hour(cells: Sequence[Cell], tz: str, by: Sequence[Counted]) -> None:
    st.header("By hour of the day")
    rows: list[dict[str, Any]] = []
    for hour, there in _hours(cells, tz).items():
        found = wait(there)
        rows.append(
            {
                "Hour": f"{hour:02d}:00",
                "Median": found.median.at,
                "low": found.median.low,
                "high": found.median.high,
                "90 % wait under": found.p90.at,
                "Gave up": found.abandoned,
                "Served at once": found.at_once,
                "All": found.total.n,
            }
        )
    told = [row for row in rows if row["90 % wait under"] is not None]
    if not told:
        st.caption("No cell is short enough to speak of an hour.")
        return
    worst = max(told, key=lambda row: row["90 % wait under"] or 0.0)
    st.markdown(
        f"The longest waits begin at **{worst['Hour']}**: one in ten takes {duration(worst['90 % wait under'] or 0.0)}"
        " or more."
    )
    picture.show(
        partial(_waits_by_hour, told),
        rows,
        name="Waits by hour",
        told=f"Median and p90 of waits that began in a cell of that hour, seconds. Longest at {worst['Hour']}: nine in"
        f" ten are served within {duration(worst['90 % wait under'] or 0.0)}.",
        by=[*by, Counted("A cell of several hours stands at its first hour; what is longer than three is left out.")],
    )
    st.caption(missing.NO_ZERO)


def _waits_by_hour(rows: Sequence[dict[str, Any]], colours: Colours = LIGHT) -> Spec:
    drawn = [
        {"Hour": row["Hour"], "what": what, "seconds": row[column]}
        for row in rows
        for what, column in (("median", "Median"), ("nine in ten", "90 % wait under"))
        if row[column] is not None
    ]
    waits = {
        "x": channel("Hour:N", title=None, axis={"labelAngle": 0}),
        "y": channel("seconds:Q", title="Wait, seconds"),
        "color": channel(
            "what:N",
            scale={"domain": ["median", "nine in ten"], "range": [colours.accent, colours.other]},
            legend=LEGEND,
        ),
        "tooltip": [channel("Hour:N"), channel("what:N", title="Figure"), channel("seconds:Q", format=".0f")],
    }
    return plain([over(drawn, mark("line", waits), mark("point", waits, filled=True, size=60))], 230)


def _length(cells: Sequence[Cell], tz: str, left_out: int) -> None:
    st.header("Length of the line")
    shown = [cell for cell in cells if not cell.suppressed]
    total = summed(Figure.OCCUPANCY, cells)
    by = [Counted.of(total, tz, _LINE, left_out=left_out)]
    looks = total.observed_us / LOOK_US
    if not shown or not looks:
        st.info(
            "**Not enough people in line** in what you chose: a cell takes ten who were there at a look, four times a"
            " minute. Choose a longer period.",
            icon=":material/hourglass_empty:",
        )
        return
    sums = [sum(column) for column in zip(*(cell.counts for cell in shown), strict=True)]
    words = [f"{low}" if high == low + 1 else f"{low}–{high - 1}" for low, high in pairwise(CROWDS)]
    words.append(f"{CROWDS[-1]} and more")
    boxes = st.columns(3)
    observed = sum(cell.observed_us for cell in shown) / LOOK_US
    boxes[0].metric("Mean length", f"{sum(sums) / observed:.2f} people" if observed else "–")
    boxes[1].metric("Waiting time in a line of 3 or more", f"{sum(sums[2:]) / max(1, sum(sums)):.0%}")
    boxes[2].metric("Waiting time, all together", f"{sum(sums) * LOOK_US / SECOND / 3600:,.1f} h")
    rows: list[dict[str, Any]] = []
    for hour, there in _hours(shown, tz).items():
        seen = sum(cell.observed_us for cell in there) / LOOK_US
        rows.append({"Hour": f"{hour:02d}:00", "People in line": sum(c.n or 0 for c in there) / seen if seen else None})
    if rows:
        top = max(rows, key=lambda row: float(row["People in line"] or 0))
        picture.show(
            partial(_lengths, rows),
            rows,
            name="People in line by hour",
            told=f"Bars: mean number of people in line by hour; most at {top['Hour']}: {top['People in line']:.2f}.",
            by=by,
        )
        st.caption(missing.NO_ZERO)
    with st.expander("How long the line was for those in it", icon=":material/groups:"):
        st.dataframe(
            [
                {"People in line": word, "Share of waiting time": f"{n / max(1, sum(sums)):.0%}"}
                for word, n in zip(words, sums, strict=True)
            ],
            hide_index=True,
            key="crowds",
        )
    if not rows:
        fold(*by)


def _lengths(rows: Sequence[dict[str, Any]], colours: Colours = LIGHT) -> Spec:
    bars = {
        "x": channel("Hour:N", title=None, axis={"labelAngle": 0}),
        "y": channel("People in line:Q", title="People in line, mean"),
        "tooltip": [channel("Hour:N"), channel("People in line:Q", format=".2f")],
    }
    return plain([over(rows, mark("bar", bars, color=colours.accent, cornerRadiusEnd=3))], 200)


def _alert(state_dir: Path) -> None:
    """Say when an alert goes out, and to whom; as `store.toml` has it."""
    table = read_store(state_dir / STORE_TOML).alerts
    if not table.hosts:
        st.caption(
            "No alert is sent. `[alerts]` in `store.toml` names who is told when a queue is long for some minutes:"
            " `webhook` or `mqtt`, `queue` and `minutes`."
        )
        return
    st.caption(
        f"An alert goes to `{', '.join(table.hosts)}` when a queue is {table.queue} ({table.people}) for"
        f" {table.minutes} minutes; it says which queue and how long the line is in words, and nothing else."
    )
