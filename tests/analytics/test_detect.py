"""Two detectors, one promise: the same people; and one line for whatever cannot be used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from numpy.typing import NDArray

from analytics.detect import (
    PERSON,
    Detector,
    ModelError,
    OpenVinoDetector,
    Thresholds,
    UltralyticsDetector,
    detector,
)
from analytics.model import Frame
from analytics.video import Source, frames, probe
from tests.conftest import ROOT

pytestmark = pytest.mark.data

INT8 = "models/detection/yolov8n_int8_openvino_model"
CLIPS = (  # a path from above, a street, a corridor, a crowd in full HD, a wide lens over checkouts
    "tracking/PETS09-S2L1/PETS09-S2L1.mp4",
    "tracking/TUD-Stadtmitte/TUD-Stadtmitte.mp4",
    "video/caviar/ShopAssistant1cor.mp4",
    "video/towncentre_10s.mp4",
    "video/checkout/supermarket_checkout_7fps.mp4",
)
USUAL = Thresholds(floor=0.25)


@cache
def spread(video: Path, count: int) -> list[NDArray[np.uint8]]:
    """Return so many pictures, evenly over the whole clip."""
    length = probe(Source(str(video))).duration_s
    assert length is not None
    every = frames(Source(str(video), fps=count / length))
    pictures = [frame.image for frame in every if isinstance(frame, Frame)]
    assert len(pictures) >= count
    return pictures[:count]


def partners(one: sv.Detections, other: sv.Detections) -> Iterator[tuple[float, float]]:
    """Yield the confidence of each person of one, and the IoU with the nearest of the other."""
    overlaps = sv.box_iou_batch(one.xyxy, other.xyxy) if len(one) and len(other) else np.zeros((len(one), 1))
    assert one.confidence is not None or not len(one)
    yield from zip(() if one.confidence is None else one.confidence.tolist(), overlaps.max(axis=1), strict=True)


@pytest.mark.yolo
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: Path(clip).stem)
def test_both_detectors_see_the_same_people(clip: str, data: Path) -> None:
    ours = OpenVinoDetector(data / INT8, thresholds=USUAL, fit_aspect=False)
    theirs = UltralyticsDetector(data / INT8, thresholds=USUAL)
    seen = 0
    for picture in spread(data / clip, 10):
        a, b = ours.detect(picture), theirs.detect(picture)
        assert len(a) == len(b)
        for confidence, overlap in (*partners(a, b), *partners(b, a)):
            assert overlap >= 0.9, f"a person of confidence {confidence:.3f} is seen by one alone"
        seen += len(a)
    assert seen >= 20  # of at least so many people were the two asked


@pytest.mark.yolo
def test_a_checkpoint_loads_and_sees_most_of_the_same_people(data: Path) -> None:
    theirs = detector(data / "models/detection/yolov8n_dequantised.pt", thresholds=USUAL)
    assert isinstance(theirs, UltralyticsDetector)
    ours = OpenVinoDetector(data / INT8, thresholds=USUAL, fit_aspect=False)
    near = [
        overlap
        for picture in spread(data / CLIPS[0], 5)
        for confidence, overlap in partners(ours.detect(picture), theirs.detect(picture))
        if confidence >= 0.4
    ]
    assert len(near) >= 20
    assert np.mean(np.array(near) >= 0.8) >= 0.9  # other arithmetic: not box for box


@pytest.mark.yolo
@pytest.mark.parametrize("name", ["letter.pt", "letter.onnx", "letter.engine", "letter.md"])
def test_a_file_that_is_no_model_is_refused_before_any_picture(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("Dear Sir or Madam,\n")
    with pytest.raises(ModelError, match=r"cannot load .*letter\.\w+; check that the file is a YOLO detector$"):
        detector(tmp_path / name)


@pytest.mark.yolo
def test_an_onnx_net_for_something_else_is_refused(data: Path, tmp_path: Path) -> None:
    shutil.copyfile(data / "models/reid/osnet_x0_25_msmt17.onnx", tmp_path / "osnet.onnx")
    with pytest.raises(ModelError, match="cannot load"):
        detector(tmp_path / "osnet.onnx")


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("models/detection/none", "no model at .*; give an exported YOLO folder"),
        ("models/detection", r"holds 0 OpenVINO models \(\*\.xml\); it must hold exactly one"),
        ("models/reid/person-reidentification-retail-0288-fp16", "is not a YOLO detector of fixed input size"),
        ("models/emotion/fer2013_mini_xception_openvino", "is not a YOLO detector of fixed input size"),
        ("models/detection/yolov8n-pose_int8_openvino_model", "does not detect people as class 0"),
    ],
)
def test_what_is_no_person_detector_is_refused_in_one_line(model: str, line: str, data: Path) -> None:
    with pytest.raises(ModelError, match=line) as refusal:
        detector(data / model)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("part", "text", "line"),
    [
        ("metadata.yaml", "names: [", "is not the metadata of an export"),
        ("metadata.yaml", "task: detect", "is not the metadata of an export"),
        ("metadata.yaml", "names: {0: cat}", "does not detect people as class 0"),
        ("yolov8n.xml", "<net", "is not a readable OpenVINO model; export it again"),
        ("yolov8n.bin", "", "is not a readable OpenVINO model; export it again"),
    ],
)
def test_a_damaged_export_is_refused_in_one_line(part: str, text: str, line: str, data: Path, tmp_path: Path) -> None:
    for file in (data / INT8).iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    assert (tmp_path / part).is_file()
    (tmp_path / part).write_text(text)
    with pytest.raises(ModelError, match=line) as refusal:
        detector(tmp_path)
    assert "\n" not in str(refusal.value)


def test_two_models_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").touch()
    (tmp_path / "b.xml").touch()
    with pytest.raises(ModelError, match="holds 2 OpenVINO models"):
        OpenVinoDetector(tmp_path)


@pytest.mark.parametrize("shape", [(20_000, 2, 3), (2, 20_000, 3)])
@pytest.mark.parametrize("fit_aspect", [True, False])
def test_a_sliver_of_a_picture_is_looked_at(data: Path, shape: tuple[int, ...], fit_aspect: bool) -> None:
    eyes = OpenVinoDetector(data / INT8, fit_aspect=fit_aspect)
    assert len(eyes.detect(np.zeros(shape, np.uint8))) == 0


def test_pictures_of_another_size_are_refused(data: Path) -> None:
    eyes = OpenVinoDetector(data / INT8)
    eyes.detect(np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(ModelError, match=r"changed from \(320, 240\) to \(240, 320\); open a detector for each"):
        eyes.detect(np.zeros((320, 240, 3), np.uint8))


def test_the_input_follows_the_shape_of_the_picture_and_finds_the_same_people(data: Path) -> None:
    fitted, square = (OpenVinoDetector(data / INT8, thresholds=USUAL, fit_aspect=fit) for fit in (True, False))
    pictures = spread(data / CLIPS[3], 5)
    rows = [row for p in pictures for row in partners(square.detect(p), fitted.detect(p))]
    assert (fitted.input_size, square.input_size) == ((640, 384), (640, 640))
    sure = [overlap for confidence, overlap in rows if confidence >= 0.4]
    assert len(sure) >= 25
    assert np.mean(np.array(sure) >= 0.8) >= 0.9


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((768, 576), (640, 480)),
        ((1920, 1080), (640, 384)),
        ((1080, 1920), (384, 640)),
        ((640, 640), (640, 640)),
        ((32, 2000), (32, 640)),
    ],
)
def test_the_input_is_the_smallest_of_whole_cells_that_holds_the_picture(
    picture: tuple[int, int], size: tuple[int, int], data: Path
) -> None:
    eyes = OpenVinoDetector(data / INT8)
    assert len(eyes.detect(np.zeros((picture[1], picture[0], 3), np.uint8))) == 0
    assert eyes.input_size == size


def test_a_small_export_works(data: Path) -> None:
    eyes = detector(data / "models/detection/yolov8n_320_int8_openvino_model", thresholds=USUAL)
    (picture,) = spread(data / CLIPS[1], 1)
    found = eyes.detect(picture)
    assert isinstance(eyes, OpenVinoDetector)
    assert eyes.input_size == (320, 256)
    assert len(found) >= 3


@pytest.fixture(scope="module")
def eyes(data: Path) -> Detector:
    return detector(data / INT8)


def test_boxes_are_people_inside_the_picture_above_the_floor(eyes: Detector, data: Path) -> None:
    for picture in spread(data / CLIPS[1], 3):
        found = eyes.detect(picture)
        height, width = picture.shape[:2]
        assert len(found) >= 3
        assert found.class_id is not None
        assert found.confidence is not None
        assert set(found.class_id.tolist()) == {PERSON}
        assert (found.confidence >= Thresholds().floor).all()
        x1, y1, x2, y2 = found.xyxy.T
        assert (x1 >= 0).all()
        assert (y1 >= 0).all()
        assert (x2 <= width).all()
        assert (y2 <= height).all()
        assert (x1 < x2).all()
        assert (y1 < y2).all()


def test_nobody_in_a_picture_is_nobody_found(eyes: Detector, data: Path) -> None:
    height, width = spread(data / CLIPS[1], 1)[0].shape[:2]
    assert len(eyes.detect(np.full((height, width, 3), 90, np.uint8))) == 0


def test_a_mirrored_picture_gives_mirrored_people(eyes: Detector, data: Path) -> None:
    (picture,) = spread(data / CLIPS[1], 1)
    width = picture.shape[1]
    plain, mirrored = eyes.detect(picture), eyes.detect(np.ascontiguousarray(picture[:, ::-1]))
    mirrored.xyxy = mirrored.xyxy[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [width, 0, width, 0]
    sure = [overlap for confidence, overlap in partners(plain, mirrored) if confidence >= 0.6]
    assert len(sure) >= 3
    assert min(sure) >= 0.75


FOUR_AT_ONCE = """
import sys, threading
import numpy as np
from pathlib import Path
from analytics.detect import detector
gate, done = threading.Barrier(4), []

def camera():
    net = detector(Path(sys.argv[1]))
    gate.wait()
    net.detect(np.zeros((288, 384, 3), np.uint8))
    done.append(1)

cameras = [threading.Thread(target=camera, daemon=True) for _ in range(4)]
for one in cameras:
    one.start()
for one in cameras:
    one.join(100)
print(len(done))
"""


def test_cameras_that_start_together_do_not_wait_for_each_other_for_ever(data: Path) -> None:
    for _ in range(3):  # one run in six hung, before
        done = subprocess.run(
            [sys.executable, "-c", FOUR_AT_ONCE, str(data / INT8)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stdout == "4\n"
