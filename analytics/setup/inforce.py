"""What `watch` goes by now, beside what is saved: in words, at the head of every page here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from analytics.config import ConfigError
from analytics.dashboard import desk
from analytics.live import InForce, read_settings
from analytics.model import AnalyticsError
from analytics.settings import current, versions
from analytics.state import digest

EVERY_S, QUIET_S = 2, 10  # how often it is asked: while something that was saved waits, and otherwise


def in_force(state_dir: Path) -> None:
    """Say whether what is saved is what the cameras are watched by.

    Args:
        state_dir: of the store.
    """
    told = read_settings(desk().state.live)
    waits = told is not None and told.digest != digest(state_dir).hex()
    st.fragment(_said, run_every=EVERY_S if waits else QUIET_S)(state_dir)


def _said(state_dir: Path) -> None:
    told = read_settings(desk().state.live)
    try:
        saved = digest(state_dir).hex()
        if told is not None and told.digest != saved:
            current(state_dir)
    except ConfigError as error:
        st.error(f"{error}. `watch` goes on by what stood there before, and records nobody until it fits again.")
        return
    if told is None:
        st.info(
            "`watch` does not run: what is saved here is in force once it is started.", icon=":material/visibility_off:"
        )
    elif told.digest == saved:
        st.caption(":material/check_circle: In force: `watch` goes by what stands in `store.toml`.")
    elif told.refused:
        st.error(
            f"Saved, but not in force: {told.refused}. `watch` goes on by {_since(state_dir, told)}.",
            icon=":material/error:",
        )
    else:
        st.warning(
            f"Saved, not in force yet: `watch` still goes by {_since(state_dir, told)}, and takes this up within"
            " seconds. Stays that are open then end there.",
            icon=":material/hourglass_top:",
        )


def _since(state_dir: Path, told: InForce) -> str:
    """Return in words which version that is."""
    try:
        at_us = next((one.at_us for one in versions(state_dir) if one.digest == told.digest), None)
        zone = current(state_dir).store.timezone
    except AnalyticsError:
        at_us = None
    if at_us is None:
        return f"a version of SHA-256 {told.digest[:12]}…"
    return f"the version of {datetime.fromtimestamp(at_us / 1e6, zone):%Y-%m-%d %H:%M:%S}"
