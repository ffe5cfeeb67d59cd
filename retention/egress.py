"""Whom the machine lets a shop call: asked of systemd, held against `store.toml`, and tried.

Units say whom a process may call, and two things can make that untrue: they are older than `store.toml`, or the kernel
does not do what they say (no cgroup v2, no BPF, as in many containers), of which systemd tells nobody. So it is tried:
a unit that may call nobody calls us. Nobody else is called.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from analytics.config import StoreFile
from retention.model import RetentionError
from retention.units import PROCESSES, addresses, callers, serves

Networks = tuple[IPv4Network | IPv6Network, ...]
_KEPT, _CALLED = 7, 8  # how the one that tries ends
_TRY = (
    "import socket, sys\ntry: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)\n"
    f"except OSError: sys.exit({_KEPT})\nsys.exit({_CALLED})"
)
_WAIT_S = 30.0


def listed(ask: Callable[..., str | None]) -> dict[str, Networks] | None:
    """Return whom each process may call by the units that systemd has loaded; None where they refuse nobody.

    Args:
        ask: runs a command of the system and returns what it says, None where there is none.
    """
    found = {}
    for name in PROCESSES:
        show = ("systemctl", "show", f"openaisle-{name}.service", "--value")
        if not ask(*show, "--property=IPAddressDeny"):
            return None
        found[name] = tuple(map(ip_network, (ask(*show, "--property=IPAddressAllow") or "").split()))
    return found


def lacking(store: StoreFile, allowed: dict[str, Networks]) -> Iterator[tuple[str, str]]:
    """Yield (process, whom it cannot reach) of everybody whom `store.toml` names and the units do not."""
    for name, hosts in callers(store).items():
        for host in sorted(hosts):
            try:
                known = addresses(host)
            except RetentionError:
                continue  # whoever needs it says so
            if not any(ip_address(one) in network for one in known for network in allowed[name]):
                yield name, host
    for name in ("kiosk", "dashboard"):
        at = ip_address(serves(store, name))
        if not any(at in network for network in allowed[name]) and not at.is_unspecified:
            yield name, f"anybody at {at}"


def kept() -> bool | None:
    """Try whether a unit that may call nobody is kept from calling; None where that cannot be tried here."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        words = ("systemd-run", "--quiet", "--wait", "--collect", "--property=IPAddressDeny=any", sys.executable)
        try:
            done = subprocess.run(
                [*words, "-c", _TRY, str(door.getsockname()[1])], capture_output=True, timeout=_WAIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    return {_KEPT: True, _CALLED: False}.get(done.returncode)
