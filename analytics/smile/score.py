"""How much of a smile a face shows, and what that takes off a price.

Rules:
- The score is the second output of the expression net, 0 no smile, 1/3 a faint one, 2/3 a clear one, 1 a broad one:
  `analytics.training.expression_smile` says how it was learned, `docs/smile.md` how it was measured.
- The crop has the framing of the faces that the net learned from: eyes 0.374 of its side apart and 0.384 below its top.
  These are medians over FER2013 as `analytics.faces` sees them, and not chosen by any smile.
- The price begins to fall midway between a faint smile and a clear one, and midway to a broad one all of it is given.

Pure: no file, no net, no picture that is not handed over.
"""

from __future__ import annotations

import math

NONE, WHOLE = 1 / 2, 5 / 6
EYES_APART, EYES_DOWN = 0.374, 0.384  # of the side of the crop


def degree(score: float) -> float:
    """Return how much of the discount a score is worth, 0 to 1."""
    return min(1.0, max(0.0, (score - NONE) / (WHOLE - NONE)))


def square(eyes: tuple[tuple[float, float], tuple[float, float]]) -> tuple[float, float, float]:
    """Return left, top and side of the crop for two eyes, pixels of the picture; it may reach over its edge."""
    (x1, y1), (x2, y2) = eyes
    side = math.dist(*eyes) / EYES_APART
    return (x1 + x2) / 2 - side / 2, (y1 + y2) / 2 - EYES_DOWN * side, side
