"""What a calibration of the floor is worth, and whether its grid lies where the floor does."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from analytics.config import read_zones
from analytics.shopfloor import record
from analytics.suitability import Grade, View
from analytics.survey import MOST_LINES, grid, judge
from analytics.zones import Ground

FLOOR = read_zones(record.HERE / record.ZONES)
GROUND = FLOOR.floor()
ZONES = tuple(zone for zone in FLOOR.zones() if zone.name in ("tea", "coffee"))
VIEW = View((640, 360), GROUND, ZONES)


def person(x: float, y: float, metres: float) -> tuple[float, float, float, float]:
    """Return the box of somebody of a height whose feet are at a place."""
    (ax, _), (bx, _) = GROUND.locate(x - 1, y), GROUND.locate(x + 1, y)
    ay, by = GROUND.locate(x - 1, y)[1], GROUND.locate(x + 1, y)[1]
    tall = 2 * metres / math.hypot(bx - ax, by - ay)
    return (x - tall / 6, y - tall, x + tall / 6, y)


def people(metres: float) -> tuple[tuple[float, float, float, float], ...]:
    return tuple(person(200.0 + 40 * n, 250.0 + 10 * n, metres) for n in range(6))


def test_the_demo_shop_is_well_calibrated() -> None:
    worth = judge(VIEW)
    assert (worth.grade, worth.reasons) == (Grade.GOOD, ())
    assert "by their heights more can be told" in worth.hints[0]
    assert judge(replace(VIEW, people=people(1.7))).hints == ()


@pytest.mark.parametrize(
    ("ground", "grade", "why"),
    [
        (Ground(GROUND.image, (*GROUND.metres[1::-1], *GROUND.metres[2:])), Grade.POOR, "horizon runs between"),
        (Ground(((300, 200), (320, 200), (325, 210), (298, 210)), GROUND.metres), Grade.POOR, "beyond the horizon"),
        (Ground(GROUND.image, tuple((3 * x, 3 * y) for x, y in GROUND.metres)), Grade.FAIR, "set wrong by 2 pixels"),
        (Ground(GROUND.image, tuple((20 * x, 20 * y) for x, y in GROUND.metres)), Grade.POOR, "set wrong by 2 pixels"),
        (
            Ground(GROUND.image, tuple((x / 20, y / 20) for x, y in GROUND.metres)),
            Grade.POOR,
            "would be .* pixels tall",
        ),
    ],
)
def test_each_fault_is_named_with_what_to_do(ground: Ground, grade: Grade, why: str) -> None:
    worth = judge(replace(VIEW, ground=ground))
    assert worth.grade is grade
    assert any(re.search(why, reason) for reason in worth.reasons), worth.reasons
    assert len(worth.advice) == len(worth.reasons)


@pytest.mark.parametrize(
    ("metres", "grade"), [(1.7, Grade.GOOD), (1.5, Grade.GOOD), (2.3, Grade.FAIR), (3.0, Grade.POOR), (0.9, Grade.POOR)]
)
def test_people_who_were_seen_tell_whether_the_metres_are_right(metres: float, grade: Grade) -> None:
    worth = judge(replace(VIEW, people=people(metres)))
    assert worth.grade is grade
    assert all(f"would be {metres:.1f} m tall" in reason for reason in worth.reasons)
    assert judge(replace(VIEW, people=people(metres)[:4])).grade is Grade.GOOD  # too few to tell


def test_the_grid_lies_on_whole_metres_and_before_the_horizon() -> None:
    corners = [point for zone in ZONES for point in zone.polygon]
    step, lines = grid(GROUND, (640, 360), corners)
    assert step == 1
    assert 2 < len(lines) <= 4 * MOST_LINES
    for line in lines:
        ends = [GROUND.locate(*end) for end in line]
        assert len(GROUND.floor((*line, GROUND.image[0]))) == 3  # on one side of the horizon
        on = [axis for axis in (0, 1) if all(abs(end[axis] - round(end[axis])) < 0.05 for end in ends)]
        assert any(abs(ends[0][axis] - ends[1][axis]) < 0.05 for axis in on), ends
    reached = [GROUND.locate(*end) for line in lines for end in line]
    for point in corners:
        x, y = GROUND.locate(*point)
        assert min(a for a, _ in reached) - 1 <= x <= max(a for a, _ in reached) + 1
        assert min(b for _, b in reached) - 1 <= y <= max(b for _, b in reached) + 1


def test_a_grid_of_nonsense_is_finite() -> None:
    far = Ground(((0, 0), (10, 0), (10, 10), (0, 10)), ((0, 0), (9e6, 0), (9e6, 9e6), (0, 9e6)))
    assert len(grid(far, (640, 360))[1]) < 1000
    flat = Ground(((0, 0), (10, 0), (10, 10), (0, 10)), ((0, 0), (1, 0), (2, 0), (0, 1)))  # three on a line
    assert grid(flat, (640, 360)) == (0.5, ())
