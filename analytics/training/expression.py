"""Train the expression net: ``python -m analytics.training.expression --data DIR --out FILE``.

Rules
- Everything is chosen on a held-out part of the training archive; the test archive is not opened here.
- The file is what DeepFace loads as its emotion model under ``DEEPFACE_BACKEND_ENGINE=onnx``: grey (n, 48, 48, 1) in
  [0, 1] in, seven probabilities in `LABELS` order out. Standardisation, the mirror image and the fitted temperature
  are inside the graph, so no caller has to know them.
- Three nets are trained and the third is shipped. The second learns half from the labels and half from what the first
  says of the same face: labels are wrong about one time in three, and the first net knows where. The third goes on from
  the second, taught by both, and learns from four fifths of the held-out faces, too: all is chosen by then. The other
  fifth fits its temperature.
- Non-faces are taught the even answer (1/7 each). Doubt about the face and doubt about the expression then look
  alike, and one threshold on the largest probability serves both.
- A second output, how much of a smile the face shows, is read from the finished third net: see `expression_smile`.
- A checkpoint after every epoch; the same command goes on where it stopped, with the same random choices.

What this does not do: find faces, learn who somebody is, or measure a finished file; for the last see
`analytics.training.expression_figures`.
Needs torch and onnx (requirements/yolo.txt); the file it writes needs only onnxruntime.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from analytics.training.expression_faces import (
    LABELS,
    NONFACES,
    PRODUCTS,
    SEED,
    SIZE,
    TRAINING,
    clutter,
    hold_out,
    numbers,
    read,
    twins,
)
from analytics.training.expression_figures import answers, threshold
from analytics.training.expression_net import ExpressionNet, export
from analytics.training.expression_smile import fit, grades


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number that shapes the result.

    Attributes:
        sizes: (epochs, side in pixels) in order; small pictures make the early epochs of a round cheap.
        rates: (epoch, learning rate) between which the rate runs straight.
        smoothing: share of the target spread evenly over the labels (the labels are wrong about one time in three).
        mix: Beta parameter of mixup, applied to every second batch before epoch ``mix_until``: by then the net fits
            its training faces hardly better than the held-out ones, and wants them plain.
        decay: of the running mean of the weights, per step.
        taught: share of the target that is the mean answer of the nets before; none for the first.
        last: learn from what is held out for choosing, too, but for the part that calibrates.
    """

    sizes: tuple[tuple[int, int], ...] = ((12, 32), (10, 40), (8, 48), (6, 40), (8, 48))
    rates: tuple[tuple[float, float], ...] = ((0, 0.004), (6, 0.1), (15, 0.086), (30, 0.0), (31, 0.05), (44, 0.0))
    batch: int = 128
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    mix: float = 0.2
    mix_until: int = 30
    decay: float = 0.998
    seed: int = SEED
    taught: float = 0.0
    last: bool = False

    def side(self, epoch: int) -> int:
        """Side of the training pictures in this epoch (from 0)."""
        for epochs, side in self.sizes:
            if epoch < epochs:
                return side
            epoch -= epochs
        return self.sizes[-1][1]

    def rate(self, epoch: float) -> float:
        """Learning rate at this time, in epochs."""
        times, rates = zip(*self.rates, strict=True)
        return float(np.interp(epoch, np.array(times), np.array(rates)))

    @property
    def epochs(self) -> int:
        """All epochs."""
        return sum(epochs for epochs, _ in self.sizes)


FIRST = Recipe()
SECOND = Recipe(
    sizes=((14, 32), (14, 40), (26, 48)),
    rates=((0, 0.004), (4, 0.1), (14, 0.09), (24, 0.06), (34, 0.025), (40, 0.006), (44, 0.0), (45, 0.05), (54, 0.0)),
    smoothing=0.0,
    mix_until=28,
    seed=SEED + 1,
    taught=0.5,
)
THIRD = Recipe(
    sizes=((8, 40), (32, 48)),
    rates=((0, 0.01), (1, 0.08), (10, 0.07), (24, 0.03), (34, 0.008), (40, 0.0)),
    smoothing=0.0,
    mix_until=20,
    seed=SEED + 2,
    taught=0.5,
    last=True,
)


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to learn from, and what only chooses.

    Attributes:
        faces: (n, SIZE, SIZE) uint8, grey.
        classes: (n,) their labels.
        held: (n,) true for those that only choose and calibrate.
        held_last: (n,) of these, those that the last net does not learn from either.
        nonfaces: (m, SIZE, SIZE) uint8 to learn from.
        nonfaces_held: those that only choose.
        smiles: (n,) how much of a smile each face shows, 0 to 1; NaN where nobody said, see `expression_smile.grades`.
    """

    faces: NDArray[np.uint8]
    classes: NDArray[np.int64]
    held: NDArray[np.bool_]
    held_last: NDArray[np.bool_]
    nonfaces: NDArray[np.uint8]
    nonfaces_held: NDArray[np.uint8]
    smiles: NDArray[np.float64]


def gather(data: Path) -> Material:
    """Read the archives below a folder: ``emotion/fer2013_train.zip`` and ``products/grocery_store_small.zip``."""
    faces, classes = read(data / TRAINING)
    groups = twins(faces)
    parts = hold_out(groups), hold_out(groups, last=True), *clutter(data / PRODUCTS, NONFACES)
    return Material(faces, classes, *parts, grades(numbers(data / TRAINING)))


def vary(x: Tensor, side: int) -> Tensor:
    """Change pictures as cameras and people do: mirror, turn, scale, shift, light, blur, noise, something in front.

    Args:
        x: (n, 1, SIZE, SIZE) in [0, 1].
        side: of the result, pixels.

    Returns:
        (n, 1, side, side) in [0, 1].
    """
    n = len(x)

    def between(low: float, high: float) -> Tensor:
        return torch.empty(n, 1, 1, 1).uniform_(low, high)

    turn, scale = between(-0.25, 0.25).flatten(), between(0.8, 1.15).flatten()
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    cos, sin = scale * turn.cos(), scale * turn.sin()
    moves = torch.stack(
        (cos * mirror, -sin, between(-0.12, 0.12).flatten(), sin * mirror, cos, between(-0.12, 0.12).flatten()), 1
    )
    grid = F.affine_grid(moves.view(n, 2, 3), [n, 1, side, side], align_corners=False)
    outside = "border" if torch.rand(()) < 0.7 else "zeros"  # DeepFace pads crops that are not square with black
    x = F.grid_sample(x, grid, padding_mode=outside, align_corners=False)
    coarse = torch.rand(n) < 0.2
    if coarse.any():  # a face far from the camera has fewer pixels than the net's input
        few = int(torch.randint(side // 3, side, ()))
        x[coarse] = F.interpolate(F.interpolate(x[coarse], (few, few), mode="area"), (side, side), mode="bilinear")
    x = x.clamp(1e-4, 1) ** between(-0.5, 0.5).exp() * between(0.6, 1.2) + between(-0.15, 0.15)
    x = x.clamp(0, 1) + torch.randn(n, 1, side, side) * between(0, 0.03)
    at = torch.arange(side) / side
    top, left, reach = torch.rand(n, 1), torch.rand(n, 1), 0.05 + 0.175 * torch.rand(2, n, 1)
    front = ((at - top).abs() < reach[0])[:, :, None] & ((at - left).abs() < reach[1])[:, None, :]
    front &= (torch.rand(n) < 0.5)[:, None, None]
    return torch.where(front[:, None], between(0, 1) + 0.1 * torch.randn(n, 1, side, side), x)


def scramble(x: Tensor) -> Tensor:
    """Faces cut into 16 tiles and laid anew: the parts of a face are no face."""
    tile = SIZE // 4
    tiles = x.view(len(x), 4, tile, 4, tile).transpose(2, 3).reshape(len(x), 16, tile, tile)
    tiles = tiles[:, torch.randperm(16)]
    return tiles.view(len(x), 4, 4, tile, tile).transpose(2, 3).reshape(len(x), 1, SIZE, SIZE)


def logits(net: nn.Module, faces: Tensor) -> Tensor:
    """Mean of the answers to the pictures and to their mirror images; (n, 1, SIZE, SIZE) to (n, 7)."""
    net.eval()
    with torch.inference_mode():
        both = [(net(part) + net(part.flip(3))) / 2 for part in torch.split(faces, 256)]
    return torch.cat(both)


def tensor(grey: NDArray[np.uint8]) -> Tensor:
    """(n, SIZE, SIZE) uint8 to (n, 1, SIZE, SIZE) in [0, 1]."""
    return torch.from_numpy(grey)[:, None].float() / 255


def train(material: Material, checkpoint: Path, recipe: Recipe, before: Sequence[nn.Module] = ()) -> ExpressionNet:
    """Train one net; returns it with averaged weights.

    Args:
        material: see `gather`.
        checkpoint: file to go on from and to write after each epoch; weights only, no picture.
        recipe: the numbers.
        before: nets whose mean answers are the share ``recipe.taught`` of the target. The last recipe goes on from the
            weights of the newest.
    """
    faces, classes, nonfaces = material.faces, material.classes, material.nonfaces
    held = material.held_last if recipe.last else material.held
    chosen = np.flatnonzero(~held)
    said = torch.stack([probabilities(net, material) for net in before]).mean(0) if before else None
    even = torch.full((len(LABELS),), 1 / len(LABELS))
    torch.manual_seed(recipe.seed)
    net: ExpressionNet = ExpressionNet().to(memory_format=torch.channels_last)
    if recipe.last and before:
        net.load_state_dict(before[-1].state_dict())
    mean = copy.deepcopy(net)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    kept = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]
    descent = torch.optim.SGD(groups, recipe.rate(0), momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
    steps = len(chosen) // recipe.batch
    begin = 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        for part, saved in zip((net, mean, descent), state["parts"], strict=True):
            part.load_state_dict(saved)
        begin = state["epoch"] + 1
    for epoch in range(begin, recipe.epochs):
        began, total = time.monotonic(), 0.0
        torch.manual_seed(recipe.seed * 1000 + epoch)
        chance = np.random.default_rng((recipe.seed, epoch))
        order = chance.permutation(chosen)
        net.train()
        for step in range(steps):
            pick = order[step * recipe.batch : (step + 1) * recipe.batch]
            x = tensor(faces[pick])
            other = tensor(nonfaces[chance.integers(len(nonfaces), size=recipe.batch // 16)])
            x = torch.cat((x, other, scramble(x[: recipe.batch // 32])))
            target = even.repeat(len(x), 1)
            own = F.one_hot(torch.from_numpy(classes[pick]), len(LABELS))
            target[: len(pick)] = own * (1 - recipe.smoothing) + recipe.smoothing / len(LABELS)
            if said is not None:
                target[: len(pick)].lerp_(said[pick], recipe.taught)
            x = vary(x, recipe.side(epoch))
            if step % 2 and epoch < recipe.mix_until:
                share, partner = float(chance.beta(recipe.mix, recipe.mix)), torch.randperm(len(x))
                x, target = x.lerp(x[partner], share), target.lerp(target[partner], share)
            with torch.autocast("cpu", torch.bfloat16):
                answer = net(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(answer.float(), target)
            descent.zero_grad()
            loss.backward()
            for group in descent.param_groups:
                group["lr"] = recipe.rate(epoch + step / steps)
            descent.step()
            total += float(loss.detach())
            with torch.no_grad():
                for ours, now in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                    if ours.is_floating_point():
                        ours.lerp_(now, 1 - recipe.decay)
        torch.save({"epoch": epoch, "parts": [p.state_dict() for p in (net, mean, descent)]}, checkpoint)
        line = f"epoch {epoch + 1}/{recipe.epochs} side {recipe.side(epoch)} loss {total / steps:.3f}"
        if epoch % 4 == 3 or epoch + 4 > recipe.epochs:
            answer = logits(mean, tensor(faces[held]))
            right = (answer.argmax(1).numpy() == classes[held]).mean()
            sure = logits(mean, tensor(material.nonfaces_held)).softmax(1).amax(1)
            line += f" held-out accuracy {right:.4f} non-faces' largest probability {sure.mean():.2f}"
        print(f"{line} ({time.monotonic() - began:.0f} s)", flush=True)
    return mean


def calibrated(net: nn.Module, material: Material, *, last: bool = False) -> float:
    """The temperature that a net's logits are divided by, fitted on the faces that it did not learn from."""
    held = material.held_last if last else material.held
    return temperature(logits(net, tensor(material.faces[held])), torch.from_numpy(material.classes[held]))


def probabilities(net: nn.Module, material: Material) -> Tensor:
    """What a net says of every face, (n, 7), calibrated."""
    return (logits(net, tensor(material.faces)) / calibrated(net, material)).softmax(1)


def temperature(answer: Tensor, classes: Tensor) -> float:
    """The divisor of the logits with the smallest log loss (Guo et al. 2017, as for the calibration error)."""
    tries = torch.linspace(0.3, 3.0, 541)
    return float(tries[torch.stack([F.cross_entropy(answer / t, classes) for t in tries]).argmin()])


def smile_of(net: ExpressionNet, material: Material) -> nn.Module:
    """Fit what reads the smile from a finished net, on the graded faces but those held from the last net."""
    learn = ~np.isnan(material.smiles) & ~material.held_last
    net.eval()
    with torch.inference_mode():
        parts = torch.split(tensor(material.faces[learn]), 256)
        inner = torch.cat([(net.inner(part) + net.inner(part.flip(3))) / 2 for part in parts]).numpy()
    weights, bias = fit(inner, material.smiles[learn])
    smile = nn.Linear(len(weights), 1)
    with torch.no_grad():
        smile.weight.copy_(torch.from_numpy(weights)[None])
        smile.bias.fill_(bias)
    return smile


def main(words: list[str] | None = None) -> None:
    """Train, calibrate, choose the threshold, write the file."""
    parser = argparse.ArgumentParser(description="Train the expression net and write it in DeepFace's ONNX form.")
    parser.add_argument("--data", type=Path, required=True, help=f"folder that holds {TRAINING} and {PRODUCTS}")
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    parser.add_argument("--checkpoint", type=Path, default=Path(tempfile.gettempdir()) / "openaisle-expression.pt")
    parser.add_argument("--threads", type=int, default=1, help="more only when the cores are idle")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    material = gather(given.data)
    first = train(material, given.checkpoint, FIRST)
    second = train(material, given.checkpoint.with_suffix(".second.pt"), SECOND, [first])
    net = train(material, given.checkpoint.with_suffix(".third.pt"), THIRD, [first, second])
    divisor = calibrated(net, material, last=True)
    graph = export(net, divisor, smile_of(net, material))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    least = threshold(answers(session, material.nonfaces_held))
    # a file carries its own threshold, so that a shop's own file can bring another
    onnx.helper.set_model_props(
        graph, {"labels": ",".join(LABELS), "temperature": f"{divisor:.3f}", "answer_at_least": f"{least:.2f}"}
    )
    given.out.write_bytes(graph.SerializeToString())
    print(f"{given.out}: {given.out.stat().st_size} bytes, temperature {divisor:.3f}, answer at least {least:.2f}")


if __name__ == "__main__":
    main()
