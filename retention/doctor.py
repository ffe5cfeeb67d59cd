"""`openaisle doctor`: looks the shop over before it opens, and says what to do about whatever is wrong.

Rules:
- It looks and changes nothing. It calls nobody but the shop's own cameras, one picture each, which it forgets.
- Each finding has a remedy. `wrong` means that something will not work or a promise is not kept; `mind` that somebody
  should look; `fine` that it was looked at.
- What cannot be found out is said so, and is never taken for fine.
"""

from __future__ import annotations

import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from analytics import models
from analytics.config import CameraTable, ConfigError
from analytics.model import AnalyticsError
from analytics.source import Source, VideoError
from analytics.start import PLACEHOLDER
from analytics.state import State
from analytics.video import probe
from analytics.zones import out_of_picture
from consent import reserve
from consent.events import ConsentError, Level
from consent.keys import KeyRing, Role
from retention import egress, policy
from retention.status import last_sweep

ROOM = 2 << 30  # bytes: a rewriting of the visits needs their size again, backups more
PROC, SYS = Path("/proc"), Path("/sys")
_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
_WAIT_S = 5.0


class Grade(StrEnum):
    """How bad a finding is."""

    FINE = "fine"
    MIND = "mind"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what was found.

    Attributes:
        what: that was looked at.
        grade: see `Grade`.
        found: in one line.
        do: the remedy; empty where nothing is to be done.
    """

    what: str
    grade: Grade
    found: str
    do: str = ""


def examine(state: State, now_us: int) -> Iterator[Finding]:
    """Look everything over; slow where a camera is slow to answer.

    Args:
        state: of the shop.
        now_us: UTC microseconds.
    """
    for look in (_models, _opencv, _modes, _keys, _ledger, _clock, _keeper, _disk, _swap, _core_dumps):
        yield from look(state, now_us)
    for camera in state.store.camera:
        yield from _camera(state, camera)
    if not state.store.camera:
        yield Finding("cameras", Grade.WRONG, "store.toml names none", "write a [[camera]] table into store.toml")
    yield from _egress(state)


def _models(state: State, _now_us: int) -> Iterator[Finding]:
    try:
        found = models.models(models.read_catalogue(), models.folder())
    except models.ModelsError as error:
        yield Finding("models", Grade.WRONG, str(error), "install openaisle again")
        return
    for one in found:
        if one.path is not None:
            sound = Grade.FINE if one.sound else Grade.WRONG
            told = f"{one.bytes:,} bytes, {'as it should be' if one.sound else 'NOT what it should be'}"
            yield Finding(f"model {one.name}", sound, told, "" if one.sound else f"restore {one.path}")
    own = state.store.expression.file(state.root)
    if own is not None:
        from analytics.reading import checked

        try:
            checked(own, smile=state.store.smile is not None)
            yield Finding("own expression model", Grade.FINE, f"{own} has the form that is needed")
        except AnalyticsError as error:
            what, _, to_do = str(error).partition("; ")
            yield Finding("own expression model", Grade.WRONG, what, to_do)


def _opencv(_state: State, _now_us: int) -> Iterator[Finding]:
    """Several wheels of OpenCV write over each other's files; which one is loaded is then chance."""
    here = [name for name in _OPENCV if _installed(name)]
    if len(here) > 1:
        yield Finding(
            "OpenCV",
            Grade.WRONG,
            f"{' and '.join(here)} lie in one place and overwrite each other",
            "remove all of them and install again from requirements/core.txt with --no-deps",
        )
    else:
        yield Finding("OpenCV", Grade.FINE, f"one wheel: {here[0] if here else 'none of the usual names'}")


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _modes(state: State, _now_us: int) -> Iterator[Finding]:
    """Nothing of a shop is for everybody on the machine, and keys are for their owner alone."""
    places = [
        state.root,
        *(p for p in state.root.iterdir() if p.name != "live.sock"),
        state.journal,
        state.certificates,
    ]
    open_ones = [p for p in dict.fromkeys(places) if p.exists() and p.lstat().st_mode & (stat.S_IROTH | stat.S_IWOTH)]
    walled = not state.root.stat().st_mode & stat.S_IXOTH
    inside = [p for p in open_ones if not (walled and p.is_relative_to(state.root) and p != state.root)]
    if inside:
        names = ", ".join(str(p) for p in inside[:5])
        yield Finding("permissions", Grade.WRONG, f"everybody on this machine may use {names}", f"chmod o= {names}")
    else:
        yield Finding("permissions", Grade.FINE, "nothing of the shop is open to everybody on this machine")
    if state.keys.is_dir() and stat.S_IMODE(state.keys.stat().st_mode) & 0o077:
        yield Finding("permissions", Grade.WRONG, f"others may look into {state.keys}", f"chmod 700 {state.keys}")


def _keys(state: State, _now_us: int) -> Iterator[Finding]:
    held = [role for role in (Role.ADMIN, *(r for r in Role if r is not Role.ADMIN)) if _opens(state, role)]
    if Role.ADMIN in held:
        yield Finding("keys", Grade.FINE, f"{state.keys} holds every key; fit for one computer with one user")
    elif held:
        yield Finding("keys", Grade.FINE, f"{state.keys} holds the keys of {', '.join(held)}")
    else:
        try:
            KeyRing.open(state.keys, Role.DASHBOARD, state=state.root)
        except (ConsentError, OSError) as error:
            yield Finding("keys", Grade.WRONG, str(error), f"put the keys back to {state.keys}, or name them: --keys")
    if state.keys.exists() and state.keys.stat().st_dev == state.root.stat().st_dev:
        yield Finding(
            "keys",
            Grade.MIND,
            "keys and state directory lie on one volume: whoever copies the disk has both",
            "best on another encrypted volume; `keys` under [store] says where",
        )


def _opens(state: State, role: Role) -> bool:
    try:
        KeyRing.open(state.keys, role, state=state.root)
    except (ConsentError, OSError):
        return False
    return True


def _ledger(state: State, _now_us: int) -> Iterator[Finding]:
    role = next((role for role in Role if _opens(state, role)), None)
    if role is None:
        return
    try:
        with state.open_ledger(role) as ledger:
            level, entries = state.level(ledger), ledger.size
            with ledger.snapshot():
                table, logged = ledger.levels_told()
    except (ConfigError, ConsentError) as error:
        yield Finding("ledger", Grade.WRONG, str(error), "nothing is watched until this is mended")
        return
    if table is not logged:
        yield Finding(
            "ledger",
            Grade.WRONG,
            f"its table says level {table}, its log {logged}: somebody changed the file; the lower one holds",
            "find out who, and put a backup back with `openaisle restore`",
        )
    if level > Level.COUNTS and not state.store.pads():
        yield Finding(
            "pad",
            Grade.WRONG,
            f"level {level}, and no pad is drawn: nobody can say yes, so nobody is measured",
            "draw a zone of kind pad before the kiosk, then start the kiosk again",
        )
    written = state.store.store.level
    if level == written:
        yield Finding("ledger", Grade.FINE, f"{entries:,} entries; level {level}")
    else:
        yield Finding(
            "ledger",
            Grade.MIND,
            f"store.toml says level {written}, the log allows {level}; the lower one holds",
            "see `openaisle level --help`",
        )


def _clock(state: State, now_us: int) -> Iterator[Finding]:
    told = last_sweep(state.root)
    clock = told["clock"] if told else None
    if clock is not None and (complaint := clock.complaint()):
        yield Finding("clock", Grade.WRONG, f"the clock {complaint}", "set it right; terms and proofs hang on it")
    elif told and now_us < told["swept_us"]:
        behind = timedelta(microseconds=told["swept_us"] - now_us)
        yield Finding("clock", Grade.WRONG, f"it is {behind} behind the keeper's last sweep", "set the clock right")
    synchronised = _timedatectl()
    if synchronised is None:
        yield Finding("clock", Grade.MIND, "whether it is kept right cannot be found out here", "see that it is")
    elif not synchronised:
        yield Finding("clock", Grade.MIND, "nobody keeps it right", "timedatectl set-ntp true, or a clock that is set")
    else:
        yield Finding("clock", Grade.FINE, f"kept right by the system; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _timedatectl() -> bool | None:
    told = _asked("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return None if told not in {"yes", "no"} else told == "yes"


def _asked(*words: str) -> str | None:
    """Return what a command of the system says; None where there is none, or it does not know."""
    if shutil.which(words[0]) is None:
        return None
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _keeper(state: State, now_us: int) -> Iterator[Finding]:
    told = last_sweep(state.root)
    if told is None:
        yield Finding("keeper", Grade.MIND, "never swept this shop", "run `openaisle up`, or `openaisle keeper`")
        return
    late_s = (now_us - told["swept_us"]) / 1e6
    trouble = [
        f"{name}: {told[name]}"
        for name in ("blocked", "deferred", "config", "journal", "figures", "unnamed")
        if told[name]
    ]
    if trouble:
        yield Finding("keeper", Grade.WRONG, "; ".join(trouble), "see `openaisle retention status`")
    elif late_s > 3 * policy.SWEEP_S:
        ago = timedelta(seconds=round(late_s))
        yield Finding("keeper", Grade.WRONG, f"swept last {ago} ago; what is due is not erased", "start it")
    else:
        yield Finding("keeper", Grade.FINE, f"swept {late_s:.0f} s ago, and nothing was wrong")


def _disk(state: State, _now_us: int) -> Iterator[Finding]:
    for name, place in {"state directory": state.root, "journal": state.journal}.items():
        there = next(p for p in (place, *place.parents) if p.exists())
        free, needed = shutil.disk_usage(there).free, ROOM
        if name == "state directory" and state.visits.exists():
            needed += 2 * state.visits.stat().st_size  # it is rewritten beside itself
        if free < needed:
            yield Finding(
                f"disk of the {name}",
                Grade.WRONG,
                f"{free >> 20:,} MiB free, {needed >> 20:,} are needed",
                "make room, or move the shop to a larger disk",
            )
        else:
            yield Finding(f"disk of the {name}", Grade.FINE, f"{free >> 30:,} GiB free")
    if not (state.root / reserve.NAME).exists() and state.visits.exists():
        yield Finding(
            "disk of the state directory",
            Grade.MIND,
            "no room is kept for a withdrawal on a full disk",
            "the keeper takes it at its next sweep",
        )


def _swap(_state: State, _now_us: int) -> Iterator[Finding]:
    try:
        rows = (PROC / "swaps").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        yield Finding("swap", Grade.MIND, "cannot be found out here", "run without swap, or encrypt it")
        return
    plain = [row.split()[0] for row in rows if not _in_memory_or_sealed(row.split()[0])]
    if plain:
        do = "run without it, or encrypt it: docs/deployment.md"
        yield Finding("swap", Grade.WRONG, f"{', '.join(plain)} may hold pictures and keys, readable", do)
    else:
        yield Finding("swap", Grade.FINE, "none that keeps anything readable")


def _in_memory_or_sealed(device: str) -> bool:
    name = Path(device).resolve().name
    if name.startswith("zram"):
        return True
    try:
        kind = (SYS / "block" / name / "dm/uuid").read_text(encoding="utf-8")
    except OSError:
        return False
    return kind.startswith("CRYPT-")


def _core_dumps(_state: State, _now_us: int) -> Iterator[Finding]:
    try:
        pattern = (PROC / "sys/kernel/core_pattern").read_text(encoding="utf-8").strip()
    except OSError:
        return
    if pattern.startswith("|"):
        told = f"the kernel pipes them to {pattern[1:].split()[0]}; our processes let them hold nothing"
    else:
        told = "our processes forbid them"
    yield Finding("core dumps", Grade.FINE, told)


def _camera(state: State, camera: CameraTable) -> Iterator[Finding]:
    what = f"camera {camera.name}"
    if camera.source == PLACEHOLDER:
        yield Finding(what, Grade.WRONG, "it still has the example's address", "write your own camera's there")
        return
    try:
        source = Source(camera.address(state.root), latency_s=camera.latency_s, masks=camera.masks, turn=camera.turn)
        began = time.monotonic()
        info = probe(source)
    except (VideoError, ConfigError) as error:
        yield Finding(what, Grade.WRONG, str(error), "mend the [[camera]] table, or the camera; then run this again")
        return
    took = time.monotonic() - began
    if not source.live:
        do = "`openaisle watch --start TIME` watches it once; for `openaisle up` write a camera's address"
        yield Finding(what, Grade.MIND, "a video file, which has no time of its own: `openaisle up` refuses it", do)
    fps = "" if info.fps is None else f", {info.fps:.0f} pictures a second"
    grade, do = Grade.FINE, ""
    if info.fps is not None and info.fps < 5:
        grade, do = Grade.MIND, "five pictures a second are the least for visits that hold; set the camera to ten"
    yield Finding(what, grade, f"{info.width}×{info.height}{fps}; first picture after {took:.1f} s", do)
    for number, mask in enumerate(camera.masks, 1):
        if out_of_picture(mask, info.width, info.height):
            found = f"mask {number} lies outside its picture: it hides nothing, and `openaisle watch` refuses it"
            yield Finding(what, Grade.WRONG, found, "draw it again on a picture of this size, or take it out")
    for zone in camera.zone:
        left, top = (min(corner[axis] for corner in zone.polygon) for axis in (0, 1))
        right, bottom = (max(corner[axis] for corner in zone.polygon) for axis in (0, 1))
        if out_of_picture(zone.polygon, info.width, info.height):
            do = "draw it again on a picture of this size"
            yield Finding(what, Grade.WRONG, f"zone {zone.name} lies outside its picture: it sees nobody", do)
        elif left < 0 or top < 0 or right > info.width or bottom > info.height:
            found = f"zone {zone.name} reaches beyond its picture: who leaves it there is lost, not gone"
            yield Finding(what, Grade.MIND, found, "draw it well inside the picture")


def _egress(state: State) -> Iterator[Finding]:
    hosts = hosts_named(state)
    told = ", ".join(sorted(hosts)) or "nobody"
    allowed = egress.listed(_asked)
    if allowed is None:
        yield Finding(
            "egress",
            Grade.MIND,
            f"this shop calls {told}; nothing here that could be asked refuses it the rest",
            "run it under the systemd units of docs/deployment.md, or a firewall that lets only these through",
        )
        return
    for name, host in egress.lacking(state.store, allowed):
        yield Finding(
            "egress",
            Grade.WRONG,
            f"the unit of {name} cannot reach {host}: it is older than store.toml",
            "`openaisle units --out /etc/systemd/system`, systemctl daemon-reload, systemctl restart openaisle.target",
        )
    kept = egress.kept()
    if kept is None:
        what = f"this shop may call {told}; whether the kernel refuses the rest could not be tried"
        yield Finding("egress", Grade.MIND, what, "run `openaisle doctor` as root, which may start a unit to try it")
    elif kept:
        yield Finding("egress", Grade.FINE, f"this shop may call {told}; everything else is refused, which was tried")
    else:
        yield Finding(
            "egress",
            Grade.WRONG,
            "the units say whom this shop may call, and this machine does not hold them to it",
            "cgroup v2 and a kernel with BPF (CONFIG_CGROUP_BPF), or a firewall that lets only these through",
        )


def hosts_named(state: State) -> set[str]:
    """Return every host that `store.toml` lets a process of the shop call."""
    store = state.store
    addresses = [camera.source for camera in store.camera if "://" in camera.source]
    addresses += [a for a in (store.mailbox.url, store.oidc.issuer) if a]
    return {host for a in addresses if (host := urlsplit(a).hostname)} | {*store.oidc.hosts, *store.alerts.hosts}


def verdict(findings: list[Finding]) -> str | None:
    """Say in one line what is wrong, None where nothing is."""
    wrong = [f"{one.what}: {one.do}" for one in findings if one.grade is Grade.WRONG]
    return f"{len(wrong)} to mend before this shop opens: {'; '.join(wrong)}" if wrong else None


def told(findings: list[Finding]) -> str:
    """Return the findings for people."""
    lines = []
    for one in findings:
        lines.append(f"{one.grade:<6}{one.what}: {one.found}")
        if one.do:
            lines.append(f"      → {one.do}")
    return "\n".join(lines)
