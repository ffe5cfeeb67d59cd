"""ASGI middleware before the dashboard: nobody passes who is not signed in, by HTTP or websocket.

Rules:
- Default is no. A path that nobody thought of is refused like any other; the pages for signing in are the only ones
  that a stranger gets.
- The page answers under its own names only, to its own origin only, and to nobody who speaks through something that
  forwards: no header says who somebody is. What passes carries the hash of its session in `SESSION_HEADER`, set here
  and taken from nobody; the token itself goes no further.
- What programs read opens by a token and never by a session: `programs` have a door of their own, see `bearer`.
- Pages are read: behind the door only GET and HEAD pass. What can be uploaded, and it is next to nothing, says `files`.
- Only the one websocket of the pages passes. It is closed within `LOOK_S` of the end of its session, and an open page
  is sent to the sign-in page, so that nothing stays on a screen.
- A websocket message counts as somebody being there only where `hear` says so: a page that refreshes itself does not
  keep a session alive. One that asks for a page of another desk is a denial. One that no page of ours can have sent
  goes no further: the websocket is closed, and whoever sends more of them is signed out.

What a page may show is decided by the page, see `Access.require`.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent.access import Access
from consent.desks import Action, Refusal, Who
from consent.events import ConsentError
from consent.kiosk.door import bare
from consent.signin.bearer import problem
from consent.signin.files import PLACE, Files

SESSION_HEADER = "x-openaisle-session"
LOOK_S = 1.0  # between two looks whether the session of an open websocket still stands
_ACTIVE_S = 15.0  # between two notes that somebody is there
CLOSED = 4401  # our own code for a websocket whose session is over
NOT_UNDERSTOOD = 1002  # the protocol's, for what is no message
_log = logging.getLogger(__name__)
_SAFE = frozenset({"GET", "HEAD"})
_FORWARDED = frozenset({"forwarded", "x-real-ip", "x-original-host", "x-client-ip", "true-client-ip"})
_WORKINGS = ("/_stcore/", "/static/", "/media/", "/component/")
_CLOSED = ("/_stcore/upload_file", "/_stcore/metrics", "/_stcore/agent", "/auth/", "/oauth2callback")
HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Streamlit runs inline styles and compiles charts; but nothing is loaded from, or sent to, anybody else
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' data: blob:; media-src 'self' data: blob:; worker-src 'self' blob:; "
        "frame-src 'self' data: blob:; object-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message of a page means for the door.

    Attributes:
        active: somebody is there.
        needs: what they must be allowed for the page that they ask for.
    """

    active: bool = False
    needs: frozenset[Action] = frozenset()


@dataclass(frozen=True, slots=True)
class Manner:
    """How the door behaves for what stands behind it.

    Attributes:
        hosts: names and addresses under which it answers, without port.
        cookie: name of the session's cookie.
        secure: it is served over TLS.
        needs: says what somebody must be allowed in order to see a page, by its path; None for what is no page.
        hear: says what a websocket message means, None where it is no message of a page.
        farewell: what an open page is sent when its session is over, so that it leaves for the sign-in page.
        stream: path of the one websocket.
        closed: paths that nobody gets, signed in or not.
        files: what may be uploaded, and by whom; nothing where it is None.
    """

    hosts: Collection[str]
    cookie: str
    secure: bool
    needs: Callable[[str], Action | None]
    hear: Callable[[bytes], Heard | None]
    farewell: bytes
    stream: str = "/_stcore/stream"
    closed: tuple[str, ...] = _CLOSED
    files: Files | None = None


class Gate:
    """The middleware.

    Args:
        app: what is behind it.
        access: who may come in.
        manner: see `Manner`.
        own: the pages for signing in; they answer for `own_paths` and make the page for a refusal.
        own_paths: first parts of their paths.
        programs: what programs read, by the first part of its path; each has a door of its own, see `bearer`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        manner: Manner,
        own: ASGIApp,
        own_paths: Collection[str],
        programs: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        self._app, self._access, self._manner, self._own = app, access, manner, own
        self._own_paths = frozenset(own_paths)
        self._programs = dict(programs or {})
        self._hosts = frozenset(bare(host) for host in manner.hosts)
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, self._until_told(receive), send)
            return
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send)
            elif scope["type"] == "websocket":
                await self._websocket(scope, receive, send)
        except ConsentError as error:  # who cannot be looked up does not come in
            _log.warning("%s", error)
            if scope["type"] == "http":
                text = "the shop's files do not answer just now; try again in a minute"
                await PlainTextResponse(text, 503, _NO_STORE)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1011})

    def _until_told(self, receive: Receive) -> Receive:
        """Write down what was refused before the end is passed on: after it there is no time left."""

        async def told() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await run_in_threadpool(self._access.close)
            return message

        return told

    async def _tick(self) -> None:
        """Write down what was refused, and forget what is over, also where nobody comes any more."""
        while True:
            await asyncio.sleep(1.0)
            try:
                await run_in_threadpool(self._access.tick)
            except ConsentError as error:
                _log.warning("%s", error)

    # --- http ---------------------------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"]
        part = path.strip("/").partition("/")[0]
        foreign = self._foreign(request)
        if foreign is not None:
            self._access.log.denied(foreign)
            status, text = _TOLD[foreign]
            answer = problem(status, HTTPStatus(status).phrase, text) if part in self._programs else _plain(foreign)
            await answer(scope, receive, send)
            return
        if part in self._own_paths or part in self._programs:
            await self._programs.get(part, self._own)(scope, receive, send)
            return
        token = request.cookies.get(self._manner.cookie, "")
        is_page = not path.startswith(_WORKINGS)
        who = await run_in_threadpool(self._access.who_holds, token, active=is_page) if token else None
        if who is None:
            self._access.log.denied(Refusal.ANONYMOUS)
            await self._to_sign_in(request)(scope, receive, send)
            return
        rest = receive
        refused = self._refused(request.method, path, who)
        if refused is not None and self._manner.files is not None and path.startswith(PLACE):
            taken = await self._manner.files.look(request, who)
            rest, refused = (receive, refused) if taken is None else (taken, None)
        if refused is not None:
            reason, action = refused
            self._access.log.denied(reason, account=who.account, action=action)
            await _plain(reason, html=is_page)(scope, receive, send)
            return
        await self._app(self._inside(scope, token), rest, _guarded(send, keep=path.startswith("/static/")))

    def _refused(self, method: str, path: str, who: Who) -> tuple[Refusal, Action | None] | None:
        if method not in _SAFE or path.startswith(self._manner.closed):
            return Refusal.METHOD, None
        action = self._manner.needs(path)
        return (Refusal.PAGE, action) if action is not None and not who.may(action) else None

    def _foreign(self, request: HTTPConnection) -> Refusal | None:
        headers = request.headers
        if any(name in _FORWARDED or name.startswith("x-forwarded") for name in headers):
            return Refusal.FORWARDED
        hosts = headers.getlist("host")
        if len(hosts) != 1 or bare(hosts[0]) not in self._hosts:
            return Refusal.HOST
        origins = headers.getlist("origin")
        scheme = "https" if self._manner.secure else "http"
        if origins and origins != [f"{scheme}://{hosts[0].strip().lower()}"]:
            return Refusal.ORIGIN
        if not origins and request.scope["type"] == "websocket":
            return Refusal.ORIGIN
        return None

    def _to_sign_in(self, request: Request) -> Response:
        asks_page = request.method in _SAFE and "text/html" in request.headers.get("accept", "")
        if asks_page and not request.url.path.startswith(_WORKINGS):
            return RedirectResponse("/sign-in", 303, headers=_NO_STORE)
        return _plain(Refusal.ANONYMOUS)

    def _inside(self, scope: Scope, token: str) -> Scope:
        """Return the scope for what is behind the door: the hash of the session instead of its token."""
        headers = [
            (name, value)
            for name, value in scope["headers"]
            if name.lower() not in (SESSION_HEADER.encode(), b"cookie", b"sec-websocket-protocol")
        ]
        sent = Headers(scope=scope)
        cookies = [
            part.strip()
            for part in "; ".join(sent.getlist("cookie")).split(";")
            if part.strip() and part.strip().partition("=")[0] != self._manner.cookie
        ]
        if cookies:
            headers.append((b"cookie", "; ".join(cookies).encode("latin-1")))
        if protocols := sent.get("sec-websocket-protocol"):
            # the third names a session of Streamlit's to go on with; whoever comes anew begins anew
            kept = ", ".join(part.strip() for part in protocols.split(",")[:2])
            headers.append((b"sec-websocket-protocol", kept.encode("latin-1")))
        headers.append((SESSION_HEADER.encode(), hashlib.sha256(token.encode()).hexdigest().encode()))
        return {**scope, "headers": headers}

    # --- websocket ----------------------------------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        token = connection.cookies.get(self._manner.cookie, "")
        reason = self._foreign(connection)
        if reason is None and scope["path"] != self._manner.stream:
            reason = Refusal.METHOD
        who = await run_in_threadpool(self._access.who_holds, token) if token and reason is None else None
        if reason is not None or who is None:
            self._access.log.denied(reason or Refusal.ANONYMOUS)
            await send({"type": "websocket.close", "code": 1008})
            return
        await _Line(self, who, token, receive, send).run(self._app, self._inside(scope, token))

    async def stands(self, token: str, who: Who, *, active: bool = False) -> bool:
        """Say whether a session still stands, and for the same desk."""
        return await run_in_threadpool(self._access.who_holds, token, active=active) == who

    @property
    def manner(self) -> Manner:
        """How this door behaves."""
        return self._manner

    def ended(self, who: Who) -> None:
        """Note that an open page was closed because its session is over."""
        self._access.log.denied(Refusal.ANONYMOUS, account=who.account)

    def refused(self, who: Who, needs: Collection[Action]) -> None:
        """Note it where somebody asks for a page of another desk over an open websocket; they are not shown it."""
        for action in needs:
            if not who.may(action):
                self._access.log.denied(Refusal.PAGE, account=who.account, action=action)

    async def broken(self, who: Who, token: str) -> None:
        """Note that what came over a websocket is no message of a page."""
        key = hashlib.sha256(token.encode()).digest()
        await run_in_threadpool(self._access.broken, who, key)


class _Line:
    """One open websocket."""

    def __init__(self, gate: Gate, who: Who, token: str, receive: Receive, send: Send) -> None:
        self._gate, self._who, self._token = gate, who, token
        self._receive, self._send = receive, send
        self._over = asyncio.Event()
        self._open = False
        self._noted_s = 0.0

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        looking = asyncio.create_task(self._look())
        try:
            await app(scope, self._heard, self._say)
        finally:
            looking.cancel()

    async def _look(self) -> None:
        try:
            while await self._gate.stands(self._token, self._who):
                await asyncio.sleep(LOOK_S)
        except ConsentError as error:  # nobody can say that it still stands
            _log.warning("%s", error)
        self._over.set()

    async def _heard(self) -> Message:
        hearing = asyncio.ensure_future(self._receive())
        ending = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({hearing, ending}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.is_set():
                return await self._part()
            message = hearing.result()
        finally:
            hearing.cancel()
            ending.cancel()
        if message["type"] == "websocket.receive":
            heard = self._gate.manner.hear(message["bytes"]) if message.get("bytes") is not None else None
            if heard is None:
                return await self._break()
            self._gate.refused(self._who, heard.needs)
            now_s = time.monotonic()
            if now_s - self._noted_s >= _ACTIVE_S and heard.active:
                self._noted_s = now_s
                if not await self._gate.stands(self._token, self._who, active=True):
                    self._over.set()
                    return await self._part()
        return message

    async def _break(self) -> Message:
        """Hang up on what is no message of a page, and say no more of it than that."""
        await self._gate.broken(self._who, self._token)
        if self._open:
            self._open = False
            await self._send({"type": "websocket.close", "code": NOT_UNDERSTOOD})
        return {"type": "websocket.disconnect", "code": NOT_UNDERSTOOD}

    async def _part(self) -> Message:
        """Send the page away, hang up, and tell what is behind that the other side has gone."""
        if self._open:
            self._open = False
            self._gate.ended(self._who)
            await self._send({"type": "websocket.send", "bytes": self._gate.manner.farewell})
            await self._send({"type": "websocket.close", "code": CLOSED})
        return {"type": "websocket.disconnect", "code": CLOSED}

    async def _say(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._open = True
        elif not self._open and message["type"] != "websocket.close":
            return
        elif message["type"] == "websocket.close":
            if not self._open and self._over.is_set():
                return
            self._open = False
        if self._over.is_set() and message["type"] == "websocket.send":
            return  # nothing more is shown
        await self._send(message)


_NO_STORE = {"cache-control": "no-store"}
_TOLD = {
    Refusal.ANONYMOUS: (401, "sign in first"),
    Refusal.FORWARDED: (403, "this page answers browsers themselves, and nothing that forwards for them"),
    Refusal.HOST: (421, "this page does not answer under this name; store.toml names those it has"),
    Refusal.ORIGIN: (403, "this page answers its own forms and scripts only"),
    Refusal.METHOD: (403, "this page takes no files and no such requests"),
    Refusal.PAGE: (403, "this page belongs to another desk; that you asked for it is in the log"),
}


def _plain(reason: Refusal, *, html: bool = False) -> Response:
    status, text = _TOLD[reason]
    headers = _NO_STORE | {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'"}
    if html:
        page = (
            f"<!doctype html><html lang=en><title>Not here</title><h1>Not here</h1><p>{text}.</p><a href='/'>Back</a>"
        )
        return Response(page, status, headers, "text/html")
    return PlainTextResponse(text, status, headers)


def _guarded(send: Send, *, keep: bool) -> Send:
    """Return a `send` that puts our headers on an answer."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if not keep:
                headers["cache-control"] = "no-store"
        await send(message)

    return guarded


def is_loopback(address: str | None) -> bool:
    """Say whether an address is this machine's own."""
    try:
        return address is not None and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
