"""A stream is tested: real servers on loopback, and those that hang, lie, or send callers elsewhere."""

from __future__ import annotations

import os
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.probe import probe
from analytics.relay import Relay, Sieve, _ours
from tests.analytics import rtsp_server
from tests.conftest import ROOT

DEMO = ROOT / "analytics/shopfloor/demo.mp4"


@contextmanager
def server(answer: Callable[[bytes], bytes | None], address: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """Serve on loopback: yields the port and what was asked; an answer of None says nothing and keeps the line open.

    That somebody called is the first thing asked.
    """
    asked: list[bytes] = []
    door = socket.create_server((address, 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                caller, _ = door.accept()
                asked.append(b"")
                with caller, suppress(OSError):
                    while part := caller.recv(4096):
                        asked.append(part)
                        if (said := answer(part)) is not None:
                            caller.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    yield door.getsockname()[1], asked
    door.close()


def moved(port: int, status: bytes = b"RTSP/1.0 302 Moved") -> Callable[[bytes], bytes]:
    def answer(asked: bytes) -> bytes:
        number = re.search(rb"CSeq: (\d+)", asked)
        place = f"rtsp://127.0.0.2:{port}/x".encode()
        return status + b"\r\nCSeq: " + (number[1] if number else b"1") + b"\r\nLocation: " + place + b"\r\n\r\n"

    return answer


def test_a_camera_that_sends_callers_elsewhere_is_not_followed() -> None:
    with server(lambda _: b"", "127.0.0.2") as (other, called), server(moved(other)) as (port, asked):
        found = probe(f"rtsp://ada:secret@127.0.0.1:{port}/shop")
    assert found.error == f"rtsp://127.0.0.1:{port}/shop sends whoever calls elsewhere; write that address instead"
    assert asked
    assert called == []


def test_a_stream_that_hangs_does_not_hang_the_page() -> None:
    called_s: list[float] = []
    with server(lambda _: called_s.append(time.monotonic())) as (port, _):
        found = probe(f"rtsp://ada:secret@127.0.0.1:{port}/shop", limit_s=3.0)
        ended_s = time.monotonic()
    assert found.error is not None
    assert "within 3 s" in found.error
    assert ended_s - called_s[0] < 6


def test_a_computer_too_busy_to_begin_is_not_called_a_camera_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.probe.START_S", 0.0)
    found = probe(str(DEMO))
    assert found.error is not None
    assert "too busy" in found.error


def test_its_password_is_in_no_error_and_in_no_command_line(tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(_: bytes) -> bytes:
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                seen.extend((path / name).read_bytes().decode("latin-1") for name in ("cmdline", "environ"))
        return b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=x\r\n\r\n"

    with server(answer) as (port, asked):
        found = probe(f"rtsp://ada:hunter2-hunter2@127.0.0.1:{port}/shop?x=1")
    assert asked
    assert found.error is not None
    assert f"127.0.0.1:{port}" in found.error
    assert "hunter2" not in found.error
    assert any("analytics.probe" in words for words in seen)  # the child was looked at
    assert not any("hunter2-hunter2" in words for words in seen if "pytest" not in words)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "no video source"),
        ("http://127.0.0.1/x", "not a kind of address"),
        ("usb:77", "plug the camera in"),
        ("/nothing/here.mp4", "no video that can be read"),
        ("/etc/passwd", "no video that can be read"),
        ("rtsp://127.0.0.1:1/x", "check that it is on"),
        ("rtsp://no-such-host.invalid/x", "check that it is on"),
        ("rtsp://[::1/x", "no address"),
        ("rtsp://h:99999/x", "no address"),
        ("rtsp:///x", "no address"),
        ("a\nb", "no address"),
        ("x" * 9000, "no address"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(source: str, said: str) -> None:
    found = probe(source)
    assert found.error is not None
    assert said in found.error
    assert "\n" not in found.error
    assert found.width == 0


def test_of_a_file_it_says_only_whether_it_is_a_video(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("a secret of somebody else")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n/etc/passwd\n")
    names = [str(tmp_path / name) for name in ("missing", "empty", "pipe", "text", "list.m3u8", "")]
    said = {(probe(name).error or "").replace(name, "") for name in (*names, "/proc/self/environ")}
    assert len(said) == 1
    assert "no video that can be read" in said.pop()


@pytest.mark.parametrize("source", ["", "http://h/x", "rtsp://[::1/x", "rtsp://h:99999/x", "rtsp:///x", "a\nb"])
def test_what_is_no_address_starts_no_process(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("it started one"))
    assert probe(source).error is not None


def test_a_file_tells_its_size_rate_and_codec() -> None:
    found = probe(str(DEMO))
    assert found.error is None
    assert (found.width, found.height) == (640, 360)
    assert found.codec
    assert found.fps
    assert 0 < found.delay_s < 12


@pytest.mark.skipif(rtsp_server.missing() is not None, reason=f"no RTSP server: {rtsp_server.missing()}")
def test_a_camera_behind_a_password_answers_through_the_relay() -> None:
    with rtsp_server.Camera(login="ada:pass/word") as camera:
        found = probe(camera.url.replace("rtsp://", "rtsp://ada:pass%2Fword@"))
        refused = probe(camera.url.replace("rtsp://", "rtsp://ada:other@"))
    assert found.error is None
    assert (found.width, found.height, found.codec) == (320, 240, "h264")
    assert refused.error is not None
    assert "refuses the user or password" in refused.error


# --- the relay --------------------------------------------------------------------------------------------------------

GOOD = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n$\x00\x00\x04RTSRTSP/1.0 454 No\r\n\r\nOPTIONS * RTSP/1.0\r\n\r\nRTSP/9 a RTS"
)
BAD = [
    *(b"RTSP/1.0 302 Moved", b"RTSP/1.0  302", b"RTSP/1.0\t302", b"RTSP/ 302", b"RTSP/1.0 +302", b"RTSP/9.9 399 x"),
    *(b"R\rTSP/1.0 302 x", b"RTSP/1.0 3\r0\r2", b"RTSP/1.0 00302", b"RTSP/1.0 \v302", b"RTSP/1.0 4294967598"),
]


def status(line: bytes) -> int:
    """Return what libav takes a line for (`ff_rtsp_read_reply`): no carriage return counts, and C reads the number."""
    words = line.replace(b"\r", b"").split(None, 2)
    number = re.match(rb"[+-]?\d+", words[1]) if len(words) > 1 and words[0].startswith(b"RTSP/") else None
    return int(number[0]) % (1 << 32) if number else 0


@given(cuts=st.lists(st.integers(0, len(GOOD)), max_size=12))
def test_what_is_good_passes_at_once_however_it_is_cut(cuts: list[int]) -> None:
    sieve = Sieve()
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), len(GOOD)], strict=True):
        assert sieve.passes(GOOD[first:last])


@pytest.mark.parametrize("bad", BAD)
@given(data=st.data())
def test_no_answer_that_leads_elsewhere_is_passed_on_to_its_end(bad: bytes, data: st.DataObject) -> None:
    assert 300 <= status(bad) < 400
    whole = b"RTSP/1.0 200 OK\r\n\r\n" + bad + b"\r\nLocation: rtsp://evil/\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    sieve, passed = Sieve(), b""
    for first, last in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        if not sieve.passes(whole[first:last]):
            break
        passed += whole[first:last]
    else:
        pytest.fail("it passed")
    assert all(status(line) < 300 for line in passed.split(b"\n")[:-1])
    assert b"Location" not in passed


def test_pictures_are_no_answers() -> None:
    rng, sieve = random.Random(4), Sieve()
    assert all(sieve.passes(rng.randbytes(1400)) for _ in range(2000))
    assert sieve.passes(b"\x00RTSP/" + rng.randbytes(1400))


def test_a_relay_leads_to_one_place_and_hides_nothing_of_the_address() -> None:
    with server(lambda asked: b"RTSP/1.0 200 " + asked) as (port, _):
        with Relay(f"rtsp://ada:p%40ss@127.0.0.1:{port}/a?b=1") as relay:
            assert re.fullmatch(r"rtsp://ada:p%40ss@127\.0\.0\.1:\d+/a\?b=1", relay.url)
            near = int(relay.url.rsplit(":", 1)[1].split("/")[0])
            with socket.create_connection(("127.0.0.1", near), timeout=5) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"RTSP/1.0 200 hello"
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", near), timeout=1)


def test_another_user_of_this_machine_does_not_reach_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    looked = threading.Event()
    with server(lambda asked: b"RTSP/1.0 200 " + asked) as (port, asked), Relay(f"rtsp://127.0.0.1:{port}/a") as relay:
        near = int(relay.url.rsplit(":", 1)[1].split("/")[0])

        def somebody_else() -> int:
            looked.set()
            return me + 1

        monkeypatch.setattr("os.geteuid", somebody_else)
        with socket.create_connection(("127.0.0.1", near), timeout=5) as stranger, suppress(ConnectionError):
            stranger.sendall(b"DESCRIBE")
            assert stranger.recv(100) == b""
        assert looked.is_set()
        monkeypatch.setattr("os.geteuid", lambda: me)
        with socket.create_connection(("127.0.0.1", near), timeout=5) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"RTSP/1.0 200 hello"
            with pytest.raises(OSError, match="refused"):  # the door is shut behind whom it is for
                socket.create_connection(("127.0.0.1", near), timeout=1)
    assert asked == [b"", b"hello"]


def test_whoever_sent_and_left_is_not_taken_for_the_administrator_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)  # as the kernel calls the owner of what is closed
    with socket.create_server(("127.0.0.1", 0)) as door:
        with socket.create_connection(door.getsockname(), timeout=5) as stranger:
            stranger.sendall(b"DESCRIBE")
        with door.accept()[0] as left:
            assert not _ours(left)


def test_a_camera_with_tls_is_called_over_tls(tmp_path: Path) -> None:
    from tests.consent.served import certificate

    made = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    door = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        caller, _ = door.accept()
        with context.wrap_socket(caller, server_side=True) as sealed:
            heard.append(sealed.recv(100))
            sealed.sendall(b"RTSP/1.0 200 OK\r\n" + b"x" * 200_000)

    threading.Thread(target=serve, daemon=True).start()
    with Relay(f"rtsps://127.0.0.1:{door.getsockname()[1]}/a") as relay:
        near = int(relay.url.rsplit(":", 1)[1].split("/")[0])
        with socket.create_connection(("127.0.0.1", near), timeout=5) as client:
            time.sleep(0.3)  # what TLS says by itself after its greeting comes first, and nobody is to wait behind it
            client.sendall(b"hello")
            told = b""
            while part := client.recv(1 << 16):
                told += part
    door.close()
    assert heard == [b"hello"]
    assert len(told) == 200_017
