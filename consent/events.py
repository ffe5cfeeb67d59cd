"""What can be promised: purposes, terms, privacy levels, the states of a consent, and the words of the log.

Rules:
- The default is `State.UNKNOWN`, and it permits nothing. Only `GIVEN` and `RENEWED` permit anything.
- Every move between states is one row of `TRANSITIONS`; a move that is not there raises and changes nothing.
- Leaf data is canonical JSON (RFC 8785) of enums, counts, hashes and one commitment. Free text has no way in: every
  field is a type of this module, 32 bytes, or a number. Time, subject and grant stand in the payload behind the
  commitment, so what is left after an erasure says that something happened, and not when or to whom.

This module does not store, sign or look at a clock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import rfc8785

DAY_US = 86_400_000_000  # microseconds


class ConsentError(Exception):
    """Base of every error this package raises on purpose; its text tells the reader what to do."""


class IllegalMoveError(ConsentError):
    """The state table has no such move; nothing was changed."""


class Purpose(StrEnum):
    """What a shopper can say yes to; four separate switches, none pre-set."""

    DWELL = "dwell"
    EMOTION = "emotion"
    REPEAT = "repeat"
    SMILE = "smile"


DEFAULT_TERM: dict[Purpose, int] = {  # days; a store may shorten or lengthen them in store.toml
    Purpose.DWELL: 30,
    Purpose.EMOTION: 7,
    Purpose.REPEAT: 90,
    Purpose.SMILE: 1,  # ours: nothing is stored under it, so the yes itself ends with the day
}


class Level(StrEnum):
    """The privacy level of a store; it caps what any grant can allow. Ordered: counts < dwell < repeat < emotion."""

    COUNTS = "counts"
    DWELL = "dwell"
    REPEAT = "repeat"
    EMOTION = "emotion"

    @property
    def rank(self) -> int:
        """Position in the order, 0 for the most private."""
        return tuple(Level).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Level(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Level(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Level(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Level(other).rank

    def allows(self, purpose: Purpose) -> bool:
        """Say whether a store at this level may act on a grant for the purpose."""
        return self.rank >= _LEAST_LEVEL[purpose].rank


_LEAST_LEVEL = {
    Purpose.DWELL: Level.DWELL,
    Purpose.REPEAT: Level.REPEAT,
    Purpose.EMOTION: Level.EMOTION,
    Purpose.SMILE: Level.EMOTION,  # the tablet reads an expression, too
}


class State(StrEnum):
    """The state of one purpose for one person, in the words of W3C DPV / ISO/IEC TS 27560:2023, plus `OBJECTED`."""

    UNKNOWN = "ConsentUnknown"
    REQUESTED = "ConsentRequested"
    REFUSED = "ConsentRefused"
    GIVEN = "ConsentGiven"
    RENEWED = "RenewedConsentGiven"
    WITHDRAWN = "ConsentWithdrawn"
    EXPIRED = "ConsentExpired"
    REVOKED = "ConsentRevoked"
    INVALIDATED = "ConsentInvalidated"
    OBJECTED = "Objected"

    @property
    def permits(self) -> bool:
        """True where processing may go on, its term and the store's level permitting."""
        return self in PERMITTING


PERMITTING = frozenset({State.GIVEN, State.RENEWED})


class Move(StrEnum):
    """What can happen to a consent."""

    REQUEST = "request"
    LAPSE = "lapse"  # the question was left unanswered: silence is not consent
    REFUSE = "refuse"
    GIVE = "give"
    RENEW = "renew"
    WITHDRAW = "withdraw"  # by the shopper
    EXPIRE = "expire"
    REVOKE = "revoke"  # by the controller
    INVALIDATE = "invalidate"  # it should never have counted, a child's for example
    OBJECT = "object"


_ENDS = {
    Move.WITHDRAW: State.WITHDRAWN,
    Move.EXPIRE: State.EXPIRED,
    Move.REVOKE: State.REVOKED,
    Move.INVALIDATE: State.INVALIDATED,
    Move.OBJECT: State.OBJECTED,
}

TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.UNKNOWN, Move.REQUEST): State.REQUESTED,
    (State.UNKNOWN, Move.OBJECT): State.OBJECTED,
    (State.REQUESTED, Move.LAPSE): State.UNKNOWN,
    (State.REQUESTED, Move.REFUSE): State.REFUSED,
    (State.REQUESTED, Move.GIVE): State.GIVEN,
    (State.REQUESTED, Move.OBJECT): State.OBJECTED,
    **{(State.GIVEN, move): state for move, state in _ENDS.items()},
    **{(State.RENEWED, move): state for move, state in _ENDS.items()},
    (State.GIVEN, Move.RENEW): State.RENEWED,
    (State.RENEWED, Move.RENEW): State.RENEWED,
    # whoever has said no in any form can be asked again only at their own tap, and starts from the question
    **{
        (state, Move.REQUEST): State.REQUESTED
        for state in (State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.REVOKED, State.INVALIDATED, State.OBJECTED)
    },
    **{
        (state, Move.OBJECT): State.OBJECTED
        for state in (State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.REVOKED, State.INVALIDATED)
    },
}


def move(state: State, *moves: Move) -> State:
    """Return the state after the moves, one after another.

    Raises:
        IllegalMoveError: the table has no such move.
    """
    for step in moves:
        after = TRANSITIONS.get((state, step))
        if after is None:
            raise IllegalMoveError(f"a consent in state {state} cannot {step}; read it again and ask the shopper")
        state = after
    return state


def diagram() -> str:
    """Return the state table as a Mermaid diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.UNKNOWN.name}"]
    lines += [f"    {before.name} --> {after.name}: {step}" for (before, step), after in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"


class Channel(StrEnum):
    """Where a person stood when they said it."""

    KIOSK = "kiosk"
    PAD = "pad"
    PHONE = "phone"
    DESK = "desk"
    CLI = "cli"
    SYSTEM = "system"


class EventKind(StrEnum):
    """What the log can say. The first two groups are about people: their payloads are erasable."""

    GRANTED = "granted"
    RENEWED = "renewed"
    REFUSED = "refused"
    OBJECTED = "objected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"

    # about staff, under an account's random number: erasable, too
    ACCESS_DENIED = "access_denied"
    PERSONAL_READ = "personal_read"
    ACCOUNT_CHANGED = "account_changed"
    SETTINGS_WRITTEN = "settings_written"  # a page set out to write store.toml
    SETUP_OPENED = "setup_opened"  # a camera may be looked at for some minutes
    SETUP_CLOSED = "setup_closed"
    STREAM_TESTED = "stream_tested"  # an address that somebody typed is called

    LEVEL_RAISED = "level_raised"
    LEVEL_LOWERED = "level_lowered"
    CONFIG_CHANGED = "config_changed"
    KEY_ROTATED = "key_rotated"
    ERASED = "erased"
    RELEASED = "released"
    HOLD_PLACED = "hold_placed"
    HOLD_RELEASED = "hold_released"
    ANSWERED = "answered"
    RESTORED = "restored"
    TALLIED = "tallied"  # what a camera did in an hour, in bands

    @property
    def personal(self) -> bool:
        """True where the payload is about a person and therefore erasable and never exported."""
        return self in _PERSONAL


_PERSONAL = frozenset(tuple(EventKind)[: tuple(EventKind).index(EventKind.LEVEL_RAISED)])
STAFF_EVENTS = frozenset(
    {
        EventKind.ACCESS_DENIED,
        EventKind.PERSONAL_READ,
        EventKind.ACCOUNT_CHANGED,
        EventKind.SETTINGS_WRITTEN,
        EventKind.SETUP_OPENED,
        EventKind.SETUP_CLOSED,
        EventKind.STREAM_TESTED,
    }
)

END_EVENTS: dict[Move, EventKind] = {
    Move.WITHDRAW: EventKind.WITHDRAWN,
    Move.EXPIRE: EventKind.EXPIRED,
    Move.REVOKE: EventKind.REVOKED,
    Move.INVALIDATE: EventKind.INVALIDATED,
    Move.OBJECT: EventKind.OBJECTED,
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """The public part of one event: what stays in the log for ever.

    Attributes:
        kind: what happened.
        commitment: HMAC-SHA256 of the payload under the entry's own key, 32 bytes.
        purposes: the purposes it is about.
        level: the privacy level it set.
        count: how many things it is about, 0 to 2**53 - 1.
        digest: SHA-256 of the text it is about, 32 bytes; which text follows from the kind (the notice as shown for a
            grant, store.toml for a change of configuration, the DPIA for a raised level, a figure file for a release,
            the proof in the certificate for an erasure).

    Raises:
        ConsentError: a field is not of its type, so that free text could hide in it.
    """

    kind: EventKind
    commitment: bytes
    purposes: frozenset[Purpose] = frozenset()
    level: Level | None = None
    count: int | None = None
    digest: bytes | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, EventKind):
            raise ConsentError("a log entry needs a kind from EventKind; free text is not let into the log")
        if any(not isinstance(p, Purpose) for p in self.purposes):
            raise ConsentError("a log entry names purposes from Purpose only; free text is not let into the log")
        if self.level is not None and not isinstance(self.level, Level):
            raise ConsentError("a log entry names a level from Level only; free text is not let into the log")
        if self.count is not None and (type(self.count) is not int or not 0 <= self.count < 2**53):
            raise ConsentError("the count of a log entry is a whole number from 0 to 2**53 - 1")
        for name in ("commitment", "digest"):
            value = getattr(self, name)
            if not (value is None and name == "digest") and (type(value) is not bytes or len(value) != 32):
                raise ConsentError(f"the {name} of a log entry is a SHA-256 value: 32 bytes")

    def encode(self) -> bytes:
        """Return the leaf data: RFC 8785 canonical JSON, ASCII, without a line break."""
        fields: dict[str, object] = {"v": 1, "kind": self.kind.value, "commitment": self.commitment.hex()}
        if self.purposes:
            fields["purposes"] = sorted(p.value for p in self.purposes)
        if self.level is not None:
            fields["level"] = self.level.value
        if self.count is not None:
            fields["count"] = self.count
        if self.digest is not None:
            fields["digest"] = self.digest.hex()
        return rfc8785.dumps(cast("Any", fields))

    @classmethod
    def decode(cls, data: bytes) -> Leaf:
        """Read leaf data back.

        Raises:
            ConsentError: it is not exactly what `encode` writes.
        """
        try:
            fields = json.loads(data)
            digest, level = fields.get("digest"), fields.get("level")
            leaf = cls(
                kind=EventKind(fields["kind"]),
                commitment=bytes.fromhex(fields["commitment"]),
                purposes=frozenset(Purpose(p) for p in fields.get("purposes", ())),
                level=None if level is None else Level(level),
                count=fields.get("count"),
                digest=None if digest is None else bytes.fromhex(digest),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConsentError("this log entry is not one that openaisle writes; the log was changed") from error
        if leaf.encode() != data:
            raise ConsentError("this log entry is not in canonical form; the log was changed")
        return leaf


Value = str | int | list["Value"] | Mapping[str, "Value"]

_NAME = re.compile(r"[a-z0-9_]{1,40}")
_TOKEN = re.compile(r"[A-Za-z0-9:._/+=-]{0,128}")  # enums, hex, base64, BCP 47 tags, versions; no blank, so no prose


def encode_payload(payload: Mapping[str, Value]) -> bytes:
    """Return the erasable part of an event as RFC 8785 canonical JSON.

    Raises:
        ConsentError: a key or a value is something other than a number, a token, or lists and maps of them.
    """
    _check(payload)
    return rfc8785.dumps(cast("Any", payload))


def _check(value: Value) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not _NAME.fullmatch(key):
                raise ConsentError("a payload key is a lower-case name")
            _check(inner)
    elif isinstance(value, list):
        for inner in value:
            _check(inner)
    elif isinstance(value, str):
        if not _TOKEN.fullmatch(value):
            raise ConsentError("a payload holds tokens and numbers; hash the text and store the hash")
    elif type(value) is not int or abs(value) >= 2**53:
        raise ConsentError("a payload holds tokens and whole numbers below 2**53")


def commit(entry_key: bytes, payload: bytes) -> bytes:
    """Return the commitment to a payload: HMAC-SHA256 under the entry's own 256-bit key, 32 bytes.

    Without the key, nobody can test a guess of the payload against the log; destroying it leaves 32 random bytes.
    """
    if len(entry_key) != 32:
        raise ConsentError("an entry key has 32 bytes")
    return hmac.new(entry_key, payload, hashlib.sha256).digest()
