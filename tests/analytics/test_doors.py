"""Who comes in and who only passes by: nobody is both, and whoever is left out is neither."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.doors import Doors
from analytics.figures import Figure
from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.walks import Told
from analytics.zones import Zone, ZoneKind

_SQUARE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
ZONES = tuple(Zone(kind.value, kind, _SQUARE) for kind in ZoneKind)
PASSED = [Told(Figure.PASSERS, "outside", 0)]


def visit(zone: str, at_s: float, *, person: int = 1, end: str = "crossed") -> Visit:
    enter = int(at_s * SECOND)
    return Visit(person, zone, enter, enter + 2 * SECOND, StartReason.CROSSED, EndReason(end), ())


def test_whoever_was_outside_and_nowhere_else_passed_by_once() -> None:
    doors = Doors(ZONES)
    assert not doors.add(visit("outside", 0, end="lost"))
    assert not doors.add(visit("outside", 9))
    assert doors.gone(1) == PASSED
    assert doors.gone(1) == []
    assert doors.people() == set()


def test_whoever_comes_in_from_outside_is_footfall_and_no_passer_by() -> None:
    doors = Doors(ZONES)
    assert not doors.add(visit("outside", 0))
    assert doors.add(visit("entrance", 3))
    assert not doors.add(visit("entrance", 60))  # a second time they only stand there
    assert not doors.add(visit("outside", 70))
    assert doors.gone(1) == []


def test_a_visit_of_the_entrance_that_closes_after_one_it_came_before_is_footfall_all_the_same() -> None:
    doors = Doors(ZONES)
    assert not doors.add(visit("product", 5))
    assert doors.add(visit("entrance", 3))


@pytest.mark.parametrize("zone", [kind.value for kind in ZoneKind if kind is not ZoneKind.OUTSIDE])
def test_whoever_comes_out_of_the_shop_passes_by_nobody(zone: str) -> None:
    doors = Doors(ZONES)
    doors.add(visit(zone, 0))
    doors.add(visit("outside", 5))
    assert doors.gone(1) == []


def test_whoever_was_first_seen_at_the_door_passes_by_nobody_and_may_still_come_in() -> None:
    doors = Doors(ZONES)
    doors.came_out(1)
    assert doors.people() == {1}
    doors.add(visit("outside", 1))
    assert doors.gone(1) == []
    doors.came_out(2)
    doors.add(visit("outside", 1, person=2))
    assert doors.add(visit("entrance", 5, person=2))
    doors.forget(3)
    doors.came_out(3)
    assert not doors.add(visit("entrance", 5, person=3))


@pytest.mark.parametrize("first", [True, False])
def test_whoever_is_forgotten_neither_passes_nor_comes_in(first: bool) -> None:
    doors = Doors(ZONES)
    if first:
        doors.add(visit("outside", 0))
    doors.forget(1)
    doors.add(visit("outside", 5))
    assert not doors.add(visit("entrance", 9))
    assert doors.gone(1) == []
    assert doors.people() == set()


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(ZONES), st.booleans()), max_size=30))
def test_nobody_is_both_and_nobody_twice(plan: list[tuple[int, Zone, bool]]) -> None:
    doors, entered = Doors(ZONES), []
    for number, (person, zone, split) in enumerate(plan):
        one = visit(zone.name, 10 * number, person=person)
        if doors.add(replace(one, start_reason=StartReason.SPLIT) if split else one):
            entered.append(person)
    passed = [person for person in sorted(doors.people()) for _ in doors.gone(person)]
    assert len(entered) == len(set(entered))
    assert not set(entered) & set(passed)
    seen = {person: {zone.kind for who, zone, _ in plan if who == person} for person in range(1, 5)}
    assert passed == [person for person in seen if seen[person] == {ZoneKind.OUTSIDE}]
    assert doors.people() == set()
