"""The week on paper: what came of it, against the four weeks before, with sources and with what is not shown.

Made of released figures alone, by the same parts as the pages; pictures are drawn here and nothing is fetched. The same
week of the same figures gives the same numbers, whoever makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics import charts
from analytics.answers import Answers, answers
from analytics.bins import local
from analytics.config import read_store
from analytics.figures import Figure
from analytics.model import AnalyticsError
from analytics.notes import Note, Notes
from analytics.pages.capture import by_day, whole
from analytics.pages.lines import TIER_WORDS, VERDICTS, differences, no_stay, parts
from analytics.pages.missing import name
from analytics.pages.source import interval, people, quantile, summed, told
from analytics.pages.verdicts import HOW, Span, points, rows, said, table
from analytics.released import FLAGGED, Cell
from analytics.state import STORE_TOML

if TYPE_CHECKING:
    from analytics.pages.paper import Paper

BEFORE = 28  # days a week is held against


class WeekError(AnalyticsError):
    """There is no such week, or nothing was released in it."""


@dataclass(frozen=True, slots=True)
class Week:
    """Monday to Sunday.

    Attributes:
        monday: its first day.
    """

    monday: date

    @classmethod
    def read(cls, text: str) -> Week:
        """Return the week of a text such as 2026-W41.

        Raises:
            WeekError: it is none.
        """
        try:
            year, week = text.upper().split("-W")
            return cls(date.fromisocalendar(int(year), int(week), 1))
        except ValueError as error:
            raise WeekError(f"{text!r} is no week; write year and number of the week: 2026-W41") from error

    @classmethod
    def of(cls, day: date) -> Week:
        """Return the week of a day."""
        return cls(day - timedelta(days=day.weekday()))

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    def against(self, days: Sequence[date]) -> tuple[Span, Span] | None:
        """Return the days it is held against, up to four weeks before, and its own; None where there are none before.

        Args:
            days: on which there are figures, oldest first.
        """
        before = [day for day in days if self.monday - timedelta(days=BEFORE) <= day < self.monday]
        own = [day for day in days if self.monday <= day <= self.sunday]
        return ((before[0], before[-1]), (own[0], own[-1])) if before and own else None

    def __str__(self) -> str:
        year, week, _ = self.monday.isocalendar()
        return f"{year}-W{week:02}"


def weekly(state_dir: Path, week: Week) -> bytes:
    """Return the report of a week as PDF.

    Args:
        state_dir: of the store; its figures, notes and `store.toml` are read.
        week: of which there are figures.

    Raises:
        AnalyticsError: nothing was released in that week, or a file is damaged.
    """
    report = answers(state_dir)
    days = [day for day in report.days() if week.monday <= day <= week.sunday]
    if not days:
        all_days = report.days()
        have = f"figures reach from {all_days[0]} to {all_days[-1]}" if all_days else "there are no figures yet"
        raise WeekError(f"nothing was released in {week}; {have}")
    path = state_dir / STORE_TOML
    store = read_store(path).store if path.is_file() else None
    from analytics.pages.paper import Paper  # loads what prints, which pages do without

    notes = Notes(state_dir).shown(week.monday - timedelta(days=BEFORE), week.sunday)
    paper = Paper(f"Week {week}", "" if store is None else store.name, simulated=store is not None and store.simulated)
    _head(paper, report, week, notes)
    _zones(paper, report, week)
    _against(paper, report, week, notes)
    _missing(paper, report, week)
    return bytes(paper.output())


def _head(paper: Paper, report: Answers, week: Week, notes: Sequence[Note]) -> None:
    first, last = week.monday, week.sunday
    entries, visits = (report.total(figure, first, last) for figure in (Figure.FOOTFALL, Figure.VISITS))
    cells = report.cells(Figure.VISITS, first, last)
    engaged = _engaged(cells)
    paper.say(f"{first:%A} {first} to {last:%A} {last}, on the store's clock ({report.tz})", 6)
    paper.head("In short")
    numbers = [
        ("Entries", f"{entries.n:,}" if entries.cells else "nothing released"),
        ("Zone visits", f"{visits.n:,}" if visits.cells else "nothing released"),
        ("Engaged, 5 s or more", "–" if engaged is None else f"{engaged:.0%}"),
        ("Cameras saw", "not known" if visits.coverage is None else f"{visits.coverage:.1%} of open time"),
    ]
    paper.rows([what for what, _ in numbers], [[value for _, value in numbers]], [1, 1, 1, 1])
    if visits.coverage is not None and visits.coverage < FLAGGED:
        paper.say("The cameras saw under 90 % of this week; its numbers are lower than what happened.")
    for total in (entries, visits):
        paper.small(told(total, report.tz))
    passed = report.cells(Figure.PASSERS, first, last)
    days = by_day(report.cells(Figure.FOOTFALL, first, last), passed, report.tz)
    if days:
        one = whole(days.values())
        paper.say(f"Capture: of those who passed the door or came in, {one.share:.0%} came in ({one}).")
        paper.small(told(summed(Figure.PASSERS, passed), report.tz))
    of_week = [note for note in notes if first <= note.day <= last]
    if of_week:
        paper.head("What happened")
        for note in of_week:
            paper.say(f"{note.day:%a} {note.day}: {note.text}" + (f" ({note.zone})" if note.zone else ""))
    paper.head("Footfall by day")
    past = report.footfall_by_day(first - timedelta(days=BEFORE), last)
    if past:
        low, high = min(one.n for _, one in past), max(one.n for _, one in past)
        paper.picture(
            lambda colours: charts.footfall_by_day(past, colours, notes),
            f"Entries of {len(past)} days up to {last}, from {low} to {high} a day.",
        )
    paper.small("Pale days are not whole: cameras saw under 90 %, or a part is suppressed.")


def _engaged(cells: Sequence[Cell]) -> float | None:
    shown = [cell for cell in cells if not cell.suppressed]
    n = sum(cell.n or 0 for cell in shown)
    return sum(cell.tiers["engaged"] + cell.tiers["deliberating"] for cell in shown) / n if n else None


def _zones(paper: Paper, report: Answers, week: Week) -> None:
    paper.head("Zones")
    visits: dict[tuple[str, str], list[Cell]] = {}
    for cell in report.cells(Figure.VISITS, week.monday, week.sunday):
        visits.setdefault((cell.camera, cell.zone), []).append(cell)
    stays = report.dwells(week.monday, week.sunday)
    decisions = report.dwells(week.monday, week.sunday, figure=Figure.DECISION)
    lines, shares = [], []
    for where in sorted(visits.keys() | stays.keys()):
        cells = [cell for cell in visits.get(where, []) if not cell.suppressed]
        n, engaged = sum(cell.n or 0 for cell in cells), _engaged(cells)
        stay, decision = stays.get(where), decisions.get(where)
        gone = no_stay(n, sum(cell.tiers["pass_by"] for cell in cells))
        lines.append(
            [
                where[1],
                f"{n:,}" if n else "too few",
                "–" if engaged is None else f"{engaged:.0%}",
                gone if stay is None else f"{quantile(stay.median)} ({interval(stay.median)})",
                "–" if stay is None else f"{quantile(stay.p90)} ({interval(stay.p90)})",
                "–" if decision is None else f"{quantile(decision.median)} ({interval(decision.median)})",
            ]
        )
        for tier, part in TIER_WORDS.items():
            of_tier = sum(cell.tiers[tier] for cell in cells)
            if n:
                shares.append({"zone": where[1], "part": part, "share": of_tier / n, "n": of_tier})
    if not lines:
        paper.say("No zone had enough people in this week.")
        return
    paper.rows(
        ["Zone", "Visits", "Engaged", "Median stay (95 %)", "90 % stay under (95 %)", "Median decision (95 %)"],
        lines,
        [3, 2, 3, 5, 6, 6],
    )
    for figure in (Figure.VISITS, Figure.DWELL, Figure.DECISION):
        paper.small(told(report.total(figure, week.monday, week.sunday), report.tz))
    if shares:
        paper.ln(2)
        paper.picture(
            lambda colours: parts(shares, list(TIER_WORDS.values()), colours),
            "Share of the visits of each zone by how long people stop.",
        )


def _against(paper: Paper, report: Answers, week: Week, notes: Sequence[Note]) -> None:
    paper.head("Against the weeks before")
    spans = week.against(report.days())
    if spans is None:
        paper.say("There are no figures of the weeks before to hold it against.")
        return
    before, own = spans
    paper.say(f"{before[0]} to {before[1]}, against {own[0]} to {own[1]}:")
    for note in (note for note in notes if before[0] <= note.day < week.monday):
        paper.say(f"In the earlier days: {note.day}, {note.text}. Page Compare holds before against after it.")
    found = rows(report, before, own)
    told_rows = [row for row in found if row.change.ratio is not None]
    if not told_rows:
        paper.say("Too few whole days in this week, or in the weeks before, to tell a difference from a day.")
        return
    real = sorted((row for row in told_rows if row.verdict in VERDICTS[:2]), key=lambda row: row.worth)
    if real:
        verb = "differs" if len(real) == 1 else "differ"
        paper.say(f"{len(real)} of {len(told_rows)} compared {verb} by more than days differ anyway:")
        for row in real:
            paper.say(f"•  {said(row)}")
    else:
        paper.say(f"No difference is shown among the {len(told_rows)} compared: days differ as much.")
    marks = points(told_rows)
    paper.picture(lambda colours: differences(marks, colours), "This week against the weeks before.")
    paper.small(HOW)
    heads = ["What", "Zone", "Earlier", "Later", "Difference", "95 % interval", "Verdict"]
    paper.rows(heads, [[str(line[head]) for head in heads] for line in table(told_rows)], [4, 3, 3, 3, 3, 4, 5])


def _missing(paper: Paper, report: Answers, week: Week) -> None:
    paper.head("Not shown")
    lines = []
    for figure in (Figure.FOOTFALL, Figure.VISITS, Figure.DWELL, Figure.DECISION):
        cells = report.cells(figure, week.monday, week.sunday)
        total = summed(figure, cells)
        if total.suppressed:
            why = f"{total.suppressed} of {len(cells)} cells: fewer than {cells[0].k} {people(cells[0].unit)}"
            lines.append([name(figure), why])
    if lines:
        paper.rows(["Figure", "Suppressed for good"], lines, [1, 3])
    else:
        paper.say("Nothing of this week is suppressed.")
    for one in report.waiting():
        when = "no rate known yet" if one.expected_us is None else f"about {local(one.expected_us, report.tz):%Y-%m-%d}"
        paper.small(f"{one.metric} of {one.zone}: waited for, {one.k} {people(one.unit)} are needed; expected {when}.")
