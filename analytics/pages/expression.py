"""Expression: what the faces of shoppers who said yes to it resembled, of how many, and how far that can be trusted.

It is called expression and nothing else here: what a face shows is not what a person feels. The page is there only at
level `emotion`; below it, it is not listed, and its address leads elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.calibration import calibration
from analytics.colours import Colours
from analytics.figures import PARTS, Audience, Figure
from analytics.marks import Spec, channel, either, mark, over, plain, value
from analytics.pages import picture
from analytics.pages.choice import by_days
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.source import Counted, summed
from analytics.released import Cell
from analytics.row import CLASSES

_PARTS = (
    f"A visit counts in {PARTS} parts, so that a long one weighs no more than a short one. A cell holds ten visitors or"
    " more, and two expressions or more: where all show the same, nothing is shown. Each expression is one of ten"
    " visitors or more; one of fewer counts with unknown."
)
_WARNING = (
    "**What a face shows is not what a person feels.** The same scowl is anger, effort or bright light. A net says"
    " which posed expression a face resembles, and it is often wrong: see below. Never treat one person differently"
    " for it, never measure staff by it (in the EU that is prohibited), and ask whether you need it at all."
)


def expression(state_dir: Path) -> None:
    """Draw the page."""
    opened = by_days("Expression", state_dir, warning=_WARNING)
    if opened is None:
        return
    report, first, last = opened
    cells = report.cells(Figure.EXPRESSION, first, last, audience=Audience.CONSENTING)
    visits = report.cells(Figure.VISITS, first, last, audience=Audience.CONSENTING)
    shown = [cell for cell in cells if not cell.suppressed]
    if not shown:
        nothing_here(report, Figure.EXPRESSION, audience=Audience.CONSENTING, what="expressions")
    else:
        by = [Counted.of(summed(Figure.EXPRESSION, cells, Audience.CONSENTING), report.tz, _PARTS)]
        _shares(shown, by)
        _coverage(shown, visits)
    _trust()
    not_shown(report, first, last, (Figure.EXPRESSION,))


def _sums(cells: Sequence[Cell]) -> dict[str, list[int]]:
    """Return the counts of each zone, added up."""
    found: dict[str, list[int]] = {}
    for cell in cells:
        counts = found.setdefault(cell.zone, [0] * len(CLASSES))
        for i, count in enumerate(cell.counts):
            counts[i] += count
    return dict(sorted(found.items()))


def _shares(cells: Sequence[Cell], by: Sequence[Counted]) -> None:
    st.header("What was read")
    rows: list[dict[str, Any]] = []
    shares = [0.0]
    for zone, counts in _sums(cells).items():
        read = sum(counts[:-1])
        shares += [count / read for count in counts[:-1] if read]
        rows += [
            {"Zone": zone, "Expression": name, "Share of what was read": count / read}
            for name, count in zip(CLASSES[:-1], counts, strict=False)
            if read
        ]

    def chart(colours: Colours) -> Spec:
        share = "Share of what was read"
        box = {
            "x": channel("Zone:N", title=None, axis={"labelAngle": 0, "orient": "top"}),
            "y": channel("Expression:N", sort=list(CLASSES[:-1]), title=None, axis={"labelOverlap": False}),
            "tooltip": [channel("Zone:N"), channel("Expression:N"), channel(f"{share}:Q", format=".0%")],
        }
        scale = {"range": [colours.low, colours.accent]}
        strong = f"datum['{share}'] > {max(shares) / 2}"
        ink = either(strong, value(colours.on_accent), value(colours.ink))
        told = [  # nobody, or fewer than ten: rare is not none
            {**row, "told": f"{row[share]:.0%}" if row[share] > 0 else "–"} for row in rows
        ]
        drawn = over(
            told,
            mark("rect", {**box, "color": channel(f"{share}:Q", scale=scale, legend=None)}),
            mark("text", {**box, "text": channel("told:N"), "color": ink}),
        )
        return plain([drawn], 280)

    picture.show(
        chart,
        rows,
        name="Expressions by zone",
        told="For each zone, which share of the readable parts of visits resembled which posed expression.",
        by=by,
    )


def _coverage(cells: Sequence[Cell], visits: Sequence[Cell]) -> None:
    st.header("How much of it was seen")
    stays: dict[str, int] = {}
    for cell in visits:
        stays[cell.zone] = stays.get(cell.zone, 0) + (cell.n or 0)
    rows = []
    for zone, counts in _sums(cells).items():
        looked = sum(counts) / PARTS
        of = stays.get(zone, 0)
        rows.append(
            {
                "Zone": zone,
                "Visits that were looked at, to 5": 5 * round(looked / 5),
                "Of consenting shoppers' visits": f"{min(1.0, looked / of):.0%}" if of else "not known",
                "Unknown or rare": f"{counts[-1] / sum(counts):.0%}",
            }
        )
    st.dataframe(rows, hide_index=True)
    st.caption(
        "Unknown or rare: turned away, too far, blurred, somebody else's head beside it, an answer that was not"
        " sure; or an expression that fewer than ten visitors of a cell showed. Who faces the camera is no fair sample"
        " of who stands there."
    )


def _trust() -> None:
    told = calibration()
    st.header("How far it can be trusted")
    boxes = st.columns(4)
    boxes[0].metric("Right, of all faces", f"{told.accuracy:.0%}")
    boxes[1].metric("Answered", f"{told.answered:.0%}")
    boxes[2].metric("Right, of those", f"{told.right:.0%}")
    boxes[3].metric("Calibration error", f"{told.error:.3f}")
    left, right = st.columns(2)
    with left:
        st.markdown("**Recognised, by expression**")
        st.dataframe(
            [{"Expression": name, "Recognised": f"{share:.0%}"} for name, share in told.recall.items()],
            hide_index=True,
        )
    with right:
        st.markdown("**Of answers at least so sure**")
        st.dataframe(
            [
                {
                    "Probability from": f"{step.least:.1f}",
                    "Answered": f"{step.answered:.0%}",
                    "Right": f"{step.right:.0%}",
                }
                for step in told.steps
            ],
            hide_index=True,
        )
    st.caption(
        f"From the model's card: {told.faces:,} faces of the web (FER2013, test part), scored once, posed or picked for"
        f" being plain. An answer is given from a probability of {told.threshold:.2f} on. From a shop's camera expect"
        " worse: nothing here was measured on one. Differences between groups of people could not be measured."
    )
