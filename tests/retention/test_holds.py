"""Holds: what is held stays, processing stops all the same, and release erases."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import cli
from analytics.store import Held, Visits
from consent.audit import audit
from consent.events import Level, Purpose
from retention import certificate, holds, plan
from retention.holds import HoldError
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop
from tests.retention.test_keeper import MINUTE, erased, fast_path, run_once, shop, traces

__all__ = ["fast_path", "shop"]

TODAY = datetime.fromtimestamp(NOON / 1e6, UTC).date()


def place(shop: Shop, *classes: str, first: date = TODAY, last: date = TODAY) -> holds.Hold:
    return holds.place(shop.ledger, classes, first, last, officer="Ada Lovelace", reference="12/26", now_us=NOON)


def held_rows(shop: Shop) -> int:
    with Visits(shop.state.visits) as visits:
        return len(visits.held())


def test_a_withdrawal_under_a_hold_stops_processing_and_keeps_the_rows_until_the_release(shop: Shop) -> None:
    her, him = shop.yes(Purpose.DWELL, Purpose.REPEAT), shop.yes()
    for t in (NOON + SECOND, NOON + DAY_US):
        shop.stay(her.subject, t)
        shop.stay(him.subject, t)
    run_once(shop, NOON + DAY_US + MINUTE)
    number, tomorrow = shop.hash_of(her.subject, NOON), shop.hash_of(her.subject, NOON + DAY_US)
    hold = place(shop, "dwell")
    shop.ledger.withdraw(her.secret, now_us=NOON + DAY_US + 2 * MINUTE)
    now_us = NOON + DAY_US + 3 * MINUTE

    # the gate is shut at once, hold or none
    assert shop.ledger.permits(her.subject, now_us) == frozenset()
    assert not shop.stay(her.subject, now_us)

    # what is not on hold goes: the next day's row, and the class that nobody holds
    report = run_once(shop, now_us)
    assert [(e.subjects, e.rows) for e in report.erased] == [(0, 3)]
    assert traces(shop, tomorrow) == {}
    assert shop.rows(Purpose.REPEAT) == []
    # what is on hold stays, and no figure and no page can read it
    assert held_rows(shop) == 1
    assert number in {visitor for _, visitor, _ in set_apart(shop)}
    assert {v for v, _ in shop.rows()} == {shop.hash_of(him.subject, t) for t in (NOON, NOON + DAY_US)}
    assert shop.ledger.find(her.secret) == her.subject  # so that it can be found again
    assert run_once(shop, now_us + MINUTE).erased == ()  # and nothing is done twice
    told = plan.plan(shop.state.reread(), now_us + MINUTE)
    assert told["now"] == []
    assert [(one["class"], one["count"]) for one in told["held"]] == [("consent", 1), ("dwell", 1)]
    (path,) = shop.state.certificates.glob("*")
    whole = json.loads(path.read_bytes())["certificate"]
    assert [one["hold"] for one in whole["held"]] == [hold.entry]
    assert certificate.verify(path.read_bytes(), certificate.key_lines(shop.ledger)).held == (hold.entry,)

    # release erases at once: no sweep is asked for
    holds.release(shop.ledger, hold.entry, officer="Ada Lovelace", now_us=now_us + 2 * MINUTE)
    report = run_once(shop, now_us + 3 * MINUTE, sweep=False)
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1)]
    assert traces(shop, number) == {}
    assert held_rows(shop) == 0
    assert shop.ledger.subjects() == [him.subject]
    assert erased(shop.ledger) == [(0, 3), (1, 1)]
    audit(shop.ledger)


def set_apart(shop: Shop) -> set[tuple[Purpose, int, date]]:
    with Visits(shop.state.visits) as visits:
        return visits.held()


@pytest.mark.parametrize("ends", ["term", "level"])
def test_whatever_makes_a_row_due_it_waits_on_hold(shop: Shop, ends: str) -> None:
    her = shop.yes(days=300) if ends == "term" else shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    hold = place(shop, "dwell", "repeat")
    now_us = NOON + (31 * DAY_US if ends == "term" else 2 * MINUTE)
    if ends == "level":
        shop.ledger.set_level(Level.COUNTS, now_us=NOON + MINUTE)
    assert run_once(shop, now_us).erased == ()
    assert (shop.rows(), held_rows(shop)) == ([], 1)
    holds.release(shop.ledger, hold.entry, officer="b", now_us=now_us)
    assert [(e.subjects, e.rows) for e in run_once(shop, now_us + MINUTE, sweep=False).erased] == [(0, 1)]
    assert held_rows(shop) == 0


def test_a_held_consent_keeps_its_subject_and_no_row(shop: Shop) -> None:
    her, later = shop.yes(), shop.yes(now_us=NOON + 2 * DAY_US)
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    hold = place(shop, "consent")
    for one in (her, later):
        shop.ledger.withdraw(one.secret, now_us=NOON + 3 * DAY_US)
    report = run_once(shop, NOON + 3 * DAY_US + MINUTE)
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1)]  # the one who said yes on another day, and a row
    assert traces(shop, number) == {}
    assert shop.ledger.subjects() == [her.subject]
    holds.release(shop.ledger, hold.entry, officer="b", now_us=NOON + 4 * DAY_US)
    assert [e.subjects for e in run_once(shop, NOON + 4 * DAY_US, sweep=False).erased] == [1]


def test_what_is_live_is_not_touched_by_a_hold_or_its_release(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    rows = shop.rows()
    hold = place(shop, "dwell", "consent")
    assert run_once(shop, NOON + 2 * MINUTE).erased == ()
    assert (shop.rows(), held_rows(shop)) == (rows, 0)
    shop.stay(her.subject, NOON + 3 * MINUTE)  # and new rows come
    holds.release(shop.ledger, hold.entry, officer="b", now_us=NOON + 4 * MINUTE)
    assert run_once(shop, NOON + 5 * MINUTE).erased == ()
    assert len(shop.rows()) == 2


def test_two_holds_over_one_row_both_have_to_go(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    one, two = place(shop, "dwell"), place(shop, "dwell", first=date(2026, 1, 1), last=date(2026, 12, 31))
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    run_once(shop, NOON + 2 * MINUTE)
    holds.release(shop.ledger, one.entry, officer="b", now_us=NOON + 3 * MINUTE)
    assert run_once(shop, NOON + 3 * MINUTE).erased == ()
    assert [h.entry for h in holds.holds(shop.ledger)] == [two.entry]
    holds.release(shop.ledger, two.entry, officer="b", now_us=NOON + 4 * MINUTE)
    assert [e.rows for e in run_once(shop, NOON + 4 * MINUTE).erased] == [1]


def test_a_hold_is_an_entry_of_the_log_without_a_name(shop: Shop) -> None:
    hold = place(shop, "dwell", "dwell")
    record = shop.ledger.record(hold.entry)
    assert record is not None
    told = json.loads(record.payload)
    assert told["classes"] == ["dwell"]
    assert told["officer"] == hashlib.sha256(b"ada lovelace").hexdigest()
    assert b"12/26" not in record.payload
    assert b"Ada" not in record.payload


def test_what_cannot_be_held_or_released_is_refused_in_one_line(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HoldError, match="swap the days"):
        place(shop, "dwell", first=TODAY, last=date(2026, 1, 1))
    size = shop.ledger.size
    state = ["--state", str(shop.state.root)]
    days = ["--from", "2026-09-01", "--to", "2026-09-30"]
    for words in (
        ["place", "faces", *days, "--officer", "a", *state],
        ["place", "dwell", *days, "--officer", " ", *state],
        ["release", "3", "--officer", "a", *state],
    ):
        assert cli.main(["retention", "hold", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    for words in (["place", "dwell", "--from", "soon", "--to", "2026-09-30", "--officer", "a"], ["place", *days]):
        with pytest.raises(SystemExit) as refused:
            cli.main(["retention", "hold", *words])
        assert refused.value.code == 2
    assert shop.ledger.size == size
    capsys.readouterr()
    assert cli.main(["retention", "hold", "place", "dwell", "repeat", *days, "--officer", "Ada", *state]) == 0
    entry = capsys.readouterr().out.split()[1].rstrip(":")
    assert cli.main(["retention", "hold", "list", "--json", *state]) == 0
    assert [str(one["hold"]) for one in json.loads(capsys.readouterr().out)["holds"]] == [entry]
    assert cli.main(["retention", "hold", "release", entry, "--officer", "Bo", *state]) == 0
    assert cli.main(["retention", "hold", "release", entry, "--officer", "Bo", *state]) == 2


def test_the_visits_set_apart_what_is_due_and_held_only(tmp_path: Path) -> None:
    from tests.analytics.test_store import FOR_EVER, cover, new

    kept = [Held(Purpose.DWELL, date(2026, 1, 1), date(2026, 12, 31))]
    with Visits(tmp_path / "visits.duckdb") as visits:
        visits.load([new(1), new(2), new(3), new(1, purpose=Purpose.REPEAT)], 1)
        assert visits.due([cover(2)], FOR_EVER, held=kept) == 1  # of `repeat`
        assert visits.set_apart([cover(2)], FOR_EVER, kept, among={Purpose.DWELL: [1]}) == 1
        assert visits.set_apart([cover(2)], FOR_EVER, kept) == 1
        assert visits.set_apart([cover(2)], FOR_EVER, kept) == 0
        assert {v for _, v, _ in visits.held()} == {1, 3}
        assert visits.delete([cover(2)], FOR_EVER, 1, held=kept) == 1
        assert visits.erasing() == []  # pseudonym 1 stands in the file rightly
        assert visits.delete([cover(2)], FOR_EVER, 2, among={}) == 2  # nothing holds them any more
        assert sorted(visits.erasing()) == [1, 3]
        assert visits.deleted_by(2) == {"dwell": 2}
        assert [n.visitor for n in visits.read(Purpose.DWELL)] == [2]
