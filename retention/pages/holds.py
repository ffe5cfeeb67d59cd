"""Holds: what may not be deleted for now, by whose word; placed and released here, carried out by the keeper."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import streamlit as st

from analytics.dashboard import desk, require
from analytics.pages.style import begin
from consent.access import Action
from consent.ledger import Ledger
from retention import holds, policy
from retention.model import RetentionError
from retention.pages.asking import at_once, now_us, remember, said
from retention.pages.entries import clock


def holding(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Holds")
    who = require(Action.SEE_COMPLIANCE)
    state, ledger = desk().state.reread(), desk().ledger
    st.markdown(
        "A hold stops deletion of named classes on named days until it is released (GDPR Art. 18). It opens no gate:"
        " what is due and held is set apart, nothing is computed from it, and its release erases it at once. The log"
        " keeps the SHA-256 of your account and of the file number, and no words."
    )
    said()
    placed = holds.holds(ledger)
    if placed:
        st.table(
            [
                {
                    "Entry": str(one.entry),
                    "Classes": ", ".join(one.classes),
                    "From": str(one.first),
                    "To": str(one.last),
                    "Placed": clock(one.placed_us, state.store.timezone),
                }
                for one in placed
            ],
            border="horizontal",
        )
        with st.form("release", border=True):
            # nothing is chosen beforehand: what a release erases does not come back
            numbers = [one.entry for one in placed]
            entry = st.selectbox("Release the hold of entry", numbers, index=None, placeholder="Which of those above")
            if st.form_submit_button("Release it; what is due by then is erased at once"):
                require(Action.HOLD)
                if entry is None:
                    st.error("Choose the entry of the hold; nothing was released.")
                else:
                    _release(ledger, entry, who.account)
    else:
        st.info("No hold is in force: everything goes when its term is over. Place one where a dispute needs it kept.")
    st.header("Place a hold")
    today = datetime.now(state.store.timezone).date()
    with st.form("place", border=True):
        classes = st.multiselect("Classes", policy.holdable())
        one, two = st.columns(2)
        first, last = one.date_input("First day", value=today), two.date_input("Last day", value=today)
        reference = st.text_input("Number of the file it belongs to", help="the log keeps its SHA-256")
        if st.form_submit_button("Place it", type="primary"):
            require(Action.HOLD)
            _place(ledger, classes, (first, last), reference, who.account)


def _place(ledger: Ledger, classes: list[str], days: tuple[object, object], reference: str, officer: str) -> None:
    first, last = days
    if not isinstance(first, date) or not isinstance(last, date):
        return
    try:
        hold = holds.place(ledger, classes, first, last, officer=officer, reference=reference, now_us=now_us())
    except RetentionError as error:
        st.error(str(error))
        return
    remember(f"Placed: hold {hold.entry}. {at_once()}")
    st.rerun()


def _release(ledger: Ledger, entry: int, officer: str) -> None:
    try:
        number = holds.release(ledger, entry, officer=officer, now_us=now_us())
    except RetentionError as error:
        st.error(str(error))
        return
    remember(f"Released (entry {number}); the keeper erases what is due. {at_once()}")
    st.rerun()
