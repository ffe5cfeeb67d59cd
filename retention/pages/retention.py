"""The retention page: what may be kept, why and for how long, as the declaration and `store.toml` have it.

It is made from `retention.policy` alone, so that it cannot say anything else than what the sweep does. It opens neither
the ledger nor the visits, and shows nothing about anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.config import TermsTable, read_store
from analytics.pages.style import begin
from analytics.state import STORE_TOML
from retention import policy
from retention.status import last_holdings, last_sweep

_HEADS = ("Class", "What it is", "What for, on what ground", "Term begins", "Term", "How it ends", "In backups")


def retention(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; its `store.toml` and the note of the last sweep are read.

    Raises:
        ConfigError: `store.toml` does not fit.
    """
    begin("Retention")
    path = state_dir / STORE_TOML
    terms, note = TermsTable(), "There is no store.toml here: these are the terms of a new shop."
    if path.is_file():
        terms, note = read_store(path).terms, "Terms are those of this shop's store.toml."
    st.markdown(
        "Every class of data that this shop may hold. The sweep deletes by this very declaration, and stops where it"
        f" finds anything that is not named here. {note}"
    )
    _there(state_dir)
    st.header("What may be kept, why, and for how long")
    told = policy.rows(terms.days(), terms.backup)
    for place in dict.fromkeys(row["place"] for row in told):
        here = [row for row in told if row["place"] == place]
        st.subheader(place)
        st.table([dict(zip(_HEADS, _cells(row), strict=True)) for row in here], border="horizontal")
    _last(state_dir)
    st.caption("What would go, when and why: `openaisle retention plan`. The record of processing: `… record`.")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    days = "" if row["days"] is None or row["days"] < 1 else "1 day" if row["days"] == 1 else f"{row['days']:g} days"
    return (
        f"**{row['class']}**",
        row["about"],
        f"{row['purpose']} ({row['basis']})",
        row["trigger"],
        days or row["term"],
        row["action"] + (" (an officer's hold stops it)" if row["holdable"] else ""),
        f"{row['backup_days']} days more" if row["backup_days"] else "no",
    )


def _there(state_dir: Path) -> None:
    st.header("What exists, how old it is, and what goes next")
    found = last_holdings(state_dir)
    if found is None:
        st.info(f"Not known yet: `openaisle keeper --state {state_dir}` notes it at each sweep, every four minutes.")
        return
    left, right = st.columns(2)
    with left:
        st.markdown("**The oldest of each class**")
        if found["oldest"]:
            rows = [{"Class": name, "From (UTC)": day} for name, day in sorted(found["oldest"].items())]
            st.table(rows, border="horizontal")
        else:
            st.info("Nothing that can be erased is held.")
    with right:
        st.markdown("**Rows that go next**")
        if found["next"]:
            rows = [{"Day (UTC)": one["day"], "Class": one["class"], "Rows": one["rows"]} for one in found["next"]]
            st.table(rows, border="horizontal")
        else:
            st.info("No row about anybody is held, so none goes.")


def _last(state_dir: Path) -> None:
    swept = last_sweep(state_dir)
    if swept is None:
        st.info("No sweep yet: `openaisle keeper` must be running.")
        return
    at = datetime.fromtimestamp(swept.pop("swept_us") / 1_000_000, UTC)
    st.markdown(f"Last sweep: {at:%Y-%m-%d %H:%M:%S} UTC.")
    for name, problem in swept.items():
        if problem is not None:
            st.warning(f"{name}: {problem}")
