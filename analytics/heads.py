"""Whether there is a second head beside a face, in any orientation: turned away, from the side, hair or a hat.

A small net of our own (weights/heads.md is its card) on OpenVINO, one thread. Whoever calls it must hold a live consent
for what the picture shows; its one use is to find that a face is not alone, and so to look at nobody.

What it does not do: say whose head it is, or where it looks. It recognises nobody and keeps nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics.detect import ModelError, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

OWN = Path(__file__).parent / "weights" / "heads.onnx"
_SIDE, _CELL = 224, 8  # pixels of the input, of a cell of its output
_WIDE = 32.0  # pixels of the input, of the width of the face in the middle; it is two eye distances wide, about
_HEAD = (0.7, 0.85)  # half width and half height of the head in the middle, face widths: in there it is no second one


class Heads:
    """The net.

    Args:
        file: ONNX file; our own where None.

    Raises:
        ModelError: the file is no such net.
    """

    def __init__(self, file: Path | None = None) -> None:
        file, cells = OWN if file is None else file, _SIDE // _CELL
        self._compiled = compiled(file, (f"[1,3,{_SIDE},{_SIDE}]", f"[1,{cells},{cells}]"), "head finder")
        if not np.isfinite(self._compiled(np.full((1, 3, _SIDE, _SIDE), 0.5, np.float32))[0]).all():
            raise ModelError(f"{file} is damaged, its answers are no numbers; put the shipped one back")
        row, column = (np.mgrid[0:cells, 0:cells] + 0.5) * _CELL - _SIDE / 2
        self._beside = np.hypot(column / _HEAD[0], row / _HEAD[1]) > _WIDE

    def beside(self, image: NDArray[np.uint8], nose: tuple[float, float], apart: float) -> float:
        """Return how sure it is, 0 to 1, that another head lies within 3.5 face widths of a face.

        Args:
            image: (height, width, 3) uint8, BGR, the whole picture.
            nose: of the face, pixels.
            apart: distance of its eyes, pixels.
        """
        half, scale = _SIDE / _WIDE * apart, _WIDE / (2 * apart)
        x1, y1 = (max(0, round(v - half)) for v in nose)
        x2, y2 = (min(most, round(v + half)) for v, most in zip(nose, image.shape[1::-1], strict=True))
        blob = np.zeros((_SIDE, _SIDE, 3), np.float32)
        left, top = (max(0, round(_SIDE / 2 + (low - v) * scale)) for low, v in zip((x1, y1), nose, strict=True))
        size = (min(_SIDE - left, round((x2 - x1) * scale)), min(_SIDE - top, round((y2 - y1) * scale)))
        if min(size) < 1:
            return 1.0  # nothing is seen of what is around it
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        blob[top : top + size[1], left : left + size[0]] = cv2.resize(image[y1:y2, x1:x2], size, interpolation=how)
        said = self._compiled(np.ascontiguousarray(blob.transpose(2, 0, 1)[None, ::-1]) / 255)[0][0]
        return float(said[self._beside].max())
