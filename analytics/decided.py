"""How far measured decisions and reaches are from the truth. Pure; the definitions are those of docs/metrics.md.

Deliberations are matched as visits are (`analytics.accuracy`): one to one within a zone, by temporal IoU. A reach is
found where one was measured in the same zone within half a second of its onset, one to one. Of matched deliberations
whose end was seen on both sides: how far is `decision_pose` off, and is the outcome the same? One that has no measured
`decision_pose` is told as such; it is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
from scipy.optimize import linear_sum_assignment

from analytics.accuracy import Stay, match
from analytics.decision import Outcome

TOLERANCE_S = 0.5  # between the onsets of a true and a measured reach


@dataclass(frozen=True, slots=True)
class Decided:
    """One deliberation, true or measured; seconds from the first picture.

    Attributes:
        stay: its zone, first STOP and LEAVE.
        pose_s: `decision_pose`, None where there is none.
        outcome: what came of it; None where there is no `pose_s`.
    """

    stay: Stay
    pose_s: float | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Reached:
    """The onset of one reach, true or measured; seconds from the first picture."""

    zone: str
    onset_s: float


@dataclass(frozen=True, slots=True)
class DecisionScore:
    """Measured against true decisions.

    Attributes:
        true: number of true deliberations.
        measured: number of measured ones.
        matched: pairs.
        told: pairs with a `decision_pose` and a seen end on both sides.
        pose_error_s: median |measured − true| `decision_pose` of those; None without one.
        outcome_right: share of those with the same outcome; None without one.
        reaches_true: number of true reaches.
        reaches_measured: number of measured ones.
        reaches_matched: pairs.
        reach_f1: 2 · pairs ÷ (true + measured); None where there is neither.
    """

    true: int
    measured: int
    matched: int
    told: int
    pose_error_s: float | None
    outcome_right: float | None
    reaches_true: int
    reaches_measured: int
    reaches_matched: int
    reach_f1: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the figures by name."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the figures as a line."""
        error = "-" if self.pose_error_s is None else f"{self.pose_error_s:.2f} s"
        right = "-" if self.outcome_right is None else f"{self.outcome_right:.0%}"
        f1 = "-" if self.reach_f1 is None else f"{self.reach_f1:.3f}"
        reaches = f"{self.reaches_matched} of {self.reaches_true} true, {self.reaches_measured} measured"
        return (
            f"decisions {self.matched} of {self.true} true, {self.measured} measured; of {self.told} with an outcome on"
            f" both sides: decision_pose error {error} (median), outcome right {right}; reach F1 {f1} ({reaches})"
        )


def score(
    true: Sequence[Decided],
    measured: Sequence[Decided],
    true_reaches: Sequence[Reached] = (),
    reaches: Sequence[Reached] = (),
) -> DecisionScore:
    """Compare measured with true decisions, and reaches with reaches."""
    pairs = match([d.stay for d in true], [d.stay for d in measured])
    errors, right = [], 0
    for i, j in pairs:
        one, other = true[i], measured[j]
        if one.pose_s is None or other.pose_s is None or Outcome.LOST in (one.outcome, other.outcome):
            continue
        errors.append(abs(one.pose_s - other.pose_s))
        right += one.outcome is other.outcome
    found = len(match_reaches(true_reaches, reaches))
    both = len(true_reaches) + len(reaches)
    return DecisionScore(
        true=len(true),
        measured=len(measured),
        matched=len(pairs),
        told=len(errors),
        pose_error_s=median(errors) if errors else None,
        outcome_right=right / len(errors) if errors else None,
        reaches_true=len(true_reaches),
        reaches_measured=len(reaches),
        reaches_matched=found,
        reach_f1=2 * found / both if both else None,
    )


def match_reaches(true: Sequence[Reached], measured: Sequence[Reached]) -> list[tuple[int, int]]:
    """Pair true and measured reaches one to one within each zone, as many as there can be, the nearest first.

    Returns:
        Pairs of (index into true, index into measured).
    """
    if not true or not measured:
        return []
    apart = np.array([[abs(a.onset_s - b.onset_s) for b in measured] for a in true])
    same = np.array([[a.zone == b.zone for b in measured] for a in true])
    worth = np.where(same & (apart <= TOLERANCE_S + 1e-9), 10 - apart, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if worth[i, j] > 0]
