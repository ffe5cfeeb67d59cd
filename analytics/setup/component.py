"""The drawing board: a Streamlit component of our own, an SVG with a table beside it. What it does is in `drawing.js`.

A still is handed to it as data over the page's own websocket. It never becomes a file of Streamlit's, which whoever is
signed in could fetch by its name.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.setup.shapes import Shape
from analytics.zones import FARTHEST

_HERE = Path(__file__).parent
_board = st.components.v2.component(
    "openaisle_drawing",
    html='<div class="drawing"></div>',
    css=(_HERE / "drawing.css").read_text(encoding="utf-8"),
    js=(_HERE / "drawing.js").read_text(encoding="utf-8"),
)


def board(
    shapes: Sequence[Shape],
    *,
    key: str,
    camera: str,
    size: tuple[int, int],
    active: str,
    revision: int,
    undoable: bool,
    still: bytes | None = None,
    boxes: Sequence[Sequence[float]] = (),
    lines: Sequence[Sequence[Sequence[float]]] = (),
    heard: Callable[[Any], None],
) -> None:
    """Draw shapes on a picture, or on a grid where there is none.

    Args:
        shapes: what is drawn.
        key: unique on the page.
        camera: name, as people read it.
        size: width and height of the picture, pixels.
        active: id of the shape whose corners can be moved.
        revision: of the shapes; a newer one replaces what is on the board.
        undoable: whether there is anything to undo.
        still: JPEG.
        boxes: of people, pixels: left, top, right, bottom.
        lines: of a grid on the floor, two ends each, pixels.
        heard: called with what people drew.
    """

    def told() -> None:
        heard(st.session_state[key].get("drawn"))

    _board(
        key=key,
        data={
            "camera": camera,
            "width": size[0],
            "height": size[1],
            "farthest": FARTHEST,
            "shapes": [shape.drawn() for shape in shapes],
            "active": active,
            "revision": revision,
            "undoable": undoable,
            "still": None if still is None else base64.b64encode(still).decode("ascii"),
            "boxes": [list(box) for box in boxes],
            "lines": [[list(end) for end in line] for line in lines],
        },
        on_drawn_change=told,
    )
