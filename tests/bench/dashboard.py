"""How quickly the managers' pages answer, over a year of days of 10 million visits: run by hand.

    python -m tests.bench.dashboard [--days 365] [--clicks 30] [--users 10]

The year is the simulated weeks again and again, each count as many times over as makes 10 million visits. A click is a
run of the page's script in Streamlit's own runner, as it runs behind a websocket: reading, computing, and making the
charts. Sending them and drawing them in the browser come on top and do not grow with the year. It prints p50, p95 and
the most, in milliseconds: for one user a page, for a week and for the whole year, and for several users at once.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import tempfile
import threading
import time
import zipfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from streamlit.testing.v1 import AppTest

from analytics.shopfloor import opening, weeks
from analytics.state import State

VISITS = 10_000_000
DAY_US = 86_400 * 1_000_000
PATHS = ("today", "zones", "compare", "accuracy")
SPANS = {"a year": 365, "a week": 7}  # days


def fill(state: State, days: int) -> tuple[int, int]:
    """Write a year of cells, and return how many visits and files there are."""
    state.released.mkdir(exist_ok=True)
    rounds = -(-days // weeks.DAYS)
    with zipfile.ZipFile(weeks.BUNDLE) as bundle:
        names = [name for name in bundle.namelist() if name.count("-") >= 4]
        tables = {name: pq.read_table(io.BytesIO(bundle.read(name))) for name in names}
        for name in set(bundle.namelist()) - set(names):
            (state.released / name).write_bytes(bundle.read(name))
    whole = sum(_visits(name, table) for name, table in tables.items()) * rounds
    times = max(1, round(VISITS / whole))
    for name, table in tables.items():
        day = date.fromisoformat(name[-18:-8])
        grown = _times(table, times)
        for again in range(rounds):
            moved = _moved(grown, -again * weeks.DAYS * DAY_US)
            pq.write_table(moved, state.released / f"{name[:-18]}{day - timedelta(days=again * weeks.DAYS)}.parquet")
    return whole * times, len(list(state.released.iterdir()))


def _visits(name: str, table: pa.Table) -> int:
    return int(pc.sum(table["n"]).as_py() or 0) if name.startswith("everybody-zone_visits-") else 0


def _times(table: pa.Table, times: int) -> pa.Table:
    for column in ("n", "people"):
        table = _with(table, column, pc.cast(pc.multiply(table[column], times), pa.int32()))
    counts = [None if row is None else [times * n for n in row] for row in table["counts"].to_pylist()]
    return _with(table, "counts", pa.array(counts, table.schema.field("counts").type))


def _moved(table: pa.Table, by_us: int) -> pa.Table:
    for column in ("start_us", "end_us"):
        table = _with(table, column, pc.add(table[column], by_us))
    return table


def _with(table: pa.Table, column: str, values: object) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), values)


def script(state: State, path: str) -> str:
    """Return what the dashboard runs for a page, behind the door."""
    return (
        "from pathlib import Path\nfrom analytics.pages import PAGES\n"
        f"next(page for page in PAGES if page.path == {path!r}).draw(Path({str(state.root)!r}))\n"
    )


def clicks(state: State, path: str, span: tuple[date, date], number: int, out: list[float]) -> None:
    """Open a page as one user and change its filters again and again; the first time is that of opening it."""
    app = AppTest.from_string(script(state, path), default_timeout=600)
    middle = span[0] + (span[1] - span[0]) // 2
    asked = {
        "day": [span[1]],
        "days": span,
        "before": [span[0], middle],
        "after": [middle + timedelta(days=1), span[1]],
    }
    for key, days in asked.items():
        app.query_params[key] = [day.isoformat() for day in days]
    turns = 0
    while turns <= number:
        started = time.perf_counter()
        app.run()
        out.append((time.perf_counter() - started) * 1000)
        assert not app.exception, app.exception
        turns += 1
        hours = [slider for slider in app.slider if slider.key == "hours"]
        zones = [choice for choice in app.multiselect if choice.key == "zones"]
        heats = [choice for choice in app.button_group if choice.key == "heat"]
        if heats and turns % 3 == 0:
            heats[0].set_value([("Median stay", "Engaged", "End not seen", "Visits an hour")[turns // 3 % 4]])
        elif hours and turns % 3 == 1:
            hours[0].set_value(((9, 20), (10, 18), (0, 24))[turns // 3 % 3])
        elif zones:
            zones[0].set_value([["tea"], ["tea", "coffee"], []][turns // 3 % 3])


def told(values: list[float]) -> dict[str, int]:
    p50, p95 = np.percentile(values, [50, 95])
    return {"n": len(values), "p50_ms": round(p50), "p95_ms": round(p95), "most_ms": round(max(values))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--clicks", type=int, default=30, help="of each user on each page")
    parser.add_argument("--users", type=int, default=10)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # every script says that it has no browser
    with tempfile.TemporaryDirectory() as folder:
        now = time.time_ns() // 1000
        state = opening.open_shop(Path(folder) / "shop", name=weeks.NAME, source="simulated", now_us=now, hours=True)
        visits, files = fill(state, chosen.days)
        print(json.dumps({"visits": visits, "files": files, "days": chosen.days}), flush=True)
        last = weeks.FIRST + timedelta(days=weeks.DAYS - 2)
        for name, days in SPANS.items():
            span = (last - timedelta(days=min(days, chosen.days) - 1), last)
            for path in PATHS:
                once: list[float] = []
                clicks(state, path, span, chosen.clicks, once)
                print(json.dumps({"page": path, "of": name, "opened_ms": round(once[0]), **told(once[1:])}), flush=True)
        many: list[float] = []
        threads = [
            threading.Thread(target=clicks, args=(state, PATHS[i % len(PATHS)], span, chosen.clicks, many))
            for i in range(chosen.users)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps({"users": chosen.users, **told(many)}), flush=True)


if __name__ == "__main__":
    main()
