"""The hours in the log: what they count, and that they say nothing about one person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.hourly import HIDDEN, HOUR_US, LEAST, Hour, HourError, Hourly, band

START = 1_790_000_000_000_000 // HOUR_US * HOUR_US


def hours(camera: str = "ceiling") -> tuple[Hourly, list[Hour]]:
    out: list[Hour] = []
    return Hourly(camera, lambda hour, _: out.append(hour)), out


def test_bands_begin_at_five_and_meet() -> None:
    assert [band(n) for n in (0, 4, 5, 9, 10, 19, 20, 49, 50, 100, 1234)] == [
        *("0-4", "0-4", "5-9", "5-9", "10-19", "10-19", "20-49", "20-49", "50-99", "100-199", "1000-1999"),
    ]


@given(st.integers(0, 10**7))
def test_a_count_lies_in_its_band(count: int) -> None:
    low, high = (int(edge) for edge in band(count).split("-"))
    assert low <= count <= high
    assert high - low >= LEAST - 1


def test_an_hour_is_told_once_it_is_over() -> None:
    hourly, told = hours()
    for minute in range(61):
        hourly.see(START + minute * HOUR_US // 60, {minute % 7}, looks=False, expression=False)
    assert [(one.from_us, one.frames, one.tracks) for one in told] == [(START, 60, "5-9")]
    hourly.finish(START + HOUR_US)
    assert [(one.from_us, one.frames, one.tracks) for one in told[1:]] == [(START + HOUR_US, 1, "0-4")]
    hourly.finish(START + HOUR_US)
    assert len(told) == 2


@given(st.integers(0, 4), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_what_was_done_to_fewer_than_five_is_never_told(people: int, looks: int, reads: int, rows: int) -> None:
    """Whatever a few people caused reads like what nobody caused."""
    seen = []
    for n in (people, 0):
        hourly, told = hours()
        hourly.see(START, set(range(n)), looks=True, expression=True)
        for person in range(n):
            hourly.linked(START, person)
            hourly.looked(START, {person}, looks, reads)
            for _ in range(rows):
                hourly.wrote(START, person)
        hourly.finish(START + 1)
        seen.append(told[0])
    assert seen[0] == seen[1]
    assert (seen[0].rows, seen[0].looks, seen[0].expression) == (HIDDEN,) * 3


def test_what_was_done_to_five_is_a_band() -> None:
    hourly, told = hours()
    hourly.see(START, set(range(5)), looks=True, expression=True)
    for person in range(5):
        hourly.linked(START, person)
        hourly.wrote(START, person)
        hourly.looked(START, {person}, 30, 12)
    hourly.finish(START + 1)
    assert (told[0].links, told[0].rows, told[0].looks, told[0].expression) == ("5-9", "5-9", "100-199", "50-99")


def test_where_nothing_is_allowed_the_number_is_exact() -> None:
    hourly, told = hours()
    hourly.see(START, {1}, looks=False, expression=False)
    hourly.finish(START + 1)
    assert (told[0].rows, told[0].looks, told[0].expression) == ("0", "0", "0")
    hourly, told = hours()
    hourly.see(START, {1}, looks=False, expression=False)
    hourly.looked(START, {1}, 3, 0)  # what must not happen shows
    hourly.finish(START + 1)
    assert told[0].looks == "3"


def test_who_works_here_or_objected_is_left_out() -> None:
    hourly, told = hours()
    hourly.see(START, set(range(5)), looks=False, expression=False)
    hourly.forget(3)
    hourly.finish(START + 1)
    assert told[0].tracks == "0-4"


def test_an_hour_is_read_back_and_nothing_else_is() -> None:
    hourly, told = hours()
    hourly.see(START, {1}, looks=True, expression=False)
    hourly.finish(START + 1)
    details: dict[str, Any] = told[0].details()
    assert Hour.of({**details, "at_us": 3}) == told[0]
    assert "ceiling" not in str(details)
    with pytest.raises(HourError):
        Hour.of({"camera": "x"})
