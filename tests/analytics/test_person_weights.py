"""The detector that the project ships: the file its card describes, small, for people alone, and it finds them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from hatchling.builders.wheel import WheelBuilder

from analytics.detect import OWN, PERSON, OpenVinoDetector, Thresholds, _class_names, detector
from analytics.model import Frame
from analytics.pose import OWN as POSE
from analytics.shopfloor import record
from analytics.video import Source, frames

CARD = OWN.with_suffix(".md").read_text(encoding="utf-8")
MOST_BYTES = 4_000_000
LEAST_FOUND = 0.80  # of the bodies of the demo clip of which nine tenths and more can be seen


def test_the_card_states_the_hash_of_each_file() -> None:
    stated = dict(re.findall(r"\| `(person\.\w+)` \| [\d,]+ \| `([0-9a-f]{64})` \|", CARD))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in OWN.glob("person.*")}
    assert files
    assert stated == files


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in OWN.iterdir()) <= MOST_BYTES


def test_it_knows_people_and_nothing_else() -> None:
    assert _class_names(OWN / "metadata.yaml") == {PERSON: "person"}
    ours = detector(None)
    assert isinstance(ours, OpenVinoDetector)
    assert ours._model.output(0).shape[1] == 5  # four of the box, one of the person


def test_a_picture_without_anybody_has_nobody() -> None:
    ours = detector(None, thresholds=Thresholds(floor=0.4))
    chance = np.random.default_rng(3)
    for picture in (np.zeros((360, 640, 3), np.uint8), chance.integers(0, 256, (360, 640, 3)).astype(np.uint8)):
        assert len(ours.detect(picture)) == 0


def test_it_finds_the_bodies_of_the_demo_clip() -> None:
    step, found, whole = 20, 0, 0
    true = record.read_boxes()
    ours = detector(None, thresholds=Thresholds(floor=0.4))
    pictures = (f.image for f in frames(Source(str(record.HERE / record.CLIP))) if isinstance(f, Frame))
    for number, picture in enumerate(pictures):
        if number % step:
            continue
        people = [b for b in true if b.frame == number and b.visible >= 0.9]
        seen = ours.detect(picture)
        if people and len(seen):
            overlaps = sv.box_iou_batch(np.array([b.box for b in people], np.float32), seen.xyxy)
            found += int((overlaps.max(axis=1) >= 0.5).sum())
        whole += len(people)
    assert whole > 100
    assert found / whole >= LEAST_FOUND


@pytest.mark.parametrize("shape", [(360, 640), (576, 768), (288, 384), (1080, 1920), (640, 360)])
def test_its_input_takes_the_shape_of_the_picture(shape: tuple[int, int]) -> None:
    ours = detector(None)
    assert isinstance(ours, OpenVinoDetector)
    long = max(ours.input_size)
    ours.detect(np.zeros((*shape, 3), np.uint8))
    width, height = ours.input_size
    assert max(width, height) == long
    assert abs(width / height - shape[1] / shape[0]) <= 32 / height * max(1, shape[1] / shape[0])


def test_the_card_names_whom_the_licences_ask_to_name() -> None:
    for words in ("EC Funded CAVIAR project/IST 2001 37540", "Intel", "CC BY 4.0", "CC BY-SA", "AGPL-3.0", "MIT"):
        assert words in CARD


def test_the_wheel_holds_the_files() -> None:
    root = Path(__file__).parents[2]
    names = {file.relative_path for file in WheelBuilder(str(root)).recurse_included_files()}
    for folder in (OWN, POSE):
        assert {str(path.relative_to(root)) for path in folder.iterdir()} <= names
