"""With a code or on the pad: stopping, coming back, renewing, and seeing everything that is known.

Rules:
- Stopping needs two taps: on the pad without any code, or with the code. No limit stands in its way; only codes that
  nobody is known under are counted, so nobody can block another's opt-out.
- A code is asked for in a form and never in an address; it is held while the page is open that needs it.
- Every step goes by touch: the keys on the page are buttons of the form.

What a page looks like is in `templates`, how a tap is checked in `tap`.
"""

from __future__ import annotations

import json
import logging
import math
import unicodedata
from dataclasses import dataclass

from starlette.responses import Response

from consent import receipts
from consent.events import DAY_US, PERMITTING, ConsentError, Leaf, Purpose, State
from consent.kiosk import asking
from consent.kiosk.notice import notice
from consent.kiosk.tap import Tap
from consent.ledger import Standing, UnknownCodeError
from consent.padwords import PadKind
from consent.statement import statement
from consent.subjects import read_secret

LOW = 5  # a consent runs low in the last fifth of its term
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of a code; see `subjects`
PLACES = {
    "/returning": ("returning.html", "returning.enter"),
    "/stop": ("stop.html", "stop.title"),
    "/know": ("know.html", "know.title"),
}
_ENDED = {
    State.WITHDRAWN: "state.withdrawn",
    State.REVOKED: "state.revoked",
    State.INVALIDATED: "state.invalidated",
    State.OBJECTED: "state.objected",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """How one purpose stands, ready to be shown.

    Attributes:
        purpose: which.
        text: what is said of it.
        live: it permits something now.
        low: it ends soon.
        until: the day it ends, where it is live.
        allowed: the store's level allows it.
        given: the day it was given; empty where it never was.
    """

    purpose: Purpose
    text: str
    live: bool
    low: bool
    until: str
    allowed: bool
    given: str


# --- stopping ---------------------------------------------------------------------------------------------------------


def stop(tap: Tap) -> Response:
    """Two ways to stop, one tap each."""
    return _with_code(tap, "stop.html", "stop.title")


def stop_here(tap: Tap) -> Response:
    """Stop without a code: the camera ends the link of whoever stands on the pad, and with it the consent."""
    tap.session.ended = None
    asking.put(tap, PadKind.WITHDRAW, tap.now_us)
    return tap.go("/stopped")


def stop_code(tap: Tap) -> Response:
    """Stop by the code, or by the one that is open before us; one purpose where one is named."""
    session = tap.session
    own = session.code if "code" not in tap.form else None
    found = find_code(tap, "stop.html", "stop.title") if own is None else own
    if isinstance(found, Response):
        return found
    purpose = tap.value("purpose")
    one = frozenset({Purpose(purpose)}) if purpose in set(Purpose) else None
    # no operation id: stopping is always carried out, and a second tap finds nothing left to end
    ended = tap.kiosk.ledger.withdraw(found, now_us=tap.now_us, purposes=one)
    if ended.purposes or session.ended is None or session.ended.subject != ended.subject:
        session.ended = ended
    session.ask = None
    if own is not None and one is not None and session.receipt is None:
        return tap.go("/mine")
    return tap.go("/stopped")


def stopped(tap: Tap) -> Response:
    """Say what stopped."""
    session = tap.session
    if session.ended is not None:
        return tap.page("stopped.html", "stopped.title", ended=session.ended, told=None)
    if session.ask is None:
        return tap.go("/stop")
    told = asking.told(tap)
    title = "stopped.title" if told.good else "stopped.title_failed" if told.final else "stopped.checking"
    return tap.page("stopped.html", title, ended=None, told=told)


# --- with a code ------------------------------------------------------------------------------------------------------


def returning(tap: Tap) -> Response:
    """Ask for the code of somebody who comes back."""
    return _with_code(tap, "returning.html", "returning.enter")


def come_back(tap: Tap) -> Response:
    """Link the holder of a code again, without questions."""
    found = find_code(tap, "returning.html", "returning.enter")
    if isinstance(found, Response):
        return found
    session, now_us = tap.session, tap.now_us
    session.code, session.subject = found, tap.kiosk.ledger.find(found)
    session.ended = None
    if tap.kiosk.ledger.permits(session.subject, now_us, level=tap.kiosk.shop.level()):
        asking.put(tap, PadKind.LINK, now_us)
    else:
        session.ask = None
    return tap.go("/mine")


def mine(tap: Tap) -> Response:
    """What the holder of a code allows, and what they can do about it."""
    session = tap.session
    if session.code is None:
        return tap.go("/returning")
    session.attempt.screen_us = tap.now_us  # a second try is answered on this page
    rows = rows_of(tap)
    low = [row for row in rows if row.low and row.allowed]
    live = [row for row in rows if row.live and row.allowed]
    told = asking.told(tap) if live and session.ask is not None else None
    more = any(p not in {row.purpose for row in live} for p in tap.kiosk.shop.offers())
    return tap.page(
        "mine.html",
        "returning.title",
        rows=rows,
        low=low,
        live=live,
        more=more,
        terms={p: tap.say.count("days", days) for p, days in tap.kiosk.shop.terms.items()},
        told=told,
        frame=asking.frame(tap),
    )


def renew(tap: Tap) -> Response:
    """Start the terms that run low anew."""
    session, shop, attempt = tap.session, tap.kiosk.shop, tap.session.attempt
    if session.code is None:
        return tap.go("/mine")
    if session.receipt is not None:
        return tap.go("/done")
    low = frozenset(row.purpose for row in rows_of(tap) if row.low and row.allowed)
    if not low:
        return tap.go("/mine")
    now_us, shown = tap.now_us, notice(shop, tap.say)
    grant = tap.kiosk.ledger.renew(
        session.code,
        now_us=now_us,
        notice_sha256=shown.sha256,
        language=shown.language,
        version=shown.version,
        purposes=low,
        terms=shop.terms,
        operation=attempt.operation("renew"),
    )
    session.receipt = receipts.issue(tap.kiosk.ledger, grant, now_us=now_us)
    session.renewed, session.printed = True, None
    return tap.go("/done")


def know(tap: Tap) -> Response:
    """Ask for the code of somebody who wants to see what is known."""
    return _with_code(tap, "know.html", "know.title")


def look_up(tap: Tap) -> Response:
    """Open what is known to the holder of a code."""
    found = find_code(tap, "know.html", "know.title")
    if isinstance(found, Response):
        return found
    tap.session.code = found
    return tap.go("/told")


def told(tap: Tap) -> Response:
    """Everything the log tells about the holder of a code."""
    if tap.session.code is None:
        return tap.go("/know")
    known = statement(tap.kiosk.ledger, tap.session.code)
    entries = [
        {
            "index": entry["index"],
            "event": Leaf.decode(entry["leaf"].encode("ascii")).kind,
            "when": tap.moment(json.loads(entry["payload"])["at_us"]),
            "proved": entry["inclusion"] is not None,
        }
        for entry in known["entries"]
    ]
    tap.session.subject = tap.kiosk.ledger.find(tap.session.code)
    return tap.page("told.html", "know.title", rows=[row for row in rows_of(tap) if row.given], entries=entries)


def keys(tap: Tap) -> Response:
    """One tap on the keys of a code page; what is typed so far stands in the form, and nowhere else."""
    at = tap.value("at")
    if at not in PLACES:
        return tap.problem("not_found", 404)
    tap.at = at
    template, title = PLACES[at]
    return code_page(tap, template, title, typed=typed_on(tap), pressed=tap.value("key"))


def typed_on(tap: Tap) -> str:
    """Return what is typed of a code after one more tap on the keys."""
    typed, key = tap.value("code")[:80], tap.value("key")
    if key == "clear":
        return ""
    if key == "delete":
        return typed.rstrip("- ")[:-1]
    return typed + key if key in set(ALPHABET) else typed


def _with_code(tap: Tap, template: str, title: str) -> Response:
    typed, tap.session.typed = tap.session.typed, ""
    return code_page(tap, template, title, typed=typed)


def code_page(
    tap: Tap,
    template: str,
    title: str,
    *,
    typed: str = "",
    pressed: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    """Return a page on which a code is typed or tapped."""
    tap.session.attempt.screen_us = tap.now_us
    return tap.page(
        template,
        title,
        status,
        typed=typed,
        pressed=pressed,
        problem=problem,
        alphabet=ALPHABET,
        counted=len(_plain(typed)),
        frame=asking.frame(tap),
    )


def find_code(tap: Tap, template: str, title: str) -> str | Response:
    """Return the code that was typed or scanned, or the page that says in a friendly way why it cannot be one.

    A right code always passes: only those that nobody is known under are counted against the limit.
    """
    tap.at = tap.at or "/" + tap.path.split("/")[1]
    typed = tap.value("code")[:300]
    try:
        code = read_secret(typed.rpartition("#")[2])  # a reader that types for us sends the whole address
    except ConsentError:
        return code_page(tap, template, title, typed=typed[:80], problem=tap.say("code.wrong_form"))
    try:
        tap.kiosk.ledger.find(code)
    except UnknownCodeError:
        _log.info("a code that nobody is known under was tried at the kiosk")
        now_s = tap.kiosk.clock()
        if not tap.kiosk.wrong.take(now_s):
            wait_s = math.ceil(tap.kiosk.wrong.wait_s(now_s))
            told = tap.say("code.too_many", seconds=wait_s)
            page = code_page(tap, template, title, typed=typed[:80], problem=told, status=429)
            page.headers["retry-after"] = str(wait_s)
            return page
        return code_page(tap, template, title, typed=typed[:80], problem=tap.say("code.unknown"))
    return code


def _plain(typed: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", typed) if c.isalnum())


def rows_of(tap: Tap) -> list[Row]:
    """Return how each purpose of the open code stands."""
    session, shop, now_us = tap.session, tap.kiosk.shop, tap.now_us
    if session.subject is None:
        return []
    level = shop.level()
    found = {s.purpose: s for s in tap.kiosk.ledger.standing(session.subject)}
    rows = []
    for purpose in Purpose:
        standing = found.get(purpose)
        live = standing is not None and standing.state in PERMITTING and now_us < standing.until_us
        low = live and standing is not None and standing.until_us - now_us < shop.terms[purpose] * DAY_US / LOW
        until = "" if standing is None else tap.day(standing.until_us)
        given = "" if standing is None else tap.day(standing.given_us)
        text = _standing(tap, standing, live=live, low=low)
        rows.append(Row(purpose, text, live, low, until, level.allows(purpose), given))
    return rows


def _standing(tap: Tap, standing: Standing | None, *, live: bool, low: bool) -> str:
    if standing is None:
        return tap.say("state.none")
    if live:
        return tap.say("state.low" if low else "state.given", until=tap.day(standing.until_us))
    # a term that is over but not yet written down as such has ended, too
    return tap.say(_ENDED.get(standing.state, "state.expired"), ended=tap.day(standing.ended_us or standing.until_us))
