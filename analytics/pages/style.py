"""How the pages look, beyond the theme: room, cards, a phone's width, and colours of charts in light and dark.

Nothing is fetched: fonts and pictures are those of the browser and of what is bundled.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

STYLE = """
<style>
.block-container {padding-top: 4.2rem; max-width: 1180px;}
[data-testid="stMetric"] {background: rgba(120, 113, 108, .1); border-radius: .6rem; padding: .8rem 1rem;}
[data-testid="stCaptionContainer"] {opacity: 1;}
@media (max-width: 640px) {
  .block-container {padding: 3.8rem .9rem 3rem;}
  [data-testid="stMetric"] {padding: .5rem .7rem;}
  h1 {font-size: 1.7rem !important;}
}
@media print {
  [data-testid="stHeader"], [data-testid="stSidebar"], .stDownloadButton {display: none;}
}
</style>
"""


@dataclass(frozen=True, slots=True)
class Colours:
    """Of the marks of a chart; each pair of ink and ground has a contrast of 4.5 or more.

    Attributes:
        accent: of what is measured.
        pale: of what is measured in part.
        other: of a second thing beside the first.
        grey: of what is suppressed.
        ink: of words and lines.
        amber: of a warning.
        ground: of the page.
        low: lower end of a scale.
    """

    accent: str
    pale: str
    other: str
    grey: str
    ink: str
    amber: str
    ground: str
    low: str


LIGHT = Colours("#0f766e", "#99d5cf", "#9a3412", "#e7e5e4", "#44403c", "#b45309", "#ffffff", "#ecfdf5")
DARK = Colours("#2dd4bf", "#115e59", "#fdba74", "#44403c", "#e7e5e4", "#fbbf24", "#14171a", "#12302d")


def colours() -> Colours:
    """Return the colours of the theme in which the page is being looked at."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def begin(title: str) -> None:
    """Set up a page and write its name over it."""
    st.html(STYLE)
    st.title(title)
