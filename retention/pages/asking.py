"""What a page says after somebody did something: once, and over the page as it stands then."""

from __future__ import annotations

import time

import streamlit as st

from analytics.dashboard import desk
from retention import policy
from retention.status import last_sweep

_SAID = "officers-said"


def now_us() -> int:
    """Return this moment, UTC microseconds."""
    return time.time_ns() // 1000


def remember(text: str) -> None:
    """Keep a sentence for the next drawing of the page."""
    st.session_state[_SAID] = text


def said() -> None:
    """Draw the sentence that was kept."""
    text = st.session_state.pop(_SAID, None)
    if text:
        st.success(text)


def at_once() -> str:
    """Return what to do where no keeper runs, and nothing where one does."""
    root = desk().state.root
    swept = last_sweep(root)
    if swept is not None and now_us() - swept["swept_us"] <= 2 * policy.SWEEP_S * 1_000_000:
        return ""
    return f"No keeper has swept lately: it acts once `openaisle keeper --state {root}` runs."
