"""The dashboard: Streamlit's entry. It wires the door and the pages; it holds no SQL and no rule.

`streamlit run` finds the literal `st.App(...)` and serves it; for each visit Streamlit then runs this same file once
more as a script, which draws the page that was asked for, if whoever asks may see it. Started by `openaisle dashboard`.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from html import escape

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import analytics.pages
import analytics.setup
import retention.pages
from analytics.answers import read_ahead
from analytics.api.routes import Api
from analytics.dashboard import SECTIONS, STATE, desk, holder, is_sealed, level, manner, sign_in, who, whole_page
from analytics.model import AnalyticsError
from analytics.pages.page import Page
from consent.access import Who
from consent.events import ConsentError
from consent.signin.bearer import Bearer
from consent.signin.gate import Gate
from consent.signin.pages import OWN_PATHS
from consent.signin.pages import pages as signing_in
from consent.tokens import Scope
from retention.metrics import metrics
from retention.model import RetentionError
from retention.pages.handout import handouts

PAGES = (*analytics.pages.PAGES, *analytics.setup.PAGES, *retention.pages.PAGES)


def draw() -> None:
    """Draw the page that was asked for, if whoever asks may see it."""
    seen_by = who()
    if seen_by is None:
        st.error("You are not signed in any more. Reload this page to sign in.")
        return
    state = desk().state
    allowed = _allowed(seen_by)
    if not allowed:
        st.title("No page for your desk yet")
        _account(seen_by.name, seen_by.desk)
        return
    shown = st.navigation(
        [
            # without its icon: Streamlit would have the browser fetch that as a favicon from a host elsewhere
            st.Page(partial(page.draw, state.root), title=page.title, url_path=page.path, default=not i)
            for i, page in enumerate(allowed)
        ],
        position="top",
    )
    if state.store.store.simulated:
        st.warning(
            "**Simulated.** This shop does not exist: a program made up its people, and with them every figure."
            " Managers' figures are of four fixed weeks; what officers see ends today and is not about them.",
            icon=":material/science:",
        )
    shown.run()
    _account(seen_by.name, seen_by.desk)


def _allowed(seen_by: Who) -> list[Page]:
    now = level()
    return [page for page in PAGES if now >= page.least and seen_by.may(SECTIONS[page.section])]


def page_of(request: Request) -> Response:
    """Return a page under its own address; the first of a desk stands at the root, and Streamlit knows no other."""
    seen_by = holder(request.headers)
    first = None if seen_by is None else next(iter(_allowed(seen_by)), None)
    if first is not None and request.url.path.strip("/") == first.path:
        return RedirectResponse(f"/?{request.url.query}".rstrip("?"))
    return whole_page()


def _account(name: str, at: str) -> None:
    """Say who looks, and where they sign out: a page of its own, which needs no script."""
    st.html(
        f'<p style="margin-top:2rem">Signed in as {escape(name)}, {escape(at)} desk · '
        '<a href="/account" target="_self">Account and sign-out</a></p>'
    )


if __name__ == "__main__":
    try:
        draw()
    except (AnalyticsError, ConsentError, RetentionError) as error:
        st.error(str(error))
else:
    if STATE not in os.environ or st.get_option("browser.gatherUsageStats"):
        sys.exit("openaisle: start the dashboard with: openaisle dashboard --state DIR")
    try:
        _desk = desk()
        if not is_sealed(_desk.state):
            sys.exit("openaisle: start the dashboard with: openaisle dashboard --state DIR")
        read_ahead(_desk.state.root)
        _way = manner(_desk.state, st.get_option("server.port"), [(page.path, page.section) for page in PAGES])
        _own = signing_in(sign_in(_desk.state, _desk.access, _way))
        _programs = {
            "api": Bearer(Api(_desk.state, _desk.ledger).app(), _desk.access, Scope.FIGURES),
            "metrics": Bearer(metrics(_desk.state, _desk.ledger), _desk.access, Scope.METRICS),
        }
    except (AnalyticsError, ConsentError) as error:
        sys.exit(f"openaisle: {error}")
    app = st.App(
        "app.py",
        routes=[handouts().route(), *(Route(f"/{page.path}", page_of) for page in PAGES)],
        middleware=[
            Middleware(Gate, access=_desk.access, manner=_way, own=_own, own_paths=OWN_PATHS, programs=_programs)
        ],
    )
