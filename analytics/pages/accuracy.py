"""Accuracy: how much the cameras saw, where people are lost from sight, what is suppressed, and the last audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.answers import Answers
from analytics.audits import Audit, audits
from analytics.bins import HOUR, local
from analytics.figures import FIGURES, Audience, Figure
from analytics.model import AnalyticsError
from analytics.pages.choice import Choice, choose
from analytics.pages.happened import drawn, notes_button
from analytics.pages.lines import over_days
from analytics.pages.missing import name as named
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import beside, show
from analytics.pages.source import Counted, fold, many, people, summed, unit_of
from analytics.pages.style import begin, figures
from analytics.released import FLAGGED, Cell

MANY_LOST = 0.2  # share of stays whose end was not seen, from which on a zone is pointed out; ours


@dataclass(frozen=True, slots=True)
class Seen:
    """What one camera saw of a stretch of time.

    Attributes:
        seen_us: how long it saw.
        meant_us: how long it was meant to.
    """

    seen_us: int
    meant_us: int

    @property
    def share(self) -> float | None:
        """Coverage, None where it was not meant to see."""
        return self.seen_us / self.meant_us if self.meant_us else None

    @property
    def blind_h(self) -> float:
        """Hours that it missed."""
        return max(0, self.meant_us - self.seen_us) / HOUR


def accuracy(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; its folder of released cells and its notes are read.
    """
    begin("Accuracy")
    report = figures(state_dir, "Accuracy")
    if report is None:
        return
    tz, days = report.tz, report.days()
    zones = report.zones()
    choice = choose(days, zones, length=28)
    if choice is None:
        return
    with st.container(horizontal=True):
        notes_button(state_dir, choice.last, zones, tz)
    visits, left_out = choice.keep(report.cells(Figure.VISITS, choice.first, choice.last), tz)
    if visits:
        _coverage(state_dir, choice, visits, left_out, tz)
    else:
        nothing_here(report, Figure.VISITS, what="coverage")
    _lost(report, choice, tz)
    _suppressed(report, choice, tz)
    _audits(state_dir, tz)
    not_shown(report, choice.first, choice.last, (Figure.VISITS, Figure.DWELL))


def by_camera(cells: Sequence[Cell], tz: str) -> dict[str, dict[date, Seen]]:
    """Return what each camera saw of each local day: of its zones the one that tells of the longest time.

    Every zone of a camera tells of the same pictures, so they are not added up.

    Args:
        cells: of zone visits.
        tz: IANA name of the store's time zone.
    """
    sums: dict[tuple[str, date], dict[str, Seen]] = {}
    for cell in cells:
        per_zone = sums.setdefault((cell.camera, local(cell.start_us, tz).date()), {})
        old = per_zone.get(cell.zone, Seen(0, 0))
        per_zone[cell.zone] = Seen(old.seen_us + cell.observed_us, old.meant_us + cell.open_us)
    out: dict[str, dict[date, Seen]] = {}
    for (camera, day), per_zone in sorted(sums.items()):
        out.setdefault(camera, {})[day] = max(per_zone.values(), key=lambda seen: (seen.meant_us, seen.seen_us))
    return out


def _coverage(state_dir: Path, choice: Choice, cells: Sequence[Cell], left_out: int, tz: str) -> None:
    st.header("What the cameras saw")
    cameras = by_camera(cells, tz)
    rows, numbers = [], []
    for camera, days in cameras.items():
        whole = Seen(sum(one.seen_us for one in days.values()), sum(one.meant_us for one in days.values()))
        low = [day for day, one in days.items() if one.share is not None and one.share < FLAGGED]
        rows.append(
            {
                "Camera": camera,
                "Coverage": "not known" if whole.share is None else f"{whole.share:.1%}",
                "Blind time": f"{whole.blind_h:.1f} h",
                "Of open time": f"{whole.meant_us / HOUR:.0f} h",
                "Days under 90 %": len(low),
                "The lowest": _lowest(days),
            }
        )
        numbers.append(
            {
                "camera": camera,
                "coverage": whole.share,
                "blind time, h": whole.blind_h,
                "open time, h": whole.meant_us / HOUR,
                "days under 90 %": len(low),
            }
        )
    by = [
        Counted.of(
            summed(Figure.VISITS, cells),
            tz,
            "Coverage is observed ÷ open time. Over 2 s without a picture is blind time; nothing is guessed for it.",
            left_out=left_out,
        )
    ]
    blind = [row["Camera"] for row in rows if row["Days under 90 %"]]
    st.markdown(
        f"On some days **{', '.join(map(str, blind))}** saw under 90 % of its time: numbers of these days are too low."
        if blind
        else "The cameras saw at least 90 % of every day: the numbers of these days can be trusted to be whole."
    )
    st.dataframe(rows, hide_index=True, height="content")
    beside(rows, name="coverage", by=by, numbers=numbers)
    camera = next(iter(cameras))
    if len(cameras) > 1:
        camera = st.selectbox("Camera", list(cameras), key="camera", bind="query-params") or camera
    shares = {day: one.share for day, one in cameras.get(camera, {}).items() if one.share is not None}
    if shares:
        notes = drawn(state_dir, choice.first, choice.last)
        show(
            lambda colours: over_days(shares, "Coverage", colours, notes, form=".0%"),
            [{"day": day, "coverage": share} for day, share in shares.items()],
            name=f"Coverage by day {camera}",
            told=f"Share of its open time that camera {camera} saw, by day: from {min(shares.values()):.0%} to"
            f" {max(shares.values()):.0%}.",
            by=by,
        )


def _lowest(days: Mapping[date, Seen]) -> str:
    day, one = min(days.items(), key=lambda item: 1.0 if item[1].share is None else item[1].share)
    return "–" if one.share is None else f"{day} ({one.share:.0%})"


def _lost(report: Answers, choice: Choice, tz: str) -> None:
    st.header("Where tracking fails")
    cells, left_out = choice.keep(report.cells(Figure.DWELL, choice.first, choice.last), tz)
    zones: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if not cell.suppressed:
            zones.setdefault((cell.camera, cell.zone), []).append(cell)
    rows = []
    for (camera, zone), shown in zones.items():
        lost, n = sum(sum(cell.counts[1::2]) for cell in shown), sum(cell.n or 0 for cell in shown)
        if n:
            rows.append({"Zone": zone, "Camera": camera, "Stays": n, "Lost from sight": lost, "Share": lost / n})
    if not rows:
        nothing_here(report, Figure.DWELL, what="where people are lost from sight")
        return
    rows.sort(key=lambda row: -float(row["Share"]))  # type: ignore[arg-type]
    many_lost = [f"**{row['Zone']}** ({row['Share']:.0%})" for row in rows if float(str(row["Share"])) >= MANY_LOST]
    if many_lost:
        st.warning(
            f"In {', '.join(many_lost)} every fifth stay or more ends out of sight: a shelf, a display or the edge of"
            " the picture hides people. Move the camera, or draw the zone where it sees; medians are uncertain there.",
            icon=":material/visibility_off:",
        )
    else:
        st.markdown(f"Sight is lost most often at **{rows[0]['Zone']}**: in {rows[0]['Share']:.0%} of its stays.")
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        column_config={"Share": st.column_config.NumberColumn(format="percent")},
    )
    beside(
        rows,
        name="lost from sight",
        by=[
            Counted.of(
                summed(Figure.DWELL, cells),
                tz,
                "A stay whose end was not seen counts for as long as it was seen.",
                left_out=left_out,
            )
        ],
    )


def _suppressed(report: Answers, choice: Choice, tz: str) -> None:
    st.header("What is held back")
    rows: list[dict[str, Any]] = []
    for audience in Audience:
        for figure in FIGURES[audience]:
            cells, _ = choice.keep(report.cells(figure, choice.first, choice.last, audience=audience), tz)
            if cells:
                total = summed(figure, cells, audience)
                held = total.suppressed
                rows.append(
                    {
                        "Figure": named(figure),
                        "Of": "everybody" if audience is Audience.EVERYBODY else "consenting shoppers",
                        "n": total.n,
                        "n counts": unit_of(figure),
                        "Cells shown": total.cells,
                        "Suppressed": held,
                        "Share suppressed": f"{held / len(cells):.0%}",
                        "Why": f"fewer than {cells[0].k} {people(cells[0].unit)}" if held else "–",
                    }
                )
    if not rows:
        st.markdown("Nothing was released in what you chose, and nothing is held back.")
        return
    parts = sum(row["Suppressed"] for row in rows)
    whole = parts + sum(row["Cells shown"] for row in rows)
    st.markdown(
        f"**{parts:,}** of {many(whole, 'part')} {'is' if parts == 1 else 'are'} held back: too few people were there."
    )
    st.dataframe(rows, hide_index=True, height="content")
    beside(
        rows,
        name="held back",
        numbers=[
            {**row, "Share suppressed": row["Suppressed"] / (row["Suppressed"] + row["Cells shown"])} for row in rows
        ],
    )


def _audits(state_dir: Path, tz: str) -> None:
    st.header("Last audit")
    try:
        kept = audits(state_dir)
    except AnalyticsError as error:
        st.warning(str(error))
        return
    if not kept:
        st.info(
            "**No audit yet.** Note down who enters and leaves each zone in a clip of ten minutes, and hold the program"
            " against it: `openaisle measure CLIP --zones FILE --truth CSV --keep STATE --camera NAME`. Its score"
            " stands here at once; the clip and its visits are not kept.",
            icon=":material/fact_check:",
        )
        return
    newest = kept[0]
    with st.container(key="cards"):
        boxes = st.columns(4)
        boxes[0].metric("Visits found right (F1)", f"{newest.f1:.2f}")
        error_s = newest.dwell_error_s
        boxes[1].metric("Stay off by, on average", "–" if error_s is None else f"{error_s:.1f} s")
        boxes[2].metric("Visits, true and measured", f"{newest.true} / {newest.measured}")
        boxes[3].metric("Clip seen", f"{newest.coverage:.0%}")
    rows = [_line(audit, tz) for audit in kept]
    st.dataframe(rows, hide_index=True, height="content")
    numbers = [
        {
            **row,
            "Clip": audit.seconds,
            "Coverage": audit.coverage,
            "F1": audit.f1,
            "Stay off by": audit.dwell_error_s,
            "HOTA": audit.hota,
            "IDF1": audit.idf1,
        }
        for row, audit in zip(rows, kept, strict=True)
    ]
    units = {"Clip": "Clip, s", "Stay off by": "Stay off by, s"}
    beside(
        rows, name="audits", numbers=[{units.get(name, name): value for name, value in one.items()} for one in numbers]
    )
    fold(Counted("`audit.visit_f1` at temporal IoU 0.5, one to one within a zone · by `openaisle measure`"))


def _line(audit: Audit, tz: str) -> dict[str, Any]:
    return {
        "When": f"{local(audit.at_us, tz):%Y-%m-%d %H:%M}",
        "Camera": audit.camera,
        "Clip": f"{audit.seconds:.0f} s",
        "Coverage": f"{audit.coverage:.0%}",
        "True visits": audit.true,
        "Measured": audit.measured,
        "Matched": audit.matched,
        "F1": round(audit.f1, 3),
        "Stay off by": "–" if audit.dwell_error_s is None else f"{audit.dwell_error_s:.2f} s",
        "HOTA": None if audit.hota is None else round(audit.hota, 3),
        "IDF1": None if audit.idf1 is None else round(audit.idf1, 3),
    }
