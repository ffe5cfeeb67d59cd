"""Sheets of A4 in print: letters of every script that DejaVu has, margins, a foot. What is on them others lay out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

WIDTH = 174.0  # millimetres between the margins


class Sheets(FPDF):
    """Pages of one file, the first begun.

    Args:
        title: of the file.
        shop: its name, or nothing.
        foot: stands on each page, before its number.
    """

    def __init__(self, title: str, shop: str, foot: str) -> None:
        super().__init__(format="A4")
        from matplotlib import get_data_path  # its fonts are installed with it

        fonts = Path(get_data_path()) / "fonts" / "ttf"
        self.add_font("plain", "", fonts / "DejaVuSans.ttf")
        self.add_font("plain", "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_lang("en")
        self.set_title(f"{title}: {shop}" if shop else title)
        self.set_creator("openaisle")
        self.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))  # the same words give the same file
        self.set_margins(18, 16)
        self.set_auto_page_break(True, 18)
        self._foot = foot
        self.add_page()

    def footer(self) -> None:
        """Write the foot of a page."""
        self.set_y(-13)
        self.set_font("plain", "", 7.5)
        self.set_text_color(87, 83, 78)
        self.cell(WIDTH, 5, f"{self._foot}. {self.page_no()}")
        self.set_text_color(0, 0, 0)

    def say(self, text: str, height: float = 5) -> None:
        """Write lines as wide as the page."""
        self.multi_cell(WIDTH, height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def lines(self, rows: Sequence[Sequence[str]], height: float, **layout: Any) -> None:
        """Write a table under its heads, the first row; ``layout`` is fpdf2's."""
        with self.table(
            width=WIDTH,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis="BOLD"),
            line_height=height,
            text_align="LEFT",
            **layout,
        ) as drawn:
            for cells in rows:
                row = drawn.row()
                for cell in cells:
                    row.cell(cell)
