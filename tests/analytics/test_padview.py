"""What the screen at the pad may know: how many, somebody near, and one shopper's own box. Nothing of anybody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.guard import Box
from analytics.linker import PadLinker
from analytics.model import SECOND, Sighting
from analytics.pad import PadRequest, PadRules
from analytics.zones import Ground, Zone, ZoneKind
from consent.events import Purpose
from consent.padview import PadMark, PadView
from consent.padwords import PadKind, PadOutcome

T0 = 1_790_000_000 * SECOND
SIZE = (1000, 500)
PAD = Zone("pad", ZoneKind.PAD, ((400, 400), (500, 400), (500, 490), (400, 490)))
ON, ON_TOO, NEAR, FAR = (420.0, 450.0), (480.0, 450.0), (545.0, 450.0), (900.0, 450.0)
DWELL = frozenset({Purpose.DWELL})


def body(track: int, place: tuple[float, float]) -> Sighting:
    x, y = place
    return Sighting(track, x, y, 170.0, 0.9, box(place))


def box(place: tuple[float, float]) -> Box:
    x, y = place
    return (x - 15, y - 170, x + 15, y)


def near(place: tuple[float, float]) -> Any:
    return pytest.approx(shares(place))


def shares(place: tuple[float, float]) -> Box:
    left, top, right, bottom = box(place)
    return (left / 1000, top / 500, right / 1000, bottom / 500)


class Screen:
    """A pad and who looks at its screen."""

    def __init__(self) -> None:
        self.linker = PadLinker(PAD, ground=Ground(), rules=PadRules(), frame_size=SIZE)
        self.t_us = T0

    def look(
        self, *people: Sighting, seconds: float = 0.1, asks: Sequence[PadRequest] = (), others: Sequence[Box] = ()
    ) -> PadView:
        for n in range(round(seconds * 10)):
            self.linker.step(self.t_us, people, asks if n == 0 else (), others=others)
            self.t_us += SECOND // 10
        view = self.linker.view()
        assert view is not None
        assert view.t_us == self.t_us - SECOND // 10
        return view

    def ask(self, kind: PadKind) -> PadRequest:
        binds = kind is PadKind.GRANT
        number = self.t_us // (SECOND // 10)
        return PadRequest(number, kind, "ann" if binds else None, DWELL if binds else frozenset(), self.t_us, self.t_us)


def test_one_shopper_sees_their_own_box_turn_filled_and_hollow_again() -> None:
    screen = Screen()
    assert screen.linker.view() is None
    assert screen.look() == PadView(0, False, None, PadMark.NONE, T0)
    alone = screen.look(body(1, ON), body(2, FAR), seconds=1)
    assert (alone.people, alone.near, alone.box, alone.mark) == (1, False, near(ON), PadMark.NONE)
    linked = screen.look(body(1, ON), body(2, FAR), seconds=1.5, asks=[screen.ask(PadKind.GRANT)])
    assert (linked.box, linked.mark) == (near(ON), PadMark.LINKED)
    screen.look(body(1, ON), body(2, FAR), asks=[screen.ask(PadKind.WITHDRAW)])
    assert screen.look(body(1, ON), body(2, FAR)).mark is PadMark.NONE
    hollow = screen.look(body(1, ON), body(2, FAR), asks=[screen.ask(PadKind.OBJECT)])
    assert (hollow.box, hollow.mark) == (near(ON), PadMark.SUPPRESSED)


def test_of_several_people_no_box_is_told_and_of_somebody_near_only_that_they_are_there() -> None:
    screen = Screen()
    screen.look(body(1, ON), seconds=1)
    assert screen.look(body(1, ON), seconds=1.5, asks=[screen.ask(PadKind.GRANT)]).mark is PadMark.LINKED
    several = screen.look(body(1, ON), body(2, ON_TOO))
    assert several == PadView(2, False, None, PadMark.NONE, several.t_us)
    assert screen.look(body(1, ON), others=[box(ON_TOO)], seconds=1).people == 2  # without a number is somebody too
    told = screen.look(body(1, FAR), body(2, ON), body(3, NEAR))
    assert (told.people, told.near, told.box, told.mark) == (1, True, near(ON), PadMark.NONE)
    assert screen.look(body(1, FAR), body(3, NEAR), seconds=1).box is None  # 2 is out of sight: a ghost, and near
    assert screen.look(body(1, FAR), seconds=0.2).near is True


def test_the_linked_shopper_near_gives_nothing_away_while_another_stands_on_the_pad() -> None:
    screen = Screen()
    screen.look(body(1, ON), seconds=1)
    screen.look(body(1, ON), seconds=1.5, asks=[screen.ask(PadKind.GRANT)])
    moved = screen.look(body(1, NEAR), body(2, ON_TOO), seconds=0.5)
    assert (moved.people, moved.near, moved.box) == (1, True, near(ON_TOO))
    assert moved.mark is PadMark.NONE


def test_after_blindness_nothing_is_left_on_the_screen() -> None:
    screen = Screen()
    screen.look(body(1, ON), seconds=1)
    screen.linker.blind(screen.t_us)
    view = screen.linker.view()
    assert view is not None
    assert (view.people, view.near, view.box) == (0, False, None)


def test_a_box_that_leaves_the_picture_ends_at_its_edge() -> None:
    screen = Screen()
    wide = replace(body(1, ON), box=(-50.0, -9.0, 435.0, 700.0))
    assert screen.look(wide).box == (0.0, 0.0, 0.435, 1.0)


PLACES = st.tuples(st.floats(300, 999), st.floats(350, 499))


@settings(derandomize=True, database=None, deadline=None, max_examples=150)
@given(
    frames=st.lists(st.dictionaries(st.integers(1, 4), PLACES, max_size=4), min_size=1, max_size=15),
    others=st.lists(PLACES, max_size=2),
)
def test_a_box_is_always_the_one_of_the_only_body_on_the_pad(
    frames: list[dict[int, tuple[float, float]]], others: list[tuple[float, float]]
) -> None:
    screen = Screen()
    for people in frames:
        seen = [body(track, place) for track, place in people.items()]
        view = screen.look(*seen, others=[box(place) for place in others])
        on_pad = [s for s in seen if PAD.contains(s.x, s.y)]
        strays = [place for place in others if PAD.contains(*place)]
        if view.box is None:
            continue
        owner = [s for s in seen if shares((s.x, s.y)) == pytest.approx(view.box)]
        if owner:  # or somebody out of sight for a moment
            away = min(screen.linker._pad.away(s.x, s.y, s.height) for s in owner)
            assert away <= PadRules().band_m
        assert len(on_pad) <= 1
        assert len(on_pad) + len(strays) <= 2  # one more may be a second look at the same body
        assert not (on_pad and owner and on_pad[0] not in owner)


def test_what_is_told_names_nobody() -> None:
    screen = Screen()
    screen.look(body(7_777, ON), seconds=1)
    view = screen.look(body(7_777, ON), seconds=1.5, asks=[screen.ask(PadKind.GRANT)])
    told = view.encode()
    assert b"7777" not in told
    assert b"ann" not in told
    assert PadView.decode(told) == view
    assert PadOutcome.LINKED.value.encode() in told  # only the mark
