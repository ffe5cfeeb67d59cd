"""What is around every page: language and display, the privacy notice, the end, and what a page asks by itself.

Rules:
- A change of language or display keeps what was ticked and typed.
- What a page asks by itself keeps no session alive, names nobody, and tells only of whoever stands on the pad alone.

Nothing here changes a consent.
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import JSONResponse, Response

from consent.kiosk import asking, question
from consent.kiosk.notice import notice
from consent.kiosk.tap import Tap

_WITH_CODE = ("/returning", "/stop", "/know")
_PLACES = (
    *("/", "/choices", "/done", "/mine", "/no", "/object", "/notice", "/young", "/slip", "/stopped", "/told"),
    *_WITH_CODE,
)


def prefs(tap: Tap) -> Response:
    """Change language or display, or go to the notice, and keep what was chosen and typed."""
    session, shop = tap.session, tap.kiosk.shop
    places = _PLACES + tuple(place for one in tap.kiosk.beside for place in one.places)
    at = tap.value("at") if tap.value("at") in places else "/"
    what, _, value = tap.value("set").partition(":")
    if what == "language" and value in shop.languages:
        session.language = value
    elif what == "contrast":
        session.contrast = value == "on"
    elif what == "large":
        session.large = value == "on"
    question.remember(tap)
    if at in _WITH_CODE:
        session.typed = tap.value("code")[:80]
    if what == "notice":
        session.back = at
        return tap.go("/notice")
    return tap.go(at)


def privacy(tap: Tap) -> Response:
    """Everything Article 13 wants, from the store's own settings."""
    shown = notice(tap.kiosk.shop, tap.say)
    return tap.page("notice.html", "notice_page.title", notice=shown, back=tap.session.back)


def finish(tap: Tap) -> Response:
    """Forget everything, language and display included: the next person starts afresh."""
    kiosk = tap.kiosk
    kiosk.sessions.end(tap.session)
    tap.session = kiosk.sessions.begin(kiosk.shop.languages[0])
    page = tap.go("/")
    page.headers["clear-site-data"] = '"cache"'  # browsers keep whole pages for the back button
    return page


def stay(tap: Tap) -> Response:
    """Somebody is still there."""
    return Response(status_code=204)


def pad(tap: Tap) -> Response:
    """What the camera sees of whoever is alone on the pad: a frame and a sentence, for a page that asks by itself."""
    drawn = asking.frame(tap)
    if drawn is None:
        return Response(status_code=204)
    return JSONResponse({**asdict(drawn), "text": tap.say(drawn.text)})


def asked(tap: Tap) -> Response:
    """Say whether the camera has answered, for a page that asks by itself."""
    if tap.session.ask is None:
        return JSONResponse({"final": True})
    return JSONResponse({"final": asking.told(tap, wait=False).final})
