"""Everybody's sums leave memory only as cells of enough tracks, and each visit in exactly one of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics import figures
from analytics.bins import DAY, HOUR, Choice, Plan, local
from analytics.cells import GRACE_US, CellError, CellPayload, Tally
from analytics.decision import deliberations
from analytics.figures import LOOK_US, SLOTS, Audience, Figure, least, measured, slots, tier
from analytics.lifetable import bin_index
from analytics.model import SECOND, StartReason, Visit
from analytics.payload import OpenBin
from analytics.zones import ZoneKind
from tests.retention.busy_shop import CAMERA, TZ, ZONES, day_of_visits, instant, payloads, visit

DAY_ONE = date(2026, 11, 17)
OPEN, SHUT = instant(DAY_ONE, 8), instant(DAY_ONE, 20)


def tally(**more: object) -> Tally:
    made = Tally(CAMERA, ZONES, run="run", tz=TZ, **more)  # type: ignore[arg-type]
    made.add_observed(OPEN, SHUT)
    return made


def at(hour: float) -> int:
    return instant(DAY_ONE, hour)


def of(cells: list[CellPayload], figure: Figure, zone: str) -> list[CellPayload]:
    return [c for c in cells if c.figure is figure and c.zone == zone]


def spans(cells: list[CellPayload]) -> list[tuple[float, float, int]]:
    return [((c.start_us - at(0)) / HOUR, (c.end_us - at(0)) / HOUR, c.people) for c in cells]


def test_tiers_follow_the_metric_definitions() -> None:
    seconds = {1.9: 0, 2: 1, 4.9: 1, 5: 2, 7.9: 2, 8: 3, 800: 3}
    assert {s: tier(int(s * SECOND), True) for s in seconds} == seconds
    assert {tier(int(s * SECOND), False) for s in seconds} == {0}


def test_dwell_leaves_out_who_passed_by_and_tells_ended_from_lost() -> None:
    assert slots(Figure.DWELL, 9 * SECOND, stopped=False, censored=False) == ()
    assert slots(Figure.DWELL, 1 * SECOND, stopped=True, censored=False) == ()
    where = bin_index(9 * SECOND)
    assert slots(Figure.DWELL, 9 * SECOND, stopped=True, censored=False) == (2 * where,)
    assert slots(Figure.DWELL, 9 * SECOND, stopped=True, censored=True) == (2 * where + 1,)


def test_each_deliberation_counts_once_and_only_before_a_shelf() -> None:
    made = ((4 * SECOND, False), (30 * SECOND, True))
    expected = (2 * bin_index(4 * SECOND), 2 * bin_index(30 * SECOND) + 1)
    assert slots(Figure.DECISION, 60 * SECOND, stopped=True, censored=True, decisions=made) == expected
    assert slots(Figure.DECISION, 60 * SECOND, stopped=True, censored=True) == ()
    assert {kind for kind in ZoneKind if measured(Figure.DECISION, kind)} == {ZoneKind.PRODUCT}
    one = tally()
    for zone in ("coffee", "door"):
        for track in range(10):
            one.add_visit(visit(track, zone, at(9.1), 12))
    cells = one.finish(at(11))
    (cell,) = of(cells, Figure.DECISION, "coffee")
    assert (cell.people, sum(cell.counts), cell.counts[2 * bin_index(12 * SECOND)]) == (10, 10, 10)
    assert of(cells, Figure.DECISION, "door") == []


def test_five_tracks_make_a_cell_and_four_do_not() -> None:
    for n in (4, 5):
        one = tally()
        for track in range(n):
            one.add_visit(visit(track, "coffee", at(9.5), 3))
        found = of(one.finish(at(10)), Figure.VISITS, "coffee")
        assert [c.suppressed for c in found] == [n < 5]
        assert found[0].counts == ((0, n, 0, 0) if n == 5 else ())


def test_ten_visits_of_four_tracks_are_four_people() -> None:
    one = tally()
    for i in range(10):
        one.add_visit(visit(i % 4, "coffee", at(9) + i * 60 * SECOND, 3))
    assert of(one.finish(at(10)), Figure.VISITS, "coffee")[0].suppressed


def test_a_median_needs_twice_as_many() -> None:
    one = tally()
    for track in range(9):
        one.add_visit(visit(track, "coffee", at(9.5), 3))
    cells = one.finish(at(10))
    assert not of(cells, Figure.VISITS, "coffee")[0].suppressed
    assert of(cells, Figure.DWELL, "coffee")[0].suppressed


def test_a_bin_with_too_few_merges_forward_until_it_passes() -> None:
    one = tally()
    for track, hour in enumerate((8.5, 8.5, 9.5, 9.5, 10.5, 12.5, 12.5, 12.5, 12.5, 12.5)):
        one.add_visit(visit(track, "coffee", at(hour), 3))
    assert spans(of(one.finish(at(13)), Figure.VISITS, "coffee")) == [(8, 11, 5), (11, 13, 5)]


def test_the_tail_of_the_day_merges_back_into_the_cell_that_waits_for_it() -> None:
    one = tally()
    for track, hour in enumerate((8.5,) * 5 + (9.5,) * 5 + (15.5,)):
        one.add_visit(visit(track, "coffee", at(hour), 3))
    before = of(one.close(at(19.9)), Figure.VISITS, "coffee")
    assert spans(before) == [(8, 9, 5)]
    after = of(one.close(instant(date(2026, 11, 18), 0.1)), Figure.VISITS, "coffee")
    assert spans(after) == [(9, 20, 6)]


def test_nobody_and_four_people_cannot_be_told_apart() -> None:
    seen = []
    for n in (0, 1, 4):
        one = tally()
        for track in range(n):
            one.add_visit(visit(track, "coffee", at(9.5), 3))
        one.count(at(9.5), {"coffee": range(n)})
        seen.append([c.to_bytes() for c in one.finish(SHUT) if figures.origin(c.zone) == "coffee"])
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]


def test_no_cell_reaches_over_midnight() -> None:
    one = Tally(CAMERA, ZONES, run="run", tz=TZ)
    one.add_observed(at(20), instant(date(2026, 11, 18), 4))
    for track in range(10):
        one.add_visit(visit(track, "coffee", at(23.5), 3))
    for track in range(10, 13):
        one.add_visit(visit(track, "coffee", at(25), 3))
    found = of(one.finish(at(28)), Figure.VISITS, "coffee")
    assert [(c.people, c.suppressed) for c in found] == [(10, False), (0, True)]
    assert all(local(c.start_us, TZ).date() == local(c.end_us - 1, TZ).date() for c in found)


def test_a_cell_leaves_once_and_only_after_the_next_has_passed() -> None:
    one = tally()
    for track, hour in enumerate((8.5,) * 6 + (9.5,) * 6):
        one.add_visit(visit(track, "coffee", at(hour), 3))
    assert one.close(at(9) + GRACE_US) == []
    assert spans(of(one.close(at(10) + GRACE_US), Figure.VISITS, "coffee")) == [(8, 9, 6)]
    assert of(one.close(at(11)), Figure.VISITS, "coffee") == []


def test_a_visit_that_comes_late_goes_into_the_next_bin_and_is_not_lost() -> None:
    one = tally()
    one.close(at(11))
    for track in range(5):
        one.add_visit(visit(track, "coffee", at(8.5), 3))
    assert sum(c.people for c in of(one.finish(SHUT), Figure.VISITS, "coffee")) == 5


def test_a_bin_length_fixed_in_advance_is_kept_and_recorded() -> None:
    line = (Audience.EVERYBODY, Figure.VISITS, CAMERA, "coffee")
    one = tally(plan=Plan((Choice(*line, at(-24), 3 * HOUR),)))
    for track in range(20):
        one.add_visit(visit(track, "coffee", at(8.5 + track % 2), 3))
    found = of(one.finish(at(10)), Figure.VISITS, "coffee")
    assert spans(found) == [(6, 9, 10), (9, 12, 10)]
    assert {c.bin_us for c in found} == {3 * HOUR}


def test_an_objector_is_taken_out_of_every_cell_that_has_not_left() -> None:
    one = tally()
    for track, hour in enumerate((8.5,) * 5 + (9.5,) * 5):
        one.add_visit(visit(track, "coffee", at(hour), 3))
    one.close(at(9) + GRACE_US)  # the first cell is full and held
    one.add_visit(visit(0, "wine", at(9.1), 3, end="opt_out"))
    found = of(one.finish(at(10)), Figure.VISITS, "coffee")
    assert spans(found) == [(8, 10, 9)]
    assert not any(c.people for c in one.finish(at(10)))


def test_pads_are_not_measured() -> None:
    one = tally()
    for track in range(20):
        one.add_visit(visit(track, "pad", at(9), 30))
    assert not [c for c in one.finish(SHUT) if c.zone == "pad" or not c.suppressed]


def entry(track: int, start: str = "appeared", end: str = "crossed", hour: float = 9.0) -> Visit:
    return replace(visit(track, "door", at(hour), 2, stopped=False, end=end), start_reason=StartReason(start))


def test_footfall_is_who_walks_on_from_the_entrance_first_of_all() -> None:
    one = tally()
    for track in range(5):
        one.add_visit(entry(track))
        one.add_visit(visit(track, "coffee", at(9.1), 5))
        one.add_visit(entry(track, "crossed", "lost", 9.4))  # leaves by the same door
        one.add_visit(entry(track, "crossed", "crossed", 9.5))  # or is seen outside of it
    one.add_visit(entry(100, "split"))  # may be somebody else
    one.add_visit(entry(101, end="lost"))  # not seen to walk on
    one.add_visit(visit(102, "coffee", at(9.2), 5))
    one.add_visit(entry(102))  # its visit began before: seen inside only afterwards
    found = of(one.finish(at(10)), Figure.FOOTFALL, "door")
    assert [(c.people, c.counts) for c in found] == [(6, (6,))]
    assert {c.zone for c in one.finish(at(11)) if c.figure is Figure.FOOTFALL} <= {"door"}


def test_coverage_counts_what_was_seen_of_what_was_meant_to_be_seen() -> None:
    one = Tally(CAMERA, ZONES, run="run", tz=TZ)
    for minute in range(30):
        one.add_observed(at(9 + minute / 60), at(9 + (minute + 1) / 60))
    one.add_blind(at(9.5), at(9.75))
    one.add_observed(at(9.75), at(10))
    one.add_observed(at(9.9), at(10))  # said twice
    cell = of(one.finish(at(9.99)), Figure.VISITS, "coffee")[0]
    assert (cell.observed_us, cell.open_us) == (45 * 60 * SECOND, HOUR)


def test_a_payload_comes_back_as_it_went_and_is_canonical() -> None:
    for cell in payloads(DAY_ONE, day_of_visits(DAY_ONE, random.Random(1)), "r"):
        data = cell.to_bytes()
        assert CellPayload.from_bytes(data) == cell
        assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()


def test_a_payload_names_no_track() -> None:
    fields = {"id", "audience", "figure", "camera", "zone", "kind", "tz", "start_us", "end_us", "bin_us", "people"}
    fields |= {"counts", "observed_us", "open_us", "rule"}
    for cell in payloads(DAY_ONE, day_of_visits(DAY_ONE, random.Random(1)), "r"):
        assert set(json.loads(cell.to_bytes())) == fields


GOOD = next(c for c in payloads(DAY_ONE, day_of_visits(DAY_ONE, random.Random(1)), "r") if c.figure is Figure.VISITS)


@pytest.mark.parametrize(
    "change",
    [
        {"people": 4},
        {"people": 0},
        {"counts": [4, 0, 0, 0]},
        {"counts": [9, 9, 9]},
        {"counts": [-1, 99, 0, 0]},
        {"counts": []},
        {"figure": "dwell"},
        {"figure": "faces"},
        {"audience": "consenting", "people": 9},
        {"end_us": 0},
        {"observed_us": 10**12},
        {"kind": "aisle"},
        {"more": 1},
    ],
)
def test_a_payload_that_breaks_a_rule_cannot_be_read(change: dict[str, object]) -> None:
    row = json.loads(GOOD.to_bytes()) | change
    with pytest.raises(CellError, match="no cell of figures"):
        CellPayload.from_bytes(json.dumps(row, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"3", b"{", b"\xff", b'{"id":"x"}'])
def test_what_is_no_payload_is_refused(data: bytes) -> None:
    with pytest.raises(CellError):
        CellPayload.from_bytes(data)
    with pytest.raises(CellError, match="canonical"):
        CellPayload.from_bytes(GOOD.to_bytes() + b" ")


def test_a_cell_of_too_few_cannot_even_be_made_in_memory() -> None:
    for audience in Audience:
        for figure in Figure:
            k = least(audience, figure)
            counts = (k,) + (0,) * (SLOTS[figure] - 1)
            if figure is Figure.EXPRESSION:  # one alone would be true of everybody in the cell
                counts = (10, 10) + (0,) * (SLOTS[figure] - 2)
            made = replace(GOOD, audience=audience, figure=figure, people=k, counts=counts)
            with pytest.raises(ValueError, match="must not exist"):
                replace(made, people=k - 1)


def test_how_many_are_enough_is_what_was_promised() -> None:
    assert (figures.K_EVERYBODY, figures.K_CONSENTING) == (5, 10)
    assert least(Audience.EVERYBODY, Figure.VISITS) == least(Audience.EVERYBODY, Figure.FOOTFALL) == 5
    assert least(Audience.EVERYBODY, Figure.DWELL) == least(Audience.CONSENTING, Figure.VISITS) == 10
    assert least(Audience.EVERYBODY, Figure.DECISION) == 10
    assert least(Audience.CONSENTING, Figure.DWELL) == least(Audience.CONSENTING, Figure.DECISION) == 20


# --- what follows from several visits ---------------------------------------------------------------------------------


def test_steps_out_of_a_zone_are_told_by_where_they_lead_and_small_ones_together() -> None:
    one, ways = tally(), {"wine": range(9), "bread": range(9, 14), "magazines": range(14, 16)}
    for zone, tracks in ways.items():
        for track in tracks:
            one.add_visit(visit(track, "coffee", at(9.1), 12))
            one.add_visit(visit(track, zone, at(9.2), 12))
    found = [c for c in one.finish(at(10)) if c.figure is Figure.TRANSITIONS and c.zone.startswith("coffee")]
    # two tracks are too few; with the five who are the next fewest they are enough, and nobody is left over
    assert {c.zone: (c.people, c.counts) for c in found} == {
        "coffee > wine": (9, (9,)),
        "coffee > /others": (7, (7,)),
    }
    assert {(c.start_us, c.end_us) for c in found} == {(at(0), at(24))}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1))
def test_taken_apart_every_part_has_enough_people_and_nobody_is_left_over(added: list[tuple[int, int]]) -> None:
    one = OpenBin(0, HOUR, HOUR)
    for person, slot in added:
        one.add(person, slot)
    parts = one.apart(5)
    assert sum(len(slots) for _, part in parts for slots in part.people.values()) == len(added)
    assert sorted(to for tos, _ in parts for to in tos) == sorted({slot for _, slot in added})
    if len(one.people) >= 5:
        assert all(len(part.people) >= 5 for _, part in parts)
        assert all(len(part.people) >= 5 for tos, part in parts if len(tos) > 1)


def test_occupancy_is_who_is_there_at_each_look_by_how_many_they_are() -> None:
    one = tally()
    assert one.counts_at(at(9))
    for look in range(4):
        one.count(at(9) + look * LOOK_US, {"coffee": range(10), "wine": range(3)})
        assert not one.counts_at(at(9) + look * LOOK_US)
    cells = one.finish(at(10))
    (cell,) = of(cells, Figure.OCCUPANCY, "coffee")
    assert (cell.people, cell.counts) == (10, (0, 0, 0, 0, 40))
    assert [c.suppressed for c in of(cells, Figure.OCCUPANCY, "wine")] == [True]
    assert [figures.crowd(n) for n in (1, 2, 3, 4, 5, 9, 10, 99)] == [0, 1, 2, 2, 3, 3, 4, 4]


def test_whoever_objects_is_in_no_step_no_look_and_no_stay() -> None:
    one = tally()
    for track in range(10):
        one.add_visit(visit(track, "door", at(9.1), 3))
        one.add_visit(visit(track, "coffee", at(9.2), 12))
    one.count(at(9.2), {"coffee": range(10)})
    for track in range(6):
        one.forget(track)
    cells = one.finish(at(10))
    told = {c.figure for c in cells if not c.suppressed}
    assert told == set()


def test_what_is_known_only_when_somebody_has_gone_is_told_while_the_camera_runs() -> None:
    one = tally()
    for track in range(10):
        one.add_visit(visit(track, "door", at(9.1), 3))
        one.add_visit(visit(track, "coffee", at(9.2), 60))
    assert of(one.close(at(9.5), alive=range(10)), Figure.STAY, "door") == []
    one.close(at(9.6), alive=())
    (stay,) = of(one.close(instant(date(2026, 11, 18), 0.1), alive=()), Figure.STAY, "door")
    assert (stay.people, stay.start_us, stay.end_us) == (
        10,
        at(8),
        at(20),
    )  # with the rest of the day, where nobody was


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 25), st.sampled_from(("door", "coffee", "wine", "bread"))), max_size=120))
def test_every_step_is_in_a_cell_of_enough_tracks_or_suppressed(plan: list[tuple[int, str]]) -> None:
    one, steps = tally(), Counter[str]()
    seen: dict[int, str] = {}
    for number, (track, zone) in enumerate(plan):
        one.add_visit(visit(track, zone, at(8.2) + number * 300 * SECOND, 20))
        entry = zone == "door" and track not in seen
        if seen.get(track):
            steps[seen[track]] += 1
        seen[track] = zone if entry or zone != "door" else ""
    for zone in seen.values():
        steps[zone] += 1
    cells = [c for c in one.finish(SHUT) if c.figure is Figure.TRANSITIONS]
    assert all(c.people >= 5 for c in cells if not c.suppressed)
    for zone in ("door", "coffee", "wine", "bread"):
        mine = [c for c in cells if figures.origin(c.zone) == zone]
        told = sum(sum(c.counts) for c in mine)
        assert told <= steps[zone]
        if not any(c.suppressed for c in mine):
            assert told == steps[zone]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 500), people=st.sampled_from([6, 15, 200]))
@example(seed=1, size=500, people=200)
def test_whatever_happens_each_visit_is_in_one_cell_of_enough_tracks_or_suppressed(
    seed: int, size: int, people: int
) -> None:
    rng = random.Random(seed)
    visits = []
    for _ in range(size):
        zone, end = rng.choice(["door", "coffee", "wine", "pad"]), rng.choice(["crossed", "lost", "blind"])
        stay, stopped = rng.uniform(0.5, 400), rng.random() < 0.7
        visits.append(visit(rng.randrange(people), zone, at(rng.uniform(8, 43)), stay, stopped=stopped, end=end))
    looks = [rng.uniform(8, 46) for _ in range(rng.randrange(12))]
    visits.sort(key=lambda v: v.leave_us)
    one = Tally(CAMERA, ZONES, run="run", tz=TZ)
    one.add_observed(OPEN, at(44))
    out, times = [], sorted(looks)
    for each in visits:
        while times and at(times[0]) <= each.leave_us:
            out += one.close(at(times.pop(0)))
        one.add_visit(each)
    out += one.finish(max([at(46), *(v.leave_us for v in visits)]))

    assert len({c.id for c in out}) == len(out)
    for zone in ("door", "coffee", "wine"):
        for figure in (Figure.VISITS, Figure.DWELL, Figure.DECISION):
            cells = of(out, figure, zone)
            if figure is Figure.DECISION and zone == "door":
                assert cells == []
                continue
            counted = [
                (v.leave_us, v.track, index)
                for v in visits
                if v.zone == zone
                for index in slots(
                    figure,
                    v.dwell_us,
                    stopped=bool(v.stops),
                    censored=v.censored,
                    decisions=[(d.box_us, d.censored) for d in deliberations(v)],
                )
            ]
            for cell in cells:
                inside = [c for c in counted if cell.start_us <= c[0] < cell.end_us]
                tracks = {track for _, track, _ in inside}
                if cell.suppressed:
                    assert len(tracks) < least(Audience.EVERYBODY, figure)
                    continue
                assert cell.people == len(tracks) >= least(Audience.EVERYBODY, figure)
                expected = Counter(index for _, _, index in inside)
                assert cell.counts == tuple(expected[i] for i in range(SLOTS[figure]))
            ends = sorted((c.start_us, c.end_us) for c in cells)
            assert all(a[1] <= b[0] for a, b in pairwise(ends))
            assert all(b - a <= DAY for a, b in ends)
            assert all(any(a <= leave < b for a, b in ends) for leave, _, _ in counted)
    if size == 500:
        assert any(c.people for c in out)  # this test must not pass because nothing ever leaves
