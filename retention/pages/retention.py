"""The retention page: what is held and goes next first; then, folded, what may be kept, why and for how long.

The declaration is `retention.policy` alone, so that the page cannot say anything else than what the sweep does. It
opens neither the ledger nor the visits, and shows nothing about anybody.
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
from retention.status import PROBLEMS, last_holdings, last_sweep

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
    terms = read_store(path).terms if path.is_file() else TermsTable()
    _now(state_dir)
    _declared(policy.rows(terms.days(), terms.backup))
    swept = last_sweep(state_dir)
    whose = "terms of this shop's `store.toml`" if path.is_file() else "terms of a new shop, for there is no store.toml"
    st.caption(
        f"Where this is from: the declaration that the sweep itself goes by, SHA-256 `{policy.digest().hex()}`;"
        f" {whose}; what exists, as the keeper noted it at its last sweep, {_instant(swept)}."
        " By row and reason: `openaisle retention plan`; as a record of processing: the page “Documents”."
    )


def _now(state_dir: Path) -> None:
    """Draw what is held now, how old it is, what goes next, and whether the last sweep found anything wrong."""
    swept, found = last_sweep(state_dir), last_holdings(state_dir)
    if swept is None or found is None:
        st.info(
            f"What exists is not known yet: `openaisle keeper --state {state_dir}` notes it at each sweep, every four"
            " minutes."
        )
    if swept is not None:
        for name in PROBLEMS:
            if swept[name] is not None:
                st.warning(f"{name}: {swept[name]}")
    if found is None:
        return
    oldest, going = sorted(found["oldest"].items(), key=lambda one: one[1]), found["next"]
    with st.container(key="cards"):
        one, two, three = st.columns(3)
        one.metric("Classes that hold anything", str(len(oldest)))
        two.metric("The oldest is from (UTC)", oldest[0][1] if oldest else "–", help=oldest[0][0] if oldest else None)
        three.metric("Rows about people go next (UTC)", going[0]["day"] if going else "none is held")
    left, right = st.columns(2)
    with left.expander("The oldest of each class"):
        if oldest:
            st.table([{"Class": name, "From (UTC)": day} for name, day in oldest], border="horizontal")
        else:
            st.markdown("Nothing that can be erased is held.")
    with right.expander("Rows that go next, by day"):
        if going:
            rows = [{"Day (UTC)": one["day"], "Class": one["class"], "Rows": one["rows"]} for one in going]
            st.table(rows, border="horizontal")
        else:
            st.markdown("No row about anybody is held, so none goes.")


def _declared(told: list[dict[str, Any]]) -> None:
    st.header("What may be kept, why, and for how long")
    st.markdown(
        "Every class of data that this shop may hold. The sweep deletes by this very declaration, and stops where it"
        " finds anything that is not named here."
    )
    for place in dict.fromkeys(row["place"] for row in told):
        here = [row for row in told if row["place"] == place]
        with st.expander(f"{place}: {', '.join(row['class'] for row in here)}"):
            st.table([dict(zip(_HEADS, _cells(row), strict=True)) for row in here], border="horizontal")


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


def _instant(swept: Mapping[str, Any] | None) -> str:
    if swept is None:
        return "of which there was none yet"
    return f"{datetime.fromtimestamp(swept['swept_us'] / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
