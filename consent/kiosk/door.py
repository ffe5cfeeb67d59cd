"""Who may talk to a page of ours, and what every answer carries.

Rules:
- A page answers only under the names it was given (a foreign page that points its own name at us gets nothing), and a
  change is made only by a form of our own: the Origin must be ours.
- No answer is kept by a browser, names its page to others, loads anything from elsewhere, or runs anything inline.
- Whoever is not on this machine, or comes through something that forwards, has to be let in by `trusted`.

It looks at no body and no cookie of its own, keeps nothing and writes no log line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # not `no-referrer`: that makes browsers send `Origin: null` with our own forms. Nothing goes to anybody else
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_SAFE = frozenset({"GET", "HEAD"})

Refuse = Callable[[Request, str, int], Response]


class Door:
    """ASGI middleware around every page.

    Args:
        app: what is behind it.
        hosts: names and addresses under which it answers, without port.
        refuse: makes the page for a refusal, from the request, one of `foreign` and `forged`, and a status.
        trusted: says whether a request from elsewhere may pass; without it everybody may.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        refuse: Refuse,
        trusted: Callable[[Request], Response | None] | None = None,
    ) -> None:
        self._app, self._refuse, self._trusted = app, refuse, trusted
        self._hosts = frozenset(bare(host) for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        answer = self._look(request)
        await (self._app if answer is None else answer)(scope, receive, guarded)

    def _look(self, request: Request) -> Response | None:
        headers = request.headers
        hosts = headers.getlist("host")
        if len(hosts) != 1 or bare(hosts[0]) not in self._hosts:
            return self._refuse(request, "foreign", 421)
        if request.method not in _SAFE and not is_ours(headers, request.url.scheme):
            return self._refuse(request, "forged", 403)
        return None if self._trusted is None or is_here(request) else self._trusted(request)


def bare(host: str) -> str:
    """Return a host in lower case without its port: ``[::1]:8600`` is ``::1``."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def is_ours(headers: Headers, scheme: str) -> bool:
    """Say whether a form was sent by a page of this very address; a browser that says nothing is not believed."""
    origins = headers.getlist("origin")
    if not origins:
        return headers.get("sec-fetch-site") == "same-origin"
    return origins == [f"{scheme}://{headers['host'].strip().lower()}"]


def is_here(request: Request) -> bool:
    """Say whether a request comes from this machine itself, and not through anything that forwards."""
    if request.client is None or bare(request.headers["host"]) not in _HERE:
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
