"""How long people stay or take to decide, from released histograms: Kaplan-Meier and Aalen-Johansen, by numpy.

Rules:
- Whoever was lost from sight, or was there when the camera went blind, is censored: it lasted at least that long. What
  came of a decision (a take, a put-back, no touch) is a competing outcome and never censoring.
- It reads counts in the fixed bins of `analytics.lifetable` and no row about anybody: a second estimate from the rows
  would be a second release of the same people.
- Within a bin, times lie as the monotone cubic through the cumulated counts over the logarithm of time has them.
- Rounding to 5 is noise that was added on purpose. The interval is that of the smaller crowd which would be as
  uncertain without it (a design effect; Kish 1965), so it widens and the estimate stays.
- Means of completed times are biased short and are not computed here.

Both estimates are those of the library `lifelines`, to the last digits: tests hold them against it. A page needs dozens
of them at a click, and there each took as long as the rest of the page. scipy is imported where it is used: whoever
only counts (`watch`) needs none of it. Whether two figures differ is not said here but in `analytics.difference`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analytics.lifetable import BINS, EDGES_US, Quantile
from analytics.model import SECOND
from analytics.released import Cell

ALPHA = 0.05  # one minus the level of every interval shown

_FINE = 24  # parts of a bin: a step of the curve is 1.5 % of the time it stands at
_COARSE = 6  # where each part is slow, and only the end of the curve counts
_LOG_EDGES = np.log(np.array(EDGES_US) / SECOND)
_END = EDGES_US[-1] / SECOND  # what lasted longer is known to have lasted so long, and no more
_FEW = 20  # of fewer times, known in steps of 5, an interval would hold the truth too seldom
_ONE_CELL = 4.0  # variance of a running sum in steps of 5: 25·p(1-p), on average over the draws

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Times:
    """Times added up over released cells.

    Attributes:
        ended: seen to end, for each outcome one number a bin; one outcome where they are not told apart.
        lost: lost from sight, one number a bin.
        cells: how many released cells they were added up from; each brought its own rounding.
        spread: variance of the estimate over what it would be if days were alike, 1 or more (see `days`).

    Raises:
        ValueError: not one number a bin, a negative one, or a spread below 1.
    """

    ended: tuple[tuple[int, ...], ...]
    lost: tuple[int, ...]
    cells: int = 0
    spread: float = 1.0

    def __post_init__(self) -> None:
        if not self.ended or any(len(one) != BINS or min(one) < 0 for one in (*self.ended, self.lost)):
            raise ValueError(f"a histogram of times has {BINS} bins of counts")
        if self.cells < 0 or not self.spread >= 1:
            raise ValueError("no fewer than no cells, and no spread below 1")

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Times:
        """Add up released cells of one figure of times; what is suppressed is missing.

        In each bin their counts are one for each outcome and, last, the lost.

        Raises:
            ValueError: there is no released cell, or their counts are no such histogram.
        """
        shown = [cell.counts for cell in cells if not cell.suppressed]
        sums = [sum(column) for column in zip(*shown, strict=True)]
        kinds = len(sums) // BINS
        if kinds < 2 or len(sums) % BINS:
            raise ValueError("these are no cells of a figure of times")
        *ended, lost = (tuple(sums[kind::kinds]) for kind in range(kinds))
        return cls(tuple(ended), lost, len(shown))

    @property
    def together(self) -> Times:
        """The same without telling outcomes apart."""
        return replace(self, ended=(tuple(map(sum, zip(*self.ended, strict=True))),))

    @property
    def n(self) -> int:
        """How many times there are."""
        return sum(map(sum, self.ended)) + sum(self.lost)


@dataclass(frozen=True, slots=True)
class Curve:
    """Share of people still there, over time.

    Attributes:
        seconds: rising; the curve is level between two of them.
        share: at and after each of them.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    seconds: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Incidence:
    """Share of people for whom it ended in one way, by the end of what can be told.

    Attributes:
        share: 0 to 1, None where nobody was seen to end.
        low: lower end of the interval.
        high: upper end.
        half_s: by when half of them had, seconds.
    """

    share: float | None
    low: float | None
    high: float | None
    half_s: float | None


@lru_cache(maxsize=2048)
def quantile(times: Times, share: float, alpha: float = ALPHA) -> Quantile:
    """Return the time that this share of people do not exceed, by Kaplan and Meier, with its interval.

    Args:
        times: see `Times`.
        share: 0.5 for the median.
        alpha: one minus the level of the interval.

    Returns:
        Seconds. None where the curve, or its band, does not fall so far; no interval where rounding left too little.
    """
    if not any(map(any, times.ended)):
        return Quantile(None, None, None)
    at = _finite(_reached(*_estimate(times), 1 - share))
    if times.cells and times.n < _FEW:
        return Quantile(at, None, None)
    seconds, low_band, high_band = _band(times, _shrink(times, share), alpha)
    low, high = (_finite(_reached(seconds, end, 1 - share)) for end in (low_band, high_band))
    if at is not None:  # the smaller crowd is of whole people, too
        low, high = min(low or at, at), None if high is None else max(high, at)
    return Quantile(at, low, high)


def curve(times: Times) -> Curve:
    """Return the Kaplan-Meier curve with its band, for a picture of it."""
    at, shares = _estimate(times)
    seconds, *ends = _band(times, _shrink(times, 0.5), ALPHA)
    last = np.searchsorted(seconds, at, side="right") - 1  # the smaller crowd has fewer steps
    low, high = (end[last] for end in ends)
    return Curve(
        tuple(at.tolist()),
        tuple(shares.tolist()),
        tuple(np.minimum(low, shares).tolist()),
        tuple(np.maximum(high, shares).tolist()),
    )


@lru_cache(maxsize=512)
def incidence(times: Times, outcome: int, alpha: float = ALPHA) -> Incidence:
    """Return for what share of people it ended in one way, by Aalen and Johansen.

    The variance of its logarithm's logarithm is that of Collett (2015), p. 411.

    Args:
        times: see `Times`.
        outcome: position in `times.ended`; the others compete with it.
        alpha: one minus the level of the interval.
    """
    if not any(times.ended[outcome]):
        return Incidence(0.0 if times.n else None, None, None, None)
    at, ending, weights = _placed(times, _shrink_outcome(times, outcome), _COARSE)
    if outcome + 1 not in ending:
        return Incidence(sum(times.ended[outcome]) / times.n, None, None, None)
    seconds, risk, died = _table(at, ending > 0, weights)
    _, _, mine = _table(at, ending == outcome + 1, weights)
    with np.errstate(divide="ignore", invalid="ignore"):  # nobody is left, or the share is still 0
        still = np.concatenate([[1.0], _survival(risk, died)[:-1]])  # just before each of them
        shares = np.cumsum(mine / risk * still)
        spread = died / risk / (risk - died)
    whole = float(shares[-1])
    known = np.flatnonzero((shares > 0) & (shares < 1) & np.isfinite(spread))  # the last to be seen has no variance
    low, high = (
        (math.nan, math.nan) if not len(known) else _ends(int(known[-1]), shares, spread, still, mine, risk, alpha)
    )
    half = float(seconds[shares.searchsorted(whole / 2)]) if whole > 0 else None
    return Incidence(whole, _bound(low, whole, min), _bound(high, whole, max), half)


def _ends(
    at: int, shares: Array, spread: Array, still: Array, mine: Whole, risk: Whole, alpha: float
) -> tuple[float, float]:
    """Return the ends of the interval of a share of one outcome, at one of its steps."""
    until = slice(0, at + 1)
    share, gap = float(shares[at]), shares[at] - shares[until]
    rate = mine[until] / risk[until]
    variance = float(
        np.sum(gap**2 * spread[until])
        + np.sum(still[until] ** 2 * rate * (1 - rate) / risk[until])
        - 2 * np.sum(gap * still[until] * rate / risk[until])
    )
    if not variance >= 0:
        return math.nan, math.nan
    reach = _normal(1 - alpha / 2) * math.sqrt(variance) / (share * abs(math.log(share)))
    place = math.log(-math.log(share))
    return math.exp(-math.exp(place + reach)), math.exp(-math.exp(place - reach))


def days(parts: Sequence[Times]) -> float:
    """Return how much more the days of a figure differ than chance and rounding have it, 1 or more.

    The variance of the curve at its median by what each day contributes to it (Williams 1995), over Greenwood's with
    rounding; what it is over that counts for more the fewer days there are, as Student's interval has it.

    Args:
        parts: times of each day; they are added up here.
    """
    parts = [part for part in parts if part.n]
    if len(parts) < 3:
        return 1.0  # nothing can be told of days from two of them
    ended = np.array([part.together.ended[0] for part in parts], dtype=float)
    lost = np.array([part.lost for part in parts], dtype=float)
    risk = (ended + lost)[:, ::-1].cumsum(axis=1)[:, ::-1] - lost / 2
    died, exposed = ended.sum(axis=0), risk.sum(axis=0)
    hazard = np.divide(died, exposed, out=np.zeros(BINS), where=exposed > 0)
    until = int(np.searchsorted(-np.cumprod(1 - np.minimum(hazard, 1.0)), -0.5)) + 1
    used = slice(0, min(until, BINS))
    per_day = np.divide(ended - hazard * risk, exposed, out=np.zeros_like(ended), where=exposed > 0)[:, used].sum(
        axis=1
    )
    naive = np.divide(hazard, exposed, out=np.zeros(BINS), where=exposed > 0)[used].sum()
    if naive <= 0:
        return 1.0
    whole = Times((_whole(ended),), _whole(lost), sum(part.cells for part in parts))
    from scipy.special import stdtrit

    m = len(parts)
    ratio = float(m / (m - 1) * np.sum(per_day**2) / naive * _shrink(whole, 0.5))
    few = (stdtrit(m - 1, 0.975) / _normal(0.975)) ** 2
    return 1 + max(0.0, ratio - 1) * float(few)


def _whole(rows: Array) -> tuple[int, ...]:
    return tuple(int(v) for v in rows.sum(axis=0))


@lru_cache(maxsize=512)
def _estimate(times: Times) -> tuple[Array, Array]:
    """Return the curve itself: when it falls, seconds, and to what share; not to be changed."""
    at, ending, weights = _placed(times, 1.0)
    seconds, risk, died = _table(at, ending > 0, weights)
    return seconds, _survival(risk, died)


def _band(times: Times, shrink: float, alpha: float) -> tuple[Array, Array, Array]:
    """Return the ends of the interval around the curve of a smaller crowd, by the exponential Greenwood formula."""
    at, ending, weights = _placed(times, shrink)
    seconds, risk, died = _table(at, ending > 0, weights)
    with np.errstate(divide="ignore", invalid="ignore"):  # where all are there there is no logarithm, nor where none is
        parts = died / (risk * (risk - died))
        variance = np.cumsum(np.where(np.isinf(parts), 0.0, parts))
        log = np.log(_survival(risk, died))
        reach = _normal(1 - alpha / 2) * np.sqrt(variance) / log
        low, high = (np.exp(-np.exp(np.log(-log) + side * reach)) for side in (-1, 1))
    return seconds, np.where(np.isnan(low), 1.0, low), np.where(np.isnan(high), 1.0, high)


def _table(at: Array, seen: NDArray[np.bool_], weights: Whole) -> tuple[Array, Whole, Whole]:
    """Return the times from 0 on at which somebody went, how many were there until then, and how many ended then."""
    seconds, place = np.unique(np.concatenate([[0.0], at]), return_inverse=True)
    gone = np.zeros(len(seconds), dtype=np.int64)
    died = np.zeros(len(seconds), dtype=np.int64)
    np.add.at(gone, place[1:], weights)
    np.add.at(died, place[1:], weights * seen)
    return seconds, gone.sum() - np.cumsum(gone) + gone, died


def _survival(risk: Whole, died: Whole) -> Array:
    """Return the product limit after each time."""
    with np.errstate(divide="ignore"):  # everybody is gone
        return np.asarray(np.exp(np.cumsum(np.log(risk - died) - np.log(risk))))


def _reached(seconds: Array, shares: Array, share: float) -> float:
    """Return when a curve has fallen to a share; infinity where it does not."""
    if shares[-1] > share:
        return math.inf
    return float(seconds[np.searchsorted(-shares, -share)])


@lru_cache(maxsize=8)
def _normal(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def _placed(times: Times, shrink: float, parts: int = _FINE) -> tuple[Array, Whole, Whole]:
    """Return times, outcomes (0: lost from sight) and whole weights that stand for the counts of a histogram.

    Outcomes that share a part of a bin stand a hair apart, for Aalen and Johansen know no ties.
    """
    middles, sums = _fine(times, parts)
    at, ending, weights = [], [], []
    for k, fine in enumerate(sums.T, start=1):
        spread = np.asarray(np.diff(np.floor(fine * shrink + 0.5 + 1e-9)), dtype=np.int64)  # in whole numbers
        some = spread > 0
        kind = 0 if k > len(times.ended) else k
        at.append(middles[some] * (1 + 1e-4 * k))
        ending.append(np.full(int(some.sum()), kind))
        weights.append(spread[some])
    beyond = round(shrink * sum(counts[-1] for counts in (*times.ended, times.lost)))
    if beyond or not any(map(len, at)):  # a band of nobody: nothing is known
        at.append(np.array([_END]))
        ending.append(np.zeros(1, dtype=np.int64))
        weights.append(np.array([max(beyond, 1)]))
    return np.concatenate(at), np.concatenate(ending), np.concatenate(weights)


@lru_cache(maxsize=256)
def _fine(times: Times, parts: int) -> tuple[Array, Array]:
    """Return the middles of the parts of closed bins, seconds, and the running sums at the edges of those parts.

    The sums have a column an outcome and, last, one of the lost.
    """
    from scipy.interpolate import PchipInterpolator

    grid = np.linspace(_LOG_EDGES[0], _LOG_EDGES[-1], (BINS - 1) * parts + 1)
    sums = np.zeros((BINS, len(times.ended) + 1))
    sums[1:] = np.cumsum(np.array([*times.ended, times.lost], dtype=float).T[:-1], axis=0)
    return np.exp((grid[:-1] + grid[1:]) / 2), PchipInterpolator(_LOG_EDGES, sums)(grid)


def _shrink(times: Times, share: float) -> float:
    """Return the size of the crowd that is as uncertain without rounding and alike days, over the size of this one.

    Rounding moves the running sums of a cell by a variance of 4 and, where people were lost, their split into ended and
    lost: an error at a time when more were there weighs less now.
    """
    n, left = times.n, 1 - share
    if not n:
        return 1.0
    lost = np.array(times.lost, dtype=float)
    still = 1 - np.cumsum(np.sum(times.ended, axis=0) + lost) / n
    before = still > left
    cells = max(times.cells, 1)
    splits = np.minimum(_ONE_CELL, 5 * lost[before] / cells) * (left / still[before]) ** 2
    noise = times.cells * (_ONE_CELL * (1 + share**2) + float(splits.sum()))
    sampling = n * left * share
    return float(sampling / (sampling + noise) / times.spread)


def _shrink_outcome(times: Times, outcome: int) -> float:
    """Return the same for the share of one outcome.

    Which outcome a rounded count falls to is a one-in-five sample where counts are small: its variance is four for each
    of them, and four for each count of a cell where they are large.
    """
    n, mine = times.n, np.array(times.ended[outcome], dtype=float)
    share = min(max(float(mine.sum()) / n, 1 / n), 1 - 1 / n)
    noise = float(np.minimum(_ONE_CELL * mine, _ONE_CELL * times.cells).sum()) * (1 - share)
    sampling = n * share * (1 - share)
    return float(sampling / (sampling + noise) / times.spread)


def _bound(end: float, share: float, further: Callable[[float, float], float]) -> float | None:
    return None if math.isnan(end) else further(end, share)


def _finite(seconds: float) -> float | None:
    return float(seconds) if math.isfinite(seconds) and seconds > 0 else None
