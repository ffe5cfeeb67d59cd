"""What keeps the processes of a shop running, held against processes that end, hang, refuse and stay."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from analytics.dashboard import open_accounts
from analytics.start import init
from consent.access import Desk
from retention import supervise
from retention.commands import up
from retention.supervise import Health, Part, Supervisor
from tests.analytics.rtsp_server import free_port
from tests.command import Place
from tests.conftest import ROOT

GENEROUS_S = 240.0  # a limit, not a measure: machines are busy


def until(done: Callable[[], bool]) -> None:
    """Wait for something, and fail where it never comes."""
    end = time.monotonic() + GENEROUS_S
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@dataclass
class Shop:
    """Processes of Python, each of which writes down that it began and that it was told to end."""

    root: Path
    said: list[str] = field(default_factory=list)
    supervisor: Supervisor | None = None
    code: list[int] = field(default_factory=list)

    def part(self, name: str, then: str, *, ends: bool = False) -> Part:
        """Return a process that begins by writing its name, and is ready from then on."""
        mark, book = self.root / f"{name}.ready", self.root / "book"
        text = (
            "import os, signal, sys, time\n"
            f"def write(word):\n    with open({str(book)!r}, 'a') as f: f.write(word + ' {name}\\n')\n"
            f"def end(*_): write('end'); sys.exit(0)\n"
            f"signal.signal(signal.SIGTERM, end); write('begin'); open({str(mark)!r}, 'w').close()\n"
            f"{then}\n"
        )
        return Part(name, (sys.executable, "-c", text), mark.exists, ends=ends)

    @contextmanager
    def up(self, *parts: Part) -> Iterator[Supervisor]:
        """Keep them running; end them on leaving."""
        one = self.supervisor = Supervisor(
            parts, environment=os.environ, say=lambda name, line: self.said.append(f"{name}: {line}")
        )
        stop = threading.Event()
        thread = threading.Thread(target=lambda: self.code.append(one.run(stop)))
        thread.start()
        try:
            yield one
        finally:
            stop.set()
            thread.join(timeout=GENEROUS_S)
            assert not thread.is_alive()

    def book(self) -> list[str]:
        """Return what was written down, in order."""
        return (self.root / "book").read_text().splitlines()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


STAY = "while True: time.sleep(0.05)"


def test_they_begin_in_order_and_end_in_the_reverse(shop: Shop) -> None:
    with shop.up(*(shop.part(name, STAY) for name in ("one", "two", "three"))) as supervisor:
        until(lambda: all(one.health is Health.READY for one in supervisor.running))
    assert shop.book() == [
        *(f"begin {n}" for n in ("one", "two", "three")),
        *(f"end {n}" for n in ("three", "two", "one")),
    ]
    assert shop.code == [0]
    assert [one.health for one in supervisor.running] == [Health.STOPPED] * 3


def test_whoever_is_killed_comes_back_after_a_pause_that_grows(shop: Shop) -> None:
    with shop.up(shop.part("one", STAY)) as supervisor:
        one = supervisor.running[0]
        for starts in (1, 2, 3):
            until(lambda starts=starts: one.starts == starts and one.pid is not None)  # type: ignore[misc]
            os.kill(one.pid or 0, signal.SIGKILL)
            until(lambda: one.pid is None)
        assert one.code == -signal.SIGKILL
        until(lambda: one.starts == 4)
    assert [line for line in shop.said if "starts again" in line] == [
        f"one: ended (signal 9); it starts again in {pause} s" for pause in (1, 2, 4)
    ]


def test_after_standing_for_long_the_pause_is_short_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STEADY_S", 0.5)
    with shop.up(shop.part("one", STAY)) as supervisor:
        one = supervisor.running[0]
        one.pause_s = 32.0
        until(lambda: one.pause_s == supervise.FIRST_PAUSE_S)


def test_settings_that_are_refused_at_once_end_everything_and_are_told(shop: Shop) -> None:
    refuses = Part("bad", (sys.executable, "-c", "print('openaisle: mend it'); raise SystemExit(2)"), lambda: False)
    with shop.up(shop.part("one", STAY), refuses) as supervisor:
        until(lambda: bool(shop.code))
    assert shop.code == [2]
    assert list(supervisor.running[1].last) == ["openaisle: mend it"]
    assert shop.book() == ["begin one", "end one"]


def test_settings_that_go_bad_later_keep_the_others_running(shop: Shop) -> None:
    with shop.up(shop.part("one", STAY), shop.part("two", "time.sleep(1); sys.exit(2)")) as supervisor:
        until(lambda: supervisor.running[1].code == 2)
        assert supervisor.running[0].health is Health.READY
    assert shop.code == [0]


def test_whoever_has_an_end_of_its_own_is_not_begun_again(shop: Shop) -> None:
    with shop.up(shop.part("film", "sys.exit(0)", ends=True)) as supervisor:
        until(lambda: bool(shop.code))
    assert [one.health for one in supervisor.running] == [Health.DONE]
    assert shop.book() == ["begin film"]


def test_whoever_does_not_end_is_killed_and_so_is_what_it_began(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "PATIENCE_S", 1.0)
    child = shop.root / "child"
    stubborn = (
        "import subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"mark = {str(child)!r}\nopen(mark + '.tmp', 'w').write(str(p.pid)); os.rename(mark + '.tmp', mark)\n{STAY}"
    )
    with shop.up(shop.part("stubborn", stubborn)) as supervisor:
        until(child.exists)
        pids = [supervisor.running[0].pid or 0, int(child.read_text())]
    until(lambda: not any(alive(pid) for pid in pids))
    assert any("was killed" in line for line in shop.said)


def alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nobody_outlives_a_supervisor_that_was_killed(shop: Shop) -> None:
    part = shop.part("one", STAY)
    text = (
        "import os, threading\nfrom retention.supervise import Part, Supervisor\n"
        f"part = Part('one', {part.words!r}, lambda: True)\n"
        "Supervisor([part], environment=os.environ, say=lambda *_: None).run(threading.Event())\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], cwd=ROOT) as process:
        until(lambda: (shop.root / "book").exists() and shop.book() == ["begin one"])
        process.kill()
    until(lambda: shop.book() == ["begin one", "end one"])


@pytest.mark.timeout(900)
def test_the_whole_shop_comes_up_and_goes(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    root, ports = tmp_path / "shop", {name: free_port() for name in ("kiosk", "dashboard")}
    init(root, now_us=time.time_ns() // 1000)
    settings = (root / "store.toml").read_text()
    controller = '\n[controller]\nname = "Main Street Ltd"\naddress = "1 Main Street"\ncontact = "shop@main.example"\n'
    settings += "".join(f"\n[{name}]\nport = {port}\n" for name, port in ports.items() if f"\n[{name}]" not in settings)
    (root / "store.toml").write_text(settings + ("" if "\n[controller]" in settings else controller))
    lines: list[str] = []
    with subprocess.Popen(
        place.command("up", "--state", root, "--without", "watch"),
        env=place.environment(),
        cwd=place.here,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        reader.start()
        try:
            until(lambda: process.poll() is not None or all(listens(port) for port in ports.values()))
            assert process.poll() is None, "".join(lines)
        finally:
            process.terminate()
            process.wait(timeout=GENEROUS_S)
            reader.join()
    assert process.returncode == 0, "".join(lines)
    assert f"the pages are at http://localhost:{ports['dashboard']}\n" in "".join(lines)
    assert "Streamlit" not in "".join(lines)
    assert not any(listens(port) for port in ports.values())


def test_up_on_a_new_shop_ends_with_the_command_that_goes_on_without_a_camera(tmp_path: Path) -> None:
    place, root = Place(tmp_path / "place"), tmp_path / "shop"
    init(root, now_us=time.time_ns() // 1000)
    without = [word for name in ("keeper", "kiosk", "dashboard") for word in ("--without", name)]
    done = subprocess.run(
        place.command("up", "--state", root, *without),
        env=place.environment(),
        cwd=place.here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "example's address" in done.stderr
    assert done.stderr.endswith(f"openaisle up --state {root} {' '.join(without)} --without watch\n")


def test_what_is_not_so_any_more_is_not_said_on(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=time.time_ns() // 1000)
    said = deque(["keeper: one", f"dashboard: {up.NOBODY}: openaisle user add NAME --desk administrator"])
    up.settle(state, said)
    assert len(said) == 2
    with open_accounts(state) as accounts:
        accounts.add("Ada", Desk.ADMINISTRATOR, now_us=time.time_ns() // 1000)
    up.settle(state, said)
    assert list(said) == ["keeper: one"]


def listens(port: int) -> bool:
    """Say whether somebody answers there."""
    with socket.socket() as door:
        door.settimeout(0.5)
        return door.connect_ex(("127.0.0.1", port)) == 0
