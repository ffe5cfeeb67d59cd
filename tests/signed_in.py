"""A real dashboard for tests, a way in for each desk, and a browser that writes down what a page does.

with dashboard(state, tmp_path / "log") as board, chromium() as browser:
    with looking(browser, board) as looked:              # signed in
        page = opened(looked, f"{board.url}/zones", "Zones")   # drawn to its end
        looked.check()                                   # nothing asked elsewhere, nothing complained about

One server and one browser a module, and one page for several tests: a page that is loaded anew takes seconds.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, Route, expect

from analytics.dashboard import ADDRESS, command, environment, open_accounts
from analytics.shopfloor import opening
from analytics.state import State
from consent.access import Desk
from consent.accounts import Account, AccountError

START_S = 240.0  # of a fresh process, on a busy machine
PATIENCE_MS = 120_000  # the first page of a fresh process, on a busy machine
CHARTS = "[data-testid=stVegaLiteChart]"


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard at work."""

    url: str
    state: State
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def account(self, desk: Desk) -> Account:
        """Return the account of a desk; it is made when missing."""
        return account(self.state, desk)

    def link(self, desk: Desk = Desk.MANAGER) -> str:
        """Return an address that signs somebody of a desk in, once."""
        with open_accounts(self.state) as accounts:
            code = accounts.link(self.account(desk), now_us=time.time_ns() // 1000)
        return f"{self.url}/enter/{code}"

    def cookie(self, desk: Desk = Desk.MANAGER) -> str:
        """Return the `Cookie` header of a new session."""
        with open_accounts(self.state) as accounts:
            token = accounts.begin(self.account(desk), now_us=time.time_ns() // 1000)
        return f"openaisle-{self.port}={token}"


def account(state: State, desk: Desk) -> Account:
    """Return the account `test DESK` of a shop; it has no password."""
    with open_accounts(state) as accounts:
        try:
            return accounts.find(f"test {desk}")
        except AccountError:
            return accounts.add(f"test {desk}", desk, now_us=time.time_ns() // 1000)


def a_shop(root: Path) -> State:
    """Make a simulated shop without figures, and its keys beside it."""
    return opening.open_shop(root, name="A simulated shop", source="none", now_us=time.time_ns() // 1000)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        return int(taken.getsockname()[1])


@dataclass
class Watched:
    """A page in a browser, with what it asked elsewhere and complained about; Vega's warnings are complaints."""

    page: Page
    outward: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert self.outward == []
        assert self.errors == []


@contextmanager
def watching(browser: Browser, url: str, *, width: int = 1280, height: int = 1800, **options: Any) -> Iterator[Watched]:
    """Open a browser of its own that reaches one address.

    Args:
        browser: that is running.
        url: of the dashboard.
        width: of the window.
        height: of the window.
        options: of a context of Playwright's.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **options)
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page())

    def guard(route: Route, request: Request) -> None:
        if request.url.startswith((url, "data:", "blob:")):
            route.continue_()
        else:
            watched.outward.append(request.url)
            route.abort()

    context.route("**/*", guard)
    page = watched.page
    page.on("websocket", lambda ws: None if ws.url.startswith(f"ws{url[4:]}") else watched.outward.append(ws.url))
    page.on(
        "console",
        lambda said: (
            watched.errors.append(said.text) if said.type == "error" or said.text.startswith("WARN ") else None
        ),
    )
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    try:
        yield watched
    finally:
        context.close()


@contextmanager
def visiting(browser: Browser, url: str, link: str, **options: Any) -> Iterator[Watched]:
    """Go to an address, such as one that signs somebody in; see `watching`."""
    with watching(browser, url, **options) as watched:
        watched.page.goto(link)
        yield watched


@contextmanager
def looking(browser: Browser, board: Board, desk: Desk = Desk.MANAGER, **options: Any) -> Iterator[Watched]:
    """Be signed in at a desk, with no page open yet; see `watching`."""
    with watching(browser, board.url, **options) as watched:
        name, value = board.cookie(desk).split("=", 1)
        watched.page.context.add_cookies([{"name": name, "value": value, "url": board.url}])
        yield watched


def opened(watched: Watched, address: str, title: str) -> Page:
    """Open a page and wait until it is drawn to its end."""
    watched.page.goto(address)
    settle(watched.page, title)
    return watched.page


def settle(page: Page, title: str = "") -> None:
    """Wait until a page is drawn to its end, with its charts."""
    if title:
        heading = page.get_by_role("heading", name=title, exact=True, level=1)
        expect(heading).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=PATIENCE_MS
    )
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator(f"{CHARTS}:not(:has(svg, canvas))")).to_have_count(0, timeout=PATIENCE_MS)


def photograph(page: Page, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    folder = os.environ.get("OPENAISLE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@contextmanager
def dashboard(state: State, log: Path, inherited: Mapping[str, str] | None = None) -> Iterator[Board]:
    """Serve the dashboard of a shop until the block ends.

    Args:
        state: of the shop, see `a_shop`.
        log: file for what the process says.
        inherited: environment, that of this process by default.
    """
    port = free_port()
    with log.open("wb") as out:
        words, told = command(port, state), environment(state.root, inherited)
        process = subprocess.Popen(words, env=told, stdout=out, stderr=out)
        try:
            until = time.monotonic() + START_S
            while not answers(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            yield Board(f"http://{ADDRESS}:{port}", state, process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(port: int) -> bool:
    """Say whether the door answers on a port; a stranger gets nothing else of it."""
    caller = http.client.HTTPConnection(ADDRESS, port, timeout=5)
    try:
        caller.request("GET", "/sign-in")
        return caller.getresponse().status in (200, 303)
    except OSError:
        return False
    finally:
        caller.close()


if __name__ == "__main__":  # python -m tests.signed_in DIR: look at a shop by hand
    with dashboard(State.read(Path(sys.argv[1])), Path("/tmp/dashboard.log")) as served:
        for each in Desk:
            print(f"{each}: {served.link(each)}", flush=True)
        served.process.wait()
