"""How long a withdrawal takes to its certificate where there is much: ``make bench-erasure``.

A shop with ten million rows on this disk, its keeper as a process of its own, and beside it the dashboard and `watch`
on an RTSP camera of 25 pictures a second in which something always moves (``--alone`` leaves both out).
Printed: seconds from a withdrawal to its certificate, alone and for a hundred within a minute; how often the file was
rewritten for those; the keeper's memory.

Promised: 15 s for a lone one, 45 s for each of the hundred in three rewritings at most, 1 GB. The exit status is 1
where one is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from analytics.start import init
from analytics.state import State
from analytics.store import Visits
from consent.events import DAY_US, Level, Purpose
from consent.keys import Role
from consent.ledger import Grant, Ledger
from consent.subjects import visitor
from retention.status import last_sweep
from tests.analytics.rtsp_server import Camera, missing
from tests.bench.clips import ROOT

LONE_S, MANY_S, REWRITES, MEMORY = 15.0, 45.0, 3, 1 << 30
MANY, DAYS, QUIET_S = 100, 29, 65.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.erasure", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--lone", type=int, default=2, help="how many lone withdrawals, a minute apart")
    parser.add_argument("--alone", action="store_true", help="without watch and dashboard")
    parser.add_argument("--in", dest="where", type=Path, help="folder to make the shop in")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.where) as name:
        return _bench(Path(name), arguments)


def _bench(root: Path, asked: argparse.Namespace) -> int:
    with ExitStack() as stack:
        url = None if asked.alone else stack.enter_context(Camera(_free_port())).url
        state, people = _shop(root / "shop", asked.rows, asked.subjects, url)
        size = state.visits.stat().st_size / 1e6
        print(f"made {asked.rows:,} rows of {asked.subjects:,} subjects: {size:.0f} MB", flush=True)
        began = time.monotonic()
        keeper = stack.enter_context(_process(state, root, "keeper"))
        if url is not None:
            stack.enter_context(_process(state, root, "watch"))
            stack.enter_context(_process(state, root, "dashboard", "--port", str(_free_port())))
        ledger = stack.enter_context(state.open_ledger(Role.ADMIN))
        _wait(lambda: last_sweep(state.root) is not None, 300)
        print(f"start and first sweep, of everything: {time.monotonic() - began:.0f} s", flush=True)
        lone = []
        for number in range(asked.lone):
            time.sleep(QUIET_S if number else 5.0)
            before = _cpu(keeper.pid)
            lone += _withdraw(state, ledger, people[number : number + 1], 0.0)[0]
            used = _cpu(keeper.pid) - before
            print(
                f"a lone withdrawal: {lone[-1]:.1f} s, {used:.1f} s of CPU (load {os.getloadavg()[0]:.1f})", flush=True
            )
        time.sleep(QUIET_S)
        many, rewrites = _withdraw(state, ledger, people[asked.lone : asked.lone + MANY], 60.0 / MANY)
        peak = _peak(keeper.pid)
    print(
        f"{MANY} within a minute: each within {max(many):.1f} s (median {sorted(many)[len(many) // 2]:.1f} s), "
        f"{rewrites} rewritings; keeper's peak memory {peak / 1e6:.0f} MB\n"
        f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {os.getloadavg()[1]:.1f} over five minutes"
    )
    faults = [
        *([f"a lone withdrawal took over {LONE_S:.0f} s"] if max(lone) > LONE_S else []),
        *([f"one of {MANY} took over {MANY_S:.0f} s"] if max(many) > MANY_S else []),
        *([f"more than {REWRITES} rewritings"] if rewrites > REWRITES else []),
        *(["over 1 GB of memory"] if peak > MEMORY else []),
    ]
    print("; ".join(faults) or "held")
    return 1 if faults else 0


# --- the shop ---------------------------------------------------------------------------------------------------------


def _shop(root: Path, rows: int, subjects: int, url: str | None) -> tuple[State, list[Grant]]:
    now_us = time.time_ns() // 1000
    first_us = now_us - DAYS * DAY_US
    state = init(root, now_us=first_us, timezone="Europe/Berlin")
    toml = root / "store.toml"
    head, _, _ = toml.read_text().partition("[[camera]]")
    camera = "" if url is None else _CAMERA.format(url=url)
    toml.write_text(head.replace('level = "counts"', 'level = "dwell"') + camera)
    state = State.read(root)
    with state.open_ledger(Role.ADMIN) as ledger:
        approvals = (b"a" * 32, b"b" * 32)
        ledger.set_level(Level.DWELL, now_us=first_us, approvals=approvals, dpia_sha256=b"c" * 32)
        people = [
            ledger.grant([Purpose.DWELL], now_us=first_us, notice_sha256=b"n" * 32, language="en", version="1")
            for _ in range(subjects)
        ]
        keys = [ledger.subject_key(one.subject) for one in people]
        _fill(state, keys, rows, now_us)
    return state, people


def _fill(state: State, keys: Sequence[bytes], rows: int, now_us: int) -> None:
    """Write rows straight into the file: each subject is there on every day, several times."""
    with Visits(state.visits) as visits:
        visits._run("INSERT INTO visits.zones VALUES (1, 'ceiling', 'aisle', 'product')")
        each = rows // (DAYS * len(keys)) + 1
        for back in range(DAYS - 1, 0, -1):
            noon = (now_us - back * DAY_US) // DAY_US * DAY_US + DAY_US // 2
            day = time.strftime("%Y-%m-%d", time.gmtime(noon / 1e6))
            hashes = [visitor(key, Purpose.DWELL, day, state.store.store.id) for key in keys]
            visits._run(
                "INSERT INTO visits.dwell SELECT v, 1, make_timestamp(? + n * 60000000 + (v % 50000000)::BIGINT),"
                " make_timestamp(? + n * 60000000 + (v % 50000000)::BIGINT + 8000000), false, 0, 0, 4000000,"
                " CASE WHEN n % 3 = 0 THEN [4000000::BIGINT] ELSE []::BIGINT[] END, false, ?::DATE"
                " FROM (SELECT unnest(?::UBIGINT[]) v), range(?) t(n)",
                *(noon, noon, day, hashes, each * DAYS // (DAYS - 1) + 1),
            )


_CAMERA = """
[[camera]]
name = "ceiling"
source = "{url}"

[[camera.zone]]
name = "floor"
kind = "product"
polygon = [[0, 0], [320, 0], [320, 240], [0, 240]]
"""


# --- who else is at work ----------------------------------------------------------------------------------------------


@contextmanager
def _process(state: State, root: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with (root / f"{words[0]}.log").open("wb") as log:
        command = [sys.executable, str(ROOT / "cli.py"), words[0], "--state", str(state.root), *words[1:]]
        with _ended(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)) as process:
            try:
                yield process
            finally:
                if process.poll() not in (None, 0):
                    print(f"{words[0]} ended: {(root / f'{words[0]}.log').read_text()[-300:]}")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- measuring --------------------------------------------------------------------------------------------------------


def _withdraw(state: State, ledger: Ledger, people: Sequence[Grant], apart_s: float) -> tuple[list[float], int]:
    """Withdraw one after another; return seconds to each certificate, and how many erasures it took."""
    before = {path.name for path in state.certificates.glob("[0-9]*.json")}
    waiting: dict[int, float] = {}
    took: list[float] = []
    began = time.time()
    for number, one in enumerate(people):
        _certified(state, before, waiting, took)
        time.sleep(max(0.0, began + number * apart_s - time.time()))
        entry = ledger.withdraw(one.secret, now_us=time.time_ns() // 1000).leaf_index
        waiting[entry or 0] = time.time()
    _wait(lambda: _certified(state, before, waiting, took) == 0, 300)
    return took, sum(path.stat().st_mtime >= began for path in state.certificates.glob("[0-9]*.json"))


def _certified(state: State, known: set[str], waiting: dict[int, float], took: list[float]) -> int:
    """Take off the list who is certified by now; return how many wait."""
    for path in state.certificates.glob("[0-9]*.json"):
        if path.name not in known:
            known.add(path.name)
            at = path.stat().st_mtime
            for one in json.loads(path.read_bytes())["certificate"]["ended"]["entries"]:
                if one["entry"] in waiting:
                    took.append(at - waiting.pop(one["entry"]))
    return len(waiting)


def _peak(pid: int) -> int:
    """Return the most memory a process had, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and of those it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _wait(happens: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end:
            raise SystemExit("it never happened; look at the logs")
        time.sleep(0.05)


if __name__ == "__main__":
    lacks = None if "--alone" in sys.argv else missing()
    if lacks is not None:
        sys.exit(f"the camera needs GStreamer's RTSP server ({lacks}): install it, or give --alone")
    sys.exit(main())
