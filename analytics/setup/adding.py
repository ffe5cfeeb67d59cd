"""One more shape on the easel: a zone, a line across a door, a shelf, a mask; each begins mid-picture."""

from __future__ import annotations

import re

import streamlit as st

from analytics.setup.easel import Easel
from analytics.setup.shapes import Points, Shape, What
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
    with st.container(horizontal=True):
        with st.popover("Add a zone", icon=":material/add:"), st.form("add-zone", border=False, clear_on_submit=True):
            kind = st.selectbox("Kind", list(MEANS), format_func=lambda one: f"{one}: {MEANS[one]}", key="add-kind")
            name = st.text_input("Name", max_chars=64, key="add-name")
            if st.form_submit_button("Put it in the middle"):
                _put(easel, Shape(What.ZONE, name.strip(), _box(size), kind))
        with st.popover("Add a line", icon=":material/add:"), st.form("add-line", border=False, clear_on_submit=True):
            across = st.selectbox("Across an", _LINES, key="line-kind")
            line = st.text_input("Name", max_chars=64, key="line-name")
            width = st.number_input(
                "Width, pixels: as somebody stands", 4, 2000, max(8, size[1] // 12), key="line-width"
            )
            st.caption("It is kept as a zone of that width: people are counted where they stand on it.")
            if st.form_submit_button("Put it in the middle"):
                left, right = size[0] / 3, 2 * size[0] / 3
                ends = ((round(left), size[1] // 2), (round(right), size[1] // 2))
                _put(easel, Shape(What.LINE, line.strip(), ends, across, float(width)))
        if st.button("Add a mask", icon=":material/add:", help="Blacked out before anything looks: a till, a screen."):
            numbers = [int(shape.name) for shape in easel.shapes if shape.what is What.MASK]
            easel.put(Shape(What.MASK, str(max(numbers, default=0) + 1), _box(size)))
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


def _put(easel: Easel, shape: Shape) -> None:
    if not _NAME.fullmatch(shape.name):
        st.error("Give it a name of letters, digits, spaces, dots and dashes.")
    elif shape.name in {one.name for one in easel.shapes if one.what in (What.ZONE, What.LINE)}:
        st.error(f"There is a zone {shape.name!r} already; give this one its own name.")
    else:
        easel.put(shape)
        st.rerun()


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
