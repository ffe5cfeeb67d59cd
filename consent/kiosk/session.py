"""What the kiosk remembers of the person before it, in memory, and for how long.

Rules:
- A session is a random number in a cookie; everything else lies here and is lost with the process.
- A code is held only while the page is open that needs it; `let_go` forgets it, and so does the end of a session.
- One `Attempt` is one question and its answer. Each thing done in it has one operation id, so that a double tap, a
  reload or a retry after a failure does it once.
- A yes whose receipt was never on the screen, so that nobody has its code, is taken back when its session ends.
- Where there are too many, those go first whose browser never came back with its cookie: a page from elsewhere can make
  any number of them, and must not push out a person in the middle of the form.

Nothing here writes to the ledger or to a file.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from consent.events import Purpose
from consent.ledger import Withdrawal
from consent.padwords import PadKind
from consent.receipts import Receipt
from consent.subjects import new_secret

MOST = 64  # sessions at once; ours: one screen has one, a crowd of tabs is no shop
GRACE_S = 20  # a page that is asked "are you still there?" answers before the server lets go


@dataclass(slots=True)
class Attempt:
    """One question to one person.

    Attributes:
        id: stands in every form of it; a form of an earlier one changes nothing.
        secret: the code a yes would get, made beforehand so that a retry gets the same.
        ticked: the purposes ticked so far; none at first.
        of_age: what they said of their age, None while they have not.
        screen_us: when the choices were last shown, UTC microseconds.
        answer: "yes" or "no" once it is written down.
        unsure: a yes under a new code was sent to the ledger, and its receipt has not been on the screen.
        asked: how many questions to the pad were put.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    secret: str = field(default_factory=new_secret, repr=False)
    ticked: frozenset[Purpose] = frozenset()
    of_age: bool | None = None
    screen_us: int | None = None
    answer: str | None = None
    unsure: bool = False
    asked: int = 0
    _seed: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def operation(self, what: str) -> bytes:
        """Return the id under which a thing is done once in this attempt."""
        return hashlib.sha256(self._seed + what.encode()).digest()


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the pad.

    Attributes:
        kind: see `PadKind`.
        request: its number in the ledger, None where there is no pad.
        since_s: when it was put, on the session's clock.
    """

    kind: PadKind
    request: int | None
    since_s: float


@dataclass(slots=True)
class Session:
    """One person before one screen.

    Attributes:
        id: the cookie.
        csrf: stands in every form.
        language: of the pages.
        contrast: black on white, thick lines.
        large: half as large again.
        seen_s: last touch, on the session's clock.
        returned: its browser came back with the cookie.
        attempt: the question at hand.
        code: of the shopper, while a page is open that needs it.
        subject: whom that code belongs to.
        receipt: what was just given, until it is left.
        renewed: the receipt is of a renewal.
        slip: leaf index of a refusal or objection.
        slip_says: key of the message that says which.
        ask: the newest question to the pad.
        ended: the newest withdrawal.
        printed: True where the receipt went to the printer, False where it could not.
        typed: a code half typed, across a change of language.
        back: where the notice leads back to.
        beside: what pages beside the kiosk's own remember of them; forgotten with everything else.
    """

    language: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    contrast: bool = False
    large: bool = False
    seen_s: float = 0.0
    returned: bool = False
    attempt: Attempt = field(default_factory=Attempt)
    code: str | None = field(default=None, repr=False)
    subject: bytes | None = field(default=None, repr=False)
    receipt: Receipt | None = None
    renewed: bool = False
    slip: int | None = None
    slip_says: str = "slip.refused"
    ask: Ask | None = None
    ended: Withdrawal | None = None
    printed: bool | None = None
    typed: str = field(default="", repr=False)
    back: str = "/"
    beside: object | None = field(default=None, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def let_go(self) -> None:
        """Forget the code and the receipt; the page that needed them is left."""
        self.code, self.subject, self.receipt = None, None, None
        self.renewed = False

    def anew(self) -> None:
        """Forget everything but language and display, and begin a new question."""
        self.let_go()
        self.slip, self.ask, self.ended, self.printed, self.typed = None, None, None, None, ""
        self.attempt, self.beside = Attempt(), None


@dataclass(slots=True)
class Bucket:
    """Allows `most` at once and `per_s` a second in the long run."""

    most: float
    per_s: float
    _left: float = field(init=False)
    _at_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._left = self.most

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait until one more is allowed, 0 where it is."""
        self._left = min(self.most, self._left + max(0.0, now_s - self._at_s) * self.per_s)
        self._at_s = now_s
        return 0.0 if self._left >= 1 else (1 - self._left) / self.per_s

    def take(self, now_s: float) -> bool:
        """Use one, and say whether it was there."""
        if self.wait_s(now_s) > 0:
            return False
        self._left -= 1
        return True


class Sessions:
    """Every session of one kiosk.

    Args:
        idle_s: seconds without a touch after which one is over.
        clock: seconds that only grow.
        undo: takes back an unconfirmed yes by its code; False where that has to be tried again.
        over: is given each session whose question is over, before it is forgotten.
    """

    def __init__(
        self,
        idle_s: float,
        clock: Callable[[], float],
        undo: Callable[[str], bool],
        over: Callable[[Session], None] = lambda _: None,
    ) -> None:
        self._idle_s, self._clock, self._undo, self._over = idle_s, clock, undo, over
        self._known: dict[str, Session] = {}
        self._gone: dict[str, str] = {}  # the language in which to say that a session is over
        self._owed: list[str] = []  # codes that nobody was shown and nobody waits for any more
        self._lock = threading.Lock()

    def all(self) -> list[Session]:
        """Return the sessions at hand."""
        return list(self._known.values())

    def begin(self, language: str) -> Session:
        """Start one; of those that never came back, then of all, the one that was touched longest ago makes room."""
        session = Session(language, seen_s=self._clock())
        with self._lock:
            spare = sorted(self._known.values(), key=lambda s: (s.returned, s.seen_s))
            spare = spare[: max(0, len(self._known) - MOST + 1)]
            self._known[session.id] = session
        for old in spare:
            self.end(old)
        return session

    def find(self, id_: str | None, *, touch: bool = True) -> Session | None:
        """Return the session of a cookie, None where it is unknown or over.

        Args:
            id_: the cookie.
            touch: whether somebody tapped; a page that asks by itself keeps nothing alive.
        """
        self.sweep()
        session = self._known.get(id_ or "")
        if session is not None and touch:
            session.seen_s, session.returned = self._clock(), True
        return session

    def restart(self, session: Session) -> None:
        """Begin a new question in a session; see `Session.anew`."""
        if session.attempt.unsure:
            with self._lock:
                self._owed.append(session.attempt.secret)
        self._over(session)
        session.anew()

    def end(self, session: Session) -> None:
        """Forget one."""
        with self._lock:
            known = self._known.pop(session.id, None)
            self._gone = {**dict(list(self._gone.items())[1 - MOST :]), session.id: session.language}
        if known is not None:
            self.restart(session)

    def language_of(self, id_: str | None) -> str | None:
        """Return the language of a session that is over."""
        return self._gone.get(id_ or "")

    def sweep(self) -> None:
        """Forget whoever has gone, and take back what they were never told about."""
        before = self._clock() - self._idle_s - GRACE_S
        for session in [session for session in self.all() if session.seen_s < before]:
            self.end(session)
        with self._lock:
            owed, self._owed = self._owed, []
        still = [code for code in owed if not self._undo(code)]
        with self._lock:
            self._owed += still
