"""How fast the log grows and proves at a million entries. Run it, read it; nothing is asserted.

python -m tests.bench.consent_log [LEAVES] [FOLDER]
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from consent import merkle
from consent.events import EventKind, Purpose
from consent.keys import KeyRing
from consent.ledger import Entry, Ledger
from tests.consent.shop import NOON

BATCH = 1_000


def main(leaves: int = 1_000_000, folder: str | None = None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        (root / "state").mkdir()
        with Ledger(root / "state" / "ledger.sqlite", KeyRing.create(root / "keys"), store="bench") as ledger:
            entry = Entry(EventKind.REFUSED, NOON, {"channel": "kiosk"}, purposes=frozenset(Purpose))
            begun = time.perf_counter()
            for _ in range(leaves // BATCH):
                ledger.append_events([entry] * BATCH)
            took = time.perf_counter() - begun
            print(f"append {ledger.size} in batches of {BATCH}: {ledger.size / took:,.0f} a second")
            print(f"file: {ledger.path.stat().st_size / 1e6:,.0f} MB")

            rng, size, head = random.Random(1), ledger.size, ledger.root()
            inclusion, consistency, roots = [], [], []
            for _ in range(1_000):
                index, old = rng.randrange(size), rng.randrange(1, size)
                begun = time.perf_counter()
                proof = ledger.inclusion_proof(index, size)
                inclusion.append(time.perf_counter() - begun)
                ((_, data),) = ledger.leaves(index, index + 1)
                merkle.verify_inclusion(index, size, merkle.leaf_hash(data), proof, head)
                before = ledger.root(old)
                begun = time.perf_counter()
                proof = ledger.consistency_proof(old, size)
                consistency.append(time.perf_counter() - begun)
                merkle.verify_consistency(old, size, before, head, proof)
                begun = time.perf_counter()
                ledger.root()
                roots.append(time.perf_counter() - begun)
            for what, times in (("inclusion", inclusion), ("consistency", consistency), ("root", roots)):
                print(f"{what}: median {statistics.median(times) * 1e3:.3f} ms, worst {max(times) * 1e3:.3f} ms")

            singles = []
            for i in range(200):
                begun = time.perf_counter()
                given = ledger.grant(
                    [Purpose.DWELL], now_us=NOON + i, notice_sha256="ab" * 32, language="en", version="1"
                )
                singles.append(time.perf_counter() - begun)
            print(f"one grant: median {statistics.median(singles) * 1e3:.1f} ms, worst {max(singles) * 1e3:.1f} ms")
            begun = time.perf_counter()
            for _ in range(10_000):
                ledger.data_version()
            print(f"data_version: {(time.perf_counter() - begun) / 10_000 * 1e6:.1f} us")
            ledger.forget(NOON + 1)  # refusals are not kept for ever
            ledger.withdraw(given.secret, now_us=NOON + 300)
            begun = time.perf_counter()
            ledger.destroy_subject(given.subject, now_us=NOON + 300)
            print(f"destroy a subject and rewrite the file: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000, *sys.argv[2:3])
