"""Tries are counted so that nobody who has to wait is forgotten for anybody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consent import tries
from consent.access import ACCOUNT_TRIES, TRIES, Access, DeniedError, Desk, Refusal
from consent.accesslog import AccessLog
from consent.accounts import Accounts
from consent.ledger import Ledger
from consent.tries import Tries
from tests.consent.shop import NOON, SECOND

ROOM = 4
KINDS: list[tuple[str, Callable[[int], str]]] = [
    ("address", lambda i: f"10.0.0.{i}"),
    ("name", lambda i: f"name {i}"),
    ("code", lambda i: f"account {i}"),
]


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with Accounts(tmp_path / "access.sqlite") as made:
        yield made


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "MOST", ROOM)


def counted(accounts: Accounts, what: str) -> Tries:
    return Tries(accounts, what, 2, 1 / 60, counted_as=str)


def rows(accounts: Accounts) -> list[tuple[object, ...]]:
    db = sqlite3.connect(accounts.path)
    found = db.execute("SELECT * FROM tries ORDER BY key").fetchall()
    db.close()
    return found


@pytest.mark.parametrize(("what", "whose"), KINDS)
def test_newcomers_never_make_anybody_forgotten_who_has_to_wait(
    accounts: Accounts, what: str, whose: Callable[[int], str]
) -> None:
    some = counted(accounts, what)
    assert [some.wait_s(whose(0), NOON) for _ in range(3)] == [0, 0, 60]
    assert [some.wait_s(whose(i), NOON + i) for i in range(1, 5 * ROOM)] == [0] * (5 * ROOM - 1)
    assert some.wait_s(whose(0), NOON + SECOND) == 59
    assert len(rows(accounts)) == ROOM


@pytest.mark.parametrize(("what", "whose"), KINDS)
@pytest.mark.parametrize("other", ["address", "link", "name", "stranger", "code", "message"])
def test_a_flood_of_another_kind_takes_no_room(
    accounts: Accounts, what: str, whose: Callable[[int], str], other: str
) -> None:
    if other == what:
        return
    some, flood = counted(accounts, what), counted(accounts, other)
    for i in range(ROOM):
        assert [some.wait_s(whose(i), NOON) for _ in range(3)] == [0, 0, 60]
    for i in range(3 * ROOM):
        flood.wait_s(whose(i), NOON + i)
    assert [some.wait_s(whose(i), NOON + SECOND) for i in range(ROOM)] == [59] * ROOM


@pytest.mark.parametrize(("what", "whose"), KINDS)
def test_where_all_have_to_wait_a_newcomer_waits_and_nothing_is_written(
    accounts: Accounts, what: str, whose: Callable[[int], str]
) -> None:
    some = counted(accounts, what)
    for i in range(ROOM):
        assert [some.wait_s(whose(i), NOON) for _ in range(2)] == [0, 0]
    before = rows(accounts)
    assert [some.wait_s(whose(i), NOON + SECOND) for i in range(2 * ROOM)] == [59] * 2 * ROOM
    assert rows(accounts) == before
    assert some.wait_s(whose(ROOM), NOON + 61 * SECOND) == 0  # and not for ever


def test_who_used_up_more_tries_is_remembered_longer(accounts: Accounts) -> None:
    some = Tries(accounts, "address", 5, 1 / 60, counted_as=str)
    assert [some.wait_s("guesser", NOON) for _ in range(4)] == [0] * 4
    for i in range(5 * ROOM):
        assert some.wait_s(f"passer-by {i}", NOON + i) == 0
    assert [some.wait_s("guesser", NOON + SECOND) > 0 for _ in range(2)] == [False, True]


def sign_in(access: Access, name: str, address: str) -> Refusal:
    with pytest.raises(DeniedError) as denied:
        access.sign_in(name, "not the password", address)
    return denied.value.reason


@pytest.fixture
def access(accounts: Accounts, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Access:
    monkeypatch.setattr(Accounts, "check", lambda *_: None)  # without argon2's work
    accounts.add("Ada", Desk.MANAGER, now_us=NOON)
    return Access(accounts, AccessLog(ledger, now_us=lambda: NOON), now_us=lambda: NOON)


def test_an_address_that_waits_writes_nothing_however_many_names_it_makes_up(
    access: Access, accounts: Accounts
) -> None:
    assert [sign_in(access, "Ada", "10.0.0.1") for _ in range(TRIES)] == [Refusal.PASSWORD] * TRIES
    before = rows(accounts)
    assert {sign_in(access, f"nobody {i}", "10.0.0.1") for i in range(3 * ROOM)} == {Refusal.PACE}
    assert rows(accounts) == before


def test_made_up_names_give_no_try_on_an_account_back(
    access: Access, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access._addresses, "wait_s", lambda *_: 0)  # as from many addresses
    found = [sign_in(access, "ADA", "10.0.0.1") for _ in range(ACCOUNT_TRIES + 1)]
    assert found == [Refusal.PASSWORD] * ACCOUNT_TRIES + [Refusal.PACE]
    for i in range(3 * ROOM):
        assert sign_in(access, f"nobody {i}", "10.0.0.2") is Refusal.PASSWORD
    assert sign_in(access, "ada", "10.0.0.3") is Refusal.PACE


def test_a_name_of_nobody_waits_as_an_account_does_and_for_itself_alone(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access._addresses, "wait_s", lambda *_: 0)
    for name in ("Ada", "Eve"):  # who waits does not tell which of them there is
        found = [sign_in(access, name, "10.0.0.1") for _ in range(ACCOUNT_TRIES + 1)]
        assert found == [Refusal.PASSWORD] * ACCOUNT_TRIES + [Refusal.PACE]
    assert sign_in(access, "Eva", "10.0.0.1") is Refusal.PASSWORD
