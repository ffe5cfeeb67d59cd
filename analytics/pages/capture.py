"""Capture: of those who passed the door or came in, the share that came in; of cameras that see both.

It is made here from entries and passers-by, each released by itself, and nothing of it is stored. A passer-by is a
track that was seen outside and nowhere else: no length, no way, no row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import streamlit as st

from analytics.bins import local
from analytics.days import ROUNDING
from analytics.figures import Figure
from analytics.notes import Note
from analytics.pages import missing, picture
from analytics.pages.source import Counted, many, summed
from analytics.released import Cell
from analytics.report import Report
from analytics.trend import share_by_day

_BAND = 1.96  # of a normal spread, 95 % lie within so many deviations
_NOTE = (
    "Entries ÷ (entries + passers-by), of cameras that see an entrance and a zone outside. A passer-by is a track seen"
    " outside and nowhere else; who is lost at the door and found again inside is both. Days on which either is missing"
    " are left out; a suppressed part is of up to four people. The interval: 95 %, chance and rounding together."
)


@dataclass(frozen=True, slots=True)
class Capture:
    """A share that came in, 0 to 1, with its 95 % interval.

    Attributes:
        entries: who came in, rounded in each cell.
        passers: who passed by, rounded in each cell.
        cells: how many cells they are made of.
    """

    entries: int
    passers: int
    cells: int

    @property
    def share(self) -> float:
        """Entries ÷ (entries + passers-by)."""
        return self.entries / (self.entries + self.passers)

    @property
    def reach(self) -> float:
        """Half the width of the interval, by how people come (binomial) and how cells are rounded."""
        both = self.entries + self.passers
        chance = self.share * (1 - self.share) / both
        rounding = ROUNDING * self.cells * max(self.share, 1 - self.share) ** 2 / both**2
        return _BAND * math.sqrt(chance + rounding)

    def __str__(self) -> str:
        """Return the interval in words."""
        return f"{max(0.0, self.share - self.reach):.0%} – {min(1.0, self.share + self.reach):.0%}"


def by_day(came: Iterable[Cell], passed: Iterable[Cell], tz: str) -> dict[date, Capture]:
    """Return the capture of each local day that has both figures, oldest first.

    Args:
        came: cells of `footfall`; those of cameras without a cell of the other are left out.
        passed: cells of `passers_by`.
        tz: IANA name of the store's time zone.
    """
    passed = list(passed)
    both = {cell.camera for cell in passed}
    days: dict[date, list[list[int]]] = {}
    for side, cells in enumerate(((cell for cell in came if cell.camera in both), passed)):
        for cell in cells:
            if not cell.suppressed:
                days.setdefault(local(cell.start_us, tz).date(), [[], []])[side].append(cell.n or 0)
    return {
        day: Capture(sum(entries), sum(passers), len(entries) + len(passers))
        for day, (entries, passers) in sorted(days.items())
        if entries and passers
    }


def whole(days: Iterable[Capture]) -> Capture:
    """Return several days as one; there is one or more."""
    several = list(days)
    return Capture(*(sum(getattr(one, name) for one in several) for name in ("entries", "passers", "cells")))


def capture(report: Report, first: date, last: date, notes: Sequence[Note]) -> None:
    """Draw who came in of those who passed.

    Args:
        report: of the released cells.
        first: local day.
        last: local day.
        notes: of those days.
    """
    st.header("Capture")
    passed = report.cells(Figure.PASSERS, first, last)
    if not passed:
        st.info(
            "**No capture rate.** It takes a zone of kind `outside` before a camera that sees an entrance, too: the"
            " pavement before the door. Draw one in `store.toml`, and figures follow within two hours. Who passes by"
            " is counted, and nothing else.",
            icon=":material/storefront:",
        )
        return
    cameras = {cell.camera for cell in passed}
    came = [cell for cell in report.cells(Figure.FOOTFALL, first, last) if cell.camera in cameras]
    days = by_day(came, passed, report.tz)
    if not days:
        missing.nothing_here(report, Figure.PASSERS, what="passers-by and entries of one day")
        return
    told = whole(days.values())
    boxes = st.columns(3)
    boxes[0].metric("Capture", f"{told.share:.0%}", help=f"95 % interval: {told}")
    boxes[1].metric("Passed by", f"{told.passers:,}")
    boxes[2].metric("Came in", f"{told.entries:,}")
    best = max(days, key=lambda day: days[day].share)
    most = f" Most on **{best:%A} {best}**: {days[best].share:.0%} ({days[best]})." if len(days) > 1 else ""
    st.markdown(f"Of each hundred who passed the door or came in, **{told.share * 100:.0f}** came in ({told}).{most}")
    rows: list[dict[str, Any]] = [
        {
            "day": day,
            "Day": f"{day}",
            "Capture": one.share,
            "Entries": one.entries,
            "Passers-by": one.passers,
            "95 %": f"{one}",
        }
        for day, one in days.items()
    ]
    picture.show(
        lambda colours: share_by_day(rows, "Capture", ("Entries", "Passers-by"), notes, colours),
        [{name: value for name, value in row.items() if name != "day"} for row in rows],
        name="Capture by day",
        told=f"A line: of those who passed the door or came in, the share that came in, over {many(len(rows), 'day')};"
        f" {told.share:.0%} in all." + "".join(f" {note.day}: {note.text}." for note in notes),
        by=[
            Counted.of(summed(Figure.FOOTFALL, came), report.tz),
            Counted.of(summed(Figure.PASSERS, passed), report.tz, _NOTE),
        ],
    )
