"""Documents of the officers on paper: headings, lists, tables and paragraphs, from Markdown; fonts lie on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.sheets import Sheets

_SIZES = {"# ": 18, "## ": 13, "### ": 11}


def pdf(title: str, text: str, shop: str, *, simulated: bool) -> bytes:
    """Return a document as PDF.

    Args:
        title: of the file.
        text: Markdown of headings, lists, tables and paragraphs.
        shop: its name.
        simulated: the shop does not exist, and each page says so.
    """
    from analytics.sheets import Sheets  # loads what prints, which pages do without

    sheets = Sheets(title, shop, f"{'Simulated: this shop does not exist. ' if simulated else ''}{title}, {shop}")
    _write(sheets, text.replace("**", "").replace("`", "").splitlines())
    return bytes(sheets.output())


def _write(sheets: Sheets, lines: Iterable[str]) -> None:
    table: list[list[str]] = []
    for line in (*lines, ""):
        if line.startswith("| "):
            cells = [cell.strip().replace("\\|", "|") for cell in line.strip("| ").split(" | ")]
            if set(cells) != {"---"}:
                table.append(cells)
            continue
        if table:
            sheets.set_font("plain", "", 6 if len(table[0]) > 5 else 8)
            sheets.lines(table, 3.5)
            table = []
        _line(sheets, line)


def _line(sheets: Sheets, line: str) -> None:
    for mark, size in _SIZES.items():
        if line.startswith(mark):
            sheets.ln(3)
            sheets.set_font("plain", "B", size)
            sheets.say(line.removeprefix(mark), size * 0.5)
            return
    if line:
        sheets.set_font("plain", "", 9.5)
        sheets.say(f"•  {line[2:]}" if line.startswith("- ") else line, 9.5 * 0.5)
    else:
        sheets.ln(1.5)
