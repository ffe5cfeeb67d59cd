"""What `watch` wrote for the keeper becomes rows: loaded from the inbox into the visits.

Rules:
- A row is loaded only if its grant holds *now*, for its whole length; a shopper's key is opened for that and dropped.
- Rows are in the visits, on disk, before they leave the inbox; the inbox number makes loading twice impossible.
- A row that this version cannot read stays in the inbox, and those behind it wait: nothing that was acknowledged is
  thrown away.

Sums about everybody are not loaded; the keeper hands them on to the release.
"""

from __future__ import annotations

from analytics.row import EXPRESSION, VISIT, ExpressionRow, RowError, VisitRow
from analytics.state import State
from analytics.store import PURPOSES, NewExpression, NewVisit, Visits, day_of
from consent.events import DAY_US, Purpose
from consent.ledger import InboxRow, Ledger
from consent.subjects import period_of, visitor
from retention.erasure import live

BATCH = 1000  # inbox rows in one transaction


class Loading:
    """Loads the inbox of one shop.

    Args:
        ledger: opened with `Role.KEEPER`.
        visits: open.
    """

    def __init__(self, ledger: Ledger, visits: Visits) -> None:
        self._ledger, self._visits = ledger, visits

    def load(self, state: State, now_us: int) -> tuple[int, int, int | None]:
        """Load what the inbox holds; return rows written, inbox rows refused, and which one blocks.

        Args:
            state: the shop, as it stands now.
            now_us: UTC microseconds.
        """
        loaded = refused = 0
        ((newest,),) = self._ledger.select("SELECT coalesce(max(id), 0) FROM inbox")  # a stream of rows ends no pass
        while (batch := self._batch()) and batch[0].id <= newest:
            rows: list[NewVisit | NewExpression] = []
            through: list[int] = []
            keys: dict[bytes, bytes] = {}
            mark = self._visits.mark
            blocked = None
            for item in batch:
                if item.id > mark:
                    try:
                        made = self._admit(state, item, now_us, keys)
                    except RowError:
                        blocked = item.id
                        break
                    rows += made
                    refused += not made
                through.append(item.id)
            if through and through[-1] > mark:
                visits = [new for new in rows if isinstance(new, NewVisit)]
                expressions = [new for new in rows if isinstance(new, NewExpression)]
                self._visits.load(visits, through[-1], state.store.kinds(), expressions)
                loaded += len(rows)
            self._ledger.delete_inbox(through)
            if blocked is not None:
                return loaded, refused, blocked
        return loaded, refused, None

    def _batch(self) -> list[InboxRow]:
        """Return the oldest rows about people."""
        found: list[InboxRow] = []
        after = 0
        while len(found) < BATCH and (page := self._ledger.read_inbox(after, BATCH)):
            found += [item for item in page if item.subject is not None]
            after = page[-1].id
        return found[:BATCH]

    def _admit(
        self, state: State, item: InboxRow, now_us: int, keys: dict[bytes, bytes]
    ) -> list[NewVisit | NewExpression]:
        """Return the rows that an inbox row becomes: one for each purpose whose grant holds for all of it now."""
        if item.kind not in (VISIT, EXPRESSION) or item.subject is None:
            raise RowError(f"inbox row {item.id} is of a kind this version does not know")
        row = VisitRow.decode(item.payload) if item.kind == VISIT else ExpressionRow.decode(item.payload)
        wanted = PURPOSES if item.kind == VISIT else (Purpose.EMOTION,)
        level, terms = state.level(self._ledger), state.store.terms.days()
        found: list[NewVisit | NewExpression] = []
        for grant in live(self._ledger.standing(item.subject), now_us):
            purpose = grant.purpose
            covered = grant.given_us <= row.enter_us and row.leave_us <= grant.until_us
            over = row.leave_us <= now_us - terms[purpose] * DAY_US
            if purpose not in wanted or not level.allows(purpose) or not covered or over:
                continue
            if item.subject not in keys:
                keys[item.subject] = self._ledger.subject_key(item.subject)
            zone = state.store.timezone
            pseudonym = visitor(keys[item.subject], purpose, period_of(purpose, row.enter_us, zone), self._ledger.store)
            day = day_of(row.enter_us, zone)
            if isinstance(row, VisitRow):
                found.append(NewVisit(purpose, pseudonym, day, row))
            else:
                found.append(NewExpression(pseudonym, day, row))
        return found
