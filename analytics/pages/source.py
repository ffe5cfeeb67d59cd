"""Where a figure comes from, written beside it: metric id, rule, n, cells, time, coverage, and what is missing."""

from __future__ import annotations

import streamlit as st

from analytics.bins import DAY, local
from analytics.charts import duration
from analytics.lifetable import Quantile
from analytics.released import FLAGGED, Cell, Sum


def told(total: Sum, tz: str, *, left_out: int = 0) -> str:
    """Return the source of a figure as one line of Markdown.

    Args:
        total: what the figure is made of.
        tz: IANA name of the store's time zone.
        left_out: cells that are longer than the hours asked for, and so not in it.
    """
    beside = f" · {left_out} cells reach beyond the hours chosen and are left out" if left_out else ""
    if total.start_us is None or total.end_us is None:
        missing = f" · {total.suppressed} suppressed: too few people" if total.suppressed else ""
        return f"`{total.metric}` · nothing released{missing}{beside}"
    start, end = local(total.start_us, tz), local(total.end_us, tz)
    whole = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    coverage = "coverage not known" if total.coverage is None else f"coverage {total.coverage:.0%}"
    if total.coverage is not None and total.coverage < FLAGGED:
        coverage = f"**{coverage}, under 90 %**"
    missing = f" · {total.suppressed} more suppressed: too few people" if total.suppressed else ""
    units = " and ".join(unit.replace("_", "-") for unit in total.units)
    return (
        f"`{total.metric}` · rule {total.rule} · n = {total.n:,} · {total.cells} cells of {units}{missing}{beside}"
        f" · {whole} · {coverage}"
    )


def source(total: Sum, tz: str, note: str = "", *, left_out: int = 0) -> None:
    """Write where a figure comes from.

    Args:
        total: what the figure is made of.
        tz: IANA name of the store's time zone.
        note: what else must be known to read it right.
        left_out: see `told`.
    """
    st.caption(told(total, tz, left_out=left_out) + (f"  \n{note}" if note else ""))


def quantile(point: Quantile) -> str:
    """Return a median or p90 in words."""
    return "not reached" if point.at is None else duration(point.at)


def interval(point: Quantile) -> str:
    """Return its 95 % interval in words."""
    low = "?" if point.low is None else duration(point.low)
    return f"{low} – {'?' if point.high is None else duration(point.high)}"


def span(cell: Cell, tz: str) -> str:
    """Return the stretch of time of a cell on the store's clock."""
    start, end = local(cell.start_us, tz), local(cell.end_us, tz)
    form = "%H:%M" if cell.end_us - cell.start_us <= DAY else "%Y-%m-%d %H:%M"
    return f"{start:{form}}–{end:{form}}"
