"""One way to teach an ultralytics net on: few steps, careful rates, a running mean of the weights.

The statistics of batch normalisation stay as they are, and so do the first modules: those of many thousand pictures are
better than those of a few hundred. A checkpoint after every round (weights only); the same call goes on where it
stopped, with the same random choices.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analytics.training.yolo import IterableSimpleNamespace

Batch = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every number of the descent.

    Attributes:
        frozen: so many of the first modules keep their weights (10 is the backbone of the v8 family).
        rounds: of `steps` steps each.
        rate: largest learning rate; it rises over the first twentieth and falls along a cosine.
        faster: factor on the rate of what is new in the net.
        decay: of the running mean of the weights, per step.
    """

    frozen: int = 10
    rounds: int = 30
    steps: int = 20
    rate: float = 3e-4
    faster: float = 5.0
    decay: float = 0.99


def fit(
    net: Any,
    loss_of: Callable[[Any], Callable[[Any, Batch], tuple[Tensor, dict[str, Tensor]]]],
    stream: Callable[[int], Iterator[Batch]],
    checkpoint: Path,
    schedule: Schedule,
    *,
    new: str = "no part of it",
    device: str = "cpu",
) -> Any:
    """Train in place and return the net with averaged weights, on the CPU.

    Args:
        net: the torch module of an `ultralytics.YOLO`.
        loss_of: builds the loss from the net.
        stream: endless batches for the round of this number.
        checkpoint: file to go on from and to write after each round.
        schedule: the numbers.
        new: beginning of the names of weights that learn faster.
        device: as torch names it.
    """
    net = net.to(device).to(memory_format=torch.channels_last)
    theirs, net.args = net.args, IterableSimpleNamespace(box=7.5, cls=0.5, dfl=1.5, pose=12.0, kobj=1.0)
    slow: list[Tensor] = []
    fast: list[Tensor] = []
    for name, weight in net.named_parameters():
        weight.requires_grad_(int(name.split(".")[1]) >= schedule.frozen and "dfl" not in name)
        if weight.requires_grad:
            (fast if name.startswith(new) else slow).append(weight)
    groups = [{"params": slow}, {"params": fast}]
    descent = torch.optim.AdamW([g for g in groups if g["params"]], lr=schedule.rate, weight_decay=0.01)
    loss, mean, first = loss_of(net), copy.deepcopy(net).eval(), 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        for part, saved in zip((net, mean, descent), state["parts"], strict=True):
            part.load_state_dict(saved)
        first = state["round"] + 1
    total = schedule.rounds * schedule.steps
    for number in range(first, schedule.rounds):
        began, sums = time.monotonic(), torch.zeros(())
        net.train()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        batches = stream(number)
        for step in range(schedule.steps):
            batch = {k: v.to(device) for k, v in next(batches).items()}
            at = (number * schedule.steps + step) / total
            rate = schedule.rate * min(1.0, at / 0.05 + 0.02) * (0.03 + 0.97 * (1 + math.cos(math.pi * at)) / 2)
            for group, factor in zip(descent.param_groups, (1.0, schedule.faster), strict=False):
                group["lr"] = rate * factor
            with torch.autocast(device.split(":")[0], torch.bfloat16):
                answer = net(batch["img"].contiguous(memory_format=torch.channels_last))
            answer = {k: [f.float() for f in v] if isinstance(v, list) else v.float() for k, v in answer.items()}
            wrong, parts = loss(answer, batch)
            descent.zero_grad()
            (wrong.sum() / len(batch["img"])).backward()
            nn.utils.clip_grad_norm_(slow + fast, 10.0)
            descent.step()
            sums = sums + torch.stack([p.detach().cpu().float() for p in parts.values()])
            with torch.no_grad():
                for ours, now in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                    if ours.is_floating_point():
                        ours.lerp_(now, 1 - schedule.decay)
        torch.save({"round": number, "parts": [p.state_dict() for p in (net, mean, descent)]}, checkpoint)
        shown = " ".join(f"{k} {v:.3f}" for k, v in zip(parts, (sums / schedule.steps).tolist(), strict=True))
        print(f"round {number + 1}/{schedule.rounds} {shown} ({time.monotonic() - began:.0f} s)", flush=True)
    mean.args = theirs  # an export reads them
    return mean.to("cpu")
