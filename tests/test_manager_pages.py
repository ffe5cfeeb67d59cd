"""The managers' own pages in a real browser: today, zones, compare, accuracy and the weekly report.

The shop is the simulated one with its four weeks. What Streamlit itself does and this cannot mend is named in `PROBE`.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from analytics.audits import Audit, keep
from analytics.live import Board as Told
from analytics.live import Live
from analytics.notes import Notes
from analytics.shopfloor import opening, weeks
from cli import main
from consent.access import Desk
from tests.chromium import chromium, violations
from tests.retention.busy_shop import fill
from tests.signed_in import Board, a_shop, dashboard

PATIENCE_MS = 60_000
MINE = {"": "Today", "zones": "Zones", "compare": "Compare", "week": "Weekly report", "accuracy": "Accuracy"}
LAST = weeks.FIRST.replace(month=10, day=10)  # the newest day of the bundle that is open
# Streamlit's own script asks beside a page's address before it asks at the root
PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")
CHARTS = "[data-testid=stVegaLiteChart]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("managers")
    now = time.time_ns() // 1000
    state = opening.open_shop(folder / "shop", name=weeks.NAME, source="simulated", now_us=now, hours=True)
    weeks.unpack(state)
    if not Notes(state.root).shown():
        Notes(state.root).write(weeks.CHANGE, "Layout changed", now_us=now)
    keep(state.root, Audit(now, opening.CAMERA, 300.0, 0.97, 40, 39, 37, 0.937, 0.81, None, None))
    (state.root / "visits.duckdb").write_bytes(b"not for the dashboard")  # whoever opens it says so in the log
    with dashboard(state, folder / "log") as served:
        yield served
    assert "Traceback" not in served.log.read_text()


@dataclass
class Visit:
    page: Page
    outward: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert self.outward == []
        assert self.errors == []


@contextmanager
def visit(browser: Browser, board: Board, path: str = "", *, width: int = 1280, dark: bool = False) -> Iterator[Visit]:
    context = browser.new_context(
        viewport={"width": width, "height": 1800}, color_scheme="dark" if dark else "light", accept_downloads=True
    )
    context.set_default_timeout(PATIENCE_MS)
    one = Visit(context.new_page())

    def guard(route: Route, request: Request) -> None:
        if request.url.startswith((board.url, "data:", "blob:")):
            route.continue_()
        else:
            one.outward.append(request.url)
            route.abort()

    context.route("**/*", guard)
    loads = "Failed to load resource"  # named by its answer
    one.page.on(
        "console",
        lambda said: one.errors.append(said.text) if said.type == "error" and loads not in said.text else None,
    )
    one.page.on(
        "response",
        lambda got: (
            one.errors.append(f"{got.status} {got.url}") if got.status >= 400 and not PROBE.search(got.url) else None
        ),
    )
    one.page.on("pageerror", lambda error: one.errors.append(str(error)))
    one.page.goto(board.link(Desk.MANAGER))
    settle(one.page, "Today")
    if path:
        one.page.goto(f"{board.url}/{path}")
        settle(one.page, MINE[path.partition("?")[0]])
    try:
        yield one
    finally:
        context.close()


def settle(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=PATIENCE_MS
    )
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator(f"{CHARTS}:not(:has(svg, canvas))")).to_have_count(0, timeout=PATIENCE_MS)
    # what fades in has no contrast yet
    page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running')", timeout=PATIENCE_MS)


def captions(page: Page, metric: str) -> Locator:
    return page.locator("[data-testid=stCaptionContainer]", has_text=metric)


@pytest.mark.parametrize(
    ("path", "charts", "metrics"),
    [
        ("", 3, ("everybody.footfall", "everybody.zone_visits")),
        ("zones", 4, ("everybody.zone_visits", "everybody.dwell")),
        ("compare", 2, ("everybody.footfall", "everybody.zone_visits", "everybody.dwell", "everybody.decision_box")),
        ("accuracy", 1, ("everybody.zone_visits", "everybody.dwell")),
    ],
)
def test_every_page_is_filled_says_its_sources_and_is_usable_by_all_on_a_phone_and_in_the_dark_too(
    browser: Browser, board: Board, path: str, charts: int, metrics: tuple[str, ...]
) -> None:
    with visit(browser, board, path) as one:
        page = one.page
        expect(page.locator(CHARTS)).to_have_count(charts)
        for i in range(charts):
            expect(page.locator(CHARTS).nth(i)).to_have_attribute("aria-label", re.compile(r"\w+ .*\d"))
        for metric in metrics:
            source = captions(page, metric).first
            for part in ("rule 1", "n = ", "cells of", "coverage"):
                expect(source).to_contain_text(part)
        expect(page.get_by_text("Not enough people")).to_have_count(0)
        expect(page.get_by_text(re.compile(r"Not shown: \d+ suppressed, \d+ waited for"))).to_be_visible()
        expect(page.get_by_text(re.compile("^Numbers: ")).first).to_be_visible()
        assert violations(page) == []
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 1800})
        page.reload()
        settle(page, MINE[path])
        ground = page.locator("[data-testid=stApp]").evaluate("e => getComputedStyle(e).backgroundColor")
        assert max(map(int, re.findall(r"\d+", ground)[:3])) < 40
        fits(page)
        assert violations(page) == []
        one.check()


def fits(page: Page) -> None:
    """Hold a page against the width of a phone: nothing lies beside it."""
    assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    for box in page.locator(f"{CHARTS}, [data-testid=stMetric], [data-testid=stDataFrame]").all():
        room = box.bounding_box()
        assert room is not None
        assert room["x"] >= 0
        assert room["x"] + room["width"] <= 390


def test_a_link_shows_the_same_to_somebody_else(browser: Browser, board: Board) -> None:
    with visit(browser, board, f"zones?days={weeks.FIRST}&days={weeks.FIRST}&zones=tea&hours=9&hours=12") as one:
        page = one.page
        source = captions(page, "everybody.zone_visits").first
        expect(source).to_contain_text(f"{weeks.FIRST} 09:00 to {weeks.FIRST} 12:00")
        page.get_by_role("radio", name="Median stay").or_(page.get_by_role("button", name="Median stay")).first.click()
        expect(page).to_have_url(re.compile("heat=Median"))
        settle(page, "Zones")
        told, link = source.inner_text(), page.url.removeprefix(f"{board.url}/")
        assert f"days={weeks.FIRST}" in link
        one.check()
    with visit(browser, board, link) as other:
        expect(captions(other.page, "everybody.zone_visits").first).to_have_text(told)
        expect(other.page.locator(CHARTS).first).to_have_attribute("aria-label", re.compile("coloured by median stay"))
        other.check()


def test_days_stand_in_the_address_though_nobody_chose_them(browser: Browser, board: Board) -> None:
    with visit(browser, board) as one:
        expect(one.page).to_have_url(re.compile(f"day={LAST}"))
        one.page.goto(f"{board.url}/zones")
        expect(one.page).to_have_url(re.compile(rf"days=\S+&days={LAST}"))
        one.page.goto(f"{board.url}/zones?days=1999-01-01&days=nonsense")
        settle(one.page, "Zones")
        expect(one.page).to_have_url(re.compile(rf"days=\S+&days={LAST}"))


def test_what_a_chart_shows_can_be_taken_along(browser: Browser, board: Board) -> None:
    with visit(browser, board) as one:
        page = one.page
        page.get_by_text(f"Numbers: Footfall by day to {LAST}").click()
        files = {}
        for kind in ("CSV", "Parquet", "PNG"):
            button = page.get_by_role("button", name=kind, exact=True)
            expect(button).to_be_visible()
            with page.expect_download(timeout=2 * PATIENCE_MS) as waiting:
                button.click()
            files[kind] = Path(waiting.value.path()).read_bytes()
            assert waiting.value.suggested_filename == f"footfall-by-day-to-{LAST}.{kind.lower()}"
        rows = list(csv.DictReader(io.StringIO(files["CSV"].decode())))
        table = pq.read_table(io.BytesIO(files["Parquet"])).to_pylist()
        assert [row["entries"] for row in rows] == [str(row["entries"]) for row in table]
        assert len(rows) > 20
        total = re.search(r"n = ([\d,]+)", captions(page, "everybody.footfall").last.inner_text())
        assert total is not None
        assert sum(int(row["entries"]) for row in rows) == int(total[1].replace(",", ""))
        assert files["PNG"].startswith(b"\x89PNG\r\n\x1a\n")
        assert len(files["PNG"]) > 10_000
        one.check()


def test_somebody_writes_down_what_happened_and_every_chart_over_time_has_it(browser: Browser, board: Board) -> None:
    notes = Notes(board.state.root)
    before = len(notes.shown())
    with visit(browser, board) as one:
        page = one.page
        page.get_by_text(f"What happened ({before})").click()
        page.get_by_label("What happened", exact=True).fill("New lamp over the tea")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.get_by_text(f"What happened ({before + 1})")).to_be_visible()
        written = notes.shown()[-1]
        assert (written.text, written.day, written.version) == ("New lamp over the tea", LAST, 1)
        for path in ("", "compare", "accuracy"):
            page.goto(f"{board.url}/{path}")
            settle(page, MINE[path])
            expect(page.locator(CHARTS).get_by_text("New lamp over the tea").first).to_be_attached()
        one.check()
    notes.forget(written.number)


def test_before_and_after_the_layout_changed_is_told_with_what_is_real(browser: Browser, board: Board) -> None:
    with visit(browser, board, "compare") as one:
        page = one.page
        expect(page.get_by_text("differ by more than days differ anyway")).to_be_visible()
        expect(page.locator("li", has_text="coffee: zone visits: higher")).to_be_visible()
        expect(page.locator("li", has_text="sweets: zone visits: lower")).to_be_visible()
        expect(page.locator("li", has_text="tea:")).to_have_count(0)  # nothing happened to tea
        expect(page.get_by_text("all rows together (Holm)")).to_be_visible()
        one.page.goto(
            f"{board.url}/compare?how=Two+periods&before={weeks.FIRST}&before={weeks.FIRST}&after={LAST}&after={LAST}"
        )
        settle(page, "Compare")
        expect(page.get_by_text("Too few days to tell.")).to_be_visible()
        one.check()


def test_the_week_is_the_same_on_paper_by_button_and_by_command(
    browser: Browser, board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with visit(browser, board, "week?week=2026-W40") as one:
        with one.page.expect_download(timeout=2 * PATIENCE_MS) as waiting:
            one.page.get_by_role("button", name="Download as PDF").click()
        by_button = Path(waiting.value.path()).read_bytes()
        assert waiting.value.suggested_filename == "openaisle-2026-W40.pdf"
        one.check()
    out = tmp_path / "week.pdf"
    assert main(["report", "--state", str(board.state.root), "--week", "2026-W40", "--out", str(out)]) == 0
    assert "2026-09-28 to 2026-10-04" in capsys.readouterr().out
    assert by_button.startswith(b"%PDF-")
    assert by_button == out.read_bytes()


def test_how_full_the_shop_is_now_comes_in_bands_and_a_long_queue_is_an_alert(browser: Browser, board: Board) -> None:
    with visit(browser, board) as one:
        expect(one.page.get_by_text("Nobody is in this shop now: it is simulated")).to_be_visible()
        told = Told()
        with Live(board.state.live, told):
            alert = one.page.get_by_text("the queue is long now")
            until = time.monotonic() + PATIENCE_MS / 1000
            while not alert.is_visible():  # a look is told for two seconds, so it is told again and again
                told.show_zones(opening.CAMERA, {"tea": "10+", "queue": "long"})
                assert time.monotonic() < until
                one.page.wait_for_timeout(200)
            expect(captions(one.page, "live.occupancy")).to_be_visible()
        expect(one.page.get_by_text("Nobody is in this shop now: it is simulated")).to_be_visible(timeout=PATIENCE_MS)
        one.check()


def test_a_shop_without_figures_says_what_to_do_on_every_page(browser: Browser, tmp_path: Path) -> None:
    with dashboard(a_shop(tmp_path / "shop"), tmp_path / "log") as board, visit(browser, board) as one:
        for path, title in MINE.items():
            one.page.goto(f"{board.url}/{path}")
            settle(one.page, title)
            expect(one.page.get_by_role("heading", name="No figures yet")).to_be_visible()
            expect(one.page.get_by_text("openaisle keeper").first).to_be_visible()
            assert violations(one.page) == []
        one.check()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_blind_day_and_what_is_held_back_are_said(browser: Browser, tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    day = LAST.replace(month=11, day=19)
    fill(state.root, day, 4)
    with dashboard(state, tmp_path / "log") as board, visit(browser, board) as one:
        page = one.page
        expect(page.get_by_text(re.compile(r"The cameras saw \d\d% of the time they were meant to"))).to_be_visible()
        page.goto(f"{board.url}/accuracy")
        settle(page, "Accuracy")
        expect(page.get_by_text("No audit yet")).to_be_visible()
        page.get_by_text(re.compile(r"Not shown: [1-9]\d* suppressed")).click()
        expect(page.get_by_text("Suppressed for good")).to_be_visible()
        page.goto(f"{board.url}/zones?days={day}&days={day}&zones=magazines&hours=8&hours=9")
        settle(page, "Zones")
        expect(page.get_by_text(re.compile("Not enough people for a zone"))).to_be_visible()
        one.check()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_broken_file_is_one_sentence_on_the_page(browser: Browser, tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    broken = state.released / f"everybody-footfall-{LAST}.parquet"
    broken.parent.mkdir(exist_ok=True)
    broken.write_bytes(b"PAR1 not really PAR1")
    with dashboard(state, tmp_path / "log") as board, visit(browser, board) as one:
        alert = one.page.get_by_role("alert").filter(has_text="is not as the keeper wrote it")
        expect(alert).to_have_text(
            f"{broken} is not as the keeper wrote it; move it away or restore it from a backup", timeout=PATIENCE_MS
        )
        one.check()
    assert "Traceback" not in (tmp_path / "log").read_text()
