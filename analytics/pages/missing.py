"""What is not shown: why, what to do, and when it can be expected. A gap on a page is never silent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import streamlit as st

from analytics.bins import local
from analytics.figures import FIGURES, Audience, Figure
from analytics.pages.source import many, span
from analytics.report import Report, Waiting

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


def name(figure: str) -> str:
    """Return what people call a figure."""
    return NAMES.get(figure, figure.replace("_", " ").capitalize())


def nothing_yet(state_dir: Path, report: Report) -> None:
    """Draw a page of a shop that has no figure at all."""
    st.header("No figures yet")
    st.markdown(
        "A figure appears once an hour is over in which five people or more were seen in a zone. Until then:\n\n"
        f"1. `openaisle watch --state {state_dir}` must be running and see the zones of `store.toml`.\n"
        f"2. `openaisle keeper --state {state_dir}` must be running: it turns sums into figures.\n"
        "3. Come back two hours after opening time and reload this page: an hour is shown when the next has passed."
    )
    waiting = report.waiting()
    if waiting:
        st.header("Waited for")
        waiting_table(waiting, report.tz)


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
    least = f"{waiting[0].k} {waiting[0].unit}" if waiting else "five people or more"
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
    rows = [
        {
            "Figure": name(figure),
            "Of": "everybody" if audience is Audience.EVERYBODY else "consenting shoppers",
            "Zone": cell.zone,
            "Day": f"{local(cell.start_us, report.tz):%Y-%m-%d}",
            "Time": span(cell, report.tz),
            "Why": f"fewer than {cell.k} {cell.unit.replace('_', '-')}",
        }
        for audience in Audience
        for figure in FIGURES[audience]
        if figure in chosen
        for cell in report.cells(figure, first, last, audience=audience)
        if cell.suppressed
    ]
    waiting = [one for one in report.waiting() if one.metric.partition(".")[2] in set(chosen)]
    if not rows and not waiting:
        st.caption(":material/visibility: Nothing is held back in this period.")
        return
    held = [f"{len(rows):,} suppressed"] * bool(rows) + [f"{len(waiting)} waited for"] * bool(waiting)
    with st.expander(f"Not shown: {', '.join(held)}", icon=":material/visibility_off:"):
        if rows:
            verb, them = ("stands", "It") if len(rows) == 1 else ("stand", "They")
            st.markdown(
                f"**Suppressed for good:** {many(len(rows), 'part')}, because too few people were there until the end"
                f" of the day. {them} {verb} in no total; what happened then cannot be shown later either."
            )
            st.dataframe(rows, hide_index=True)
        if waiting:
            st.markdown("**Waited for**, until enough people are in it:")
            waiting_table(waiting, report.tz)


def waiting_table(waiting: Sequence[Waiting], tz: str) -> None:
    """List figures that are not there yet, and when each can be expected."""
    rows = []
    for one in waiting:
        audience, figure = one.metric.split(".")
        rows.append(
            {
                "Figure": name(figure),
                "Of": "everybody" if audience == Audience.EVERYBODY else "consenting shoppers",
                "Zone": one.zone,
                "Needs": f"{one.k} {one.unit}",
                "Shown up to": "not yet" if one.since_us is None else f"{local(one.since_us, tz):%Y-%m-%d %H:%M}",
                "Expected": "no rate known yet"
                if one.expected_us is None
                else f"about {local(one.expected_us, tz):%Y-%m-%d %H:%M}",
            }
        )
    st.dataframe(rows, hide_index=True, height="content")
