"""A wait ends at the till, is given up, or is lost; a lost one is never a short one, and a walk through is none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.figures import Figure, Served, wait_slot
from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.waits import AWAY_US, SERVICE_US, TAIL_US, Waits
from analytics.walks import Told
from analytics.zones import Zone, ZoneKind

_SQUARE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
ZONES = (
    Zone("line", ZoneKind.QUEUE, _SQUARE),
    Zone("till", ZoneKind.SERVICE, _SQUARE),
    Zone("tea", ZoneKind.PRODUCT, _SQUARE),
)


def visit(zone: str, enter_s: float, leave_s: float, end: str = "crossed", track: int = 1) -> Visit:
    return Visit(track, zone, round(enter_s * SECOND), round(leave_s * SECOND), StartReason.CROSSED, EndReason(end))


def waits(*visits: Visit) -> list[Told]:
    one = Waits(ZONES)
    told = [t for v in visits for t in one.add(v)]
    return told + one.gone(1)


def told(seconds: float, how: Served) -> list[Told]:
    return [Told(Figure.WAIT, "line", wait_slot(round(seconds * SECOND), how))]


def test_a_wait_ends_when_the_till_begins() -> None:
    assert waits(visit("line", 0, 42), visit("till", 43, 100)) == told(43, Served.YES)


def test_a_step_through_the_service_zone_is_no_service() -> None:
    assert waits(visit("line", 0, 42), visit("till", 43, 44.9)) == told(42, Served.GAVE_UP)
    assert waits(visit("line", 0, 42), visit("till", 43, 45)) == told(43, Served.YES)


def test_giving_up_takes_ten_seconds_of_waiting() -> None:
    assert waits(visit("line", 0, 9.9)) == []
    assert waits(visit("line", 0, 10)) == told(10, Served.GAVE_UP)
    assert waits(visit("line", 0, 10), visit("tea", 30, 60)) == told(10, Served.GAVE_UP)


def test_lost_is_lost_and_never_a_short_wait() -> None:
    for end in ("lost", "blind"):
        assert waits(visit("line", 0, 3, end)) == told(3, Served.LOST)
        assert waits(visit("line", 0, 3, end), visit("till", 25, 60)) == told(3, Served.LOST)


def test_a_moment_outside_belongs_to_the_wait() -> None:
    assert waits(visit("line", 0, 20), visit("line", 25, 50), visit("till", 51, 70)) == told(51, Served.YES)
    assert waits(visit("line", 0, 20, "lost"), visit("line", 25, 50), visit("till", 51, 70)) == told(51, Served.YES)
    assert waits(visit("line", 0, 20), visit("line", 31, 50), visit("till", 51, 70)) == [
        *told(20, Served.GAVE_UP),
        *told(20, Served.YES),
    ]


def test_a_till_that_is_reached_otherwise_ends_no_wait() -> None:
    assert waits(visit("till", 0, 60)) == []
    assert waits(visit("line", 0, 20), visit("till", 31, 60)) == told(20, Served.GAVE_UP)


def test_who_is_forgotten_leaves_nothing() -> None:
    one = Waits(ZONES)
    one.add(visit("line", 0, 60))
    one.forget(1)
    assert one.gone(1) == []


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("line", "till", "tea")),
            st.floats(0.5, 40),  # how long after the one before
            st.floats(0.5, 90),
            st.sampled_from(("crossed", "lost")),
        ),
        max_size=12,
    )
)
def test_a_slow_reading_of_the_definitions_says_the_same(plan: list[tuple[str, float, float, str]]) -> None:
    visits, at = [], 0.0
    for zone, gap, length, end in plan:
        visits.append(visit(zone, at + gap, at + gap + length, end))
        at += gap + length
    expected: list[Told] = []
    rest = list(visits)
    while rest:
        first = rest.pop(0)
        if first.zone != "line":
            continue
        until, lost = first.leave_us, first.censored
        outcome = None
        while rest and rest[0].enter_us - until <= AWAY_US:
            after = rest.pop(0)
            if after.zone == "line":
                until, lost = after.leave_us, after.censored
            elif after.zone == "till" and after.dwell_us >= SERVICE_US:
                outcome = wait_slot(after.enter_us - first.enter_us, Served.YES)
                break
        if outcome is None:
            length_us = until - first.enter_us
            if not lost and length_us < TAIL_US:
                continue
            outcome = wait_slot(length_us, Served.LOST if lost else Served.GAVE_UP)
        expected.append(Told(Figure.WAIT, "line", outcome))
    assert waits(*visits) == expected
