"""The pages of a store's managers: what was released, how sure it is, and what is not shown yet.

Beside each figure stand its metric id, rule version, n and coverage. No SQL and no rule lives here; every number comes
from `analytics.report`. One module a page; a new page is one line of `PAGES`, in the order of the menu.
"""

from __future__ import annotations

from analytics.pages.accuracy import accuracy
from analytics.pages.compare import compare_page
from analytics.pages.conversion import conversion
from analytics.pages.decisions import decisions
from analytics.pages.expression import expression
from analytics.pages.funnel import funnel
from analytics.pages.journeys import journeys
from analytics.pages.page import SHOP, Page
from analytics.pages.queues import queues
from analytics.pages.staffing import staffing
from analytics.pages.style import STYLE
from analytics.pages.today import today
from analytics.pages.week import week_page
from analytics.pages.zones import zones
from consent.events import Level

__all__ = ["PAGES", "SHOP", "STYLE", "Page"]

PAGES: tuple[Page, ...] = (
    Page("Today", "today", today, ":material/storefront:"),
    Page("Zones", "zones", zones, ":material/map:"),
    Page("Decisions", "decisions", decisions, ":material/psychology_alt:"),
    Page("Expression", "expression", expression, ":material/mood:", least=Level.EMOTION),
    Page("Journeys", "journeys", journeys, ":material/conversion_path:"),
    Page("Queues", "queues", queues, ":material/groups:"),
    Page("Conversion", "conversion", conversion, ":material/receipt_long:"),
    Page("Staffing", "staffing", staffing, ":material/calendar_view_week:"),
    Page("Kiosk", "funnel", funnel, ":material/filter_alt:"),
    Page("Compare", "compare", compare_page, ":material/compare_arrows:"),
    Page("Weekly report", "week", week_page, ":material/picture_as_pdf:"),
    Page("Accuracy", "accuracy", accuracy, ":material/visibility:"),
)
