"""Two periods: a difference is called one as seldom as promised where there is none, and found where there is."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.comparison import FEWEST_DAYS, Daily, compare
from analytics.difference import LEVEL, holm

FIRST = date(2026, 9, 14)  # a Monday
WEEKDAYS = (0.85, 0.8, 0.9, 1.0, 1.25, 1.4)
HOURS = 11


def counted(rng: random.Random, mean: float) -> int:
    """Draw the visits of a day as they are released: Poisson an hour, each hour rounded to 5 without bias."""
    total = 0
    for _ in range(HOURS):
        limit, n, product_ = math.exp(-mean / HOURS), 0, rng.random()
        while product_ > limit:
            n, product_ = n + 1, product_ * rng.random()
        total += n - n % 5 + (5 if rng.random() < n % 5 / 5 else 0)
    return total


def weeks(rng: random.Random, *, mean: float, unlike: float, change: float = 1.0) -> tuple[dict[date, Daily], ...]:
    """Draw two weeks and two more, closed on Sundays; days differ by more than chance, later ones by a factor, too."""
    sides: tuple[dict[date, Daily], ...] = ({}, {})
    for i in range(28):
        day = FIRST + timedelta(days=i)
        if day.weekday() == 6:
            continue
        later = i >= 14
        n = counted(rng, mean * WEEKDAYS[day.weekday()] * math.exp(rng.gauss(0, unlike)) * (change if later else 1))
        if n:
            sides[later][day] = Daily(n, 6.25 * HOURS / n**2)
    return sides


@pytest.mark.parametrize("mean", [40, 200])
def test_where_there_is_no_difference_one_is_called_no_oftener_than_promised(mean: float) -> None:
    rng = random.Random(7)
    times = 1500
    called = sum(compare(*weeks(rng, mean=mean, unlike=0.1)).p <= LEVEL for _ in range(times))
    # 0.0125 above the promise is 2.2 standard deviations of this simulation
    assert called / times <= LEVEL + 0.0125


def test_taking_each_visit_for_a_trial_would_call_it_far_oftener() -> None:
    """What the test guards against does happen in these weeks: the control without which the one above says little."""
    rng = random.Random(7)
    called = 0
    for _ in range(300):
        before, after = (sum(one.value for one in side.values()) for side in weeks(rng, mean=200, unlike=0.1))
        called += abs(after - before) / math.sqrt(after + before) > 1.96
    assert called / 300 > 3 * LEVEL


def test_a_page_of_many_comparisons_calls_one_as_seldom_as_promised() -> None:
    rng = random.Random(11)
    called = 0
    for _ in range(150):
        worth = holm([compare(*weeks(rng, mean=120, unlike=0.1)).p for _ in range(12)])
        called += min(worth) <= LEVEL
    assert called / 150 <= LEVEL + 0.045  # 2.5 standard deviations


def test_a_real_difference_is_found_and_its_interval_holds_it() -> None:
    rng = random.Random(3)
    found = held = 0
    for _ in range(200):
        change = compare(*weeks(rng, mean=200, unlike=0.1, change=1.3))
        assert change.low is not None
        assert change.high is not None
        found += change.p <= LEVEL
        held += change.low <= 1.3 <= change.high
    assert found / 200 > 0.95
    assert 0.91 <= held / 200 <= 0.99


def permuted(before: Mapping[date, Daily], after: Mapping[date, Daily]) -> float:
    """Return the exact p of exchanging the two days of each weekday: slow, obvious, free of any distribution."""
    pairs = [
        (math.log(before[day].value), math.log(after[day + timedelta(days=7)].value)) for day in before
    ]  # one week each
    at = abs(sum(b - a for a, b in pairs))
    signs = list(product((1, -1), repeat=len(pairs)))
    moved = [abs(sum(s * (b - a) for s, (a, b) in zip(sign, pairs, strict=True))) for sign in signs]
    return sum(m >= at - 1e-9 for m in moved) / len(signs)


def test_it_agrees_with_the_permutation_of_days() -> None:
    rng = random.Random(5)
    both = []
    for _ in range(60):
        days = [FIRST + timedelta(days=i) for i in range(14) if i % 7 != 6]
        shift = rng.choice((0.0, 0.15))
        values = {
            day: Daily(100 * WEEKDAYS[day.weekday()] * math.exp(rng.gauss(0, 0.1) + shift * (i >= 6)))
            for i, day in enumerate(days)
        }
        before = {day: one for day, one in values.items() if day < FIRST + timedelta(days=7)}
        after = {day: one for day, one in values.items() if day >= FIRST + timedelta(days=7)}
        both.append((compare(before, after).p, permuted(before, after)))
    # 64 arrangements: their p comes in steps of 1/32
    assert sum(abs(a - b) for a, b in both) / len(both) < 0.04
    assert max(abs(a - b) for a, b in both) < 0.15


days_of = st.dictionaries(
    st.integers(0, 27).map(lambda i: FIRST + timedelta(days=i)),
    st.floats(0.1, 1e6).map(lambda v: Daily(v, 0.001)),
    min_size=1,
)


@settings(max_examples=150, deadline=None)
@given(days_of)
def test_exchanging_the_periods_turns_the_ratio_over_and_scale_does_not_matter(days: dict[date, Daily]) -> None:
    before = {day: one for day, one in days.items() if day < FIRST + timedelta(days=14)}
    after = {day: one for day, one in days.items() if day >= FIRST + timedelta(days=14)}
    there, back = compare(before, after), compare(after, before)
    assert there.days == back.days[::-1]
    assert there.left_out == back.left_out
    assert there.p == pytest.approx(back.p, abs=1e-9)
    bigger = compare(*({d: Daily(3 * v.value, v.noise) for d, v in side.items()} for side in (before, after)))
    if there.ratio is None:
        assert back.ratio is bigger.ratio is None
        assert there.p == 1.0
        return
    assert there.low is not None
    assert there.high is not None
    assert there.low <= there.ratio <= there.high
    assert back.ratio == pytest.approx(1 / there.ratio, rel=1e-6)
    assert bigger.ratio == pytest.approx(there.ratio, rel=1e-6)
    assert (there.p <= 0.05) == (not there.low <= 1 <= there.high) or there.p == pytest.approx(0.05, abs=1e-3)


def test_weekdays_are_held_level() -> None:
    """Three Saturdays before, three Mondays after: nothing can be told; with both on both sides, only the change."""
    saturdays = {FIRST + timedelta(days=5 + 7 * i): Daily(140) for i in range(4)}
    mondays = {FIRST + timedelta(days=28 + 7 * i): Daily(80) for i in range(4)}
    change = compare(saturdays, mondays)
    assert change.ratio is None
    assert change.left_out == 8
    mixed_before = {**saturdays, FIRST: Daily(80.0), FIRST + timedelta(days=7): Daily(80.0)}
    mixed_after = {
        **{FIRST + timedelta(days=28 + 7 * i): Daily(88.0) for i in range(4)},
        FIRST + timedelta(days=33): Daily(154.0),
        FIRST + timedelta(days=40): Daily(154.0),
    }
    change = compare(mixed_before, mixed_after)
    assert change.ratio == pytest.approx(1.1)
    assert change.left_out == 0


def test_too_few_days_tell_nothing() -> None:
    before = {FIRST + timedelta(days=i): Daily(100.0) for i in range(FEWEST_DAYS - 1)}
    after = {FIRST + timedelta(days=7 + i): Daily(300.0) for i in range(FEWEST_DAYS - 1)}
    change = compare(before, after)
    assert (change.ratio, change.p, change.days) == (None, 1.0, (3, 3))
    assert compare({}, {}).before is None


def test_days_that_happen_to_be_alike_are_no_certainty() -> None:
    """Counts rounded to 5 can agree to the last digit; the rounding alone would scatter them."""
    before = {FIRST + timedelta(days=i): Daily(10, 6.25 / 100) for i in range(6)}
    after = {FIRST + timedelta(days=7 + i): Daily(11, 6.25 / 121) for i in range(6)}
    assert compare(before, after).p > 0.2


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="both periods"):
        compare({FIRST: Daily(1)}, {FIRST: Daily(2)})
    with pytest.raises(ValueError, match="above zero"):
        compare({FIRST: Daily(0)}, {FIRST + timedelta(days=1): Daily(2)})
