"""A shop front to stand before: a real state directory, the real pad, and the kiosk as a process or as an application.

Only the camera's eyes are made up: `Floor.people` says who stands where. Whoever is linked, left out or told why not
is decided by the product's own pad, which reads the ledger and answers there, as `openaisle watch` does.
"""

from __future__ import annotations

import html
import itertools
import math
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from httpx import Response
from starlette.testclient import TestClient

from analytics.live import Board, Live
from analytics.model import Frame, Sighting
from analytics.pipeline import CameraWatch
from analytics.report import read_plan
from analytics.start import init
from analytics.state import State
from analytics.vision import Seen
from analytics.watch import LevelNow
from consent.events import Level
from consent.keys import Role
from consent.ledger import Ledger
from tests.analytics.rtsp_server import free_port
from tests.command import Place

SIZE = (384, 288)
HEIGHT = 40.0
EDGE = SIZE[1] - 1.0  # who ends here has left the picture
STEP_S = 0.1
PACE = 60.0  # pixels a second, 2.5 m/s: a hurry, to keep the tests short
ON_PAD, BESIDE, AWAY = (225.0, 250.0), (312.0, 252.0), (40.0, 170.0)
ZONES = """
[[camera.zone]]
name = "pad"
kind = "pad"
polygon = [[150, 215], [300, 215], [300, 290], [150, 290]]

[controller]
name = "Main Street Groceries Ltd"
address = "1 Main Street, 10115 Berlin"
contact = "privacy@shop.example"
officer = "officer@shop.example"
jurisdiction = "DE"
authority = "Berliner Beauftragte, Alt-Moabit 59, 10555 Berlin"

[smile]
item = "Coffee"
currency = "EUR"
price = "2.50"
floor = "2.00"
budget = "400.00"
"""
_NOTHING = np.zeros((1, 1, 3), np.uint8)


def make_shop(root: Path, *, level: Level = Level.EMOTION, kiosk: str = "", name: str = "Main Street") -> State:
    """Make a shop whose camera has a pad, at a privacy level that two people approved."""
    state = init(root, now_us=time.time_ns() // 1000, name=name, timezone="Europe/Berlin")
    path = root / "store.toml"
    text = path.read_text()
    text = text.replace('level = "counts"', f'level = "{level}"') + ZONES + f"\n[kiosk]\n{kiosk}\n"
    path.write_text(text)
    state = State.read(root)
    if level is not Level.COUNTS:
        with state.open_ledger(Role.ADMIN) as ledger:
            approve(ledger, level)
    return state


def approve(ledger: Ledger, level: Level) -> None:
    ledger.set_level(level, now_us=time.time_ns() // 1000, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=b"d" * 32)


class Floor:
    """Who stands where before the camera; it is seen ten times a second."""

    def __init__(self) -> None:
        self.people: dict[int, tuple[float, float, float]] = {}
        self._tracks = itertools.count(1)
        self._looks = 0

    def see(self, frame: Frame) -> Seen:
        self._looks += 1
        found = []
        for track, (x, y, height) in dict(self.people).items():
            box = (x - height / 5, y - height, x + height / 5, y)
            found.append(Sighting(track, x, y, height, 0.9, box))
        return Seen(tuple(found))

    def reset(self) -> None:
        self.people = {next(self._tracks): where for where in self.people.values()}

    def come(self, where: tuple[float, float], height: float = HEIGHT) -> int:
        """Somebody walks in from the picture's right edge, and stands there; return their track.

        Nobody comes from where others leave: who appears there is taken for the one who has just gone.
        """
        track = next(self._tracks)
        self.people[track] = (SIZE[0] - 6.0, where[1], height)
        self.walk(track, where)
        return track

    def walk(self, track: int, where: tuple[float, float]) -> None:
        """Somebody walks, at a pace that people walk at."""
        x, y, height = self.people[track]
        steps = max(1, round(math.dist((x, y), where) / (PACE * STEP_S)))
        for step in range(1, steps + 1):
            share = step / steps
            self.people[track] = (x + (where[0] - x) * share, y + (where[1] - y) * share, height)
            self._wait(1)

    def clear(self) -> None:
        """Everybody walks out of the picture."""
        for track in list(self.people):
            self.walk(track, (self.people[track][0], EDGE))
            del self.people[track]
        self._wait(3)

    def _wait(self, steps: int) -> None:
        """Wait some steps, and until the camera has looked as often: on a busy machine nobody jumps for it."""
        wanted, patience = self._looks + steps, time.monotonic() + 5.0
        time.sleep(steps * STEP_S)
        while self._looks < wanted and time.monotonic() < patience:
            time.sleep(STEP_S / 4)


@contextmanager
def watching(state: State, floor: Floor) -> Iterator[CameraWatch]:
    """Watch the floor in real time, as `openaisle watch` wires it."""
    stop, board = threading.Event(), Board()
    with state.open_ledger(Role.WATCH) as ledger, Live(state.live, board):
        camera = CameraWatch(
            state.store,
            state.store.camera[0],
            floor,
            SIZE,
            ledger,
            level=LevelNow(state, ledger),
            plan=lambda: read_plan(state.released),
            restart=False,
            board=board,
        )

        def run() -> None:
            t_us = time.time_ns() // 1000
            while not stop.wait(STEP_S):
                # a camera goes on taking pictures while a crowded machine looks elsewhere, and hands them over then
                while (t_us := t_us + round(STEP_S * 1e6)) <= time.time_ns() // 1000:
                    camera.step(Frame(t_us, _NOTHING))
                t_us -= round(STEP_S * 1e6)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield camera
        finally:
            stop.set()
            thread.join()


@contextmanager
def served(state: State, place: Place) -> Iterator[str]:
    """Run `openaisle kiosk` as a user does, and yield its address."""
    port = free_port()
    log = place.root / "kiosk.log"
    with log.open("wb") as out:
        words = place.command("kiosk", "--state", state.root, "--port", str(port))
        process = subprocess.Popen(words, env=place.environment(), cwd=place.here, stdout=out, stderr=out)
        url = f"http://127.0.0.1:{port}"
        try:
            _until(lambda: _answers(url), process, log)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


def _until(done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if done():
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/static/icon.svg", timeout=2):  # noqa: S310  our own http address
            return True
    except OSError:
        return False


class Browser:
    """A browser without any script, before a kiosk in this process: it fills in forms and taps buttons."""

    def __init__(self, client: TestClient, first: str = "/") -> None:
        self.client = client
        self.page: Response = self.client.get(first)

    @staticmethod
    def read(page: Response) -> str:
        """Return a page with its quotes as people read them."""
        return html.unescape(page.text)

    def get(self, path: str) -> Response:
        self.page = self.client.get(path)
        return self.page

    @property
    def text(self) -> str:
        """The page at hand, with its quotes as people read them."""
        return self.read(self.page)

    @property
    def hidden(self) -> dict[str, str]:
        return dict(re.findall(r'name="(csrf|attempt)" value="([^"]+)"', self.page.text))

    def tap(self, path: str, **fields: str | list[str]) -> Response:
        """Post a form of the page at hand."""
        origin = str(self.client.base_url).rstrip("/")
        self.page = self.client.post(path, data={**self.hidden, **fields}, headers={"origin": origin})
        return self.page

    def again(self) -> Response:
        """Tap "try again" on a page that says that something went wrong."""
        form = self.page.text.partition("<main")[2].partition("</main>")[0]
        fields: dict[str, list[str]] = {}
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
            fields.setdefault(name, []).append(html.unescape(value))
        (action,) = re.findall(r'<form method="post" action="([^"]+)"', form)
        return self.tap(action, **fields)

    def yes(self, *purposes: str, age: str = "older") -> Response:
        """Say yes from the first screen on."""
        self.get("/choices")
        return self.tap("/answer", answer="yes", ticking="1", purpose=list(purposes), age=age)

    @property
    def code(self) -> str:
        """The code on the receipt at hand."""
        shown = re.search(r'<p class="code".*?</p>', self.page.text, re.DOTALL)
        assert shown is not None, self.page.text
        return re.sub(r"<[^>]+>|-", "", shown[0])

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.page.text, re.DOTALL)
        assert found is not None, self.page.text
        return found[1]
