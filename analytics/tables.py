"""TOML that people write: read, checked, and refused in one line that names file, place and remedy.

An unknown key is refused with the nearest valid name. What the keys are is said by the tables of `analytics.config`.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from analytics.model import AnalyticsError


class ConfigError(AnalyticsError):
    """A file a person wrote that cannot be used, with where and what to do."""


class Strict(BaseModel):
    """A table of a configuration file: unknown keys are refused, values are not guessed."""

    # what was written may be a password, and stands in no message
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)


Table = TypeVar("Table", bound=BaseModel)


def read_toml(path: Path, shape: type[Table]) -> Table:
    """Read and check a TOML file.

    Raises:
        ConfigError: the file is missing, is not TOML, or does not fit; one line that says where and what to do.
    """
    try:
        refuse_pipe(path)
        return shape.model_validate(tomllib.loads(path.read_bytes().decode("utf-8-sig")))  # editors put a mark first
    except FileNotFoundError as error:
        raise ConfigError(f"no file {path}; check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"{path} cannot be read as a file: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, shape)}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is one, too
        raise ConfigError(f"{path} is not TOML: {error}") from error


def refuse_pipe(path: Path) -> None:
    """Refuse what is neither file nor directory: to open a pipe is to wait for somebody to write into it.

    Raises:
        ConfigError: the path leads to a pipe, a socket or a device.
        OSError: the path cannot be looked at.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ConfigError(f"{path} is a pipe or a device; name a regular file")


def explain(error: ValidationError, shape: type[BaseModel]) -> str:
    """Turn what pydantic found into one line with a place and, for a wrong key, the nearest right one.

    A wrong key comes first: the right one that is missing is often only misspelt.
    """
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        wrong = str(first["loc"][-1])
        known = _keys_at(shape, first["loc"][:-1])
        if wrong == "password" and "password_env" in known:
            return f"{place}: no password stands in this file; name its variable (password_env) or file (password_file)"
        near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.0)
        return f"unknown key {place!r}; did you mean {near[0]!r}?" if near else f"unknown key {place!r}; remove it"
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{place}: {message}" if place else message


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
