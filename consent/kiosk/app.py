"""The page at the entrance: which address does what, and what stands around it.

Rules:
- It listens on this machine; whoever comes from elsewhere in the shop is a tablet that was paired once.
- The one cookie of a shopper names their session; a paired tablet has one more, which says that it is the shop's.
- Whatever is not a page of ours, or not used as meant, gets a page that says so.

What the pages do is in `question`, `holder` and `around`; who may come in, in `door`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.routing import Mount as Folder
from starlette.staticfiles import StaticFiles

from consent.events import ConsentError
from consent.kiosk import around, holder, pairing, question
from consent.kiosk.door import HEADERS, Door
from consent.kiosk.outcome import outcome
from consent.kiosk.session import Session, Sessions
from consent.kiosk.settings import Shop
from consent.kiosk.tap import Handler, Kiosk, Tap, endpoint, show
from consent.ledger import Ledger, UnknownCodeError
from consent.padview import PadView
from consent.receipts import Receipt

TABLET = "tablet"  # the cookie of a paired tablet
YEAR_S = 365 * 86_400
WAIT_S = 3.0  # for a ledger that another process holds
_SWEEP_S = 5.0
Mount = Callable[[Kiosk], Sequence[BaseRoute]]  # hangs pages of others beside the kiosk's own
_log = logging.getLogger(__name__)
_PROBLEMS = {404: "not_found", 405: "wrong_method", 413: "too_large", 500: "internal"}


def kiosk(
    shop: Shop,
    ledger: Ledger,
    *,
    view: Callable[[], PadView | None] | None = None,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    clock: Callable[[], float] = time.monotonic,
    print_receipt: Callable[[Receipt, str], None] | None = None,
    mounts: Sequence[Mount] = (),
    told: Callable[[tuple[str, ...], int], None] = lambda _words, _now_us: None,
) -> Starlette:
    """Return the kiosk of a shop.

    Args:
        shop: see `Shop`.
        ledger: opened with `Role.KIOSK`; a busy one is waited for no longer than `WAIT_S`.
        view: what the camera sees at the pad now, None where `watch` does not run.
        now_us: UTC microseconds, for what is written down.
        clock: seconds that only grow, for how long somebody was idle.
        print_receipt: prints a receipt or slip in a language; raises OSError or ConsentError where it cannot.
        mounts: each is given the parts and returns further routes, which stand behind the same door.
        told: is given what each question came to, in the words of `outcome`, and when (UTC microseconds).
    """
    ledger.wait_at_most(WAIT_S)
    parts = Kiosk(
        shop=shop,
        ledger=ledger,
        view=view or (lambda: None),
        now_us=now_us,
        clock=clock,
        print_receipt=print_receipt,
        sessions=Sessions(
            shop.idle_s, clock, partial(_take_back, ledger, now_us), partial(_tell, ledger, now_us, told)
        ),
    )
    routes: list[BaseRoute] = [
        *(page(parts, path, get, post, **how) for path, get, post, how in _PAGES),
        page(parts, "/pair", _pairing, _pair, starts=True),
        Folder("/static", StaticFiles(packages=[("consent.kiosk", "static")])),
        *(route for mount in mounts for route in mount(parts)),
    ]
    refuse = partial(_refuse, parts)
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Door, hosts=shop.allowed_hosts, refuse=refuse, trusted=partial(_trusted, parts)),
        ],
        exception_handlers={HTTPException: partial(_failed, parts), Exception: partial(_broken, parts)},
        lifespan=partial(_sweeping, parts),
    )
    app.router.redirect_slashes = False  # it would answer with a whole address, made of what the request says
    app.state.kiosk = parts
    return app


_PAGES: tuple[tuple[str, Handler | None, Handler | None, dict[str, bool]], ...] = (
    ("/", question.welcome, None, {"starts": True}),
    ("/choices", question.choices, None, {"keeps": True}),
    ("/answer", None, question.answer, {"keeps": True}),
    ("/young", question.young, None, {}),
    ("/done", question.done, None, {"keeps": True}),
    ("/print", None, question.print_it, {"keeps": True}),
    ("/link", None, question.link, {"keeps": True}),
    ("/no", question.no, None, {}),
    ("/object", question.objected, question.object_, {}),
    ("/slip", question.slip, None, {}),
    ("/stop", holder.stop, None, {}),
    ("/stop/here", None, holder.stop_here, {}),
    ("/stop/code", None, holder.stop_code, {"keeps": True}),
    ("/stopped", holder.stopped, None, {}),
    ("/returning", holder.returning, holder.come_back, {}),
    ("/mine", holder.mine, None, {"keeps": True}),
    ("/renew", None, holder.renew, {"keeps": True}),
    ("/know", holder.know, holder.look_up, {}),
    ("/told", holder.told, None, {"keeps": True}),
    ("/key", None, holder.keys, {}),
    ("/prefs", None, around.prefs, {"keeps": True}),
    ("/notice", around.privacy, None, {"starts": True}),
    ("/finish", None, around.finish, {}),
    ("/stay", None, around.stay, {"keeps": True}),
    ("/pad", around.pad, None, {"asks": True}),
    ("/asked", around.asked, None, {"asks": True}),
)


def page(kiosk: Kiosk, path: str, get: Handler | None, post: Handler | None, **how: bool) -> Route:
    """Return the route of a page: what answers GET, what answers POST; see `tap.endpoint` for the rest."""
    handlers = {"GET": get, "POST": post}
    methods = [method for method, handler in handlers.items() if handler is not None]

    def handle(tap: Tap) -> Response:
        handler = handlers["POST" if tap.form else "GET"]
        if handler is None:
            raise HTTPException(405)
        return handler(tap)

    return Route(path, endpoint(kiosk, handle, **how), methods=methods)


# --- tablets ----------------------------------------------------------------------------------------------------------


def _trusted(kiosk: Kiosk, request: Request) -> Response | None:
    """Return None for a paired tablet and for what leads there, a page that says what to do for everybody else."""
    path = request.url.path
    if path == "/pair" or path.startswith("/static/"):
        return None
    paired = kiosk.shop.paired
    try:
        if paired is not None and pairing.is_paired(paired, request.cookies.get(TABLET, "")):
            return None
    except ConsentError as error:
        _log.warning("%s", error)
    return _refuse(kiosk, request, "unpaired", 403)


def _pairing(tap: Tap) -> Response:
    return tap.page("pair.html", "pair.title", problem="", paired=False)


def _pair(tap: Tap) -> Response:
    file = tap.kiosk.shop.paired
    if not tap.kiosk.wrong.take(tap.kiosk.clock()):
        return tap.problem("too_fast", 429)
    key = None if file is None else pairing.pair(file, tap.value("pairing")[:40], now_us=tap.now_us)
    if key is None:
        return tap.page("pair.html", "pair.title", problem="pair.wrong", paired=False)
    response = tap.page("pair.html", "pair.title", problem="", paired=True)
    response.set_cookie(TABLET, key, max_age=YEAR_S, path="/", httponly=True, samesite="strict", secure=tap.secure)
    return response


# --- what went wrong --------------------------------------------------------------------------------------------------


def _refuse(kiosk: Kiosk, request: Request, key: str, status: int) -> Response:
    """Return a page for somebody who has no session, and gets none."""
    session = Session(kiosk.shop.languages[0])
    page = show(
        kiosk,
        session,
        "problem.html",
        "problem.title",
        status,
        at="/",
        text=f"problem.{key}",
        again=None,
        path="/",
        bare=True,
    )
    del page.headers["set-cookie"]
    return page


def _failed(kiosk: Kiosk, request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    page = _refuse(kiosk, request, _PROBLEMS.get(status, "wrong_method"), status)
    if isinstance(error, HTTPException) and error.headers:
        page.headers.update(error.headers)
    return page


def _broken(kiosk: Kiosk, request: Request, error: Exception) -> Response:
    page = _refuse(kiosk, request, "internal", 500)
    page.headers.update(HEADERS)  # this answer leaves by another door
    return page


def _take_back(ledger: Ledger, now_us: Callable[[], int], code: str) -> bool:
    """Take back a yes whose code nobody got; False where the ledger still does not answer."""
    try:
        ledger.withdraw(code, now_us=now_us())
    except UnknownCodeError:
        return True  # it was never written down
    except ConsentError as error:
        _log.warning("an unconfirmed yes could not be taken back yet: %s", error)
        return False
    return True


def _tell(
    ledger: Ledger, now_us: Callable[[], int], told: Callable[[tuple[str, ...], int], None], session: Session
) -> None:
    if words := outcome(session, ledger):
        told(words, now_us())


@contextlib.asynccontextmanager
async def _sweeping(kiosk: Kiosk, app: Starlette) -> AsyncIterator[None]:
    """Forget whoever has gone, also where nobody taps any more."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await run_in_threadpool(kiosk.sessions.sweep)

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
