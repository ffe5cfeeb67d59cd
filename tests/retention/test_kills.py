"""kill -9 anywhere in an erasure: never a state in which one is logged and not done.

OPENAISLE_RUNS says how often (`make kills` says 200); the suite takes a sample.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from consent.audit import audit
from consent.events import EventKind, Leaf, Purpose
from consent.ledger import Ledger
from retention import certificate
from tests.apart import read_apart
from tests.retention import keeper_child
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop
from tests.retention.test_keeper import fast_path, run_once

__all__ = ["fast_path"]

RUNS = int(os.environ.get("OPENAISLE_RUNS", "10"))
DAYS = 3


def patterns(shop: Shop, subject: bytes) -> list[bytes]:
    """Return what must be gone: pseudonyms, keyed hash, key, sealed key, payloads, keys of entries."""
    found = [subject, shop.ledger.subject_key(subject)]
    found += [value for (value,) in shop.ledger.select("SELECT wrapped FROM subjects WHERE subject = ?", subject)]
    for record in shop.ledger.records_of(subject):
        found += [record.entry_key, record.payload] if record.kind is EventKind.GRANTED else [record.entry_key]
    numbers = {shop.hash_of(subject, NOON + day * DAY_US) for day in range(DAYS)}
    numbers.add(shop.hash_of(subject, NOON, Purpose.REPEAT))
    for number in numbers:
        raw = number.to_bytes(8, "little")
        found += [raw, raw[::-1], str(number).encode(), raw[::-1].hex().encode()]
    return [*found, *(value.hex().encode() for value in found)]


def stands(shop: Shop, wanted: list[bytes]) -> set[str]:
    files = [path for path in shop.state.root.rglob("*") if path.is_file()]
    return {path.name for path in files if any(form in data for data in [read_apart(path)] for form in wanted)}


def logged(ledger: Ledger) -> int:
    """Return how many subjects the log calls erased."""
    leaves = [Leaf.decode(data) for _, data in ledger.leaves(0, ledger.size)]
    return sum(leaf.count or 0 for leaf in leaves if leaf.kind is EventKind.ERASED)


def test_killed_anywhere_in_an_erasure_none_is_logged_that_is_not_done(fast_path: Path) -> None:
    rng = random.Random(6)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([keeper_child.__name__])
    shop = Shop.make(fast_path / "shop")
    people = [shop.yes(Purpose.DWELL, Purpose.REPEAT) for _ in range(RUNS + 5)]
    for day in range(DAYS):
        for i, one in enumerate(people):
            assert shop.stay(one.subject, NOON + day * DAY_US + i * SECOND)
    now_us = NOON + DAYS * DAY_US
    run_once(shop, now_us)
    gone = [patterns(shop, one.subject) for one in people]
    assert all(stands(shop, wanted) for wanted in gone[:2])  # this search finds what is there

    took, amid, after = 0.5, 0, 0
    for run in range(RUNS):
        before = logged(shop.ledger)
        keeper = processes.Process(target=keeper_child.keep, args=(str(shop.state.root), now_us), daemon=True)
        shop.ledger.withdraw(people[run].secret, now_us=now_us)
        keeper.start()
        began = wait(partial(begun, shop, before))
        if run < 3:  # how long it takes, undisturbed
            ended = wait(partial(done_since, shop, before))
            took = max(0.05, ended - began)
        else:
            time.sleep(rng.uniform(0.0, 1.1 * took))
        keeper.kill()
        keeper.join()
        amid += bool(shop.ledger.pending_requests())
        told = logged(shop.ledger)
        after += told > before
        for wanted in gone[before:told]:
            assert stands(shop, wanted) == set()
    assert amid >= min(2, RUNS // 4)
    assert after >= 3
    report = run_once(shop, now_us)
    assert report.deferred is None
    assert logged(shop.ledger) == RUNS
    assert stands(shop, [form for wanted in gone[:RUNS] for form in wanted]) == set()
    keys, found = certificate.key_lines(shop.ledger), set[int]()
    for path in shop.state.certificates.glob("*.json"):
        told_by = certificate.verify(path.read_bytes(), keys)
        found |= set(told_by.entries)
        assert json.loads(path.read_bytes())["certificate"]["search"]["found"] == 0
    assert len(found) == RUNS  # each withdrawal stands in a certificate
    assert len(shop.ledger.subjects()) == 5
    audit(shop.ledger)
    shop.ledger.close()
    print(f"{RUNS} kills: {amid} amid an erasure, 0 logged and not done")


def done_since(shop: Shop, before: int) -> bool:
    return logged(shop.ledger) > before


def begun(shop: Shop, before: int) -> bool:
    return bool(shop.ledger.pending_requests()) or done_since(shop, before)


def wait(happens: Callable[[], bool]) -> float:
    """Return when it happened, in seconds of elapsed time."""
    end = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)
    return time.monotonic()
