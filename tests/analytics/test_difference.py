"""Differences of two figures: the interval follows from theirs, and looking at many makes nothing of noise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.difference import LEVEL, difference, holm
from analytics.lifetable import Quantile

Figures = st.tuples(st.floats(1, 100), st.floats(0.01, 0.9), st.floats(0.01, 3)).map(
    lambda f: Quantile(f[0], f[0] * (1 - f[1]), f[0] * (1 + f[2]))
)
Ps = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_a_clear_difference_of_which_the_interval_follows_by_pythagoras() -> None:
    found = difference(Quantile(11.0, 10.0, 12.0), Quantile(15.0, 13.5, 17.0))
    assert found.at == -4.0
    assert found.low == pytest.approx(-4 - math.hypot(1.0, 2.0))
    assert found.high == pytest.approx(-4 + math.hypot(1.0, 1.5))
    assert found.p < 0.001


@given(a=Figures, b=Figures)
def test_the_interval_leaves_out_zero_exactly_where_p_is_under_its_level(a: Quantile, b: Quantile) -> None:
    found = difference(a, b)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.at <= found.high  # type: ignore[operator]
    if abs(found.p - 0.05) > 1e-6:
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    back = difference(b, a)
    assert back.at == pytest.approx(-found.at)  # type: ignore[operator]
    assert back.p == pytest.approx(found.p)


def test_what_cannot_be_told_is_no_difference() -> None:
    known = Quantile(10.0, 9.0, 11.0)
    for unknown in (Quantile(None, None, None), Quantile(50.0, 40.0, None)):
        assert difference(unknown, known).p in (1.0, pytest.approx(0.0, abs=1e-6))
    assert difference(Quantile(None, None, None), known).at is None
    open_end = difference(Quantile(5.0, 4.0, None), known)
    assert open_end.high is None
    assert open_end.p == 1.0


@given(ps=Ps)
def test_many_looks_make_each_worth_less_and_keep_their_order(ps: list[float]) -> None:
    worth = holm(ps)
    assert all(p <= w <= 1 for p, w in zip(ps, worth, strict=True))
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    assert [worth[i] for i in order] == sorted(worth)
    assert (min(worth) < LEVEL) == (len(ps) * min(ps) < LEVEL)
