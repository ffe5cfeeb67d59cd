"""What the page at the entrance has to know of its shop, and nothing else.

Rules:
- Everything a shopper is shown about the controller, the terms and their rights comes from here, and so from the
  store's own settings; no page makes a fact up.
- The level is asked for at every question: lowering it in `store.toml` or in the ledger takes effect at the next tap.

Nothing here reads a file; `analytics.desk` fills it from `store.toml`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from consent.events import Level, Purpose


@dataclass(frozen=True, slots=True)
class Controller:
    """Who answers for the data, as notices and receipts show it.

    Attributes:
        name: of the person or company; empty where the store has not said it yet.
        address: postal.
        contact: an address or number at which they are reached about data.
        officer: the data protection officer, empty where there is none.
        jurisdiction: ISO 3166 code of the law that applies, empty where unsaid.
        recipients: who else receives the data, processors included; empty where nobody does.
        authority: the supervisory authority that takes complaints, with its address.
    """

    name: str = ""
    address: str = ""
    contact: str = ""
    officer: str = ""
    jurisdiction: str = ""
    recipients: tuple[str, ...] = ()
    authority: str = ""

    def sha256(self) -> bytes:
        """Return the SHA-256 of name, address, contact and officer, a line each, as a record of consent fixes it."""
        return hashlib.sha256("\n".join((self.name, self.address, self.contact, self.officer)).encode()).digest()


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop, as its kiosk shows it.

    Attributes:
        name: of the shop, as people know it.
        store: its id in the log.
        timezone: in which dates are shown.
        level: returns the privacy level in force now.
        terms: days that a yes holds, by purpose.
        controller: who answers for the data.
        minimum_age: whoever states a lower age can only refuse; 0 asks nobody.
        pad: the pad before the kiosk, None where there is none: then nobody is asked, linked or left out here.
        languages: codes, in the store's order; the first is shown to whoever has not chosen.
        allowed_hosts: names and addresses under which the page answers, without port.
        port: where the page listens.
        public_url: https address of the phone page, None where phones cannot reach the shop.
        mailbox_url: https address of the mailbox that takes withdrawals only, None where there is none.
        printer: device file or Unix socket of the receipt printer, None where there is none.
        backup_days: how long a backup may live.
        idle_s: seconds without a touch after which a session is over; it is asked 20 seconds before.
        without: purposes that nothing here follows, so that nobody is asked for them.
        paired: file with the hashes of the tablets that may use the page from elsewhere, None where none may.
    """

    name: str
    store: str
    timezone: ZoneInfo
    level: Callable[[], Level]
    terms: Mapping[Purpose, int]
    controller: Controller = Controller()
    minimum_age: int = 16
    pad: str | None = None
    languages: tuple[str, ...] = ("en",)
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    port: int = 8600
    public_url: str | None = None
    mailbox_url: str | None = None
    printer: Path | None = None
    backup_days: int = 30
    idle_s: int = 90
    without: frozenset[Purpose] = frozenset()
    paired: Path | None = None

    @property
    def withdraw_at(self) -> str | None:
        """The address in the receipt's small QR symbol: the phone page's, else the mailbox's."""
        return self.public_url or self.mailbox_url

    def offers(self) -> frozenset[Purpose]:
        """Return the purposes a shopper can say yes to at the level in force.

        Without a pad nobody can be linked, so that only what a tablet does by itself is left to ask for.
        """
        level, linked = self.level(), self.pad is not None
        return frozenset(
            p for p in Purpose if level.allows(p) and p not in self.without and (linked or p is Purpose.SMILE)
        )
