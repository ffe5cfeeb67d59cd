"""What the figures of a shop's shelves say to somebody who has to act on them, in sentences. Pure.

Rules:
- Three questions: where do people hesitate (`decision_box`, against the other shelves), where does the time go up or
  down (`decision_box`, against the period before), where do they leave without a touch (`decision_pose`, against the
  other shelves). Whoever is compared with whom is always somebody else.
- All answers of a page are one family: the chance that any of them calls noise a difference is 5 % for the page.
- Days that are less alike than chance and rounding have it widen every interval.
- What cannot be told says why, and when it can be expected if that is known.
- A `take_candidate` is never called a sale, nor standing before a shelf a wish to buy.

It knows no file and no page; `Finding` names the metric, n and coverage that stand beside the sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from analytics.bins import local
from analytics.charts import duration
from analytics.decision import Outcome
from analytics.difference import LEVEL, Difference, difference, holm
from analytics.figures import OUTCOMES, Audience, Figure
from analytics.lifetable import Quantile
from analytics.released import Cell, Sum
from analytics.survival import Times, days, incidence, quantile

Place = tuple[str, str]  # camera, zone
Due = Callable[[Audience, Figure, Place], date | None]

_NO_TOUCH = OUTCOMES.index(Outcome.NO_TOUCH)
_BOX, _POSE = f"{Audience.EVERYBODY}.{Figure.DECISION}", f"{Audience.CONSENTING}.{Figure.POSE}"


class Question(StrEnum):
    """What somebody wants to know of a shelf."""

    HESITATE = "Where do people hesitate?"
    CHANGE = "Where does it take longer or shorter than before?"
    UNTOUCHED = "Where do they leave without touching anything?"


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer for one shelf.

    Attributes:
        question: what was asked.
        place: camera and zone.
        sentence: the answer in plain words.
        clear: it is a difference that is more than noise.
        what: how much; seconds, or a share of 0 to 1 for `UNTOUCHED`. None where nothing can be told.
        gap: by how much it differs from what it is compared with.
        total: what it is made of.
        against: what it is compared with, None where there is nothing.
    """

    question: Question
    place: Place
    sentence: str
    clear: bool
    what: Quantile | None
    gap: Difference | None
    total: Sum
    against: Sum | None


def advise(
    decisions: Sequence[Cell],
    poses: Sequence[Cell],
    now: Sequence[Cell],
    before: Sequence[Cell],
    tz: str,
    *,
    due: Due = lambda _audience, _figure, _place: None,
    name: Callable[[Place], str] = lambda place: place[1],
) -> list[Finding]:
    """Answer the questions for each shelf of which there is a cell, in the order of the questions.

    Args:
        decisions: everybody's `decision_box` of the period that is looked at.
        poses: consenting shoppers' `decision_pose` of the same period.
        now: everybody's `decision_box` of the days that are compared with those before.
        before: the same of as many days before them.
        tz: IANA name of the store's time zone.
        due: when a figure that is not there can be expected.
        name: of a shelf, in words.
    """
    shelves, looked_at, later, earlier = map(split, (decisions, poses, now, before))
    found = [
        *(_compared(Question.HESITATE, place, shelves, _others(shelves, place), tz) for place in shelves),
        *(_compared(Question.CHANGE, place, later, earlier.get(place, []), tz) for place in sorted({*later, *earlier})),
        *(_compared(Question.UNTOUCHED, place, looked_at, _others(looked_at, place), tz) for place in looked_at),
    ]
    worth = holm([1.0 if one.gap is None else one.gap.p for one in found])
    told = [replace(one, clear=p < LEVEL) for one, p in zip(found, worth, strict=True)]
    return [replace(one, sentence=_sentence(one, name(one.place), due)) for one in told]


def split(cells: Sequence[Cell]) -> dict[Place, list[Cell]]:
    """Return cells by zone, those of one day after another."""
    by_zone: dict[Place, list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: c.start_us):
        by_zone.setdefault((cell.camera, cell.zone), []).append(cell)
    return dict(sorted(by_zone.items()))


def within(cells: Sequence[Cell], last: date, tz: str) -> list[Cell]:
    """Return the cells that end no later than a local day; what reaches beyond it is of neither period."""
    return [cell for cell in cells if local(cell.end_us - 1, tz).date() <= last]


def times(cells: Sequence[Cell], tz: str) -> Times | None:
    """Return the times of cells with how alike their days are; None where none is released."""
    shown = [cell for cell in cells if not cell.suppressed]
    if not shown:
        return None
    by_day: dict[date, list[Cell]] = {}
    for cell in shown:
        by_day.setdefault(local(cell.start_us, tz).date(), []).append(cell)
    return replace(Times.of(shown), spread=days([Times.of(one) for one in by_day.values()]))


def _others(by_zone: Mapping[Place, Sequence[Cell]], place: Place) -> list[Cell]:
    return [cell for other, cells in by_zone.items() if other != place for cell in cells]


def _compared(
    question: Question, place: Place, by_zone: Mapping[Place, Sequence[Cell]], against: Sequence[Cell], tz: str
) -> Finding:
    read, metric = (_untouched_share, _POSE) if question is Question.UNTOUCHED else (_median, _BOX)
    mine = by_zone.get(place, [])
    here, there = times(mine, tz), times(against, tz)
    what = None if here is None else read(here)
    gap = None if what is None or there is None else difference(what, read(there))
    other = None if there is None else Sum.of(metric, against)
    return Finding(question, place, "", False, what, gap, Sum.of(metric, mine), other)


def _median(known: Times) -> Quantile:
    return quantile(known.together, 0.5)


def _untouched_share(known: Times) -> Quantile:
    one = incidence(known, _NO_TOUCH)
    if one.share == 0.0 and one.low is None:  # nobody did: at 95 % fewer than three in n do
        return Quantile(0.0, 0.0, min(1.0, 3 * known.spread / max(known.n, 1)))
    return Quantile(one.share, one.low, one.high)


def _p(gap: Difference | None) -> float:
    return 1.0 if gap is None else gap.p


def _sentence(one: Finding, shelf: str, due: Due) -> str:
    shares = one.question is Question.UNTOUCHED
    audience, _, figure = one.total.metric.partition(".")
    day = due(Audience(audience), Figure(figure), one.place)
    when = "" if day is None else f"; an answer can be expected about {day.isoformat()}"
    if one.what is None:
        who = "people who said yes" if shares else "decisions in these days"
        return f"{shelf}: too few {who}{when}."
    if one.what.at is None:
        return f"{shelf}: most were lost from sight before they had decided, so there is no median."
    ends = f"(95 %: {_end(one.what.low, shares)}–{_end(one.what.high, shares)})"
    what = f"{one.what.at:.0%} leave without touching anything" if shares else duration(one.what.at)
    before = one.question is Question.CHANGE
    if one.gap is None or one.gap.at is None:
        missing = f"Nothing to compare it with in the days before{when}" if before else "No other shelf has figures yet"
        return f"{shelf}: {what} {ends}. {missing}."
    if one.clear:
        than = "than before" if before else "than at the other shelves together"
        return f"{shelf}: {what}, {_by(one.gap, shares)} {than}."
    if one.gap.p < LEVEL:
        return f"{shelf}: {what}, perhaps {_by(one.gap, shares)}; of so many answers one like this comes by chance."
    same = "" if before else ", as at the other shelves"
    return f"{shelf}: {what}{same}; {_no_more(one.gap, shares)}."


def _by(gap: Difference, shares: bool) -> str:
    """Say a clear difference: 4.0 s shorter (95 %: 2.0–6.0 s)."""
    ends = sorted(abs(end) for end in (gap.low, gap.high) if end is not None)
    if len(ends) < 2:
        return _apart(gap.at or 0.0, shares)
    low, high = (_apart(end, shares).rpartition(" ")[0] for end in ends)
    if low.rpartition(" ")[2] == high.rpartition(" ")[2] and low.count(" ") == 1:
        low = low.rpartition(" ")[0]  # the same unit once
    return f"{_apart(gap.at or 0.0, shares)} (95 %: {low}–{high})"


def _no_more(gap: Difference, shares: bool) -> str:
    """Say that there is nothing to be said, and how much may hide in the noise."""
    if gap.low is None or gap.high is None:
        return "too few people to say whether it differs"
    return f"no difference that is more than noise (95 %: {_apart(gap.low, shares)} to {_apart(gap.high, shares)})"


def _apart(gap: float, shares: bool) -> str:
    if shares:
        return f"{abs(gap) * 100:.0f} points {'more' if gap > 0 else 'fewer'}"
    return f"{duration(abs(gap))} {'longer' if gap > 0 else 'shorter'}"


def _end(end: float | None, shares: bool) -> str:
    return "?" if end is None else f"{end:.0%}" if shares else duration(end)
