"""The HTTP API: what it tells is what was released, in the form that its own document says, to whoever may read it."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow.parquet as pq
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient

from analytics.answers import answers
from analytics.api.definitions import metrics
from analytics.api.routes import Api
from analytics.bins import local
from analytics.dashboard import open_accounts
from analytics.figures import FIGURES, SLOTS, Audience, Figure
from analytics.shopfloor import weeks
from analytics.state import State
from consent.events import Level
from consent.keys import Role
from consent.ledger import Ledger
from consent.tokens import PREFIX, Scope, Tokens
from tests.signed_in import Board, a_shop, dashboard

RUNS = int(os.environ.get("OPENAISLE_RUNS", "12"))  # `make fuzz` makes more
FIRST, LAST = "2026-09-14", "2026-10-10"  # of the simulated weeks
WRONG = {"Authorization": f"Bearer {PREFIX}{'A' * 43}"}
WHOLE = f"from={FIRST}&to={LAST}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> State:
    state = a_shop(tmp_path_factory.mktemp("api") / "shop")
    weeks.unpack(state)
    return state


@pytest.fixture(scope="module")
def ledger(shop: State) -> Iterator[Ledger]:
    with shop.open_ledger(Role.DASHBOARD) as opened:
        yield opened


@pytest.fixture(scope="module")
def ask(shop: State, ledger: Ledger) -> Callable[..., Any]:
    """Ask without a door; what stands before it is tried below and in `tests/test_door.py`."""
    client = TestClient(Api(shop, ledger).app(), raise_server_exceptions=True)
    return lambda path, **headers: client.get(f"/api/v1/{path}", headers=headers)


# --- what is told -----------------------------------------------------------------------------------------------------


def pages(ask: Callable[..., Any], path: str) -> Iterator[dict[str, Any]]:
    following: str | None = path
    while following is not None:
        answer = ask(following.removeprefix("/api/v1/"))
        assert answer.status_code == 200, answer.text
        yield answer.json()
        following = answer.json()["next"]


@pytest.mark.parametrize("name", [f"{one}.{figure}" for one in Audience for figure in FIGURES[one]])
def test_the_cells_are_those_of_the_released_files_and_no_others(
    name: str, shop: State, ask: Callable[..., Any]
) -> None:
    audience, figure = name.split(".")
    if name == "consenting.expression":
        assert ask(f"metrics/{name}/cells?{WHOLE}").status_code == 404
        return
    told = [cell for page in pages(ask, f"metrics/{name}/cells?{WHOLE}&limit=97") for cell in page["cells"]]
    files = str(shop.released / f"{audience}-{figure}-*.parquet")
    sql = (
        "SELECT start_us, end_us, camera, zone, suppressed, n, people, counts FROM read_parquet(?)"
        " ORDER BY start_us, camera, zone"
    )
    with duckdb.connect() as db:
        released = db.execute(sql, [files]).fetchall()
    assert len(told) == len(released) > 0
    for cell, (start, end, camera, zone, suppressed, n, people, counts) in zip(told, released, strict=True):
        assert cell["camera"] == camera
        assert " > ".join(filter(None, (cell["zone"], cell["to"]))) == zone
        assert cell["start"] == f"{local(start, 'UTC'):%Y-%m-%dT%H:%M:%SZ}"
        assert cell["end"] == f"{local(end, 'UTC'):%Y-%m-%dT%H:%M:%SZ}"
        at_home = local(start, "Europe/Berlin")
        assert (cell["day"], cell["hour"]) == (str(at_home.date()), at_home.hour)
        assert cell["suppressed"] is suppressed
        assert (cell["n"], cell["people"], cell["counts"]) == (
            (None, None, None) if suppressed else (n, people, counts)
        )
        assert (cell["why"] is not None) == suppressed
        assert suppressed or len(counts) == SLOTS[Figure(figure)]


def test_a_metric_says_what_its_numbers_are(ask: Callable[..., Any]) -> None:
    told = {one["id"]: one for one in ask("metrics").json()["metrics"]}
    assert set(told) == {f"{a}.{f}" for a in Audience for f in FIGURES[a]} - {"consenting.expression"}
    for one in told.values():
        assert one["definition"].endswith(".")
        assert one["unit"]
        assert len(one["slots"]) == len(set(one["slots"])) == SLOTS[Figure(one["id"].partition(".")[2])]
        assert one["least"] in (5, 10, 20)
    assert told["everybody.zone_visits"]["slots"] == ["pass_by", "glance", "engaged", "deliberating"]
    assert told["everybody.dwell"]["edges_s"][:3] == [2.0, 2.828, 4.0]


def test_below_a_level_its_figures_do_not_exist_though_they_were_released(shop: State, tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    weeks.unpack(state)
    lower = state.root / "store.toml"
    with state.open_ledger(Role.DASHBOARD) as ledger:
        client = TestClient(Api(state, ledger).app())
        before = client.get(f"/api/v1/metrics/consenting.dwell/cells?{WHOLE}")
        assert before.json()["cells"]
        lower.write_text(lower.read_text().replace('level = "dwell"', 'level = "counts"'))
        for what in ("cells", "totals"):
            after = client.get(
                f"/api/v1/metrics/consenting.dwell/{what}?{WHOLE}", headers={"If-None-Match": before.headers["etag"]}
            )
            assert after.status_code == 404
            assert "consenting" not in after.text
        for path in ("/api/v1/metrics", "/api/v1/waiting", "/api/openapi.json"):
            assert "consenting." not in client.get(path).text
        lower.write_text("this is no toml")  # nobody knows what is allowed
        assert client.get("/api/v1/stores").json()["stores"][0]["level"] == "counts"
        assert client.get(f"/api/v1/metrics/consenting.dwell/cells?{WHOLE}").status_code == 404
    assert "consenting.expression" in metrics(Level.EMOTION)
    assert "consenting.expression" not in metrics(Level.REPEAT)


def test_totals_of_a_day_and_of_a_period_are_the_sums_of_the_cells(shop: State, ask: Callable[..., Any]) -> None:
    cells = [c for page in pages(ask, f"metrics/everybody.zone_visits/cells?{WHOLE}") for c in page["cells"]]
    by_day = ask(f"metrics/everybody.zone_visits/totals?{WHOLE}").json()["totals"]
    for key, found in itertools.groupby(
        sorted(cells, key=lambda c: (c["day"], c["zone"])), key=lambda c: (c["day"], c["zone"])
    ):
        (total,) = [t for t in by_day if (t["day"], t["zone"]) == key]
        shown = list(found)
        assert total["n"] == sum(c["n"] or 0 for c in shown)
        assert total["cells"] + total["suppressed"] == len(shown)
        assert total["counts"] == [sum(column) for column in zip(*(c["counts"] or [0] * 4 for c in shown), strict=True)]
    whole = {t["zone"]: t for t in ask(f"metrics/everybody.dwell/totals?{WHOLE}&by=period").json()["totals"]}
    expected = answers(shop.root).dwells(date.fromisoformat(FIRST), date.fromisoformat(LAST))
    for (_, zone), dwell in expected.items():
        assert whole[zone]["median"] == {
            "at_s": dwell.median.at,
            "low_s": dwell.median.low,
            "high_s": dwell.median.high,
        }
        assert whole[zone]["p90"]["at_s"] == dwell.p90.at
        assert whole[zone]["censored"] == pytest.approx(dwell.censored)
    (queue,) = ask(f"metrics/everybody.queue_wait/totals?{WHOLE}&by=period").json()["totals"]
    (wait,) = answers(shop.root).waits(date.fromisoformat(FIRST), date.fromisoformat(LAST)).values()
    assert queue["median"]["at_s"] == wait.median.at


def test_what_is_all_suppressed_has_no_number_and_says_why(ask: Callable[..., Any]) -> None:
    rows = ask(f"metrics/everybody.exits/totals?from={FIRST}&to=2026-09-18&by=period&zone=entrance").json()["totals"]
    (row,) = rows
    assert (row["n"], row["counts"], row["cells"], row["start"]) == (None, None, 0, None)
    assert row["suppressed"] == 5
    assert row["why"] == "fewer than 5 tracks"


def test_hours_and_zones_leave_out_whole_cells_and_cut_none(ask: Callable[..., Any]) -> None:
    path = f"metrics/everybody.dwell/cells?{WHOLE}&limit=5000"
    every = ask(path).json()
    some = ask(f"{path}&from_hour=9&to_hour=12&zone=tea&zone=coffee").json()
    assert {cell["zone"] for cell in some["cells"]} == {"tea", "coffee"}
    named = [cell for cell in every["cells"] if cell["zone"] in ("tea", "coffee")]
    assert all(cell in named for cell in some["cells"])
    assert 0 < len(some["cells"]) < len(named)
    assert some["left_out"] > 0
    assert {cell["hour"] for cell in some["cells"]} <= {9, 10, 11}
    assert ask(f"{path}&camera=nobody").json()["cells"] == []


def test_pages_join_to_the_whole_and_hold_where_more_is_released_meanwhile(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    weeks.unpack(state)
    held = state.released / "everybody-footfall-2026-09-15.parquet"
    late = held.read_bytes()
    with state.open_ledger(Role.DASHBOARD) as ledger:
        client = TestClient(Api(state, ledger).app())

        def ask(path: str) -> Any:
            return client.get(f"/api/v1/{path}")

        path = f"metrics/everybody.footfall/cells?from={FIRST}&to=2026-09-19"
        whole = ask(f"{path}&limit=5000").json()["cells"]
        held.unlink()
        first = ask(f"{path}&limit=7").json()
        assert first["cells"] == whole[:7]
        held.write_bytes(late)
        rest = [cell for page in pages(ask, first["next"]) for cell in page["cells"]]
        assert first["cells"] + rest == whole


def test_the_days_of_later_pages_do_not_move_with_the_newest_day(ask: Callable[..., Any]) -> None:
    answer = ask("metrics/everybody.footfall/cells?limit=1")
    assert (answer.json()["first"], answer.json()["last"]) == ("2026-10-04", LAST)
    assert "from=2026-10-04" in answer.json()["next"]
    assert f"to={LAST}" in answer.json()["next"]
    assert answer.headers["link"] == f'<{answer.json()["next"]}>; rel="next"'


def test_csv_has_the_same_rows_with_a_column_for_each_slot(ask: Callable[..., Any]) -> None:
    for name in ("zone_visits", "dwell", "exits", "transitions"):
        asked = f"metrics/everybody.{name}/cells?{WHOLE}&limit=300"
        told, as_csv = ask(asked).json(), ask(f"{asked}&format=csv")
        assert as_csv.headers["content-type"].startswith("text/csv")
        assert bool(as_csv.headers.get("link")) == (told["next"] is not None)
        rows = list(csv.DictReader(io.StringIO(as_csv.text)))
        slots = next(m["slots"] for m in ask("metrics").json()["metrics"] if m["id"] == f"everybody.{name}")
        assert len(rows) == len(told["cells"])
        for row, cell in zip(rows, told["cells"], strict=True):
            assert (row["store"], row["metric"], row["simulated"]) == (told["store"], f"everybody.{name}", "true")
            assert row["start"] == cell["start"]
            assert row["n"] == ("" if cell["n"] is None else str(cell["n"]))
            assert [row[slot] for slot in slots] == [str(c) for c in cell["counts"] or [""] * len(slots)]
    total = ask(f"metrics/everybody.dwell/totals?{WHOLE}&by=period&format=csv").text
    assert "median_at_s,median_low_s,median_high_s,p90_at_s" in total.splitlines()[0]


def test_no_name_becomes_a_formula_in_a_spreadsheet() -> None:
    from analytics.api.table import _cell

    assert [_cell(text) for text in ("=1+1", "-tea", "@x", "+1", "tea")] == ["'=1+1", "'-tea", "'@x", "'+1", "tea"]
    assert [_cell(value) for value in (-1, None, True, ["a", "b"])] == [-1, None, "true", "a b"]


def test_who_has_the_newest_answer_is_told_so_and_a_new_file_makes_a_new_one(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    weeks.unpack(state)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        client = TestClient(Api(state, ledger).app())
        path = f"/api/v1/metrics/everybody.footfall/cells?{WHOLE}"
        tag = client.get(path).headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        assert client.get(f"{path}&limit=3", headers={"If-None-Match": tag}).status_code == 200
        (state.released / f"everybody-footfall-{LAST}.parquet").unlink()
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


REFUSED = {
    "from=2026-10-10&to=2026-09-14": "swap",
    "from=2024-01-01&to=2026-09-14": "366 days",
    "from=1789369200": "2026-11-20",
    "from=2026-13-01": "from",
    "from_hour=12&to_hour=9": "swap",
    "from_hour=-1": "from_hour",
    "limit=0": "limit",
    "limit=5001": "limit",
    "limit=1e3": "whole number",
    "limit=1&limit=2": "2 times",
    "format=xml": "format",
    "cursor=abc": "cursor",
    "cursor=%00": "cursor",
    "zone=": "zone",
    "zones=tea": "'zones' is not asked here",
    "from=2027-01-01": "newest day",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_question_that_does_not_fit_is_refused_in_words(words: str, ask: Callable[..., Any]) -> None:
    answer = ask(f"metrics/everybody.footfall/cells?{words}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert REFUSED[words] in answer.json()["detail"]


def test_a_released_file_that_is_broken_is_not_told_around(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    weeks.unpack(state)
    (state.released / "everybody-footfall-2026-09-15.parquet").write_bytes(b"not parquet")
    with state.open_ledger(Role.DASHBOARD) as ledger:
        client = TestClient(Api(state, ledger).app())
        answer = client.get(f"/api/v1/metrics/everybody.footfall/cells?{WHOLE}")
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    assert "cells" not in answer.text


def test_a_shop_without_figures_says_so_and_breaks_nothing(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    with state.open_ledger(Role.DASHBOARD) as ledger:
        client = TestClient(Api(state, ledger).app())
        (store,) = client.get("/api/v1/stores").json()["stores"]
        assert (store["first"], store["last"], store["simulated"]) == (None, None, True)
        for path in ("cells", "totals", "totals?by=period", f"cells?{WHOLE}", "cells?format=csv"):
            answer = client.get(f"/api/v1/metrics/everybody.footfall/{path}")
            assert answer.status_code == 200
            assert "csv" in path or (answer.json().get("cells") or answer.json().get("totals")) in ([], None)


def test_the_zones_are_those_that_are_measured(ask: Callable[..., Any], shop: State) -> None:
    zones = ask("zones").json()["zones"]
    assert {(zone["camera"], zone["name"]) for zone in zones} == set(shop.store.kinds())
    assert not {zone["kind"] for zone in zones} & {"pad", "staff"}


def test_every_answer_is_as_the_document_says(shop: State, ledger: Ledger) -> None:
    client = TestClient(Api(shop, ledger).app())
    document = client.get("/api/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        assert list(operations) == ["get"]
        schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        for name in ("everybody.dwell", "everybody.exits", "consenting.decision_pose", "everybody.transitions"):
            for words in ("", f"?{WHOLE}", f"?{WHOLE}&by=period"):
                if (words and "{metric}" not in path) or ("by=" in words and "totals" not in path):
                    continue
                answer = client.get(path.format(metric=name) + words)
                assert answer.status_code == 200, (path, words, answer.text)
                jsonschema.validate(answer.json(), whole)
    text = json.dumps(document)
    assert "http" not in text.replace("https", "http") or "://" not in text  # it names no other address


# --- behind the real door ---------------------------------------------------------------------------------------------


class Keys:
    """Tokens that are made as they are needed: each may be used so often, and a fuzzer asks oftener."""

    def __init__(self, state: State) -> None:
        self._state, self._left, self._number, self._secret = state, 0, 0, ""

    def __call__(self) -> dict[str, str]:
        if not self._left:
            self._left, self._number = 20, self._number + 1  # every check of a case asks again
            with open_accounts(self._state) as accounts:
                made = Tokens(accounts).add(f"fuzz {self._number}", Scope.FIGURES, 1, now_us=time.time_ns() // 1000)
            self._secret = made[1]
        self._left -= 1
        return {"Authorization": f"Bearer {self._secret}"}


@pytest.fixture(scope="module")
def board(shop: State, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    log = tmp_path_factory.mktemp("served") / "log"
    with dashboard(shop, log) as served:
        yield served
    assert "Traceback" not in log.read_text()
    assert "openaisle_" not in log.read_text()


@pytest.fixture(scope="module")
def keys(shop: State) -> Keys:
    return Keys(shop)


@pytest.mark.parametrize(("header", "status"), [("x-forwarded", 403), ("origin", 403), ("host", 421)])
def test_a_program_that_is_turned_away_at_the_door_is_told_in_the_form_of_the_document(
    board: Board, keys: Keys, header: str, status: int
) -> None:
    answer = requests.get(f"{board.url}/api/v1/stores", headers={**keys(), header: "elsewhere.example"}, timeout=60)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert requests.get(board.url, headers={header: "elsewhere.example"}, timeout=60).text.startswith("this page")


@pytest.fixture(scope="module")
def described(board: Board, keys: Keys) -> Any:
    return schemathesis.openapi.from_url(f"{board.url}/api/openapi.json", headers=keys())


@pytest.mark.parametrize(
    "path", ["stores", "zones", "metrics", "waiting", "metrics/{metric}/cells", "metrics/{metric}/totals"]
)
@pytest.mark.parametrize("manner", schemathesis.GenerationMode)
def test_the_running_dashboard_answers_whatever_is_asked_as_its_document_says(
    path: str, manner: schemathesis.GenerationMode, described: Any, keys: Keys
) -> None:
    operation = described[f"/api/v1/{path}"]["GET"]

    # not that whatever fits the document is accepted: that `from` lies before `to` is a rule it has no words for
    @given(case=operation.as_strategy(generation_mode=manner))
    @settings(max_examples=RUNS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def run(case: schemathesis.Case[Any]) -> None:
        left_out: list[Any] = [positive_data_acceptance, ignored_auth]
        query = case.query if isinstance(case.query, dict) else {}
        if any(name in query and not isinstance(query[name], list) for name in ("camera", "zone")):
            left_out.append(negative_data_rejection)  # in an address, one name and a list of one name are the same
        answer = case.call_and_validate(headers=keys(), excluded_checks=left_out, timeout=60)
        asked = str(answer.request.url)
        # in place of its `ignored_auth`, which does not know that whoever guesses often is told to wait
        assert requests.get(asked, timeout=60).status_code == 401
        assert requests.get(asked, headers=WRONG, timeout=60).status_code in {401, 429}

    run()


def test_a_year_by_pages_of_the_real_thing(board: Board, keys: Keys) -> None:
    path: str | None = f"/api/v1/metrics/everybody.zone_visits/cells?{WHOLE}&limit=500"
    told: list[Any] = []
    while path is not None:
        answer = requests.get(board.url + path, headers=keys(), timeout=30)
        assert answer.status_code == 200
        told += answer.json()["cells"]
        path = answer.json()["next"]
    days = {cell["day"] for cell in told}
    with zipfile.ZipFile(weeks.BUNDLE) as bundle:
        files = [name for name in bundle.namelist() if name.startswith("everybody-zone_visits-")]
        assert len(told) == sum(pq.read_metadata(io.BytesIO(bundle.read(name))).num_rows for name in files) > 1000
    assert min(days) == FIRST
    assert date.fromisoformat(max(days)) - date.fromisoformat(min(days)) == timedelta(days=26)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers
