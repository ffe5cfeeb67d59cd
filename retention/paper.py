"""Documents of the officers on paper: headings, lists, tables and paragraphs, from Markdown; fonts lie on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos

_WIDTH = 174.0  # millimetres between the margins
_SIZES = {"# ": 18, "## ": 13, "### ": 11}


def pdf(title: str, text: str, shop: str, *, simulated: bool) -> bytes:
    """Return a document as PDF.

    Args:
        title: of the file.
        text: Markdown of headings, lists, tables and paragraphs.
        shop: its name.
        simulated: the shop does not exist, and each page says so.
    """
    sheet = _Sheet(title, shop, simulated=simulated)
    sheet.write_lines(text.splitlines())
    return bytes(sheet.output())


class _Sheet(FPDF):
    """Pages of A4 with a foot."""

    def __init__(self, title: str, shop: str, *, simulated: bool) -> None:
        super().__init__(format="A4")
        from matplotlib import get_data_path  # its fonts are installed with it

        fonts = Path(get_data_path()) / "fonts" / "ttf"
        self.add_font("plain", "", fonts / "DejaVuSans.ttf")
        self.add_font("plain", "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_lang("en")
        self.set_title(f"{title}: {shop}")
        self.set_creator("openaisle")
        self.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))  # the same settings give the same file
        self.set_margins(18, 16)
        self.set_auto_page_break(True, 18)
        self._foot = f"{'Simulated: this shop does not exist. ' if simulated else ''}{title}, {shop}"
        self.add_page()

    def footer(self) -> None:
        """Write the foot of a page."""
        self.set_y(-13)
        self.set_font("plain", "", 7.5)
        self.cell(_WIDTH, 5, f"{self._foot}. {self.page_no()}")

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write Markdown, a line each."""
        table: list[list[str]] = []
        for line in (*lines, ""):
            if line.startswith("| "):
                cells = [cell.strip().replace("\\|", "|") for cell in line.strip("| ").split(" | ")]
                if set(cells) != {"---"}:
                    table.append(cells)
                continue
            if table:
                self._table(table)
                table = []
            self._line(line)

    def _line(self, line: str) -> None:
        for mark, size in _SIZES.items():
            if line.startswith(mark):
                self.ln(3)
                self._say(line.removeprefix(mark), size, bold=True)
                return
        if line:
            self._say(f"•  {line[2:]}" if line.startswith("- ") else line, 9.5)
        else:
            self.ln(1.5)

    def _say(self, text: str, size: float, *, bold: bool = False) -> None:
        self.set_font("plain", "B" if bold else "", size)
        plain = text.replace("**", "").replace("`", "")
        self.multi_cell(_WIDTH, size * 0.5, plain, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def _table(self, rows: list[list[str]]) -> None:
        self.set_font("plain", "", 6 if len(rows[0]) > 5 else 8)
        with self.table(
            width=_WIDTH, borders_layout=TableBordersLayout.HORIZONTAL_LINES, line_height=3.5, text_align="LEFT"
        ) as drawn:
            for cells in rows:
                row = drawn.row()
                for cell in cells:
                    row.cell(cell.replace("**", "").replace("`", ""))
