"""What people write down for a camera: zones, ground, masks. The configuration edge; the only place for pydantic here.

Unknown keys are refused with the nearest valid name, and every refusal is one line that names file, place and remedy.
Nothing here opens a camera or holds a password.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analytics.model import AnalyticsError
from analytics.zones import Ground, Point, Zone, ZoneKind


class ConfigError(AnalyticsError):
    """A file a person wrote that cannot be used, with where and what to do."""


class Strict(BaseModel):
    """A table of a configuration file: unknown keys are refused, values are not guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class ZoneTable(Strict):
    """One ``[[zone]]``: a floor polygon in pixels of the full frame."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w .-]+$")
    kind: ZoneKind
    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)

    def zone(self) -> Zone:
        """Return the checked zone.

        Raises:
            ValueError: the corners make no floor zone.
        """
        return Zone(self.name, self.kind, self.polygon)


class GroundTable(Strict):
    """``[ground]``: four floor points in pixels and the same four in metres."""

    image: tuple[Point, Point, Point, Point]
    metres: tuple[Point, Point, Point, Point]


class ZoneFile(Strict):
    """A zone file: ``[[zone]]`` tables, and optionally ``[ground]`` and ``masks``."""

    zone: tuple[ZoneTable, ...] = Field(min_length=1)
    ground: GroundTable | None = None
    masks: tuple[tuple[Point, ...], ...] = ()

    def zones(self) -> tuple[Zone, ...]:
        """Return the checked zones, in the order of the file."""
        return tuple(table.zone() for table in self.zone)

    def floor(self) -> Ground:
        """Return the ground calibration; one that knows no metres where the file has none."""
        return Ground(self.ground.image, self.ground.metres) if self.ground else Ground()


Table = TypeVar("Table", bound=BaseModel)


def read_toml(path: Path, shape: type[Table]) -> Table:
    """Read and check a TOML file.

    Raises:
        ConfigError: the file is missing, is not TOML, or does not fit; one line that says where and what to do.
    """
    try:
        with path.open("rb") as file:
            return shape.model_validate(tomllib.load(file))
    except FileNotFoundError as error:
        raise ConfigError(f"no file {path}; check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"{path} cannot be read as a file: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, shape)}") from error


def read_zones(path: Path) -> ZoneFile:
    """Read a zone file and check its geometry.

    Raises:
        ConfigError: see `read_toml`; also corners that make no zone and two zones of one name.
    """
    file = read_toml(path, ZoneFile)
    try:
        names = [zone.name for zone in file.zones()]
        file.floor()
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two zones are called {name!r}; give each its own name")
    return file


def explain(error: ValidationError, shape: type[BaseModel]) -> str:
    """Turn the first thing pydantic found into one line with a place and, for a wrong key, the nearest right one."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        wrong = str(first["loc"][-1])
        known = _keys_at(shape, first["loc"][:-1])
        near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.0)
        return f"unknown key {place!r}; did you mean {near[0]!r}?" if near else f"unknown key {place!r}; remove it"
    return f"{place or 'file'}: {first['msg']}"


def _keys_at(shape: Any, path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that would have been valid in the table at this path."""
    for part in path:
        if isinstance(part, int):
            continue
        field = getattr(shape, "model_fields", {}).get(part)
        if field is None:
            return []
        shape = field.annotation
        while not (isinstance(shape, type) and issubclass(shape, BaseModel)):
            inner = [a for a in getattr(shape, "__args__", ()) if a not in (type(None), ...)]
            if not inner:
                return []
            shape = inner[-1]
    return sorted(shape.model_fields)
