"""An alert reaches the broker that `store.toml` names, sealed, once, and nobody else; a real broker stands for it."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from analytics import mqtt
from analytics.alerts import Alert, Word, alerting, senders
from analytics.config import ConfigError
from analytics.live import Board
from analytics.mqtt import Broker
from analytics.shopfloor import opening
from analytics.state import State
from consent import tls
from retention.doctor import hosts_named
from retention.units import callers
from tests.analytics import mqtt_broker
from tests.analytics.mqtt_broker import USER, broker, free_port
from tests.analytics.test_alerts import LINE, NOW, Clock, crowd, receiving, until

PASSWORD = "a word of the broker"  # noqa: S105
LONG = Alert(Word.BEGAN, *LINE, "long", 3)


@pytest.fixture(scope="session")
def mosquitto() -> None:
    """A real broker can run here; without it, fail in CI and skip elsewhere."""
    if reason := mqtt_broker.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> tls.Made:
    return tls.make(tmp_path_factory.mktemp("certs"), ["localhost", "127.0.0.1"], now=datetime.now(UTC))


def shop(tmp_path: Path, table: str, more: str = "") -> State:
    state = opening.open_shop(tmp_path / "shop", name="Simulated shop", source="simulated", now_us=NOW)
    with (state.root / "store.toml").open("a") as file:
        file.write(f"\n[alerts]\nminutes = 1\n{more}\n[alerts.mqtt]\n{table}\n")
    return State.read(state.root)


def sealed(tmp_path: Path, port: int, certs: tls.Made, password: str = PASSWORD, host: str = "localhost") -> State:
    tmp_path.mkdir(exist_ok=True)
    secret = tmp_path / "secret"
    secret.write_text(password)
    secret.chmod(0o600)
    return shop(
        tmp_path,
        f'host = "{host}"\nport = {port}\nauthority = "{certs.authority}"\n'
        f'username = "{USER}"\npassword_file = "{secret}"',
    )


def sender(state: State) -> Broker:
    (found,) = senders(state.store, state.root)
    assert isinstance(found, Broker)
    return found


def test_the_broker_is_told_what_a_webhook_is_told_over_tls_and_nobody_else_is_called(
    tmp_path: Path, certs: tls.Made, mosquitto: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board()
    with broker(tmp_path / "broker", certs=certs, password=PASSWORD) as served:
        state = sealed(tmp_path, served.port, certs)
        with served.listening() as told:
            called: list[Any] = []
            own: set[int] = set()  # the library wakes itself by a pair of sockets of this process
            connect, listen = socket.socket.connect, socket.socket.listen

            def watched(self: socket.socket, address: Any) -> None:
                called.append(address)
                connect(self, address)

            def heard(self: socket.socket, *words: int) -> None:
                own.add(self.getsockname()[1])
                listen(self, *words)

            monkeypatch.setattr(socket.socket, "connect", watched)
            monkeypatch.setattr(socket.socket, "listen", heard)
            for name in ("mqtt_proxy", "http_proxy", "https_proxy", "all_proxy"):  # the library alone would follow them
                monkeypatch.setenv(name, "http://127.0.0.1:9")
            with crowd(board, "long"), alerting(state.store, board, state.root, clock=Clock(), look_s=0.01):
                said = told.get(timeout=30)
                until(lambda: board.health()["alerts"]["sent"] == 1)
            assert told.empty()
        monkeypatch.delenv("mqtt_proxy")
        with served.listening() as later, pytest.raises(queue.Empty):  # nothing is kept for whoever comes later
            later.get(timeout=0.3)
    assert said.topic == f"openaisle/{state.store.store.id}/alerts"
    assert (said.qos, said.retained) == (1, False)
    assert said.body == {
        "event": "queue_long",
        "store": "Simulated shop",
        "camera": "simulated",
        "zone": "queue",
        "length": "long",
        "minutes": 1,
    }
    assert served.port in {address[1] for address in called}
    assert {address[1] for address in called} - own == {served.port}
    assert {address[0] for address in called} <= {"127.0.0.1", "::1"}


def test_a_wrong_password_is_one_line_without_it(
    tmp_path: Path, certs: tls.Made, mosquitto: None, caplog: pytest.LogCaptureFixture
) -> None:
    with broker(tmp_path / "broker", certs=certs, password=PASSWORD) as served:
        assert not sender(sealed(tmp_path, served.port, certs, "not the word")).say(LONG)
        assert sender(sealed(tmp_path / "right", served.port, certs)).say(LONG)
    (line,) = caplog.messages
    assert "[alerts.mqtt]" in line
    assert "not the word" not in caplog.text
    assert PASSWORD not in caplog.text


def test_a_broker_that_cannot_prove_its_name_is_told_nothing(
    tmp_path: Path, certs: tls.Made, mosquitto: None, caplog: pytest.LogCaptureFixture
) -> None:
    other = tls.make(tmp_path / "other", ["localhost"], now=datetime.now(UTC))
    elsewhere = tls.make(tmp_path / "elsewhere", ["elsewhere.example"], now=datetime.now(UTC))
    with broker(tmp_path / "a", certs=other, password=PASSWORD) as served:
        assert not sender(sealed(tmp_path / "1", served.port, certs)).say(LONG)
        log = served.log
    with broker(tmp_path / "b", certs=elsewhere, password=PASSWORD) as served:
        assert not sender(sealed(tmp_path / "2", served.port, elsewhere)).say(LONG)
    with broker(tmp_path / "c", password=PASSWORD) as served:  # speaks no TLS at all
        assert not sender(sealed(tmp_path / "3", served.port, certs)).say(LONG)
    assert len(caplog.messages) == 3
    assert USER not in log.read_text()


def test_a_broker_that_was_down_is_told_later(tmp_path: Path, certs: tls.Made, mosquitto: None) -> None:
    board, port = Board(), free_port()
    state = sealed(tmp_path, port, certs)
    with crowd(board, "medium"), alerting(state.store, board, state.root, clock=Clock(), look_s=0.01):
        until(lambda: board.health()["alerts"]["failed"] >= 1)
        with broker(tmp_path / "broker", port=port, certs=certs, password=PASSWORD) as served:
            until(lambda: board.health()["alerts"]["sent"] == 1)
            assert f"openaisle/{state.store.store.id}/alerts" in served.log.read_text()


@contextmanager
def silent() -> Iterator[int]:
    """Somebody who takes calls and never says a word."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(16)
        yield int(door.getsockname()[1])


def test_a_broker_that_says_nothing_holds_up_neither_the_webhook_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "TIMEOUT_S", 0.5)
    board = Board()
    with silent() as port, receiving() as receiver:
        more = f'webhook = "{receiver.url}"'
        state = shop(tmp_path, f'host = "127.0.0.1"\nport = {port}\ntls = false', more)
        with crowd(board, "long"), alerting(state.store, board, state.root, clock=Clock(), look_s=0.01):
            until(lambda: receiver.told)
            until(lambda: board.health()["alerts"] == {"sent": 1, "failed": 1})
        assert not [thread for thread in threading.enumerate() if thread.name == "alerts"]
    assert Broker(state.store.alerts.mqtt, state.root, "x", "y").say(LONG) is False  # type: ignore[arg-type]


def test_a_broker_of_the_house_without_tls_and_name(tmp_path: Path, mosquitto: None) -> None:
    with broker(tmp_path / "broker") as served, served.listening() as told:
        state = shop(tmp_path, f'host = "127.0.0.1"\nport = {served.port}\ntls = false\ntopic = "shops/north"')
        assert sender(state).say(Alert(Word.OVER, *LINE, "medium", 1))
        said = told.get(timeout=10)
    assert said.topic == f"shops/north/{state.store.store.id}/alerts"
    assert said.body["event"] == "queue_over"


@pytest.mark.parametrize(
    ("table", "remedy"),
    [
        ('host = "broker.example"\ntls = false', "without tls"),
        ('host = "8.8.8.8"\ntls = false', "without tls"),
        ('host = "mqtts://broker.example"', "host"),
        ('host = "*"', "host"),
        ('host = "broker.example"\nusername = "a"', "password_file"),
        ('host = "broker.example"\npassword_env = "A"', "username"),
        ('host = "broker.example"\npassword = "a"', "password"),
        ('host = "broker.example"\nusername = "a"\npassword_env = "A"\npassword_file = "b"', "keep one"),
        ('host = "broker.example"\ntopic = "a/#"', "topic"),
        ('host = "broker.example"\ntopic = "/a"', "topic"),
        ('host = "broker.example"\nport = 0', "port"),
        ('host = "127.0.0.1"\ntls = false\nauthority = "x"', "authority"),
        ("port = 8883", "host"),
    ],
)
def test_a_broker_that_is_none_or_not_sealed_is_refused_in_one_line(tmp_path: Path, table: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as found:
        shop(tmp_path, table)
    assert remedy in str(found.value)
    assert "\n" not in str(found.value)


def test_a_password_that_others_can_read_and_an_authority_that_is_none_stop_watch_with_one_line(
    tmp_path: Path, certs: tls.Made
) -> None:
    state = sealed(tmp_path, 8883, certs)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        senders(state.store, state.root)
    (tmp_path / "secret").chmod(0o600)
    for text in (None, "no certificate"):
        none = tmp_path / "none.pem"
        if text is not None:
            none.write_text(text)
        broken = shop(tmp_path / f"{text}", f'host = "broker.example"\nauthority = "{none}"')
        with pytest.raises(ConfigError, match="certificate"):
            senders(broken.store, broken.root)


def test_its_host_is_among_those_that_watch_alone_may_call(tmp_path: Path) -> None:
    state = shop(tmp_path, 'host = "broker.example"', 'webhook = "https://hooks.example/q"')
    assert {"broker.example", "hooks.example"} <= hosts_named(state)
    assert {"broker.example", "hooks.example"} <= callers(state.store)["watch"]
    assert all("broker.example" not in hosts for name, hosts in callers(state.store).items() if name != "watch")
