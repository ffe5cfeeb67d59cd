"""What `openaisle doctor` finds: each fault is made, found and told with its remedy; and looking changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cli
from analytics import models, reading
from analytics.config import ConfigError
from analytics.shopfloor import record
from analytics.start import init
from analytics.state import State
from analytics.watch import check
from consent.events import Level
from consent.keys import Role
from retention import doctor
from retention.doctor import Finding, Grade
from retention.keeper import Keeper

NOW = 1_795_000_000_000_000
CLIP = record.HERE / record.CLIP


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A shop that a keeper swept, whose camera is a film, on a machine without faults."""
    init(tmp_path / "shop", now_us=NOW)
    write(tmp_path / "shop", lambda text: re.sub(r'source = "[^"]*"', f'source = "{CLIP}"', text, count=1))
    state = State.read(tmp_path / "shop")
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        keeper.run_once(NOW)
    for name, text in {"swaps": "Filename Type\n", "sys/kernel/core_pattern": "core"}.items():
        (tmp_path / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / name).write_text(text)
    monkeypatch.setattr(doctor, "PROC", tmp_path / "proc")
    monkeypatch.setattr(doctor, "SYS", tmp_path / "sys")
    return state


def write(root: Path, change: Callable[[str], str]) -> None:
    """Change `store.toml`."""
    path = root / "store.toml"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def examined(state: State, now_us: int = NOW + 1_000_000) -> list[Finding]:
    return list(doctor.examine(State.read(state.root), now_us))


def wrong(state: State, now_us: int = NOW + 1_000_000) -> dict[str, Finding]:
    return {one.what: one for one in examined(state, now_us) if one.grade is Grade.WRONG}


def test_a_sound_shop_has_nothing_wrong_and_looking_changes_nothing(shop: State, tmp_path: Path) -> None:
    def files() -> dict[str, tuple[int, bytes]]:
        return {
            str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).digest())
            for p in tmp_path.rglob("*")
            if p.is_file() and p.suffix not in {".sqlite-shm", ".sqlite-wal"}  # SQLite's own, by reading
        }

    before = files()
    found = examined(shop)
    assert wrong(shop) == {}
    assert doctor.verdict(found) is None
    assert files() == before
    looked_at = {one.what for one in found}
    assert looked_at >= {"model person", "OpenCV", "permissions", "keys", "ledger", "clock", "keeper", "swap", "egress"}
    assert all(one.do for one in found if one.grade is not Grade.FINE)


def test_a_video_file_is_for_watch_with_a_start_alone(shop: State) -> None:
    found = [one for one in examined(shop) if one.what == "camera entrance" and one.grade is Grade.MIND]
    assert any("openaisle watch --start TIME" in one.do and "`openaisle up` refuses it" in one.found for one in found)
    with pytest.raises(ConfigError, match=rf"openaisle watch --state {re.escape(str(shop.root))} --start 20"):
        check(shop)


def test_a_changed_model(shop: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(models.WEIGHTS, weights)
    file = weights / "person" / "person.bin"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    real = models.models
    monkeypatch.setattr(models, "models", lambda catalogue, where: real(catalogue, where, weights))
    assert set(wrong(shop)) == {"model person"}


def test_a_face_model_of_the_shops_own(shop: State, tmp_path: Path) -> None:
    def found(model: object) -> Finding:
        write(shop.root, lambda text: text.partition("\n[expression]")[0] + f'\n[expression]\nmodel = "{model}"\n')
        (one,) = (f for f in examined(shop) if f.what == "own expression model")
        return one

    assert found(reading.OWN).grade is Grade.FINE
    assert found(CLIP).grade is Grade.WRONG
    gone = found("gone.onnx")
    assert gone.found == f"no expression model at {shop.root}/gone.onnx"
    assert "[expression]" in gone.do


def test_two_wheels_of_opencv(shop: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name.startswith("opencv-python"))
    assert "opencv-python and opencv-python-headless" in wrong(shop)["OpenCV"].found


def test_what_is_open_to_everybody(shop: State) -> None:
    shop.root.chmod(0o755)
    shop.ledger.chmod(0o644)
    assert str(shop.ledger) in wrong(shop)["permissions"].found
    shop.root.chmod(0o700)
    assert wrong(shop) == {}, "nobody else comes as far as to it"


def test_keys_that_are_not_there(shop: State) -> None:
    shutil.move(shop.keys, shop.keys.with_name("elsewhere"))
    assert set(wrong(shop)) == {"keys"}


def test_a_level_that_the_log_does_not_allow(shop: State) -> None:
    write(shop.root, lambda text: text.replace('level = "counts"', 'level = "emotion"'))
    assert next(one for one in examined(shop) if one.what == "ledger").grade is not Grade.FINE


def test_a_level_under_which_people_could_say_yes_and_no_pad_to_say_it_on(shop: State) -> None:
    assert "pad" not in wrong(shop), "at level counts nobody is asked"
    write(shop.root, lambda text: text.replace('level = "counts"', 'level = "dwell"'))
    with State.read(shop.root).open_ledger(Role.ADMIN) as ledger:
        ledger.set_level(Level.DWELL, now_us=NOW, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=b"d" * 32)
    assert "draw a zone of kind pad" in wrong(shop)["pad"].do
    pad = '[[camera.zone]]\nname = "pad"\nkind = "pad"\npolygon = [[20, 20], [60, 20], [60, 60], [20, 60]]\n'
    write(shop.root, lambda text: text + pad)
    assert "pad" not in wrong(shop)


def test_a_table_of_levels_that_does_not_fit_the_log(shop: State) -> None:
    with contextlib.closing(sqlite3.connect(shop.ledger)) as file:
        file.execute("INSERT INTO levels (level, leaf) VALUES ('emotion', 999)")
        file.commit()
    found = wrong(shop)["ledger"]
    assert "table says level emotion, its log counts" in found.found
    assert found.do


@pytest.mark.parametrize(
    ("now_us", "what"),
    [(NOW - 3_600_000_000, "clock"), (NOW + 3_600_000_000, "keeper")],
    ids=["a clock that went back", "a keeper that stands still"],
)
def test_time_that_does_not_fit(shop: State, now_us: int, what: str) -> None:
    assert set(wrong(shop, now_us)) == {what}


def test_what_the_keeper_could_not_do(shop: State) -> None:
    path = shop.root / "keeper.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"unnamed": "visits.duckdb: table diary"}))
    assert "table diary" in wrong(shop)["keeper"].found


def test_a_disk_that_is_nearly_full(shop: State, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100 << 20))
    assert "100 MiB free" in wrong(shop)["disk of the state directory"].found


@pytest.mark.parametrize(
    ("device", "uuid", "told"),
    [
        ("/dev/sda2", "", True),
        ("/dev/dm-0", "CRYPT-PLAIN-swap", False),
        ("/dev/dm-1", "LVM-x", True),
        ("/dev/zram0", "", False),
    ],
)
def test_swap_that_keeps_what_memory_held(shop: State, device: str, uuid: str, told: bool) -> None:
    (doctor.PROC / "swaps").write_text(f"Filename Type Size Used Priority\n{device} partition 100 0 -2\n")
    if uuid:
        place = doctor.SYS / "block" / Path(device).name / "dm"
        place.mkdir(parents=True)
        (place / "uuid").write_text(uuid)
    assert ("swap" in wrong(shop)) is told


def test_cameras(shop: State) -> None:
    write(shop.root, lambda text: text.replace(str(CLIP), "/nowhere/at-all.mp4"))
    assert set(wrong(shop)) == {"camera entrance"}
    write(shop.root, lambda text: text.replace("/nowhere/at-all.mp4", str(CLIP)))
    beyond = [one for one in examined(shop) if "reaches beyond its picture" in one.found]
    assert [one.grade for one in beyond] == [Grade.MIND], "the template's zone is as large as any picture"
    write(shop.root, lambda text: text.replace("[[0, 0],", "[[2000, 0],").replace("[0, 4320]]", "[2000, 4320]]"))
    assert "outside its picture" in wrong(shop)["camera entrance"].found
    mask = "masks = [[[2000, 0], [2100, 0], [2100, 90]]]\n"
    write(shop.root, lambda text: text.replace("[[2000, 0],", "[[0, 0],").replace("[2000, 4320]]", "[0, 4320]]"))
    write(shop.root, lambda text: text.replace("[[camera.zone]]", f"{mask}[[camera.zone]]", 1))
    assert "mask 1 lies outside its picture" in wrong(shop)["camera entrance"].found
    write(shop.root, lambda text: text[: text.index("[[camera]]")])
    assert set(wrong(shop)) == {"cameras"}


def test_who_is_called_is_named(shop: State) -> None:
    extra = '\n[mailbox]\nurl = "https://box.example/"\n\n[alerts]\nwebhook = "https://hooks.example/queue"\n'
    write(shop.root, lambda text: text + extra)
    assert doctor.hosts_named(State.read(shop.root)) == {"box.example", "hooks.example"}


def test_the_command_ends_with_2_where_something_is_wrong(shop: State, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["doctor", "--state", str(shop.root), "--json"]
    write(shop.root, lambda text: text.replace(str(CLIP), "/nowhere/at-all.mp4"))
    assert cli.main(words) == 2
    said = capsys.readouterr()
    told: list[dict[str, Any]] = json.loads(said.out)["findings"]
    assert "camera entrance" in {one["what"] for one in told if one["grade"] == "wrong"}
    assert said.err.count("\n") == 1
    assert "to mend before this shop opens" in said.err
