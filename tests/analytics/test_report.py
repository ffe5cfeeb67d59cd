"""The pages' answers come from released cells, and from nothing else on the disk."""

from __future__ import annotations

import random
import shutil
from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lifelines import KaplanMeierFitter

from analytics.bins import DAY, HOUR, Plan
from analytics.figures import Audience, Figure
from analytics.model import SECOND
from analytics.released import joined
from analytics.report import Dwell, Report, ReportError, read_plan
from retention.figures import Released
from retention.release import Release
from tests.retention.busy_shop import CAMERA, KINDS, TZ, Rows, day_of_visits, fill, instant, payloads, visit

LAST = date(2026, 11, 19)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop's state")  # a quote in the path must not matter
    fill(path, LAST, 9)
    return path


@pytest.fixture
def report(state: Path) -> Report:
    return Report(state / "released")


def stay(report: Report, zone: str, first: date, audience: Audience = Audience.EVERYBODY) -> Dwell | None:
    return report.dwells(first, LAST, audience=audience).get((CAMERA, zone))


def test_a_total_is_the_sum_of_the_cells_it_names(state: Path, report: Report) -> None:
    rows = [r for r in Released(state / "released").cells() if r["metric"] == "everybody.footfall"]
    by_day = report.footfall_by_day(date(2026, 11, 11), LAST)
    assert [day.isoformat() for day, _ in by_day] == [f"2026-11-{d}" for d in (11, 12, 13, 14, 16, 17, 18, 19)]
    assert sum(total.n for _, total in by_day) == sum(r["n"] for r in rows)
    total = report.total(Figure.FOOTFALL, LAST, LAST)
    assert (total.metric, total.rule, total.units) == ("everybody.footfall", "1", ("tracks",))
    assert (total.start_us, total.end_us) == (instant(LAST, 8), instant(LAST, 20))


def test_every_zone_that_has_figures_is_named_with_its_days(report: Report, tmp_path: Path) -> None:
    named = report.named()
    assert set(named) == {(CAMERA, zone) for zone in ("door", "coffee", "wine", "bread", "magazines")}
    assert named[CAMERA, "bread"] == (date(2026, 11, 11), LAST)
    assert Report(tmp_path / "none").named() == {}


def test_entries_are_close_to_what_happened(report: Report) -> None:
    day = date(2026, 11, 18)
    rng = random.Random(7)
    shown = report.total(Figure.FOOTFALL, day, day)
    typical = len([v for v in day_of_visits(day, rng) if v.zone == "door"])
    assert shown.n == pytest.approx(typical, rel=0.15)
    assert shown.coverage == 1.0


def test_what_the_camera_missed_is_said_and_not_filled_in(report: Report) -> None:
    total = report.total(Figure.VISITS, LAST, LAST)
    assert total.coverage == pytest.approx((12 - 1.7) / 12)
    cells = {c.end_us: c for c in report.cells(Figure.VISITS, LAST, LAST) if c.zone == "door"}
    assert cells[instant(LAST, 14)].observed_us == 0.5 * HOUR
    both = cells[instant(LAST, 16)]  # nobody was seen from 14 to 15: no hour of its own, and no zero
    assert (both.start_us, both.observed_us, both.open_us) == (instant(LAST, 14), 0.8 * HOUR, 2 * HOUR)


def test_a_median_is_close_to_that_of_the_stays(state: Path, report: Report) -> None:
    figure = stay(report, "wine", date(2026, 11, 11))
    assert figure is not None
    stays = [
        v
        for seed in range(8)
        for v in day_of_visits(LAST, random.Random(seed))
        if v.zone == "wine" and v.stops and v.dwell_us >= 2 * SECOND
    ]
    fit = KaplanMeierFitter().fit([v.dwell_us / SECOND for v in stays], [not v.censored for v in stays])
    assert figure.median.at == pytest.approx(fit.median_survival_time_, rel=0.15)
    assert figure.median.low is not None
    assert figure.median.high is not None
    assert figure.median.low < fit.median_survival_time_ < figure.median.high
    assert sum(figure.ended) + sum(figure.lost) == figure.total.n
    assert 0.03 < figure.censored < 0.13


def test_consenting_shoppers_are_never_added_to_everybody(report: Report) -> None:
    everybody = stay(report, "coffee", date(2026, 11, 11))
    consenting = stay(report, "coffee", date(2026, 11, 11), Audience.CONSENTING)
    assert everybody is not None
    assert consenting is not None
    assert 0.15 * everybody.total.n < consenting.total.n < 0.45 * everybody.total.n
    assert set(consenting.total.units) <= {"visitors", "visitor_days"}


def test_cells_of_two_rules_are_never_added_up(tmp_path: Path) -> None:
    release = Release(tmp_path, random.Random(1), tz=TZ)
    visits = day_of_visits(LAST, random.Random(1))
    old = [c for c in payloads(LAST, visits, "old") if c.figure is Figure.FOOTFALL]
    new = [c for c in payloads(LAST, visits, "new") if c.figure is Figure.FOOTFALL]
    for cell in new[:3]:
        object.__setattr__(cell, "rule", "2")
    release.release_everybody([*old, *new[:3]])
    total = Report(tmp_path / "released").total(Figure.FOOTFALL, LAST, LAST)
    assert (total.rule, total.cells) == ("2", 3)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_blob('{state}/ledger.sqlite')",
        "SELECT * FROM read_blob('{state}/released/../ledger.sqlite')",
        "ATTACH '{state}/visits.duckdb'",
        "COPY (SELECT 1) TO '{state}/out.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
    ],
)
def test_it_can_open_nothing_but_released_cells(state: Path, report: Report, sql: str) -> None:
    (state / "ledger.sqlite").write_bytes(b"promises")
    with duckdb.connect(str(state / "visits.duckdb")) as visits:
        visits.execute("CREATE TABLE IF NOT EXISTS dwell (visitor UBIGINT)")
    with pytest.raises(duckdb.Error, match=r"disabled|locked|Permission|not allowed"):
        report._db.execute(sql.format(state=str(state).replace("'", "''")))


def ask_all(folder: Path) -> None:
    """Ask for everything that the page shows."""
    report = Report(folder)
    for figure in Figure:
        for audience in Audience:
            assert report.total(figure, date(2026, 1, 1), date(2026, 12, 31), audience=audience)
    for audience in Audience:
        report.dwells(date(2026, 1, 1), date(2026, 12, 31), audience=audience)
    report.footfall_by_day(date(2026, 1, 1), date(2026, 12, 31))
    report.waiting()


@pytest.fixture
def footfall(state: Path, tmp_path: Path) -> Path:
    """The file of the newest entries, among copies of all others."""
    shutil.copytree(state / "released", tmp_path / "released")
    return tmp_path / "released" / f"everybody-footfall-{LAST}.parquet"


@pytest.mark.parametrize("name", [f"everybody-footfall-{LAST}.parquet", "waiting.parquet"])
@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1", b"\x00" * 5000, None])
def test_a_broken_file_is_named(name: str, content: bytes | None, footfall: Path) -> None:
    path = footfall.with_name(name)
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ReportError, match=f"{name} is not as the keeper wrote it; move it away or restore it"):
        ask_all(path.parent)


@pytest.mark.parametrize(
    "name",
    [
        "a-b-9999-99-99.parquet",
        "a-b-9999-12-31.parquet",
        "a-b-0001-01-01.parquet",
        "everybody-footfall-2026-13-01.parquet",
        "a-b-2026-11-19.parquet",
        "consenting-dwell-2026-11-18.parquet",
    ],
)
def test_a_sound_file_under_another_name_is_named(name: str, footfall: Path) -> None:
    path = footfall
    path.with_name(name).write_bytes(path.read_bytes())
    with pytest.raises(ReportError, match=name):
        ask_all(path.parent)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rule", "one"),
        ("rule", None),
        ("camera", None),
        ("figure", "faces"),
        ("start_us", 2**62),
        ("end_us", 0),
        ("bin_us", 0),
        ("n", None),
        ("n", "many"),
        ("counts", None),
        ("counts", [1, 2, 3]),
        ("counts", "none"),
        ("observed_us", -1),
        ("k", 1),
        ("k", 4),
        ("n", 4),
        ("people", 1),
        ("zone", "<script>alert(1)</script>"),
        ("zone", "door > wine"),
        ("zone", ""),
        ("zone", "x" * 65),
        ("camera", "a\nb"),
        ("kind", "<b>"),
        ("unit", "<b>"),
    ],
)
def test_a_file_of_odd_values_is_named(column: str, value: object, footfall: Path) -> None:
    path = footfall
    rows = [{**row, column: value} for row in pq.read_table(path).to_pylist()]
    assert not rows[0]["suppressed"]
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(ReportError, match=path.name):
        ask_all(path.parent)


@pytest.mark.parametrize("zone", ["Thé & café", "<b>"])
def test_a_name_of_another_script_is_read(zone: str, footfall: Path) -> None:
    rows = pq.read_table(footfall).to_pylist()
    for name, sound in (("Kühlung 2.B_茶-عصير", True), (zone, False)):
        pq.write_table(pa.Table.from_pylist([{**row, "zone": name} for row in rows]), footfall)
        if sound:
            ask_all(footfall.parent)
        else:
            with pytest.raises(ReportError, match=footfall.name):
                ask_all(footfall.parent)


@pytest.mark.parametrize(
    ("counts", "sound"),
    [
        ([0, 0, 0, 30, 0, 0, 50, 20], True),
        ([5, 0, 0, 30, 0, 0, 50, 15], False),  # may be half a visit of one
        ([0, 0, 0, 30, 0, 0, 65, 5], False),  # so may the rest
        ([0, 0, 0, 80, 0, 0, 0, 20], False),  # one expression alone
    ],
)
def test_expressions_of_too_few_are_not_read(counts: list[int], footfall: Path, *, sound: bool) -> None:
    (row, *_) = pq.read_table(footfall).to_pylist()
    row |= {"audience": "consenting", "figure": "expression", "k": 10, "unit": "visitors", "people": 10}
    row |= {"n": 100, "counts": counts}
    path = footfall.with_name(f"consenting-expression-{LAST}.parquet")
    pq.write_table(pa.Table.from_pylist([row]), path)
    if sound:
        ask_all(path.parent)
    else:
        with pytest.raises(ReportError, match=path.name):
            ask_all(path.parent)


@pytest.mark.parametrize("tz", ["Mars/Olympus", "../../etc", "Europe", ""])
def test_a_time_zone_that_is_none_is_named(tz: str, footfall: Path, tmp_path: Path) -> None:
    rows = [{**row, "tz": tz} for row in pq.read_table(footfall).to_pylist()]
    (tmp_path / "alone").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "alone" / footfall.name)
    with pytest.raises(ReportError, match=footfall.name):
        ask_all(tmp_path / "alone")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("figure", "faces"), ("k", 2**31), ("k", "ten"), ("k", 1), ("zone", "<b>")],
        *[("now_us", 2**62), ("since_us", -(2**62)), ("bin_us", 7)],
    ],
)
def test_odd_words_about_what_is_waited_for_are_named(column: str, value: object, footfall: Path) -> None:
    path = footfall.with_name("waiting.parquet")
    pq.write_table(pa.Table.from_pylist([{**r, column: value} for r in pq.read_table(path).to_pylist()]), path)
    with pytest.raises(ReportError, match=path.name):
        ask_all(path.parent)


def test_nothing_yet_is_an_answer(tmp_path: Path) -> None:
    empty = Report(tmp_path / "released")
    assert (empty.days(), empty.waiting(), empty.tz) == ([], [], "UTC")
    assert empty.dwells(LAST, LAST) == {}
    assert empty.total(Figure.VISITS, LAST, LAST).coverage is None
    assert empty.footfall_by_day(LAST, LAST) == []
    assert read_plan(tmp_path / "released") == Plan()


def test_one_grant_is_waited_for_and_two_hundred_shoppers_bring_the_figure(tmp_path: Path) -> None:
    release, rows = Release(tmp_path, random.Random(1), tz=TZ), Rows()

    def waited_for(hour: float) -> set[str]:
        now = instant(LAST, hour)
        release.release_consenting(rows, KINDS, now)
        release.announce(KINDS, now, (Audience.CONSENTING,))
        return {w.metric for w in Report(tmp_path / "released").waiting() if w.zone == "coffee"} - second_look

    second_look = {"consenting.decision_pose", "consenting.expression"}  # nobody was looked at twice
    rows.add(0, visit(0, "coffee", instant(LAST, 9.5), 12))
    assert waited_for(12) == {"consenting.zone_visits", "consenting.dwell", "consenting.decision_box"}
    assert stay(Report(tmp_path / "released"), "coffee", LAST, Audience.CONSENTING) is None
    for i in range(1, 201):
        rows.add(i, visit(i, "coffee", instant(LAST, 12) + i * 10_000_000, 12))
    assert waited_for(13.2) == set()
    figure = stay(Report(tmp_path / "released"), "coffee", LAST, Audience.CONSENTING)
    assert figure is not None
    assert abs(figure.total.n - 201) < 5
    assert figure.median.at == pytest.approx(12, rel=0.2)


def test_when_a_figure_can_be_expected_follows_from_the_released_rate(tmp_path: Path) -> None:
    release, rows = Release(tmp_path, random.Random(1), tz=TZ), Rows()
    start = instant(date(2026, 11, 9), 0)
    for i in range(32):  # one visitor every three hours, for four days
        rows.add(i, visit(i, "coffee", start + i * 3 * HOUR, 12))
    now = start + 4 * DAY + 19 * HOUR
    release.release_consenting(rows, KINDS, now)
    release.announce(KINDS, now, (Audience.CONSENTING,))
    (one,) = [
        w
        for w in Report(tmp_path / "released").waiting()
        if w.zone == "coffee" and w.metric == "consenting.zone_visits"
    ]
    assert one.since_us is not None
    assert one.expected_us is not None
    assert one.k == 10
    assert 20 * HOUR <= one.expected_us - one.since_us <= 40 * HOUR  # ten visitors at that rate take 30 hours


def test_a_zone_that_has_figures_is_not_waited_for_because_the_shop_is_closed(state: Path, report: Report) -> None:
    release = Release(state, random.Random(1), tz=TZ)
    release.announce(KINDS, instant(LAST, 21), tuple(Audience))
    evening = report.waiting()
    release.announce(KINDS, instant(LAST, 33), tuple(Audience))
    morning = report.waiting()
    assert {(w.metric, w.zone) for w in morning} == {(w.metric, w.zone) for w in evening}
    assert ("everybody.dwell", "magazines") in {(w.metric, w.zone) for w in morning}
    counted = {f"{audience}.{figure}" for audience in Audience for figure in (Figure.VISITS, Figure.DWELL)}
    assert not {w.zone for w in morning if w.metric in counted} & {"bread", "coffee"}


def test_a_camera_started_anew_within_an_hour_has_one_box_in_the_picture(tmp_path: Path) -> None:
    release, visits = Release(tmp_path, random.Random(1), tz=TZ), day_of_visits(LAST, random.Random(1))
    for run in ("one", "two"):
        release.release_everybody(payloads(LAST, visits, run))
    cells = Report(tmp_path / "released").cells(Figure.VISITS, LAST, LAST)
    boxes = joined(cells, zones_apart=True)
    assert len(cells) == 2 * len(boxes)
    assert sum(c.n or 0 for c in boxes) == sum(c.n or 0 for c in cells)
    assert all(sum(c.counts) == c.n for c in boxes if not c.suppressed)
    for zone in ("coffee", "door"):
        ends = [(c.start_us, c.end_us) for c in boxes if c.zone == zone]
        assert all(a[1] <= b[0] for a, b in pairwise(ends))
    everywhere = joined(cells, zones_apart=False)
    assert sum(c.n or 0 for c in everywhere) == sum(c.n or 0 for c in cells)
    assert all(a.end_us <= b.start_us for a, b in pairwise(everywhere))
    assert {c.suppressed for c in joined([c for c in cells if c.suppressed], zones_apart=True)} <= {True}


def test_the_plan_reads_as_it_was_written(state: Path) -> None:
    plan = read_plan(state / "released")
    assert plan == Release(state, random.Random(1), tz=TZ).plan
    assert plan.choices
