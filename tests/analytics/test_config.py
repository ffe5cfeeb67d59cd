"""What people write: read as meant, or refused in one line that says where and what to do."""

from __future__ import annotations

import os
import time
import tomllib
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics import tables
from analytics.config import ConfigError, StoreFile, read_store, read_zones
from analytics.start import init, template
from analytics.state import State, keys_beside
from analytics.tables import LONGEST
from analytics.zones import Shelf, ZoneKind
from consent.events import DEFAULT_TERM, ConsentError, EventKind, Level, Purpose
from consent.keys import Role

NOON = 1_790_000_000_000_000
SECOND = 1_000_000

SHOP = """
[store]
name = "Main Street"
id = "main-street"
timezone = "Europe/Berlin"
"""
ZONE = """
[[camera.zone]]
name = "coffee"
kind = "product"
polygon = [[0, 0], [100, 0], [100, 100], [0, 100]]
"""
CAMERA = '[[camera]]\nname = "entrance"\nsource = "rtsp://viewer@192.0.2.10/stream"\n'
ZONES = ZONE.replace("camera.zone", "zone")


def store(tmp_path: Path, text: str) -> StoreFile:
    path = tmp_path / "store.toml"
    path.write_text(text, encoding="utf-8")
    return read_store(path)


def refusal(tmp_path: Path, text: str) -> str:
    """Return the line with which a store.toml is refused, without the file's name."""
    with pytest.raises(ConfigError) as refused:
        store(tmp_path, text)
    line = str(refused.value)
    assert "\n" not in line
    assert line.startswith(str(tmp_path / "store.toml"))
    return line


# --- store.toml -------------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_as_private_as_works(tmp_path: Path) -> None:
    shop = store(tmp_path, SHOP)
    assert shop.store.level is Level.COUNTS
    assert shop.camera == ()
    assert shop.terms.days() == DEFAULT_TERM
    assert shop.kiosk.allowed_hosts == ("localhost", "127.0.0.1")
    assert shop.is_open(NOON)


def test_a_camera_has_zones_masks_and_ground_as_a_zone_file_has(tmp_path: Path) -> None:
    ground = (
        "[camera.ground]\nimage = [[0, 0], [10, 0], [10, 10], [0, 10]]\nmetres = [[0, 0], [1, 0], [1, 1], [0, 1]]\n"
    )
    text = SHOP + CAMERA + "fps = 12.5\nmasks = [[[0, 0], [5, 0], [5, 5]]]\n" + ground + ZONE
    (camera,) = store(tmp_path, text).camera
    assert (camera.name, camera.fps, camera.masks) == ("entrance", 12.5, (((0, 0), (5, 0), (5, 5)),))
    assert camera.floor().locate(5, 5) == pytest.approx((0.5, 0.5))
    assert [(zone.name, zone.kind) for zone in camera.zones()] == [("coffee", ZoneKind.PRODUCT)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SHOP.replace("timezone", "timezon"), "unknown key 'store.timezon'; did you mean 'timezone'?"),
        (SHOP + "[kiosc]\n", "unknown key 'kiosc'; did you mean 'kiosk'?"),
        (SHOP + "[terms]\ndwel = 3\n", "unknown key 'terms.dwel'; did you mean 'dwell'?"),
        (SHOP + CAMERA + "mask = []\n" + ZONE, "camera 'entrance': unknown key 'mask'; did you mean 'masks'?"),
        (
            SHOP + CAMERA + ZONE + "poligon = []\n",
            "camera 'entrance', zone 'coffee': unknown key 'poligon'; did you mean 'polygon'?",
        ),
        (SHOP + CAMERA + 'password = "abc"\n' + ZONE, "password_env"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_name(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "store is missing; write it"),
        (SHOP.replace("Europe/Berlin", "Mars/Olympus"), "no time zone"),
        (SHOP.replace("Europe/Berlin", "../../etc/passwd"), "no time zone"),
        (SHOP.replace('"main-street"', '"Main Street"'), "store.id"),
        (SHOP + 'level = "all"\n', "store.level"),
        (SHOP + "[terms]\ndwell = 0\n", "terms.dwell"),
        (SHOP + "[terms]\ndwell = 367\n", "terms.dwell"),
        (SHOP + "[terms]\ndwell = 1.5\n", "terms.dwell"),
        (SHOP + '[hours]\nmon = ["20:00", "09:00"]\n', "mon closes at 09:00"),
        (SHOP + '[hours]\nmon = ["9", "20:00"]\n', "'9' is no time of day"),
        (SHOP + '[hours]\nmon = ["09:00"]\n', "hours.mon"),
        (SHOP + "[kiosk]\nport = 0\n", "kiosk.port"),
        (SHOP + '[kiosk]\nallowed_hosts = ["*"]\n', "no wildcard"),
        (SHOP + '[kiosk]\nallowed_hosts = ["http://shop"]\n', "no host name"),
        (SHOP + "[pad]\nring_m = 0\n", "pad.ring_m"),
        (SHOP + '[controller]\njurisdiction = "Germany"\n', "controller.jurisdiction"),
        (SHOP + CAMERA, "camera 'entrance', zone is missing"),
        (SHOP + CAMERA + ZONE + CAMERA + ZONE, "two cameras are called 'entrance'"),
        (SHOP + CAMERA + ZONE + ZONE, "two zones are called 'coffee'"),
        (
            SHOP + CAMERA + ZONE.replace("[100, 0], [100, 100], [0, 100]", "[100, 100], [100, 0], [0, 60]"),
            "edges that cross",
        ),
        (SHOP + CAMERA + "fps = 0\n" + ZONE, "camera 'entrance', fps is too small; write a number above 0"),
        (SHOP + CAMERA + 'password_env = "A"\npassword_file = "b"\n' + ZONE, "keep one of them"),
        (SHOP + CAMERA.replace("viewer@", "") + 'password_env = "A"\n' + ZONE, "no user"),
        (SHOP + CAMERA + 'password_env = "A B"\n' + ZONE, "camera 'entrance', password_env"),
        ("[store\n", "is not TOML"),
        (SHOP + "level = counts\n", 'text stands in quotes; write level = "…"'),
        (SHOP + "[kiosk]\nport = 99999\n", "kiosk.port is too large; write 65535 or less"),
        ("a = " + "[" * 50_000, "is not TOML"),
        (SHOP.replace("Main Street", "Main\\nStreet"), "store.name"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


SHELF = "shelf = {{ face = {}, edge = {} }}\n"
FACE, EDGE = "[[0, 0], [90, 0], [90, -80]]", "[[0, 0], [90, 0]]"


def test_a_product_zone_may_have_a_shelf(tmp_path: Path) -> None:
    shop = store(tmp_path, SHOP + CAMERA + ZONE + SHELF.format(FACE, EDGE))
    (zone,) = shop.camera[0].zones()
    assert zone.shelf == Shelf(((0, 0), (90, 0), (90, -80)), ((0, 0), (90, 0)))


@pytest.mark.parametrize(
    ("shelf", "expected"),
    [
        (f"shelf = {{ face = {FACE} }}\n", "camera 'entrance', zone 'coffee', shelf.edge is missing"),
        (f"shelf = {{ edge = {EDGE} }}\n", "camera 'entrance', zone 'coffee', shelf.face is missing"),
        (
            SHELF.format("[[0, 0], [90, 0]]", EDGE),
            "zone 'coffee', shelf.face has 2 corners and needs 3 or more",
        ),
        (SHELF.format("[[0, 0], [90, 0], [180, 0]]", EDGE), "the face of a shelf has no area; move its corners apart"),
        (SHELF.format("[[0, 0], [90, 90], [90, 0], [0, 60]]", EDGE), "the face of a shelf has edges that cross"),
        (SHELF.format("[[0, 0], [inf, 0], [90, 90]]", EDGE), "the face of a shelf has a corner that is not a number"),
        (SHELF.format(FACE, "[[0, 0], [0, 1]]"), "the edge of a shelf has no length"),
        (SHELF.format(FACE, "[[0, 0], [0, 100001]]"), "the edge of a shelf has a corner over 100000 pixels away"),
        (
            SHELF.format(FACE, "[[0, 0], [90, 0], [90, 90]]"),
            "camera 'entrance', zone 'coffee', shelf.edge has 3 corners and may have at most 2",
        ),
    ],
)
def test_a_wrong_shelf_is_refused_in_one_line(tmp_path: Path, shelf: str, expected: str) -> None:
    assert expected in refusal(tmp_path, SHOP + CAMERA + ZONE + shelf)


def test_there_is_no_shelf_where_there_are_no_goods(tmp_path: Path) -> None:
    text = SHOP + CAMERA + ZONE.replace('"product"', '"queue"') + SHELF.format(FACE, EDGE)
    assert "zone 'coffee' is no product zone; take the shelf away, or make it one" in refusal(tmp_path, text)


def test_two_pads_in_one_store_have_two_names(tmp_path: Path) -> None:
    pad = ZONE.replace('"coffee"', '"pad"').replace('"product"', '"pad"')
    text = SHOP + CAMERA + pad + CAMERA.replace('"entrance"', '"back"')
    assert "two pads are called 'pad'" in refusal(tmp_path, text + pad)
    shop = store(tmp_path, text + pad.replace('name = "pad"', 'name = "back pad"'))
    assert shop.camera_of_pad("back pad").name == "back"
    assert shop.kinds() == {}
    with pytest.raises(ConfigError, match=r"store\.toml has pad, back pad"):
        shop.camera_of_pad("side pad")


def test_opening_hours_follow_the_stores_clock_through_the_change_of_summer_time(tmp_path: Path) -> None:
    shop = store(tmp_path, SHOP + '[hours]\nsat = ["09:00", "20:00"]\nsun = ["00:00", "24:00"]\n')

    def utc(*when: int) -> int:
        return int(datetime(*when, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]

    assert shop.opening(utc(2026, 10, 24, 12)) == (utc(2026, 10, 24, 7), utc(2026, 10, 24, 18))
    assert shop.opening(utc(2026, 10, 25, 12)) == (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23))  # 25 hours
    assert shop.opening(utc(2026, 10, 26, 12)) is None
    assert shop.is_open(utc(2026, 10, 24, 7))
    assert not shop.is_open(utc(2026, 10, 24, 18))
    assert not shop.is_open(utc(2026, 10, 26, 12))


# --- passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://viewer:hunter2@192.0.2.10/stream",
        "rtsp://:hunter2@192.0.2.10/",
        "rtsp:/admin:hunter2@127.0.0.1/s",
        "rtsp:admin:hunter2@127.0.0.1/s",
        "admin:hunter2@127.0.0.1/s",
        "rtsp://viewer:hunter2/x@192.0.2.10/stream",
        "rtsp://viewer:hunter2#x@192.0.2.10/stream",
        "rtsp://viewer:hunter2?x@192.0.2.10/stream",
        "rtsp://viewer:x@hunter2@192.0.2.10/stream",
        "rtsp://viewer@192.0.2.10/a@hunter2",
        "rtsp://viewer%3Ahunter2@192.0.2.10/stream",
        "rtsp://192.0.2.10/live?user=admin&password=hunter2",
        "rtsp://192.0.2.10/live?PWD=hunter2&channel=1",
        "rtsp://192.0.2.10/live?access_token=hunter2",
        "rtsp://192.0.2.10/live?apikey=hunter2",
        "rtsp://192.0.2.10/live?pass%77d=hunter2",
        "rtsp://192.0.2.10/user=admin_password=hunter2_channel=1.sdp",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path, source: str) -> None:
    line = refusal(tmp_path, SHOP + f'[[camera]]\nname = "entrance"\nsource = "{source}"\n' + ZONE)
    assert "password_env" in line
    assert "password_file" in line
    assert "hunter2" not in line


def test_a_refused_address_stands_in_no_traceback_either(tmp_path: Path) -> None:
    text = SHOP + '[[camera]]\nname = "entrance"\nsource = "rtsp:/admin:hunter2@127.0.0.1/s"\n' + ZONE
    with pytest.raises(ConfigError) as refused:
        store(tmp_path, text)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("source", ["rtsp://viewer@192.0.2.10:554/a?channel=1&subtype=0", "rtsp://[2001:db8::1]/s"])
def test_an_address_with_a_user_alone_or_none_is_taken(tmp_path: Path, source: str) -> None:
    shop = store(tmp_path, SHOP + f'[[camera]]\nname = "entrance"\nsource = "{source}"\n' + ZONE)
    assert shop.camera[0].source == source


def test_a_password_comes_from_the_environment_or_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    by_env = store(tmp_path, SHOP + CAMERA + 'password_env = "CAMERA_1"\n' + ZONE).camera[0]
    assert by_env.address(tmp_path, {"CAMERA_1": "p@ss:w/rd"}) == "rtsp://viewer:p%40ss%3Aw%2Frd@192.0.2.10/stream"
    with pytest.raises(ConfigError, match="CAMERA_1 is empty"):
        by_env.address(tmp_path, {})

    by_file = store(tmp_path, SHOP + CAMERA + 'password_file = "secret"\n' + ZONE).camera[0]
    with pytest.raises(ConfigError, match="cannot be read"):
        by_file.address(tmp_path)
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        by_file.address(tmp_path)
    (tmp_path / "secret").chmod(0o600)
    assert by_file.address(tmp_path) == "rtsp://viewer:hunter2@192.0.2.10/stream"
    assert "hunter2" not in repr(by_file)


@pytest.mark.parametrize(
    ("source", "address"),
    [("clips/a.mp4", "{}/clips/a.mp4"), ("/dev/video0", "/dev/video0"), ("usb:0", "usb:0"), ("rtsp://h/", "rtsp://h/")],
)
def test_an_address_without_a_password_is_as_it_stands_and_a_path_goes_from_the_state_directory(
    tmp_path: Path, source: str, address: str
) -> None:
    camera = store(tmp_path, SHOP + f'[[camera]]\nname = "entrance"\nsource = "{source}"\n' + ZONE).camera[0]
    assert camera.address(tmp_path, {}) == address.format(tmp_path)


# --- zone files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "check the path"),
        ("", "zone is missing"),
        ("zone = []\n", "zone"),
        (ZONES.replace("kind", "kin"), "did you mean 'kind'?"),
        (ZONES.replace("product", "shelf"), "zone 'coffee', kind is not one that there is; write 'entrance'"),
        (ZONES + ZONES, "two zones are called 'coffee'"),
        (
            ZONES.replace("[100, 0], [100, 100], [0, 100]", "[1, 0]"),
            "'coffee', polygon has 2 corners and needs 3",
        ),
        (ZONES.replace("[100, 0], [100, 100], [0, 100]", "[1, 0], [2, 0]"), "no area"),
        (ZONES.replace("[0, 0]", "[nan, 0]"), "not a number"),
        (ZONES.replace("[0, 0]", "[1e308, 0]"), "100000 pixels"),
        ("".join(ZONES.replace("coffee", f"z{i}") for i in range(257)), "at most 256"),
        (ZONES + "masks = 3", "masks"),
        (ZONES.replace("[100, 0]", '["a", 0]'), "zone 'coffee', polygon, corner 2, number 1 is no number; write one"),
        (
            ZONES + "[ground]\nimage = [[0,0],[1,0],[2,0],[3,0]]\nmetres = [[0,0],[1,0],[2,0],[3,0]]\n",
            "lie on a line",
        ),
    ],
)
def test_a_zone_file_that_makes_no_zones_is_refused_in_one_line(
    tmp_path: Path, text: str | None, expected: str
) -> None:
    path = tmp_path / "zones.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_zones(path)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_directory_or_bytes_that_are_no_text_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read as a file"):
        read_zones(tmp_path)
    (tmp_path / "zones.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_zones(tmp_path / "zones.toml")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="name a regular file"):
        read_zones(tmp_path / "pipe")
    camera = store(tmp_path, SHOP + CAMERA + 'password_file = "pipe"\n' + ZONE).camera[0]
    with pytest.raises(ConfigError, match="name a regular file"):
        camera.address(tmp_path)


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_makes_a_shop_that_counts_and_records_nobody(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=NOON)
    assert state == State.read(tmp_path / "shop")
    assert state.store.store.level is Level.COUNTS
    assert state.keys == keys_beside(tmp_path / "shop") == tmp_path / "shop-keys"
    assert [zone.kind for zone in state.store.camera[0].zones()] == [ZoneKind.PRODUCT]
    assert state.store.camera[0].zones()[0].contains(3840, 2160)
    assert sorted(path.name for path in state.root.iterdir()) == ["ledger.sqlite", "store.toml"]
    with state.open_ledger(Role.KEEPER) as ledger:
        assert state.level(ledger) is Level.COUNTS
        noted = ledger.last_event(EventKind.CONFIG_CHANGED)
        assert noted is not None
        assert noted[1].digest == state.sha256
        newest = ledger.newest_checkpoint()
        assert newest is not None
        assert newest[1].size == ledger.size == 1
        assert ledger.note_config(state.sha256, now_us=NOON + 1) is None


def test_only_the_camera_line_need_be_written_to_start(tmp_path: Path) -> None:
    text = template(tmp_path / "shop", tmp_path / "keys", timezone="Europe/Berlin")
    changed = text.replace('source = "rtsp://192.0.2.10/stream"', f'source = "{tmp_path}/clip.mp4"')
    assert changed != text
    shop = store(tmp_path, changed)
    assert shop.camera[0].address(tmp_path, {}) == f"{tmp_path}/clip.mp4"


def test_every_commented_line_of_the_first_file_is_valid_once_it_is_uncommented(tmp_path: Path) -> None:
    text = template(tmp_path / "shop", tmp_path / "keys")
    lines = []
    for line in text.splitlines():
        if "entrance.password" in line:
            continue  # the variable's name stands beside it, and one of the two is right
        bare = line.removeprefix("# ")
        is_setting = bare.startswith("[") or " = " in bare.split("#")[0]
        wanted = line.startswith("# ") and is_setting and not bare[0].isupper()
        lines.append(bare if wanted else line)
    everything = "\n".join(lines).replace("rtsp://192", "rtsp://viewer@192")
    assert set(tomllib.loads(everything)) == set(StoreFile.model_fields)
    shop = store(tmp_path, everything)
    assert shop.camera[0].floor().calibrated
    address = shop.camera_of_pad("pad").address(tmp_path, {"ENTRANCE_CAMERA_PASSWORD": "hunter2"})
    assert address == "rtsp://viewer:hunter2@192.0.2.10/stream"
    assert shop.terms.days() == DEFAULT_TERM


@pytest.mark.parametrize("name", ['Café "Nord" \\ 12', "店", "x" * 200, "-"])
def test_a_shop_may_have_any_name(tmp_path: Path, name: str) -> None:
    shop = store(tmp_path, template(tmp_path / "shop", tmp_path / "keys", name=name))
    assert shop.store.name == name


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=NOON)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for root, keys in (
        (tmp_path / "shop", tmp_path / "new-keys"),
        (tmp_path / "new", state.keys),
        (tmp_path / "shop" / "store.toml", tmp_path / "new-keys"),
    ):
        with pytest.raises(ConfigError, match="nothing is overwritten"):
            init(root, keys, now_us=NOON)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new-keys").exists()


def test_init_where_nothing_can_be_made_says_so_and_leaves_no_keys(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another place"):
        init(tmp_path / "file" / "shop", tmp_path / "keys", now_us=NOON)
    assert not (tmp_path / "keys").exists()
    with pytest.raises(ConsentError, match="must not lie in the state directory"):
        init(tmp_path / "shop", tmp_path / "shop" / "keys", now_us=NOON)
    assert list((tmp_path / "shop").iterdir()) == []


def test_init_takes_an_empty_directory_and_keys_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    state = init(tmp_path / "shop", tmp_path / "vault" / "keys", now_us=NOON, name="Main Street", timezone="Asia/Tokyo")
    assert state.keys == tmp_path / "vault" / "keys"
    assert (state.store.store.id, state.store.store.timezone) == ("main-street", "Asia/Tokyo")
    assert state.keys.stat().st_mode & 0o777 == 0o700


def test_a_directory_without_a_shop_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="openaisle init"):
        State.read(tmp_path)


def test_the_level_in_force_is_what_was_asked_for_and_approved(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=NOON)
    toml = tmp_path / "shop" / "store.toml"
    toml.write_text(toml.read_text().replace('level = "counts"', 'level = "repeat"'))
    assert state.reread() is not state
    state = state.reread()
    assert state.reread() is state
    with state.open_ledger(Role.ADMIN) as ledger:
        assert state.level(ledger) is Level.COUNTS
        ledger.set_level(Level.EMOTION, now_us=NOON, approvals=(b"a" * 32, b"b" * 32), dpia_sha256=b"d" * 32)
        assert state.level(ledger) is Level.REPEAT
        ledger.set_level(Level.DWELL, now_us=NOON)
        assert state.level(ledger) is Level.DWELL
    assert state.store.terms.days()[Purpose.DWELL] == 30


def test_a_mark_that_an_editor_put_first_is_no_letter_of_the_file(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=0, timezone="UTC")
    file = state.root / "store.toml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert State.read(state.root).store == state.store


@pytest.mark.parametrize(
    "line",
    [
        ".".join(["a"] * 20_000) + " = 1",
        "[" + " . ".join(["a"] * 20_000) + "]",
        "x = { " + ".".join(['"\\""', "''"] * 10_000) + " = 1 }",
        "x = [{" + "\t.\t".join(["1"] * 20_000) + " = 1}]",
    ],
)
def test_a_key_of_thousands_of_parts_is_refused_before_it_is_parsed(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomllib.loads", lambda _: pytest.fail("it was parsed"))
    assert "line 7: a key of over 32 parts" in refusal(tmp_path, f"{SHOP}\n{line}\n")


def test_a_file_larger_than_a_person_writes_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomllib.loads", lambda _: pytest.fail("it was parsed"))
    path = tmp_path / "store.toml"
    path.write_text(SHOP)
    with path.open("r+b") as file:
        file.truncate(1 << 34)
    with pytest.raises(ConfigError, match="over 1048576 bytes"):
        read_store(path)


def test_many_dots_that_are_no_key_are_read(tmp_path: Path) -> None:
    corners = ", ".join(f"[{i}.5, {i * i}.25]" for i in range(64))
    many = ZONE.replace("[0, 0], [100, 0], [100, 100], [0, 100]", corners)
    shop = store(tmp_path, f"# {'. ' * 99}{'.' * 99}\n{SHOP}{CAMERA}{many}")
    assert len(shop.camera[0].zones()[0].polygon) == 64


@pytest.mark.parametrize("piece", ["a", " ", "'", '"', '\\"', "a ", ' "', "a. ", '"a" ', "[", "a.\n", " \\", "a,"])
def test_looking_for_such_a_key_takes_no_time(piece: str) -> None:
    begun = time.process_time()
    tables._CHAIN.search('"' + piece * (LONGEST // len(piece)))
    assert time.process_time() - begun < 5  # hundredths of a second; minutes where it grew with the square


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_camera_may_hang_askew(tmp_path: Path, turn: int) -> None:
    assert store(tmp_path, SHOP + CAMERA + f"turn = {turn}\n" + ZONE).camera[0].turn == turn
    assert store(tmp_path, SHOP + CAMERA + ZONE).camera[0].turn == 0


@pytest.mark.parametrize("turn", ["45", "-90", "360", '"90"', "true"])
def test_a_camera_is_turned_by_quarters(tmp_path: Path, turn: str) -> None:
    expected = "camera 'entrance', turn is not one that there is; write 0, 90, 180 or 270"
    assert expected in refusal(tmp_path, SHOP + CAMERA + f"turn = {turn}\n" + ZONE)
