"""The plan says what the sweep then does, touches nothing, and stands in nobody's way."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import threading
import time
from datetime import date
from pathlib import Path

import pytest

import cli
from analytics.store import StoreError
from consent.events import Purpose
from consent.keys import Role
from retention import holds, plan, snapshot
from retention.keeper import Keeper
from retention.model import RetentionError
from retention.pages.consents import still_known
from tests.apart import read_apart
from tests.retention import keeper_child
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop
from tests.retention.test_keeper import MINUTE, fast_path, run_once, shop

__all__ = ["fast_path", "shop"]


def everything(shop: Shop) -> dict[str, tuple[int, str]]:
    """Return the instant of the last change and the digest of every file and folder of the shop, keys and journal."""
    found = {}
    for root in (shop.state.root, shop.state.keys, shop.state.journal):
        for path in (root, *sorted(root.rglob("*"))):
            data = read_apart(path) if path.is_file() else b""
            found[str(path)] = path.stat().st_mtime_ns, hashlib.sha256(data).hexdigest()
    return found


def counts(told: dict[str, object]) -> list[tuple[str, int]]:
    now = told["now"]
    assert isinstance(now, list)
    return sorted((one["class"], one["count"]) for one in now)


def test_what_it_says_is_what_the_sweep_does(shop: Shop) -> None:
    her, him, old = shop.yes(Purpose.DWELL, Purpose.REPEAT), shop.yes(days=60), shop.yes(days=2)
    for i in range(3):
        for one in (her, him, old):
            assert shop.stay(one.subject, NOON + i * MINUTE + SECOND)
    run_once(shop, NOON + 5 * MINUTE)
    shop.ledger.withdraw(her.secret, now_us=NOON + 6 * MINUTE)
    now_us = NOON + 30 * DAY_US + MINUTE + 30 * SECOND  # two rows of his are past the term, and the third is not
    told = plan.plan(shop.state, now_us)
    assert counts(told) == [("consent", 1), ("consent", 1), ("dwell", 2), ("dwell", 6), ("repeat", 3)]
    why = {(one["class"], one["count"]): one["why"] for one in told["now"]}
    assert why["dwell", 6] == "term over"  # hers and the other's are so, too
    (erased,) = run_once(shop, now_us).erased
    assert (erased.subjects, erased.rows) == (2, 11)
    after = plan.plan(shop.state, now_us)
    assert after["now"] == []
    assert {(one["class"], one["count"]) for one in after["later"]} == {("consent", 1), ("dwell", 1)}


def test_it_touches_no_file_while_nobody_is_at_work(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    shop.ledger.close()
    before = everything(shop)
    for what in ("plan", "status"):
        for more in ([], ["--json"]):
            assert cli.main(["retention", what, "--state", str(shop.state.root), *more]) == 0
            said = capsys.readouterr().out
            assert (json.loads(said)["at"] if more else said).startswith("2026" if more else "as of 2026")
    assert everything(shop) == before
    assert not list(Path("/dev/shm").glob("openaisle-plan-*/*"))
    shop.ledger = shop.state.open_ledger(Role.ADMIN)


def test_it_reads_what_a_killed_keeper_left_and_leaves_it(shop: Shop) -> None:
    processes = multiprocessing.get_context("forkserver")
    her = shop.yes()
    for i in range(4):
        shop.stay(her.subject, NOON + i * MINUTE)
    keeper = processes.Process(target=keeper_child.keep, args=(str(shop.state.root), NOON + 5 * MINUTE), daemon=True)
    keeper.start()
    end = time.monotonic() + 60
    while shop.ledger.read_inbox():
        assert time.monotonic() < end
        time.sleep(0.01)
    keeper.kill()
    keeper.join()
    assert shop.state.visits.with_name("visits.duckdb.wal").exists()  # rows that are in the log beside the file alone
    shop.ledger.withdraw(her.secret, now_us=NOON + 6 * MINUTE)
    before = everything(shop)
    told = plan.plan(shop.state, NOON + 7 * MINUTE)
    assert counts(told) == [("consent", 1), ("dwell", 4)]
    assert everything(shop) == before


def test_beside_a_running_keeper_it_waits_for_nobody_and_keeps_nobody_waiting(shop: Shop) -> None:
    people = [shop.yes() for _ in range(6)]
    stop, said = threading.Event(), list[int]()
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        loop = threading.Thread(target=keeper.run, args=(stop, lambda: NOON + 20 * MINUTE))
        loop.start()
        try:
            for i, one in enumerate(people):
                for minute in range(3):
                    assert shop.stay(one.subject, NOON + minute * MINUTE + i * SECOND)
                told = apart(shop)
                said.append(told)
                if i % 2:
                    shop.ledger.withdraw(one.secret, now_us=NOON + 10 * MINUTE)
            end = time.monotonic() + 60
            while len(shop.ledger.subjects()) > 3:
                assert time.monotonic() < end
                time.sleep(0.02)
        finally:
            stop.set()
            loop.join()
    assert len(said) == 6
    assert len(shop.rows()) == 9


def apart(shop: Shop) -> int:
    """Return what is due by a plan that is made in a process of its own: a plain read here would drop our locks."""
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        return pool.apply(_plan, (str(shop.state.root),))


def _plan(root: str) -> int:
    from analytics.state import State

    told = plan.plan(State.read(Path(root)), NOON + 20 * MINUTE)
    return sum(one["count"] for one in told["now"])


def test_a_file_that_is_written_anew_all_the_time_is_said_and_not_guessed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_once(shop)
    monkeypatch.setattr(snapshot, "_TRIES", 3)
    real = snapshot._read
    calls = iter(range(1000))

    def torn(path: Path) -> bytes:
        if path.name.endswith(".wal"):
            with shop.state.visits.open("r+b") as file:  # somebody writes a new head
                file.seek(4096 + 8)
                file.write(next(calls).to_bytes(8, "little"))
        return real(path)

    whole = shop.state.visits.read_bytes()
    monkeypatch.setattr(snapshot, "_read", torn)
    with pytest.raises(RetentionError, match="changes too fast"):
        plan.plan(shop.state, NOON + MINUTE)
    shop.state.visits.write_bytes(whole)
    monkeypatch.undo()
    assert plan.plan(shop.state, NOON + MINUTE)["now"] == []


def test_the_status_says_what_waits_and_how_old_it_is(shop: Shop) -> None:
    told = plan.status(shop.state, NOON)
    assert (told["last_sweep"], told["overdue"], told["next_due"]) == (None, True, None)
    her, him = shop.yes(), shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    shop.stay(him.subject, NOON + MINUTE)
    shop.ledger.withdraw(her.secret, now_us=NOON + 2 * MINUTE)
    told = plan.status(shop.state, NOON + 3 * MINUTE)
    assert told["last_sweep"] == "2026-09-21T14:14:20Z"
    assert told["overdue"] is False
    assert told["backlog"] == {"erasures_unfinished": 0, "due_now": 2, "inbox_rows": 1}
    assert told["oldest"]["dwell"] == "2026-09-21T14:13:21Z"
    assert told["next_due"] == "2026-10-21"
    assert plan.status(shop.state, NOON + 20 * MINUTE)["overdue"] is True
    (shop.state.released / "plan.parquet").write_bytes(b"not a figure")
    run_once(shop, NOON + 21 * MINUTE)
    told = plan.status(shop.state, NOON + 21 * MINUTE)
    assert any("plan.parquet" in problem for problem in told["problems"])
    assert "problem: " in plan.text(told)


def test_the_status_says_why_somebody_who_ended_a_consent_is_known_still(shop: Shop) -> None:
    her, him, them = (shop.yes(Purpose.DWELL, Purpose.REPEAT) for _ in range(3))
    for one in (her, him, them):
        shop.stay(one.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    shop.ledger.withdraw_subject(her.subject, now_us=NOON + 2 * MINUTE, purposes=[Purpose.REPEAT])
    shop.ledger.withdraw(him.secret, now_us=NOON + 2 * MINUTE)
    told = plan.status(shop.state, NOON + 3 * MINUTE)
    assert told["ended_and_known"] == {"another_yes_in_force": 1, "on_hold": 0, "due_now": 1}
    assert still_known(shop.ledger, NOON + 3 * MINUTE)[0].startswith("**1** said yes to something else")
    assert still_known(shop.ledger, NOON + 3 * MINUTE)[1].startswith("**1** have no yes in force, and no hold is")
    day = date.fromisoformat(told["at"][:10])
    entry = holds.place(shop.ledger, ["consent"], day, day, officer="o", reference="r", now_us=NOON + 3 * MINUTE).entry
    told = plan.status(shop.state, NOON + 4 * MINUTE)
    assert told["ended_and_known"] == {"another_yes_in_force": 1, "on_hold": 1, "due_now": 0}
    assert f"a hold may cover them (entry {entry}," in still_known(shop.ledger, NOON + 4 * MINUTE)[1]
    said = "of those who ended a consent, still known: another yes in force 1, on hold 1"
    assert said in plan.text(told).splitlines()


def test_a_second_sweep_beside_a_keeper_is_refused_in_one_line(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger):
        assert cli.main(["retention", "run", "--state", str(shop.state.root)]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1
        assert "another keeper" in said[0]
        with pytest.raises(StoreError):
            Keeper(shop.state, ledger)
