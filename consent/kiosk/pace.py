"""How often one address may do a thing; each address apart, so that nobody can use up another's share."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from consent.kiosk.session import Bucket

MOST_ADDRESSES = 4096  # remembered; the one heard of longest ago makes room


def network(address: str) -> str:
    """Return under what an address is counted; an IPv6 network is one address, and what is no address is one, too."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(found) if not isinstance(found, IPv6Address) else str(IPv6Address(int(found) >> 64 << 64))


class Pace:
    """Allows each address `most` at once and `per_s` a second in the long run.

    Args:
        most: at once.
        per_s: a second.
        counted_as: under what one is counted, where it is no network address.
    """

    def __init__(self, most: float, per_s: float, counted_as: Callable[[str], str] = network) -> None:
        self._most, self._per_s, self._counted_as = most, per_s, counted_as
        self._known: OrderedDict[str, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str, now_s: float) -> int:
        """Count one more, and return how many seconds the address should wait; 0 where it need not.

        Args:
            address: of the caller; what is no address shares one count.
            now_s: seconds on a clock that only grows.
        """
        with self._lock:
            counted = self._counted_as(address)
            bucket = self._known.setdefault(counted, Bucket(self._most, self._per_s))
            self._known.move_to_end(counted)
            if len(self._known) > MOST_ADDRESSES:
                self._known.popitem(last=False)
            return 0 if bucket.take(now_s) else math.ceil(bucket.wait_s(now_s))

    def forgive(self, address: str) -> None:
        """Forget what was counted: it turned out to be right."""
        with self._lock:
            self._known.pop(self._counted_as(address), None)
