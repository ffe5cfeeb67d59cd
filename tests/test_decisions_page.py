"""The page of decisions in a real browser: sentences with their evidence, curves with words beside them, gaps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from consent.access import Desk
from tests.analytics.posed_shop import fill_posed
from tests.chromium import chromium, violations
from tests.retention.busy_shop import fill
from tests.signed_in import Board, a_shop, dashboard

LAST = date(2026, 11, 19)
SLOW_MS = 60_000  # the first page of a fresh process, on a busy machine


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("decisions")
    state = a_shop(folder / "shop")
    fill_posed(state.root, LAST, 15)
    with dashboard(state, folder / "log") as served:
        yield served
    assert "Traceback" not in served.log.read_text()


@dataclass
class Looked:
    page: Page
    outward: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def looking(chrome: Browser, board: Board, *, width: int = 1280, query: str = "") -> Iterator[Looked]:
    context = chrome.new_context(viewport={"width": width, "height": 1800}, accept_downloads=True)
    looked = Looked(context.new_page())

    def guard(route: Route, request: Request) -> None:
        if request.url.startswith((board.url, "data:", "blob:")):
            route.continue_()
        else:
            looked.outward.append(request.url)
            route.abort()

    context.route("**/*", guard)
    # Streamlit's own script asks beside a page's address before it asks at the root
    probe = re.compile(r"/decisions/_stcore/(health|host-config)$")
    failed = "Failed to load resource"  # named by its answer below
    looked.page.on(
        "console",
        lambda said: looked.errors.append(said.text) if said.type == "error" and failed not in said.text else None,
    )
    looked.page.on(
        "response",
        lambda got: looked.errors.append(got.url) if got.status >= 400 and not probe.search(got.url) else None,
    )
    looked.page.on("pageerror", lambda error: looked.errors.append(str(error)))
    try:
        looked.page.goto(board.link(Desk.MANAGER))
        expect(looked.page.locator("[data-testid=stApp]")).to_be_visible(timeout=SLOW_MS)
        looked.page.goto(f"{board.url}/decisions{query}")
        expect(looked.page.get_by_role("heading", name="Decisions", exact=True)).to_be_visible(timeout=SLOW_MS)
        yield looked
    finally:
        context.close()


def drawn(page: Page) -> None:
    """Wait until the last part of the page is there."""
    expect(page.get_by_text("Means of completed decisions are too short")).to_be_visible(timeout=SLOW_MS)


def test_sentences_stand_first_each_with_n_coverage_and_metric(chrome: Browser, board: Board) -> None:
    with looking(chrome, board) as looked:
        page = looked.page
        drawn(page)
        for heading in ("What to look at", "How long they take", "What came of it"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        wine = page.get_by_role("listitem").filter(has_text="wine: ")
        longer = wine.filter(has_text=re.compile(r"\d s longer \(95 %: [\d.]+–[\d.]+ s\) than at the other shelves"))
        expect(longer).to_contain_text(
            re.compile(r"everybody\.decision_box · n = [\d,]+, against [\d,]+ · coverage \d+%")
        )
        untouched = wine.filter(has_text=re.compile(r"\d% leave without touching anything, \d+ points more"))
        expect(untouched).to_contain_text(re.compile(r"consenting\.decision_pose · n = [\d,]+, against"))
        expect(page.get_by_text("No shelf differs by more than noise.")).to_be_visible()
        page.get_by_text(re.compile("What is known of \\d shelves")).first.click()
        noise = page.get_by_text(re.compile("no difference that is more than noise .95 %: ")).filter(visible=True)
        expect(noise.first).to_be_visible()
        assert not looked.outward
        assert not looked.errors


def test_the_curve_has_words_a_table_and_files_beside_it(chrome: Browser, board: Board) -> None:
    with looking(chrome, board, query="?shelf=wine") as looked:
        page = looked.page
        drawn(page)
        expect(page.locator(".vega-embed svg, .vega-embed canvas")).to_have_count(2)
        told = page.get_by_label(re.compile("^wine: the share still deciding falls"))
        expect(told.first).to_be_attached()
        page.get_by_role("button", name="Numbers: Still deciding").click()
        with page.expect_download() as waited:
            page.get_by_role("button", name="CSV", exact=True).click()
        lines = Path(waited.value.path()).read_text().splitlines()
        assert lines[0] == "Of,Seconds,Still deciding,95 % from,95 % to"
        assert {line.split(",")[0] for line in lines[1:]} == {"everybody", "consenting shoppers"}
        assert not looked.outward
        assert not looked.errors


def test_what_was_taken_in_hand_is_called_no_sale(chrome: Browser, board: Board) -> None:
    with looking(chrome, board) as looked:
        drawn(looked.page)
        expect(looked.page.get_by_text("what became of it nobody saw, and it is no sale")).to_be_visible()
        words = looked.page.locator("[data-testid=stMain]").inner_text().lower()
        assert not re.search(r"purchase|bought|\bsales\b|emotion", words)


def test_it_fits_a_phone_and_axe_finds_nothing_of_ours(chrome: Browser, board: Board) -> None:
    with looking(chrome, board, width=390) as looked:
        page = looked.page
        drawn(page)
        inner, outer = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert inner <= outer
        ours = [fault for fault in violations(page) if "stVegaLiteChart" in fault or "stMarkdown" in fault]
        assert not ours


def test_a_shop_of_one_week_says_when_an_answer_can_be_expected(chrome: Browser, tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    fill(state.root, LAST, 4)
    with dashboard(state, tmp_path / "log") as young, looking(chrome, young) as looked:
        page = looked.page
        drawn(page)
        page.get_by_text(re.compile("What is known of \\d shelves")).last.click()
        first = LAST - timedelta(days=3)
        expected = (
            f"Nothing to compare it with in the days before; an answer can be expected about {first + timedelta(14)}"
        )
        expect(page.get_by_text(expected).first).to_be_visible()
        expect(page.get_by_text("Not enough people for what came of decisions")).to_be_visible()


def test_a_shop_without_figures_says_what_to_do(chrome: Browser, tmp_path: Path) -> None:
    with dashboard(a_shop(tmp_path / "shop"), tmp_path / "log") as empty, looking(chrome, empty) as looked:
        expect(looked.page.get_by_text("No figures yet")).to_be_visible(timeout=SLOW_MS)
