"""A kiosk in this process, with clocks that can be turned, and a camera that answers what it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from consent.events import DEFAULT_TERM, Level
from consent.keys import KeyRing
from consent.kiosk.app import kiosk
from consent.kiosk.settings import Controller, Shop
from consent.ledger import Ledger
from consent.padview import PadMark, PadView
from consent.padwords import PadKind, PadOutcome
from consent.receipts import Receipt
from tests.consent.kiosk.front import Browser

HOST = "http://127.0.0.1:8600"
SOMEBODY = PadView(1, False, (0.4, 0.3, 0.6, 0.9), PadMark.NONE, 1)


@dataclass
class Camera:
    """Answers questions to the pad at once; `says` is by kind, None for a `watch` that does not run."""

    ledger: Ledger
    says: dict[PadKind, PadOutcome | None] = field(
        default_factory=lambda: {
            PadKind.GRANT: PadOutcome.LINKED,
            PadKind.LINK: PadOutcome.LINKED,
            PadKind.WITHDRAW: PadOutcome.UNLINKED,
            PadKind.OBJECT: PadOutcome.SUPPRESSED,
        }
    )
    sees: PadView | None = SOMEBODY
    asked: list[tuple[PadKind, int, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        known: set[int] = set()
        while not self._stop.wait(0.01):
            for request in self.ledger.pending_pad_requests():
                if request.id not in known:
                    known.add(request.id)
                    self.asked.append((request.kind, request.screen_us, request.tap_us))
                says = self.says[request.kind]
                if says is not None:
                    self.ledger.answer_pad_request(request.id, says, now_us=request.opened_us)


@dataclass
class Front:
    """One kiosk, and who may stand before it."""

    ledger: Ledger
    camera: Camera
    shop: Shop
    level: list[Level]
    ahead_s: float = 0.0
    printed: list[tuple[Receipt, str]] = field(default_factory=list)
    printer: Callable[[Receipt, str], None] | None = None
    told: list[tuple[str, ...]] = field(default_factory=list)  # what each question came to
    app: Any = None

    def clock(self) -> float:
        return time.monotonic() + self.ahead_s

    def now_us(self) -> int:
        return time.time_ns() // 1000 + int(self.ahead_s * 1e6)

    def open(self, **changes: Any) -> None:
        """Start the kiosk anew, with other settings where named."""
        self.shop = replace(self.shop, **changes)
        self.app = kiosk(
            self.shop,
            self.ledger,
            view=lambda: self.camera.sees,
            now_us=self.now_us,
            clock=self.clock,
            print_receipt=self.printer,
            told=lambda words, _now_us: self.told.append(words),
        )

    def client(self, base: str = HOST, peer: str = "127.0.0.1") -> TestClient:
        return TestClient(self.app, base_url=base, client=(peer, 50000), raise_server_exceptions=True)

    def browser(self) -> Browser:
        return Browser(self.client())

    def kinds(self) -> list[str]:
        """What stands in the log."""
        from consent.events import Leaf

        return [Leaf.decode(data).kind.value for _, data in self.ledger.leaves(0, 10_000)]


@pytest.fixture
def front(ledger: Ledger) -> Iterator[Front]:
    level = [Level.EMOTION]
    shop = Shop(
        name="Main Street Groceries",
        store="main-street",
        timezone=ZoneInfo("Europe/Berlin"),
        level=lambda: level[0],
        terms=DEFAULT_TERM,
        controller=Controller("Main Street Ltd", "1 Main Street", "privacy@shop.example", jurisdiction="DE"),
        pad="pad",
        languages=("en", "de", "fr", "es", "zh", "ar"),
    )
    camera = Camera(ledger)
    made = Front(ledger, camera, shop, level)
    made.open()
    thread = threading.Thread(target=camera.run)
    thread.start()
    yield made
    camera._stop.set()
    thread.join()


@pytest.fixture
def person(front: Front) -> Browser:
    """Somebody before the kiosk, with a browser that runs no script."""
    return front.browser()


@pytest.fixture
def other_ledger(ledger: Ledger, keys: KeyRing, tmp_path: Path) -> Iterator[Ledger]:
    """Another process on the same ledger."""
    with Ledger(tmp_path / "state" / "ledger.sqlite", keys, store="main-street") as opened:
        yield opened
