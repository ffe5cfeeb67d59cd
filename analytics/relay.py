"""One camera, and nobody else: an RTSP client talks to loopback, and this passes it on to the one host that was named.

An RTSP server may answer "it has moved", and libav then calls whomever that answer names. Through here it cannot: all
that comes back is read, and an answer of that kind ends the connection before its line is complete.

- One host and one port are called. An `rtsps` camera is called over TLS here; its certificate is not checked, since
  cameras make their own.
- Whatever libav could take for a status line counts as one, in pictures too: it drops carriage returns wherever they
  stand, and reads the status as C reads a number. A status that is not plainly 1xx, 2xx, 4xx or 5xx leads elsewhere.
- What comes is passed on at once, and nothing is kept but the line that is not over.
- Whoever else has an account on this machine is not let in: a caller is of our own user by `/proc/self/net/tcp`, or its
  connection ends before anything of it is read. The door is shut behind the first who is; libav calls once.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import ssl
import sys
import threading
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

PORTS = {"rtsp": 554, "rtsps": 322}
CONNECT_S = 5.0
_AWAY = re.compile(rb"RTSP/[^ \t\n]*[ \t]+[\v\f]*(?![1245]\d\d\D)[+-]?\d+\D")
_LINE = 4096  # bytes of a line that libav keeps
_CALLERS = Path("/proc/self/net/tcp")
_LOOKS = 3  # at that list, which is no snapshot, before somebody is taken not to be on it


class Sieve:
    """Looks at what a camera sends for the first answer that leads elsewhere."""

    def __init__(self) -> None:
        self._line = b""

    def passes(self, part: bytes) -> bool:
        """Say whether the next part may be passed on; where not, the connection is to be ended."""
        whole = self._line + part.replace(b"\r", b"")
        self._line = whole[whole.rfind(b"\n") + 1 :][-_LINE:]
        return _AWAY.search(whole) is None


def host_of(address: str) -> tuple[str, int]:
    """Return the host that an RTSP address names, and its port.

    Raises:
        ValueError: the address names no host, or no port that there is.
    """
    parts = urlsplit(address)
    if not parts.hostname or parts.scheme.lower() not in PORTS:
        raise ValueError("an RTSP address names its host")
    return parts.hostname, parts.port or PORTS[parts.scheme.lower()]


def _end(place: tuple[str, int]) -> str:
    """Return one end of a connection as the kernel writes it."""
    return f"{int.from_bytes(socket.inet_aton(place[0]), sys.byteorder):08X}:{place[1]:04X}"


def _ours(client: socket.socket) -> bool:
    """Say whether our own user is at the other end of a connection on loopback."""
    here, there = _end(client.getsockname()), _end(client.getpeername())
    for _ in range(_LOOKS):
        for line in _CALLERS.read_text().splitlines():
            words = line.split()
            if words[1:3] == [there, here]:
                # 01 is open: of an end that is closed already the kernel says user 0, whosever it was
                return words[3] == "01" and words[7] == str(os.geteuid())
    return False


def _heard(end: socket.socket) -> bytes | None:
    """Return what an end that has something says, None where that was TLS's own word or half of one."""
    patience = end.gettimeout()
    end.settimeout(0)  # who waits for the rest here hears nobody else meanwhile
    try:
        return end.recv(64 * 1024)
    except ssl.SSLWantReadError:
        return None
    finally:
        end.settimeout(patience)


class Relay:
    """A door on loopback that leads to the host of one address; enter it to open, leave it to close.

    Args:
        address: ``rtsp://…`` or ``rtsps://…``, user and password included.

    Attributes:
        url: the same address through this door.
        elsewhere: True once the camera tried to send somebody elsewhere.
        failure: why it could not be called, the last time that it could not.

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
        self.failure: OSError | None = None
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
                try:
                    if not _ours(client):
                        continue
                except OSError as error:  # who it is cannot be told
                    self.failure = error
                    continue
                self._door.close()
                self._one(client)
                return

    def _one(self, client: socket.socket) -> None:
        try:
            camera = socket.create_connection((self._host, self._port), timeout=CONNECT_S)
            if self._tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                camera = context.wrap_socket(camera, server_hostname=self._host)
        except OSError as error:  # whoever waits at the other side finds that nobody answers
            self.failure = error
            return
        for one in (client, camera):  # what comes in small parts is not to wait for more
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sieve = Sieve()
        with camera, selectors.DefaultSelector() as events:
            events.register(client, selectors.EVENT_READ)
            events.register(camera, selectors.EVENT_READ)
            try:
                while not self._stop.is_set():
                    for key, _ in events.select(0.1):
                        part = _heard(client if key.fileobj is client else camera)
                        if part is None:
                            continue
                        if not part:
                            return
                        if key.fileobj is client:
                            camera.sendall(part)
                            continue
                        while isinstance(camera, ssl.SSLSocket) and camera.pending():  # no event tells of these
                            part += camera.recv(64 * 1024)
                        if not sieve.passes(part):
                            self.elsewhere = True
                            return
                        client.sendall(part)
            except OSError:
                return
