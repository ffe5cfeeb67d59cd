"""Stances and reaches: geometry against exact bodies, the rules one by one, a slow transcription, and what never is."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.config import read_zones
from analytics.model import SECOND, Sighting
from analytics.reach import GAP_US, JOIN_US, REACH_US, Handling, Reaches, handling
from analytics.shopfloor import record
from analytics.shopfloor.joints import SimulatedJoints
from analytics.shopfloor.script import PersonState
from analytics.shopfloor.shop import CAMERA, SHELVES, zones
from analytics.stance import SURE, Stance, Viewpoint
from analytics.zones import Ground, Shelf, Zone, ZoneKind
from consent.events import Purpose

FIFTH = SECOND // 5
ZONES = {zone.name: zone for zone in zones()}
GROUND = read_zones(record.HERE / record.ZONES).floor()


class Steady(random.Random):
    """Chance without any: every joint is where it is."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu


def look_at(state: PersonState) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
    """Return the joints of somebody on the demo shop's floor, and a box around them."""
    (x, y, _), (_, top, _) = CAMERA.project(np.array([(state.x, state.y, z) for z in (0.0, state.height)]))
    box = (float(x) - 10, float(top), float(x) + 10, float(y))
    found = SimulatedJoints(lambda: [state], Steady()).points(np.zeros((1, 1, 3), np.uint8), box)
    assert found is not None
    return found, box


def before(shelf: str, turned: float = 0.0, **more: object) -> PersonState:
    x, y = SHELVES[shelf].spot(0.5, 1.75)
    words: dict[str, object] = {"heading": SHELVES[shelf].heading + math.radians(turned), "speed": 0.0, **more}
    return PersonState("one", "shopper", 1.75, x, y, activity="browse", shelf=shelf, **words)  # type: ignore[arg-type]


def stance(state: PersonState, ground: Ground = GROUND) -> Stance:
    joints, box = look_at(state)
    zone = ZONES[state.shelf]
    assert zone.shelf is not None
    return Viewpoint(zone.shelf, zone.polygon, ground).stance(0, joints, box[3] - box[1])


# --- facing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shelf", list(SHELVES))
@pytest.mark.parametrize("turned", range(-180, 180, 10))
def test_facing_is_within_60_degrees_of_the_shelf(shelf: str, turned: int) -> None:
    if abs(abs(turned) - 60) > 5:  # the threshold itself is a coin's toss
        assert stance(before(shelf, turned)).facing is (abs(turned) < 60)


@pytest.mark.parametrize("shelf", list(SHELVES))
@pytest.mark.parametrize("turned", [0, 180])
def test_without_calibration_facing_is_told_from_having_ones_back_to_it(shelf: str, turned: int) -> None:
    assert stance(before(shelf, turned), Ground()).facing is (turned == 0)


def test_a_mirrored_floor_is_the_same_floor() -> None:
    mirrored = Ground(GROUND.image, tuple((-x, y) for x, y in GROUND.metres))
    for turned in range(-180, 180, 20):
        assert stance(before("tea", turned), mirrored).facing == stance(before("tea", turned)).facing


def test_unsure_joints_say_nothing() -> None:
    joints, _ = look_at(before("tea"))
    zone = ZONES["tea"]
    assert zone.shelf is not None
    view = Viewpoint(zone.shelf, zone.polygon, GROUND)
    assert view.stance(0, joints, 100).facing is not None
    blind = joints.copy()
    blind[5, 2] = SURE - 0.01
    assert view.stance(0, blind, 100).facing is None
    assert view.stance(0, blind, 100).hand is not None  # the other arm is seen
    blind[:, 2] = 0.0
    assert view.stance(0, blind, 100) == Stance(0, None, None)


# --- hands ------------------------------------------------------------------------------------------------------------


def reaching(shelf: str, weight: float, height: float = 1.1) -> PersonState:
    gx, gy = SHELVES[shelf].goods(0.5)
    fx, fy = SHELVES[shelf].facing
    deep, z = (0.12, 0.92) if SHELVES[shelf].open_top else (0.05, height)
    target = (gx - deep * fx - 0.13 * fy, gy - deep * fy + 0.13 * fx, z)
    return before(shelf, hand="right", target=target, weight=weight)


def hand(state: PersonState) -> float:
    found = stance(state).hand
    assert found is not None
    return found


@pytest.mark.parametrize("shelf", list(SHELVES))
def test_a_hand_in_the_shelf_is_told_from_one_that_hangs_before_it(shelf: str) -> None:
    assert hand(reaching(shelf, 1.0)) > 0
    assert hand(reaching(shelf, 0.0)) < 0
    assert hand(before(shelf)) < 0


@pytest.mark.parametrize("shelf", ["coffee", "sweets", "fruit"])
def test_goods_before_the_eyes_are_not_in_the_shelf(shelf: str) -> None:
    x, y = SHELVES[shelf].spot(0.5, 1.75)
    c, n = math.cos(SHELVES[shelf].heading), math.sin(SHELVES[shelf].heading)
    eyes = (x + 0.26 * c + 0.06 * n, y + 0.26 * n - 0.06 * c, 1.26)
    assert hand(before(shelf, hand="right", target=eyes, weight=1.0, inspecting=True)) < 0


# --- from stances to reaches ------------------------------------------------------------------------------------------


def looks(hands: Sequence[float | None], facing: Sequence[bool] = (), step: int = FIFTH) -> list[Stance]:
    return [Stance(n * step, facing[n] if facing else True, value) for n, value in enumerate(hands)]


def test_an_onset_lies_between_two_looks_by_proportion() -> None:
    (reach,) = handling(looks([-0.3, -0.3, -0.1, 0.3, 0.3, 0.3, -0.3, -0.3])).reaches
    assert reach == (2 * FIFTH + FIFTH // 4, 5 * FIFTH + FIFTH // 2)


def test_one_odd_look_is_no_reach_and_ends_none() -> None:
    assert handling(looks([-0.3, -0.3, 0.9, -0.3, -0.3])).reaches == ()
    assert len(handling(looks([-0.3, 0.3, 0.3, -0.9, 0.3, 0.3, -0.3])).reaches) == 1


def test_a_reach_lasts_three_tenths_of_a_second() -> None:
    assert handling(looks([-0.3, 0.01, 0.01, -0.3], step=SECOND // 10)).reaches == ()
    ((start, end),) = handling(looks([-0.3, 0.3, 0.3, -0.3])).reaches
    assert end - start >= REACH_US


def test_two_reaches_are_two_from_some_time_apart_on() -> None:
    together = [-0.3, 0.3, 0.3, -0.3, -0.3, 0.3, 0.3, -0.3]  # out for 0.4 s
    assert len(handling(looks(together)).reaches) == 2
    assert len(handling(looks(together, step=SECOND // 8)).reaches) == 1


def test_of_a_gap_nothing_is_known() -> None:
    first = looks([0.3, 0.3, 0.3])
    late = [Stance(s.t_us + 3 * SECOND, s.facing, s.hand) for s in first]
    found = handling([*first, *late])
    assert found.seen == found.facing == ((0, 2 * FIFTH), (3 * SECOND, 3 * SECOND + 2 * FIFTH))
    assert len(found.reaches) == 2


def test_arms_out_of_sight_are_a_gap_too() -> None:
    found = handling(looks([0.3, 0.3, 0.3, None, None, None, None, 0.3, 0.3, 0.3]))
    assert found.reaches == ((0, 2 * FIFTH), (7 * FIFTH, 9 * FIFTH))
    assert found.seen == ((0, 9 * FIFTH),)


STANCES = st.lists(
    st.builds(
        Stance,
        st.integers(0, 60).map(lambda n: n * SECOND // 10),
        st.sampled_from([None, False, True]),
        st.sampled_from([None, -0.2, -0.05, 0.05, 0.2]),
    ),
    max_size=60,
    unique_by=lambda s: s.t_us,
)


@given(STANCES, st.randoms())
@settings(max_examples=200)
def test_the_order_of_looks_does_not_matter(stances: list[Stance], chance: random.Random) -> None:
    mixed = [*stances, *stances]
    chance.shuffle(mixed)
    assert handling(mixed) == handling(stances)


@given(STANCES)
@settings(max_examples=300)
def test_what_is_made_of_looks_lies_within_them(stances: list[Stance]) -> None:
    found = handling(stances)
    times = sorted(s.t_us for s in stances)
    for spans in (found.seen, found.facing, found.reaches):
        assert all(a < b for a, b in spans)
        assert all(b <= c for (_, b), (c, _) in pairwise(spans))
        assert all(times[0] <= a and b <= times[-1] for a, b in spans)
    assert all(any(a <= c and d <= b for a, b in found.seen) for c, d in found.facing)
    assert all(b - a >= REACH_US for a, b in found.reaches)
    assert all(c - b >= JOIN_US for (_, b), (c, _) in pairwise(found.reaches))
    if not any(s.hand is not None and s.hand > 0 for s in stances):
        assert found.reaches == ()
    assert sum(b - a for a, b in found.facing) == sum(
        later - earlier
        for earlier, later in pairwise(times)
        if later - earlier <= GAP_US and next(s for s in stances if s.t_us == earlier).facing
    )


# --- who is remembered ------------------------------------------------------------------------------------------------


def test_it_looks_only_before_drawn_shelves_and_forgets_whom_it_is_told_to() -> None:
    floor = ((0.0, 0.0), (50.0, 0.0), (50.0, 50.0), (0.0, 50.0))
    shelf = Shelf(((0.0, -60.0), (50.0, -60.0), (50.0, -10.0)), ((0.0, 0.0), (50.0, 0.0)))
    drawn, bare = Zone("tea", ZoneKind.PRODUCT, floor, shelf), Zone("pad", ZoneKind.PAD, floor)
    assert not Reaches([bare], Ground())
    one = Reaches([drawn, bare], Ground())
    assert one
    assert one.purpose is Purpose.DWELL
    inside, away = Sighting(1, 25, 25, 100, 0.9, (0, 0, 9, 9)), Sighting(2, 300, 25, 100, 0.9, (0, 0, 9, 9))
    assert one.wants(0, 1, inside)
    assert not one.wants(0, 2, away)
    joints, picture = np.ones((17, 3), np.float32), np.zeros((9, 9, 3), np.uint8)
    for n in range(10):
        assert one.wants(n * FIFTH, 1, inside)
        one.look(n * FIFTH, 1, picture, joints, inside.box, ())
    assert one.take(1, "tea", 0, 9 * FIFTH).seen == ((0, 9 * FIFTH),)
    assert one.take(1, "tea", 2 * FIFTH, 4 * FIFTH).seen == ((2 * FIFTH, 4 * FIFTH),)  # not what lies outside the stay
    assert one.take(1, "pad", 0, SECOND) == one.take(2, "tea", 0, SECOND) == Handling()
    one.forget({2})
    assert one.take(1, "tea", 0, 9 * FIFTH) == Handling()
    assert not one._now
    assert not one._stances
