"""One more shape on the easel: a zone, a line, a shelf, a mask, the floor; each begins mid-picture. And new names."""

from __future__ import annotations

import re
from collections.abc import Collection

import streamlit as st

from analytics.setup.easel import Easel
from analytics.setup.shapes import Points, Shape, What, floor_of
from analytics.zones import ZoneKind

MEANS = {
    ZoneKind.PRODUCT: "goods stand before it: stays and decisions",
    ZoneKind.ENTRANCE: "where people come in: footfall",
    ZoneKind.EXIT: "where people go out",
    ZoneKind.QUEUE: "the line before a till: waits",
    ZoneKind.SERVICE: "where people are served",
    ZoneKind.PAD: "before the kiosk, where shoppers say yes",
    ZoneKind.STAFF: "where only staff stand; never measured",
    ZoneKind.OUTSIDE: "the pavement before the door: who passes by is counted, and nothing else",
}
_LINES = (ZoneKind.ENTRANCE, ZoneKind.EXIT, ZoneKind.SERVICE)
_NAME = re.compile(r"[\w .-]{1,64}")  # as `analytics.config` has it


def adding(easel: Easel, size: tuple[int, int]) -> None:
    """Draw the buttons that put one more shape on the easel.

    Args:
        easel: of the camera.
        size: of its picture, pixels.
    """
    new = easel.revision  # a form is empty again once its shape stands there, and keeps what was typed until then
    with st.container(horizontal=True):
        with st.popover("Add a zone", icon=":material/add:"), st.form("add-zone", border=False):
            kind = st.selectbox(
                "Kind", list(MEANS), format_func=lambda one: f"{one}: {MEANS[one]}", key=f"add-kind-{new}"
            )
            name = st.text_input("Name", max_chars=64, key=f"add-name-{new}").strip()
            pressed = st.form_submit_button("Put it in the middle")
            if _fits(easel, name, pressed=pressed):
                easel.put(Shape(What.ZONE, name, _box(size), kind))
                st.rerun()
        with st.popover("Add a line", icon=":material/add:"), st.form("add-line", border=False):
            across = st.selectbox("Across an", _LINES, key=f"line-kind-{new}")
            line = st.text_input("Name", max_chars=64, key=f"line-name-{new}").strip()
            width = st.number_input(
                "Width, pixels: as somebody stands", 4, 2000, max(8, size[1] // 12), key=f"line-width-{new}"
            )
            st.caption("It is kept as a zone of that width: people are counted where they stand on it.")
            pressed = st.form_submit_button("Put it in the middle")
            if _fits(easel, line, pressed=pressed):
                left, right = size[0] / 3, 2 * size[0] / 3
                ends = ((round(left), size[1] // 2), (round(right), size[1] // 2))
                easel.put(Shape(What.LINE, line, ends, across, float(width)))
                st.rerun()
        if st.button("Add a mask", icon=":material/add:", help="Blacked out before anything looks: a till, a screen."):
            numbers = [int(shape.name) for shape in easel.shapes if shape.what is What.MASK]
            easel.put(Shape(What.MASK, str(max(numbers, default=0) + 1), _box(size)))
            st.rerun()
        if all(shape.what is not What.METRES for shape in easel.shapes) and st.button(
            "Calibrate the floor",
            icon=":material/grid_on:",
            help="With it, distances are metres, and not body heights.",
        ):
            easel.put(floor_of(_box(size)))
            st.rerun()
        zone = easel.chosen
        if (
            zone is not None
            and zone.what is What.ZONE
            and zone.kind is ZoneKind.PRODUCT
            and f"{What.FACE}:{zone.name}" not in {shape.id for shape in easel.shapes}
            and st.button("Add its shelf", icon=":material/add:", help="With it, facing and reaches can be told.")
        ):
            easel.put(*_shelf(zone))
            st.rerun()


def renaming(easel: Easel, zone: Shape, taken: Collection[str]) -> None:
    """Draw the fields that call a zone something else.

    Args:
        easel: of the camera.
        zone: that is renamed.
        taken: names that stand in `store.toml`.
    """
    with (
        st.popover("Rename it", icon=":material/edit:", key=f"renaming-{zone.name}"),
        st.form("rename-zone", border=False),
    ):
        st.markdown(
            "Figures bear the name that a zone had when they were counted, and no figure is ever renamed: those so far"
            " stay under the old name, and under the new one they begin anew. A comparison across that day compares"
            " two zones."
        )
        name = st.text_input("New name", max_chars=64, key=f"rename-{zone.name}").strip()
        pressed = st.form_submit_button("Rename")
        if _fits(easel, name, {*taken} - {zone.was}, pressed=pressed):
            easel.rename(zone.name, name)
            st.rerun()


def _fits(easel: Easel, name: str, taken: Collection[str] = (), *, pressed: bool) -> bool:
    """Say whether a shape is to be called so now, and draw why not while a name that does not fit stands there.

    While somebody looks through the camera, the page is drawn anew every second: what only the press tells is gone.
    """
    if not pressed and not name:
        return False
    there = {one.name for one in easel.shapes if one.what in (What.ZONE, What.LINE)}
    if not _NAME.fullmatch(name):
        st.error("Give it a name of letters, digits, spaces, dots and dashes.")
    elif name in there or name in taken:
        st.error(f"There is a zone {name!r} already; give this one its own name.")
    else:
        return pressed
    return False


def _box(size: tuple[int, int]) -> Points:
    """Return a rectangle in the middle of a picture."""
    left, right, top, low = size[0] // 3, 2 * size[0] // 3, size[1] // 3, 2 * size[1] // 3
    return ((left, top), (right, top), (right, low), (left, low))


def _shelf(zone: Shape) -> tuple[Shape, Shape]:
    """Return a shelf that stands on the far side of a zone: its face as high as the zone is wide, or less."""
    first, second = sorted(zone.points, key=lambda point: point[1])[:2]
    (x0, y0), (x1, y1) = sorted((first, second))
    up = min(y0, y1, max(20.0, (x1 - x0) * 0.6))
    face = ((x0, y0), (x1, y1), (x1, round(y1 - up)), (x0, round(y0 - up)))
    return Shape(What.FACE, zone.name, face), Shape(What.EDGE, zone.name, ((x0, y0), (x1, y1)))
