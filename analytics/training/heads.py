"""Train the net that finds heads in any orientation: ``python -m analytics.training.heads --data DIR --out FILE``.

Rules
- It learns from pictures that `heads_pictures` makes, each as the rule will see it: a face in the middle, and beside it
  other heads, or what is none.
- It starts from the first modules of YOLOv8n-pose; the earliest of them stay as they are.

What this does not do: measure the rule; for that see ``tests/bench/heads.py``.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from analytics.heads import Heads
from analytics.training.half import halved
from analytics.training.heads_pictures import SIDE, Maker, lay
from analytics.training.heads_sources import CHECKPOINT, Material, material
from analytics.training.yolo import YOLO

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL = 8  # pixels of the input, of a cell of the output
FROZEN, STEPS, BATCH, RATE = 2, 1700, 16, 4e-4
INSIDE, AROUND = 0.35, 0.8  # face widths from a head's middle: to here it is one, and from there on none
SEED = 20261122
FIGURES = 300  # held-out pictures on which figures are taken


class HeadNet(nn.Module):
    """(n, 3, SIDE, SIDE) RGB in [0, 1] to (n, cells, cells) logits of a head's middle."""

    def __init__(self, backbone: nn.Sequential) -> None:
        super().__init__()
        self.fine, self.broad = backbone[:5], backbone[5:7]
        self.from_fine, self.from_broad = nn.Conv2d(64, 48, 1), nn.Conv2d(128, 48, 1)
        self.mix, self.out = nn.Conv2d(48, 48, 3, 1, 1), nn.Conv2d(48, 1, 1)
        nn.init.constant_(self.out.bias, -4.0)

    def forward(self, x: Tensor) -> Tensor:
        """Look closely and broadly, and say what both say."""
        fine = self.fine(x)
        broad = F.interpolate(self.from_broad(self.broad(fine)), scale_factor=2.0, mode="nearest")
        return self.out(F.silu(self.mix(F.silu(self.from_fine(fine) + broad))))[:, 0]


class Deployed(nn.Module):
    """What the file holds: probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """(1, 3, SIDE, SIDE) to (1, cells, cells)."""
        return self.net(x).sigmoid()


def target(heads: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what each cell should say, and whether it counts: near a middle it may say either."""
    cells = SIDE // CELL
    y, x = (np.mgrid[0:cells, 0:cells] + 0.5) * CELL
    wanted, counts = np.zeros((cells, cells), np.float32), np.ones((cells, cells), np.float32)
    for hx, hy, wide in heads:
        far = np.hypot(x - hx, y - hy)
        counts[far < AROUND * wide] = 0
    for hx, hy, wide in heads:
        far = np.hypot(x - hx, y - hy)
        one = (far < INSIDE * wide) | ((far == far.min()) & (far < CELL))
        wanted[one], counts[one] = 1, 1
    return wanted, counts


def blob(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a picture as the net takes it."""
    return np.asarray(image[:, :, ::-1].transpose(2, 0, 1), np.float32) / np.float32(255)


def batches(found: Material, seed: tuple[int, ...], size: int = BATCH) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield pictures, what is wanted and what counts, without end; the same for the same seed."""
    maker = Maker(found, np.random.default_rng(seed))
    while True:
        made = [maker.made() for _ in range(size)]
        wanted = [target(heads) for _, heads in made]
        images = torch.from_numpy(np.stack([blob(image) for image, _ in made]))
        yield images, *(torch.from_numpy(np.stack(part)) for part in zip(*wanted, strict=True))


def fit(net: HeadNet, stream: Iterator[tuple[Tensor, Tensor, Tensor]], steps: int) -> None:
    """Train in place; the statistics of batch normalisation stay as they are."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for weight in net.fine[:FROZEN].parameters():
        weight.requires_grad_(False)
    old = [w for part in (net.fine, net.broad) for w in part.parameters() if w.requires_grad]
    new = [w for part in (net.from_fine, net.from_broad, net.mix, net.out) for w in part.parameters()]
    descent = torch.optim.AdamW([{"params": old}, {"params": new}], lr=RATE, weight_decay=0.01)
    began, total = time.monotonic(), 0.0
    for step in range(steps):
        images, wanted, counts = next(stream)
        at = step / steps
        rate = RATE * min(1.0, at / 0.05 + 0.05) * (0.02 + 0.98 * (1 + math.cos(math.pi * at)) / 2)
        for group, factor in zip(descent.param_groups, (1.0, 5.0), strict=True):
            group["lr"] = rate * factor
        said = net(images)
        chance = said.sigmoid()
        wrong = F.binary_cross_entropy_with_logits(said, wanted, reduction="none")
        focus = torch.where(wanted > 0, 1.0, 0.5) * (wanted - chance).abs().square()
        loss = (wrong * focus * counts).sum() / wanted.sum().clamp(min=1)
        descent.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(old + new, 10.0)
        descent.step()
        total += float(loss.detach())
        if step % 50 == 49:
            print(f"step {step + 1}/{steps} {total / 50:.3f} ({time.monotonic() - began:.0f} s)", flush=True)
            total = 0.0
    net.eval()


def export(net: HeadNet) -> onnx.ModelProto:
    """Write the graph, its larger weights in half precision and widened when the file is loaded."""
    buffer = io.BytesIO()
    torch.onnx.export(
        Deployed(net).eval(),
        (torch.rand(1, 3, SIDE, SIDE),),
        buffer,
        dynamo=False,  # as in expression_net
        input_names=["surroundings"],
        output_names=["heads"],
        opset_version=17,
    )
    return halved(buffer.getvalue())


def figures(finds: Heads, held: Material, count: int = FIGURES) -> dict[str, NDArray[np.float64]]:
    """Return what the net says of single heads that are held out, and of the same with something laid beside them.

    All are turned anywhere, most of them away; distances and sizes are those of ``tests/bench/heads.py``.
    """
    chance = np.random.default_rng(SEED)
    maker = Maker(held, chance)
    said: dict[str, list[float]] = {}
    for _ in range(count):
        image, heads = maker.single(readable=True)
        while len(heads) > 1 and np.hypot(*(heads[1:, :2] - heads[0, :2]).T).min() < SIDE:
            image, heads = maker.single(readable=True)
        x, y, wide = heads[0].tolist()
        said.setdefault("alone", []).append(finds.beside(image, (x, y), wide / 2))
        for kind, body in (("head", False), ("head", True), ("goods", False), ("goods", True), ("limb", False)):
            far, turn = wide * chance.choice((0.8, 1.2, 1.8, 2.5)), math.pi * chance.uniform(-0.2, 1.2)
            at = (x + far * math.cos(turn), y + far * math.sin(turn))
            part = maker.part(kind, wide * chance.uniform(0.5, 1))
            if part is not None:
                both = image.copy()
                lay(both, part, at, (0.62, 0.85, 0.06), body=body)
                named = f"{kind} with shoulders" if body else kind
                said.setdefault(named, []).append(finds.beside(both, (x, y), wide / 2))
    return {name: np.array(values) for name, values in said.items()}


def main(words: list[str] | None = None) -> None:
    """Gather, train, export, and say what the net says of what was held out."""
    parser = argparse.ArgumentParser(description="Train the net that finds heads and write it as ONNX.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds models/, video/ and products/")
    parser.add_argument("--out", type=Path, required=True, help="the file, heads.onnx")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "openaisle-person")
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(SEED)
    learned, held = material(given.data, given.work)
    print("pictures with heads or none:", len(learned.scenes), "of shelves:", len(learned.goods), flush=True)
    net = HeadNet(YOLO(str(given.data / CHECKPOINT)).model.float().model)
    fit(net, batches(learned, (SEED,)), given.steps)
    given.out.write_bytes(export(net).SerializeToString())
    said = figures(Heads(given.out), held)
    for least in np.arange(0.3, 0.85, 0.05):
        shares = ", ".join(f"{name} {np.mean(values >= least):.2f}" for name, values in said.items())
        print(f"from {least:.2f} on: {shares}", flush=True)


if __name__ == "__main__":
    main()
