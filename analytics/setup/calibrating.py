"""The floor in metres: four points of it, where they are, the grid that shows it, and what it is worth."""

from __future__ import annotations

import math
from dataclasses import replace

import streamlit as st

from analytics.config import ConfigError
from analytics.setup.easel import Easel
from analytics.setup.quality import said
from analytics.setup.shapes import Shape, What, ground_of
from analytics.suitability import View
from analytics.survey import Line, judge
from analytics.survey import grid as lines_of
from analytics.zones import Point

FARTHEST_M = 500.0
_SIDES = ("From point 1 to 2, m", "From point 2 to 3, m")


def grid(easel: Easel, size: tuple[int, int]) -> tuple[Line, ...]:
    """Return the grid of the floor as the camera sees it, while its points are worked on; empty otherwise."""
    return _grid(easel, size)[1] if easel.chosen is not None and easel.chosen.what is What.METRES else ()


def metres(easel: Easel, floor: Shape, seen: View) -> None:
    """Draw where the four points are, what that is worth, and how large zones are by it.

    Args:
        easel: of the camera.
        floor: the four points.
        seen: what the camera sees, by this calibration where it is one.
    """
    try:
        ground_of(easel.shapes)
    except ConfigError as error:
        st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.", icon=":material/error:")
    else:
        said(judge(seen), "as a calibration, as far as its shape tells; the grid shows whether the metres are right")
        step, lines = _grid(easel, seen.size)
        if lines:
            st.caption(f"One square of the grid is {step:g} × {step:g} m. Hold it against tiles, or against a shelf.")
    one, two = _sides(floor)
    with st.form("floor-rectangle", border=False):
        st.markdown("**The points are the corners of a rectangle**")
        left, right = st.columns(2)
        along = left.number_input(_SIDES[0], 0.1, FARTHEST_M, one, 0.1, key=f"along-{easel.revision}")
        across = right.number_input(_SIDES[1], 0.1, FARTHEST_M, two, 0.1, key=f"across-{easel.revision}")
        if st.form_submit_button("Use this rectangle"):
            if along is None or across is None:
                st.error("Measure both sides, and write them here in metres.")
            else:
                _put(easel, floor, ((0.0, 0.0), (along, 0.0), (along, across), (0.0, across)))
    with st.expander("They are no rectangle: the place of each point"), st.form("floor-places", border=False):
        places = [_place(n, floor, easel.revision) for n in range(4)]
        if st.form_submit_button("Use these places"):
            whole = [(x, y) for x, y in places if x is not None and y is not None]
            if len(whole) < 4:
                st.error("Write both numbers of all four points.")
            else:
                _put(easel, floor, tuple(whole))
    if seen.ground.calibrated and st.toggle("How large the zones are by it", key="zones-in-metres"):
        st.table([{"Zone": zone.name, "Sides, m": _lengths(seen, zone.polygon)} for zone in seen.zones])


def _grid(easel: Easel, size: tuple[int, int]) -> tuple[float, tuple[Line, ...]]:
    try:
        ground = ground_of(easel.shapes)
    except ConfigError:
        return 1.0, ()
    return lines_of(ground, size, (point for one in easel.shapes if one.what is What.ZONE for point in one.points))


def _put(easel: Easel, floor: Shape, places: tuple[Point, ...]) -> None:
    easel.put(replace(floor, metres=places))
    st.rerun()


def _sides(floor: Shape) -> tuple[float | None, float | None]:
    """Return the sides of the rectangle that the places make, None where they make none."""
    if not floor.metres:
        return None, None
    a, b, c, d = floor.metres
    one, two = math.dist(a, b), math.dist(b, c)
    straight = (
        abs(math.dist(a, c) - math.hypot(one, two)) < 0.005 and abs(math.dist(b, d) - math.hypot(one, two)) < 0.005
    )
    return (round(one, 3), round(two, 3)) if straight else (None, None)


def _place(n: int, floor: Shape, revision: int) -> tuple[float | None, float | None]:
    x, y = floor.metres[n] if floor.metres else (None, None)
    left, right = st.columns(2)
    return (
        left.number_input(f"Point {n + 1}: x, m", -FARTHEST_M, FARTHEST_M, x, 0.1, key=f"place-x{n}-{revision}"),
        right.number_input(f"Point {n + 1}: y, m", -FARTHEST_M, FARTHEST_M, y, 0.1, key=f"place-y{n}-{revision}"),
    )


def _lengths(seen: View, polygon: tuple[Point, ...]) -> str:
    floor = seen.ground.floor(polygon)
    pairs = zip(floor, floor[1:] + floor[:1], strict=True)
    return " · ".join(f"{math.dist(a, b):.1f}" for a, b in pairs) or "beyond the horizon"
