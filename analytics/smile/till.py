"""The till: a code is typed or scanned, and is good once.

Rules:
- Only a till that was paired as one (`openaisle kiosk --pair-till`) may redeem; the tablets that shoppers touch may
  not.
- A till has no session, so that none of its pages is ever too old. A form carries a token of the till's own key, and a
  number of its own: the same form sent again by the same till with the same code, because no answer came, is told
  what it was told. Another code under that number is redeemed like any other.
- An answer is one of four, in large letters. Where the shop's computer does not answer, nothing is taken off: the page
  says so before it sends anything.
- Codes that nobody was given are limited; right ones never are, so that nobody can hold a till up.

It is there while ``[smile]`` stands in `store.toml`, under any level: a voucher that was given is honoured.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from analytics.smile.offer import Offer
from consent.events import ConsentError
from consent.kiosk import pairing
from consent.kiosk.app import TABLET
from consent.kiosk.form import read_form
from consent.kiosk.messages import pick
from consent.kiosk.session import Bucket, Session
from consent.kiosk.tap import Kiosk, show
from consent.vouchers import Answer, Redeemed, VoucherError, Vouchers, read

WRONG, WRONG_PER_S = 20, 1 / 3  # codes that nobody was given
_REMEMBERED = 256  # forms whose answer is remembered, for one that is sent again
_log = logging.getLogger(__name__)


def till(kiosk: Kiosk, offer: Offer, vouchers: Vouchers) -> BaseRoute:
    """Return the route of the till."""
    return Route("/till", _Till(kiosk, offer, vouchers).answer, methods=["GET", "POST"])


class _Till:
    def __init__(self, kiosk: Kiosk, offer: Offer, vouchers: Vouchers) -> None:
        self._kiosk, self._offer, self._vouchers = kiosk, offer, vouchers
        self._wrong = Bucket(WRONG, WRONG_PER_S)
        self._answered: OrderedDict[bytes, Redeemed] = OrderedDict()
        self._lock = threading.Lock()

    async def answer(self, request: Request) -> Response:
        form = await read_form(request) if request.method == "POST" else {}
        return await run_in_threadpool(self._answer, request, form)

    def _answer(self, request: Request, form: Mapping[str, str]) -> Response:
        paired, key = self._kiosk.shop.paired, request.cookies.get(TABLET, "")
        try:
            ours = paired is not None and pairing.is_paired(paired, key, till=True)
        except ConsentError as error:
            _log.warning("%s", error)
            ours = False
        if not ours:
            return self._page(request, key, 403, problem="till.unpaired", shut=True)
        if request.method != "POST":
            return self._page(request, key)
        if not hmac.compare_digest(form.get("token", "").encode(), _token(key).encode()):
            return self._page(request, key, 403, problem="problem.forged")
        try:
            with self._lock:
                found = self._redeem(key, form.get("number", "")[:64], form.get("code", ""))
        except VoucherError as error:
            _log.warning("%s", error)
            # the same number again: whether it was redeemed or not, the next answer is the right one
            return self._page(request, key, 503, problem="till.busy", again=form)
        if found is None:
            return self._page(request, key, 429, problem="till.too_many")
        return self._page(request, key, told=found)

    def _redeem(self, key: str, number: str, typed: str) -> Redeemed | None:
        """Redeem a code, once for each form of a till; None where it is wrong, and too many wrong ones were tried."""
        sent = _sent(key, number, read(typed) or "")
        if number and sent in self._answered:
            return self._answered[sent]
        found = self._vouchers.redeem(typed, now_us=self._kiosk.now_us())
        if found.answer is Answer.UNKNOWN:
            return found if self._wrong.take(self._kiosk.clock()) else None
        if number:
            self._answered[sent] = found
            while len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        return found

    def _page(
        self,
        request: Request,
        key: str,
        status: int = 200,
        *,
        problem: str = "",
        told: Redeemed | None = None,
        shut: bool = False,
        again: Mapping[str, str] | None = None,
    ) -> Response:
        shop = self._kiosk.shop
        session = Session(pick(request.headers.get("accept-language", ""), shop.languages))
        again = again or {}
        answer = show(
            self._kiosk,
            session,
            "smile/till.html",
            "till.title",
            status,
            at="/till",
            bare=True,
            problem=problem,
            shut=shut,
            told=told,
            worth="" if told is None else self._offer.text(told.worth, session.language),
            item=self._offer.item,
            token="" if shut else _token(key),
            number=again.get("number", "")[:64] or secrets.token_urlsafe(16),
            typed=again.get("code", "")[:40],
        )
        del answer.headers["set-cookie"]  # a till has no session
        return answer


def _token(key: str) -> str:
    return hmac.new(key.encode(), b"openaisle till form v1", hashlib.sha256).hexdigest()


def _sent(key: str, number: str, code: str) -> bytes:
    """Return what one form of one till with one code is remembered by; a digest, for a code is kept nowhere."""
    return hmac.digest(key.encode(), f"openaisle till answer v1 {code} {number}".encode(), "sha256")
