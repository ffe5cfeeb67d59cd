"""Journeys, queues, conversion, staffing and the kiosk in a real browser, filled by the four simulated weeks."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Request, Route, expect

from analytics.shopfloor import opening, weeks
from consent.access import Desk
from consent.keys import Role
from retention.keeper import Keeper
from tests.chromium import chromium, violations
from tests.signed_in import Board, dashboard

SLOW_MS = 90_000  # the first page of a fresh process, on a busy machine
# of each page: its heading, and charts that must be drawn, by what is said of them
PAGES = {
    "journeys": ("Journeys", ("A Sankey diagram of ", "who came in, ")),
    "queues": ("Queues", ("waits that ended at the till", "Median and p90 of waits", "mean number of people in line")),
    "conversion": ("Conversion", ("receipts for each hundred entries", "receipts for each entry by hour")),
    "staffing": ("Staffing", ("Most come on ", "entries of the hour, divided by", "mean number of people at once")),
    "funnel": ("Kiosk", ("said yes, ", "share of answers that were a yes")),
}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("floor")
    now = time.time_ns() // 1000
    state = opening.open_shop(folder / "shop", name=weeks.NAME, source="simulated", now_us=now, hours=True)
    weeks.unpack(state)
    with dashboard(state, folder / "log") as served:
        yield served
    assert "Traceback" not in served.log.read_text()


@dataclass
class Looked:
    page: Page
    outward: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def looking(chrome: Browser, board: Board, path: str, *, width: int = 1280, dark: bool = False) -> Iterator[Looked]:
    context = chrome.new_context(viewport={"width": width, "height": 2600}, color_scheme="dark" if dark else "light")
    looked = Looked(context.new_page())
    page = looked.page

    def guard(route: Route, request: Request) -> None:
        if request.url.startswith((board.url, "data:", "blob:")):
            route.continue_()
        else:
            looked.outward.append(request.url)
            route.abort()

    context.route("**/*", guard)
    page.on("console", lambda said: looked.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: looked.errors.append(str(error)))
    try:
        page.goto(board.link(Desk.MANAGER))
        expect(page.locator("[data-testid=stApp]")).to_be_visible(timeout=SLOW_MS)
        page.goto(f"{board.url}/{path}")
        expect(page.get_by_role("heading", name=PAGES[path][0], exact=True)).to_be_visible(timeout=SLOW_MS)
        expect(page.get_by_text(re.compile(r"Not shown: \d"))).to_be_visible(timeout=SLOW_MS)
        settled(page)
        yield looked
    finally:
        context.close()


def settled(page: Page) -> None:
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=SLOW_MS
    )


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_filled_says_where_from_and_can_be_used_by_everybody(
    chrome: Browser, board: Board, path: str
) -> None:
    with looking(chrome, board, path) as looked:
        page = looked.page
        for told in PAGES[path][1]:
            expect(page.locator(f'[aria-label*="{told}"]').first).to_be_attached(timeout=SLOW_MS)
        charts = page.locator("[data-testid=stVegaLiteChart]").get_by_role("img")
        assert charts.count() >= len(PAGES[path][1])
        assert page.get_by_text(re.compile(r"everybody\.\w+.* rule \d")).count() >= 1
        assert page.get_by_text("Simulated.").count() == 1
        assert page.get_by_text("No figures yet").count() == 0
        assert violations(page) == []
        folder = os.environ.get("OPENAISLE_SCREENSHOTS")
        page.screenshot(path=Path(folder) / f"{path}.png" if folder else None, full_page=True)
    assert looked.outward == []
    assert looked.errors == []


@pytest.mark.parametrize("path", PAGES)
def test_it_fits_a_phone_and_the_dark(chrome: Browser, board: Board, path: str) -> None:
    with looking(chrome, board, path, width=390, dark=True) as looked:
        page = looked.page
        expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible(timeout=SLOW_MS)
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
    assert looked.outward == []
    assert looked.errors == []


def test_the_steps_stand_in_a_table_beside_the_picture(chrome: Browser, board: Board) -> None:
    with looking(chrome, board, "journeys") as looked:
        page = looked.page
        expect(page.get_by_role("heading", name="First zone")).to_be_visible()
        expect(page.get_by_text("Bounce, under 2 min")).to_be_visible()
        page.get_by_role("button", name="Numbers: Steps between zones").click()
        expect(page.get_by_role("button", name="CSV", exact=True)).to_be_visible(timeout=SLOW_MS)
    assert looked.errors == []


def test_a_manager_brings_receipts_in_once_and_a_wrong_file_is_one_line(chrome: Browser, board: Board) -> None:
    day = weeks.FIRST.isoformat()
    lines = [f"{n},till 7,1,9.50,{day},1{n % 8}:30,Female,Ada" for n in range(40)]
    good = "\n".join(["receipt,till,items,total,date,time,gender,name", *lines]).encode()

    def bring(page: Page, content: bytes, says: str | re.Pattern[str]) -> None:
        if not page.get_by_test_id("stFileUploaderDropzone").is_visible():
            page.get_by_text("Bring receipts in").click()
        page.locator("input[type=file]").set_input_files(FilePayload(name="r.csv", mimeType="text/csv", buffer=content))
        take = page.get_by_role("button", name="Take them")
        expect(take).to_be_enabled(timeout=SLOW_MS)
        take.click()
        expect(page.get_by_text(says)).to_be_visible(timeout=SLOW_MS)

    with looking(chrome, board, "conversion") as looked:
        bring(looked.page, good, re.compile("Took 40 receipts of 1 days"))
    with looking(chrome, board, "conversion") as looked:
        bring(looked.page, good, re.compile("40 of days taken before left out"))
    with looking(chrome, board, "conversion") as looked:
        bring(looked.page, b"name,total\nAda,3\n", re.compile("the file has no column for receipt"))
        assert looked.page.get_by_text("Traceback").count() == 0
    with board.state.open_ledger(Role.KEEPER) as ledger, Keeper(board.state, ledger) as keeper:
        assert keeper.run_once(time.time_ns() // 1000, sweep=False).cells > 0
    for path in board.state.root.rglob("*"):
        if path.is_file():
            assert b"Female" not in path.read_bytes(), path
