"""One number a day: of whole days only, and the same median that the pages show of a longer time."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.bins import HOUR
from analytics.days import Measure, by_zone, median, whole
from analytics.lifetable import BINS, bin_index
from analytics.model import SECOND
from analytics.pages.accuracy import by_camera
from analytics.pages.choice import Choice
from analytics.released import Cell
from analytics.survival import Times, quantile

TZ = "Europe/Berlin"
MONDAY = date(2026, 9, 14)


def at(day: date, hour: float) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(TZ))
    return round((midnight.timestamp() + 3600 * hour) * SECOND)


def cell(day: date, start: float, end: float, counts: tuple[int, ...], *, zone: str = "tea") -> Cell:
    return spanning(at(day, start), at(day, end), counts, zone)


def spanning(start_us: int, end_us: int, counts: tuple[int, ...], zone: str = "tea") -> Cell:
    return Cell(
        rule="1",
        camera="ceiling",
        zone=zone,
        kind="product",
        start_us=start_us,
        end_us=end_us,
        bin_us=HOUR,
        k=5,
        unit="tracks",
        suppressed=False,
        n=sum(counts),
        people=sum(counts),
        counts=counts,
        observed_us=end_us - start_us,
        open_us=end_us - start_us,
    )


def suppressed(one: Cell) -> Cell:
    return replace(one, suppressed=True, n=None, people=None, counts=())


def times(rng: random.Random, typical: float, n: int, lost: float) -> tuple[int, ...]:
    counts = [0] * (2 * BINS)
    for _ in range(n):
        length = int(max(2.0, typical * math.exp(rng.gauss(0, 0.8))) * SECOND)
        if rng.random() < lost:
            counts[2 * bin_index(int(length * rng.random())) + 1] += 1
        else:
            counts[2 * bin_index(length)] += 1
    return tuple(counts)


@pytest.mark.parametrize(("typical", "lost"), [(6, 0.0), (18, 0.1), (60, 0.3), (400, 0.05)])
def test_the_median_of_a_day_is_that_of_the_pages(typical: float, lost: float) -> None:
    rng = random.Random(1)
    one = cell(MONDAY, 9, 20, times(rng, typical, 2000, lost))
    quick, slow = median([one]), quantile(Times.of([one]), 0.5)
    assert quick is not None
    assert slow.at is not None
    assert quick.value == pytest.approx(slow.at, rel=0.06)  # a bin is 41 % wide, and the curves within it differ


def test_its_noise_is_that_of_days_drawn_again() -> None:
    rng = random.Random(2)
    drawn = [median([cell(MONDAY, 9, 20, times(rng, 20, 200, 0.1))]) for _ in range(300)]
    logs = [math.log(one.value) for one in drawn if one is not None]
    mean = sum(logs) / len(logs)
    scatter = sum((value - mean) ** 2 for value in logs) / (len(logs) - 1)
    told = sum(one.noise for one in drawn if one is not None) / len(logs)
    assert scatter < told < 2 * scatter  # these counts are not rounded, and the noise allows for it


def test_what_never_ends_has_no_median() -> None:
    counts = [0] * (2 * BINS)
    counts[1], counts[0] = 15, 5
    assert median([cell(MONDAY, 9, 20, tuple(counts))]) is None
    counts = [0] * (2 * BINS)
    counts[-2] = 20  # in the last bin, which is open
    assert median([cell(MONDAY, 9, 20, tuple(counts))]) is None


def test_a_day_counts_only_where_all_of_it_was_seen_and_is_released() -> None:
    good = cell(MONDAY, 9, 10, (5, 5, 5, 5))
    days = [MONDAY + timedelta(days=i) for i in range(4)]
    cells = [
        good,
        *(cell(days[1], 9, 10, (5, 5, 5, 5)), suppressed(cell(days[1], 10, 11, (5, 0, 0, 0)))),
        replace(cell(days[2], 9, 10, (5, 5, 5, 5)), observed_us=round(0.89 * HOUR)),
        replace(cell(days[3], 9, 10, (5, 5, 5, 5)), observed_us=round(0.91 * HOUR)),
    ]
    found = by_zone(Measure.VISITS, cells, TZ)["ceiling", "tea"]
    assert {day: one.value for day, one in found.values.items()} == {days[0]: 20, days[3]: 20}
    assert found.left_out == (days[1], days[2])
    assert by_zone(Measure.ENGAGED, cells, TZ)["ceiling", "tea"].values[days[0]].value == 0.5
    assert not whole([])
    assert not whole([replace(good, open_us=0)])


def test_a_day_that_nobody_engaged_in_has_no_share_to_compare() -> None:
    found = by_zone(Measure.ENGAGED, [cell(MONDAY, 9, 10, (20, 0, 0, 0))], TZ)
    assert found["ceiling", "tea"].left_out == (MONDAY,)


def test_hours_keep_whole_cells_and_say_how_many_are_too_long() -> None:
    cells = [
        cell(MONDAY, 9, 10, (5,)),
        cell(MONDAY, 10, 13, (5,)),
        cell(MONDAY, 13, 14, (5,)),
        cell(MONDAY, 0, 24, (5,)),
    ]
    choice = Choice(MONDAY, MONDAY, (9, 12))
    assert choice.keep(cells, TZ) == ([cells[0]], 2)
    assert Choice(MONDAY, MONDAY).keep(cells, TZ) == (cells, 0)
    assert Choice(MONDAY, MONDAY, (13, 24)).keep(cells, TZ) == ([cells[2]], 1)
    other = cell(MONDAY, 9, 10, (5,), zone="coffee")
    assert Choice(MONDAY, MONDAY, (9, 12), ("coffee",)).keep([*cells, other], TZ) == ([other], 0)


def test_hours_are_those_of_the_stores_clock_on_the_day_it_changes() -> None:
    change = date(2026, 10, 25)  # 25 hours long
    day = spanning(at(change, 0), at(change, 0) + 25 * HOUR, (5,))
    assert Choice(change, change, (0, 23)).keep([day], TZ) == ([], 1)
    assert Choice(change, change).keep([day], TZ) == ([day], 0)


def test_zones_of_one_camera_tell_of_the_same_pictures() -> None:
    half = replace(cell(MONDAY, 9, 11, (5,), zone="coffee"), observed_us=HOUR)
    short = cell(MONDAY, 9, 10, (5,), zone="sweets")
    found = by_camera([half, cell(MONDAY, 9, 11, (5,)), short], TZ)
    assert found["ceiling"][MONDAY].share == 1.0
    found = by_camera([half, short], TZ)
    assert found["ceiling"][MONDAY].share == 0.5
    assert found["ceiling"][MONDAY].blind_h == 1.0
