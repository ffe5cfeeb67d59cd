"""Pages of A4, with letters of every script that DejaVu has. It lays out what it is given and knows no figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from analytics.pages.picture import Drawn, png

_WIDTH = 174.0  # millimetres between the margins


class Paper(FPDF):
    """A report of some pages, each with a foot."""

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
