"""A thousand people, a hundred of whom take it back: no byte of them is left, where a plain DELETE leaves them all."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cli
from consent.answers import ask
from consent.audit import audit
from consent.events import EventKind, Purpose
from consent.ledger import Grant
from retention import certificate, scan
from retention.figures import Released
from tests.apart import read_apart
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop
from tests.retention.test_keeper import MINUTE, fast_path, run_once, shop

__all__ = ["fast_path", "shop"]

PEOPLE, GONE = 1000, 100
NOW = time.time_ns() // 1000 - 10 * MINUTE  # the commands take the clock of this machine


@pytest.fixture
def log_file(shop: Shop) -> Iterator[Path]:
    """Everything that is logged goes into a file of the state directory."""
    path = shop.state.root / "logs" / "keeper.log"
    path.parent.mkdir()
    handler, root = logging.FileHandler(path), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield path
    root.removeHandler(handler)
    root.setLevel(before)
    handler.close()


def secrets_of(shop: Shop, one: Grant) -> dict[str, list[bytes]]:
    """Return what must be gone, by kind; all of it is random somewhere."""
    ((sealed,),) = shop.ledger.select("SELECT wrapped FROM subjects WHERE subject = ?", one.subject)
    records = shop.ledger.records_of(one.subject)
    return {
        "secret": [one.secret.encode()],
        "keyed hash": [one.subject],
        "key": [shop.ledger.subject_key(one.subject)],
        "sealed key": [sealed],
        "entry key": [record.entry_key for record in records],
        "payload": [record.payload for record in records if record.kind is EventKind.GRANTED],
        "grant": [one.grant_id],
    }


def found(root: Path, pseudonyms: list[int], others: list[bytes]) -> dict[str, int]:
    return scan.search_apart(root, pseudonyms, others=others).found


def plain(root: Path, patterns: list[bytes]) -> int:
    """Count raw, hex and base64 by a search that shares nothing with the product's."""
    forms = [f for p in patterns for f in (p, p.hex().encode(), p.hex().upper().encode(), base64.b64encode(p)[:-4])]
    data = b"".join(read_apart(path) for path in sorted(root.rglob("*")) if path.is_file())
    return sum(form in data for form in forms)


def test_nothing_of_a_hundred_is_left_in_any_byte_of_any_file(shop: Shop, log_file: Path, tmp_path: Path) -> None:
    people = [shop.yes(Purpose.DWELL, Purpose.REPEAT) for _ in range(PEOPLE)]
    for i, one in enumerate(people):
        for t in (NOON + (i + 1) * SECOND, NOON + DAY_US + i * SECOND):
            assert shop.stay(one.subject, t)
    gone = people[::10]
    ask(shop.ledger, gone[0].secret, now_us=NOON + DAY_US)
    now_us = NOON + DAY_US + 20 * MINUTE
    assert run_once(shop, now_us).loaded == 4 * PEOPLE
    assert list(shop.state.exports.iterdir())
    shop.stay(gone[1].subject, now_us)  # and one row is on its way
    pseudonyms = [shop.hash_of(one.subject, t) for one in gone for t in (NOON, NOON + DAY_US)]
    pseudonyms += [shop.hash_of(one.subject, NOON, Purpose.REPEAT) for one in gone]
    kinds: dict[str, list[bytes]] = {}
    for one in gone:
        for kind, patterns in secrets_of(shop, one).items():
            kinds.setdefault(kind, []).extend(patterns)
    others = [pattern for patterns in kinds.values() for pattern in patterns]
    assert len(gone) == GONE
    assert len(others) == 7 * GONE

    # what there is before; neither a code nor an open key ever was anywhere
    present = {kind: sum(found(shop.state.root, [], patterns).values()) for kind, patterns in kinds.items()}
    assert (present.pop("secret"), present.pop("key")) == (0, 0)
    assert all(n >= GONE for n in present.values()), present

    # the control: deleted, and not compacted
    control = tmp_path / "control"
    shutil.copytree(shop.state.root, control, ignore=shutil.ignore_patterns("*.sock", "exports"))
    plainly_deleted(control, gone, pseudonyms)
    for kind in ("keyed hash", "sealed key", "payload"):
        assert sum(found(control, [], kinds[kind]).values()) > 0, kind
    assert sum(found(control, pseudonyms, []).values()) > 0
    assert plain(control, kinds["keyed hash"][:20]) > 0

    for one in gone:
        shop.ledger.withdraw(one.secret, now_us=now_us)
    (erased,) = run_once(shop, now_us + MINUTE).erased
    assert (erased.subjects, erased.rows) == (GONE, 4 * GONE)
    assert found(shop.state.root, pseudonyms, others) == {}
    sample = [one for patterns in kinds.values() for one in patterns[:20]]
    assert plain(shop.state.root, [*sample, *(v.to_bytes(8, "little") for v in pseudonyms[:60])]) == 0
    assert not list(shop.state.exports.iterdir())

    # everybody else is there, whole
    assert len(shop.rows()) == len(shop.rows(Purpose.REPEAT)) == 2 * (PEOPLE - GONE)
    stays = secrets_of(shop, people[1])
    assert found(shop.state.root, [shop.hash_of(people[1].subject, NOON)], stays["keyed hash"]).keys() == {
        "ledger.sqlite",
        "visits.duckdb",
    }
    audit(shop.ledger)

    # and the certificate says what was searched, file by file
    told = json.loads((shop.state.certificates / erased.certificate).read_bytes())["certificate"]["search"]
    checked = certificate.verify(
        (shop.state.certificates / erased.certificate).read_bytes(), certificate.key_lines(shop.ledger)
    )
    assert len(checked.entries) == GONE
    assert told["patterns"]["pseudonyms"] == 3 * GONE
    assert told["patterns"]["keys_and_payloads"] >= 7 * GONE
    assert (told["found"], told["control"]["found"] > 0) == (0, True)
    assert {"ledger.sqlite", "visits.duckdb", "logs/keeper.log", "store.toml"} <= {f["path"] for f in told["files"]}


def plainly_deleted(root: Path, gone: list[Grant], pseudonyms: list[int]) -> None:
    """Delete as most would: rows go from the tables, and nothing is rewritten."""
    with sqlite3.connect(root / "ledger.sqlite") as ledger:
        ledger.execute("PRAGMA secure_delete = OFF")
        for one in gone:
            for table in ("inbox", "records", "grants", "subjects"):
                ledger.execute(f"DELETE FROM {table} WHERE subject = ?", (one.subject,))  # noqa: S608
    ledger.close()
    with duckdb.connect(str(root / "visits.duckdb")) as visits:
        for number in pseudonyms:
            visits.execute("DELETE FROM dwell WHERE visitor = ?", [number])
            visits.execute("DELETE FROM repeat WHERE visitor = ?", [number])
        visits.execute("CHECKPOINT")


def test_a_pseudonym_in_a_released_file_would_be_seen(shop: Shop) -> None:
    number = 0x1122334455667788
    released = Released(shop.state.released)
    table = pa.table(
        {"id": [str(number)] * 50, "name": ["a pseudonym that is text"] * 50, "raw": pa.array([number] * 50)}
    )
    released._write(shop.state.released / "stray.parquet", table)
    assert pq.read_table(shop.state.released / "stray.parquet").num_rows == 50
    assert list(found(shop.state.root, [number], [])) == ["released/stray.parquet"]
    assert list(found(shop.state.root, [], [b"a pseudonym that is text"])) == ["released/stray.parquet"]


def test_the_command_proves_what_it_erased(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    her, him = shop.yes(now_us=NOW), shop.yes(now_us=NOW)
    for one in (her, him):
        shop.stay(one.subject, NOW + SECOND)
    state = ["--state", str(shop.state.root)]
    assert cli.main(["retention", "run", *state]) == 0
    assert "nothing was due" in capsys.readouterr().out
    shop.ledger.withdraw(her.secret, now_us=NOW + MINUTE)
    assert cli.main(["retention", "run", "--prove", *state]) == 0
    said = capsys.readouterr().out
    assert "erased: 1 subjects, 1 rows" in said
    assert "  visits.duckdb\n" in said
    assert "found 0; what is there rightly was found" in said
    shop.ledger.withdraw(him.secret, now_us=NOW + MINUTE)
    assert cli.main(["retention", "run", "--prove", "--json", *state]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["certificates"][0]["certificate"]["search"]["found"] == 0


def test_a_file_whose_name_is_no_text_is_searched_and_stops_no_erasure(shop: Shop) -> None:
    (shop.state.root / os.fsdecode(b"b\xffd")).write_bytes(b"hello")
    one = shop.yes()
    assert shop.stay(one.subject, NOON)
    run_once(shop, NOON + SECOND)
    shop.ledger.withdraw(one.secret, now_us=NOON + 2 * SECOND)
    report = run_once(shop, NOON + 3 * SECOND)
    assert [done.subjects for done in report.erased] == [1]
    told = (shop.state.certificates / report.erased[0].certificate).read_text()
    assert "b\\\\xffd" in told


def test_what_holds_nothing_but_zeros_is_searched_for_zeros(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(bytes(1000))
    assert list(scan.search_apart(tmp_path, [0]).found) == ["reserve"]
    assert scan.search_apart(tmp_path, [1, 256]).found == {}
    (tmp_path / "reserve").write_bytes(bytes(500) + (7 << 40).to_bytes(8, "little") + bytes(492))
    assert list(scan.search_apart(tmp_path, [7 << 40]).found) == ["reserve"]
