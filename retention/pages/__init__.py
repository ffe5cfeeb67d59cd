"""The pages of a shop's officers: evidence of what was promised, done and erased.

Every page calls `require` before it shows or does anything about a shopper, so that the log has it first. What a page
asks for is a row in the ledger; the keeper acts. No SQL and no rule lives here. One module a page; a new page is one
line of `PAGES`, in the order of the menu.
"""

from __future__ import annotations

from analytics.pages.page import Page
from retention.pages.log import log_page
from retention.pages.retention import retention

__all__ = ["PAGES"]

DESK = "compliance"  # the section of officers

PAGES: tuple[Page, ...] = (
    Page("Log", "log", log_page, ":material/receipt_long:", DESK),
    Page("Retention", "retention", retention, ":material/auto_delete:", DESK),
)
