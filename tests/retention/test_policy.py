"""The declaration against what is really stored, in both directions; and what follows from it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

import cli
from analytics.config import read_store
from analytics.store import StoreError, Visits
from consent import accounts
from consent.events import DAY_US, Level, Purpose
from consent.keys import Role
from retention import figures, policy, record
from retention.erasure import tables
from retention.keeper import SWEEP_S, Keeper, PassReport
from retention.model import RetentionError
from retention.policy import CATEGORIES, Action, Place
from tests.retention.keeping import NOON, SECOND, Shop
from tests.retention.test_keeper import MINUTE, erased, fast_path, run_once, shop, traces

__all__ = ["fast_path", "shop"]


# --- what is stored, and what is declared -----------------------------------------------------------------------------


def test_the_ledger_holds_what_is_declared_and_nothing_else(shop: Shop) -> None:
    found = tables(shop.ledger)
    assert len(found) > 10
    assert policy.unnamed(Place.LEDGER, found) == []
    assert policy.missing(Place.LEDGER, found) == []


def test_the_visits_hold_what_is_declared_and_nothing_else(shop: Shop) -> None:
    shop.allow_expression()
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT, Purpose.EMOTION)
    shop.stay(her.subject, NOON + SECOND)
    shop.face(her.subject, NOON + SECOND)
    run_once(shop)
    with Visits(shop.state.visits) as visits:
        found = visits.columns()
    assert policy.unnamed(Place.VISITS, found) == []
    assert policy.missing(Place.VISITS, found) == []


def test_the_accounts_hold_what_is_declared_and_nothing_else(shop: Shop) -> None:
    path = shop.state.root / Place.ACCESS
    accounts.Accounts(path).close()
    found = accounts.columns(path)
    assert policy.unnamed(Place.ACCESS, found) == []
    assert policy.missing(Place.ACCESS, found) == []
    assert run_once(shop).unnamed is None
    add(path, "ALTER TABLE accounts ADD COLUMN birthday TEXT")
    assert "access.sqlite: accounts.birthday" in str(run_once(shop, NOON + MINUTE).unnamed)
    path.write_bytes(b"not a database")
    assert run_once(shop, NOON + 2 * MINUTE).unnamed is None


def test_released_files_hold_what_is_declared_and_nothing_else() -> None:
    found = {
        name: schema.names
        for name, schema in (("cells", figures.CELLS), ("plan", figures.PLAN), ("waiting", figures.WAITING))
    }
    assert policy.unnamed(Place.RELEASED, found) == []
    assert policy.missing(Place.RELEASED, found) == []


def test_every_key_is_declared_and_every_declared_key_is_there(shop: Shop) -> None:
    (keys,) = [one for one in CATEGORIES if one.place is Place.KEYS]
    assert {path.name.partition("-")[0] for path in shop.state.keys.iterdir()} == set(keys.columns)


def test_every_file_of_a_shop_belongs_to_a_declared_place(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    assert run_once(shop, NOON + 2 * MINUTE).erased
    places = {place.value for place in Place}
    side = ("-wal", "-shm", ".wal", ".lock")  # of the databases: the same data, or none
    for path in shop.state.root.rglob("*"):
        name = str(path.relative_to(shop.state.root)).partition("/")[0]
        stem = next((name.removesuffix(end) for end in side if name.endswith(end)), name)
        assert stem in places, f"{name} belongs to no place of the policy"


def test_there_is_nothing_in_the_policy_that_has_no_word() -> None:
    names = [one.name for one in CATEGORIES]
    assert len(set(names)) == len(names)
    for one in CATEGORIES:
        assert all((one.about, one.purpose, one.basis, one.trigger, one.term.text)), one.name
        assert one.personal or one.action in (Action.KEEP, Action.LEAVE)
        assert not (one.personal and one.action is Action.KEEP)
    assert {place for place in Place if not any(one.place is place for one in CATEGORIES)} == set()


# --- what the declaration does not name -------------------------------------------------------------------------------

LEDGER = ("CREATE TABLE faces (embedding BLOB)", "ALTER TABLE subjects ADD COLUMN name TEXT")
VISITS = ("CREATE TABLE faces (embedding BLOB)", "ALTER TABLE dwell ADD COLUMN age SMALLINT")


def add(path: Path, statement: str) -> None:
    if path.suffix == ".sqlite":
        with sqlite3.connect(path) as ledger:
            ledger.execute(statement)
        ledger.close()
    else:
        with duckdb.connect(str(path)) as visits:
            visits.execute(statement)


@pytest.mark.parametrize(
    ("file", "statement", "undo"),
    [
        ("ledger.sqlite", LEDGER[0], "DROP TABLE faces"),
        ("ledger.sqlite", LEDGER[1], "ALTER TABLE subjects DROP COLUMN name"),
        ("visits.duckdb", VISITS[0], "DROP TABLE faces"),
        ("visits.duckdb", VISITS[1], "ALTER TABLE dwell DROP COLUMN age"),
    ],
)
def test_what_no_rule_names_fails_the_sweep_while_what_is_named_is_deleted(
    shop: Shop, file: str, statement: str, undo: str
) -> None:
    her, him = shop.yes(), shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    shop.stay(him.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    add(shop.state.root / file, statement)
    shop.stay(him.subject, NOON + 30 * SECOND)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    for minute in (2, 3):
        report = run_once(shop, NOON + minute * MINUTE)
        assert report.unnamed is not None
        assert "no retention rule names it" in report.unnamed
        assert statement.split()[2] in report.unnamed
        assert (report.erased, report.loaded, report.cells) == ((), 0, 0)
        assert [v for v, _ in shop.rows()] == [shop.hash_of(him.subject, NOON)]  # her row is gone
        assert shop.ledger.subjects() == [him.subject]  # and so is her key
        assert erased(shop.ledger) == []  # but nothing is claimed
        assert not list(shop.state.certificates.glob("*"))
    with pytest.raises(RetentionError, match="no retention rule names it") as said:
        run_once(shop, NOON + 4 * MINUTE).check()
    assert "\n" not in str(said.value)
    add(shop.state.root / file, undo)
    report = run_once(shop, NOON + 5 * MINUTE)
    assert report.unnamed is None
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1)]
    assert traces(shop, number) == {}
    assert len(shop.rows()) == 2  # what waited in the inbox is loaded now


@pytest.mark.parametrize("name", [one.name for one in CATEGORIES if one.place in (Place.LEDGER, Place.VISITS)])
def test_a_class_that_is_taken_out_of_the_policy_is_noticed(
    shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == Purpose.EMOTION.value:  # its table is made with the first row
        shop.allow_expression()
        shop.face(shop.yes(Purpose.EMOTION).subject, NOON + SECOND)
        run_once(shop)
    left = tuple(one for one in CATEGORIES if one.name != name)
    real = policy.unnamed
    monkeypatch.setattr(policy, "unnamed", lambda place, found: real(place, found, left))
    noticed = run_once(shop).unnamed
    alone = name not in ("refusals", "accesses")  # its columns are those of other records, too
    assert (noticed is not None) is alone


# --- what follows -----------------------------------------------------------------------------------------------------


def test_the_sweep_is_made_from_the_declaration() -> None:
    terms = dict.fromkeys(Purpose, 5)
    sweep = policy.sweep(terms)
    assert sweep.rows == {Purpose.DWELL: 5, Purpose.REPEAT: 5, Purpose.EMOTION: 5}
    a_day = dict.fromkeys(("refusals", "operations", "pad_requests", "requests"), DAY_US)
    assert sweep.forget == {**a_day, "cases": 3 * 365 * DAY_US, "accesses": 365 * DAY_US}
    assert sweep.files == {"exports": DAY_US, "vouchers": DAY_US, "certificates": 90 * DAY_US}
    shorter = [
        replace(one, term=policy.Term("1 hour", us=3600 * SECOND)) if one.name == "exports" else one
        for one in CATEGORIES
    ]
    assert policy.sweep(terms, shorter).files["exports"] == 3600 * SECOND


def test_what_is_past_its_term_is_deleted_by_the_declaration(shop: Shop) -> None:
    (shop.state.exports).mkdir()
    old, young = shop.state.exports / "old", shop.state.exports / "young"
    for path in (old, young):
        path.write_bytes(b"sealed")
    stamp = old.stat().st_mtime_ns // 1000
    number = shop.ledger.open_request("access", now_us=stamp)
    shop.ledger.settle_request(number, "done", now_us=stamp)
    os.utime(young, ns=((stamp + DAY_US) * 1000, (stamp + DAY_US) * 1000))
    run_once(shop, stamp + DAY_US + SECOND)
    assert (old.exists(), young.exists()) == (False, True)
    assert shop.ledger.read_request(number) is None


def test_edits_of_store_toml_and_of_the_policy_are_hashed_into_the_log(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[str, str]]:
        kinds = "SELECT leaf FROM records WHERE kind = 'config_changed' ORDER BY leaf"
        found = []
        for (leaf,) in shop.ledger.select(kinds):
            entry, opened = shop.ledger.leaves(leaf, leaf + 1), shop.ledger.record(leaf)
            assert opened is not None
            ((_, data),) = entry
            found.append((json.loads(data)["digest"], json.loads(opened.payload).get("policy", "")))
        return found

    run_once(shop)
    run_once(shop)
    size = len(told())
    assert told()[-1] == (shop.state.reread().sha256.hex(), policy.digest().hex())
    shop.set("# [terms] ", "[terms] ")
    run_once(shop)
    assert len(told()) == size + 1
    edited = (*CATEGORIES[:-1], replace(CATEGORIES[-1], about="something else"))
    other = policy.digest(edited)
    assert other != policy.digest()
    monkeypatch.setattr(policy, "digest", lambda: other)
    run_once(shop)
    run_once(shop)
    assert len(told()) == size + 2
    assert told()[-1][1] == other.hex()


def test_the_record_names_every_class_and_the_stores_own_words(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    toml = shop.state.root / "store.toml"
    toml.write_text(toml.read_text() + '\n[controller]\nname = "Corner Shop Ltd | two"\nofficer = "Ada"\n')
    store = read_store(toml)
    told = record.record(store, Level.REPEAT, b"\x01" * 32)
    assert {one["class"] for one in told["classes"]} == {one.name for one in CATEGORIES}
    assert [one["purpose"] for one in told["purposes"]] == ["dwell", "repeat"]
    assert told["controller"]["name"] == "Corner Shop Ltd | two"
    assert told["missing"] == ["address", "contact", "jurisdiction"]
    page = record.markdown(told)
    for one in CATEGORIES:
        assert f"| {one.name} | {one.place} |" in page
        for table, columns in one.columns.items():
            assert all(f"{table}.{column}" in page for column in columns)
    heads = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (5, 10) for line in heads)
    for more in ([], ["--json"]):
        assert cli.main(["retention", "record", "--state", str(shop.state.root), *more]) == 0
        said = capsys.readouterr().out
        assert (json.loads(said)["what"] if more else said.splitlines()[0]).lower().strip("# ").startswith("record of")


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_sweeps_are_less_than_five_minutes_apart() -> None:
    assert SWEEP_S + 30 < 300


def test_what_became_due_while_no_keeper_ran_goes_at_the_start(shop: Shop) -> None:
    people = [shop.yes(now_us=NOON + day * DAY_US) for day in range(5)]
    for day, one in enumerate(people):
        shop.stay(one.subject, NOON + day * DAY_US + SECOND)
    run_once(shop, NOON + 5 * DAY_US)
    hashes = [shop.hash_of(one.subject, NOON + day * DAY_US) for day, one in enumerate(people)]
    first = loop_until(shop, NOON + 33 * DAY_US, lambda reports: bool(reports))
    assert [(e.subjects, e.rows) for e in first[0].erased] == [(4, 4)]
    assert traces(shop, *hashes[:4]) == {}
    assert shop.ledger.subjects() == [people[4].subject]


def test_a_broken_figure_stops_no_erasure(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    (shop.state.released / "plan.parquet").write_bytes(b"PAR1 no PAR1")
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    reports = loop_until(shop, NOON + 2 * MINUTE, lambda reports: any(r.erased for r in reports))
    assert any("plan.parquet" in str(r.figures) for r in reports)
    assert traces(shop, number) == {}
    (shop.state.released / "plan.parquet").unlink()
    assert run_once(shop, NOON + 3 * MINUTE).figures is None


def loop_until(shop: Shop, now_us: int, enough: Callable[[list[PassReport]], bool]) -> list[PassReport]:
    """Return the reports of a keeper's loop that ran until there were enough."""
    stop, reports = threading.Event(), list[PassReport]()
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        loop = threading.Thread(target=keeper.run, args=(stop, lambda: now_us), kwargs={"on_pass": reports.append})
        loop.start()
        end = time.monotonic() + 60
        try:
            while not enough(reports):
                assert time.monotonic() < end
                time.sleep(0.02)
        finally:
            stop.set()
            loop.join()
    return reports


def test_rows_that_cannot_be_read_for_a_figure_stop_no_erasure(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)

    def fails(*_: object, **__: object) -> Iterator[object]:
        raise StoreError("no room to sort")

    monkeypatch.setattr(Visits, "read", fails)
    report = run_once(shop, NOON + 2 * MINUTE)
    assert (report.figures, report.deferred) == ("no room to sort", None)
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1)]


def test_a_long_rewriting_is_shared_by_the_withdrawals_of_a_busy_minute(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("retention.keeper._elapsed", lambda: clock[0])
    people = [shop.yes() for _ in range(4)]
    for one in people:
        shop.stay(one.subject, NOON + SECOND)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper.run_once(NOON + MINUTE)

        def come_and_look(at_s: float, *, leaves: int | None = None) -> int:
            clock[0] = 1000.0 + at_s
            if leaves is not None:
                shop.ledger.withdraw(people[leaves].secret, now_us=NOON + 2 * MINUTE)
            report = keeper.run_once(NOON + 2 * MINUTE, sweep=False, gather=True)  # as the loop does
            return sum(e.subjects for e in report.erased)

        assert come_and_look(1.0, leaves=0) == 1  # alone: at once
        keeper._last = clock[0], 8.0  # and it took long
        assert come_and_look(3.0, leaves=1) == 0
        assert come_and_look(20.0, leaves=2) == 0
        assert come_and_look(33.9) == 0
        assert come_and_look(34.1) == 2  # together, 31 seconds after the first of them
        keeper._last = clock[0], 8.0
        assert come_and_look(100.0, leaves=3) == 1  # a quiet minute has passed
