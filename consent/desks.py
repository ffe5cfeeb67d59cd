"""Who works here, and what each may do: one table of desks and actions, and nothing else.

Rules:
- What does not stand in `MATRIX` is refused. There is no desk above the others: an administrator sets the shop up, and
  sees neither requests nor consents; an officer sees those, and neither figures nor cameras.
- An action of `PERSONAL` shows or touches something about a shopper: it is in the log before it happens.

Nothing here knows a password, a session or a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Desk(StrEnum):
    """Where somebody of the staff works; `keys.Role` is about processes instead."""

    MANAGER = "manager"
    COMPLIANCE = "compliance"
    ADMINISTRATOR = "administrator"


class Action(StrEnum):
    """What can be done on the dashboard, or in the name of an account."""

    SEE_FIGURES = "see_figures"
    EXPORT_FIGURES = "export_figures"
    WRITE_NOTES = "write_notes"  # "new shelf", beside a chart
    TAKE_RECEIPTS = "take_receipts"  # of the tills, as sums

    SEE_COMPLIANCE = "see_compliance"  # terms, sweeps, the log's state, rates: nothing about one person
    READ_CONSENTS = "read_consents"  # entries about people, their place in the log, what remains of them
    READ_REQUESTS = "read_requests"  # the register of requests, and letters
    CHANGE_REQUESTS = "change_requests"
    HAND_OUT = "hand_out"  # what is held under a code, an erasure's certificate
    ERASE = "erase"  # by token or by window
    HOLD = "hold"
    AUDIT = "audit"  # the log, the record of processing and the bundle, to take along

    SET_UP = "set_up"  # cameras, zones, store.toml
    LOOK_LIVE = "look_live"  # a still and boxes, while a camera is set up
    KEEP_ACCOUNTS = "keep_accounts"
    ASK_LEVEL = "ask_level"  # for a higher privacy level
    APPROVE_LEVEL = "approve_level"

    OWN_ACCOUNT = "own_account"  # one's own password, signing out


PERSONAL = frozenset(
    {
        Action.READ_CONSENTS,
        Action.READ_REQUESTS,
        Action.CHANGE_REQUESTS,
        Action.HAND_OUT,
        Action.ERASE,
        Action.LOOK_LIVE,
    }
)

MATRIX: dict[Desk, frozenset[Action]] = {
    Desk.MANAGER: frozenset(
        {
            Action.SEE_FIGURES,
            Action.EXPORT_FIGURES,
            Action.WRITE_NOTES,
            Action.TAKE_RECEIPTS,
            Action.OWN_ACCOUNT,
        }
    ),
    Desk.COMPLIANCE: frozenset(
        {
            Action.SEE_COMPLIANCE,
            Action.READ_CONSENTS,
            Action.READ_REQUESTS,
            Action.CHANGE_REQUESTS,
            Action.HAND_OUT,
            Action.ERASE,
            Action.HOLD,
            Action.AUDIT,
            Action.APPROVE_LEVEL,
            Action.OWN_ACCOUNT,
        }
    ),
    Desk.ADMINISTRATOR: frozenset(
        {
            Action.SEE_FIGURES,
            Action.EXPORT_FIGURES,
            Action.WRITE_NOTES,
            Action.TAKE_RECEIPTS,
            Action.SET_UP,
            Action.LOOK_LIVE,
            Action.KEEP_ACCOUNTS,
            Action.ASK_LEVEL,
            Action.APPROVE_LEVEL,
            Action.OWN_ACCOUNT,
        }
    ),
}


def may(desk: Desk, action: Action) -> bool:
    """Say whether somebody at a desk may do something."""
    return action in MATRIX[desk]


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who is signed in, as their account stands this moment.

    Attributes:
        name: as the account says; it stands in no log.
        desk: where they work.
        account: random number of the account, 16 hexadecimal digits; the log knows them by it alone.
    """

    name: str
    desk: Desk
    account: str

    def may(self, action: Action) -> bool:
        """Say whether they may do something."""
        return may(self.desk, action)


class Refusal(StrEnum):
    """Why somebody was not let in; the log's word for it."""

    ANONYMOUS = "anonymous"  # nobody is signed in, or not any more
    ELSEWHERE = "elsewhere"  # a page for this machine alone, asked for from another
    FORWARDED = "forwarded"  # something in between speaks for somebody else
    HOST = "host"  # under a name that is not ours
    ORIGIN = "origin"  # by another site's page
    FORM = "form"  # a form that is not the one we gave out
    METHOD = "method"  # an upload, or any other change that no page offers
    PAGE = "page"  # a page of another desk
    ACTION = "action"  # what the matrix does not allow
    PASSWORD = "password"  # noqa: S105  wrong name or password
    CODE = "code"  # a wrong or used code or link
    FACTOR = "factor"  # a wrong code of a second factor, after a right password
    FACTOR_MISSING = "factor_missing"  # a desk that must have a second factor, and an account without
    MESSAGE = "message"  # what no page of ours sends over its websocket
    TOKEN = "token"  # noqa: S105  a program's token that is wrong, over or revoked
    SCOPE = "scope"  # and one that opens something else
    PROVIDER = "provider"  # what the sign-in provider said does not hold
    PACE = "pace"  # too many tries
