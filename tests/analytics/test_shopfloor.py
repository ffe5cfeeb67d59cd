"""The demo shop: what ships is what the code makes, and the clip shows what the truth says."""

from __future__ import annotations

import csv
import itertools
import math
import os
import tomllib
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, fields
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.accuracy import Stay, score
from analytics.config import ZoneFile
from analytics.detect import detector
from analytics.dwell import DwellEngine
from analytics.model import SECOND, AnalyticsError, Sighting
from analytics.shopfloor import cast, crowd, floor, gait, onpad, record, render, route, script, shop, sight, truth
from analytics.shopfloor.__main__ import main
from analytics.shopfloor.figure import FOREARM, SHIN, THIGH, UPPER_ARM, body
from analytics.shopfloor.skeleton import Stance, pose
from analytics.zones import ZoneKind, contains

DT = 1 / shop.FPS


@pytest.fixture(scope="module")
def performance() -> sight.Stage:
    return sight.stage()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth files as the code makes them now, by the command that the docs name."""
    out = tmp_path_factory.mktemp("shop")
    assert main(["truth", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def told() -> record.Truth:
    return record.read()


@pytest.fixture(scope="module")
def boxes() -> list[sight.Box]:
    return record.read_boxes()


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    with av.open(str(record.HERE / record.CLIP)) as clip:
        return [np.asarray(f.to_ndarray(format="bgr24"), dtype=np.uint8) for f in clip.decode(video=0)]


def same(a: object, b: object) -> bool:
    """Equal up to what another processor's rounding may move: one frame, or a tenth of a pixel."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= DT + 1e-9
    return a == b


# --- what ships ------------------------------------------------------------------------------------------------------


def test_shipped_truth_is_what_the_code_makes(made: Path, told: record.Truth) -> None:
    again = record.read(made / record.TRUTH)
    for f in fields(record.Truth):
        old, new = getattr(told, f.name), getattr(again, f.name)
        if isinstance(old, tuple) and old and not isinstance(old[0], int):
            assert [r for r in zip(old, new, strict=True) if not same(astuple(r[0]), astuple(r[1]))] == [], f.name
        else:
            assert same(old, new), f.name


def test_shipped_boxes_are_what_the_code_makes(made: Path, boxes: list[sight.Box]) -> None:
    again = record.read_boxes(made / record.BOXES)
    assert [(b.frame, b.person) for b in again] == [(b.frame, b.person) for b in boxes]
    assert np.abs(np.array([b.box for b in again]) - np.array([b.box for b in boxes])).max() <= 0.11
    assert np.abs(np.array([b.visible for b in again]) - np.array([b.visible for b in boxes])).max() <= 0.05
    assert np.abs(np.array([b.points for b in again]) - np.array([b.points for b in boxes])).max() <= 0.11


def test_shipped_zone_file_and_visits_are_what_the_code_makes(made: Path, told: record.Truth) -> None:
    assert (made / record.ZONES).read_text() == (record.HERE / record.ZONES).read_text()
    with (record.HERE / record.VISITS).open(newline="") as lines:
        rows = [(r["zone"], r["person"], float(r["enter_s"]), float(r["leave_s"])) for r in csv.DictReader(lines)]
    assert rows == [(v.zone, v.person, v.enter_s, v.leave_s) for v in told.measured()]


def test_truth_comes_back_from_its_file_unchanged(told: record.Truth) -> None:
    assert record.from_json(record.to_json(told)) == told


@pytest.mark.parametrize("text", ["", "{}", '{"people": {"columns": ["name"], "rows": []}}', "[1]"])
def test_a_file_that_is_no_truth_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(AnalyticsError, match="write it again"):
        record.from_json(text)


def test_clip_and_truth_together_stay_under_six_megabytes() -> None:
    files = [record.HERE / n for n in (record.CLIP, record.ZONES, record.VISITS, record.TRUTH, record.BOXES)]
    assert sum(f.stat().st_size for f in files) <= 6_000_000


def test_the_clip_has_every_frame_at_its_time(told: record.Truth) -> None:
    with av.open(str(record.HERE / record.CLIP)) as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        times = [(f.pts or 0) * Fraction(f.time_base or 0) for f in clip.decode(stream)]
        assert (stream.codec_context.width, stream.codec_context.height) == told.size
    assert times == [Fraction(n, told.fps) for n in range(told.frames)]
    assert told.duration_s >= 90
    assert told.fps == 10
    assert told.size >= (640, 360)


def test_the_zone_file_is_one_the_product_reads_and_its_metres_are_right() -> None:
    zones = ZoneFile.model_validate(tomllib.loads((record.HERE / record.ZONES).read_text()))
    kinds = [z.kind for z in zones.zones()]
    assert set(kinds) == set(ZoneKind)
    assert kinds.count(ZoneKind.PRODUCT) >= 3
    floor = np.array([(x, y, 0.0) for x in np.linspace(1, 7.5, 8) for y in np.linspace(0.5, 6, 8)])
    pixels = shop.CAMERA.project(floor)
    back = np.array([zones.floor().locate(u, v) for u, v, _ in pixels])
    assert np.abs(back - floor[:, :2]).max() < 0.02


# --- who is in it ----------------------------------------------------------------------------------------------------


def test_at_least_fourteen_shoppers_of_varied_height_pace_and_clothes_are_seen(boxes: list[sight.Box]) -> None:
    seen = {b.person for b in boxes if b.visible > 0.5}
    shoppers = [p for p in cast.CAST if p.role == "shopper" and p.name in seen]
    looks = [cast.looks()[p.name] for p in shoppers]
    assert len(shoppers) >= 14
    assert max(p.height for p in shoppers) - min(p.height for p in shoppers) > 0.5
    assert max(p.pace for p in shoppers) - min(p.pace for p in shoppers) > 0.25
    assert len({(k.top, k.bottom, k.wear, k.cut, k.bag) for k in looks}) == len(looks)
    assert len({p.name for p in cast.CAST if p.role == "staff" and p.name in seen}) >= 1


def test_staff_alone_enter_the_staff_zone(told: record.Truth) -> None:
    staff = {p.name for p in told.people if p.role == "staff"}
    assert {v.person for v in told.visits if v.zone == "staff"} == staff
    assert not {v.person for v in told.measured()} & staff


def test_everything_the_metric_definitions_name_happens(told: record.Truth, boxes: list[sight.Box]) -> None:
    shoppers = {p.name for p in told.people if p.role == "shopper"}
    deeds = {d.kind for d in told.deeds if d.person in shoppers}
    assert deeds == {"take", "put_back", "touch", "paid", "abandoned"}
    assert {d.outcome for d in told.decisions} == {"take_candidate", "put_back_candidate", "no_touch"}
    assert {r.shelf for r in told.reaches} == set(shop.SHELVES)
    assert {r.hand for r in told.reaches} == {"left", "right"}
    assert len(told.decisions) >= 15
    waits = [v.leave_s - v.enter_s for v in told.visits if v.zone == "queue"]
    assert max(waits) >= 10
    assert len([v for v in told.visits if v.zone == "exit" and v.person in shoppers]) >= 8
    stopped = {(s.person, s.zone) for s in told.stops}
    passing = [v for v in told.measured() if v.zone in shop.SHELVES and (v.person, v.zone) not in stopped]
    assert len({v.person for v in passing}) >= 3
    assert any(b.visible < 0.4 for b in boxes)
    assert sum(b.visible < 0.7 for b in boxes) > 200
    assert any(d.censored for d in told.decisions)


def test_the_consent_script_covers_each_act_and_the_rule_of_the_pad(told: record.Truth) -> None:
    acts = {c.person: c for c in told.choices if c.place == "pad"}
    assert {c.act for c in told.choices} == {"grant", "refuse", "object", "withdraw"}
    assert {p for c in told.choices for p in c.purposes} == {"dwell", "emotion", "repeat"}
    assert not acts["s07"].binds  # the child stands in the ring
    assert acts["s09"].act == "object"
    assert acts["s09"].binds
    for c in told.choices:
        if c.act == "grant" and c.binds:
            alone = [p for p in told.pad if p.person == c.person and p.alone]
            assert any(p.enter_s <= c.screen_s and p.leave_s >= c.t_s + 1 for p in alone)
        if c.act == "withdraw":
            assert acts[c.person].t_s < c.t_s < told.duration_s


# --- the bodies ------------------------------------------------------------------------------------------------------


def _tracks(performance: sight.Stage) -> dict[str, tuple[list[float], list[script.PersonState]]]:
    tracks: dict[str, tuple[list[float], list[script.PersonState]]] = defaultdict(lambda: ([], []))
    for instant in performance.instants:
        for s in instant.people:
            tracks[s.name][0].append(instant.t_s)
            tracks[s.name][1].append(s)
    return tracks


def test_a_planted_foot_does_not_slide(performance: sight.Stage) -> None:
    planted = 0
    for name, (times, states) in _tracks(performance).items():
        steps = gait.footsteps(times, states, performance.looks[name].height)
        for before, after in itertools.pairwise(steps):
            for a, b in zip(before, after, strict=True):
                if a[2] == 0 and b[2] == 0:
                    assert math.dist(a[:2], b[:2]) < 1e-9
                    planted += 1
    assert planted > 5000


def test_bones_keep_their_length_and_a_standing_body_its_height(performance: sight.Stage) -> None:
    bones = (("thigh", "shin", THIGH), ("arm", "fore", UPPER_ARM))
    for posed in performance.posed[::37]:
        for name, p in posed.items():
            h = performance.looks[name].height
            for side, (upper, lower, length) in itertools.product("lr", bones):
                joint = p.bones[f"{lower}_{side}"][:3, 3]
                assert math.dist(p.bones[f"{upper}_{side}"][:3, 3], joint) == pytest.approx(length * h, abs=1e-6)
            for side in "lr":
                assert math.dist(p.bones[f"shin_{side}"][:3, 3], p.points[f"ankle_{side}"]) == pytest.approx(
                    SHIN * h, abs=1e-6
                )
                assert math.dist(p.bones[f"fore_{side}"][:3, 3], p.points[f"wrist_{side}"]) == pytest.approx(
                    FOREARM * h, abs=1e-6
                )
    name, parts = "staff1", body(performance.looks["staff1"])
    stood = performance.posed[0][name]
    top = max(
        float((p.vertices @ stood.bones[p.bone][:3, :3].T + stood.bones[p.bone][:3, 3])[:, 2].max()) for p in parts
    )
    assert top == pytest.approx(performance.looks[name].height, abs=0.04)


def test_a_stretched_arm_reaches_its_target(performance: sight.Stage) -> None:
    reached = 0
    for instant, posed in zip(performance.instants, performance.posed, strict=True):
        for s in instant.people:
            if s.weight == 1 and not s.inspecting:
                assert math.dist(posed[s.name].points[f"wrist_{s.hand[0]}"], s.target) < 0.09
                reached += 1
    assert reached > 80


def test_bodies_keep_out_of_furniture_and_of_each_other(performance: sight.Stage) -> None:
    for instant in performance.instants:
        for s in instant.people:
            for x1, y1, x2, y2 in route.FURNITURE:
                assert not (x1 - 0.1 < s.x < x2 + 0.1 and y1 - 0.1 < s.y < y2 + 0.1), (instant.t_s, s.name)
        inside = [s for s in instant.people if s.x < 7.9]
        for a, b in itertools.combinations(inside, 2):
            assert math.hypot(a.x - b.x, a.y - b.y) > 0.2, (instant.t_s, a.name, b.name)


# --- the truth -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("0011110000", [(0.2, 0.6)]),
        ("1111111111", [(0.0, 1.0)]),
        ("1100110000", [(0.0, 0.2), (0.4, 0.6)]),
        ("0000000000", []),
    ],
)
def test_an_interval_runs_from_the_first_frame_inside_to_the_first_outside(
    inside: str, expected: list[tuple[float, float]]
) -> None:
    found = truth.intervals([n / 10 for n in range(10)], [c == "1" for c in inside], 0.1)
    assert [pytest.approx(f) for f in found] == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(0.0, 3.0), (4.5, 6.0)], [(0.0, 6.0)]),  # absent for 1.5 s: merged
        ([(0.0, 3.0), (4.6, 6.0)], [(0.0, 3.0), (4.6, 6.0)]),  # absent for longer: two visits
        ([(0.0, 0.4)], []),  # under 0.5 s: dropped
        ([(0.0, 0.5)], [(0.0, 0.5)]),
        ([(0.0, 0.3), (1.0, 1.3)], [(0.0, 1.3)]),  # merged first, dropped after
    ],
)
def test_absences_are_merged_and_short_visits_dropped(
    found: list[tuple[float, float]], expected: list[tuple[float, float]]
) -> None:
    assert truth.merged(found) == expected


def _walk(speeds: Sequence[float]) -> tuple[list[float], list[script.PersonState]]:
    x, times, states = 0.0, [], []
    for n, v in enumerate(speeds):
        times.append(n * DT)
        states.append(script.PersonState("a", "shopper", 1.7, x, 0.0, 0.0, v, "walk"))
        x += v * DT
    return times, states


def test_a_stop_is_slow_for_a_second_and_ends_with_a_second_of_walking() -> None:
    fast, slow, middling = [1.2] * 30, [0.1] * 30, [0.5] * 30
    ((start, end),) = truth.stops(*_walk(fast + slow + fast))
    assert (start, end) == pytest.approx((3.0, 6.0), abs=0.11)
    assert truth.stops(*_walk(fast + [0.1] * 7 + fast)) == []
    # between the two speeds the earlier state holds
    assert truth.stops(*_walk(fast + slow + middling + fast))[0][1] == pytest.approx(9.0, abs=0.11)
    assert truth.stops(*_walk(fast + middling + fast)) == []


def test_decisions_follow_from_stops_and_reaches(told: record.Truth) -> None:
    for d in told.decisions:
        assert d.decision_box_s == pytest.approx(d.leave_s - d.stop_s, abs=0.011)
        assert d.engage_s is not None
        assert d.stop_s <= d.engage_s <= d.leave_s
        reaches = [r.onset_s for r in told.reaches if (r.person, r.shelf) == (d.person, d.zone)]
        here = [t for t in reaches if d.stop_s <= t < d.leave_s]
        assert d.last_reach_s == (here[-1] if here else None)
        assert d.decision_pose_s == pytest.approx((here[-1] if here else d.leave_s) - d.engage_s, abs=0.011)
        if len(here) > 1 and here[-1] - here[-2] <= 10:
            assert d.outcome == "put_back_candidate"


def test_every_scripted_touch_is_a_reach_of_that_hand_into_that_shelf(told: record.Truth) -> None:
    touches = [d for d in told.deeds if d.hand and d.end_s < told.duration_s]
    assert len(touches) >= 20
    for d in touches:
        assert any(
            (r.person, r.shelf, r.hand) == (d.person, d.where, d.hand) and d.start_s < r.onset_s < r.end_s <= d.end_s
            for r in told.reaches
        ), d
    assert len(told.reaches) == len([d for d in told.deeds if d.hand and d.start_s + floor.RAISE < told.duration_s])


def test_company_in_the_ring_ends_being_alone_on_the_pad() -> None:
    def at(name: str, x: float, y: float) -> script.PersonState:
        return script.PersonState(name, "shopper", 1.7, x, y, 0.0, 0.0, "stand")

    x, y = shop.PAD_SPOT
    edge = max(c[0] for c in shop.FLOOR_ZONES["pad"][1])
    instants = [
        script.Instant(n / 10, (at("a", x, y), at("b", edge + (0.5 if 10 <= n < 20 else 0.7), y))) for n in range(30)
    ]
    found = [(p.person, p.enter_s, p.leave_s, p.alone) for p in onpad.pad_times(instants)]
    assert found == [("a", 0.0, 1.0, True), ("a", 1.0, 2.0, False), ("a", 2.0, 3.0, True)]


def test_the_dwell_engine_fed_with_the_true_boxes_finds_the_true_visits(
    told: record.Truth, boxes: list[sight.Box]
) -> None:
    """Two ways to the same numbers, written apart: the engine sees frame by frame, the truth knows the whole track."""
    zones = ZoneFile.model_validate(tomllib.loads((record.HERE / record.ZONES).read_text()))
    engine = DwellEngine(zones.zones(), ground=zones.floor(), frame_size=told.size)
    numbers = {p.name: n for n, p in enumerate(told.people) if p.role != "staff"}
    seen: dict[int, list[Sighting]] = defaultdict(list)
    for b in boxes:
        if b.person in numbers:
            x1, _, x2, y2 = b.box
            seen[b.frame].append(Sighting(numbers[b.person], (x1 + x2) / 2, y2, y2 - b.box[1], 0.9, b.box))
    found = [v for n in range(told.frames) for v in engine.step(n * SECOND // told.fps, seen[n])] + engine.flush()
    skipped = {z.name for z in zones.zones() if not z.kind.in_shop}
    measured = [Stay(v.zone, v.enter_us / SECOND, v.leave_us / SECOND) for v in found if v.zone not in skipped]
    result = score([Stay(v.zone, v.enter_s, v.leave_s) for v in told.measured()], measured)
    assert result.f1 > 0.95  # what is missing only grazes a border, within the engine's band
    assert result.dwell_error_s is not None
    assert result.dwell_error_s < 0.1


# --- the pictures ----------------------------------------------------------------------------------------------------


def test_the_picture_moves_where_the_truth_says_and_when(
    pictures: list[NDArray[np.uint8]], boxes: list[sight.Box]
) -> None:
    by_frame = defaultdict(list)
    for b in boxes:
        by_frame[b.frame].append(b)
    free = np.stack(pictures[::23]).astype(np.float32)  # of people: staff may stand in one place most of the time
    for picture, n in zip(free, range(0, len(pictures), 23), strict=True):
        for b in by_frame[n]:
            x1, y1, x2, y2 = (round(v) for v in b.box)
            picture[max(0, y1 - 3) : y2 + 3, max(0, x1 - 3) : x2 + 3] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where somebody always stands nothing is known of the floor
        empty = np.nanmedian(free, axis=0)
    inside, outside = dict.fromkeys((-1, 0, 1), 0), dict.fromkeys((-1, 0, 1), 0)
    covered = []
    for n in range(5, len(pictures), 20):
        changed = np.abs(pictures[n].astype(np.float32) - empty).max(axis=2) > 40
        for shift in inside:
            near = np.zeros_like(changed)
            for b in by_frame[n + shift]:
                x1, y1, x2, y2 = (round(v) for v in b.box)
                near[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = True
                if shift == 0 and b.visible == 1 and not b.person.startswith("staff"):
                    covered.append(float(changed[y1:y2, x1:x2].mean()))
            inside[shift] += int((changed & near).sum())
            outside[shift] += int((changed & ~near).sum())
    assert outside[0] < 0.06 * inside[0]  # bags and goods stick out of the boxes
    assert min(outside, key=lambda shift: outside[shift]) == 0  # not even one frame early or late
    assert np.median(covered) > 0.4


@pytest.mark.data
def test_an_off_the_shelf_detector_finds_the_unoccluded_bodies(
    data: Path, pictures: list[NDArray[np.uint8]], boxes: list[sight.Box]
) -> None:
    yolo = detector(data / "models" / "detection" / "yolov8n_int8_openvino_model")
    found = wanted = 0
    for n in range(3, len(pictures), 19):
        seen = yolo.detect(pictures[n])
        assert seen.confidence is not None
        sure = seen.xyxy[seen.confidence >= 0.25]
        for b in boxes:
            if b.frame == n and b.visible >= 0.95:
                x1, y1 = np.maximum(sure[:, 0], b.box[0]), np.maximum(sure[:, 1], b.box[1])
                x2, y2 = np.minimum(sure[:, 2], b.box[2]), np.minimum(sure[:, 3], b.box[3])
                both = np.clip(x2 - x1, 0, None) * np.clip(y2 - y1, 0, None)
                mine = (b.box[2] - b.box[0]) * (b.box[3] - b.box[1])
                all_of = mine + (sure[:, 2] - sure[:, 0]) * (sure[:, 3] - sure[:, 1]) - both
                wanted += 1
                found += bool(len(sure)) and float((both / all_of).max()) >= 0.5
    assert wanted > 150
    assert found >= 0.8 * wanted


def test_joining_layers_of_a_frame_without_people_gives_the_empty_shop(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    empty = rng.integers(0, 65535, (shop.HEIGHT, shop.WIDTH, 3)).astype(np.uint16)
    small = rng.integers(0, 65535, (shop.HEIGHT // 2, shop.WIDTH // 2, 3)).astype(np.uint16)
    nobody = np.zeros((shop.HEIGHT, shop.WIDTH, 4), np.uint16)
    for folder, number, picture in (
        ("empty", -1, empty),
        ("shadows", -1, small),
        ("shadows", 3, small),
        ("people", 5, nobody),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / folder / f"{number:05d}.png"), picture)
    assert np.abs(render.joined(tmp_path, 5).astype(int) - np.round(empty / 257).astype(int)).max() <= 1


def test_without_blender_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, performance: sight.Stage
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(AnalyticsError, match="apt install blender"):
        render.trace(performance, tmp_path / "work", frames=1)


# --- the simulator ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_crowd() -> None:
    a, b = (list(crowd.simulate(7, 90, 400)) for _ in range(2))
    assert a == b
    assert a != list(crowd.simulate(8, 90, 400))


def test_a_simulated_hour_serves_everybody_and_leaves_nobody_behind() -> None:
    came: dict[str, float] = {}
    last: dict[str, float] = {}
    served: list[str] = []
    for instant in crowd.simulate(11, 1800, 150, fps=5):
        for s in instant.people:
            came.setdefault(s.name, instant.t_s)
            last[s.name] = instant.t_s
            if s.activity == "pay" and s.name not in served:
                served.append(s.name)
            assert not any(x1 < s.x < x2 and y1 < s.y < y2 for x1, y1, x2, y2 in route.FURNITURE)
    shoppers = [n for n in came if n != "staff1"]
    assert 50 <= len(shoppers) <= 100  # 75 expected, Poisson
    assert len(served) >= 10
    stay = [last[n] - came[n] for n in shoppers if last[n] < 1799]
    assert max(stay) < 900
    assert min(stay) > 5


def test_the_till_serves_in_the_order_of_the_queue() -> None:
    joined: list[str] = []
    served: list[str] = []
    for instant in crowd.simulate(5, 900, 300, fps=5):
        for s in instant.people:
            if s.activity in ("queue", "pay") and s.name not in joined:
                joined.append(s.name)
            if s.activity == "pay" and s.name not in served:
                served.append(s.name)
    assert len(served) > 10
    assert served == [n for n in joined if n in served]


def test_floor_visits_of_a_simulation_are_where_the_people_were() -> None:
    instants = list(crowd.simulate(3, 240, 200))
    found = truth.floor_visits(instants)
    assert {v.zone for v in found} >= {"entrance", "exit", "staff"}
    for v in found:
        corners = shop.FLOOR_ZONES[v.zone][1]
        inside = [
            contains(corners, s.x, s.y)
            for i in instants
            if v.enter_s <= i.t_s < v.leave_s
            for s in i.people
            if s.name == v.person
        ]
        assert inside[0]
        assert inside[-1]
        assert v.leave_s - v.enter_s >= truth.SHORTEST_S - 1e-9


def test_the_standing_box_is_about_that_of_a_body(boxes: list[sight.Box], performance: sight.Stage) -> None:
    compared = 0
    for b in boxes[::50]:
        state = next(s for s in performance.instants[b.frame].people if s.name == b.person)
        if b.box[0] > 0 and b.box[1] > 0 and b.box[2] < shop.WIDTH and b.box[3] < shop.HEIGHT:
            box = shop.CAMERA.standing(state.x, state.y, state.height)
            tall = b.box[3] - b.box[1]
            assert abs(box[1] - b.box[1]) < 0.2 * tall  # who reaches bends
            assert abs(box[3] - b.box[3]) < 0.12 * tall
            assert abs((box[0] + box[2]) / 2 - (b.box[0] + b.box[2]) / 2) < 0.2 * tall
            compared += 1
    assert compared > 100


@settings(max_examples=60, deadline=None)
@given(*(st.floats(low, high) for low, high in ((0.3, 7.3), (0.2, 5.6), (0.3, 7.3), (0.2, 5.6))))
def test_a_path_ends_at_its_goal_and_walks_around_the_furniture(x1: float, y1: float, x2: float, y2: float) -> None:
    start, goal = route.push_out(x1, y1), route.push_out(x2, y2)
    way = route.path(start, goal)
    assert way[-1] == goal
    for a, b in itertools.pairwise((start, *way)):
        for f in np.linspace(0, 1, 40):
            x, y = a[0] + f * (b[0] - a[0]), a[1] + f * (b[1] - a[1])
            assert not any(r[0] < x < r[2] and r[1] < y < r[3] for r in route.FURNITURE)


def test_pose_is_the_same_wherever_a_body_stands(performance: sight.Stage) -> None:
    """Moving and turning a stance moves and turns every bone with it: nothing depends on the place in the shop."""
    look = performance.looks["s04"]
    feet = ((0.2, 0.1, 0.0, 0.1, 0.0), (-0.2, -0.1, 0.04, -0.1, 0.3))
    here = pose(look, Stance(0.0, 0.0, 0.0, feet, 0.1, (0.3, 0.1), (None, (0.5, -0.2, 1.2, 0.7))))
    turn, dx, dy = 1.1, 3.0, 2.0
    c, s = math.cos(turn), math.sin(turn)
    moved_feet = [(c * x - s * y + dx, s * x + c * y + dy, z, yaw + turn, p) for x, y, z, yaw, p in feet]
    reach = (c * 0.5 + s * 0.2 + dx, s * 0.5 - c * 0.2 + dy, 1.2, 0.7)
    there = pose(look, Stance(dx, dy, turn, (moved_feet[0], moved_feet[1]), 0.1, (0.3, 0.1), (None, reach)))
    move = np.array([[c, -s, 0, dx], [s, c, 0, dy], [0, 0, 1, 0], [0, 0, 0, 1]])
    for bone, frame in here.bones.items():
        assert np.allclose(move @ frame, there.bones[bone], atol=1e-9), bone
