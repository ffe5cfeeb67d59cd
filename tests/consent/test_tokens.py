"""Tokens of programs: hashed, for one thing, over on their day, and gone when revoked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent import accessfile
from consent.access import TRIES, USES, DeniedError, Refusal
from consent.accessfile import AccessFile
from consent.accounts import AccountError, Accounts
from consent.events import DAY_US
from consent.ledger import Ledger
from consent.tokens import MOST_DAYS, PREFIX, Scope, Tokens
from tests.apart import read_apart
from tests.consent.shop import NOON, SECOND
from tests.consent.test_access import Door

HERE, THERE = "127.0.0.1", "192.0.2.7"


@pytest.fixture
def door(ledger: Ledger) -> Iterator[Door]:
    with Accounts(ledger.path.parent / "access.sqlite") as accounts:
        yield Door(ledger, accounts)


def add(door: Door, name: str = "office", scope: Scope = Scope.FIGURES, days: int = 90) -> str:
    return door.access.tokens.add(name, scope, days, now_us=door.now_us)[1]


def refused(door: Door, secret: str, scope: Scope = Scope.FIGURES, address: str = HERE) -> Refusal:
    with pytest.raises(DeniedError) as denied:
        door.access.token(secret, scope, address)
    return denied.value.reason


def test_a_token_opens_its_scope_and_no_other(door: Door) -> None:
    figures, metrics = add(door), add(door, "monitor", Scope.METRICS)
    assert door.access.token(figures, Scope.FIGURES, HERE).name == "office"
    assert door.access.token(metrics, Scope.METRICS, HERE).name == "monitor"
    assert refused(door, figures, Scope.METRICS) is Refusal.SCOPE
    assert refused(door, metrics, Scope.FIGURES) is Refusal.SCOPE


def test_it_is_over_on_its_day_and_before_it_was_made(door: Door) -> None:
    secret = add(door, days=2)
    door.now_us = NOON + 2 * DAY_US - 1
    assert door.access.token(secret, Scope.FIGURES, HERE)
    door.now_us += 1
    assert refused(door, secret) is Refusal.TOKEN
    door.now_us = NOON - 3600 * SECOND  # the clock was set back
    assert refused(door, secret) is Refusal.TOKEN


def test_a_revoked_one_opens_nothing_from_that_moment_on_in_every_process(door: Door) -> None:
    secret = add(door)
    assert door.access.token(secret, Scope.FIGURES, HERE)
    with AccessFile(door.accounts.path) as elsewhere:
        Tokens(elsewhere).revoke("OFFICE")
    assert refused(door, secret) is Refusal.TOKEN
    with pytest.raises(AccountError, match="token list"):
        door.access.tokens.revoke("office")


def test_no_other_text_opens_anything(door: Door) -> None:
    secret = add(door)
    (token,) = door.access.tokens.all()
    others = [
        secret[:-1],
        secret + "x",
        secret.upper(),
        secret[len(PREFIX) :],
        PREFIX,
        "",
        "\x00",
        "' OR 1 --",
        token.id,
    ]
    assert [door.access.tokens.of(other) for other in others] == [None] * len(others)


def test_nothing_of_it_can_be_got_back(door: Door) -> None:
    secrets = [add(door, f"office {number}") for number in range(3)]
    assert len({secret for secret in secrets if secret.startswith(PREFIX) and len(secret) == len(PREFIX) + 43}) == 3
    for path in door.accounts.path.parent.iterdir():
        held = read_apart(path)
        assert not [secret for secret in secrets if secret.encode() in held or secret[len(PREFIX) :].encode() in held]


def test_names_are_one_each_and_days_are_few(door: Door) -> None:
    add(door)
    for name, days in (
        ("Office", 9),
        ("", 9),
        ("=cmd", 9),
        ("a\x00b", 9),
        ("x" * 65, 9),
        ("y", 0),
        ("z", MOST_DAYS + 1),
    ):
        with pytest.raises(AccountError):
            add(door, name, days=days)
    assert [token.name for token in door.access.tokens.all()] == ["office"]


def test_the_log_says_by_number_what_was_refused_and_nothing_more(door: Door) -> None:
    secret, wrong = add(door), PREFIX + "guess" * 8
    (token,) = door.access.tokens.all()
    refused(door, secret, Scope.METRICS)
    refused(door, wrong)
    door.now_us += 91 * DAY_US
    refused(door, secret)
    door.access.close()
    told = [payload for kind, payload, _ in door.said() if kind == "access_denied"]
    assert {json.dumps(one, sort_keys=True) for one in told} == {
        json.dumps({"account": token.id, "reason": "scope"}, sort_keys=True),
        json.dumps({"reason": "token"}),
        json.dumps({"account": token.id, "reason": "token"}, sort_keys=True),
    }
    held = read_apart(door.ledger.path) + read_apart(Path(f"{door.ledger.path}-wal"))
    assert b"office" not in held
    assert b"guess" not in held


def test_guessing_is_slowed_down_and_keeps_no_right_one_out(door: Door) -> None:
    secret = add(door)
    seen = [refused(door, f"{PREFIX}{number}") for number in range(TRIES + 3)]
    assert seen == [Refusal.TOKEN] * TRIES + [Refusal.PACE] * 3
    assert refused(door, "another", address=THERE) is Refusal.TOKEN
    assert door.access.token(secret, Scope.FIGURES, HERE)


def test_one_token_cannot_take_the_dashboard_from_the_others(door: Door) -> None:
    busy, other = add(door), add(door, "other")
    for _ in range(USES):
        door.access.token(busy, Scope.FIGURES, HERE)
    assert refused(door, busy) is Refusal.PACE
    assert door.access.token(other, Scope.FIGURES, HERE)
    door.now_us += SECOND
    assert door.access.token(busy, Scope.FIGURES, HERE)


def test_the_hour_of_its_last_use_is_known_and_no_finer(door: Door) -> None:
    secret = add(door)
    door.access.token(secret, Scope.FIGURES, HERE)
    door.now_us += 59 * 60 * SECOND
    door.access.token(secret, Scope.FIGURES, HERE)
    assert door.access.tokens.all()[0].used_us == NOON
    door.now_us += 60 * SECOND
    door.access.token(secret, Scope.FIGURES, HERE)
    assert door.access.tokens.all()[0].used_us == door.now_us


def test_one_that_is_over_is_listed_for_a_month_and_then_gone(door: Door) -> None:
    add(door, days=1)
    door.now_us += 31 * DAY_US - 1
    door.access.tick()
    assert len(door.access.tokens.all()) == 1
    door.now_us += 61 * SECOND
    door.access.tick()
    assert door.access.tokens.all() == []


def test_a_file_of_before_there_were_tokens_is_brought_up_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "access.sqlite"
    old = sqlite3.connect(path)
    for statement in accessfile._ACCOUNTS.split(";\n"):
        old.execute(statement)
    old.execute("INSERT INTO accounts VALUES ('0123456789abcdef', 'Ada', 'ada', 'manager', NULL, NULL, NULL, 1)")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with Accounts(path) as accounts:
        assert [one.name for one in accounts.accounts()] == ["Ada"]
        tokens = Tokens(accounts)
        tokens.add("office", Scope.FIGURES, 1, now_us=NOON)
    with Accounts(path) as accounts:
        assert len(Tokens(accounts).all()) == 1
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 999")
    newer.commit()
    newer.close()
    with pytest.raises(AccountError, match="newer openaisle"):
        Accounts(path)
