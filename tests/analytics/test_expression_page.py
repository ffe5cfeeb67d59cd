"""The page of expressions: what it shows and refuses, what it is called, and that it is there at its level alone."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from analytics.calibration import CARD, CardError, calibration
from analytics.model import SECOND
from analytics.pages.source import FOLD
from analytics.row import CLASSES, ExpressionRow, apportion
from analytics.shopfloor import opening
from analytics.state import State
from analytics.store import NewExpression
from analytics.zones import ZoneKind
from consent.events import Level
from retention.release import Release
from tests.chromium import chromium
from tests.retention.busy_shop import Rows
from tests.signed_in import Board, dashboard

PATIENCE_MS = 90_000
CAMERA = "simulated"
KINDS = {(CAMERA, zone): ZoneKind.PRODUCT for zone in ("coffee", "tea")}


def figures(state: State, day: date) -> None:
    """Release a day: coffee, where people show this and that; tea, where all show the same."""
    rows, noon = Rows(), int(datetime(day.year, day.month, day.day, 9, tzinfo=UTC).timestamp()) * SECOND
    weights = {"coffee": (0, 0, 0, 3, 0, 0, 4, 3), "tea": (0, 0, 0, 0, 0, 0, 8, 2)}
    for i in range(40):
        for zone, of in weights.items():
            enter = noon + i * SECOND
            row = ExpressionRow(CAMERA, zone, enter, enter + 9 * SECOND, 18, apportion(of, 1000))
            rows.faces.append(NewExpression(i, day, row))
    release = Release(state.root, random.Random(3), tz=opening.TIMEZONE)
    release.release_consenting(rows, KINDS, noon + 40_000 * SECOND)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    root = tmp_path_factory.mktemp("expression")
    state = opening.open_shop(
        root / "shop",
        name="A simulated shop",
        source="none",
        now_us=time.time_ns() // 1000 - 10 * 86_400 * SECOND,
        level=Level.EMOTION,
    )
    figures(state, datetime.now(UTC).date() - timedelta(days=3))
    with dashboard(state, root / "log") as served:
        yield served
    assert "Traceback" not in (root / "log").read_text()


@pytest.fixture(scope="module")
def page(board: Board) -> Iterator[Page]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 2400})
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(board.link())
        yield page


def test_it_shows_shares_coverage_and_calibration_and_says_what_it_is_not(board: Board, page: Page) -> None:
    page.goto(f"{board.url}/expression")
    expect(page.get_by_role("heading", name="Expression", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("What a face shows is not what a person feels.")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name=re.compile(FOLD)).first.click()
    expect(page.get_by_text("consenting.expression").first).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    for heading in ("What was read", "How much of it was seen", "How far it can be trusted"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=PATIENCE_MS)
    told = calibration()
    for share in (told.accuracy, told.answered, told.right):
        expect(page.get_by_text(f"{share:.0%}", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text(f"{told.error:.3f}", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("Calibration error")).to_be_visible(timeout=PATIENCE_MS)
    words = page.locator("body").inner_text().lower()
    assert "emotion" not in words.replace("simulated", "")
    assert "is happy" not in words


def test_below_its_level_it_is_not_listed_and_not_reached(board: Board, page: Page) -> None:
    page.goto(f"{board.url}/expression")
    links = page.get_by_role("link", name="Expression", exact=True)
    expect(page.get_by_role("heading", name="Expression", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    toml = board.state.root / "store.toml"
    text = toml.read_text()
    toml.write_text(text.replace('level = "emotion"', 'level = "repeat"'))
    try:
        page.goto(f"{board.url}/expression")
        expect(page.get_by_text("Signed in as")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name="Expression", exact=True)).to_have_count(0, timeout=PATIENCE_MS)
        expect(links).to_have_count(0, timeout=PATIENCE_MS)
        assert "resembled" not in page.locator("body").inner_text()
    finally:
        toml.write_text(text)


def test_a_zone_in_which_all_show_the_same_is_not_in_any_file(board: Board) -> None:
    files = list(board.state.released.glob("consenting-expression-*.parquet"))
    assert files
    assert all(b"tea" not in path.read_bytes() for path in files)
    assert all(b"coffee" in path.read_bytes() for path in files)


def test_the_card_is_read_as_it_is_written() -> None:
    told = calibration()
    assert set(told.recall) == set(CLASSES[:-1])
    assert (told.threshold, told.steps[0].answered) == (0.5, 1.0)
    at = next(step for step in told.steps if step.least == told.threshold)
    assert (round(at.answered, 3), round(at.right, 3)) == (told.answered, told.right)


@pytest.mark.parametrize("cut", ["```json", '"calibration_error"', "| 0.5 |"])
def test_a_card_that_says_less_is_refused(tmp_path: Path, cut: str) -> None:
    card = tmp_path / "card.md"
    text = CARD.read_text().replace(cut, "")
    if cut.startswith("|"):
        text = text.replace("| 0.", "| x")
    card.write_text(text)
    with pytest.raises(CardError, match="card"):
        calibration(card)
