"""The weekly report: choose a week, and take it along as PDF."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from analytics.pages.compare import TWO
from analytics.pages.pdf import Week, weekly
from analytics.pages.style import begin, figures


def week_page(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; its figures, notes and `store.toml` are read.
    """
    begin("Weekly report")
    report = figures(state_dir, "Weekly report")
    if report is None:
        return
    weeks = sorted({str(Week.of(day)) for day in report.days()}, reverse=True)
    name = st.selectbox("Week", weeks, key="week", bind="query-params") or weeks[0]
    week = Week.read(name)
    st.markdown(
        f"**{week.monday} to {week.sunday}**: entries, zones, what differs from the weeks before, and what is not"
        " shown, each with its source. Made of released figures alone; it takes a few seconds."
    )
    st.download_button(
        "Download as PDF",
        partial(weekly, state_dir, week),
        f"openaisle-{week}.pdf",
        "application/pdf",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
    )
    st.caption(f"By command, for a timer: `openaisle report --state {state_dir} --week {week} --out {week}.pdf`")
    spans = week.against(report.days())
    if spans is not None:
        asked = [(key, f"{day}") for key, span in zip(("before", "after"), spans, strict=True) for day in span]
        st.markdown(f"The same periods on a page: [compare them](/compare?{urlencode([('how', TWO), *asked])}).")
