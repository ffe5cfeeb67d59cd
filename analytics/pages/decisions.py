"""How long people take to decide, where they hesitate, and what comes of it: sentences first, then figures and curves.

Nothing is called a difference that is noise at 5 % for the whole page (`analytics.advice`). What somebody takes from a
shelf is a candidate and never called a sale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from analytics import curves
from analytics.advice import Finding, Place, Question, advise, split, times, within
from analytics.bins import local
from analytics.charts import duration
from analytics.decision import Outcome
from analytics.difference import difference
from analytics.figures import OUTCOMES, Audience, Figure
from analytics.lifetable import Quantile
from analytics.pages.choice import Choice, choose
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import beside, show
from analytics.pages.source import Counted, ends, half, interval, many, quantile, summed
from analytics.pages.style import begin, figures
from analytics.released import Cell
from analytics.report import Report
from analytics.survival import Times, curve, incidence
from analytics.survival import quantile as quantile_of

WEEK = 7  # days that are compared with as many before them

_WHO = {Audience.EVERYBODY: "everybody", Audience.CONSENTING: "consenting shoppers"}
_WORDS = {
    Outcome.TAKE: "took something in hand",
    Outcome.PUT_BACK: "put something back",
    Outcome.NO_TOUCH: "left without touching",
}
_ACT = {
    Question.HESITATE: "People who stand long compare, search or wait for advice: look at order, prices and signs.",
    Question.CHANGE: "Write down what was changed as a note. Less time may mean found sooner, or given up sooner.",
    Question.UNTOUCHED: "They stood before the shelf and did not reach: look at what is at hand height, and at gaps.",
}

_UPPER_BOUND = (
    "A decision is from the first stop before a shelf to the last step away, stopped for 3 s or more in all"
    " (`decision_box`): an upper bound, for standing is not yet deciding. Whoever was lost from sight counts for as"
    " long as they were seen (Kaplan and Meier). Means of completed decisions are too short and are not shown."
)
_BIAS = (
    "Consent bias: how far the median of those who said yes lies from everybody's. Their figures speak for everybody"
    " only where it is small; its interval is on the safe side, for those who said yes are among everybody."
)
_NO_SALE = (
    "Of shoppers who said yes, from facing the shelf to their last reach, or to leaving without one (`decision_pose`)."
    " Somebody who took something in hand is a `take_candidate`: what became of it nobody saw, and it is no sale."
    " Leaving untouched competes with the others (Aalen and Johansen); only who was lost from sight is censored."
)


def decisions(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; only its folder of released cells is read.
    """
    begin("Decisions")
    report = figures(state_dir, "Decisions")
    if report is None:
        return
    days = report.days()
    month = max(days[0], days[-1] - timedelta(days=27))
    known = [c for a in Audience for c in report.cells(Figure.DECISION, month, days[-1], audience=a)]
    chosen = choose(days, sorted({cell.zone for cell in known}), length=28)
    if chosen is None:
        return
    whole, agreed, posed = (
        chosen.keep(report.cells(figure, chosen.first, chosen.last, audience=audience), report.tz)
        for figure, audience in (
            (Figure.DECISION, Audience.EVERYBODY),
            (Figure.DECISION, Audience.CONSENTING),
            (Figure.POSE, Audience.CONSENTING),
        )
    )
    name = _named([*whole[0], *agreed[0], *posed[0]])
    if not any(not cell.suppressed for cell in (*whole[0], *agreed[0])):
        nothing_here(report, Figure.DECISION, what="decisions")
    else:
        _advice(report, chosen, whole[0], posed[0], name)
        _durations(report.tz, whole, agreed, name)
    _outcomes(report, posed, name)
    not_shown(report, chosen.first, chosen.last, (Figure.DECISION, Figure.POSE))


# --- sentences ------------------------------------------------------------------------------------------------------


def _advice(
    report: Report, chosen: Choice, whole: Sequence[Cell], posed: Sequence[Cell], name: Callable[[Place], str]
) -> None:
    tz, last = report.tz, chosen.last
    first = last - timedelta(days=WEEK - 1)
    now, before = (
        within(chosen.keep(report.cells(Figure.DECISION, start, end), tz)[0], end, tz)
        for start, end in ((first, last), (first - timedelta(days=WEEK), first - timedelta(days=1)))
    )
    found = advise(whole, posed, now, before, tz, due=partial(_due, report, last), name=name)
    st.subheader("What to look at")
    for question in Question:
        mine = [one for one in found if one.question is question]
        _answer(
            question, mine, f"{first} to {last} against {first - timedelta(days=WEEK)} to {first - timedelta(days=1)}"
        )
    rows = [
        {
            "Question": one.question.value,
            "Zone": name(one.place),
            "Answer": one.sentence,
            "More than noise": "yes" if one.clear else "no",
            "n": one.total.n,
            "n compared with": None if one.against is None else one.against.n,
            "Coverage": "not known" if one.total.coverage is None else f"{one.total.coverage:.0%}",
            "Metric": one.total.metric,
        }
        for one in found
    ]
    how = (
        f"Compared are {first} to {last} with the {WEEK} days before, and each shelf with the others in the days"
        " chosen. What is called a difference here is one at 5 % for all answers of this page together (Holm), with"
        " unlike days counted in; everything else is noise until more people came."
    )
    counted = [Counted(f"{one.question.value} {name(one.place)}: {_of(one)}") for one in found]
    numbers = [{**row, "Coverage": one.total.coverage} for row, one in zip(rows, found, strict=True)]
    beside(rows, name="What to look at", by=[Counted(how), *counted], numbers=numbers)


def _answer(question: Question, found: Sequence[Finding], weeks: str) -> None:
    clear = [one for one in found if one.clear]
    st.markdown(f"**{question.value}**" + (f" {weeks}." if question is Question.CHANGE else ""))
    if not found:
        who = " who said yes" if question is Question.UNTOUCHED else ""
        st.markdown(f"Nothing can be said yet: no shelf has figures of enough people{who} in these days.")
        return
    rest = [one for one in found if not one.clear]
    if clear:
        longest = sorted(clear, key=lambda one: -((one.gap.at if one.gap else 0) or 0))
        st.markdown("\n".join(f"- {one.sentence}" for one in longest))
        st.markdown(_ACT[question])
        label = f"{many(len(rest), 'other shelf', 'other shelves')}: nothing more than noise"
    else:
        other = "the week before" if question is Question.CHANGE else "the others"
        st.markdown(f"No shelf differs from {other} by more than noise.")
        label = f"What is known of {many(len(rest), 'shelf', 'shelves')}"
    if rest:
        with st.expander(label):
            st.markdown("\n".join(f"- {one.sentence}" for one in rest))


def _of(one: Finding) -> str:
    coverage = "coverage not known" if one.total.coverage is None else f"coverage {one.total.coverage:.0%}"
    against = "" if one.against is None else f", against {one.against.n:,}"
    return f"`{one.total.metric}` · n = {one.total.n:,}{against} · {coverage}"


def _due(report: Report, last: date, audience: Audience, figure: Figure, place: Place) -> date | None:
    """Return when a figure can be expected: by the rate at which its people come, or when two weeks are over."""
    for one in report.waiting():
        if (one.metric, one.camera, one.zone) == (f"{audience}.{figure}", *place) and one.expected_us is not None:
            return local(one.expected_us, report.tz).date()
    two_weeks = report.days()[0] + timedelta(days=2 * WEEK)
    return two_weeks if two_weeks > last else None


# --- figures --------------------------------------------------------------------------------------------------------

_Kept = tuple[list[Cell], int]


def _durations(tz: str, whole: _Kept, agreed: _Kept, name: Callable[[Place], str]) -> None:
    st.subheader("How long they take")
    cells = {Audience.EVERYBODY: split(whole[0]), Audience.CONSENTING: split(agreed[0])}
    known = {
        audience: {place: found for place, mine in places.items() if (found := times(mine, tz)) is not None}
        for audience, places in cells.items()
    }
    everybody, consenting = known[Audience.EVERYBODY], known[Audience.CONSENTING]
    rows = []
    for place in sorted({*everybody, *consenting}):
        one, other = everybody.get(place), consenting.get(place)
        rows.append(
            {
                "Zone": name(place),
                **_columns(one, "Median", "95 % interval", "Decisions"),
                "End not seen": "–" if one is None else f"{sum(one.lost) / one.n:.0%}",
                **_columns(other, "Consenting: median", "Their 95 % interval", "Their decisions"),
                "Consent bias": _bias(one, other),
            }
        )
    if everybody:
        at = {place: quantile_of(one, 0.5).at or 0.0 for place, one in everybody.items()}
        slow, quick = (pick(at, key=lambda place: at[place]) for pick in (max, min))
        st.markdown(
            " ".join(
                half(f"the decisions at **{name(place)}**", "take", quantile_of(everybody[place], 0.5))
                for place in dict.fromkeys((slow, quick))
            )
        )
    st.dataframe(rows, hide_index=True)
    by = [
        Counted.of(summed(Figure.DECISION, whole[0]), tz, _UPPER_BOUND, left_out=whole[1]),
        Counted.of(summed(Figure.DECISION, agreed[0], Audience.CONSENTING), tz, _BIAS, left_out=agreed[1]),
    ]
    numbers = [
        {
            "zone": name(place),
            **ends("median", None if one is None else quantile_of(one, 0.5)),
            "decisions": None if one is None else one.n,
            "end not seen": None if one is None else sum(one.lost) / one.n,
            **ends("consenting: median", None if other is None else quantile_of(other, 0.5)),
            "consenting: decisions": None if other is None else other.n,
        }
        for place in sorted({*everybody, *consenting})
        for one, other in [(everybody.get(place), consenting.get(place))]
    ]
    beside(rows, name="How long they take", by=by, numbers=numbers)
    places = sorted({*everybody, *consenting})
    labels = {name(place): place for place in places}
    shelf = st.selectbox("Curve of", list(labels), key="shelf", bind="query-params")
    drawn = {_WHO[a]: found for a, zones in known.items() if (found := zones.get(labels[shelf])) is not None}
    lines = {who: curve(found) for who, found in drawn.items()}
    show(
        partial(curves.still, lines),
        curves.rows(lines),
        name="Still deciding",
        told=curves.told(shelf, {who: quantile_of(found, 0.5).at for who, found in drawn.items()}),
        by=by,
    )


def _outcomes(report: Report, posed: _Kept, name: Callable[[Place], str]) -> None:
    st.subheader("What came of it")
    known = {p: found for p, mine in split(posed[0]).items() if (found := times(mine, report.tz)) is not None}
    if not known:
        nothing_here(report, Figure.POSE, audience=Audience.CONSENTING, what="what came of decisions")
        return
    marks, rows, numbers = [], [], []
    for place, found in known.items():
        median = quantile_of(found.together, 0.5)
        row: dict[str, Any] = {
            "Zone": name(place),
            "Median": quantile(median),
            "95 % interval": _interval(median),
            "Decisions": found.n,
            "End not seen": f"{sum(found.lost) / found.n:.0%}",
        }
        number: dict[str, Any] = {
            "zone": name(place),
            **ends("median", median),
            "decisions": found.n,
            "end not seen": sum(found.lost) / found.n,
        }
        for outcome, words in _WORDS.items():
            one = incidence(found, OUTCOMES.index(outcome))
            share = Quantile(one.share, one.low, one.high)
            row[words.capitalize()] = _percent(share)
            row[f"{words.capitalize()}: half by"] = "–" if one.half_s is None else duration(one.half_s)
            number |= {words: one.share, f"{words}, low": one.low, f"{words}, high": one.high}
            number[f"{words}: half by, s"] = one.half_s
            marks.append({"Zone": name(place), "Outcome": words, "share": one.share, "low": one.low, "high": one.high})
        rows.append(row)
        numbers.append(number)
    left = {place: incidence(found, OUTCOMES.index(Outcome.NO_TOUCH)).share or 0.0 for place, found in known.items()}
    most = max(left, key=lambda place: left[place])
    st.markdown(
        f"Most often left without a touch is **{name(most)}**: {left[most]:.0%} of decisions there. Whether that is"
        " more than noise stands at the top of this page."
    )
    by = [Counted.of(summed(Figure.POSE, posed[0], Audience.CONSENTING), report.tz, _NO_SALE, left_out=posed[1])]
    show(partial(curves.shares, marks), rows, name="What came of it", told=_told(rows), by=by, numbers=numbers)
    st.dataframe(rows, hide_index=True)


def _columns(known: Times | None, *labels: str) -> dict[str, str]:
    if known is None:
        return dict(zip(labels, ("–", "–", "–"), strict=True))
    median = quantile_of(known, 0.5)
    return dict(zip(labels, (quantile(median), _interval(median), f"{known.n:,}"), strict=True))


def _interval(point: Quantile) -> str:
    return "too few to tell" if point.low is None and point.high is None else interval(point)


def _bias(everybody: Times | None, consenting: Times | None) -> str:
    if everybody is None or consenting is None:
        return "–"
    whole = quantile_of(everybody, 0.5)
    gap = difference(quantile_of(consenting, 0.5), whole)
    if gap.at is None or not whole.at:
        return "–"
    ends = "" if gap.low is None or gap.high is None else f"; {gap.low:+.1f} to {gap.high:+.1f} s"
    return f"{gap.at:+.1f} s ({gap.at / whole.at:+.0%}{ends})"


def _percent(share: Quantile) -> str:
    if share.at is None:
        return "–"
    if share.low is None or share.high is None:
        return f"{share.at:.0%}"
    return f"{share.at:.0%} ({share.low:.0%}–{share.high:.0%})"


def _told(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        f"{row['Zone']}: {', '.join(f'{words} {row[words.capitalize()]}' for words in _WORDS.values())}" for row in rows
    ]
    return f"Share of decisions by what came of them, with 95 % intervals. {'; '.join(parts)}."


def _named(cells: Sequence[Cell]) -> Callable[[Place], str]:
    """Return what names a shelf: its zone, with the camera where two share a name."""
    shared = Counter(zone for _, zone in {(cell.camera, cell.zone) for cell in cells})
    return lambda place: place[1] if shared[place[1]] < 2 else f"{place[1]} ({place[0]})"
