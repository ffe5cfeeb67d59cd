"""The four simulated weeks: figures that keep the release rules, say what they are, and go nowhere near a real shop."""

from __future__ import annotations

import random
import zipfile
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from analytics.bins import local
from analytics.dashboard import simulated
from analytics.figures import FIGURES, FUNNEL, OUTCOMES, TIMES, UNSEEN, Audience, Figure, origin
from analytics.model import AnalyticsError
from analytics.notes import Notes
from analytics.pages.capture import by_day, whole
from analytics.report import Report
from analytics.shopfloor import opening, weeks
from analytics.start import init
from analytics.state import State
from consent.keys import Role
from retention.figures import Released, Row
from retention.keeper import Keeper

NOW = weeks._instant(weeks.FIRST + timedelta(days=weeks.DAYS), 12)
LAST = weeks.FIRST + timedelta(days=weeks.DAYS - 1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> State:
    root = tmp_path_factory.mktemp("weeks") / "shop"
    state = opening.open_shop(root, name=weeks.NAME, source="simulated", now_us=NOW, hours=True)
    assert weeks.unpack(state) > 100
    return state


@pytest.fixture(scope="module")
def cells(shop: State) -> list[Row]:
    return Released(shop.released).cells()


def test_every_cell_keeps_the_release_rules(cells: list[Row]) -> None:
    shown = [cell for cell in cells if not cell["suppressed"]]
    assert len(shown) > 1000
    for cell in shown:
        k = 5 if cell["audience"] == Audience.EVERYBODY else 10
        k *= 2 if cell["figure"] in (*TIMES, Figure.OCCUPANCY) else 1
        assert cell["k"] == k
        assert cell["people"] % 5 == cell["n"] % 5 == 0
        assert cell["people"] > k - 5  # rounded to 5 at random
        assert cell["n"] == sum(cell["counts"])
    for cell in cells:
        if cell["suppressed"]:
            assert cell["n"] is cell["people"] is cell["counts"] is None


def test_what_changed_is_written_down(shop: State) -> None:
    (note,) = Notes(shop.root).shown()
    assert note.day == weeks.CHANGE
    assert "coffee" in note.text


def test_no_visit_is_in_two_cells(cells: list[Row]) -> None:
    lines: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for cell in cells:
        line = (cell["audience"], cell["figure"], cell["camera"], cell["zone"])
        lines.setdefault(line, []).append((cell["start_us"], cell["end_us"]))
    for spans in lines.values():
        assert all(a[1] <= b[0] for a, b in pairwise(sorted(spans)))


def test_every_cell_says_that_it_is_simulated(shop: State, cells: list[Row]) -> None:
    unseen = {(figure, "tills" if figure is Figure.SALES else weeks.KIOSK) for figure in UNSEEN}
    assert {(cell["figure"], cell["camera"]) for cell in cells if cell["figure"] in UNSEEN} == unseen
    assert {cell["camera"] for cell in cells if cell["figure"] not in UNSEEN} == {opening.CAMERA} == {"simulated"}
    assert all("simulated" in cell["camera"] + cell["zone"] for cell in cells)
    assert "simulated" in shop.store.store.name.lower()
    assert simulated(shop.root)


def test_every_section_of_the_page_is_filled(shop: State) -> None:
    report = Report(shop.released)
    days = report.days()
    assert (days[0], days[-1]) == (weeks.FIRST, LAST - timedelta(days=1))  # Sundays are closed
    newest = days[-1]
    assert report.total(Figure.VISITS, newest, newest).n > 500
    assert len(report.footfall_by_day(weeks.FIRST, LAST)) == 24
    for audience in Audience:
        for figure in set(FIGURES[audience]) & TIMES - {Figure.WAIT, Figure.STAY}:
            found = {zone for _, zone in report.dwells(weeks.FIRST, LAST, audience=audience, figure=figure)}
            assert {"tea", "coffee", "sweets", "fruit"} <= found
    for audience in Audience:  # the last week has figures of those who agreed, too
        cells = report.cells(Figure.DECISION, weeks.CHANGE, LAST, audience=audience)
        assert {cell.zone for cell in cells} == {"tea", "coffee", "sweets", "fruit"}


def test_what_came_of_deliberations_is_among_the_figures_of_those_who_agreed(shop: State) -> None:
    report = Report(shop.released)
    assert report.cells(Figure.POSE, weeks.FIRST, LAST) == []  # of everybody nothing is known but boxes
    cells = report.cells(Figure.POSE, weeks.FIRST, LAST, audience=Audience.CONSENTING)
    assert {cell.zone for cell in cells} == {"tea", "coffee", "sweets", "fruit"}
    shown = [cell.counts for cell in cells if not cell.suppressed]
    came_of = [sum(sum(counts[n :: len(OUTCOMES)]) for counts in shown) for n in range(len(OUTCOMES))]
    assert min(came_of) > 50


def test_the_pages_of_journeys_queues_conversion_and_the_kiosk_are_filled(shop: State) -> None:
    report = Report(shop.released)
    flows = {(flow.start, flow.end): flow.n for flow in report.flows(weeks.FIRST, LAST)}
    assert flows["queue", "service"] > 300
    shelves = {"tea", "coffee", "sweets", "fruit"}
    assert {end for start, end in flows if start == "entrance"} >= shelves
    waits = report.waits(weeks.FIRST, LAST)[opening.CAMERA, "queue"]
    assert waits.served > 1000
    assert 0.01 < (waits.abandoned or 0) < 0.4
    assert waits.p90.at is not None
    assert waits.p90.at > 20
    ((_, stay),) = report.dwells(weeks.FIRST, LAST, figure=Figure.STAY).items()
    assert stay.total.n > 5000
    for figure, least in ((Figure.SALES, 200), (Figure.FUNNEL, 24), (Figure.OCCUPANCY, 200), (Figure.EXITS, 200)):
        assert sum(not cell.suppressed for cell in report.cells(figure, weeks.FIRST, LAST)) >= least, figure
    asked = [dict(zip(FUNNEL, cell.counts, strict=True)) for cell in report.cells(Figure.FUNNEL, weeks.FIRST, LAST)]
    for word in ("opened", "yes", "refused", "abandoned", "linked", "link_somebody_near"):
        assert sum(day[word] for day in asked) > 0, word
    in_out = [report.total(figure, weeks.FIRST, LAST).n for figure in (Figure.FOOTFALL, Figure.EXITS)]
    assert 0.9 < in_out[1] / in_out[0] <= 1.02
    came, passed = (report.cells(figure, weeks.FIRST, LAST) for figure in (Figure.FOOTFALL, Figure.PASSERS))
    days = by_day(came, passed, report.tz)
    assert len(days) == 24
    assert 0.15 < whole(days.values()).share < 0.35


def test_as_many_pass_by_as_are_counted(shop: State) -> None:
    """The truth is drawn again; what is counted of it went through the door's view, the tracker and the release."""
    report = Report(shop.released)
    for day in (weeks.FIRST, weeks.CHANGE):
        street = weeks.street_of(day)
        for second in range(13 * 3600):
            street.at(second)
        counted = report.total(Figure.PASSERS, day, day).n
        assert counted == pytest.approx(street.passed, rel=0.03, abs=40)  # each of a dozen cells is rounded to 5
        assert street.passed > 800


def test_people_come_and_stay_as_a_shop_knows_them(shop: State) -> None:
    report = Report(shop.released)
    entries = dict(report.footfall_by_day(weeks.FIRST, LAST))
    by_weekday = [sum(s.n for d, s in entries.items() if d.weekday() == day) for day in range(6)]
    assert by_weekday[5] == max(by_weekday)

    def median(zone: str, first: date, audience: Audience = Audience.EVERYBODY) -> float:
        found = report.dwells(first, first + timedelta(days=13), audience=audience, figure=Figure.DECISION)
        at = found[opening.CAMERA, zone].median.at
        assert at is not None
        return at

    assert median("coffee", weeks.CHANGE) < 0.9 * median("coffee", weeks.FIRST)  # since the layout changed
    assert 0.85 < median("tea", weeks.CHANGE) / median("tea", weeks.FIRST) < 1.15
    halves = [(zone, first) for zone in ("tea", "coffee", "sweets", "fruit") for first in (weeks.FIRST, weeks.CHANGE)]
    longer = [median(*half, Audience.CONSENTING) > median(*half) for half in halves]
    assert sum(longer) >= 7  # who agrees stays longer; by chance four of them would


def test_what_ships_is_small_and_holds_figures_and_nothing_else() -> None:
    assert weeks.BUNDLE.stat().st_size < 1_000_000
    with zipfile.ZipFile(weeks.BUNDLE) as bundle:
        names = bundle.namelist()
    assert all(name.endswith(".parquet") and "/" not in name for name in names)
    assert {name.split("-")[0] for name in names} == {"everybody", "consenting", "plan.parquet", "waiting.parquet"}


def test_a_real_shop_gets_no_simulated_figure(tmp_path: Path) -> None:
    state = init(tmp_path / "shop", now_us=NOW, name="Main Street", timezone="Europe/Berlin")
    with pytest.raises(AnalyticsError, match="is no simulated shop"):
        weeks.unpack(state)
    assert not state.released.exists()
    assert not simulated(state.root)


def test_figures_that_are_there_are_not_written_over(shop: State) -> None:
    with pytest.raises(AnalyticsError, match="holds figures already"):
        weeks.unpack(shop)


def test_a_bundle_writes_nowhere_but_among_the_figures(tmp_path: Path) -> None:
    state = opening.open_shop(tmp_path / "shop", name=weeks.NAME, source="simulated", now_us=NOW)
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as evil:
        for name in ("../outside.parquet", "/outside.parquet", "sub/inside.parquet", "store.toml", "plan.parquet"):
            evil.writestr(name, b"x")
    assert weeks.unpack(state, tmp_path / "evil.zip") == 1
    assert [p.name for p in state.released.iterdir()] == ["plan.parquet"]
    assert list(tmp_path.rglob("*side.parquet")) == []


def test_the_command_makes_the_first_day_again(tmp_path: Path, cells: list[Row]) -> None:
    """The same people by the same seed; a rule of the pad that changed since may move a count or two."""

    def keep(state: State, now_us: int) -> None:
        with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger, random.Random(1)) as keeper:
            keeper.run_once(now_us)

    ((day, done),) = list(weeks.make(tmp_path / "again", keep, days=1))
    assert day == weeks.FIRST
    assert done.links > 50
    assert done.rows > done.links
    assert done.looks > 1000
    assert done.expressions > 50
    again = Released(State.read(tmp_path / "again").released).cells()

    def sums(rows: list[Row]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for row in rows:
            here = local(row["start_us"], opening.TIMEZONE).date() == weeks.FIRST
            if here and row["audience"] == Audience.EVERYBODY and row["figure"] in (Figure.VISITS, Figure.FOOTFALL):
                key = (row["figure"], row["zone"])
                found[key] = found.get(key, 0) + (row["n"] or 0)
        return found

    # a day alone has too few faces for a cell; the weeks have them
    faces = [row for row in (*cells, *again) if row["figure"] == Figure.EXPRESSION and not row["suppressed"]]
    assert {row["audience"] for row in faces} == {Audience.CONSENTING}
    assert len({row["zone"] for row in faces}) >= 3
    assert all(sum(count > 0 for count in row["counts"][:-1]) >= 2 for row in faces)
    shipped, made = sums(cells), sums(again)
    assert shipped.keys() == made.keys()
    for key, n in shipped.items():  # an hour near the least that is told may be told in one and not in the other
        assert abs(made[key] - n) <= 0.1 * n + 30, key
    assert abs(sum(made.values()) - sum(shipped.values())) <= 0.05 * sum(shipped.values())


def test_people_leave_before_the_day_ends() -> None:
    day = weeks.Day(random.Random(3), weeks._TASTE, (40.0,))
    seconds = list(day.instants())
    assert all(b > a for a, b in pairwise(seconds))
    assert seconds[-1] < 3600 + 1800
    assert day.states == ()
    assert len(day.choices) > 20
    assert set(day.choices.values()) <= {"grant", "refuse", "object", ""}


def test_pads_and_staff_have_no_figures(shop: State, cells: list[Row]) -> None:
    seen = {origin(cell["zone"]) for cell in cells if cell["figure"] not in {*UNSEEN, Figure.PASSERS}}
    assert seen <= {zone for _, zone in shop.store.kinds()}
    assert {cell["zone"] for cell in cells if cell["figure"] == Figure.PASSERS} == {"pavement"}
    assert all(cell["end_us"] > cell["start_us"] >= weeks._instant(weeks.FIRST, 0) for cell in cells)
    assert max(cell["end_us"] for cell in cells) <= NOW
