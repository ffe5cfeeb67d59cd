"""The pages of a shop's officers: evidence of what was promised, done and erased.

Every page calls `require` before it shows or does anything about a shopper, so that the log has it first. What a page
asks for is a row in the ledger; the keeper acts. No SQL and no rule lives here. One module a page; a new page is one
line of `PAGES`, in the order of the menu.
"""

from __future__ import annotations

from analytics.pages.page import Page
from retention.pages.consents import consents
from retention.pages.documents import documents
from retention.pages.holds import holding
from retention.pages.level import privacy_level
from retention.pages.log import log_page
from retention.pages.past import past
from retention.pages.requests import requests
from retention.pages.retention import retention

__all__ = ["PAGES"]

DESK = "compliance"  # the section of officers

PAGES: tuple[Page, ...] = (
    Page("Log", "log", log_page, ":material/receipt_long:", DESK),
    Page("What happened", "past", past, ":material/history:", DESK),
    Page("Consents", "consents", consents, ":material/how_to_reg:", DESK),
    Page("Requests", "requests", requests, ":material/contact_mail:", DESK),
    Page("Holds", "holds", holding, ":material/gavel:", DESK),
    Page("Privacy level", "level", privacy_level, ":material/security:", "level"),
    Page("Retention", "retention", retention, ":material/auto_delete:", DESK),
    Page("Documents", "documents", documents, ":material/description:", DESK),
)
