"""How quickly the dashboard answers over a year of days of 10 million visits, while `watch` runs: by hand, minutes.

    python -m tests.bench.dashboard [--days 365] [--clicks 10] [--users 10] [--think 1.0] [--no-watch] [--no-browser]

The year is the simulated weeks again and again, each count as many times over as makes 10 million visits; the officers'
pages have the demo's five weeks of consents, erasures and log behind them. A real
dashboard serves it, behind its door; beside it a real `watch` looks at the demo clip over RTSP, at the clip's own pace.

- *A click* is a filter changed over the page's websocket, until the last of the page has come back. Each changes the
  days, the hours or the zones to what was not asked before, over a whole year.
- *CPU* is what the dashboard's process used for it. A busy machine stretches the clock and hardly the CPU: `crowded`
  says by how much, from a loop of known work (1.0: the machine is ours).
- *Opened* is a page of a new session by websocket. `browser_s` is a page in Chromium on this same machine, from the
  address to everything drawn, with what that costs itself; the first one also fetches the scripts.
- *At once* is so many people, each on a page of their own, each clicking a while (`--think`, seconds) after an answer.

It prints a line a page, and at the end what was asked and what was found.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import StringArray
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1.element_tree import ElementTree, parse_tree_from_messages
from streamlit.util import calc_hash
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

import analytics.pages
import retention.pages
from analytics.shopfloor import opening, record, weeks
from analytics.state import State
from consent.access import Desk
from retention import simulated
from tests.analytics.rtsp_server import Camera, missing
from tests.chromium import chromium
from tests.signed_in import Board, dashboard

VISITS = 10_000_000
DAY_US = 86_400 * 1_000_000
PATIENCE_S = 120.0
SHELVES = ("tea", "coffee", "sweets", "fruit")
CLICK_S, OPEN_S, AT_ONCE_S = 0.5, 3.0, 1.5  # what was asked
LAST = weeks.FIRST + timedelta(days=weeks.DAYS - 2)


# --- a year -----------------------------------------------------------------------------------------------------------


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


# --- somebody who clicks ----------------------------------------------------------------------------------------------


class Visitor:
    """One session of one page, over its websocket."""

    def __init__(self, board: Board, cookie: str, path: str, days: int) -> None:
        self._first, self._path, self._rng = LAST - timedelta(days=days - 1), path, random.Random(path)
        self._known: dict[str, ForwardMsg] = {}
        self._query = "&".join(f"{key}={day}" for key, pair in self._asked().items() for day in pair)
        self._url = board.url
        self._line = connect(
            f"ws{board.url[4:]}/_stcore/stream",
            origin=Origin(board.url),
            additional_headers={"Cookie": cookie},
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            open_timeout=PATIENCE_S,
        )
        self.tree: ElementTree = self._run(BackMsg())

    def close(self) -> None:
        self._line.close()

    def click(self, turn: int) -> None:
        """Change one filter, to what was hardly asked before."""
        message = BackMsg()
        message.rerun_script.widget_states.widgets.append(self._wanted(turn))
        self.tree = self._run(message)

    def _wanted(self, turn: int) -> WidgetState:
        draw = self._rng.randrange
        found: list[WidgetState] = []
        for slider in self.tree.slider:
            if slider.key == "hours":
                found.append(slider.set_value((draw(8, 12), draw(15, 22)))._widget_state)
        for many in self.tree.multiselect:
            if many.key == "zones":
                some = self._rng.sample(many.options, min(2, len(many.options)))
                found.append(WidgetState(id=many.id, string_array_value=StringArray(data=some)))
        for dates in self.tree.date_input:
            if dates.key in self._asked():
                first, last = self._asked()[dates.key][0], self._asked()[dates.key][-1]
                moved = timedelta(days=draw(1, max(2, min(80, (last - first).days))))
                value = first + moved if dates.key == "day" else (first + moved, last)
                found.append(dates.set_value(value)._widget_state)
        chosen = [one for one in self.tree.selectbox if one.key in ("week", "shelf", "what")]
        for one in chosen or ([] if found else self.tree.selectbox):
            found.append(WidgetState(id=one.id, string_value=self._rng.choice(one.options)))
        if not found:
            raise LookupError(f"page {self._path!r} has nothing to change")
        return found[turn % len(found)]

    def _asked(self) -> dict[str, tuple[date, ...]]:
        middle = self._first + (LAST - self._first) // 2
        return {
            "day": (LAST - timedelta(days=90),),
            "days": (self._first, LAST),
            "before": (self._first, middle),
            "after": (middle + timedelta(days=1), LAST),
        }

    def _run(self, message: BackMsg) -> ElementTree:
        message.rerun_script.query_string = self._query
        message.rerun_script.page_script_hash = calc_hash(self._path)
        message.rerun_script.context_info.url = f"{self._url}/{self._path}"
        self._line.send(message.SerializeToString())
        found: list[ForwardMsg] = []
        while not found or found[-1].WhichOneof("type") != "script_finished":
            data = self._line.recv(timeout=PATIENCE_S)
            assert isinstance(data, bytes)
            told = ForwardMsg.FromString(data)
            if told.WhichOneof("type") == "ref_hash":
                kept = ForwardMsg()
                kept.CopyFrom(self._known[told.ref_hash])
                kept.metadata.CopyFrom(told.metadata)
                told = kept
            elif told.metadata.cacheable:
                self._known[told.hash] = told
            found.append(told)
        broken = [m.delta.new_element.exception.message for m in found if m.delta.new_element.HasField("exception")]
        assert not broken, broken
        return parse_tree_from_messages(found)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU that a process has used, seconds."""
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def crowded() -> float:
    """Return how much longer known work takes by the clock than by its own CPU: 1.0 on a machine of our own."""
    clock, own = time.perf_counter(), time.thread_time()
    sum(i * i for i in range(1_500_000))
    return (time.perf_counter() - clock) / (time.thread_time() - own)


def ms(values: Sequence[float], share: float) -> int:
    """Return what a share of some seconds does not exceed, milliseconds."""
    return round(float(np.percentile(values, share)) * 1000)


def measured(board: Board, cookie: str, path: str, days: int, clicks: int) -> tuple[dict[str, Any], list[float]]:
    """Open a page and click on it, and return what it took."""
    used, clock = cpu_s(board.process), time.perf_counter()
    visitor = Visitor(board, cookie, path, days)
    opened_s, opened_cpu = time.perf_counter() - clock, cpu_s(board.process) - used
    taken, before = [], crowded()
    used = cpu_s(board.process)
    try:
        for turn in range(clicks):
            clock = time.perf_counter()
            visitor.click(turn)
            taken.append(time.perf_counter() - clock)
    except LookupError:
        taken = taken or [opened_s]
    finally:
        visitor.close()
    told = {
        "page": path,
        "opened_ms": round(opened_s * 1000),
        "opened_cpu_ms": round(opened_cpu * 1000),
        "p50_ms": ms(taken, 50),
        "p95_ms": ms(taken, 95),
        "cpu_ms": round((cpu_s(board.process) - used) / len(taken) * 1000),
        "crowded": round((before + crowded()) / 2, 1),
    }
    return told, taken


def at_once(board: Board, cookie: str, paths: Sequence[str], days: int, clicks: int, think_s: float) -> list[float]:
    """Let somebody click on each of some pages, all at the same time."""
    taken: list[float] = []
    ready = threading.Barrier(len(paths))

    def somebody(path: str) -> None:
        visitor = Visitor(board, cookie, path, days)
        ready.wait()
        for turn in range(clicks):
            time.sleep(random.uniform(0, 2 * think_s))
            clock = time.perf_counter()
            visitor.click(turn)
            taken.append(time.perf_counter() - clock)
        visitor.close()

    threads = [threading.Thread(target=somebody, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == clicks * len(paths), "somebody's page broke; see above"
    return taken


def in_browser(board: Board, paths: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Open pages in Chromium, and return how long each took until nothing was left to draw."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(board.link(Desk.MANAGER))
        for path in paths:
            clock = time.perf_counter()
            page.goto(f"{board.url}/{path}")
            page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning] h1", timeout=120_000)
            expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
            if page.locator("[data-testid=stVegaLiteChart]").count():
                page.wait_for_selector("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
            yield path, time.perf_counter() - clock


@contextmanager
def watching(folder: Path) -> Iterator[None]:
    """Let `watch` look at the demo clip over RTSP, again and again, at its own pace."""
    clip = record.HERE / "demo.mp4"
    with Camera(launch=f"filesrc location={clip} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96") as camera:
        state = opening.open_shop(folder, name="Simulated, beside", source=camera.url, now_us=time.time_ns() // 1000)
        words = [sys.executable, "-m", "cli", "watch", "--state", str(state.root)]
        with (folder / "watch.log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as watch:
            time.sleep(5)
            assert watch.poll() is None, (folder / "watch.log").read_text()
            used, clock = cpu_s(watch), time.perf_counter()
            try:
                yield
            finally:
                share = (cpu_s(watch) - used) / (time.perf_counter() - clock)
                print(json.dumps({"watch": "ran" if watch.poll() is None else "ended", "cores": round(share, 2)}))
                watch.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--clicks", type=int, default=10, help="on each page")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--think", type=float, default=1.0, help="seconds from an answer to the next click, on average")
    parser.add_argument("--pages", nargs="+", help="of the managers; all by default")
    parser.add_argument("--no-watch", action="store_true")
    parser.add_argument("--no-browser", action="store_true")
    chosen = parser.parse_args()
    paths = chosen.pages or [page.path for page in analytics.pages.PAGES]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        now = time.time_ns() // 1000
        state = simulated.open_shop(folder / "shop", now_us=now)
        simulated.Past(state, now_us=now).live(lambda _: None)
        visits, files = fill(state, chosen.days)
        print(json.dumps({"visits": visits, "files": files, "days": chosen.days}), flush=True)
        if not chosen.no_watch:
            lost = missing()
            sys.exit(f"no camera beside: {lost}; --no-watch goes without") if lost else None
            stack.enter_context(watching(folder / "beside"))
        clock = time.perf_counter()
        board = stack.enter_context(dashboard(state, folder / "log"))
        print(json.dumps({"started_s": round(time.perf_counter() - clock, 1)}), flush=True)
        manager, officer = board.cookie(Desk.MANAGER), board.cookie(Desk.COMPLIANCE)
        every: list[float] = []
        opened: list[int] = []
        for cookie, some in ((manager, paths), (officer, [] if chosen.pages else _officers())):
            for path in some:
                told, taken = measured(board, cookie, path, chosen.days, chosen.clicks)
                every += taken
                opened.append(told["opened_ms"])
                print(json.dumps(told), flush=True)
        busy = [paths[i % len(paths)] for i in range(chosen.users)]
        together = at_once(board, manager, busy, chosen.days, chosen.clicks, chosen.think)
        print(json.dumps({"users": chosen.users, "p50_ms": ms(together, 50), "p95_ms": ms(together, 95)}), flush=True)
        seen = {} if chosen.no_browser else dict(in_browser(board, paths))
        print(json.dumps({"browser_s": {path: round(s, 1) for path, s in seen.items()}}), flush=True)
        print(
            f"p95 of a click {ms(every, 95)} ms (asked: {CLICK_S * 1000:.0f}); slowest page opened {max(opened)} ms"
            f" (asked: {OPEN_S * 1000:.0f}); {chosen.users} at once, p95 {ms(together, 95)} ms, most"
            f" {ms(together, 100)} ms (asked: {AT_ONCE_S * 1000:.0f})"
        )


def _officers() -> list[str]:
    return [page.path for page in retention.pages.PAGES if page.section == "compliance"]


if __name__ == "__main__":
    main()
