"""How the pages look, beyond the theme: room, cards, a phone's width. And how a page begins.

Nothing is fetched: fonts and pictures are those of the browser and of what is bundled.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analytics.answers import Answers, answers
from analytics.colours import DARK, LIGHT, Colours
from analytics.pages.missing import nothing_yet

STYLE = """
<style>
.block-container {padding-top: 4.2rem; max-width: 1180px;}
[data-testid="stMetric"] {background: rgba(120, 113, 108, .1); border-radius: .6rem; padding: .8rem 1rem;}
[data-testid="stCaptionContainer"] {opacity: 1; overflow-wrap: anywhere;}
[data-testid="stCaptionContainer"] code {color: inherit;}
h2 {font-size: 1.45rem !important; padding-top: 1.2rem !important;}
[data-testid="stElementContainer"]:has([data-testid="stDataFrame"]) {margin-top: 1.4rem;}
@media (max-width: 640px) {
  .block-container {padding: 3.8rem .9rem 3rem;}
  [data-testid="stMetric"] {padding: .5rem .7rem;}
  h1 {font-size: 1.7rem !important;}
  [data-testid="stTable"] :is(th, td) {padding: .3rem .25rem; font-size: .85rem;}
  .st-key-cards [data-testid="stHorizontalBlock"] {flex-direction: row; flex-wrap: wrap; gap: .6rem;}
  .st-key-cards [data-testid="stColumn"] {min-width: calc(50% - .6rem); flex: 1 1 calc(50% - .6rem);}
}
@media print {
  [data-testid="stHeader"], [data-testid="stSidebar"], .stDownloadButton {display: none;}
}
[data-testid="stElementContainer"]:has(#menu) {display: none;}
</style>
"""
# Streamlit writes white on the accent, which is pale in the dark; the page says itself which of the two it is in
_PRIMARY = f"""<style>
button[kind^=primary]:enabled, button[kind^=primary]:enabled * {{
  color: light-dark({LIGHT.on_accent}, {DARK.on_accent}) !important;
}}
</style>"""
# on a phone the menu lies over the page: Streamlit leaves it open after a choice; and a table wider than the page
# scrolls, which Streamlit lets a finger do, but no key
_MENU = """
<span id="menu"></span>
<script>
if (!window.menuGivesWay) {
  window.menuGivesWay = true;
  document.addEventListener("click", (event) => {
    if (window.innerWidth < 768 && event.target.closest("[data-testid=stSidebarNavLink]")) {
      document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
    }
  });
  const sizes = new ResizeObserver((seen) => seen.forEach(({target}) => {  // a font that comes late changes no node
    const box = target.closest("[data-testid=stTable] > div");
    if (box && box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }));
  new MutationObserver(() => {
    const tables = document.querySelectorAll("[data-testid=stTable] > div, [data-testid=stTable] table");
    tables.forEach((one) => sizes.observe(one));  // once each, however often it is said
  }).observe(document.body, {childList: true, subtree: true});
}
</script>
"""


def colours() -> Colours:
    """Return the colours of the theme in which the page is being looked at."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def begin(title: str) -> None:
    """Set up a page and write its name over it."""
    st.set_page_config(page_title=f"openaisle: {title.lower()}", layout="wide")
    st.html(STYLE + _PRIMARY)
    st.html(_MENU, unsafe_allow_javascript=True)
    st.title(title)


def figures(state_dir: Path, page: str) -> Answers | None:
    """Return the figures of the shop; where there is none yet, say so on the page, and return None.

    Args:
        state_dir: of the store.
        page: its title, as `begin` was told.

    Raises:
        ReportError: a released file is not as the keeper wrote it.
    """
    found = answers(state_dir)
    if found.days():
        return found
    nothing_yet(state_dir, found, page)
    return None
