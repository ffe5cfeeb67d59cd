"""The officers' pages in a real browser: each drawn as compliance, worked with, and out of everybody else's reach."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect

import retention.pages
from analytics.dashboard import ADDRESS, open_accounts
from analytics.desk import log_keys
from analytics.hourly import HOUR_US, Hour, camera_of
from consent import approval, log, proof
from consent.access import Access, Desk
from consent.accesslog import AccessLog
from consent.events import DAY_US, EventKind, Leaf, Level
from consent.keys import Role
from consent.subjects import show_secret
from retention import bundle, certificate, holds
from retention.keeper import Keeper
from tests.chromium import chromium, violations
from tests.officers import PATIENCE_MS, Watched, a_past, opened, photograph, settle, visiting
from tests.officers import Desk as Shop
from tests.signed_in import Board, dashboard

PAGES = {
    "log": "Consent log",
    "past": "What happened",
    "consents": "Consents",
    "requests": "Requests",
    "holds": "Holds",
    "level": "Privacy level",
    "retention": "Retention",
    "documents": "Documents",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = a_past(tmp_path_factory.mktemp("officers") / "shop")
    hour = Hour(camera_of("simulated"), made.now_us // HOUR_US * HOUR_US, 4321, "20-49", "5-9", "5-9", "hidden", "0")
    with made.ledger() as ledger:
        ledger.append_event(EventKind.TALLIED, now_us=made.now_us, details=hour.details())
    made.keep()
    return made


@pytest.fixture(scope="module")
def board(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    log = tmp_path_factory.mktemp("log") / "log"
    with dashboard(shop.state, log) as served:
        yield served
    assert "Traceback" not in log.read_text()


@pytest.fixture
def keeper(shop: Shop) -> Iterator[None]:
    """A keeper at work beside the dashboard."""
    stop = threading.Event()
    with shop.ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        at_work = threading.Thread(target=keeper.run, args=(stop, lambda: time.time_ns() // 1000))
        at_work.start()
        yield
        stop.set()
        at_work.join()


@pytest.fixture
def officer(browser: Browser, board: Board) -> Iterator[Watched]:
    with visiting(browser, board.url, board.link(Desk.COMPLIANCE)) as watched:
        expect(watched.page.get_by_role("heading", name="Consent log")).to_be_visible(timeout=PATIENCE_MS)
        settle(watched.page)
        yield watched
        assert watched.outward == []


def address(board: Board, path: str) -> str:
    return board.url if path == "log" else f"{board.url}/{path}"


@pytest.mark.parametrize("width", [1280, 390])
def test_each_page_is_drawn_for_an_officer(browser: Browser, board: Board, width: int) -> None:
    assert {page.path for page in retention.pages.PAGES} == set(PAGES)
    with visiting(browser, board.url, board.link(Desk.COMPLIANCE), width=width) as watched:
        for path, title in PAGES.items():
            page = opened(watched, address(board, path), title)
            expect(page.get_by_text("compliance desk")).to_be_attached(timeout=PATIENCE_MS)
            expect(page.locator("[data-testid=stException]")).to_have_count(0)
            assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
            assert violations(page) == []
            photograph(page, f"officer-{path}-{width}")
        watched.check()


def test_a_table_that_grows_too_wide_without_a_change_of_its_words_is_reached_by_key(
    browser: Browser, board: Board
) -> None:
    """As when a font comes late: what scrolls must be reached without a mouse."""
    with visiting(browser, board.url, board.link(Desk.COMPLIANCE), width=390) as watched:
        page = opened(watched, address(board, "log"), PAGES["log"])
        box = page.locator("[data-testid=stTable] > div").first
        expect(box).to_be_visible(timeout=PATIENCE_MS)
        settle(page)
        page.add_style_tag(content="[data-testid=stTable] table {min-width: 60rem}")
        expect(box).to_have_attribute("tabindex", "0")
        assert violations(page) == []


@pytest.mark.parametrize("desk", [Desk.MANAGER, Desk.ADMINISTRATOR])
def test_nobody_else_sees_or_reaches_one(browser: Browser, board: Board, desk: Desk) -> None:
    with visiting(browser, board.url, board.link(desk)) as watched:
        page = watched.page
        expect(page.get_by_text("This shop does not exist")).to_be_visible(timeout=PATIENCE_MS)
        for one in retention.pages.PAGES:
            if one.path == "level" and desk is Desk.ADMINISTRATOR:
                continue  # who asks for a higher one, see below
            assert page.get_by_role("link", name=one.title, exact=True).count() == 0
            answer = page.goto(f"{board.url}/{one.path}")
            assert answer is not None
            assert answer.status == 403
            expect(page.get_by_text("belongs to another desk")).to_be_visible()
        assert watched.outward == []


def test_a_read_is_in_the_log_before_it_is_shown(shop: Shop, officer: Watched) -> None:
    with shop.ledger(Role.DASHBOARD) as ledger:
        kinds = [Leaf.decode(data).kind for _, data in ledger.leaves(0, ledger.size)]
    assert EventKind.PERSONAL_READ in kinds
    officer.check()


def number(page: Page, label: str, value: int) -> None:
    field = page.get_by_label(label)
    field.fill(str(value))
    field.press("Enter")


def test_an_entry_is_found_and_its_proof_holds_elsewhere(shop: Shop, officer: Watched, tmp_path: Path) -> None:
    page = officer.page
    with shop.ledger(Role.DASHBOARD) as ledger:
        entry = next(i for i, data in ledger.leaves(0, ledger.size) if Leaf.decode(data).kind is EventKind.ERASED)
        public = ledger.keys.public_keys("log")
    number(page, "Number of the entry", entry)
    expect(page.get_by_text(f"Entry {entry} (erased) stands under")).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the proof").click()
    waiting.value.save_as(tmp_path / "proof")
    assert proof.check((tmp_path / "proof").read_bytes(), public).leaf.kind is EventKind.ERASED
    number(page, "Number of the entry", 99_999)
    expect(page.get_by_text("there is no entry 99999")).to_be_visible(timeout=PATIENCE_MS)
    officer.check()


def test_the_log_is_checked_on_the_spot(officer: Watched) -> None:
    officer.page.get_by_role("button", name="Check it now").click()
    expect(officer.page.get_by_text("Whole.")).to_be_visible(timeout=PATIENCE_MS)
    expect(officer.page.get_by_text("each follows from its entries")).to_be_visible()
    photograph(officer.page, "officer-log-checked")
    officer.check()


def test_a_past_instant_tells_level_notice_and_what_cameras_did(board: Board, officer: Watched) -> None:
    page = opened(officer, address(board, "past"), "What happened")
    expect(page.get_by_role("cell", name="4,321", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("cell", name="hidden", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("version .*1-"))).to_be_visible()
    expect(page.get_by_role("cell", name="dwell", exact=True).first).to_be_visible()
    expect(page.get_by_text("No picture, crop or face template was ever kept")).to_be_visible()
    officer.check()


def test_what_happened_can_be_taken_along(board: Board, officer: Watched, tmp_path: Path) -> None:
    page = opened(officer, address(board, "past"), "What happened")
    for name, magic in (("All of it as Markdown", b"# What happened on "), ("As PDF", b"%PDF")):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name).click()
        waiting.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(magic)
    text = (tmp_path / "All of it as Markdown").read_text()
    for said in (
        "| Privacy level in force | **dwell** |",
        "4,321",
        "No picture, crop or face template",
        "signed, root ",
    ):
        assert said in text
    officer.check()


def test_consents_hide_small_numbers_and_hand_out_certificates(
    shop: Shop, board: Board, officer: Watched, tmp_path: Path
) -> None:
    page = opened(officer, address(board, "consents"), "Consents")
    expect(page.get_by_role("cell", name="too few to tell").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("From the first end that a certificate names")).to_be_visible()
    with shop.ledger(Role.DASHBOARD) as ledger:
        ended = next(i for i, data in ledger.leaves(0, ledger.size) if Leaf.decode(data).kind is EventKind.WITHDRAWN)
        keys, logs = certificate.key_lines(ledger), log_keys(ledger)
    number(page, "Entry that ended the consent, or of the erasure", ended)
    expect(page.get_by_text("It holds: 1 people and 1 rows erased")).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the certificate").click()
    waiting.value.save_as(tmp_path / "certificate")
    assert certificate.verify((tmp_path / "certificate").read_bytes(), keys, logs).subjects == 1
    officer.check()


def test_a_request_is_written_down(board: Board, officer: Watched) -> None:
    page = opened(officer, address(board, "requests"), "Requests")
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_text("is in the register; it is to be answered by")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("cell", name="access", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Close or extend it").click()  # nothing is chosen before an officer does
    expect(page.get_by_text("nothing was changed")).to_be_visible(timeout=PATIENCE_MS)
    for label, option in (("Number", re.compile(r"^\d+$")), ("How", "closed: answered")):
        page.get_by_role("combobox", name=label, exact=False).first.click()
        page.get_by_role("option", name=option).first.click()
    page.get_by_role("button", name="Close or extend it").click()
    expect(page.get_by_text(re.compile(r"Case \d+ is closed: answered"))).to_be_visible(timeout=PATIENCE_MS)
    officer.check()


@pytest.mark.usefixtures("keeper")
def test_somebody_with_their_code_is_erased_by_the_keeper(shop: Shop, board: Board, officer: Watched) -> None:
    code, subject = show_secret(shop.grants[1].secret), shop.grants[1].subject
    page = opened(officer, address(board, "requests"), "Requests")
    page.get_by_role("tab", name="With a code").click()
    expect(page.get_by_text("End and erase everything", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("input[type=radio]:checked").count() == 0  # nothing is chosen before an officer does
    page.get_by_text("Hand out everything").click()
    for wrong, told in (
        ("no code", "a code has 20 letters and digits"),
        (show_secret("A" * 20), "nobody is known under this"),
    ):
        page.get_by_label("Code", exact=True).fill(wrong)
        page.get_by_role("button", name="Ask the keeper").click()
        expect(page.get_by_text(told)).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("radio", name="Hand out everything")).to_be_checked()
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Ask the keeper").click()
    expect(page.get_by_text("the keeper makes the copy")).to_be_visible(timeout=PATIENCE_MS)
    with shop.ledger() as ledger:
        assert subject in ledger.subjects()
    page.get_by_text("End and erase everything", exact=True).click()
    expect(page.get_by_label("type the word erase")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Ask the keeper").click()
    expect(page.get_by_text("an erasure cannot be undone")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_label("Code", exact=True)).to_have_value(code)  # what is refused is not typed again
    with shop.ledger() as ledger:
        assert subject in ledger.subjects()
    page.get_by_label("type the word erase").fill("erase")
    page.get_by_role("button", name="Ask the keeper").click()
    expect(page.get_by_text("ended by entry")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_label("Code", exact=True)).to_have_value("")
    with shop.ledger() as ledger:
        until = time.monotonic() + PATIENCE_MS / 1000
        while subject in ledger.subjects():
            assert time.monotonic() < until
            time.sleep(0.2)
    for path in shop.state.root.rglob("*"):
        if path.is_file():
            assert shop.grants[1].secret.encode() not in path.read_bytes()
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_label("type the word erase").fill("erase")
    page.get_by_role("button", name="Ask the keeper").click()
    expect(page.get_by_text("nobody is known under this code")).to_be_visible(timeout=PATIENCE_MS)
    officer.check()


def test_a_hold_is_placed_and_released(shop: Shop, board: Board, officer: Watched) -> None:
    page = opened(officer, address(board, "holds"), "Holds")
    page.get_by_label("Classes").click()
    page.get_by_role("option", name="dwell", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Place it").click()
    expect(page.get_by_text("Placed: hold")).to_be_visible(timeout=PATIENCE_MS)
    with shop.ledger(Role.DASHBOARD) as ledger:
        assert [one.classes for one in holds.holds(ledger)] == [("dwell",)]
        page.get_by_role("button", name="Release it").click()  # nothing is chosen before an officer does
        expect(page.get_by_text("nothing was released")).to_be_visible(timeout=PATIENCE_MS)
        assert holds.holds(ledger)
        page.get_by_role("combobox", name="Release the hold of entry").click()
        page.get_by_role("option").first.click()
        page.get_by_role("button", name="Release it").click()
        expect(page.get_by_text("Released (entry")).to_be_visible(timeout=PATIENCE_MS)
        assert holds.holds(ledger) == []
    officer.check()


@pytest.mark.usefixtures("keeper")
def test_documents_are_filled_and_the_bundle_holds(shop: Shop, board: Board, officer: Watched, tmp_path: Path) -> None:
    page = opened(officer, address(board, "documents"), "Documents")
    for i, magic in ((0, b"# Record"), (1, b"# Data protection")):
        with page.expect_download() as waiting:
            page.get_by_role("link", name="As Markdown").nth(i).click()
        waiting.value.save_as(tmp_path / f"md{i}")
        assert (tmp_path / f"md{i}").read_bytes().startswith(magic)
        with page.expect_download() as waiting:
            page.get_by_role("link", name="As PDF").nth(i).click()
        waiting.value.save_as(tmp_path / f"pdf{i}")
        assert (tmp_path / f"pdf{i}").read_bytes().startswith(b"%PDF")
    assert "[BLANK, for people to fill in]" in (tmp_path / "md1").read_text()
    page.get_by_role("button", name="Ask the keeper for it").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the bundle").click()
    waiting.value.save_as(tmp_path / "audit.zip")
    with shop.ledger(Role.DASHBOARD) as ledger:
        keys = [*certificate.key_lines(ledger), *log_keys(ledger)]
    assert bundle.verify((tmp_path / "audit.zip").read_bytes(), keys).certificates >= 1
    officer.check()


def test_a_file_is_handed_to_the_session_it_was_made_for_and_to_nobody_else(
    shop: Shop, board: Board, officer: Watched
) -> None:
    page = opened(officer, address(board, "documents"), "Documents")
    place = page.get_by_role("link", name="As Markdown").first.get_attribute("href")
    assert place is not None
    assert place.startswith("/handout/")
    got = page.request.get(f"{board.url}{place}")
    assert got.status == 200
    assert got.headers["content-disposition"].startswith("attachment; ")
    assert got.headers["cache-control"] == "no-store"
    assert got.text().startswith("# Record")
    assert page.locator("a[href*='/media/']").count() == 0
    for cookie, status in (
        (board.cookie(Desk.COMPLIANCE), 403),  # another browser of the same person, too
        (board.cookie(Desk.MANAGER), 403),
        ("", 401),
    ):
        assert fetched(board, place, cookie) == status
    assert fetched(board, "/handout/x", board.cookie(Desk.COMPLIANCE)) == 404
    mine = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    assert fetched(board, place, mine) == 200
    with open_accounts(shop.state) as accounts:
        accounts.end_all(accounts.find("test compliance").id)
    assert fetched(board, place, mine) == 401


def fetched(board: Board, path: str, cookie: str) -> int:
    caller = http.client.HTTPConnection(ADDRESS, board.port, timeout=60)
    try:
        caller.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        return caller.getresponse().status
    finally:
        caller.close()


PASSWORD = "four words that belong"  # noqa: S105


def test_a_level_is_asked_for_by_one_and_approved_by_another_who_read_it(
    browser: Browser, board: Board, shop: Shop
) -> None:
    with open_accounts(shop.state) as accounts:
        long_ago = time.time_ns() // 1000 - 20 * DAY_US
        links = {
            desk: accounts.link(
                accounts.add(f"Four {desk}", desk, now_us=long_ago, password=PASSWORD), now_us=time.time_ns() // 1000
            )
            for desk in (Desk.ADMINISTRATOR, Desk.COMPLIANCE)
        }

    def fill(page: Page, *, reference: str, password: str, button: str, level: str | None = None) -> None:
        form = page.locator("[data-testid=stForm]").filter(has=page.get_by_role("button", name=button, exact=True))
        if level is not None:
            form.get_by_role("combobox").click()
            page.get_by_role("option", name=level, exact=True).click()
        form.get_by_label("Reference of the assessment").fill(reference)
        form.get_by_label("Your password").fill(password)
        form.get_by_role("button", name=button, exact=True).click()

    with visiting(browser, board.url, f"{board.url}/enter/{links[Desk.ADMINISTRATOR]}") as asking:
        page = opened(asking, address(board, "level"), "Privacy level")
        fill(page, reference=" ", password="", button="Ask for it")
        expect(page.get_by_text("missing: the level, the reference of the assessment, your password.")).to_be_visible(
            timeout=PATIENCE_MS
        )
        fill(page, level="repeat", reference="DPIA-9", password="not my password", button="Ask for it")  # noqa: S106
        expect(page.get_by_text("Name, password or code is wrong")).to_be_visible(timeout=PATIENCE_MS)
        fill(page, reference="DPIA-9", password=PASSWORD, button="Ask for it")
        expect(page.get_by_text("Asked for repeat")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_text("You cannot approve this. You asked for this level yourself")).to_be_visible()
        assert page.get_by_role("button", name="Approve it", exact=True).count() == 0
        photograph(page, "officer-level-asked")
        asking.check()
    with visiting(browser, board.url, f"{board.url}/enter/{links[Desk.COMPLIANCE]}") as approving:
        page = opened(approving, address(board, "level"), "Privacy level")
        assert page.get_by_role("button", name="Ask for it").count() == 0
        fill(page, reference="DPIA-8", password=PASSWORD, button="Approve it", level="repeat")
        expect(page.get_by_text("read it, and name what you approve")).to_be_visible(timeout=PATIENCE_MS)
        with shop.ledger(Role.DASHBOARD) as ledger:
            assert ledger.approved_level() == "dwell"
        fill(page, reference="DPIA-9", password=PASSWORD, button="Approve it")
        expect(page.get_by_text("Approved: repeat (log entry")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_text("Nothing is asked for")).to_be_visible()
        approving.check()
    with shop.ledger(Role.DASHBOARD) as ledger:
        assert ledger.approved_level() == "repeat"
        ledger.set_level(Level.DWELL, now_us=time.time_ns() // 1000)


def test_an_outsiders_signed_file_is_taken_on_the_page(
    browser: Browser, board: Board, shop: Shop, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    line = log.verifier_key("officer.example", key.public_key().public_bytes_raw())
    toml = shop.state.root / "store.toml"
    before = toml.read_text()
    toml.write_text(f'{before}\n[dashboard]\napprover = "{line}"\n')
    now_us = time.time_ns() // 1000
    with shop.ledger() as ledger, open_accounts(shop.state) as accounts:
        ledger.note_config("ee" * 32, now_us=now_us - 20 * DAY_US, approver=approval.approver(line))
        access = Access(accounts, AccessLog(ledger))
        owner = accounts.add("Sole owner", Desk.ADMINISTRATOR, now_us=now_us - 20 * DAY_US)
        proposal = approval.ask(ledger, access, owner.who(), Level.EMOTION, "DPIA-10")
        link = accounts.link(owner, now_us=now_us)
    for name, text in (
        ("wrong", approval.signed(proposal.text(), "officer.example", Ed25519PrivateKey.generate())),
        ("right", approval.signed(proposal.text(), "officer.example", key)),
    ):
        (tmp_path / f"{name}.signed").write_text(text)
    with visiting(browser, board.url, f"{board.url}/enter/{link}") as watched:
        page = opened(watched, address(board, "level"), "Privacy level")
        page.get_by_text("Nobody else works here?").click()
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download the request").click()
        waiting.value.save_as(tmp_path / "request")
        assert (tmp_path / "request").read_text() == proposal.text()
        for name, said in (("wrong", "not signed by officer.example"), ("right", "Approved by an outsider: emotion")):
            page.locator("input[type=file]").set_input_files(tmp_path / f"{name}.signed")
            expect(page.get_by_text(f"{name}.signed")).to_be_visible(timeout=PATIENCE_MS)
            page.get_by_role("button", name="Approve by this file").click()
            expect(page.get_by_text(said)).to_be_visible(timeout=PATIENCE_MS)
        watched.check()
    toml.write_text(before)
    with shop.ledger() as ledger:
        assert ledger.approved_level() == "emotion"
    with visiting(browser, board.url, board.link(Desk.ADMINISTRATOR)) as watched:
        page = opened(watched, address(board, "level"), "Privacy level")
        expect(page.get_by_text("emotion is the highest level there is")).to_be_visible(timeout=PATIENCE_MS)
        assert page.get_by_role("button", name="Ask for it").count() == 0
        watched.check()
    with shop.ledger() as ledger:
        ledger.set_level(Level.DWELL, now_us=time.time_ns() // 1000)


def test_a_level_is_lowered_only_when_it_is_said_twice(shop: Shop, board: Board, officer: Watched) -> None:
    page = opened(officer, address(board, "level"), "Privacy level")
    page.get_by_role("button", name="Lower it").click()
    expect(page.get_by_text("Say that rows are deleted for good")).to_be_visible(timeout=PATIENCE_MS)
    with shop.ledger(Role.DASHBOARD) as ledger:
        assert ledger.approved_level() == "dwell"
        told = ledger.record(1)
        assert told is not None
        assert json.loads(told.payload)["at_us"]
    officer.check()
