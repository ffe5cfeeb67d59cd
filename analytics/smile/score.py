"""How much of a smile a face shows, and what that takes off a price.

Rules:
- The score is one function of the expression net's seven outputs, 2 ln happy − ln neutral − ½ ln sad − ½ ln angry. On
  the public smile pictures it has an AUC of 0.957, and happy alone 0.952; `docs/smile.md` says how that was measured.
- The crop has the framing of the faces that the net learned from: eyes 0.374 of its side apart and 0.384 below its top.
  These are medians over FER2013 as `analytics.faces` sees them, and not chosen by any smile.
- From `NONE`, the score that one in twenty not smiling faces reaches, the price begins to fall; at `WHOLE`, which half
  of the smiling ones reach, all of the discount is given.

Pure: no file, no net, no picture that is not handed over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the order of the net's outputs
NONE, WHOLE = 8.3, 10.3
EYES_APART, EYES_DOWN = 0.374, 0.384  # of the side of the crop
_WEIGHTS = {"happy": 2.0, "neutral": -1.0, "sad": -0.5, "angry": -0.5}
_LEAST = 1e-7  # of a probability: its logarithm has to be a number


def smile(outputs: Sequence[float]) -> float:
    """Return the score of seven probabilities in the order of `CLASSES`; higher is more of a smile."""
    shown = dict(zip(CLASSES, outputs, strict=True))
    return sum(weight * math.log(max(_LEAST, float(shown[name]))) for name, weight in _WEIGHTS.items())


def degree(score: float) -> float:
    """Return how much of the discount a score is worth, 0 to 1."""
    return min(1.0, max(0.0, (score - NONE) / (WHOLE - NONE)))


def square(eyes: tuple[tuple[float, float], tuple[float, float]]) -> tuple[float, float, float]:
    """Return left, top and side of the crop for two eyes, pixels of the picture; it may reach over its edge."""
    (x1, y1), (x2, y2) = eyes
    side = math.dist(*eyes) / EYES_APART
    return (x1 + x2) / 2 - side / 2, (y1 + y2) / 2 - EYES_DOWN * side, side
