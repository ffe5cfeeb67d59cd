"""The holder of a code can prove what was said, to anybody, offline."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from consent.events import ConsentError, Purpose
from consent.ledger import Ledger
from consent.statement import check_statement, statement
from consent.subjects import new_secret
from tests.consent.shop import NOON, say_yes


@pytest.fixture
def told(ledger: Ledger) -> dict[str, Any]:
    say_yes(ledger)
    given = say_yes(ledger, Purpose.DWELL, Purpose.REPEAT)
    ledger.withdraw(given.secret, now_us=NOON + 1, purposes=[Purpose.REPEAT])
    ledger.sign_checkpoint()
    ledger.withdraw(given.secret, now_us=NOON + 2)
    return statement(ledger, given.secret)


def test_a_statement_survives_json_and_proves_itself(ledger: Ledger, told: dict[str, Any]) -> None:
    again = json.loads(json.dumps(told))
    assert again == told
    assert [(p["purpose"], p["state"]) for p in told["purposes"]] == [
        ("dwell", "ConsentWithdrawn"),
        ("repeat", "ConsentWithdrawn"),
    ]
    assert [e["index"] for e in told["entries"]] == [1, 2, 3]
    assert check_statement(again, ledger.keys.public_keys("log")) == 2
    assert told["entries"][2]["inclusion"] is None  # not signed yet
    ledger.sign_checkpoint()


def test_nobody_elses_entry_and_no_code_is_in_it(ledger: Ledger, told: dict[str, Any]) -> None:
    text = json.dumps(told)
    for subject in ledger.subjects():
        assert subject.hex() not in text
    with pytest.raises(ConsentError, match="nobody is known"):
        statement(ledger, new_secret())


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["entries"][0].update(index=0),
        lambda t: t["entries"][0].update(index=2),
        lambda t: t["entries"][0].update(leaf=t["entries"][1]["leaf"]),
        lambda t: t["entries"][0].update(leaf=t["entries"][0]["leaf"].replace("repeat", "smile")),
        lambda t: t["entries"][0].update(payload=t["entries"][0]["payload"].replace("kiosk", "phone")),
        lambda t: t["entries"][0].update(entry_key="00" * 32),
        lambda t: t["entries"][0].update(entry_key="zz"),
        lambda t: t["entries"][0].update(inclusion=[]),
        lambda t: t["entries"][0].update(inclusion=["x"]),
        lambda t: t["entries"][0].pop("leaf"),
        lambda t: t.update(checkpoint=None),
        lambda t: t.update(origin="openaisle/side"),
        lambda t: t.update(checkpoint=t["checkpoint"].replace("\n3\n", "\n4\n")),
        lambda t: t.update(entries=7),
    ],
)
def test_no_changed_statement_proves_anything(
    ledger: Ledger, told: dict[str, Any], change: Callable[[dict[str, Any]], object]
) -> None:
    changed = copy.deepcopy(told)
    change(changed)
    with pytest.raises(ConsentError):
        check_statement(changed, ledger.keys.public_keys("log"))
