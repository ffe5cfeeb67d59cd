"""Pictures to learn people from, and how they are laid out for training.

| source | licence | boxes |
|---|---|---|
| two clips of CAVIAR | CC BY-SA | YOLOv8n at 1280 and 640 pixels |
| Intel's sample videos | CC BY 4.0 | the same |
| shelf photos of GroceryStore | MIT | nobody is in them |
| our own renders | this project's | exact |

The MOT sequences and ``EnterExitCrossingPaths1cor`` are for measuring and are never read here; nor is the demo clip.
Whoever the labelling net is unsure of is painted grey: nobody's label and nobody's miss. The labels were looked at, and
what they got wrong is left out by name. Pictures stay in the work folder.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np

from analytics.training.stills import LEAST_SEEN, stills
from analytics.training.yolo import YOLO

if TYPE_CHECKING:
    from numpy.typing import NDArray


CHECKPOINT = "models/detection/yolov8n_dequantised.pt"
SHELVES = "products/grocery_store_small.zip"
CLIPS: dict[str, int] = {  # below the data folder: every so many pictures are taken
    "video/caviar/ShopAssistant1cor.mp4": 10,
    "video/caviar/EnterExitCrossingPaths1front.mp4": 10,
    "video/intel/one-by-one-person-detection.mp4": 12,
    "video/intel/classroom.gif": 15,
    "video/intel/face-demographics-walking-and-pause.gif": 14,
    "video/intel/head-pose-face-detection-female-and-male.gif": 14,
    "video/intel/people-detection.gif": 2,
    "video/intel/store-aisle-detection.gif": 3,
    "video/intel/worker-zone-detection.gif": 4,
}
NEVER_EMPTY = ("ShopAssistant1cor",)  # a picture of these without a label has people whom the larger net missed
BY_EYE = (("EnterExitCrossingPaths1front", 18), ("EnterExitCrossingPaths1front", 14))  # a walker without a label
GREY = 114
SURE, UNSURE = 0.4, 0.12  # least confidence of a label; in between somebody is painted grey
LEAST_TALL = 40  # pixels of the source, from which a label of the net is taken for true
PHOTOS = 60  # of shelves, about


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One source picture with the boxes of its people: (n, 4) x1, y1, x2, y2 in pixels."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    origin: str


def _frames(path: Path, every: int) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as box:
        for n, frame in enumerate(box.decode(video=0)):
            if n % every == every // 2:
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _labelled(image: NDArray[np.uint8], teacher: Any, origin: str) -> Picture | None:
    """Label a picture by the larger net's answers; None where nobody is surely seen and somebody may be there."""
    found = [
        teacher.predict(image, imgsz=size, conf=UNSURE, iou=0.6, classes=[0], verbose=False)[0].boxes
        for size in (1280, 640)
    ]
    boxes = np.concatenate([b.xyxy.numpy() for b in found])
    confidence = np.concatenate([b.conf.numpy() for b in found])
    order = np.argsort(-confidence)
    kept: list[int] = []
    for k in order:
        if all(_overlap(boxes[k], boxes[j]) < 0.55 for j in kept):
            kept.append(int(k))
    sure = [k for k in kept if confidence[k] >= SURE]
    doubtful = [k for k in kept if confidence[k] < SURE and all(_overlap(boxes[k], boxes[j]) < 0.3 for j in sure)]
    if doubtful and not sure:
        return None
    image = image.copy()
    for x1, y1, x2, y2 in boxes[doubtful].round().astype(int):
        image[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = GREY
    return Picture(image, boxes[sure].reshape(-1, 4).astype(np.float32), origin)


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the IoU of two boxes."""
    w = max(0.0, float(min(one[2], other[2]) - max(one[0], other[0])))
    h = max(0.0, float(min(one[3], other[3]) - max(one[1], other[1])))
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in (one, other)]
    return w * h / max(sum(areas) - w * h, 1e-6)


def filmed(data: Path, work: Path) -> list[Picture]:
    """Gather the pictures of video; their labels are kept in `work`."""
    kept = work / "pictures.npz"
    if not kept.is_file():
        teacher = YOLO(str(data / CHECKPOINT))
        found = [
            picture
            for name, every in CLIPS.items()
            for image in _frames(data / name, every)
            if (picture := _labelled(image, teacher, Path(name).stem)) is not None
        ]
        work.mkdir(parents=True, exist_ok=True)
        rows = {f"{k}.{p.origin}.{part}": getattr(p, part) for k, p in enumerate(found) for part in ("image", "boxes")}
        np.savez_compressed(kept, **cast("Any", rows))
    with np.load(kept) as stored:
        names = [name[: -len(".image")] for name in stored.files if name.endswith(".image")]
        found = [Picture(stored[f"{n}.image"], stored[f"{n}.boxes"], n.split(".", 1)[1]) for n in names]
    for origin, number in BY_EYE:
        found.remove([p for p in found if p.origin == origin][number])
    return [p for p in map(_without_small, found) if _fit(p)]


def pictures(data: Path, work: Path) -> list[Picture]:
    """Gather all source pictures: of video, renders, and shelves without people."""
    real = filmed(data, work)
    for still in stills(work / "stills"):
        image, boxes = still.image(), still.boxes
        hidden = still.visible < LEAST_SEEN
        keep = ~hidden & ((boxes[:, 3] - boxes[:, 1]) >= 12)
        real.append(Picture(image, boxes[keep], "still"))
    with zipfile.ZipFile(data / SHELVES) as archive:
        photos = sorted(n for n in archive.namelist() if "/val/" in f"/{n}" and n.lower().endswith((".jpg", ".png")))
        for name in photos[:: max(1, len(photos) // PHOTOS)]:
            photo = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
            if photo is not None:
                real.append(Picture(np.asarray(photo, np.uint8), np.zeros((0, 4), np.float32), "shelf"))
    return real


def _without_small(picture: Picture) -> Picture:
    """Paint bodies grey that are too small to be labelled reliably: one is found, the next, as clear, is not."""
    small = picture.boxes[:, 3] - picture.boxes[:, 1] < LEAST_TALL
    image = picture.image.copy()
    for x1, y1, x2, y2 in picture.boxes[small].round().astype(int):
        image[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = GREY
    return Picture(image, picture.boxes[~small], picture.origin)


def _fit(picture: Picture) -> bool:
    """Say whether a labelled picture may teach: nobody missed, and nobody labelled who is mostly painted over."""
    if not len(picture.boxes):
        return picture.origin not in NEVER_EMPTY
    bodies = [picture.image[b[1] : b[3], b[0] : b[2]] for b in picture.boxes.round().astype(int)]
    return all(float((body == GREY).all(axis=2).mean()) < 0.25 for body in bodies if body.size)


def vary(image: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    """Change light, colour, sharpness and grain as cameras do."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + chance.uniform(-6, 6)) % 180
    hsv[..., 1] *= chance.uniform(0.2, 1.4) if chance.random() < 0.9 else 0
    hsv[..., 2] = hsv[..., 2] * chance.uniform(0.55, 1.35) + chance.uniform(-15, 15)
    image = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR).astype(np.uint8)
    if chance.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), chance.uniform(0.3, 1.0)).astype(np.uint8)
    if chance.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(chance.integers(25, 80))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    if chance.random() < 0.4:
        noise = chance.normal(0, chance.uniform(1, 9), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def laid(
    sources: list[Picture], side: int, scales: tuple[int, int], chance: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Lay one picture, or four around a random middle, into a square; returns it and (n, 4) boxes in its pixels."""
    canvas = np.full((side, side, 3), GREY, np.uint8)
    kept = []
    x, y = (chance.uniform(0.3, 0.7, 2) * side).astype(int).tolist()
    fields = ((0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)) if len(sources) > 1 else ()
    for source, field in zip(sources, fields or ((0, 0, side, side),), strict=True):
        low, room = np.array(field[:2]), np.array(field[2:]) - np.array(field[:2])
        image, boxes = _sized(source, float(np.exp(chance.uniform(*np.log(scales)))), chance)
        size = np.array(image.shape[1::-1])
        spare = room - size  # negative: a window is cut out of the picture
        at = chance.random(2) * spare
        if len(boxes):  # aim the window at somebody
            aim = boxes[chance.integers(len(boxes))].reshape(2, 2).mean(axis=0) + chance.uniform(-0.3, 0.3, 2) * room
            at = np.where(spare < 0, np.clip(room / 2 - aim, np.minimum(spare, 0), 0), at)
        at = at.astype(int)
        first, last = low + np.maximum(at, 0), np.minimum(low + at + size, low + room)
        (u, v), (w, h) = first - low - at, last - first
        canvas[first[1] : last[1], first[0] : last[0]] = vary(image[v : v + h, u : u + w], chance)
        moved = boxes + np.tile(low + at, 2)
        inside = np.concatenate([np.maximum(moved[:, :2], first), np.minimum(moved[:, 2:], last)], axis=1)
        whole, part = moved[:, 2:] - moved[:, :2], inside[:, 2:] - inside[:, :2]
        shown = (part[:, 0] > 3) & (part[:, 1] > 12) & (part.prod(axis=1) > 0.2 * whole.prod(axis=1))
        kept.append(inside[shown])
    return canvas, np.concatenate(kept).astype(np.float32)


def _sized(source: Picture, long: float, chance: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture and its boxes with this long side, a little squeezed, half of them mirrored."""
    scale, squeeze = long / max(source.image.shape[:2]), chance.uniform(0.92, 1.08)
    size = (max(16, round(source.image.shape[1] * scale * squeeze)), max(16, round(source.image.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 0.7 and chance.random() < 0.5 else cv2.INTER_LINEAR
    image = cv2.resize(source.image, size, interpolation=method)
    boxes = source.boxes * np.array([scale * squeeze, scale] * 2, np.float32)
    if chance.random() < 0.5:
        image = image[:, ::-1]
        boxes = np.stack([size[0] - boxes[:, 2], boxes[:, 1], size[0] - boxes[:, 0], boxes[:, 3]], axis=1)
    return np.ascontiguousarray(image, np.uint8), boxes
