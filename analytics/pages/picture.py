"""A chart with what belongs to it: a description for those who do not see it, its numbers as a table, and its export.

What is exported is what is drawn, released figures and nothing else; files are made when somebody asks for them. The
PNG is drawn here in the light colours, by the same Vega as the page's, and fetches nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from textwrap import wrap
from typing import Any

import pandas as pd
import streamlit as st

from analytics.colours import LIGHT, Colours
from analytics.marks import Spec
from analytics.pages.source import Counted, fold
from analytics.pages.style import colours

Drawn = Spec | Callable[[Colours], Spec]
COUNTED = "how this was counted"  # column of a file
_BENEATH = {"orient": "bottom", "anchor": "start", "fontSize": 10, "fontWeight": "normal", "color": LIGHT.ink}
SCALE = 2  # pixels of a PNG for each of the chart's


def show(
    chart: Drawn,
    rows: Sequence[Mapping[str, Any]],
    *,
    name: str,
    told: str,
    by: Sequence[Counted] = (),
    numbers: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Draw a chart, its numbers beside it, the buttons that hand both out, and how it was counted.

    Args:
        chart: as Vega-Lite has it, as wide as its place; or what draws it in given colours.
        rows: the numbers that are drawn, a row a mark.
        name: of the files, and unique on the page.
        told: what the chart shows, in a sentence or two.
        by: how its figures were counted; it stands in every file, too.
        numbers: what files hold where the rows are words: shares, seconds and ends of intervals, a column each.
    """
    st.vega_lite_chart(chart(colours()) if callable(chart) else chart, key=f"chart-{name}", alt=told)
    beside(rows, name=name, chart=chart, told=told, by=by, numbers=numbers)


def beside(
    rows: Sequence[Mapping[str, Any]],
    *,
    name: str,
    chart: Drawn | None = None,
    told: str = "",
    by: Sequence[Counted] = (),
    numbers: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Draw the numbers of a chart or table that is drawn already, the buttons, and how it was counted; see `show`."""
    file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    table = pd.DataFrame(list(rows))
    whole = table if numbers is None else pd.DataFrame(list(numbers))
    if by:
        whole = whole.assign(**{COUNTED: " | ".join(one.plain for one in by)})
    kinds: list[tuple[str, str, Callable[[], bytes], str]] = [
        ("CSV", "csv", partial(csv, whole), "text/csv"),
        ("Parquet", "parquet", partial(parquet, whole), "application/vnd.apache.parquet"),
    ]
    if chart is not None:
        kinds.append(("PNG", "png", partial(png, chart, by), "image/png"))
    with st.container(horizontal=True):
        with st.popover(f"Numbers: {name}", icon=":material/table:", type="tertiary", key=f"numbers-{name}"):
            if told:
                st.caption(told)
            st.dataframe(table, hide_index=True, key=f"rows-{name}")
            with st.container(horizontal=True):
                for label, kind, make, mime in kinds:
                    st.download_button(label, make, f"{file}.{kind}", mime, key=f"{kind}-{name}", on_click="ignore")
        if by:
            fold(*by)


def csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV, in UTF-8."""
    return table.to_csv(index=False).encode()


def parquet(table: pd.DataFrame) -> bytes:
    """Return a table as Parquet."""
    out = io.BytesIO()
    table.to_parquet(out, index=False)
    return out.getvalue()


def png(chart: Drawn, by: Sequence[Counted] = (), *, width: int = 900, scale: float = SCALE) -> bytes:
    """Return a chart as a picture, on white.

    Args:
        chart: see `show`.
        by: how it was counted, written beneath it.
        width: pixels before scaling, for a chart that is as wide as its place.
        scale: pixels of the picture for each of the chart's.
    """
    import vl_convert  # only here: it brings a whole Vega, which most visits of a page never need

    spec = {**(chart(LIGHT) if callable(chart) else chart), "width": width, "background": LIGHT.ground}
    if by:
        lines = [line for one in by for line in wrap(one.plain, width // 6)]
        spec["title"] = {"text": lines, **_BENEATH}
    return bytes(vl_convert.vegalite_to_png(spec, scale=scale))
