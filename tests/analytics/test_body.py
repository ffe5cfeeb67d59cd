"""Where the feet are when a shelf hides them: learned from whole bodies, put under the head of the others."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.body import Bodies, BodyRules, Box, _fit

SIZE = (768, 576)
SLOPE, OFFSET = 0.3, 20.0  # a body is that tall where its feet are in row y: 0.3 y + 20


def body(x: float, foot: float, tall: float = 1.0, shown: float = 1.0) -> Box:
    """Return the box of somebody ``tall`` times the usual, of whom the upper ``shown`` can be seen."""
    height = tall * (SLOPE * foot + OFFSET)
    return x - height / 6, foot - height, x + height / 6, foot - (1 - shown) * height


def taught(rules: BodyRules | None = None, wild: float = 0.0) -> Bodies:
    """Return a camera's line after 200 bodies of usual spread, a share of them of wild heights."""
    random, bodies = np.random.default_rng(7), Bodies(SIZE, rules)
    for _ in range(200):
        tall = random.uniform(0.3, 0.6) if random.random() < wild else random.normal(1, 0.03)
        bodies.learn(body(random.uniform(150, 600), random.uniform(250, 550), tall), 0.9)
    return bodies


TAUGHT = taught()


def test_before_anything_is_learned_the_box_is_taken_as_it_is() -> None:
    assert Bodies(SIZE).stand(1, (100, 100, 140, 220)) == (120, 220, 120)


def test_a_whole_body_stands_where_its_box_ends() -> None:
    box = body(300, 400)
    assert taught().stand(1, box) == pytest.approx((300, 400, 140))


@given(st.floats(280, 540), st.floats(0.3, 0.75), st.floats(100, 600))
def test_hidden_legs_are_put_where_they_must_be(foot: float, shown: float, x: float) -> None:
    _, y, height = TAUGHT.stand(1, body(x, foot, shown=shown))
    assert y == pytest.approx(foot, abs=0.06 * (SLOPE * foot + OFFSET))
    assert height == pytest.approx(SLOPE * foot + OFFSET, rel=0.06)


def test_what_hides_nothing_moves_nothing() -> None:
    for foot in range(260, 540, 20):
        for tall in (0.9, 1.0, 1.2):
            box = body(300, foot, tall)
            assert taught().stand(1, box) == pytest.approx((300, foot, box[3] - box[1]))


def test_a_short_person_is_known_to_be_short_once_seen_whole() -> None:
    bodies, short = taught(), 0.88
    for foot in (300, 310, 320, 330):
        bodies.stand(1, body(300, foot, short))
    _, y, _ = bodies.stand(1, body(300, 340, short, shown=0.5))
    assert y == pytest.approx(340, abs=5)
    _, stranger, _ = bodies.stand(2, body(300, 340, short, shown=0.5))
    assert stranger > y + 5  # of somebody never seen whole the usual height is taken


def test_what_is_known_of_a_track_goes_with_it() -> None:
    bodies, short = taught(), 0.88
    for foot in (300, 310, 320, 330):
        bodies.stand(1, body(300, foot, short))
    known = bodies.stand(1, body(300, 340, short, shown=0.5))
    bodies.forget({2})
    assert bodies.stand(1, body(300, 340, short, shown=0.5)) != pytest.approx(known)


def test_a_few_crouching_people_do_not_bend_the_line() -> None:
    bodies = taught(wild=0.15)
    _, y, _ = bodies.stand(1, body(300, 420, shown=0.5))
    assert y == pytest.approx(420, abs=8)


def test_feet_below_the_picture_are_put_below_it() -> None:
    x1, y1, x2, _ = body(300, 640)
    _, y, height = taught().stand(1, (x1, y1, x2, SIZE[1]))
    assert y == pytest.approx(640, abs=15)
    assert height == pytest.approx(SLOPE * 640 + OFFSET, rel=0.08)


@pytest.mark.parametrize(
    ("box", "confidence"),
    [
        (body(300, 400), 0.45),  # unsure
        ((0, 100, 60, 300), 0.9),  # cut off by the left edge
        ((700, 100, 767, 300), 0.9),
        ((300, 1, 360, 200), 0.9),
        ((300, 400, 360, 575), 0.9),
    ],
)
def test_unsure_and_clipped_boxes_teach_nothing(box: Box, confidence: float) -> None:
    bodies = Bodies(SIZE)
    for _ in range(300):
        bodies.learn(box, confidence)
    half = body(300, 400, shown=0.5)
    assert bodies.stand(1, half)[1] == half[3]


def test_the_line_is_drawn_after_its_lessons_and_not_before() -> None:
    rules, bodies = BodyRules(lessons=60), Bodies(SIZE)
    random = np.random.default_rng(1)
    half = body(300, 400, shown=0.5)
    for count in range(1, rules.lessons + 1):
        assert bodies.stand(1, half)[1] == half[3]
        bodies.learn(body(300, random.uniform(250, 550)), 0.9)
        assert count <= rules.lessons
    assert bodies.stand(1, half)[1] == pytest.approx(400, abs=3)


def test_people_all_in_one_row_teach_a_height_and_no_slope() -> None:
    bodies = Bodies(SIZE)
    for x in range(100, 160):
        bodies.learn(body(x, 400), 0.9)
    _, y, height = bodies.stand(1, body(300, 400, shown=0.5))
    assert (y, height) == pytest.approx((400, 140))


def test_a_line_steeper_than_any_floor_says_nothing() -> None:
    bodies, random = Bodies(SIZE), np.random.default_rng(2)
    for _ in range(100):  # a camera straight above: heights do not follow rows; here, absurdly, all heads in one row
        foot = random.uniform(150, 500)
        bodies.learn((300, 50, 340, foot), 0.9)
    box = (300.0, 50.0, 340.0, 80.0)
    assert bodies.stand(1, box) == (320, 80, 30)


def test_memory_is_bounded_however_long_the_day() -> None:
    rules, bodies = BodyRules(), Bodies(SIZE)
    for i in range(3000):
        bodies.learn(body(300, 250 + i % 300), 0.9)
        bodies.stand(i, body(300, 250 + i % 300))
        bodies.forget({i})
    assert len(bodies._samples) == rules.memory
    assert len(bodies._ratios) <= 1


def test_where_only_one_row_is_left_no_line_is_drawn_through_it() -> None:
    random = np.random.default_rng(3)
    one_row = np.column_stack([np.full(90, 300.0), 120 + random.normal(0, 0.5, 90)])
    wild = np.column_stack([random.uniform(100, 500, 8), random.uniform(300, 500, 8)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slope, offset = _fit(np.vstack([one_row, wild]))
    assert slope * 300 + offset == pytest.approx(120, abs=60)
