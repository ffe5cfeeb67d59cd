"""The words kiosk and camera use about the pad; both sides, and the ledger between them, know these and no others."""

from __future__ import annotations

from enum import StrEnum


class PadKind(StrEnum):
    """What somebody at the kiosk asks for."""

    GRANT = "grant"  # a yes, just given
    LINK = "link"  # a returning shopper showed their code
    WITHDRAW = "withdraw"  # stop, without any code
    OBJECT = "object"  # do not count me either


class PadOutcome(StrEnum):
    """What became of a request, so that the kiosk can say it and what to do."""

    LINKED = "linked"
    UNLINKED = "unlinked"  # whoever was linked on the pad is not any more
    SUPPRESSED = "suppressed"  # an objection was carried out
    NOBODY_ON_PAD = "nobody_on_pad"  # stand on the pad
    SEVERAL_PEOPLE = "several_people"  # one at a time
    SOMEBODY_NEAR = "somebody_near"  # ask the other to step back
    MOVED_AWAY = "moved_away"  # stay until it says so
    LOST_SIGHT = "lost_sight"  # the camera lost you; try again
    POSSIBLE_SWITCH = "possible_switch"  # somebody passed before you; try again
    BLIND = "blind"  # the camera does not see: nothing is measured anyway
    TOO_OLD = "too_old"  # the tap came too late, or the screen stood too long
    ALREADY_LINKED = "already_linked"  # nothing to do
    CONFLICT = "conflict"  # this track or this code was linked otherwise; both links are gone, try again
    NOT_LINKED = "not_linked"  # nobody linked stands here; use the code
    NO_GRANT = "no_grant"  # the grant was gone when the camera looked
