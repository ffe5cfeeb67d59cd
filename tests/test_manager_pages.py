"""The managers' own pages in a real browser, over the simulated shop and its four weeks.

One server, one browser and one page for all of them; what needs no browser is drawn without one.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, FilePayload, Page, TimeoutError, expect
from streamlit.testing.v1 import AppTest

from analytics.audits import Audit, keep
from analytics.live import Board as Told
from analytics.live import Live
from analytics.notes import Notes
from analytics.pages import PAGES, picture
from analytics.pages.source import FOLD
from analytics.shopfloor import opening, weeks
from analytics.start import init
from cli import main
from consent.keys import Role
from retention.keeper import Keeper
from tests.chromium import chromium, violations
from tests.retention.busy_shop import fill
from tests.signed_in import CHARTS, PATIENCE_MS, Board, Watched, a_shop, dashboard, looking, opened, photograph, settle

SOON_MS = 20_000  # a chart is drawn anew, on a busy machine
LAST = weeks.FIRST.replace(month=10, day=10)  # the newest day of the bundle that is open
# of each page: its heading, what is said of charts that must be drawn, and the figures it is made of
MINE: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "": ("Today", ("by hour", "by zone", "days with figures"), ("everybody.footfall", "everybody.zone_visits")),
    "zones": (
        "Zones",
        ("on the floor", "how long people stop", "How long people stay", "by day"),
        ("everybody.zone_visits", "everybody.dwell"),
    ),
    "journeys": (
        "Journeys",
        ("A Sankey diagram of ", "who came in, ", "Entries less ways out"),
        ("everybody.transitions", "everybody.store_stay", "everybody.exits"),
    ),
    "queues": (
        "Queues",
        ("that ended at the till", "Median and p90 of waits", "mean number of people in line"),
        ("everybody.queue_wait", "everybody.occupancy"),
    ),
    "conversion": (
        "Conversion",
        ("receipts for each hundred entries", "receipts for each entry by hour", "passed the door or came in"),
        ("everybody.sales", "everybody.footfall", "everybody.passers_by"),
    ),
    "staffing": (
        "Staffing",
        ("Most come on ", "mean number of people at once"),
        ("everybody.footfall", "everybody.sales", "everybody.occupancy"),
    ),
    "funnel": ("Kiosk", ("said yes, ", "share of answers that were a yes"), ("everybody.kiosk_funnel",)),
    "compare": (
        "Compare",
        ("95 % intervals", "by day"),
        ("everybody.footfall", "everybody.zone_visits", "everybody.dwell", "everybody.decision_box"),
    ),
    "accuracy": ("Accuracy", ("that camera",), ("everybody.zone_visits", "everybody.dwell")),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("managers")
    now = time.time_ns() // 1000
    state = opening.open_shop(folder / "shop", name=weeks.NAME, source="simulated", now_us=now, hours=True)
    weeks.unpack(state)
    keep(state.root, Audit(now, opening.CAMERA, 300.0, 0.97, 40, 39, 37, 0.937, 0.81, None, None))
    (state.root / "visits.duckdb").write_bytes(b"not for the dashboard")  # whoever opens it says so in the log
    with dashboard(state, folder / "log") as served:
        yield served
    assert "Traceback" not in served.log.read_text()


@pytest.fixture(scope="module")
def desk(browser: Browser, board: Board) -> Iterator[Watched]:
    with looking(browser, board, color_scheme="light") as looked:
        yield looked


@pytest.fixture
def one(desk: Watched) -> Iterator[Watched]:
    """The page of a manager as it is at a desk; whatever it complains about is the test's that made it."""
    desk.page.set_viewport_size({"width": 1280, "height": 1800})
    desk.page.emulate_media(color_scheme="light")
    yield desk
    desk.check()


def folds(page: Page) -> str:
    """Open everything that says how a figure was counted, one after the other, and return what it says."""
    said = []
    for button in page.get_by_role("button", name=re.compile(FOLD)).all():
        button.click()
        body = page.locator("[data-testid=stPopoverBody]")
        expect(body).to_be_visible()
        said.append(body.inner_text())
        page.keyboard.press("Escape")
        expect(body).to_have_count(0)
    return "\n".join(said)


def first_fold(page: Page) -> str:
    page.get_by_role("button", name=re.compile(FOLD)).first.click()
    body = page.locator("[data-testid=stPopoverBody]")
    expect(body).to_be_visible()
    text = body.inner_text()
    page.keyboard.press("Escape")
    return text


def fits(page: Page) -> None:
    """Wait until a page keeps to the width of a phone: nothing lies beside it. A chart is drawn anew a moment later."""
    beside = f"""() => [...document.querySelectorAll("{CHARTS}, {CHARTS} svg, {CHARTS} canvas, [data-testid=stMetric],"
            + "[data-testid=stDataFrame]")]
        .filter(e => e.checkVisibility())  // what is folded away is laid out when it is unfolded
        .map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 100)])
        .filter(([room]) => room.left < 0 || room.right > innerWidth)
        .map(([room, what]) => `${{what}}: ${{room.left}} to ${{room.right}}`)"""
    try:
        page.wait_for_function(f"({beside})().length === 0", timeout=SOON_MS)
    except TimeoutError:
        assert page.evaluate(beside) == []
    assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") <= 0


def still(page: Page) -> None:
    """Wait until nothing fades in any more: what does has no contrast yet."""
    page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running')", timeout=PATIENCE_MS)


@pytest.mark.parametrize("path", MINE)
def test_every_page_is_filled_says_its_sources_and_is_usable_by_all_on_a_phone_and_in_the_dark_too(
    board: Board, one: Watched, path: str
) -> None:
    title, charts, metrics = MINE[path]
    page = opened(one, f"{board.url}/{path}", title)
    for told in charts:
        expect(page.locator(f'{CHARTS} [aria-label*="{told}"], {CHARTS}[aria-label*="{told}"]').first).to_be_attached()
    expect(page.get_by_text("Not enough people")).to_have_count(0)
    expect(page.get_by_text(re.compile("^Numbers: ")).first).to_be_visible()
    expect(page.get_by_text("rule 1")).to_have_count(0)  # the figure first
    said = folds(page)
    for metric in metrics:
        (line, *_) = (line for line in said.splitlines() if metric in line)
        for part in ("rule 1", "n = ", " of ", "coverage"):
            assert part in line
    still(page)
    assert violations(page) == []
    photograph(page, path or "today")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 1800})
    settle(page, title)
    still(page)
    ground = page.locator("[data-testid=stApp]").evaluate("e => getComputedStyle(e).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 40
    fits(page)
    photograph(page, f"{path or 'today'}-phone")


def test_the_first_page_has_its_own_address_too_and_the_menu_of_a_phone_gives_way(board: Board, one: Watched) -> None:
    page = opened(one, f"{board.url}/today", "Today")
    expect(page.get_by_text("Page not found")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Zones", exact=True).click()
    settle(page, "Zones")
    expect(page.get_by_role("link", name="Journeys", exact=True)).not_to_be_in_viewport()


def test_a_link_shows_the_same_to_somebody_else(browser: Browser, board: Board, one: Watched) -> None:
    asked = f"zones?days={weeks.FIRST}&days={weeks.FIRST}&zones=tea&hours=9&hours=12"
    page = opened(one, f"{board.url}/{asked}", "Zones")
    assert re.search(rf"{weeks.FIRST} 09:00 to {weeks.FIRST} 1[0-2]:00", folds(page))  # whole cells within those hours
    page.get_by_role("radio", name="Median stay").or_(page.get_by_role("button", name="Median stay")).first.click()
    expect(page).to_have_url(re.compile("heat=Median"))
    settle(page, "Zones")
    told, link = first_fold(page), page.url.removeprefix(f"{board.url}/")
    assert f"days={weeks.FIRST}" in link
    with looking(browser, board) as other:
        opened(other, f"{board.url}/{link}", "Zones")
        assert first_fold(other.page) == told
        expect(other.page.locator(CHARTS).first).to_have_attribute("aria-label", re.compile("coloured by median stay"))
        other.check()


def test_days_stand_in_the_address_though_nobody_chose_them(board: Board, one: Watched) -> None:
    opened(one, board.url, "Today")
    expect(one.page).to_have_url(re.compile(f"day={LAST}"))
    opened(one, f"{board.url}/zones?days=1999-01-01&days=nonsense", "Zones")
    expect(one.page).to_have_url(re.compile(rf"days=\S+&days={LAST}"))


def test_what_a_chart_shows_can_be_taken_along_with_how_it_was_counted(board: Board, one: Watched) -> None:
    page = opened(one, board.url, "Today")
    page.set_viewport_size({"width": 1280, "height": 1800})
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
    (line,) = {row["how this was counted"] for row in (*rows, *table)}
    assert line.startswith("everybody.footfall · rule 1 · n = ")
    assert "coverage" in line
    total = re.search(r"n = ([\d,]+)", line)
    assert total is not None
    assert sum(int(row["entries"]) for row in rows) == int(total[1].replace(",", ""))
    assert files["PNG"].startswith(b"\x89PNG\r\n\x1a\n")
    assert len(files["PNG"]) > 10_000


def test_somebody_writes_down_what_happened_and_every_chart_over_time_has_it(board: Board, one: Watched) -> None:
    notes = Notes(board.state.root)
    before = len(notes.shown())
    page = opened(one, board.url, "Today")
    page.get_by_text(f"What happened ({before})").click()
    page.get_by_label("What happened", exact=True).fill("New lamp over the tea")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_text(f"What happened ({before + 1})")).to_be_visible()
    written = notes.shown()[-1]
    assert (written.text, written.day, written.version) == ("New lamp over the tea", LAST, 1)
    for path in ("compare", "accuracy"):
        opened(one, f"{board.url}/{path}", MINE[path][0])
        expect(page.locator(CHARTS).get_by_text("New lamp over the tea").first).to_be_attached()
    notes.forget(written.number)


def test_before_and_after_the_layout_changed_is_told_with_what_is_real(board: Board, one: Watched) -> None:
    page = opened(one, f"{board.url}/compare", "Compare")
    expect(page.get_by_text("differ by more than days differ anyway")).to_be_visible()
    expect(page.locator("li", has_text="coffee: zone visits: higher")).to_be_visible()
    expect(page.locator("li", has_text="sweets: zone visits: lower")).to_be_visible()
    expect(page.locator("li", has_text="tea:")).to_have_count(0)  # nothing happened to tea
    assert "for everything compared in these two periods (Holm)" in first_fold(page)
    spans = f"before={weeks.FIRST}&before={weeks.FIRST}&after={LAST}&after={LAST}"
    opened(one, f"{board.url}/compare?how=Two+periods&{spans}", "Compare")
    expect(page.get_by_text("Too few days to tell.")).to_be_visible()


def test_the_week_is_the_same_on_paper_by_button_and_by_command(
    board: Board, one: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = opened(one, f"{board.url}/week?week=2026-W40", "Weekly report")
    with page.expect_download(timeout=2 * PATIENCE_MS) as waiting:
        page.get_by_role("button", name="Download as PDF").click()
    by_button = Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename == "openaisle-2026-W40.pdf"
    expect(page.get_by_role("link", name="compare them")).to_have_attribute("href", re.compile("/compare.how=Two"))
    out = tmp_path / "week.pdf"
    assert main(["report", "--state", str(board.state.root), "--week", "2026-W40", "--out", str(out)]) == 0
    assert "2026-09-28 to 2026-10-04" in capsys.readouterr().out
    assert by_button.startswith(b"%PDF-")
    assert by_button == out.read_bytes()


def test_how_full_the_shop_is_now_comes_in_bands_and_a_long_queue_is_an_alert(board: Board, one: Watched) -> None:
    page = opened(one, board.url, "Today")
    expect(page.get_by_text("Nobody is in this shop now: it is simulated")).to_be_visible()
    told = Told()
    with Live(board.state.live, told):
        alert = page.get_by_text("the queue is long now")
        until = time.monotonic() + PATIENCE_MS / 1000
        while not alert.is_visible():  # a look is told for two seconds, so it is told again and again
            told.show_zones(opening.CAMERA, {"tea": "10+", "queue": "long"})
            assert time.monotonic() < until
            page.wait_for_timeout(200)
        expect(page.get_by_text("live.occupancy")).to_be_visible()


def test_a_manager_brings_receipts_in_once_and_a_wrong_file_is_one_line(board: Board, one: Watched) -> None:
    day = weeks.FIRST.isoformat()
    lines = [f"{n},till 7,1,9.50,{day},1{n % 8}:30,Female,Ada" for n in range(40)]
    good = "\n".join(["receipt,till,items,total,date,time,gender,name", *lines]).encode()
    page = opened(one, f"{board.url}/conversion", "Conversion")
    page.get_by_text("Bring receipts in").click()
    for content, says in (
        (good, re.compile("Took 40 receipts of 1 day")),
        (good, re.compile("40 of days taken before left out")),
        (b"name,total\nAda,3\n", re.compile("the file has no column for receipt")),
    ):
        page.locator("input[type=file]").set_input_files(FilePayload(name="r.csv", mimeType="text/csv", buffer=content))
        settle(page)
        take = page.get_by_role("button", name="Take them")
        expect(take).to_be_enabled(timeout=PATIENCE_MS)
        take.click()
        expect(page.get_by_text(says)).to_be_visible(timeout=PATIENCE_MS)
    (board.state.root / "visits.duckdb").unlink()  # the keeper may open what the dashboard must not
    with board.state.open_ledger(Role.KEEPER) as ledger, Keeper(board.state, ledger) as keeper:
        assert keeper.run_once(time.time_ns() // 1000, sweep=False).cells > 0
    for path in board.state.root.rglob("*"):
        if path.is_file():
            assert b"Female" not in path.read_bytes(), path


# --- what is not there, and why: drawn without a browser --------------------------------------------------------------


def said(shop: Path, path: str, **asked: list[str]) -> str:
    """Return every word of a page, as a manager of that shop would have it."""
    app = AppTest.from_string(
        "from pathlib import Path\nimport analytics.pages.conversion as conversion\nfrom analytics.pages import PAGES\n"
        "conversion.who = lambda: None  # nobody is signed in here\n"
        f"next(page for page in PAGES if page.path == {path!r}).draw(Path({str(shop)!r}))\n",
        default_timeout=PATIENCE_MS / 1000,
    )
    for key, values in asked.items():
        app.query_params[key] = values
    app.run()
    assert not app.exception
    kinds = (app.header, app.subheader, app.markdown, app.info, app.warning, app.caption)
    told = [part.value for kind in kinds for part in kind]
    return "\n".join([*told, *(table.value.to_csv() for table in app.dataframe)])


@pytest.fixture(scope="module")
def one_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with one day, of which a part was blind; it has no queue, no till and no kiosk."""
    state = a_shop(tmp_path_factory.mktemp("young") / "shop")
    fill(state.root, YOUNG, 1)
    return state.root


YOUNG = date(2026, 11, 19)
EMPTY = {  # of a shop with one day: what a page says of what it has not
    "queues": "No queue yet",
    "conversion": "No day has both receipts and entries",
    "staffing": "No tills yet",
    "funnel": "No questions to show",
    "journeys": "Not enough people for ways out",
    "compare": "Too few days to tell",
    "accuracy": "No audit yet",
}


NOTHING = {  # of a shop without a figure: what a page needs beside time and people
    "journeys": "Fewer than two zones are drawn",
    "queues": "No queue is drawn",
    "conversion": "This page needs **receipts**",
    "funnel": "questions at the kiosk",
    "compare": "This page holds **two periods**",
}


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_shop_without_figures_and_one_with_a_single_day_say_why_and_what_to_do(
    path: str, one_day: Path, tmp_path: Path
) -> None:
    nothing = said(init(tmp_path / "shop", now_us=time.time_ns() // 1000).root, path)
    assert "No figures yet" in nothing
    assert "`openaisle watch` does not run" in nothing
    assert "`openaisle keeper` does not run" in nothing
    assert f"openaisle up --state {tmp_path / 'shop'}" in nothing
    assert NOTHING.get(path, "") in nothing
    assert ("No entrance is drawn" in nothing) == (path in ("today", "staffing", "conversion"))
    assert {reason for reason in NOTHING.values() if reason in nothing} == {NOTHING.get(path)} - {None}
    of_one_day = said(one_day, path)
    assert EMPTY.get(path, "") in of_one_day
    assert ("No capture rate" in of_one_day) == (path == "conversion")  # the shop has no zone outside


WORDED = re.compile(r"[+-]?[\d.,]+ ?(%|s|h|min)\b.*|[+-]?[\d.,]+%.*|.*\d s? ?– ?\d.* s")


@pytest.mark.parametrize("path", ["zones", "compare", "decisions", "accuracy", "queues", "funnel", "staffing"])
def test_files_hold_numbers_where_the_page_has_words(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[pd.DataFrame] = []

    def made(make: Callable[..., bytes], *given: object) -> Callable[[], bytes]:
        if make is picture.csv and isinstance(given[0], pd.DataFrame):
            files.append(given[0])
        return partial(make, *given)

    monkeypatch.setattr(picture, "partial", made)
    state = opening.open_shop(
        tmp_path / "shop", name=weeks.NAME, source="simulated", now_us=time.time_ns() // 1000, hours=True
    )
    weeks.unpack(state)
    keep(state.root, Audit(1, opening.CAMERA, 300.0, 0.97, 40, 39, 37, 0.937, 0.81, None, None))
    said(state.root, path)
    assert files
    for file in files:
        for name in file.columns.drop(picture.COUNTED, errors="ignore"):
            worded = [text for text in file[name] if isinstance(text, str) and WORDED.fullmatch(text)]
            assert worded == [], f"{name} of {list(file.columns)}"


def test_what_is_not_shown_is_told_in_words_of_a_shop_and_promises_nothing_that_is_over(tmp_path: Path) -> None:
    state = opening.open_shop(
        tmp_path / "shop", name=weeks.NAME, source="simulated", now_us=time.time_ns() // 1000, hours=True
    )
    weeks.unpack(state)
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        keeper.run_once(time.time_ns() // 1000)  # long after the last day
    compared, floor = said(state.root, "compare"), said(state.root, "zones")
    assert "Not reached" in compared
    assert "no rate known yet" not in compared
    assert not re.search(r"\d tracks", compared + floor)
    assert "nobody stops there: all walk through" in floor
    assert "Of the shelves, people stay longest at" in floor
    assert "The median by day is told of everybody alone" in said(state.root, "zones", of=["Consenting shoppers"])


def test_a_blind_day_and_what_is_held_back_are_said(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    fill(state.root, YOUNG, 4)
    assert re.search(r"The cameras saw \d\d% of the time they were meant to", said(state.root, "today"))
    assert "Suppressed for good" in said(state.root, "accuracy")
    one_hour = {"days": [f"{YOUNG}"] * 2, "zones": ["magazines"], "hours": ["8", "9"]}
    assert "Not enough people for a zone" in said(state.root, "zones", **one_hour)
