"""The dashboard in a real browser: signing in, what each desk sees, and that nothing leaves this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import analytics.pages
import analytics.setup
import retention.pages
from analytics.dashboard import SECTIONS, open_accounts
from analytics.shopfloor import weeks
from consent.access import Desk, may
from consent.events import Purpose
from retention import policy
from retention.status import note_sweep
from tests.chromium import chromium, violations
from tests.signed_in import PATIENCE_MS, Board, Watched, a_shop, account, dashboard, photograph, settle, visiting

PASSWORD = "correct horse battery staple"  # noqa: S105
PAGES = (*analytics.pages.PAGES, *analytics.setup.PAGES, *retention.pages.PAGES)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    root = tmp_path_factory.mktemp("app")
    now = time.time_ns() // 1000
    state = weeks.open_shop(root / "shop", now_us=now)  # at level `emotion`: every page is there
    weeks.unpack(state)
    (state.root / "visits.duckdb").write_bytes(b"not for the dashboard")  # whoever opens it says so in the log
    with open_accounts(state) as accounts:
        accounts.add("Ada", Desk.MANAGER, now_us=now, password=PASSWORD)
    with dashboard(state, root / "log") as served:
        yield served
    assert "Traceback" not in (root / "log").read_text()


@contextmanager
def visit(browser: Browser, url: str, path: str = "/", *, script: bool = True, dark: bool = False) -> Iterator[Watched]:
    """Open a page in a browser of its own; see `visiting`."""
    scheme = "dark" if dark else "light"
    link = path if path.startswith("http") else f"{url}{path}"
    with visiting(browser, url, link, height=1600, java_script_enabled=script, color_scheme=scheme) as watched:
        yield watched


# --- signing in -------------------------------------------------------------------------------------------------------


def test_somebody_signs_in_looks_and_signs_out(browser: Browser, board: Board) -> None:
    with visit(browser, board.url) as watched:
        page = watched.page
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("This shop does not exist")).to_be_visible(timeout=PATIENCE_MS)
        settle(page)
        expect(page.get_by_text("Signed in as Ada, manager desk")).to_be_attached()
        page.get_by_role("link", name="Account and sign-out").click()
        expect(page.get_by_role("heading", name="Your account")).to_be_visible()
        photograph(page, "account")
        page.get_by_role("button", name="Sign out", exact=True).click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.goto(board.url)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        watched.check()


def test_an_open_page_goes_blank_and_leaves_when_its_session_is_ended(browser: Browser, board: Board) -> None:
    with visit(browser, board.url, board.link(Desk.COMPLIANCE)) as watched:
        expect(watched.page.get_by_role("heading", name="Consent log")).to_be_visible(timeout=PATIENCE_MS)
        settle(watched.page)
        with open_accounts(board.state) as accounts:
            assert accounts.end_all(account(board.state, Desk.COMPLIANCE).id) >= 1
        expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=PATIENCE_MS)
        assert watched.outward == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_pages_for_signing_in_can_be_used_by_everybody(browser: Browser, board: Board, dark: bool) -> None:
    with visit(browser, board.url, "/sign-in", dark=dark) as watched:
        page = watched.page
        sound(page)
        photograph(page, f"sign-in{'-dark' if dark else ''}")
        page.get_by_label("Name").fill("Nobody")
        page.get_by_label("Password").fill("not a password of anybody")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("Name, password or code is wrong.")
        sound(page)
        assert watched.outward == []
    with visit(browser, board.url, board.link(Desk.MANAGER), dark=dark) as watched:
        expect(watched.page.get_by_text("This shop does not exist")).to_be_visible(timeout=PATIENCE_MS)
        watched.page.goto(f"{board.url}/account")
        expect(watched.page.get_by_role("heading", name="Your account")).to_be_visible()
        sound(watched.page)


def sound(page: Page) -> None:
    """Hold a page against axe, on a narrow screen, too."""
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 1000})
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_signing_in_needs_no_script(browser: Browser, board: Board) -> None:
    with visit(browser, board.url, script=False) as watched:
        page = watched.page
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{board.url}/")
        page.goto(f"{board.url}/account")
        page.get_by_role("button", name="Sign out everywhere").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        watched.check()


# --- what each desk sees ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", list(Desk))
def test_each_desk_opens_its_own_pages_and_no_other(browser: Browser, board: Board, desk: Desk) -> None:
    mine = [page for page in PAGES if may(desk, SECTIONS[page.section])]
    theirs = [page for page in PAGES if page not in mine]
    assert mine
    assert theirs
    with visit(browser, board.url, board.link(desk)) as watched:
        page = watched.page
        expect(page.get_by_text("This shop does not exist")).to_be_visible(timeout=PATIENCE_MS)
        settle(page)
        expect(page.get_by_text(f"{desk} desk")).to_be_attached(timeout=PATIENCE_MS)
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
        photograph(page, f"{desk}-{mine[0].path}")
        watched.check()
        expect(page.get_by_role("link", name=mine[0].title, exact=True)).to_have_count(1)
        ask = page.context.request  # each page is drawn by a test of its own
        for one in mine:
            assert ask.get(f"{board.url}/{one.path}").status == 200
        for other in theirs:
            assert page.get_by_role("link", name=other.title, exact=True).count() == 0
            answer = ask.get(f"{board.url}/{other.path}")
            assert answer.status == 403
            assert "belongs to another desk" in answer.text()
        assert watched.outward == []


def test_a_shop_from_its_first_account_to_a_broken_file(browser: Browser, tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    toml = state.root / "store.toml"
    toml.write_text(toml.read_text() + "\n[terms]\ndwell = 17\n")
    note_sweep(
        state.root, {**dict.fromkeys(("blocked", "config", "journal", "figures", "unnamed")), "deferred": "x"}, 1
    )
    with dashboard(state, tmp_path / "log") as shop:
        with visit(browser, shop.url, script=False) as watched:  # nobody has an account yet
            expect(watched.page.get_by_role("heading", name="Set up")).to_be_visible()
            for label in ("Set-up code", "Your name", "Password", "Password again"):
                expect(watched.page.get_by_label(label, exact=True)).to_be_visible()
        with visit(browser, shop.url, shop.link(Desk.COMPLIANCE)) as watched:
            the_terms_are_the_shops_own(watched, shop)
        with visit(browser, shop.url, shop.link()) as watched:
            page = watched.page
            expect(page.get_by_text("openaisle watch").first).to_be_visible(timeout=PATIENCE_MS)
            expect(page.get_by_text("openaisle keeper").first).to_be_visible()
            path = state.released / "a-b-9999-99-99.parquet"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"PAR1 not really PAR1")
            page.reload()
            said = f"{path} is not as the keeper wrote it; move it away or restore it from a backup"
            expect(page.get_by_text(said)).to_be_visible(timeout=PATIENCE_MS)
            watched.check()
    assert "Traceback" not in (tmp_path / "log").read_text()


def the_terms_are_the_shops_own(watched: Watched, shop: Board) -> None:
    page = watched.page
    expect(page.get_by_role("heading", name="Consent log")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{shop.url}/retention")
    expect(page.get_by_role("heading", name="Retention", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    for place in {row["place"] for row in policy.rows(dict.fromkeys(Purpose, 1), 1)}:
        expect(page.locator("summary", has_text=place).first).to_be_attached()
    expect(page.get_by_text("17 days").first).to_be_attached()
    expect(page.get_by_text("at its last sweep, 1970-01-01 00:00:00 UTC")).to_be_visible()
    expect(page.get_by_text("deferred: x")).to_be_visible()
    settle(page)
    watched.check()
