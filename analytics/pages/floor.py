"""The store manager's page: what was released, how sure it is, and what is not shown yet.

Beside each figure stand its metric id, rule version, n and coverage. No SQL and no rule lives here; every number comes
from `analytics.report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import streamlit as st

from analytics import charts
from analytics.bins import DAY, local
from analytics.charts import duration
from analytics.figures import Audience, Figure
from analytics.lifetable import Quantile
from analytics.released import FLAGGED, Cell, Sum
from analytics.report import Dwell, Report, Waiting

_PERIODS = {"This day": 1, "7 days": 7, "28 days": 28}
_NAMES = {
    Figure.FOOTFALL: "Entries",
    Figure.VISITS: "Zone visits",
    Figure.DWELL: "Length of stay",
    Figure.DECISION: "Decision duration",
}
STYLE = """
<style>
.block-container {padding-top: 4.2rem; max-width: 1180px;}
[data-testid="stMetric"] {background: #f5f5f4; border-radius: .6rem; padding: .8rem 1rem;}
</style>
"""


def manager(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; only its folder of released cells is read.
    """
    st.set_page_config(page_title="openaisle", layout="wide")
    st.html(STYLE)
    with closing(Report(state_dir / "released")) as report:
        days = report.days()
        if not days:
            _nothing_yet(state_dir, report)
            return
        title, choice = st.columns([3, 1], vertical_alignment="bottom")
        title.title("Shop floor")
        day = choice.date_input("Day", days[-1], min_value=days[0], max_value=days[-1], format="YYYY-MM-DD")
        if not isinstance(day, date):
            return
        _day(report, day)
        _stays(report, day)
        _decisions(report, day)
        _not_shown(report, day)
        tz = report.tz
    st.caption(
        f"Times are on the store's clock ({tz}). A visit counts when it ends. Every cell"
        " holds five people or more, and its counts are rounded to 5 at random without bias; tracks are not distinct"
        " people."
    )


def _nothing_yet(state_dir: Path, report: Report) -> None:
    st.title("No figures yet")
    st.markdown(
        "A figure appears once an hour is over in which five people or more were seen in a zone. Until then:\n\n"
        f"1. `openaisle watch --state {state_dir}` must be running and see the zones of `store.toml`.\n"
        f"2. `openaisle keeper --state {state_dir}` must be running: it turns sums into figures.\n"
        "3. Come back two hours after opening time and reload this page: an hour is shown when the next has passed."
    )
    waiting = report.waiting()
    if waiting:
        st.subheader("Waited for")
        _waiting_table(waiting, report.tz)


def _day(report: Report, day: date) -> None:
    visits, entries = report.cells(Figure.VISITS, day, day), report.cells(Figure.FOOTFALL, day, day)
    all_visits, all_entries = report.total(Figure.VISITS, day, day), report.total(Figure.FOOTFALL, day, day)
    engaged = sum(c.tiers["engaged"] + c.tiers["deliberating"] for c in visits if not c.suppressed)
    boxes = st.columns(4)
    boxes[0].metric("Entries", f"{all_entries.n:,}" if all_entries.cells else "–")
    boxes[1].metric("Zone visits", f"{all_visits.n:,}" if all_visits.cells else "–")
    boxes[2].metric("Engaged, 5 s or more", f"{engaged / all_visits.n:.0%}" if all_visits.n else "–")
    boxes[3].metric("Cameras saw", "–" if all_visits.coverage is None else f"{all_visits.coverage:.0%}")
    if all_visits.coverage is not None and all_visits.coverage < FLAGGED:
        st.warning(
            f"The cameras saw {all_visits.coverage:.0%} of the time they were meant to. What they missed is not"
            " guessed: this day's numbers are lower than what happened.",
            icon=":material/visibility_off:",
        )
    st.subheader("Zone by hour")
    if all_visits.cells:
        st.altair_chart(charts.zone_by_hour(visits, report.tz))
    else:
        st.info("No zone had enough visits on this day.", icon=":material/hourglass_empty:")
    _source(
        all_visits,
        report.tz,
        "A wide box is several hours together, because one alone held too few people. A dashed edge: cameras saw under"
        " 90 % of it.",
    )
    st.subheader("Footfall")
    hourly, daily = st.columns(2)
    with hourly:
        if all_entries.cells:
            st.altair_chart(charts.footfall_by_hour(entries, report.tz))
        else:
            st.info("No entrance had enough entries on this day.", icon=":material/hourglass_empty:")
        _source(all_entries, report.tz)
    with daily:
        past = report.footfall_by_day(day - timedelta(days=27), day)
        if past:
            st.altair_chart(charts.footfall_by_day(past))
        total = report.total(Figure.FOOTFALL, day - timedelta(days=27), day)
        _source(total, report.tz, "Pale days are not whole: cameras saw under 90 %, or a part is suppressed.")


def _stays(report: Report, day: date) -> None:
    head, choose, whom = st.columns([2, 1, 1], vertical_alignment="bottom")
    head.subheader("Length of stay")
    period = choose.segmented_control("Period", list(_PERIODS), default="7 days") or "7 days"
    words = {"Everybody": Audience.EVERYBODY, "Consenting": Audience.CONSENTING}
    audience = words[whom.segmented_control("Of", list(words), default="Everybody") or "Everybody"]
    first = day - timedelta(days=_PERIODS[period] - 1)
    figures = report.dwells(first, day, audience=audience)
    names = [zone for _, zone in figures]
    found = {zone if names.count(zone) == 1 else f"{zone} ({camera})": f for (camera, zone), f in figures.items()}
    if not found:
        st.info(
            "No zone has enough stays in this period. What it takes stands below.", icon=":material/hourglass_empty:"
        )
        return
    table, picture = st.columns([1, 1])
    with table:
        st.dataframe(
            [
                {
                    "Zone": zone,
                    "Median": _quantile(figure.median),
                    "95 % interval": _interval(figure.median),
                    "90 % stay under": _quantile(figure.p90),
                    "Stays": figure.total.n,
                    "End not seen": f"{figure.censored:.0%}",
                }
                for zone, figure in found.items()
            ],
            hide_index=True,
        )
        zone = st.selectbox("Zone", list(found))
    with picture:
        st.altair_chart(charts.dwell(found[zone]))
    _source(
        found[zone].total,
        report.tz,
        "Stays of 2 s or more with a stop. Those lost from sight count for as long as they were seen (life table).",
    )


def _decisions(report: Report, day: date) -> None:
    head, choose = st.columns([3, 1], vertical_alignment="bottom")
    head.subheader("Decision duration")
    words = list(_PERIODS)
    period = choose.segmented_control("Period of decisions", words, default="28 days") or "28 days"
    first = day - timedelta(days=_PERIODS[period] - 1)
    whole, agreed = (report.dwells(first, day, audience=a, figure=Figure.DECISION) for a in Audience)
    zones = sorted(whole.keys() | agreed.keys())
    if not zones:
        st.info(
            "No product zone has enough decisions in this period. What it takes stands below.",
            icon=":material/hourglass_empty:",
        )
        return
    names = [zone for _, zone in zones]
    rows = []
    for camera, zone in zones:
        everybody, consenting = whole.get((camera, zone)), agreed.get((camera, zone))
        rows.append(
            {
                "Zone": zone if names.count(zone) == 1 else f"{zone} ({camera})",
                "Median": "–" if everybody is None else _quantile(everybody.median),
                "95 % interval": "–" if everybody is None else _interval(everybody.median),
                "Decisions": None if everybody is None else everybody.total.n,
                "End not seen": "–" if everybody is None else f"{everybody.censored:.0%}",
                "Consenting: median": "–" if consenting is None else _quantile(consenting.median),
                "Their 95 % interval": "–" if consenting is None else _interval(consenting.median),
                "Their decisions": None if consenting is None else consenting.total.n,
                "Consent bias": _gap(everybody, consenting),
            }
        )
    st.dataframe(rows, hide_index=True)
    for audience, figures in ((Audience.EVERYBODY, whole), (Audience.CONSENTING, agreed)):
        cells = report.cells(Figure.DECISION, first, day, audience=audience)
        note = "" if audience is Audience.EVERYBODY else (
            "From the first stop before a shelf to the last step away: an upper bound of the decision, for standing is"
            " not yet deciding. Consent bias: how far the median of those who said yes lies from everybody's; their"
            " figures speak for everybody only where it is small."
        )  # fmt: skip
        if figures or audience is Audience.CONSENTING:
            _source(Sum.of(f"{audience}.{Figure.DECISION}", cells), report.tz, note)


def _gap(everybody: Dwell | None, consenting: Dwell | None) -> str:
    """Say how far the median of consenting shoppers lies from everybody's."""
    if everybody is None or consenting is None or everybody.median.at is None or consenting.median.at is None:
        return "–"
    return (
        f"{consenting.median.at - everybody.median.at:+.1f} s ({consenting.median.at / everybody.median.at - 1:+.0%})"
    )


def _not_shown(report: Report, day: date) -> None:
    st.subheader("Not shown")
    suppressed = [cell for figure in Figure for cell in report.cells(figure, day, day) if cell.suppressed]
    waiting = report.waiting()
    if not suppressed and not waiting:
        st.markdown("Nothing is held back on this day.")
    if suppressed:
        st.markdown("**Suppressed for good**, because too few people were there until the end of the day:")
        st.dataframe(
            [
                {
                    "Figure": _NAMES[figure],
                    "Zone": cell.zone,
                    "Time": _span(cell, report.tz),
                    "Why": f"fewer than {cell.k} tracks",
                }
                for figure in Figure
                for cell in report.cells(figure, day, day)
                if cell.suppressed
            ],
            hide_index=True,
        )
    if waiting:
        st.markdown("**Waited for**, until enough people are in it:")
        _waiting_table(waiting, report.tz)


def _waiting_table(waiting: Sequence[Waiting], tz: str) -> None:
    rows = []
    for one in waiting:
        audience, figure = one.metric.split(".")
        rows.append(
            {
                "Figure": _NAMES[Figure(figure)],
                "Of": "everybody" if audience == Audience.EVERYBODY else "consenting shoppers",
                "Zone": one.zone,
                "Needs": f"{one.k} {one.unit}",
                "Shown up to": "not yet" if one.since_us is None else f"{local(one.since_us, tz):%Y-%m-%d %H:%M}",
                "Expected": "no rate known yet"
                if one.expected_us is None
                else f"about {local(one.expected_us, tz):%Y-%m-%d %H:%M}",
            }
        )
    st.dataframe(rows, hide_index=True, height="content")


def _source(total: Sum, tz: str, note: str = "") -> None:
    """Write where a figure comes from, beside it."""
    if total.start_us is None or total.end_us is None:
        st.caption(f"`{total.metric}` · nothing released")
        return
    start, end = local(total.start_us, tz), local(total.end_us, tz)
    whole = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    coverage = "coverage not known" if total.coverage is None else f"coverage {total.coverage:.0%}"
    if total.coverage is not None and total.coverage < FLAGGED:
        coverage = f"**{coverage}, under 90 %**"
    missing = f" · {total.suppressed} more suppressed" if total.suppressed else ""
    units = " and ".join(unit.replace("_", "-") for unit in total.units)
    st.caption(
        f"`{total.metric}` · rule {total.rule} · n = {total.n:,} · {total.cells} cells of {units}{missing} · {whole}"
        f" · {coverage}" + (f"  \n{note}" if note else "")
    )


def _quantile(point: Quantile) -> str:
    return "not reached" if point.at is None else duration(point.at)


def _interval(point: Quantile) -> str:
    low = "?" if point.low is None else duration(point.low)
    return f"{low} – {'?' if point.high is None else duration(point.high)}"


def _span(cell: Cell, tz: str) -> str:
    start, end = local(cell.start_us, tz), local(cell.end_us, tz)
    form = "%H:%M" if cell.end_us - cell.start_us <= DAY else "%Y-%m-%d %H:%M"
    return f"{start:{form}}–{end:{form}}"
