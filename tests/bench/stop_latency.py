"""From the tap on "stop" to the gate shut, while `watch` works as hard as it can: ``make bench-latency``.

python -m tests.bench.stop_latency [TAPS] [--pads N]

Two shops, each with the processes of production:

- *Real pictures.* `openaisle watch` with cameras over RTSP, in which a real shopper stands on a pad, and a file read at
  full speed beside them. Another process says yes for them, waits until the pad has linked them, and takes it back. The
  gate is shut when the link is gone from memory, which the pad's own picture tells. From the first instant after the
  commit, a row offered to the ledger must be refused.
- *Rows.* A watch of simulated shoppers whose visits close without end. Another process takes a consent back the moment
  the first row of it was written, when the next is about to be.

Rows written after a withdrawal are counted by the number the newest row had inside the withdrawal's own transaction.
The exit status is 1 where one was written, or where the 99th of a hundred taps takes more than a second.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cli
from analytics.model import SECOND
from analytics.state import State
from consent import padview
from consent.events import Level, Purpose
from consent.keys import KeyRing, Role
from consent.ledger import Ledger
from consent.padview import PadMark
from consent.padwords import PadKind, PadOutcome
from tests import four_eyes, shoppers
from tests.analytics.rtsp_server import Camera
from tests.command import INT8
from tests.conftest import DATA, ROOT

P99_S = 1.0
LATENCY_S = 0.3  # of a camera on this machine
CLIP = DATA / "video" / "caviar" / "ShopAssistant1cor.mp4"
ALONE_S = 17.5  # somebody stands alone in it
BUSY = DATA / "tracking" / "PETS09-S2L1" / "PETS09-S2L1.mp4"
PATIENCE_S = 300.0


@dataclass
class Figures:
    """What was measured.

    Attributes:
        commit_s: from the tap to the commit.
        shut_s: from the tap to the link gone from memory.
        after: rows written after the withdrawal, of all taps.
        offered: rows offered after the commit and accepted.
        blind: taps at which the camera was not seeing, so that there was no link to go; not in `shut_s`.
    """

    commit_s: list[float] = field(default_factory=list)
    shut_s: list[float] = field(default_factory=list)
    after: int = 0
    offered: int = 0
    blind: int = 0

    def lines(self, name: str) -> list[str]:
        """Return the figures as text."""
        said = [
            f"{name}: {len(self.commit_s)} taps, {self.after} rows written afterwards, {self.offered} offered taken"
        ]
        for what, times in (("to the commit", self.commit_s), ("to the link gone", self.shut_s)):
            if times:
                p50, p99 = share(times, 0.5), share(times, 0.99)
                said.append(f"  {what}: p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, max {max(times) * 1e3:.0f} ms")
        return said


def share(times: Sequence[float], part: float) -> float:
    """Return the time that this part of all do not exceed."""
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


class Counter(Ledger):
    """The kiosk's ledger, which notes the newest row's number inside each withdrawal's own transaction."""

    newest: int = 0

    def _append(self, db: sqlite3.Connection, *entries: Any, **how: Any) -> Any:
        self.newest = int(
            db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'inbox'").fetchone()[0]
        )
        return super()._append(db, *entries, **how)


def counter(state: State) -> Counter:
    """Open the ledger as the kiosk does."""
    return Counter(state.ledger, KeyRing.open(state.keys, Role.KIOSK, state=state.root), store=state.store.store.id)


def rows_after(state: State, stopped: dict[bytes, int]) -> int:
    """Count the rows of each subject with a number above the newest at their withdrawal."""
    with state.open_ledger(Role.KEEPER) as ledger:
        return sum(
            row.subject is not None and row.id > stopped.get(row.subject, row.id)
            for row in ledger.read_inbox(limit=10**9)
        )


def open_shop(root: Path, cameras: str) -> State:
    """Make a shop at level `dwell`."""
    with redirect_stdout(io.StringIO()):
        assert cli.main(["init", str(root), "--timezone", "Europe/Berlin"]) == 0
        toml = root / "store.toml"
        head, _, _ = toml.read_text().partition("[[camera]]")
        toml.write_text(head.replace('level = "counts"', 'level = "dwell"') + cameras)
        for words in four_eyes.words(root, "dwell", root.parent):
            assert cli.main(words) == 0
    return State.read(root)


# --- real pictures ----------------------------------------------------------------------------------------------------


def still(folder: Path, seconds: float) -> Path:
    """Make a video in which a real shopper stands still on the pad."""
    picture, short = folder / "alone.png", folder / "short.mp4"
    ffmpeg("-ss", str(ALONE_S), "-i", str(CLIP), "-frames:v", "1", str(picture))
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-pix_fmt", "yuv420p"]
    ffmpeg("-loop", "1", "-framerate", "10", "-i", str(picture), "-t", "10", *encode, str(short))
    return again(short, folder / "alone.mp4", round(seconds / 10))


def again(video: Path, out: Path, times: int) -> Path:
    """Write a video that shows another one over and over."""
    ffmpeg("-stream_loop", str(times), "-i", str(video), "-c", "copy", str(out))
    return out


def ffmpeg(*words: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True)


def pads(urls: Sequence[str], busy: Path | None) -> str:
    """Return the cameras of a shop with one pad each, and one that reads a file at full speed."""
    tables = [
        f'[[camera]]\nname = "cam{n}"\nsource = "{url}"\nlatency_s = {LATENCY_S}\n'
        + shoppers.ZONES.replace('name = "pad"', f'name = "pad{n}"')
        for n, url in enumerate(urls)
    ]
    if busy is not None:
        zone = '[[camera.zone]]\nname = "all"\nkind = "product"\npolygon = [[9, 9], [700, 9], [700, 500], [9, 500]]\n'
        tables.append(f'[[camera]]\nname = "busy"\nsource = "{busy}"\nfps = 60\n{zone}')
    return "\n".join(tables)


def real(folder: Path, taps: int, pad_count: int, *, seconds: float = 3600.0, busy: bool = True) -> Figures:
    """Measure with `openaisle watch` over real pictures."""
    video = still(folder, seconds)
    work = again(BUSY, folder / "busy.mp4", 1_500) if busy else None
    launch = f"filesrc location={video} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96"
    with ExitStack() as stack:
        cameras = [stack.enter_context(Camera(launch=launch)) for _ in range(pad_count)]
        state = open_shop(folder / "shop", pads([camera.url for camera in cameras], work))
        words = [sys.executable, str(ROOT / "cli.py"), "watch", "--state", str(state.root), "--model", str(DATA / INT8)]
        log = stack.enter_context((folder / "watch.log").open("wb"))
        watching = subprocess.Popen([*words, "--start", "2026-11-16T10:00:00Z"], stdout=log, stderr=log)
        stack.callback(watching.wait)
        stack.callback(watching.send_signal, signal.SIGTERM)
        figures, stopped, lock = Figures(), dict[bytes, int](), threading.Lock()
        left = iter(range(taps))

        def hand(number: int) -> None:
            dice = random.Random(number)
            watch_role = stack.enter_context(state.open_ledger(Role.WATCH))
            with counter(state) as kiosk:
                while next(left, None) is not None:
                    subject, secret = link(kiosk, f"pad{number}", state.live, watching)
                    time.sleep(dice.uniform(0, 0.3))
                    begun = time.monotonic()
                    kiosk.withdraw(secret, now_us=now_us())
                    committed = time.monotonic()
                    newest = kiosk.newest
                    taken = offer(watch_role, subject)
                    while (seen := is_linked(state.live, f"pad{number}", committed)) is True:
                        time.sleep(0.002)
                    shut = time.monotonic()
                    with lock:
                        figures.commit_s.append(committed - begun)
                        if seen is None:
                            figures.blind += 1
                        else:
                            figures.shut_s.append(shut - begun)
                        figures.offered += taken
                        stopped[subject] = newest
                        tell(len(stopped), taps)

        with ThreadPoolExecutor(pad_count) as pool:
            for done in [pool.submit(hand, number) for number in range(pad_count)]:
                done.result()
        watching.send_signal(signal.SIGTERM)
        watching.wait()
        figures.after = rows_after(state, stopped)
        return figures


def tell(done: int, taps: int) -> None:
    if done % 50 == 0:
        print(f"{done} of {taps} taps", file=sys.stderr, flush=True)


def now_us() -> int:
    return time.time_ns() // 1000


def link(kiosk: Ledger, pad: str, live: Path, watching: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    """Say yes on the pad until the camera links whoever stands there."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and watching.poll() is None:
        seen = padview.read(live, pad)
        if seen is None or seen.people != 1 or seen.near:
            time.sleep(0.1)
            continue
        grant = shoppers.yes(kiosk, now_us())
        number = shoppers.ask(kiosk, pad, PadKind.GRANT, grant.subject, now_us(), shown_s=0.0)
        while time.monotonic() < until and watching.poll() is None:
            time.sleep(0.02)
            answer = kiosk.read_pad_request(number)
            if answer is not None and answer.outcome is not None:
                break
        if answer is not None and answer.outcome is PadOutcome.LINKED:
            while not is_linked(live, pad, time.monotonic()) and time.monotonic() < until:
                time.sleep(0.002)
            return grant.subject, grant.secret
        kiosk.withdraw(grant.secret, now_us=now_us())
    raise RuntimeError(f"nobody could be linked on {pad}; see watch.log")


def is_linked(live: Path, pad: str, since_s: float) -> bool | None:
    """Say whether the pad shows a link; None where the camera sees nothing at present."""
    seen = padview.read(live, pad)
    if seen is not None:
        return seen.mark is PadMark.LINKED
    if time.monotonic() - since_s > PATIENCE_S:
        raise RuntimeError("watch tells nothing any more")
    return None if padview.ask(live, "zones") else True  # too busy to answer is no proof of anything


def offer(watch_role: Ledger, subject: bytes) -> bool:
    """Offer a row about somebody who has just taken their consent back, as `watch` would."""
    t = now_us()
    return watch_role.write_inbox(
        "visit",
        subject,
        b"late",
        now_us=t,
        visit_start_us=t,
        visit_end_us=t,
        requires=[Purpose.DWELL],
        level=Level.DWELL,
    )


# --- rows -------------------------------------------------------------------------------------------------------------


def rows(folder: Path, taps: int) -> Figures:
    """Withdraw at the moment a row was written, while the next is on its way."""
    state = open_shop(folder / "simulated", f'[[camera]]\nname = "corridor"\nsource = "corridor.mp4"\n{shoppers.ZONES}')
    processes = multiprocessing.get_context("spawn")
    hear, tell = processes.Pipe(duplex=False)
    start = now_us() - 20 * 24 * 3600 * SECOND
    watching = processes.Process(target=shoppers.watch_until_killed, args=(str(state.root), start, tell))
    watching.start()
    tell.close()
    figures, stopped = Figures(), dict[bytes, int]()
    try:
        with counter(state) as kiosk:
            while len(stopped) < taps and hear.poll(PATIENCE_S):
                subject = hear.recv_bytes()[:32]
                if subject in stopped:
                    continue
                begun = time.monotonic()
                kiosk.withdraw_subject(subject, now_us=now_us())
                figures.commit_s.append(time.monotonic() - begun)
                stopped[subject] = kiosk.newest
        time.sleep(1.0)  # what was on its way arrives
    finally:
        watching.kill()
        watching.join()
    figures.after = rows_after(state, stopped)
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether the promise holds."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.stop_latency", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("taps", nargs="?", type=int, default=1_000)
    parser.add_argument(
        "--pads", type=int, default=2, metavar="N", help="cameras with a shopper on the pad (default: 2)"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        found = {
            "rows": rows(Path(name), arguments.taps),
            "real pictures": real(Path(name), arguments.taps, arguments.pads),
        }
    for what, figures in found.items():
        print("\n".join(figures.lines(what)))
    late = [f for f in found.values() if f.shut_s and share(f.shut_s, 0.99) > P99_S]
    return int(bool(late) or any(f.after or f.offered for f in found.values()))


if __name__ == "__main__":
    sys.exit(main())
