"""What doctor says of egress is what the machine does: units that are old, and a kernel that holds nobody to them."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from ipaddress import ip_network
from pathlib import Path

import pytest

from analytics.start import init
from analytics.state import State
from retention import egress
from retention.doctor import Finding, Grade, _egress
from retention.units import PROCESSES

LOOPBACK = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))
HOUSE = '\n[kiosk]\naddress = "192.168.7.2"\ncertificate = "a.pem"\ncertificate_key = "a.key"\n'


@pytest.fixture
def shop(tmp_path: Path) -> State:
    init(tmp_path / "shop", now_us=time.time_ns() // 1000)
    path = tmp_path / "shop" / "store.toml"
    path.write_text(re.sub(r'source = "[^"]*"', 'source = "rtsp://10.1.2.3/stream"', path.read_text(), count=1) + HOUSE)
    return State.read(tmp_path / "shop")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that stand before those of the machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def command(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o700)


def systemctl(folder: Path, *, deny: str, allow: str) -> None:
    command(
        folder, "systemctl", f'case "$*" in *IPAddressDeny*) echo "{deny}";; *IPAddressAllow*) echo "{allow}";; esac'
    )


def systemd_run(folder: Path, before: str = "") -> None:
    """Let a unit be run as the options say, or as if nobody heeded them."""
    command(folder, "systemd-run", f'while [ "${{1#--}}" != "$1" ]; do shift; done; exec {before} "$@"')


def test_who_is_in_store_toml_and_not_in_the_units_is_named(shop: State) -> None:
    everybody = dict.fromkeys(PROCESSES, LOOPBACK)
    assert list(egress.lacking(shop.store, everybody)) == [("watch", "10.1.2.3"), ("kiosk", "anybody at 192.168.7.2")]
    enough = everybody | {
        "watch": (*LOOPBACK, ip_network("10.1.2.3/32")),
        "kiosk": (*LOOPBACK, ip_network("192.168.0.0/16")),
    }
    assert list(egress.lacking(shop.store, enough)) == []


def test_a_machine_that_holds_nobody_to_it_is_found_out_by_trying(system: Path) -> None:
    command(system, "systemd-run", "exit 1")  # no systemd runs here, or this is not root
    assert egress.kept() is None
    systemd_run(system)
    assert egress.kept() is False


def test_a_machine_that_refuses_is_believed_once_it_did(system: Path) -> None:
    without = ("unshare", "--map-root-user", "--net")
    if shutil.which("unshare") is None or subprocess.run([*without, "true"], check=False).returncode:
        pytest.skip("no process can be taken off the network here")
    systemd_run(system, " ".join(without))
    assert egress.kept() is True


def test_no_systemd_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert egress.kept() is None


def findings(shop: State) -> list[Finding]:
    return list(_egress(shop))


def test_doctor_says_which_of_them_it_is(shop: State, system: Path) -> None:
    systemctl(system, deny="", allow="")
    (found,) = findings(shop)
    assert (found.grade, "10.1.2.3" in found.found) == (Grade.MIND, True)
    systemctl(system, deny="::/0 0.0.0.0/0", allow="::1/128 127.0.0.0/8")
    systemd_run(system)
    *old, broken = findings(shop)
    assert [one.grade for one in (*old, broken)] == [Grade.WRONG] * 3
    assert [re.findall(r"unit of (\w+)", one.found) for one in old] == [["watch"], ["kiosk"]]
    assert all("openaisle units" in one.do for one in old)
    assert "does not hold" in broken.found
    systemctl(system, deny="::/0 0.0.0.0/0", allow="::1/128 127.0.0.0/8 10.1.2.3/32 192.168.0.0/16")
    command(system, "systemd-run", f"exit {egress._KEPT}")
    (fine,) = findings(shop)
    assert (fine.grade, "was tried" in fine.found) == (Grade.FINE, True)
