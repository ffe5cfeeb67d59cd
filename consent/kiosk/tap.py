"""One tap: a request, its session, and what is needed to answer it.

Rules:
- Whatever goes wrong becomes a page in the shopper's language that says what holds and what to do; nothing is shown of
  the error itself, and nothing of the shopper goes into a log line.
- A change needs the session's own token, and a form of an earlier question changes nothing.
- A body is a form, of `form.LONGEST` bytes at most.

What the pages say is in `pages`; this module decides nothing about a consent.
"""

from __future__ import annotations

import hmac
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import jinja2
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from consent.database import DiskFullError
from consent.events import ConsentError, Purpose
from consent.kiosk.form import read_fields
from consent.kiosk.messages import OWN_NAMES, RIGHT_TO_LEFT, Messages
from consent.kiosk.session import Bucket, Session, Sessions
from consent.kiosk.settings import Shop
from consent.ledger import Ledger
from consent.padview import PadView
from consent.receipts import Receipt

FIELDS = 64  # of a form, at most
COOKIE = "kiosk"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


def templates() -> jinja2.Environment:
    """Return the page templates: everything put into them is escaped, and an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("consent.kiosk"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """Pages that somebody else hangs beside those of the kiosk.

    Attributes:
        path: of the first of them.
        title: key of the text that leads there.
        places: of the pages that can be shown again after a change of language or display.
        purpose: what they need a yes to; they exist where the level in force allows it, and nowhere else.
    """

    path: str
    title: str
    places: frozenset[str]
    purpose: Purpose


@dataclass(slots=True)
class Kiosk:
    """The parts of one kiosk; see `app.kiosk`."""

    shop: Shop
    ledger: Ledger
    view: Callable[[], PadView | None]
    now_us: Callable[[], int]
    clock: Callable[[], float]
    print_receipt: Callable[[Receipt, str], None] | None
    sessions: Sessions
    beside: tuple[Beside, ...] = ()
    pages: jinja2.Environment = field(default_factory=templates)
    wrong: Bucket = field(default_factory=lambda: Bucket(6, 1 / 10))  # codes that nobody is known under
    written: Bucket = field(default_factory=lambda: Bucket(20, 1 / 3))  # answers; taking one back is never limited


@dataclass(slots=True)
class Tap:
    """One request of one session.

    Attributes:
        kiosk: the parts.
        session: of whoever tapped.
        path: that was asked for.
        at: of the page that is shown, where it is another.
        secure: it came over https.
        form: what was sent.
    """

    kiosk: Kiosk
    session: Session
    path: str
    secure: bool = False
    form: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: str = ""

    @property
    def say(self) -> Messages:
        """The texts in the session's language."""
        return Messages.load(self.session.language)

    @property
    def now_us(self) -> int:
        """UTC microseconds."""
        return self.kiosk.now_us()

    def value(self, name: str) -> str:
        """Return the last value of a field, empty where there is none."""
        values = self.form.get(name)
        return values[-1] if values else ""

    def day(self, t_us: int) -> str:
        """Return the day of an instant in the shop, written out."""
        return self.say.day(self._local(t_us))

    def moment(self, t_us: int) -> str:
        """Return day and time of an instant in the shop."""
        return self.say.moment(self._local(t_us))

    def _local(self, t_us: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=t_us)).astimezone(self.kiosk.shop.timezone)

    def page(self, name: str, title: str, status: int = 200, **values: object) -> Response:
        """Return a page.

        Args:
            name: of the template.
            title: key of its heading.
            status: HTTP status.
            **values: for the template.
        """
        return show(
            self.kiosk, self.session, name, title, status, at=self.at or self.path, secure=self.secure, **values
        )

    def problem(self, key: str, status: int, **values: object) -> Response:
        """Return a page that says what is wrong."""
        title = "problem.lapsed_title" if key == "lapsed" else "problem.title"
        return self.page(
            "problem.html", title, status, text=f"problem.{key}", **{"again": None, "path": self.path, **values}
        )

    def go(self, path: str) -> Response:
        """Send the browser on to a page, so that a reload asks for that and repeats nothing."""
        return with_cookie(RedirectResponse(path, 303), self.session, secure=self.secure)


def show(
    kiosk: Kiosk,
    session: Session,
    name: str,
    title: str,
    status: int = 200,
    *,
    at: str,
    secure: bool = False,
    **values: object,
) -> Response:
    """Fill a template."""
    say = Messages.load(session.language)
    html = kiosk.pages.get_template(name).render(
        at=at,
        beside=[] if values.get("bare") else [one for one in kiosk.beside if kiosk.shop.level().allows(one.purpose)],
        svg=Markup,
        heading=title,
        names=OWN_NAMES,
        rtl=RIGHT_TO_LEFT,
        say=say,
        session=session,
        shop=kiosk.shop,
        **{"bare": False, **values},
    )
    return with_cookie(HTMLResponse(html, status), session, secure=secure)


def with_cookie(response: Response, session: Session, *, secure: bool) -> Response:
    """Name the session in the one cookie a shopper gets; it ends with the browser, and says nothing."""
    response.set_cookie(COOKIE, session.id, path="/", httponly=True, samesite="strict", secure=secure)
    return response


Handler = Callable[[Tap], Response]


def endpoint(
    kiosk: Kiosk, handler: Handler, *, keeps: bool = False, asks: bool = False, starts: bool = False
) -> Callable[[Request], object]:
    """Return what Starlette calls for a page.

    Args:
        kiosk: the parts.
        handler: makes the answer.
        keeps: the page needs the code or the receipt; every other page lets go of them.
        asks: the page asks by itself, so it keeps no session alive and waits for nobody.
        starts: the page may be the first of somebody whose session is over.
    """

    async def answer(request: Request) -> Response:
        form = await read_fields(request, FIELDS) if request.method == "POST" else {}
        serve = partial(_serve, kiosk, request, handler, form, keeps=keeps, asks=asks, starts=starts)
        return await run_in_threadpool(serve)

    return answer


def _serve(
    kiosk: Kiosk,
    request: Request,
    handler: Handler,
    form: dict[str, tuple[str, ...]],
    *,
    keeps: bool,
    asks: bool,
    starts: bool,
) -> Response:
    cookie = request.cookies.get(COOKIE)
    session = kiosk.sessions.find(cookie, touch=not asks)
    changes = request.method == "POST"
    secure = request.url.scheme == "https"
    if session is None:
        if asks:
            return Response(status_code=204)
        if request.headers.get("sec-fetch-site") == "cross-site":  # a page from elsewhere begins no session here
            stranger = Session(kiosk.shop.languages[0])
            page = show(
                kiosk,
                stranger,
                "problem.html",
                "problem.title",
                403,
                at="/",
                text="problem.forged",
                again={},
                path="/",
                bare=True,
            )
            del page.headers["set-cookie"]
            return page
        over = kiosk.sessions.language_of(cookie)
        session = kiosk.sessions.begin(over if over is not None and not starts else kiosk.shop.languages[0])
        if changes or (over is not None and not starts):
            return Tap(kiosk, session, "/", secure).problem("lapsed", 410)
    tap = Tap(kiosk, session, request.url.path, secure, form)
    if changes and not hmac.compare_digest(tap.value("csrf").encode(), session.csrf.encode()):
        return tap.problem("forged", 403)
    if asks:
        return _careful(tap, handler)
    with session.lock:  # a second tap waits for the first, and finds it done
        if "attempt" in form and tap.value("attempt") != session.attempt.id:
            return tap.problem("old_form", 409)
        if not keeps:
            session.let_go()
        return _careful(tap, handler)


def _careful(tap: Tap, handler: Handler) -> Response:
    try:
        return handler(tap)
    except (ConsentError, sqlite3.Error, OSError) as error:
        cause = error if isinstance(error, sqlite3.Error | OSError) else error.__cause__
        if isinstance(cause, sqlite3.OperationalError | OSError):
            full = "locked" not in str(cause) and "busy" not in str(cause)
            _log.warning("the ledger does not answer: %s", cause)
            key = "ledger_stop" if tap.path.startswith(("/stop", "/object")) else "ledger_busy"
            again = tap.form or {}
            key = "disk_full" if isinstance(error, DiskFullError) else "ledger_full" if full else key
            return tap.problem(key, 503, again=again, unsure=tap.session.attempt.unsure)
        _log.warning("refused: %s", error)
        return tap.problem("refused", 409)
