"""A TOML document that people keep, changed in places: its comments and its order stay.

What is written after a table and a blank line is taken to speak of what follows, as comments at the end of a file do;
it stays last when a table is added or taken away. A field that says the same already keeps its form.

It knows nothing of what the tables mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import AoT, Table, Whitespace

from analytics.tables import ConfigError


def find(tables: Sequence[Any], name: str) -> Any:
    """Return the table of that name in a list of tables, None where there is none."""
    return next((table for table in tables if table.get("name") == name), None)


def drop(table: Any, field: str, name: str, otherwise: str) -> None:
    """Take the table of that name out of the list in a field.

    Raises:
        ConfigError: there is none; it says `otherwise`.
    """
    listed = table.get(field, ())
    for index, one in enumerate(listed):
        if one.get("name") == name:
            last = index == len(listed) - 1
            rest = _cut_tail(one) if last and isinstance(one, Table) else []
            del listed[index]
            if listed:
                _last(listed[-1]).extend(rest)
            else:
                del table[field]
                _last(table).extend(rest)
            return
    raise ConfigError(otherwise)


def append(table: Any, field: str, one: Any) -> None:
    """Put one more table into the list in a field, which is made where it is missing."""
    one.trivia.indent = "\n"  # a blank line before it
    if field not in table:
        rest = _cut_tail(table) if isinstance(table, Table) else []
        table[field] = tomlkit.aot()
        table[field].append(one)
    elif isinstance(table[field], AoT):
        rest = _cut_tail(table[field][-1])
        table[field].append(one)
    else:  # written as a list of inline tables
        rest = []
        table[field].append(_item(one.unwrap()))
    _last(table[field][-1] if rest else one).extend(rest)


def _last(table: Any) -> list[Any]:
    """Return the parts of the last table in a table, which are written last."""
    body: list[Any] = (table if isinstance(table, tomlkit.TOMLDocument) else table.value).body
    for key, item in reversed(body):
        if isinstance(item, AoT) and len(item):
            return _last(item[-1])
        if isinstance(item, Table):
            return _last(item)
        if key is not None:
            break
    return body


def _cut_tail(table: Any) -> list[Any]:
    """Take off what is written after a table and a blank line: comments that speak of what follows."""
    body = _last(table)
    start = len(body)
    while start and body[start - 1][0] is None:
        start -= 1
    while start < len(body) and not (isinstance(body[start][1], Whitespace) and "\n" in body[start][1].as_string()):
        start += 1
    rest = body[start:]
    del body[start:]
    return rest


def put(table: Any, field: str, value: Any) -> None:
    """Set a field, or take it away; one that says the same already keeps its form and its comment."""
    if value is None:
        if field in table:
            rest = _cut_tail(table[field]) if isinstance(table[field], Table) else []
            del table[field]
            _last(table).extend(rest)
    elif isinstance(value, Mapping) and isinstance(table.get(field), Table):
        for name in {**table[field], **value}:
            put(table[field], name, value.get(name))
    elif field not in table:
        body = table.value.body if isinstance(table, Table) else []
        words = [key for key, item in body if key is not None and not isinstance(item, (AoT, Table))]
        if words:  # beside its likes: a field after the comments on a table within would be read as meant for that
            table.value._insert_after(words[-1], field, _item(value))
        else:
            table[field] = _item(value)
    elif plain(table[field]) != plain(value):
        comment = getattr(getattr(table[field], "trivia", None), "comment", "")
        table[field] = _item(value)
        if comment and hasattr(table[field], "comment"):
            table[field].comment(comment)


def _item(value: Any) -> Any:
    """Return what is written for a value: a table of its own in one line, anything else as it is."""
    if not isinstance(value, Mapping) or isinstance(value, tomlkit.items.Item):
        return value
    table = tomlkit.inline_table()
    table.update(plain(dict(value)))
    return table


def plain(value: Any) -> Any:
    """Return plain numbers, words, lists and tables; whole pixels are written without a point."""
    value = value.unwrap() if hasattr(value, "unwrap") else value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        value = round(value, 3)
        return int(value) if value.is_integer() else value
    return value
