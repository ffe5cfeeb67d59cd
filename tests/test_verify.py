"""Somebody with the public keys checks an export, a receipt and a record with the command alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import four_eyes
from tests.command import Place


@dataclass(frozen=True, slots=True)
class Handed:
    """What the shop and the shopper hand to the verifier."""

    place: Place
    export: Path
    receipt: Path
    record: Path
    keys: tuple[str, ...]

    def verify(self, *words: str | Path) -> tuple[int, str, str]:
        done = self.place.run("consent", "verify", *words, *self.keys)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    place = Place(tmp_path_factory.mktemp("verifier"))
    state, here = place.here / "shop", place.here

    def run(*words: str | Path, code: str = "") -> str:
        done = place.run(*words, said=code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", state, "--name", "Main Street")
    (state / "store.toml").write_text((state / "store.toml").read_text().replace('"counts"', '"dwell"'))
    for raising in four_eyes.words(state, "dwell", here):
        run(*raising)
    (here / "notice").write_text("What we do.")
    said = run("consent", "grant", "dwell", "--notice", here / "notice", "--state", state).splitlines()
    code = said[0].split()[1]
    (here / "receipt").write_text(said[1].removeprefix("proof: ") + "\n")
    run("keeper", "--once", "--state", state)
    (here / "record").write_text(run("consent", "record", "--state", state, code=code))
    keys = [line for line in run("consent", "export", here / "export", "--state", state).splitlines() if "+" in line]
    assert len(keys) == 2
    words = tuple(word for line in keys for word in ("--key", line))
    return Handed(place, here / "export", here / "receipt", here / "record", words)


def test_all_three_together_are_true_in_one_line_each(handed: Handed) -> None:
    status, said, complaint = handed.verify(handed.export, "--receipt", handed.receipt, "--record", handed.record)
    assert (status, complaint) == (0, "")
    first, second, third = said.splitlines()
    assert first == "intact: 7 entries, held against no other checkpoint (--known adds some)"
    assert second == "receipt: true, entry 5 of openaisle/main-street, with a checkpoint of 1 entries, both in this log"
    assert third == "record: true, 1 of 1 entries in the signed log, controller as fixed at the yes"


def test_each_is_checked_alone(handed: Handed) -> None:
    assert handed.verify("--receipt", handed.receipt)[0] == 0
    assert handed.verify("--record", handed.record)[0] == 0


def test_what_is_false_is_one_clear_line_and_status_2(handed: Handed, tmp_path: Path) -> None:
    receipt, told = tmp_path / "receipt", tmp_path / "record"
    text = handed.receipt.read_text()
    record = json.loads(handed.record.read_text())
    record["dpv:hasProcess"][0]["dpv:hasLegalBasis"] = ["eu-gdpr:A6-1-f"]
    told.write_text(json.dumps(record))
    for changed, complaint in (
        (text[:-9] + "AAAA" + text[-5:], "the signature of this receipt does not verify"),
        ("hello", "not the proof of a receipt"),
        ("", "not the proof of a receipt"),
    ):
        receipt.write_text(changed)
        status, said, line = handed.verify("--receipt", receipt)
        assert (status, said, line.count("\n")) == (2, "", 1)
        assert complaint in line
    for words, complaint in (
        (("--record", told), "does not follow from its log entries"),
        (("--record", handed.receipt), "not JSON"),
        (("--record", tmp_path), "cannot be read"),
        (("--receipt", tmp_path / "none"), "cannot be read"),
        ((), "nothing to verify"),
    ):
        status, said, line = handed.verify(*words)
        assert (status, said, line.count("\n")) == (2, "", 1)
        assert complaint in line


def test_a_receipt_needs_its_own_key_and_the_log_its_own(handed: Handed) -> None:
    only_log = handed.place.run("consent", "verify", "--receipt", handed.receipt, *handed.keys[:2])
    assert (only_log.returncode, "receipt key" in only_log.stderr) == (2, True)
    only_receipt = handed.place.run("consent", "verify", handed.export, *handed.keys[2:])
    assert (only_receipt.returncode, "not signed by the log's key" in only_receipt.stderr) == (2, True)
