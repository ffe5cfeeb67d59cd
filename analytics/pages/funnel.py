"""The kiosk: how many open it, say yes, say no or go away, and why the pad linked nobody after a yes.

Counts by day, of five questions or more; they name nobody, no hour and no language.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.bins import local
from analytics.colours import LIGHT, Colours
from analytics.figures import FUNNEL, Figure
from analytics.marks import FEW, Spec, channel, mark, over, plain
from analytics.notes import Note
from analytics.pages import missing, picture
from analytics.pages.choice import by_days
from analytics.pages.happened import drawn
from analytics.pages.source import Counted, many, summed
from analytics.released import Cell
from analytics.trend import share_by_day

_STEPS = {"opened": "Opened", "answered": "Answered", "yes": "Said yes", "linked": "Linked at the pad"}
_OTHERWISE = {
    "refused": "Said no",
    "abandoned": "Went away without an answer",
    "too_young": "Younger than the shop asks for",
    "objected": "Do not count me either",
}
_WHY = {  # of a link that failed: what it was, and what the shop can do
    "link_nobody_on_pad": ("Nobody stood on the pad", "Mark the pad on the floor; put the kiosk within reach of it."),
    "link_several_people": ("Several people on the pad", "A sign: one at a time."),
    "link_somebody_near": ("Somebody stood too near", "Give the pad more room, or move it out of the way in."),
    "link_moved_away": ("Left the pad too soon", "People must stay until the screen says so; move the pad nearer."),
    "link_lost_sight": ("The camera lost them", "Look what hides the pad: a display, a door, the light."),
    "link_possible_switch": ("Somebody passed between", "Turn the pad away from the way through."),
    "link_blind": ("The camera did not see", "See on page Accuracy when the camera was blind."),
    "link_too_old": ("The tap came too late", "Compare the clocks of kiosk and camera."),
    "link_conflict": ("Linked elsewhere at that moment", "Rare; they are asked to try again."),
    "link_no_grant": ("The consent had ended before", "Nothing to do: they changed their mind."),
    "link_no_answer": ("The camera's process did not answer", "See whether `openaisle watch` runs."),
    "link_no_pad": ("The kiosk has no pad", "Draw a zone of kind `pad` before it."),
}


def funnel(state_dir: Path) -> None:
    """Draw the page."""
    opened = by_days("Kiosk", state_dir)
    if opened is None:
        return
    report, first, last = opened
    cells = report.cells(Figure.FUNNEL, first, last)
    shown = [cell for cell in cells if not cell.suppressed]
    if not shown:
        st.info(
            "**No questions to show.** A day is shown from five questions at the kiosk on, when it is over: run"
            " `openaisle kiosk`, and look here the day after.",
            icon=":material/hourglass_empty:",
        )
    else:
        sums = dict(zip(FUNNEL, (sum(column) for column in zip(*(c.counts for c in shown), strict=True)), strict=True))
        by = [
            Counted.of(
                summed(Figure.FUNNEL, cells),
                report.tz,
                "n counts what was opened; one question may come to several things. A question left alone is over when"
                " the kiosk has waited long enough.",
            )
        ]
        _steps(sums, by)
        _reasons(sums, by)
        _days(shown, report.tz, drawn(state_dir, first, last), by)
    missing.not_shown(report, first, last, (Figure.FUNNEL,))


def _steps(sums: dict[str, int], by: Sequence[Counted]) -> None:
    counts = {**sums, "answered": sums["yes"] + sums["refused"]}
    opened = max(1, counts["opened"])
    boxes = st.columns(4)
    boxes[0].metric("Opened", f"{counts['opened']:,}")
    boxes[1].metric("Said yes, of those who answered", f"{counts['yes'] / max(1, counts['answered']):.0%}")
    boxes[2].metric("Linked, of those who said yes", f"{min(1.0, counts['linked'] / max(1, counts['yes'])):.0%}")
    boxes[3].metric("Went away", f"{counts['abandoned'] / opened:.0%}")
    rows = [
        {"Step": word, "Questions": counts[key], "Share of opened": counts[key] / opened}
        for key, word in (_STEPS | _OTHERWISE).items()
    ]
    picture.show(
        partial(_bars, rows),
        rows,
        name="Kiosk funnel",
        told=f"Bars: {counts['opened']:,} opened, {counts['answered']:,} answered, {counts['yes']:,} said yes,"
        f" {counts['linked']:,} were linked; {counts['refused']:,} said no, {counts['abandoned']:,} went away.",
        by=by,
    )


def _bars(rows: Sequence[dict[str, Any]], colours: Colours = LIGHT) -> Spec:
    tones = {"domain": ["on", "out"], "range": [colours.accent, colours.pale]}
    row = {
        "y": channel("Step:N", sort=None, title=None, axis={"ticks": False, "labelLimit": 220}),
        "tooltip": [channel("Step:N"), channel("Questions:Q", title="Questions (rounded)")],
    }
    bars = {
        **row,
        "x": channel("Questions:Q", title="Questions", axis=FEW),
        "color": channel("way:N", scale=tones, legend=None),
    }
    words = {**row, "x": channel("Questions:Q"), "text": channel("Questions:Q")}
    drawn = over(
        [{**row, "way": "on" if row["Step"] in _STEPS.values() else "out"} for row in rows],
        mark("bar", bars, cornerRadiusEnd=3),
        mark("text", words, align="left", dx=5, color=colours.ink),
    )
    return plain([drawn], 34 * len(rows) + 40)


def _reasons(sums: dict[str, int], by: Sequence[Counted]) -> None:
    st.header("Why the pad linked nobody")
    failed = sum(sums[word] for word in _WHY)
    tried = failed + sums["linked"]
    rows: list[dict[str, Any]] = [
        {"Why": why, "Links": sums[word], "Share of tries": f"{sums[word] / tried:.0%}", "What to do": remedy}
        for word, (why, remedy) in sorted(_WHY.items(), key=lambda one: -sums[one[0]])
        if sums[word]
    ]
    if not rows:
        st.markdown("Every yes was linked, as far as counts rounded to 5 can tell.")
        return
    st.markdown(f"**{failed:,}** of {many(tried, 'try', 'tries')} linked nobody.")
    st.dataframe(rows, hide_index=True, key="reasons")
    note = Counted("Counts are rounded; a try that failed and then worked is a link.")
    picture.beside(
        rows,
        name="Why the pad linked nobody",
        by=[*by, note],
        numbers=[{**row, "Share of tries": row["Links"] / tried} for row in rows],
    )


def _days(cells: Sequence[Cell], tz: str, notes: Sequence[Note], by: Sequence[Counted]) -> None:
    st.header("Day by day")
    rows: list[dict[str, Any]] = []
    for cell in cells:
        found = dict(zip(FUNNEL, cell.counts, strict=True))
        answered = found["yes"] + found["refused"]
        rows.append(
            {
                "day": local(cell.start_us, tz).date(),
                "Day": f"{local(cell.start_us, tz):%Y-%m-%d}",
                "Opened": found["opened"],
                "Said yes": found["yes"],
                "Said no": found["refused"],
                "Linked": found["linked"],
                "Yes, of answers": found["yes"] / answered if answered else None,
            }
        )
    told = [row["Yes, of answers"] for row in rows if row["Yes, of answers"] is not None]
    picture.show(
        lambda colours: share_by_day(rows, "Yes, of answers", ("Opened", "Said yes", "Said no"), notes, colours),
        [{name: value for name, value in row.items() if name != "day"} for row in rows],
        name="Consent rate by day",
        told="A line: share of answers that were a yes, by day."
        + (f" It lies between {min(told):.0%} and {max(told):.0%}." if told else "")
        + "".join(f" {note.day}: {note.text}." for note in notes),
        by=by,
    )
