"""A shop on disk whose level is raised, and short words for what happens in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analytics.model import SECOND, EndReason, StartReason
from analytics.row import EXPRESSION, VISIT, ExpressionRow, VisitRow
from analytics.start import init
from analytics.state import State
from analytics.store import Visits
from consent.events import DAY_US, Level, Purpose
from consent.keys import Role
from consent.ledger import Grant, Ledger
from consent.subjects import period_of, visitor

NOON = 1_790_000_000_000_000  # UTC microseconds, a Monday
NOTICE = "ab" * 32

__all__ = ["DAY_US", "NOON", "NOTICE", "SECOND", "Shop"]


@dataclass
class Shop:
    """One shop: its state directory, and the ledger as somebody other than the keeper holds it."""

    state: State
    ledger: Ledger

    @classmethod
    def make(cls, root: Path, level: Level = Level.REPEAT) -> Shop:
        state = init(root, now_us=NOON - DAY_US, timezone="Europe/Berlin")
        toml = root / "store.toml"
        toml.write_text(toml.read_text().replace('level = "counts"', f'level = "{level.value}"'))
        state = State.read(root)
        ledger = state.open_ledger(Role.ADMIN)
        people = (b"a" * 32, b"b" * 32)
        if level is not Level.COUNTS:
            ledger.set_level(level, now_us=NOON - DAY_US, approvals=people, dpia_sha256=NOTICE)
        return cls(state, ledger)

    def allow_expression(self) -> None:
        """Raise the level to `emotion`."""
        self.set('level = "repeat"', 'level = "emotion"')
        self.ledger.set_level(Level.EMOTION, now_us=NOON - DAY_US, approvals=(b"a" * 32, b"b" * 32), dpia_sha256=NOTICE)

    def set(self, before: str, after: str) -> None:
        """Edit store.toml."""
        toml = self.state.root / "store.toml"
        text = toml.read_text()
        assert before in text
        toml.write_text(text.replace(before, after))

    def yes(self, *purposes: Purpose, now_us: int = NOON, days: int | None = None) -> Grant:
        wanted = purposes or (Purpose.DWELL,)
        terms = None if days is None else dict.fromkeys(wanted, days)
        return self.ledger.grant(wanted, now_us=now_us, notice_sha256=NOTICE, language="en", version="1", terms=terms)

    def stay(
        self,
        subject: bytes,
        enter_us: int,
        length_us: int = 10 * SECOND,
        zone: str = "floor",
        operation: bytes | None = None,
    ) -> bool:
        """Write a visit into the inbox, as `watch` does."""
        row = visit(enter_us, length_us, zone)
        return self.ledger.write_inbox(
            VISIT,
            subject,
            row.encode(),
            now_us=row.leave_us,
            visit_start_us=row.enter_us,
            visit_end_us=row.leave_us,
            requires={Purpose.DWELL},
            operation=operation,
        )

    def face(
        self,
        subject: bytes,
        enter_us: int,
        shares: tuple[int, ...] = (0, 0, 0, 400, 0, 0, 500, 100),
        length_us: int = 10 * SECOND,
        zone: str = "floor",
    ) -> bool:
        """Write the expression of a visit into the inbox, as `watch` does."""
        row = ExpressionRow("entrance", zone, enter_us, enter_us + length_us, 20, shares)
        return self.ledger.write_inbox(
            EXPRESSION,
            subject,
            row.encode(),
            now_us=row.leave_us,
            visit_start_us=row.enter_us,
            visit_end_us=row.leave_us,
            requires={Purpose.EMOTION},
        )

    def hash_of(self, subject: bytes, at_us: int, purpose: Purpose = Purpose.DWELL) -> int:
        """Return the pseudonym of a row, while the subject's key lives."""
        key = self.ledger.subject_key(subject)
        return visitor(key, purpose, period_of(purpose, at_us, self.state.store.timezone), self.ledger.store)

    def rows(self, purpose: Purpose = Purpose.DWELL) -> list[tuple[int, int]]:
        """Return (pseudonym, enter) of what is in the visits, while no keeper runs."""
        with Visits(self.state.visits) as visits:
            return [(new.visitor, new.row.enter_us) for new in visits.read(purpose)]


def visit(enter_us: int, length_us: int = 10 * SECOND, zone: str = "floor") -> VisitRow:
    return VisitRow("entrance", zone, enter_us, enter_us + length_us, StartReason.CROSSED, EndReason.CROSSED, 0)
