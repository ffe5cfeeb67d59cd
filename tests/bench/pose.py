"""The pose net on crops of single people, against YOLOv8n-pose int8 at 640 pixels: ``python -m tests.bench.pose``.

Three questions, none of whose pictures were trained on. *Demo clip*: how far is a point from the exact joint, in shares
of the body height? *Held-out video* (TUD-Stadtmitte, and the corridor clip of CAVIAR that is kept for measuring): how
far from what YOLOv8n-pose says in floating point of the same crop enlarged to 640 pixels? And what does a crop cost?
Both nets get the same crops. PCK@0.05 is the share of points within 5 % of the body's height; a person whom a net does
not see counts as missed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.body import Box
from analytics.detect import Thresholds, detector, stand_in_for_torchvision
from analytics.model import Frame
from analytics.pose import OWN, Pose, around
from analytics.quiet import quiet_parts
from analytics.shopfloor import record
from analytics.video import Source, frames
from tests.bench.clips import DATA, MODEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

GIVEN = DATA / "models/detection/yolov8n-pose_int8_openvino_model"
LABELS = DATA / "models/detection/yolov8n-pose_dequantised.pt"
HELD_OUT = ("tracking/TUD-Stadtmitte/TUD-Stadtmitte.mp4", "video/caviar/EnterExitCrossingPaths1cor.mp4")
STEP, PHASE = 40, 7  # frames of the demo clip
MISSED = np.inf


def demo() -> list[tuple[NDArray[np.uint8], Box, dict[str, NDArray[np.float32]]]]:
    """Return whole bodies of the demo clip with their exact wrists, ankles and head centre."""
    wanted = [b for b in record.read_boxes() if b.frame % STEP == PHASE and b.visible >= 0.9 and b.box[3] < 359]
    clip = enumerate(f for f in frames(Source(str(record.HERE / record.CLIP))) if isinstance(f, Frame))
    images = {n: f.image for n, f in clip if n % STEP == PHASE}
    return [
        (
            images[b.frame],
            b.box,
            {"head": b.points[:1].astype(np.float32), "wrists": b.points[1:3], "ankles": b.points[3:5]},  # type: ignore[dict-item]
        )
        for b in wanted
    ]


def said(found: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32]]:
    """Return head (the mean of what is seen of the face), wrists and ankles of an answer."""
    if found is None:
        return {k: np.full((n, 2), MISSED, np.float32) for k, n in (("head", 1), ("wrists", 2), ("ankles", 2))}
    weight = found[:5, 2:] + 1e-6
    head = (found[:5, :2] * weight).sum(axis=0, keepdims=True) / weight.sum()
    return {"head": head, "wrists": found[9:11, :2], "ankles": found[15:17, :2]}


def held_out() -> list[tuple[NDArray[np.uint8], Box, NDArray[np.float32]]]:
    """Return people of held-out video with the (17, 3) points of the larger net, its own confidence in the last."""
    quiet_parts()
    stand_in_for_torchvision()
    from ultralytics import YOLO

    larger: Any = YOLO(str(LABELS))
    found = []
    for name in HELD_OUT:
        eyes = detector(MODEL, thresholds=Thresholds(floor=0.5))
        for item in frames(Source(str(DATA / name), fps=2.0)):
            if not isinstance(item, Frame):
                continue
            for box in eyes.detect(item.image).xyxy.tolist():
                x1, y1, x2, y2 = around(tuple(box), item.image.shape[1], item.image.shape[0])
                (answer,) = larger.predict(item.image[y1:y2, x1:x2], imgsz=640, conf=0.4, verbose=False)
                if not len(answer.boxes):
                    continue
                boxes = answer.boxes.xyxy.numpy() + np.array([x1, y1, x1, y1], np.float32)
                near = int(np.abs(boxes - np.array(box)).sum(axis=1).argmin())
                points = answer.keypoints.data[near].numpy().astype(np.float32)
                points[:, :2] += (x1, y1)
                found.append((item.image, tuple(box), points))
    return found


def line(name: str, distances: Sequence[float]) -> str:
    """Return median and PCK of distances in body heights."""
    d = np.array(distances)
    return f"{name} median {np.median(d):.3f} PCK@0.05 {np.mean(d <= 0.05):.2f} PCK@0.1 {np.mean(d <= 0.1):.2f}"


def main(words: Sequence[str] | None = None) -> int:
    """Run both nets over both sets and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pose", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", type=Path, default=OWN, help="the pose net to compare (default: our own)")
    given = parser.parse_args(words)
    rendered, filmed = demo(), held_out()
    print(f"{len(rendered)} bodies of the demo clip, {len(filmed)} people of held-out video")
    for name, folder in (("yolov8n-pose int8, 640", GIVEN), ("own", given.model)):
        net = Pose(folder)
        net.points(rendered[0][0], rendered[0][1])
        by_part: dict[str, list[float]] = {"head": [], "wrists": [], "ankles": []}
        began = time.process_time()
        answers = [net.points(image, box) for image, box, _ in rendered]
        cpu_ms = 1000 * (time.process_time() - began) / len(rendered)
        for (_, box, true), answer in zip(rendered, answers, strict=True):
            for part, points in said(answer).items():
                by_part[part] += (np.hypot(*(points - true[part]).T) / (box[3] - box[1])).tolist()
        shares: list[float] = []
        for image, box, true_points in filmed:
            answer = net.points(image, box)
            known = true_points[:, 2] >= 0.5
            if answer is None:
                shares += [MISSED] * int(known.sum())
            else:
                shares += (np.hypot(*(answer - true_points)[known, :2].T) / (box[3] - box[1])).tolist()
        print(f"\n{name}: {cpu_ms:.1f} ms of CPU a crop")
        for part, distances in by_part.items():
            print("  demo clip, " + line(part, distances))
        print("  held-out video, " + line("all points", shares), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
