"""The pages of a store's managers: what was released, how sure it is, and what is not shown yet.

Beside each figure stand its metric id, rule version, n and coverage. No SQL and no rule lives here; every number comes
from `analytics.report`. One module a page; a new page is one line of `PAGES`, in the order of the menu.
"""

from __future__ import annotations

from analytics.pages.floor import manager
from analytics.pages.page import SHOP, Page
from analytics.pages.style import STYLE

__all__ = ["PAGES", "SHOP", "STYLE", "Page", "manager"]

PAGES: tuple[Page, ...] = (Page("Shop floor", "floor", manager, ":material/storefront:"),)
