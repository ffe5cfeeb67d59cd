"""The notice, and the sign at the door, as a page to print and hang up.

The page is complete in itself and asks no server; its words are exactly those of `notice`. Nothing here is served.
"""

from __future__ import annotations

from consent.kiosk.messages import Messages
from consent.kiosk.notice import Notice
from consent.kiosk.tap import templates


def poster(told: Notice, *, sign: bool = False) -> str:
    """Return the notice as an HTML page to print; only its first layer, in large type, for a sign."""
    fingerprint = Messages.load(told.language)("notice_page.fingerprint", sha256=told.sha256)
    return templates().get_template("poster.html").render(told=told, sign=sign, fingerprint=fingerprint)
