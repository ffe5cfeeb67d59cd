"""Today: how full the shop is now, who came so far against the same weekday, and what a queue needs.

How full it is now comes from `watch` by its socket, in bands, and is gone with the next look; everything else is what
was released, and so at least an hour old.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import streamlit as st

from analytics import charts
from analytics.answers import Answers
from analytics.bins import HOUR, local
from analytics.config import ConfigError
from analytics.days import whole
from analytics.figures import Figure
from analytics.live import LONG, QUEUE_BANDS, read_zones
from analytics.pages.choice import day
from analytics.pages.happened import drawn, notes_button
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import show
from analytics.pages.source import interval, quantile, source, span
from analytics.pages.style import begin, figures
from analytics.released import FLAGGED, Cell, Sum, joined
from analytics.state import State

EVERY_S = 5  # how often the page asks how full the shop is
WEEKS = 4  # earlier weeks whose same weekday is "as usual"
FEWEST = 2  # of those days


def today(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; only its folder of released cells, its notes and the socket of `watch` are read.
    """
    begin("Today")
    _now(state_dir)
    report = figures(state_dir)
    if report is None:
        return
    tz = report.tz
    chosen, beside = st.columns([3, 1], vertical_alignment="bottom")
    that = day(chosen, report.days())
    with beside:
        notes_button(state_dir, that, report.zones(), tz)
    _cards(report, that, tz)
    _queues(report, that)
    _by_hour(state_dir, report, that, tz)
    _zones(state_dir, report, that, tz)
    _by_day(state_dir, report, that, tz)
    shown = (Figure.FOOTFALL, Figure.VISITS)
    not_shown(report, that, that, shown)
    st.caption(
        f"Times are on the store's clock ({tz}). A visit counts when it ends. Every cell holds five people or more, and"
        " its counts are rounded to 5 at random without bias; tracks are not distinct people."
    )


@st.fragment(run_every=EVERY_S)
def _now(state_dir: Path) -> None:
    st.header("Now")
    try:
        state = State.read(state_dir)
        seen = read_zones(state.live)
    except ConfigError as error:
        st.warning(str(error))
        return
    if not seen:
        if state.store.store.simulated:
            why = "Nobody is in this shop now: it is simulated, and its last day is over."
        elif seen is None:
            why = "How full the shop is now is not known: `openaisle watch` does not run."
            why += f" `openaisle up --state {state_dir}` runs everything; the zones stand here a few seconds later."
        else:
            why = f"No camera sees anything at present. What is wrong with it: `openaisle doctor --state {state_dir}`."
        st.info(why, icon=":material/visibility_off:")
        return
    queues = set(QUEUE_BANDS.values()) | {LONG}
    for camera, zones in sorted(seen.items()):
        for zone in (zone for zone, told in sorted(zones.items()) if told == LONG):
            st.warning(f"**{zone}** ({camera}): the queue is long now. Open another till.", icon=":material/groups:")
    rows = [
        {"Zone": zone, "People now": "queue " + told if told in queues else told, "Camera": camera}
        for camera, zones in sorted(seen.items())
        for zone, told in sorted(zones.items())
    ]
    st.dataframe(rows, hide_index=True, height="content")
    st.caption(f"`live.occupancy` · in bands, looked at every {EVERY_S} s and never stored")


def usual(report: Answers, that: date, tz: str, until_us: int | None) -> tuple[float, int] | None:
    """Return how many came in by that time of day on the same weekday of earlier weeks (median), and on how many days.

    Args:
        report: of the released cells.
        that: local day.
        tz: IANA name of the store's time zone.
        until_us: up to this time of that day; None for the whole day.
    """
    sums = []
    for back in range(1, WEEKS + 1):
        then = that - timedelta(weeks=back)
        cells = report.cells(Figure.FOOTFALL, then, then)
        if until_us is not None:
            end = local(until_us, tz)
            close = timedelta(hours=end.hour, minutes=end.minute) if end.date() == that else timedelta(hours=24)
            cells = [cell for cell in cells if _clock(cell.end_us, then, tz) <= close]
        if whole(cells):
            sums.append(sum(cell.n or 0 for cell in cells))
    return (float(median(sums)), len(sums)) if len(sums) >= FEWEST else None


def _clock(t_us: int, of: date, tz: str) -> timedelta:
    """Return the time of day of an instant, past midnight too."""
    at = local(t_us, tz)
    return timedelta(days=(at.date() - of).days, hours=at.hour, minutes=at.minute, seconds=at.second)


def _cards(report: Answers, that: date, tz: str) -> None:
    visits = report.cells(Figure.VISITS, that, that)
    entries, all_visits = report.total(Figure.FOOTFALL, that, that), report.total(Figure.VISITS, that, that)
    engaged = sum(c.tiers["engaged"] + c.tiers["deliberating"] for c in visits if not c.suppressed)
    as_usual = usual(report, that, tz, entries.end_us)
    delta = None
    if as_usual is not None and as_usual[0] and entries.cells:
        delta = f"{entries.n / as_usual[0] - 1:+.0%} against a usual {that:%A}"
    with st.container(key="cards"):
        boxes = st.columns(4)
        boxes[0].metric("Entries", f"{entries.n:,}" if entries.cells else "–", delta)
        boxes[1].metric("Zone visits", f"{all_visits.n:,}" if all_visits.cells else "–")
        boxes[2].metric("Engaged, 5 s or more", f"{engaged / all_visits.n:.0%}" if all_visits.n else "–")
        boxes[3].metric("Cameras saw", "–" if all_visits.coverage is None else f"{all_visits.coverage:.0%}")
    note = (
        f"As usual: no earlier {that:%A} to hold it against; two of the last {WEEKS} are needed."
        if as_usual is None
        else f"As usual: {as_usual[0]:.0f} entries by the same time, the median of {as_usual[1]} of the last {WEEKS}"
        f" {that:%A}s of which every hour was seen and is released."
    )
    source(entries, tz, note)
    if all_visits.coverage is not None and all_visits.coverage < FLAGGED:
        st.warning(
            f"The cameras saw {all_visits.coverage:.0%} of the time they were meant to. What they missed is not"
            " guessed: this day's numbers are lower than what happened.",
            icon=":material/visibility_off:",
        )


def _queues(report: Answers, that: date) -> None:
    waits = report.waits(that, that)
    before = report.waits(that - timedelta(days=28), that - timedelta(days=1))
    for where, wait in waits.items():
        usually = before.get(where)
        if usually is None or wait.median.low is None or usually.median.high is None:
            continue
        if wait.median.low > usually.median.high:
            st.warning(
                f"**{where[1]}**: people wait longer than in the four weeks before: {quantile(wait.median)}"
                f" ({interval(wait.median)}) against {quantile(usually.median)} ({interval(usually.median)}).",
                icon=":material/groups:",
            )


def _by_hour(state_dir: Path, report: Answers, that: date, tz: str) -> None:
    st.header("Footfall by hour")
    cells = report.cells(Figure.FOOTFALL, that, that)
    total = Sum.of("everybody.footfall", cells)
    if not total.cells:
        nothing_here(report, Figure.FOOTFALL)
        source(total, tz)
        return
    line = _usual_by_hour(report, that, cells, tz)
    notes = drawn(state_dir, that, that)
    rates = {(start, end): rate for start, end, rate in line}
    show(
        lambda colours: charts.footfall_by_hour(cells, tz, line, colours, notes),
        [
            {
                "time": span(cell, tz),
                "entrance": cell.zone,
                "entries": cell.n,
                "entries as usual": _of(rates, cell),
                "coverage": cell.observed_us / cell.open_us if cell.open_us else None,
            }
            for cell in joined(cells, zones_apart=False)
        ],
        name=f"Footfall by hour {that}",
        told=f"Entries of {that} by hour: {_told_peak(cells, tz)}",
    )
    source(
        total, tz, "The line: the same weekday of the last four weeks (median), hour by hour where two of them have it."
    )


def _of(rates: dict[tuple[int, int], float], cell: Cell) -> float | None:
    rate = rates.get((cell.start_us, cell.end_us))
    return None if rate is None else rate * (cell.end_us - cell.start_us) / HOUR


def _told_peak(cells: Sequence[Cell], tz: str) -> str:
    shown = [cell for cell in joined(cells, zones_apart=False) if cell.n]
    most = max(shown, key=lambda cell: (cell.n or 0) / (cell.end_us - cell.start_us))
    return f"{sum(cell.n or 0 for cell in shown)} in all, most at {span(most, tz)} ({most.n})."


def _usual_by_hour(report: Answers, that: date, cells: Sequence[Cell], tz: str) -> list[tuple[int, int, float]]:
    """Return (start, end, entries an hour) as usual, for each stretch of which enough earlier days have a cell."""
    earlier: dict[tuple[timedelta, timedelta], list[int]] = {}
    for back in range(1, WEEKS + 1):
        then = that - timedelta(weeks=back)
        for cell in joined(report.cells(Figure.FOOTFALL, then, then), zones_apart=False):
            if not cell.suppressed:
                key = (_clock(cell.start_us, then, tz), _clock(cell.end_us, then, tz))
                earlier.setdefault(key, []).append(cell.n or 0)
    out = []
    for cell in joined(cells, zones_apart=False):
        counts = earlier.get((_clock(cell.start_us, that, tz), _clock(cell.end_us, that, tz)), [])
        if len(counts) >= FEWEST:
            out.append((cell.start_us, cell.end_us, median(counts) * HOUR / (cell.end_us - cell.start_us)))
    return out


def _zones(state_dir: Path, report: Answers, that: date, tz: str) -> None:
    st.header("Zone by hour")
    cells = report.cells(Figure.VISITS, that, that)
    total = Sum.of("everybody.zone_visits", cells)
    if not total.cells:
        nothing_here(report, Figure.VISITS)
    else:
        notes = drawn(state_dir, that, that)
        show(
            lambda colours: charts.zone_by_hour(cells, tz, colours, notes),
            [
                {
                    "zone": cell.zone,
                    "time": span(cell, tz),
                    "visits": cell.n,
                    "why not": f"fewer than {cell.k} tracks" if cell.suppressed else "",
                    "coverage": cell.observed_us / cell.open_us if cell.open_us else None,
                }
                for cell in joined(cells, zones_apart=True)
            ],
            name=f"Zone by hour {that}",
            told=f"Visits of {that} by zone and hour: {_told_zones(cells)}",
        )
    source(
        total,
        tz,
        "A wide box is several hours together, because one alone held too few people. A dashed edge: cameras saw under"
        " 90 % of it.",
    )


def _told_zones(cells: Sequence[Cell]) -> str:
    sums: dict[str, int] = {}
    for cell in cells:
        sums[cell.zone] = sums.get(cell.zone, 0) + (cell.n or 0)
    return ", ".join(f"{zone} {n}" for zone, n in sorted(sums.items(), key=lambda one: -one[1])) + "."


def _by_day(state_dir: Path, report: Answers, that: date, tz: str) -> None:
    first = that - timedelta(days=27)
    st.header("Footfall by day")
    past = report.footfall_by_day(first, that)
    total = report.total(Figure.FOOTFALL, first, that)
    if past:
        notes = drawn(state_dir, first, that)
        show(
            lambda colours: charts.footfall_by_day(past, colours, notes),
            [
                {"day": day, "entries": one.n, "suppressed": one.suppressed, "coverage": one.coverage}
                for day, one in past
            ],
            name=f"Footfall by day to {that}",
            told=f"Entries of the {len(past)} days with figures up to {that}, from {min(one.n for _, one in past)} to"
            f" {max(one.n for _, one in past)} a day.",
        )
    source(total, tz, "Pale days are not whole: cameras saw under 90 %, or a part is suppressed.")
