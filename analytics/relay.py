"""One camera, and nobody else: an RTSP client talks to loopback, and this passes it on to the one host that was named.

An RTSP server may answer "it has moved", and libav then calls whomever that answer names. Through here it cannot: all
that comes back is read, and an answer of that kind ends the connection before it is passed on.

- One host and one port are called. An `rtsps` camera is called over TLS here; its certificate is not checked, since
  cameras make their own.
- A line that begins like a status line is passed on only where it is one, and of no redirection.
- Nothing is kept.
"""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import threading
from types import TracebackType
from urllib.parse import urlsplit

PORTS = {"rtsp": 554, "rtsps": 322}
CONNECT_S = 5.0
_MARK = b"RTSP/"
_LINE = re.compile(rb"RTSP/\d\.\d(?:\r\n| [1245]\d\d)")
_LONGEST_LINE = 12  # bytes that `_LINE` may need


class Sieve:
    """Passes on what a camera sends, up to the first answer that leads elsewhere."""

    def __init__(self) -> None:
        self._held = b""

    def take(self, part: bytes) -> bytes | None:
        """Return what may be passed on, None where the connection is to be ended."""
        whole, at = self._held + part, 0
        while (at := whole.find(_MARK, at)) >= 0:
            if len(whole) - at < _LONGEST_LINE and not _LINE.match(whole, at):
                self._held = whole[at:]  # it may still become one
                return whole[:at]
            if not _LINE.match(whole, at):
                return None
            at += len(_MARK)
        keep = next((n for n in range(len(_MARK) - 1, 0, -1) if whole.endswith(_MARK[:n])), 0)
        self._held = whole[len(whole) - keep :]
        return whole[: len(whole) - keep]


def host_of(address: str) -> tuple[str, int]:
    """Return the host that an RTSP address names, and its port.

    Raises:
        ValueError: the address names no host, or no port that there is.
    """
    parts = urlsplit(address)
    if not parts.hostname or parts.scheme.lower() not in PORTS:
        raise ValueError("an RTSP address names its host")
    return parts.hostname, parts.port or PORTS[parts.scheme.lower()]


class Relay:
    """A door on loopback that leads to the host of one address; enter it to open, leave it to close.

    Args:
        address: ``rtsp://…`` or ``rtsps://…``, user and password included.

    Attributes:
        url: the same address through this door.
        elsewhere: True once the camera tried to send somebody elsewhere.

    Raises:
        ValueError: as `host_of`.
    """

    def __init__(self, address: str) -> None:
        self._host, self._port = host_of(address)
        parts = urlsplit(address)
        self._tls = parts.scheme.lower() == "rtsps"
        self._door = socket.create_server(("127.0.0.1", 0))
        user, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(scheme="rtsp", netloc=f"{user}{at}127.0.0.1:{self._door.getsockname()[1]}").geturl()
        self.elsewhere = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._door.close()

    def _serve(self) -> None:
        self._door.settimeout(0.1)
        while not self._stop.is_set():
            try:
                client, _ = self._door.accept()
            except TimeoutError:
                continue
            with client:
                self._one(client)

    def _one(self, client: socket.socket) -> None:
        try:
            camera = socket.create_connection((self._host, self._port), timeout=CONNECT_S)
            if self._tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                camera = context.wrap_socket(camera, server_hostname=self._host)
        except OSError:  # whoever waits at the other side finds that nobody answers
            return
        sieve = Sieve()
        with camera, selectors.DefaultSelector() as events:
            events.register(client, selectors.EVENT_READ)
            events.register(camera, selectors.EVENT_READ)
            try:
                while not self._stop.is_set():
                    for key, _ in events.select(0.1):
                        part = key.fileobj.recv(64 * 1024)  # type: ignore[union-attr]
                        if not part:
                            return
                        if key.fileobj is client:
                            camera.sendall(part)
                            continue
                        while isinstance(camera, ssl.SSLSocket) and camera.pending():  # no event tells of these
                            part += camera.recv(64 * 1024)
                        passed = sieve.take(part)
                        if passed is None:
                            self.elsewhere = True
                            return
                        client.sendall(passed)
            except OSError:
                return
