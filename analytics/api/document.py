"""The OpenAPI document, made from the very models that check questions and write answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from analytics.api.questions import Nothing
from analytics.api.shapes import Problem
from consent.signin.bearer import PROBLEM

CSV = "text/csv"
_REFUSED = {
    "401": "No token, or one that is wrong or over.",
    "403": "The token is for something else, or the request came from elsewhere.",
    "404": "There is no such thing at the privacy level in force.",
    "405": "Here is only read.",
    "421": "The shop does not answer under this name.",
    "422": "The question has no answer; the detail says why.",
    "429": "Too many requests; wait as `Retry-After` says.",
    "503": "The shop's files do not answer just now.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked.

    Attributes:
        path: with `{metric}` where it is about one.
        name: unique.
        summary: one line.
        asked: its words.
        answer: what comes back.
    """

    path: str
    name: str
    summary: str
    asked: type[BaseModel]
    answer: type[Any]

    @property
    def csv(self) -> bool:
        """Say whether it answers as CSV, too."""
        return "format" in self.asked.model_fields


def document(operations: Sequence[Operation], metrics: Sequence[str], software: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document.

    Args:
        operations: what can be asked.
        metrics: ids of those that exist.
        software: version of openaisle.
    """
    answers = [(operation.answer, TypeAdapter(operation.answer)) for operation in operations]
    _, schemas = TypeAdapter.json_schemas(
        [(kind, "serialization", adapter) for kind, adapter in [*answers, (Problem, TypeAdapter(Problem))]],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "openaisle: released figures",
            "version": "1",
            "summary": "Read-only; k-anonymous cells and their definitions.",
            "description": f"openaisle {software}. Nothing is told here that the pages of the shop may not show.",
        },
        "security": [{"token": []}],
        "paths": {operation.path: {"get": _operation(operation, metrics)} for operation in operations},
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`openaisle token add` makes one."}
            },
        },
    }


def _operation(operation: Operation, metrics: Sequence[str]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _ref(operation.answer)}}
    if operation.csv:
        content[CSV] = {"schema": {"type": "string"}}
    words = _words(operation.asked)
    if "{metric}" in operation.path:
        words = [
            {"name": "metric", "in": "path", "required": True, "schema": {"type": "string", "enum": list(metrics)}},
            *words,
        ]
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            *words,
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "The `ETag` of an earlier answer; the answer is 304 where nothing changed.",
            },
        ],
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": content,
            },
            "304": {"description": "Nothing changed."},
            **{
                status: {"description": text, "content": {PROBLEM: {"schema": _ref(Problem)}}}
                for status, text in _REFUSED.items()
            },
        },
    }


def _ref(kind: type[Any]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _words(asked: type[BaseModel]) -> list[dict[str, Any]]:
    if asked is Nothing:
        return []
    ((_, schema),), _ = _schemas(asked)
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": told.get("description", ""),
            "schema": _plain({key: value for key, value in told.items() if key not in ("description", "title")}),
        }
        for name, told in schema["properties"].items()
    ]


def _schemas(asked: type[BaseModel]) -> Any:
    found, rest = models_json_schema([(asked, "validation")])
    schema = rest["$defs"][asked.__name__] if "$defs" in rest else found[asked, "validation"]
    return ((asked, schema),), rest


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without null: a word of an address is left out instead."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    merged = {**schema, **(kinds[0] if len(kinds) == 1 else {})}
    return {key: value for key, value in merged.items() if key != "anyOf" and not (key == "default" and value is None)}
