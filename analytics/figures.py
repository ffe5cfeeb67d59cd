"""Which figures there are, what each counts, and how many people it needs.

How many are enough is written here and, once more, in `retention.release`; no argument, setting or test lowers it. A
figure that changes its meaning gets a new `RULE`, and cells of two rules are never added up. No clock, no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum, StrEnum
from typing import Final

from analytics.decision import Outcome
from analytics.lifetable import BINS, bin_index
from analytics.model import SECOND
from analytics.row import CLASSES, apportion
from analytics.zones import ZoneKind


class Audience(StrEnum):
    """Of whom a figure speaks."""

    EVERYBODY = "everybody"
    CONSENTING = "consenting"


class Figure(StrEnum):
    """What a cell holds. Each has bins and a least number of people of its own."""

    FOOTFALL = "footfall"
    VISITS = "zone_visits"
    DWELL = "dwell"
    DECISION = "decision_box"
    POSE = "decision_pose"
    EXPRESSION = "expression"
    TRANSITIONS = "transitions"
    WAIT = "queue_wait"
    OCCUPANCY = "occupancy"
    EXITS = "exits"
    STAY = "store_stay"
    SALES = "sales"  # of receipts, not of tracks
    FUNNEL = "kiosk_funnel"  # of questions at the kiosk
    PASSERS = "passers_by"


class Served(IntEnum):
    """How a wait in a queue ended."""

    YES = 0
    GAVE_UP = 1
    LOST = 2  # sight was lost: it took at least that long


FIGURES = {
    Audience.EVERYBODY: (
        *(Figure.FOOTFALL, Figure.VISITS, Figure.DWELL, Figure.DECISION, Figure.TRANSITIONS, Figure.WAIT),
        *(Figure.OCCUPANCY, Figure.EXITS, Figure.STAY, Figure.SALES, Figure.FUNNEL, Figure.PASSERS),
    ),
    Audience.CONSENTING: (Figure.VISITS, Figure.DWELL, Figure.DECISION, Figure.POSE, Figure.EXPRESSION),
}

K_EVERYBODY: Final = 5  # tracks
K_CONSENTING: Final = 10  # visitors
L_EXPRESSION: Final = 2  # expressions that a cell of them must hold; one alone would be true of everybody in it
PARTS = 10  # parts of a visit that a cell of expressions counts, so that a long visit weighs no more than a short one
RULE = "1"  # version of the rules that make the counts below
TIERS = ("pass_by", "glance", "engaged", "deliberating")
OUTCOMES = tuple(Outcome)  # of a deliberation that was looked at; the last one is censored
CROWDS = (1, 2, 3, 5, 10)  # people in a zone at once: from the first of these to below the next
LOOK_US = 15 * SECOND  # how often the people in a zone are counted for its occupancy
RECEIPTS = ("receipts", "items", "amount")  # the counts of a cell of sales; the amount in whole units of money
# what one question at the kiosk can come to; what stands after a "link_" is why the pad linked nobody
FUNNEL = (
    *("opened", "yes", "refused", "too_young", "abandoned", "objected", "linked", "link_nobody_on_pad"),
    *("link_several_people", "link_somebody_near", "link_moved_away", "link_lost_sight", "link_possible_switch"),
    *("link_blind", "link_too_old", "link_conflict", "link_no_grant", "link_no_answer", "link_no_pad"),
)
SLOTS = {
    Figure.FOOTFALL: 1,
    Figure.VISITS: len(TIERS),
    Figure.DWELL: 2 * BINS,
    Figure.DECISION: 2 * BINS,
    Figure.POSE: len(OUTCOMES) * BINS,
    Figure.EXPRESSION: len(CLASSES),
    Figure.TRANSITIONS: 1,
    Figure.WAIT: len(Served) * BINS,
    Figure.OCCUPANCY: len(CROWDS),
    Figure.EXITS: 1,
    Figure.STAY: 2 * BINS,
    Figure.SALES: len(RECEIPTS),
    Figure.FUNNEL: len(FUNNEL),
    Figure.PASSERS: 1,
}
# histograms, from which a median can be read
TIMES = frozenset({Figure.DWELL, Figure.DECISION, Figure.POSE, Figure.WAIT, Figure.STAY})
# a sum of time is swayed by one who stays long, so it needs as many as a median
_DOUBLED = TIMES | {Figure.OCCUPANCY}
UNSEEN = frozenset({Figure.SALES, Figure.FUNNEL})  # no camera brings them

# the zone of a cell of steps is `FROM > TO`; no zone's own name can hold these signs
STEP = " > "
LOST = "/lost"  # no other zone followed
OTHERS = "/others"  # several zones, too few people to each

_DOORS = frozenset({ZoneKind.ENTRANCE, ZoneKind.EXIT})
_KINDS: dict[Figure, frozenset[ZoneKind]] = {
    Figure.FOOTFALL: frozenset({ZoneKind.ENTRANCE}),
    Figure.DECISION: frozenset({ZoneKind.PRODUCT}),
    Figure.POSE: frozenset({ZoneKind.PRODUCT}),
    Figure.TRANSITIONS: frozenset(ZoneKind) - {ZoneKind.EXIT},
    Figure.WAIT: frozenset({ZoneKind.QUEUE}),
    Figure.EXITS: _DOORS,
    Figure.STAY: frozenset({ZoneKind.ENTRANCE}),
    **dict.fromkeys(UNSEEN, frozenset()),
}


def least(audience: Audience, figure: Figure) -> int:
    """Return how many people a cell needs; twice as many where a median can be read from it."""
    k = K_EVERYBODY if audience is Audience.EVERYBODY else K_CONSENTING
    return 2 * k if figure in _DOUBLED else k


def measured(figure: Figure, kind: ZoneKind) -> bool:
    """Say whether there is such a figure of zones of this kind; pads and staff zones have none."""
    if figure is Figure.PASSERS:
        return kind is ZoneKind.OUTSIDE
    return kind.in_shop and kind in _KINDS.get(figure, {kind})


def origin(zone: str) -> str:
    """Return the zone whose people a cell is about; that of a step is where it begins."""
    return zone.split(STEP, 1)[0]


def crowd(people: int) -> int:
    """Return where one of so many people at once counts among the counts of `occupancy`."""
    return sum(edge <= people for edge in CROWDS) - 1


def tier(dwell_us: int, stopped: bool) -> int:
    """Return the tier of a visit as a position in `TIERS`, by the thresholds of the metric definitions."""
    if dwell_us < 2 * SECOND or not stopped:
        return 0
    return 1 if dwell_us < 5 * SECOND else 2 if dwell_us < 8 * SECOND else 3


def slots(
    figure: Figure,
    dwell_us: int,
    *,
    stopped: bool,
    censored: bool,
    decisions: Iterable[tuple[int, bool]] = (),
    posed: Iterable[tuple[int, Outcome]] = (),
) -> tuple[int, ...]:
    """Return where a visit counts among the counts of a figure; nowhere, once, or once for each deliberation.

    What does not follow from one visit alone (steps, waits, ways out, stays in the shop, passers-by) comes from
    `analytics.walks`, `analytics.waits` and `analytics.doors`, occupancy from looks, sales from receipts.

    The counts of `zone_visits` are one a tier; those of `dwell` and `decision_box` are, bin after bin, the times seen
    to end and those lost from sight, of visits that are not a pass-by and of deliberations; those of `decision_pose`
    are, bin after bin, one for each of `OUTCOMES`.

    Args:
        figure: see `Figure`.
        dwell_us: length of the visit.
        stopped: whether there was a stop in it.
        censored: whether its end was not seen.
        decisions: (`decision_box` in microseconds, censored) of each deliberation in it.
        posed: (`decision_pose` in microseconds, outcome) of each deliberation that has one.
    """
    if figure is Figure.VISITS:
        return (tier(dwell_us, stopped),)
    if figure is Figure.DWELL:
        return (time_slot(dwell_us, censored),) if tier(dwell_us, stopped) else ()
    if figure is Figure.DECISION:
        return tuple(time_slot(length_us, lost) for length_us, lost in decisions)
    if figure is Figure.POSE:
        return tuple(len(OUTCOMES) * bin_index(length_us) + OUTCOMES.index(outcome) for length_us, outcome in posed)
    return (0,) if figure is Figure.FOOTFALL else ()


def expression_slots(shares: tuple[int, ...]) -> tuple[int, ...]:
    """Return where the ten parts of a visit count among the counts of `expression`, one an entry of `CLASSES`.

    In a closed cell the last count holds, besides `unknown`, expressions of too few visitors; see `OpenBin.counts`.
    """
    parts = apportion(shares, PARTS)
    return tuple(at for at, count in enumerate(parts) for _ in range(count))


def diverse(figure: Figure, counts: Sequence[int]) -> bool:
    """Say whether counts hold enough different values: of expression two, and none of fewer parts than visitors needed.

    A visitor has a part or more in each class they count in, so a count below that is of too few people. The last count
    is no expression.
    """
    if figure is not Figure.EXPRESSION:
        return True
    return sum(c > 0 for c in counts[:-1]) >= L_EXPRESSION and all(c == 0 or c >= K_CONSENTING for c in counts)


def time_slot(length_us: int, censored: bool) -> int:
    """Return where a length of time counts: bins of two counts, seen to end and lost from sight."""
    return 2 * bin_index(length_us) + censored


def wait_slot(length_us: int, served: Served) -> int:
    """Return where a wait counts: bins of three counts, as `Served` numbers them."""
    return len(Served) * bin_index(length_us) + served
