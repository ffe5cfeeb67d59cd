"""The page of decisions in a real browser: sentences with their evidence, curves with words beside them, gaps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from analytics.pages.source import FOLD
from tests.analytics.posed_shop import fill_posed
from tests.chromium import chromium, violations
from tests.retention.busy_shop import fill
from tests.signed_in import Board, Watched, a_shop, dashboard, looking, opened

LAST = date(2026, 11, 19)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("decisions")
    state = a_shop(folder / "shop")
    fill_posed(state.root, LAST, 15)
    with dashboard(state, folder / "log") as served:
        yield served
    assert "Traceback" not in served.log.read_text()


@pytest.fixture(scope="module")
def desk(board: Board) -> Iterator[Watched]:
    with chromium() as browser, looking(browser, board) as looked:
        yield looked


@pytest.fixture
def looked(board: Board, desk: Watched) -> Iterator[Watched]:
    desk.page.set_viewport_size({"width": 1280, "height": 1800})
    opened(desk, f"{board.url}/decisions?shelf=wine", "Decisions")
    yield desk
    desk.check()


def fold(page: Page, number: int) -> str:
    """Return what one of the folds says, counted from the top of the page."""
    page.get_by_role("button", name=re.compile(FOLD)).nth(number).click()
    body = page.locator("[data-testid=stPopoverBody]")
    expect(body).to_be_visible()
    said = body.inner_text()
    page.keyboard.press("Escape")
    expect(body).to_have_count(0)
    return said


def test_sentences_stand_first_and_each_has_n_coverage_and_metric_in_the_fold(looked: Watched) -> None:
    page = looked.page
    for heading in ("What to look at", "How long they take", "What came of it"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    wine = page.get_by_role("listitem").filter(has_text="wine: ")
    longer = re.compile(r"\d s longer \(95 %: [\d.]+–[\d.]+ s\) than at the other shelves")
    expect(wine.filter(has_text=longer)).to_be_visible()
    expect(wine.filter(has_text=re.compile(r"\d% leave without touching anything, \d+ points more"))).to_be_visible()
    expect(page.get_by_text("No shelf differs from the week before by more than noise.")).to_be_visible()
    page.get_by_text(re.compile(r"What is known of \d shelves")).first.click()
    noise = page.get_by_text(re.compile("no difference that is more than noise .95 %: ")).filter(visible=True)
    expect(noise.first).to_be_visible()
    first = fold(page, 0)
    assert re.search(r"wine: everybody\.decision_box · n = [\d,]+, against [\d,]+ · coverage \d+%", first)
    assert re.search(r"wine: consenting\.decision_pose · n = [\d,]+, against", first)
    assert "Means of completed decisions are too short" in fold(page, 1)


def test_the_curve_has_words_a_table_and_files_beside_it(looked: Watched) -> None:
    page = looked.page
    expect(page.locator(".vega-embed svg, .vega-embed canvas")).to_have_count(2)
    expect(page.get_by_label(re.compile("^wine: the share still deciding falls")).first).to_be_attached()
    page.get_by_role("button", name="Numbers: Still deciding").click()
    with page.expect_download() as waited:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(waited.value.path()).read_text().splitlines()
    assert lines[0] == "Of,Seconds,Still deciding,95 % from,95 % to,how this was counted"
    assert {line.split(",")[0] for line in lines[1:]} == {"everybody", "consenting shoppers"}


def test_what_was_taken_in_hand_is_called_no_sale(looked: Watched) -> None:
    page = looked.page
    last = page.get_by_role("button", name=re.compile(FOLD)).count() - 1
    assert "what became of it nobody saw, and it is no sale" in fold(page, last)
    words = page.locator("[data-testid=stMain]").inner_text().lower()
    assert not re.search(r"purchase|bought|\bsales\b|emotion", words)


def test_it_fits_a_phone_and_axe_finds_nothing_of_ours(looked: Watched) -> None:
    page = looked.page
    page.set_viewport_size({"width": 390, "height": 1800})
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    ours = [fault for fault in violations(page) if "stVegaLiteChart" in fault or "stMarkdown" in fault]
    assert not ours


def test_a_shop_of_one_week_says_when_an_answer_can_be_expected(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    fill(state.root, LAST, 4)
    page = "from pathlib import Path\nfrom analytics.pages.decisions import decisions\n"
    app = AppTest.from_string(f"{page}decisions(Path({str(state.root)!r}))", default_timeout=120).run()
    assert not app.exception
    told = "\n".join(part.value for kind in (app.markdown, app.info) for part in kind)
    first = LAST - timedelta(days=3)
    assert (
        f"Nothing to compare it with in the days before; an answer can be expected about {first + timedelta(14)}"
        in told
    )
    assert "Not enough people for what came of decisions" in told
