"""How a change comes into `store.toml`: shown as it will stand there, with a note, and only then written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import streamlit as st

from analytics.config import ConfigError
from analytics.dashboard import desk, require
from analytics.report import Report
from analytics.settings import LONGEST_NOTE, Settings, current, write
from analytics.setup.changes import diff, told
from analytics.state import State
from consent.access import Action

_SAID, _PROPOSED = "set-up-said", "set-up-proposed"


def remember(text: str) -> None:
    """Keep a sentence for the next drawing of the page."""
    st.session_state[_SAID] = text


def said() -> None:
    """Draw the sentence that was kept."""
    text = st.session_state.pop(_SAID, None)
    if text:
        st.success(text)


def shown(was: Settings, now: Settings) -> None:
    """Draw what differs."""
    for words in told(was.store, now.store):
        st.text(f"• {words}")  # names are what somebody typed: never read as Markdown
    st.code(diff(was, now) or "nothing differs", language=None, wrap_lines=True)


def save(state_dir: Path, was: Settings, now: Settings, key: str) -> bool:
    """Draw what differs, a field for a note and the button that writes; return whether it was written now.

    Args:
        state_dir: of the store.
        was: the settings from which the new ones were made.
        now: the new ones.
        key: unique on the page.
    """
    shown(was, now)
    if not _goes_on(state_dir, was, now, key):
        return False
    with st.form(f"{key}-save", border=False):
        note = st.text_input("What changed, and why", max_chars=LONGEST_NOTE, key=f"{key}-note")
        pressed = st.form_submit_button("Save", icon=":material/save:")
    if not pressed:
        return False
    who = require(Action.SET_UP)
    try:
        write(state_dir, now, was=was.digest, by=who, access=desk().access, note=note)
    except ConfigError as error:
        st.error(str(error))
        return False
    remember("Saved. The line below says when `watch` goes by it; a kiosk does once it is started anew.")
    return True


def _goes_on(state_dir: Path, was: Settings, now: Settings, key: str) -> bool:
    """Draw which zones take a name of which there are figures already, and say whether that was meant."""
    before, after = ({(c.name, z.name) for c in one.store.camera for z in c.zone} for one in (was, now))
    if not after - before:
        return True
    with closing(Report(State.read(state_dir).released)) as report:
        named = report.named()
    there = sorted((zone, *named[camera, zone]) for camera, zone in after - before if (camera, zone) in named)
    for zone, first, last in there:
        st.warning(
            f"There are figures of a zone `{zone}` at this camera, from {first} to {last}. A zone of that name goes on"
            " with them: every chart shows then and now as one series. For another place, take another name.",
            icon=":material/merge:",
        )
    return not there or st.checkbox("It is the same place: go on with its figures", key=f"{key}-same")


def propose(was: Settings, now: Settings) -> None:
    """Keep a change that was made on this page until it is saved or left."""
    st.session_state[_PROPOSED] = (was, now)


def proposed(state_dir: Path) -> None:
    """Draw the change that waits to be saved, if any."""
    waiting: tuple[Settings, Settings] | None = st.session_state.get(_PROPOSED)
    if waiting is None:
        return
    was, now = waiting
    with st.container(border=True, key="proposed"):
        st.header("Not saved yet")
        if current(state_dir).digest != was.digest:
            st.warning("Somebody changed store.toml meanwhile. Leave this, look at what is there, and make it anew.")
        if save(state_dir, was, now, "proposed"):
            del st.session_state[_PROPOSED]
            st.rerun()
        if st.button("Leave it"):
            del st.session_state[_PROPOSED]
            st.rerun()
