"""Ten minutes at a camera: a still and boxes while somebody draws, in a session that is in the log before it begins.

The picture is held in memory for as long as it is shown, and handed to the page alone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import streamlit as st

from analytics.dashboard import desk, require
from analytics.model import AnalyticsError
from analytics.peek import Look, Session, begin, end, look
from analytics.state import State
from consent.access import Action

EVERY_S = 1  # how often the picture is asked for while somebody looks
MOST_BOXES = 200  # remembered of one session, to tell how tall people are where
_SESSION, _BOXES = "set-up-look", "set-up-boxes"


def goes_on(camera: str) -> bool:
    """Say whether whoever is at this page looks through a camera now."""
    session = _session()
    return session is not None and session.camera == camera


def panel(state_dir: Path, camera: str) -> Look | None:
    """Draw how one looks through a camera, and return what it shows now; None where nobody looks, or nothing is seen.

    Args:
        state_dir: of the store.
        camera: its name.
    """
    session = _session()
    if session is not None and session.camera != camera:
        _end(session)
        session = None
    if session is None:
        _offer(camera)
        return _clip(state_dir, camera)
    left_s = max(0, round(session.until_us / 1e6 - time.time()))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/videocam: **{left_s // 60}:{left_s % 60:02d}** left, then the picture goes.")
        if st.button("End now", icon=":material/stop_circle:", key="look-end"):
            _end(session)
            st.rerun()
    try:
        found = look(state_dir, session)
    except AnalyticsError as error:
        st.warning(str(error), icon=":material/videocam_off:")
        return None
    if found is not None:
        st.session_state[_BOXES] = [*st.session_state.get(_BOXES, ()), *found.boxes][-MOST_BOXES:]
    return found


def boxes(camera: str) -> tuple[tuple[int, int, int, int], ...]:
    """Return the boxes of people seen in the session that goes on, by which a zone is judged; gone with it."""
    return tuple(st.session_state.get(_BOXES, ())) if goes_on(camera) else ()


def _clip(state_dir: Path, camera: str) -> Look | None:
    """Return the first picture of the demo shop's own clip, in which nobody is real; None for every other camera."""
    from analytics.shopfloor import record

    store, clip = State.read(state_dir).store, record.HERE / record.CLIP
    if not store.store.simulated or (camera, str(clip)) not in {(one.name, one.source) for one in store.camera}:
        return None
    st.caption(
        "This is the clip of the simulated shop: a program made up everybody in it, and nobody needs to be asked."
    )
    return _first(clip)


@cache
def _first(clip: Path) -> Look | None:
    import cv2

    from analytics.model import Frame
    from analytics.video import Source, frames

    frame = next((one for one in frames(Source(str(clip))) if isinstance(one, Frame)), None)
    if frame is None:
        return None
    height, width = frame.image.shape[:2]
    return Look(cv2.imencode(".jpg", frame.image)[1].tobytes(), width, height, (), datetime.now(UTC))


def _session() -> Session | None:
    """Return the session that goes on; one that is over is forgotten."""
    session: Session | None = st.session_state.get(_SESSION)
    if session is not None and session.until_us <= time.time_ns() // 1000:
        _end(session)
        return None
    return session


def _end(session: Session) -> None:
    st.session_state.pop(_SESSION, None)
    st.session_state.pop(_BOXES, None)
    end(desk().ledger, session)


def _offer(camera: str) -> None:
    with st.container(border=True, key="look"):
        st.markdown(
            "**Look through the camera for ten minutes?** You see its picture once a second, people filled with grey,"
            " and a box around each. That you look, through which camera and how long, is in the log before the first"
            " picture comes; the compliance desk reads it there. No picture is kept anywhere."
        )
        if st.button("Look for ten minutes", icon=":material/videocam:", key="look-begin"):
            who = require(Action.LOOK_LIVE)
            at = desk()
            try:
                st.session_state[_SESSION] = begin(at.state, at.ledger, camera, who)
            except AnalyticsError as error:
                st.error(str(error), icon=":material/videocam_off:")
                return
            st.rerun()
    st.caption("Without it you draw on an empty grid, on which what is drawn already stands.")
