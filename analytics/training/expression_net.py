"""The expression net itself, and the form in which it is shipped.

Small enough for one core, big enough for the data. The shipped graph holds more than the net: normalisation folded
into the convolutions, the mirror image averaged in, the fitted temperature, and DeepFace's shapes, so that no caller
has to know them. Needs torch and onnx; what `export` returns needs only onnxruntime.
"""

from __future__ import annotations

import copy
import io

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by
from torch.nn.utils import fuse_conv_bn_eval

from analytics.training.expression_faces import LABELS, SIZE
from analytics.training.half import halved


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a short cut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.pool = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        same = inside == outside
        self.conv3 = nn.Identity() if same else nn.Conv2d(inside, outside, 1, bias=False)
        self.norm3 = nn.Identity() if same else nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the side where the stride is 2."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.norm3(self.conv3(self.pool(x))))


class ExpressionNet(nn.Module):
    """A small residual net, 2.7 M weights; (n, 1, side, side) in [0, 1] to (n, 7) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(1, 32, 3, 1, 1, bias=False)
        self.norm0 = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(
            Block(32, 64, 2), Block(64, 128, 2), Block(128, 128, 1), Block(128, 256, 2), Block(256, 256, 1)
        )
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(256, len(LABELS))

    def inner(self, x: Tensor) -> Tensor:
        """(n, 256) before the outputs. Pictures are standardised one by one: a dim shop and a bright one look alike."""
        centred = x - x.mean((2, 3), keepdim=True)
        x = centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + 0.03)
        return self.blocks(F.relu(self.norm0(self.conv0(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 7) logits."""
        return self.head(self.drop(self.inner(x)))


class Deployed(nn.Module):
    """What the file holds: normalisation folded into the convolutions, weights in half precision, DeepFace's shapes."""

    def __init__(self, net: ExpressionNet, divisor: float, smile: nn.Module) -> None:
        super().__init__()
        net = copy.deepcopy(net).eval()
        for part in (net, *net.blocks):
            for conv, norm in [
                (n, n.replace("conv", "norm")) for n, _ in part.named_children() if n.startswith("conv")
            ]:
                if isinstance(getattr(part, norm), nn.BatchNorm2d):
                    setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                    setattr(part, norm, nn.Identity())
        self.net = net
        self.divisor = divisor
        self.smile = smile

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 48, 48, 1) in [0, 1] to (n, 7) probabilities and (n, 1) smiles."""
        x = x.permute(0, 3, 1, 2)
        one, other = self.net.inner(x), self.net.inner(x.flip(3))
        both = (self.net.head(one) + self.net.head(other)) / (2 * self.divisor)
        return both.softmax(1), self.smile((one + other) / 2).sigmoid()


def export(net: ExpressionNet, divisor: float, smile: nn.Module) -> onnx.ModelProto:
    """Write the graph, its larger weights stored in half precision and widened when the file is loaded.

    The seven probabilities come first: DeepFace takes the first output and knows of no other.
    """
    buffer = io.BytesIO()
    torch.onnx.export(
        Deployed(net, divisor, smile),
        (torch.rand(2, SIZE, SIZE, 1),),
        buffer,
        dynamo=False,  # the newer exporter needs one more package and gains nothing for a graph this plain
        input_names=["face"],
        output_names=["expression", "smile"],
        dynamic_axes={"face": {0: "n"}, "expression": {0: "n"}, "smile": {0: "n"}},
        opset_version=17,
    )
    return halved(buffer.getvalue())
