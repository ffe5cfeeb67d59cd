"""Files that a page hands out: each to the session that it was made for, while its desk may have it; to nobody else.

Rules:
- A file lies in memory under a random number, and is gone half an hour after its page was last drawn.
- Session and desk are looked up anew when it is fetched; a fetch that may not be is a denial, and one of something
  about shoppers is in the log before a byte leaves.
- It is never drawn: it comes as a file to keep, and no cache may hold it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent.access import Access, DeniedError
from consent.desks import Action, Refusal
from consent.signin.gate import SESSION_HEADER

PLACE = "/handout/"
KEPT_S = 1800.0
MOST = 256  # files at once; the one offered longest ago makes room

Made = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class _File:
    session: str
    action: Action
    name: str
    kind: str
    make: Made
    until_s: float


class Handouts:
    """What is handed out just now.

    Args:
        access: who may have it.
        clock: seconds that only grow.
    """

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access, self._clock = access, clock
        self._numbers: dict[tuple[str, str], str] = {}  # by session and name
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()

    def offer(self, session: str, action: Action, name: str, kind: str, make: Made) -> str:
        """Offer a file to a session, in place of what it was offered under this name; return its address.

        Args:
            session: hash of the session's token, hex.
            action: what somebody must be allowed in order to have it.
            name: of the file.
            kind: its media type.
            make: returns what is in it, when it is fetched.
        """
        with self._lock:
            now_s = self._clock()
            for number in [number for number, one in self._files.items() if one.until_s <= now_s]:
                self._forget(number)
            number = self._numbers.setdefault((session, name), secrets.token_urlsafe(16))
            self._files[number] = _File(session, action, name, kind, make, now_s + KEPT_S)
            self._files.move_to_end(number)
            if len(self._files) > MOST:
                self._forget(next(iter(self._files)))
        return f"{PLACE}{number}"

    def _forget(self, number: str) -> None:
        gone = self._files.pop(number)
        self._numbers.pop((gone.session, gone.name), None)

    def route(self) -> Route:
        """Return the way to the files; it must lie behind the gate, which names the session."""
        return Route(f"{PLACE}{{number}}", self._fetch, methods=["GET"])

    async def _fetch(self, request: Request) -> Response:
        session = request.headers.get(SESSION_HEADER, "")
        with self._lock:
            found = self._files.get(request.path_params["number"])
        if found is None or found.until_s <= self._clock():
            return PlainTextResponse("this file is not offered any more; open its page again", 404)
        try:
            who = await run_in_threadpool(self._access.who, bytes.fromhex(session))
            if who is not None and not secrets.compare_digest(found.session, session):
                self._access.log.denied(Refusal.ACTION, account=who.account, action=found.action)
                return PlainTextResponse("this file was made for somebody else; that you asked is in the log", 403)
            await run_in_threadpool(self._access.require, who, found.action)
        except DeniedError as error:
            return PlainTextResponse(str(error), 403)
        disposition = f"attachment; filename*=utf-8''{quote(found.name, safe='')}"
        data = await run_in_threadpool(found.make)
        return Response(data, headers={"content-disposition": disposition}, media_type=found.kind)
