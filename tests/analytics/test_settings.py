"""`store.toml` written by a page: what may change, what stays, and what a kill in the midst leaves."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as patience
from hypothesis import strategies as st

from analytics import settings
from analytics.addressees import known
from analytics.config import ConfigError
from analytics.settings import FILE, FOLDER, Settings, current, edited, restored, text_of, versions, write
from analytics.start import init
from analytics.state import STORE_TOML, State
from analytics.zones import Shelf, Zone, ZoneKind
from consent import chronicle
from consent.access import Access, DeniedError, Desk, Who
from consent.accesslog import AccessLog
from consent.accounts import Accounts
from consent.events import ConsentError, EventKind
from consent.keys import Role
from consent.ledger import Ledger

DOOR = Zone("door", ZoneKind.ENTRANCE, ((10, 20), (110, 20), (110, 90)))
COFFEE = Zone(
    "coffee",
    ZoneKind.PRODUCT,
    ((400, 480), (620, 470), (640, 560.5)),
    Shelf(((410, 400), (610, 392), (608, 250)), ((405, 478), (615, 468))),
)


@dataclass
class Shop:
    root: Path
    ledger: Ledger
    access: Access
    owner: Who

    def write(self, *edits: settings.Edit, note: str = "", by: Who | None = None) -> Settings:
        was = current(self.root)
        new = edited(was, *edits)
        write(self.root, new, was=was.digest, by=by or self.owner, access=self.access, note=note)
        return new

    def said(self) -> list[dict[str, Any]]:
        found = chronicle.search(self.ledger, kinds=(EventKind.SETTINGS_WRITTEN,))
        return [dict(one.details or {}) for one in found]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    init(tmp_path / "shop", now_us=time.time_ns() // 1000, timezone="Europe/Berlin")
    state = State.read(tmp_path / "shop")
    with state.open_ledger(Role.DASHBOARD) as ledger, Accounts(state.root / "access.sqlite") as accounts:
        ada = accounts.add("Ada", Desk.ADMINISTRATOR, now_us=1)
        yield Shop(state.root, ledger, Access(accounts, AccessLog(ledger)), ada.who())


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file() and "sqlite" not in path.name}


def test_a_change_is_in_force_kept_as_a_version_and_in_the_log(shop: Shop) -> None:
    before = current(shop.root)
    new = shop.write(settings.zone_put("entrance", DOOR), note="the door at last")
    assert State.read(shop.root).sha256.hex() == new.digest == current(shop.root).digest
    assert [(v.digest, v.note, v.by) for v in versions(shop.root, shop.ledger)] == [
        (new.digest, "the door at last", shop.owner.account),
        (before.digest, "", ""),
    ]
    assert text_of(shop.root, before.digest) == before.text
    assert text_of(shop.root, new.digest) == new.text
    assert shop.said() == [{"account": shop.owner.account, "was": before.digest, "now": new.digest}]


def test_who_wrote_it_stands_in_the_log_alone_and_is_forgotten_there(shop: Shop) -> None:
    new = shop.write(settings.zone_put("entrance", DOOR), note="door")
    assert shop.owner.account.encode() not in b"".join(files(shop.root / FOLDER).values())
    assert versions(shop.root)[0].by == ""
    shop.ledger.forget({"accesses": time.time_ns() // 1000 + 1})
    (first, _) = versions(shop.root, shop.ledger)
    assert (first.digest, first.by, first.note) == (new.digest, "", "door")


def test_comments_and_order_stay_and_adding_and_dropping_again_changes_nothing_else(shop: Shop) -> None:
    before = current(shop.root)
    after = edited(
        before,
        settings.zone_put("entrance", COFFEE),
        settings.zone_dropped("entrance", "floor"),
        settings.mask_put("entrance", ((0, 0), (5, 0), (5, 5))),
        settings.camera_put("till", source="rtsp://till.local/1"),
        settings.camera_put("entrance", fps=5, latency_s=0.8, turn=180),
    )
    comments = [line.strip() for line in before.text.splitlines() if line.startswith("#")]
    assert [line.strip() for line in after.text.splitlines() if line.startswith("#")] == comments
    assert [c.name for c in after.store.camera] == ["entrance", "till"]
    camera = after.store.camera[0]
    assert (camera.fps, camera.latency_s, camera.turn) == (5.0, 0.8, 180)
    assert (camera.zones(), len(camera.masks)) == ((COFFEE,), 1)
    back = edited(
        after,
        settings.camera_dropped("till"),
        settings.camera_put("entrance", fps=None, latency_s=None, turn=None),
        settings.mask_dropped("entrance", 0),
        settings.zone_put("entrance", before.store.camera[0].zones()[0], instead="coffee"),
    )
    assert back.store == before.store
    assert [line for line in back.text.splitlines() if line] == [line for line in before.text.splitlines() if line]


@pytest.mark.parametrize(
    "written",
    [
        'zone = [{name = "a", kind = "queue", polygon = [[0, 0], [9, 0], [9, 9]]}]\n'
        "ground = {image = [[0,0],[9,0],[9,9],[0,9]], metres = [[0,0],[1,0],[1,1],[0,1]]}",
        '[[camera.zone]]\nname = "a"\nkind = "queue"\npolygon = [[0, 0], [9, 0], [9, 9]]\n[camera.ground]\n'
        "image = [[0,0],[9,0],[9,9],[0,9]]\nmetres = [[0,0],[1,0],[1,1],[0,1]]",
        '[[camera.zone]]\nname = "a"\nkind = "queue"\npolygon = [[0, 0], [9, 0], [9, 9]]\n[camera.ground]\n'
        "image = [[0,0],[9,0],[9,9],[0,9]]\nmetres = [[0,0],[1,0],[1,1],[0,1]]\n\n# of hours\n[hours]\n"
        'mon = ["09:00", "20:00"]',
    ],
)
def test_what_a_person_wrote_in_any_form_is_changed_and_kept(tmp_path: Path, written: str) -> None:
    head = (
        '[store]\nname = "x"\nid = "x"\ntimezone = "UTC"\n\n[[camera]]  # the only one\nname = "c"\nsource = "usb:0"\n'
    )
    (tmp_path / STORE_TOML).write_text(head + written + "\n")
    before = current(tmp_path)
    assert edited(before).text == before.text
    ground = {"image": ((0, 0), (8, 0), (8, 8), (0, 8)), "metres": ((0, 0), (2, 0), (2, 2), (0, 2))}
    after = edited(
        before,
        settings.zone_put("c", DOOR),
        settings.zone_put("c", Zone("a", ZoneKind.PAD, DOOR.polygon)),
        settings.camera_put("c", ground=ground, rename="d"),
        settings.kiosk_pad("a"),
        settings.pad_ring(1.5),
    )
    (camera,) = after.store.camera
    assert camera.name == "d"
    assert {zone.name: zone.kind for zone in camera.zones()} == {"a": ZoneKind.PAD, "door": ZoneKind.ENTRANCE}
    assert camera.floor().locate(8, 8) == pytest.approx((2, 2))
    assert (after.store.kiosk.pad, after.store.pad.ring_m, after.store.hours) == ("a", 1.5, before.store.hours)
    assert "# the only one" in after.text
    assert ("# of hours\n[hours]" in after.text) == ("# of hours" in written)


WRONG: dict[str, tuple[settings.Edit, str]] = {
    "no such camera": (settings.zone_put("nobody", DOOR), "no camera 'nobody'"),
    "no source": (settings.camera_put("new", fps=5), "needs its source"),
    "password in the address": (settings.camera_put("new", source="rtsp://a:b@host/x"), "may hold a password"),
    "any variable": (settings.camera_put("entrance", password_env="AWS_SECRET"), "ends in _PASSWORD"),  # noqa: S106
    "any file": (settings.camera_put("entrance", password_file="/k/sealing-0001.key"), "ends in .password"),  # noqa: S106
    "a field of none": (settings.camera_put("entrance", colour=1), "no 'colour'"),
    "fps": (settings.camera_put("entrance", fps=1000), "fps"),
    "ring": (settings.pad_ring(0.0), "ring_m"),
    "last zone": (settings.zone_dropped("entrance", "floor"), "last zone"),
    "zone to drop": (settings.zone_dropped("entrance", "nothing"), "no zone 'nothing'"),
    "zone to replace": (settings.zone_put("entrance", DOOR, instead="nothing"), "no zone 'nothing'"),
    "mask to drop": (settings.mask_dropped("entrance", 0), "none at 0"),
    "mask to change": (settings.mask_put("entrance", ((0, 0), (5, 0), (5, 5)), index=1), "none to change"),
    "mask of two corners": (settings.mask_put("entrance", ((0, 0), (5, 0))), "masks"),
    "kiosk before nothing": (settings.kiosk_pad("nowhere"), "not drawn"),
    "name": (settings.camera_put("entrance", rename="a\n[store]"), "name"),
    "number": (settings.camera_put("entrance", latency_s=float("nan")), "latency_s"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_one_clear_line_and_nothing_is_written(shop: Shop, wrong: str) -> None:
    before = files(shop.root)
    edit, said = WRONG[wrong]
    with pytest.raises(ConfigError, match=said) as refused:
        shop.write(edit)
    assert "\n" not in str(refused.value)
    assert files(shop.root) == before
    assert shop.said() == []


@pytest.mark.parametrize(
    "line",
    [
        'store.level = "emotion"',
        'store.keys = "/elsewhere"',
        'dashboard.approver = ""\ndashboard.idle_min = 480',
        "terms.dwell = 366",
        'alerts.webhook = "https://evil.example/x"',
        'kiosk.address = "127.0.0.2"',
    ],
)
def test_a_page_changes_no_level_no_term_no_host(shop: Shop, line: str) -> None:
    def edit(document: Any) -> None:
        for one in line.splitlines():
            name, value = one.split(" = ")
            table, field = name.split(".")
            document.setdefault(table, {})[field] = int(value) if value.isdigit() else value.strip('"')

    with pytest.raises(ConfigError, match="not changed on a page"):
        shop.write(edit)
    # nor where somebody puts a text together without `edited`
    now = current(shop.root)
    name, value = line.splitlines()[-1].split(" = ")
    table, field = name.split(".")
    if f"\n[{table}]" in now.text:
        text = now.text.replace(f"[{table}]\n", f"[{table}]\n{field} = {value}\n").replace('level = "counts"\n', "")
    else:
        text = f"{now.text}\n[{table}]\n{field} = {value}\n"
    forged = Settings(text, hashlib.sha256(text.encode()).hexdigest(), now.store)
    with pytest.raises(ConfigError):
        write(shop.root, forged, was=now.digest, by=shop.owner, access=shop.access)
    assert current(shop.root) == now


@pytest.mark.parametrize("desk", [Desk.MANAGER, Desk.COMPLIANCE])
def test_nobody_but_an_administrator_writes_and_the_refusal_is_in_the_log(shop: Shop, desk: Desk) -> None:
    before, new = current(shop.root), edited(current(shop.root), settings.zone_put("entrance", DOOR))
    other = shop.access.accounts.add("Grace", desk, now_us=1).who()
    with pytest.raises(DeniedError):
        write(shop.root, new, was=before.digest, by=other, access=shop.access)
    shop.access.close()
    assert current(shop.root) == before
    (refused,) = chronicle.search(shop.ledger, kinds=(EventKind.ACCESS_DENIED,))
    assert (refused.details or {})["account"] == other.account


def test_who_comes_second_is_told_and_loses_nothing_of_the_first(shop: Shop) -> None:
    before = current(shop.root)
    first = shop.write(settings.zone_put("entrance", DOOR))
    late = edited(before, settings.zone_put("entrance", COFFEE))
    with pytest.raises(ConfigError, match=r"changed store\.toml meanwhile"):
        write(shop.root, late, was=before.digest, by=shop.owner, access=shop.access)
    assert current(shop.root) == first
    assert len(shop.said()) == 1


def test_what_a_person_edited_meanwhile_is_kept_and_told_as_theirs(shop: Shop) -> None:
    shop.write(settings.zone_put("entrance", DOOR), note="by page")
    path = shop.root / STORE_TOML
    path.write_text(path.read_text() + "\n# by hand\n")
    by_hand = current(shop.root)
    assert versions(shop.root, shop.ledger)[0].digest == by_hand.digest
    assert versions(shop.root, shop.ledger)[0].by == ""
    shop.write(settings.zone_dropped("entrance", "door"), note="by page again")
    assert [v.note for v in versions(shop.root)] == ["by page again", "", "by page", ""]
    assert text_of(shop.root, by_hand.digest) == by_hand.text


def test_an_older_version_brings_back_what_was_drawn_and_nothing_else(shop: Shop) -> None:
    first = shop.write(settings.zone_put("entrance", DOOR), settings.pad_ring(0.9))
    shop.write(settings.zone_dropped("entrance", "door"), settings.camera_put("two", source="usb:0"))
    path = shop.root / STORE_TOML
    path.write_text(path.read_text().replace("# [terms]", "[terms]\nbackup = 3\n# [terms]"))  # since, by hand
    back = restored(shop.root, first.digest)
    assert (back.store.camera, back.store.pad) == (first.store.camera, first.store.pad)
    assert back.store.terms.backup == 3
    write(shop.root, back, was=current(shop.root).digest, by=shop.owner, access=shop.access, note="back")
    assert versions(shop.root)[0].note == "back"
    with pytest.raises(ConfigError, match="not kept any more"):
        restored(shop.root, "00" * 32)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_version_that_is_not_what_its_digest_says_is_offered_to_nobody(shop: Shop, mark: str) -> None:
    path, kept = shop.root / STORE_TOML, shop.root / FOLDER / FILE
    path.write_text(mark + path.read_text())
    was = current(shop.root)
    shop.write(settings.zone_put("entrance", DOOR))
    assert text_of(shop.root, was.digest) == was.text
    kept.write_text(kept.read_text().replace("#", "# and", 1))
    for way in (text_of, restored):
        with pytest.raises(ConfigError, match="this version is damaged"):
            way(shop.root, was.digest)
    assert len(versions(shop.root)) == 2


def test_an_older_version_does_not_raise_the_level(shop: Shop) -> None:
    path = shop.root / STORE_TOML
    path.write_text(path.read_text().replace('level = "counts"', 'level = "dwell"'))
    high = shop.write(settings.zone_put("entrance", DOOR))
    path.write_text(path.read_text().replace('level = "dwell"', 'level = "counts"'))
    assert restored(shop.root, high.digest).store.store.level == "counts"


KILLS: list[tuple[str, bool, bool]] = [  # killed at; is the new text in force; does the log name the writer
    ("settings", False, False),
    ("_replace", False, True),
    ("_keep", True, True),
]


@pytest.mark.parametrize(("at", "in_force", "logged"), KILLS)
def test_a_kill_at_any_step_leaves_one_text_whole_and_no_lie(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: str, in_force: bool, logged: bool
) -> None:
    was = current(shop.root)
    new = edited(was, settings.zone_put("entrance", DOOR))

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    def after(times: int, real: Callable[..., None]) -> Callable[..., None]:
        calls = iter(range(100))
        return lambda *args, **words: killed() if next(calls) >= times else real(*args, **words)

    if at == "settings":
        monkeypatch.setattr(AccessLog, "settings", killed)
    else:
        monkeypatch.setattr(settings, at, after(1 if at == "_keep" else 0, getattr(settings, at)))
    with pytest.raises(Killed):
        write(shop.root, new, was=was.digest, by=shop.owner, access=shop.access)
    monkeypatch.undo()
    (shop.root / f"{settings._PART}orphan").write_text("half")
    assert current(shop.root) == (new if in_force else was)
    assert len(shop.said()) == logged
    newest = versions(shop.root, shop.ledger)[0]
    assert (newest.digest, newest.by) == ((new.digest, shop.owner.account) if in_force else (was.digest, ""))
    done = shop.write(settings.zone_put("entrance", COFFEE))  # and life goes on
    assert current(shop.root) == done
    assert not list(shop.root.glob(f"{settings._PART}*"))


def test_where_the_log_cannot_be_written_nothing_is(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise ConsentError("the disk is full")

    monkeypatch.setattr(Ledger, "append_events", full)
    before = current(shop.root)
    with pytest.raises(ConsentError):
        shop.write(settings.zone_put("entrance", DOOR))
    assert current(shop.root) == before


def test_mode_stays_and_others_never_read_it(shop: Shop) -> None:
    path = shop.root / STORE_TOML
    path.chmod(0o640)
    inode = path.stat().st_ino
    shop.write(settings.zone_put("entrance", DOOR))
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_ino != inode  # replaced in one piece, never written into
    assert (shop.root / FOLDER / FILE).stat().st_mode & 0o007 == 0


def test_the_same_again_is_no_change(shop: Shop) -> None:
    shop.write(settings.zone_put("entrance", DOOR))
    before = files(shop.root)
    shop.write(settings.zone_put("entrance", DOOR))
    assert files(shop.root) == before
    assert len(shop.said()) == 1


@pytest.mark.parametrize("note", ["two\nlines", "x" * 201, "\x1b[31m"])
def test_a_note_is_one_short_line(shop: Shop, note: str) -> None:
    with pytest.raises(ConfigError, match="note"):
        shop.write(settings.zone_put("entrance", DOOR), note=note)
    assert shop.said() == []


def test_old_versions_go_where_there_are_too_many(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MOST_VERSIONS", 3)
    written = [shop.write(settings.camera_put("entrance", fps=fps)).digest for fps in (1, 2, 3, 4, 5)]
    assert [v.digest for v in versions(shop.root)] == written[:1:-1]


def test_a_file_that_does_not_fit_is_said_and_not_written_over(shop: Shop) -> None:
    path = shop.root / STORE_TOML
    new = edited(current(shop.root), settings.zone_put("entrance", DOOR))
    path.write_text("[store\n")
    with pytest.raises(ConfigError, match="not TOML"):
        write(shop.root, new, was=new.digest, by=shop.owner, access=shop.access)
    assert path.read_text() == "[store\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_is_one_clear_line(shop: Shop) -> None:
    shop.write(settings.camera_put("entrance", fps=3))
    shop.root.chmod(0o550)
    try:
        with pytest.raises(ConfigError, match=r"cannot be (written|used)"):
            shop.write(settings.zone_put("entrance", DOOR))
    finally:
        shop.root.chmod(0o770)


def test_a_line_is_drawn_as_a_zone_around_it(shop: Shop) -> None:
    new = shop.write(settings.line_put("entrance", "way in", (100, 200), (300, 200), width=40, kind=ZoneKind.ENTRANCE))
    zone = new.store.camera[0].zones()[1]
    assert zone.polygon == ((100, 220), (300, 220), (300, 180), (100, 180))
    assert zone.contains(200, 200)
    with pytest.raises(ConfigError, match="two ends"):
        settings.line_put("entrance", "x", (1, 1), (1, 1), width=40, kind=ZoneKind.ENTRANCE)


names = st.text("abzäß入 .-_9", min_size=1, max_size=20)
points = st.tuples(st.integers(-50, 4000), st.integers(-50, 4000))


@patience(max_examples=60, deadline=None)
@given(name=names, corners=st.lists(points, min_size=3, max_size=5, unique=True), kind=st.sampled_from(ZoneKind))
def test_any_zone_that_can_be_drawn_comes_back_as_it_was_drawn(
    name: str, corners: list[tuple[int, int]], kind: ZoneKind
) -> None:
    text = (
        '[store]\nname = "x"\nid = "x"\ntimezone = "UTC"\n\n[[camera]]\nname = "c"\nsource = "usb:0"\n\n'
        '[[camera.zone]]\nname = "#first"\nkind = "queue"\npolygon = [[0, 0], [9, 0], [9, 9]]\n\n# the end\n'
    ).replace("#first", "another first one which is long")
    try:
        zone = Zone(name, kind, tuple(corners))
    except ValueError:
        return
    before = settings._checked(text.encode(), "here")
    after = edited(before, settings.zone_put("c", zone))
    assert after.store.camera[0].zones()[1] == zone
    assert edited(after, settings.zone_dropped("c", name)).store == before.store
    assert after.text.endswith("# the end\n")


# --- passwords --------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(shop: Shop) -> Shop:
    """A shop whose camera and broker have passwords, by hand."""
    for name in ("door", "broker"):
        (shop.root / f"{name}.password").write_text(f"{name}-secret")
        (shop.root / f"{name}.password").chmod(0o600)
    own = {"source": "rtsp://me@192.0.2.1/x", "password_file": "door.password"}
    shop.write(settings.camera_put("entrance", **own))
    with (shop.root / STORE_TOML).open("a") as file:
        file.write(
            '\n[alerts.mqtt]\nhost = "192.0.2.9"\nusername = "shop"\npassword_file = "broker.password"\n'
            '[oidc]\nclient_id = "shop"\nclient_secret_env = "SHOP_PASSWORD"\n'
        )
    return shop


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("rtsp://me@192.0.2.66/x", "door.password"),
        ("rtsp://me@192.0.2.1:8554/x", "door.password"),
        ("rtsps://me@192.0.2.1:554/x", "door.password"),
        ("rtsp://me@192.0.2.1/x", "broker.password"),
        ("rtsp://me@192.0.2.66/x", "unnamed.password"),
        ("http://me@192.0.2.1/x", "door.password"),
    ],
)
def test_a_password_is_meant_for_the_one_place_that_the_file_names(locked: Shop, source: str, file: str) -> None:
    was = current(locked.root)
    typed = edited(was, settings.camera_put("entrance", source=source, password_file=file)).store.camera[0]
    assert not known(locked.root, was.store, typed)


@pytest.mark.parametrize("file", ["door.password", "./door.password", "versions/../door.password", "link.password"])
def test_by_whatever_path_it_is_named_it_is_the_same_password(locked: Shop, file: str) -> None:
    (locked.root / "link.password").symlink_to("door.password")
    was = current(locked.root)
    same = settings.camera_put("entrance", source="rtsp://you@192.0.2.1:554/other", password_file=file)
    assert known(locked.root, was.store, edited(was, same).store.camera[0])
    before = was.digest
    with pytest.raises(ConfigError, match="goes to another host"):
        locked.write(settings.camera_put("new", source="rtsp://me@192.0.2.66/x", password_file=file))
    assert current(locked.root).digest == before


@pytest.mark.parametrize("secret", [{"password_file": "./broker.password"}, {"password_env": "SHOP_PASSWORD"}])
@pytest.mark.parametrize("host", ["192.0.2.1", "192.0.2.9"])
def test_no_page_makes_the_brokers_or_the_providers_password_a_cameras(
    locked: Shop, secret: dict[str, str], host: str
) -> None:
    edit = settings.camera_put("new", source=f"rtsp://me@{host}/x", **secret)
    with pytest.raises(ConfigError, match="goes to another host"):
        locked.write(edit)
    by_hand = edited(current(locked.root), edit)
    (locked.root / STORE_TOML).write_text(by_hand.text)
    locked.write(settings.camera_put("new", fps=4))
    assert current(locked.root).store.camera[1].fps == 4


def test_a_camera_that_moved_takes_its_own_password_along_once_that_is_saved(locked: Shop) -> None:
    new = locked.write(settings.camera_put("entrance", source="rtsp://me@192.0.2.2/x"))
    assert known(locked.root, new.store, new.store.camera[0])
