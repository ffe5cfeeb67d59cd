"""What a page may do to `store.toml`: cameras, and what is drawn in their pictures. Each function returns an edit.

Rules:
- A page names no file but one that ends in `.password`, and no variable but one that ends in `_PASSWORD`: else any
  secret of this machine could be sent to what is called a camera.
- Everything here can be written by hand as well, and what is written by hand is changed and kept by what is here.

Whether the result fits, and who may do it, is said by `analytics.settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tomlkit

from analytics.document import append, drop, find, plain, put
from analytics.tables import ConfigError
from analytics.zones import Point, Zone, ZoneKind

_UNDRAWN = ((0, 0), (7680, 0), (7680, 4320), (0, 4320))  # as large as any picture, like that of a new shop

Edit = Callable[[tomlkit.TOMLDocument], None]


def camera_put(name: str, *, rename: str | None = None, **fields: Any) -> Edit:
    """Return the edit that adds a camera, or changes what is given of one that is there.

    A new one needs its `source`, and has one zone as large as any picture until others are drawn.

    Args:
        name: of the camera.
        rename: its new name; figures go on under the new one.
        fields: `source`, `fps`, `latency_s`, `turn`, `password_env`, `password_file`; and `ground`, a mapping with
            `image` and `metres`, four points each. None takes a field away.
    """
    known = {"source", "fps", "latency_s", "turn", "password_env", "password_file", "ground"}

    def edit(document: tomlkit.TOMLDocument) -> None:
        if strange := sorted(set(fields) - known):
            raise ConfigError(f"a camera has no {strange[0]!r} here; it has {', '.join(sorted(known))}")
        if (variable := fields.get("password_env")) and not str(variable).endswith("_PASSWORD"):
            raise ConfigError("name a variable that ends in _PASSWORD; any other is named in store.toml by hand")
        if (file := fields.get("password_file")) and not str(file).endswith(".password"):
            raise ConfigError("name a file that ends in .password; any other is named in store.toml by hand")
        table = find(_cameras(document), name)
        if table is None:
            if not fields.get("source"):
                raise ConfigError(f"there is no camera {name!r}; a new one needs its source")
            table = tomlkit.table()
            table.add("name", name)
            table.add("source", fields["source"])
            append(table, "zone", _zone(Zone("floor", ZoneKind.PRODUCT, _UNDRAWN)))
            append(document, "camera", table)
        for field, value in {**fields, **({} if rename is None else {"name": rename})}.items():
            put(table, field, plain(value))

    return edit


def camera_dropped(name: str) -> Edit:
    """Return the edit that takes a camera away, with its zones and masks; its figures stay."""
    return lambda document: drop(document, "camera", name, f"there is no camera {name!r}")


def zone_put(camera: str, zone: Zone, *, instead: str | None = None) -> Edit:
    """Return the edit that draws a zone, its shelf included, in place of the one of that name where there is one.

    Args:
        camera: name of the camera.
        zone: see `analytics.zones.Zone`.
        instead: name of the zone whose place it takes, where it is renamed; a kiosk that stands there follows.
    """

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = _camera(document, camera)
        there = find(table.get("zone", ()), zone.name if instead is None else instead)
        if there is None:
            if instead is not None:
                raise ConfigError(f"camera {camera!r} has no zone {instead!r}")
            append(table, "zone", _zone(zone))
            return
        for field, value in _words(zone).items():
            put(there, field, value)
        if instead is not None and document.get("kiosk", {}).get("pad") == instead:
            document["kiosk"]["pad"] = zone.name

    return edit


def zone_dropped(camera: str, name: str) -> Edit:
    """Return the edit that takes a zone away; the last one of a camera stays."""

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = _camera(document, camera)
        if len(table.get("zone", ())) == 1 and find(table["zone"], name) is not None:
            raise ConfigError(f"{name!r} is the last zone of camera {camera!r}; draw another one first")
        drop(table, "zone", name, f"camera {camera!r} has no zone {name!r}")

    return edit


def line_put(camera: str, name: str, start: Point, end: Point, *, width: float, kind: ZoneKind) -> Edit:
    """Return the edit that draws a line across which people come or go: a zone as wide as somebody stands.

    `store.toml` knows floor polygons alone. Who comes in is told by where they walk on to, so a line has no direction.

    Args:
        camera: name of the camera.
        name: of the zone.
        start: one end on the floor, pixels.
        end: the other, pixels.
        width: of the zone across the line, pixels.
        kind: `entrance`, `exit` or `service`.
    """
    (x1, y1), (x2, y2) = start, end
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    if length < 2 or width < 2:
        raise ConfigError("a line needs two ends apart from each other, and a width")
    dx, dy = -(y2 - y1) / length * width / 2, (x2 - x1) / length * width / 2
    corners = ((x1 + dx, y1 + dy), (x2 + dx, y2 + dy), (x2 - dx, y2 - dy), (x1 - dx, y1 - dy))
    return zone_put(camera, Zone(name, kind, tuple((round(x), round(y)) for x, y in corners)))


line_dropped = zone_dropped


def mask_put(camera: str, polygon: Sequence[Point], *, index: int | None = None) -> Edit:
    """Return the edit that blacks out a part of the picture before anything looks.

    Args:
        camera: name of the camera.
        polygon: three corners or more, pixels.
        index: of the mask whose place it takes, from 0; None for one more.
    """

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = _camera(document, camera)
        masks = [plain(mask) for mask in table.get("masks", ())]
        if index is not None and not 0 <= index < len(masks):
            raise ConfigError(f"camera {camera!r} has {len(masks)} masks; there is none to change at {index}")
        masks[len(masks) if index is None else index : None if index is None else index + 1] = [plain(polygon)]
        put(table, "masks", masks)

    return edit


def mask_dropped(camera: str, index: int) -> Edit:
    """Return the edit that takes a mask away, by its place in the list from 0."""

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = _camera(document, camera)
        masks = [plain(mask) for mask in table.get("masks", ())]
        if not 0 <= index < len(masks):
            raise ConfigError(f"camera {camera!r} has {len(masks)} masks; there is none at {index}")
        del masks[index]
        put(table, "masks", masks or None)

    return edit


def pad_ring(metres: float | None) -> Edit:
    """Return the edit that sets how near nobody else may stand to a pad; None for the usual."""

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = document.get("pad")
        if table is None:
            table = document["pad"] = tomlkit.table()
        put(table, "ring_m", metres)

    return edit


def kiosk_pad(name: str | None) -> Edit:
    """Return the edit that says before which pad the kiosk stands; None where there is only one."""

    def edit(document: tomlkit.TOMLDocument) -> None:
        table = document.get("kiosk")
        if table is None:
            table = document["kiosk"] = tomlkit.table()
        put(table, "pad", name)

    return edit


def _cameras(document: tomlkit.TOMLDocument) -> Sequence[Any]:
    found: Sequence[Any] = document.get("camera", ())
    return found


def _camera(document: tomlkit.TOMLDocument, name: str) -> Any:
    found = find(_cameras(document), name)
    if found is None:
        raise ConfigError(f"there is no camera {name!r} in store.toml; add it first")
    return found


def _zone(zone: Zone) -> Any:
    table = tomlkit.table()
    for field, value in _words(zone).items():
        put(table, field, value)
    return table


def _words(zone: Zone) -> dict[str, Any]:
    shelf = None if zone.shelf is None else plain({"face": zone.shelf.face, "edge": zone.shelf.edge})
    return {"name": zone.name, "kind": zone.kind.value, "polygon": plain(zone.polygon), "shelf": shelf}
