"""How far measured visits are from the truth. Pure; the definitions are those of docs/metrics.md, section Accuracy.

Visits are matched one to one within a zone, the pairing with the largest total overlap, and a pair counts from a
temporal IoU of 0.5. A person's number means nothing across the two lists, so it is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

MATCH_IOU = 0.5  # temporal


@dataclass(frozen=True, slots=True)
class Stay:
    """One visit, true or measured, in seconds from the first frame."""

    zone: str
    enter_s: float
    leave_s: float

    def __post_init__(self) -> None:
        if not self.leave_s >= self.enter_s:
            raise ValueError(f"a stay in {self.zone!r} ends before it starts: {self.enter_s} > {self.leave_s}")
        if not 0 <= self.enter_s <= self.leave_s < math.inf:
            raise ValueError(f"a stay in {self.zone!r} lies outside the clip: {self.enter_s} to {self.leave_s}")


@dataclass(frozen=True, slots=True)
class Score:
    """Measured against true visits.

    Attributes:
        true: number of true visits.
        measured: number of measured visits.
        matched: pairs with temporal IoU of 0.5 or more.
        precision: matched ÷ measured; 1 where nothing was measured.
        recall: matched ÷ true; 1 where nothing was to be found.
        f1: harmonic mean of both.
        dwell_error_s: mean |measured − true| dwell over matched pairs, seconds; None without a pair.
        total_dwell_error: (sum measured − sum true) ÷ sum true, over all visits; None where the truth is empty.
        count_error: (measured − true) ÷ true visits; None where the truth is empty.
        count_error_gross_15min: sum over zones and quarter hours of |measured − true| entries ÷ true visits.
    """

    true: int
    measured: int
    matched: int
    precision: float
    recall: float
    f1: float
    dwell_error_s: float | None
    total_dwell_error: float | None
    count_error: float | None
    count_error_gross_15min: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the figures by name."""
        return asdict(self)


def match(true: Sequence[Stay], measured: Sequence[Stay], least_iou: float = MATCH_IOU) -> list[tuple[int, int]]:
    """Pair true and measured stays one to one within each zone.

    Returns:
        Pairs of (index into true, index into measured).
    """
    pairs = []
    for zone in sorted({s.zone for s in true}):
        rows = [i for i, s in enumerate(true) if s.zone == zone]
        columns = [j for j, s in enumerate(measured) if s.zone == zone]
        overlap = np.array([[_iou(true[i], measured[j]) for j in columns] for i in rows]).reshape(
            len(rows), len(columns)
        )
        worth = np.where(overlap >= least_iou, overlap, 0.0)
        for a, b in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
            if worth[a, b] > 0:
                pairs.append((rows[a], columns[b]))
    return pairs


def score(true: Sequence[Stay], measured: Sequence[Stay]) -> Score:
    """Compare measured with true visits."""
    pairs = match(true, measured)
    precision = len(pairs) / len(measured) if measured else 1.0
    recall = len(pairs) / len(true) if true else 1.0
    errors = [abs(_length(measured[j]) - _length(true[i])) for i, j in pairs]
    true_total = sum(map(_length, true))
    true_bins, measured_bins = _quarter_hours(true), _quarter_hours(measured)
    gross = sum(abs(measured_bins.get(k, 0) - true_bins.get(k, 0)) for k in true_bins.keys() | measured_bins.keys())
    return Score(
        true=len(true),
        measured=len(measured),
        matched=len(pairs),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        dwell_error_s=sum(errors) / len(errors) if errors else None,
        total_dwell_error=(sum(map(_length, measured)) - true_total) / true_total if true_total else None,
        count_error=(len(measured) - len(true)) / len(true) if true else None,
        count_error_gross_15min=gross / len(true) if true else None,
    )


def _length(stay: Stay) -> float:
    return stay.leave_s - stay.enter_s


def _iou(a: Stay, b: Stay) -> float:
    overlap = min(a.leave_s, b.leave_s) - max(a.enter_s, b.enter_s)
    union = max(a.leave_s, b.leave_s) - min(a.enter_s, b.enter_s)
    return max(0.0, overlap) / union if union > 0 else 0.0


def _quarter_hours(stays: Iterable[Stay]) -> dict[tuple[str, int], int]:
    counts: dict[tuple[str, int], int] = {}
    for stay in stays:
        key = (stay.zone, int(stay.enter_s // 900))
        counts[key] = counts.get(key, 0) + 1
    return counts
