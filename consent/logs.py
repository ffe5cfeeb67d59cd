"""What the processes of a shop say while they run: one line an event, and nothing in it that was not let through.

Rules:
- Denied unless allowed. The words of a line are those that stand in our own code; what is put into them is let through
  where it is a number, a path, one of our own words (`StrEnum`), an error of ours, or was marked `plain`. Any other
  text shows as `HIDDEN`, because it may hold what a person typed or sent.
- What other people's code says is cut down to who spoke, how loud, and the kind and place of an error: its words may
  hold whatever it was working on. Only lines that are known word for word, with numbers at most put into them, pass.
- An error's message passes where the error is of our own kind, of SQLite (which names tables, never values) or the
  system's word for what it could not do; of any other only its kind and where it happened do.
- Whatever looks like a code, a key or a signed token in the finished line is struck out, however it came there.

For people a line is text; with ``OPENAISLE_LOG=json`` it is one JSON object: time, process, level, logger, event, and
the values beside it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

VARIABLE = "OPENAISLE_LOG"
HIDDEN = "[hidden]"
OURS = ("analytics", "consent", "retention", "cli", "app")  # loggers of this house, and where its errors come from
# what others may say, word for word
_KNOWN = {
    "uvicorn.error": {
        "Started server process [%d]",
        "Waiting for application startup.",
        "Application startup complete.",
        "Shutting down",
        "Waiting for application shutdown.",
        "Application shutdown complete.",
        "Finished server process [%d]",
    }
}
# a shopper's code however it is written; then keys, hashes, signed tokens and whatever else is long and mixed
_CODE = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Za-z]{4}[ -]?){4,}[0-9A-Za-z]{4}(?![0-9A-Za-z])")
_LONG = re.compile(r"[0-9A-Za-z_=+-]{24,}(?:\.[0-9A-Za-z_=+-]*)*")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+:[^/@\s]+@")


class Plain(str):
    """A text that somebody looked at and found fit for a log: a name from `store.toml`, never what a visitor sent."""

    __slots__ = ()


def plain(text: str) -> Plain:
    """Mark a text as fit for a log."""
    return Plain(text)


def begin(process: str, *, level: int = logging.INFO) -> None:
    """Let everything that this process says go to stderr by the rules above.

    Args:
        process: its name, on every line.
        level: the least that is said.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(process, as_json=os.environ.get(VARIABLE) == "json"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


class Line(logging.Formatter):
    """Makes a line of a record.

    Args:
        process: who speaks.
        as_json: one JSON object instead of a text for people.
    """

    def __init__(self, process: str, *, as_json: bool) -> None:
        super().__init__()
        self._process, self._json = process, as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; never raises, whatever was said."""
        when = datetime.fromtimestamp(record.created, UTC)
        event, values = _event(record)
        error = _error(record.exc_info[1]) if record.exc_info and record.exc_info[1] is not None else None
        if not self._json:
            text = _struck(f"{_filled(event, values)}{'' if error is None else f' ({error})'}".replace("\n", " "))
            return f"{when:%Y-%m-%dT%H:%M:%SZ} {self._process} {record.levelname.lower()} {text}"
        told = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "process": self._process,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _struck(event),
            "values": [_struck(v) if isinstance(v, str) else v for v in values],
        }
        if error is not None:
            told["error"] = _struck(error)
        return json.dumps(told, ensure_ascii=False)


def _event(record: logging.LogRecord) -> tuple[str, list[Any]]:
    """Return the words of a record, as they stand in the code, and what may be put into them."""
    said = record.msg
    if record.name.partition(".")[0] in OURS:
        if not isinstance(said, str):  # an error handed over as the message
            return "%s", [_let_through(said)]
    elif not isinstance(said, str) or said not in _KNOWN.get(record.name, ()):
        return f"{record.name} said something", []
    arguments = record.args or ()
    if isinstance(arguments, Mapping):
        return said, [HIDDEN]  # nobody here says it so
    return said, [_let_through(value) for value in arguments]


def _let_through(value: object) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, PurePath | Plain):
        return str(value)
    if isinstance(value, BaseException):
        return _error(value)
    return HIDDEN


def _error(error: BaseException) -> str:
    """Return what may be said of an error."""
    kind = type(error).__name__
    if type(error).__module__.partition(".")[0] in OURS:
        return str(error)
    if isinstance(error, sqlite3.Error):
        return f"{kind}: {error}"  # names tables and columns, never a value
    if isinstance(error, OSError) and error.strerror:
        return f"{kind}: {error.strerror}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{kind}{where}"


def _filled(event: str, values: list[Any]) -> str:
    try:
        return event % tuple(values) if values else event
    except (TypeError, ValueError):  # %d of what was hidden
        return " ".join([event.replace("%", ""), *map(str, values)])


def _struck(text: str) -> str:
    """Strike out whatever looks like a code, a key, a token or a password."""
    text = _USERINFO.sub(f"{HIDDEN}@", text)
    text = _CODE.sub(lambda found: HIDDEN if re.search(r"[0-9]|[A-Z]{20}", found[0]) else found[0], text)
    return _LONG.sub(lambda found: HIDDEN if _mixed(found[0]) else found[0], text)


def _mixed(word: str) -> bool:
    """Say whether a long word is none of a language: it has digits, or its letters change case in the middle."""
    return bool(re.search(r"[0-9]", word)) or bool(re.search(r"[a-z][A-Z]", word))
