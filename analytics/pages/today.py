"""Today: how full the shop is now, who came so far against the same weekday, and what a queue needs.

How full it is now comes from `watch` by its socket, in bands, and is gone with the next look; everything else is what
was released, and so at least an hour old.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import streamlit as st

from analytics import charts
from analytics.answers import Answers
from analytics.bins import HOUR
from analytics.config import ConfigError
from analytics.figures import Figure
from analytics.live import LONG, QUEUE_BANDS, read_zones
from analytics.pages.choice import day
from analytics.pages.happened import drawn, notes_button
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import show
from analytics.pages.source import ROUNDED, Counted, fold, interval, quantile, source, span, summed
from analytics.pages.style import begin, figures
from analytics.pages.usual import WEEKS, usual, usual_by_hour
from analytics.released import FLAGGED, Cell, joined
from analytics.state import State
from analytics.zones import ZoneKind

EVERY_S = 5  # how often the page asks how full the shop is


def today(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; only its folder of released cells, its notes and the socket of `watch` are read.
    """
    begin("Today")
    _now(state_dir)
    report = figures(state_dir, "Today")
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
        f"Times are on the store's clock ({tz}). Counts are rounded to 5 at random without bias. Nobody is recognised:"
        " who comes twice counts twice."
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
    if as_usual is None:
        st.markdown(f"There is no earlier {that:%A} to hold it against yet; two of the last {WEEKS} are needed.")
        note = ""
    else:
        st.markdown(f"A usual {that:%A} has **{as_usual[0]:.0f} entries** by the same time of day.")
        note = (
            f"As usual: the median of {as_usual[1]} of the last {WEEKS} {that:%A}s, those of which every hour was seen"
            " and is released."
        )
    fold(
        Counted.of(entries, tz, note),
        Counted.of(all_visits, tz, "A visit counts when it ends. Engaged: a stop, and 5 s or more in the zone."),
    )
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
    total = summed(Figure.FOOTFALL, cells)
    if not total.cells:
        nothing_here(report, Figure.FOOTFALL)
        source(total, tz)
        return
    line = usual_by_hour(report, that, cells, tz)
    notes = drawn(state_dir, that, that)
    rates = {(start, end): rate for start, end, rate in line}
    most = _peak(cells)
    st.markdown(f"Most came in at {span(most, tz)}: **{most.n}** of {total.n}.")
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
        told=f"Entries of {that} by hour: {total.n} in all, most at {span(most, tz)} ({most.n}).",
        by=[
            Counted.of(
                total,
                tz,
                "The line: the same weekday of the last four weeks (median), hour by hour where two of them have it.",
            )
        ],
    )


def _of(rates: dict[tuple[int, int], float], cell: Cell) -> float | None:
    rate = rates.get((cell.start_us, cell.end_us))
    return None if rate is None else rate * (cell.end_us - cell.start_us) / HOUR


def _peak(cells: Sequence[Cell]) -> Cell:
    """Return the stretch of time in which most came in an hour."""
    shown = [cell for cell in joined(cells, zones_apart=False) if cell.n]
    return max(shown, key=lambda cell: (cell.n or 0) / (cell.end_us - cell.start_us))


def _zones(state_dir: Path, report: Answers, that: date, tz: str) -> None:
    st.header("Zone by hour")
    cells = report.cells(Figure.VISITS, that, that)
    total = summed(Figure.VISITS, cells)
    if not total.cells:
        nothing_here(report, Figure.VISITS)
        source(total, tz)
        return
    notes = drawn(state_dir, that, that)
    shelves = [cell for cell in cells if cell.kind == ZoneKind.PRODUCT and not cell.suppressed]
    first, n = _by_zone(shelves or cells)[0]
    st.markdown(f"{'Of the shelves' if shelves else 'Of the zones'}, **{first}** had most visits: {n:,}.")
    show(
        lambda colours: charts.zone_by_hour(cells, tz, colours, notes),
        [
            {
                "zone": cell.zone,
                "time": span(cell, tz),
                "visits": cell.n,
                "why not": f"fewer than {cell.k} people" if cell.suppressed else "",
                "coverage": cell.observed_us / cell.open_us if cell.open_us else None,
            }
            for cell in joined(cells, zones_apart=True)
        ],
        name=f"Zone by hour {that}",
        told=f"Visits of {that} by zone and hour: {', '.join(f'{zone} {n}' for zone, n in _by_zone(cells))}.",
        by=[
            Counted.of(
                total,
                tz,
                "A wide box is several hours together, because one alone held too few people; it may reach past closing"
                " time. A dashed edge: cameras"
                f" saw under 90 % of it. {ROUNDED}",
            )
        ],
    )


def _by_zone(cells: Sequence[Cell]) -> list[tuple[str, int]]:
    """Return visits of each zone that has a cell to show, most visited first."""
    sums: dict[str, int] = {}
    for cell in (cell for cell in cells if not cell.suppressed):
        sums[cell.zone] = sums.get(cell.zone, 0) + (cell.n or 0)
    return sorted(sums.items(), key=lambda one: -one[1])


def _by_day(state_dir: Path, report: Answers, that: date, tz: str) -> None:
    first = that - timedelta(days=27)
    past = report.footfall_by_day(first, that)
    if len(past) < 2:
        return  # the cards say it
    st.header("Footfall by day")
    low, high = min(one.n for _, one in past), max(one.n for _, one in past)
    st.markdown(f"Between **{low}** and **{high}** entries a day on the {len(past)} days of these four weeks.")
    notes = drawn(state_dir, first, that)
    show(
        lambda colours: charts.footfall_by_day(past, colours, notes),
        [{"day": day, "entries": one.n, "suppressed": one.suppressed, "coverage": one.coverage} for day, one in past],
        name=f"Footfall by day to {that}",
        told=f"Entries of the {len(past)} days with figures up to {that}, from {low} to {high} a day.",
        by=[
            Counted.of(
                report.total(Figure.FOOTFALL, first, that),
                tz,
                "Pale days are not whole: cameras saw under 90 %, or a part is suppressed.",
            )
        ],
    )
