"""The hour that `watch` writes into the log, with people made up and everything else real: nobody left out is in it."""

from __future__ import annotations

import json

from analytics.hourly import HIDDEN, Hour, camera_of
from analytics.model import SECOND
from analytics.state import State
from consent import chronicle
from consent.events import EventKind
from consent.keys import Role
from consent.ledger import Ledger, PadKind
from tests.shoppers import ON_PAD, RIGHT, Crowd, Shopper, customer
from tests.test_pad_journey import TEN, let_pass, shop, watch

__all__ = ["shop"]


def hours(ledger: Ledger) -> list[Hour]:
    lines = chronicle.search(ledger, kinds=(EventKind.TALLIED,))
    return [Hour.of(line.details) for line in lines if line.details is not None]


def test_whoever_objected_is_in_no_hour(shop: State) -> None:
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        four = [Shopper(TEN, [((20.0 + 25 * i, 170.0), 60.0)]) for i in range(4)]
        objector = Shopper(TEN, [(RIGHT, 0.0), (ON_PAD, 60.0)], PadKind.OBJECT, tap_s=10.0)
        crowd = Crowd([*four, objector], kiosk)
        one = watch(shop, ledger, crowd)
        let_pass(one, crowd, TEN, TEN + 40 * SECOND)
        one.finish()
        (hour,) = hours(ledger)
    assert hour.camera == camera_of(shop.store.camera[0].name)
    assert hour.frames == one.watched.frames
    assert hour.tracks == "0-4"  # five were seen; one of them said no


def test_one_linked_shopper_does_not_show(shop: State) -> None:
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([customer(TEN, 0)], kiosk)
        one = watch(shop, ledger, crowd)
        let_pass(one, crowd, TEN, TEN + 80 * SECOND)
        one.finish()
        assert (one.watched.links, one.watched.rows > 0) == (1, True)
        (hour,) = hours(ledger)
        data = json.dumps(hour.details())
    assert (hour.links, hour.rows, hour.looks) == ("0-4", HIDDEN, HIDDEN)
    assert hour.expression == "0"  # the level allows none, and the exact number says so
    assert "visitor" not in data
