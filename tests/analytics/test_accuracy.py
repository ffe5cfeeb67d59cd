"""The scorer held against cases worked out by hand, and against trying every pairing."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.accuracy import MATCH_IOU, Stay, match, score


def stays(*spans: tuple[float, float], zone: str = "shelf") -> list[Stay]:
    return [Stay(zone, *span) for span in spans]


def test_the_same_visits_score_full_marks() -> None:
    true = stays((0, 4), (10, 11), (2, 9))
    got = score(true, list(reversed(true)))
    assert (got.f1, got.precision, got.recall, got.matched) == (1, 1, 1, 3)
    assert (got.dwell_error_s, got.total_dwell_error, got.count_error, got.count_error_gross_15min) == (0, 0, 0, 0)


def test_figures_of_a_case_worked_out_by_hand() -> None:
    true = stays((0, 10), (20, 30), (40, 50))
    measured = stays((0, 8), (21, 31), (60, 70), (80, 90))
    got = score(true, measured)
    assert got.matched == 2  # IoU 0.8 and 9/11
    assert got.precision == pytest.approx(2 / 4)
    assert got.recall == pytest.approx(2 / 3)
    assert got.f1 == pytest.approx(4 / 7)
    assert got.dwell_error_s == pytest.approx((2 + 0) / 2)
    assert got.total_dwell_error == pytest.approx((38 - 30) / 30)
    assert got.count_error == pytest.approx(1 / 3)
    assert got.count_error_gross_15min == pytest.approx(1 / 3)


@pytest.mark.parametrize(("leave", "matched"), [(5.0, 1), (4.99, 0)])
def test_half_is_enough_and_less_is_not(leave: float, matched: int) -> None:
    assert MATCH_IOU == 0.5
    assert score(stays((0, 10)), stays((0, leave))).matched == matched


def test_visits_of_two_zones_never_match() -> None:
    assert score(stays((0, 10)), stays((0, 10), zone="till")).matched == 0


def test_one_measured_visit_answers_for_one_true_visit_only() -> None:
    assert score(stays((0, 10), (0, 10)), stays((0, 10))).matched == 1


def test_a_visit_torn_in_two_counts_once_at_most() -> None:
    got = score(stays((0, 10)), stays((0, 6), (6, 10)))
    assert (got.matched, got.measured) == (1, 2)
    assert got.f1 == pytest.approx(2 / 3)


def test_the_pairing_is_the_one_with_the_largest_overlap_not_the_first_found() -> None:
    true, measured = stays((0, 10), (4, 14)), stays((3, 13), (0, 9))
    assert sorted(match(true, measured)) == [(0, 1), (1, 0)]


def test_too_many_in_one_quarter_hour_and_too_few_in_the_next_do_not_cancel_out() -> None:
    got = score(stays((100, 110), (1000, 1010)), stays((100, 110), (200, 210)))
    assert got.count_error == 0
    assert got.count_error_gross_15min == pytest.approx(1.0)


def test_nothing_true_and_nothing_measured_is_right() -> None:
    got = score([], [])
    assert (got.f1, got.precision, got.recall) == (1, 1, 1)
    assert (got.dwell_error_s, got.total_dwell_error, got.count_error, got.count_error_gross_15min) == (None,) * 4


def test_nothing_measured_of_something_true_is_nought() -> None:
    got = score(stays((0, 10)), [])
    assert (got.f1, got.recall, got.total_dwell_error, got.dwell_error_s) == (0, 0, -1, None)


def test_something_measured_of_nothing_true_is_nought() -> None:
    got = score([], stays((0, 10)))
    assert (got.f1, got.precision, got.total_dwell_error) == (0, 0, None)


def test_a_stay_of_no_length_matches_nothing() -> None:
    assert match(stays((5, 5)), stays((5, 5))) == []


@pytest.mark.parametrize("span", [(5.0, 4.0), (float("nan"), 4.0), (1.0, float("nan"))])
def test_a_stay_that_ends_before_it_starts_is_none(span: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a stay in 'shelf' ends before it starts"):
        stays(span)


@pytest.mark.parametrize("span", [(-1.0, 4.0), (1.0, float("inf"))])
def test_a_stay_outside_the_clip_is_none(span: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a stay in 'shelf' lies outside the clip"):
        stays(span)


def test_the_figures_go_out_by_name() -> None:
    assert set(score([], []).as_dict()) == {
        *("true", "measured", "matched", "precision", "recall", "f1"),
        *("dwell_error_s", "total_dwell_error", "count_error", "count_error_gross_15min"),
    }


SPANS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 15)).map(lambda s: (float(s[0]), float(s[0] + s[1]))), max_size=4
)


@given(SPANS, SPANS)
def test_no_other_pairing_overlaps_more(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> None:
    true, measured = stays(*one), stays(*other)

    def iou(i: int, j: int) -> float:
        (a, b), (c, d) = one[i], other[j]
        shared = max(0.0, min(b, d) - max(a, c))
        return shared / (b - a + d - c - shared)

    pairs = match(true, measured)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(iou(i, j) >= 0.5 for i, j in pairs)
    best, blanks = 0.0, [*range(len(other)), *[None] * len(one)]
    for partner in set(permutations(blanks, len(one))):
        worth = (iou(i, j) for i, j in enumerate(partner) if j is not None and iou(i, j) >= 0.5)
        best = max(best, sum(worth))
    assert sum(iou(i, j) for i, j in pairs) == pytest.approx(best)


@given(SPANS, SPANS)
def test_swapping_truth_and_measurement_swaps_precision_and_recall(
    one: list[tuple[float, float]], other: list[tuple[float, float]]
) -> None:
    there, back = score(stays(*one), stays(*other)), score(stays(*other), stays(*one))
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert there.f1 == pytest.approx(back.f1)
