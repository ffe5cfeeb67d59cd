"""Where faces are in a piece of a picture: boxes, eyes and nose. It recognises nobody, and it keeps nothing.

BlazeFace (full range, sparse; weights/faces.md is its card) on OpenVINO, one thread. Whoever calls it must hold a live
consent for what the piece shows; its two uses are to find the one face of a shopper who said yes to expression, and to
find that there is a second one, and so to look at neither.

What it does not do: heads turned away, ages, identities, embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics.detect import compiled
from analytics.guard import overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.body import Box

OWN = Path(__file__).parent / "weights" / "face_detection_full_range_sparse.tflite"
_SIDE, _CELL, _POINTS = 192, 4, 8  # pixels of the input, of a cell of its output; pairs of numbers a cell
_SAME = 0.3  # IoU from which two answers are one face
_MOST = 50  # answers looked at


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in pixels of the whole picture.

    Attributes:
        box: x1, y1, x2, y2; square.
        score: 0 to 1.
        eyes: the one on the left of the picture and the one on its right.
        nose: its tip.
    """

    box: Box
    score: float
    eyes: tuple[tuple[float, float], tuple[float, float]]
    nose: tuple[float, float]


class Faces:
    """The net.

    Args:
        file: BlazeFace, full range, as TFLite; our own where None.

    Raises:
        ModelError: the file is no such net.
    """

    def __init__(self, file: Path | None = None) -> None:
        file, cells = OWN if file is None else file, (_SIDE // _CELL) ** 2
        shapes = (f"[1,{_SIDE},{_SIDE},3]", f"[1,{cells},{2 * _POINTS}]", f"[1,{cells},1]")
        self._compiled = compiled(file, shapes, "face detector")
        row, column = np.mgrid[0 : _SIDE // _CELL, 0 : _SIDE // _CELL]
        self._cells = np.stack([column.ravel() + 0.5, row.ravel() + 0.5], axis=1)[:, None] * _CELL

    def find(self, image: NDArray[np.uint8], area: tuple[int, int, int, int], *, least: float) -> list[Face]:
        """Return the faces of one area, the surest first.

        Args:
            image: (height, width, 3) uint8, BGR, the whole picture.
            area: x1, y1, x2, y2 in whole pixels, inside the picture; faces of a twelfth of its side are found.
            least: score from which something is a face.
        """
        x1, y1, x2, y2 = area
        if x2 - x1 < 2 or y2 - y1 < 2:
            return []
        scale = _SIDE / max(x2 - x1, y2 - y1)
        size = (max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        left, top = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
        blob = np.zeros((1, _SIDE, _SIDE, 3), np.float32)
        piece = cv2.resize(image[y1:y2, x1:x2], size, interpolation=how)
        blob[0, top : top + size[1], left : left + size[0]] = piece[:, :, ::-1] / 127.5 - 1
        answer = self._compiled(blob)
        scores = 1 / (1 + np.exp(-np.clip(answer[1][0, :, 0], -80, 80)))
        best = [int(i) for i in np.argsort(-scores)[:_MOST] if scores[i] >= least]
        points = answer[0][0][best].reshape(-1, _POINTS, 2).astype(float)
        half = points[:, 1] / 2
        points = points + self._cells[best]
        corners = np.stack([points[:, 0] - half, points[:, 0] + half, *points[:, 2:5].swapaxes(0, 1)], axis=1)
        corners = (corners - (left, top)) / scale + (x1, y1)
        found: list[Face] = []
        for i, (low, high, right_eye, left_eye, nose) in zip(best, corners.tolist(), strict=True):
            box = (low[0], low[1], high[0], high[1])
            if all(overlap(box, other.box)[0] < _SAME for other in found):
                eyes = sorted((tuple(right_eye), tuple(left_eye)))
                found.append(Face(box, float(scores[i]), (eyes[0], eyes[1]), tuple(nose)))
        return found
