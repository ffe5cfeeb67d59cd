"""Bins lie on the store's clock, and their length follows from what was released before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.bins import DAY, HOUR, LENGTHS, WEEK, Choice, Plan, bin_of, choose, local
from analytics.figures import Audience, Figure

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu", "Africa/Cairo")
INSTANTS = st.integers(1_600_000_000_000_000, 2_000_000_000_000_000)


@given(t_us=INSTANTS, length=st.sampled_from(LENGTHS), tz=st.sampled_from(ZONES))
def test_every_instant_lies_in_one_bin_and_bins_touch(t_us: int, length: int, tz: str) -> None:
    start, end = bin_of(t_us, length, tz)
    assert start <= t_us < end
    assert bin_of(start, length, tz) == bin_of(end - 1, length, tz) == (start, end)
    assert bin_of(end, length, tz)[0] == end
    assert bin_of(start - 1, length, tz)[1] == start


@given(t_us=INSTANTS, length=st.sampled_from(LENGTHS[:3]), tz=st.sampled_from(ZONES))
def test_no_bin_of_a_day_or_less_reaches_over_midnight(t_us: int, length: int, tz: str) -> None:
    start, end = bin_of(t_us, length, tz)
    assert local(start, tz).date() == local(end - 1, tz).date()


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_the_clock_changes_holds_whole_bins(day: str, hours: int) -> None:
    noon = int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * 1_000_000
    start, end = bin_of(noon, DAY, "Europe/Berlin")
    assert end - start == hours * HOUR
    count, at = 0, start
    while at < end:
        at = bin_of(at, HOUR, "Europe/Berlin")[1]
        count += 1
    assert at == end
    assert count == hours


def test_a_week_begins_on_monday() -> None:
    start, _ = bin_of(1_795_071_600_000_000, WEEK, "Europe/Berlin")
    assert local(start, "Europe/Berlin").isoformat() == "2026-11-16T00:00:00+01:00"


def test_there_is_no_other_length() -> None:
    with pytest.raises(ValueError, match="1 h, 3 h, a day or a week"):
        bin_of(0, 2 * HOUR, "UTC")


def spans(people: Sequence[float], length: int = HOUR) -> list[tuple[int, int, float]]:
    start = bin_of(1_795_071_600_000_000, DAY, "UTC")[0]
    return [(start + i * length, start + (i + 1) * length, n) for i, n in enumerate(people)]


def test_the_shortest_length_that_passes_nine_times_in_ten_is_taken() -> None:
    assert choose(spans([5] * 18 + [0, 4]), 5, longest_us=WEEK, tz="UTC") == HOUR  # 18 of 20
    assert choose(spans([5] * 17 + [4, 4, 4]), 5, longest_us=WEEK, tz="UTC") == 3 * HOUR
    assert choose(spans([1] * 24), 5, longest_us=WEEK, tz="UTC") == DAY
    assert choose(spans([0.1] * 24), 5, longest_us=WEEK, tz="UTC") == WEEK


def test_a_merged_cell_is_not_taken_for_hours_that_passed() -> None:
    assert choose(spans([6] * 8, 3 * HOUR), 5, longest_us=DAY, tz="UTC") == 3 * HOUR


def test_a_suppressed_stretch_counts_against_a_length() -> None:
    assert choose([(*s[:2], 0.0) for s in spans([0] * 24)], 5, longest_us=DAY, tz="UTC") == DAY


def test_a_length_holds_from_its_monday_and_not_before() -> None:
    line = (Audience.CONSENTING, Figure.DWELL, "c", "z")
    monday = bin_of(1_795_071_600_000_000, WEEK, "UTC")[0]
    plan = Plan((Choice(*line, monday + WEEK, DAY), Choice(*line, monday, 3 * HOUR)))
    assert [plan.length(*line, t) for t in (monday - 1, monday, monday + WEEK - 1, monday + WEEK)] == [
        HOUR,
        3 * HOUR,
        3 * HOUR,
        DAY,
    ]
    assert plan.length(Audience.EVERYBODY, *line[1:], monday) == HOUR


def test_bins_that_live_in_memory_are_no_longer_than_a_day() -> None:
    with pytest.raises(ValueError, match="everybody bins"):
        Choice(Audience.EVERYBODY, Figure.VISITS, "c", "z", 0, WEEK)
