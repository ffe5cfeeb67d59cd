"""The week on paper: what came of it, against the four weeks before, with sources and with what is not shown.

Made of released figures alone, by the same parts as the pages; pictures are drawn here and nothing is fetched. The same
week of the same figures gives the same numbers, whoever makes it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from analytics import charts
from analytics.answers import Answers, answers
from analytics.bins import local
from analytics.config import read_store
from analytics.figures import TIERS, Figure
from analytics.model import AnalyticsError
from analytics.notes import Note, Notes
from analytics.pages.compare import Row, rows, said, table
from analytics.pages.lines import VERDICTS, differences, parts
from analytics.pages.missing import name
from analytics.pages.picture import Drawn, png
from analytics.pages.source import interval, quantile, told
from analytics.released import FLAGGED, Cell, Sum
from analytics.state import STORE_TOML

BEFORE = 28  # days a week is held against
_WIDTH = 174.0  # millimetres between the margins
_PARTS = ("passes by", "glances, 2–5 s", "engaged, 5–8 s", "deliberates, 8 s or more")


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
    notes = Notes(state_dir).shown(week.monday - timedelta(days=BEFORE), week.sunday)
    paper = _Paper(f"Week {week}", "" if store is None else store.name, simulated=store is not None and store.simulated)
    _head(paper, report, week, notes)
    _zones(paper, report, week)
    _against(paper, report, week)
    _missing(paper, report, week)
    return bytes(paper.output())


class _Paper(FPDF):
    """Pages of A4 with a foot; letters of every script that DejaVu has."""

    def __init__(self, title: str, shop: str, *, simulated: bool) -> None:
        super().__init__(format="A4")
        from matplotlib import get_data_path  # its fonts are installed with it

        fonts = Path(get_data_path()) / "fonts" / "ttf"
        self.add_font("plain", "", fonts / "DejaVuSans.ttf")
        self.add_font("plain", "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_lang("en")
        self.set_title(f"{title}: {shop}" if shop else title)
        self.set_creator("openaisle")
        self.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))  # the same week gives the same file
        self.set_margins(18, 16)
        self.set_auto_page_break(True, 18)
        self._simulated = simulated
        self.add_page()
        self.set_font("plain", "B", 20)
        self.say(title, 10)
        self.set_font("plain", "", 11)
        self.say(shop, 6)
        if simulated:
            self.set_text_color(180, 83, 9)
            self.say("Simulated: this shop does not exist; a program made up its people.", 6)
            self.set_text_color(0, 0, 0)

    def footer(self) -> None:
        """Write the foot of a page."""
        self.set_y(-13)
        self.set_font("plain", "", 7.5)
        self.set_text_color(87, 83, 78)
        word = "Simulated. " if self._simulated else ""
        self.cell(
            _WIDTH, 5, f"{word}Counts are rounded to 5 at random without bias; tracks are not people. {self.page_no()}"
        )
        self.set_text_color(0, 0, 0)

    def say(self, text: str, height: float = 5) -> None:
        """Write lines as wide as the page."""
        self.multi_cell(_WIDTH, height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def head(self, text: str) -> None:
        """Begin a section; never at the very foot of a page."""
        if self.will_page_break(60):
            self.add_page()
        self.ln(4)
        self.set_font("plain", "B", 13)
        self.say(text, 7)
        self.set_font("plain", "", 9.5)

    def small(self, text: str) -> None:
        """Write a source or a remark."""
        self.set_font("plain", "", 7.5)
        self.set_text_color(87, 83, 78)
        self.say(text.replace("`", "").replace("**", ""), 4)
        self.set_text_color(0, 0, 0)
        self.set_font("plain", "", 9.5)

    def picture(self, chart: Drawn, described: str) -> None:
        """Draw a chart, with words for those who do not see it."""
        self.image(io.BytesIO(png(chart, width=820)), w=_WIDTH, alt_text=described)

    def rows(self, heads: Sequence[str], lines: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
        """Write a table."""
        self.set_font("plain", "", 8)
        with self.table(
            width=_WIDTH,
            col_widths=tuple(widths),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis="BOLD"),
            line_height=5,
            text_align="LEFT",
        ) as drawn:
            for line in (heads, *lines):
                row = drawn.row()
                for word in line:
                    row.cell(word)
        self.set_font("plain", "", 9.5)


def _head(paper: _Paper, report: Answers, week: Week, notes: Sequence[Note]) -> None:
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


def _zones(paper: _Paper, report: Answers, week: Week) -> None:
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
        lines.append(
            [
                where[1],
                f"{n:,}" if n else "too few",
                "–" if engaged is None else f"{engaged:.0%}",
                "too few" if stay is None else f"{quantile(stay.median)} ({interval(stay.median)})",
                "too few" if stay is None else f"{quantile(stay.p90)} ({interval(stay.p90)})",
                "–" if decision is None else f"{quantile(decision.median)} ({interval(decision.median)})",
            ]
        )
        for tier, part in zip(TIERS, _PARTS, strict=True):
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
            lambda colours: parts(shares, _PARTS, colours), "Share of the visits of each zone by how long people stop."
        )


def _against(paper: _Paper, report: Answers, week: Week) -> None:
    first = week.monday - timedelta(days=BEFORE)
    paper.head("Against the four weeks before")
    found = rows(report, (first, week.monday - timedelta(days=1)), (week.monday, week.sunday))
    told_rows = [row for row in found if row.change.ratio is not None]
    if not told_rows:
        paper.say("Too few whole days in this week, or in the four weeks before, to tell a difference from a day.")
        return
    real = sorted((row for row in told_rows if row.verdict in VERDICTS[:2]), key=lambda row: row.worth)
    if real:
        paper.say(f"{len(real)} of {len(told_rows)} compared differ by more than days differ anyway:")
        for row in real:
            paper.say(f"•  {said(row)}")
    else:
        paper.say(f"No difference is shown among the {len(told_rows)} compared: days differ as much.")
    points = [point for row in told_rows if (point := _point(row)) is not None]
    paper.picture(lambda colours: differences(points, colours), "This week against the four weeks before.")
    paper.small(
        "A day is one trial; weekdays are held against the same weekdays. Intervals are 95 % for each row alone, the"
        " verdict is at 5 % for all rows together (Holm). That weeks differ does not say why."
    )
    heads = ["What", "Zone", "Earlier", "Later", "Difference", "95 % interval", "Verdict"]
    paper.rows(heads, [[str(line[head]) for head in heads] for line in table(told_rows)], [4, 3, 3, 3, 3, 4, 5])


def _point(row: Row) -> dict[str, object] | None:
    change = row.change
    if change.ratio is None or change.low is None or change.high is None:
        return None
    high = min(change.high - 1, 2.0)
    return {"what": row.what, "change": change.ratio - 1, "low": change.low - 1, "high": high, "verdict": row.verdict}


def _missing(paper: _Paper, report: Answers, week: Week) -> None:
    paper.head("Not shown")
    lines = []
    for figure in (Figure.FOOTFALL, Figure.VISITS, Figure.DWELL, Figure.DECISION):
        cells = report.cells(figure, week.monday, week.sunday)
        total = Sum.of(f"everybody.{figure}", cells)
        if total.suppressed:
            why = f"{total.suppressed} of {len(cells)} cells: fewer than {cells[0].k} {cells[0].unit}"
            lines.append([name(figure), why])
    if lines:
        paper.rows(["Figure", "Suppressed for good"], lines, [1, 3])
    else:
        paper.say("Nothing of this week is suppressed.")
    for one in report.waiting():
        when = "no rate known yet" if one.expected_us is None else f"about {local(one.expected_us, report.tz):%Y-%m-%d}"
        paper.small(f"{one.metric} of {one.zone}: waited for, {one.k} {one.unit} are needed; expected {when}.")
