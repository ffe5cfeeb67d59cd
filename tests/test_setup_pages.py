"""The set-up pages in a real browser: drawn, worked with by mouse, keys and finger, and out of other desks' reach."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from analytics import setup
from analytics.config import CameraTable
from analytics.live import Board as Told
from analytics.live import Live
from analytics.peephole import Peephole
from analytics.shopfloor import record
from analytics.state import STORE_TOML, State
from consent.access import Desk
from consent.events import EventKind
from consent.keys import Role
from tests.apart import read_apart
from tests.chromium import chromium, violations
from tests.signed_in import Board, Watched, a_shop, dashboard, looking, opened, photograph, settle

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
            assert violations(page) == []
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
        page.get_by_label("Name").fill("bread")
        page.get_by_role("button", name="Put it in the middle").click()
        expect(page.get_by_role("heading", name="bread (product)")).to_be_visible()
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
        photograph(page, "setup-versions-after")
    assert "queue" in {zone.name for zone in camera(board).zone}


# --- looking through a camera -----------------------------------------------------------------------------------------


class Eyes:
    """A camera that is watched: what `watch` would see of it, told on the shop's own socket."""

    def __init__(self, state: State) -> None:
        self._state, self._stop = state, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Eyes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        noise = np.random.default_rng(8).integers(0, 255, (360, 640, 3), dtype=np.uint8)
        with self._state.open_ledger(Role.WATCH) as ledger:
            peephole = Peephole(ledger)
            told = Told(peephole.answer)
            with Live(self._state.live, told):
                while not self._stop.wait(0.1):
                    noise = np.roll(noise, 1)  # no picture is like the one before
                    told.show_zones(CAMERA, {"tea": "0–4"})
                    peephole.show(CAMERA, time.time_ns() // 1000, noise, [(100.0, 100.0, 160.0, 300.0)])


def still(page: Page) -> bytes:
    """Return the picture that is on the board."""
    href = page.locator(".frame image").get_attribute("href") or ""
    assert href.startswith("data:image/jpeg;base64,")
    return base64.b64decode(href.partition(",")[2])


def test_a_look_is_logged_counted_down_ended_and_kept_nowhere(
    browser: Browser, board: Board, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with at_work(browser, board) as watched, Eyes(board.state):
        page, media = watched.page, list[str]()
        page.on("request", lambda request: media.append(request.url) if "/media/" in request.url else None)
        expect(page.get_by_text("is in the log before the first picture comes")).to_be_visible()
        assert told(board, EventKind.SETUP_OPENED) == []
        page.get_by_role("button", name="Look for ten minutes").click()
        expect(page.get_by_text(re.compile(r"9:\d\d left"))).to_be_visible()
        expect(page.locator(".frame image[href]")).to_be_visible()
        (opening,) = told(board, EventKind.SETUP_OPENED)
        assert opening["account"] == board.account(Desk.ADMINISTRATOR).id
        expect(page.locator(".boxes rect")).to_have_count(1)
        first = still(page)
        expect(page.locator(".frame image")).not_to_have_attribute("href", re.compile(re.escape(_middle(first))))
        pictures = [first, still(page)]
        photograph(page, "setup-look")
        page.get_by_role("button", name="End now").click()
        expect(page.get_by_role("button", name="Look for ten minutes")).to_be_visible()
        expect(page.locator(".frame image[href]")).to_have_count(0)
        expect(page.locator(".boxes rect")).to_have_count(0)
        assert len(told(board, EventKind.SETUP_CLOSED)) == 1
        assert media == []
    for picture in pictures:
        assert found(board, picture) == []
    left = board.state.root / "left"  # the search can find one
    left.write_bytes(b"x" + pictures[0])
    assert found(board, pictures[0]) == [left]
    left.unlink()


def _middle(picture: bytes) -> str:
    return base64.b64encode(picture[3000:3060]).decode()


def found(board: Board, picture: bytes) -> list[Path]:
    """Return the files of the shop, of its temporary folder and of the log that hold a part of a picture."""
    part = picture[3000:3048]  # divisible by three, so that it is a part of the whole in base64, too
    forms = (part, base64.b64encode(part), part.hex().encode())
    places = [path for path in board.state.root.parent.rglob("*") if path.is_file()]
    return [path for path in places if any(form in read_apart(path) for form in forms)]


# --- cameras ----------------------------------------------------------------------------------------------------------


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
        expect(page.get_by_text("No picture: there is no")).to_be_visible()
        address.fill(str(record.HERE / record.CLIP))
        new.get_by_role("button", name="Test the stream").click()
        expect(page.get_by_text("640 × 360 pixels")).to_be_visible()
        new.get_by_role("button", name="Add it").click()
        save(page, "One more")
        assert camera(board, "clip").source == str(record.HERE / record.CLIP)
        clip = page.locator(".st-key-camera-clip")
        clip.get_by_text("Change or test it").click()
        clip.get_by_label("Looks a second").fill("5")
        clip.get_by_role("button", name="Review the change").click()
        expect(page.get_by_text("camera clip: other looks a second")).to_be_visible()
        save(page, "Slower")
        assert camera(board, "clip").fps == 5
        clip.get_by_role("button", name="Remove it").click()
        page.get_by_role("button", name="Remove this camera").click()
        save(page, "It is gone")
        photograph(page, "setup-cameras-after")
    assert [one.name for one in State.read(board.state.root).store.camera] == [CAMERA]
    assert "secret" not in (board.state.root / STORE_TOML).read_text() + board.log.read_text()
