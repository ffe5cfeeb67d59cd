"""A report in print: head, sections, remarks, charts and tables. It lays out what it is given and knows no figure."""

from __future__ import annotations

import io
from collections.abc import Sequence

from analytics.pages.picture import Drawn, png
from analytics.sheets import WIDTH, Sheets


class Paper(Sheets):
    """A report of some pages, each with a foot."""

    def __init__(self, title: str, shop: str, *, simulated: bool) -> None:
        word = "Simulated. " if simulated else ""
        super().__init__(title, shop, f"{word}Counts are rounded to 5 at random without bias; tracks are not people")
        self.set_font("plain", "B", 20)
        self.say(title, 10)
        self.set_font("plain", "", 11)
        self.say(shop, 6)
        if simulated:
            self.set_text_color(180, 83, 9)
            self.say("Simulated: this shop does not exist; a program made up its people.", 6)
            self.set_text_color(0, 0, 0)

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
        self.image(io.BytesIO(png(chart, width=820)), w=WIDTH, alt_text=described)

    def rows(self, heads: Sequence[str], lines: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
        """Write a table."""
        self.set_font("plain", "", 8)
        self.lines([heads, *lines], 5, col_widths=tuple(widths))
        self.set_font("plain", "", 9.5)
