"""What is not shown: why, what to do, and when it can be expected. A gap on a page is never silent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import streamlit as st

from analytics.bins import HOUR, local
from analytics.comparison import FEWEST_DAYS
from analytics.config import ConfigError, StoreFile
from analytics.figures import FIGURES, Audience, Figure
from analytics.live import read_zones
from analytics.pages.source import many, people, span
from analytics.report import Report, Waiting
from analytics.state import KEEPER_JSON, State
from analytics.zones import ZoneKind

NAMES = {
    "footfall": "Entries",
    "zone_visits": "Zone visits",
    "dwell": "Length of stay",
    "decision_box": "Decision duration",
    "decision_pose": "Decision duration, by a second look",
    "expression": "Expression",
    "transitions": "Steps from zone to zone",
    "queue_wait": "Waits in the queue",
    "occupancy": "People at once",
    "exits": "Ways out",
    "store_stay": "Stays in the shop",
    "sales": "Receipts",
    "kiosk_funnel": "Questions at the kiosk",
    "passers_by": "Passers-by",
}


WALK_THROUGH = "nobody stops there: all walk through"
NO_ZERO = "An hour without a figure is no zero: it is counted in the hour before it, or too few people came."
KEEPER_S = 600.0  # a keeper that runs notes a pass every five minutes


def name(figure: str) -> str:
    """Return what people call a figure."""
    return NAMES.get(figure, figure.replace("_", " ").capitalize())


def nothing_yet(state_dir: Path, report: Report, page: str) -> None:
    """Draw a page of a shop that has no figure at all: what this page needs, what runs, and when a figure can be here.

    Args:
        state_dir: of the store.
        report: of no cell.
        page: its title.
    """
    st.header("No figures yet")
    try:
        state = State.read(state_dir)
    except ConfigError as error:
        st.warning(str(error))
        return
    if wanted := needs(page, state.store):
        st.markdown(wanted)
    st.markdown("\n".join(f"- {line}" for line in (*_running(state), _expected(state.store, time.time_ns() // 1000))))
    waiting = report.waiting()
    if waiting:
        st.header("Waited for")
        waiting_table(waiting, report.tz)


_DRAW = "Draw one on page Draw zones, or in `store.toml`."


def needs(page: str, store: StoreFile) -> str:
    """Return what a page shows nothing without, beside time and people; empty where the shop has it.

    Args:
        page: its title.
        store: what the shop decided.
    """
    kinds = {zone.kind for camera in store.camera for zone in camera.zone}
    entrance = ZoneKind.ENTRANCE in kinds
    if page in ("Today", "Staffing") and not entrance:
        return f"**No entrance is drawn**, so nobody who comes in is counted as an entry. {_DRAW}"
    if page == "Queues" and ZoneKind.QUEUE not in kinds:
        return f"**No queue is drawn.** It is a zone of kind `queue`, with a `service` zone before the till. {_DRAW}"
    if page == "Decisions" and ZoneKind.PRODUCT not in kinds:
        return f"**No shelf zone is drawn**, and decisions are made before shelves: zones of kind `product`. {_DRAW}"
    if page == "Journeys" and len(store.kinds()) < 2:
        return f"**Fewer than two zones are drawn**, and a journey is a step from one to another. {_DRAW}"
    if page == "Kiosk":
        return (
            "This page counts **questions at the kiosk**: a day is shown when it is over and five or more were asked."
            " `openaisle kiosk` must run at the entrance."
        )
    if page == "Conversion":
        without = "" if entrance else f" No entrance is drawn, either. {_DRAW}"
        return f"This page needs **receipts**, to hold against entries: bring them in below.{without}"
    if page == "Compare":
        return f"This page holds **two periods** against each other, each of {FEWEST_DAYS} whole days or more."
    if page == "Weekly report":
        return "The first report can be made of the week that has **the first figures**; a whole one when it is over."
    if page == "Expression":
        return "This page needs shoppers who **said yes to expression** at the kiosk, under privacy level `emotion`."
    return ""


def _running(state: State) -> Iterator[str]:
    """Say of the two processes that make figures whether they run."""
    seen = read_zones(state.live)
    up = f"start everything: `openaisle up --state {state.root}`"
    if seen:
        yield "`openaisle watch` runs, and sees the shop."
    elif seen is None:
        yield f"**`openaisle watch` does not run**, so nobody is counted; {up}"
    else:
        yield f"**`openaisle watch` runs and sees nothing**; what is wrong: `openaisle doctor --state {state.root}`"
    try:
        quiet_s = max(0.0, time.time() - (state.root / KEEPER_JSON).stat().st_mtime)
    except OSError:
        quiet_s = float("inf")
    if quiet_s < KEEPER_S:
        yield "`openaisle keeper` runs, and turns sums into figures."
    else:
        yield f"**`openaisle keeper` does not run**, so sums do not become figures; {up}"


def _expected(store: StoreFile, now_us: int) -> str:
    """Say when the first figure can be here, if people come."""
    least = "if five people or more are seen in a zone in it: each hour is shown when the next has passed."
    if not store.is_open(now_us):
        return f"The shop is closed now. The first figure can be here two hours after it opens, {least}"
    at = local(now_us // HOUR * HOUR + 2 * HOUR, store.store.timezone)
    return f"With both running, this hour can be here at {at:%H:%M}, {least}"


def nothing_here(report: Report, *figures: Figure, audience: Audience = Audience.EVERYBODY, what: str = "") -> None:
    """Say why a part of a page is empty, what to do, and when it can be expected.

    Args:
        report: of the released cells.
        figures: the figures that the part needs.
        audience: of whom.
        what: the part in words, as the sentence goes on after "Not enough people for".
    """
    waiting = [one for one in report.waiting() if one.metric in {f"{audience}.{figure}" for figure in figures}]
    expected = [one.expected_us for one in waiting if one.expected_us is not None]
    days = report.days()
    reach = f" Figures reach from {days[0]} to {days[-1]}." if days else ""
    when = f" It can be expected about {local(min(expected), report.tz):%Y-%m-%d %H:%M}." if expected else ""
    least = f"{waiting[0].k} {people(waiting[0].unit)}" if waiting else "five people or more"
    st.info(
        f"**Not enough people for {what or name(figures[0]).lower()}** in what you chose: a cell is shown from {least}"
        f" on. Choose a longer period, more hours or another zone.{reach}{when}",
        icon=":material/hourglass_empty:",
    )


def not_shown(report: Report, first: date, last: date, figures: Iterable[Figure] = tuple(Figure)) -> None:
    """List what is suppressed in a period, and what is still waited for.

    Args:
        report: of the released cells.
        first: local day.
        last: local day.
        figures: those of the page.
    """
    chosen = tuple(figures)
    through = _walked_through(report, first, last)
    rows = [
        {
            "Figure": name(figure),
            "Of": "everybody" if audience is Audience.EVERYBODY else "consenting shoppers",
            "Zone": cell.zone,
            "Day": f"{local(cell.start_us, report.tz):%Y-%m-%d}",
            "Time": span(cell, report.tz),
            "Why": WALK_THROUGH
            if figure is Figure.DWELL and (cell.camera, cell.zone) in through
            else f"fewer than {cell.k} {people(cell.unit)}",
        }
        for audience in Audience
        for figure in FIGURES[audience]
        if figure in chosen
        for cell in report.cells(figure, first, last, audience=audience)
        if cell.suppressed
    ]
    waiting = [
        one
        for one in report.waiting()
        if one.metric.partition(".")[2] in set(chosen)
        and not (one.metric.endswith(f".{Figure.DWELL}") and (one.camera, one.zone) in through)
    ]
    if not rows and not waiting:
        st.caption(":material/visibility: Nothing is held back in this period.")
        return
    newest = max(report.days(), default=last)
    over = newest < local(time.time_ns() // 1000, report.tz).date() - timedelta(days=1)
    awaited = f"{len(waiting)} {'not reached' if over else 'waited for'}"
    held = [f"{len(rows):,} suppressed"] * bool(rows) + [awaited] * bool(waiting)
    with st.expander(f"Not shown: {', '.join(held)}", icon=":material/visibility_off:"):
        if rows:
            verb, them = ("stands", "It") if len(rows) == 1 else ("stand", "They")
            st.markdown(
                f"**Suppressed for good:** {many(len(rows), 'part')}, because too few people were there until the end"
                f" of the day. {them} {verb} in no total; what happened then cannot be shown later either."
            )
            st.dataframe(rows, hide_index=True)
        if waiting:
            st.markdown(
                f"**Not reached** up to {newest}, the last day with figures: too few people. Nothing more is expected"
                " unless the shop is watched again."
                if over
                else "**Waited for**, until enough people are in it:"
            )
            waiting_table(waiting, report.tz, over=over)


def _walked_through(report: Report, first: date, last: date) -> set[tuple[str, str]]:
    """Return the zones, as (camera, zone), in which nobody stopped, so that there is no stay to time."""
    sums: dict[tuple[str, str], list[int]] = {}
    for cell in report.cells(Figure.VISITS, first, last):
        if not cell.suppressed:
            of = sums.setdefault((cell.camera, cell.zone), [0, 0])
            of[0] += sum(cell.tiers.values())
            of[1] += cell.tiers["pass_by"]
    return {where for where, (visits, passed) in sums.items() if visits and visits == passed}


def waiting_table(waiting: Sequence[Waiting], tz: str, *, over: bool = False) -> None:
    """List figures that are not there yet, and when each can be expected; nothing is where all figures are `over`."""
    rows = []
    for one in waiting:
        audience, figure = one.metric.split(".")
        rows.append(
            {
                "Figure": name(figure),
                "Of": "everybody" if audience == Audience.EVERYBODY else "consenting shoppers",
                "Zone": one.zone,
                "Needs": f"{one.k} {people(one.unit)}",
                "Shown up to": "not yet" if one.since_us is None else f"{local(one.since_us, tz):%Y-%m-%d %H:%M}",
                "Expected": "not any more"
                if over
                else "no rate known yet"
                if one.expected_us is None
                else f"about {local(one.expected_us, tz):%Y-%m-%d %H:%M}",
            }
        )
    st.dataframe(rows, hide_index=True, height="content")
