"""Cameras: which there are, whether they are seen now, whether a stream answers; and how one is added or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.addressees import host as addressee
from analytics.addressees import known, refuse_others
from analytics.config import CameraTable, ConfigError
from analytics.dashboard import desk, require
from analytics.hourly import camera_of
from analytics.live import read_zones
from analytics.model import AnalyticsError
from analytics.pages.source import many
from analytics.pages.style import begin
from analytics.probe import probe
from analytics.settings import Edit, Settings, camera_dropped, camera_put, current, edited
from analytics.setup.inforce import in_force
from analytics.setup.saving import propose, proposed, said
from analytics.source import TURNS, Source
from analytics.start import PLACEHOLDER
from consent.access import Action, Who
from consent.events import ConsentError

EVERY_S = 5  # how often the page asks which cameras are seen


def cameras(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Cameras")
    require(Action.SET_UP)
    said()
    in_force(state_dir)
    settings = current(state_dir)
    proposed(state_dir)
    _seen(state_dir, [camera.name for camera in settings.store.camera])
    for camera in settings.store.camera:
        with st.container(border=True, key=f"camera-{camera.name}"):
            _camera(state_dir, settings, camera)
    st.header("One more camera")
    _fields(state_dir, settings, None)
    st.caption(
        "A password stands in no page and no settings: write it into a file that ends in `.password` (`chmod 600`), or"
        " into a variable that ends in `_PASSWORD`, and name that here. All of this may stand in `store.toml`, too."
    )


@st.fragment(run_every=EVERY_S)
def _seen(state_dir: Path, names: list[str]) -> None:
    """Say of each camera whether it is seen now, from the live tally."""
    seen = read_zones(desk().state.live)
    if seen is None:
        why = f"`openaisle watch` does not run. `openaisle up --state {state_dir}` runs everything."
        if desk().state.store.store.simulated:
            why = "this shop is simulated, and nothing looks at a camera of it."
        st.info(f"Whether a camera is seen now is not known: {why}", icon=":material/visibility_off:")
        return
    st.table(
        [
            {"Camera": name, "Now": f"seen, {many(len(seen[name]), 'zone')}" if name in seen else "not seen"}
            for name in names
        ],
        border="horizontal",
    )


def _camera(state_dir: Path, settings: Settings, camera: CameraTable) -> None:
    st.header(camera.name)
    pads = sum(zone.kind == "pad" for zone in camera.zone)
    st.text(
        f"{_address(camera)}: {camera.fps:g} looks a second, {many(len(camera.zone), 'zone')}"
        f" ({pads} of them pads), {len(camera.masks)} masks"
    )
    if camera.source == PLACEHOLDER:
        st.warning("This is the example's address, and no camera answers there. Write your own camera's.")
    with st.expander("Change or test it"):
        _fields(state_dir, settings, camera)
    with st.popover("Remove it", icon=":material/delete:"):
        st.markdown("Its zones and masks go with it. Figures that are released stay.")
        if st.button("Remove this camera", key=f"remove-{camera.name}"):
            _propose(state_dir, settings, camera_dropped(camera.name))


def _address(camera: CameraTable) -> str:
    """Return the address as people may read it, without user, password and parameters."""
    try:
        return Source(camera.source).name
    except AnalyticsError as error:
        return str(error)


def _fields(state_dir: Path, settings: Settings, camera: CameraTable | None) -> None:
    """Draw the fields of a camera, of a new one where there is none."""
    key = "new" if camera is None else f"of-{camera.name}"
    with st.form(f"{key}-camera", border=camera is None):
        name = st.text_input(
            "Name",
            "" if camera is None else camera.name,
            max_chars=64,
            key=f"{key}-name",
            help="Figures bear it. Under another name they begin anew; those so far stay under this one.",
        )
        source = st.text_input(
            "Address",
            "" if camera is None else camera.source,
            placeholder="rtsp://user@192.168.1.20/stream",
            key=f"{key}-source",
            help="rtsp://user@host/path, /dev/video0 or usb:0. Never a password.",
        )
        one, two = st.columns(2)
        fps = one.number_input(
            "Looks a second", 0.5, 60.0, 10.0 if camera is None else camera.fps, 0.5, key=f"{key}-fps"
        )
        latency = two.number_input(
            "Oldest picture, s",
            0.0,
            10.0,
            None if camera is None else camera.latency_s,
            0.1,
            key=f"{key}-latency",
            placeholder="2.0 where nobody measured it",
            help="How old a picture is at most when it arrives; docs/deployment.md says how to measure it.",
        )
        turn = one.selectbox(
            "Turn the picture",
            TURNS,
            TURNS.index(0 if camera is None else camera.turn),
            format_func=lambda degrees: f"by {degrees}° clockwise" if degrees else "as it comes",
            key=f"{key}-turn",
            help="For a camera that hangs upside down. What is drawn is drawn on the turned picture: draw it again.",
        )
        variable = one.text_input(
            "Variable with its password",
            "" if camera is None else camera.password_env or "",
            placeholder="DOOR_CAMERA_PASSWORD",
            key=f"{key}-variable",
        )
        file = two.text_input(
            "File with its password",
            "" if camera is None else str(camera.password_file or ""),
            placeholder="/etc/openaisle/door.password",
            key=f"{key}-file",
        )
        with st.container(horizontal=True):
            test = st.form_submit_button("Test the stream", icon=":material/network_check:")
            review = st.form_submit_button("Review the change" if camera else "Add it")
    if not test and not review:
        return
    who = require(Action.SET_UP)
    fields: Mapping[str, Any] = {
        "source": source.strip(),
        "fps": fps,
        "latency_s": latency,
        "turn": turn or None,
        "password_env": variable.strip() or None,
        "password_file": file.strip() or None,
    }
    name = name.strip()
    if camera is None and any(one.name == name for one in settings.store.camera):
        st.error(f"A camera is called {name!r} already; give this one its own name.")
        return
    edit = camera_put(name, **fields) if camera is None else camera_put(camera.name, rename=name, **fields)
    if review:
        _propose(state_dir, settings, edit)
        return
    try:
        new = edited(settings, edit)
        _test(state_dir, settings, next(one for one in new.store.camera if one.name == name), who)
    except (AnalyticsError, ConsentError) as error:
        st.error(str(error))


def _propose(state_dir: Path, settings: Settings, edit: Edit) -> None:
    try:
        new = edited(settings, edit)
        refuse_others(state_dir, settings.store, new.store)
    except ConfigError as error:
        st.error(str(error))
        return
    if new.digest == settings.digest:
        st.info("Nothing differs from what is there.")
        return
    propose(settings, new)
    st.rerun()


def _test(state_dir: Path, settings: Settings, camera: CameraTable, who: Who) -> None:
    own = known(state_dir, settings.store, camera)
    address = camera.address(state_dir) if own else camera.source
    host = hashlib.sha256(addressee(camera).encode()).hexdigest()
    desk().access.log.tested(who.account, camera=camera_of(camera.name), host=host)
    if not own:
        st.info(
            "Tested without its password: that is sent only to the host for which it stands in `store.toml`. Save the"
            " camera first, or write it there by hand.",
            icon=":material/key_off:",
        )
    with st.spinner("The camera is asked; that takes up to twelve seconds, and longer where this computer is busy."):
        found = probe(address)
    if found.error is not None:
        st.error(f"No picture: {found.error}", icon=":material/videocam_off:")
        return
    width, height = (found.width, found.height) if camera.turn % 180 == 0 else (found.height, found.width)
    st.session_state[f"size-{camera.name}-{camera.turn}"] = (width, height)  # of the picture turned so, and of no other
    rate = "" if found.fps is None else f" {found.fps:.3g} pictures a second,"
    st.success(
        f"It answers: {width} × {height} pixels,{rate} {found.codec}; the first picture came after"
        f" {found.delay_s:.1f} s. Nothing of it was kept.",
        icon=":material/videocam:",
    )
