"""Medians, curves and shares from released histograms, held against `lifelines` on the times themselves."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from lifelines.utils import qth_survival_time

from analytics.lifetable import BINS, EDGES_US, bin_index
from analytics.model import SECOND
from analytics.survival import Times, _band, _estimate, _placed, _shrink_outcome, curve, days, incidence, quantile
from retention.rounding import round_counts

TRUE_S = 12.0
Stay = tuple[float, int]  # seconds, outcome; 0: lost

Counts = st.lists(st.integers(0, 60), min_size=BINS, max_size=BINS).map(tuple)


def histogram(known: Sequence[Stay], outcomes: int = 1, cells: int = 0) -> Times:
    rows = [[0] * BINS for _ in range(outcomes + 1)]
    for seconds, outcome in known:
        rows[outcome][bin_index(int(seconds * SECOND))] += 1
    lost, *ended = map(tuple, rows)
    return Times(tuple(ended), lost, cells)


def rounded(times: Times, draw: float) -> Times:
    """As a cell of it is released."""
    flat = [n for column in zip(*times.ended, times.lost, strict=True) for n in column]
    kinds = len(times.ended) + 1
    out = round_counts(flat, draw)
    *ended, lost = (out[kind::kinds] for kind in range(kinds))
    return Times(tuple(ended), lost, 1)


def stays(seed: int, n: int, loss: float, longer: float = 1.0) -> list[Stay]:
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        stay, lost = longer * TRUE_S * math.exp(rng.gauss(0, 0.9)), rng.expovariate(loss) if loss else math.inf
        out.append((max(2.0, min(stay, lost)), 0 if lost < stay else 1))
    return out


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_quantile_agrees_with_kaplan_and_meier_on_the_stays(loss: float, share: float) -> None:
    known = stays(1, 4000, loss)
    fit = KaplanMeierFitter().fit([s for s, _ in known], [o for _, o in known])
    found = quantile(histogram(known), share)
    assert found.at == pytest.approx(qth_survival_time(1 - share, fit.survival_function_), rel=0.03)
    band = fit.confidence_interval_
    ends = sorted(qth_survival_time(1 - share, band[column]) for column in band.columns)
    assert [found.low, found.high] == pytest.approx(ends, rel=0.04)


def test_counting_lost_stays_as_ended_would_be_biased_short() -> None:
    known = stays(2, 4000, 0.05)
    right, wrong = quantile(histogram(known), 0.5).at, quantile(histogram([(s, 1) for s, _ in known]), 0.5).at
    assert right is not None
    assert wrong is not None
    assert right > 1.2 * wrong


@pytest.mark.parametrize(("n", "cells", "loss"), [(20, 6, 0.0), (20, 30, 0.01), (100, 1, 0.02), (150, 5, 0.03)])
def test_the_interval_of_rounded_cells_holds_the_true_median_as_often_as_it_says(
    n: int, cells: int, loss: float
) -> None:
    rng, held, runs = random.Random(n), 0, 120
    for run in range(runs):
        parts = [rounded(histogram(stays(1000 * run + cell, n, loss)), rng.random()) for cell in range(cells)]
        sums = [
            tuple(map(sum, zip(*rows, strict=True))) for rows in zip(*((*p.ended, p.lost) for p in parts), strict=True)
        ]
        found = quantile(Times((sums[0],), sums[1], cells), 0.5)
        held += (found.low or 0.0) <= TRUE_S <= (found.high or math.inf)
    assert held >= 0.92 * runs


def test_rounding_and_unlike_days_widen_the_interval_and_leave_the_estimate() -> None:
    plain = histogram(stays(3, 300, 0.01))
    for wider in (replace(plain, cells=12), replace(plain, spread=2.0)):
        a, b = quantile(plain, 0.5), quantile(wider, 0.5)
        assert a.at == b.at
        assert None not in (a.low, a.high, b.low, b.high)
        assert b.low < a.low < a.high < b.high  # type: ignore[operator]


def test_what_was_not_reached_is_not_guessed() -> None:
    ended, lost = [0] * BINS, [0] * BINS
    ended[0], lost[6] = 2, 98
    assert quantile(Times((tuple(ended),), tuple(lost)), 0.5).at is None
    empty = Times(((0,) * BINS,), (0,) * BINS)
    assert quantile(empty, 0.5).at is None
    assert incidence(empty, 0).share is None


def test_a_time_in_the_last_bin_is_known_to_be_longer_and_no_more() -> None:
    ended = (0,) * (BINS - 1) + (50,)
    assert quantile(Times((ended,), (0,) * BINS), 0.5).at is None


@given(ended=Counts, lost=Counts)
@settings(max_examples=60, deadline=None)
def test_a_median_lies_in_the_bin_where_the_product_limit_falls_below_a_half(
    ended: tuple[int, ...], lost: tuple[int, ...]
) -> None:
    def crossing(late: bool) -> float:
        """Product limit at the edges, all losses of a bin before its ends or after them."""
        risk, still = sum(ended) + sum(lost), 1.0
        for i in range(BINS - 1):
            exposed = risk - (0 if late else lost[i])
            still *= 1 - ended[i] / exposed if exposed else 1.0
            if still <= 0.5:
                return i
            risk -= ended[i] + lost[i]
        return math.inf

    found = quantile(Times((ended,), lost), 0.5)
    first, last = crossing(late=False), crossing(late=True)
    if found.at is None:
        assert math.isinf(last)
    else:
        assert first <= bin_index(int(found.at * SECOND)) <= last
        assert found.low is None or found.low <= found.at
        assert found.high is None or found.at <= found.high


@given(ended=Counts, lost=Counts, shrink=st.floats(1.0, 20.0))
@settings(max_examples=25, deadline=None)
def test_the_curve_falls_and_lies_within_its_band(ended: tuple[int, ...], lost: tuple[int, ...], shrink: float) -> None:
    if not any((*ended, *lost)):
        return
    found = curve(Times((ended,), lost, spread=shrink))
    assert list(found.seconds) == sorted(set(found.seconds))
    assert list(found.share) == sorted(found.share, reverse=True)
    for low, share, high in zip(found.low, found.share, found.high, strict=True):
        assert low <= share <= high


def outcomes(seed: int, n: int, loss: float) -> list[Stay]:
    """Who goes without a touch goes early; who takes something takes their time."""
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        kind = rng.choices((1, 2, 3), (5, 2, 3))[0]
        at = {1: 14.0, 2: 20.0, 3: 7.0}[kind] * math.exp(rng.gauss(0, 0.5))
        lost = rng.expovariate(loss) if loss else math.inf
        out.append((max(2.0, min(at, lost)), 0 if lost < at else kind))
    return out


@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_shares_by_outcome_agree_with_aalen_and_johansen_on_the_times(loss: float) -> None:
    known = outcomes(1, 3000, loss)
    for kind in (1, 2, 3):
        found = incidence(histogram(known, 3), kind - 1)
        fit = AalenJohansenFitter(calculate_variance=False, seed=1).fit(
            [s + i * 1e-9 for i, (s, _) in enumerate(known)], [o for _, o in known], event_of_interest=kind
        )
        assert found.share == pytest.approx(fit.cumulative_density_.iloc[-1, 0], abs=0.01)
        assert found.low is not None
        assert found.high is not None
        assert found.low < {1: 0.5, 2: 0.2, 3: 0.3}[kind] < found.high


def test_no_touch_is_a_competing_outcome_and_not_censoring() -> None:
    times = histogram(outcomes(2, 3000, 0.02), 3)
    taken = incidence(times, 0)
    censoring_it = Times(
        (times.ended[0],), tuple(a + b + c for a, b, c in zip(*times.ended[1:], times.lost, strict=True))
    )
    assert taken.share is not None
    assert taken.share < 0.55
    assert 1 - curve(censoring_it).share[-1] > 0.7  # what Kaplan and Meier would promise of it
    assert sum(incidence(times, kind).share or 0 for kind in range(3)) == pytest.approx(
        1 - curve(times).share[-1], abs=0.02
    )


def test_counts_of_two_outcomes_in_one_bin_need_no_chance() -> None:
    times = histogram(outcomes(3, 200, 0.02), 3)
    incidence.cache_clear()
    first = incidence(times, 1)
    incidence.cache_clear()
    assert incidence(times, 1) == first


def test_alike_days_are_seen_to_be_alike_and_unlike_ones_not() -> None:
    alike = [histogram(stays(seed, 200, 0.01)) for seed in range(7)]
    unlike = [histogram(stays(seed, 200, 0.01, longer=math.exp(0.3 * (seed - 3)))) for seed in range(7)]
    assert 1.0 <= days(alike) < 2.0
    assert days(unlike) > 5.0
    assert days(unlike) == pytest.approx(days(unlike[::-1]))
    assert days(unlike[:2]) == 1.0
    assert days([histogram([])] * 5) == 1.0


def test_a_histogram_of_another_form_is_refused() -> None:
    for ended, lost in (((1,), (1,)), ((-1,) + (0,) * (BINS - 1), (0,) * BINS)):
        with pytest.raises(ValueError, match="bins of counts"):
            Times((ended,), lost)
    with pytest.raises(ValueError, match="spread"):
        Times(((0,) * BINS,), (0,) * BINS, spread=0.5)
    with pytest.raises(ValueError, match="no cells"):
        Times.of([])


def test_the_curve_ends_where_the_last_edge_is() -> None:
    assert curve(histogram(stays(4, 500, 0.01))).seconds[-1] <= EDGES_US[-1] / SECOND


@pytest.mark.parametrize(("seed", "n", "loss"), [(1, 40, 0.0), (2, 300, 0.05), (3, 4000, 0.02), (4, 25, 0.4)])
def test_the_arithmetic_is_that_of_the_library(seed: int, n: int, loss: float) -> None:
    times = histogram(outcomes(seed, n, loss), 3, cells=1)
    for shrink in (1.0, 0.3):
        at, ending, weights = _placed(times, shrink)
        fit = KaplanMeierFitter().fit(at, ending > 0, weights=weights)
        seconds, low, high = _band(times, shrink, 0.05)
        assert seconds.tolist() == fit.timeline.tolist()
        assert low.tolist() == pytest.approx(fit.confidence_interval_.iloc[:, 0].tolist(), rel=1e-9)
        assert high.tolist() == pytest.approx(fit.confidence_interval_.iloc[:, 1].tolist(), rel=1e-9)
        if shrink == 1.0:
            assert _estimate(times)[1].tolist() == pytest.approx(fit.survival_function_.iloc[:, 0].tolist(), rel=1e-9)


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
@pytest.mark.parametrize(("seed", "n", "loss"), [(1, 60, 0.0), (2, 300, 0.05), (3, 4000, 0.02)])
def test_the_arithmetic_of_shares_is_that_of_the_library(seed: int, n: int, loss: float) -> None:
    times = histogram(outcomes(seed, n, loss), 3, cells=1)
    for outcome in range(3):
        at, ending, weights = _placed(times, _shrink_outcome(times, outcome), 6)
        fit = AalenJohansenFitter().fit(at, ending, event_of_interest=outcome + 1, weights=weights)
        low, high = sorted(fit.confidence_interval_.dropna().iloc[-1].tolist())
        found, share = incidence(times, outcome), float(fit.cumulative_density_.iloc[-1, 0])
        assert found.share == pytest.approx(share, rel=1e-9)
        assert found.low == pytest.approx(min(low, share), rel=1e-9)
        assert found.high == pytest.approx(max(high, share), rel=1e-9)
