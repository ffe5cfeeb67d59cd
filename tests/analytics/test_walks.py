"""Steps between zones, ways out and stays: each told once, when it is known, and of nobody who is in no figure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.figures import LOST, Figure, time_slot
from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.walks import Told, Walks
from analytics.zones import Zone, ZoneKind

_SQUARE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
ZONES = (
    Zone("door", ZoneKind.ENTRANCE, _SQUARE),
    Zone("way out", ZoneKind.EXIT, _SQUARE),
    Zone("tea", ZoneKind.PRODUCT, _SQUARE),
    Zone("coffee", ZoneKind.PRODUCT, _SQUARE),
)


def visit(zone: str, at_s: float, seconds: float = 5, *, track: int = 1, start: str = "crossed") -> Visit:
    enter = int(at_s * SECOND)
    leave = enter + int(seconds * SECOND)
    return Visit(track, zone, enter, leave, StartReason(start), EndReason.CROSSED, ((enter, leave),))


def steps(walks: Walks, told: list[Told]) -> list[tuple[str, str]]:
    return [(one.zone, walks.places[one.at]) for one in told if one.figure is Figure.TRANSITIONS]


def walk(*visits: tuple[str, float], entry: bool = True) -> tuple[list[tuple[str, str]], list[Told]]:
    walks, told = Walks(ZONES), []
    for number, (zone, at_s) in enumerate(visits):
        told += walks.add(visit(zone, at_s), entry=entry and number == 0)
    told += walks.gone(1)
    return steps(walks, told), [one for one in told if one.figure is not Figure.TRANSITIONS]


def test_a_walk_from_the_door_to_the_way_out() -> None:
    found, rest = walk(("door", 0), ("tea", 10), ("coffee", 60), ("tea", 80), ("way out", 200))
    assert found == [("door", "tea"), ("tea", "coffee"), ("coffee", "tea"), ("tea", "way out")]
    assert rest == [
        Told(Figure.EXITS, "way out", 0),
        Told(Figure.STAY, "door", time_slot(205 * SECOND, censored=False)),
    ]


def test_whoever_is_lost_among_the_shelves_has_no_way_out_and_a_stay_of_at_least_so_long() -> None:
    found, rest = walk(("door", 0), ("tea", 10))
    assert found == [("door", "tea"), ("tea", LOST)]
    assert rest == [Told(Figure.STAY, "door", time_slot(15 * SECOND, censored=True))]


def test_a_first_sight_in_the_way_out_is_nobody_seen_to_go() -> None:
    walks = Walks(ZONES)
    assert walks.add(visit("way out", 0, start="appeared"), entry=False) == []
    assert walks.gone(1) == []


def test_one_door_for_both_ways() -> None:
    found, rest = walk(("door", 0), ("tea", 10), ("door", 60))
    assert found == [("door", "tea"), ("tea", "door")]
    assert rest[0] == Told(Figure.EXITS, "door", 0)


def test_only_an_entry_leads_on_from_a_door() -> None:
    assert walk(("door", 0), ("tea", 10), entry=False)[0] == [("tea", LOST)]
    assert walk(("tea", 0), ("door", 10), ("coffee", 20), entry=False)[0] == [("tea", "door"), ("coffee", LOST)]


def test_an_entry_that_nothing_follows_is_no_way_out() -> None:
    found, rest = walk(("door", 0))
    assert found == [("door", LOST)]
    assert [one.figure for one in rest] == [Figure.STAY]


def test_a_zone_that_was_only_walked_through_is_no_step_and_no_end_of_the_stay() -> None:
    walks = Walks(ZONES)
    told = walks.add(visit("door", 0), entry=True)
    told += walks.add(replace(visit("tea", 10, 8), stops=()), entry=False)
    told += walks.add(visit("coffee", 30, 1.9), entry=False)
    told += walks.gone(1)
    assert steps(walks, told) == [("door", LOST)]
    assert told[-1] == Told(Figure.STAY, "door", time_slot(int(31.9 * SECOND), censored=True))


def test_who_is_forgotten_leaves_nothing() -> None:
    walks = Walks(ZONES)
    walks.add(visit("tea", 0), entry=False)
    walks.forget(1)
    assert walks.gone(1) == [] == walks.gone(2)
    assert walks.people() == set()


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from([z.name for z in ZONES]), st.booleans()), min_size=1, max_size=30
    )
)
def test_each_visit_that_leads_on_leads_to_one_place(plan: list[tuple[int, str, bool]]) -> None:
    walks, told, seen = Walks(ZONES), [], set()
    leading = 0
    for number, (track, zone, crossed) in enumerate(plan):
        entry = zone == "door" and track not in seen
        seen.add(track)
        leading += entry or zone in ("tea", "coffee")
        one = replace(
            visit(zone, 10 * number, track=track), start_reason=StartReason("crossed" if crossed else "split")
        )
        told += walks.add(one, entry=entry)
    for track in sorted(seen):
        told += walks.gone(track)
    count = Counter(one.figure for one in told)
    assert count[Figure.TRANSITIONS] == leading
    assert count[Figure.EXITS] <= len(seen)
    assert count[Figure.STAY] == len(
        {t for i, (t, z, _) in enumerate(plan) if z == "door" and t not in {p[0] for p in plan[:i]}}
    )
    assert walks.people() == set()
