"""Simulated shoppers before a real shop: where they walk is made up, and everything after the pixels is the product's.

A `Crowd` stands in for the camera's eyes and for whoever taps at the kiosk: it yields sightings by the instant, and
writes grants and pad requests into the real ledger, in media time, as the kiosk's role.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from analytics.model import SECOND, Frame, Sighting
from analytics.pipeline import CameraWatch
from analytics.report import read_plan
from analytics.state import State
from analytics.vision import Seen
from analytics.watch import LevelNow
from consent.events import Purpose
from consent.keys import KeyRing, Role
from consent.ledger import Grant, Ledger
from consent.padwords import PadKind, PadOutcome

SIZE = (384, 288)  # of the picture, pixels
STEP_US = SECOND // 5  # between two pictures
EVERY_US = 8 * SECOND  # somebody comes
HEIGHT = 40.0  # of a simulated shopper, pixels: 23.5 pixels are a metre
SPEED = 28.0  # pixels a second, 1.2 m/s
PAD = ((150, 215), (300, 215), (300, 290), (150, 290))
ZONES = f"""
[[camera.zone]]
name = "passage"
kind = "product"
polygon = [[0, 150], [384, 150], [384, 288], [0, 288]]

[[camera.zone]]
name = "front"
kind = "product"
polygon = [[0, 150], [120, 150], [120, 240], [0, 240]]

[[camera.zone]]
name = "pad"
kind = "pad"
polygon = {[list(corner) for corner in PAD]}
"""
NOTICE = "ab" * 32
_NOTHING = np.zeros((1, 1, 3), np.uint8)

RIGHT, ON_PAD, LEFT = (340.0, 250.0), (225.0, 250.0), (4.0, 200.0)
LANES = ((60.0, 172.0), (60.0, 228.0))  # in the zone `front`, too far apart to touch

Stand = tuple[tuple[float, float], float]  # where, and for how many seconds


@dataclass
class Shopper:
    """Somebody's walk: from stand to stand at an even pace, in sight from the first to the last."""

    came_us: int
    stands: Sequence[Stand]
    taps: PadKind | None = None
    tap_s: float = 0.7  # after arriving on the pad
    request: int | None = None  # number of the pad request
    granted: Grant | None = None

    def __post_init__(self) -> None:
        self._legs: list[tuple[int, tuple[float, float]]] = []
        t_us, here = self.came_us, self.stands[0][0]
        self.pad_us = t_us
        for there, seconds in self.stands:
            t_us += round(math.dist(here, there) / SPEED * SECOND)
            self._legs.append((t_us, there))
            if there == ON_PAD:
                self.pad_us = t_us
            t_us += round(seconds * SECOND)
            self._legs.append((t_us, there))
            here = there
        self.gone_us = t_us

    @property
    def tap_us(self) -> int:
        return self.pad_us + round(self.tap_s * SECOND)

    def at(self, t_us: int) -> tuple[float, float]:
        """Return their foot point."""
        for (a_us, a), (b_us, b) in zip(self._legs, self._legs[1:], strict=False):
            if a_us <= t_us < b_us:
                part = (t_us - a_us) / (b_us - a_us)
                return a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])
        return self._legs[-1][1]


def customer(came_us: int, number: int, *, taps: PadKind | None = PadKind.GRANT) -> Shopper:
    """Return somebody who comes in, stands on the pad, looks at the front for 5 to 11 s and goes."""
    lane = LANES[number % 2]
    stay_s = 5.0 + number % 7
    return Shopper(came_us, [(RIGHT, 0), (ON_PAD, 2.2), (lane, stay_s), ((LEFT[0], lane[1]), 0)], taps)


class Crowd:
    """The shoppers of one camera: its eyes, and the hands at its kiosk.

    Args:
        coming: who comes, in order of coming; may be without end.
        kiosk: the ledger, opened by the kiosk's role.
        pad: before which it stands.

    Attributes:
        shoppers: who has come so far.
    """

    def __init__(self, coming: Iterable[Shopper], kiosk: Ledger, pad: str = "pad") -> None:
        self.shoppers: list[Shopper] = []
        self._coming, self._kiosk, self._pad = iter(coming), kiosk, pad
        self._waiting = next(self._coming, None)
        self._here: dict[int, Shopper] = {}  # by track
        self._tracks = 0

    def see(self, frame: Frame) -> Seen:
        """Return who is in sight."""
        self._here = {track: s for track, s in self._here.items() if frame.t_us < s.gone_us}
        while self._waiting is not None and self._waiting.came_us <= frame.t_us:
            self._tracks += 1
            self._here[self._tracks] = self._waiting
            self.shoppers.append(self._waiting)
            self._waiting = next(self._coming, None)
        found = []
        for track, shopper in self._here.items():
            x, y = shopper.at(frame.t_us)
            box = (x - HEIGHT / 5, y - HEIGHT, x + HEIGHT / 5, y)
            found.append(Sighting(track, x, y, HEIGHT, 0.9, box))
        return Seen(tuple(found))

    def reset(self) -> None:
        """Give everybody a new number."""
        people = list(self._here.values())
        self._here = {self._tracks + i: s for i, s in enumerate(people, start=1)}
        self._tracks += len(people)

    def tap(self, t_us: int) -> None:
        """Carry out every tap that is due."""
        for shopper in self._here.values():
            if shopper.taps is None or shopper.request is not None or shopper.tap_us > t_us:
                continue
            subject = None
            if shopper.taps is PadKind.GRANT:
                shopper.granted = yes(self._kiosk, shopper.tap_us)
                subject = shopper.granted.subject
            shopper.request = ask(self._kiosk, self._pad, shopper.taps, subject, shopper.tap_us)

    def outcomes(self) -> list[PadOutcome | None]:
        """Return what came of every tap, in order of coming."""
        found = [self._kiosk.read_pad_request(s.request) for s in self.shoppers if s.request is not None]
        return [None if request is None else request.outcome for request in found]


def yes(kiosk: Ledger, now_us: int) -> Grant:
    """Say yes to `dwell`, as the kiosk's page does it."""
    return kiosk.grant([Purpose.DWELL], now_us=now_us, notice_sha256=NOTICE, language="en", version="1")


def ask(kiosk: Ledger, pad: str, kind: PadKind, subject: bytes | None, tap_us: int, shown_s: float = 0.5) -> int:
    """Ask the camera, the screen having stood for half a second."""
    screen_us = tap_us - round(shown_s * SECOND)
    return kiosk.open_pad_request(pad, kind, subject, now_us=tap_us, screen_us=screen_us, tap_us=tap_us)


def camera(state: State, ledger: Ledger, crowd: Crowd, *, restart: bool = False) -> CameraWatch:
    """Return the shop's first camera, wired as `watch` wires it, with the crowd for its eyes."""
    return CameraWatch(
        state.store,
        state.store.camera[0],
        crowd,
        SIZE,
        ledger,
        level=LevelNow(state, ledger),
        plan=lambda: read_plan(state.released),
        restart=restart,
    )


def walk(one: CameraWatch, crowd: Crowd, start_us: int, end_us: int | None = None) -> None:
    """Let time pass from one instant up to another, or for ever, five pictures a second."""
    for t_us in itertools.count(start_us, STEP_US):
        if end_us is not None and t_us >= end_us:
            return
        crowd.tap(t_us)
        one.step(Frame(t_us, _NOTHING))


# --- a watch of its own, to be killed ---------------------------------------------------------------------------------


class TellingLedger(Ledger):
    """Tells of each row about a person once it is written, which is what `acknowledged` means."""

    tell: Connection

    def write_inbox(self, kind: str, subject: bytes | None, payload: bytes, **how: Any) -> bool:
        """Write, then tell."""
        written = super().write_inbox(kind, subject, payload, **how)
        if written and subject is not None:
            self.tell.send_bytes(subject + payload)
        return written


def watch_until_killed(root: str, start_us: int, tell: Connection) -> None:
    """Watch shoppers who never stop coming, and tell of each row as 32 bytes of subject and the payload."""
    state = State.read(Path(root))
    keys = KeyRing.open(state.keys, Role.WATCH, state=state.root)
    store = state.store.store.id
    with state.open_ledger(Role.KIOSK) as kiosk, TellingLedger(state.ledger, keys, store=store) as ledger:
        ledger.tell = tell
        crowd = Crowd((customer(start_us + i * EVERY_US, i) for i in itertools.count()), kiosk)
        walk(camera(state, ledger, crowd), crowd, start_us)
