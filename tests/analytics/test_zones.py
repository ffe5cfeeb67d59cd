"""Unit and property tests of zones and ground."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analytics.zones import BODY_HEIGHT_M, Ground, Point, Zone, ZoneKind, border_distance, contains

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=200)
pixel = st.floats(-1000, 2000)


@st.composite
def stars(draw: st.DrawFn) -> tuple[Point, ...]:
    """Simple polygons of 3 to 9 corners, most with notches: corners in order of angle around a centre."""
    n = draw(st.integers(3, 9))
    cx, cy = draw(st.floats(0, 800)), draw(st.floats(0, 800))
    radii = draw(st.lists(st.floats(20, 300), min_size=n, max_size=n))
    turn = draw(st.floats(0, 6))
    return tuple(
        (cx + r * math.cos(turn + i / n * math.tau), cy + r * math.sin(turn + i / n * math.tau))
        for i, r in enumerate(radii)
    )


def turns_around(polygon: tuple[Point, ...], x: float, y: float) -> bool:
    """Say whether the outline winds around (x, y), by the sum of the angles under which its edges are seen."""
    total = 0.0
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        a, b = math.atan2(ay - y, ax - x), math.atan2(by - y, bx - x)
        total += (b - a + math.pi) % math.tau - math.pi
    return abs(total) > math.pi


def walked_distance(polygon: tuple[Point, ...], x: float, y: float) -> float:
    """Return the least distance to 2,000 points along each edge."""
    t = np.linspace(0, 1, 2000)
    return min(
        float(np.hypot(ax + (bx - ax) * t - x, ay + (by - ay) * t - y).min())
        for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    )


# --- polygons -------------------------------------------------------------------------------------------------------


@given(stars(), pixel, pixel)
@FIXED
def test_a_point_is_inside_when_the_outline_winds_around_it(polygon: tuple[Point, ...], x: float, y: float) -> None:
    assume(border_distance(polygon, x, y) > 1e-6)
    assert contains(polygon, x, y) is turns_around(polygon, x, y)


@given(stars(), st.floats(0, 1), st.integers(0, 8), st.sampled_from([-1, 1]))
@FIXED
def test_a_point_just_beside_an_edge_is_on_the_right_side(
    polygon: tuple[Point, ...], along: float, edge: int, side: int
) -> None:
    (ax, ay), (bx, by) = polygon[edge % len(polygon)], polygon[(edge + 1) % len(polygon)]
    length = math.dist((ax, ay), (bx, by))
    x = ax + (bx - ax) * along - side * (by - ay) / length * 0.01
    y = ay + (by - ay) * along + side * (bx - ax) / length * 0.01
    assume(border_distance(polygon, x, y) > 0.009)
    assert contains(polygon, x, y) is turns_around(polygon, x, y)


@given(stars(), pixel, pixel)
@FIXED
def test_the_border_is_as_far_as_a_walk_along_it_says(polygon: tuple[Point, ...], x: float, y: float) -> None:
    assert border_distance(polygon, x, y) == pytest.approx(walked_distance(polygon, x, y), abs=0.2)


@given(stars(), pixel, pixel)
@FIXED
def test_neither_the_first_corner_nor_the_direction_matters(polygon: tuple[Point, ...], x: float, y: float) -> None:
    assume(border_distance(polygon, x, y) > 1e-6)
    for same in (polygon[1:] + polygon[:1], polygon[::-1]):
        assert contains(same, x, y) is contains(polygon, x, y)
        assert border_distance(same, x, y) == pytest.approx(border_distance(polygon, x, y))


@given(st.floats(0, 100), st.floats(0, 100))
@FIXED
def test_neighbours_with_a_shared_edge_leave_no_gap_and_no_overlap(x: float, y: float) -> None:
    left = ((-1.0, -1.0), (60.0, -1.0), (40.0, 101.0), (-1.0, 101.0))
    right = ((60.0, -1.0), (101.0, -1.0), (101.0, 101.0), (40.0, 101.0))
    assert contains(left, x, y) is not contains(right, x, y)


def test_a_notch_is_outside() -> None:
    zone = Zone("u", ZoneKind.PRODUCT, ((0, 0), (90, 0), (90, 90), (60, 90), (60, 30), (30, 30), (30, 90), (0, 90)))
    assert zone.contains(15, 60)
    assert not zone.contains(45, 60)
    assert zone.border_distance(45, 60) == 15
    assert zone.border_distance(45, 15) == 15


@given(stars())
@FIXED
def test_a_simple_polygon_is_a_zone(polygon: tuple[Point, ...]) -> None:
    assert Zone("z", ZoneKind.QUEUE, polygon).polygon == polygon


@pytest.mark.parametrize(
    ("polygon", "says"),
    [
        (((0, 0), (9, 9)), "2 corners"),
        ((), "0 corners"),
        (((0, 0), (5, 5), (10, 10)), "no area"),
        (((0, 0), (10, 10), (10, 0), (0, 10), (-9, 5)), "cross"),
        (((0, 0), (10, 10), (20, 0), (20, 9), (0, 9)), "cross"),
        (((0, 0), (10, 0), (math.nan, 10)), "not a number"),
        (((0, 0), (10, 0), (math.inf, 10)), "not a number"),
    ],
)
def test_what_is_no_floor_zone_is_refused_by_name(polygon: tuple[Point, ...], says: str) -> None:
    with pytest.raises(ValueError, match=f"'shelf 3'.*{says}"):
        Zone("shelf 3", ZoneKind.PRODUCT, polygon)


# --- ground ---------------------------------------------------------------------------------------------------------

IMAGE = ((100.0, 100.0), (500.0, 80.0), (700.0, 460.0), (-50.0, 480.0))
METRES = ((0.0, 0.0), (6.0, 0.0), (6.0, 4.0), (0.0, 4.0))


def test_the_four_points_lie_where_they_were_put() -> None:
    ground = Ground(IMAGE, METRES)
    for image, metres in zip(IMAGE, METRES, strict=True):
        assert ground.locate(*image) == pytest.approx(metres, abs=1e-9)


@given(st.floats(0, 6), st.floats(0, 4))
@FIXED
def test_there_and_back_is_the_same_place(x: float, y: float) -> None:
    assert Ground(IMAGE, METRES).locate(*Ground(METRES, IMAGE).locate(x, y)) == pytest.approx((x, y), abs=1e-6)


@given(st.floats(0, 6), st.floats(0, 4), st.floats(0, 6), st.floats(0, 4), st.floats(0, 1))
@FIXED
def test_straight_lines_stay_straight(ax: float, ay: float, bx: float, by: float, t: float) -> None:
    floor = Ground(METRES, IMAGE)
    a, b = floor.locate(ax, ay), floor.locate(bx, by)
    m = floor.locate(ax + (bx - ax) * t, ay + (by - ay) * t)
    assert math.dist(a, m) + math.dist(m, b) == pytest.approx(math.dist(a, b), abs=1e-6)


@given(pixel, pixel, pixel, pixel, st.floats(20, 400))
@FIXED
def test_without_calibration_a_metre_is_a_share_of_a_body(
    ax: float, ay: float, bx: float, by: float, height: float
) -> None:
    ground = Ground()
    assert not ground.calibrated
    assert ground.distance(ax, ay, ax, ay + height, height) == pytest.approx(BODY_HEIGHT_M)
    assert ground.distance(ax, ay, bx, by, height) == ground.distance(bx, by, ax, ay, height)
    assert ground.distance(ax, ay, bx, by, 2 * height) == pytest.approx(ground.distance(ax, ay, bx, by, height) / 2)


def test_with_calibration_the_body_does_not_matter() -> None:
    ground = Ground(IMAGE, METRES)
    assert ground.calibrated
    assert ground.distance(*IMAGE[0], *IMAGE[2], height=1) == pytest.approx(math.hypot(6, 4))
    assert ground.distance(*IMAGE[0], *IMAGE[2], height=300) == pytest.approx(math.hypot(6, 4))


def test_a_body_of_no_height_does_not_divide_by_zero() -> None:
    assert math.isfinite(Ground().distance(0, 0, 10, 0, 0))


@pytest.mark.parametrize(
    ("image", "metres", "says"),
    [
        (IMAGE[:3], METRES[:3], "four image points"),
        (IMAGE, (), "four image points"),
        ((), METRES, "four image points"),
        (((0.0, 0.0), (10.0, 10.0), (20.0, 20.0), (30.0, 30.0)), METRES, "on a line"),
    ],
)
def test_a_calibration_that_fixes_no_plane_is_refused(
    image: tuple[Point, ...], metres: tuple[Point, ...], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Ground(image, metres)


def test_nobody_is_measured_on_the_horizon_or_without_a_calibration() -> None:
    # two sides of this floor meet at (0, 40) in the picture, and the horizon is the line y = 40
    ground = Ground(((-100.0, 140.0), (100.0, 140.0), (200.0, 240.0), (-200.0, 240.0)), METRES)
    with pytest.raises(ValueError, match="horizon"):
        ground.locate(50, 40)
    with pytest.raises(ValueError, match="no ground calibration"):
        Ground().locate(50, 50)
