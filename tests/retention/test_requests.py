"""Requests of people: deadlines, letters without a gap, erasure by window, and keys that die in time."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from string import Template
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cli
from analytics.state import State
from consent import database
from consent.audit import audit
from consent.cases import Case, CaseKind, Outcome, Reason, due_on
from consent.events import ConsentError, EventKind, Leaf, Purpose
from consent.keys import KeyRing, Role
from consent.kiosk.messages import LANGUAGES
from consent.ledger import Ledger, LedgerError
from retention import letter, window
from retention.archive import BackupError
from retention.backup import backup
from retention.keeper import Keeper
from retention.letter import Letter, LetterError
from retention.restore import restore
from retention.rotation import rotate
from retention.window import Window, WindowError
from tests.command import Place
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop

MINUTE = 60 * SECOND
TODAY = date(2026, 11, 21)
LETTERS = Path(letter.__file__).parent / "letters"
CONTROLLER = """
[controller]
name = "Main Street Groceries Ltd"
address = "1 Main Street, 10115 Berlin"
contact = "privacy@example.com"
officer = "Dr Miller, officer@example.com"
authority = "Berliner Beauftragte"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop.make(tmp_path / "shop")
    with shop.ledger:
        yield shop


def keep(shop: Shop, now_us: int) -> None:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper.run_once(now_us).check()


# --- a month ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "months", "due"),
    [
        ("2026-03-02", 1, "2026-04-02"),
        ("2026-08-31", 1, "2026-09-30"),  # no 31 September
        ("2026-01-31", 1, "2026-03-02"),  # 28 February is a Saturday
        ("2028-01-30", 1, "2028-02-29"),  # a leap year
        ("2026-12-30", 2, "2027-03-01"),  # 28 February is a Sunday
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-03-05", 1, "2026-04-06"),  # a Sunday; that Monday is a holiday, which is not known here
        ("2026-11-21", 3, "2027-02-22"),  # a Sunday
    ],
)
def test_a_month_ends_as_regulation_1182_of_1971_says(received: str, months: int, due: str) -> None:
    assert due_on(date.fromisoformat(received), months) == date.fromisoformat(due)


@given(st.dates(date(2018, 5, 25), date(2100, 1, 1)), st.integers(1, 3))
def test_a_period_ends_on_a_working_day_at_most_two_days_after_the_same_date_or_the_last_of_the_month(
    received: date, months: int
) -> None:
    due = due_on(received, months)
    assert due.weekday() < 5
    earliest = due - timedelta(days=2)
    asked = [earliest + timedelta(days=i) for i in range(3)]
    place = (received.year * 12 + received.month - 1 + months) % 12 + 1
    same = [d for d in asked if d.month == place and d.day == received.day]
    last = [d for d in asked if d.month == place and (d + timedelta(days=1)).day == 1 and d.day < received.day]
    assert same or last


# --- the register -----------------------------------------------------------------------------------------------------


def test_a_case_goes_from_received_over_extended_to_closed_and_says_when_it_is_late(shop: Shop) -> None:
    case = shop.ledger.open_case("access", date(2026, 10, 19))
    assert case == Case(1, CaseKind.ACCESS, date(2026, 10, 19), date(2026, 11, 19))
    assert not case.overdue(date(2026, 11, 19))
    assert case.overdue(date(2026, 11, 20))
    with pytest.raises(LedgerError, match="was due on 2026-11-19; an extension must be said before"):
        shop.ledger.extend_case(1, "complexity", date(2026, 11, 20))
    longer = shop.ledger.extend_case(1, "complexity", date(2026, 11, 19))
    assert (longer.due, longer.extended) == (date(2027, 1, 19), Reason.COMPLEXITY)
    with pytest.raises(LedgerError, match="extended already"):
        shop.ledger.extend_case(1, "number", date(2026, 11, 19))
    with pytest.raises(LedgerError, match="cannot be closed before that"):
        shop.ledger.close_case(1, "answered", date(2026, 10, 1), now_us=NOON)
    closed = shop.ledger.close_case(1, "answered", date(2027, 1, 20), now_us=NOON)
    assert (closed.closed, closed.outcome) == (date(2027, 1, 20), Outcome.ANSWERED)
    assert closed.overdue(date(2026, 1, 1))  # it was late, whenever one looks
    with pytest.raises(LedgerError, match="was closed on 2027-01-20"):
        shop.ledger.close_case(1, "erased", date(2027, 1, 21), now_us=NOON)
    with pytest.raises(LedgerError, match="was closed on 2027-01-20"):
        shop.ledger.extend_case(1, "number", date(2027, 1, 21))
    with pytest.raises(LedgerError, match="there is no case 7"):
        shop.ledger.case(7)
    for wrong in ("Mrs Miller", ""):
        with pytest.raises(ValueError, match="is not a valid"):
            shop.ledger.open_case(wrong, TODAY)
    _, leaf = shop.ledger.last_event(EventKind.ANSWERED) or (None, None)
    assert leaf is not None
    audit(shop.ledger)


def test_the_most_urgent_stands_first_and_what_is_long_closed_is_forgotten(shop: Shop) -> None:
    for day in (20, 3, 11):
        shop.ledger.open_case("erasure", date(2026, 11, day))
    shop.ledger.close_case(2, "erased", date(2026, 11, 4), now_us=NOON)
    assert [case.number for case in shop.ledger.cases()] == [3, 1, 2]
    keep(shop, NOON + 3 * 365 * DAY_US)
    assert len(shop.ledger.cases()) == 3
    keep(shop, NOON + 3 * 365 * DAY_US + MINUTE)
    assert [case.number for case in shop.ledger.cases()] == [3, 1]
    assert shop.ledger.open_case("access", TODAY).number == 4


def test_a_ledger_from_before_there_were_cases_gets_them(shop: Shop) -> None:
    her = shop.yes()
    shop.ledger.close()
    with sqlite3.connect(shop.state.ledger) as db:
        db.execute("DROP TABLE cases")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with shop.state.open_ledger(Role.DASHBOARD) as ledger:
        assert ledger.cases() == []
        assert ledger.open_case("access", TODAY).number == 1
        assert ledger.select("PRAGMA user_version") == [(database.SCHEMA_VERSION,)]
        assert ledger.subjects() == [her.subject]


# --- letters ----------------------------------------------------------------------------------------------------------


def written() -> list[str]:
    """The languages there are letters in."""
    return sorted({path.name.split(".")[1] for path in LETTERS.glob("*.md")})


def test_there_are_all_letters_in_every_language_that_there_is_one_in() -> None:
    assert set(written()) == set(LANGUAGES)
    assert {path.name for path in LETTERS.glob("*.md")} == {f"{k}.{lang}.md" for k in Letter for lang in written()}


@pytest.mark.parametrize("language", written())
@pytest.mark.parametrize("kind", list(Letter))
def test_a_letter_is_complete_and_has_no_gap(shop: Shop, kind: Letter, language: str) -> None:
    shop.set('level = "repeat"', 'level = "repeat"')
    toml = shop.state.root / "store.toml"
    toml.write_text(toml.read_text() + CONTROLLER)
    state = State.read(shop.state.root)
    case = Case(12, CaseKind.ACCESS, date(2026, 11, 2), date(2027, 2, 2), Reason.NUMBER)
    text = letter.write(state, kind, language, TODAY, case)
    for said in (
        *("Main Street Groceries Ltd", "1 Main Street, 10115 Berlin", "privacy@example.com", "Dr Miller"),
        *("Berliner Beauftragte", "2026", "12"),
    ):
        assert said in text, said
    assert not re.search(r"\$|\{|\}|^\?|None", text, re.MULTILINE)
    assert text.count("____________________") == 2  # to whom, and who signs
    told = (LETTERS / f"{kind}.{language}.md").read_text(encoding="utf-8")
    english = (LETTERS / f"{kind}.en.md").read_text(encoding="utf-8")
    assert set(Template(told).get_identifiers()) == set(Template(english).get_identifiers())
    assert re.findall(r"^\?\w+", told, re.MULTILINE) == re.findall(r"^\?\w+", english, re.MULTILINE)
    assert text.count("\n\n") >= english.count("\n\n") - 4  # as many paragraphs


@pytest.mark.parametrize("language", written())
def test_what_is_not_known_leaves_its_line_out_and_what_must_be_known_is_named(shop: Shop, language: str) -> None:
    with pytest.raises(LetterError, match=r"write 'name' into \[controller\]"):
        letter.write(shop.state, "never", language, TODAY)
    toml = shop.state.root / "store.toml"
    told = "".join(line + "\n" for line in CONTROLLER.splitlines() if not line.startswith(("officer", "authority")))
    toml.write_text(toml.read_text() + told)
    state = State.read(shop.state.root)
    for kind in Letter:
        if kind is Letter.EXTENSION:
            for case in (None, Case(1, CaseKind.ACCESS, TODAY, TODAY)):
                with pytest.raises(LetterError, match="name it with --case"):
                    letter.write(state, kind, language, TODAY, case)
            continue
        text = letter.write(state, kind, language, TODAY)
        assert "?" not in re.sub(r"[^?]\?$", "", text.replace("? ", ""), flags=re.MULTILINE)
        assert "officer@" not in text
        assert not re.search(r"\$|\n\n\n", text)


def test_a_template_with_a_gap_or_in_no_language_gives_no_letter(shop: Shop) -> None:
    for text in ("${nobody}", "$", "${", "?here ${nobody}"):
        with pytest.raises(LetterError, match="has a gap"):
            letter.fill(text, {"here": "yes"})
    with pytest.raises(LetterError, match="there are no letters in 'it'"):
        letter.write(shop.state, "never", "it", TODAY)


# --- by window --------------------------------------------------------------------------------------------------------


def test_every_consent_of_the_window_goes_and_no_other_once_the_number_is_repeated(shop: Shop) -> None:
    before, first, last, after = (shop.yes(now_us=NOON + i * MINUTE) for i in (0, 5, 10, 11))
    for i, one in enumerate((before, first, last, after)):
        shop.stay(one.subject, NOON + (12 + i) * MINUTE)
    keep(shop, NOON + 20 * MINUTE)
    chosen = Window(NOON + 5 * MINUTE, NOON + 10 * MINUTE)
    size = shop.ledger.size
    assert window.count(shop.ledger, chosen) == 2
    for wrong in (0, 1, 3):
        with pytest.raises(WindowError, match=f"it is 2 by now, not {wrong}"):
            window.erase(shop.ledger, chosen, wrong, officer="Mrs Miller", now_us=NOON + 21 * MINUTE)
    with pytest.raises(Exception, match="say who"):
        window.erase(shop.ledger, chosen, 2, officer=" ", now_us=NOON + 21 * MINUTE)
    assert shop.ledger.size == size
    entry = window.erase(shop.ledger, chosen, 2, officer="Mrs Miller", now_us=NOON + 21 * MINUTE)
    record = shop.ledger.record(entry)
    assert record is not None
    assert set(json.loads(record.payload)) == {"kind", "officer", "at_us"}
    assert b"Miller" not in record.payload
    ((_, leaf),) = shop.ledger.leaves(entry, entry + 1)
    assert (Leaf.decode(leaf).kind, Leaf.decode(leaf).count) == (EventKind.ANSWERED, 2)
    keep(shop, NOON + 22 * MINUTE)
    assert shop.ledger.subjects() == [before.subject, after.subject]
    assert len(shop.rows()) == 2
    with pytest.raises(WindowError, match="nobody's consent"):
        window.erase(shop.ledger, chosen, 0, officer="Mrs Miller", now_us=NOON + 23 * MINUTE)
    audit(shop.ledger)


def test_a_window_is_read_on_the_shops_clock_and_reaches_to_the_end_of_its_last_minute() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert window.instant("2026-11-21 15:10", berlin) == window.instant("2026-11-21T14:10Z", berlin)
    assert window.instant("2026-11-21T15:10+01:00", berlin, last=True) % MINUTE == MINUTE - 1
    assert window.instant("2026-11-21T15:10:30", berlin, last=True) % MINUTE == 30 * SECOND
    assert window.instant("2026-11-21T15:10:30.700", berlin) % MINUTE == 30 * SECOND + 700_000
    twice = [window.instant("2026-10-25 02:30", berlin, last=last) for last in (False, True)]
    assert twice[1] - twice[0] == 61 * MINUTE - 1  # the hour that comes twice, both of it
    for text in ("", "yesterday", "2026-13-01 10:00", "25:00", "1900-01-01 00:00"):
        with pytest.raises(WindowError):
            window.instant(text, berlin)
    with pytest.raises(WindowError, match="swap"):
        Window(2, 1)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_sealed_anew_and_the_old_one_dies_after_the_backup_term_and_with_it_old_backups(
    shop: Shop, tmp_path: Path
) -> None:
    her, him = shop.yes(Purpose.REPEAT), shop.yes(Purpose.REPEAT)
    keep(shop, NOON)
    old = backup(shop.state, shop.ledger, tmp_path / "old.tar", NOON)
    sealed = shop.ledger.select("SELECT wrapped FROM subjects")
    shop.ledger.withdraw(him.secret, now_us=NOON)
    keep(shop, NOON + SECOND)
    key = shop.ledger.subject_key(her.subject)
    with pytest.raises(BackupError, match="a process has"):
        rotate_in_child(shop.state)
    shop.ledger.close()
    done = rotate(shop.state, NOON + MINUTE)
    assert (done.generation, done.sealed, done.destroyed) == (2, 1, ())
    assert done.waiting == ((1, NOON + MINUTE + 30 * DAY_US),)
    data = shop.state.ledger.read_bytes()
    assert not [1 for (wrapped,) in sealed if wrapped in data]
    assert rotate(shop.state, NOON + 30 * DAY_US, anew=False).destroyed == ()
    secret = (shop.state.keys / "sealing-0001.key").read_bytes()
    late = NOON + 31 * DAY_US
    assert rotate(shop.state, late, anew=False).destroyed == (1,)
    assert rotate(shop.state, late, anew=False).destroyed == ()
    assert not (shop.state.keys / "sealing-0001.key").exists()
    assert not [1 for path in shop.state.keys.iterdir() if secret in path.read_bytes()]
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert shop.ledger.subject_key(her.subject) == key
    kinds = [Leaf.decode(leaf).kind for _, leaf in shop.ledger.leaves(0, shop.ledger.size)]
    assert kinds.count(EventKind.KEY_ROTATED) == 2
    audit(shop.ledger)
    # the old backup still says who was in it, and nobody can open their keys any more
    plain = tmp_path / "plain"
    plain.mkdir()
    shutil.unpack_archive(old, plain, "tar", filter="data")
    ring = KeyRing.open(shop.state.keys, Role.ADMIN)
    with Ledger(plain / "ledger.sqlite", ring, store="shop") as ledger:
        assert len(ledger.subjects()) == 2
        for subject in ledger.subjects():
            with pytest.raises(ConsentError, match="does not hold generation 1"):
                ledger.subject_key(subject)


def rotate_in_child(state: State) -> None:
    """In a process of its own: this one's own locks would let it pass."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(rotate, (state, NOON + SECOND))


def test_a_rotation_that_was_cut_short_is_finished_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    her = shop.yes()
    key = shop.ledger.subject_key(her.subject)
    shop.ledger.close()
    for generation, step in enumerate(("rewrap", "compact", "append_event"), start=2):
        with monkeypatch.context() as broken:
            broken.setattr(Ledger, step, crash)
            with pytest.raises(Crash):
                rotate(shop.state, NOON + generation * MINUTE)
        done = rotate(shop.state, NOON + generation * MINUTE, anew=False)
        assert done.generation == generation
        assert dict(done.waiting).keys() == set(range(1, generation))
    with shop.state.open_ledger(Role.ADMIN) as ledger:
        assert ledger.subject_key(her.subject) == key
        assert ledger.keys.generation_of(ledger.select("SELECT wrapped FROM subjects")[0][0]) == 4


def test_a_backup_made_before_a_rotation_is_restored_while_the_old_key_lives(shop: Shop, tmp_path: Path) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    keep(shop, NOON + MINUTE)
    made = backup(shop.state, shop.ledger, tmp_path / "b.tar", NOON + MINUTE)
    shop.ledger.close()
    rotate(shop.state, NOON + 2 * MINUTE)
    shutil.rmtree(shop.state.root)
    # no keeper has seen the rotation yet, and the journal need not know it
    restore(made, shop.state.root, NOON + 3 * MINUTE)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert len(shop.rows()) == 1
    assert shop.ledger.find(her.secret) == her.subject


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did_and_what_is_wrong_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop.make(tmp_path / "shop")
    shop.ledger.close()
    state = ("--state", str(shop.state.root))

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = cli.main([*words, *state])
        except SystemExit as end:
            status = int(str(end.code))
        return status, *capsys.readouterr()

    def say(*words: str) -> str:
        status, out, err = run(*words)
        assert (status, err) == (0, "")
        return out

    there = Place(tmp_path / "place").run("requests", "list", *state)
    assert (there.returncode, there.stdout, there.stderr) == (0, "no requests\n", "")

    assert "case 1: access, received 2026-11-02, to be answered by 2026-12-02" in say(
        "requests", "add", "access", "--received", "2026-11-02"
    )
    say("requests", "add", "complaint", "--received", "2026-01-02")
    listed = say("requests", "list").splitlines()
    assert listed[0].startswith("2  complaint  received 2026-01-02  due 2026-02-02 OVERDUE")
    told = json.loads(say("requests", "list", "--json"))
    assert told["cases"][0]["overdue"] is True
    assert "closed" in say("requests", "close", "2", "--outcome", "answered")
    assert "complaint" not in say("requests", "list", "--open")
    assert say("retention", "erase-window", "--from", "2026-09-21 15:00", "--to", "2026-09-21 16:00").startswith("0 ")
    toml = shop.state.root / "store.toml"
    toml.write_text(toml.read_text() + CONTROLLER)
    assert "Sehr geehrte Damen und Herren" in say("requests", "letter", "no_secret", "--language", "de", "--case", "1")
    assert "generation 2 in use" in say("keys", "rotate")
    assert "lives until" in say("keys", "retire")
    for words, says in (
        (("requests", "add", "gift"), "invalid choice: 'gift'"),
        (("requests", "add", "access", "--received", "soon"), "is no day"),
        (("requests", "add", "access", "--received", "2100-01-01"), "is received by today"),
        (("requests", "close", "9", "--outcome", "answered"), "there is no case 9"),
        (("requests", "close", "2", "--outcome", "answered"), "was closed on"),
        (("requests", "close", "1", "--outcome", "maybe"), "invalid choice"),
        (("requests", "extend", "2", "--because", "number"), "was closed on"),
        (("requests", "extend", "1"), "required: --because"),
        (("requests", "letter", "love"), "invalid choice"),
        (("requests", "letter", "never", "--language", "xx"), "there are no letters in 'xx'"),
        (("requests", "letter", "extension"), "name it with --case"),
        (("requests", "letter", "never", "--case", "99"), "there is no case 99"),
        (("retention", "erase-window", "--from", "x", "--to", "y"), "is no instant"),
        (("retention", "erase-window", "--from", "2026-09-21 16:00", "--to", "2026-09-21 15:00"), "swap"),
        (
            ("retention", "erase-window", "--from", "2026-09-21 15:00", "--to", "2026-09-21 16:00", "--yes", "3"),
            "say who",
        ),
        (
            (
                *("retention", "erase-window", "--from", "2026-09-21 15:00", "--to", "2026-09-21 16:00"),
                *("--yes", "3", "--officer", "x"),
            ),
            "it is 0 by now, not 3",
        ),
        (("keys", "burn"), "invalid choice"),
    ):
        status, out, err = run(*words)
        assert (status, out) == (2, ""), (words, out, err)
        assert says in err, (words, err)
        assert err.count("\n") == 1, err
