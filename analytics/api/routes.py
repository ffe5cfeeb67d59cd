"""The addresses under `/api`: a question is checked, answered from the released cells, and told as JSON or CSV.

Rules:
- What is told is what the pages may show: released cells through `analytics.answers`, of metrics that exist at the
  privacy level in force this moment. Nothing here reads a visit, and nothing is computed that a page does not.
- Every answer has an ETag of what it is made of, so that whoever has it already is told so without reading a cell.
- A question is refused whole: a word that is not known, too, since it would have been ignored in silence.

Who may ask is decided before: see `consent.signin.bearer`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from datetime import date
from typing import Any, get_origin
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics.answers import Answers, answers
from analytics.api.definitions import metrics
from analytics.api.document import CSV, Operation, document
from analytics.api.figures import Found, QuestionError, awaited, find, page, row, totals
from analytics.api.questions import CellsAsked, Nothing, TotalsAsked
from analytics.api.shapes import Cells, Metrics, Store, Stores, Totals, Waiting, Zone, Zones
from analytics.api.table import table
from analytics.config import ConfigError
from analytics.report import ReportError
from analytics.state import State
from consent.command import software
from consent.events import ConsentError, Level
from consent.ledger import Ledger
from consent.signin.bearer import problem

_log = logging.getLogger(__name__)
_TITLES = {404: "Not Found", 405: "Method Not Allowed", 422: "Unprocessable Content", 503: "Service Unavailable"}


class Api:
    """Answers questions about one shop.

    Args:
        state: the shop; read anew where `store.toml` changed.
        ledger: says which privacy level is approved.
    """

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state, self._ledger = state, ledger
        self._lock = threading.Lock()
        self._asked: dict[Operation, Callable[[_Shop, Any, str], Any]] = {
            Operation("/api/v1/stores", "stores", "The shop.", Nothing, Stores): _stores,
            Operation("/api/v1/zones", "zones", "Its zones, as they are drawn now.", Nothing, Zones): _zones,
            Operation("/api/v1/metrics", "metrics", "What each metric is.", Nothing, Metrics): _metrics,
            Operation("/api/v1/waiting", "waiting", "What is not there yet.", Nothing, Waiting): _waiting,
            Operation(
                "/api/v1/metrics/{metric}/cells", "cells", "Released cells of a metric.", CellsAsked, Cells
            ): _cells,
            Operation(
                "/api/v1/metrics/{metric}/totals", "totals", "Released cells added up.", TotalsAsked, Totals
            ): _totals,
        }

    def app(self) -> Starlette:
        """Return what answers under `/api`."""
        routes = [Route(operation.path, self._endpoint(operation), methods=["GET"]) for operation in self._asked]
        routes.append(Route("/api/openapi.json", self._document, methods=["GET"]))
        app = Starlette(
            routes=routes, exception_handlers={HTTPException: _refused, ReportError: _broken, ConsentError: _broken}
        )
        app.router.redirect_slashes = False
        return app

    def _shop(self) -> _Shop:
        """Return the shop as it is now; at `counts` while `store.toml` does not fit."""
        with self._lock:
            try:
                self._state = self._state.reread()
                level = self._state.level(self._ledger)
            except ConfigError:
                level = Level.COUNTS
            return _Shop(self._state, level, answers(self._state.root))

    def _document(self, request: Request) -> Response:
        _question(request, Nothing)
        shop = self._shop()
        told = document(list(self._asked), list(shop.metrics), software())
        return _tagged(request, shop, lambda: (json.dumps(told).encode(), "application/json", None))

    def _endpoint(self, operation: Operation) -> Callable[[Request], Response]:
        adapter = TypeAdapter(operation.answer)

        def endpoint(request: Request) -> Response:
            shop = self._shop()
            name = request.path_params.get("metric", "")
            if name and name not in shop.metrics:
                raise HTTPException(404, f"there is no metric of this name; there is {', '.join(shop.metrics)}")
            asked = _question(request, operation.asked)

            def answer() -> tuple[bytes, str, str | None]:
                try:
                    found = self._asked[operation](shop, asked, name)
                except QuestionError as error:
                    raise HTTPException(422, str(error)) from error
                following = getattr(found, "next", None)
                if getattr(asked, "format", "json") == "csv":
                    return table(found, shop.metrics[name]), f"{CSV}; charset=utf-8; header=present", following
                return adapter.dump_json(found), "application/json", following

            return _tagged(request, shop, answer)

        return endpoint


class _Shop:
    """The shop as one question finds it."""

    def __init__(self, state: State, level: Level, report: Answers) -> None:
        self.state, self.level, self.report = state, level, report
        self.metrics = metrics(level)
        self.id, self.simulated = state.store.store.id, state.store.store.simulated

    @property
    def stamp(self) -> str:
        """What every answer is made of."""
        made_of = [software(), self.state.sha256.hex(), self.level.value, sorted(self.report.stamps.items())]
        return json.dumps(made_of)


def _stores(shop: _Shop, _asked: Nothing, _metric: str) -> Stores:
    table, days = shop.state.store.store, shop.report.days()
    one = Store(
        id=table.id,
        name=table.name,
        timezone=table.timezone,
        level=shop.level.value,
        simulated=table.simulated,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        software=software(),
    )
    return Stores((one,))


def _zones(shop: _Shop, _asked: Nothing, _metric: str) -> Zones:
    kinds = shop.state.store.kinds()
    return Zones(shop.id, shop.simulated, tuple(Zone(*place, str(kind)) for place, kind in sorted(kinds.items())))


def _metrics(shop: _Shop, _asked: Nothing, _metric: str) -> Metrics:
    return Metrics(shop.id, shop.simulated, tuple(shop.metrics.values()))


def _waiting(shop: _Shop, _asked: Nothing, _metric: str) -> Waiting:
    return Waiting(shop.id, shop.simulated, tuple(awaited(shop.report, shop.metrics)))


def _cells(shop: _Shop, asked: CellsAsked, metric: str) -> Cells:
    found = find(shop.report, shop.metrics[metric], asked)
    shown, cursor = page(found, asked)
    following = None
    if cursor is not None:
        # the days as they were resolved: tomorrow the newest is another
        words = asked.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"cursor": cursor}
        words |= {"from": str(found.first), "to": str(found.last)}
        following = f"/api/v1/metrics/{metric}/cells?{urlencode(words, doseq=True)}"
    return Cells(*_asked(shop, metric, found), cells=tuple(row(cell, shop.report.tz) for cell in shown), next=following)


def _totals(shop: _Shop, asked: TotalsAsked, metric: str) -> Totals:
    found = find(shop.report, shop.metrics[metric], asked)
    added = totals(found, shop.metrics[metric], asked, shop.report.tz)
    return Totals(*_asked(shop, metric, found), totals=tuple(added))


def _asked(shop: _Shop, metric: str, found: Found) -> tuple[str, bool, str, str, date | None, date | None, int]:
    return shop.id, shop.simulated, metric, shop.report.tz, found.first, found.last, found.left_out


# --- questions and answers --------------------------------------------------------------------------------------------


def _question(request: Request, asked: type[BaseModel]) -> Any:
    """Return what is asked.

    Raises:
        HTTPException: a word is not known, given twice, or does not fit.
    """
    words: dict[str, Any] = {}
    named = {field.alias or name: field for name, field in asked.model_fields.items()}
    for word in request.query_params:
        sent = request.query_params.getlist(word)
        several = word in named and get_origin(named[word].annotation) is tuple
        if len(sent) > 1 and not several:
            raise HTTPException(422, f"{_short(word)} is given {len(sent)} times; give it once")
        words[word] = tuple(sent) if several else sent[0]
    try:
        return asked.model_validate(words, by_name=False, by_alias=True)
    except ValidationError as error:
        told = []
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            if one["type"] == "extra_forbidden":
                told.append(f"{_short(str(one['loc'][0]))} is not asked here; there is {', '.join(named) or 'nothing'}")
            else:
                place = f"{one['loc'][0]}: " if one["loc"] else ""
                told.append(f"{place}{one['msg'].removeprefix('Value error, ')}")
        raise HTTPException(422, "; ".join(dict.fromkeys(told))) from error


def _short(word: str) -> str:
    return repr(word if len(word) <= 40 else f"{word[:40]}…")


def _tagged(request: Request, shop: _Shop, make: Callable[[], tuple[bytes, str, str | None]]) -> Response:
    asked = f"{request.url.path}?{request.url.query}"
    made_of = hashlib.sha256(json.dumps([shop.stamp, asked]).encode())
    tag = f'"{made_of.hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(None, 304, headers)
    body, kind, following = make()
    if following is not None:
        headers["link"] = f'<{following}>; rel="next"'
    return Response(body, 200, headers | {"content-type": kind})


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    if detail == _TITLES.get(status):  # the framework's own
        detail = "there is nothing under this address; /api/openapi.json says what there is"
    return problem(status, _TITLES.get(status, "Refused"), detail, getattr(error, "headers", None))


async def _broken(_request: Request, error: Exception) -> Response:
    _log.warning("a question could not be answered: %s", error)
    return problem(503, _TITLES[503], "the shop's files do not answer just now; its log says which")
