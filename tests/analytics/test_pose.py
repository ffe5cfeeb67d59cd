"""The pose net that the project ships: the file its card describes, small, and right about joints that are known."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from analytics.detect import OWN as PERSON
from analytics.detect import ModelError
from analytics.model import Frame
from analytics.pose import OWN, POINTS, Pose, agreed, around
from analytics.shopfloor import record
from analytics.video import Source, frames

CARD = OWN.with_suffix(".md").read_text(encoding="utf-8")
WRISTS, ANKLES = slice(9, 11), slice(15, 17)


@pytest.fixture(scope="module")
def net() -> Pose:
    return Pose()


@pytest.fixture(scope="module")
def pictures() -> dict[int, np.ndarray]:
    clip = enumerate(f for f in frames(Source(str(record.HERE / record.CLIP))) if isinstance(f, Frame))
    return {n: f.image for n, f in clip if n % 60 == 7}


def test_the_card_states_the_hash_of_each_file() -> None:
    stated = dict(re.findall(r"\| `(pose\.\w+)` \| [\d,]+ \| `([0-9a-f]{64})` \|", CARD))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in OWN.glob("pose.*")}
    assert files
    assert stated == files


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in OWN.iterdir()) <= 4_000_000


def test_wrists_and_ankles_of_the_demo_clip_are_where_they_are(net: Pose, pictures: dict[int, np.ndarray]) -> None:
    wrists, ankles = [], []
    for body in record.read_boxes():
        if body.frame not in pictures or body.visible < 0.9 or body.box[3] > 358:
            continue
        found = net.points(pictures[body.frame], body.box)
        assert found is not None
        tall = body.box[3] - body.box[1]
        wrists += (np.hypot(*(found[WRISTS, :2] - body.points[1:3]).T) / tall).tolist()
        ankles += (np.hypot(*(found[ANKLES, :2] - body.points[3:5]).T) / tall).tolist()
    assert len(wrists) > 100
    for distances in (wrists, ankles):
        assert np.median(distances) < 0.04
        assert np.mean(np.array(distances) < 0.1) > 0.85


def test_a_mirrored_picture_has_mirrored_points(net: Pose, pictures: dict[int, np.ndarray]) -> None:
    body = max((b for b in record.read_boxes() if b.frame in pictures and b.visible > 0.95), key=lambda b: b.box[3])
    picture = pictures[body.frame]
    x1, y1, x2, y2 = body.box
    width = picture.shape[1]
    one = net.points(picture, body.box)
    other = net.points(np.ascontiguousarray(picture[:, ::-1]), (width - x2, y1, width - x1, y2))
    assert one is not None
    assert other is not None
    for name in ("wrist", "ankle", "shoulder", "knee"):
        left, right = POINTS.index(f"{name}_l"), POINTS.index(f"{name}_r")
        pair = other[[right, left], :2] * (-1, 1) + (width, 0)
        assert np.abs(pair - one[[left, right], :2]).max() < 0.03 * (y2 - y1)  # crops are of whole pixels


def test_of_two_looks_an_arm_is_where_it_hangs_least_and_all_else_is_in_between() -> None:
    one = np.tile(np.array([[100.0, 100.0, 0.9]], np.float32), (len(POINTS), 1))
    other = one + np.array([2.0, 0.0, -0.2], np.float32)
    left, right = POINTS.index("wrist_l"), POINTS.index("wrist_r")
    one[left, :2] = (140.0, 60.0)  # raised in one look, by the hip in the other
    other[right, :2] = (60.0, 70.0)
    for found in (agreed(one, other), agreed(other, one)):
        assert found[left].tolist() == one[left].tolist()
        assert found[POINTS.index("elbow_l")].tolist() == one[POINTS.index("elbow_l")].tolist()
        assert found[right].tolist() == other[right].tolist()
        assert found[POINTS.index("elbow_r")].tolist() == other[POINTS.index("elbow_r")].tolist()
        rest = [k for k, name in enumerate(POINTS) if "wrist" not in name and "elbow" not in name]
        assert np.allclose(found[rest], (one[rest] + other[rest]) / 2)


def test_nobody_has_no_joints(net: Pose) -> None:
    assert net.points(np.full((360, 640, 3), 90, np.uint8), (100, 50, 160, 250)) is None


@pytest.mark.parametrize("box", [(700.0, 10.0, 760.0, 90.0), (-90.0, 10.0, -60.0, 90.0), (10.0, 10.0, 10.0, 10.0)])
def test_a_box_outside_the_picture_has_no_joints(net: Pose, box: tuple[float, float, float, float]) -> None:
    assert net.points(np.zeros((360, 640, 3), np.uint8), box) is None


def test_the_crop_keeps_within_the_picture() -> None:
    assert around((0, 0, 20, 100), 640, 360) == (0, 0, 35, 115)
    assert around((600, 300, 640, 360), 640, 360) == (591, 291, 640, 360)


@pytest.mark.parametrize("folder", [PERSON, Path(__file__).parent])
def test_what_is_no_pose_net_is_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no pose net|holds 0 OpenVINO models") as caught:
        Pose(folder)
    assert "\n" not in str(caught.value)


def test_the_card_names_whom_the_licences_ask_to_name() -> None:
    for words in ("EC Funded CAVIAR project/IST 2001 37540", "Intel", "CC BY 4.0", "CC BY-SA", "AGPL-3.0"):
        assert words in CARD
