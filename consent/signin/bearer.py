"""The door for programs: what stands behind it is read with a token, and with nothing else.

Rules:
- The token comes in `Authorization: Bearer`, where no log, history or page of another site has it. One in the address
  is refused whatever else is sent. A cookie opens nothing here, and no other origin is ever let in (no CORS).
- Whoever has no token learns nothing, not even which paths there are.
- Only GET and HEAD pass.

A refusal is RFC 9457 problem JSON. Host, origin and forwarding headers were looked at by `gate` before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import unquote_plus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent.access import Access, DeniedError
from consent.desks import Refusal
from consent.events import ConsentError
from consent.tokens import PREFIX
from consent.tokens import Scope as Opens

_log = logging.getLogger(__name__)
PROBLEM = "application/problem+json"
HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_SAFE = frozenset({"GET", "HEAD"})
_STATUS = {Refusal.SCOPE: (403, "Forbidden"), Refusal.PACE: (429, "Too Many Requests")}


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal in the form of RFC 9457.

    Args:
        status: of HTTP.
        title: the kind of problem.
        detail: what to do.
        headers: further headers.
    """
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, {"cache-control": "no-store", **(headers or {})}, PROBLEM)


class Bearer:
    """The middleware.

    Args:
        app: what is behind it.
        access: who may come in.
        opens: the scope that a token needs here.
    """

    def __init__(self, app: ASGIApp, access: Access, opens: Opens) -> None:
        self._app, self._access, self._opens = app, access, opens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        request = Request(scope, receive)
        try:
            refused = await self._refused(request)
        except DeniedError as error:
            refused = _denied(error)
        except ConsentError as error:  # who cannot be looked up does not come in
            _log.warning("%s", error)
            refused = problem(503, "Service Unavailable", "the shop's files do not answer just now; try again soon")
        if refused is None:
            await self._app(scope, receive, _guarded(send))
        else:
            await refused(scope, receive, _guarded(send))

    async def _refused(self, request: Request) -> Response | None:
        kinds = request.headers.getlist("authorization")
        word, _, secret = (kinds[0] if len(kinds) == 1 else "").partition(" ")
        if PREFIX in unquote_plus(f"{request.url.path}?{request.url.query}"):
            self._access.log.denied(Refusal.TOKEN)
            text = "a token in an address stands in logs and histories: revoke it, and send its like in Authorization"
            return _unknown(text)
        if word.lower() != "bearer" or not secret.strip():
            self._access.log.denied(Refusal.ANONYMOUS)
            return _unknown("send a token: Authorization: Bearer TOKEN; `openaisle token add` makes one")
        address = "" if request.client is None else request.client.host
        await run_in_threadpool(self._access.token, secret.strip(), self._opens, address)
        if request.method not in _SAFE:
            self._access.log.denied(Refusal.METHOD)
            return problem(405, "Method Not Allowed", "here is only read: GET", {"allow": "GET, HEAD"})
        return None


def _unknown(text: str) -> Response:
    return problem(401, "Unauthorized", text, {"www-authenticate": 'Bearer realm="openaisle"'})


def _denied(error: DeniedError) -> Response:
    if error.reason not in _STATUS:
        return _unknown(str(error))
    wait = {"retry-after": str(error.wait_s)} if error.wait_s else {}
    return problem(*_STATUS[error.reason], str(error), wait)


def _guarded(send: Send) -> Send:
    """Return a `send` that puts our headers on an answer."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.add_vary_header("Authorization")
        await send(message)

    return guarded
