"""A process that writes to a ledger until it is killed, and says on stdout what was acknowledged.

Usage: python -m tests.consent.writer LEDGER KEYS SEED [COUNT]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from consent.events import Purpose
from consent.keys import KeyRing
from consent.ledger import Ledger
from tests.consent.shop import NOON, say_yes, write


def main(path: str, keys: str, seed: str, count: str = "1000000000") -> None:
    rng = random.Random(int(seed))
    live: list[tuple[str, bytes]] = []
    with Ledger(Path(path), KeyRing.open(Path(keys), "admin"), store="s") as ledger:
        print("ready", flush=True)
        for i in range(int(count)):
            now_us = NOON + i
            step = rng.random()
            if step < 0.4 or not live:
                given = say_yes(ledger, Purpose.DWELL, Purpose.REPEAT, now_us=now_us)
                live.append((given.secret, given.subject))
                print("granted", given.subject.hex(), given.leaf_index, flush=True)
            elif step < 0.6:
                ended = ledger.withdraw(live[0][0], now_us=now_us)
                print("withdrawn", live.pop(0)[1].hex(), ended.leaf_index, flush=True)
            elif step < 0.9:
                assert write(ledger, rng.choice(live)[1], at_us=now_us)
                print("row", ledger.read_inbox(limit=10**9)[-1].id, flush=True)
            else:
                ledger.sign_checkpoint()
                print("signed", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
