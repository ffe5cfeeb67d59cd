"""Serves a page over TLS, or not at all.

Rules:
- There is no plain port. Whoever speaks http to this one is cut off before a byte of theirs is read as a request.
- No access log, no server name, nothing believed about forwarded addresses.
- A connection is closed `PATIENCE_S` after it began, whatever it is doing: pages are small, and a few slow or silent
  callers must not keep the others out.
- A renewed certificate is taken up within a minute, without a restart.

What the pages say is not known here.
"""

from __future__ import annotations

import asyncio
import logging
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
    """One TLS listener.

    Args:
        app: what is served.
        address: of this machine on which it listens.
        port: 0 lets the system choose; `port` then says which.
        certificate: PEM file with the certificate and its chain.
        key: PEM file with its private key.
        stop: ends it.

    Raises:
        ListenError: certificate or key are missing or do not fit together.
    """

    def __init__(
        self, app: ASGIApp, *, address: str, port: int, certificate: Path, key: Path, stop: threading.Event
    ) -> None:
        self._files, self._stop = (certificate, key), stop
        self._seen = self._stamp()
        config = uvicorn.Config(
            app,
            host=address,
            port=port,
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CALLERS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=3,
            ssl_certfile=str(certificate),
            ssl_keyfile=str(key),
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
        if stamp == self._seen or self.config.ssl is None:
            return
        try:
            self.config.ssl.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            _log.warning("the renewed certificate is not used yet: %s", error)
            return
        self._seen = stamp

    def _stamp(self) -> tuple[tuple[int, int], ...] | None:
        try:
            found = [path.stat() for path in self._files]
        except OSError:
            return None
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in found)

    def serve_here(self, *, on_ready: Callable[[], None] | None = None) -> None:
        """Serve until told to stop.

        Raises:
            ListenError: the port is taken or not allowed.
        """

        async def main() -> None:
            if on_ready is not None:
                waiting = asyncio.create_task(self._tell(on_ready))
                await self.serve()
                waiting.cancel()
            else:
                await self.serve()

        try:
            asyncio.run(main())
        except SystemExit as error:  # uvicorn's word for a port that it cannot have
            where = f"{self.config.host}:{self.config.port}"
            raise ListenError(f"{where} cannot be listened on; is the port taken? choose another") from error

    async def _tell(self, on_ready: Callable[[], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.02)
        on_ready()
