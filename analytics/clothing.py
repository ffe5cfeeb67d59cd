"""Which of two people who cross is which: a few average colours beside the overlap of boxes.

A tracker that knows boxes alone exchanges numbers where two bodies meet. Six average colours, one under the other down
the middle of a box, tell most of them apart. They are kept in memory beside the track they belong to and go with it,
at the first look a second or more after it was last seen, or some twelve seconds after the camera fell dark. They reach
no file, no message and no other camera, and are far too coarse to find anybody again by. Pure but for what it holds;
docs/decisions/tracking.md has the figures behind every number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import supervision as sv
from trackers.utils.iou import BaseIoU

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

BANDS = 6  # colours, one under the other
MIDDLE = (0.33, 0.67)  # of a box's width: beside it is mostly background
BODY = (0.1, 0.92)  # of its height
LIGHT = 0.7  # how much lightness weighs against hue: shadows change it
FADE = 40.0  # distance of colours, in Lab of 8 bits, at which likeness has fallen to 1/e
WEIGHT = 2.0  # of likeness against IoU
CLEAR = 0.25  # a box that another one covers by this IoU teaches nothing: it shows both
RATE = 0.2  # of a new look in what is remembered


class Clothing(BaseIoU):
    """A tracker's measure of how well boxes fit tracks: their overlap and, where they do, the likeness of colours.

    Args:
        least: IoU below which a box cannot be a track's at all, whatever its colours.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._boxes: NDArray[Any] = np.zeros((0, 4), np.float32)
        self._colours: NDArray[np.float32] = np.zeros((0, BANDS, 3), np.float32)
        self._clear: NDArray[np.bool_] = np.zeros(0, bool)
        self._tracks: tuple[Any, ...] = ()
        self._worn: WeakKeyDictionary[Any, tuple[NDArray[np.float32], bool]] = WeakKeyDictionary()

    def look(self, image: NDArray[np.uint8], boxes: NDArray[Any], tracks: Iterable[Any]) -> None:
        """Take the colours of one picture's boxes; to be called before the tracker's update.

        Args:
            image: (height, width, 3) uint8, BGR; not kept.
            boxes: (n, 4) x1, y1, x2, y2 in pixels, those that the tracker will be offered, in its order.
            tracks: the tracker's own, in its order.
        """
        self._boxes, self._tracks = boxes, tuple(tracks)
        self._colours = np.array([colours(image, box) for box in boxes], np.float32).reshape(-1, BANDS, 3)
        covered = sv.box_iou_batch(boxes, boxes) - np.eye(len(boxes))
        self._clear = np.asarray(covered.max(axis=1, initial=0.0) < CLEAR)

    def learn(self, tracks: Iterable[Any]) -> None:
        """Remember what each track wears that has just been given one of the boxes; to be called after the update."""
        for track in tracks:
            mine = np.flatnonzero((self._boxes == track.last_observation).all(axis=1))
            if track.time_since_update or not len(mine):
                continue
            new, clear = self._colours[mine[0]], bool(self._clear[mine[0]])
            old, sure = self._worn.get(track, (new, False))
            if clear:
                self._worn[track] = ((1 - RATE) * old + RATE * new if sure else new), True
            elif not sure:
                self._worn.setdefault(track, (new, False))

    def _compute(self, boxes_1: NDArray[np.float64], boxes_2: NDArray[np.float64]) -> NDArray[np.float64]:
        overlap = np.asarray(sv.box_iou_batch(boxes_1, boxes_2), np.float64)
        if len(boxes_1) != len(self._tracks) or len(boxes_2) != len(self._colours):
            return overlap
        unknown = np.full((BANDS, 3), np.nan, np.float32)
        worn = np.stack([self._worn.get(track, (unknown, False))[0] for track in self._tracks])
        apart = np.linalg.norm(worn[:, None] - self._colours[None], axis=3).mean(axis=2)  # (tracks, boxes)
        alike = np.nan_to_num(np.exp(-apart / FADE), nan=0.5)
        return np.where(overlap >= self._least, overlap + WEIGHT * alike, 0.0)


def colours(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (BANDS, 3) average colours of a body, from top to bottom, in Lab with lightness weighed by `LIGHT`.

    Args:
        image: (height, width, 3) uint8, BGR.
        box: x1, y1, x2, y2, pixels; what lies outside the picture is cut off.
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    top, low = (round(max(0.0, y1 + part * (y2 - y1))) for part in BODY)
    left, right = (round(max(0.0, x1 + part * (x2 - x1))) for part in MIDDLE)
    body = image[top : max(low, top + 1), left : max(right, left + 1)]
    if not body.size:
        return np.full((BANDS, 3), 128.0, np.float32)
    bands = cv2.resize(body, (1, BANDS), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(bands, cv2.COLOR_BGR2LAB).reshape(BANDS, 3).astype(np.float32)
    return np.asarray(lab * np.array([LIGHT, 1.0, 1.0], np.float32), np.float32)
