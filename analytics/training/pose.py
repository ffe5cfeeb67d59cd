"""Train the pose net: ``python -m analytics.training.pose --data DIR --out DIR``.

Rules
- It learns from crops of single people: of the same licensed pictures as the person detector (never the MOT sequences,
  ``EnterExitCrossingPaths1cor``, the shelf clips of ``tests/bench/reaches.py`` or the demo clip), points from
  YOLOv8n-pose on the crop enlarged to 640 pixels, and of our own renders, points exact.
- It starts from YOLOv8n-pose; the first six modules of its backbone stay as they are.
- The same command goes on where it stopped.

What this does not do: measure the result; for that see ``tests/bench/pose.py``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import torch

from analytics.detect import _letterbox
from analytics.pose import POINTS, around
from analytics.training import int8
from analytics.training.fit import Batch, Schedule, fit
from analytics.training.pictures import GREY, Picture, filmed, vary
from analytics.training.stills import Still, above, beside, reachers, stills, stretching
from analytics.training.yolo import YOLO, v8PoseLoss

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKPOINT = "models/detection/yolov8n-pose_dequantised.pt"
SIZE = (192, 256)  # width and height of the net's input, pixels
BATCH = 24
KINDS = ("of video", "of renders", "before shelves", "reaching high", "from above")
SHARES = (0.3, 0.1, 0.25, 0.15, 0.2)  # of crops, by kind
SHOPS = 3  # of the renders of the person detector, the first ones
REACHES, FIRST_REACH = 12, 5100  # shops of those before shelves, and the seed of the first of them
HIGH, FIRST_HIGH = 4, 6200  # of those who reach high
ABOVE, FIRST_ABOVE = 14, 6100  # of those from above
TILTED = 0.3  # share of crops that are turned: from above by any angle, others by 25 degrees or so
MEASURED = "store-aisle-detection"  # a clip of the person detector's that `tests/bench/reaches.py` measures reaches on
LEAST_TALL = 36.0  # pixels; of a smaller body no joint can be told
LEAST_SEEN = 0.6  # visible share of a rendered body
SURE = 0.5  # least confidence of a point of the labelling net
ENLARGED = 640  # pixels to which the labelling net sees a crop
SEED = 20261121
SWAP = [0, *[k + 1 if k % 2 else k - 1 for k in range(1, len(POINTS))]]  # left for right in a mirror


@dataclass(frozen=True, slots=True)
class Body:
    """One person in a picture: the box, and (17, 3) x, y in pixels of the picture and 1, or 0 for a point not known."""

    image: NDArray[np.uint8]
    box: NDArray[np.float32]
    points: NDArray[np.float32]


def _label(picture: Picture, teacher: Any) -> Iterator[Body]:
    for box in picture.boxes:
        if box[3] - box[1] < LEAST_TALL:
            continue
        x1, y1, x2, y2 = around(tuple(box.tolist()), picture.image.shape[1], picture.image.shape[0])
        found = teacher.predict(picture.image[y1:y2, x1:x2], imgsz=ENLARGED, conf=0.4, verbose=False)[0]
        if not len(found.boxes):
            continue
        boxes = found.boxes.xyxy.numpy() + np.array([x1, y1, x1, y1], np.float32)
        near = int(np.abs(boxes - box).sum(axis=1).argmin())
        if np.abs(boxes[near] - box).max() > 0.2 * (box[3] - box[1]):
            continue
        points = found.keypoints.data[near].numpy().astype(np.float32)
        points[:, :2] += (x1, y1)
        points[:, 2] = points[:, 2] >= SURE
        if points[5:, 2].sum() >= 6:
            yield Body(picture.image, box, points)


def bodies(data: Path, work: Path) -> tuple[list[Body], ...]:
    """Return the people of each of `KINDS`; the labels of those of video are kept in `work`.

    Of the first renders hardly anybody has a hand in a shelf, and a net takes every arm that it cannot see well for a
    hanging one.
    """
    real = [p for p in filmed(data, work) if p.origin != MEASURED]
    kept = work / "joints.npz"  # the number of a picture is its place among those of `filmed` but `MEASURED`
    if not kept.is_file():
        teacher = YOLO(str(data / CHECKPOINT))
        labels = [(n, body) for n, picture in enumerate(real) for body in _label(picture, teacher)]
        np.savez_compressed(
            kept,
            number=np.array([n for n, _ in labels]),
            box=np.array([b.box for _, b in labels]),
            points=np.array([b.points for _, b in labels]),
        )
    with np.load(kept) as stored:
        rows = zip(stored["number"].tolist(), stored["box"], stored["points"], strict=True)
        seen = [Body(real[n].image, box, points) for n, box, points in rows]
    return (
        seen,
        _drawn(stills(work / "stills", SHOPS)),
        _drawn(stills(work / "reaches", REACHES, first_seed=FIRST_REACH, draw=reachers)),
        _drawn(stills(work / "high", HIGH, first_seed=FIRST_HIGH, draw=stretching, hang=beside)),
        _drawn(stills(work / "above", ABOVE, first_seed=FIRST_ABOVE, draw=stretching, hang=above)),
    )


def _drawn(pictures: list[Still]) -> list[Body]:
    found = []
    for still in pictures:
        image = still.image()
        for box, visible, points in zip(still.boxes, still.visible, still.points, strict=True):
            if visible >= LEAST_SEEN and box[3] - box[1] >= LEAST_TALL:
                found.append(Body(image, box, points))
    return found


def tilted(body: Body, degrees: float) -> Body:
    """Return a body in a picture turned counterclockwise around its middle.

    The new box is that of the ellipse in the old one: bodies have no corners.
    """
    middle, half = (body.box[:2] + body.box[2:]) / 2, (body.box[2:] - body.box[:2]) / 2
    reach = 2 * int(np.ceil(np.hypot(*half)))
    turn = np.asarray(cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), degrees, 1.0), np.float64)
    turn[:, 2] += reach - middle
    image = cv2.warpAffine(body.image, turn, (2 * reach, 2 * reach), borderValue=(GREY, GREY, GREY))
    wide, tall = np.sqrt((turn[:, :2] ** 2) @ half**2)
    points = body.points.copy()
    points[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    box = np.array([reach - wide, reach - tall, reach + wide, reach + tall], np.float32)
    return Body(np.asarray(image, np.uint8), box, points)


def crop(body: Body, chance: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Cut a body out as a detector's unsteady box would, change light and sharpness, and fit it to the input.

    Returns:
        (256, 192, 3) BGR, the box and the (17, 3) points in its pixels.
    """
    tall = float(max(body.box[2:] - body.box[:2]))
    shift = chance.normal(0, 0.03, 4) * tall
    x1, y1, x2, y2 = around(tuple((body.box + shift).tolist()), body.image.shape[1], body.image.shape[0])
    image = body.image[y1:y2, x1:x2]
    fewer = min(1.0, float(np.exp(chance.uniform(np.log(50), np.log(400)))) / max(image.shape[:2]))
    if fewer < 1:  # somebody far from the camera
        image = np.asarray(cv2.resize(image, None, fx=fewer, fy=fewer, interpolation=cv2.INTER_AREA), np.uint8)
    blob, scale, left, top = _letterbox(vary(image, chance), SIZE)
    scale *= fewer
    shown = np.ascontiguousarray((blob[0].transpose(1, 2, 0)[:, :, ::-1] * 255).astype(np.uint8))
    offset = np.array([left - x1 * scale, top - y1 * scale], np.float32)
    points = body.points.copy()
    points[:, :2] = points[:, :2] * scale + offset
    box = body.box * scale + np.tile(offset, 2)
    if chance.random() < 0.5:
        shown = np.ascontiguousarray(shown[:, ::-1])
        points = points[SWAP]
        points[:, 0] = SIZE[0] - points[:, 0]
        box[[0, 2]] = SIZE[0] - box[[2, 0]]
    inside = (points[:, 0] > 0) & (points[:, 0] < SIZE[0]) & (points[:, 1] > 0) & (points[:, 1] < SIZE[1])
    points[:, 2] *= inside
    return shown, np.clip(box, 0, np.tile(SIZE, 2)).astype(np.float32), points


def batches(kinds: Sequence[list[Body]], seed: tuple[int, ...]) -> Iterator[Batch]:
    """Yield training batches as ultralytics' loss wants them, without end; the same for the same seed."""
    chance = np.random.default_rng(seed)
    whole = np.array(SIZE, np.float32)
    while True:
        cut = []
        for kind in chance.choice(len(SHARES), BATCH, p=SHARES):
            body = kinds[kind][chance.integers(len(kinds[kind]))]
            if chance.random() < TILTED:
                body = tilted(body, chance.uniform(-180, 180) if KINDS[kind] == "from above" else chance.normal(0, 25))
            cut.append(crop(body, chance))
        boxes = np.stack([box for _, box, _ in cut])
        points = np.stack([found for _, _, found in cut])
        points[:, :, :2] /= whole
        middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        images = np.stack([image[:, :, ::-1].transpose(2, 0, 1) for image, _, _ in cut])
        yield {
            "img": torch.from_numpy(np.ascontiguousarray(images)).float() / 255,
            "bboxes": torch.from_numpy(np.concatenate([middle / whole, size / whole], axis=1).astype(np.float32)),
            "keypoints": torch.from_numpy(points.astype(np.float32)),
            "cls": torch.zeros(BATCH),
            "batch_idx": torch.arange(BATCH).float(),
        }


def main(words: list[str] | None = None) -> None:
    """Gather, label, train, export."""
    parser = argparse.ArgumentParser(description="Train the pose net and write it as OpenVINO int8.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds models/, video/ and products/")
    parser.add_argument("--out", type=Path, required=True, help="folder for pose.xml, pose.bin and metadata.yaml")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "openaisle-person")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one")
    parser.add_argument("--threads", type=int, default=1, help="more only when the cores are idle")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    torch.manual_seed(SEED)
    kinds = bodies(given.data, given.work)
    print("people", ", ".join(f"{k}: {len(v)}" for k, v in zip(KINDS, kinds, strict=True)), flush=True)
    model = YOLO(str(given.data / CHECKPOINT))
    model.model = fit(
        model.model.float(),
        v8PoseLoss,
        lambda number: batches(kinds, (SEED, number)),
        given.work / "pose.pt",
        Schedule(frozen=6, rounds=60, rate=3e-4),
        device=given.device,
    )
    chance = np.random.default_rng(SEED)
    crops = [crop(group[k], chance)[0] for group in kinds for k in chance.integers(len(group), size=100)]
    int8.write(model, SIZE, cast("list[Any]", crops), given.out, "pose")


if __name__ == "__main__":
    main()
