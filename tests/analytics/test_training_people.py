"""How the detector and the pose net are taught: labels stay on people, and an interruption changes nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.yolo


def somebody(seed: int) -> Any:
    """A light picture with one dark upright body."""
    from analytics.training.pictures import Picture

    chance = np.random.default_rng(seed)
    image = np.full((240, 320, 3), 235, np.uint8)
    x, y = chance.integers(40, 220), chance.integers(30, 100)
    w, h = chance.integers(25, 45), chance.integers(70, 120)
    image[y : y + h, x : x + w] = 12
    return Picture(image, np.array([[x, y, x + w, y + h]], np.float32), "drawn")


@pytest.mark.parametrize("count", [1, 4])
def test_boxes_stay_on_the_people_they_were_drawn_around(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics.training import pictures

    monkeypatch.setattr(pictures, "vary", lambda image, chance: image)
    seen = 0
    for seed in range(40):
        chance = np.random.default_rng(seed)
        image, boxes = pictures.laid([somebody(10 * seed + k) for k in range(count)], 384, (220, 600), chance)
        dark = image.max(axis=2) < 60
        for x1, y1, x2, y2 in boxes:
            inner = dark[round(y1) + 2 : round(y2) - 2, round(x1) + 2 : round(x2) - 2]
            assert inner.mean() > 0.95
            seen += 1
        outside = dark.copy()
        for x1, y1, x2, y2 in boxes:
            outside[max(0, int(y1) - 2) : int(y2) + 3, max(0, int(x1) - 2) : int(x2) + 3] = False
        assert outside.sum() < 12 * 384  # only slivers of bodies cut by a seam go without a box
    assert seen > 20 * count


def marked() -> Any:
    """A body whose joints are black squares on a light ground."""
    from analytics.pose import POINTS
    from analytics.training.pose import Body

    image = np.full((400, 400, 3), 200, np.uint8)
    points = np.array([[150 + 6 * k, 100 + 12 * k, 1] for k in range(len(POINTS))], np.float32)
    for x, y, _ in points.astype(int):
        image[y - 5 : y + 6, x - 5 : x + 6] = 0
    return Body(image, np.array([130, 80, 280, 330], np.float32), points)


@pytest.mark.parametrize("degrees", [0, 25, 90, -140])
def test_points_stay_on_the_joints_they_mark(degrees: int) -> None:
    from analytics.training import pose

    body = pose.tilted(marked(), degrees) if degrees else marked()
    for seed in range(30):
        shown, box, found = pose.crop(body, np.random.default_rng(seed))
        grey = shown.mean(axis=2)
        x1, y1, x2, y2 = box.round().astype(int)
        ground = np.median(grey[y1:y2, x1:x2])
        for x, y, known in found:
            if known and 2 < x < 189 and 2 < y < 253:
                assert grey[round(float(y)), round(float(x))] < ground - 20
        assert box[0] < box[2] <= 192
        assert box[1] < box[3] <= 256


def test_a_body_turned_by_a_quarter_lies_in_its_box_turned_by_a_quarter() -> None:
    from analytics.training import pose

    upright, lying = marked(), pose.tilted(marked(), 90)
    size = upright.box[2:] - upright.box[:2]
    np.testing.assert_allclose(lying.box[2:] - lying.box[:2], size[::-1], atol=1e-3)
    off = upright.points[:, :2] - (upright.box[:2] + upright.box[2:]) / 2
    middle = (lying.box[:2] + lying.box[2:]) / 2
    # counterclockwise: what was on the right is on top
    np.testing.assert_allclose(lying.points[:, :2] - middle, np.stack([off[:, 1], -off[:, 0]], axis=1), atol=1e-3)


def test_a_mirror_swaps_left_and_right() -> None:
    from analytics.pose import POINTS
    from analytics.training.pose import SWAP

    for k, other in enumerate(SWAP):
        mirrored = {"l": "r", "r": "l"}.get(POINTS[k][-1], "") if "_" in POINTS[k] else ""
        assert POINTS[other] == (POINTS[k][:-1] + mirrored if mirrored else POINTS[k])


@pytest.mark.data
def test_the_cut_to_one_class_gives_the_answers_of_yolov8n_for_people(data: Path) -> None:
    import torch

    from analytics.training import person, pictures
    from analytics.training.yolo import YOLO

    picture = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    whole = YOLO(str(data / pictures.CHECKPOINT)).model.float().eval()
    cut = person.one_class(data / pictures.CHECKPOINT, 80, 64).model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(cut(picture)[0], whole(picture)[0][:, :5], atol=1e-5, rtol=1e-4)


@pytest.mark.data
@pytest.mark.timeout(600)
def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(data: Path, tmp_path: Path) -> None:
    import torch

    from analytics.training import fit, person, pictures
    from analytics.training.yolo import v8DetectionLoss

    torch.set_num_threads(1)
    sources = [somebody(seed) for seed in range(6)]
    schedule = fit.Schedule(rounds=2, steps=1)

    def run(checkpoint: Path, until: int) -> dict[str, Any]:
        torch.manual_seed(3)
        net = person.one_class(data / pictures.CHECKPOINT, person.CHANNELS, person.EDGES).model

        def stream(number: int) -> Any:
            if number >= until:
                raise KeyboardInterrupt
            return person.batches(sources, (3, number))

        mean = fit.fit(net, v8DetectionLoss, stream, checkpoint, schedule, new="model.22.cv")
        return dict(mean.state_dict())

    whole = run(tmp_path / "whole.pt", 2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts.pt", 1)
    parts = run(tmp_path / "parts.pt", 2)
    changed = 0
    before = person.one_class(data / pictures.CHECKPOINT, person.CHANNELS, person.EDGES).model.state_dict()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, msg=name)
        changed += int(not torch.equal(before[name].float(), value.float()))
        assert (
            torch.equal(before[name].float(), value.float())
            or int(name.split(".")[1]) >= dataclasses.asdict(schedule)["frozen"]
        )
    assert changed > 50


def test_no_clip_that_is_for_measuring_is_trained_on() -> None:
    from analytics.training.pictures import CLIPS

    assert all(name.startswith(("video/intel/", "video/caviar/")) for name in CLIPS)
    assert not any("EnterExitCrossingPaths1cor" in name for name in CLIPS)


def test_the_pose_net_is_not_taught_the_clip_that_reaches_are_measured_on() -> None:
    from analytics.training import pose
    from analytics.training.pictures import CLIPS
    from tests.bench import reaches

    assert {Path(clip.path).stem for clip in reaches.CLIPS} & {Path(name).stem for name in CLIPS} <= {pose.MEASURED}


def test_a_camera_above_looks_down_at_people_and_most_of_them_stand_upright() -> None:
    import random

    from analytics.training.stills import STEEPEST, _joints, _shop, above, stretching

    for seed in range(40):
        camera, _ = above(random.Random(seed))
        assert np.degrees(np.arccos(-camera.axes()[2][2])) <= STEEPEST + 1e-6
        assert 2.4 <= camera.place[2] <= 3.2
    upright, raised = [], 0
    for seed in (6100, 6101, 6102):
        stage, camera, _ = _shop(seed, stretching, above)
        for frame, people in enumerate(stage.posed):
            for person, body in people.items():
                joints = _joints(stage, camera, frame, person)
                if (abs(joints[:, 0] - 320) < 320).all() and (abs(joints[:, 1] - 180) < 180).all():
                    upright.append(joints[5:7, 1].mean() < joints[11:13, 1].mean())
                raised += body.points["wrist_l"][2] > body.points["head"][2] + 0.05
                raised += body.points["wrist_r"][2] > body.points["head"][2] + 0.05
    assert len(upright) > 20
    assert np.mean(upright) > 0.6
    assert raised > 5


@pytest.mark.parametrize("kind", ["corner", "above"])
def test_a_joint_of_a_render_lies_within_its_body(kind: str) -> None:
    from analytics.shopfloor import sight
    from analytics.training import stills
    from analytics.training.stills import _joints, _shop

    stage, camera, _ = _shop(4100) if kind == "corner" else _shop(6100, stills.stretching, stills.above)
    boxes: NDArray[Any] = np.array([b.box for b in sight.boxes(stage, camera=camera) if b.visible > 0.95])
    people = [b for b in sight.boxes(stage, camera=camera) if b.visible > 0.95]
    assert len(people) > 5
    for person, box in zip(people, boxes, strict=True):
        found = _joints(stage, camera, person.frame, person.person)
        assert (found[:, 0] > box[0] - 2).all()
        assert (found[:, 0] < box[2] + 2).all()
        assert (found[:, 1] > box[1] - 2).all()
        assert (found[:, 1] < box[3] + 2).all()
