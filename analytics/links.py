"""Who is linked: a track number on one side, a subject's opaque hash on the other, and every doubt that parts them.

Rules:
- A link is made by the pad, lives in memory only, is never written or logged, and ends with its track.
- It ends at once on a possible identity switch. What it then stands for ends at the last instant in which nobody
  else's box touched the person's: doubt is paid for with our own rows, never with somebody else's.
- An ended link never comes back; the person can stand on the pad again.
- What ended tracks leave behind is forgotten when their visits can no longer be open.

It looks at nobody: boxes and numbers only. It does not decide who may be linked (`analytics.gate` does), and it
knows nothing of the ledger: a live grant is checked again wherever a row is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.guard import STRAY, Box, Doubt, Guard, LinkRules
from analytics.model import SECOND, Sighting

if TYPE_CHECKING:
    from analytics.dwell import Stitch
    from analytics.zones import Ground
    from consent.events import Purpose


@dataclass(frozen=True, slots=True)
class Permit:
    """What one person said yes to, and between which instants we are sure that it is they.

    Attributes:
        subject: opaque hash; never a name, never a code.
        start_us: the grant; no visit begins earlier.
        until_us: last sure instant.
        purposes: what was granted; the store's level still caps it.
        ended: why the link is over, None while it lives.
    """

    subject: str
    start_us: int
    until_us: int
    purposes: frozenset[Purpose]
    ended: Doubt | None = None


@dataclass(slots=True)
class _Link:
    subject: str
    start_us: int
    purposes: frozenset[Purpose]
    person: int
    guard: Guard
    seen_us: int  # last sight of the person, linked or not
    ended: Doubt | None = None

    def permit(self) -> Permit:
        until_us = max(self.guard.sure_us, self.start_us)
        return Permit(self.subject, self.start_us, until_us, self.purposes, self.ended)


class Links:
    """The links of one camera, in memory.

    Args:
        ground: metres where calibrated, body heights where not.
        rules: see `LinkRules`.
    """

    def __init__(self, ground: Ground, rules: LinkRules | None = None) -> None:
        self._ground = ground
        self._rules = rules or LinkRules()
        self._live: dict[int, _Link] = {}  # by track
        self._people: dict[int, _Link] = {}  # by person, live or ended
        self._t_us: int | None = None

    def __len__(self) -> int:
        """Number of live links."""
        return len(self._live)

    def bind(
        self,
        t_us: int,
        sighting: Sighting,
        *,
        subject: str,
        purposes: frozenset[Purpose],
        start_us: int,
        person: int | None = None,
        bodies: Collection[tuple[int, Box]] = (),
    ) -> None:
        """Link a track seen at this instant; the caller has made sure whose it is.

        Args:
            t_us: instant of the sighting, UTC microseconds.
            sighting: where the track is now.
            subject: opaque hash.
            purposes: what was granted.
            start_us: instant of the grant, not after `t_us`.
            person: number under which the dwell engine reports this track's visits; the track's own if None.
            bodies: (track, box) of everybody in this frame, so that whoever touches is watched from the start.

        Raises:
            ValueError: the grant lies in the future.
        """
        if start_us > t_us:
            raise ValueError(f"a grant of {start_us} cannot be linked at {t_us}, before it was given")
        number = sighting.track if person is None else person
        guard = Guard(self._ground, self._rules, sighting.track, sighting, t_us, t_us)
        link = _Link(subject, start_us, purposes, number, guard, t_us)
        self._live[sighting.track] = self._people[number] = link
        doubt = guard.step(t_us, sighting, bodies)
        if doubt is not None:
            self.end(sighting.track, doubt)

    def step(
        self,
        t_us: int,
        sightings: Sequence[Sighting],
        others: Sequence[Box] = (),
        *,
        people: Mapping[int, int] | None = None,
        stitches: Sequence[Stitch] = (),
    ) -> dict[int, Doubt]:
        """Take one frame and end every link that is in doubt.

        Args:
            t_us: its instant, UTC microseconds, later than the one before.
            sightings: each track at most once.
            others: boxes of people without a track number.
            people: person number of each track, where it differs.
            stitches: those the dwell engine made in this step.

        Returns:
            The tracks whose link ended now, with the reason.
        """
        was_blind = self._t_us is not None and t_us - self._t_us > self._rules.blind_s * SECOND
        ended = self.blind() if was_blind else {}
        self._t_us = t_us
        people = people or {}
        if not self._people:
            return ended
        seen = {s.track: s for s in sightings}
        bodies = [(s.track, s.box) for s in sightings] + [(STRAY, box) for box in others]
        for stitch in stitches:
            self._pass(stitch, ended)
        for track, link in list(self._live.items()):
            mine = seen.get(track)
            if mine is not None and people.get(track, track) != link.person:
                doubt: Doubt | None = Doubt.SPLIT
            else:
                doubt = link.guard.step(t_us, mine, bodies)
            if doubt is not None:
                self.end(track, doubt)
                ended[track] = doubt
        for track in seen:
            known = self._people.get(people.get(track, track))
            if known is not None:
                known.seen_us = t_us
        keep = t_us - int(self._rules.keep_s * SECOND)
        self._people = {n: k for n, k in self._people.items() if k.seen_us >= keep}
        return ended

    def _pass(self, stitch: Stitch, ended: dict[int, Doubt]) -> None:
        """Let a link follow its person to a new track, or end it there."""
        link = self._people.get(stitch.person)
        if link is None or link.ended is not None or link.guard.track == stitch.track:
            return
        old = link.guard.track
        if stitch.confidence < self._rules.stitch:
            self.end(old, Doubt.STITCH)
            ended[old] = Doubt.STITCH
            return
        del self._live[old]
        link.guard.track = stitch.track
        self._live[stitch.track] = link

    def blind(self) -> dict[int, Doubt]:
        """End every link: nobody knows who moved where while nothing was seen."""
        ended = dict.fromkeys(self._live, Doubt.BLIND)
        for track in ended:
            self.end(track, Doubt.BLIND)
        return ended

    def end(self, track: int, why: Doubt) -> None:
        """End the link of a track; none is no error."""
        link = self._live.pop(track, None)
        if link is not None:
            link.ended = why

    def withdraw(self, subject: str, purposes: Collection[Purpose] | None = None) -> None:
        """Take purposes, or all, from whatever is held for a subject, the open visit included."""
        for link in self._people.values():
            if link.subject == subject:
                link.purposes = frozenset() if purposes is None else link.purposes - frozenset(purposes)
        for track, link in list(self._live.items()):
            if link.subject == subject and not link.purposes:
                self.end(track, Doubt.OPT_OUT)

    def subjects(self) -> dict[str, frozenset[Purpose]]:
        """Return for whom something is held, with the purposes it is held for."""
        return {link.subject: link.purposes for link in self._people.values() if link.purposes}

    def linked(self, track: int) -> Permit | None:
        """Return the live link of a track."""
        link = self._live.get(track)
        return None if link is None else link.permit()

    def look(self, track: int) -> Permit | None:
        """Return the live link of a track that nobody touches now: only there may a second look at pixels go."""
        link = self._live.get(track)
        return None if link is None or link.guard.sure_us != self._t_us else link.permit()

    def holder(self, subject: str) -> int | None:
        """Return the track a subject is linked to now."""
        return next((track for track, link in self._live.items() if link.subject == subject), None)

    def permit(self, person: int) -> Permit | None:
        """Return what is known of a person's consent, also shortly after their link ended."""
        link = self._people.get(person)
        return None if link is None else link.permit()
