"""Serving pages from this process: one address and port each, until somebody says stop.

Rules:
- What was asked is written to no log: no access log, and no header that names the software.
- A port that is taken is said in one line before anything is served; two kiosks never share one.
- Nothing that forwards is believed: the client's address is that of the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from consent.events import ConsentError
from consent.logs import plain

_log = logging.getLogger(__name__)


class ServeError(ConsentError):
    """The pages cannot be served as asked."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One application at one address.

    Attributes:
        app: what answers.
        door: bound and not yet listening; see `bind`.
        certificate: PEM file with the chain for https, None for plain http.
        certificate_key: PEM file with its private key.
    """

    app: ASGIApp
    door: socket.socket
    certificate: Path | None = None
    certificate_key: Path | None = None

    def server(self) -> uvicorn.Server:
        """Return a server for it.

        Raises:
            ServeError: the certificate cannot be used.
        """
        config = uvicorn.Config(
            self.app,
            access_log=False,
            date_header=True,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            ssl_certfile=self.certificate,
            ssl_keyfile=self.certificate_key,
            timeout_graceful_shutdown=3,
            ws="none",
        )
        try:
            config.load()
        except OSError as error:  # ssl's own errors are some, too
            raise ServeError(
                f"the certificate {self.certificate} cannot be used ({error}); check both files"
            ) from error
        return uvicorn.Server(config)


def bind(address: str, port: int) -> socket.socket:
    """Return a socket bound to an address of this machine.

    Raises:
        ServeError: it is taken, or not ours.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((address, port))
        door.listen(128)  # now: a second bind succeeds until somebody listens
    except OSError as error:
        door.close()
        raise ServeError(
            f"{address} port {port} cannot be used ({error.strerror}); "
            "does another one run already? stop it, or choose another port"
        ) from error
    return door


def serve(listeners: Sequence[Listener]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        ServeError: a certificate cannot be used.
    """
    servers = [(listener.server(), listener.door) for listener in listeners]
    for listener in listeners:
        address, port = listener.door.getsockname()[:2]
        _log.info("serving %s", plain(f"http{'' if listener.certificate is None else 's'}://{address}:{port}"))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(servers))


async def _serve(servers: Sequence[tuple[uvicorn.Server, socket.socket]]) -> None:
    await asyncio.gather(*(server.serve(sockets=[door]) for server, door in servers))
