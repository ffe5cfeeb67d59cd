"""Where a figure comes from, folded beneath it: metric id, rule, n, cells, time, coverage, and what is missing.

What must not be overlooked, a camera that was blind or a part that is suppressed, stands on the fold itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from analytics.bins import DAY, local
from analytics.charts import duration
from analytics.figures import PARTS, Audience, Figure
from analytics.lifetable import Quantile
from analytics.released import FLAGGED, Cell, Sum

FOLD = "How this was counted"
ROUNDED = (
    "Each figure is rounded by itself, and its parts are too: figures of the same people differ by a few from page to"
    " page."
)
_OF = {  # what n counts
    Figure.FOOTFALL: "entries",
    Figure.VISITS: "visits",
    Figure.DWELL: "stays",
    Figure.DECISION: "decisions",
    Figure.POSE: "decisions",
    Figure.EXPRESSION: "visits",
    Figure.TRANSITIONS: "steps",
    Figure.WAIT: "waits",
    Figure.OCCUPANCY: "people at looks",
    Figure.EXITS: "ways out",
    Figure.STAY: "stays",
    Figure.SALES: "receipts",
    Figure.FUNNEL: "questions",
    Figure.PASSERS: "passers-by",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """How a figure was counted.

    Attributes:
        line: one line of Markdown, see `told`.
        note: what else must be known to read it right.
        warning: what stands on the fold, before it is opened; empty where all was seen and is released.
    """

    line: str
    note: str = ""
    warning: str = ""

    @classmethod
    def of(cls, total: Sum, tz: str, note: str = "", *, left_out: int = 0) -> Counted:
        """Say how a sum was counted.

        Args:
            total: what the figure is made of.
            tz: IANA name of the store's time zone.
            note: what else must be known to read it right.
            left_out: see `told`.
        """
        words = []
        if total.coverage is not None and total.coverage < FLAGGED:
            words.append(f"cameras saw {total.coverage:.0%}")
        if total.suppressed:
            words.append(f"{many(total.suppressed, 'part')} suppressed")
        return cls(told(total, tz, left_out=left_out), note, ", ".join(words))

    @property
    def plain(self) -> str:
        """The line without marks, for a file."""
        return self.line.replace("`", "").replace("**", "")


def summed(figure: Figure, cells: Sequence[Cell], audience: Audience = Audience.EVERYBODY) -> Sum:
    """Add cells of a figure up; n counts what `unit_of` says, and not all that a cell holds of it."""
    total = Sum.of(f"{audience}.{figure}", cells)
    if figure in (Figure.SALES, Figure.FUNNEL):  # receipts and questions; the other counts are about the same ones
        return replace(total, n=sum(cell.counts[0] for cell in cells if not cell.suppressed))
    return replace(total, n=round(total.n / PARTS)) if figure is Figure.EXPRESSION else total


_PEOPLE = {"tracks": "people", "visitors": "shoppers who said yes", "visitor_days": "days of shoppers who said yes"}


def people(unit: str) -> str:
    """Return in plain words of whom a cell needs some number: somebody followed by a camera is one of its people."""
    return _PEOPLE.get(unit, unit.replace("_", "-"))


def unit_of(figure: str) -> str:
    """Return what n counts of a figure."""
    return _OF[Figure(figure)]


def many(n: int, one: str, several: str = "") -> str:
    """Return a number with its noun: 1 cell, 2 cells."""
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"


def told(total: Sum, tz: str, *, left_out: int = 0) -> str:
    """Return the source of a figure as one line of Markdown.

    Args:
        total: what the figure is made of.
        tz: IANA name of the store's time zone.
        left_out: cells that are longer than the hours asked for, and so not in it.
    """
    reach = "reaches" if left_out == 1 else "reach"
    out = "is" if left_out == 1 else "are"
    beside = f" · {many(left_out, 'cell')} {reach} beyond the hours chosen and {out} left out" if left_out else ""
    if total.start_us is None or total.end_us is None:
        missing = f" · {total.suppressed} suppressed: too few people" if total.suppressed else ""
        return f"`{total.metric}` · nothing released{missing}{beside}"
    start, end = local(total.start_us, tz), local(total.end_us, tz)
    whole = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    coverage = "coverage not known" if total.coverage is None else f"coverage {total.coverage:.0%}"
    if total.coverage is not None and total.coverage < FLAGGED:
        coverage = f"**{coverage}, under 90 %**"
    missing = f" · {total.suppressed} more suppressed: too few people" if total.suppressed else ""
    both = set(total.units) == {"visitors", "visitor_days"}
    units = f"{people('visitors')} and days of theirs" if both else " and ".join(map(people, total.units))
    return (
        f"`{total.metric}` · rule {total.rule} · n = {total.n:,} {unit_of(total.metric.partition('.')[2])}"
        f" · {many(total.cells, 'cell')} of {units}{missing}{beside} · {whole} · {coverage}"
    )


def fold(*counted: Counted) -> None:
    """Draw where figures come from, folded; what must not be overlooked stands on the fold.

    Args:
        counted: one or more; a warning that several share is written once.
    """
    warning = "; ".join(dict.fromkeys(one.warning for one in counted if one.warning))
    label = f"{FOLD} · {warning}" if warning else FOLD
    with st.popover(label, icon=":material/warning:" if warning else ":material/info:", type="tertiary"):
        for one in counted:
            st.caption(one.line + (f"  \n{one.note}" if one.note else ""))


def source(total: Sum, tz: str, note: str = "", *, left_out: int = 0) -> None:
    """Draw the fold of one figure; see `Counted.of`."""
    fold(Counted.of(total, tz, note, left_out=left_out))


def half(what: str, verb: str, point: Quantile) -> str:
    """Return a median as a sentence.

    Args:
        what: the times it is of, as in "the stays at tea".
        verb: what they do, as in "last".
        point: the median.
    """
    if point.at is None:
        return f"Fewer than half of {what} were seen to end, so that how long half of them {verb} is not known."
    return f"Half of {what} {verb} {duration(point.at)} or more."


def quantile(point: Quantile) -> str:
    """Return a median or p90 in words."""
    return "not reached" if point.at is None else duration(point.at)


def interval(point: Quantile) -> str:
    """Return its 95 % interval in words."""
    low = "?" if point.low is None else duration(point.low)
    return f"{low} – {'?' if point.high is None else duration(point.high)}"


def ends(what: str, point: Quantile | None) -> dict[str, float | None]:
    """Return a time and its 95 % interval in seconds, a column each, for a file.

    Args:
        what: it is, as in "median stay".
        point: None where it is not known.
    """
    at, low, high = (None, None, None) if point is None else (point.at, point.low, point.high)
    return {f"{what}, s": at, f"{what}, low, s": low, f"{what}, high, s": high}


def span(cell: Cell, tz: str) -> str:
    """Return the stretch of time of a cell on the store's clock."""
    start, end = local(cell.start_us, tz), local(cell.end_us, tz)
    form = "%H:%M" if cell.end_us - cell.start_us <= DAY else "%Y-%m-%d %H:%M"
    return f"{start:{form}}–{end:{form}}"
