"""Draw zones: shapes of one camera on its picture, what they are worth, how `store.toml` has them, and saving them.

A drawing lives in the session of whoever draws. It is lost by nobody's change of the file, and written only as shown.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import streamlit as st

from analytics.config import ConfigError
from analytics.dashboard import require
from analytics.model import AnalyticsError
from analytics.pages.style import begin
from analytics.settings import Settings, current, edited
from analytics.setup import looking
from analytics.setup.adding import adding, renaming
from analytics.setup.calibrating import grid, metres
from analytics.setup.component import board
from analytics.setup.easel import Easel
from analytics.setup.inforce import in_force
from analytics.setup.quality import all_told, told, view
from analytics.setup.saving import said, save
from analytics.setup.shapes import Shape, What, edits, shapes_of, size_of, toml, zone_of
from analytics.suitability import View
from consent.access import Action
from consent.events import ConsentError


def floor(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Draw zones")
    require(Action.SET_UP)
    said()
    in_force(state_dir)
    names = [camera.name for camera in current(state_dir).store.camera]
    if not names:
        st.info("There is no camera yet. Add one on the page “Cameras”, then draw here.", icon=":material/videocam:")
        return
    camera = st.selectbox("Camera", names, key="draw-camera", bind="query-params") or names[0]
    live = looking.goes_on(camera)
    st.fragment(_at_work, run_every=looking.EVERY_S if live else None)(state_dir, camera, live)


def _at_work(state_dir: Path, camera: str, live: bool) -> None:
    try:
        require(Action.SET_UP)  # a fragment is drawn anew without the rest of the page
        if live and not looking.goes_on(camera):  # over by its time
            st.rerun()
        _camera(state_dir, camera)
    except (AnalyticsError, ConsentError) as error:
        st.error(str(error))


def _camera(state_dir: Path, camera: str) -> None:
    seen = looking.panel(state_dir, camera)
    base, easel = _easel(state_dir, camera)
    turn = next((one.turn for one in base.store.camera if one.name == camera), 0)
    told = st.session_state.get(f"size-{camera}-{turn}")
    size = (seen.width, seen.height) if seen else told or size_of(easel.shapes, upright=turn % 180 != 0)
    board(
        easel.shapes,
        key=f"board-{camera}",
        camera=f"camera {camera}",
        size=size,
        active=easel.active,
        revision=easel.revision,
        undoable=easel.undoable,
        still=None if seen is None else seen.jpeg,
        boxes=() if seen is None else seen.boxes,
        lines=grid(easel, size),
        heard=easel.heard,
    )
    with st.expander("How to draw"):
        st.markdown(_HOW)
        if seen is None:
            st.caption(
                f"Drawn on {size[0]} × {size[1]} pixels"
                + (
                    ", as the camera said when it was tested."
                    if told
                    else ": the smallest usual picture that holds these shapes. Test the stream on the page"
                    " “Cameras”, or look through the camera, and it is the camera's own."
                )
            )
    adding(easel, size)
    if easel.chosen is not None:
        people = looking.boxes(camera) if seen else ()
        _chosen(
            easel,
            easel.chosen,
            view(easel.shapes, size, base.store.pad.ring_m, people),
            {shape.name for shape in _shapes(base, camera)},
        )
    _saving(state_dir, camera, base, easel)


_HOW = """
- **Mouse or finger:** drag a corner; drag the small + between two corners to make one; drag the cross in the middle
  to move the whole shape. “Draw it anew” takes the corners one tap after the other. Zoom with − and +.
- **Keyboard:** Tab to a corner. Arrows move it by 1 pixel, with Shift by 10; Enter adds a corner after it, Delete
  removes it; Ctrl+Z takes the last change back.
- **Numbers:** the table holds the same corners; what is typed there is drawn.
- **Metres:** “Calibrate the floor” puts four points there. Lay them on the corners of a rectangle of the floor, such as
  tiles or a mat, far apart and around the zones; measure it, and hold the grid that appears against the floor.
"""


def _easel(state_dir: Path, camera: str) -> tuple[Settings, Easel]:
    """Return what is drawn of a camera, and the settings from which it was begun."""
    key, now = f"easel-{camera}", current(state_dir)
    if key not in st.session_state:
        st.session_state[key] = (now, Easel(_shapes(now, camera)))
    base, easel = st.session_state[key]
    if base.digest == now.digest:
        return base, easel
    if _shapes(base, camera) == easel.shapes:  # nothing was drawn that could be lost
        return _begin(camera, now, _shapes(now, camera))
    st.warning("Somebody changed store.toml meanwhile. Your drawing is whole; put it on what stands there now.")
    if st.button("Put my drawing on it"):
        new = edited(now, *edits(camera, _shapes(base, camera), easel.shapes))
        _begin(camera, now, _shapes(new, camera))
        st.rerun()  # the warning stands on the page already
    return base, easel


def _begin(camera: str, base: Settings, shapes: tuple[Shape, ...]) -> tuple[Settings, Easel]:
    """Put shapes on a new easel, with the board told so."""
    _, former = st.session_state[f"easel-{camera}"]
    st.session_state[f"easel-{camera}"] = new = (base, Easel(shapes, former.active, former.revision + 1))
    return new


def _shapes(settings: Settings, camera: str) -> tuple[Shape, ...]:
    """Return what is drawn of a camera; nothing where somebody took it away."""
    return next((shapes_of(one) for one in settings.store.camera if one.name == camera), ())


def _chosen(easel: Easel, shape: Shape, seen: View, taken: Collection[str]) -> None:
    """Draw what is to be said of the shape that is being worked on; a zone takes no name that is taken."""
    st.header(shape.label)
    if shape.what in (What.ZONE, What.FACE, What.EDGE):
        try:
            zone_of(easel.shapes, shape.name)
        except ConfigError as error:
            st.error(f"{error}.", icon=":material/error:")
        told(shape.name, seen)
    elif shape.what is What.METRES:
        metres(easel, shape, seen)
    all_told(seen)
    st.code(toml(easel.shapes, shape), language=None, wrap_lines=True)
    if shape.what is What.ZONE:
        renaming(easel, shape, taken)
    if st.button(f"Remove {shape.label}", icon=":material/delete:"):
        both = (What.FACE, What.EDGE)
        parts = both if shape.what in both else (What.ZONE, *both) if shape.what is What.ZONE else (shape.what,)
        easel.drop(*(f"{part}:{shape.name}" for part in parts))
        st.rerun()


def _saving(state_dir: Path, camera: str, base: Settings, easel: Easel) -> None:
    before = _shapes(base, camera)
    if easel.shapes == before:
        st.caption("What is drawn is what stands in store.toml.")
        return
    st.header("Not saved yet")
    try:
        new = edited(base, *edits(camera, before, easel.shapes))
    except ConfigError as error:
        st.error(f"This cannot be saved: {error}.")
    else:
        if save(state_dir, base, new, f"draw-{camera}"):
            _begin(camera, new, _shapes(new, camera))
            st.rerun()
    if st.button("Leave all of it", icon=":material/undo:"):
        _begin(camera, base, before)
        st.rerun()
