"""Pixels in, tracked people out: when the network looks, whom a weak box belongs to, and that no picture stays."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import supervision as sv
from numpy.typing import NDArray

from analytics import clothing
from analytics.body import Box
from analytics.detect import PERSON
from analytics.model import SECOND, Frame
from analytics.vision import GateRules, MotionGate, Seen, Tracking, Vision

SIZE = (480, 640)  # height, width
PERIOD = SECOND // 10


class Marks:
    """A detector of painted marks: what it finds is in the picture, in the top left corner, as numbers.

    Row n of the first pixels holds the corners of person n divided by 4, and the confidence in per cent.
    """

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, image: NDArray[np.uint8]) -> sv.Detections:
        self.looks += 1
        rows = image[:8, :2].reshape(8, 6).astype(np.float32)
        rows = rows[rows[:, 4] > 0]
        if not len(rows):
            return sv.Detections.empty()
        return sv.Detections(xyxy=rows[:, :4] * 4, confidence=rows[:, 4] / 100, class_id=np.full(len(rows), PERSON))


def picture(t_us: int, people: Sequence[tuple[Box, float]] = ()) -> Frame:
    """Paint people as bright bodies on a grey floor, and their numbers for `Marks`."""
    image = np.full((*SIZE, 3), 90, np.uint8)
    for x1, y1, x2, y2 in (box for box, _ in people):
        image[int(y1) : int(y2), int(x1) : int(x2)] = 220
    image[:8, :2] = 0
    for row, (box, confidence) in enumerate(people):
        image[row, :2] = np.array([*(round(v / 4) for v in box), round(confidence * 100), 0], np.uint8).reshape(2, 3)
    return Frame(t_us, image)


def watch(vision: Vision, scene: Sequence[Sequence[tuple[Box, float]]], start_us: int = 0) -> list[Seen]:
    """Show one scene after another, a tenth of a second apart."""
    return [vision.see(picture(start_us + i * PERIOD, people)) for i, people in enumerate(scene)]


def numbers(seen: Seen) -> set[int]:
    return {sighting.track for sighting in seen.sightings}


HERE: Box = (200, 160, 260, 340)
THERE: Box = (440, 160, 500, 340)


# --- the motion gate --------------------------------------------------------------------------------------------------


def test_a_still_picture_costs_a_heartbeat_a_second_and_nothing_more() -> None:
    marks = Marks()
    vision = Vision(marks, gate=MotionGate())
    watch(vision, [[(HERE, 0.9)]] * 51)  # 5 s
    assert marks.looks == vision.inferences == 6  # the first, and one at each whole second


def test_a_person_behind_a_closed_gate_is_still_seen_where_they_stand() -> None:
    seen = watch(Vision(Marks(), gate=MotionGate()), [[(HERE, 0.9)]] * 40)
    assert all(len(s.sightings) == 1 for s in seen[3:])
    assert len({track for s in seen[3:] for track in numbers(s)}) == 1
    assert seen[-1].sightings[0].box == pytest.approx(HERE, abs=4)


def test_what_moves_opens_the_gate_at_every_picture() -> None:
    marks = Marks()
    vision = Vision(marks, gate=MotionGate())
    watch(vision, [[((200 + 8 * i, 160, 260 + 8 * i, 340), 0.9)] for i in range(30)])
    assert marks.looks == vision.inferences == 30


def test_slow_creeping_opens_the_gate_since_it_is_held_against_the_last_look() -> None:
    marks = Marks()
    watch(Vision(marks, gate=MotionGate()), [[((200 + i, 160, 260 + i, 340), 0.9)] for i in range(50)])
    assert marks.looks >= 12  # a pixel a picture is under the threshold, four are not


def test_somebody_who_comes_in_is_seen_at_once() -> None:
    marks = Marks()
    watch(Vision(marks, gate=MotionGate()), [[]] * 5 + [[(HERE, 0.9)]])
    assert marks.looks == 2


def test_the_noise_of_a_camera_does_not_open_the_gate() -> None:
    random = np.random.default_rng(4)
    gate = MotionGate()
    quiet = picture(0, [(HERE, 0.9)]).image.astype(np.int16)
    noisy = [np.clip(quiet + random.normal(0, 6, quiet.shape), 0, 255).astype(np.uint8) for _ in range(9)]
    assert [gate.opens(Frame(i * PERIOD, image)) for i, image in enumerate(noisy)] == [True] + [False] * 8


def test_without_a_gate_every_picture_is_looked_at() -> None:
    marks = Marks()
    vision = Vision(marks)
    watch(vision, [[(HERE, 0.9)]] * 20)
    assert marks.looks == vision.inferences == 20


def test_the_heartbeat_is_a_rule_that_can_be_set() -> None:
    gate = MotionGate(GateRules(heartbeat_s=0.3))
    assert [gate.opens(picture(i * PERIOD)) for i in range(7)] == [True, False, False, True, False, False, True]


# --- weak boxes -------------------------------------------------------------------------------------------------------

SURE, WEAK = 0.9, 0.15
assert WEAK < Tracking().sure < SURE


def test_a_weak_box_where_a_track_just_was_carries_it_on() -> None:
    seen = watch(Vision(Marks()), [[(HERE, SURE)]] * 5 + [[(HERE, WEAK)]] * 30)
    assert [numbers(s) for s in seen[5:]] == [numbers(seen[4])] * 30
    assert numbers(seen[4])


def test_a_sighting_tells_the_confidence_of_the_detector_not_the_trust_in_it() -> None:
    seen = watch(Vision(Marks()), [[(HERE, SURE)]] * 5 + [[(HERE, WEAK)]] * 3)
    assert seen[4].sightings[0].confidence == pytest.approx(SURE, abs=0.01)
    assert seen[-1].sightings[0].confidence == pytest.approx(WEAK, abs=0.01)


def test_a_weak_box_elsewhere_never_becomes_a_track() -> None:
    seen = watch(Vision(Marks()), [[(HERE, SURE), (THERE, WEAK)]] * 40)
    assert {track for s in seen for track in numbers(s)} == numbers(seen[-1])
    assert len(numbers(seen[-1])) == 1


def test_a_weak_box_alone_in_an_empty_shop_never_becomes_a_track() -> None:
    assert not any(numbers(s) for s in watch(Vision(Marks()), [[(THERE, WEAK)]] * 40))


def test_a_weak_second_box_of_somebody_surely_seen_is_nobody() -> None:
    inner: Box = (200, 168, 260, 320)
    seen = watch(Vision(Marks()), [[(HERE, SURE), (inner, WEAK)]] * 30)
    assert len({track for s in seen for track in numbers(s)}) == 1
    assert all(len(s.sightings) == 1 for s in seen[2:])


def test_a_second_box_of_somebody_surely_seen_does_not_keep_the_neighbour_who_left() -> None:
    neighbour: Box = (236, 160, 296, 340)
    second: Box = (216, 160, 276, 340)  # more like the one who stayed, and like the neighbour's place as well
    seen = watch(Vision(Marks()), [[(HERE, SURE), (neighbour, SURE)]] * 5 + [[(HERE, SURE), (second, WEAK)]] * 8)
    assert len(numbers(seen[4])) == 2
    assert [len(s.sightings) for s in seen[5:]] == [1] * 8


def test_of_two_weak_boxes_on_one_track_only_the_better_is_trusted() -> None:
    near: Box = (208, 160, 268, 340)
    seen = watch(Vision(Marks()), [[(HERE, SURE)]] * 5 + [[(near, WEAK), (HERE, WEAK + 0.1)]] * 10)
    assert all(len(s.sightings) == 1 for s in seen[5:])
    assert seen[-1].sightings[0].confidence == pytest.approx(WEAK + 0.1, abs=0.01)


def test_a_weak_box_comes_too_late_once_the_track_is_given_up() -> None:
    gone = round(Tracking().lost_s * 10) + 2
    seen = watch(Vision(Marks()), [[(HERE, SURE)]] * 5 + [[]] * gone + [[(HERE, WEAK)]] * 10)
    assert not any(numbers(s) for s in seen[5:])


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_one_picture_makes_no_track_and_two_do() -> None:
    first, second = watch(Vision(Marks()), [[(HERE, SURE)]] * 2)
    assert not first.sightings
    assert len(first.untracked) == 1
    assert len(second.sightings) == 1


def test_two_people_have_two_numbers_and_keep_them() -> None:
    seen = watch(Vision(Marks()), [[(HERE, SURE), (THERE, SURE)]] * 10)
    assert len({track for s in seen for track in numbers(s)}) == 2


def test_a_number_is_never_used_again_after_a_reset() -> None:
    vision, used = Vision(Marks()), set[int]()
    for turn in range(4):
        now = {n for s in watch(vision, [[(HERE, SURE), (THERE, SURE)]] * 4, turn * 10 * SECOND) for n in numbers(s)}
        assert len(now) == 2
        assert not now & used
        used |= now
        vision.reset()


def test_somebody_who_comes_back_after_a_minute_has_a_new_number() -> None:
    vision = Vision(Marks())
    before = {n for s in watch(vision, [[(HERE, SURE)]] * 4) for n in numbers(s)}
    watch(vision, [[]] * 40, SECOND)
    after = {n for s in watch(vision, [[(HERE, SURE)]] * 4, 60 * SECOND) for n in numbers(s)}
    assert len(before) == len(after) == 1
    assert before != after


def test_the_foot_point_is_the_middle_of_the_lower_edge_of_a_whole_body() -> None:
    sighting = watch(Vision(Marks()), [[(HERE, SURE)]] * 3)[-1].sightings[0]
    assert (sighting.x, sighting.y) == pytest.approx((230, 340), abs=4)
    assert sighting.height == pytest.approx(180, abs=4)


def test_of_two_boxes_on_one_body_one_is_tracked_and_the_other_still_counts_as_doubt() -> None:
    close: Box = (212, 160, 272, 340)  # IoU 0.67 with HERE
    seen = watch(Vision(Marks()), [[(HERE, SURE), (close, SURE - 0.1)]] * 5)
    assert all(len(s.sightings) == 1 for s in seen[1:])
    assert all(len(s.untracked) == 1 for s in seen[1:])
    assert seen[-1].untracked[0] == pytest.approx(close, abs=4)
    beside: Box = (236, 160, 296, 340)  # IoU 0.25
    assert len(watch(Vision(Marks()), [[(HERE, SURE), (beside, SURE - 0.1)]] * 5)[-1].sightings) == 2


# --- clothes ----------------------------------------------------------------------------------------------------------

RED, BLUE = (40, 40, 200), (200, 60, 40)


def meeting() -> list[list[tuple[Box, tuple[int, int, int]]]]:
    """Two who walk up to each other, hide each other for half a second, and turn back."""
    scene: list[list[tuple[Box, tuple[int, int, int]]]] = []
    for step in [*range(16), *[16] * 5, *range(15, -1, -1)]:
        left, right = (80 + 14 * step, 160, 140 + 14 * step, 340), (540 - 14 * step, 160, 600 - 14 * step, 340)
        scene.append([(left, RED), (right, BLUE)] if step < 16 else [((304, 160, 376, 340), RED)])
    return scene


def colour_at(frame: Frame, x: float, y: float) -> tuple[int, ...]:
    return tuple(int(v) for v in frame.image[round(y), round(x)])


def numbers_by_colour(vision: Vision) -> dict[tuple[int, ...], set[int]]:
    """Show the meeting and tell which numbers each colour of clothes had when both were seen apart."""
    found: dict[tuple[int, ...], set[int]] = {RED: set(), BLUE: set()}
    for i, people in enumerate(meeting()):
        frame = picture(i * PERIOD, [(box, SURE) for box, _ in people])
        for (x1, y1, x2, y2), colour in people:
            frame.image[int(y1) : int(y2), int(x1) : int(x2)] = colour
        frame.image[:8, :2] = picture(0, [(box, SURE) for box, _ in people]).image[:8, :2]
        for sighting in vision.see(frame).sightings:
            if len(people) == 2:
                found[colour_at(frame, sighting.x, sighting.y - 60)].add(sighting.track)
    return found


def test_two_who_meet_and_turn_back_keep_their_numbers_by_what_they_wear(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = numbers_by_colour(Vision(Marks()))
    assert [len(kept[RED]), len(kept[BLUE])] == [1, 1]
    assert not kept[RED] & kept[BLUE]
    monkeypatch.setattr(clothing, "WEIGHT", 0.0)
    exchanged = numbers_by_colour(Vision(Marks()))
    assert exchanged[RED] & exchanged[BLUE] or len(exchanged[RED] | exchanged[BLUE]) > 2  # boxes alone cannot tell


def test_colours_cannot_give_a_number_to_a_box_that_is_nowhere_near() -> None:
    vision = Vision(Marks())
    before = {n for s in watch(vision, [[(HERE, SURE)]] * 4) for n in numbers(s)}
    after = {n for s in watch(vision, [[(THERE, SURE)]] * 4, SECOND // 2) for n in numbers(s)}
    assert before
    assert not before & after  # the very same colours, two widths away


def test_of_clothes_six_colours_are_known_and_gone_with_the_track() -> None:
    vision = Vision(Marks())
    watch(vision, [[(HERE, SURE), (THERE, SURE)]] * 4)
    worn = [value for value, _ in vision._clothing._worn.values()]
    assert [value.shape for value in worn] == [(clothing.BANDS, 3)] * 2
    watch(vision, [[]] * 20, SECOND)
    gc.collect()
    assert not len(vision._clothing._worn)


@pytest.mark.parametrize("box", [(-90, -90, -10, -10), (700, 500, 800, 600), (600, 400, 700, 500), (5, 5, 5, 5)])
def test_a_box_outside_the_picture_has_colours_too(box: Box) -> None:
    found = clothing.colours(picture(0).image, np.array(box, np.float32))
    assert found.shape == (clothing.BANDS, 3)
    assert np.isfinite(found).all()


# --- nothing stays ----------------------------------------------------------------------------------------------------


def arrays_below(root: object) -> list[NDArray[Any]]:
    """Return every array that can be reached from an object, short of modules, types and functions."""
    seen, found, todo = {id(root)}, list[NDArray[Any]](), [root]
    while todo:
        thing = todo.pop()
        if isinstance(thing, np.ndarray):
            found.append(thing)
            todo += [] if thing.base is None else [thing.base]
        for other in gc.get_referents(thing):
            if id(other) not in seen and not isinstance(other, type) and type(other).__name__ not in _CODE:
                seen.add(id(other))
                todo.append(other)
    return found


_CODE = {"module", "function", "builtin_function_or_method", "method_descriptor", "wrapper_descriptor"}


def test_of_a_picture_nothing_stays_but_one_small_grey_thumbnail() -> None:
    vision = Vision(Marks(), gate=MotionGate())
    watch(vision, [[((200 + 8 * i, 160, 260 + 8 * i, 340), SURE), (THERE, WEAK)] for i in range(20)])
    pictures = [array for array in arrays_below(vision) if array.size > 1000]
    assert {array.shape for array in pictures} == {(120, 160)}
    assert {array.dtype for array in pictures} == {np.dtype(np.uint8)}
    assert len({array.ctypes.data for array in pictures}) == 1


def test_the_search_for_pictures_would_find_one() -> None:
    vision = Vision(Marks())
    vision.leak = [{"deep": picture(0).image[10:20]}]  # type: ignore[attr-defined]
    assert (*SIZE, 3) in {array.shape for array in arrays_below(vision)}
