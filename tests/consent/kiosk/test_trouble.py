"""When things break: each time a clear page, and never a consent that is half done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from httpx import Response
from starlette.testclient import TestClient

from consent.events import Leaf, Level, Purpose
from consent.keys import KeyRing
from consent.kiosk.app import kiosk
from consent.kiosk.messages import Messages
from consent.kiosk.tap import Tap
from consent.ledger import Ledger
from consent.padwords import PadOutcome
from tests.consent.kiosk.conftest import HOST, Front
from tests.consent.kiosk.front import Browser
from tests.consent.test_broken_writes import Broken

EN = Messages.load("en")


@pytest.fixture
def busy(front: Front, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that writes for ever."""
    front.ledger.wait_at_most(0.1)
    other = sqlite3.connect(tmp_path / "state" / "ledger.sqlite", isolation_level=None)
    yield other
    other.close()


def test_a_busy_ledger_is_said_and_the_same_tap_again_does_it_once(
    front: Front, person: Browser, busy: sqlite3.Connection
) -> None:
    person.get("/choices")
    busy.execute("BEGIN IMMEDIATE")
    page = person.tap("/answer", answer="yes", ticking="1", purpose=["dwell", "smile"], age="older")
    assert page.status_code == 503
    assert EN("problem.ledger_busy") in person.text
    assert EN("problem.undone") in person.text
    busy.execute("ROLLBACK")
    assert front.kinds() == []
    again = person.again()
    assert again.url.path == "/done"
    assert front.kinds() == ["granted"]
    subject = front.ledger.find(person.code)
    assert {s.purpose for s in front.ledger.standing(subject)} == {Purpose.DWELL, Purpose.SMILE}


@pytest.mark.parametrize(("start", "path"), [("/stop", "/stop/here"), ("/", "/object")])
def test_a_busy_ledger_while_stopping_says_so_and_can_be_repeated(
    front: Front, person: Browser, busy: sqlite3.Connection, start: str, path: str
) -> None:
    person.get(start)
    busy.execute("BEGIN IMMEDIATE")
    page = person.tap(path)
    assert page.status_code == 503
    assert EN("problem.ledger_stop") in person.text
    busy.execute("ROLLBACK")
    assert person.again().status_code == 200
    assert '<section class="outcome good"' in person.page.text


def test_a_busy_ledger_while_stopping_by_code(front: Front, person: Browser, busy: sqlite3.Connection) -> None:
    person.yes("dwell")
    code = person.code
    person.tap("/finish")
    person.get("/stop")
    busy.execute("BEGIN IMMEDIATE")
    person.tap("/stop/code", code=code)
    assert EN("problem.ledger_stop") in person.text
    busy.execute("ROLLBACK")
    person.again()
    assert front.ledger.permits(front.ledger.find(code), front.now_us()) == frozenset()


def test_a_full_disk_is_said_and_nothing_is_half_done(front: Front, person: Browser) -> None:
    person.get("/choices")
    (pages,) = front.ledger.select("PRAGMA page_count")[0]
    front.ledger.select(f"PRAGMA max_page_count = {pages}")
    front.ledger.select("PRAGMA wal_checkpoint(TRUNCATE)")
    filled = 0
    while person.page.status_code != 503 and filled < 60:  # until the pages at hand are used up
        filled += 1
        front.ahead_s += 5
        person.get("/")
        person.tap("/answer", answer="no")
    assert person.page.status_code == 503
    assert EN("problem.disk_full") in person.text
    written = front.kinds()
    assert len(written) == filled - 1
    person.get("/choices")
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert person.page.status_code == 503
    assert front.kinds() == written
    front.ledger.select("PRAGMA max_page_count = 1073741823")
    person.again()
    assert front.kinds() == [*written, "granted"]


def test_a_level_lowered_half_way_writes_nothing_and_shows_what_is_left(front: Front, person: Browser) -> None:
    person.get("/choices")
    front.level[0] = Level.DWELL
    person.tap("/answer", answer="yes", ticking="1", purpose=["dwell", "emotion"], age="older")
    assert EN("choices.level_lowered") in person.text
    assert front.kinds() == []
    assert 'value="emotion"' not in person.page.text
    person.tap("/answer", answer="yes", ticking="1", purpose=["dwell"], age="older")
    assert front.kinds() == ["granted"]


def test_a_level_lowered_to_counts_half_way_leaves_only_no(front: Front, person: Browser) -> None:
    person.get("/choices")
    front.level[0] = Level.COUNTS
    person.tap("/answer", answer="yes", ticking="1", purpose=["dwell"], age="older")
    assert EN("choices.level_lowered") in person.text
    assert 'type="checkbox"' not in person.page.text
    person.tap("/answer", answer="no")
    assert front.kinds() == ["refused"]


def test_a_question_to_the_camera_that_cannot_be_put_keeps_the_receipt(
    front: Front, person: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The yes is written, then another process takes the ledger: the page says that nobody is linked."""
    front.ledger.wait_at_most(0.1)
    person.get("/choices")
    front.camera.says = dict.fromkeys(front.camera.says)
    asked = front.ledger.open_pad_request

    def fails(*args: object, **how: object) -> int:
        other = sqlite3.connect(front.ledger.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            return asked(*args, **how)  # type: ignore[arg-type]
        finally:
            other.close()

    monkeypatch.setattr(front.ledger, "open_pad_request", fails)
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    monkeypatch.undo()
    assert EN("pad.not_asked") in person.text
    assert len(person.code) == 20
    assert front.kinds() == ["granted"]
    front.camera.says = dict.fromkeys(front.camera.says, PadOutcome.LINKED)
    person.tap("/link")
    assert EN("pad.linked") in person.text


def test_a_mistake_of_ours_is_a_page_too_with_every_header(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Tap) -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr("consent.kiosk.question.asking.frame", broken)
    client = front.client()
    client._transport.raise_server_exceptions = False
    page = client.get("/")
    assert page.status_code == 500
    assert EN("problem.internal") in page.text
    assert "RuntimeError" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_two_kiosks_on_one_ledger_share_nothing_but_the_promises(front: Front, other_ledger: Ledger) -> None:
    second = Front(other_ledger, front.camera, front.shop, front.level)
    second.open()
    here, there = front.browser(), second.browser()
    here.yes("dwell")
    thief = there.client.get("/done", headers={"cookie": f"kiosk={here.client.cookies['kiosk']}"})
    assert here.code not in thief.text.replace("-", "")
    there.get("/")
    there.yes("repeat")
    assert front.kinds() == ["granted", "granted"]
    there.tap("/finish")
    there.get("/stop")
    there.tap("/stop/code", code=here.code)
    assert front.ledger.permits(front.ledger.find(here.code), front.now_us()) == frozenset()


# --- every write broken twice -----------------------------------------------------------------------------------------


@contextmanager
def broken(front: Front, folder: Path, keys: KeyRing) -> Iterator[tuple[Browser, Ledger]]:
    """Somebody before the choices of a kiosk whose ledger will fail at one statement."""
    folder.mkdir()
    Broken.countdown = -1
    with Ledger(folder / "ledger.sqlite", keys, store="main-street", factory=Broken) as ledger:
        app = kiosk(front.shop, ledger, now_us=front.now_us, clock=front.clock)
        person = Browser(TestClient(app, base_url=HOST, client=("127.0.0.1", 1)))
        person.get("/choices")
        try:
            yield person, ledger
        finally:
            Broken.countdown = -1


def answer(person: Browser) -> Response:
    return person.tap("/answer", answer="yes", ticking="1", purpose=["dwell", "repeat"], age="older")


def kinds(ledger: Ledger) -> list[str]:
    return [Leaf.decode(data).kind.value for _, data in ledger.leaves(0, 100)]


@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept but reported lost"])
@pytest.mark.parametrize("then", ["tap again", "walk away"])
def test_a_yes_is_whole_or_not_there_whichever_statement_breaks(
    front: Front, fast_path: Path, keys: KeyRing, monkeypatch: pytest.MonkeyPatch, kept: bool, then: str
) -> None:
    monkeypatch.setattr("consent.kiosk.asking.WAIT_S", 0.0)
    with broken(front, fast_path / "count", keys) as (person, _):
        Broken.countdown = 1000
        answer(person)
        statements = 1000 - Broken.countdown
    assert statements > 20
    shown = 0
    for step in range(statements):
        with broken(front, fast_path / str(step), keys) as (person, ledger):
            Broken.countdown, Broken.after = step, kept
            page = answer(person)
            Broken.countdown = -1
            assert page.status_code in (200, 503), (step, person.heading)
            if page.status_code == 200:
                assert len(person.code) == 20
                assert kinds(ledger) == ["granted"]
                continue
            shown += 1
            if then == "tap again":
                person.again() if page.request.method == "POST" else person.get(page.url.path)
                assert len(person.code) == 20, step
                assert kinds(ledger) == ["granted"], step
                permitted = ledger.permits(ledger.find(person.code), front.now_us())
                assert permitted == {Purpose.DWELL, Purpose.REPEAT}
            elif page.url.path == "/answer":
                person.tap("/finish")
                person.get("/")
                assert ledger.live_subjects(front.now_us()) == {}, "nobody got a code, so nothing may hold"
                assert ledger.pending_pad_requests() == [], "nobody is linked to a yes that was not confirmed"
    assert shown > 5
