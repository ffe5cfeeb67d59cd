"""What is told of this moment: real sockets, and callers of every bad kind."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from analytics import live
from analytics.live import Board, Live, band, read_zones
from analytics.model import AnalyticsError
from analytics.zones import ZoneKind
from consent.padview import PadMark, PadView, ask, read
from tests.conftest import ROOT

VIEW = PadView(1, True, (0.1, 0.2, 0.3, 0.9), PadMark.LINKED, 1_790_000_000_000_000)
IN_TIME_S = 0.5  # what a kiosk waits, and slack for a busy machine


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def path(tmp_path: Path, board: Board) -> Iterator[Path]:
    with Live(tmp_path / "live.sock", board):
        yield tmp_path / "live.sock"


def test_what_is_put_up_is_told_and_only_to_who_asks_for_it(path: Path, board: Board) -> None:
    assert read(path, "pad") is None
    board.show_pad("pad", VIEW)
    board.show_pad("other", PadView(0, False, None, PadMark.NONE, 5))
    assert read(path, "pad") == VIEW
    assert read(path, "other") == PadView(0, False, None, PadMark.NONE, 5)
    for wrong in ("nobody", "", "pad\npad other", "p" * 5000, "other\x00"):
        assert read(path, wrong) is None
    board.show_pad("pad", None)
    assert read(path, "pad") is None


def test_a_name_in_another_script_is_found(path: Path, board: Board) -> None:
    board.show_pad("入口" * 32, VIEW)
    assert read(path, "入口" * 32) == VIEW


def test_what_is_old_is_not_told(path: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.show_pad("pad", VIEW)
    board.show_zones("cam", {"front": "0–4"})
    assert read_zones(path) == {"cam": {"front": "0–4"}}
    monkeypatch.setattr(live, "STALE_S", -1.0)
    assert read(path, "pad") is None
    assert read_zones(path) == {}


def test_zones_are_told_as_bands_and_never_as_numbers() -> None:
    told = [band(n, ZoneKind.PRODUCT) for n in (0, 4, 5, 9, 10, 500)]
    assert told == ["0–4", "0–4", "5–9", "5–9", "10+", "10+"]
    assert [band(n, ZoneKind.QUEUE) for n in (0, 4, 5, 9, 10)] == ["short", "short", "medium", "medium", "long"]


def test_nobody_but_the_group_can_ask(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_ISSOCK(path.stat().st_mode)


@pytest.mark.parametrize("deep", [0, 300])
def test_a_state_directory_may_lie_as_deep_as_it_likes(tmp_path: Path, board: Board, deep: int) -> None:
    folder = tmp_path.joinpath(*["d" * 50] * (deep // 50))
    folder.mkdir(parents=True, exist_ok=True)
    board.show_pad("pad", VIEW)
    with Live(folder / "live.sock", board):
        assert read(folder / "live.sock", "pad") == VIEW
    assert not (folder / "live.sock").exists()
    assert read(folder / "live.sock", "pad") is None


def knock(path: Path) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(2)
    caller.connect(str(path))
    return caller


def test_callers_who_never_ask_never_read_or_talk_nonsense_hold_nobody_up(path: Path, board: Board) -> None:
    board.show_pad("pad", VIEW)
    silent = [knock(path) for _ in range(100)]
    for caller in silent[::3]:
        with suppress(BrokenPipeError):  # had to go for a later one
            caller.send(os.urandom(100))
    begun = time.monotonic()
    assert any(read(path, "pad") == VIEW for _ in range(5))  # a kiosk asks again and again
    assert time.monotonic() - begun < 2
    time.sleep(0.5)
    for caller in silent:  # every one of them was hung up on
        with suppress(ConnectionResetError):
            assert caller.recv(10) == b""
        caller.close()
    begun = time.monotonic()
    for _ in range(100):
        assert read(path, "pad") == VIEW
    assert time.monotonic() - begun < 100 * IN_TIME_S
    assert sum(thread.name == "live" for thread in threading.enumerate()) == 1


def test_a_caller_who_asks_and_does_not_read_is_answered_and_forgotten(path: Path, board: Board) -> None:
    board.show_pad("pad", VIEW)
    callers = []
    for _ in range(50):
        callers.append(knock(path))
        with suppress(BrokenPipeError):
            callers[-1].send(b"pad pad\n")
    time.sleep(0.3)
    assert read(path, "pad") == VIEW
    answers = []
    for caller in callers:
        with suppress(ConnectionResetError):  # one of those who had to go
            answers.append(caller.recv(4096))
        caller.close()
    assert VIEW.encode() in answers
    assert set(answers) <= {VIEW.encode(), b""}


def test_a_socket_left_behind_is_replaced_and_tells_nothing_meanwhile(tmp_path: Path, board: Board) -> None:
    path = tmp_path / "live.sock"
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(path))
    dead.close()
    assert path.exists()
    assert read(path, "pad") is None
    board.show_pad("pad", VIEW)
    with Live(path, board):
        assert read(path, "pad") == VIEW


def test_who_answers_nothing_or_nonsense_is_not_believed_and_not_waited_for(tmp_path: Path) -> None:
    for said in (
        b"",
        b"x\n",
        b"{}\n",
        b"null\n",
        b'{"people": 7}\n',
        VIEW.encode()[:-2],
        b"[" * 100_000,
        b"[" * 20_000 + b"\n",
        None,
    ):
        path = tmp_path / "odd.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(str(path))
            door.listen(4)

            def serve(door: socket.socket = door, said: bytes | None = said) -> None:
                caller, _ = door.accept()
                with caller:
                    caller.recv(100)
                    if said is None:
                        time.sleep(1)
                    else:
                        try:
                            caller.sendall(said)
                        except OSError:
                            return

            thread = threading.Thread(target=serve)
            thread.start()
            begun = time.monotonic()
            assert read(path, "pad") is None
            assert time.monotonic() - begun < IN_TIME_S
            thread.join()
        path.unlink()


def test_a_second_watch_on_one_directory_is_refused(tmp_path: Path, board: Board) -> None:
    with Live(tmp_path / "live.sock", board):
        with pytest.raises(AnalyticsError, match=r"another `openaisle watch` runs on .*; stop it first"):
            Live(tmp_path / "live.sock", Board()).__enter__()
        assert read_zones(tmp_path / "live.sock") == {}
    with Live(tmp_path / "live.sock", board):
        pass


CHILD = """
import sys, time
from pathlib import Path
from analytics.live import Board, Live
from tests.analytics.test_live import VIEW
board = Board()
with Live(Path(sys.argv[1]), board):
    board.show_pad("pad", VIEW)
    print("up", flush=True)
    while True:
        board.show_pad("pad", VIEW)
        time.sleep(0.1)
"""


def test_killed_or_stopped_it_leaves_no_lie(tmp_path: Path, board: Board) -> None:
    path = tmp_path / "live.sock"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == b"up\n"
        assert read(path, "pad") == VIEW
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        begun = time.monotonic()
        assert read(path, "pad") is None  # it hangs
        assert time.monotonic() - begun < IN_TIME_S
        child.kill()
        child.wait()
    assert path.exists()
    assert read(path, "pad") is None
    with Live(path, board):  # the lock died with it
        assert ask(path, "zones") == b"{}\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {"people": 3},
        {"people": 2},
        {"people": 0},
        {"box": (0.0, 0.0, 1.2, 1.0)},
        {"box": (0.0, 0.0, float("nan"), 1.0)},
        {"box": None},
    ],
)
def test_a_view_that_would_tell_too_much_cannot_be_made(wrong: dict[str, object]) -> None:
    told = {"people": 1, "near": False, "box": (0.0, 0.0, 1.0, 1.0), "mark": PadMark.LINKED, "t_us": 1}
    PadView(**told)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"people|box|mark|shares"):
        PadView(**(told | wrong))  # type: ignore[arg-type]
