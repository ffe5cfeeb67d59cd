"""What a shopper sees: start, the code, the camera, the price, the voucher.

Rules:
- The button beside the camera gives the whole discount at once, to everybody, with a consent or without; it is as large
  as the other and stands beside it wherever the camera is. A discount for a face alone would be a price for a yes.
- The camera is turned on by a tap of the shopper, in the browser. Before every picture is looked at, the ledger is
  asked whether a live grant for a smile stands behind it, and again before the price moves: without one, or once it is
  over or taken back, the camera stops and what was seen counts for nothing.
- A picture comes as the bare body of a request, `reader.MOST_BYTES` at most, and is let go with the answer. There is no
  form with a file in it: those are spooled to disk.
- The price never rises again within a turn, falls for a smile that two pictures in a row show, and not below the floor.
- One voucher a session, and one a day under a code. `consent.vouchers` holds the budget and forgets the rest.
- Under a level that allows no smile these pages do not exist.

The nets are loaded by the first start. Nothing here writes but the voucher.
"""

from __future__ import annotations

import hmac
import logging
import threading
from dataclasses import dataclass, field

from jinja2 import ChoiceLoader, PackageLoader
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.routing import Mount as Folder
from starlette.staticfiles import StaticFiles

from analytics.config import ConfigError
from analytics.smile.offer import Offer
from analytics.smile.reader import MOST_BYTES, NET, BusyError, Look, PictureError, Reader, Seen
from analytics.smile.till import till
from analytics.state import State
from consent import receipts
from consent.events import ConsentError, Level, Purpose
from consent.kiosk import holder
from consent.kiosk.app import Mount, page
from consent.kiosk.messages import Messages
from consent.kiosk.session import Bucket, Session
from consent.kiosk.tap import COOKIE, Beside, Handler, Kiosk, Tap
from consent.ledger import Ledger
from consent.vouchers import FOLDER, SpentError, TakenError, Voucher, VoucherError, Vouchers, show

PICTURES, PICTURES_PER_S = 6, 4.0  # of one turn, at once and in the long run
BUTTONS, BUTTONS_PER_S = 10, 1 / 10  # vouchers of one kiosk, so that nobody empties the day's budget by tapping
TURN_S = 60.0  # that the camera is looked through after a tap
CAMERA = {"permissions-policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"}
_PLACES = frozenset({"/smile", "/smile/code", "/smile/camera", "/smile/voucher"})
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """One turn of one shopper before the tablet; in memory, and gone with the session.

    Attributes:
        subject: whose consent lets the camera be looked through, None where only the button is used.
        until_s: until when, on the kiosk's clock; None before the first picture.
        last: degree of the smile in the picture before.
        best: the degree that two pictures in a row had, the highest of them; it makes the price.
        looked: pictures looked at.
        voucher: once it is given.
        pace: limits its pictures.
        busy: held while one of them is looked at.
    """

    subject: bytes | None = field(default=None, repr=False)
    until_s: float | None = None
    last: float = 0.0
    best: float = 0.0
    looked: int = 0
    voucher: Voucher | None = field(default=None, repr=False)
    pace: Bucket = field(default_factory=lambda: Bucket(PICTURES, PICTURES_PER_S))
    busy: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def saw(self, look: Look) -> None:
        """Take one picture into account."""
        self.looked += 1
        self.best = max(self.best, min(self.last, look.degree))
        self.last = look.degree


def mounted(state: State, ledger: Ledger) -> Mount:
    """Return what hangs the pages of a shop into its kiosk.

    Raises:
        ConfigError: `store.toml` has no ``[smile]``.
        ConsentError: the kiosk holds no key for vouchers.
        ModelError: the shop's own expression file reads no smile.
    """
    if state.store.smile is None:
        raise ConfigError("store.toml has no table [smile]; see docs/smile.md for one")
    vouchers = Vouchers(state.root / FOLDER, ledger.keys, state.store.timezone)
    own = state.store.expression.file(state.root)
    if own is not None and state.store.store.level >= Level.EMOTION:
        from analytics.reading import checked

        checked(own, smile=True)
    return smile(state.store.smile.offer(), vouchers, Reader(own or NET))


def smile(offer: Offer, vouchers: Vouchers, reader: Reader) -> Mount:
    """Return what hangs the pages into a kiosk; see `consent.kiosk.app.kiosk`."""
    return lambda kiosk: Smile(kiosk, offer, vouchers, reader).routes()


class Smile:
    """The pages of one kiosk."""

    def __init__(self, kiosk: Kiosk, offer: Offer, vouchers: Vouchers, reader: Reader) -> None:
        self._kiosk, self._offer, self._vouchers, self._reader = kiosk, offer, vouchers, reader
        self._buttons = Bucket(BUTTONS, BUTTONS_PER_S)

    def routes(self) -> list[BaseRoute]:
        """Hang the pages in, and return their routes."""
        kiosk = self._kiosk
        kiosk.beside += (Beside("/smile", "smile.link", _PLACES, Purpose.SMILE),)
        own = PackageLoader("analytics.smile")
        kiosk.pages.loader = own if kiosk.pages.loader is None else ChoiceLoader([kiosk.pages.loader, own])
        pages: tuple[tuple[str, Handler | None, Handler | None, bool], ...] = (
            ("/smile", self._start, None, True),
            ("/smile/start", None, self._begin, False),
            ("/smile/code", self._code, self._coded, False),
            ("/smile/key", None, self._key, False),
            ("/smile/camera", self._camera, None, False),
            ("/smile/take", None, self._take, False),
            ("/smile/button", None, self._button, False),
            ("/smile/voucher", self._shown, None, False),
        )
        return [
            *(
                page(kiosk, path, self._where(get), self._where(post), keeps=True, starts=s)
                for path, get, post, s in pages
            ),
            Route("/smile/picture", self._picture, methods=["POST"]),
            Folder("/smile/static", StaticFiles(packages=[("analytics.smile", "static")])),
            till(kiosk, self._offer, self._vouchers),
        ]

    def _where(self, handler: Handler | None) -> Handler | None:
        """Return a handler that is there only where the level allows a smile."""
        if handler is None:
            return None

        def there(tap: Tap) -> Response:
            if not tap.kiosk.shop.level().allows(Purpose.SMILE):
                raise HTTPException(404)
            return handler(tap)

        return there

    # start

    def _start(self, tap: Tap) -> Response:
        turn = _turn(tap.session)
        if turn.voucher is not None:
            return tap.go("/smile/voucher")
        return self._page(tap, "start", "smile.title")

    def _begin(self, tap: Tap) -> Response:
        turn = _turn(tap.session)
        if turn.voucher is not None:
            return tap.go("/smile/voucher")
        subject = turn.subject or tap.session.subject
        if subject is None or not self._permitted(subject):
            turn.subject = None
            return tap.go("/smile/code")
        return self._let(tap, subject)

    def _let(self, tap: Tap, subject: bytes) -> Response:
        """Let somebody with a live grant come to the camera."""
        if self._vouchers.had_one(subject, now_us=tap.now_us):
            return self._told(tap, "smile.had_one", 409)
        self._reader.load()
        tap.session.beside = Turn(subject=subject)
        return tap.go("/smile/camera")

    # the code

    def _code(self, tap: Tap) -> Response:
        typed, tap.session.typed = tap.session.typed, ""
        return holder.code_page(tap, "smile/code.html", "smile.code_title", typed=typed)

    def _key(self, tap: Tap) -> Response:
        tap.at = "/smile/code"
        typed, pressed = holder.typed_on(tap), tap.value("key")
        return holder.code_page(tap, "smile/code.html", "smile.code_title", typed=typed, pressed=pressed)

    def _coded(self, tap: Tap) -> Response:
        tap.at = "/smile/code"
        found = holder.find_code(tap, "smile/code.html", "smile.code_title")
        if isinstance(found, Response):
            return found
        subject = self._kiosk.ledger.find(found)
        if not self._permitted(subject):
            return self._told(tap, "smile.no_grant", 403)
        return self._let(tap, subject)

    def _permitted(self, subject: bytes) -> bool:
        kiosk = self._kiosk
        return Purpose.SMILE in kiosk.ledger.permits(subject, kiosk.now_us(), level=kiosk.shop.level())

    # the camera

    def _camera(self, tap: Tap) -> Response:
        turn = _turn(tap.session)
        if turn.voucher is not None:
            return tap.go("/smile/voucher")
        if turn.subject is None:
            return tap.go("/smile")
        turn.until_s = None
        answer = self._page(tap, "camera", "smile.camera_title")
        answer.headers.update(CAMERA)
        return answer

    async def _picture(self, request: Request) -> Response:
        """Look at one picture of the camera; the answer is for the page's script."""
        asked = await run_in_threadpool(self._asked, request)
        if isinstance(asked, Response):
            return asked
        session, turn, subject = asked
        if not turn.busy.acquire(blocking=False):
            return Response(status_code=429, headers={"retry-after": "1"})
        try:
            jpeg = await _body(request)
            return await run_in_threadpool(self._look, session, turn, subject, jpeg)
        finally:
            turn.busy.release()

    def _asked(self, request: Request) -> tuple[Session, Turn, bytes] | Response:
        """Return whose picture comes, or the answer that it is not looked at; before a byte of it is read."""
        kiosk = self._kiosk
        session = kiosk.sessions.find(request.cookies.get(COOKIE), touch=False)
        if session is None or not kiosk.shop.level().allows(Purpose.SMILE):
            raise HTTPException(404)
        if not hmac.compare_digest(request.headers.get("x-csrf", "").encode(), session.csrf.encode()):
            raise HTTPException(403)
        if request.headers.get("content-type", "").strip().lower() != "image/jpeg":
            raise HTTPException(415)
        turn, now_s = session.beside, kiosk.clock()
        if not isinstance(turn, Turn) or turn.subject is None or turn.voucher is not None:
            return _stopped(session, "smile.start_again")
        turn.until_s = now_s + TURN_S if turn.until_s is None else turn.until_s
        if now_s >= turn.until_s:
            return _stopped(session, "smile.paused")
        if not turn.pace.take(now_s):
            return Response(status_code=429, headers={"retry-after": "1"})
        return session, turn, turn.subject

    def _look(self, session: Session, turn: Turn, subject: bytes, jpeg: bytes) -> Response:
        say = Messages.load(session.language)
        try:
            # asked again afterwards: the yes may have been taken back while the picture was looked at
            look = self._reader.look(jpeg) if self._permitted(subject) else None
            if look is None or not self._permitted(subject):
                turn.subject, turn.best, turn.last = None, 0.0, 0.0
                return _stopped(session, "smile.no_grant")
        except PictureError:
            raise HTTPException(422) from None
        except BusyError:
            return Response(status_code=503, headers={"retry-after": "1"})
        except ConsentError as error:  # the ledger does not answer: nothing is known to be allowed
            _log.warning("no picture was looked at: %s", error)
            return Response(status_code=503)
        turn.saw(look)
        worth = self._offer.worth(turn.best)
        whole = worth == self._offer.whole
        text = "smile.floor" if whole else "smile.falling" if worth and look.seen is Seen.FACE else f"smile.{look.seen}"
        return JSONResponse(
            {
                "seen": look.seen.value,
                "text": say(text),
                "price": self._offer.text(self._offer.price - worth, session.language),
                "worth": worth,
                "looked": turn.looked,
            }
        )

    # the voucher

    def _take(self, tap: Tap) -> Response:
        turn = _turn(tap.session)
        if turn.voucher is None and (turn.subject is None or not self._permitted(turn.subject)):
            turn.subject = None
            return self._told(tap, "smile.no_grant", 403)
        worth = self._offer.worth(turn.best)
        if turn.voucher is None and worth == 0:
            return tap.go("/smile/camera")
        return self._give(tap, turn, worth)

    def _button(self, tap: Tap) -> Response:
        return self._give(tap, _turn(tap.session), self._offer.whole)

    def _give(self, tap: Tap, turn: Turn, worth: int) -> Response:
        if turn.voucher is not None:
            return tap.go("/smile/voucher")
        if not self._buttons.take(self._kiosk.clock()):
            return tap.problem("too_fast", 429, again=tap.form)
        try:
            turn.voucher = self._vouchers.issue(
                worth,
                budget=self._offer.budget,
                minutes=self._offer.minutes,
                now_us=tap.now_us,
                subject=turn.subject or tap.session.subject,
            )
        except SpentError:
            return self._told(tap, "smile.spent", 409)
        except TakenError:
            return self._told(tap, "smile.had_one", 409)
        except VoucherError as error:
            _log.warning("no voucher was given: %s", error)
            return self._told(tap, "smile.busy", 503)
        turn.subject = None  # the camera has nothing more to do
        return tap.go("/smile/voucher")

    def _shown(self, tap: Tap) -> Response:
        voucher = _turn(tap.session).voucher
        if voucher is None:
            return tap.go("/smile")
        return self._page(
            tap,
            "voucher",
            "smile.voucher_title",
            code=show(voucher.code),
            qr=receipts.qr_svg(show(voucher.code), title=tap.say("smile.voucher_title")),
            worth=self._offer.text(voucher.worth, tap.session.language),
            pays=self._offer.text(self._offer.price - voucher.worth, tap.session.language),
            until=tap.moment(voucher.until_us),
        )

    def _page(self, tap: Tap, name: str, title: str, status: int = 200, **values: object) -> Response:
        offer, language, turn = self._offer, tap.session.language, _turn(tap.session)
        return tap.page(
            f"smile/{name}.html",
            title,
            status,
            item=offer.item,
            price=offer.text(offer.price, language),
            now=offer.text(offer.price - offer.worth(turn.best), language),
            floor=offer.text(offer.floor, language),
            off=offer.text(offer.whole, language),
            offer=offer,
            fallen=offer.worth(turn.best),
            seconds=int(TURN_S),
            **values,
        )

    def _told(self, tap: Tap, text: str, status: int) -> Response:
        return self._page(tap, "told", "smile.title", status, text=text)


def _turn(session: Session) -> Turn:
    """Return the turn of a session; a new one where there is none."""
    if not isinstance(session.beside, Turn):
        session.beside = Turn()
    return session.beside


def _stopped(session: Session, text: str) -> Response:
    """Tell the page's script to turn the camera off."""
    return JSONResponse({"stop": True, "text": Messages.load(session.language)(text)}, 403)


async def _body(request: Request) -> bytes:
    """Return a body, in memory; one that is too long ends the request before it is whole."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise HTTPException(413)
    except ClientDisconnect as error:
        raise HTTPException(400) from error
    return bytes(body)
