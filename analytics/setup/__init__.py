"""The set-up pages of an administrator: cameras, what is drawn in their pictures, and every version of both.

All of it can be written in `store.toml` by hand as well. Every page calls `require` before it shows or does anything; a
change goes through `analytics.settings`, a look through a camera through `analytics.peek`, and both are in the log
first. One module a page; a new page is one line of `PAGES`.
"""

from __future__ import annotations

from analytics.pages.page import Page
from analytics.setup.cameras import cameras
from analytics.setup.floor import floor
from analytics.setup.versions import versions_page

__all__ = ["PAGES"]

DESK = "set-up"  # the section of administrators

PAGES: tuple[Page, ...] = (
    Page("Cameras", "cameras", cameras, ":material/videocam:", DESK),
    Page("Draw zones", "draw", floor, ":material/draw:", DESK),
    Page("Versions", "versions", versions_page, ":material/history:", DESK),
)
