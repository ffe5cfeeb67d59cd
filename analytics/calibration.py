"""What the card of the expression net says about how far its answers can be trusted. Reads the card, measures nothing.

The card is held against the shipped file by the tests; a figure that is not on it is not shown anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analytics.model import AnalyticsError

CARD = Path(__file__).parent / "weights" / "expression.md"


class CardError(AnalyticsError):
    """A card that does not say what is shown of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the reliability table: of answers at least so sure, how many there are, and how many are right."""

    least: float
    answered: float
    right: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the net did on test faces that were scored once.

    Attributes:
        faces: how many.
        accuracy: share that is right when every face is answered.
        answered: share that is answered at the threshold in force.
        right: share of those that is right.
        error: expected calibration error.
        recall: by class, share of its faces that is recognised.
        threshold: probability from which an answer is given.
        steps: the reliability table, on the same faces.
    """

    faces: int
    accuracy: float
    answered: float
    right: float
    error: float
    recall: Mapping[str, float]
    threshold: float
    steps: tuple[Step, ...]


@cache
def calibration(card: Path = CARD) -> Calibration:
    """Read the card.

    Raises:
        CardError: it is missing, or does not say it.
    """
    try:
        text = card.read_text(encoding="utf-8")
        told = json.loads(text.split("```json\n", 1)[1].split("```", 1)[0])
        test = told["test"]
        rows = re.findall(r"^\| (0\.\d) \|.*\| ([\d.]+)% · ([\d.]+)% \|$", text, re.MULTILINE)
        steps = tuple(Step(float(a), float(b) / 100, float(c) / 100) for a, b, c in rows)
        if not steps:
            raise CardError(f"{card} has no reliability table; put the shipped card back")
        return Calibration(
            int(test["faces"]),
            float(test["accuracy"]),
            float(test["answered"]),
            float(test["accuracy_of_answered"]),
            float(test["calibration_error"]),
            {name: float(share) for name, share in test["recall"].items()},
            float(told["threshold"]),
            steps,
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CardError(f"{card} does not say how sure the net is; put the shipped card back") from error
