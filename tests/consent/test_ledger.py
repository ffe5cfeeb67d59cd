"""What the ledger promises, each promise tried against."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
from pathlib import Path

import pytest

from consent import merkle
from consent.audit import audit
from consent.events import DAY_US, DEFAULT_TERM, Channel, ConsentError, EventKind, Leaf, Level, Move, Purpose, State
from consent.keys import KeyRing, Role
from consent.ledger import Entry, Ledger, LedgerError, PadKind, PadOutcome, RequestStatus, UnknownCodeError
from consent.subjects import new_secret, show_secret
from tests.apart import read_apart
from tests.consent.shop import NOON, NOTICE, SECOND, say_yes, write

DWELL, EMOTION, REPEAT, SMILE = Purpose
NOBODY = bytes(32)


def leaf_at(ledger: Ledger, index: int) -> Leaf:
    ((_, data),) = ledger.leaves(index, index + 1)
    return Leaf.decode(data)


def files_of(ledger: Ledger) -> bytes:
    """Return the bytes of the database and of everything SQLite keeps beside it."""
    return b"".join(read_apart(p) for p in sorted(ledger.path.parent.iterdir()))


# the default, the yes, the term


def test_nobody_has_permitted_anything_by_default(ledger: Ledger) -> None:
    assert ledger.permits(NOBODY, NOON) == frozenset()
    assert ledger.live_subjects(NOON) == {}
    assert not write(ledger, NOBODY, at_us=NOON)
    ledger.refuse(now_us=NOON, notice_sha256=NOTICE, language="en", version="1")
    ledger.object(now_us=NOON)
    assert ledger.subjects() == []
    assert ledger.read_inbox() == []


def test_a_grant_permits_what_was_ticked_from_the_tap_to_the_end_of_its_term(ledger: Ledger) -> None:
    given = say_yes(ledger, DWELL, REPEAT)
    assert given.until == {p: NOON + DEFAULT_TERM[p] * DAY_US for p in (DWELL, REPEAT)}
    assert ledger.permits(given.subject, NOON - 1) == frozenset()
    assert ledger.permits(given.subject, NOON) == {DWELL, REPEAT}
    assert ledger.permits(given.subject, given.until[DWELL] - 1) == {DWELL, REPEAT}
    assert ledger.permits(given.subject, given.until[DWELL]) == {REPEAT}
    assert ledger.permits(given.subject, given.until[REPEAT]) == frozenset()
    assert ledger.live_subjects(NOON) == {given.subject: {DWELL, REPEAT}}


def test_the_record_fixes_what_was_shown(ledger: Ledger) -> None:
    given = ledger.grant(
        [DWELL],
        now_us=NOON,
        notice_sha256=NOTICE,
        language="zh-Hans",
        version="2026.1",
        terms={DWELL: 3},
        controller_sha256="cd" * 32,
        jurisdiction="DE",
    )
    (record,) = ledger.records_of(given.subject)
    assert json.loads(record.payload) == {
        "at_us": NOON,
        "channel": "kiosk",
        "controller": "cd" * 32,
        "grant": given.grant_id.hex(),
        "jurisdiction": "DE",
        "language": "zh-Hans",
        "until_us": {"dwell": NOON + 3 * DAY_US},
        "version": "2026.1",
    }
    leaf = leaf_at(ledger, given.leaf_index)
    assert (leaf.kind, leaf.purposes, leaf.digest) == (EventKind.GRANTED, frozenset({DWELL}), bytes.fromhex(NOTICE))


def test_the_level_caps_every_grant(ledger: Ledger) -> None:
    given = say_yes(ledger, *Purpose)
    assert ledger.permits(given.subject, NOON, level=Level.COUNTS) == frozenset()
    assert ledger.permits(given.subject, NOON, level=Level.REPEAT) == {DWELL, REPEAT}
    assert ledger.live_subjects(NOON, level=Level.COUNTS) == {}
    capped = {"now_us": NOON, "visit_end_us": NOON, "level": Level.DWELL}
    assert not ledger.write_inbox("expression", given.subject, b"r", requires=[EMOTION], **capped)  # type: ignore[arg-type]
    assert ledger.write_inbox("dwell", given.subject, b"r", requires=[DWELL], **capped)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="does not allow emotion"):
        ledger.grant(
            [DWELL, EMOTION], now_us=NOON, notice_sha256=NOTICE, language="en", version="1", level=Level.REPEAT
        )


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"purposes": []}, "one purpose or more"),
        ({"channel": Channel.PHONE}, "at the kiosk"),
        ({"stated_age": 13, "minimum_age": 16}, "can only refuse"),
        ({"terms": {DWELL: 0}}, "one day or more"),
        ({"notice_sha256": "Dear customer"}, "SHA-256"),
        ({"notice_sha256": b"x" * 31}, "SHA-256"),
        ({"controller_sha256": "Miller & Sons"}, "SHA-256"),
        ({"language": "British English"}, "tokens"),
        ({"version": "the one of Tuesday"}, "tokens"),
        ({"jurisdiction": "somewhere in Bavaria"}, "tokens"),
        ({"operation": b"x" * 16}, "new_secret"),
        ({"operation": b"short", "secret": "0" * 20}, "16 random bytes"),
        ({"secret": "my birthday"}, "20 letters"),
    ],
)
def test_a_grant_that_must_not_be_changes_nothing(ledger: Ledger, wrong: dict[str, object], match: str) -> None:
    right: dict[str, object] = {
        "purposes": [DWELL],
        "now_us": NOON,
        "notice_sha256": NOTICE,
        "language": "en",
        "version": "1",
    }
    with pytest.raises(ConsentError, match=match):
        ledger.grant(**(right | wrong))  # type: ignore[arg-type]
    assert (ledger.size, ledger.subjects()) == (0, [])


def test_an_age_at_the_threshold_may_say_yes_and_is_not_kept(ledger: Ledger) -> None:
    given = ledger.grant(
        [DWELL], now_us=NOON, notice_sha256=NOTICE, language="en", version="1", stated_age=16, minimum_age=16
    )
    assert b"age" not in ledger.records_of(given.subject)[0].payload.replace(b"language", b"")


def test_a_yes_on_top_of_a_yes_is_an_illegal_move_that_changes_nothing(ledger: Ledger) -> None:
    given = say_yes(ledger, DWELL)
    before = ledger.standing(given.subject)
    with pytest.raises(ConsentError, match="cannot request"):
        say_yes(ledger, DWELL, REPEAT, secret=given.secret)
    assert (ledger.standing(given.subject), ledger.size) == (before, 1)


def test_a_returning_shopper_adds_a_purpose_under_the_same_code(ledger: Ledger) -> None:
    given = say_yes(ledger, DWELL)
    key = ledger.subject_key(given.subject)
    more = say_yes(ledger, REPEAT, secret=show_secret(given.secret).lower(), now_us=NOON + DAY_US)
    assert (more.subject, more.secret) == (given.subject, given.secret)
    assert ledger.subject_key(given.subject) == key
    assert ledger.permits(given.subject, NOON + DAY_US) == {DWELL, REPEAT}
    assert audit(ledger).consents == 2


# taking it back


@pytest.mark.parametrize("clock", [NOON - DAY_US, NOON - 1, NOON, NOON + 1, NOON + DAY_US])
def test_a_withdrawal_shuts_the_gate_for_every_clock(ledger: Ledger, clock: int) -> None:
    given = say_yes(ledger, DWELL, REPEAT)
    assert write(ledger, given.subject, at_us=NOON + 5)
    ended = ledger.withdraw(show_secret(given.secret), now_us=clock)
    assert ended.purposes == {DWELL, REPEAT}
    for at_us in (NOON, NOON + 5, NOON + DAY_US):
        assert ledger.permits(given.subject, at_us) == frozenset()
        assert not write(ledger, given.subject, at_us=at_us)
    assert [s.state for s in ledger.standing(given.subject)] == [State.WITHDRAWN] * 2
    assert len(ledger.read_inbox()) == 1


def test_one_purpose_ends_alone(ledger: Ledger) -> None:
    given = say_yes(ledger, DWELL, REPEAT, EMOTION)
    ended = ledger.withdraw(given.secret, now_us=NOON + 1, purposes=[EMOTION, SMILE])
    assert ended.purposes == {EMOTION}
    assert ledger.permits(given.subject, NOON) == {DWELL, REPEAT}
    assert not write(ledger, given.subject, at_us=NOON + 2, purpose=EMOTION)
    assert write(ledger, given.subject, at_us=NOON + 2, purpose=REPEAT)


def test_stopping_twice_is_not_an_error_and_leaves_one_leaf(ledger: Ledger) -> None:
    given = say_yes(ledger)
    assert ledger.withdraw(given.secret, now_us=NOON + 1).leaf_index == 1
    again = ledger.withdraw(given.secret, now_us=NOON + 2)
    assert (again.purposes, again.leaf_index, ledger.size) == (frozenset(), None, 2)


def test_on_the_pad_no_code_is_needed(ledger: Ledger, keys: KeyRing) -> None:
    given = say_yes(ledger)
    with Ledger(ledger.path, KeyRing.open(keys.directory, Role.WATCH), store="main-street") as watch:
        assert watch.withdraw_subject(given.subject, now_us=NOON + 1).purposes == {DWELL}
        assert watch.subject_key(given.subject) == ledger.subject_key(given.subject)
        with pytest.raises(ConsentError, match="pepper"):
            watch.withdraw(given.secret, now_us=NOON + 1)
    assert ledger.permits(given.subject, NOON) == frozenset()


def test_a_wrong_code_finds_nobody(ledger: Ledger) -> None:
    say_yes(ledger)
    for ask in (
        lambda: ledger.withdraw(new_secret(), now_us=NOON),
        lambda: ledger.find(new_secret()),
        lambda: ledger.withdraw_subject(NOBODY, now_us=NOON),
    ):
        with pytest.raises(UnknownCodeError):
            ask()
    assert ledger.size == 1


def test_after_a_withdrawal_a_new_yes_covers_only_what_comes_later(ledger: Ledger) -> None:
    given = say_yes(ledger)
    ledger.withdraw(given.secret, now_us=NOON + 10)
    say_yes(ledger, secret=given.secret, now_us=NOON + 20)
    assert ledger.permits(given.subject, NOON + 5) == frozenset()
    assert ledger.permits(given.subject, NOON + 20) == {DWELL}
    audit(ledger)


@pytest.mark.parametrize(
    ("how", "state"),
    [
        (Move.REVOKE, State.REVOKED),
        (Move.INVALIDATE, State.INVALIDATED),
        (Move.OBJECT, State.OBJECTED),
        (Move.WITHDRAW, State.WITHDRAWN),
    ],
)
def test_every_end_shuts_the_gate_and_is_logged(ledger: Ledger, how: Move, state: State) -> None:
    given = say_yes(ledger)
    ended = ledger.end(given.subject, how, now_us=NOON + 1)
    assert ended.leaf_index == 1
    assert [s.state for s in ledger.standing(given.subject)] == [state]
    assert ledger.permits(given.subject, NOON) == frozenset()
    audit(ledger)


@pytest.mark.parametrize("how", [Move.GIVE, Move.RENEW, Move.EXPIRE, Move.REQUEST])
def test_what_is_no_end_does_not_end(ledger: Ledger, how: Move) -> None:
    given = say_yes(ledger)
    with pytest.raises(LedgerError, match="does not end"):
        ledger.end(given.subject, how, now_us=NOON)
    assert ledger.permits(given.subject, NOON) == {DWELL}


def test_terms_end_by_themselves_and_the_sweep_writes_it_down(ledger: Ledger) -> None:
    short, long = say_yes(ledger, EMOTION, DWELL), say_yes(ledger, REPEAT)
    late = short.until[EMOTION]
    assert not write(ledger, short.subject, at_us=late, purpose=EMOTION)
    (ended,) = ledger.expire(late)
    assert (ended.subject, ended.purposes) == (short.subject, frozenset({EMOTION}))
    assert leaf_at(ledger, 2).kind is EventKind.EXPIRED
    assert ledger.expire(late) == []
    assert ledger.permits(short.subject, NOON) == {DWELL}  # a clock set back does not bring it to life
    assert ledger.permits(long.subject, late) == {REPEAT}
    audit(ledger)


def test_a_renewal_starts_the_term_anew_and_keeps_the_past(ledger: Ledger) -> None:
    given = say_yes(ledger, DWELL, EMOTION)
    later = NOON + 3 * DAY_US
    renewed = ledger.renew(given.secret, now_us=later, notice_sha256=NOTICE, language="en", version="2")
    assert renewed.until == {p: later + DEFAULT_TERM[p] * DAY_US for p in (DWELL, EMOTION)}
    assert ledger.permits(given.subject, NOON) == {DWELL, EMOTION}
    assert {s.state for s in ledger.standing(given.subject)} == {State.RENEWED}
    again = ledger.renew(given.secret, now_us=later, notice_sha256=NOTICE, language="en", version="2", purposes=[DWELL])
    assert set(again.until) == {DWELL}
    audit(ledger)


def test_what_is_not_live_cannot_be_renewed(ledger: Ledger) -> None:
    given = say_yes(ledger, EMOTION)
    notice = {"notice_sha256": NOTICE, "language": "en", "version": "2"}
    with pytest.raises(LedgerError, match="is over"):
        ledger.renew(given.secret, now_us=given.until[EMOTION], purposes=[EMOTION], **notice)  # type: ignore[arg-type]
    with pytest.raises(ConsentError, match="cannot renew"):
        ledger.renew(given.secret, now_us=NOON, purposes=[DWELL], **notice)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="at the kiosk"):
        ledger.renew(given.secret, now_us=NOON, channel=Channel.PHONE, **notice)  # type: ignore[arg-type]
    ledger.withdraw(given.secret, now_us=NOON)
    with pytest.raises(ConsentError, match="cannot renew"):
        ledger.renew(given.secret, now_us=NOON, purposes=[EMOTION], **notice)  # type: ignore[arg-type]
    assert ledger.size == 2


# rows


def test_a_visit_that_began_before_its_grant_is_not_written(ledger: Ledger) -> None:
    given = say_yes(ledger)
    times = {"now_us": NOON + 9 * SECOND, "visit_end_us": NOON + 8 * SECOND, "requires": [DWELL]}
    assert not ledger.write_inbox("dwell", given.subject, b"r", visit_start_us=NOON - 1, **times)  # type: ignore[arg-type]
    assert ledger.write_inbox("dwell", given.subject, b"r", visit_start_us=NOON, **times)  # type: ignore[arg-type]
    assert [(r.kind, r.subject, r.payload) for r in ledger.read_inbox()] == [("dwell", given.subject, b"r")]


def test_every_required_purpose_must_be_live(ledger: Ledger) -> None:
    given = say_yes(ledger, DWELL)
    times = {"now_us": NOON, "visit_end_us": NOON}
    assert not ledger.write_inbox("repeat", given.subject, b"r", requires=[DWELL, REPEAT], **times)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="names the purposes"):
        ledger.write_inbox("dwell", given.subject, b"r", **times)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="about nobody"):
        ledger.write_inbox("cells", given.subject, b"r", requires=[DWELL], **times)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="needs a subject"):
        ledger.write_inbox("dwell", None, b"r", requires=[DWELL], **times)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="one lower-case word"):
        ledger.write_inbox("Mrs Miller", given.subject, b"r", requires=[DWELL], **times)  # type: ignore[arg-type]
    assert ledger.read_inbox() == []


def test_cells_are_about_nobody_and_need_no_grant(ledger: Ledger) -> None:
    assert ledger.write_inbox("cells", None, b"bins", now_us=NOON, visit_end_us=NOON)
    assert ledger.read_inbox()[0].subject is None


def test_inbox_numbers_are_never_used_again(ledger: Ledger) -> None:
    for i in range(5):
        ledger.write_inbox("cells", None, bytes([i]), now_us=NOON, visit_end_us=NOON)
    assert [r.id for r in ledger.read_inbox(after_id=2, limit=2)] == [3, 4]
    assert ledger.delete_inbox([5], up_to=3) == 4
    assert [r.id for r in ledger.read_inbox()] == [4]
    ledger.delete_inbox(up_to=99)
    ledger.write_inbox("cells", None, b"next", now_us=NOON, visit_end_us=NOON)
    assert [r.id for r in ledger.read_inbox()] == [6]


def test_any_change_moves_the_data_version_and_reading_does_not(ledger: Ledger, keys: KeyRing) -> None:
    given = say_yes(ledger)
    with Ledger(ledger.path, keys, store="main-street") as watch:
        before = watch.data_version()
        watch.permits(given.subject, NOON)
        ledger.permits(given.subject, NOON)
        assert watch.data_version() == before == watch.data_version()
        ledger.withdraw(given.secret, now_us=NOON)
        after = watch.data_version()
        assert after != before
        say_yes(watch)  # its own changes, too
        assert watch.data_version() != after


# messages


def test_the_pad_is_asked_and_answers_once_and_forgets_whom(ledger: Ledger, keys: KeyRing) -> None:
    given = say_yes(ledger)
    asked = ledger.open_pad_request("door", "grant", given.subject, now_us=NOON, screen_us=NOON - 9, tap_us=NOON - 1)
    other = ledger.open_pad_request("till", PadKind.OBJECT, now_us=NOON)
    with Ledger(ledger.path, keys, store="main-street") as watch:
        (request,) = watch.pending_pad_requests("door")
        assert (request.id, request.subject, request.screen_us, request.tap_us) == (
            asked,
            given.subject,
            NOON - 9,
            NOON - 1,
        )
        assert [r.id for r in watch.pending_pad_requests()] == [asked, other]
        assert watch.answer_pad_request(asked, "linked", now_us=NOON + 1)
        assert not watch.answer_pad_request(asked, "nobody_on_pad", now_us=NOON + 2)
    read = ledger.read_pad_request(asked)
    assert read is not None
    assert (read.outcome, read.answered_us, read.subject) == (PadOutcome.LINKED, NOON + 1, None)
    assert [r.id for r in ledger.pending_pad_requests()] == [other]
    assert not ledger.answer_pad_request(99, "nobody_on_pad", now_us=NOON)


def test_a_pad_request_names_a_subject_exactly_where_it_needs_one(ledger: Ledger) -> None:
    given = say_yes(ledger)
    for kind in ("grant", "link"):
        with pytest.raises(LedgerError):
            ledger.open_pad_request("door", kind, now_us=NOON)
    for kind in ("object", "withdraw"):
        with pytest.raises(LedgerError):
            ledger.open_pad_request("door", kind, given.subject, now_us=NOON)
    with pytest.raises(ValueError, match="dance"):
        ledger.open_pad_request("door", "dance", now_us=NOON)
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        ledger.open_pad_request("door", "link", NOBODY, now_us=NOON)


def test_a_request_to_the_keeper_is_settled_once(ledger: Ledger) -> None:
    number = ledger.open_request("erase_window", b"\x00opaque", now_us=NOON)
    (pending,) = ledger.pending_requests()
    assert (pending.kind, pending.args, pending.status) == ("erase_window", b"\x00opaque", RequestStatus.PENDING)
    assert ledger.settle_request(number, "running", now_us=NOON + 1)
    assert [r.status for r in ledger.pending_requests()] == [RequestStatus.RUNNING]
    assert ledger.settle_request(number, "done", now_us=NOON + 2, result=b"42")
    assert not ledger.settle_request(number, "failed", now_us=NOON + 3)
    read = ledger.read_request(number)
    assert read is not None
    assert (read.status, read.settled_us, read.result) == (RequestStatus.DONE, NOON + 2, b"42")
    assert ledger.pending_requests() == []
    with pytest.raises(LedgerError, match="does not go back"):
        ledger.settle_request(number, "pending", now_us=NOON)


# the log


def test_only_growth_is_possible_even_by_hand(ledger: Ledger) -> None:
    say_yes(ledger)
    ledger.set_level(Level.DWELL, now_us=NOON, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=NOTICE)
    ledger.append_event(EventKind.RELEASED, now_us=NOON)
    ledger.sign_checkpoint()
    with sqlite3.connect(ledger.path) as db:  # a connection that knows nothing of our pragmas
        for attack in (
            "UPDATE leaves SET data = x'00' WHERE idx = 0",
            "DELETE FROM leaves",
            "REPLACE INTO leaves SELECT * FROM leaves WHERE idx = 0",
            "INSERT INTO leaves SELECT 7, hash, data FROM leaves WHERE idx = 0",
            "UPDATE nodes SET hash = zeroblob(32)",
            "DELETE FROM nodes",
            "REPLACE INTO nodes SELECT level, idx, zeroblob(32) FROM nodes",
            "UPDATE checkpoints SET note = ''",
            "DELETE FROM checkpoints",
            "REPLACE INTO checkpoints SELECT id, size, '' FROM checkpoints",
            "REPLACE INTO checkpoints (size, note) SELECT size, '' FROM checkpoints",
            "INSERT INTO checkpoints (size, note) VALUES (1, '')",
            "UPDATE levels SET level = 'emotion'",
            "DELETE FROM levels",
            "REPLACE INTO levels SELECT id, 'emotion', leaf FROM levels",
            "REPLACE INTO levels (level, leaf) SELECT 'emotion', leaf FROM levels",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                db.execute(attack)
    audit(ledger)


def test_inclusion_and_consistency_hold_from_every_size(ledger: Ledger) -> None:
    roots = [ledger.root()]
    for i in range(9):
        say_yes(ledger, now_us=NOON + i)
        roots.append(ledger.root())
    for size in range(1, 10):
        assert ledger.root(size) == roots[size]
        for old in range(1, size + 1):
            merkle.verify_consistency(old, size, roots[old], roots[size], ledger.consistency_proof(old, size))
        for index, data in ledger.leaves(0, size):
            merkle.verify_inclusion(
                index, size, merkle.leaf_hash(data), ledger.inclusion_proof(index, size), roots[size]
            )


def test_only_the_keeper_signs_and_only_what_is_new(ledger: Ledger, keys: KeyRing) -> None:
    assert ledger.newest_checkpoint() is None
    say_yes(ledger)
    for role in (Role.KIOSK, Role.WATCH, Role.DASHBOARD):
        with (
            Ledger(ledger.path, KeyRing.open(keys.directory, role), store="main-street") as other,
            pytest.raises(ConsentError, match="does not hold the log key"),
        ):
            other.sign_checkpoint()
    with Ledger(ledger.path, KeyRing.open(keys.directory, Role.KEEPER), store="main-street") as keeper:
        note = keeper.sign_checkpoint()
        assert keeper.sign_checkpoint() is None
    newest = ledger.newest_checkpoint()
    assert newest is not None
    assert (newest[0], newest[1].size, newest[1].root) == (note, 1, ledger.root())


def tamper(ledger: Ledger, *statements: str) -> None:
    """Change the file as its owner could: without the triggers."""
    with sqlite3.connect(ledger.path) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert db.execute(statement).rowcount > 0, statement


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leaves SET data = cast(replace(data, 'dwell', 'smile') AS BLOB) WHERE idx = 0",
        "UPDATE leaves SET hash = zeroblob(32) WHERE idx = 1",
        "UPDATE leaves SET idx = 99 WHERE idx = 5",
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND idx = 0",
        "DELETE FROM nodes WHERE level = 2",
        "INSERT INTO nodes VALUES (9, 0, zeroblob(32))",
        "UPDATE records SET payload = cast(replace(payload, 'kiosk', 'phone') AS BLOB) WHERE leaf = 0",
        "UPDATE records SET entry_key = zeroblob(32) WHERE leaf = 0",
        "UPDATE records SET at_us = at_us + 1 WHERE leaf = 0",
        "UPDATE records SET kind = 'renewed' WHERE leaf = 0",
        "DELETE FROM records WHERE kind = 'config_changed'",
        "DELETE FROM records WHERE leaf = 0",
        "UPDATE grants SET state = 'ConsentGiven' WHERE state = 'ConsentWithdrawn'",
        "UPDATE grants SET leaf = 3",
        "UPDATE grants SET until_us = until_us + 1",
        "UPDATE grants SET given_us = given_us - 1",
        "UPDATE grants SET purpose = 'emotion' WHERE purpose = 'dwell' AND subject = (SELECT min(subject) FROM grants)",
        "DELETE FROM grants WHERE state = 'ConsentWithdrawn'",
        "UPDATE levels SET level = 'emotion'",
        "DELETE FROM levels",
        "UPDATE checkpoints SET note = replace(note, 'main', 'side')",
        "UPDATE checkpoints SET size = size, note = (SELECT note || note FROM checkpoints)",
    ],
)
def test_the_audit_sees_what_was_changed_behind_our_back(ledger: Ledger, statement: str) -> None:
    first = say_yes(ledger)
    say_yes(ledger, DWELL)
    ledger.set_level(Level.DWELL, now_us=NOON, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=NOTICE)
    ledger.note_config("ee" * 32, now_us=NOON)
    ledger.withdraw(first.secret, now_us=NOON)
    ledger.sign_checkpoint()
    ledger.refuse(now_us=NOON, notice_sha256=NOTICE, language="en", version="1")
    assert audit(ledger).leaves == 6
    tamper(ledger, statement)
    with pytest.raises(ConsentError):
        audit(ledger)


def test_a_rewritten_log_gets_no_checkpoint(ledger: Ledger) -> None:
    say_yes(ledger)
    ledger.sign_checkpoint()
    say_yes(ledger)
    tamper(ledger, "UPDATE leaves SET hash = zeroblob(32) WHERE idx = 0")
    with pytest.raises(LedgerError, match="does not continue"):
        ledger.sign_checkpoint()


def test_events_about_people_are_logged_by_their_change_alone(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="about a person"):
        ledger.append_event(EventKind.GRANTED, now_us=NOON)
    with pytest.raises(ConsentError, match="tokens"):
        ledger.append_event(EventKind.HOLD_PLACED, now_us=NOON, details={"by": "Mrs Miller"})
    assert ledger.size == 0
    assert ledger.append_event(EventKind.HOLD_PLACED, now_us=NOON, details={"of": "dwell"}) == 0


def test_a_batch_of_events_is_appended_whole_or_not_at_all(ledger: Ledger) -> None:
    good, bad = Entry(EventKind.RELEASED, NOON, {}), Entry(EventKind.RELEASED, NOON, {"x": "free text"})
    with pytest.raises(ConsentError):
        ledger.append_events([good, good, bad])
    assert ledger.size == 0
    assert ledger.append_events([good, good]) == range(2)


# level and settings


def test_the_level_rises_only_with_two_people_and_an_assessment(ledger: Ledger) -> None:
    anna, bela = b"a" * 32, b"b" * 32
    assert ledger.approved_level() is Level.COUNTS
    for approvals, dpia in (((), NOTICE), ((anna,), NOTICE), ((anna, anna), NOTICE), ((anna, bela), None)):
        with pytest.raises(LedgerError, match="two different people"):
            ledger.set_level(Level.EMOTION, now_us=NOON, approvals=approvals, dpia_sha256=dpia)
    assert (ledger.approved_level(), ledger.size) == (Level.COUNTS, 0)
    assert ledger.set_level(Level.EMOTION, now_us=NOON, approvals=[anna, bela], dpia_sha256=NOTICE) == 0
    assert ledger.approved_level() is Level.EMOTION
    assert ledger.set_level(Level.EMOTION, now_us=NOON) is None
    assert ledger.set_level(Level.DWELL, now_us=NOON) == 1  # lowering is instant
    with pytest.raises(LedgerError):
        ledger.set_level(Level.REPEAT, now_us=NOON)
    assert [leaf_at(ledger, i).kind for i in range(2)] == [EventKind.LEVEL_RAISED, EventKind.LEVEL_LOWERED]
    audit(ledger)


def test_a_level_that_the_log_lowered_does_not_come_back_with_a_changed_table(ledger: Ledger) -> None:
    ledger.set_level(Level.EMOTION, now_us=NOON, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=NOTICE)
    ledger.set_level(Level.COUNTS, now_us=NOON)
    ledger.note_config("ee" * 32, now_us=NOON)
    with sqlite3.connect(ledger.path) as file:
        for verb in ("update", "delete", "insert"):
            file.execute(f"DROP TRIGGER levels_{verb}")
        file.execute("DELETE FROM levels WHERE id = (SELECT max(id) FROM levels)")
    file.close()
    assert ledger.levels_told() == (Level.EMOTION, Level.COUNTS)
    assert ledger.approved_level() is Level.COUNTS
    with Ledger(ledger.path, ledger.keys, store="main-street") as again:
        assert again.approved_level() is Level.COUNTS
        with pytest.raises(LedgerError, match="two different people"):
            again.set_level(Level.DWELL, now_us=NOON)
        again.set_level(Level.DWELL, now_us=NOON, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=NOTICE)
    assert ledger.levels_told() == (Level.DWELL, Level.DWELL)  # what another process wrote is seen


def test_what_a_note_of_settings_does_not_say_stands_as_it_was(ledger: Ledger) -> None:
    ledger.note_config("ee" * 32, now_us=NOON, level=Level.DWELL, approver="ab" * 32)
    assert ledger.note_config("ee" * 32, now_us=NOON + 1) is None
    ledger.note_config("dd" * 32, now_us=NOON + 2)
    told = ledger.last_event(EventKind.CONFIG_CHANGED)
    assert told is not None
    assert json.loads(told[0].payload) == {"at_us": NOON + 2, "level": "dwell", "approver": "ab" * 32}


def test_settings_are_logged_when_they_change_and_only_then(ledger: Ledger) -> None:
    assert [ledger.note_config(c * 64, now_us=NOON) for c in "aabba"] == [0, None, 1, None, 2]


# forgetting


def traces(subject: bytes, *more: bytes) -> list[bytes]:
    return [
        form
        for raw in (subject, *more)
        for form in (raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw)[:-4])
    ]


def test_a_secret_is_never_in_the_files(ledger: Ledger) -> None:
    given = [say_yes(ledger, DWELL, operation=bytes([i]) * 16, secret=new_secret()) for i in range(20)]
    for one in given[:10]:
        ledger.withdraw(show_secret(one.secret), now_us=NOON + 1, operation=one.grant_id)
    content = files_of(ledger)
    assert given[0].subject in content, "the search would find something"
    for one in given:
        for form in (one.secret, one.secret.lower(), show_secret(one.secret)):
            assert form.encode() not in content
    for path in ledger.keys.directory.glob("*.key"):
        assert path.read_bytes() not in content
    for one in given:
        assert ledger.subject_key(one.subject) not in content


def test_destroying_a_subject_leaves_no_byte_of_it(ledger: Ledger) -> None:
    """Among many others, so that pages were split and cells were moved since it was written."""
    given = [say_yes(ledger, DWELL, REPEAT, operation=bytes([i]) * 16, secret=new_secret()) for i in range(60)]
    for one in given:
        assert write(ledger, one.subject, at_us=NOON)
        ledger.open_pad_request("door", "link", one.subject, now_us=NOON, operation=one.secret.encode())
    gone = given[1::3]
    for one in gone:
        ledger.withdraw(one.secret, now_us=NOON + 1)
    told = [
        (one, ledger.subject_key(one.subject), [(r.entry_key, r.payload) for r in ledger.records_of(one.subject)])
        for one in gone
    ]
    wrapped = dict(ledger.select("SELECT subject, wrapped FROM subjects"))
    before = files_of(ledger)
    leaf = ledger.destroy_subjects([one.subject for one in gone], now_us=NOON + 2, rows=7)
    assert leaf is not None
    after = files_of(ledger)
    for one, _key, records in told:
        pieces = [x for pair in records for x in pair] + [wrapped[one.subject], one.grant_id]
        for form in [*traces(one.subject), *pieces]:
            assert form not in after
        assert all(piece in before for piece in [one.subject, *pieces])
        assert not ledger.records_of(one.subject)
        assert not ledger.standing(one.subject)
        with pytest.raises(UnknownCodeError):
            ledger.find(one.secret)
        with pytest.raises(LedgerError, match="destroyed"):
            ledger.subject_key(one.subject)
    assert {r.subject for r in ledger.read_inbox()} == {g.subject for g in given} - {g.subject for g in gone}
    assert leaf_at(ledger, leaf).count == len(gone)
    record = ledger.record(leaf)
    assert record is not None
    assert json.loads(record.payload) == {"at_us": NOON + 2, "inbox": 20, "records": 40, "rows": 7}
    assert audit(ledger).leaves == 60 + 20 + 1, "no leaf went"
    assert (ledger.path.parent / "ledger.sqlite-wal").stat().st_size == 0


def test_deletion_alone_would_leave_bytes(ledger: Ledger) -> None:
    """The control of the test above: without rewriting, the write-ahead log still tells."""
    given = say_yes(ledger, DWELL, REPEAT)
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA secure_delete = ON")
        for table in ("records", "grants", "subjects"):
            db.execute(f"DELETE FROM {table} WHERE subject = ?", (given.subject,))  # noqa: S608
    assert given.subject in files_of(ledger)
    ledger.compact()
    assert given.subject not in files_of(ledger)


def test_the_living_are_not_destroyed(ledger: Ledger) -> None:
    given, other = say_yes(ledger, DWELL, EMOTION), say_yes(ledger)
    ledger.withdraw(other.secret, now_us=NOON)
    ledger.withdraw(given.secret, now_us=NOON, purposes=[DWELL])
    with pytest.raises(LedgerError, match="is live"):
        ledger.destroy_subjects([other.subject, given.subject], now_us=NOON)
    assert len(ledger.subjects()) == 2
    late = given.until[EMOTION]
    assert ledger.destroy_subject(given.subject, now_us=late) is not None  # its term is over: that is written, too
    assert [leaf_at(ledger, i).kind for i in (4, 5)] == [EventKind.EXPIRED, EventKind.ERASED]
    audit(ledger)


def test_destroying_again_finishes_and_logs_nothing_new(ledger: Ledger) -> None:
    given = say_yes(ledger)
    ledger.withdraw(given.secret, now_us=NOON)
    assert ledger.destroy_subject(given.subject, now_us=NOON) == 2
    assert ledger.destroy_subject(given.subject, now_us=NOON) is None
    other = say_yes(ledger)
    ledger.withdraw(other.secret, now_us=NOON)
    assert ledger.destroy_subject(other.subject, now_us=NOON, log=False) is None
    assert (ledger.size, ledger.subjects()) == (5, [])


def test_a_reader_in_the_way_is_reported(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    given = say_yes(ledger)
    ledger.withdraw(given.secret, now_us=NOON)
    ledger.select("PRAGMA busy_timeout = 50")
    reader = sqlite3.connect(ledger.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subjects").fetchone()
    with pytest.raises(LedgerError, match="try again"):
        ledger.destroy_subject(given.subject, now_us=NOON)
    reader.execute("COMMIT")
    reader.close()
    ledger.destroy_subject(given.subject, now_us=NOON)
    assert given.subject not in files_of(ledger)


def test_what_serves_nobody_is_forgotten(ledger: Ledger) -> None:
    given = say_yes(ledger, secret=new_secret(), operation=b"o" * 16)
    ledger.refuse(now_us=NOON, notice_sha256=NOTICE, language="en", version="1")
    ledger.object(now_us=NOON)
    ledger.note_config(NOTICE, now_us=NOON)
    ledger.open_pad_request("door", "object", now_us=NOON)
    ledger.settle_request(ledger.open_request("x", now_us=NOON), "done", now_us=NOON)
    open_one = ledger.open_request("y", now_us=NOON)
    assert ledger.forget(NOON) == 0
    assert ledger.forget(NOON + 1) == 5
    assert [r.leaf_index for i in range(4) if (r := ledger.record(i))] == [0, 3]
    assert ledger.records_of(given.subject)
    assert [r.id for r in ledger.pending_requests()] == [open_one]
    audit(ledger)


def test_a_lost_code_is_found_by_its_window(ledger: Ledger) -> None:
    given = [say_yes(ledger, now_us=NOON + i * SECOND) for i in range(5)]
    found = ledger.subjects_granted(NOON + SECOND, NOON + 3 * SECOND)
    assert set(found) == {g.subject for g in given[1:4]}


def test_a_journal_names_a_subject_by_a_number_that_says_nothing(ledger: Ledger) -> None:
    given = say_yes(ledger)
    number = ledger.number_of(given.subject)
    assert ledger.subject_of_number(number) == given.subject
    with pytest.raises(LedgerError):
        ledger.subject_of_number(number + 1)


def test_rewrapped_keys_survive_the_end_of_the_old_sealing_key(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "ledger.sqlite"
    with Ledger(path, ring, store="s") as ledger:
        given = say_yes(ledger)
        key = ledger.subject_key(given.subject)
    ring = ring.rotate("sealing").rotate("pepper").rotate("log")
    with Ledger(path, ring, store="s") as ledger:
        assert (ledger.rewrap(), ledger.rewrap()) == (1, 0)
        ledger.sign_checkpoint()
    with Ledger(path, ring.retire("sealing", 1), store="s") as ledger:
        assert ledger.subject_key(given.subject) == key
        assert ledger.find(given.secret) == given.subject  # an older pepper is tried, too
        assert say_yes(ledger, REPEAT, secret=given.secret).subject == given.subject
        audit(ledger)


# opening


def test_a_newer_ledger_another_store_and_a_wrong_place_are_refused(
    ledger: Ledger, keys: KeyRing, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError, match="of main-street, not of side"):
        Ledger(ledger.path, keys, store="side")
    with pytest.raises(LedgerError, match="letters"):
        Ledger(tmp_path / "x.sqlite", keys, store="Main Street")
    with pytest.raises(LedgerError, match="lie in the state directory"):
        Ledger(keys.directory.parent / "ledger.sqlite", keys, store="main-street")
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="upgrade openaisle"):
        Ledger(ledger.path, keys, store="main-street")
    (tmp_path / "noise").write_bytes(b"not a database " * 99)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "noise", keys, store="main-street")
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "no" / "where", keys, store="main-street")


def test_every_connection_is_durable_and_clears_what_it_deletes(ledger: Ledger) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "temp_store": 2}
    assert {name: ledger.select(f"PRAGMA {name}")[0][0] for name in wanted} == wanted
    assert ledger.select("PRAGMA busy_timeout")[0][0] >= 5_000


def test_nobody_outside_the_group_reads_the_files(tmp_path: Path, keys: KeyRing) -> None:
    (tmp_path / "state").mkdir()
    with Ledger(tmp_path / "state" / "ledger.sqlite", keys, store="s") as ledger:
        say_yes(ledger)
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in ledger.path.parent.iterdir()}
    assert modes == {"ledger.sqlite": 0o660, "ledger.sqlite-shm": 0o660, "ledger.sqlite-wal": 0o660}
