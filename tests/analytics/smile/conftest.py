"""A kiosk with a smile page in this process, and somebody before it who may have said yes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from httpx import Response
from starlette.testclient import TestClient

from analytics.smile.offer import Offer
from analytics.smile.pages import smile
from analytics.smile.reader import Look, Reader
from consent.events import DEFAULT_TERM, Level, Purpose
from consent.keys import KeyRing, Role
from consent.kiosk.app import kiosk
from consent.kiosk.settings import Controller, Shop
from consent.ledger import Ledger
from consent.vouchers import Vouchers
from tests.consent.kiosk.front import Browser

HOST = "http://127.0.0.1:8600"
BERLIN = ZoneInfo("Europe/Berlin")
COFFEE = Offer("Coffee", "EUR", 2, 250, 200, 400, 60)


class Watched(Reader):
    """The real reader, which counts how often it is loaded and asked; `shows` answers in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.loads, self.looks = 0, 0
        self.shows: Callable[[bytes], Look] | None = None

    def load(self) -> None:
        self.loads += 1
        if self.shows is None:
            super().load()

    def look(self, jpeg: bytes) -> Look:
        self.looks += 1
        return super().look(jpeg) if self.shows is None else self.shows(jpeg)


@dataclass
class Tablet:
    """One kiosk with a smile page; its clocks can be turned."""

    root: Path
    ledger: Ledger
    offer: Offer = COFFEE
    level: Level = Level.EMOTION
    reader: Watched = field(default_factory=Watched)
    ahead_s: float = 0.0
    app: Any = None

    def clock(self) -> float:
        return time.monotonic() + self.ahead_s

    def now_us(self) -> int:
        return time.time_ns() // 1000 + int(self.ahead_s * 1e6)

    @property
    def vouchers(self) -> Vouchers:
        return Vouchers(self.root / "vouchers", self.ledger.keys, BERLIN)

    @property
    def paired(self) -> Path:
        return self.root / "kiosk.paired"

    def open(self, **changes: Any) -> None:
        self.offer = replace(self.offer, **changes)
        shop = Shop(
            name="Main Street",
            store="s",
            timezone=BERLIN,
            level=lambda: self.level,
            terms=DEFAULT_TERM,
            controller=Controller("Main Street Ltd", "1 Main Street", "privacy@shop.example", jurisdiction="DE"),
            languages=("en", "de", "fr", "es", "zh", "ar"),
            paired=self.paired,
        )
        self.app = kiosk(
            shop,
            self.ledger,
            now_us=self.now_us,
            clock=self.clock,
            mounts=[smile(self.offer, self.vouchers, self.reader)],
        )

    def client(self) -> TestClient:
        return TestClient(self.app, base_url=HOST, client=("127.0.0.1", 50_000))

    def shopper(self, first: str = "/smile") -> Shopper:
        return Shopper(self.client(), first)

    def yes(self, *purposes: Purpose, days: int = 1) -> str:
        """Say yes elsewhere, and return the code of the receipt."""
        grant = self.ledger.grant(
            purposes or [Purpose.SMILE],
            now_us=self.now_us(),
            notice_sha256=bytes(32),
            language="en",
            version="1",
            terms=dict.fromkeys(Purpose, days),
        )
        return grant.secret


class Shopper(Browser):
    """Somebody before the tablet, whose browser runs no script; the script's pictures are sent by hand."""

    @property
    def csrf(self) -> str:
        return self.hidden.get("csrf", "")

    def show(self, picture: bytes, **headers: str) -> Response:
        """Send a picture as the page's script does."""
        sent = {"origin": HOST, "content-type": "image/jpeg", "x-csrf": self.csrf, **headers}
        answer: Response = self.client.post("/smile/picture", content=picture, headers=sent)
        return answer

    @property
    def at(self) -> str:
        return self.page.url.path


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[Tablet]:
    KeyRing.create(tmp_path / "keys")
    (tmp_path / "state").mkdir()
    keys = KeyRing.open(tmp_path / "keys", Role.KIOSK)
    with Ledger(tmp_path / "state" / "ledger.sqlite", keys, store="s") as ledger:
        made = Tablet(tmp_path / "state", ledger)
        made.open()
        yield made
