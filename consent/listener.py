"""Serves a page from this process, over TLS where there is a certificate, until somebody says stop.

Rules:
- Beside TLS there is no plain port: whoever speaks http to it is cut off before a byte of theirs is read as a request.
- No access log, no server name, nothing believed about forwarded addresses.
- A port that is taken is said in one line before anything is served; two never share one.
- A stranger's connection is closed `PATIENCE_S` after it began, whatever it is doing: pages are small, and a few slow
  or silent callers must not keep the others out.
- A renewed certificate is taken up within a minute, without a restart.

What the pages say is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from consent.events import ConsentError

PATIENCE_S = 30.0
MOST_CALLERS = 256  # at once; ours, far above the phones in one shop
_LOOK_TICKS = 600  # ticks of a tenth of a second between two looks at the certificate
_log = logging.getLogger(__name__)


class ListenError(ConsentError):
    """The listener cannot start."""


class _Impatient(H11Protocol):
    """Gives every caller the same short time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end = self.loop.call_later(PATIENCE_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)


class Listener(uvicorn.Server):
    """One port of this machine.

    Args:
        app: what is served.
        address: of this machine on which it listens.
        port: 0 lets the system choose; `port` then says which.
        stop: ends it.
        certificate: PEM file with the certificate and its chain, None for plain http.
        key: PEM file with its private key.
        strangers: whoever calls is not known, gets a short time, and is one of `MOST_CALLERS` at most.

    Raises:
        ListenError: certificate or key are missing or do not fit together.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        address: str,
        port: int,
        stop: threading.Event,
        certificate: Path | None = None,
        key: Path | None = None,
        strangers: bool = True,
    ) -> None:
        self._certificate, self._key, self._stop = certificate, key, stop
        self._seen = self._stamp()
        config = uvicorn.Config(
            app,
            host=address,
            port=port,
            http=_Impatient if strangers else H11Protocol,
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CALLERS if strangers else None,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=3,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise ListenError(
                f"{certificate} and {key} are not a certificate and its key ({error.strerror or error}); "
                "make both with `openaisle tls`"
            ) from error
        super().__init__(config)

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever made `stop`."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look whether to stop, and now and then whether the certificate was renewed."""
        if counter % _LOOK_TICKS == 0:
            self.follow()
        return self._stop.is_set() or await super().on_tick(counter)

    def follow(self) -> None:
        """Take up a certificate that was renewed; one that does not fit its key yet is tried again later."""
        stamp = self._stamp()
        if stamp == self._seen or self.config.ssl is None or self._certificate is None:
            return
        try:
            self.config.ssl.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            _log.warning("the renewed certificate is not used yet: %s", error)
            return
        self._seen = stamp

    def _stamp(self) -> tuple[tuple[int, int], ...] | None:
        try:
            found = [path.stat() for path in (self._certificate, self._key) if path is not None]
        except OSError:
            return None
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in found)

    def serve_here(self, *, on_ready: Callable[[], None] | None = None) -> None:
        """Serve until told to stop.

        Raises:
            ListenError: the port is taken or not allowed.
        """

        async def main(door: socket.socket) -> None:
            telling = None if on_ready is None else asyncio.create_task(self._tell(on_ready))
            await self.serve(sockets=[door])
            if telling is not None:
                telling.cancel()

        with _bind(self.config.host, self.config.port) as door:
            asyncio.run(main(door))

    async def _tell(self, on_ready: Callable[[], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.02)
        on_ready()


def _bind(address: str, port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((address, port))
        door.listen(128)  # now: a second bind succeeds until somebody listens
    except OSError as error:
        door.close()
        raise ListenError(
            f"{address} port {port} cannot be listened on ({error.strerror}); "
            "does another one run already? stop it, or choose another port"
        ) from error
    return door
