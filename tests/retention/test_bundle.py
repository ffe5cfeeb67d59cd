"""The audit bundle: what it proves, what is not in it, and that no changed one is taken for a good one."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shlex
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cli
from analytics.desk import log_keys
from analytics.hourly import HOUR_US, Hour, camera_of
from consent.events import ConsentError, EventKind
from consent.keys import Role
from consent.witness import Witness, request
from retention import bundle, certificate, policy, witnessed
from retention.model import RetentionError
from tests.officers import Desk, a_past

REFUSED = (ConsentError, RetentionError)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    root = tmp_path_factory.mktemp("bundle")
    made = a_past(root / "shop")
    hour = Hour("ab" * 32, made.now_us // HOUR_US * HOUR_US, 900, "5-9", "0-4", "hidden", "hidden", "0")
    known = replace(hour, camera=camera_of(made.state.store.camera[0].name))
    with made.ledger() as ledger:
        for one in (hour, known):
            ledger.append_event(EventKind.TALLIED, now_us=made.now_us, details=one.details())
    made.keep()
    with made.ledger(Role.DASHBOARD) as ledger:
        witness = Witness.create(root / "witness", "officer.example/shop", log_keys(ledger)[0])
        cosigned = witness.cosign(request(ledger, 0), now_s=made.now_us // 1_000_000)
        witnessed.keep(made.state.root, ledger, cosigned, witness.verifier_key)
    return made


@pytest.fixture(scope="module")
def keys(shop: Desk) -> list[str]:
    with shop.ledger(Role.DASHBOARD) as ledger:
        return [*certificate.key_lines(ledger), *log_keys(ledger)]


@pytest.fixture(scope="module")
def made(shop: Desk) -> bytes:
    with shop.ledger(Role.KEEPER) as ledger:
        return bundle.make(shop.state, ledger, shop.now_us)


def files(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_and_says_what_it_proves(shop: Desk, made: bytes, keys: list[str]) -> None:
    held = bundle.verify(made, keys)
    assert (held.certificates, held.tallies) == (1, 2)
    assert held.witness == held.entries
    assert held.files == len(files(made))


def test_it_says_what_each_file_is_and_how_to_check_it(made: bytes, keys: list[str], tmp_path: Path) -> None:
    held = files(made)
    said = held["README.txt"].decode()
    for name in held:
        folder = name.partition("/")[0]
        assert (f"\n{folder}/ " if folder in ("certificates", "notices") else f"\n{name} ") in said, name
    (tmp_path / "FILE.zip").write_bytes(made)
    (line,) = re.findall(r"openaisle (audit verify .*)", said)
    words = [{"FILE.zip": str(tmp_path / "FILE.zip")}.get(word, word) for word in shlex.split(line)]
    ours = {"LINE OF THE CERTIFICATES": keys[0], "LINE OF THE LOG": keys[-1]}
    assert cli.main([ours.get(word, word) for word in words]) == 0


def test_hours_of_cameras_can_be_read(shop: Desk, made: bytes) -> None:
    unknown, known = csv.DictReader(io.StringIO(files(made)["tallies.csv"].decode()))
    assert (unknown["camera"], unknown["camera_sha256"]) == ("", "ab" * 32)
    assert known["camera"] == shop.state.store.camera[0].name
    assert camera_of(known["camera"]) == known["camera_sha256"]
    begin = datetime.fromtimestamp(shop.now_us // HOUR_US * 3600, UTC)
    assert known["from_utc"] == f"{begin:%Y-%m-%dT%H:%M:%SZ}"
    for column in known:
        assert f" {column} " in files(made)["README.txt"].decode()


def test_nothing_about_a_shopper_and_no_secret_is_in_it(shop: Desk, made: bytes) -> None:
    toml = shop.state.root / "store.toml"
    text = toml.read_text()
    dirty = text.replace('source = "none"', 'source = "rtsp://me:hunter2@camera/1"')
    inline = bundle.without_secrets(
        'camera = [{name = "a", source = "rtsp://me:hunter2@camera/1"}]\nx.client_secret = "s3"'
    )
    assert b"hunter2" not in bundle.without_secrets(dirty) + inline
    assert b"s3" not in inline
    everything = b"\n".join(files(made).values())
    with shop.ledger() as ledger:
        for said in shop.grants[1:]:
            for record in ledger.records_of(said.subject):
                assert record.payload not in everything
                assert record.entry_key.hex().encode() not in everything
    for said in shop.grants:
        for form in (said.secret.encode(), said.subject, said.subject.hex().encode()):
            assert form not in everything
    private = b"".join(path.read_bytes() for path in shop.state.keys.glob("*.key"))
    assert private
    assert not any(path.read_bytes() in made for path in shop.state.keys.glob("*.key"))


def test_five_hundred_damaged_bundles_are_refused(made: bytes, keys: list[str]) -> None:
    rng = random.Random(8)
    for _ in range(500):
        wrong = bytearray(made)
        place = rng.randrange(len(wrong))
        what = rng.randrange(4)
        if what == 0:
            wrong[place] ^= 1 << rng.randrange(8)
        elif what == 1:
            del wrong[place : place + rng.randrange(1, 40)]
        elif what == 2:
            wrong[place:place] = rng.randbytes(rng.randrange(1, 40))
        else:
            del wrong[place:]
        with pytest.raises(REFUSED):
            bundle.verify(bytes(wrong), keys)


@pytest.mark.parametrize("how", ["changed", "removed", "added", "renamed"])
def test_a_bundle_that_was_packed_anew_is_refused(made: bytes, keys: list[str], how: str) -> None:
    for name in files(made):
        parts = files(made)
        if how == "changed":
            parts[name] += b" "
        elif how == "removed":
            del parts[name]
        elif how == "added":
            parts[f"{name}.more"] = b"x"
        else:
            parts[f"{name}.more"] = parts.pop(name)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for path, data in parts.items():
                archive.writestr(zipfile.ZipInfo(path), data)
        with pytest.raises(REFUSED):
            bundle.verify(out.getvalue(), keys)


def test_another_shops_key_and_a_missing_log_key_are_refused(made: bytes, keys: list[str], tmp_path: Path) -> None:
    other = a_past(tmp_path / "other", people=1)
    with other.ledger(Role.DASHBOARD) as ledger:
        theirs = [*certificate.key_lines(ledger), *log_keys(ledger)]
    for wrong in (theirs, keys[:1], [], [*theirs, keys[-1]]):
        with pytest.raises(REFUSED):
            bundle.verify(made, wrong)


def test_the_policy_in_it_is_the_one_the_log_speaks_of(made: bytes) -> None:
    said = json.loads(files(made)["manifest.json"])
    assert said["policy_sha256"] == policy.digest().hex()
    assert said["policy_sha256"].encode() in files(made)["log/openings.jsonl"]


def test_the_command_makes_one_and_checks_it(
    shop: Desk, keys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit.zip"
    assert cli.main(["audit", "bundle", "--state", str(shop.state.root), "--out", str(out)]) == 0
    words = [word for line in keys for word in ("--key", line)]
    assert cli.main(["audit", "verify", str(out), *words]) == 0
    assert "none changed" in capsys.readouterr().out
    assert cli.main(["audit", "bundle", "--state", str(shop.state.root), "--out", str(out)]) == 2
    out.write_bytes(out.read_bytes()[:-1])
    assert cli.main(["audit", "verify", str(out), *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert "Traceback" not in said


def test_the_keeper_makes_the_one_that_is_asked_for(shop: Desk, keys: list[str]) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        number = ledger.open_request(bundle.REQUEST, now_us=shop.now_us)
        assert bundle.fetch(shop.state, ledger, number) is None
        shop.keep()
        data = bundle.fetch(shop.state, ledger, number)
    assert data is not None
    assert bundle.verify(data, keys).certificates == 1
