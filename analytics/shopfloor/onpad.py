"""The pad and the consents of the demo clip: who stands on it when, alone or not, and which choice may bind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.shopfloor import cast
from analytics.shopfloor.script import Instant, PersonState
from analytics.shopfloor.shop import FLOOR_ZONES, FPS, GUARD_RING
from analytics.shopfloor.truth import intervals
from analytics.zones import ZoneKind, border_distance, contains


@dataclass(frozen=True, slots=True)
class PadTime:
    """A stretch of standing on the pad, by floor position.

    Attributes:
        person: who.
        enter_s: seconds from the first frame.
        leave_s: seconds from the first frame.
        alone: nobody else on the pad or in the guard ring during all of it.
    """

    person: str
    enter_s: float
    leave_s: float
    alone: bool


def pad_times(instants: Sequence[Instant], fps: int = FPS) -> list[PadTime]:
    """Return who stands on the pad when, cut where company comes or goes."""
    corners = next(c for kind, c in FLOOR_ZONES.values() if kind is ZoneKind.PAD)

    def near(s: PersonState) -> bool:
        return contains(corners, s.x, s.y) or border_distance(corners, s.x, s.y) <= GUARD_RING

    flags: dict[tuple[str, bool], tuple[list[float], list[bool]]] = {}
    for instant in instants:
        close = [s for s in instant.people if near(s)]
        for s in close:
            on = contains(corners, s.x, s.y)
            for alone in (True, False):
                times, inside = flags.setdefault((s.name, alone), ([], []))
                times.append(instant.t_s)
                inside.append(on and (len(close) == 1) == alone)
    found = [
        PadTime(person, round(a, 2), round(b, 2), alone)
        for (person, alone), (times, inside) in flags.items()
        for a, b in intervals(times, inside, 1 / fps)
    ]
    return sorted(found, key=lambda p: (p.enter_s, p.person))


def choices(instants: Sequence[Instant], fps: int = FPS) -> list[cast.Choice]:
    """Return the consent script in seconds, each act with whether the pad's rule lets it bind to a track."""
    stood = pad_times(instants, fps)
    found = []
    for name, (act, purposes) in cast.AT_THE_PAD.items():
        arrived = next(i.t_s for i in instants for s in i.people if s.name == name and s.activity == "pad")
        screen, tap = arrived + cast.SCREEN_AFTER, arrived + cast.TAP_AFTER
        # an objection suppresses everybody on the pad and in the ring: it needs nobody to be alone
        alone = any(p.person == name and p.alone and p.enter_s <= screen and p.leave_s >= tap + 1 for p in stood)
        binds = act == "object" or (act == "grant" and alone)
        found.append(cast.Choice(round(tap, 2), round(screen, 2), name, act, purposes, "pad", binds))
    for t, name, purposes in cast.BY_PHONE:
        found.append(cast.Choice(t, t, name, "withdraw", purposes, "phone", True))
    return sorted(found, key=lambda c: c.t_s)
