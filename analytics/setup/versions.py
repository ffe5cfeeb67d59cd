"""Versions: what stood in `store.toml`, who wrote it, what it changed; and a way back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st
from pydantic import ValidationError

from analytics.config import ConfigError, StoreFile
from analytics.dashboard import desk, require
from analytics.pages.style import begin
from analytics.settings import Settings, Version, current, restored, text_of, versions
from analytics.setup.inforce import in_force
from analytics.setup.saving import propose, proposed, said, shown
from analytics.tables import parsed
from consent.access import Action


def versions_page(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Versions")
    require(Action.SET_UP)
    said()
    in_force(state_dir)
    st.markdown(
        "Every change that a page makes to `store.toml` is kept here, and is an entry of the log before it is made."
        " A change by hand is kept as soon as a page makes the next one."
    )
    now = current(state_dir)
    proposed(state_dir)
    kept = versions(state_dir, desk().ledger)
    names = {one.id: one.name for one in desk().access.accounts.accounts()}
    st.table(
        [
            {
                "When": _clock(one, now),
                "Who": names.get(one.by, f"account {one.by}" if one.by else "by hand, or not known any more"),
                "Note": one.note or "–",
                "Digest": f"{one.digest[:12]}…",
            }
            for one in kept
        ],
        border="horizontal",
    )
    if len(kept) < 2:
        st.info("There is one version so far. The first change on a page makes the second.")
        return
    st.header("One version")
    words = {each.at_us: f"{_clock(each, now)} {each.note}".strip() for each in kept}
    chosen = st.selectbox("Version", list(words), format_func=words.__getitem__, key="version")
    number = list(words).index(chosen)
    one, read = kept[number], _read(state_dir, kept[number].digest)
    if number + 1 < len(kept) and read is not None:
        st.markdown("**What it changed**")
        before = _read(state_dir, kept[number + 1].digest)
        if before is not None:
            shown(before, read)
    if one.digest == now.digest:
        st.caption("This is what stands in `store.toml`.")
        return
    try:
        back = restored(state_dir, one.digest)
    except ConfigError as error:
        st.warning(f"It cannot be put back: {error}")
        return
    if back.digest == now.digest:
        st.caption("Cameras, zones and masks that stand in `store.toml` are those of this version.")
    elif st.button("Put it back", icon=":material/restore:"):
        propose(now, back)
        st.rerun()
    st.caption("Cameras, zones, masks and pads come back; what is edited by hand alone stays as it is.")


def _read(state_dir: Path, digest: str) -> Settings | None:
    """Return a version as settings; None where it is damaged, or the software of today does not read it any more."""
    try:
        text = text_of(state_dir, digest)
        return Settings(text, digest, StoreFile.model_validate(parsed(text)))
    except (ConfigError, ValidationError, ValueError):
        return None


def _clock(one: Version, now: Settings) -> str:
    return f"{datetime.fromtimestamp(one.at_us / 1e6, now.store.timezone):%Y-%m-%d %H:%M:%S}"
