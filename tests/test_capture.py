"""Passers-by through the whole of `watch`: a count of five or more, and nothing else of anybody.

Where people walk is made up; everything after the pixels is the product's own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import cli
from analytics.figures import Figure
from analytics.model import SECOND, Visit
from analytics.pages.capture import Capture, by_day, whole
from analytics.payload import CellPayload
from analytics.pipeline import CameraWatch
from analytics.released import Cell
from analytics.row import VISIT
from analytics.state import State
from consent.events import Level
from consent.keys import Role
from consent.padwords import PadKind, PadOutcome
from retention.assessment import risks
from retention.rounding import round_counts
from tests import shoppers
from tests.shoppers import ON_PAD, SIZE, Crowd, Shopper, walk

TEN = 1_794_823_200 * SECOND
ZONES = f"""
[[camera.zone]]
name = "pavement"
kind = "outside"
polygon = [[0, 60], [384, 60], [384, 110], [0, 110]]

[[camera.zone]]
name = "door"
kind = "entrance"
polygon = [[150, 112], [240, 112], [240, 150], [150, 150]]

[[camera.zone]]
name = "tea"
kind = "product"
polygon = [[0, 160], [384, 160], [384, 288], [0, 288]]

[[camera.zone]]
name = "pad"
kind = "pad"
polygon = {[list(corner) for corner in shoppers.PAD]}
"""
STREET, BEFORE, WITHIN, AWAY = (10.0, 85.0), (195.0, 85.0), (195.0, 200.0), (374.0, 85.0)
EVERY_US = 60 * SECOND


@pytest.fixture
def shop(tmp_path: Path) -> State:
    root = tmp_path / "shop"
    assert cli.main(["init", str(root), "--timezone", "Europe/Berlin"]) == 0
    toml = root / "store.toml"
    head, _, _ = toml.read_text().partition("[[camera]]")
    toml.write_text(f'{head}[[camera]]\nname = "front"\nsource = "front.mp4"\n{ZONES}')
    return State.read(root)


def passer() -> Shopper:
    return Shopper(0, [(STREET, 0), (AWAY, 0)])


def customer(taps: PadKind | None = None) -> Shopper:
    """Return somebody who comes in from the street, is served as they wish, and goes out to it again."""
    stops = [(ON_PAD, 4.0)] if taps else []
    inside = [(WITHIN, 3.0), *stops, ((60.0, 228.0), 6.0), (WITHIN, 0.0)]
    return Shopper(0, [(STREET, 0), (BEFORE, 0), *inside, (BEFORE, 0), (AWAY, 0)], taps)


def watched(
    shop: State, people: Sequence[Shopper]
) -> tuple[list[CellPayload], list[str], list[Visit], list[PadOutcome | None]]:
    """Let them come one after the other; return everybody's cells, the rows, all visits, and the pad's answers."""
    coming = [Shopper(TEN + i * EVERY_US, one.stands, one.taps) for i, one in enumerate(people)]
    visits: list[Visit] = []
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd(coming, kiosk)
        one = CameraWatch(
            shop.store, shop.store.camera[0], crowd, SIZE, ledger,
            level=lambda: Level.DWELL, restart=False, run="one", audit=lambda visit, _: visits.append(visit),
        )  # fmt: skip
        walk(one, crowd, TEN, TEN + (len(people) + 1) * EVERY_US)
        one.finish()
        inbox = list(ledger.read_inbox())
        answers = crowd.outcomes()
    cells = [CellPayload.from_bytes(row.payload) for row in inbox if row.subject is None]
    rows = [row.payload.decode() for row in inbox if row.kind == VISIT]
    return cells, rows, visits, answers


def of(cells: Sequence[CellPayload], figure: Figure) -> list[tuple[str, int, bool]]:
    return [(cell.zone, cell.people, cell.suppressed) for cell in cells if cell.figure is figure]


def test_who_comes_in_is_no_passer_by_and_who_objected_is_nothing(shop: State) -> None:
    people = [*(passer() for _ in range(5)), *(customer() for _ in range(6)), customer(PadKind.OBJECT)]
    cells, rows, visits, answers = watched(shop, people)
    assert answers == [PadOutcome.SUPPRESSED]
    assert len({visit.track for visit in visits if visit.zone == "pavement"}) == 12  # all of them were outside
    assert of(cells, Figure.PASSERS) == [("pavement", 5, False)]
    assert of(cells, Figure.FOOTFALL) == [("door", 6, False)]
    assert {cell.figure for cell in cells if cell.zone.startswith("pavement")} == {Figure.PASSERS}
    assert not [cell.zone for cell in cells if "pavement" in cell.zone and cell.figure is not Figure.PASSERS]
    assert rows == []


@pytest.mark.parametrize("lingers", [(195.0, 203.0), (60.0, 230.0), (340.0, 20.0)], ids=["door", "shelf", "street"])
def test_who_may_have_changed_places_with_an_objector_is_not_told_of_when_they_have_gone(
    shop: State, lingers: tuple[float, float]
) -> None:
    in_street = lingers[1] < BEFORE[1]  # over the pavement's far edge, in no zone at all
    way = [(WITHIN, 0.0), (BEFORE, 0.0)] if in_street else [(WITHIN, 0.0)]
    objector = Shopper(0, [((60.0, 228.0), 0), (ON_PAD, 4.0), *way, (lingers, 540.0)], PadKind.OBJECT)
    crossing = Shopper(0, [(STREET, 0), (BEFORE, 0), ((195.0, 45.0), 0), (lingers, 0), ((374.0, 10.0), 0)])
    others = [crossing if in_street else customer() for _ in range(7)]
    cells, _, visits, answers = watched(shop, [objector, *others])
    assert answers == [PadOutcome.SUPPRESSED]
    assert len({visit.track for visit in visits if visit.zone == "pavement"} - {1}) == 7  # they were seen outside first
    assert of(cells, Figure.PASSERS) == [("pavement", 0, True)]
    assert [cell.zone for cell in cells if cell.figure is Figure.TRANSITIONS and not cell.suppressed] == []


def test_who_is_lost_in_the_door_and_found_outside_it_passes_by_nobody(shop: State) -> None:
    inside = Shopper(0, [((60.0, 228.0), 0), (ON_PAD, 4.0), (WITHIN, 0), ((195.0, 140.0), 0)], PadKind.OBJECT)
    outside = Shopper(0, [((195.0, 100.0), 0), (BEFORE, 0), (AWAY, 0)])  # nearly a minute later, under a new number
    cells, _, visits, answers = watched(shop, [inside, outside] * 6)
    assert answers == [PadOutcome.SUPPRESSED] * 6
    assert len([visit for visit in visits if visit.zone == "pavement"]) == 6
    assert of(cells, Figure.PASSERS) == [("pavement", 0, True)]


def test_four_passers_by_are_not_told_from_none(shop: State) -> None:
    four, *_ = watched(shop, [passer() for _ in range(4)])
    assert of(four, Figure.PASSERS) == [("pavement", 0, True)]
    assert all(cell.counts == () for cell in four if cell.figure is Figure.PASSERS)


def test_outside_nothing_is_written_about_anybody_who_said_yes(shop: State) -> None:
    cells, rows, visits, answers = watched(shop, [customer(PadKind.GRANT)])
    assert answers == [PadOutcome.LINKED]
    (person,) = {visit.track for visit in visits}
    after = [visit.zone for visit in visits if visit.track == person]
    assert after.count("pavement") == 2  # before and after
    zones = {json.loads(row)["zone"] for row in rows}
    assert zones == {"tea", "door"}  # they were still linked at the door
    assert all(cell.suppressed for cell in cells)


def test_without_an_entrance_nobody_is_said_to_pass_by(shop: State) -> None:
    path = shop.root / "store.toml"
    path.write_text(path.read_text().replace('kind = "entrance"', 'kind = "product"'))
    cells, *_ = watched(State.read(shop.root), [passer() for _ in range(6)])
    assert of(cells, Figure.PASSERS) == []


def test_the_assessment_names_the_street_where_a_camera_sees_it(shop: State) -> None:
    told = [risk.what for risk in risks(shop.store, Level.COUNTS)]
    assert [what for what in told if "street" in what] == ["People are seen in the street who never came in"]
    inside = [zone for zone in shop.store.camera[0].zone if zone.name != "pavement"]
    blind = shop.store.model_copy(update={"camera": (shop.store.camera[0].model_copy(update={"zone": tuple(inside)}),)})
    assert not [risk.what for risk in risks(blind, Level.COUNTS) if "street" in risk.what]


# --- the share --------------------------------------------------------------------------------------------------------

HOUR = 3600 * SECOND
DAY = Cell("1", "front", "door", "entrance", TEN, TEN + HOUR, HOUR, 5, "tracks", False, 20, 20, (20,), 1, 1)


def test_capture_is_of_cameras_that_see_both_and_of_days_that_have_both() -> None:
    outside = replace(DAY, zone="pavement", kind="outside", n=60)
    passed = [outside, replace(outside, n=None, suppressed=True)]
    tomorrow = DAY.start_us + 86_400 * SECOND
    came = [DAY, replace(DAY, camera="back door", n=500), replace(DAY, start_us=tomorrow, end_us=tomorrow + 1, n=40)]
    days = by_day(came, passed, "Europe/Berlin")
    assert list(days.values()) == [Capture(20, 60, 2)]
    assert whole(days.values()).share == 0.25
    assert by_day([replace(DAY, n=None, suppressed=True)], passed, "UTC") == {}


def test_the_interval_narrows_with_people_and_holds_the_truth_as_often_as_it_says() -> None:
    assert Capture(200, 600, 20).reach < Capture(20, 60, 2).reach
    assert str(Capture(5, 500, 40)).startswith("0%")
    rng, held = random.Random(5), 0
    for _ in range(400):
        hours = [(sum(rng.random() < 0.2 for _ in range(60)), 60) for _ in range(10)]
        rounded = [(round_counts((c,), rng.random())[0], round_counts((n - c,), rng.random())[0]) for c, n in hours]
        one = Capture(sum(c for c, _ in rounded), sum(p for _, p in rounded), 20)
        held += abs(one.share - 0.2) <= one.reach
    assert 0.93 <= held / 400 <= 1.0
