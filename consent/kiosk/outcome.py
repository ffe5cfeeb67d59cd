"""What one question at the kiosk came to, in a few fixed words: for counts by day, and for nothing else.

The words name no person, no code, no language and no time. They are said once, when the question is over: answered and
left, or left alone until the kiosk let go. A page that was opened and not looked into says nothing.

Counting them is for whoever listens; nothing here writes.
"""

from __future__ import annotations

from consent.events import ConsentError
from consent.kiosk.session import Session
from consent.ledger import Ledger
from consent.padwords import PadKind, PadOutcome

OPENED, YES, REFUSED, TOO_YOUNG = "opened", "yes", "refused", "too_young"
ABANDONED, OBJECTED, LINKED = "abandoned", "objected", "linked"
LINK = "link_"  # and why the pad linked nobody
NO_PAD, NO_ANSWER = f"{LINK}no_pad", f"{LINK}no_answer"
_LINKED = (PadOutcome.LINKED, PadOutcome.ALREADY_LINKED)


def outcome(session: Session, ledger: Ledger) -> tuple[str, ...]:
    """Return what a session's question came to; nothing where nobody looked into it."""
    attempt, ask = session.attempt, session.ask
    if attempt.screen_us is None and attempt.answer is None and ask is None:
        return ()
    words = [OPENED]
    if attempt.answer is not None:
        words.append(YES if attempt.answer == "yes" else REFUSED)
    elif attempt.of_age is False:
        words.append(TOO_YOUNG)
    elif ask is None and session.code is None:
        words.append(ABANDONED)
    if ask is not None and ask.kind is PadKind.OBJECT:
        words.append(OBJECTED)
    if ask is not None and ask.kind in (PadKind.GRANT, PadKind.LINK):
        words.append(link(ask.request, ledger))
    return tuple(words)


def link(request: int | None, ledger: Ledger) -> str:
    """Return whether a question to the pad linked somebody, or why not; without a pad nobody is asked."""
    if request is None:
        return NO_PAD
    try:
        asked = ledger.read_pad_request(request)
    except ConsentError:
        return NO_ANSWER
    found = None if asked is None else asked.outcome
    return NO_ANSWER if found is None else LINKED if found in _LINKED else f"{LINK}{found.value}"
