"""The proof of one entry, the log as an officer reads it, and the check on the spot: what is told, and what is not."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path

import pytest

import cli
from analytics.desk import log_keys
from analytics.hourly import Hour, camera_of
from consent import chronicle, proof
from consent.events import ConsentError, EventKind, Level
from consent.inspection import inspect
from consent.keys import Role
from consent.witness import Witness, request
from retention import counter, witnessed
from retention.model import RetentionError
from retention.pages.entries import clock, said
from tests.officers import HOUR_US, Desk, a_past


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return a_past(tmp_path_factory.mktemp("proof") / "shop")


def test_every_entry_is_proven_and_only_the_shops_own_are_opened(shop: Desk) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        public = ledger.keys.public_keys("log")
        for entry in range(ledger.size):
            told = proof.check(proof.write(ledger, entry), public)
            assert told.entry == entry
            assert (told.payload is None) is told.leaf.kind.personal
        for wrong in (ledger.size, -1):
            with pytest.raises(ConsentError, match="there is no entry"):
                proof.write(ledger, wrong)


def test_a_thousand_damaged_proofs_are_refused(shop: Desk) -> None:
    rng = random.Random(4)
    with shop.ledger(Role.DASHBOARD) as ledger:
        public = ledger.keys.public_keys("log")
        data = [proof.write(ledger, entry) for entry in range(ledger.size)]
    for _ in range(1000):
        wrong = bytearray(rng.choice(data))
        wrong[rng.randrange(len(wrong))] ^= 1 << rng.randrange(8)
        with pytest.raises(ConsentError):
            proof.check(bytes(wrong), public)


@pytest.mark.parametrize("change", [{"entry": True}, {"more": 1}, {"origin": "openaisle/other"}, {"what": "x"}])
def test_a_proof_that_says_more_or_something_else_is_refused(shop: Desk, change: dict[str, object]) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        public, told = ledger.keys.public_keys("log"), json.loads(proof.write(ledger, 1))
    data = json.dumps(told | change, indent=1, sort_keys=True).encode() + b"\n"
    with pytest.raises(ConsentError):
        proof.check(data, public)


def test_the_command_checks_a_proof_offline(shop: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        (tmp_path / "one.json").write_bytes(proof.write(ledger, 1))
        key = log_keys(ledger)[0]
    assert cli.main(["consent", "verify", "--entry", str(tmp_path / "one.json"), "--key", key]) == 0
    assert "entry 1 (level_raised) stands in the log" in capsys.readouterr().out
    (tmp_path / "one.json").write_bytes((tmp_path / "one.json").read_bytes()[:-1])
    assert cli.main(["consent", "verify", "--entry", str(tmp_path / "one.json"), "--key", key]) == 2


def test_entries_are_found_by_kind_time_and_number(shop: Desk) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        assert [one.entry for one in chronicle.search(ledger, limit=3)] == [ledger.size - i for i in (1, 2, 3)]
        assert len(chronicle.search(ledger, kinds=(EventKind.GRANTED,))) == 12
        since = shop.now_us - 20 * 60 * 1_000_000
        assert {one.kind for one in chronicle.search(ledger, since_us=since)} == {EventKind.ERASED}
        assert [one.entry for one in chronicle.search(ledger, below=3)] == [2, 1, 0]
        assert chronicle.line(ledger, ledger.size) is None


def test_what_was_erased_has_no_time_and_no_words(shop: Desk) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        granted = chronicle.search(ledger, kinds=(EventKind.GRANTED, EventKind.WITHDRAWN))
        gone = [one for one in granted if one.erased]
        assert len(gone) == 2  # the yes of the one who took it back, and its end
        assert all(one.details is None for one in gone)
        for one in granted:
            assert "grant" not in (one.details or {})
            assert "until_us" not in (one.details or {})
        around = chronicle.around(ledger, shop.now_us - 2 * HOUR_US - 1, shop.now_us - 2 * HOUR_US + 60_000_000)
        assert sum(one.erased for one in around) <= 1


def test_a_moment_is_what_the_log_says(shop: Desk) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        before = chronicle.at(ledger, shop.now_us - 5 * HOUR_US)
        assert (before.size, before.settings, before.approved) == (0, None, Level.COUNTS)
        then = chronicle.at(ledger, shop.now_us - HOUR_US)
        assert then.approved is Level.DWELL
        assert then.settings is not None
        assert then.settings.details is not None
        assert then.settings.details["level"] == "dwell"
        assert then.settings.details["notice"]["version"].startswith("1-")
        assert len(then.erasures) == 1
        texts = chronicle.versions(ledger)
        assert {one.digest for one in chronicle.answers(ledger)} <= set(texts)


def test_settings_level_and_notice_are_logged_when_they_change_and_only_then(tmp_path: Path) -> None:
    shop = a_past(tmp_path / "shop", people=1)
    with shop.ledger() as ledger:
        before = len(chronicle.search(ledger, kinds=(EventKind.CONFIG_CHANGED,)))
        shop.keep()
        assert len(chronicle.search(ledger, kinds=(EventKind.CONFIG_CHANGED,))) == before
        ledger.set_level(Level.COUNTS, now_us=shop.now_us)
        shop.keep()
        lines = chronicle.search(ledger, kinds=(EventKind.CONFIG_CHANGED,))
    assert len(lines) == before + 1
    assert lines[0].details is not None
    assert lines[0].details["level"] == "counts"
    assert lines[1].details is not None
    assert lines[0].details["notice"]["version"] != lines[1].details["notice"]["version"]


def test_a_changed_log_is_not_found_whole(tmp_path: Path) -> None:
    shop = a_past(tmp_path / "shop", people=3)
    with shop.ledger(Role.DASHBOARD) as ledger:
        found = inspect(ledger)
        assert found.size + found.newer == ledger.size
        ledger._db.execute("DROP TRIGGER leaves_update")
        ledger._db.execute(
            "UPDATE leaves SET data = CAST(replace(CAST(data AS TEXT), 'granted', 'refused') AS BLOB) WHERE idx = 5"
        )
        with pytest.raises(ConsentError):
            inspect(ledger)


def test_what_a_witness_saw_is_kept_and_a_rolled_back_log_is_said(tmp_path: Path) -> None:
    shop = a_past(tmp_path / "shop", people=1)
    other = a_past(tmp_path / "other", people=1)
    root = shop.state.root
    with shop.ledger(Role.DASHBOARD) as ledger, other.ledger(Role.DASHBOARD) as theirs:
        assert witnessed.read(root, ledger) is None
        witness = Witness.create(tmp_path / "witness", "officer.example/shop", log_keys(ledger)[0])
        note = witness.cosign(request(ledger, 0), now_s=1)
        kept = witnessed.keep(root, ledger, note, witness.verifier_key)
        assert witnessed.read(root, ledger) == kept
        assert inspect(ledger, [kept.note], (kept.name, kept.public)).witnessed == 1
        for wrong in (note.replace("officer", "0fficer"), note[:-9], "x"):
            with pytest.raises(ConsentError):
                witnessed.keep(root, ledger, wrong, witness.verifier_key)
        with pytest.raises((ConsentError, RetentionError)):
            witnessed.keep(root, ledger, note, log_keys(ledger)[0])
        with pytest.raises(ConsentError):
            witnessed.keep(other.state.root, theirs, note, witness.verifier_key)
        (root / witnessed.NAME).write_text("{")
        with pytest.raises(RetentionError, match="damaged"):
            witnessed.read(root, ledger)


def test_a_code_at_the_counter_reaches_the_keeper_alone(tmp_path: Path) -> None:
    shop = a_past(tmp_path / "shop", people=3)
    said = shop.grants[1]
    with shop.ledger(Role.DASHBOARD) as ledger:
        with pytest.raises(ConsentError):
            counter.ask(ledger, counter.What.ERASE, "not a code", now_us=shop.now_us)
        copy = counter.ask(ledger, counter.What.COPY, said.secret, now_us=shop.now_us)
        for path in shop.state.root.rglob("*"):
            if path.is_file():
                assert said.secret.encode() not in path.read_bytes()
        shop.keep()
        status, told = counter.answer(ledger, copy)
        assert status == "done"
        assert told["question"] > copy
        erase = counter.ask(ledger, counter.What.ERASE, said.secret, now_us=shop.now_us)
        shop.keep()
        status, told = counter.answer(ledger, erase)
        assert (status, told["entry"] >= 0) == ("done", True)
        again = counter.ask(ledger, counter.What.ERASE, said.secret, now_us=shop.now_us)
        shop.keep()
        assert counter.answer(ledger, again) == ("refused", {})
        for one in (copy, erase, again):
            asked = ledger.read_request(one)
            assert asked is not None
            assert asked.args == b""
    with shop.ledger() as ledger:
        assert said.subject not in ledger.subjects()


def test_an_entry_is_told_with_names_and_times_of_the_shop(shop: Desk) -> None:
    store = shop.state.store
    name = store.camera[0].name
    hour = Hour(camera_of(name), 1_795_284_000_000_000, 17_963, "20-49", "0-4", "hidden", "hidden", "0")
    line = chronicle.Line(7, EventKind.TALLIED, frozenset(), None, None, None, 1, hour.details())
    told = said(line, store)
    for words in (
        f"camera {name}, hour from {datetime.fromtimestamp(1_795_284_000, store.timezone):%Y-%m-%d %H:%M}:",
        "17,963 pictures looked at, 20-49 people followed",
        "0-4 of them linked to their yes",
        "looks at their posture: not told (fewer than five people, or nobody); at their face: 0",
    ):
        assert words in told
    for raw in ("_us", "1795284", hour.camera[:12], "hidden", "links"):
        assert raw not in told
    gone = chronicle.Line(
        8, EventKind.TALLIED, frozenset(), None, None, None, 1, {**hour.details(), "camera": "ab" * 32}
    )
    assert "camera abababababab… (not in store.toml any more)" in said(gone, store)
    looked = {"camera": hour.camera, "until_us": hour.from_us}
    opened = chronicle.Line(9, EventKind.SETUP_OPENED, frozenset(), None, None, None, 1, looked)
    assert said(opened, store) == f"camera {name}, until {clock(hour.from_us, store.timezone)}"
