"""A trained net as OpenVINO int8: what both the person detector and the pose net are shipped as.

The first layer and the head's last steps (decoding of boxes and points, the final sigmoid) stay in floating point; all
between is quantised by NNCF on the pictures given. Nothing but the export is written, and NNCF reports to nobody here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.detect import _letterbox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST = "__module.model.0.conv/aten::_convolution/Convolution"  # of three channels: slower in integers, not faster
HEAD = "__module.model.22"  # the last module of the v8 family, as the export names it


def write(model: Any, size: tuple[int, int], pictures: Sequence[NDArray[np.uint8]], folder: Path, name: str) -> None:
    """Export, quantise, and write `folder`/`name`.xml, .bin and metadata.yaml.

    Args:
        model: an `ultralytics.YOLO` whose net is to be exported.
        size: (width, height) of the input in pixels.
        pictures: BGR pictures of the kind that will be seen; they set the ranges of the integers.
        folder: for the files; made when missing.
        name: of the files.
    """
    import nncf
    import openvino as ov

    with tempfile.TemporaryDirectory() as scratch:
        model.model.pt_path = str(Path(scratch) / f"{name}.pt")
        plain = Path(model.export(format="openvino", imgsz=(size[1], size[0]), device="cpu"))
        net = ov.Core().read_model(next(plain.glob("*.xml")))
    head = HEAD.replace(".", r"\.")
    small = nncf.quantize(
        net,
        nncf.Dataset(list(pictures), lambda picture: _letterbox(picture, size)[0]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(pictures),
        ignored_scope=nncf.IgnoredScope(
            patterns=[rf".*{head}/.*/(Add|Sub|Subtract|Mul|Multiply|Div|Divide)", rf".*{head}\.dfl.*"],
            names=[FIRST],
            types=["Sigmoid"],
            validate=False,
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(small, folder / f"{name}.xml")
    lines = [f"task: {model.task}", f"imgsz: [{size[1]}, {size[0]}]", "stride: 32", "names:"]
    lines += [f"  {number}: {word}" for number, word in model.model.names.items()]
    (folder / "metadata.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
