"""A shop in which everything an officer may ask about has happened, and the browser of an officer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analytics.desk import shop as about
from analytics.shopfloor import opening
from analytics.state import State
from consent.events import Level, Purpose
from consent.keys import Role
from consent.kiosk.messages import Messages
from consent.kiosk.notice import Notice, notice
from consent.ledger import Grant, Ledger
from retention.keeper import Keeper
from tests.retention.keeping import DAY_US, visit
from tests.signed_in import PATIENCE_MS, Watched, opened, photograph, settle, visiting

HOUR_US = 3_600_000_000


@dataclass
class Desk:
    """One shop with a past.

    Attributes:
        state: of the shop.
        now_us: when its past ends, UTC microseconds.
        grants: of those who said yes, the first of them withdrawn and erased.
    """

    state: State
    now_us: int
    grants: list[Grant]

    @contextmanager
    def ledger(self, role: Role = Role.ADMIN) -> Iterator[Ledger]:
        with self.state.open_ledger(role) as ledger:
            yield ledger

    def keep(self, now_us: int | None = None) -> None:
        """Let the keeper do everything there is to do."""
        with self.ledger(Role.KEEPER) as ledger, Keeper(self.state, ledger) as keeper:
            keeper.run_once(time.time_ns() // 1000 if now_us is None else now_us).check()


def a_past(root: Path, people: int = 12) -> Desk:
    """Make a shop where some said yes two hours ago, one took it back and is erased, and one said no."""
    now = time.time_ns() // 1000
    state = opening.open_shop(root, name="A simulated shop", source="none", now_us=now - 4 * HOUR_US)
    shop = Desk(state, now, [])
    shop.keep(now - 3 * HOUR_US)
    with shop.ledger() as ledger:
        told = told_at(state, ledger)
        for i in range(people):
            at = now - 2 * HOUR_US + i * 1_000_000
            said = ledger.grant(
                [Purpose.DWELL], now_us=at, notice_sha256=told.sha256, language="en", version=told.version
            )
            shop.grants.append(said)
        ledger.refuse(now_us=now - 2 * HOUR_US, notice_sha256=told.sha256, language="en", version=told.version)
        row = visit(now - HOUR_US, zone="coffee")
        assert ledger.write_inbox(
            "visit",
            shop.grants[0].subject,
            row.encode(),
            now_us=row.leave_us,
            visit_start_us=row.enter_us,
            visit_end_us=row.leave_us,
            requires={Purpose.DWELL},
            level=Level.DWELL,
        )
    shop.keep(now - HOUR_US // 2)
    with shop.ledger() as ledger:
        ledger.withdraw(shop.grants[0].secret, now_us=now - HOUR_US // 4)
    shop.keep(now - HOUR_US // 4 + 8_000_000)
    return shop


def told_at(state: State, ledger: Ledger) -> Notice:
    """Return the notice that the kiosk shows."""
    return notice(about(state, ledger), Messages.load("en"))


__all__ = [
    "DAY_US",
    "HOUR_US",
    "PATIENCE_MS",
    "Desk",
    "Watched",
    "a_past",
    "opened",
    "photograph",
    "settle",
    "visiting",
]
