"""What differs between two settings, in words and as lines. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from analytics.config import CameraTable, StoreFile
from analytics.settings import Settings

_WORDS = {
    "source": "another address",
    "password_env": "another variable for its password",
    "password_file": "another file for its password",
    "fps": "other looks a second",
    "latency_s": "another age of its pictures",
    "turn": "its picture is turned otherwise; zones and masks stay where they are",
    "ground": "another calibration of the floor",
}


def told(was: StoreFile, now: StoreFile) -> list[str]:
    """Return what a page can change and did change, a line each; an address is not repeated."""
    before, after = ({camera.name: camera for camera in store.camera} for store in (was, now))
    found = [f"camera {name}: taken away" for name in before if name not in after]
    for name, camera in after.items():
        if name not in before:
            found.append(f"camera {name}: new, with {len(camera.zone)} zone{'' if len(camera.zone) == 1 else 's'}")
        else:
            found += [f"camera {name}: {words}" for words in _camera(before[name], camera)]
    if was.pad != now.pad:
        found.append(f"ring around a pad: {now.pad.ring_m:g} m, was {was.pad.ring_m:g} m")
    if was.kiosk.pad != now.kiosk.pad:
        found.append(f"the kiosk stands before {now.kiosk.pad or 'the only pad'}")
    return found


def _camera(was: CameraTable, now: CameraTable) -> Iterator[str]:
    for field, words in _WORDS.items():
        if getattr(was, field) != getattr(now, field):
            yield words
    before, after = ({zone.name: zone for zone in camera.zone} for camera in (was, now))
    gone = [name for name in before if name not in after]
    for name, zone in after.items():
        former = next((one for one in gone if name not in before and before[one].polygon == zone.polygon), None)
        if former is not None:
            gone.remove(former)
            before[name] = before[former]
            yield f"zone {former} is called {name} now; figures so far stay under {former}"
    for name in gone:
        yield f"zone {name} taken away"
    for name, zone in after.items():
        if name not in before:
            yield f"zone {name} ({zone.kind}) drawn"
            continue
        old = before[name]
        if old.kind is not zone.kind:
            yield f"zone {name} is {zone.kind}, was {old.kind}"
        if old.polygon != zone.polygon:
            yield f"zone {name} has other corners"
        if old.shelf != zone.shelf:
            yield f"zone {name}: shelf {'taken away' if zone.shelf is None else 'drawn'}"
    if was.masks != now.masks:
        yield f"masks: {len(now.masks)}, were {len(was.masks)}"


def diff(was: Settings, now: Settings) -> str:
    """Return the lines that differ, as `diff -u` shows them; empty where none does."""
    lines = difflib.unified_diff(was.text.splitlines(), now.text.splitlines(), "before", "after", lineterm="", n=2)
    return "\n".join(lines)
