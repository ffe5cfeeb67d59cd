"""A page of ours behind real TLS on this machine, and a caller that checks its certificate."""

from __future__ import annotations

import html
import http.client
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from starlette.types import ASGIApp

from consent import tls
from consent.listener import Listener

NAME = "localhost"


@dataclass(slots=True)
class Answer:
    """What a page answered."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def shown(self) -> str:
        """The text as a browser shows it."""
        return html.unescape(self.text)


@dataclass(slots=True)
class Served:
    """A listener at work."""

    port: int
    made: tls.Made
    listener: Listener = field(repr=False)

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            NAME, self.port, timeout=10, context=ssl.create_default_context(cafile=str(self.made.authority))
        )

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        caller = self.connect()
        try:
            sent = dict(headers or {})
            if form is not None:
                body = urlencode(form).encode()
                sent.setdefault("content-type", "application/x-www-form-urlencoded")
                sent.setdefault("origin", self.url)
            caller.request(method, path, body=body, headers=sent)
            answer = caller.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            caller.close()


def certificate(directory: Path) -> tls.Made:
    return tls.make(directory, [NAME, "127.0.0.1"], now=datetime.now(UTC))


@contextmanager
def serve(app: ASGIApp, made: tls.Made, port: int = 0) -> Iterator[Served]:
    """Serve an application until the block ends."""
    stop, ready = threading.Event(), threading.Event()
    listener = Listener(app, address="127.0.0.1", port=port, certificate=made.certificate, key=made.key, stop=stop)
    thread = threading.Thread(target=listener.serve_here, kwargs={"on_ready": ready.set}, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield Served(listener.port, made, listener)
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
