"""The pages of a mailbox that may stand outside the shop: it takes withdrawals, and can read none back.

    shopper ── https ──▶ letterbox (sealed letters)  ◀── https ── keeper (`mailpost` fetches, opens, withdraws)

Rules:
- A code is in memory for the length of one request. Whoever takes the box away gets sealed letters; whoever takes it
  over while it runs sees the codes that are posted from then on.
- Each address is slowed down on its own. A letter is acknowledged when it is on disk, and not before.
- It cannot say whether a code is right, and says so.

It is off unless somebody runs it: `openaisle mailbox serve`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from consent.events import ConsentError
from consent.kiosk.door import Door
from consent.kiosk.form import read_form
from consent.kiosk.messages import LANGUAGES, Messages, pick
from consent.kiosk.pace import Pace
from consent.letters import PAGE, Letter, LetterError, Letters, Setup
from consent.subjects import read_secret

POSTS, POSTS_PER_S = 20, 1 / 3  # letters from one address, at once and in the long run
_STATIC = Path(__file__).parent / "static"
_PROBLEMS = {404: "not_found", 405: "wrong_method", 413: "too_large", 421: "foreign", 403: "forged"}
_log = logging.getLogger(__name__)


def letterbox(
    letters: Letters,
    setup: Setup,
    *,
    url: str,
    shop: str,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """Return the mailbox's pages.

    Args:
        letters: where they are kept.
        setup: whose mailbox it is.
        url: its https address, and the only one under which it answers.
        shop: name of the shop, as people know it.
        now_us: UTC microseconds.
        clock: seconds that only grow.

    Raises:
        LetterError: the address is not https.
    """
    host = urlsplit(url)
    if host.scheme != "https" or not host.hostname:
        raise LetterError("shoppers come by https only: give the mailbox's address as https://…")
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("consent.kiosk"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    posts = Pace(POSTS, POSTS_PER_S)

    def say_of(request: Request, form: Mapping[str, str]) -> Messages:
        asked = form.get("lang") or request.query_params.get("lang", "")
        return Messages.load(
            asked if asked in LANGUAGES else pick(request.headers.get("accept-language", ""), LANGUAGES)
        )

    def page(
        request: Request, form: Mapping[str, str], template: str, heading: str, status: int = 200, **values: object
    ) -> Response:
        say = say_of(request, form)
        html = pages.get_template(template).render(
            say=say,
            heading=heading,
            name=shop,
            noticed=False,
            languages=[Messages.load(code) for code in LANGUAGES],
            code=form.get("code", "")[:80],
            lead="letter.lead",
            action="/sure",
            **values,
        )
        return HTMLResponse(html, status, headers={"content-language": say.language})

    def start(request: Request, form: Mapping[str, str], status: int = 200, problem: str | None = None) -> Response:
        return page(request, form, "letter/start.html", "letter.title", status, problem=problem)

    async def first(request: Request) -> Response:
        return start(request, await read_form(request) if request.method == "POST" else {})

    def refused(request: Request, form: Mapping[str, str], key: str, status: int, **more: int) -> Response:
        return start(request, form, status, say_of(request, form)(key, **more))

    async def act(request: Request) -> Response:
        form = await read_form(request)
        try:
            code = read_secret(form.get("code", "")[:300].rpartition("#")[2])
        except ConsentError:
            return refused(request, form, "code.wrong_form", 422)
        if request.url.path == "/sure":
            return page(request, form, "letter/sure.html", "phone.sure")
        wait_s = posts.wait_s(request.client.host if request.client else "", clock())
        if wait_s:
            answer = refused(request, form, "problem.too_fast", 429)
            answer.headers["retry-after"] = str(wait_s)
            return answer
        letter = Letter(now_us(), secrets.token_bytes(16), code)
        try:
            kept = await run_in_threadpool(letters.put, letter.seal(setup.public, setup.generation))
        except sqlite3.Error as error:
            _log.warning("a letter could not be kept: %s", error)
            kept = False
        return (
            page(request, form, "letter/done.html", "letter.done")
            if kept
            else refused(request, form, "letter.full", 503)
        )

    async def hand_out(request: Request) -> Response:
        kept = await run_in_threadpool(letters.page)
        return JSONResponse([[i, base64.b64encode(sealed).decode("ascii")] for i, sealed in kept])

    async def taken(request: Request) -> Response:
        form = await read_form(request)
        try:
            ids = [int(i) for i in json.loads(form.get("ids", ""))][:PAGE]
        except (ValueError, TypeError) as error:
            raise HTTPException(400) from error
        await run_in_threadpool(letters.drop, ids)
        return Response(status_code=204)

    def for_keeper(handler: Callable[[Request], object]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            try:
                shown = bytes.fromhex(token) if scheme == "Bearer" else b""
            except ValueError:
                shown = b""
            if not hmac.compare_digest(hashlib.sha256(shown).digest(), setup.door):
                return Response(status_code=401, headers={"www-authenticate": "Bearer"})
            return await handler(request)  # type: ignore[misc,no-any-return]

        return answer

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return problem(request, _PROBLEMS.get(status, "wrong_method" if status < 500 else "phone.busy"), status)

    def problem(request: Request, key: str, status: int) -> Response:
        text = say_of(request, {})(key if "." in key else f"problem.{key}")
        return page(request, {}, "phone/problem.html", "problem.title", status, text=text, again=None)

    def file(name: str) -> Callable[[Request], object]:
        return lambda _: FileResponse(_STATIC / name, headers={"cache-control": "no-cache"})

    app = Starlette(
        routes=[
            Route("/", first, methods=["GET"]),
            Route("/w", first, methods=["GET", "POST"]),
            Route("/sure", act, methods=["POST"]),
            Route("/post", act, methods=["POST"]),
            Route("/letters", for_keeper(hand_out), methods=["GET"]),
            Route("/letters", for_keeper(taken), methods=["POST"]),
            *(Route(f"/static/{name}", file(name), methods=["GET"]) for name in ("phone.css", "phone.js")),
        ],
        middleware=[Middleware(Door, hosts=[host.hostname], refuse=problem)],
        exception_handlers={HTTPException: failed, Exception: failed},
    )
    app.router.redirect_slashes = False  # it would answer with a whole address, made of what the request says
    return app
