"""A chart with what belongs to it: a description for those who do not see it, its numbers as a table, and its export.

What is exported is what is drawn, released figures and nothing else; files are made when somebody asks for them. The
PNG is drawn here, by the same Vega as the page's, and fetches nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

Chart = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart
SCALE = 2  # pixels of a PNG for each of the chart's


def show(chart: Chart, rows: Sequence[Mapping[str, Any]], *, name: str, told: str) -> None:
    """Draw a chart, its numbers beside it, and the buttons that hand both out.

    Args:
        chart: with Altair's own sizes; as wide as its place.
        rows: the numbers that are drawn, a row a mark.
        name: of the files, and unique on the page.
        told: what the chart shows, in a sentence or two.
    """
    st.altair_chart(chart, key=f"chart-{name}", alt=told)
    beside(rows, name=name, chart=chart, told=told)


def beside(rows: Sequence[Mapping[str, Any]], *, name: str, chart: Chart | None = None, told: str = "") -> None:
    """Draw the numbers of a chart that is drawn already, and the buttons; see `show`."""
    with st.popover("Numbers and export", icon=":material/table:", type="tertiary", key=f"numbers-{name}"):
        if told:
            st.caption(told)
        st.dataframe(list(rows), hide_index=True, key=f"rows-{name}")
        buttons = st.columns(3 if chart is not None else 2)
        table = pd.DataFrame(list(rows))
        file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        for place, kind, make, mime in (
            (buttons[0], "csv", partial(csv, table), "text/csv"),
            (buttons[1], "parquet", partial(parquet, table), "application/vnd.apache.parquet"),
        ):
            place.download_button(
                kind.upper() if kind == "csv" else "Parquet",
                make,
                f"{file}.{kind}",
                mime,
                key=f"{kind}-{name}",
                on_click="ignore",
            )
        if chart is not None:
            buttons[2].download_button(
                "PNG", partial(png, chart), f"{file}.png", "image/png", key=f"png-{name}", on_click="ignore"
            )


def csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV, in UTF-8."""
    return table.to_csv(index=False).encode()


def parquet(table: pd.DataFrame) -> bytes:
    """Return a table as Parquet."""
    out = io.BytesIO()
    table.to_parquet(out, index=False)
    return out.getvalue()


def png(chart: Chart, *, width: int = 900) -> bytes:
    """Return a chart as a picture, on white.

    Args:
        chart: see `show`.
        width: pixels before `SCALE`, for a chart that is as wide as its place.
    """
    import vl_convert  # only here: it brings a whole Vega, which most visits of a page never need

    spec = chart.to_dict()
    if spec.get("width") == "container":
        spec["width"] = width
    spec.setdefault("background", "white")
    return bytes(vl_convert.vegalite_to_png(spec, scale=SCALE))
