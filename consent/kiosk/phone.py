"""The page that shoppers' phones reach: withdraw, look, and take the record along. Nobody can say yes here.

Rules:
- A code travels in the URL fragment, which no browser sends, or is typed; then only in the bodies of forms. It stands
  in no address that is asked for, no log, cookie, title or header, and a script takes it out of the address bar and the
  tab's history at once. The phone's own browser has by then noted the scanned address in its history: docs/phone.md.
- There is no session and no cookie: whoever has the code may act, whoever has not can do nothing. So there is nothing
  that a foreign page could make a phone do.
- Nothing here can write a consent down. The process holds no key to do so (`Role.PHONE`), the ledger refuses the
  channel, and there is no such page.
- Only look-ups that fail are limited, for each address apart, so that nobody can keep another from stopping.
- It is served over TLS or not at all: `listener` does that.

It works without a script. What happens after a withdrawal is the keeper's business.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from consent.database import DiskFullError
from consent.events import Channel, ConsentError, State
from consent.kiosk.door import Door
from consent.kiosk.form import read_form
from consent.kiosk.messages import Messages, pick
from consent.kiosk.notice import NoticeError, missing, notice
from consent.kiosk.pace import Pace
from consent.kiosk.settings import Shop
from consent.ledger import Ledger, Standing, UnknownCodeError
from consent.record import record
from consent.subjects import read_secret

MISSES, MISSES_PER_S = 10, 1 / 6  # failed look-ups of one address, at once and in the long run
WAIT_S = 3.0  # for a ledger that another process holds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATIC = Path(__file__).parent / "static"
_PROBLEMS = {404: "not_found", 405: "wrong_method", 413: "too_large", 421: "foreign", 403: "forged"}
_ENDED = {
    State.WITHDRAWN: "state.withdrawn",
    State.REVOKED: "state.revoked",
    State.INVALIDATED: "state.invalidated",
    State.OBJECTED: "state.objected",
}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Visit:
    """One request: its parts, its language, and what was sent."""

    shop: Shop
    ledger: Ledger
    path: str
    now_us: int
    now_s: float
    address: str
    say: Messages
    misses: Pace
    pages: jinja2.Environment
    form: Mapping[str, str] = field(repr=False)

    def page(self, template: str, heading: str, status: int = 200, **values: object) -> Response:
        """Return a page; `code` is put back into its forms, and nowhere else."""
        html = self.pages.get_template(f"phone/{template}.html").render(
            say=self.say,
            heading=heading,
            name=self.shop.name,
            noticed=not missing(self.shop),
            languages=[Messages.load(code) for code in self.shop.languages],
            code=self.form.get("code", "")[:80],
            **values,
        )
        return HTMLResponse(html, status, headers={"content-language": self.say.language})

    def start(self, status: int = 200, problem: str | None = None) -> Response:
        """Return the first page, with what is wrong with the code, if anything is."""
        return self.page("start", "phone.title", status, problem=problem)

    def moment(self, t_us: int) -> str:
        """Return day and time of an instant in the shop."""
        return self.say.moment((_EPOCH + timedelta(microseconds=t_us)).astimezone(self.shop.timezone))


class _NoCodeError(Exception):
    """There is no code to act on; carries the page that says so."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def phone(
    shop: Shop,
    ledger: Ledger,
    *,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """Return the page for phones.

    Args:
        shop: see `Shop`; its `public_url` is the only address under which the page answers.
        ledger: opened with `Role.PHONE`.
        now_us: UTC microseconds, for what is written down.
        clock: seconds that only grow, for the limit on failed look-ups.

    Raises:
        ConsentError: the shop has no https address for phones.
    """
    host = urlsplit(shop.public_url or "")
    if host.scheme != "https" or not host.hostname:
        raise ConsentError("phones come by https only: give public_url under [phone] as https://…")
    ledger.wait_at_most(WAIT_S)
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("consent.kiosk"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    misses = Pace(MISSES, MISSES_PER_S)

    def visit(request: Request, form: Mapping[str, str]) -> Visit:
        asked = form.get("lang") or request.query_params.get("lang", "")
        language = asked if asked in shop.languages else _liked(request, shop)
        address = request.client.host if request.client else ""
        say = Messages.load(language)
        return Visit(shop, ledger, request.url.path, now_us(), clock(), address, say, misses, pages, form)

    def page(handler: Callable[[Visit], Response]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            form = await read_form(request) if request.method == "POST" else {}
            return await run_in_threadpool(_careful, handler, visit(request, form))

        return answer

    def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        usual = "wrong_method" if status < 500 else "phone.busy"
        return _problem(visit(request, {}), _PROBLEMS.get(status, usual), status)

    def refuse(request: Request, key: str, status: int) -> Response:
        return _problem(visit(request, {}), key, status)

    def file(name: str) -> Callable[[Request], object]:
        return lambda _: FileResponse(_STATIC / name, headers={"cache-control": "no-cache"})

    app = Starlette(
        routes=[
            Route("/", page(Visit.start), methods=["GET"]),
            Route("/w", page(Visit.start), methods=["GET", "POST"]),
            Route("/sure", page(_sure), methods=["POST"]),
            Route("/stop", page(_stop), methods=["POST"]),
            Route("/show", page(_show), methods=["POST"]),
            Route("/record", page(_record), methods=["POST"]),
            Route("/notice", page(_notice), methods=["GET"]),
            *(Route(f"/static/{name}", file(name), methods=["GET"]) for name in ("phone.css", "phone.js")),
        ],
        middleware=[Middleware(Door, hosts=[host.hostname], refuse=refuse)],
        exception_handlers={HTTPException: failed, Exception: failed},
    )
    app.router.redirect_slashes = False  # it would answer with a whole address, made of what the request says
    return app


def _liked(request: Request, shop: Shop) -> str:
    return pick(request.headers.get("accept-language", ""), shop.languages)


def _careful(handler: Callable[[Visit], Response], visit: Visit) -> Response:
    try:
        return handler(visit)
    except _NoCodeError as none:
        return none.answer
    except (ConsentError, sqlite3.Error, OSError) as error:
        _log.warning("the phone page could not answer: %s", error)
        key = "disk_full" if isinstance(error, DiskFullError) else "phone.busy"
        return _problem(visit, key, 503, again=visit.path)


def _problem(visit: Visit, key: str, status: int, *, again: str | None = None) -> Response:
    """Return a page that says what is wrong; `again` is where the same form can be sent once more."""
    text = visit.say(key if "." in key else f"problem.{key}")
    return visit.page("problem", "problem.title", status, text=text, again=again)


def _code(visit: Visit) -> tuple[str, bytes]:
    """Return the code that was sent, and whose it is."""
    try:
        code = read_secret(visit.form.get("code", "")[:300].rpartition("#")[2])
    except ConsentError as error:
        raise _NoCodeError(visit.start(422, visit.say("code.wrong_form"))) from error
    try:
        return code, visit.ledger.find(code)
    except UnknownCodeError as error:
        _log.info("a code that nobody is known under was tried on the page for phones")
        wait_s = visit.misses.wait_s(visit.address, visit.now_s)
        if wait_s == 0:
            raise _NoCodeError(visit.start(422, visit.say("code.unknown"))) from error
        answer = visit.start(429, visit.say("code.too_many", seconds=wait_s))
        answer.headers["retry-after"] = str(wait_s)
        raise _NoCodeError(answer) from error


def _sure(visit: Visit) -> Response:
    _, subject = _code(visit)
    live = [s for s in visit.ledger.standing(subject) if s.state.permits and s.until_us > visit.now_us]
    return visit.page("sure", "phone.sure", live=[visit.say(f"purpose.{s.purpose}") for s in live])


def _stop(visit: Visit) -> Response:
    code, _ = _code(visit)
    done = visit.ledger.withdraw(code, now_us=visit.now_us, channel=Channel.PHONE)
    ended = [visit.say(f"purpose.{p}") for p in sorted(done.purposes)]
    return visit.page("done", "stopped.title", ended=ended, entry=done.leaf_index)


def _show(visit: Visit) -> Response:
    _, subject = _code(visit)
    newest = visit.ledger.newest_checkpoint()
    signed = 0 if newest is None else newest[1].size
    return visit.page(
        "show",
        "know.title",
        standing=[
            (visit.say(f"purpose.{s.purpose}"), _state(visit, s), visit.moment(s.given_us))
            for s in visit.ledger.standing(subject)
        ],
        entries=[
            (r.leaf_index, visit.moment(r.at_us), visit.say(f"event.{r.kind}"), r.leaf_index < signed)
            for r in visit.ledger.records_of(subject)
        ],
    )


def _state(visit: Visit, standing: Standing) -> str:
    if standing.state.permits and standing.until_us > visit.now_us:
        return visit.say("state.given", until=visit.moment(standing.until_us))
    return visit.say(
        _ENDED.get(standing.state, "state.expired"), ended=visit.moment(standing.ended_us or standing.until_us)
    )


def _record(visit: Visit) -> Response:
    code, _ = _code(visit)
    told = json.dumps(record(visit.ledger, code, visit.shop), indent=2, ensure_ascii=False)
    headers = {"content-disposition": 'attachment; filename="consent-record.json"'}
    return Response(told, headers=headers, media_type="application/ld+json")


def _notice(visit: Visit) -> Response:
    try:
        told = notice(visit.shop, visit.say)
    except NoticeError:
        return _problem(visit, "not_found", 404)
    return visit.page("notice", "frame.notice", notice=told)
