"""Charts as Vega-Lite has them: every one that a page draws is sound Vega-Lite, has rows, and names no address."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from streamlit.testing.v1 import AppTest

from analytics.charts import at
from analytics.marks import SCHEMA, channel, either, mark, over, plain, value
from analytics.notes import Notes
from analytics.shopfloor import opening, weeks

CHARTS = {
    "today": 3,
    "zones": 4,
    "decisions": 2,
    "expression": 1,
    "journeys": 2,
    "queues": 3,
    "conversion": 2,
    "staffing": 2,
    "funnel": 2,
    "compare": 2,
    "accuracy": 1,
}


@pytest.fixture(scope="module")
def sound() -> Draft7Validator:
    """Return what knows Vega-Lite's own schema; Altair brings it along."""
    path = files("altair.vegalite.v6.schema") / "vega-lite-schema.json"
    return Draft7Validator(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charts")
    state = opening.open_shop(folder / "shop", name=weeks.NAME, source="simulated", now_us=10**15, hours=True)
    weeks.unpack(state)
    Notes(state.root).write(weeks.CHANGE, "Layout changed", now_us=10**15)
    return state.root


def script(shop: Path, path: str) -> str:
    return (
        "from pathlib import Path\nfrom analytics.pages import PAGES\n"
        f"next(page for page in PAGES if page.path == {path!r}).draw(Path({str(shop)!r}))\n"
    )


@pytest.mark.parametrize("path", CHARTS)
def test_every_chart_of_a_page_is_sound(
    path: str, shop: Path, sound: Draft7Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr("streamlit.vega_lite_chart", lambda spec, **_: drawn.append(spec))
    app = AppTest.from_string(script(shop, path), default_timeout=120).run()
    assert not app.exception
    assert len(drawn) >= CHARTS[path]
    for spec in drawn:
        assert not list(sound.iter_errors(spec))
        text = json.dumps(spec, allow_nan=False)
        assert "://" not in text.replace(SCHEMA, "")
        for data in _rows(spec):
            assert data


def _rows(part: dict[str, Any]) -> list[list[Any]]:
    found = [part["data"]["values"]] if "data" in part else []
    return [*found, *(rows for one in part.get("layer", ()) for rows in _rows(one))]


def test_a_chart_that_is_wrong_is_found(sound: Draft7Validator) -> None:
    assert list(sound.iter_errors(plain([over([{"a": 1}], mark("rect", {"x": {"field": "a", "type": "much"}}))], 10)))
    assert list(sound.iter_errors(plain([over([{"a": 1}], mark("circel", {"x": channel("a:Q")}))], 10)))


def test_a_channel_has_the_kind_that_is_written_after_its_column() -> None:
    assert channel("day:T", title=None) == {"field": "day", "type": "temporal", "title": None}
    assert channel("95 % to") == {"field": "95 % to"}
    assert either("datum.a", channel("b:N"), value(1)) == {
        "condition": {"test": "datum.a", "field": "b", "type": "nominal"},
        "value": 1,
    }
    assert mark("bar", {"x": value(0)}, where="datum.a", size=3) == {
        "transform": [{"filter": "datum.a"}],
        "mark": {"type": "bar", "size": 3},
        "encoding": {"x": {"value": 0}},
    }


def test_a_day_stands_at_its_own_midnight_wherever_the_browser_is() -> None:
    assert at(date(2026, 9, 14)) == "2026-09-14T00:00:00"  # JavaScript reads a bare date as UTC
