"""Access: everything about the holder of a code, nothing about anybody else, sealed, and gone in time."""

from __future__ import annotations

import base64
import csv
import io
import json
import multiprocessing
import random
import re
import shlex
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

import cli
from analytics.state import State
from consent import answers, log
from consent.answers import AnswerError, fetch, lock_of, seal, unseal
from consent.events import EventKind, Leaf, Purpose
from consent.keys import Role
from consent.ledger import LedgerError, RequestStatus, UnknownCodeError
from consent.statement import check_statement
from consent.subjects import new_secret, show_secret
from retention import holds
from retention.keeper import Keeper, PassReport
from tests.command import Place
from tests.retention import keeper_child
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop

MINUTE = 60 * SECOND


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop.make(tmp_path / "shop")
    with shop.ledger:
        yield shop


def run_once(shop: Shop, now_us: int) -> PassReport:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        return keeper.run_once(now_us)


def told(shop: Shop, code: str, now_us: int) -> dict[str, bytes]:
    """Ask, let the keeper answer, and open; return the files."""
    request = answers.ask(shop.ledger, code, now_us=now_us)
    assert fetch(shop.ledger, shop.state.exports, request, code) is None
    run_once(shop, now_us)
    opened = fetch(shop.ledger, shop.state.exports, request, code)
    assert opened is not None
    with zipfile.ZipFile(io.BytesIO(opened)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def everything(files: dict[str, bytes]) -> dict[str, Any]:
    return dict(json.loads(files["everything.json"]))


def entered(files: dict[str, bytes]) -> list[tuple[str, str]]:
    return sorted((row["purpose"], row["enter"]) for row in everything(files)["visits"])


def instant(t_us: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(t_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_among_many_each_gets_all_their_own_rows_and_no_byte_of_anybody_elses(shop: Shop) -> None:
    rng = random.Random(5)
    people = []
    for _ in range(25):
        purposes = rng.choice([(Purpose.DWELL,), (Purpose.DWELL, Purpose.REPEAT)])
        one = shop.yes(*purposes)
        instants = sorted(rng.sample(range(NOON + SECOND, NOON + 5 * DAY_US, 7 * SECOND), rng.randrange(6)))
        assert all(shop.stay(one.subject, t) for t in instants)
        people.append((one, purposes, instants))
    now_us = NOON + 6 * DAY_US
    run_once(shop, now_us)
    late = people[0][0].subject
    assert shop.stay(late, now_us)  # still on its way
    marks: dict[str, list[bytes]] = {}
    for one, purposes, instants in people:
        hashes = [shop.hash_of(one.subject, t, p) for p in purposes for t in instants or [NOON]]
        ((grant,),) = set(shop.ledger.select("SELECT DISTINCT grant_id FROM grants WHERE subject = ?", one.subject))
        keys = [r.entry_key for r in shop.ledger.records_of(one.subject)]
        words = [str(h) for h in hashes] + [x.hex() for x in (one.subject, grant, shop.ledger.subject_key(one.subject))]
        words += [k.hex() for k in keys] + [str(shop.ledger.number_of(one.subject)), one.secret]
        marks[one.secret] = [w.encode() for w in words]
    for i, (one, purposes, instants) in enumerate(people):
        files = told(shop, show_secret(one.secret), now_us + i * SECOND)
        assert entered(files) == sorted((p.value, instant(t)) for p in purposes for t in instants)
        whole = b"".join(files.values())
        assert instants == [] or marks[one.secret][0] in whole
        for other, words in marks.items():
            assert other == one.secret or not [w for w in words if w in whole]
        assert shop.ledger.subject_key(one.subject).hex().encode() not in whole
        assert one.secret.encode() not in whole
        on_their_way = everything(files)["visits_on_their_way"]
        assert len(on_their_way) <= 1


def test_it_holds_every_table_that_knows_the_subject_and_its_proofs_hold(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT)
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    shop.ledger.open_pad_request("pad", "link", her.subject, now_us=NOON + MINUTE)
    shop.ledger.withdraw_subject(her.subject, now_us=NOON + 2 * MINUTE, purposes=[Purpose.REPEAT], operation=b"o" * 16)
    request = answers.ask(shop.ledger, her.secret, now_us=NOON + 2 * MINUTE)
    shop.stay(her.subject, NOON + 3 * MINUTE)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper._sign(NOON + 2 * MINUTE)
        keeper._answer(NOON + 2 * MINUTE)  # before the erasure and the loading that are due
    files = unzip(fetch(shop.ledger, shop.state.exports, request, her.secret))
    known = everything(files)
    tables = {
        table
        for (table,) in shop.ledger.select("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if ("subject",) in shop.ledger.select("SELECT name FROM pragma_table_info(?)", table)
    }
    where = {
        "subjects": known["subject"],
        "grants": known["consents"],
        "records": known["entries"],
        "inbox": known["visits_on_their_way"],
        "pad_requests": known["taps_at_the_pad_without_an_answer"],
        "operations": known["operations"],
    }
    assert set(where) == tables  # a table that is added later must be in the answer
    for table, part in where.items():
        ((held,),) = shop.ledger.select(f"SELECT count(*) FROM {table} WHERE subject = ?", her.subject)  # noqa: S608
        assert held == (1 if table == "subjects" else len(part)), table
        assert held > 0, table
    assert entered(files) == [("dwell", instant(NOON + SECOND)), ("repeat", instant(NOON + SECOND))]
    assert known["controller"] == shop.state.store.controller.model_dump(mode="json")
    key = log.read_verifier_key(files["log-key.txt"].decode().strip())[1]
    assert check_statement(json.loads(files["statement.json"]), key) == 2
    assert_checked_as_the_readme_says(files, tmp_path, capsys)
    rows = list(csv.DictReader(io.StringIO(files["visits.csv"].decode())))
    assert [row["purpose"] for row in rows] == ["dwell", "repeat", ""]
    for name in ("README.txt", "LIESMICH.txt"):
        text = files[name].decode()
        for field in (*known, *(c for c in rows[0] if c != "purpose" and c != "seconds")):
            assert field in text or field in ("made", "shop"), (name, field)


def assert_checked_as_the_readme_says(
    files: Mapping[str, bytes], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, line = folder / "statement.json", files["log-key.txt"].decode().strip()
    for name in ("README.txt", "LIESMICH.txt"):
        (said,) = re.findall(r"openaisle (consent verify .*)", files[name].decode())
        words = [
            {"statement.json": str(held), "LINE": line, "ZEILE": line}.get(word, word) for word in shlex.split(said)
        ]
        held.write_bytes(files["statement.json"])
        assert cli.main(words) == 0
        assert "statement: true, 2 of 2 entries proved in the log of " in capsys.readouterr().out
        for wrong in (
            files["statement.json"].replace(b"granted", b"refused"),
            files["statement.json"].replace(b'"origin": "', b'"origin": "x'),
            b"[]",
            b"x",
        ):
            held.write_bytes(wrong)
            assert cli.main(words) == 2
            assert capsys.readouterr().err.count("\n") == 1


def unzip(data: bytes | None) -> dict[str, bytes]:
    assert data is not None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_rows_on_hold_are_in_it(shop: Shop) -> None:
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT)
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    from datetime import date

    holds.place(shop.ledger, ["dwell", "consent"], date(2026, 9, 1), date(2026, 9, 30), officer="x", now_us=NOON)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    run_once(shop, NOON + 2 * MINUTE)
    files = told(shop, her.secret, NOON + 3 * MINUTE)
    assert [(row["purpose"], row["on_hold"]) for row in everything(files)["visits"]] == [("dwell", True)]


# --- sealed, and gone -------------------------------------------------------------------------------------------------


def test_only_the_code_opens_it_and_a_flipped_bit_opens_nothing() -> None:
    code, other = new_secret(), new_secret()
    sealed = seal(lock_of(code), b"all of it")
    assert unseal(show_secret(code).lower(), sealed) == b"all of it"
    with pytest.raises(AnswerError, match="does not open"):
        unseal(other, sealed)
    refused = 0
    for i in range(len(sealed)):
        for wrong in (sealed[:i] + bytes([sealed[i] ^ 1 << i % 8]) + sealed[i + 1 :], sealed[:i]):
            # the highest bit of an X25519 public key is ignored by its definition; here it is bound in as the salt
            with pytest.raises(AnswerError):
                unseal(code, wrong)
            refused += 1
    assert refused == 2 * len(sealed)


def test_nothing_of_it_is_on_the_disk_in_the_clear_and_neither_code_nor_subject_is_in_the_question(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    files = told(shop, her.secret, NOON + 2 * MINUTE)
    (sealed,) = shop.state.exports.iterdir()
    assert sealed.stat().st_mode & 0o007 == 0
    data = sealed.read_bytes()
    assert b"visits.csv" not in data
    assert her.subject not in data
    ((args, result),) = shop.ledger.select("SELECT args, result FROM requests WHERE kind = 'access'")
    for word in (her.secret.encode(), her.subject.hex().encode(), base64.b64encode(her.subject)):
        assert word not in args + result
        assert not any(word in path.read_bytes() for path in shop.state.root.rglob("*.sealed"))
    assert set(files) >= {"README.txt", "LIESMICH.txt", "everything.json", "visits.csv", "statement.json"}
    ((_, leaf),) = [x for x in shop.ledger.leaves(0, shop.ledger.size) if Leaf.decode(x[1]).kind is EventKind.ANSWERED]
    assert her.subject.hex().encode() not in leaf


def test_it_is_gone_after_a_day_and_with_any_erasure(shop: Shop) -> None:
    her, him = shop.yes(), shop.yes()
    request = answers.ask(shop.ledger, her.secret, now_us=NOON + MINUTE)
    run_once(shop, NOON + MINUTE)
    run_once(shop, NOON + DAY_US)
    assert fetch(shop.ledger, shop.state.exports, request, her.secret) is not None
    run_once(shop, NOON + DAY_US + 2 * MINUTE)
    assert list(shop.state.exports.iterdir()) == []
    with pytest.raises(AnswerError, match="is gone"):
        fetch(shop.ledger, shop.state.exports, request, her.secret)

    request = answers.ask(shop.ledger, her.secret, now_us=NOON + 2 * DAY_US)
    run_once(shop, NOON + 2 * DAY_US)
    assert len(list(shop.state.exports.iterdir())) == 1
    shop.ledger.withdraw(him.secret, now_us=NOON + 2 * DAY_US)
    run_once(shop, NOON + 2 * DAY_US + MINUTE)
    assert list(shop.state.exports.iterdir()) == []
    with pytest.raises(AnswerError, match="ask again"):
        fetch(shop.ledger, shop.state.exports, request, her.secret)


def test_whoever_is_erased_takes_their_question_along(shop: Shop) -> None:
    her, him = shop.yes(), shop.yes()
    mine = answers.ask(shop.ledger, her.secret, now_us=NOON)
    other = answers.ask(shop.ledger, him.secret, now_us=NOON)
    run_once(shop, NOON + SECOND)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    run_once(shop, NOON + 2 * MINUTE)
    assert shop.ledger.read_request(mine) is None
    assert shop.ledger.read_request(other) is not None
    with pytest.raises(AnswerError):
        fetch(shop.ledger, shop.state.exports, mine, her.secret)


def test_a_question_about_nobody_or_of_no_form_is_refused_and_stops_nothing(shop: Shop) -> None:
    her = shop.yes()
    bad = [shop.ledger.open_request("access", args, now_us=NOON) for args in (b"", b"{}", b'{"number":1,"lock":"00"}')]
    number = shop.ledger.number_of(her.subject)
    bad += [
        shop.ledger.open_request("access", json.dumps({"number": number, "lock": lock}).encode(), now_us=NOON)
        for lock in ("", "zz", "00" * 31, "00" * 32, 5)
    ]
    good = answers.ask(shop.ledger, her.secret, now_us=NOON)
    run_once(shop, NOON + SECOND)
    for request in bad:
        answer = shop.ledger.read_request(request)
        assert answer is not None
        assert answer.status is RequestStatus.REFUSED
        with pytest.raises(AnswerError):
            fetch(shop.ledger, shop.state.exports, request, her.secret)
    assert fetch(shop.ledger, shop.state.exports, good, her.secret) is not None


# --- failed look-ups --------------------------------------------------------------------------------------------------


def test_failed_look_ups_are_logged_without_the_code_and_limited_and_right_ones_never(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="consent.answers")
    her = shop.yes()
    tried = [new_secret() for _ in range(12)]
    for i, code in enumerate(tried):
        kind = UnknownCodeError if i < 10 else LedgerError
        with pytest.raises(kind) as error:
            answers.ask(shop.ledger, code, now_us=NOON + i * SECOND)
        assert ("wait a minute" in str(error.value)) is (i >= 10)
    assert len(caplog.records) == 12
    assert not any(code in caplog.text for code in tried)
    assert answers.look_up(shop.ledger, her.secret, now_us=NOON + 12 * SECOND) == her.subject
    with pytest.raises(UnknownCodeError):
        answers.look_up(shop.ledger, new_secret(), now_us=NOON + 2 * MINUTE)
    rows = shop.ledger.select("SELECT args, result FROM requests WHERE kind = 'miss'")
    assert len(rows) == 11
    assert set(rows) == {(b"", None)}


# --- the command, and ten million rows --------------------------------------------------------------------------------


def test_the_command_hands_out_an_archive_while_a_keeper_runs_and_says_in_one_line_what_is_wrong(
    tmp_path: Path,
) -> None:
    shop = Shop.make(tmp_path / "shop")
    now_us = time.time_ns() // 1000
    with shop.ledger:
        code = shop.yes(now_us=now_us).secret
    at = Place(tmp_path / "place")
    keeper = multiprocessing.get_context("spawn").Process(
        target=keeper_child.keep, args=(str(shop.state.root), now_us + MINUTE), daemon=True
    )
    keeper.start()

    def ask(typed: str, *words: str | Path) -> tuple[int, bytes, str]:
        import subprocess

        done = subprocess.run(
            at.command("consent", "access", "--state", shop.state.root, *words),
            input=typed.encode() + b"\n",
            env=at.environment(),
            cwd=at.here,
            capture_output=True,
            check=False,
            timeout=240,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    began = time.monotonic()
    status, out, err = ask(show_secret(code).lower())
    assert (status, err) == (0, "")
    assert time.monotonic() - began < 60
    assert "everything.json" in unzip(out)
    assert ask(code, "--out", tmp_path / "mine.zip")[0] == 0
    assert (tmp_path / "mine.zip").stat().st_mode & 0o777 == 0o600
    for typed, words, says in (
        (new_secret(), (), "nobody is known under this code"),
        ("hello", (), "a code has 20 letters and digits"),
        (code, ("--out", tmp_path / "mine.zip"), "File exists"),
        (code, ("--out", tmp_path / "no" / "mine.zip"), "No such file"),
    ):
        status, out, err = ask(typed, *words)
        assert (status, out) == (2, b""), err
        assert says in err
        assert err.count("\n") == 1, err
        assert code not in err
    keeper.kill()
    keeper.join()


def test_everything_about_one_of_a_million_rows_is_there_in_time(shop: Shop) -> None:
    her = shop.yes()
    for day in range(10):
        shop.stay(her.subject, NOON + day * DAY_US + SECOND)
    now_us = NOON + 10 * DAY_US
    run_once(shop, now_us)
    with duckdb.connect(str(shop.state.visits)) as db:
        db.execute(
            "INSERT INTO dwell SELECT hash(i)::UBIGINT, zone, enter, leave, censored, start_reason, end_reason,"
            " stopped_us, decisions, undecided, poses, outcomes, day"
            " FROM (SELECT * FROM dwell LIMIT 1), range(1000000) t(i)"
        )
    request = answers.ask(shop.ledger, her.secret, now_us=now_us)
    with State.read(shop.state.root).open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        began = time.monotonic()
        keeper._answer(now_us)
        took = time.monotonic() - began
    files = unzip(fetch(shop.ledger, shop.state.exports, request, her.secret))
    assert len(everything(files)["visits"]) == 10
    assert took < 60
