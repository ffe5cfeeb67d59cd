"""The dashboard in a real browser: figures and what is held back are on the page, and nothing leaves this machine."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect, sync_playwright

from analytics.dashboard import ADDRESS, STATE, command, environment
from analytics.shopfloor import opening, weeks
from consent.events import Purpose
from retention import policy
from retention.status import note_sweep
from tests.retention.busy_shop import fill

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAST = date(2026, 11, 19)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        return int(taken.getsockname()[1])


@contextmanager
def served(state: Path, log: Path, inherited: Mapping[str, str] | None = None) -> Iterator[str]:
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(command(port), env=environment(state, inherited), stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    with urllib.request.urlopen(f"http://{ADDRESS}:{port}/_stcore/health", timeout=2):
                        break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.2)
            yield f"http://{ADDRESS}:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state")
    fill(path, LAST, 4)
    # decoys: whoever opens these is found out by their content on the page or an error in the log
    (path / "ledger.sqlite").write_bytes(b"not for the dashboard")
    (path / "visits.duckdb").write_bytes(b"not for the dashboard")
    return path


@pytest.fixture(scope="module")
def address(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with served(state, log) as url:
        yield url
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"no browser at {CHROMIUM}; install Debian's chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watched:
    page: Page
    outward: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def visit(browser: Browser, url: str) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 2200})
    watched = Watched(context.new_page())
    page = watched.page

    def guard(route: Route, request: Request) -> None:
        if request.url.startswith((url, "data:", "blob:")):
            route.continue_()
        else:
            watched.outward.append(request.url)
            route.abort()

    context.route("**/*", guard)
    page.on("websocket", lambda ws: None if ws.url.startswith(f"ws{url[4:]}") else watched.outward.append(ws.url))
    page.on("console", lambda message: watched.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.goto(url)
    try:
        yield watched
    finally:
        context.close()


def settle(page: Page) -> None:
    expect(page.locator("[data-testid=stApp]")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=30_000
    )


def test_the_page_shows_figures_and_where_they_come_from_and_nothing_leaves_this_machine(
    chromium: Browser, address: str
) -> None:
    with visit(chromium, address) as watched:
        page = watched.page
        expect(page.get_by_role("heading", name="Shop floor")).to_be_visible(timeout=30_000)
        for heading in ("Zone by hour", "Footfall", "Length of stay", "Decision duration", "Not shown"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.locator(".vega-embed svg, .vega-embed canvas")).to_have_count(4)
        for metric in ("everybody.zone_visits", "everybody.footfall", "everybody.dwell", "everybody.decision_box"):
            source = page.locator("[data-testid=stCaptionContainer]", has_text=metric).first
            expect(source).to_contain_text("rule 1")
            expect(source).to_contain_text("n = ")
            expect(source).to_contain_text("coverage")
        expect(page.get_by_text("Suppressed for good")).to_be_visible()
        expect(page.get_by_text("The cameras saw 86%")).to_be_visible()
        settle(page)
        page.screenshot(path=os.environ.get("OPENAISLE_SCREENSHOT") or None, full_page=True)
        assert watched.outward == []
        assert watched.errors == []


def test_consenting_shoppers_have_figures_of_their_own(chromium: Browser, address: str) -> None:
    with visit(chromium, address) as watched:
        page = watched.page
        page.get_by_role("radio", name="Consenting").or_(page.get_by_role("button", name="Consenting")).first.click()
        source = page.locator("[data-testid=stCaptionContainer]", has_text="consenting.dwell").first
        expect(source).to_contain_text("visitor", timeout=30_000)
        assert watched.outward == []
        assert watched.errors == []


def test_an_empty_shop_is_told_what_to_do(chromium: Browser, tmp_path: Path) -> None:
    with served(tmp_path, tmp_path / "log") as url, visit(chromium, url) as watched:
        expect(watched.page.get_by_role("heading", name="No figures yet")).to_be_visible(timeout=30_000)
        expect(watched.page.get_by_text("openaisle watch")).to_be_visible()
        expect(watched.page.get_by_text("openaisle keeper")).to_be_visible()
        assert watched.outward == []
        assert watched.errors == []


def test_a_simulated_shop_says_so_and_has_every_section_filled(chromium: Browser, tmp_path: Path) -> None:
    state = opening.open_shop(tmp_path / "shop", name=weeks.NAME, source="simulated", now_us=time.time_ns() // 1000)
    weeks.unpack(state)
    with served(state.root, tmp_path / "log") as url, visit(chromium, url) as watched:
        page = watched.page
        expect(page.get_by_text("This shop does not exist")).to_be_visible(timeout=30_000)
        for heading in ("Zone by hour", "Footfall", "Length of stay", "Decision duration"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=30_000)
        expect(page.locator(".vega-embed svg, .vega-embed canvas")).to_have_count(4)
        settle(page)
        expect(page.get_by_test_id("stAlert")).to_have_count(1)  # no section says that it has too little to show
        assert watched.outward == []
        assert watched.errors == []


def test_the_retention_page_is_the_declaration_with_the_shops_own_terms(chromium: Browser, tmp_path: Path) -> None:
    state = opening.open_shop(tmp_path / "shop", name="A simulated shop", source="none", now_us=time.time_ns() // 1000)
    toml = state.root / "store.toml"
    toml.write_text(toml.read_text() + "\n[terms]\ndwell = 17\n")
    note_sweep(
        state.root, {**dict.fromkeys(("blocked", "config", "journal", "figures", "unnamed")), "deferred": "x"}, 1
    )
    with served(state.root, tmp_path / "log") as url, visit(chromium, url) as watched:
        page = watched.page
        page.get_by_role("link", name="Retention").click(timeout=30_000)
        expect(page.get_by_role("heading", name="Retention")).to_be_visible(timeout=30_000)
        for place in {row["place"] for row in policy.rows(dict.fromkeys(Purpose, 1), 1)}:
            expect(page.get_by_role("heading", name=place, exact=True)).to_be_attached()
        expect(page.get_by_role("cell", name="17 days").first).to_be_visible()
        expect(page.get_by_text("Last sweep: 1970-01-01 00:00:00 UTC")).to_be_visible()
        expect(page.get_by_text("deferred: x")).to_be_visible()
        settle(page)
        page.screenshot(path=os.environ.get("OPENAISLE_SCREENSHOT") or None, full_page=True)
        assert watched.outward == []
        assert watched.errors == []


@pytest.mark.parametrize("name", ["a-b-9999-99-99.parquet", f"everybody-footfall-{LAST}.parquet"])
def test_a_broken_file_is_one_sentence_on_the_page(chromium: Browser, name: str, tmp_path: Path) -> None:
    path = tmp_path / "released" / name
    path.parent.mkdir()
    path.write_bytes(b"PAR1 not really PAR1")
    with served(tmp_path, tmp_path / "log") as url, visit(chromium, url) as watched:
        alert = watched.page.get_by_role("alert")
        expect(alert).to_have_text(
            f"{path} is not as the keeper wrote it; move it away or restore it from a backup", timeout=30_000
        )
        assert watched.errors == []
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_it_listens_on_this_machine_only(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port
    ]
    assert listening == [f"0100007F:{port:04X}"]


def test_a_name_that_points_here_from_elsewhere_is_refused(address: str) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    for host, status in (("shop.example", 400), (ADDRESS, 200)):
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status


def answered(address: str, method: str, path: str, headers: Mapping[str, str]) -> int:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request(method, path, headers=dict(headers))
    status = connection.getresponse().status
    connection.close()
    return status


WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
LISTENS = """
import os, sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["OUTWARD"], "a") as file:
            file.write(f"{event} {arguments[-1] if event == 'socket.connect' else arguments}\\n")

sys.addaudithook(hook)
"""


def test_another_sites_page_is_refused_and_the_network_is_not_asked_about_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LISTENS)
    outward = tmp_path / "outward"
    outward.touch()
    told = {**os.environ, "PYTHONPATH": str(tmp_path), "OUTWARD": str(outward)}
    with served(tmp_path, tmp_path / "log", told) as url:
        port = int(url.rsplit(":", 1)[1])
        before = outward.read_text()
        for origin in (
            "http://evil.example",
            f"http://evil.example:{port}",
            "null",
            "",
            f"http://{ADDRESS}:{port + 1}",
            f"http://{ADDRESS}",
            f"https://{ADDRESS}:{port}",
            f"{url}.evil.example",
        ):
            assert answered(url, "GET", "/_stcore/stream", {**WEBSOCKET, "Origin": origin}) == 403, origin
            assert answered(url, "GET", "/", {"Origin": origin}) == 403, origin
        assert answered(url, "GET", "/_stcore/stream", WEBSOCKET) == 403
        assert answered(url, "POST", "/", {}) == 403
        assert outward.read_text() == before
        for own in (url, f"http://localhost:{port}"):
            headers = {"Origin": own, "Host": own.removeprefix("http://")}
            assert answered(url, "GET", "/_stcore/stream", {**WEBSOCKET, **headers}) == 101
            assert answered(url, "GET", "/", headers) == 200
        assert answered(url, "GET", "/", {}) == 200
        assert outward.read_text() == before
    asks = [sys.executable, "-c", "import socket; socket.getaddrinfo('127.0.0.1', 1)"]
    subprocess.run(asks, env=told, check=True)
    assert outward.read_text() != before, "the listener is deaf"


@pytest.mark.parametrize(
    ("drop", "more"),
    [
        ("--server.address", []),
        ("--server.address", ["--server.address=0.0.0.0"]),
        ("--browser.gatherUsageStats", []),
        ("", []),
    ],
)
def test_it_does_not_start_open_to_others_or_talking_home_or_without_a_state(
    drop: str, more: list[str], tmp_path: Path
) -> None:
    words = [w for w in command(free_port()) if not (drop and w.startswith(drop))] + more
    env = environment(tmp_path, {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_")})
    if not drop:
        del env[STATE]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "openaisle dashboard --state DIR" in done.stderr
    assert "Traceback" not in done.stderr
