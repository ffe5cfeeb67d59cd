"""Quantiles from a histogram with censored stays, held against lifelines and against the stays themselves."""

from __future__ import annotations

import math
import random

import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import qth_survival_time

from analytics.lifetable import BINS, EDGES_US, LifeTable, bin_index
from analytics.model import SECOND


def histogram(stays: list[tuple[float, bool]]) -> tuple[list[int], list[int]]:
    ended, lost = [0] * BINS, [0] * BINS
    for seconds, censored in stays:
        (lost if censored else ended)[bin_index(int(seconds * SECOND))] += 1
    return ended, lost


def stays(seed: int, n: int, loss: float) -> list[tuple[float, bool]]:
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        stay, lost = 12 * math.exp(rng.gauss(0, 0.9)), rng.expovariate(loss) if loss else math.inf
        out.append((max(2.0, min(stay, lost)), lost < stay))
    return out


def test_edges_are_fixed_for_ever() -> None:
    assert [round(e / SECOND, 2) for e in EDGES_US[:5]] == [2, 2.83, 4, 5.66, 8]
    assert EDGES_US[-1] == 8192 * SECOND


@pytest.mark.parametrize("i", range(BINS))
def test_an_edge_belongs_to_the_bin_above_it(i: int) -> None:
    assert bin_index(EDGES_US[i]) == i
    assert bin_index(EDGES_US[i] - 1) == max(0, i - 1)


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05])
def test_median_and_p90_agree_with_kaplan_meier_on_the_stays(loss: float) -> None:
    known = stays(1, 4000, loss)
    table = LifeTable.of(*histogram(known))
    fit = KaplanMeierFitter().fit([s for s, _ in known], [not c for _, c in known])
    assert table.quantile(0.5).at == pytest.approx(qth_survival_time(0.5, fit.survival_function_), rel=0.05)
    assert table.quantile(0.9).at == pytest.approx(qth_survival_time(0.1, fit.survival_function_), rel=0.07)


def test_counting_lost_stays_as_ended_would_be_biased_short() -> None:
    known = stays(2, 4000, 0.05)
    ended, lost = histogram(known)
    right = LifeTable.of(ended, lost).quantile(0.5).at
    wrong = LifeTable.of([a + b for a, b in zip(ended, lost, strict=True)], [0] * BINS).quantile(0.5).at
    assert right is not None
    assert wrong is not None
    assert right > 1.2 * wrong


def test_the_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        point = LifeTable.of(*histogram(stays(seed, 150, 0.01))).quantile(0.5)
        assert point.low is not None
        assert point.high is not None
        hits += point.low <= 12 <= point.high
    assert 180 <= hits <= 199


def test_rounding_noise_widens_the_interval() -> None:
    ended, lost = histogram(stays(3, 300, 0.01))
    plain, noisy = LifeTable.of(ended, lost).quantile(0.5), LifeTable.of(ended, lost, noise=400).quantile(0.5)
    assert noisy.low is not None
    assert plain.low is not None
    assert noisy.low < plain.low
    assert noisy.at == plain.at


def test_what_was_not_reached_is_not_guessed() -> None:
    ended, lost = [0] * BINS, [0] * BINS
    ended[0], lost[6] = 2, 98
    assert LifeTable.of(ended, lost).quantile(0.5).at is None
    assert LifeTable.of([0] * BINS, [0] * BINS).quantile(0.5).at is None


def test_a_histogram_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="bins of counts"):
        LifeTable.of([1], [1])
    with pytest.raises(ValueError, match="bins of counts"):
        LifeTable.of([-1] + [0] * (BINS - 1), [0] * BINS)
