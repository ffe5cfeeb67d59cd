"""The pages for signing in and out: plain HTML that works without a script.

Rules:
- A form is taken only from a page of our own (`Origin`) that carries the token it was given out with.
- A page says neither which accounts there are nor which part of a sign-in was wrong.
- A link is followed by people: one that another site's page asks for is refused and counts as no try. Only the way back
  from the sign-in provider comes from elsewhere, and it counts only in the browser that went there.
- The first administrator is made on this very machine, with the code that `openaisle dashboard` shows on its terminal.
- The session's cookie is `HttpOnly`, `SameSite=Strict` and, over TLS, `Secure`; a new one is made at every sign-in.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import jinja2
import segno
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent import factors
from consent.access import Access, DeniedError
from consent.accounts import AccountError, digest
from consent.desks import Refusal, Who
from consent.events import ConsentError
from consent.kiosk.door import HEADERS, bare, is_ours
from consent.kiosk.form import read_form
from consent.oidc import Provider, ProviderError
from consent.signin.gate import is_loopback

OWN_PATHS = frozenset({"sign-in", "sign-out", "account", "first", "enter", "factor", "desk.css", "desk.svg"})
STATE_S = 600  # to come back from the sign-in provider
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_FOLDER = Path(__file__).parent
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the pages need.

    Attributes:
        access: who may come in.
        shop: its name.
        cookie: name of the session's cookie.
        secure: they are served over TLS.
        provider: of OpenID Connect, where one is configured.
        simulated: the shop does not exist; every page says so.
    """

    access: Access
    shop: str
    cookie: str
    secure: bool
    provider: Provider | None = None
    simulated: bool = False
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def form_of(self, seed: str) -> str:
        """Return the token of a form that was given out to a browser with this seed."""
        return hmac.new(self._key, seed.encode(), sha256).hexdigest()


_pages = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
)
Handler = Callable[["_Visit"], Awaitable[Response]]


@dataclass(slots=True)
class _Visit:
    """One request, and what was sent with it."""

    parts: SignIn
    request: Request
    form: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        return self.request.client.host if self.request.client else ""

    @property
    def here(self) -> bool:
        """Somebody on this very machine asks."""
        return is_loopback(self.address) and bare(self.request.headers["host"]) in _HERE

    @property
    def sent_by_others(self) -> bool:
        """Another site's page has the browser ask, and nobody who typed the address or came from a page of ours."""
        return self.request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")

    @property
    def token(self) -> str:
        return self.request.cookies.get(self.parts.cookie, "")

    async def who(self) -> Who | None:
        return await run_in_threadpool(self.parts.access.who_holds, self.token) if self.token else None

    def page(self, template: str, title: str, status: int = 200, **values: object) -> Response:
        """Return a page whose forms carry this browser's token."""
        seed = self.request.cookies.get(f"{self.parts.cookie}-form", "") or secrets.token_urlsafe(16)
        html = _pages.get_template(f"{template}.html").render(
            title=title,
            shop=self.parts.shop,
            simulated=self.parts.simulated,
            token=self.parts.form_of(seed),
            **{"problem": "", **values},
        )
        answer = HTMLResponse(html, status)
        self.keep(answer, f"{self.parts.cookie}-form", seed)
        return answer

    def keep(self, answer: Response, name: str, value: str, *, strict: bool = True, max_age: int | None = None) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=max_age,
            path="/",
            httponly=True,
            samesite="strict" if strict else "lax",
            secure=self.parts.secure,
        )

    def inside(self, token: str) -> Response:
        """Return the way in for a new session."""
        answer = RedirectResponse("/", 303)
        self.keep(answer, self.parts.cookie, token)
        return answer


def pages(parts: SignIn) -> ASGIApp:
    """Return the pages for signing in."""

    def route(path: str, get: Handler | None, post: Handler | None) -> Route:
        async def answer(request: Request) -> Response:
            visit = _Visit(parts, request)
            if request.method != "POST":
                if get is None:
                    raise HTTPException(405)
                return await get(visit)
            if post is None:
                raise HTTPException(405)
            visit.form = dict(await read_form(request))
            seed = request.cookies.get(f"{parts.cookie}-form", "")
            right = seed and hmac.compare_digest(visit.form.get("token", "").encode(), parts.form_of(seed).encode())
            if not right or not is_ours(request.headers, "https" if parts.secure else "http"):
                parts.access.log.denied(Refusal.FORM)
                problem = "This form was too old, or not ours. Please fill it in again."
                return visit.page("told", "Not taken", 403, text=problem, onward="/")
            return await post(visit)

        return Route(path, answer, methods=["GET", "POST"])

    async def style(_request: Request) -> Response:
        return FileResponse(_FOLDER / "static" / "desk.css", headers={"cache-control": "no-cache"})

    async def icon(_request: Request) -> Response:
        return FileResponse(_FOLDER / "static" / "desk.svg", headers={"cache-control": "no-cache"})

    return Starlette(
        routes=[
            route("/sign-in", _ask, _sign_in),
            route("/sign-in/provider", _leave, None),
            route("/sign-in/back", _back, None),
            route("/sign-out", _account, _sign_out),
            route("/account", _account, _change),
            route("/first", _ask_first, _first),
            route("/enter/{code}", _enter, None),
            route("/account/factor", _account, _change_factor),
            route("/factor", _ask, _finish_factor),
            Route("/desk.css", style),
            Route("/desk.svg", icon),
        ],
        middleware=[Middleware(_Sealed)],
        exception_handlers={HTTPException: _failed, ConsentError: _unable},
    )


class _Sealed:
    """Puts the headers of `kiosk.door` on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given),
                ]
            await send(message)

        await self._app(scope, receive, sealed)


async def _failed(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: "There is no such page.", 405: "This page is not used that way."}.get(
        status, "This was not understood."
    )
    return _bare(status, "Not here", text)


async def _unable(request: Request, error: Exception) -> Response:
    _log.warning("%s", error)
    return _bare(503, "Not now", "The shop's files do not answer just now. Please try again in a minute.")


def _bare(status: int, title: str, text: str) -> Response:
    page = _pages.get_template("told.html")
    values = {"title": title, "shop": "openaisle", "simulated": False, "token": "", "problem": ""}
    return HTMLResponse(page.render(text=text, onward="/", **values), status)


# --- signing in -------------------------------------------------------------------------------------------------------


async def _ask(visit: _Visit, problem: str = "", status: int = 200, name: str = "") -> Response:
    if not problem and await visit.who() is not None:
        return RedirectResponse("/", 303)
    if visit.here and not await run_in_threadpool(visit.parts.access.accounts.accounts):
        return RedirectResponse("/first", 303)
    provider = visit.parts.provider
    return visit.page(
        "signin",
        "Sign in",
        status,
        problem=problem,
        name=name,
        provider=None if provider is None else provider.label,
    )


async def _sign_in(visit: _Visit) -> Response:
    name, password, code = (visit.form.get(field, "") for field in ("name", "password", "code"))
    try:
        token = await run_in_threadpool(visit.parts.access.sign_in, name, password, visit.address, code[:40])
    except DeniedError as error:
        if error.reason is Refusal.FACTOR_MISSING:
            return await _begin_factor(visit, name)
        status = 429 if error.reason is Refusal.PACE else 403
        return await _ask(visit, f"{str(error).capitalize()}.", status, name[:64])
    return visit.inside(token)


def _foreign(visit: _Visit) -> Response:
    visit.parts.access.log.denied(Refusal.ORIGIN)
    return visit.page(
        "told", "Not here", 403, text="Another site sent you here. Open this address yourself.", onward="/"
    )


async def _enter(visit: _Visit) -> Response:
    if visit.sent_by_others:
        return _foreign(visit)
    if not visit.here:
        visit.parts.access.log.denied(Refusal.ELSEWHERE)
        return visit.page("told", "Not here", 403, text="This link works on the shop's own computer only.", onward="/")
    if visit.request.method == "HEAD":  # whoever looks ahead of a person does not use it up
        return Response(status_code=204)
    try:
        token = await run_in_threadpool(visit.parts.access.use_link, visit.request.path_params["code"], visit.address)
    except DeniedError as error:
        if await visit.who() is not None:  # it was used here
            return RedirectResponse("/", 303)
        return await _ask(visit, f"{str(error).capitalize()}.", 403)
    return visit.inside(token)


# --- the first administrator ------------------------------------------------------------------------------------------


async def _ask_first(visit: _Visit, problem: str = "", status: int = 200, name: str = "", code: str = "") -> Response:
    if not visit.here:
        visit.parts.access.log.denied(Refusal.ELSEWHERE)
        return visit.page("told", "Not here", 403, text="A shop is set up on its own computer only.", onward="/sign-in")
    if await run_in_threadpool(visit.parts.access.accounts.accounts):
        return RedirectResponse("/sign-in", 303)
    return visit.page("first", "Set up", status, problem=problem, name=name, code=code)


async def _first(visit: _Visit) -> Response:
    if not visit.here:
        return await _ask_first(visit)
    code, name, password, again = (visit.form.get(field, "") for field in ("code", "name", "password", "again"))
    try:
        make = visit.parts.access.make_first
        token = await run_in_threadpool(make, code[:40], name, password, again, visit.address)
    except DeniedError as error:
        return await _ask_first(visit, f"{str(error).capitalize()}.", 403, name[:64])
    except AccountError as error:
        return await _ask_first(visit, f"{str(error).capitalize()}.", 422, name[:64], code[:40])
    return visit.inside(token)


# --- one's own account ------------------------------------------------------------------------------------------------


async def _account(visit: _Visit, problem: str = "", status: int = 200) -> Response:
    who = await visit.who()
    if who is None:
        return RedirectResponse("/sign-in", 303)
    account = await run_in_threadpool(visit.parts.access.accounts.find, who.name)
    factors_of = visit.parts.access.factors
    return visit.page(
        "account",
        "Your account",
        status,
        problem=problem,
        who=who,
        local=account.local,
        factor=await run_in_threadpool(factors_of.has, account.id),
        left=await run_in_threadpool(factors_of.left, account.id),
    )


async def _sign_out(visit: _Visit) -> Response:
    access, who = visit.parts.access, await visit.who()
    if who is not None and visit.form.get("everywhere"):
        await run_in_threadpool(access.accounts.end_all, who.account)
    elif who is not None:
        await run_in_threadpool(access.accounts.end, digest(visit.token))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(visit.parts.cookie, path="/", httponly=True, samesite="strict", secure=visit.parts.secure)
    return answer


async def _change(visit: _Visit) -> Response:
    who = await visit.who()
    if who is None:
        return RedirectResponse("/sign-in", 303)
    old, new, again = (visit.form.get(name, "") for name in ("old", "new", "again"))
    access = visit.parts.access
    try:
        token = await run_in_threadpool(access.change_password, who, old, new, again, visit.address)
    except DeniedError as error:
        return await _account(visit, f"{str(error).capitalize()}.", 429 if error.reason is Refusal.PACE else 403)
    except AccountError as error:
        return await _account(visit, f"{str(error).capitalize()}.", 422)
    return visit.inside(token)


# --- a second factor --------------------------------------------------------------------------------------------------


async def _begin_factor(visit: _Visit, name: str) -> Response:
    handle, _ = await run_in_threadpool(visit.parts.access.begin_factor, name)
    return await _ask_factor(visit, handle)


async def _ask_factor(visit: _Visit, handle: str, problem: str = "", status: int = 200) -> Response:
    """Show what an app needs: once, on this page, and never again."""
    made = visit.parts.access.making(handle)
    if made is None:
        return await _ask(visit, "That took too long, or was done already. Sign in, and begin again.", 403)
    picture = segno.make(factors.address(made.seed, visit.parts.shop, made.name), micro=False, error="m")
    seed = factors.written(made.seed)
    return visit.page(
        "factor",
        "A second factor",
        status,
        problem=problem,
        handle=handle,
        name=made.name,
        picture=Markup(picture.svg_inline(scale=5, border=3, svgclass="square", title="Square picture for your app")),  # noqa: S704  made here, of digits
        seed=" ".join(seed[i : i + 4] for i in range(0, len(seed), 4)),
    )


async def _finish_factor(visit: _Visit) -> Response:
    handle, password, code = (visit.form.get(field, "") for field in ("handle", "password", "code"))
    access = visit.parts.access
    try:
        _, codes = await run_in_threadpool(access.finish_factor, handle[:64], password, code[:40], visit.address)
    except DeniedError as error:
        status = 429 if error.reason is Refusal.PACE else 403
        return await _ask_factor(visit, handle[:64], f"{str(error).capitalize()}.", status)
    except AccountError as error:
        return await _ask(visit, f"{str(error).capitalize()}.", 403)
    return visit.page("recovery", "Keep these codes", codes=codes)


async def _change_factor(visit: _Visit) -> Response:
    who, access = await visit.who(), visit.parts.access
    if who is None:
        return RedirectResponse("/sign-in", 303)
    try:
        if not visit.form.get("remove"):
            return await _begin_factor(visit, who.name)
        password, code = visit.form.get("password", ""), visit.form.get("code", "")[:40]
        await run_in_threadpool(access.remove_factor, who, password, code, visit.address)
    except DeniedError as error:
        return await _account(visit, f"{str(error).capitalize()}.", 429 if error.reason is Refusal.PACE else 403)
    except AccountError as error:
        return await _account(visit, f"{str(error).capitalize()}.", 422)
    return await _account(visit)


# --- somebody else's word for it --------------------------------------------------------------------------------------


async def _leave(visit: _Visit) -> Response:
    provider = visit.parts.provider
    if provider is None:
        raise HTTPException(404)
    if visit.sent_by_others:
        return _foreign(visit)
    try:
        visit.parts.access.slow_down_link(visit.address)
        address, kept = await run_in_threadpool(provider.begin, _back_url(visit))
    except DeniedError as error:
        return await _ask(visit, f"{str(error).capitalize()}.", 429)
    except ProviderError as error:
        _log.warning("%s", error)
        return await _ask(visit, "The sign-in provider does not answer as it should. Use a password.", 502)
    answer = RedirectResponse(address, 303)
    visit.keep(answer, f"{visit.parts.cookie}-away", kept, strict=False, max_age=STATE_S)
    return answer


async def _back(visit: _Visit) -> Response:
    provider, access = visit.parts.provider, visit.parts.access
    if provider is None:
        raise HTTPException(404)
    kept = visit.request.cookies.get(f"{visit.parts.cookie}-away", "")
    if visit.request.headers.get("sec-fetch-mode", "navigate") != "navigate":  # a picture of another site's page, say
        return _foreign(visit)
    try:
        if kept:
            access.slow_down_link(visit.address)
        said = await run_in_threadpool(provider.finish, kept, dict(visit.request.query_params), _back_url(visit))
        account = await run_in_threadpool(access.accounts.by_provider, said.number, said.invited)
        if account is None:
            raise ProviderError("there is no account here for whoever signed in there")
    except DeniedError as error:
        return await _ask(visit, f"{str(error).capitalize()}.", 429)
    except ProviderError as error:
        _log.warning("%s", error)
        access.log.denied(Refusal.PROVIDER)
        return await _ask(
            visit, "The sign-in provider's answer was not taken. Try again, or ask your administrator.", 403
        )
    token = await run_in_threadpool(access.let_in, account, visit.address)
    # not a redirect: a browser that comes from elsewhere would not send the new cookie along
    answer = visit.page("told", "Signed in", text="You are signed in.", onward="/")
    visit.keep(answer, visit.parts.cookie, token)
    visit.keep(answer, f"{visit.parts.cookie}-away", "", strict=False, max_age=0)
    return answer


def _back_url(visit: _Visit) -> str:
    scheme = "https" if visit.parts.secure else "http"
    return f"{scheme}://{visit.request.headers['host'].strip().lower()}/sign-in/back"
