"""Fetches withdrawals from the mailbox outside the shop: the only connection that openaisle ever makes outward.

Rules:
- Off unless `store.toml` names a mailbox. It calls that host and no other, over https with the certificate checked,
  follows no redirect, and reads no more than a page of letters could be.
- A letter is acknowledged only when its withdrawal is committed. One that comes again changes nothing: its number is
  the operation id, and it ends only what was given before it was posted, give or take `SKEW_US`.
- A mailbox that is lost, full of junk or lying costs time and nothing else: it can hand in codes, and a code can only
  withdraw.
- Nothing of a letter is logged but counts.

The form of letters is in `letters`, the mailbox itself in `kiosk.letterbox`.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from consent import tls
from consent.events import Channel, ConsentError
from consent.ledger import Ledger, UnknownCodeError
from consent.letters import PAGE, Letter
from consent.logs import plain

SKEW_US = 3_600_000_000  # how wrong the mailbox's clock may be; an hour
MOST_AT_ONCE = 2_000  # letters in one round; ours, so that a flood cannot hold the thread for ever
LONGEST_WAIT_S = 600.0  # between two tries while the mailbox does not answer
_LONGEST_PAGE = PAGE * 400
_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


class PostError(ConsentError):
    """The mailbox could not be emptied; it is tried again."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did, in numbers.

    Attributes:
        withdrawn: letters that ended a consent.
        idle: letters whose code is known and has nothing to end any more.
        unknown: letters with a code that nobody is known under.
        junk: letters that did not open.
    """

    withdrawn: int = 0
    idle: int = 0
    unknown: int = 0
    junk: int = 0

    @property
    def letters(self) -> int:
        """How many letters were dealt with."""
        return self.withdrawn + self.idle + self.unknown + self.junk


class Mailpost:
    """The way to one mailbox.

    Args:
        ledger: opened with `Role.KEEPER`.
        url: https address of the mailbox.
        authority: file with the certificate that its certificate must follow from; None for the machine's own.

    Raises:
        ConsentError: the address is not https, or the file holds no certificate.
    """

    def __init__(self, ledger: Ledger, url: str, authority: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise PostError("the mailbox is called by https only: give url under [mailbox] as https://…")
        self._ledger, self._origin = ledger, url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port or 443
        self._context = tls.context(authority)

    def fetch(self, now_us: Callable[[], int], stop: threading.Event | None = None) -> Round:
        """Empty the mailbox, or take `MOST_AT_ONCE` letters out of it.

        Args:
            now_us: returns UTC microseconds.
            stop: ends it between two pages.

        Raises:
            PostError: the mailbox does not answer as it should.
            ConsentError: the ledger could not be written; the letters stay where they are.
        """
        counts = {"withdrawn": 0, "idle": 0, "unknown": 0, "junk": 0}
        while sum(counts.values()) < MOST_AT_ONCE and not (stop is not None and stop.is_set()):
            page = self._page()
            for _, sealed in page:
                counts[self._deal(sealed, now_us())] += 1
            if page:
                self._ask("POST", {"ids": json.dumps([number for number, _ in page])})
            if len(page) < PAGE:
                break
        return Round(**counts)

    def _deal(self, sealed: bytes, now_us: int) -> str:
        try:
            letter = Letter.open(sealed, self._ledger.keys)
        except ConsentError:
            return "junk"
        try:
            subject = self._ledger.find(letter.code)
        except UnknownCodeError:
            return "unknown"
        latest = letter.posted_us + SKEW_US
        due = [s.purpose for s in self._ledger.standing(subject) if s.state.permits and s.given_us <= latest]
        if not due:
            return "idle"
        done = self._ledger.withdraw(
            letter.code, now_us=now_us, purposes=due, channel=Channel.PHONE, operation=letter.number
        )
        return "withdrawn" if done.purposes else "idle"

    def _page(self) -> list[tuple[int, bytes]]:
        try:
            rows = json.loads(self._ask("GET"))
            return [(int(number), base64.b64decode(sealed, validate=True)) for number, sealed in rows[:PAGE]]
        except (ValueError, TypeError) as error:
            raise PostError(f"{self._origin} does not answer as a mailbox does; check url under [mailbox]") from error

    def _ask(self, method: str, form: dict[str, str] | None = None) -> bytes:
        body = None if form is None else urlencode(form).encode("ascii")
        try:
            for token in self._ledger.keys.mailbox_tokens():
                line = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._context)
                try:
                    line.request(method, "/letters", body, self._headers(token, form is not None))
                    answer = line.getresponse()
                    told = answer.read(_LONGEST_PAGE + 1)
                finally:
                    line.close()
                if answer.status in (200, 204) and len(told) <= _LONGEST_PAGE:
                    return told
                if answer.status != 401:  # 401: it was set up with an older key
                    raise PostError(f"{self._origin} answers with status {answer.status}; look at the mailbox")
        except ssl.SSLCertVerificationError as error:
            raise PostError(
                f"{self._origin} shows a certificate that nobody here trusts: {error.verify_message}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise PostError(f"{self._origin} cannot be reached ({error}); withdrawals posted there wait") from error
        raise PostError(f"{self._origin} does not know this store's key; set it up with `openaisle mailbox line` again")

    def _headers(self, token: bytes, sends: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token.hex()}", "Accept": "application/json"}
        if sends:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._origin}
        return headers

    @contextmanager
    def fetching(self, every_s: float, now_us: Callable[[], int]) -> Iterator[None]:
        """Fetch again and again, in a thread of its own, until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(
            target=self._keep_fetching, args=(every_s, now_us, stop), name="mailpost", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(2 * _TIMEOUT_S)

    def _keep_fetching(self, every_s: float, now_us: Callable[[], int], stop: threading.Event) -> None:
        said, wait_s = "", 0.0
        while not stop.wait(wait_s):
            try:
                done = self.fetch(now_us, stop)
            except ConsentError as error:
                if str(error) != said:
                    _log.warning("%s", error)
                said, wait_s = str(error), min(max(every_s, 2 * wait_s), max(every_s, LONGEST_WAIT_S))
                continue
            if said:
                _log.info("the mailbox answers again")
            if done.letters:
                _log.info("mailbox: %s", plain(str(done)))
            said, wait_s = "", every_s if done.letters < MOST_AT_ONCE else 0.0
