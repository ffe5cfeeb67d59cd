"""systemd units for one shop: each process under a user of its own, with no more of the machine than it needs.

Rules:
- Nobody is called but whom `store.toml` names: the kernel refuses everything else (`IPAddressDeny=any`). A name is
  looked up once, when the units are made, since the kernel knows numbers only; make them again when one changes.
- A process can write the state directory and nothing else; the keeper the journal, too. What is for one process alone,
  such as the visits, has a mode of its own there.
- Memory that holds pictures, codes and keys goes to no swap and no core dump.

Pure but for the looking up of names: text comes out, and whoever asked writes it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from analytics.config import StoreFile
from analytics.state import State
from retention.model import RetentionError

GROUP = "openaisle"
TARGET = "openaisle.target"
_HOUSE = ("link-local", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")  # whom it answers, not calls
PROCESSES = ("keeper", "watch", "kiosk", "dashboard")


@dataclass(frozen=True, slots=True)
class _Needs:
    """What one process needs beyond the state directory."""

    about: str
    journal: bool = False
    devices: bool = False
    jit: bool = False  # memory that is written and then run: the parts that compute on pictures need it


_NEEDS = {
    "keeper": _Needs("loads visits, erases what is due, releases figures", journal=True),
    "watch": _Needs("turns pictures into visits", devices=True, jit=True),
    "kiosk": _Needs("the page at the entrance", jit=True),  # the smile page computes on a picture
    "dashboard": _Needs("the pages of the staff"),
}


def units(
    state: State,
    program: Path,
    *,
    keys: Callable[[str], Path],
    resolve: Callable[[str], Iterable[str]] | None = None,
) -> dict[str, str]:
    """Return the text of each unit by its file name.

    Args:
        state: of the shop.
        program: the `openaisle` command, an absolute path.
        keys: returns where the keys of a process lie.
        resolve: returns the addresses of a host; the system's own way where None.

    Raises:
        RetentionError: a host that `store.toml` names cannot be looked up.
    """
    resolve = resolve or addresses
    called = {name: _allowed(hosts, resolve) for name, hosts in callers(state.store).items()}
    found = {
        f"openaisle-{name}.service": _service(name, state, program, keys(name), called[name]) for name in PROCESSES
    }
    wants = " ".join(found)
    return found | {
        TARGET: f"[Unit]\nDescription=openaisle: {_plain(state.store.store.name)}\nWants={wants}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    }


def callers(store: StoreFile) -> dict[str, set[str]]:
    """Return which hosts each process calls, as `store.toml` names them."""
    outside: dict[str, list[str | None]] = {
        "keeper": [store.mailbox.url],
        "watch": [c.source for c in store.camera if "://" in c.source],
        "kiosk": [],
        "dashboard": [store.oidc.issuer],
    }
    named = {name: {h for url in urls if url and (h := urlsplit(url).hostname)} for name, urls in outside.items()}
    named["watch"] |= set(store.alerts.hosts)
    return named | {"dashboard": named["dashboard"] | (set(store.oidc.hosts) if store.oidc.issuer else set())}


def serves(store: StoreFile, name: str) -> str:
    """Return the address at which a process answers."""
    return str({"kiosk": store.kiosk.address, "dashboard": store.dashboard.address}.get(name, "127.0.0.1"))


def addresses(host: str) -> list[str]:
    """Look a host up.

    Raises:
        RetentionError: it is not known.
    """
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        raise RetentionError(f"{host} of store.toml cannot be looked up; do this where it can be") from error


def _allowed(hosts: Iterable[str], resolve: Callable[[str], Iterable[str]]) -> list[str]:
    found: list[str] = []
    for host in sorted(hosts):
        try:
            found.append(str(ip_address(host)))
        except ValueError:
            found += resolve(host)
    return found


def _service(name: str, state: State, program: Path, keys: Path, called: Iterable[str]) -> str:
    needs = _NEEDS[name]
    root = state.root.resolve()
    house = [] if ip_address(serves(state.store, name)).is_loopback else ["IPAddressAllow=" + " ".join(_HOUSE)]
    faces = state.store.expression.file(root) if name in {"watch", "kiosk"} else None  # no other process reads them
    read = [path for path in (root, keys, program, faces) if path is not None]
    writable = [root, *([state.journal.resolve()] if needs.journal else [])]
    lines = [
        "[Unit]",
        f"Description=openaisle {name}: {needs.about}",
        f"PartOf={TARGET}",
        "After=network-online.target time-sync.target" + ("" if name == "keeper" else " openaisle-keeper.service"),
        "Wants=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"User=openaisle-{name}",
        f"Group={GROUP}",
        "UMask=0077" if name == "keeper" else "UMask=0007",
        f"ExecStart={_quoted(program)} {name} --state {_quoted(root)} --keys {_quoted(keys.resolve())}",
        "Environment=OPENAISLE_LOG=json HOME=/nonexistent",
        "Restart=always" if name != "watch" else "Restart=on-failure",
        "RestartSec=1",
        "TimeoutStopSec=60",
        "KillMode=mixed",
        "",
        "# who it may call: " + (", ".join(called) or "nobody"),
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        *(f"IPAddressAllow={address}" for address in called),
        *house,
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6" + (" AF_NETLINK" if name == "watch" else ""),
        "",
        "# what it may touch",
        "ProtectSystem=strict",
        "ProtectHome=true" if not _below(("/home", "/root"), read) else "ProtectHome=read-only",
        *(f"ReadWritePaths={_quoted(path)}" for path in writable),
        "PrivateTmp=true",
        "PrivateDevices=true" if not needs.devices else "DevicePolicy=closed",
        *(["DeviceAllow=char-video4linux rw", "SupplementaryGroups=video"] if needs.devices else []),
        "PrivateMounts=true",
        "ProtectProc=invisible",
        "ProcSubset=pid" if not needs.jit else "ProcSubset=all",
        "ProtectClock=true",
        "ProtectHostname=true",
        "ProtectKernelLogs=true",
        "ProtectKernelModules=true",
        "ProtectKernelTunables=true",
        "ProtectControlGroups=true",
        "NoNewPrivileges=true",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "RestrictNamespaces=true",
        "RestrictRealtime=true",
        "RestrictSUIDSGID=true",
        "LockPersonality=true",
        "RemoveIPC=true",
        *([] if needs.jit else ["MemoryDenyWriteExecute=true"]),
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources" if not needs.jit else "SystemCallFilter=~@privileged",
        "SystemCallErrorNumber=EPERM",
        "",
        "# what memory holds is written nowhere",
        "MemorySwapMax=0",
        "LimitCORE=0",
        "",
        "[Install]",
        f"WantedBy={TARGET}",
        "",
    ]
    return "\n".join(lines)


def _below(roots: Iterable[str], paths: Iterable[Path]) -> bool:
    return any(path.resolve().is_relative_to(root) for path in paths for root in roots)


def _quoted(path: Path | str) -> str:
    """Write a path as systemd reads it: its own signs doubled, in quotes where there is a blank."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return f'"{text}"' if any(c.isspace() for c in text) else text


def _plain(name: str) -> str:
    return name.replace("%", "%%")
