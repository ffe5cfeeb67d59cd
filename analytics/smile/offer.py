"""What is offered: an item, its price, the floor, and what a degree of a smile makes of them.

Amounts are whole numbers of the smallest unit that the shop writes, cents mostly; nothing is rounded but the price that
is shown, and that in the shopper's favour. Nothing here knows a shopper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_COMMA = frozenset({"de", "fr", "es"})  # languages whose decimals stand behind a comma


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer.

    Attributes:
        item: what it is for, as the shop wrote it.
        currency: ISO 4217.
        decimals: digits behind the mark, 0 to 3.
        price: without a discount.
        floor: it falls no further; the button gives this one at once.
        budget: discounts of one day together.
        minutes: how long a voucher holds at least.
    """

    item: str
    currency: str
    decimals: int
    price: int
    floor: int
    budget: int
    minutes: int

    @property
    def whole(self) -> int:
        """The whole discount."""
        return self.price - self.floor

    def worth(self, degree: float) -> int:
        """Return the discount for a degree of a smile, 0 to 1."""
        return min(self.whole, math.ceil(self.whole * max(0.0, degree) - 1e-9))

    def text(self, amount: int, language: str) -> str:
        """Return an amount as people write it, with digits 0 to 9 in every language: ``2.50 EUR``."""
        unit = 10**self.decimals
        mark = "," if language in _COMMA else "."
        behind = f"{mark}{amount % unit:0{self.decimals}d}" if self.decimals else ""
        return f"{amount // unit}{behind} {self.currency}"
