"""Train the person detector: ``python -m analytics.training.person --data DIR --out DIR``.

Rules
- It learns from the pictures of `analytics.training.pictures` and from nothing else.
- It starts from YOLOv8n, cut to one class and a thinner head; the first modules of the backbone stay as they are.
- The same command goes on where it stopped: renders, labels and rounds that are in the work folder are kept.

What this does not do: measure the result; for that see ``tests/bench/person.py``. Needs the `yolo` set and, for the
renders, Blender.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from analytics.training import int8
from analytics.training.fit import Batch, Schedule, fit
from analytics.training.pictures import CHECKPOINT, Picture, laid, pictures
from analytics.training.yolo import YOLO, Conv, v8DetectionLoss

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 384  # of a training picture, pixels
SCALES = (240, 640)  # least and largest long side at which a source is laid into a training picture
BATCH = 12
STILLS = 0.35  # share of sources that are rendered
CHANNELS = 32  # of the class branch; YOLOv8n has 80 for 80 classes
EDGES = 48  # channels of the box branch; YOLOv8n has 64
SEED = 20261121

STAGES = (Schedule(rounds=50), Schedule(frozen=4, rounds=12, rate=2e-4))  # first the thinned head, then most of the net


def batches(sources: list[Picture], seed: tuple[int, ...]) -> Iterator[Batch]:
    """Yield training batches as ultralytics' loss wants them, without end; the same for the same seed."""
    chance = np.random.default_rng(seed)
    groups = [[p for p in sources if p.origin == o] for o in sorted({p.origin for p in sources})]
    weight = np.array([{"still": STILLS, "shelf": 0.07}.get(g[0].origin, np.sqrt(len(g)) / 60) for g in groups])
    weight /= weight.sum()
    while True:
        images, boxes, numbers = [], [], []
        for k in range(BATCH):
            count = 4 if chance.random() < 0.55 else 1
            chosen = [groups[g] for g in chance.choice(len(groups), count, p=weight)]
            image, found = laid([g[chance.integers(len(g))] for g in chosen], SIDE, SCALES, chance)
            images.append(image[:, :, ::-1].transpose(2, 0, 1))
            boxes.append(found)
            numbers.append(np.full(len(found), k))
        flat = np.concatenate(boxes) / SIDE
        xywh = np.stack(
            [(flat[:, 0] + flat[:, 2]) / 2, (flat[:, 1] + flat[:, 3]) / 2, *(flat[:, 2:] - flat[:, :2]).T], 1
        )
        yield {
            "img": torch.from_numpy(np.ascontiguousarray(np.stack(images))).float() / 255,
            "bboxes": torch.from_numpy(xywh.astype(np.float32)),
            "cls": torch.zeros(len(xywh)),
            "batch_idx": torch.from_numpy(np.concatenate(numbers).astype(np.float32)),
        }


def one_class(checkpoint: Path, channels: int, edges: int) -> Any:
    """Load YOLOv8n and cut it to the person, and its head to the weightiest channels.

    Args:
        checkpoint: YOLOv8n.
        channels: of the class branch.
        edges: of the box branch.

    Returns:
        The `ultralytics.YOLO`, in single precision.
    """
    model = YOLO(str(checkpoint))
    net = model.model.float()
    head = net.model[-1]
    for branch in head.cv3:
        _thin(branch, slice(0, 1), channels)
    for branch in head.cv2:
        _thin(branch, slice(None), edges)
    head.nc, head.no = 1, head.reg_max * 4 + 1
    net.nc, net.names, net.yaml["nc"] = 1, {0: "person"}, 1
    return model


def _thin(branch: Any, rows: slice, channels: int) -> None:
    """Keep these outputs of a branch of the head, and of its two inner layers the channels that weigh most in them."""
    first, second, last = branch
    weight = last.weight.detach()[rows]
    keep = _most(weight.abs().sum((0, 2, 3)) * _spread(second), channels)
    before = _most(second.conv.weight.detach()[keep].abs().sum((0, 2, 3)) * _spread(first), channels)
    branch[0], branch[1] = _cut(first, before, None), _cut(second, keep, before)
    branch[2] = nn.Conv2d(len(keep), len(weight), 1)
    branch[2].weight.data, branch[2].bias.data = weight[:, keep].clone(), last.bias.detach()[rows].clone()


def _most(weights: Tensor, count: int) -> Tensor:
    return weights.topk(min(count, len(weights))).indices.sort().values


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
    parser.add_argument("--size", type=int, default=512, help="side of the network's input (default 512)")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one")
    parser.add_argument("--threads", type=int, default=1, help="more only when the cores are idle")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    torch.manual_seed(SEED)
    sources = pictures(given.data, given.work)
    model = one_class(given.data / CHECKPOINT, CHANNELS, EDGES)
    for stage, schedule in enumerate(STAGES):
        model.model = fit(
            model.model,
            v8DetectionLoss,
            lambda number, stage=stage: batches(sources, (SEED, 1000 * stage + number)),  # type: ignore[misc]
            given.work / f"person{stage}.pt",
            schedule,
            new="model.22.cv" if stage == 0 else "no part of it",
            device=given.device,
        )
    int8.write(model, (given.size, given.size), calibration(sources), given.out, "person")


if __name__ == "__main__":
    main()
