"""Decisions of the demo shop against its exact truth: under joints as a good net would give them, and under our own.

Boxes are the true ones, joints a little off and never hidden. Then the same clip through our own nets.
"""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.accuracy import Stay
from analytics.body import Box
from analytics.config import read_zones
from analytics.decided import Decided, DecisionScore, Reached, match_reaches, score
from analytics.decision import deliberations
from analytics.detect import detector
from analytics.dwell import DwellEngine
from analytics.look import SecondLook
from analytics.measure import Measurement, measure, read_decisions, read_reaches
from analytics.model import SECOND, Sighting
from analytics.pose import Pose
from analytics.reach import Reaches
from analytics.shopfloor import cast, record
from analytics.shopfloor.floor import play
from analytics.shopfloor.joints import SimulatedJoints
from analytics.shopfloor.script import PersonState
from consent.events import Purpose

NOTHING = np.zeros((1, 1, 3), np.uint8)


class Knowing:
    """A net that knows whose box it is given."""

    def __init__(self, now: dict[Box, PersonState], seed: int) -> None:
        self._now, self._joints = now, SimulatedJoints(lambda: (), random.Random(seed))

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
        return self._joints.of(self._now[box], box[3] - box[1])


def watch_everybody(jitter_seed: int) -> DecisionScore:
    """Look at everybody of the clip's script, five times a second, and hold it against the truth."""
    zones = read_zones(record.HERE / record.ZONES)
    instants, _ = play(cast.CAST, cast.DURATION_S, 10)
    now: dict[Box, PersonState] = {}
    boxes = defaultdict(list)
    for box in record.read_boxes():
        boxes[box.frame].append(box)
    reaches = Reaches(zones.zones(), zones.floor())
    look = SecondLook([reaches], lambda: Knowing(now, jitter_seed))
    engine = DwellEngine(zones.zones(), ground=zones.floor(), frame_size=(640, 360))
    names = {person.name: n for n, person in enumerate(cast.CAST)}
    visits = []
    for number, instant in enumerate(instants):
        t_us = number * SECOND // 10
        now.clear()
        now.update({b.box: s for b in boxes[number] for s in instant.people if s.name == b.person})
        seen = [
            Sighting(names[b.person], (b.box[0] + b.box[2]) / 2, b.box[3], b.box[3] - b.box[1], 0.9, b.box)
            for b in boxes[number]
        ]
        visits += engine.step(t_us, seen)
        people = {s.track: engine.person(s.track) for s in seen}
        look.step(t_us, NOTHING, seen, people, dict.fromkeys(people, frozenset({Purpose.DWELL})))
    visits += engine.flush()
    measured, touched = [], []
    for visit in visits:
        if visit.zone in {zone.name for zone in zones.zones() if zone.shelf is not None}:
            handling = reaches.take(visit.track, visit.zone, visit.enter_us, visit.leave_us)
            touched += [Reached(visit.zone, start / SECOND) for start, _ in handling.reaches]
            for one in deliberations(visit, handling):
                pose_s = None if one.pose_us is None else one.pose_us / SECOND
                stay = Stay(visit.zone, one.start_us / SECOND, one.leave_us / SECOND)
                measured.append(Decided(stay, pose_s, None if pose_s is None else one.outcome))
    assert look.looks > 800
    true = read_decisions(record.HERE / record.DECISIONS)
    return score(true, measured, read_reaches(record.HERE / record.REACHES), touched)


@pytest.mark.parametrize("seed", [1, 2])
def test_given_joints_the_engine_tells_when_people_decided_and_what_came_of_it(seed: int) -> None:
    found = watch_everybody(seed)
    print(found)
    assert found.told >= 10
    assert found.pose_error_s is not None
    assert found.outcome_right is not None
    assert found.reach_f1 is not None
    assert found.pose_error_s <= 1.0
    assert found.outcome_right >= 0.8
    assert found.reach_f1 >= 0.8


@pytest.fixture(scope="module")
def seen() -> Measurement:
    """The whole clip through our own person detector and pose net, as `openaisle measure --pose` runs them."""
    found = measure(record.HERE / record.CLIP, read_zones(record.HERE / record.ZONES), detector(None), net=Pose)
    true = read_decisions(record.HERE / record.DECISIONS)
    found.decided = score(true, found.decisions_made(), read_reaches(record.HERE / record.REACHES), found.reaches)
    print(found.table())
    return found


@pytest.mark.timeout(900)  # the whole clip, on a machine that has other work
def test_our_own_nets_tell_when_people_decided_and_what_came_of_it(seen: Measurement) -> None:
    found = seen.decided
    assert found is not None
    assert found.pose_error_s is not None
    assert found.outcome_right is not None
    assert found.reach_f1 is not None
    assert found.told >= 8
    assert found.pose_error_s <= 1.0
    assert found.outcome_right >= 0.8
    assert found.reach_f1 >= 0.8


@pytest.mark.timeout(900)  # the whole clip, on a machine that has other work
def test_hands_in_plain_sight_are_found_and_what_began_before_the_clip_has_no_length(seen: Measurement) -> None:
    true = [one for one in read_reaches(record.HERE / record.REACHES) if one.onset_s < 8]
    assert len(match_reaches(true, seen.reaches)) == len(true) == 4
    assert 0 < seen.looks_cpu_s < seen.cpu_seconds
    assert f"{len(seen.reaches)} reaches; {seen.looks} second looks" in seen.table()
    assert min(one.start_us for _, one in seen.decisions) > 10 * SECOND


def test_nobody_is_looked_at_twice_who_is_not_asked_for() -> None:
    zones = read_zones(record.HERE / record.ZONES)
    unasked = measure(record.HERE / record.CLIP, zones, detector(None), until_s=2.0)
    assert (unasked.looks, unasked.reaches) == (0, [])


def test_the_files_of_the_truth_agree() -> None:
    told = record.read()
    true = read_decisions(record.HERE / record.DECISIONS)
    assert [(d.stay.zone, d.stay.enter_s, d.stay.leave_s, d.pose_s) for d in true] == [
        (d.zone, d.stop_s, d.leave_s, d.decision_pose_s) for d in told.decisions
    ]
    assert [str(d.outcome) for d in true] == ["lost" if d.censored else d.outcome for d in told.decisions]
    reaches = read_reaches(record.HERE / record.REACHES)
    assert [(r.zone, r.onset_s) for r in reaches] == [(r.shelf, r.onset_s) for r in told.reaches]
    faces = {zone.name: zone.shelf.face for zone in read_zones(record.HERE / record.ZONES).zones() if zone.shelf}
    assert faces == told.shelves
