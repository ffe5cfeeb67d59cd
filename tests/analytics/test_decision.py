"""Decision duration: the table, the rules of the metric page one by one, an oracle, and the demo shop's exact truth."""

from __future__ import annotations

import itertools
import random
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.accuracy import Stay, match
from analytics.config import ZoneFile
from analytics.decision import COUNTS_US, TABLE, Deliberation, Deliberator, Event, Phase, deliberations, events
from analytics.dwell import DwellEngine
from analytics.model import SECOND, EndReason, Sighting, StartReason, Visit
from analytics.shopfloor import record
from analytics.zones import Ground, Zone, ZoneKind
from tests.analytics import decision_oracle as oracle

Stops = Sequence[tuple[float, float]]


def us(seconds: float | Fraction) -> int:
    return round(seconds * SECOND)


def visit(
    stops: Stops,
    leave_s: float = 60.0,
    end: EndReason = EndReason.CROSSED,
    start: StartReason = StartReason.CROSSED,
    enter_s: float = 0.0,
) -> Visit:
    return Visit(1, "tea", us(enter_s), us(leave_s), start, end, tuple((us(a), us(b)) for a, b in stops))


def told(found: Sequence[Deliberation]) -> list[tuple[float, float, bool]]:
    return [(d.start_us / SECOND, d.leave_us / SECOND, not d.censored) for d in found]


# --- the rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        ([(2, 12)], [(2, 12, True)]),  # decision_box = LEAVE - first STOP, LEAVE being the final RESUME
        ([(2, 4.999)], []),  # counts when stopped for 3 s or more in all
        ([(2, 5)], [(2, 5, True)]),
        ([(2, 4), (6.999, 9)], [(2, 9, True)]),  # less than 3 s apart: one deliberation, the walk between is part of it
        ([(2, 6), (9, 13)], [(2, 6, True), (9, 13, True)]),  # 3 s apart: two
        ([(2, 3), (5, 6), (8, 9)], [(2, 9, True)]),  # stopped 3 s in all, in three parts
        ([(2, 3), (7, 11)], [(7, 11, True)]),
        ([(50, 60)], [(50, 60, True)]),  # LEAVE is the zone's exit
        ([], []),
    ],
)
def test_stops_make_deliberations(stops: Stops, expected: list[tuple[float, float, bool]]) -> None:
    assert told(deliberations(visit(stops))) == expected


@pytest.mark.parametrize("end", [EndReason.LOST, EndReason.BLIND])
@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        ([(50, 60)], [(50, 60, False)]),  # lost while standing
        ([(50, 58)], [(50, 58, False)]),  # lost when another stop could still have come
        ([(40, 57)], [(40, 57, True)]),  # 3 s had passed: it was over before
        ([(10, 20), (58, 60)], [(10, 20, True)]),  # what is lost before it counts is not counted
    ],
)
def test_what_is_lost_from_sight_is_censored_and_not_ended(
    stops: Stops, expected: list[tuple[float, float, bool]], end: EndReason
) -> None:
    assert told(deliberations(visit(stops, end=end))) == expected


@pytest.mark.parametrize("start", [StartReason.APPEARED, StartReason.SPLIT, StartReason.CONSENT])
def test_what_was_under_way_at_first_sight_or_at_the_grant_has_no_length(start: StartReason) -> None:
    assert deliberations(visit([(0, 9)], start=start)) == ()
    assert deliberations(visit([(0.4, 9)], start=start)) == ()  # the speed is known half a second after first sight
    assert told(deliberations(visit([(0, 9), (12, 20)], start=start))) == [(12, 20, True)]
    assert told(deliberations(visit([(0.6, 9)], start=start))) == [(0.6, 9, True)]
    assert told(deliberations(visit([(0, 9)]))) == [(0, 9, True)]  # came in already slow, and was seen coming


def test_who_objects_decides_nothing() -> None:
    assert deliberations(visit([(2, 12)], end=EndReason.OPT_OUT)) == ()


def test_every_phase_knows_what_can_happen_and_refuses_the_rest() -> None:
    reached = {Phase.WALKING} | {phase for phase, _ in TABLE.values()}
    assert reached == set(Phase)
    for phase in Phase:
        for event in Event:
            one = Deliberator()
            one.phase = phase
            if (phase, event) in TABLE:
                continue
            with pytest.raises(ValueError, match=f"{phase} can {event}"):
                one.take(event, 0)
            assert one.phase is phase
    for phase in Phase:  # a visit may end at any moment
        assert {(phase, Event.LEAVE), (phase, Event.LOST)} <= TABLE.keys()


def test_it_holds_one_deliberation_at_most() -> None:
    one = Deliberator()
    for n in range(1000):
        one.take(Event.STOP, us(10 * n))
        one.take(Event.RESUME, us(10 * n + 4))
        assert one.take(Event.APART, us(10 * n + 7)) == Deliberation(((us(10 * n), us(10 * n + 4)),), censored=False)
        assert len(one._stops) == 0


# --- properties -------------------------------------------------------------------------------------------------------


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    at, stops = 0, []
    for _ in range(draw(st.integers(0, 6))):
        start = at + draw(st.integers(1, 6 * SECOND))
        at = start + draw(st.integers(1, 8 * SECOND))
        stops.append((start, at))
    leave = max(SECOND, at + draw(st.one_of(st.just(0), st.integers(0, 8 * SECOND))))
    return Visit(1, "tea", 0, leave, draw(st.sampled_from(StartReason)), draw(st.sampled_from(EndReason)), tuple(stops))


@given(visits())
def test_the_engine_says_what_the_sentences_say(one: Visit) -> None:
    if one.end_reason is EndReason.OPT_OUT:
        assert deliberations(one) == ()
        return
    stays = [(Fraction(a, SECOND), Fraction(b, SECOND)) for a, b in one.stops]
    expected = oracle.told(
        stays,
        enter_s=Fraction(0),
        leave_s=Fraction(one.leave_us, SECOND),
        left=not one.censored,
        seen_coming=one.start_reason is StartReason.CROSSED,
    )
    found = deliberations(one)
    assert [(d.start_us, d.leave_us, not d.censored) for d in found] == [
        (us(d.stop_s), us(d.leave_s), d.ended) for d in expected
    ]


@given(visits(), st.integers(0, 2**51))
def test_a_later_day_changes_nothing(one: Visit, shift: int) -> None:
    later = replace(
        one,
        enter_us=one.enter_us + shift,
        leave_us=one.leave_us + shift,
        stops=tuple((a + shift, b + shift) for a, b in one.stops),
    )
    assert [(d.start_us - shift, d.box_us, d.censored) for d in deliberations(later)] == [
        (d.start_us, d.box_us, d.censored) for d in deliberations(one)
    ]


@given(visits())
def test_a_deliberation_lies_in_its_visit_and_none_overlap(one: Visit) -> None:
    found = deliberations(one)
    edges = [t for d in found for t in (d.start_us, d.leave_us)]
    assert edges == sorted(edges)
    assert all(one.enter_us <= t <= one.leave_us for t in edges)
    assert all(d.box_us >= COUNTS_US for d in found)
    assert not any(d.censored for d in found[:-1])
    assert [e for e, _ in events(one)][-1] in (Event.LEAVE, Event.LOST)


# --- walks ------------------------------------------------------------------------------------------------------------

CORNERS = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))
GROUND = Ground(CORNERS, tuple((x / 10, y / 10) for x, y in CORNERS))
SHELF = Zone("tea", ZoneKind.PRODUCT, ((20.0, 0.0), (80.0, 0.0), (80.0, 100.0), (20.0, 100.0)))


def walk(
    plan: Sequence[tuple[float, float]], fps: float, rng: random.Random, noise_m: float = 0.0
) -> list[oracle.Sample]:
    """Walk from x = 0.5 m at 1.1 m/s, standing at each (x, seconds), and on to x = 9.5 m; samples in metres."""
    knots = [(0.0, 0.5)]
    for x, seconds in [*plan, (9.5, 0.0)]:
        t, here = knots[-1]
        t += abs(x - here) / 1.1
        knots += [(t, x), (t + seconds, x)] if seconds else [(t, x)]
    out, n = [], 0
    while n / fps <= knots[-1][0]:
        t = n / fps
        x = next(
            (x1 + (x2 - x1) * (t - t1) / (t2 - t1) for (t1, x1), (t2, x2) in itertools.pairwise(knots)
             if t1 <= t <= t2 and t2 > t1),
            knots[-1][1],
        )  # fmt: skip
        out.append((t, x + rng.gauss(0, noise_m), 5.0 + rng.gauss(0, noise_m)))
        n += 1
    return out


def measured(samples: Sequence[oracle.Sample], shift_us: int = 0) -> list[tuple[float, float, bool]]:
    """Run the walk through the dwell engine and the decision engine."""
    engine = DwellEngine([SHELF], ground=GROUND)
    found: list[Visit] = []
    for t, x, y in samples:
        box = (x * 10 - 3, y * 10 - 17, x * 10 + 3, y * 10)
        found += engine.step(us(t) + shift_us, [Sighting(1, x * 10, y * 10, 17.0, 0.9, box)])
    found += engine.flush()
    return [
        ((d.start_us - shift_us) / SECOND, (d.leave_us - shift_us) / SECOND, not d.censored)
        for v in found
        for d in deliberations(v)
    ]


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[float, float]]:
    x, plan = 2.0, []
    for _ in range(draw(st.integers(1, 2))):
        x = draw(st.floats(x + 1.2, x + 2.5))
        plan.append((min(x, 7.5), draw(st.floats(4.5, 30))))
        if x > 5:
            break
    return plan


@settings(deadline=None, max_examples=60)
@given(plans(), st.sampled_from([5.0, 10.0, 25.0]))
def test_a_clean_walk_gives_what_the_sentences_give(plan: list[tuple[float, float]], fps: float) -> None:
    samples = walk(plan, fps, random.Random(1))
    inside = [t for t, x, _ in samples if 2.0 <= x <= 8.0]
    end = samples[-1][0]
    stops = [(a, end if b is None else b) for a, b in oracle.stops(samples)]
    expected = oracle.told(stops, enter_s=inside[0], leave_s=inside[-1], left=True, seen_coming=True)
    found = measured(samples)
    assert len(found) == len(expected)
    for (start, leave, ended), one in zip(found, expected, strict=True):
        assert ended == one.ended
        assert start == pytest.approx(one.stop_s, abs=0.5)  # both filter over a second, each in its own way
        assert leave == pytest.approx(one.leave_s, abs=0.5)


@settings(deadline=None, max_examples=40)
@given(plans(), st.integers(0, 2**50), st.integers(0, 2**32))
def test_noise_and_dropped_frames_move_a_decision_little_and_a_shift_in_time_not_at_all(
    plan: list[tuple[float, float]], shift_us: int, seed: int
) -> None:
    rng = random.Random(seed)
    clean = measured(walk(plan, 10.0, rng))
    assert measured(walk(plan, 10.0, rng), shift_us) == clean
    rough = [s for i, s in enumerate(walk(plan, 10.0, rng, noise_m=0.03)) if i < 5 or rng.random() > 0.15]
    found = measured(rough)
    assert len(found) == len(clean)
    for (start, leave, ended), (a, b, c) in zip(found, clean, strict=True):
        assert start == pytest.approx(a, abs=0.8)
        assert leave == pytest.approx(b, abs=0.8)
        assert ended == c


def test_a_shopper_lost_at_the_shelf_is_censored_at_last_sight() -> None:
    samples = [s for s in walk([(5.0, 20.0)], 10.0, random.Random(1)) if s[0] < 15.0]
    ((start, leave, ended),) = measured(samples)
    assert not ended
    assert start == pytest.approx(4.5 / 1.1, abs=0.3)
    assert leave == samples[-1][0]


# --- the demo shop ----------------------------------------------------------------------------------------------------


def test_true_boxes_give_the_true_decisions() -> None:
    truth = record.read()
    zones = ZoneFile.model_validate(tomllib.loads((record.HERE / record.ZONES).read_text()))
    engine = DwellEngine(zones.zones(), ground=zones.floor(), frame_size=truth.size)
    numbers = {p.name: n for n, p in enumerate(truth.people) if p.role == "shopper"}
    seen: dict[int, list[Sighting]] = defaultdict(list)
    for b in record.read_boxes():
        if b.person in numbers:
            x1, _, x2, y2 = b.box
            seen[b.frame].append(Sighting(numbers[b.person], (x1 + x2) / 2, y2, y2 - b.box[1], 0.9, b.box))
    found = [v for n in range(truth.frames) for v in engine.step(n * SECOND // truth.fps, seen[n])] + engine.flush()
    shelves = {z.name for z in zones.zones() if z.kind is ZoneKind.PRODUCT}
    measured = [(v.zone, d) for v in found if v.zone in shelves for d in deliberations(v)]
    known = [d for d in truth.decisions if d.stop_s >= 0.5]  # what was under way at the first picture has no length
    pairs = match(
        [Stay(d.zone, d.stop_s, d.leave_s) for d in known],
        [Stay(zone, d.start_us / SECOND, d.leave_us / SECOND) for zone, d in measured],
    )
    errors = [measured[j][1].box_us / SECOND - known[i].decision_box_s for i, j in pairs]
    assert len(pairs) >= 0.95 * max(len(known), len(measured))
    assert statistics.median(map(abs, errors)) < 0.3
    assert {(i, measured[j][1].censored) for i, j in pairs} == {(i, known[i].censored) for i, _ in pairs}
