"""The systemd units of a shop, held against systemd's own tools: sound, and nobody is called but who is named."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

import cli
from analytics.start import init
from analytics.state import State
from retention.model import RetentionError
from retention.units import PROCESSES, addresses, callers, units
from tests.command import Place

NOW = time.time_ns() // 1000
PROGRAM = Path("/usr/bin/true")  # systemd asks whether there is such a command
MOST_EXPOSED = 2.0  # of 10, by systemd's own reckoning; "OK" begins at 2.0
SETTINGS = """
[mailbox]
url = "https://box.example/"

[alerts]
webhook = "https://hooks.example/queue"
"""
KNOWN = {"box.example": ["192.0.2.1", "2001:db8::1"], "hooks.example": ["192.0.2.2"]}


@pytest.fixture
def state(tmp_path: Path) -> State:
    init(tmp_path / "shop", now_us=NOW)
    path = tmp_path / "shop" / "store.toml"
    camera = re.sub(r'source = "[^"]*"', 'source = "rtsp://10.1.2.3/stream"', path.read_text(), count=1)
    path.write_text(camera + SETTINGS)
    return State.read(tmp_path / "shop")


def written(state: State) -> dict[str, str]:
    return units(state, PROGRAM, keys=lambda name: state.keys.with_name(name), resolve=KNOWN.__getitem__)


def allowed(unit: str) -> set[str]:
    return {word for line in re.findall(r"^IPAddressAllow=(.*)$", unit, re.MULTILINE) for word in line.split()}


def test_each_process_may_call_whom_it_calls_and_nobody_else(state: State) -> None:
    found = written(state)
    assert {name: allowed(found[f"openaisle-{name}.service"]) - {"localhost"} for name in PROCESSES} == {
        "keeper": {"192.0.2.1", "2001:db8::1"},
        "watch": {"10.1.2.3", "192.0.2.2"},
        "kiosk": set(),
        "dashboard": set(),
    }
    assert all("\nIPAddressDeny=any\n" in text for name, text in found.items() if name.endswith(".service"))


def test_a_face_model_under_home_is_in_sight_of_the_services(state: State) -> None:
    told = {}
    for model in ("/etc/openaisle/faces.onnx", "/home/shop/faces.onnx"):
        path = state.root / "store.toml"
        path.write_text(path.read_text().partition("\n[expression]")[0] + f'\n[expression]\nmodel = "{model}"\n')
        told[model] = re.findall(
            r"^ProtectHome=(.*)$", written(State.read(state.root))["openaisle-watch.service"], re.M
        )
    assert told["/home/shop/faces.onnx"] == ["read-only"]
    assert "\nProtectHome=true\n" in written(State.read(state.root))["openaisle-keeper.service"]
    assert told["/etc/openaisle/faces.onnx"] == ["true"]


def test_every_host_that_a_setting_can_name_is_somebodys(state: State) -> None:
    """A setting with a new address must be let through for the process that uses it, and for that one alone."""
    path = state.root / "store.toml"
    path.write_text(
        path.read_text() + '\n[oidc]\nissuer = "https://id.example/realm"\nclient_id = "x"\nhosts = ["keys.example"]\n'
    )
    named = callers(State.read(state.root).store)
    assert named["dashboard"] == {"id.example", "keys.example"}
    everywhere = set(re.findall(r"[a-z0-9]+\.example", path.read_text())) & {
        h for hosts in named.values() for h in hosts
    }
    assert everywhere == {"box.example", "hooks.example", "id.example", "keys.example"}


def test_pages_for_the_house_answer_the_house(state: State) -> None:
    made = state.root / "store.toml"
    made.write_text(
        made.read_text() + '\n[kiosk]\naddress = "0.0.0.0"\ncertificate = "a.pem"\ncertificate_key = "a.key"\n'
    )
    found = written(State.read(state.root))
    assert "192.168.0.0/16" in allowed(found["openaisle-kiosk.service"])
    assert "192.168.0.0/16" not in allowed(found["openaisle-watch.service"])


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = shutil.which("systemd-analyze")
    if command is None:
        assert os.environ.get("CI") != "true", "no systemd-analyze; install Debian's systemd"
        pytest.skip("no systemd-analyze here; install Debian's systemd")
    return subprocess.run([command, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


def test_systemd_takes_them_and_finds_little_to_attack(state: State, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    for name, text in written(state).items():
        (folder / name).write_text(text)
    checked = analyze("verify", *sorted(folder.iterdir()))
    ours = [line for line in checked.stderr.splitlines() if str(folder) in line or "openaisle" in line]
    assert ours == []
    for name in PROCESSES:
        told = analyze("security", "--offline=true", folder / f"openaisle-{name}.service").stdout
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        assert found is not None, told
        assert float(found[1]) <= MOST_EXPOSED


def test_a_path_with_odd_letters_stays_one_path(tmp_path: Path) -> None:
    root = tmp_path / 'a shop of 100 % "care"'
    init(root, now_us=NOW)
    path = root / "store.toml"
    path.write_text(re.sub(r'source = "[^"]*"', 'source = "usb:0"', path.read_text(), count=1))
    made = State.read(root)
    folder = tmp_path / "units"
    folder.mkdir()
    for name, text in units(made, PROGRAM, keys=lambda name: made.keys.with_name(name)).items():
        (folder / name).write_text(text)
    checked = analyze("verify", *sorted(folder.iterdir()))
    assert [line for line in checked.stderr.splitlines() if "openaisle" in line] == []
    assert '100 %% \\"care\\"' in (folder / "openaisle-keeper.service").read_text()


def test_a_host_that_nobody_knows_is_one_line() -> None:
    with pytest.raises(RetentionError, match=r"nowhere\.invalid of store\.toml cannot be looked up"):
        addresses("nowhere.invalid")


def test_the_command_writes_them_and_says_what_is_missing(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = state.root / "store.toml"
    path.write_text(path.read_text().replace(SETTINGS, ""))
    words = ["units", "--state", str(state.root), "--program", str(PROGRAM)]
    assert cli.main([*words, "--out", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "units").mkdir()
    assert cli.main([*words, "--out", str(tmp_path / "units")]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == len(PROCESSES) + 1
    assert all(f"openaisle deal {name} " in said.err for name in PROCESSES)


def test_what_is_for_the_keeper_alone_nobody_else_can_open(state: State, tmp_path: Path) -> None:
    """The processes share a group; the visits are not for it, and what the pages read is."""
    assert Place(tmp_path / "place").run("keeper", "--once", "--state", state.root).returncode == 0
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [*state.root.iterdir(), *state.released.iterdir()]}
    assert modes["visits.duckdb"] == modes["visits.duckdb.lock"] == 0o600
    assert modes["ledger.sqlite"] == 0o660
    assert modes["released"] == 0o750
    assert modes["waiting.parquet"] == 0o640
    assert modes["tmp"] == 0o770
    assert not any(mode & 0o007 for mode in modes.values())
