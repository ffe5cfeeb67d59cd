"""An alert says that a line is long, to one address and to nobody else."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts import SHORT_S, Alert, QueueRule, Webhook, Word, alerting, rule
from analytics.config import AlertsTable, ConfigError
from analytics.live import Board
from analytics.shopfloor import opening
from analytics.state import State

NOW = 1_790_000_000_000_000
LINE = ("simulated", "queue")


@dataclass
class Receiver:
    """Somebody who listens in this house, and what they were told."""

    port: int = 0
    told: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # the newest last; 204 where empty

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/queue"


@contextmanager
def receiving() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = made.answers.pop() if made.answers else 204
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{made.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
            made.told.append((self.path, body, dict(self.headers)))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def until(done: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def looks(rules: QueueRule, bands: Sequence[str | None], every_s: float = 20.0) -> list[tuple[float, Word]]:
    told = []
    for number, band in enumerate(bands):
        seen = {} if band is None else {"simulated": {"queue": band, "tea": "10+"}}
        told += [(number * every_s, alert.word) for alert in rules.look(number * every_s, seen)]
    return told


def test_a_line_is_said_once_when_it_was_long_for_the_minutes_asked_for() -> None:
    rules = QueueRule([LINE], "medium", 2)
    assert looks(rules, ["medium", "long", "medium", "long", "medium", "long", "medium", "medium"]) == [
        (120.0, Word.BEGAN)
    ]
    assert looks(QueueRule([LINE], "long", 2), ["medium"] * 30) == []
    assert looks(QueueRule([LINE], "medium", 2), ["medium"] * 6 + ["short"] + ["medium"] * 6) == []


def test_it_is_over_when_it_was_short_for_a_minute_and_may_be_said_anew() -> None:
    bands = ["medium"] * 4 + ["short", "medium", "short"] + ["short"] * 5 + ["long"] * 4
    assert looks(QueueRule([LINE], "medium", 1), bands) == [
        (60.0, Word.BEGAN),
        (120.0 + SHORT_S, Word.OVER),
        (300.0, Word.BEGAN),
    ]


def test_not_seeing_the_line_is_neither() -> None:
    assert looks(QueueRule([LINE], "medium", 2), ["long"] * 5 + [None] + ["long"] * 6) == []


@given(st.lists(st.sampled_from(["short", "medium", "long", None]), max_size=80), st.integers(1, 4))
def test_what_is_said_alternates_and_begins_with_a_long_line(bands: list[str | None], minutes: int) -> None:
    told = [word for _, word in looks(QueueRule([LINE], "medium", minutes), bands)]
    assert told == [Word.BEGAN, Word.OVER] * (len(told) // 2) + [Word.BEGAN] * (len(told) % 2)


def shop(tmp_path: Path, url: str, more: str = "") -> State:
    state = opening.open_shop(tmp_path / "shop", name="Simulated shop", source="simulated", now_us=NOW)
    with (state.root / "store.toml").open("a") as file:
        file.write(f'\n[alerts]\nwebhook = "{url}"\nminutes = 1\n{more}')
    return State.read(state.root)


class Clock:
    """Goes twenty seconds further with each look at it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 20.0
        return self.now_s


@contextmanager
def crowd(board: Board, band: str) -> Iterator[None]:
    stop = threading.Event()

    def show() -> None:
        while not stop.wait(0.05):
            board.show_zones("simulated", {"queue": band, "tea": "10+"})

    board.show_zones("simulated", {"queue": band, "tea": "10+"})
    thread = threading.Thread(target=show)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_address_is_told_words_and_no_number_of_people_and_nobody_else_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        called.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    board = Board()
    with receiving() as receiver:
        state = shop(tmp_path, receiver.url)
        with crowd(board, "long"), alerting(state.store, board, state.root, clock=Clock(), look_s=0.01):
            until(lambda: receiver.told)
    ((path, body, headers),) = receiver.told[:1]
    assert path == "/queue"
    assert body == {
        "event": "queue_long",
        "store": "Simulated shop",
        "camera": "simulated",
        "zone": "queue",
        "length": "long",
        "minutes": 1,
    }
    assert "Cookie" not in headers
    assert "Authorization" not in headers
    assert set(map(str, called)) == {str(("127.0.0.1", receiver.port))}


def test_an_address_that_does_not_answer_is_told_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    board = Board()
    with receiving() as receiver:
        receiver.answers = [204, 500, 307]  # a redirect is not followed either
        state = shop(tmp_path, receiver.url)
        with crowd(board, "medium"), alerting(state.store, board, state.root, clock=Clock(), look_s=0.01):
            until(lambda: len(receiver.told) == 3)
            time.sleep(0.2)
    assert [path for path, _, _ in receiver.told] == ["/queue"] * 3
    assert "HTTP 307" in caplog.text
    assert "HTTP 500" in caplog.text
    assert Webhook("http://127.0.0.1:9/", "shop").say(Alert(Word.BEGAN, *LINE, "long", 3)) is False


def test_without_anybody_named_nothing_runs_and_nobody_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = opening.open_shop(tmp_path / "shop", name="Simulated shop", source="simulated", now_us=NOW)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("somebody was called"))
    before = threading.active_count()
    with alerting(state.store, Board(), state.root, clock=Clock(), look_s=0.001):
        assert threading.active_count() == before


def test_every_queue_of_the_shop_and_no_other_zone(tmp_path: Path) -> None:
    assert set(rule(shop(tmp_path, "https://hooks.example/queue").store).queues) == {LINE}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/queue",
        "http://8.8.8.8/queue",
        "https://user:word@hooks.example/queue",
        "https://hooks.example/queue?token=1",
        "ftp://hooks.example/",
        "hooks.example",
        "",
    ],
)
def test_an_address_that_is_none_or_not_sealed_is_refused_in_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as found:
        shop(tmp_path, url)
    assert "alerts" in str(found.value)
    assert "\n" not in str(found.value)
    assert "word@" not in str(found.value)


def test_an_address_in_the_house_may_be_plain() -> None:
    for url in ("http://127.0.0.1:8123/api/webhook/line", "http://192.168.1.5/x", "http://localhost/x"):
        assert AlertsTable(webhook=url).webhook == url
