"""Journeys: where people go first, what they go to after what, and how long they are in the shop.

Of everybody, and so of one camera at a time: nobody is known from one camera to the next. There is no path of one
person here, and none can be put together: a step is a sum of five people or more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from analytics.colours import LIGHT, Colours
from analytics.figures import OTHERS, Figure
from analytics.flowchart import named, sankey
from analytics.marks import FEW, Spec, channel, mark, over, plain
from analytics.pages import missing, picture
from analytics.pages.choice import by_days
from analytics.pages.happened import drawn
from analytics.pages.inout import in_and_out
from analytics.pages.source import ROUNDED, Counted, half, interval, quantile, source, summed
from analytics.report import Dwell, Flow, Report
from analytics.survival import Times, curve
from analytics.zones import ZoneKind

BOUNCE_S = 120.0  # from the metric definitions
_STEPS = (
    "Left the zone that people leave, right the next one they are seen in. “Out of sight”: no other zone followed."
    " “Other zones”: several, with fewer than five people to each on that day. From an entrance leads only the first"
    " step of somebody who came in by it."
)
_STAYS = (
    "From coming in to being seen to go out, on one camera. Whoever was lost from sight stayed at least that long"
    " (Kaplan and Meier); where most are lost, the long stays are uncertain."
)
_FIGURES = (Figure.TRANSITIONS, Figure.STAY, Figure.EXITS, Figure.FOOTFALL)


def journeys(state_dir: Path) -> None:
    """Draw the page."""
    opened = by_days("Journeys", state_dir)
    if opened is None:
        return
    report, first, last = opened
    cells = report.cells(Figure.TRANSITIONS, first, last)
    by = [Counted.of(summed(Figure.TRANSITIONS, cells), report.tz, _STEPS)]
    flows = report.flows(first, last)
    cameras = sorted({flow.camera for flow in flows})
    if not flows:
        missing.nothing_here(report, Figure.TRANSITIONS, what="steps between zones")
    else:
        camera = cameras[0] if len(cameras) == 1 else st.selectbox("Camera", cameras, key="camera", bind="query-params")
        mine = [flow for flow in flows if flow.camera == camera]
        doors = {c.zone.partition(" > ")[0] for c in cells if c.camera == camera and c.kind == ZoneKind.ENTRANCE}
        _first(mine, doors, report.total(Figure.FOOTFALL, first, last).n, by)
        st.header("From zone to zone")
        st.markdown(f"Most often from **{named(mine[0].start)}** to **{named(mine[0].end)}**: {mine[0].n:,} times.")
        rows = [
            {"From": named(f.start), "To": named(f.end), "Steps": f.n, "Share of those": _share(f, mine)} for f in mine
        ]
        picture.show(
            partial(sankey, mine),
            rows,
            name="Steps between zones",
            told=f"A Sankey diagram of {sum(f.n for f in mine):,} steps. The widest ribbon leads from"
            f" {named(mine[0].start)} to {named(mine[0].end)}: {mine[0].n:,}.",
            by=by,
        )
    _stay(report, report.dwells(first, last, figure=Figure.STAY))
    in_and_out(report, first, last, drawn(state_dir, first, last))
    missing.not_shown(report, first, last, _FIGURES)


def _share(flow: Flow, flows: Sequence[Flow]) -> str:
    return f"{flow.n / sum(f.n for f in flows if f.start == flow.start):.0%}"


def _first(flows: Sequence[Flow], doors: set[str], entries: int, by: Sequence[Counted]) -> None:
    """Draw to which zone people go first."""
    st.header("First zone")
    sums: dict[str, int] = {}
    for flow in flows:
        if flow.start in doors:
            sums[flow.end] = sums.get(flow.end, 0) + flow.n
    if not sums:
        st.info(
            "**No first zone.** It takes a zone of kind `entrance` by which people are seen to come in; draw one in"
            " `store.toml`, and figures follow within two hours.",
            icon=":material/door_front:",
        )
        return
    whole = sum(sums.values())
    rows = [
        {"Zone": named(zone), "People": n, "Share": n / whole}
        for zone, n in sorted(sums.items(), key=lambda one: (one[0] == OTHERS, -one[1]))
    ]
    st.markdown(f"Of {entries:,} entries, **{rows[0]['Share']:.0%}** lead to **{rows[0]['Zone']}** first. {ROUNDED}")
    picture.show(
        partial(_bars, rows),
        rows,
        name="First zone",
        told=f"Bars: of {whole:,} who came in, {rows[0]['People']:,} ({rows[0]['Share']:.0%}) went to"
        f" {rows[0]['Zone']} first.",
        by=by,
    )


def _bars(rows: Sequence[dict[str, object]], colours: Colours = LIGHT) -> Spec:
    row = {
        "y": channel("Zone:N", sort=None, title=None, axis={"ticks": False, "labelLimit": 160}),
        "tooltip": [channel("Zone:N"), channel("People:Q", title="People (rounded)"), channel("Share:Q", format=".0%")],
    }
    bars = {**row, "x": channel("Share:Q", axis={"format": "%", "title": "Share of those who came in", **FEW})}
    words = {**row, "x": channel("Share:Q"), "text": channel("Share:Q", format=".0%")}
    drawn = over(
        rows,
        mark("bar", bars, color=colours.accent, cornerRadiusEnd=3),
        mark("text", words, align="left", dx=5, color=colours.ink),
    )
    return plain([drawn], 34 * len(rows) + 50)


def _stay(report: Report, stays: dict[tuple[str, str], Dwell]) -> None:
    st.header("Stay in the shop")
    if not stays:
        missing.nothing_here(report, Figure.STAY, what="stays in the shop")
        return
    for (_camera, zone), stay in stays.items():
        bounce = _under(stay, BOUNCE_S)
        boxes = st.columns(4)
        boxes[0].metric(f"Median, by {zone}", quantile(stay.median), help=f"95 % interval: {interval(stay.median)}")
        boxes[1].metric("90 % stay under", quantile(stay.p90))
        boxes[2].metric("Bounce, under 2 min", f"{bounce:.0%}")
        boxes[3].metric("Way out not seen", f"{stay.censored:.0%}")
        st.markdown(f"{half(f'the stays by {zone}', 'last', stay.median)} {bounce:.0%} leave within two minutes.")
        source(stay.total, report.tz, _STAYS)


def _under(stay: Dwell, seconds: float) -> float:
    """Return the share of stays that are shorter."""
    found = curve(Times((stay.ended,), stay.lost, stay.total.cells))
    at = bisect_right(found.seconds, seconds) - 1
    return 1 - found.share[at] if at >= 0 else 0.0
