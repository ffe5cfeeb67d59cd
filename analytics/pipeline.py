"""`watch`: one camera from frame to row. Wires the parts; the rules are theirs.

A frame becomes sightings (`vision`), sightings become visits (`dwell`), a visit becomes a row, a plain count or
nothing (`gate`), and the ledger writes a row only in the transaction that finds its grant alive. Everybody's counts are
summed in memory (`cells`) and leave it only as bins of enough people.

- A withdrawal is noticed before the next frame: the ledger's data version is read with each one.
- After a restart, whoever is in view of a pad stays uncounted; a file is watched from its beginning instead.
- Nothing is kept over a kill: what was summed since the last bin is lost, and shows as time not observed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from analytics.bins import Plan
from analytics.cells import Tally
from analytics.config import CameraTable, StoreFile
from analytics.dwell import DwellEngine
from analytics.expression import Expression
from analytics.gate import Answer, ConsentedRow, PadLinker, PadRequest, PadRules, Permit, admit
from analytics.hourly import Hour, Hourly
from analytics.live import Board, band
from analytics.look import SecondLook
from analytics.model import SECOND, Blind, Frame, Sighting, Visit
from analytics.payload import CellPayload
from analytics.reach import Reaches
from analytics.row import EXPRESSION, VISIT, ExpressionRow, VisitRow
from analytics.zones import Zone, ZoneKind
from consent.events import EventKind, Level, Purpose
from consent.ledger import Ledger, UnknownCodeError
from consent.padwords import PadOutcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.expression import Reader
    from analytics.look import Joints, Looker
    from analytics.vision import Seen

RESTART_S = 2.0  # whoever comes into sight this soon after a start may have been there, and may have objected
STAFF_AFTER_S = 2 * 3600.0  # nobody shops for longer
CHECK_S = 1.0  # how often terms and bins that may be over are looked at
PLAN_S = 3600.0  # how often the plan of bins is read
CELLS = "cells"  # kind of inbox row


class LeftOut(StrEnum):
    """Why a visit is not even counted."""

    STAFF = "staff"
    OBJECTION = "objection"  # it may be that of somebody who objected


class Eyes(Protocol):
    """What finds and follows people; `analytics.vision.Vision`, or the simulated shop."""

    def see(self, frame: Frame) -> Seen:
        """Return the people of one frame."""

    def reset(self) -> None:
        """Forget every track: nothing was seen for a while."""


class Wearers(Protocol):
    """Finds who wears a tag of the staff; `analytics.tags.Tags`."""

    def wearers(
        self,
        t_us: int,
        image: NDArray[np.uint8],
        sightings: Sequence[Sighting],
        people: Mapping[int, int],
        known: Container[int],
    ) -> list[int]:
        """Return person numbers."""


@dataclass(slots=True)
class Watched:
    """What one camera did, for the operator; numbers only.

    Attributes:
        frames: pictures looked at.
        visits: closed visits, of measured zones or not.
        rows: written to the inbox.
        expressions: of these, rows of expression.
        refused: rows whose grant was no longer alive when they were to be written.
        left_out: visits of objectors and staff, not even counted.
        links: grants and codes bound at the pad.
        cells: everybody's cells handed to the keeper.
        blind_s: seconds in which nothing was seen.
        looks: second looks at linked shoppers.
        looks_cpu_s: CPU time of those, seconds.
    """

    frames: int = 0
    visits: int = 0
    rows: int = 0
    expressions: int = 0
    refused: int = 0
    left_out: int = 0
    links: int = 0
    cells: int = 0
    blind_s: float = 0.0
    looks: int = 0
    looks_cpu_s: float = 0.0


@dataclass(slots=True)
class Staff:
    """Who works here: seen in a staff zone, with a tag, or longer in view than anybody shops. By number, in memory."""

    zones: tuple[Zone, ...]
    _known: set[int] = field(default_factory=set)
    _since_us: dict[int, int] = field(default_factory=dict)

    def __contains__(self, person: object) -> bool:
        return person in self._known

    def see(self, t_us: int, person: int, x: float, y: float) -> bool:
        """Take one sighting, foot point in pixels; say whether it shows somebody not known yet to work here."""
        long = t_us - self._since_us.setdefault(person, t_us) > STAFF_AFTER_S * SECOND
        if long or any(zone.contains(x, y) for zone in self.zones):
            known = person in self._known
            self._known.add(person)
            return not known
        return False

    def wears_tag(self, person: int) -> None:
        """Take somebody who wears a tag of the staff."""
        self._known.add(person)

    def forget(self, alive: set[int]) -> None:
        """Drop whoever is not alive."""
        self._since_us = {p: t for p, t in self._since_us.items() if p in alive}
        self._known &= alive


class CameraWatch:
    """One camera of a shop.

    Args:
        store: what `store.toml` says.
        camera: which of its cameras.
        vision: the camera's eyes.
        size: (width, height) of its picture, pixels.
        ledger: opened as `watch`.
        level: what may be recorded now; asked at every write.
        plan: how long everybody's bins are, as far as is fixed; asked again every hour.
        restart: whoever is in view of a pad at first stays uncounted; off for files, which have a beginning.
        latency_s: how late a picture may be; the pad waits for it.
        board: where what is seen this moment is put up; nobody is told where None.
        run: names this watching in the cells it hands over; the same name again releases nothing twice.
        holders: camera by linked subject, shared by the cameras of a shop; one code stands for one body.
        audit: gets each closed visit, and why it is not counted, if so, to hold it against a truth; it must keep none.
        net: makes what finds the joints of linked shoppers, where the level allows a second look; none where None.
        reader: loads what reads expressions, where the level allows that; nobody's is read where None.
        tags: makes what finds the tags of staff from their numbers; made only where `store.toml` names some.

    Attributes:
        watched: what was done so far.
    """

    def __init__(
        self,
        store: StoreFile,
        camera: CameraTable,
        vision: Eyes,
        size: tuple[int, int],
        ledger: Ledger,
        *,
        level: Callable[[], Level],
        plan: Callable[[], Plan] = Plan,
        restart: bool = True,
        latency_s: float = 0.0,
        board: Board | None = None,
        run: str = "",
        holders: dict[str, str] | None = None,
        audit: Callable[[Visit, LeftOut | None], object] | None = None,
        net: Callable[[], Joints] | None = None,
        reader: Callable[[], Reader] | None = None,
        tags: Callable[[Collection[int]], Wearers] | None = None,
    ) -> None:
        zones, ground = camera.zones(), camera.floor()
        rules = PadRules(ring_m=store.pad.ring_m, restart_s=RESTART_S if restart else 0.0, latency_s=latency_s)
        self._store, self._camera, self._vision, self._ledger, self._level = store, camera, vision, ledger, level
        self._engine = DwellEngine(zones, ground=ground, frame_size=size)
        self._pads = {
            zone.name: PadLinker(zone, ground=ground, rules=rules, frame_size=size)
            for zone in zones
            if zone.kind is ZoneKind.PAD
        }
        # of measured zones: no row for standing on a pad, or outside
        self._kinds = {zone: kind for (name, zone), kind in store.kinds().items() if name == camera.name}
        self._staff = Staff(tuple(zone for zone in zones if zone.kind is ZoneKind.STAFF))
        self._tags = tags(store.staff.tags) if store.staff.tags and tags is not None else None
        self._board = board
        self._zones = tuple(zone for zone in zones if zone.kind.in_shop)
        self._holders = {} if holders is None else holders
        self._tally = Tally(camera.name, zones, run=run or secrets.token_hex(8), tz=store.store.timezone)
        self._hourly = Hourly(camera.name, self._log_hour)
        self._plan, self._audit = plan, audit
        self._reaches = Reaches(zones, ground)
        lookers: list[Looker] = [self._reaches] if self._reaches else []
        self._expression: Expression | None = None
        if reader is not None:
            measured = [zone for zone in zones if zone.name in self._kinds]
            self._expression = Expression(measured, reader, allowed=lambda: level().allows(Purpose.EMOTION))
            self._expression.load()
            lookers.append(self._expression)
        self._look = SecondLook(lookers, net) if net is not None and lookers else None
        if self._look is not None:
            self._look.load(level())
        self._planned_us: int | None = None
        self._version: int | None = None
        self._checked_us: int | None = None
        self._last_us: int | None = None
        self.watched = Watched()

    def step(self, item: Frame | Blind) -> None:
        """Take the next frame or blind interval of the source."""
        if isinstance(item, Blind):
            self._go_blind(item)
            return
        t_us = item.t_us
        seen = self._vision.see(item)
        visits = self._engine.step(t_us, seen.sightings)
        people = {s.track: self._engine.person(s.track) for s in seen.sightings}
        for person in self._engine.came_out:
            self._tally.came_out(person)
        for sighting in seen.sightings:
            if self._staff.see(t_us, people[sighting.track], sighting.x, sighting.y):
                self._tally.forget(people[sighting.track])  # what they walked through before is no shopper's visit
                self._hourly.forget(people[sighting.track])
        if self._tags is not None:
            for person in self._tags.wearers(t_us, item.image, seen.sightings, people, self._staff):
                self._staff.wears_tag(person)
                self._tally.forget(person)
                self._hourly.forget(person)
        requests = self._news(t_us)
        for name, linker in self._pads.items():
            answers = linker.step(
                t_us,
                seen.sightings,
                requests.get(name, ()),
                others=seen.untracked,
                people=people,
                stitches=self._engine.stitches,
                taken_us=item.taken_us,
            )
            for track in linker.objected:
                with suppress(KeyError):  # stitched to a later track, which is among them too
                    self._tally.forget(self._engine.person(track))
                    self._hourly.forget(self._engine.person(track))
            for answer in answers:
                self._carry_out(t_us, answer)
        for track, person in people.items():
            if self._uncounted(track):
                self._tally.leave(person)  # or what is remembered of them would be told when they have gone
        self._close(t_us, visits)
        if self._look is not None:
            self._look_again(self._look, item, seen, people)
        self._see_hour(t_us, people)
        counts = self._tally.counts_at(t_us)
        if counts or self._board is not None:
            self._count(t_us, seen.sightings, people, tally=counts)
        if self._last_us is not None:
            self._tally.add_observed(self._last_us, t_us)
        self._last_us = t_us
        self.watched.frames += 1
        if self._checked_us is None or t_us - self._checked_us >= CHECK_S * SECOND:
            self._checked_us = t_us
            self._follow_plan(t_us)
            alive = self._engine.alive()
            self._hand_over(t_us, self._tally.close(t_us, alive))
            self._staff.forget(alive)

    def missed(self, start_us: int, end_us: int) -> None:
        """Say that the shop was open and this camera not watched, before its first frame: it is time not observed."""
        self._tally.add_blind(start_us, end_us)
        self.watched.blind_s += (end_us - start_us) / SECOND

    def finish(self) -> None:
        """End: the source is over, or the process is told to stop."""
        self._show_nothing()
        if self._last_us is None:
            return
        self._close(self._last_us, self._engine.flush())
        self._hourly.finish(self._last_us)
        self._hand_over(self._last_us, self._tally.finish(self._last_us))

    def _go_blind(self, blind: Blind) -> None:
        self._close(blind.end_us, self._engine.blind(blind.start_us, blind.end_us))
        self._vision.reset()
        for linker in self._pads.values():
            linker.blind(blind.end_us)
        self._show_nothing()
        self._tally.add_blind(blind.start_us, blind.end_us)
        self._last_us = blind.end_us
        self.watched.blind_s += (blind.end_us - blind.start_us) / SECOND

    def _count(self, t_us: int, sightings: Sequence[Sighting], people: Mapping[int, int], *, tally: bool) -> None:
        """Count who is in which zone this moment, without whoever is in no figure: for sums, and for the board.

        The board gets bands of zones, and the pads.
        """
        counted = [s for s in sightings if people[s.track] not in self._staff and not self._uncounted(s.track)]
        inside = {z.name: [people[s.track] for s in counted if z.contains(s.x, s.y)] for z in self._zones}
        if tally:
            self._tally.count(t_us, inside)
        if self._board is None:
            return
        self._board.saw(self._camera.name)
        self._board.show_zones(self._camera.name, {z.name: band(len(inside[z.name]), z.kind) for z in self._zones})
        for name, linker in self._pads.items():
            self._board.show_pad(name, linker.view())

    def _uncounted(self, track: int) -> bool:
        return any(linker.uncounted(track) for linker in self._pads.values())

    def _show_nothing(self) -> None:
        if self._board is None:
            return
        self._board.show_zones(self._camera.name, {})
        for name in self._pads:
            self._board.show_pad(name, None)

    # --- the pad ----------------------------------------------------------------------------------------------------

    def _news(self, t_us: int) -> Mapping[str, list[PadRequest]]:
        """Notice what others wrote into the ledger: new wishes at the pads, and consents that ended."""
        version = self._ledger.data_version()
        over = self._checked_us is None or t_us - self._checked_us >= CHECK_S * SECOND
        if version == self._version and not over:
            return {}
        self._version = version
        for linker in self._pads.values():
            for subject, purposes in linker.links.subjects().items():
                if self._holders.get(subject) != self._camera.name:
                    linker.links.withdraw(subject)  # their code was shown at another camera since
                    continue
                ended = purposes - self._ledger.permits(bytes.fromhex(subject), t_us, level=self._level())
                if ended:
                    linker.links.withdraw(subject, ended)
        return {name: list(self._wishes(name, t_us)) for name in self._pads}

    def _wishes(self, pad: str, t_us: int) -> Iterable[PadRequest]:
        for wish in self._ledger.pending_pad_requests(pad):
            purposes: frozenset[Purpose] = frozenset()
            if wish.tap_us < wish.screen_us:  # a clock was set back between the two
                self._ledger.answer_pad_request(wish.id, PadOutcome.TOO_OLD, now_us=t_us)
                continue
            if wish.subject is not None:
                # pictures reach us later than taps do, and those of a file may lie long before them
                purposes = self._ledger.permits(wish.subject, max(t_us, wish.opened_us), level=self._level())
                if not purposes:
                    self._ledger.answer_pad_request(wish.id, PadOutcome.NO_GRANT, now_us=t_us)
                    continue
            subject = None if wish.subject is None else wish.subject.hex()
            yield PadRequest(wish.id, wish.kind, subject, purposes, wish.screen_us, wish.tap_us)

    def _carry_out(self, t_us: int, answer: Answer) -> None:
        """Do what an answer of the linker means outside it, then let the kiosk know.

        Who asks to be let go takes their consent back. An objection says nothing about a consent: it may take in a
        linked shopper who only stood near, so their link ends and their grant does not.
        """
        if answer.outcome is PadOutcome.LINKED:
            self.watched.links += 1
            for linker in self._pads.values():
                for track in answer.tracks:
                    permit = linker.links.linked(track)
                    if permit is not None:
                        with suppress(KeyError):
                            self._hourly.linked(t_us, self._engine.person(track))
                        self._holders[permit.subject] = self._camera.name
        elif answer.outcome is PadOutcome.UNLINKED:
            for subject in answer.subjects:
                with suppress(UnknownCodeError):  # they withdrew otherwise a moment ago, and are erased
                    self._ledger.withdraw_subject(bytes.fromhex(subject), now_us=t_us)
        self._ledger.answer_pad_request(answer.id, answer.outcome, now_us=t_us)

    # --- the second look --------------------------------------------------------------------------------------------

    def _look_again(self, look: SecondLook, frame: Frame, seen: Seen, people: Mapping[int, int]) -> None:
        """Look at the pixels of linked shoppers, as far as a grant lives that allows it at this very picture."""
        level = self._level()
        permitted: dict[int, frozenset[Purpose]] = {}
        for track in look.wanted(frame.t_us, seen.sightings, people):
            if people[track] in self._staff or self._uncounted(track):
                continue
            permit = next((p for linker in self._pads.values() if (p := linker.links.look(track)) is not None), None)
            if permit is not None:
                alive = self._ledger.permits(bytes.fromhex(permit.subject), frame.t_us, level=level)
                permitted[track] = permit.purposes & alive
        before, read = look.looks, self._read()
        look.step(frame.t_us, frame.image, seen.sightings, people, permitted, seen.untracked)
        whom = {people[track] for track in permitted}
        self._hourly.looked(frame.t_us, whom, look.looks - before, self._read() - read)
        held = {person: self._permit(person) for person in self._engine.alive()}
        look.forget({person: permit.purposes for person, permit in held.items() if permit is not None})
        self.watched.looks, self.watched.looks_cpu_s = look.looks, look.cpu_s

    def _read(self) -> int:
        """Return how often an expression was read so far."""
        return 0 if self._expression is None else self._expression.looks

    # --- the hour in the log ----------------------------------------------------------------------------------------

    def _see_hour(self, t_us: int, people: Mapping[int, int]) -> None:
        """Take one picture into the hour, without whoever is in no figure."""
        level = self._level()
        counted = {
            person for track, person in people.items() if person not in self._staff and not self._uncounted(track)
        }
        self._hourly.see(t_us, counted, looks=level.allows(Purpose.DWELL), expression=level.allows(Purpose.EMOTION))

    def _log_hour(self, hour: Hour, t_us: int) -> None:
        """Write an hour that is over into the log; the keeper signs it."""
        self._ledger.append_event(EventKind.TALLIED, now_us=t_us, details=hour.details())

    # --- closed visits ----------------------------------------------------------------------------------------------

    def _close(self, t_us: int, visits: Iterable[Visit]) -> None:
        for visit in visits:
            self.watched.visits += 1
            permit = self._permit(visit.track)
            suppressed = any(linker.suppressed(visit) for linker in self._pads.values())
            staff = visit.track in self._staff
            result = admit(visit, permit, level=self._level(), now_us=t_us, suppressed=suppressed, staff=staff)
            if self._audit is not None:
                self._audit(visit, LeftOut.STAFF if staff else LeftOut.OBJECTION if suppressed else None)
            if result is None:
                self.watched.left_out += 1
                continue
            if isinstance(result, ConsentedRow) and visit.zone in self._kinds:
                self._write(t_us, result)
            self._tally.add_visit(visit)

    def _permit(self, person: int) -> Permit | None:
        return next((p for linker in self._pads.values() if (p := linker.links.permit(person)) is not None), None)

    def _write(self, t_us: int, row: ConsentedRow) -> None:
        """Write a row for the purposes that live at both its ends and now; the transaction checks them once more."""
        subject, level = bytes.fromhex(row.subject), self._level()
        alive = row.purposes
        for instant in (row.visit.enter_us, row.visit.leave_us, t_us):
            alive &= self._ledger.permits(subject, instant, level=level)
        visit, stays, handling = row.visit, alive - {Purpose.EMOTION}, None
        if Purpose.DWELL in stays:
            handling = self._reaches.take(visit.track, visit.zone, visit.enter_us, visit.leave_us)
        if stays or not alive:
            stay = VisitRow.of(self._camera.name, visit, self._kinds[visit.zone], handling)
            if stays and self._put(t_us, VISIT, subject, visit, stay.encode(), stays, level):
                self.watched.rows += 1
                self._hourly.wrote(t_us, visit.track)
            else:
                self.watched.refused += 1
        if Purpose.EMOTION in alive and self._expression is not None:
            looks = self._expression.take(visit.track, visit.enter_us, visit.leave_us)
            if looks is None:
                return
            shares = ExpressionRow.of(self._camera.name, visit, looks)
            if self._put(t_us, EXPRESSION, subject, visit, shares.encode(), frozenset({Purpose.EMOTION}), level):
                self.watched.rows += 1
                self._hourly.wrote(t_us, visit.track)
                self.watched.expressions += 1
            else:
                self.watched.refused += 1

    def _put(
        self,
        t_us: int,
        kind: str,
        subject: bytes,
        visit: Visit,
        payload: bytes,
        requires: frozenset[Purpose],
        level: Level,
    ) -> bool:
        return self._ledger.write_inbox(
            kind,
            subject,
            payload,
            now_us=t_us,
            visit_start_us=visit.enter_us,
            visit_end_us=visit.leave_us,
            requires=requires,
            level=level,
        )

    def _follow_plan(self, t_us: int) -> None:
        """Take up what was fixed for the weeks to come; a camera is watched for longer than one."""
        if self._planned_us is None or t_us - self._planned_us >= PLAN_S * SECOND:
            self._tally.plan, self._planned_us = self._plan(), t_us

    def _hand_over(self, t_us: int, cells: Iterable[CellPayload]) -> None:
        for cell in cells:
            self._ledger.write_inbox(CELLS, None, cell.to_bytes(), now_us=t_us, visit_end_us=t_us)
            self.watched.cells += 1
