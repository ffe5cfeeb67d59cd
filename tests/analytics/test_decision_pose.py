"""`decision_pose`: the sentences of the metric page, a slow transcription of them, and what never happens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.accuracy import Stay
from analytics.decided import Decided, Reached, match_reaches, score
from analytics.decision import Deliberation, Deliberator, Event, Outcome, Phase, deliberations, events
from analytics.figures import OUTCOMES, SLOTS, Audience, Figure, least, slots
from analytics.lifetable import BINS, bin_index
from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.reach import Handling
from analytics.row import VisitRow
from analytics.zones import ZoneKind

Spans = Sequence[tuple[float, float]]
ALL = ((0.0, 60.0),)


def us(spans: Spans) -> tuple[tuple[int, int], ...]:
    return tuple((round(a * SECOND), round(b * SECOND)) for a, b in spans)


def visit(stops: Spans, end: EndReason = EndReason.CROSSED, leave_s: float = 60.0) -> Visit:
    return Visit(1, "tea", 0, round(leave_s * SECOND), StartReason.CROSSED, end, us(stops))


def seen(facing: Spans = ALL, reaches: Spans = (), watched: Spans = ALL) -> Handling:
    return Handling(us(watched), us(facing), us(reaches))


def told(stay: Visit, handling: Handling | None) -> list[tuple[float | None, Outcome]]:
    found = deliberations(stay, handling)
    return [(None if d.pose_us is None else d.pose_us / SECOND, d.outcome) for d in found]


# --- the rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facing", "reaches", "expected"),
    [
        (ALL, [(8, 9)], (6.0, Outcome.TAKE)),  # last REACH onset - ENGAGE
        ([(4, 30)], [(8, 9)], (4.0, Outcome.TAKE)),  # ENGAGE is backdated to the first instant of facing
        ([(3, 3.5), (6, 6.6)], [(8, 9)], (5.0, Outcome.TAKE)),  # for a second in all
        ([(3, 3.5), (6, 6.4)], [(8, 9)], (None, Outcome.TAKE)),  # 0.9 s is no ENGAGE
        ([(0, 2), (13, 20)], [(8, 9)], (None, Outcome.TAKE)),  # facing before STOP and after LEAVE is none
        (ALL, [], (10.0, Outcome.NO_TOUCH)),  # ends at LEAVE
        (ALL, [(4, 5), (8, 9)], (6.0, Outcome.PUT_BACK)),
        (ALL, [(1, 1.5), (8, 9)], (6.0, Outcome.TAKE)),  # a reach before STOP is none
        (ALL, [(8, 9), (12, 13)], (6.0, Outcome.TAKE)),  # nor is one at LEAVE or after it
        ([(5, 12)], [(3, 4)], (0.0, Outcome.TAKE)),  # who reaches before they turn had decided
    ],
)
def test_engage_reach_and_outcome(facing: Spans, reaches: Spans, expected: tuple[float | None, Outcome]) -> None:
    assert told(visit([(2, 12)]), seen(facing, reaches)) == [expected]


def test_a_second_reach_within_ten_seconds_may_have_put_something_back() -> None:
    stay = visit([(2, 30)])
    assert told(stay, seen(ALL, [(5, 6), (15, 16)])) == [(13.0, Outcome.PUT_BACK)]
    assert told(stay, seen(ALL, [(5, 6), (15.001, 16)])) == [(13.001, Outcome.TAKE)]
    assert told(stay, seen(ALL, [(5, 6), (7, 8), (20, 21)])) == [(18.0, Outcome.TAKE)]  # the last two count


@pytest.mark.parametrize("end", [EndReason.LOST, EndReason.BLIND])
def test_lost_and_blind_are_censored_whatever_was_seen(end: EndReason) -> None:
    stay = visit([(2, 12)], end, 12.0)
    assert told(stay, seen(ALL, [])) == [(10.0, Outcome.LOST)]  # nothing was touched for so long
    assert told(stay, seen(ALL, [(8, 9)])) == [(6.0, Outcome.LOST)]  # it may have been the last reach, or not
    whole = visit([(2, 12)], end, 40.0)  # lost long after LEAVE
    assert told(whole, seen(ALL, [(8, 9)])) == [(6.0, Outcome.TAKE)]


def test_between_two_stops_of_a_deliberation_a_reach_counts_and_facing_does_not() -> None:
    stay = visit([(2, 4), (6, 9)])
    assert told(stay, seen([(4, 6)], [(5, 5.5)])) == [(None, Outcome.TAKE)]
    assert told(stay, seen([(3.5, 6.5)], [(5, 5.5)])) == [(1.5, Outcome.TAKE)]


def test_each_deliberation_has_its_own() -> None:
    stay = visit([(2, 8), (20, 30)])
    assert told(stay, seen(ALL, [(5, 6), (12, 13), (22, 23)])) == [(3.0, Outcome.TAKE), (2.0, Outcome.TAKE)]


def test_what_was_not_looked_at_is_not_told() -> None:
    stay = visit([(2, 12)])
    assert told(stay, None) == [(None, Outcome.NO_TOUCH)]
    assert told(stay, Handling()) == [(None, Outcome.NO_TOUCH)]
    assert told(stay, seen([(2, 9.9)], [], [(0, 9.9)])) == [(None, Outcome.NO_TOUCH)]
    assert told(stay, seen([(2, 10)], [], [(0, 10)])) == [(10.0, Outcome.NO_TOUCH)]  # four fifths of it
    assert [d.box_us for d in deliberations(stay, None)] == [d.box_us for d in deliberations(stay, seen())]


def test_whoever_grabs_in_passing_deliberates_nothing() -> None:
    one = Deliberator()
    assert one.take(Event.REACH, 5) is None
    assert one.phase is Phase.WALKING
    with pytest.raises(ValueError, match="walking can face"):
        one.take(Event.FACE, 6)
    assert told(visit([]), seen(ALL, [(5, 6)])) == []
    assert told(visit([(2, 4)]), seen(ALL, [(2.5, 3)])) == []  # stopped for less than three seconds


# --- properties -------------------------------------------------------------------------------------------------------


def spans_of(least_gap: int, most: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """Return spans in tenths of a second, apart, within a minute."""
    steps = st.lists(st.integers(least_gap, 90), min_size=0, max_size=2 * most)

    def lay(lengths: list[int]) -> tuple[tuple[int, int], ...]:
        at, found = 0, []
        for gap, long in zip(lengths[0::2], lengths[1::2], strict=False):
            found.append(((at + gap) * SECOND // 10, (at + gap + long) * SECOND // 10))
            at += gap + long
        return tuple(found)

    return steps.map(lay)


STAYS = st.builds(
    lambda stops, more, end: Visit(
        1, "tea", 0, (stops[-1][1] if stops else 0) + more * SECOND // 10, StartReason.CROSSED, end, stops
    ),
    spans_of(1, 5),
    st.integers(0, 60),
    st.sampled_from([EndReason.CROSSED, EndReason.LOST, EndReason.BLIND]),
)
HANDLINGS = st.builds(Handling, spans_of(1, 6), spans_of(1, 6), spans_of(4, 6))


def oracle(stay: Visit, handling: Handling) -> list[tuple[int | None, Outcome]]:
    """The sentences of the metric page, tenth of a second by tenth of a second."""
    tenth = SECOND // 10
    stopped = [n for n in range(1200) if any(a <= n * tenth < b for a, b in stay.stops)]
    groups: list[list[int]] = []
    for n in stopped:
        if groups and n - groups[-1][-1] - 1 < 30:
            groups[-1].append(n)
        else:
            groups.append([n])
    found: list[tuple[int | None, Outcome]] = []
    for group in groups:
        if len(group) < 30:
            continue
        start, leave = group[0], group[-1] + 1
        lost = stay.censored and stay.leave_us - leave * tenth < 3 * SECOND
        facing = [n for n in group if any(a <= n * tenth < b for a, b in handling.facing)]
        looked = sum(any(a <= n * tenth < b for a, b in handling.seen) for n in range(start, leave))
        reaches = [a for a, _ in handling.reaches if start * tenth <= a < leave * tenth]
        end = reaches[-1] if reaches else leave * tenth
        told_us = max(0, end - facing[0] * tenth) if len(facing) >= 10 and looked >= 0.8 * (leave - start) else None
        if lost:
            outcome = Outcome.LOST
        elif not reaches:
            outcome = Outcome.NO_TOUCH
        elif len(reaches) > 1 and reaches[-1] - reaches[-2] <= 10 * SECOND:
            outcome = Outcome.PUT_BACK
        else:
            outcome = Outcome.TAKE
        found.append((told_us, outcome))
    return found


@given(STAYS, HANDLINGS)
@settings(max_examples=500, deadline=None)
def test_it_is_what_the_metric_page_says(stay: Visit, handling: Handling) -> None:
    assert [(d.pose_us, d.outcome) for d in deliberations(stay, handling)] == oracle(stay, handling)


@given(STAYS, HANDLINGS)
@settings(max_examples=300, deadline=None)
def test_no_reach_lies_outside_a_deliberation_and_no_facing_outside_a_stop(stay: Visit, handling: Handling) -> None:
    onsets = {a for a, _ in handling.reaches}
    for one in deliberations(stay, handling):
        assert all(one.start_us <= at < one.leave_us and at in onsets for at in one.reaches)
        assert list(one.reaches) == sorted(set(one.reaches))
        assert all(any(a <= c and d <= b for a, b in one.stops) for c, d in one.facing)
        assert one.pose_us is None or 0 <= one.pose_us <= one.box_us
        assert one.outcome is not Outcome.LOST or stay.censored
    happened = list(events(stay, handling))
    assert [t for _, t in happened] == sorted(t for _, t in happened)
    assert happened[-1][0] in (Event.LEAVE, Event.LOST)


@given(STAYS, HANDLINGS, st.randoms())
@settings(max_examples=200, deadline=None)
def test_the_order_in_which_things_were_noted_does_not_matter(
    stay: Visit, handling: Handling, chance: random.Random
) -> None:
    def mixed(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        return tuple(chance.sample(spans, len(spans)))

    shuffled = Handling(mixed(handling.seen), mixed(handling.facing), mixed(handling.reaches))
    assert [(d.pose_us, d.outcome, d.engage_us) for d in deliberations(stay, shuffled)] == [
        (d.pose_us, d.outcome, d.engage_us) for d in deliberations(stay, handling)
    ]


@given(STAYS, HANDLINGS, HANDLINGS)
@settings(max_examples=200, deadline=None)
def test_what_was_seen_changes_no_box(stay: Visit, handling: Handling, other: Handling) -> None:
    def boxes(found: tuple[Deliberation, ...]) -> list[tuple[tuple[tuple[int, int], ...], bool]]:
        return [(d.stops, d.censored) for d in found]

    assert boxes(deliberations(stay, handling)) == boxes(deliberations(stay, other)) == boxes(deliberations(stay))


@given(STAYS, HANDLINGS)
@settings(max_examples=200, deadline=None)
def test_every_row_can_be_written_and_read(stay: Visit, handling: Handling) -> None:
    row = VisitRow.of("door", stay, ZoneKind.PRODUCT, handling)
    assert VisitRow.decode(row.encode()) == row
    told_here = [(d.pose_us, d.outcome) for d in deliberations(stay, handling) if d.pose_us is not None]
    assert list(row.posed) == told_here
    for kind in ZoneKind:
        assert kind is ZoneKind.PRODUCT or VisitRow.of("door", stay, kind, handling).posed == ()


# --- figures ----------------------------------------------------------------------------------------------------------


def test_a_cell_has_a_count_for_each_outcome_in_each_bin() -> None:
    assert [str(one) for one in OUTCOMES] == ["take_candidate", "put_back_candidate", "no_touch", "lost"]
    assert SLOTS[Figure.POSE] == 4 * BINS
    assert least(Audience.CONSENTING, Figure.POSE) == 20
    posed = [(3 * SECOND, Outcome.TAKE), (40 * SECOND, Outcome.LOST)]
    found = slots(Figure.POSE, 60 * SECOND, stopped=True, censored=True, posed=posed)
    assert found == (4 * bin_index(3 * SECOND), 4 * bin_index(40 * SECOND) + 3)
    assert slots(Figure.POSE, 60 * SECOND, stopped=True, censored=True) == ()


# --- the scorer -------------------------------------------------------------------------------------------------------


def test_the_scorer_scores() -> None:
    true = [
        Decided(Stay("tea", 0, 10), 6.0, Outcome.TAKE),
        Decided(Stay("tea", 20, 30), 4.0, Outcome.NO_TOUCH),
        Decided(Stay("tea", 40, 50), 4.0, Outcome.LOST),
        Decided(Stay("tea", 60, 70), 4.0, Outcome.TAKE),
    ]
    measured = [
        Decided(Stay("tea", 1, 10), 5.0, Outcome.TAKE),
        Decided(Stay("tea", 20, 31), 7.0, Outcome.TAKE),
        Decided(Stay("tea", 40, 50), 4.0, Outcome.TAKE),
        Decided(Stay("tea", 60, 70), None, None),
        Decided(Stay("sweets", 60, 70), 1.0, Outcome.TAKE),
    ]
    reaches = [Reached("tea", 6.0), Reached("tea", 6.4), Reached("sweets", 9.0)]
    found = score(true, measured, reaches, [Reached("tea", 6.5), Reached("tea", 5.6), Reached("fruit", 9.0)])
    assert (found.true, found.measured, found.matched, found.told) == (4, 5, 4, 2)
    assert (found.pose_error_s, found.outcome_right) == (2.0, 0.5)
    assert (found.reaches_true, found.reaches_measured, found.reaches_matched) == (3, 3, 2)
    assert found.reach_f1 == pytest.approx(2 / 3)
    nothing = score([], [])
    assert (nothing.pose_error_s, nothing.outcome_right, nothing.reach_f1) == (None, None, None)


@given(st.lists(st.integers(0, 40), max_size=12), st.lists(st.integers(0, 40), max_size=12))
@settings(max_examples=200, deadline=None)
def test_reaches_are_paired_one_to_one_within_half_a_second(a: list[int], b: list[int]) -> None:
    true, measured = [Reached("tea", n / 4) for n in a], [Reached("tea", n / 4) for n in b]
    pairs = match_reaches(true, measured)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(abs(true[i].onset_s - measured[j].onset_s) <= 0.5 for i, j in pairs)
    left = [n for n, _ in enumerate(true) if n not in {i for i, _ in pairs}]
    over = [n for n, _ in enumerate(measured) if n not in {j for _, j in pairs}]
    assert not any(abs(true[i].onset_s - measured[j].onset_s) <= 0.5 for i in left for j in over)
    assert all(x[0] < y[0] for x, y in pairwise(sorted(pairs)))
