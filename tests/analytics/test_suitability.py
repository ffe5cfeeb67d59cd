"""What a zone is worth: one fault at a time, against a floor whose metres and people are known."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.suitability import Box, Grade, View, judge
from analytics.zones import BODY_HEIGHT_M, Ground, Point, Shelf, Zone, ZoneKind

SIZE = (1280, 720)
# a hundred pixels are a metre everywhere: a camera straight above, of 12.8 by 7.2 m
FLAT = Ground(((0, 0), (1000, 0), (1000, 700), (0, 700)), ((0, 0), (10, 0), (10, 7), (0, 7)))
TALL = 100 * BODY_HEIGHT_M


def box(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def zone(polygon: tuple[Point, ...], kind: ZoneKind = ZoneKind.QUEUE, shelf: Shelf | None = None) -> Zone:
    return Zone("judged", kind, polygon, shelf)


GOOD = zone(box(400, 300, 200, 200))
VIEW = View(SIZE, FLAT)


def test_a_zone_in_the_middle_of_a_floor_is_good() -> None:
    told = judge(GOOD, VIEW)
    assert (told.grade, told.reasons, told.advice, told.hints) == (Grade.GOOD, (), (), ())


FAULTS: dict[str, tuple[Zone, View, Grade, str]] = {
    "as large as the picture": (zone(box(0, 0, 7680, 4320)), VIEW, Grade.POOR, "as large as the picture"),
    "the picture": (zone(box(0, 0, 1280, 720)), View(SIZE), Grade.POOR, "as large as the picture"),
    "outside": (zone(box(1200, 300, 400, 200)), VIEW, Grade.POOR, "outside the picture"),
    "half outside": (zone(box(1100, 300, 250, 200)), VIEW, Grade.FAIR, "beyond the picture"),
    "at the edge": (zone(box(20, 300, 200, 200)), VIEW, Grade.FAIR, "0.5 m of the picture's edge"),
    "pixels": (zone(box(400, 300, 12, 200)), View(SIZE), Grade.POOR, "pixels from its border"),
    "narrower than the band": (zone(box(400, 300, 18, 200)), VIEW, Grade.POOR, "0.1 m from its border"),
    "narrow": (zone(box(400, 300, 40, 200)), VIEW, Grade.FAIR, "0.19 m from its border"),
    "in another": (GOOD, View(SIZE, FLAT, (Zone("b", ZoneKind.PRODUCT, box(300, 300, 290, 200)),)), Grade.POOR, "'b'"),
    "a little": (GOOD, View(SIZE, FLAT, (Zone("b", ZoneKind.PRODUCT, box(550, 300, 90, 200)),)), Grade.FAIR, "25%"),
    "masked": (GOOD, View(SIZE, FLAT, masks=(box(400, 300, 100, 200),)), Grade.POOR, "50% of it is under a mask"),
    "masked a little": (GOOD, View(SIZE, FLAT, masks=(box(550, 300, 90, 200),)), Grade.FAIR, "25% of it is under"),
    "ring": (zone(box(30, 300, 100, 100), ZoneKind.PAD), VIEW, Grade.POOR, "not all in the picture"),
    "small pad": (zone(box(400, 300, 40, 40), ZoneKind.PAD), VIEW, Grade.FAIR, "m wide: people step off"),
    "wide pad": (zone(box(400, 200, 400, 400), ZoneKind.PAD), VIEW, Grade.FAIR, "few stand on it alone"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_says_what_to_do(fault: str) -> None:
    wrong, view, grade, said = FAULTS[fault]
    told = judge(wrong, view)
    assert told.grade is grade, told
    assert said in told.reasons[0]
    assert len(told.advice) == len(told.reasons)
    assert all(told.advice)


def test_where_the_floor_is_calibrated_depth_is_metres_of_the_floor_not_of_the_picture() -> None:
    slant = Ground(FLAT.image, ((0, 0), (10, 0), (10, 28), (0, 28)))  # seen so low that depth is four times as short
    shallow = zone(box(400, 300, 200, 30))
    assert "0.14 m from its border" in judge(shallow, VIEW).reasons[0]
    assert judge(shallow, View(SIZE, slant)).grade is Grade.GOOD


def test_the_pad_of_the_ring_that_is_set_is_judged_by_it() -> None:
    pad = zone(box(80, 300, 100, 100), ZoneKind.PAD)
    assert "0.6 m" not in " ".join(judge(pad, VIEW).reasons)
    assert judge(pad, dataclasses.replace(VIEW, ring_m=1.0)).grade is Grade.POOR


def test_an_entrance_may_lie_at_the_edge_of_the_picture() -> None:
    door = zone(box(5, 300, 200, 200), ZoneKind.ENTRANCE)
    assert judge(door, VIEW).grade is Grade.GOOD


def test_a_zone_outside_needs_an_entrance_and_a_word_about_the_street() -> None:
    street = zone(box(400, 300, 200, 200), ZoneKind.OUTSIDE)
    alone = judge(street, VIEW)
    assert (alone.grade, "no entrance is drawn" in alone.reasons[0]) == (Grade.POOR, True)
    assert "a public place" in " ".join(alone.hints)
    door = Zone("door", ZoneKind.ENTRANCE, box(400, 510, 200, 100))
    assert judge(street, dataclasses.replace(VIEW, zones=(door,))).grade is Grade.GOOD


def test_a_zone_of_staff_may_overlap() -> None:
    staff = Zone("till", ZoneKind.STAFF, box(400, 300, 200, 200))
    assert judge(GOOD, View(SIZE, FLAT, (staff,))).grade is Grade.GOOD


def far_people(far: float, near: float) -> tuple[Box, ...]:
    """Return boxes of people whose feet are at row 200, of one height, to row 600, of another."""
    rows = [(row, far + (near - far) * (row - 200) / 400) for row in range(200, 601, 50)]
    return tuple((600.0, row - height, 600 + height / 3, float(row)) for row, height in rows)


@pytest.mark.parametrize(
    ("far", "grade", "said"),
    [(30, Grade.POOR, "too small for the detector"), (70, Grade.FAIR, "small for the detector"), (120, Grade.GOOD, "")],
)
def test_how_small_people_are_at_the_far_edge_decides(far: float, grade: Grade, said: str) -> None:
    view = View(SIZE, people=far_people(far, far + 150))
    told = judge(zone(box(500, 200, 300, 350)), view)
    assert told.grade is grade, told
    assert said in " ".join(told.reasons)
    assert not told.hints


def test_boxes_that_are_cut_off_teach_nothing() -> None:
    cut = tuple((10.0, 0.0, 100.0, 90.0) for _ in range(9))
    assert View(SIZE, people=cut).height((50, 90)) is None


def test_where_heights_are_not_known_nothing_is_guessed_and_that_is_said() -> None:
    told = judge(zone(box(20, 300, 40, 200)), View(SIZE))
    assert told.grade is Grade.GOOD
    assert "calibrate the floor" in told.hints[0]


def test_the_calibration_tells_heights_like_the_boxes_do() -> None:
    assert View(SIZE, FLAT).height((500, 300)) == pytest.approx(TALL)
    people = tuple((float(x), 300 - TALL, x + 60.0, 300.0) for x in range(100, 700, 100))
    assert View(SIZE, people=people).height((500, 300)) == pytest.approx(TALL)


def test_heads_that_are_cut_off_are_said() -> None:
    told = judge(zone(box(400, 100, 300, 300)), VIEW)  # people of 170 pixels, feet at row 100
    assert "cut off by 70 pixels" in " ".join(told.reasons)


def product(face: tuple[Point, ...], edge: tuple[Point, Point]) -> Zone:
    return zone(box(400, 300, 200, 200), ZoneKind.PRODUCT, Shelf(face, edge))


def test_a_product_zone_without_shelf_is_good_and_told_what_it_cannot_do() -> None:
    told = judge(zone(GOOD.polygon, ZoneKind.PRODUCT), VIEW)
    assert told.grade is Grade.GOOD
    assert "upper bound" in told.hints[0]


SHELVES: dict[str, tuple[tuple[Point, ...], tuple[Point, Point], Grade, str]] = {
    "beside": (box(610, 200, 60, 200), ((605, 300), (605, 500)), Grade.GOOD, ""),
    "beside, a little further": (box(610, 180, 60, 200), ((605, 280), (605, 480)), Grade.GOOD, ""),
    "behind": (box(400, 120, 200, 150), ((400, 298), (600, 298)), Grade.FAIR, "back to the camera"),
    "a sliver": (box(610, 200, 3, 200), ((605, 300), (605, 500)), Grade.POOR, "sliver"),
    "thin": (box(610, 200, 20, 200), ((605, 300), (605, 500)), Grade.POOR, "sliver"),
    "outside": (box(1300, 200, 60, 200), ((605, 300), (605, 500)), Grade.POOR, "outside the picture"),
    "far": (box(810, 200, 60, 200), ((800, 300), (800, 500)), Grade.FAIR, "2.0 m from the zone"),
}


@pytest.mark.parametrize("name", SHELVES)
def test_what_a_shelf_is_worth(name: str) -> None:
    face, edge, grade, said = SHELVES[name]
    told = judge(product(face, edge), VIEW)
    assert told.grade is grade, told
    assert said in " ".join(told.reasons)


points = st.tuples(st.floats(-2000, 4000), st.floats(-2000, 4000))


@given(
    corners=st.lists(points, min_size=3, max_size=6),
    kind=st.sampled_from(ZoneKind),
    people=st.lists(st.tuples(points, st.floats(1, 300), st.floats(1, 600)), max_size=8),
    calibrated=st.booleans(),
)
def test_whatever_is_drawn_gets_a_grade_and_each_reason_its_advice(
    corners: list[Point],
    kind: ZoneKind,
    people: list[tuple[Point, float, float]],
    calibrated: bool,
) -> None:
    try:
        drawn = zone(tuple(corners), kind)
    except ValueError:
        return
    boxes = tuple((x, y, x + width, y + height) for (x, y), width, height in people)
    told = judge(drawn, View(SIZE, FLAT if calibrated else Ground(), (GOOD,), (box(0, 0, 50, 50),), people=boxes))
    assert len(told.reasons) == len(told.advice)
    assert (told.grade is Grade.GOOD) == (not told.reasons)
