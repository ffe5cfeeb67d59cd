"""Where somebody's feet are when the picture does not show them. Pure: boxes in, foot points out.

A camera over a flat floor shows bodies whose height in pixels is linear in the row of their feet. `Bodies` fits that
line from whole, confident boxes as they come, keeps each track's own height relative to it, and where a box is too
short for its place (legs behind a shelf or below the frame) puts the foot point under the head at that height. It
holds a few hundred number pairs in memory, of nobody in particular, and writes nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class BodyRules:
    """When a box is taken for a whole body. Ours, not sourced; the measured effect is in the tracking decision.

    Attributes:
        sure: least detection confidence of a box that may teach the line.
        whole: a box shorter than this share of what is expected hides its feet.
        lessons: after how many boxes the line is fitted (again).
        memory: boxes kept for the fit.
        edge: pixels from the frame's edge within which a box counts as clipped.
    """

    sure: float = 0.5
    whole: float = 0.85
    lessons: int = 60
    memory: int = 600
    edge: float = 3.0


class Bodies:
    """The learned line of body heights of one camera.

    Args:
        frame_size: (width, height) in pixels.
        rules: see `BodyRules`.
    """

    def __init__(self, frame_size: tuple[int, int], rules: BodyRules | None = None) -> None:
        self._width, self._height = frame_size
        self._rules = rules or BodyRules()
        self._samples: deque[tuple[float, float]] = deque(maxlen=self._rules.memory)
        self._unused = 0
        self._line: tuple[float, float] | None = None  # height = a · foot row + b
        self._ratios: dict[int, deque[float]] = {}  # a track's height relative to the line

    def learn(self, box: Box, confidence: float) -> None:
        """Let a box teach the line, if it is whole and sure enough."""
        x1, y1, x2, y2 = box
        edge = self._rules.edge
        inside = x1 > edge and y1 > edge and x2 < self._width - edge and y2 < self._height - edge
        if confidence >= self._rules.sure and inside:
            self._samples.append((y2, y2 - y1))
            self._unused += 1
            if len(self._samples) >= self._rules.lessons and (
                self._line is None or self._unused >= self._rules.lessons
            ):
                self._line = _fit(np.asarray(self._samples))
                self._unused = 0

    def stand(self, track: int, box: Box) -> tuple[float, float, float]:
        """Return foot x, foot y and body height of a track's box, all in pixels."""
        x1, y1, x2, y2 = box
        x, height = (x1 + x2) / 2, y2 - y1
        if self._line is None:
            return x, y2, height
        a, b = self._line
        ratios = self._ratios.setdefault(track, deque(maxlen=25))
        own = min(1.3, max(0.7, median(ratios))) if len(ratios) >= 3 else 1.0
        ratio = height / max(a * y2 + b, 1.0)
        if ratio >= self._rules.whole * own and y2 < self._height - self._rules.edge:
            ratios.append(ratio)
            return x, y2, height
        if own * a >= 0.9:  # the line is steeper than any floor gives; it says nothing here
            return x, y2, height
        foot = max(y2, (y1 + own * b) / (1 - own * a))
        return x, foot, foot - y1

    def forget(self, alive: set[int]) -> None:
        """Drop what is known of tracks that are not alive."""
        for track in self._ratios.keys() - alive:
            del self._ratios[track]


def _fit(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Fit height = a · row + b to (n, 2) samples, dropping outliers beyond two robust deviations, four times."""
    rows, heights = samples.T
    if rows.std() < 5:  # all in one row: no slope to be learned
        return 0.0, float(np.median(heights))
    keep = np.ones(len(rows), dtype=bool)
    a = b = 0.0
    for _ in range(4):
        if rows[keep].std() < 5:  # what is left lies in one row; the last line stands
            break
        a, b = map(float, np.polyfit(rows[keep], heights[keep], 1))
        residuals = heights - (a * rows + b)
        centre = np.median(residuals[keep])
        deviation = 1.4826 * np.median(np.abs(residuals[keep] - centre)) + 1e-6
        keep = np.abs(residuals - centre) < 2 * deviation
    return a, b
