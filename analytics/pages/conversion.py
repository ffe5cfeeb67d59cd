"""Conversion and sales per visitor: what the tills took, beside who came in; and how many of those who pass come in.

Receipts come as a file (here or by `openaisle pos import`), as sums an hour and till: `analytics.pos` says what is read
of them. A visitor is an entry by a door that a camera sees; whoever pays for a family is one receipt of several
visitors, so conversion is a figure to compare days by, and no share of buyers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from analytics import pos
from analytics.bins import HOUR, day_of, local
from analytics.colours import LIGHT, Colours
from analytics.dashboard import desk, require, who
from analytics.figures import Figure
from analytics.marks import Spec, channel, mark, over, plain
from analytics.pages import missing, picture
from analytics.pages.capture import capture
from analytics.pages.choice import by_days
from analytics.pages.happened import drawn
from analytics.pages.source import Counted, fold, many, summed
from analytics.pos import ReceiptsError
from analytics.released import Cell
from analytics.trend import share_by_day
from consent.desks import Action
from consent.events import ConsentError

_FIGURES = (Figure.SALES, Figure.FOOTFALL, Figure.PASSERS)


def conversion(state_dir: Path) -> None:
    """Draw the page."""
    opened = by_days("Conversion", state_dir)
    if opened is None:
        _bring()
        return
    report, first, last = opened
    tz = report.tz
    sold = report.cells(Figure.SALES, first, last)
    came = report.cells(Figure.FOOTFALL, first, last)
    by = [
        Counted.of(summed(Figure.SALES, sold), tz, "Items and amounts are rounded to 5, too."),
        Counted.of(summed(Figure.FOOTFALL, came), tz, "Entries that the cameras confirmed."),
    ]
    days = by_day(sold, came, tz)
    notes = drawn(state_dir, first, last)
    whole = [row for row in days if row["Entries"] and row["Receipts"]]
    if not whole:
        st.info(
            "**No day has both receipts and entries.** Bring the tills' receipts in below, for days on which a camera"
            " saw an entrance; the keeper releases them within minutes.",
            icon=":material/receipt_long:",
        )
        fold(*by)
    else:
        _cards(whole)
        picture.show(
            lambda colours: share_by_day(whole, "Conversion", ("Entries", "Receipts"), notes, colours),
            [{name: value for name, value in row.items() if name != "day"} for row in whole],
            name="Conversion by day",
            told=f"A line: receipts for each hundred entries, day by day, over {many(len(whole), 'day')}."
            + "".join(f" {note.day}: {note.text}." for note in notes),
            by=by,
        )
        _hours(sold, came, tz, by)
        _tills(sold)
    capture(report, first, last, notes)
    _bring()
    missing.not_shown(report, first, last, _FIGURES)


def by_day(sold: Iterable[Cell], came: Iterable[Cell], tz: str) -> list[dict[str, Any]]:
    """Return receipts, items, amount and entries of each local day on which there is one of them."""
    rows: dict[int, dict[str, Any]] = {}

    def row(cell: Cell) -> dict[str, Any]:
        day_us = day_of(cell.start_us, tz)[0]
        day = local(day_us, tz).date()
        return rows.setdefault(
            day_us, {"day": day, "Day": f"{day}", "Receipts": 0, "Items": 0, "Amount": 0, "Entries": 0, "Missing": 0}
        )

    for cell in sold:
        one = row(cell)
        one["Missing"] += cell.suppressed
        for name, n in zip(("Receipts", "Items", "Amount"), cell.counts, strict=False):
            one[name] += n
    for cell in came:
        one = row(cell)
        one["Missing"] += cell.suppressed
        one["Entries"] += cell.n or 0
    for one in rows.values():
        entries, bought = one["Entries"], one["Receipts"]
        one["Conversion"] = bought / entries if entries else None
        one["Per visitor"] = one["Amount"] / entries if entries else None
        one["Per receipt"] = one["Amount"] / bought if bought else None
    return [rows[at] for at in sorted(rows)]


def _cards(rows: Sequence[dict[str, Any]]) -> None:
    entries, bought, items, amount = (
        sum(row[name] for row in rows) for name in ("Entries", "Receipts", "Items", "Amount")
    )
    boxes = st.columns(4)
    boxes[0].metric("Conversion", f"{bought / entries:.0%}", help="Receipts for each entry")
    boxes[1].metric("Sales per visitor", f"{amount / entries:,.2f}", help="In the money of the receipts")
    boxes[2].metric("Per receipt", f"{amount / bought:,.2f}")
    boxes[3].metric("Items on a receipt", f"{items / bought:.1f}")
    missing_parts = sum(row["Missing"] for row in rows)
    off = f" Suppressed and in no sum: {many(missing_parts, 'part')} of these days."
    st.markdown(
        f"**{bought:,} receipts** for {entries:,} entries. A family that pays together is one receipt: this"
        f" compares days, and is no share of buyers.{off if missing_parts else ''}"
    )


def _hours(sold: Sequence[Cell], came: Sequence[Cell], tz: str, by: Sequence[Counted]) -> None:
    """Draw conversion by hour of the day, from cells of one hour on both sides."""
    st.header("By hour of the day")
    sums: dict[int, list[int]] = {}
    for place, cells in ((0, sold), (1, came)):
        for cell in cells:
            if not cell.suppressed and cell.end_us - cell.start_us <= HOUR:
                at = sums.setdefault(local(cell.start_us, tz).hour, [0, 0, 0])
                at[place] += cell.counts[0]
                at[2] += cell.counts[2] if place == 0 else 0
    rows: list[dict[str, Any]] = [
        {"Hour": f"{hour:02d}:00", "Receipts": r, "Entries": e, "Conversion": r / e, "Sales per visitor": a / e}
        for hour, (r, e, a) in sorted(sums.items())
        if r and e
    ]
    if not rows:
        st.caption("No hour has both receipts and entries in cells of one hour.")
        return
    best = max(rows, key=lambda row: float(row["Conversion"]))
    st.markdown(
        f"It is highest at **{best['Hour']}**. Whoever pays came in a while before: early is low, late is high."
    )
    picture.show(
        partial(_bars, rows),
        rows,
        name="Conversion by hour",
        told=f"Bars: receipts for each entry by hour of the day; highest at {best['Hour']}.",
        by=[*by, Counted("Hours that were released together, because one alone held too few, are left out.")],
    )


def _bars(rows: Sequence[dict[str, Any]], colours: Colours = LIGHT) -> Spec:
    bars = {
        "x": channel("Hour:N", title=None, axis={"labelAngle": 0}),
        "y": channel("Conversion:Q", axis={"format": "%", "title": "Receipts ÷ entries"}),
        "tooltip": [
            channel("Hour:N"),
            channel("Receipts:Q"),
            channel("Entries:Q"),
            channel("Conversion:Q", format=".0%"),
            channel("Sales per visitor:Q", format=",.2f"),
        ],
    }
    return plain([over(rows, mark("bar", bars, color=colours.accent, cornerRadiusEnd=3))], 200)


def _tills(sold: Sequence[Cell]) -> None:
    sums: dict[str, list[int]] = {}
    for cell in sold:
        if not cell.suppressed:
            at = sums.setdefault(cell.zone, [0, 0, 0])
            for place, n in enumerate(cell.counts):
                at[place] += n
    if len(sums) < 2:
        return
    st.header("By till")
    st.dataframe(
        [
            {"Till": till, "Receipts": r, "Items": i, "Amount": a, "Per receipt": f"{a / r:,.2f}" if r else "–"}
            for till, (r, i, a) in sorted(sums.items())
        ],
        hide_index=True,
        key="tills",
    )


def _bring() -> None:
    """Draw the form by which receipts come in, for whoever may."""
    looks = who()
    if looks is None or not looks.may(Action.TAKE_RECEIPTS):
        return
    with st.expander("Bring receipts in", icon=":material/upload_file:"):
        st.markdown(
            "A CSV file in UTF-8 with a line an item or receipt and the columns **invoice id**, **date**, **time**,"
            " **quantity** and **total**; **till** (or branch) where there are several. Everything else in it, names"
            " and cards and genders too, is dropped unread. Whole days that are over are taken, each once; of a receipt"
            " nothing is kept, not even its number."
        )
        order = st.selectbox(
            "Dates are written", ["as the file leaves no doubt", *pos.DATES], key="dates", help="mdy: 11/21/2026"
        )
        file = st.file_uploader("Receipts", type=["csv"], key="receipts")
        if not st.button("Take them", disabled=file is None, type="primary", key="take") or file is None:
            return
        require(Action.TAKE_RECEIPTS)
        at = desk()
        try:
            done = pos.take(
                at.state.reread(),
                at.ledger,
                file.getvalue(),
                now_us=time.time_ns() // 1000,
                dates=order if order in pos.DATES else None,
            )
        except (ReceiptsError, ConsentError) as error:
            st.error(str(error))
        else:
            st.success(f"{str(done).capitalize()}. The keeper releases them within minutes.")
