"""Where the joints of one person are: a crop around a known box in, 17 points out. Its own weights, no torch.

The net looks at one person's crop and never at a whole picture, so nobody else is looked at but those who stand in
front of or right behind them; whoever calls it must hold a live consent for that person. Nothing is kept: no picture,
no crop, no points. What it does not do: find people, follow them, or say what a stance means.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.detect import ModelError, _letterbox
from analytics.quiet import quiet_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.body import Box

OWN = Path(__file__).parent / "weights" / "pose"  # weights/pose.md is its card
POINTS = (
    "nose", "eye_l", "eye_r", "ear_l", "ear_r", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "wrist_l", "wrist_r",
    "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r",
)  # fmt: skip
MARGIN = 0.15  # of the box's longer side, added on every side
_OTHER_SIDE = [0, *[k + 1 if k % 2 else k - 1 for k in range(1, len(POINTS))]]  # left for right in a mirror
_ARMS = ((7, 9, 11), (8, 10, 12))  # elbow, wrist and hip of one side


class Pose:
    """The pose net on the CPU, one thread.

    Args:
        folder: an OpenVINO export of a YOLOv8 pose net; our own where None.

    Raises:
        ModelError: the folder holds no such net.
    """

    def __init__(self, folder: Path | None = None) -> None:
        quiet_parts()
        import openvino as ov

        folder = OWN if folder is None else folder
        files = sorted(folder.glob("*.xml"))
        if len(files) != 1:
            raise ModelError(f"{folder} holds {len(files)} OpenVINO models (*.xml); it must hold exactly one")
        core = ov.Core()
        try:
            model = core.read_model(files[0])
        except RuntimeError as error:
            raise ModelError(f"{files[0]} is not a readable OpenVINO model; export it again") from error
        shape, output = model.input(0).partial_shape, model.output(0).partial_shape
        if len(shape) != 4 or shape.is_dynamic or output.is_dynamic or list(output)[1] != 5 + 3 * len(POINTS):
            raise ModelError(f"{files[0]} is no pose net of one class and {len(POINTS)} points; give another")
        self._size = (int(shape[3].get_length()), int(shape[2].get_length()))
        self._compiled: Any = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
        )

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32] | None:
        """Return (17, 3) x, y in pixels of the picture and confidence 0 to 1, in the order of `POINTS`.

        The crop is looked at twice, as it is and in a mirror; see `agreed`.

        Args:
            image: (height, width, 3) uint8, BGR, the whole picture.
            box: x1, y1, x2, y2 of the person, pixels.

        Returns:
            None where the box lies outside the picture or nobody is seen in it.
        """
        x1, y1, x2, y2 = around(box, image.shape[1], image.shape[0])
        wide = x2 - x1
        if wide < 2 or y2 - y1 < 2:
            return None
        crop, mine = image[y1:y2, x1:x2], (box[0] - x1, box[1] - y1, box[2] - x1, box[3] - y1)
        one = self._look(crop, mine)
        if one is None:
            return None
        other = self._look(np.ascontiguousarray(crop[:, ::-1]), (wide - mine[2], mine[1], wide - mine[0], mine[3]))
        if other is not None:
            other = other[_OTHER_SIDE]
            other[:, 0] = wide - other[:, 0]
            one = agreed(one, other)
        return one + np.array([x1, y1, 0], np.float32)

    def _look(self, crop: NDArray[np.uint8], box: Box) -> NDArray[np.float32] | None:
        """Return what the net says of the person in a box of a crop; pixels of the crop."""
        blob, scale, left, top = _letterbox(crop, self._size)
        raw = self._compiled(blob)[0][0]  # (56, A): centre x, centre y, width, height, score, 17 × (x, y, confidence)
        offset = np.array([left, top], np.float32)
        centre, size = (raw[:2].T - offset) / scale, raw[2:4].T / scale
        best = int(np.argmax(raw[4] * _overlaps(np.concatenate([centre - size / 2, centre + size / 2], axis=1), box)))
        if raw[4, best] < LEAST:
            return None
        found: NDArray[np.float32] = np.array(raw[5:, best], np.float32).reshape(len(POINTS), 3)
        found[:, :2] = (found[:, :2] - offset) / np.float32(scale)
        return found


def agreed(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what two looks at one person say together, each (17, 3) as `Pose.points` has it.

    A point is the mean of both. Elbow and wrist are those of the look that has the wrist further from the hip: an arm
    that the net cannot see well it takes for a hanging one, and seldom a hanging one for another, so that the mean of
    a right and a wrong answer would be a second wrong one. Measured by `tests/bench/drawn.py`.
    """
    found = np.asarray((one + other) / 2, np.float32)
    for elbow, wrist, hip in _ARMS:
        apart = [float(np.hypot(*(look[wrist, :2] - look[hip, :2]))) for look in (one, other)]
        found[[elbow, wrist]] = (one if apart[0] >= apart[1] else other)[[elbow, wrist]]
    return found


LEAST = 0.1  # confidence from which somebody is seen


def around(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the crop for a box: x1, y1, x2, y2 in whole pixels, with the margin, cut at the picture's edge."""
    more = MARGIN * max(box[2] - box[0], box[3] - box[1])
    return (
        max(0, round(box[0] - more)),
        max(0, round(box[1] - more)),
        min(width, round(box[2] + more)),
        min(height, round(box[3] + more)),
    )


def _overlaps(boxes: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    """Return the IoU of each of (n, 4) boxes with one."""
    wanted = np.array(box, np.float32)
    shared = np.minimum(boxes[:, 2:], wanted[2:]) - np.maximum(boxes[:, :2], wanted[:2])
    both = np.clip(shared, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (wanted[2:] - wanted[:2]).prod()
    return np.asarray(both / np.maximum(areas - both, 1e-6), np.float32)
