"""The simulated past of the demo's officers: all of it the product's own work, and nothing secret of it kept."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from analytics.config import ConfigError
from analytics.desk import log_keys
from analytics.shopfloor import weeks
from analytics.start import init
from analytics.state import State
from consent import chronicle
from consent.events import EventKind, Leaf, Level
from consent.inspection import inspect
from consent.keys import Role
from retention import certificate, holds, simulated, witnessed
from retention.status import last_sweep
from tests.apart import read_apart


@dataclass(frozen=True)
class Lived:
    state: State
    codes: list[str]
    released: frozenset[str]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    now_us = time.time_ns() // 1000
    state = simulated.open_shop(tmp_path_factory.mktemp("past") / "weeks", now_us=now_us)
    weeks.unpack(state)
    before = frozenset(path.name for path in state.released.iterdir())
    past = simulated.Past(state, now_us=now_us)
    return Lived(past.live(), list(past._codes.values()), before)


def test_an_officer_finds_everything_that_a_real_shop_has(lived: Lived) -> None:
    with lived.state.open_ledger(Role.DASHBOARD) as ledger:
        kinds = Counter(Leaf.decode(data).kind for _, data in ledger.leaves(0, ledger.size))
        assert set(kinds) >= {
            *(EventKind.GRANTED, EventKind.REFUSED, EventKind.OBJECTED, EventKind.WITHDRAWN, EventKind.EXPIRED),
            *(EventKind.REVOKED, EventKind.ERASED, EventKind.TALLIED, EventKind.HOLD_PLACED, EventKind.HOLD_RELEASED),
            *(EventKind.ANSWERED, EventKind.LEVEL_RAISED, EventKind.CONFIG_CHANGED, EventKind.PERSONAL_READ),
            *(EventKind.ACCESS_DENIED, EventKind.ACCOUNT_CHANGED),
        }
        assert kinds[EventKind.GRANTED] > 100
        checked = inspect(ledger)
        assert (checked.size, checked.newer) == (ledger.size, 0)  # all of it is signed, and whole
        assert ledger.approved_level() is Level.EMOTION
        assert len(holds.holds(ledger)) == 1
        assert len(ledger.cases()) == 6
        assert len(chronicle.answers(ledger)) >= 4  # two notices, in two languages or more
        assert witnessed.read(lived.state.root, ledger) is not None
        keys, logs = certificate.key_lines(ledger), log_keys(ledger)
    for path in sorted(lived.state.certificates.glob("*.json"))[-3:]:
        certificate.verify(path.read_bytes(), keys, logs)
    swept = last_sweep(lived.state.root)
    assert swept is not None
    assert len(list(lived.state.certificates.glob("*.json"))) == kinds[EventKind.ERASED]
    assert len(list(lived.state.exports.iterdir())) == 1


def test_no_code_and_no_witness_key_stays_and_no_figure_comes_of_it(lived: Lived) -> None:
    assert len(lived.codes) > 50
    held = b"".join(read_apart(path) for path in lived.state.root.rglob("*") if path.is_file()).upper()
    assert not [code for code in lived.codes if code.replace("-", "").encode() in held]
    assert not list(lived.state.root.rglob("witness.key"))
    now = {path.name for path in lived.state.released.iterdir() if path.name.endswith(".parquet")}
    assert {name for name in now - lived.released if name.startswith(("everybody", "consenting"))} == set()


def test_a_real_shop_gets_no_simulated_past(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=time.time_ns() // 1000)
    with pytest.raises(ConfigError, match="no simulated shop"):
        simulated.Past(state, now_us=time.time_ns() // 1000)
