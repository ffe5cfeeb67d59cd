"""How the shop's processes do, for Prometheus: `/metrics` of the dashboard. Counts and ages; nothing about shoppers.

Rules:
- The dashboard tells what it may read anyway: the note of the keeper's last sweep, the state of the log, what `watch`
  says of its cameras, released coverage. It opens nothing for this that it does not open for its pages.
- No occupancy, no band of one, and no count that moves with one shopper: what would tell that somebody said yes or no,
  or that a visit ended, at the moment it happened is rounded to steps, or left out. So there is neither the number of
  log entries nor the age of the newest checkpoint.
- A label is the name of a camera, and nothing else is one.
- What is not known is not there: a gauge without a value would be taken for a zero.

Who may read it: a token for metrics, see `consent.signin.bearer`.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics.answers import answers
from analytics.bins import local
from analytics.config import ConfigError
from analytics.figures import Figure
from analytics.live import read_health
from analytics.model import SECOND
from analytics.report import ReportError
from analytics.state import State
from consent.events import Level
from consent.ledger import Ledger
from consent.register import LIVE
from retention.status import PROBLEMS, last_sweep

SEES_S = 10.0  # a camera whose last picture is no older than this sees
OVERDUE_US = 600 * SECOND  # an erasure takes less than a minute
_INBOX, _PEOPLE, _SIGNED_S, _WAIT_S, _MIB = 100, 5, 10, 60, 1 << 20  # steps


def steps(value: float, step: int, *, up: bool = False) -> int:
    """Return a number in whole steps, down or up; nothing finer is told."""
    return step * (int(-(-value // step)) if up else int(value // step))


class Health(Collector):
    """What is told of one shop, looked up anew at each scrape.

    Args:
        state: the shop; read anew where `store.toml` changed.
        ledger: opened with `Role.DASHBOARD`.
        now_us: UTC microseconds.
    """

    def __init__(
        self, state: State, ledger: Ledger, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._state, self._ledger, self._now_us = state, ledger, now_us

    def describe(self) -> list[Metric]:
        """Say nothing beforehand: what there is depends on what is known."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        now_us = self._now_us()
        level, fits = Level.COUNTS, True
        try:
            self._state = self._state.reread()
            level = self._state.level(self._ledger)
        except ConfigError:
            fits = False
        yield _gauge("config_valid", "1 where store.toml fits; else nothing is recorded.", fits)
        yield _gauge("privacy_level", "Level in force: 0 counts, 1 dwell, 2 repeat, 3 emotion.", level.rank)
        yield _gauge("simulated", "1 where a program makes the figures up.", self._state.store.store.simulated)
        yield from self._watch()
        yield from self._released(now_us)
        yield from self._keeper(now_us)
        yield from self._promises(now_us)
        disk = shutil.disk_usage(self._state.root)
        yield _gauge("disk_free_bytes", "Free where the state directory lies, in whole MiB.", steps(disk.free, _MIB))
        yield _gauge("disk_size_bytes", "Size of that disk.", disk.total)

    def _watch(self) -> Iterator[Metric]:
        told = read_health(self._state.live)
        yield _gauge("watch_up", "1 where openaisle watch answers.", told is not None)
        sees = GaugeMetricFamily(f"{_OURS}_camera_up", f"1 where a picture came in the last {SEES_S:g} s.", labels=_BY)
        ages = GaugeMetricFamily(f"{_OURS}_camera_last_picture_age_seconds", "Since the last picture.", labels=_BY)
        known = {} if told is None else told["cameras"]
        for camera in self._state.store.camera:
            sees.add_metric([camera.name], float(known.get(camera.name, SEES_S + 1) <= SEES_S))
            if camera.name in known:
                ages.add_metric([camera.name], known[camera.name])
        yield sees
        yield ages
        if told is not None:
            yield _counter("alerts_sent", "Alerts that somebody took, since watch began.", told["alerts"]["sent"])
            yield _counter("alerts_failed", "Tries that nobody took.", told["alerts"]["failed"])

    def _released(self, now_us: int) -> Iterator[Metric]:
        try:
            report = answers(self._state.root)
            today = local(now_us, report.tz).date()
            cells = report.cells(Figure.VISITS, today, today)
            days = report.days()
            newest = report.cells(Figure.VISITS, days[-1], days[-1]) if days else []
        except ReportError:
            yield _gauge("released_readable", "1 where every released file can be read.", 0)
            return
        yield _gauge("released_readable", "1 where every released file can be read.", 1)
        seen = GaugeMetricFamily(
            f"{_OURS}_camera_coverage_ratio", "Observed ÷ open time of today's released cells.", labels=_BY
        )
        for camera in self._state.store.camera:
            of = [cell for cell in cells if cell.camera == camera.name]
            if open_us := sum(cell.open_us for cell in of):
                seen.add_metric([camera.name], sum(cell.observed_us for cell in of) / open_us)
        yield seen
        if newest:
            age_s = (now_us - max(cell.end_us for cell in newest)) / SECOND
            yield _gauge("released_age_seconds", "Since the end of the newest released cell of visits.", age_s)

    def _keeper(self, now_us: int) -> Iterator[Metric]:
        swept = last_sweep(self._state.root)
        if swept is None:
            return
        age_s = (now_us - swept["swept_us"]) / SECOND
        yield _gauge("keeper_sweep_age_seconds", "Since the keeper last looked at everything; every 4 min.", age_s)
        wrong = sum(swept[name] is not None for name in PROBLEMS)
        yield _gauge("keeper_problems", "Kinds of problem that the last sweep noted.", wrong)

    def _promises(self, now_us: int) -> Iterator[Metric]:
        ((rows, oldest_us),) = self._ledger.select("SELECT count(*), min(written_us) FROM inbox")
        waits_s = 0 if oldest_us is None else steps(max(0, now_us - oldest_us) / SECOND, _WAIT_S)
        yield _gauge("inbox_rows", "Rows that the keeper has not loaded, in steps of 100.", steps(rows, _INBOX))
        yield _gauge("inbox_oldest_age_seconds", "Age of the oldest of them, in steps of a minute.", waits_s)
        newest = self._ledger.newest_checkpoint()
        ((since_us,),) = self._ledger.select(
            "SELECT min(at_us) FROM records WHERE leaf >= ?", 0 if newest is None else newest[1].size
        )
        late_s = 0 if since_us is None else steps(max(0, now_us - since_us) / SECOND, _SIGNED_S)
        yield _gauge(
            "log_unsigned_age_seconds",
            "Age of the oldest log entry that no checkpoint covers, in steps of 10 s; 0 where all are signed.",
            late_s,
        )
        due, overdue = self._erasures(now_us)
        yield _gauge("erasures_due", "Erasures that wait, in steps of 5, downwards.", steps(due, _PEOPLE))
        yield _gauge(
            "erasures_overdue",
            "Erasures that wait for more than ten minutes, in steps of 5, upwards; those on an officer's hold, too.",
            steps(overdue, _PEOPLE, up=True),
        )

    def _erasures(self, now_us: int) -> tuple[int, int]:
        """Return of how many subjects every consent is over, and of how many for long."""
        sql = (
            "SELECT count(*), coalesce(sum(since_us < ?), 0) FROM (SELECT max(min(coalesce(g.ended_us, g.until_us),"  # noqa: S608
            " g.until_us)) since_us FROM subjects s JOIN grants g ON g.subject = s.subject GROUP BY s.subject"
            f" HAVING sum(g.{LIVE} AND g.until_us > ?) = 0)"
        )
        ((due, overdue),) = self._ledger.select(sql, now_us - OVERDUE_US, now_us)
        return int(due), int(overdue)


_OURS, _BY = "openaisle", ("camera",)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_OURS}_{name}", told, value=float(value))


def _counter(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(f"{_OURS}_{name}", told, value=value)


class _Said(logging.Handler):
    """Counts what this process warns of; no word of it is kept."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.WARNING)
        self._warnings = Counter(
            f"{_OURS}_dashboard_warnings", "Warnings of the dashboard's process.", registry=registry
        )
        self._errors = Counter(f"{_OURS}_dashboard_errors", "Errors of the dashboard's process.", registry=registry)

    def emit(self, record: logging.LogRecord) -> None:
        (self._errors if record.levelno >= logging.ERROR else self._warnings).inc()


def metrics(state: State, ledger: Ledger) -> Starlette:
    """Return what answers under `/metrics`.

    Args:
        state: the shop.
        ledger: opened with `Role.DASHBOARD`.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # when a count began is when the process did
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Health(state, ledger))
    logging.getLogger().addHandler(_Said(registry))

    def scrape(request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": kind, "cache-control": "no-store"})

    app = Starlette(routes=[Route("/metrics", scrape, methods=["GET"])])
    app.router.redirect_slashes = False
    return app
