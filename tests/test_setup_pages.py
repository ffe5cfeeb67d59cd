"""The set-up pages in a real browser: drawn, worked with by mouse, keys and finger, and out of other desks' reach."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from analytics import setup
from analytics.config import CameraTable
from analytics.live import InForce, read_settings
from analytics.settings import current
from analytics.shopfloor import record
from analytics.state import STORE_TOML, State
from consent.access import Desk
from consent.events import EventKind
from consent.keys import Role
from tests.analytics import rtsp_server
from tests.analytics.rtsp_server import Camera
from tests.analytics.test_probe import server
from tests.apart import read_apart
from tests.chromium import chromium, violations
from tests.conftest import ROOT
from tests.retention import busy_shop
from tests.signed_in import Board, Watched, a_shop, dashboard, looking, opened, photograph, settle

START_MS = 120_000  # of `watch`, with its nets, on a busy machine
_MIDDLE_IS_BLACK = """async () => {
  const image = document.querySelector("[data-testid=stApp]") && [...document.querySelectorAll("*")]
    .flatMap((e) => e.shadowRoot ? [...e.shadowRoot.querySelectorAll(".frame image[href]")] : [])
    .concat([...document.querySelectorAll(".frame image[href]")])[0];
  if (!image) return false;
  const bitmap = await createImageBitmap(await (await fetch(image.getAttribute("href"))).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  canvas.drawImage(bitmap, 0, 0);
  const [r, g, b] = canvas.getImageData(bitmap.width / 2, bitmap.height / 2, 1, 1).data;
  return r + g + b < 60;
}"""
PAGES = {"cameras": "Cameras", "draw": "Draw zones", "versions": "Versions"}
CAMERA = "simulated"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("setup")
    (folder / "tmp").mkdir()
    with dashboard(a_shop(folder / "shop"), folder / "log", {**os.environ, "TMPDIR": str(folder / "tmp")}) as served:
        yield served
    assert "Traceback" not in (folder / "log").read_text()


@contextmanager
def at_work(browser: Browser, board: Board, path: str = "draw", **options: Any) -> Iterator[Watched]:
    """Open a page as an administrator."""
    with looking(browser, board, Desk.ADMINISTRATOR, **options) as watched:
        opened(watched, f"{board.url}/{path}", PAGES[path])
        yield watched
        watched.check()


def camera(board: Board, name: str = CAMERA) -> CameraTable:
    store = State.read(board.state.root).store
    return next(one for one in store.camera if one.name == name)


def polygon(board: Board, zone: str) -> list[list[float]]:
    return next([list(p) for p in one.polygon] for one in camera(board).zone if one.name == zone)


def choose(page: Page, shape: str) -> None:
    page.get_by_role("combobox", name="Shape").select_option(shape)
    expect(page.get_by_role("heading", name=re.compile(f"^{shape.partition(':')[2]}"))).to_be_visible()


def corner(page: Page, number: int) -> Locator:
    return page.locator(f".handle.corner[data-index='{number - 1}']")


def middle(handle: Locator) -> tuple[float, float]:
    box = handle.locator(".dot").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def scale(page: Page) -> float:
    """Return CSS pixels for each of the picture's."""
    return float(page.locator(".frame svg").evaluate("e => e.clientWidth / e.viewBox.baseVal.width"))


def save(page: Page, note: str) -> None:
    expect(page.get_by_role("heading", name="Not saved yet")).to_be_visible()
    settle(page)
    page.get_by_label("What changed, and why").fill(note)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    settle(page)


def complaints(page: Page) -> list[str]:
    """Return what axe finds wrong with a page that is drawn; what is asked anew every second is faded for a moment."""
    page.add_style_tag(content="[data-stale=true] { opacity: 1 !important; transition: none !important }")
    settle(page)
    return violations(page)


def told(board: Board, kind: EventKind) -> list[dict[str, Any]]:
    """Return what the log says of a kind, oldest first."""
    with board.state.open_ledger(Role.ADMIN) as ledger:
        rows = ledger.select("SELECT payload FROM records WHERE kind = ? ORDER BY leaf", kind.value)
        return [json.loads(payload) for (payload,) in rows]


# --- who, and how it looks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", [Desk.MANAGER, Desk.COMPLIANCE])
def test_no_other_desk_sees_or_reaches_one(browser: Browser, board: Board, desk: Desk) -> None:
    assert {page.path for page in setup.PAGES} == set(PAGES)
    with looking(browser, board, desk) as watched:
        page = watched.page
        page.goto(board.url)
        expect(page.get_by_text("This shop does not exist")).to_be_visible()
        for one in setup.PAGES:
            assert page.get_by_role("link", name=one.title, exact=True).count() == 0
            answer = page.goto(f"{board.url}/{one.path}")
            assert answer is not None
            assert answer.status == 403
            expect(page.get_by_text("belongs to another desk")).to_be_visible()
        assert watched.outward == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_each_page_is_drawn_and_everybody_can_read_it(browser: Browser, board: Board, width: int, scheme: str) -> None:
    with at_work(browser, board, "cameras", width=width, color_scheme=scheme) as watched:
        for path, title in PAGES.items():
            page = opened(watched, f"{board.url}/{path}", title)
            if path == "draw":
                expect(page.locator(".shape").first).to_be_visible()
            expect(page.locator("[data-testid=stException]")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert complaints(page) == []
            photograph(page, f"setup-{path}-{width}-{scheme}")


# --- drawing ----------------------------------------------------------------------------------------------------------


def test_a_corner_is_moved_added_and_removed_by_keys_alone(browser: Browser, board: Board) -> None:
    before = polygon(board, "tea")
    with at_work(browser, board) as watched:
        page = watched.page
        page.get_by_role("combobox", name="Shape").focus()
        page.keyboard.type("tea")
        expect(page.get_by_role("heading", name="tea (product)")).to_be_visible()
        for _ in range(12):  # over the buttons, to the first corner
            page.keyboard.press("Tab")
            if corner(page, 1).evaluate("e => e.getRootNode().activeElement === e"):
                break
        ring = corner(page, 1).locator(".ring")
        assert ring.evaluate("e => getComputedStyle(e).stroke") not in ("none", "")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
        x, y = round(before[0][0] + 1), round(before[0][1] - 10)
        expect(corner(page, 1)).to_have_attribute("aria-label", f"corner 1 of 4, tea (product): x {x}, y {y}")
        expect(page.get_by_text(f"polygon = [[{x}, {y}], [").first).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator(".handle.corner")).to_have_count(5)
        assert corner(page, 2).evaluate("e => e.getRootNode().activeElement === e")
        page.keyboard.press("Delete")
        expect(page.locator(".handle.corner")).to_have_count(4)
        settle(page)
        page.keyboard.press("Control+z")
        expect(page.locator(".handle.corner")).to_have_count(5)
        page.keyboard.press("Control+z")
        expect(page.locator(".handle.corner")).to_have_count(4)
        save(page, "Tea by keys")
    assert polygon(board, "tea") == [[x, y], *before[1:]]
    assert len(told(board, EventKind.SETTINGS_WRITTEN)) >= 1


def test_a_zone_is_put_there_dragged_and_drawn_anew_by_mouse(browser: Browser, board: Board) -> None:
    with at_work(browser, board) as watched:
        page = watched.page
        page.get_by_role("button", name="Add a zone").click()
        page.get_by_role("combobox", name="Kind").click()
        page.get_by_role("option", name=re.compile("^queue: ")).click()
        page.get_by_label("Name").fill("tea")
        page.get_by_role("button", name="Put it in the middle").click()
        expect(page.get_by_text("There is a zone 'tea' already")).to_be_visible()
        settle(page)
        expect(page.get_by_text("There is a zone 'tea' already")).to_be_visible()
        expect(page.get_by_label("Name")).to_have_value("tea")
        photograph(page, "setup-taken")
        page.get_by_label("Name").fill("bread")
        page.get_by_role("button", name="Put it in the middle").click()
        expect(page.get_by_role("heading", name="bread (queue)")).to_be_visible()
        settle(page)
        page.keyboard.press("Escape")
        page.locator(".frame").scroll_into_view_if_needed()
        x, y = middle(corner(page, 1))
        step = scale(page)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 10 * step, y + 5 * step, steps=4)
        page.mouse.move(x + 30 * step, y + 20 * step, steps=4)
        page.mouse.up()
        expect(page.get_by_label("x of corner 1")).to_have_value(str(640 // 3 + 30))
        page.get_by_role("button", name="Draw it anew").click()
        frame = page.locator(".frame svg").bounding_box()
        assert frame is not None
        taps = [(40, 300), (120, 250), (200, 300), (160, 340), (80, 340)]
        for px, py in [*taps, taps[0]]:  # the first one again ends it
            page.mouse.click(frame["x"] + px * step, frame["y"] + py * step)
        expect(page.locator(".handle.corner")).to_have_count(len(taps))
        photograph(page, "setup-drawn")
        save(page, "A place for bread")
    got = polygon(board, "bread")
    assert len(got) == len(taps)
    assert all(abs(g - t) <= 2 for a, b in zip(got, taps, strict=True) for g, t in zip(a, b, strict=True))


def test_a_mask_is_drawn_by_finger_on_a_phone(browser: Browser, board: Board) -> None:
    with at_work(browser, board, width=390, has_touch=True, is_mobile=True) as watched:
        page = watched.page
        page.get_by_role("button", name="Add a mask").tap()
        expect(page.get_by_role("heading", name="mask 1")).to_be_visible()
        settle(page)
        for target in page.locator(".handle .target").all():
            box = target.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 24
        page.locator(".frame").scroll_into_view_if_needed()
        x, y = middle(corner(page, 3))
        step = scale(page)
        touch = watched.page.context.new_cdp_session(page)

        def finger(kind: str, *points: tuple[float, float]) -> None:
            places = [{"x": px, "y": py} for px, py in points]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        finger("touchStart", (x, y))
        for i in range(1, 6):
            finger("touchMove", (x + 12 * i * step, y + 6 * i * step))
        finger("touchEnd")
        expect(page.get_by_label("x of corner 3")).to_have_value(re.compile(r"^48[5-9]$"))  # 426 and 60 more
        corner(page, 2).tap()
        page.get_by_role("button", name="Remove the chosen corner").tap()
        expect(page.locator(".handle.corner")).to_have_count(3)
        save(page, "The screen at the till")
        photograph(page, "setup-phone")
    (mask,) = camera(board).masks
    assert len(mask) == 3
    assert abs(mask[1][0] - 486) <= 2
    assert abs(mask[1][1] - 270) <= 2


def test_numbers_say_the_same_and_what_makes_no_zone_is_not_saved(browser: Browser, board: Board) -> None:
    before = (board.state.root / STORE_TOML).read_bytes()
    x, y = polygon(board, "staff")[0]
    with at_work(browser, board) as watched:
        page = watched.page
        choose(page, "zone:staff")
        field = page.get_by_label("x of corner 1")
        field.fill("90.5")
        field.press("Enter")
        expect(corner(page, 1)).to_have_attribute("aria-label", re.compile(rf"x 91, y {y:.0f}$"))
        expect(page.get_by_text(f"polygon = [[90.5, {y:g}], [").first).to_be_visible()
        field.fill("200000")
        field.press("Enter")
        expect(field).to_have_value("90.5")
        expect(page.get_by_text("That is no number of pixels in or near the picture")).to_be_visible()
        field.fill("170")
        field.press("Enter")
        page.get_by_label("y of corner 1").fill("215")
        page.get_by_label("y of corner 1").press("Enter")
        expect(page.get_by_text("This cannot be saved: zone 'staff' has edges that cross")).to_be_visible()
        expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
        settle(page)
        page.get_by_role("button", name="Leave all of it").click()
        expect(field).to_have_value(f"{x:g}")
    assert (board.state.root / STORE_TOML).read_bytes() == before


def test_the_floor_is_calibrated_and_a_zone_takes_no_others_figures_unasked(
    browser: Browser, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_shop, "CAMERA", CAMERA)  # there was a zone called wine once
    monkeypatch.setattr(busy_shop, "KINDS", {(CAMERA, zone): kind for (_, zone), kind in busy_shop.KINDS.items()})
    busy_shop.fill(board.state.root, date(2026, 11, 19), 1)
    before = camera(board)
    assert before.ground is not None
    with at_work(browser, board) as watched:
        page = watched.page
        choose(page, "metres:floor")
        expect(page.get_by_text("Good as a calibration")).to_be_visible()
        grid = page.locator("path.metre")
        expect(grid).to_have_attribute("d", re.compile(r"(M .*){5}"))
        lines = grid.get_attribute("d") or ""
        corner(page, 1).focus()
        page.keyboard.press("Shift+ArrowRight")
        expect(grid).not_to_have_attribute("d", lines)  # it follows
        expect(page.get_by_role("heading", name="Not saved yet")).to_be_visible()
        settle(page)
        page.get_by_label("From point 1 to 2, m").fill("4")
        page.get_by_label("From point 2 to 3, m").fill("5.5")
        page.get_by_role("button", name="Use this rectangle").click()
        expect(page.get_by_text("metres = [[0, 0], [4, 0], [4, 5.5], [0, 5.5]]").first).to_be_visible()
        settle(page)
        choose(page, "zone:tea")
        page.get_by_role("button", name="Rename it").click()
        page.get_by_label("New name").fill("coffee")
        page.get_by_role("button", name="Rename", exact=True).click()
        expect(page.get_by_text("There is a zone 'coffee' already")).to_be_visible()
        settle(page)
        page.get_by_label("New name").fill("wine")
        page.get_by_role("button", name="Rename", exact=True).click()
        expect(page.get_by_role("heading", name="wine (product)")).to_be_visible()
        expect(page.get_by_text("There are figures of a zone wine at this camera")).to_be_visible()
        expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
        settle(page)
        page.get_by_text("It is the same place: go on with its figures").click()
        expect(page.get_by_text("zone tea is called wine now; figures so far stay under tea")).to_be_visible()
        settle(page)  # what is drawn anew is faded until then
        photograph(page, "setup-renamed")
        assert complaints(page) == []
        save(page, "Wine where tea was")
    after = camera(board)
    assert after.ground is not None
    x, y = before.ground.image[0]
    assert after.ground.image == ((round(x + 10), y), *before.ground.image[1:])
    assert after.ground.metres == ((0, 0), (4, 0), (4, 5.5), (0, 5.5))
    assert [zone.name for zone in after.zone if zone.name in ("tea", "wine")] == ["wine"]
    assert {zone.polygon: zone.shelf for zone in after.zone} == {zone.polygon: zone.shelf for zone in before.zone}


def test_somebody_elses_change_is_told_and_both_are_kept(browser: Browser, board: Board) -> None:
    path = board.state.root / STORE_TOML
    with at_work(browser, board) as watched:
        page = watched.page
        choose(page, "zone:exit")
        field = page.get_by_label("y of corner 2")
        field.fill("150")
        field.press("Enter")
        expect(page.get_by_role("heading", name="Not saved yet")).to_be_visible()
        settle(page)
        path.write_text(path.read_text().replace('mon = ["09:00"', 'mon = ["08:00"') + "\n[terms]\ndwell = 17\n")
        page.get_by_label("What changed, and why").fill("The exit")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("Somebody changed store.toml meanwhile. Your drawing is whole")).to_be_visible()
        settle(page)
        page.get_by_role("button", name="Put my drawing on it").click()
        expect(page.get_by_text("Somebody changed store.toml meanwhile")).to_have_count(0)
        expect(field).to_have_value("150")
        save(page, "The exit")
    store = State.read(board.state.root).store
    assert store.terms.dwell == 17
    assert polygon(board, "exit")[1][1] == 150


def test_a_version_says_who_and_what_and_is_put_back(browser: Browser, board: Board) -> None:
    with at_work(browser, board) as watched:
        page = watched.page
        choose(page, "zone:queue")
        page.get_by_role("button", name="Remove queue").click()
        save(page, "No queue here")
        assert "queue" not in {zone.name for zone in camera(board).zone}
        opened(watched, f"{board.url}/versions", "Versions")
        row = page.get_by_role("row").filter(has_text="No queue here")
        expect(row.get_by_role("cell", name="test administrator")).to_be_visible()
        expect(page.get_by_text("camera simulated: zone queue taken away")).to_be_visible()
        page.get_by_role("combobox", name="Version").click()
        page.get_by_role("option").nth(1).click()
        page.get_by_role("button", name="Put it back").click()
        expect(page.get_by_text("camera simulated: zone queue (queue) drawn")).to_be_visible()
        save(page, "The queue is back")
        expect(page.get_by_text("camera simulated: zone queue taken away")).to_have_count(0)  # what is chosen stays
        photograph(page, "setup-versions-after")
    assert "queue" in {zone.name for zone in camera(board).zone}


# --- looking through a camera -----------------------------------------------------------------------------------------


@contextmanager
def filmed(folder: Path) -> Iterator[Camera]:
    """Run a camera that shows ten seconds of the demo shop over and over; nobody in it is real."""
    if reason := rtsp_server.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"RTSP server packages: {reason}")
        pytest.skip(f"RTSP server packages: {reason}")
    clip, film = folder / "clip.mp4", folder / "film.mp4"
    encode = ["-an", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-r", "10"]
    for words in (
        ["-ss", "60", "-t", "10", "-i", str(record.HERE / record.CLIP), *encode, str(clip)],
        ["-stream_loop", "100", "-i", str(clip), "-c", "copy", str(film)],
    ):
        subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True)
    with Camera(launch=f"filesrc location={film} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96") as camera:
        yield camera


@contextmanager
def watching(board: Board, log: Path) -> Iterator[None]:
    """Run the shop's own `watch` until the block ends."""
    with log.open("wb") as out:
        words = [sys.executable, str(ROOT / "cli.py"), "watch", "--state", str(board.state.root)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(60)
    assert process.returncode == 0
    assert "Traceback" not in log.read_text()


def still(page: Page) -> bytes:
    """Return the picture that is on the board."""
    href = page.locator(".frame image").get_attribute("href") or ""
    assert href.startswith("data:image/jpeg;base64,")
    return base64.b64decode(href.partition(",")[2])


def test_a_look_through_a_real_watch_is_logged_and_kept_nowhere_and_watch_follows_what_is_saved(
    browser: Browser, board: Board, tmp_path: Path
) -> None:
    path, log = board.state.root / STORE_TOML, board.state.root.parent / "watch.log"
    before = path.read_text()
    with ExitStack() as stack:
        url = stack.enter_context(filmed(tmp_path)).url
        path.write_text(before.replace('source = "none"', f'source = "{url}"\nfps = 4'))
        watched = stack.enter_context(at_work(browser, board))
        page, media = watched.page, list[str]()
        page.on("request", lambda request: media.append(request.url) if "/media/" in request.url else None)
        expect(
            page.get_by_text("watch does not run: what is saved here is in force once it is started")
        ).to_be_visible()
        stack.enter_context(watching(board, log))
        expect(page.get_by_text("In force: watch goes by what stands in store.toml")).to_be_visible(timeout=START_MS)

        # nobody looks before the log says so; then there are a picture, which moves, and boxes
        expect(page.get_by_text("is in the log before the first picture comes")).to_be_visible()
        assert told(board, EventKind.SETUP_OPENED) == []
        page.get_by_role("button", name="Look for ten minutes").click()
        expect(page.get_by_text(re.compile(r"9:\d\d left"))).to_be_visible()
        (opening,) = told(board, EventKind.SETUP_OPENED)
        assert opening["account"] == board.account(Desk.ADMINISTRATOR).id
        expect(page.locator(".frame image[href]")).to_be_visible(timeout=START_MS)
        expect(page.locator(".boxes rect")).not_to_have_count(0, timeout=START_MS)
        first = still(page)
        expect(page.locator(".frame image")).not_to_have_attribute("href", re.compile(re.escape(_middle(first))))
        pictures = [first, still(page)]
        photograph(page, "setup-look")

        # what is saved meanwhile is watched by, and the look goes on
        page.get_by_role("button", name="Add a mask").click()
        expect(page.get_by_role("heading", name="mask", exact=False)).to_be_visible()
        save(page, "The middle is private")
        digest = current(board.state.root).digest
        expect(page.get_by_text("In force: watch goes by what stands in store.toml")).to_be_visible(timeout=START_MS)
        assert read_settings(board.state.live) == InForce(digest)
        page.wait_for_function(_MIDDLE_IS_BLACK, timeout=START_MS)
        expect(page.get_by_text(re.compile(r"[89]:\d\d left"))).to_be_visible()
        photograph(page, "setup-look-masked")

        page.get_by_role("button", name="End now").click()
        expect(page.get_by_role("button", name="Look for ten minutes")).to_be_visible()
        expect(page.locator(".frame image[href]")).to_have_count(0)
        expect(page.locator(".boxes rect")).to_have_count(0)

        # what cannot be watched is refused, in words, and the former settings hold
        text = path.read_text()
        path.write_text(text.replace("fps = 4", "fps = 2"))
        why = "camera 'simulated' sees a pad"
        expect(page.get_by_text(f"Saved, but not in force: {why}")).to_be_visible(timeout=START_MS)
        now = read_settings(board.state.live)
        assert now is not None
        assert (now.digest, why in now.refused) == (digest, True)
        settle(page)
        photograph(page, "setup-refused")
        assert complaints(page) == []
        path.write_text(text)
        expect(page.get_by_text("Saved, but not in force")).to_have_count(0)
        assert media == []
    (closing,) = told(board, EventKind.SETUP_CLOSED)  # `watch` ended since, and it is said once
    assert closing["session"] == opening["session"]
    for picture in pictures:
        assert found(board, picture) == []
    left = board.state.root / "left"  # the search can find one
    left.write_bytes(b"x" + pictures[0])
    assert found(board, pictures[0]) == [left]
    left.unlink()
    path.write_text(before)


def _middle(picture: bytes) -> str:
    return base64.b64encode(picture[3000:3060]).decode()


def found(board: Board, picture: bytes) -> list[Path]:
    """Return the files of the shop, of its temporary folder and of the log that hold a part of a picture."""
    part = picture[3000:3048]  # divisible by three, so that it is a part of the whole in base64, too
    forms = (part, base64.b64encode(part), part.hex().encode())
    places = [path for path in board.state.root.parent.rglob("*") if path.is_file()]
    return [path for path in places if any(form in read_apart(path) for form in forms)]


# --- cameras ----------------------------------------------------------------------------------------------------------


def _whom_it_knows(asked: bytes) -> bytes:
    number = re.search(rb"CSeq: (\d+)", asked)
    return (
        b"RTSP/1.0 401 Unauthorized\r\nCSeq: "
        + (number[1] if number else b"1")
        + b'\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'
    )


def test_a_camera_is_tested_added_changed_and_removed(browser: Browser, board: Board) -> None:
    with at_work(browser, board, "cameras") as watched:
        page = watched.page
        expect(page.get_by_text("Whether a camera is seen now is not known")).to_be_visible()
        new = page.locator("[data-testid=stForm]").last
        new.get_by_role("textbox", name="Name").fill("clip")
        address = new.get_by_role("textbox", name="Address")
        address.fill("rtsp://me:secret@192.0.2.1/x")
        new.get_by_role("button", name="Add it").click()
        expect(page.get_by_text("the address may hold a password")).to_be_visible()
        address.fill("nothing.mp4")
        new.get_by_role("button", name="Test the stream").click()
        expect(page.get_by_text("is no video that can be read here")).to_be_visible()
        address.fill(str(record.HERE / record.CLIP))
        new.get_by_role("button", name="Test the stream").click()
        expect(page.get_by_text("640 × 360 pixels")).to_be_visible()
        new.get_by_role("button", name="Add it").click()
        save(page, "One more")
        assert camera(board, "clip").source == str(record.HERE / record.CLIP)
        clip = page.locator(".st-key-camera-clip")
        clip.get_by_text("Change or test it").click()
        clip.get_by_label("Looks a second").fill("5")
        clip.get_by_label("Looks a second").press("Tab")  # what a field says while it is typed in moves what is below
        settle(page)
        clip.get_by_role("button", name="Review the change").click()
        expect(page.get_by_text("camera clip: other looks a second")).to_be_visible()
        save(page, "Slower")
        assert camera(board, "clip").fps == 5
        (board.state.root / "till.password").write_text("hunter2-of-the-till")
        (board.state.root / "till.password").chmod(0o600)
        with server(_whom_it_knows) as (port, asked):
            new = page.locator("[data-testid=stForm]").last
            new.get_by_role("textbox", name="Name").fill("elsewhere")
            new.get_by_role("textbox", name="Address").fill(f"rtsp://me@127.0.0.1:{port}/x")
            new.get_by_role("textbox", name="File with its password").fill("till.password")
            new.get_by_role("button", name="Test the stream").click()
            expect(page.get_by_text("Tested without its password")).to_be_visible()
            expect(page.get_by_text(f"No picture: rtsp://127.0.0.1:{port}/x refuses")).to_be_visible()
        assert asked
        sent = [base64.b64decode(one) for one in re.findall(rb"Basic (\S+)", b"".join(asked))]
        assert not any(b"hunter2" in one for one in sent)
        assert (
            told(board, EventKind.STREAM_TESTED)[-1].items()
            >= {
                "camera": hashlib.sha256(b"elsewhere").hexdigest(),
                "host": hashlib.sha256(b"127.0.0.1").hexdigest(),
            }.items()
        )
        clip.get_by_role("button", name="Remove it").click()
        page.get_by_role("button", name="Remove this camera").click()
        save(page, "It is gone")
        photograph(page, "setup-cameras-after")
    assert [one.name for one in State.read(board.state.root).store.camera] == [CAMERA]
    assert "secret" not in (board.state.root / STORE_TOML).read_text() + board.log.read_text()
