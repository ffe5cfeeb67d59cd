"""What is told of a visit in which a second head was noticed: nothing where it was sure, or where it was often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.body import Box
from analytics.expression import HOLD_US, Expression, Unread
from analytics.faces import Face
from analytics.model import SECOND
from analytics.reading import face_of
from analytics.row import CLASSES
from tests.analytics.test_expression import (
    ALONE,
    FACE,
    JOINTS,
    PICTURE,
    RULES,
    SHELF,
    Finds,
    joints,
    moved,
    sharp_picture,
)
from tests.retention.keeping import NOON

HAPPY, UNKNOWN = CLASSES.index("happy"), CLASSES.index("unknown")
HALF = SECOND // 2


class Sees:
    """Reads a smile in every look but some: in these it notices a second head."""

    def __init__(self, beside: Sequence[int], why: Unread) -> None:
        self._beside, self._why, self._looks = beside, why, 0

    def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int | Unread:
        self._looks += 1
        return self._why if self._looks - 1 in self._beside else HAPPY


def looked(*beside: int, seconds: int, why: Unread = Unread.BESIDE) -> Expression:
    """Return what was looked at twice a second, a second head noticed in the looks of these numbers."""
    one = Expression([SHELF], lambda: Sees(beside, why), allowed=lambda: True)
    one.load()
    for i in range(2 * seconds):
        one.look(NOON + i * HALF, 1, PICTURE, JOINTS, (0, 0, 1, 1), ())
    return one


def told(happy: int, unknown: int) -> tuple[int, ...]:
    return tuple({HAPPY: happy, UNKNOWN: unknown}.get(i, 0) for i in range(len(CLASSES)))


@pytest.mark.parametrize("look", [0, 7, 19])
def test_one_look_at_which_a_second_head_was_noticed_leaves_the_whole_visit_unknown(look: int) -> None:
    """The first look of a visit, one in its middle, and its last one."""
    one = looked(look, seconds=10)
    assert one.take(1, NOON, NOON + 10 * SECOND) == told(0, 20)


def test_a_visit_with_no_second_head_is_told_as_before() -> None:
    assert looked(seconds=10).take(1, NOON, NOON + 10 * SECOND) == told(20, 0)


@pytest.mark.parametrize(("beside", "happy"), [(1, 19), (5, 15), (9, 11), (10, 0), (15, 0)])
def test_a_head_that_is_perhaps_there_as_often_as_a_face_is_read_leaves_the_visit_unknown(
    beside: int, happy: int
) -> None:
    """Of twenty looks; who passes by in a few of them takes these alone."""
    one = looked(*range(beside), seconds=10, why=Unread.PERHAPS)
    assert one.take(1, NOON, NOON + 10 * SECOND) == told(happy, 20 - happy)


def test_what_was_perhaps_there_in_one_visit_says_nothing_of_the_next() -> None:
    one = looked(*range(20), seconds=20, why=Unread.PERHAPS)
    assert one.take(1, NOON, NOON + 10 * SECOND - 1) == told(0, 20)
    assert one.take(1, NOON + 10 * SECOND, NOON + 20 * SECOND) == told(20, 0)


def test_what_is_not_read_for_other_reasons_takes_no_other_look() -> None:
    one = looked(*range(15), seconds=10, why=Unread.OTHER)
    assert one.take(1, NOON, NOON + 10 * SECOND) == told(5, 15)


def test_what_began_within_a_minute_of_it_is_unknown_and_what_began_later_is_told() -> None:
    one = looked(4, seconds=100)  # noticed after two seconds
    noticed = NOON + 2 * SECOND
    assert one.take(1, noticed + HALF, noticed + 5 * SECOND) == told(0, 10)
    assert one.take(1, noticed + HOLD_US, noticed + HOLD_US + 5 * SECOND) == told(0, 11)
    assert one.take(1, noticed + HOLD_US + 1, noticed + HOLD_US + 5 * SECOND) == told(10, 0)


def test_it_holds_from_when_it_was_last_noticed() -> None:
    one = looked(4, 100, seconds=120)  # after two seconds and after fifty
    assert one.take(1, NOON + 70 * SECOND, NOON + 75 * SECOND) == told(0, 11)


def test_a_visit_that_had_ended_before_is_told() -> None:
    assert looked(19, seconds=10).take(1, NOON, NOON + 9 * SECOND) == told(19, 0)


def test_it_holds_for_that_person_alone() -> None:
    one = looked(0, seconds=5)
    for i in range(10):
        one.look(NOON + i * HALF, 2, PICTURE, JOINTS, (0, 0, 1, 1), ())
    assert one.take(2, NOON, NOON + 5 * SECOND) == told(10, 0)
    assert one.take(1, NOON, NOON + 5 * SECOND) == told(0, 10)


def test_it_ends_with_what_is_forgotten() -> None:
    one = looked(0, seconds=5)
    one.forget(())
    one.look(NOON + 10 * SECOND, 1, PICTURE, JOINTS, (0, 0, 1, 1), ())
    assert one.take(1, NOON + 10 * SECOND, NOON + 11 * SECOND) == told(1, 0)


@pytest.mark.parametrize(("score", "why"), [(0.3, Unread.PERHAPS), (0.49, Unread.PERHAPS), (0.5, Unread.BESIDE)])
def test_what_is_as_sure_as_a_face_that_may_be_read_is_surely_a_second_one(score: float, why: Unread) -> None:
    assert face_of(sharp_picture(), joints(), [], Finds(FACE, moved(FACE, 70, 0, score)), ALONE, RULES) is why


def test_what_only_the_closer_looks_take_for_a_face_is_never_surely_one() -> None:
    class Close(Finds):
        def find(self, image: NDArray[np.uint8], area: tuple[int, int, int, int], *, least: float) -> list[Face]:
            whole = area[2] - area[0] > RULES.close * 24 + 2  # an eye distance is 24 pixels
            return [FACE] if whole else super().find(image, area, least=least)

    assert not isinstance(face_of(sharp_picture(), joints(), [], Close(FACE), ALONE, RULES), Unread)
    assert face_of(sharp_picture(), joints(), [], Close(FACE, moved(FACE, 60, 60)), ALONE, RULES) is Unread.PERHAPS
