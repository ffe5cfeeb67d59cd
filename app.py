"""The dashboard: Streamlit's entry. It wires the pages; it holds no SQL and no rule.

`streamlit run` finds the literal `st.App(...)` and serves it; for each visit Streamlit then runs this same file once
more as a script, which draws the page that was asked for. Started by `openaisle dashboard`; there is no login yet, so
anything but this machine's own address is refused, and so is whatever another site's page in a browser here asks for.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from functools import partial
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from analytics.dashboard import ADDRESS, STATE, simulated
from analytics.model import AnalyticsError
from analytics.pages import manager
from retention.pages import retention


class OnlyThisMachine:
    """Answers this page's own requests on the loopback address and closes the door to others.

    Streamlit must not see a foreign `Origin`: to judge it, it asks the network for this machine's addresses.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        client = scope.get("client")
        here = client and ipaddress.ip_address(client[0]).is_loopback
        if scope["type"] == "lifespan" or (here and _own(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"the dashboard answers this machine only"})


def _own(scope: Scope) -> bool:
    """Say whether a page from here asks, or, to look only, somebody who is no page."""
    headers = Headers(scope=scope)
    origins = headers.getlist("origin")
    if not origins:
        return scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
    return origins == [f"http://{headers.get('host')}"]  # the host's name is checked behind this


if __name__ == "__main__":
    try:
        state = Path(os.environ[STATE])
        pages = [
            st.Page(partial(manager, state), title="Shop floor", url_path="floor", default=True),
            st.Page(partial(retention, state), title="Retention", url_path="retention"),
        ]
        page = st.navigation(pages, position="top")
        if simulated(state):
            st.warning(
                "**Simulated.** This shop does not exist: a program made up its people, and with them every figure.",
                icon=":material/science:",
            )
        page.run()
    except AnalyticsError as error:
        st.error(str(error))
else:
    if (
        STATE not in os.environ
        or st.get_option("server.address") != ADDRESS
        or st.get_option("browser.gatherUsageStats")
    ):
        sys.exit("openaisle: start the dashboard with: openaisle dashboard --state DIR")
    app = st.App(
        "app.py",
        middleware=[
            Middleware(OnlyThisMachine),
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
        ],
    )
