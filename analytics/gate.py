"""The gate: a closed zone visit becomes a row, a plain count, or nothing.

Rules:
- Doubt always means no row. No permit, no row. Staff and objectors are not even counted.
- A visit begins no earlier than its grant and ends no later than its person was surely the one who granted.
- A shopper who said stop keeps no open visit: it is only counted.
- The store's level caps every purpose.

It does not know whether a grant still lives; that is checked in the transaction that writes the row. Who is linked,
and who must not be counted, is found out in `analytics.linker`, whose nouns can be had from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from analytics.guard import Doubt, LinkRules
from analytics.linker import PadLinker
from analytics.links import Links, Permit
from analytics.model import EndReason, StartReason, Visit
from analytics.pad import Answer, PadRequest, PadRules
from consent.events import Level, Purpose
from consent.padwords import PadKind, PadOutcome

__all__ = [
    "Answer",
    "ConsentedRow",
    "Counted",
    "Doubt",
    "LinkRules",
    "Links",
    "PadKind",
    "PadLinker",
    "PadOutcome",
    "PadRequest",
    "PadRules",
    "Permit",
    "admit",
]


@dataclass(frozen=True, slots=True)
class Counted:
    """A visit that may be summed into everybody's figures and must then be forgotten.

    Attributes:
        visit: the whole visit.
    """

    visit: Visit


@dataclass(frozen=True, slots=True)
class ConsentedRow:
    """A visit that may be written, once its grant is found alive in the same transaction; one row a purpose.

    Attributes:
        subject: opaque hash of who granted.
        purposes: what it may be written for; never empty.
        visit: the visit, clipped to what the grant covers and to what is surely theirs.
        counted: the same visit for everybody's figures.
    """

    subject: str
    purposes: frozenset[Purpose]
    visit: Visit
    counted: Counted


def admit(
    visit: Visit,
    permit: Permit | None,
    *,
    level: Level,
    now_us: int,
    suppressed: bool = False,
    staff: bool = False,
) -> ConsentedRow | Counted | None:
    """Decide what becomes of one closed visit.

    Args:
        visit: as the dwell engine closed it.
        permit: what `Links.permit` knows of its person.
        level: of the store; it caps the purposes.
        now_us: instant of the decision, UTC microseconds.
        suppressed: what `PadLinker.suppressed` says of the visit.
        staff: the person works here.

    Returns:
        A row, a plain count, or None: not even counted.

    Raises:
        ValueError: the visit ends in the future.
    """
    if visit.leave_us > now_us:
        raise ValueError(f"a visit cannot end at {visit.leave_us}, after {now_us}; give media time as now_us")
    if suppressed or staff:
        return None
    counted = Counted(visit)
    if permit is None:
        return counted
    # the smile tablet keeps nothing but a voucher, so no visit is written for it
    purposes = frozenset(p for p in permit.purposes if level.allows(p)) - {Purpose.SMILE}
    enter_us, leave_us = max(visit.enter_us, permit.start_us), min(visit.leave_us, permit.until_us)
    if not purposes or leave_us <= enter_us:
        return counted
    clipped = replace(
        visit,
        enter_us=enter_us,
        leave_us=leave_us,
        start_reason=visit.start_reason if enter_us == visit.enter_us else StartReason.CONSENT,
        end_reason=visit.end_reason if leave_us == visit.leave_us else EndReason.LOST,
        stops=tuple(
            (max(a, enter_us), min(b, leave_us)) for a, b in visit.stops if min(b, leave_us) > max(a, enter_us)
        ),
    )
    return ConsentedRow(permit.subject, purposes, clipped, counted)
