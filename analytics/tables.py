"""TOML that people write: read, checked, and refused in one line that names file, place and remedy.

An unknown key is refused with the nearest valid name. What the keys are is said by the tables of `analytics.config`.
"""

from __future__ import annotations

import difflib
import re
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

LONGEST = 1 << 20  # of a file, bytes; ours: far above 256 zones on each of ten cameras
MOST_PARTS = 32  # of a dotted key; tables of ours stand four deep, and the parser's work grows with the square
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
# every step is possessive and starts where a key can, so that a search is linear
_CHAIN = re.compile(rf"(?<![^\s\[{{,])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}")


def parsed(text: str) -> dict[str, Any]:
    """Return what a TOML text says; a chain of words and dots that no person writes is refused before it is parsed.

    Raises:
        ValueError: it is not TOML.
        RecursionError: tables in tables without end.
    """
    if chain := _CHAIN.search(text):
        line = text.count("\n", 0, chain.start()) + 1
        raise ValueError(f"line {line}: a key of over {MOST_PARTS} parts; write it with fewer dots")
    return tomllib.loads(text)


def read_toml(path: Path, shape: type[Table]) -> Table:
    """Read and check a TOML file.

    Raises:
        ConfigError: the file is missing, is not TOML, or does not fit; one line that says where and what to do.
    """
    text, told = "", {}
    try:
        refuse_pipe(path)
        with path.open("rb") as file:
            whole = file.read(LONGEST + 1)
        if len(whole) > LONGEST:
            raise ConfigError(f"{path} has over {LONGEST} bytes; name a file that people write")
        text = whole.decode("utf-8-sig")  # editors put a mark first
        told = parsed(text)
        return shape.model_validate(told)
    except FileNotFoundError as error:
        raise ConfigError(f"no file {path}; check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"{path} cannot be read as a file: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, shape, told)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: it is no text at all; name a file that people write") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {_slip(str(error), text)}") from error
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


def _slip(found: str, text: str) -> str:
    """Say what is wrong with a line that is no TOML; what stands in it may be a password and is not repeated."""
    at = re.search(r"\(at line (\d+), column \d+\)$", found)
    lines = text.splitlines()
    line = lines[int(at[1]) - 1] if at is not None and int(at[1]) <= len(lines) else ""
    bare = re.match(r"\s*([\w-]+)\s*=\s*[^\W\d][^\"'\[{]*$", line)
    return f'line {at[1]}: text stands in quotes; write {bare[1]} = "…"' if at is not None and bare else found


# what pydantic finds, and what to write instead; its own words speak of tuples and of parsing
_INSTEAD = {
    "missing": "is missing; write it",
    "too_short": "has {actual_length}{of} and needs {min_length} or more; write the others, too",
    "too_long": "has {actual_length}{of} and may have at most {max_length}; drop the others",
    "float_parsing": "is no number; write one, such as 120",
    "float_type": "is no number; write one, such as 120",
    "int_parsing": "is no whole number; write one, such as 10",
    "int_type": "is no whole number; write one, such as 10",
    "int_from_float": "is no whole number; write one, such as 10",
    "string_type": "is no text; write it in quotes",
    "bool_parsing": "is neither true nor false; write one of them, without quotes",
    "enum": "is not one that there is; write {expected}",
    "literal_error": "is not one that there is; write {expected}",
    "greater_than": "is too small; write a number above {gt:g}",
    "greater_than_equal": "is too small; write {ge:g} or more",
    "less_than": "is too large; write a number below {lt:g}",
    "less_than_equal": "is too large; write {le:g} or less",
}


_CORNERS = ("polygon", "face", "edge", "image", "metres")


def _place(path: tuple[int | str, ...], told: Any) -> str:
    """Return where something stands, in words: ``camera 'door', zone 'tea', polygon, corner 2``, counted from 1.

    Args:
        path: as pydantic has it.
        told: what the file says; a table in it is called by its name, where it has one.
    """
    words, keys = [""], [""]  # the keys of tables in each other are joined by dots
    for part in path:
        told = _within(told, part)
        if isinstance(part, str):
            keys.append(part)
            words[-1] += f".{part}" if words[-1] else part
            continue
        name = told.get("name") if isinstance(told, dict) else None
        if isinstance(told, dict):
            words[-1] += f" {name[:64]!r}" if isinstance(name, str) else f" {part + 1}"
        else:
            words.append(f"{'corner' if keys[-1] in _CORNERS else 'number'} {part + 1}")
            keys.append("")
        words.append("")
    return ", ".join(word for word in words if word)


def _within(told: Any, part: int | str) -> Any:
    try:
        return told[part]
    except (KeyError, IndexError, TypeError):
        return None


def explain(error: ValidationError, shape: type[BaseModel], told: Any = None) -> str:
    """Turn what pydantic found into one line with a place and, for a wrong key, the nearest right one.

    A wrong key comes first: the right one that is missing is often only misspelt.

    Args:
        error: what pydantic found.
        shape: of the file.
        told: what the file says, for the names of its tables.
    """
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    place = _place(first["loc"], told)
    if first["type"] == "extra_forbidden":
        wrong = str(first["loc"][-1])
        known = _keys_at(shape, first["loc"][:-1])
        if wrong == "password" and "password_env" in known:
            return f"{place}: no password stands in this file; name its variable (password_env) or file (password_file)"
        near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.0)
        tables = any(isinstance(part, int) for part in first["loc"])
        key = f"{_place(first['loc'][:-1], told)}: unknown key {wrong!r}" if tables else f"unknown key {place!r}"
        return f"{key}; did you mean {near[0]!r}?" if near else f"{key}; remove it"
    instead = _INSTEAD.get(first["type"])
    if instead is not None and place:
        of = " corners" if first["loc"][-1] in _CORNERS else ""
        return f"{place} {instead.format(of=of, **first.get('ctx', {}))}"
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
