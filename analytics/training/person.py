"""Train the person detector: ``python -m analytics.training.person --data DIR --out DIR``.

Rules
- It learns from pictures whose licence allows shipping what is learned: CAVIAR (CC BY-SA), Intel's sample videos
  (CC BY 4.0), shelf photos of GroceryStore (MIT), and stills that this project renders. The MOT sequences and
  ``EnterExitCrossingPaths1cor`` are for measuring, and are never read here; nor is the demo clip.
- Labels of video come from YOLOv8n at 1280 and 640 pixels. Whoever it is unsure of is painted grey: nobody's label and
  nobody's miss. Labels of stills are exact.
- It starts from YOLOv8n. The backbone stays as it is; the class branch is cut to one class and few channels.
- A checkpoint after every round; the same command goes on where it stopped.

What this does not do: measure the result; for that see ``tests/bench/person.py``. Training pictures stay in the work
folder. Needs the `yolo` set and, for the stills, Blender.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
import torch
from torch import Tensor, nn

from analytics.detect import _no_settings, stand_in_for_torchvision
from analytics.training import int8
from analytics.training.stills import LEAST_SEEN, SCENES, stills

if TYPE_CHECKING:
    from numpy.typing import NDArray

_no_settings()
stand_in_for_torchvision()
from ultralytics import YOLO  # noqa: E402 - only after it has been told to be quiet
from ultralytics.nn.modules import Conv  # noqa: E402
from ultralytics.utils import IterableSimpleNamespace  # noqa: E402
from ultralytics.utils.loss import v8DetectionLoss  # noqa: E402

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
GREY = 114


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number that shapes the result.

    Attributes:
        side: of a training picture, pixels.
        scales: least and largest long side at which a source picture is laid into a training picture.
        channels: of the class branch; YOLOv8n has 80 for 80 classes.
        frozen: so many of the first modules keep their weights (10 is the backbone).
        rounds: of `steps` steps each.
        rate: largest learning rate of what is taken over; the cut class branch learns `faster` times as fast.
        decay: of the running mean of the weights, per step.
        sure: least confidence of a label; from `unsure` on it is painted grey.
        stills: share of source pictures that are rendered.
    """

    side: int = 416
    scales: tuple[int, int] = (230, 620)
    channels: int = 32
    frozen: int = 10
    rounds: int = 40
    steps: int = 30
    batch: int = 16
    rate: float = 2e-4
    faster: float = 5.0
    decay: float = 0.995
    sure: float = 0.4
    unsure: float = 0.12
    stills: float = 0.35
    shelves: int = 60
    seed: int = 20261121


@dataclass(frozen=True, slots=True)
class Picture:
    """One source picture with the boxes of its people: (n, 4) x1, y1, x2, y2 in pixels."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    origin: str


# --- pictures ---------------------------------------------------------------------------------------------------------


def _frames(path: Path, every: int) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as box:
        for n, frame in enumerate(box.decode(video=0)):
            if n % every == every // 2:
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _labelled(image: NDArray[np.uint8], teacher: Any, recipe: Recipe, origin: str) -> Picture | None:
    """Label a picture by the larger net's answers; None where nobody is surely seen and somebody may be there."""
    found = [
        teacher.predict(image, imgsz=size, conf=recipe.unsure, iou=0.6, classes=[0], verbose=False)[0].boxes
        for size in (1280, 640)
    ]
    boxes = np.concatenate([b.xyxy.numpy() for b in found])
    confidence = np.concatenate([b.conf.numpy() for b in found])
    order = np.argsort(-confidence)
    kept: list[int] = []
    for k in order:
        if all(_overlap(boxes[k], boxes[j]) < 0.55 for j in kept):
            kept.append(int(k))
    sure = [k for k in kept if confidence[k] >= recipe.sure]
    doubtful = [
        k for k in kept if confidence[k] < recipe.sure and all(_overlap(boxes[k], boxes[j]) < 0.3 for j in sure)
    ]
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


def pictures(data: Path, work: Path, recipe: Recipe) -> list[Picture]:
    """Gather all source pictures; the labels of video are kept in `work`."""
    kept = work / "pictures.npz"
    if not kept.is_file():
        teacher = YOLO(str(data / CHECKPOINT))
        found = [
            picture
            for name, every in CLIPS.items()
            for image in _frames(data / name, every)
            if (picture := _labelled(image, teacher, recipe, Path(name).stem)) is not None
        ]
        work.mkdir(parents=True, exist_ok=True)
        rows = {f"{k}.{p.origin}.{part}": getattr(p, part) for k, p in enumerate(found) for part in ("image", "boxes")}
        np.savez_compressed(kept, **rows)
    with np.load(kept) as stored:
        names = [name[: -len(".image")] for name in stored.files if name.endswith(".image")]
        real = [Picture(stored[f"{n}.image"], stored[f"{n}.boxes"], n.split(".", 1)[1]) for n in names]
    for still in stills(work / "stills", SCENES):
        image, boxes = still.image(), still.boxes
        hidden = still.visible < LEAST_SEEN
        keep = ~hidden & ((boxes[:, 3] - boxes[:, 1]) >= 12)
        real.append(Picture(image, boxes[keep], "still"))
    with zipfile.ZipFile(data / SHELVES) as archive:
        photos = sorted(n for n in archive.namelist() if "/val/" in f"/{n}" and n.lower().endswith((".jpg", ".png")))
        for name in photos[:: max(1, len(photos) // recipe.shelves)]:
            photo = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
            if photo is not None:
                real.append(Picture(np.asarray(photo, np.uint8), np.zeros((0, 4), np.float32), "shelf"))
    return real


def _vary(image: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
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
        canvas[first[1] : last[1], first[0] : last[0]] = _vary(image[v : v + h, u : u + w], chance)
        moved = boxes + np.tile(low + at, 2)
        inside = np.concatenate([np.maximum(moved[:, :2], first), np.minimum(moved[:, 2:], last)], axis=1)
        whole, part = moved[:, 2:] - moved[:, :2], inside[:, 2:] - inside[:, :2]
        shown = (part[:, 0] > 3) & (part[:, 1] > 8) & (part.prod(axis=1) > 0.2 * whole.prod(axis=1))
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


def batches(sources: list[Picture], recipe: Recipe, seed: tuple[int, ...]) -> Iterator[dict[str, Tensor]]:
    """Yield training batches as ultralytics' loss wants them, without end; the same for the same seed."""
    chance = np.random.default_rng(seed)
    groups = [[p for p in sources if p.origin == o] for o in sorted({p.origin for p in sources})]
    weight = np.array([{"still": recipe.stills, "shelf": 0.07}.get(g[0].origin, np.sqrt(len(g)) / 60) for g in groups])
    weight /= weight.sum()
    while True:
        images, boxes, numbers = [], [], []
        for k in range(recipe.batch):
            count = 4 if chance.random() < 0.55 else 1
            chosen = [groups[g] for g in chance.choice(len(groups), count, p=weight)]
            image, found = laid([g[chance.integers(len(g))] for g in chosen], recipe.side, recipe.scales, chance)
            images.append(image[:, :, ::-1].transpose(2, 0, 1))
            boxes.append(found)
            numbers.append(np.full(len(found), k))
        flat = np.concatenate(boxes) / recipe.side
        xywh = np.stack(
            [(flat[:, 0] + flat[:, 2]) / 2, (flat[:, 1] + flat[:, 3]) / 2, *(flat[:, 2:] - flat[:, :2]).T], 1
        )
        yield {
            "img": torch.from_numpy(np.ascontiguousarray(np.stack(images))).float() / 255,
            "bboxes": torch.from_numpy(xywh.astype(np.float32)),
            "cls": torch.zeros(len(xywh)),
            "batch_idx": torch.from_numpy(np.concatenate(numbers).astype(np.float32)),
        }


# --- net --------------------------------------------------------------------------------------------------------------


def one_class(checkpoint: Path, channels: int) -> Any:
    """Load YOLOv8n and cut its class branch to the person and to its `channels` weightiest channels.

    Returns:
        The `ultralytics.YOLO`, in single precision.
    """
    model = YOLO(str(checkpoint))
    net = model.model.float()
    head = net.model[-1]
    for branch in head.cv3:
        first, second, last = branch
        row = last.weight[:1].detach()
        keep = row.abs().flatten().topk(min(channels, row.shape[1])).indices.sort().values
        weights = second.conv.weight.detach()[keep].abs().sum((0, 2, 3)) * _spread(first)
        before = weights.topk(min(channels, len(weights))).indices.sort().values
        branch[0] = _cut(first, before, None)
        branch[1] = _cut(second, keep, before)
        branch[2] = nn.Conv2d(len(keep), 1, 1)
        branch[2].weight.data, branch[2].bias.data = row[:, keep].clone(), last.bias.detach()[:1].clone()
    head.nc, head.no = 1, head.reg_max * 4 + 1
    net.nc, net.names, net.yaml["nc"] = 1, {0: "person"}, 1
    return model


def _spread(conv: Any) -> Tensor:
    if hasattr(conv, "bn"):
        return cast("Tensor", conv.bn.weight.detach().abs())
    return torch.ones(conv.conv.out_channels)


def _cut(conv: Any, keep: Tensor, inputs: Tensor | None) -> Any:
    """Return a Conv with the kept outputs, and inputs where given."""
    old = conv.conv
    fewer = Conv(old.in_channels if inputs is None else len(inputs), len(keep), old.kernel_size[0], old.stride[0])
    weight = old.weight.detach()[keep]
    fewer.conv.weight.data = weight if inputs is None else weight[:, inputs].clone()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(fewer.bn, name).data = getattr(conv.bn, name).detach()[keep].clone()
    fewer.bn.eps = conv.bn.eps
    return fewer


def train(model: Any, sources: list[Picture], checkpoint: Path, recipe: Recipe, device: str = "cpu") -> Any:
    """Train in place and return the net with averaged weights.

    Args:
        model: of `one_class`.
        sources: see `pictures`.
        checkpoint: file to go on from and to write after each round; weights only, no picture.
        recipe: the numbers.
        device: as torch names it.
    """
    net = model.model.to(device).to(memory_format=torch.channels_last)
    net.args = IterableSimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    head = len(net.model) - 1
    slow: list[Tensor] = []
    fast: list[Tensor] = []
    for name, weight in net.named_parameters():
        module = int(name.split(".")[1])
        weight.requires_grad_(module >= recipe.frozen and "dfl" not in name)
        if weight.requires_grad:
            (fast if f"model.{head}.cv3" in name else slow).append(weight)
    descent = torch.optim.AdamW([{"params": slow}, {"params": fast}], lr=recipe.rate, weight_decay=0.01)
    criterion = v8DetectionLoss(net)
    mean = copy.deepcopy(net).eval()
    first = 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        for part, saved in zip((net, mean, descent), state["parts"], strict=True):
            part.load_state_dict(saved)
        first = state["round"] + 1
    total = recipe.rounds * recipe.steps
    for number in range(first, recipe.rounds):
        began, sums = time.monotonic(), torch.zeros(3)
        net.train()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # the statistics of many thousand pictures are better than those of these few
        stream = batches(sources, recipe, (recipe.seed, number))
        for step in range(recipe.steps):
            batch = {k: v.to(device) for k, v in next(stream).items()}
            at = (number * recipe.steps + step) / total
            rate = recipe.rate * min(1.0, at / 0.05 + 0.02) * (0.03 + 0.97 * (1 + np.cos(np.pi * at)) / 2)
            descent.param_groups[0]["lr"], descent.param_groups[1]["lr"] = rate, rate * recipe.faster
            with torch.autocast(device.split(":")[0], torch.bfloat16):
                answer = net(batch["img"].contiguous(memory_format=torch.channels_last))
            answer = {k: [f.float() for f in v] if isinstance(v, list) else v.float() for k, v in answer.items()}
            loss, parts = criterion(answer, batch)
            descent.zero_grad()
            (loss.sum() / recipe.batch).backward()
            nn.utils.clip_grad_norm_(slow + fast, 10.0)
            descent.step()
            sums += torch.stack([p.detach().cpu() for p in parts.values()])
            with torch.no_grad():
                for ours, now in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                    if ours.is_floating_point():
                        ours.lerp_(now, 1 - recipe.decay)
        torch.save({"round": number, "parts": [p.state_dict() for p in (net, mean, descent)]}, checkpoint)
        box, cls, dfl = (sums / recipe.steps).tolist()
        print(
            f"round {number + 1}/{recipe.rounds} box {box:.3f} class {cls:.3f} dfl {dfl:.3f}"
            f" ({time.monotonic() - began:.0f} s)",
            flush=True,
        )
    return mean.to("cpu")


def calibration(sources: list[Picture], count: int = 300) -> list[NDArray[np.uint8]]:
    """Return pictures evenly from all sources, to set the ranges of the integers."""
    groups = [
        [p for p in sources if p.origin == o and p.origin != "shelf"] for o in sorted({p.origin for p in sources})
    ]
    groups = [g for g in groups if g]
    each = max(1, count // len(groups))
    return [g[k].image for g in groups for k in np.linspace(0, len(g) - 1, min(each, len(g))).astype(int)]


def main(words: list[str] | None = None) -> None:
    """Gather, label, train, export."""
    parser = argparse.ArgumentParser(description="Train the person detector and write it as OpenVINO int8.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds models/, video/ and products/")
    parser.add_argument("--out", type=Path, required=True, help="folder for person.xml, person.bin and metadata.yaml")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "openaisle-person")
    parser.add_argument("--size", type=int, default=480, help="side of the network's input (default 480)")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one")
    parser.add_argument("--threads", type=int, default=1, help="more only when the cores are idle")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    recipe = Recipe()
    torch.manual_seed(recipe.seed)
    sources = pictures(given.data, given.work, recipe)
    model = one_class(given.data / CHECKPOINT, recipe.channels)
    model.model = train(model, sources, given.work / "person.pt", recipe, given.device)
    int8.write(model, (given.size, given.size), calibration(sources), given.out, "person")


if __name__ == "__main__":
    main()
