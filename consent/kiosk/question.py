"""The question and its answer: four separate choices or no, the receipt, and "don't count me either".

Rules:
- Nothing is ticked before the shopper ticks it, and only what the store's level allows can be ticked. Where it allows
  no expression, nobody is asked about faces at all.
- A yes is one ledger transaction, then a question to the pad. A page that cannot confirm the first says so and never
  comes to the second; without the pad's answer nobody is linked, and the consent waits.
- Whoever said they are too young can only refuse, until the question is put to somebody anew.
- Every change ends in a redirect, so that reload and the back button ask for a page and change nothing.

What a page looks like is in `templates`, how a tap is checked in `tap`.
"""

from __future__ import annotations

from starlette.responses import Response

from consent import receipts
from consent.events import Channel, ConsentError, IllegalMoveError, Purpose
from consent.kiosk import asking, holder
from consent.kiosk.notice import notice
from consent.kiosk.tap import Tap
from consent.padwords import PadKind
from consent.subjects import show_secret

_ONLY_WHERE_OFFERED = frozenset({Purpose.EMOTION, Purpose.SMILE})  # elsewhere not even named

# --- the question -----------------------------------------------------------------------------------------------------


def welcome(tap: Tap) -> Response:
    """What we do, in thirty words; every person starts here."""
    tap.kiosk.sessions.restart(tap.session)
    offers = tap.kiosk.shop.offers()
    return tap.page("welcome.html", "welcome.title", offers=offers, frame=asking.frame(tap))


def choices(tap: Tap, *, problem: str | None = None) -> Response:
    """Four separate questions."""
    session, shop, tap.at = tap.session, tap.kiosk.shop, "/choices"
    if session.receipt is not None:
        return tap.go("/done")  # the back button; the receipt is not lost by it
    if session.attempt.of_age is False:
        return tap.go("/young")
    if session.attempt.answer is not None:
        tap.kiosk.sessions.restart(session)
    session.attempt.screen_us = tap.now_us
    offers = shop.offers()
    rows = {row.purpose: row for row in holder.rows_of(tap)} if session.code is not None else {}
    return tap.page(
        "choices.html",
        "choices.title",
        terms={p: tap.say.count("days", days) for p, days in shop.terms.items()},
        offers=offers,
        live={p: row.until for p, row in rows.items() if row.live},
        problem=problem,
        purposes=tuple(p for p in Purpose if p in offers or p not in _ONLY_WHERE_OFFERED or p in rows),
        frame=asking.frame(tap),
    )


def answer(tap: Tap) -> Response:
    """Yes to what is ticked, or no."""
    said, attempt = tap.value("answer"), tap.session.attempt
    if tap.session.receipt is not None or (attempt.answer is not None and attempt.answer == said):
        return tap.go("/done" if attempt.answer == "yes" else "/no")
    if attempt.answer is not None:
        return tap.problem("old_form", 409)
    if said == "no":
        return _no(tap)
    remember(tap)
    if said != "yes":
        return choices(tap)
    return _yes(tap)


def _yes(tap: Tap) -> Response:
    session, shop, attempt = tap.session, tap.kiosk.shop, tap.session.attempt
    if attempt.of_age is False:
        return tap.go("/young")
    if not attempt.ticked:
        return choices(tap, problem="choices.nothing_ticked")
    if shop.minimum_age and attempt.of_age is None:
        return choices(tap, problem="choices.age_unanswered")
    level = shop.level()
    offers = shop.offers()
    if not attempt.ticked <= offers:
        attempt.ticked &= offers
        return choices(tap, problem="choices.level_lowered")
    if not tap.kiosk.written.take(tap.kiosk.clock()):
        return tap.problem("too_fast", 429, again=tap.form)
    now_us, shown, own = tap.now_us, notice(shop, tap.say), session.code
    attempt.unsure = own is None  # until the receipt is on the screen; whoever has their code can stop themselves
    try:
        grant = tap.kiosk.ledger.grant(
            attempt.ticked,
            now_us=now_us,
            notice_sha256=shown.sha256,
            language=shown.language,
            version=shown.version,
            terms=shop.terms,
            channel=Channel.KIOSK,
            controller_sha256=shop.controller.sha256(),
            jurisdiction=shop.controller.jurisdiction,
            level=level,
            stated_age=shop.minimum_age,  # whoever is younger never comes here
            minimum_age=shop.minimum_age,
            secret=attempt.secret if own is None else own,
            operation=attempt.operation("grant"),
        )
    except IllegalMoveError:  # it is live already, said at another kiosk a moment ago
        attempt.unsure = False
        return tap.go("/mine")
    session.receipt = receipts.issue(tap.kiosk.ledger, grant, now_us=now_us)
    session.code, session.subject, session.renewed, session.printed = grant.secret, grant.subject, False, None
    attempt.answer, attempt.ticked = "yes", frozenset()
    asking.put(tap, PadKind.GRANT, now_us)
    return tap.go("/done")


def _no(tap: Tap) -> Response:
    session, shop = tap.session, tap.kiosk.shop
    if not tap.kiosk.written.take(tap.kiosk.clock()):
        # a no is the default and needs no entry: somebody who plays with the page fills no log, and stops nobody's no
        session.slip, session.attempt.answer, session.attempt.ticked = None, "no", frozenset()
        return tap.go("/no")
    shown = notice(shop, tap.say)
    session.slip = tap.kiosk.ledger.refuse(
        now_us=tap.now_us,
        notice_sha256=shown.sha256,
        language=shown.language,
        version=shown.version,
        operation=session.attempt.operation("refuse"),
    )
    session.slip_says, session.printed = "slip.refused", None
    session.attempt.answer, session.attempt.ticked = "no", frozenset()
    return tap.go("/no")


def young(tap: Tap) -> Response:
    """Somebody under the age can only refuse."""
    if tap.session.attempt.of_age is not False:
        return tap.go("/choices")
    return tap.page("young.html", "age.title")


def remember(tap: Tap) -> None:
    """Keep what is ticked, for a change of language or a look at the notice."""
    attempt = tap.session.attempt
    if "ticking" in tap.form:
        attempt.ticked = frozenset(Purpose(p) for p in tap.form.get("purpose", ()) if p in set(Purpose))
    if attempt.of_age is not False and tap.value("age") in ("older", "younger"):
        attempt.of_age = tap.value("age") == "older"


# --- the receipt ------------------------------------------------------------------------------------------------------


def done(tap: Tap) -> Response:
    """The receipt, and what became of the link. The code is shown here and nowhere else."""
    session, shop = tap.session, tap.kiosk.shop
    receipt = session.receipt
    if receipt is None or receipt.secret is None:
        return tap.page("again.html", "done.again") if session.attempt.answer == "yes" else tap.go("/")
    told = asking.told(tap)
    session.attempt.screen_us = tap.now_us  # a second try is answered on this page
    url = receipts.withdraw_url(shop.withdraw_at, receipt.secret) if shop.withdraw_at else show_secret(receipt.secret)
    page = tap.page(
        "done.html",
        "done.title_renewed" if session.renewed else "done.title",
        receipt=receipt,
        code=show_secret(receipt.secret),
        secret_qr=receipts.qr_svg(url, title=tap.say("done.code")),
        proof_qr=receipts.qr_svg(receipt.proof, title=tap.say("done.proof")),
        until={p: tap.day(t) for p, t in receipt.until.items()},
        can_print=tap.kiosk.print_receipt is not None,
        told=told,
        frame=asking.frame(tap),
    )
    session.attempt.unsure = False
    return page


def print_it(tap: Tap) -> Response:
    """Print the receipt or the slip."""
    session, printer = tap.session, tap.kiosk.print_receipt
    slip = tap.value("back") == "/slip"
    receipt = _slip(tap) if slip else session.receipt
    if receipt is not None and printer is not None and session.printed is not True:
        try:
            printer(receipt, session.language)
        except (OSError, ConsentError):
            session.printed = False
        else:
            session.printed = True
    return tap.go("/slip" if slip else "/done")


def link(tap: Tap) -> Response:
    """Ask the camera once more, for whoever has just said yes or shown their code."""
    session = tap.session
    if session.subject is None:
        return tap.go("/done")
    asking.put(tap, PadKind.LINK, tap.now_us)
    return tap.go("/done" if session.receipt is not None else "/mine")


# --- no ---------------------------------------------------------------------------------------------------------------


def no(tap: Tap) -> Response:
    """No is fine; what still happens, and one tap to be left out of that, too."""
    if tap.session.attempt.answer != "no":
        return tap.go("/")
    return tap.page("no.html", "no.title", frame=asking.frame(tap))


def object_(tap: Tap) -> Response:
    """Do not count me either."""
    session = tap.session
    session.slip = tap.kiosk.ledger.object(now_us=tap.now_us, operation=session.attempt.operation("object"))
    session.slip_says, session.printed = "slip.objected", None
    asking.put(tap, PadKind.OBJECT, tap.now_us)
    return tap.go("/object")


def objected(tap: Tap) -> Response:
    """Say whether the objection was carried out."""
    if tap.session.ask is None and tap.session.slip is None:
        return tap.go("/")
    told = asking.told(tap)
    title = "object.title" if told.good else "object.title_failed" if told.final else "stopped.checking"
    return tap.page("object.html", title, told=told, frame=asking.frame(tap))


def slip(tap: Tap) -> Response:
    """Leaf and checkpoint of a refusal or an objection, to take away."""
    made = _slip(tap)
    if made is None:
        return tap.go("/")
    newest = tap.kiosk.ledger.newest_checkpoint()
    return tap.page(
        "slip.html",
        "slip.title",
        receipt=made,
        what=tap.session.slip_says,
        checkpoint=None if newest is None else newest[0],
        proof_qr=receipts.qr_svg(made.proof, title=tap.say("slip.proof")),
        can_print=tap.kiosk.print_receipt is not None,
    )


def _slip(tap: Tap) -> receipts.Receipt | None:
    leaf = tap.session.slip
    return None if leaf is None else receipts.issue(tap.kiosk.ledger, leaf, now_us=tap.now_us)
