"""A real MQTT broker on loopback: Debian's mosquitto in a process of its own, with TLS and a password where wanted.

with broker(tmp_path, certs=made, password="...") as served:
    with served.listening() as told:      # whatever anybody says on any topic, from then on
        ...
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from consent.tls import Made

USER = "openaisle"
START_S = 20.0


def missing() -> str | None:
    """Say what keeps the broker from running here; None where nothing does."""
    return None if _mosquitto() else "no mosquitto; install it, and mosquitto_passwd with it"


def _mosquitto() -> str | None:
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True, slots=True)
class Said:
    """What a broker passed on."""

    topic: str
    body: Any
    qos: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Served:
    """A broker at work."""

    port: int
    certs: Made | None
    password: str | None
    log: Path

    @contextmanager
    def listening(self) -> Iterator[queue.Queue[Said]]:
        """Yield what is said on any topic; the broker confirmed the subscription before the block begins."""
        told: queue.Queue[Said] = queue.Queue()
        ready: queue.Queue[None] = queue.Queue()
        client = paho.Client(CallbackAPIVersion.VERSION2)
        if self.certs is not None:
            client.tls_set_context(ssl.create_default_context(cafile=self.certs.authority))
        if self.password is not None:
            client.username_pw_set(USER, self.password)
        client.on_connect = lambda c, *_: c.subscribe("#", qos=2)
        client.on_subscribe = lambda *_: ready.put(None)
        client.on_message = lambda _c, _u, m: told.put(Said(m.topic, json.loads(m.payload), m.qos, bool(m.retain)))
        client.connect("localhost", self.port)
        client.loop_start()
        try:
            ready.get(timeout=START_S)
            yield told
        finally:
            client.disconnect()
            client.loop_stop()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def broker(
    root: Path, *, port: int | None = None, certs: Made | None = None, password: str | None = None
) -> Iterator[Served]:
    """Run a broker until the block ends.

    Args:
        root: an empty folder for its files.
        port: a free one by default.
        certs: it speaks TLS with these.
        password: of `USER`; anybody may come where None.
    """
    port = port or free_port()
    root.mkdir(parents=True, exist_ok=True)
    lines = [f"listener {port} 127.0.0.1", "persistence false", f"allow_anonymous {str(password is None).lower()}"]
    lines += ["log_dest stderr", f"user {'root' if os.geteuid() == 0 else ''}".strip()]
    if certs is not None:
        lines += [f"certfile {certs.certificate}", f"keyfile {certs.key}", "tls_version tlsv1.2"]
    if password is not None:
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", str(root / "passwords"), USER, password], check=True, capture_output=True
        )
        lines.append(f"password_file {root / 'passwords'}")
    (root / "mosquitto.conf").write_text("\n".join(line for line in lines if line != "user") + "\n")
    log = root / "log"
    with log.open("wb") as out:
        words = [str(_mosquitto()), "-c", str(root / "mosquitto.conf"), "-v"]
        process = subprocess.Popen(words, stdout=out, stderr=out)
        try:
            _wait(process, port, log)
            yield Served(port, certs, password, log)
        finally:
            process.terminate()
            process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        else:
            return
