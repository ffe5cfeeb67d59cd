"""Asking the camera that sees the pad, and saying in words what became of it.

Rules:
- Every answer the camera can give has a text that says what to do; so has no answer, and a kiosk without a pad.
- A page waits for the answer, so that it is told without any script; it waits no longer than `WAIT_S`.
- The same question is not put twice while it is open: a double tap asks once.
- Of what the camera sees, a page draws one frame: that of the shopper who stands on the pad alone.

The rules of the pad are the camera's (`analytics.linker`); nothing here decides who is linked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from consent.events import ConsentError
from consent.kiosk.session import Ask
from consent.kiosk.tap import Tap
from consent.padview import PadMark
from consent.padwords import PadKind, PadOutcome

WAIT_S = 1.8  # the camera answers one second after the tap; whoever waits is told within two
AGAIN_S = 6.0  # whoever asks the camera again after this long asks anew
_LOOK_S = 0.05
_GOOD = frozenset({PadOutcome.LINKED, PadOutcome.ALREADY_LINKED, PadOutcome.UNLINKED, PadOutcome.SUPPRESSED})
_FOR = {PadKind.WITHDRAW: "_stop", PadKind.OBJECT: "_object"}  # where the same answer asks for another thing to do
_OTHERWISE = frozenset(
    {
        "no_answer_stop",
        "no_answer_object",
        "nobody_on_pad_stop",
        "nobody_on_pad_object",
        "blind_object",
        "no_pad_stop",
        "no_pad_object",
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says of a question to the pad.

    Attributes:
        text: key of the message.
        good: the camera did what was asked.
        final: it will not say anything else.
    """

    text: str
    good: bool
    final: bool


def put(tap: Tap, kind: PadKind, now_us: int) -> None:
    """Put a question to the pad, unless the same one is still open.

    A link that cannot be asked for is said on the page, beside what was written down before: see `told`.

    Raises:
        ConsentError: the ledger cannot take a withdrawal or an objection.
    """
    session, kiosk, attempt = tap.session, tap.kiosk, tap.session.attempt
    if kiosk.shop.pad is None:
        session.ask = Ask(kind, None, kiosk.clock())
        return
    open_still = session.ask is not None and session.ask.kind is kind and kiosk.clock() - session.ask.since_s < AGAIN_S
    if open_still and not told(tap, wait=False).final:
        return
    session.ask = None
    links = kind in (PadKind.GRANT, PadKind.LINK)
    try:
        request = kiosk.ledger.open_pad_request(
            kiosk.shop.pad,
            kind,
            session.subject if links else None,
            now_us=now_us,
            screen_us=min(now_us, attempt.screen_us or now_us),  # the clock may have been set back in between
            tap_us=now_us,
            operation=attempt.operation(f"pad {attempt.asked}"),
        )
    except ConsentError:
        if links:
            return
        raise
    attempt.asked += 1
    session.ask = Ask(kind, request, kiosk.clock())


def told(tap: Tap, *, wait: bool = True) -> Told:
    """Return what became of the newest question, waiting for it until `WAIT_S` after it was put."""
    ask, kiosk = tap.session.ask, tap.kiosk
    if ask is None:
        return Told("pad.not_asked", good=False, final=True)
    if ask.request is None:
        return Told(_text("no_pad", ask.kind), good=False, final=True)
    while True:
        request = kiosk.ledger.read_pad_request(ask.request)
        if request is not None and request.outcome is not None:
            return Told(_text(request.outcome.value, ask.kind), good=request.outcome in _GOOD, final=True)
        late = request is None or kiosk.clock() - ask.since_s >= WAIT_S
        if late or not wait:
            break
        time.sleep(_LOOK_S)
    if late and kiosk.view() is None:
        return Told(_text("no_answer", ask.kind), good=False, final=request is None)
    return Told("pad.waiting_long" if late else "pad.waiting", good=False, final=False)


def _text(word: str, kind: PadKind) -> str:
    special = word + _FOR.get(kind, "")
    return f"pad.{special if special in _OTHERWISE else word}"


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of the shopper on the pad, ready to be drawn in a picture of 160 by 90.

    Attributes:
        text: key of the message that says what is seen.
        mark: `off`, `none`, `counted`, `linked` or `suppressed`; how it is drawn.
        x: left, y: top, width and height of the frame; all 0 where there is none.
    """

    text: str
    mark: str
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


def frame(tap: Tap) -> Frame | None:
    """Return what may be drawn of what the camera sees; None where the kiosk has no pad."""
    if tap.kiosk.shop.pad is None:
        return None
    view = tap.kiosk.view()
    if view is None:
        return Frame("box.off", "off")
    if view.people > 1:
        return Frame("box.several", "none")
    if view.box is None or view.people == 0:
        return Frame("box.near" if view.near else "box.none", "none")
    mark = {PadMark.NONE: "counted", PadMark.LINKED: "linked", PadMark.SUPPRESSED: "suppressed"}[view.mark]
    text = "box.near" if view.near and mark == "counted" else f"box.{mark}"  # so that they can step back first
    left, top, right, bottom = view.box
    width, height = (right - left) * 160, (bottom - top) * 90
    return Frame(text, mark, round(left * 160, 1), round(top * 90, 1), round(width, 1), round(height, 1))
