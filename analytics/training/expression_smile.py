"""How much of a smile a face shows: a second reading of the finished expression net, learned from grades of smiles.

Rules
- *Happy* is what onlookers guessed a person felt; a smile is what mouth and cheeks do, little or much. Of 2,369 evenly
  drawn faces of FER2013 that were graded without doubt 4 % of those called happy show no smile, and 3 % of the others
  do. So 13,438 training faces were graded for the smile alone: those held from the first net, one of each group of
  near-identical pictures, and of the others more of those whose *happy* was uncertain. `smiles.csv` beside this file
  holds the grades, by the number in the name of the picture, and no pixel. 12,162 are without doubt; 465 of these are
  held from the last net and only measured on, and 11,697 are learned from.
- A look graded a face as n: no smile, s: slight, c: clear, b: broad, d: doubtful, x: no face. In the column
  ``three_steps`` c means clear or broad. A face that any look found doubtful is not learned from.
- The net stays as it is. What is fitted is one logistic regression on the 256 numbers before its seven outputs, to the
  grade as a share, 0 none to 1 broad; so the seven answers cannot change with it.
- `PENALTY` was chosen by cross-validation on the graded faces, whole groups of near-identical pictures at a time. The
  faces that the last net was held from (`expression_faces.hold_out`) are only measured on. No picture of another
  collection is learned from or chosen by.
- The grader was a vision-language model that saw the pictures alone, 48 numbered faces a sheet, without label, net or
  other grade. Of 5,610 pairs of looks at one face, neither in doubt, 99.4 % agree on smile or none.

What this does not do: say what anybody feels, or whether a smile is meant.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

GRADES = Path(__file__).parent / "smiles.csv"
PENALTY = 3e-4  # of the squared weights, for numbers of variance 1; of 1e-5 to 1e-3 the best concordance and log loss
_STEPS = {"n": 0.0, "s": 1 / 3, "c": 2 / 3, "b": 1.0}
_THREE = _STEPS | {"c": 5 / 6}  # clear or broad


def grades(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the grade of each face as a share, 0 no smile to 1 a broad one; NaN where it has none or a doubtful one.

    Args:
        numbers: (n,) of the faces, see `expression_faces.numbers`.
    """
    with GRADES.open(newline="") as file:
        known = {int(row["face"]): _grade(row["three_steps"], row["four_steps"]) for row in csv.DictReader(file)}
    once = {int(n) for n, times in zip(*np.unique(numbers, return_counts=True), strict=True) if times == 1}
    return np.array([known.get(int(n), np.nan) if int(n) in once else np.nan for n in numbers])


def _grade(three: str, four: str) -> float:
    """Return the mean of the finer looks where there are any, of the others where not."""
    if set(three + four) & set("dx"):
        return np.nan
    looks = [_STEPS[look] for look in four] or [_THREE[look] for look in three]
    return float(np.mean(looks))


def fit(inner: NDArray[np.float32], grade: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Fit the reading; returns weights (256,) and bias for the plain numbers, whose sum goes through a sigmoid.

    Args:
        inner: (n, 256) what the net makes of each face, see `expression_net.ExpressionNet.inner`.
        grade: (n,) shares, without NaN.
    """
    middle, spread = inner.mean(axis=0, dtype=np.float64), inner.std(axis=0, dtype=np.float64) + 1e-6
    x = np.column_stack(((inner - middle) / spread, np.ones(len(inner))))

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ w
        away = 1 / (1 + np.exp(-z)) - grade
        value = (np.logaddexp(0, z) - grade * z).mean() + PENALTY * (w[:-1] ** 2).sum()
        return float(value), x.T @ away / len(x) + 2 * PENALTY * np.append(w[:-1], 0)

    w = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    weights = w[:-1] / spread
    return weights, float(w[-1] - weights @ middle)


def concordance(score: NDArray[np.float32], grade: NDArray[np.float64]) -> float:
    """Chance that of two faces with unlike grades the higher one scores higher, ties half (Harrell's C)."""
    unlike = np.triu(grade[:, None] != grade[None, :])
    right = np.sign(score[:, None] - score[None, :]) * np.sign(grade[:, None] - grade[None, :])
    return float((right[unlike] + 1).mean() / 2)
