"""Pictures to learn heads from, in any orientation, and what is beside heads but is none.

| source | licence | where heads are |
|---|---|---|
| two clips of CAVIAR, four of Intel's sample videos | CC BY-SA, CC BY 4.0 | joints of YOLOv8n-pose |
| our own renders of people before shelves | this project's | exact |
| shelf photos of GroceryStore | MIT | none is in them |

Clips on which the rule is measured (``tests/bench/heads.py``) are never read here. The last part of every source is
held out for choosing thresholds. Labels are kept in the work folder; no picture is.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from analytics.training.pictures import GREY, SHELVES, SURE, UNSURE, _frames
from analytics.training.stills import LEAST_SEEN, reachers, stills
from analytics.training.yolo import YOLO

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKPOINT = "models/detection/yolov8n-pose_dequantised.pt"
CLIPS: dict[str, int] = {  # below the data folder: every so many pictures are taken
    "video/intel/one-by-one-person-detection.mp4": 4,
    "video/intel/worker-zone-detection.gif": 3,
    "video/intel/people-detection.gif": 3,
    "video/intel/classroom.gif": 9,
    "video/caviar/ShopAssistant1cor.mp4": 8,
    "video/caviar/EnterExitCrossingPaths1front.mp4": 10,
}
HELD_OUT = 0.3  # of each source, at its end
SHOPS, FIRST_SHOP = 12, 5100  # renders, and the seed of the first
FACE = 0.09  # width of a face, of the body's height


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture and the heads in it.

    Attributes:
        image: (height, width, 3) uint8, BGR.
        heads: (n, 3) x and y of the middle and the width of the face, pixels.
        boxes: (n, 4) of their bodies.
        limbs: (m, 3) x and y of shoulders, elbows and wrists, and the width of the face of whose they are.
        drawn: it is a render.
    """

    image: NDArray[np.uint8]
    heads: NDArray[np.float32]
    boxes: NDArray[np.float32]
    limbs: NDArray[np.float32]
    drawn: bool


@dataclass(slots=True)
class Material:
    """What training pictures are made of: pictures with people, and shelves without."""

    scenes: list[Scene] = field(default_factory=list)
    goods: list[NDArray[np.uint8]] = field(default_factory=list)


def scene(image: NDArray[np.uint8], boxes: NDArray[np.float32], points: NDArray[np.float32], *, drawn: bool) -> Scene:
    """Say where heads are, from boxes and (n, 17, 3) joints; who has no head that can be located is painted grey."""
    heads, kept, limbs, image = [], [], [], image.copy()
    for box, joints in zip(boxes, points, strict=True):
        face, known = joints[:5], joints[:5, 2] >= 0.5
        tall = box[3] - box[1]
        spans = [float(np.linalg.norm(face[a, :2] - face[b, :2])) for a, b in ((1, 2), (3, 4)) if known[[a, b]].all()]
        standing = (joints[15:, 2] >= 0.5).any()
        wide = FACE * tall if standing else max([2 * spans[0], *spans], default=0.0) if known[1:3].all() else 0.0
        shoulders = joints[5:7]
        if wide and known.any():
            x, y = face[known, :2].mean(axis=0)
        elif wide and shoulders[:, 2].min() >= 0.5:
            x, y = shoulders[:, :2].mean(axis=0) - (0, 1.1 * wide)
        else:
            x1, y1, x2, y2 = box.round().astype(int)
            image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = GREY
            continue
        heads.append((x, y, wide))
        kept.append(box)
        limbs += [(*joint[:2], wide) for joint in joints[5:11] if joint[2] >= 0.5]
    return Scene(
        image,
        np.array(heads, np.float32).reshape(-1, 3),
        np.array(kept, np.float32).reshape(-1, 4),
        np.array(limbs, np.float32).reshape(-1, 3),
        drawn,
    )


def _labels(data: Path, work: Path) -> dict[str, NDArray[Any]]:
    kept = work / "heads.npz"
    if not kept.is_file():
        teacher, rows = YOLO(str(data / CHECKPOINT)), {}
        for name, every in CLIPS.items():
            for n, image in enumerate(_frames(data / name, every)):
                found = teacher.predict(image, imgsz=960, conf=UNSURE, verbose=False)[0]
                rows[f"{Path(name).stem}.{n}.boxes"] = found.boxes.data.numpy()[:, :5]
                rows[f"{Path(name).stem}.{n}.points"] = found.keypoints.data.numpy().reshape(-1, 17, 3)
        work.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, **cast("Any", rows))
    with np.load(kept) as stored:
        return dict(stored)


def _filmed(data: Path, work: Path, name: str) -> list[Scene]:
    labels, found = _labels(data, work), []
    for n, image in enumerate(_frames(data / name, CLIPS[name])):
        boxes, points = (labels[f"{Path(name).stem}.{n}.{part}"] for part in ("boxes", "points"))
        image, sure = image.copy(), boxes[:, 4] >= SURE
        for x1, y1, x2, y2 in boxes[~sure, :4].round().astype(int):
            image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = GREY
        found.append(scene(image, boxes[sure, :4], points[sure], drawn=False))
    return found


def _drawn(work: Path) -> list[Scene]:
    found = []
    for still in stills(work / "reaches", SHOPS, first_seed=FIRST_SHOP, draw=reachers):
        image, hidden = still.image(), still.visible < LEAST_SEEN
        for x1, y1, x2, y2 in still.boxes[hidden].round().astype(int):
            image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = GREY
        found.append(scene(image, still.boxes[~hidden], still.points[~hidden], drawn=True))
    return found


def material(data: Path, work: Path) -> tuple[Material, Material]:
    """Return what is learned from, and what is held out."""
    learned, held = Material(), Material()
    for source in (*(_filmed(data, work, name) for name in CLIPS), _drawn(work)):
        last = round(len(source) * (1 - HELD_OUT))
        learned.scenes += source[:last]
        held.scenes += source[last:]
    with zipfile.ZipFile(data / SHELVES) as archive:
        names = sorted(n for n in archive.namelist() if "/val/" in f"/{n}" and n.lower().endswith((".jpg", ".png")))
        photos = [cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), cv2.IMREAD_COLOR) for n in names]
    for n, photo in enumerate(photos):
        (held if n % 4 == 3 else learned).goods.append(np.asarray(photo, np.uint8))
    return learned, held
