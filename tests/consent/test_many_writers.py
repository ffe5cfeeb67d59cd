"""Processes that are killed, and processes that write at once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from consent.audit import audit
from consent.events import Purpose
from consent.keys import KeyRing
from consent.ledger import Ledger
from tests.consent.shop import NOON, runs, say_yes, write

ROOT = Path(__file__).resolve().parents[2]


def start(path: Path, keys: KeyRing, seed: int, *count: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.consent.writer", str(path), str(keys.directory), str(seed), *count],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> list[list[str]]:
    """Return what a process acknowledged; a last line that was cut in the middle counts as not said."""
    out = process.stdout.read() if process.stdout else ""
    return [line.split() for line in out.splitlines(keepends=True) if line.endswith("\n")]


def test_no_kill_parts_a_consent_from_its_leaf(tmp_path: Path, keys: KeyRing) -> None:
    """One ledger through all the kills, as in a shop: what was acknowledged once stays."""
    rng = random.Random(9)
    path = tmp_path / "ledger.sqlite"
    granted: dict[str, int] = {}
    withdrawn: dict[str, int] = {}
    rows = 0
    for turn in range(runs(10)):
        process = start(path, keys, turn)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        words = said(process)
        assert process.wait() == -signal.SIGKILL
        granted |= {w[1]: int(w[2]) for w in words if w[0] == "granted"}
        withdrawn |= {w[1]: int(w[2]) for w in words if w[0] == "withdrawn"}
        rows = max([rows, *(int(w[1]) for w in words if w[0] == "row")])
        with Ledger(path, keys, store="s") as ledger:
            audit(ledger)
            known = {s.hex() for s in ledger.subjects()}
            assert granted.keys() <= known, "an acknowledged grant is lost"
            assert not withdrawn.keys() & {s.hex() for s in ledger.live_subjects(NOON + 10**6)}
            for subject in withdrawn:
                assert not write(ledger, bytes.fromhex(subject), at_us=NOON + 10**6)
            assert len(ledger.read_inbox(limit=10**9)) >= rows, "an acknowledged row is lost"
            kinds = {index: leaf for index, leaf in ledger.leaves(0, ledger.size)}  # noqa: C416
            assert all(b'"granted"' in kinds[index] for index in granted.values())
            assert all(b'"withdrawn"' in kinds[index] for index in withdrawn.values())
    assert len(granted) > runs(10), "the processes had time to write"


def test_two_processes_write_at_once_and_the_log_has_no_gap(tmp_path: Path, keys: KeyRing) -> None:
    path = tmp_path / "ledger.sqlite"
    processes = [start(path, keys, seed, "60") for seed in (1, 2)]
    words = [said(p) for p in processes]
    assert [p.wait() for p in processes] == [0, 0]
    assert [len(w) for w in words] == [61, 61]
    indices = [int(w[2]) for told in words for w in told if w[0] in ("granted", "withdrawn")]
    with Ledger(path, keys, store="s") as ledger:
        assert sorted(indices) == list(range(ledger.size))
        assert audit(ledger).leaves == len(indices)


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(10):
                given = say_yes(ledger, now_us=NOON + i)
                ledger.data_version()
                assert write(ledger, given.subject, at_us=NOON + i)
                if number % 2:
                    ledger.withdraw(given.secret, now_us=NOON + i)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asserts
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert audit(ledger).leaves == 60
    assert len(ledger.live_subjects(NOON + 100)) == 20


def test_a_withdrawal_by_another_process_is_seen_at_once(ledger: Ledger, keys: KeyRing) -> None:
    """The gate's own loop: look at the number each frame, ask again when it moved."""
    given = say_yes(ledger, Purpose.DWELL)
    with Ledger(ledger.path, keys, store="main-street") as watch:
        seen = watch.data_version()
        assert watch.permits(given.subject, NOON) == {Purpose.DWELL}
        ledger.withdraw(given.secret, now_us=NOON)
        assert watch.data_version() != seen
        assert watch.permits(given.subject, NOON) == frozenset()


@pytest.mark.parametrize("first", ["withdraw", "write"])
def test_no_row_slips_between_check_and_write(ledger: Ledger, keys: KeyRing, first: str) -> None:
    """A withdrawal that waits for the writer's transaction comes after its row; one before it refuses the row."""
    given = say_yes(ledger)
    other = Ledger(ledger.path, keys, store="main-street")
    order: list[str] = []

    def withdraw() -> None:
        other.withdraw(given.secret, now_us=NOON)
        order.append("withdraw")

    thread = threading.Thread(target=withdraw)
    if first == "withdraw":
        thread.start()
        thread.join()
        assert not write(ledger, given.subject, at_us=NOON)
    else:
        with ledger._write():  # the transaction is open: the other process has to wait
            thread.start()
            thread.join(0.2)
            assert order == []
            assert ledger.permits(given.subject, NOON) == {Purpose.DWELL}
        thread.join()
    assert order == ["withdraw"]
    assert not write(ledger, given.subject, at_us=NOON)
    other.close()
