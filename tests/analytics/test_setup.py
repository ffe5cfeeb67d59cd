"""Shapes, easel and words of the set-up pages, without a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from analytics.config import CameraTable, ConfigError, read_zones
from analytics.settings import Settings, current, edited, kiosk_pad
from analytics.setup.changes import diff, told
from analytics.setup.easel import STEPS, Easel
from analytics.setup.shapes import (
    Shape,
    What,
    edits,
    floor_of,
    ground_of,
    masks_of,
    moved,
    renamed,
    shapes_of,
    size_of,
    toml,
    zone_of,
)
from analytics.shopfloor import record
from analytics.zones import FARTHEST, ZoneKind
from tests.signed_in import a_shop

FLOOR = read_zones(record.HERE / record.ZONES)
BOX = ((10.0, 10.0), (60.0, 10.0), (60.0, 50.0), (10.0, 50.0))


def shapes() -> tuple[Shape, ...]:
    masks = (BOX, ((0, 0), (9, 0), (9, 9)))
    return shapes_of(CameraTable(name="one", source="none", zone=FLOOR.zone, masks=masks, ground=FLOOR.ground))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return current(a_shop(tmp_path_factory.mktemp("setup") / "shop").root)


def test_every_zone_shelf_and_mask_is_a_shape_and_comes_back() -> None:
    found = {shape.id for shape in shapes()}
    assert {"zone:pad", "zone:tea", "face:tea", "edge:tea", "mask:1", "mask:2"} <= found
    assert [zone_of(shapes(), zone.name) for zone in FLOOR.zone] == list(FLOOR.zones())
    assert len(masks_of(shapes())) == 2


@pytest.mark.parametrize(
    "points",
    [
        "no list",
        [[1, 2], [3, 4]],  # two corners of a zone
        [[1, 2], [3, 4], [5]],
        [[1, 2], [3, 4], [5, "6"]],
        [[1, 2], [3, 4], [5, True]],
        [[1, 2], [3, 4], [5, float("nan")]],
        [[1, 2], [3, 4], [5, FARTHEST + 1]],
        [[i, i] for i in range(65)],
        {"0": [1, 2]},
    ],
)
def test_what_a_browser_tells_wrongly_moves_nothing(points: object) -> None:
    assert moved(shapes(), {"zone:tea": points}) == shapes()


def test_a_browser_moves_corners_and_makes_no_shape() -> None:
    told_points = {"zone:tea": [[1, 2], [3, 4.5], [5, 0]], "zone:new": [[1, 2], [3, 4], [5, 0]]}
    after = moved(shapes(), told_points)
    assert {s.id for s in after} == {s.id for s in shapes()}
    assert next(s for s in after if s.id == "zone:tea").points == ((1, 2), (3, 4.5), (5, 0))
    assert moved(shapes(), None) == shapes()


def test_an_easel_takes_newest_news_and_goes_back_step_by_step() -> None:
    easel = Easel(shapes())

    def hear(corner: float, *, revision: int = 0, undone: int = 0, board: str = "a") -> None:
        points = {"zone:tea": [[corner, 2], [30, 4], [50, 0]]}
        easel.heard({"board": board, "revision": revision, "undone": undone, "active": "zone:tea", "points": points})

    def at() -> float:
        return next(s for s in easel.shapes if s.id == "zone:tea").points[0][0]

    hear(1)
    hear(2)
    assert (at(), easel.active, easel.revision) == (2, "zone:tea", 0)
    hear(2, undone=1)
    assert (at(), easel.revision) == (1, 1)
    hear(9)  # of the revision before
    assert at() == 1
    hear(3, revision=1, undone=1)  # counted already
    assert at() == 3
    hear(3, revision=1, undone=3)
    assert at() != 3
    assert easel.shapes == shapes()
    assert not easel.undoable
    hear(4, revision=2, board="b")  # another board counts from nothing
    hear(4, revision=2, board="b", undone=1)
    assert easel.shapes == shapes()


def test_an_easel_puts_drops_and_undoes() -> None:
    easel = Easel(())
    assert easel.chosen is None
    easel.put(Shape(What.MASK, "1", BOX))
    easel.put(Shape(What.ZONE, "a", BOX, ZoneKind.QUEUE))
    assert (easel.active, easel.revision) == ("zone:a", 2)
    easel.drop("zone:a")
    assert easel.active == "mask:1"
    easel.undo()
    assert [s.id for s in easel.shapes] == ["mask:1", "zone:a"]
    for i in range(STEPS + 5):
        easel.put(Shape(What.MASK, "1", (*BOX, (float(i), 1.0))))
    easel.undo(10 * STEPS)
    assert not easel.undoable
    easel.undo()
    easel.heard("nonsense")


def test_edits_say_what_differs_and_nothing_else(settings: Settings) -> None:
    camera = settings.store.camera[0]
    before = shapes_of(camera)
    assert edits(camera.name, before, before) == []
    after = tuple(replace(s, points=BOX) if s.id == "zone:exit" else s for s in before if s.name != "sweets")
    after += (Shape(What.MASK, "1", BOX), Shape(What.LINE, "door", ((10, 20), (60, 20)), ZoneKind.ENTRANCE, 10))
    new = edited(settings, *edits(camera.name, before, after))
    assert told(settings.store, new.store) == [
        "camera simulated: zone sweets taken away",
        "camera simulated: zone exit has other corners",
        "camera simulated: zone door (entrance) drawn",
        "camera simulated: masks: 1, were 0",
    ]
    zones = {zone.name: zone for zone in new.store.camera[0].zone}
    assert set(zones["door"].polygon) == {(10, 15), (60, 15), (60, 25), (10, 25)}
    assert zones["exit"].polygon == BOX
    assert zones["tea"] == next(zone for zone in camera.zone if zone.name == "tea")
    lines = diff(settings, new).splitlines()
    former = next(zone for zone in camera.zone if zone.name == "exit").polygon
    assert f"-polygon = {[list(corner) for corner in former]}" in lines
    assert "+polygon = [[10, 10], [60, 10], [60, 50], [10, 50]]" in lines
    assert diff(settings, settings) == ""
    there = shapes_of(new.store.camera[0])
    again = edited(new, *edits(camera.name, there, tuple(s for s in there if s.what is not What.MASK)))
    assert again.store.camera[0].masks == ()


def test_a_zone_is_renamed_with_its_shelf_and_nothing_else_changes(settings: Settings) -> None:
    camera = settings.store.camera[0]
    before = shapes_of(camera)
    easel = Easel(before)
    easel.rename("tea", "herbs")
    assert easel.active == "zone:herbs"
    assert {"zone:herbs", "face:herbs", "edge:herbs"} <= {shape.id for shape in easel.shapes}
    new = edited(settings, *edits(camera.name, before, easel.shapes))
    assert told(settings.store, new.store) == [
        "camera simulated: zone tea is called herbs now; figures so far stay under tea"
    ]
    changed = [line for line in diff(settings, new).splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ['-name = "tea"', '+name = "herbs"']
    easel.rename("herbs", "tea")  # and back: nothing is left of it
    assert easel.shapes == before
    easel.put(Shape(What.ZONE, "new", BOX, ZoneKind.QUEUE))  # one that stands nowhere yet
    easel.rename("new", "newer")
    drawn = edited(settings, *edits(camera.name, before, easel.shapes))
    assert told(settings.store, drawn.store) == ["camera simulated: zone newer (queue) drawn"]
    easel.undo(2)
    assert easel.shapes == before


def test_a_kiosk_stays_before_a_pad_that_is_renamed(settings: Settings) -> None:
    named = edited(settings, kiosk_pad("pad"))
    before = shapes_of(named.store.camera[0])
    new = edited(named, *edits("simulated", before, renamed(before, "pad", "mat")))
    assert new.store.kiosk_pad() == new.store.kiosk.pad == "mat"
    assert edited(settings, *edits("simulated", before, renamed(before, "pad", "mat"))).store.kiosk.pad is None


def test_the_floor_in_metres_is_drawn_saved_and_taken_away(settings: Settings) -> None:
    camera = settings.store.camera[0]
    before = shapes_of(camera)
    floor = before[-1]
    assert (floor.id, floor.least, floor.most) == ("metres:floor", 4, 4)
    assert ground_of(before) == camera.floor()
    assert moved(before, {"metres:floor": [[1, 2], [3, 4], [5, 0]]}) == before  # three points are none
    after = (*before[:-1], replace(floor, points=BOX, metres=((0, 0), (2, 0), (2, 1.5), (0, 1.5))))
    new = edited(settings, *edits(camera.name, before, after))
    assert told(settings.store, new.store) == ["camera simulated: another calibration of the floor"]
    assert new.store.camera[0].floor().image == BOX
    none = edited(settings, *edits(camera.name, before, before[:-1]))
    assert none.store.camera[0].ground is None
    again = edited(none, *edits(camera.name, before[:-1], before))
    assert again.store.camera[0].ground == camera.ground


@pytest.mark.parametrize(
    ("floor", "why"),
    [
        (floor_of(BOX), "nobody said yet where the four points"),
        (floor_of(((0, 0), (1, 1), (2, 2), (3, 3)), BOX), "lie on a line"),
    ],
)
def test_a_floor_that_is_none_is_not_saved(settings: Settings, floor: Shape, why: str) -> None:
    before = shapes_of(settings.store.camera[0])
    with pytest.raises(ConfigError, match=why):
        edits("simulated", before, (*before[:-1], floor))


def test_a_zone_that_crosses_itself_is_refused_in_one_line(settings: Settings) -> None:
    before = shapes_of(settings.store.camera[0])
    crossed = ((0.0, 0.0), (50.0, 50.0), (50.0, 0.0), (0.0, 70.0))
    after = tuple(replace(s, points=crossed) if s.id == "zone:exit" else s for s in before)
    with pytest.raises(ConfigError, match=r"zone 'exit' has edges that cross; list its corners in order"):
        edits("simulated", before, after)


def test_the_toml_of_a_shape_is_what_store_toml_reads() -> None:
    for shape in shapes():
        text = toml(shapes(), shape)
        read: Any = tomlkit.parse(text.replace("[camera.", "[")).unwrap()
        camera: dict[str, Any] = {"name": "one", "source": "none", "zone": [z.model_dump() for z in FLOOR.zone]}
        made = CameraTable(**{**camera, **read})
        if shape.what is What.MASK:
            assert made.masks == masks_of(shapes())
        elif shape.what is What.METRES:
            assert made.ground == FLOOR.ground
        else:
            assert made.zone[0].zone() == zone_of(shapes(), shape.name)


@pytest.mark.parametrize(
    ("points", "size"),
    [
        ((), (1280, 720)),
        (BOX, (640, 360)),
        (((0, 0), (7680, 0), (7680, 4320)), (1280, 720)),
        (((0, 0), (641, 9)), (1280, 720)),
    ],
)
def test_a_grid_is_as_large_as_a_usual_picture(points: Any, size: tuple[int, int]) -> None:
    shape = Shape(What.ZONE, "a", points, ZoneKind.PRODUCT)
    assert size_of([shape] if points else []) == size


def test_the_board_asks_nobody() -> None:
    folder = Path(record.HERE).parent / "setup"
    for name in ("drawing.js", "drawing.css"):
        text = (folder / name).read_text(encoding="utf-8").replace('"http://www.w3.org/2000/svg"', "")
        for word in (
            "http:",
            "https:",
            "fetch(",
            "import(",
            "XMLHttp",
            "WebSocket",
            "innerHTML",
            "eval(",
            "localStorage",
        ):
            assert word not in text, (name, word)
