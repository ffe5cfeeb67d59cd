"""What would go, when and why; and how retention stands. It looks at a copy in memory and touches nothing.

The plan runs the rule itself (`retention.due`) on the copy, so it cannot say anything else than what the keeper does.
Numbers are of rows and subjects; nobody is named, not even by a pseudonym.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from analytics.config import ConfigError
from analytics.state import State
from analytics.store import Visits
from consent.events import PERMITTING
from consent.ledger import Ledger
from retention import policy
from retention.due import Due, Scope
from retention.erasure import REQUEST, unnamed
from retention.holds import Hold
from retention.snapshot import snapshot
from retention.status import PROBLEMS, last_sweep

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plan(state: State, now_us: int) -> dict[str, Any]:
    """Return what the next sweep would erase, what stays on hold, and what becomes due later, by day.

    Args:
        state: the shop.
        now_us: UTC microseconds.

    Raises:
        RetentionError: the files change too fast to be copied.
        ConsentError: the keys are not there, or not the keeper's.
    """
    with snapshot(state) as (ledger, visits):
        ledger.expire(now_us)  # in the copy
        due = Due(state, ledger, visits)
        scope = due.scope(now_us)
        rows = visits.due_by_day(scope.covers, scope.oldest_us, held=scope.held)
        visits.set_apart(scope.covers, scope.oldest_us, scope.held)
        return {
            "at": instant(now_us),
            "now": [*_subjects_due(due, ledger, scope), *_rows_due(rows), *_forgotten(state, ledger, now_us)],
            "held": [*_subjects_held(due, scope), *_rows_held(rows)],
            "ended": _ended(due, ledger, scope, now_us),
            "holds": [told_of(h) for h in scope.holds],
            "later": _later(state, ledger, visits, scope, now_us),
            "unnamed": unnamed(state, ledger, visits),
        }


def status(state: State, now_us: int) -> dict[str, Any]:
    """Return when everything was last looked at, what waits, how old the oldest of each class is, and what is next.

    Args:
        state: the shop.
        now_us: UTC microseconds.

    Raises:
        RetentionError: see `plan`; ConsentError too.
    """
    told = plan(state, now_us)
    last = last_sweep(state.root)
    with snapshot(state) as (ledger, visits):
        oldest = {name: instant(at_us) for name, at_us in visits.oldest().items()}
        for name, sql in (
            ("consent", "SELECT min(created_us) FROM subjects"),
            ("inbox", "SELECT min(written_us) FROM inbox"),
            ("requests", "SELECT min(opened_us) FROM requests"),
            ("pad_requests", "SELECT min(opened_us) FROM pad_requests"),
            ("operations", "SELECT min(at_us) FROM operations"),
        ):
            ((at_us,),) = ledger.select(sql)
            if at_us is not None:
                oldest[name] = instant(at_us)
        pending = sum(request.kind == REQUEST for request in ledger.pending_requests())
        waiting = ledger.select("SELECT count(*) FROM inbox WHERE subject IS NOT NULL")[0][0]
        problems = [] if last is None else [str(last[name]) for name in last if name in PROBLEMS and last[name]]
        try:
            state.check_head(ledger)
        except ConfigError as error:
            problems.append(str(error))
    overdue = last is None or now_us - last["swept_us"] > 2 * policy.SWEEP_S * 1_000_000
    return {
        "at": told["at"],
        "last_sweep": None if last is None else instant(last["swept_us"]),
        "overdue": overdue,
        "problems": problems,
        "clock": None if last is None or last["clock"] is None else last["clock"].complaint(),
        "backlog": {
            "erasures_unfinished": pending,
            "due_now": sum(one["count"] for one in told["now"]),
            "inbox_rows": waiting,
        },
        "ended_and_known": told["ended"],
        "oldest": oldest,
        "holds": told["holds"],
        "held": told["held"],
        "next_due": min((one["day"] for one in told["later"]), default=None),
        "unnamed": told["unnamed"],
    }


def text(told: Mapping[str, Any]) -> str:
    """Return a plan or a status for people."""
    lines = [f"as of {told['at']}"]
    if "backlog" in told:
        stale = "  (overdue: is the keeper running?)" if told["overdue"] else ""
        lines += [f"last sweep: {told['last_sweep'] or 'none yet'}{stale}"]
        lines += [f"backlog: {', '.join(f'{name} {n}' for name, n in told['backlog'].items())}"]
        known = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in told["ended_and_known"].items() if n)
        lines += [f"of those who ended a consent, still known: {known or 'nobody'}"]
        lines += ["oldest: " + (", ".join(f"{name} {at}" for name, at in told["oldest"].items()) or "nothing is held")]
        lines += [f"next due: {told['next_due'] or 'nothing'}"]
        lines += [f"problem: {problem}" for problem in told["problems"]]
        lines += [f"clock: {told['clock']}"] if told["clock"] else []
    else:
        lines += ["would go now:" if told["now"] else "nothing would go now"]
        lines += [f"  {_line(one)}" for one in told["now"]]
        lines += ["later:"] if told["later"] else []
        lines += [f"  {one['day']}  {_line(one)}" for one in told["later"]]
    lines += [hold_line(one) for one in told["holds"]]
    lines += [f"  stays: {_line(one)}" for one in told["held"]]
    lines += [f"no rule names {name}: nothing is loaded, released or logged as erased" for name in told["unnamed"]]
    return "\n".join(lines)


def hold_line(one: Mapping[str, Any]) -> str:
    """Return a hold for people."""
    return f"hold {one['hold']}: {', '.join(one['classes'])} from {one['first']} to {one['last']}"


def _line(one: Mapping[str, Any]) -> str:
    return f"{one['class']}: {one['count']} {one['what']}, {one['why']}"


# --- now --------------------------------------------------------------------------------------------------------------


def _subjects_due(due: Due, ledger: Ledger, scope: Scope) -> list[dict[str, Any]]:
    why: Counter[str] = Counter()
    for subject in due.subjects(scope):
        ends = [s for s in ledger.standing(subject) if s.ended_us is not None]
        why[max(ends, key=lambda s: s.leaf_index).state.value if ends else "no consent"] += 1
    return [_one("consent", "subjects", n, f"last consent ended: {reason}") for reason, n in sorted(why.items())]


def _rows_due(rows: list[Any]) -> list[dict[str, Any]]:
    found: Counter[tuple[str, str]] = Counter()
    for purpose, _, kept, over, n in rows:
        if not kept:
            found[purpose.value, "term over" if over else "no live consent covers them"] += n
    return [_one(name, "rows", n, why) for (name, why), n in sorted(found.items())]


def _rows_held(rows: list[Any]) -> list[dict[str, Any]]:
    found: Counter[tuple[str, date]] = Counter()
    for purpose, day, kept, _, n in rows:
        if kept:
            found[purpose.value, day] += n
    return [
        {**_one(name, "rows", n, f"due, on hold (day {day})"), "day": day.isoformat()}
        for (name, day), n in sorted(found.items())
    ]


def _subjects_held(due: Due, scope: Scope) -> list[dict[str, Any]]:
    kept = len(due.kept(scope))
    return [_one("consent", "subjects", kept, "due, wait for a hold")] if kept else []


def _ended(due: Due, ledger: Ledger, scope: Scope, now_us: int) -> dict[str, int]:
    """Return how many of those who ended a consent are known still, by the reason."""
    ended = ledger.ended_since(0)
    reasons = {
        "another_yes_in_force": ledger.live_subjects(now_us),
        "on_hold": due.kept(scope),
        "due_now": due.subjects(scope),
    }
    return {name: len(ended.intersection(subjects)) for name, subjects in reasons.items()}


def _forgotten(state: State, ledger: Ledger, now_us: int) -> Iterator[dict[str, Any]]:
    sweep = policy.sweep(state.store.terms.days())
    for table, age_us in sweep.forget.items():
        if n := ledger.forget({table: now_us - age_us}):  # in the copy
            yield _one(table, "rows", n, "past their term")
    for folder, age_us in sweep.files.items():
        files = [path for path in (state.root / folder).glob("*") if path.is_file()]
        if n := sum(path.stat().st_mtime_ns // 1000 < now_us - age_us for path in files):
            yield _one(folder, "files", n, "past their term")


# --- later ------------------------------------------------------------------------------------------------------------


def _later(state: State, ledger: Ledger, visits: Visits, scope: Scope, now_us: int) -> list[dict[str, Any]]:
    found: Counter[tuple[str, str, str, str]] = Counter()
    words = {True: "term over", False: "consent ends"}
    for purpose, day, own, n in visits.due_later(scope.covers, state.store.terms.days()):
        found[day.isoformat(), purpose.value, "rows", words[own]] += n
    ends: dict[bytes, int] = {}
    for subject, until_us, given in ledger.select("SELECT subject, until_us, state FROM grants"):
        if given in {s.value for s in PERMITTING} and until_us > now_us:
            ends[subject] = max(ends.get(subject, 0), until_us)
    for until_us in ends.values():
        found[instant(until_us)[:10], "consent", "subjects", "last consent ends"] += 1
    return [{**_one(name, what, n, why), "day": day} for (day, name, what, why), n in sorted(found.items())]


def _one(name: str, what: str, count: int, why: str) -> dict[str, Any]:
    return {"class": name, "what": what, "count": count, "why": why}


def told_of(hold: Hold) -> dict[str, Any]:
    """Return a hold as plain data."""
    return {
        "hold": hold.entry,
        "classes": list(hold.classes),
        "first": hold.first.isoformat(),
        "last": hold.last.isoformat(),
        "placed": instant(hold.placed_us),
    }


def instant(at_us: int) -> str:
    """Return an instant (UTC microseconds) as RFC 3339, to the second."""
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
