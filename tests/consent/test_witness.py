"""The witness remembers, so that a log cannot go back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from consent import log, merkle
from consent.events import ConsentError
from consent.ledger import Ledger
from consent.witness import Witness, request
from tests.consent.shop import NOON, say_yes


@pytest.fixture
def witness(ledger: Ledger, tmp_path: Path) -> Witness:
    public = ledger.keys.public_keys("log")[0]
    return Witness.create(tmp_path / "officer", "officer.example", log.verifier_key(ledger.origin, public))


def sign_after(ledger: Ledger, more: int) -> str:
    for i in range(more):
        say_yes(ledger, now_us=NOON + i)
    note = ledger.sign_checkpoint()
    assert note is not None
    return note


def test_what_the_witness_saw_verifies_under_its_own_key(ledger: Ledger, witness: Witness) -> None:
    name, public, kind = log.read_verifier_key(witness.verifier_key)
    assert (name, kind, witness.size, witness.newest()) == ("officer.example", log.COSIGNATURE, 0, None)
    for size, more in ((1, 1), (3, 2), (8, 5), (9, 1)):
        note = sign_after(ledger, more)
        cosigned = witness.cosign(request(ledger, witness.size), now_s=1_790_000_000 + size)
        assert cosigned.startswith(note)
        assert log.cosigned_at(cosigned, name, public) == 1_790_000_000 + size
        assert (witness.size, witness.newest()) == (size, cosigned)
        assert Witness(witness.directory).size == size  # another day, another process
    again = witness.cosign(request(ledger, 9), now_s=1_790_000_999)  # the same head once more
    assert log.cosigned_at(again, name, public) == 1_790_000_999


def test_the_export_holds_against_the_witness(ledger: Ledger, witness: Witness, tmp_path: Path) -> None:
    sign_after(ledger, 3)
    cosigned = witness.cosign(request(ledger, 0), now_s=1)
    sign_after(ledger, 2)
    log.export(ledger, tmp_path / "export")
    name, public, _ = log.read_verifier_key(witness.verifier_key)
    key = ledger.keys.public_keys("log")
    assert log.verify(tmp_path / "export", key, known=[cosigned], witness=(name, public)).cosigned_s == 1


def test_a_rollback_to_an_older_valid_state_is_refused(ledger: Ledger, witness: Witness, tmp_path: Path) -> None:
    sign_after(ledger, 3)
    older = request(ledger, 0)
    backup = tmp_path / "backup"
    backup.mkdir()
    ledger.compact()
    shutil.copy(ledger.path, backup / "ledger.sqlite")
    sign_after(ledger, 2)
    witness.cosign(request(ledger, 0), now_s=1)
    seen = witness.newest()
    with pytest.raises(ConsentError, match="cut short or rolled back"):
        witness.cosign(older, now_s=2)
    with Ledger(backup / "ledger.sqlite", ledger.keys, store="main-street") as restored:
        with pytest.raises(ConsentError, match="never had"):
            request(restored, witness.size)
        sign_after(restored, 2)  # a fork of the same length, signed with the right key
        with pytest.raises(ConsentError, match="forked"):
            witness.cosign(request(restored, witness.size), now_s=3)
        sign_after(restored, 1)  # and one that is longer
        with pytest.raises(ConsentError, match="does not hold"):
            witness.cosign(request(restored, witness.size), now_s=4)
    assert (witness.size, witness.newest()) == (5, seen)


def test_a_request_that_is_not_whole_is_refused(ledger: Ledger, witness: Witness) -> None:
    sign_after(ledger, 3)
    witness.cosign(request(ledger, 0), now_s=1)
    sign_after(ledger, 4)
    good = request(ledger, 3)
    proof = good.split("\n")[1]
    for bad in (
        "",
        good.replace("old 3", "old 03"),
        good.replace("old 3", "new 3"),
        good.replace("old 3", "old 2"),
        good.replace(proof + "\n", "", 1),
        good.replace(proof, proof[:-4], 1),
        good.replace(proof, "!" * 44, 1),
        good.replace("openaisle/main-street\n7", "openaisle/main-street\n8"),
        good[:-9],
    ):
        with pytest.raises(ConsentError):
            witness.cosign(bad, now_s=2)
    assert witness.size == 3
    witness.cosign(good, now_s=2)


def test_a_first_sight_carries_no_proof(ledger: Ledger, witness: Witness) -> None:
    sign_after(ledger, 3)
    with pytest.raises(ConsentError):
        witness.cosign(request(ledger, 0).replace("old 0\n", "old 0\n" + "A" * 43 + "=\n"), now_s=1)
    assert merkle.EMPTY_ROOT.hex() in (witness.directory / "witness.json").read_text()


def test_a_witness_is_not_made_anew_by_accident(ledger: Ledger, witness: Witness, tmp_path: Path) -> None:
    with pytest.raises(log.LogError, match="never made anew"):
        Witness.create(witness.directory, "officer.example", witness.verifier_key)
    with pytest.raises(log.LogError, match="no witness"):
        Witness(tmp_path / "nowhere")
    with pytest.raises(log.LogError, match="no checkpoint"):
        request(ledger, 0)
    assert (witness.directory / "witness.key").stat().st_mode & 0o077 == 0
