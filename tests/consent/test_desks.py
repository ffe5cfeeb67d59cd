"""Who may do what: every desk and every action, written down a second time by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent.access import MATRIX, PERSONAL, Access, Action, DeniedError, Desk, Refusal, Who
from consent.accesslog import AccessLog
from consent.accounts import Accounts
from consent.events import EventKind, Leaf
from consent.ledger import Ledger
from tests.consent.shop import NOON

M, C, A = Desk.MANAGER, Desk.COMPLIANCE, Desk.ADMINISTRATOR
BY_HAND: dict[Action, set[Desk]] = {
    Action.SEE_FIGURES: {M, A},
    Action.EXPORT_FIGURES: {M, A},
    Action.WRITE_NOTES: {M, A},
    Action.TAKE_RECEIPTS: {M, A},
    Action.SEE_COMPLIANCE: {C},
    Action.READ_CONSENTS: {C},
    Action.READ_REQUESTS: {C},
    Action.CHANGE_REQUESTS: {C},
    Action.HAND_OUT: {C},
    Action.ERASE: {C},
    Action.HOLD: {C},
    Action.AUDIT: {C},
    Action.SET_UP: {A},
    Action.LOOK_LIVE: {A},
    Action.KEEP_ACCOUNTS: {A},
    Action.ASK_LEVEL: {A},
    Action.APPROVE_LEVEL: {C, A},
    Action.OWN_ACCOUNT: {M, C, A},
}


def test_the_table_has_every_desk_and_every_action() -> None:
    assert set(MATRIX) == set(Desk)
    assert set(BY_HAND) == set(Action)


@pytest.mark.parametrize("desk", list(Desk))
@pytest.mark.parametrize("action", list(Action))
def test_each_desk_may_do_each_action_or_is_refused_and_the_log_says_which(
    ledger: Ledger, tmp_path: Path, desk: Desk, action: Action
) -> None:
    with Accounts(tmp_path / "access.sqlite") as accounts:
        access = Access(accounts, AccessLog(ledger, now_us=lambda: NOON), now_us=lambda: NOON)
        her = accounts.add("Ada", desk, now_us=NOON).who()
        if desk in BY_HAND[action]:
            assert access.require(her, action) == her
        else:
            with pytest.raises(DeniedError) as denied:
                access.require(her, action)
            assert denied.value.reason is Refusal.ACTION
        access.close()
        with pytest.raises(DeniedError):
            access.require(None, action)
    said = [Leaf.decode(data).kind for _, data in ledger.leaves(0, ledger.size)]
    if desk not in BY_HAND[action]:
        assert said == [EventKind.ACCESS_DENIED]
    else:
        assert said == ([EventKind.PERSONAL_READ] if action in PERSONAL else [])


def test_no_desk_reads_about_shoppers_and_sets_the_shop_up() -> None:
    for desk in Desk:
        about = MATRIX[desk] & (PERSONAL - {Action.LOOK_LIVE})
        assert not (about and Action.SET_UP in MATRIX[desk])
        assert not (about and Action.SEE_FIGURES in MATRIX[desk])
    assert Who("x", Desk.MANAGER, "0" * 16).may(Action.SEE_FIGURES)
