"""Accounts, sessions and what the log says of them, on a clock that the tests hold."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import accesslog
from consent.access import ACCOUNT_TRIES, TRIES, Access, Action, DeniedError, Desk, Refusal
from consent.accesslog import AccessLog
from consent.accounts import AccountError, Accounts, digest, hash_password
from consent.events import STAFF_EVENTS, ConsentError, EventKind, Leaf
from consent.keys import KeyRing
from consent.ledger import Ledger, LedgerError
from tests.apart import read_apart
from tests.consent.shop import NOON, SECOND

PASSWORD = "correct horse battery staple"  # noqa: S105
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND


@dataclass
class Door:
    """An `Access` and the clock it goes by."""

    ledger: Ledger
    accounts: Accounts
    now_us: int = NOON
    access: Access = field(init=False)

    def __post_init__(self) -> None:
        def clock() -> float:
            return self.now_us / SECOND

        log = AccessLog(self.ledger, now_us=lambda: self.now_us, clock=clock)
        self.access = Access(self.accounts, log, now_us=lambda: self.now_us, clock=clock)

    def said(self) -> list[tuple[str, dict[str, object], int | None]]:
        """Return kind, payload and count of every entry about staff."""
        found = []
        for index, data in self.ledger.leaves(0, self.ledger.size):
            leaf, record = Leaf.decode(data), self.ledger.record(index)
            if leaf.kind in STAFF_EVENTS and record is not None:
                told = json.loads(record.payload)
                told.pop("at_us")
                found.append((leaf.kind.value, told, leaf.count))
        return found


@pytest.fixture
def door(ledger: Ledger) -> Iterator[Door]:
    with Accounts(ledger.path.parent / "access.sqlite") as accounts:
        yield Door(ledger, accounts)


def add(door: Door, name: str = "Ada", desk: Desk = Desk.MANAGER) -> str:
    return door.accounts.add(name, desk, now_us=door.now_us, password=PASSWORD).id


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_only_hashes_are_kept(door: Door) -> None:
    add(door)
    token = door.access.sign_in("ada", PASSWORD, "10.0.0.1")
    link = door.accounts.link(door.accounts.find("Ada"), now_us=NOON)
    held = b"".join(read_apart(path) for path in door.accounts.path.parent.glob("access.sqlite*"))
    for secret in (token, link, PASSWORD):
        assert secret.encode() not in held
    assert hashlib.sha256(token.encode()).digest() in held
    assert b"$argon2id$" in held
    assert door.accounts.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "a" * 40, "abab" * 8, "Ada Ada Ada Ada", "y" * 257])
def test_a_weak_password_makes_no_account(door: Door, password: str) -> None:
    with pytest.raises(AccountError):
        door.accounts.add("Ada Ada", Desk.MANAGER, now_us=NOON, password=password)
    assert door.accounts.accounts() == []


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "a\x00b", "\x7f"])
def test_a_name_is_a_line(door: Door, name: str) -> None:
    if name == "a\nb":  # white space is one blank
        assert door.accounts.add(name, Desk.MANAGER, now_us=NOON).name == "a b"
        return
    with pytest.raises(AccountError):
        door.accounts.add(name, Desk.MANAGER, now_us=NOON)


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u200d", "\u202e", "\u2060", "\ufeff", "\u00ad", "\u3164", "\ufe0f", "\u2800"]
)
def test_a_name_with_what_nobody_sees_does_not_pass_for_another(door: Door, unseen: str) -> None:
    add(door, "Ada")
    for name in (f"Ada{unseen}", f"A{unseen}da", f"{unseen}Ada"):
        with pytest.raises(AccountError, match="nobody sees"):
            door.accounts.add(name, Desk.MANAGER, now_us=NOON)
    assert [one.name for one in door.accounts.accounts()] == ["Ada"]


def test_links_use_up_no_try_of_a_password(door: Door, quick: pytest.MonkeyPatch) -> None:
    add(door, "Ada")
    for _ in range(3 * TRIES):
        with pytest.raises(DeniedError):
            door.access.use_link("x", "192.0.2.1")
    assert refusals(door, "Ada", "192.0.2.1", 1, quick) == [Refusal.PASSWORD]


def test_one_name_is_one_account(door: Door) -> None:
    add(door, "Zoë Ann")
    for other in ("Zoe\u0308  Ann", "zoë ann ", "\uff3aoë\u00a0Ann"):
        with pytest.raises(AccountError, match="already"):
            add(door, other)
        assert door.accounts.find(other).name == "Zoë Ann"


def test_the_last_administrator_stays(door: Door) -> None:
    add(door, "Ada", Desk.ADMINISTRATOR)
    with pytest.raises(AccountError, match="only administrator"):
        door.accounts.remove("ada")
    with pytest.raises(AccountError, match="only administrator"):
        door.accounts.set_desk("ada", Desk.MANAGER)
    add(door, "Bo", Desk.ADMINISTRATOR)
    assert door.accounts.set_desk("ada", Desk.MANAGER).desk is Desk.MANAGER
    door.accounts.remove("ada")
    with pytest.raises(AccountError, match="no account"):
        door.accounts.find("ada")


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "access.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(AccountError, match="cannot be used"):
        Accounts(path)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(AccountError, match="newer"):
        Accounts(path)


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_is_idle_and_when_it_is_over(door: Door) -> None:
    add(door)
    token = door.access.sign_in("Ada", PASSWORD, "10.0.0.1")
    for _ in range(23):
        door.now_us += 29 * MINUTE
        assert door.access.who_holds(token, active=True) is not None
    assert door.access.who_holds("x" * 43) is None
    door.now_us += 29 * MINUTE  # 11:36
    assert door.access.who_holds(token, active=True) is not None
    door.now_us = NOON + 12 * HOUR
    assert door.access.who_holds(token, active=True) is None
    idle = door.access.sign_in("Ada", PASSWORD, "10.0.0.1")
    door.now_us += 29 * MINUTE
    assert door.access.who_holds(idle) is not None  # looking is not doing
    door.now_us += MINUTE
    assert door.access.who_holds(idle) is None
    door.now_us -= 10 * MINUTE
    assert door.access.who_holds(idle) is None  # an end is an end, whatever the clock says


def test_a_clock_that_is_put_back_ends_sessions(door: Door) -> None:
    add(door)
    token = door.access.sign_in("Ada", PASSWORD, "10.0.0.1")
    door.now_us -= HOUR
    assert door.access.who_holds(token) is None


@pytest.mark.parametrize("how", ["remove", "desk", "password", "end", "end_all"])
def test_what_happens_to_an_account_ends_its_sessions_in_every_process(door: Door, how: str) -> None:
    number = add(door)
    add(door, "Bo", Desk.ADMINISTRATOR)
    token, other = door.access.sign_in("Ada", PASSWORD, ""), door.access.sign_in("Bo", PASSWORD, "")
    with Accounts(door.accounts.path) as elsewhere:
        assert elsewhere.session(digest(token), now_us=NOON) is not None
        ways: dict[str, Callable[[], object]] = {
            "remove": lambda: door.accounts.remove("Ada"),
            "desk": lambda: door.accounts.set_desk("Ada", Desk.COMPLIANCE),
            "password": lambda: door.accounts.set_password("Ada", "another four good words"),
            "end": lambda: door.accounts.end(digest(token)),
            "end_all": lambda: door.accounts.end_all(number),
        }
        ways[how]()
        assert elsewhere.session(digest(token), now_us=NOON) is None
        assert elsewhere.session(digest(other), now_us=NOON) is not None


def test_codes_work_once_and_not_for_ever(door: Door) -> None:
    code = door.accounts.set_up_code(now_us=NOON)
    assert code is not None
    assert not door.accounts.is_set_up_code(code, now_us=NOON + HOUR)
    assert door.accounts.is_set_up_code(f" {code.lower()} ", now_us=NOON)
    again = door.accounts.set_up_code(now_us=NOON)
    assert again is not None
    assert not door.accounts.is_set_up_code(code, now_us=NOON)  # the last one counts
    door.access.make_first(again, "Ada", PASSWORD, PASSWORD, "127.0.0.1")
    assert not door.accounts.is_set_up_code(again, now_us=NOON)
    assert door.accounts.set_up_code(now_us=NOON) is None
    with pytest.raises(AccountError, match="already"):
        door.accounts.add_first("Eve", PASSWORD, now_us=NOON)
    link = door.accounts.link(door.accounts.find("Ada"), now_us=NOON)
    assert not door.accounts.is_set_up_code(link, now_us=NOON)
    assert door.accounts.use_link(link, now_us=NOON + 24 * HOUR) is None
    assert door.accounts.use_link(link, now_us=NOON) is not None
    assert door.accounts.use_link(link, now_us=NOON) is None
    assert door.accounts.use_link(again, now_us=NOON) is None


def test_what_is_over_is_deleted(door: Door) -> None:
    add(door)
    token = door.access.sign_in("Ada", PASSWORD, "")
    door.accounts.link(door.accounts.find("Ada"), now_us=NOON)
    door.now_us += 25 * HOUR
    door.access.tick()
    db = sqlite3.connect(door.accounts.path)
    assert db.execute("SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM codes)").fetchone() == (0, 0)
    db.close()
    assert door.access.who_holds(token) is None


# --- guessing ---------------------------------------------------------------------------------------------------------


def refusals(door: Door, name: str, address: str, n: int, monkeypatch: pytest.MonkeyPatch) -> list[Refusal]:
    found = []
    for _ in range(n):
        with pytest.raises(DeniedError) as denied:
            door.access.sign_in(name, "not the password", address)
        found.append(denied.value.reason)
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Check passwords without argon2's work, which is tested elsewhere; hundreds of guesses would take minutes."""
    real = Accounts.check

    def check(self: Accounts, name: str, password: str) -> object:
        return real(self, name, password) if password == PASSWORD else None

    monkeypatch.setattr(Accounts, "check", check)
    return monkeypatch


def test_an_address_guesses_a_few_times_and_then_slowly(door: Door, quick: pytest.MonkeyPatch) -> None:
    add(door)
    found = refusals(door, "Ada", "10.0.0.1", TRIES + 5, quick)
    assert found == [Refusal.PASSWORD] * TRIES + [Refusal.PACE] * 5
    with pytest.raises(DeniedError, match="wait"):
        door.access.sign_in("Ada", PASSWORD, "10.0.0.1")  # nor does the right one count now
    door.now_us += MINUTE
    assert refusals(door, "Ada", "10.0.0.1", 2, quick) == [Refusal.PASSWORD, Refusal.PACE]
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.2")


def test_an_account_is_guessed_at_from_many_addresses_slowly_and_its_owner_still_comes_in(
    door: Door, quick: pytest.MonkeyPatch
) -> None:
    add(door)
    door.access.sign_in("Ada", PASSWORD, "10.0.0.1")  # where she works
    found = [refusals(door, "Ada", f"10.1.{i}.1", 1, quick)[0] for i in range(200)]
    assert found.count(Refusal.PASSWORD) == ACCOUNT_TRIES
    assert set(found[ACCOUNT_TRIES:]) == {Refusal.PACE}
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.1")
    assert [refusals(door, f"nobody {i}", "10.2.0.1", 1, quick)[0] for i in range(TRIES)] == [Refusal.PASSWORD] * TRIES


def test_a_wrong_name_takes_as_long_as_a_wrong_password(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from consent import accounts as module

    add(door)
    seen: list[str] = []
    real = module._is_right

    def watched(stored: str, typed: str) -> bool:
        seen.append(stored)
        return real(stored, typed)

    monkeypatch.setattr(module, "_is_right", watched)
    assert door.accounts.check("Ada", "not the password") is None
    assert door.accounts.check("Nobody", "not the password") is None
    assert len(seen) == 2
    parameters = [one.rpartition("$")[0].rpartition("$")[0] for one in seen]
    assert parameters[0] == parameters[1] == "$argon2id$v=19$m=65536,t=3,p=4"


# --- the log ----------------------------------------------------------------------------------------------------------


def test_a_read_is_in_the_log_before_anything_is_shown(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    number = add(door, "Cleo", Desk.COMPLIANCE)
    her = door.accounts.find("Cleo").who()
    for _ in range(5):
        door.access.require(her, Action.READ_REQUESTS)
    read = ("personal_read", {"account": number, "action": "read_requests"})
    assert door.said() == [(*read, 1)]
    door.now_us += 61 * SECOND
    door.access.tick()
    assert door.said() == [(*read, 1), (*read, 4)]  # each is counted
    door.access.require(her, Action.READ_CONSENTS)
    assert len(door.said()) == 3

    def broken(*_: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(door.ledger, "append_events", broken)
    for _ in range(2):
        with pytest.raises(ConsentError, match="disk is full"):
            door.access.require(her, Action.HAND_OUT)


def test_refusals_that_cannot_be_written_are_written_later(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(door.ledger, "append_events", lambda _: (_ for _ in ()).throw(LedgerError("busy")))
        door.access.log.denied(Refusal.HOST)
        door.access.tick()
        assert door.said() == []
    door.access.tick()
    assert door.said() == [("access_denied", {"reason": "host"}, 1)]


@given(
    knocks=st.lists(
        st.tuples(st.sampled_from(list(Refusal)), st.sampled_from(["", "a" * 16, "b" * 16]), st.floats(0, 90)),
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None)
def test_every_refusal_is_counted_exactly_once_and_entries_are_few(
    knocks: list[tuple[Refusal, str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Kept:
        entries: list[tuple[str, int]]

        def append_events(self, entries: list[object]) -> range:
            for one in entries:
                kept.append((json.dumps(one.payload, sort_keys=True), one.count))  # type: ignore[attr-defined]
            return range(0)

    kept: list[tuple[str, int]] = []
    now = [0.0]
    log = AccessLog(Kept(), now_us=lambda: NOON, clock=lambda: now[0])  # type: ignore[arg-type]
    told: dict[str, int] = {}
    for reason, account, after_s in knocks:
        now[0] += after_s
        log.flush()
        log.denied(reason, account=account)
        payload = {"reason": reason.value} | ({"account": account} if account else {})
        key = json.dumps(payload, sort_keys=True)
        told[key] = told.get(key, 0) + 1
    log.flush(end=True)
    found: dict[str, int] = {}
    for key, count in kept:
        found[key] = found.get(key, 0) + count
    assert found == told


def test_a_flood_of_a_day_is_a_few_dozen_entries(door: Door) -> None:
    for _ in range(24 * 3600):
        door.access.log.denied(Refusal.ANONYMOUS)
        door.access.log.denied(Refusal.ANONYMOUS)
        door.now_us += SECOND
        if door.now_us % (10 * SECOND) == 0:
            door.access.log.flush()
    door.access.close()
    said = door.said()
    assert sum(count or 0 for _, _, count in said) == 2 * 24 * 3600
    assert len(said) < 40


def test_more_kinds_than_a_shop_can_have_share_what_is_left(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesslog, "MOST_KINDS", 10)
    for i in range(500):
        door.access.log.denied(Refusal.PASSWORD, account=f"{i:016x}")
    door.access.close()
    said = door.said()
    assert sum(count or 0 for _, _, count in said) == 500
    assert len(said) <= 13


def test_entries_about_staff_are_forgotten_and_never_exported(door: Door, keys: KeyRing, tmp_path: Path) -> None:
    from consent import log

    number = add(door)
    door.access.log.changed(number, "made", desk=Desk.MANAGER)
    door.access.log.denied(Refusal.PAGE, account=number, action=Action.SEE_COMPLIANCE)
    door.access.close()
    door.ledger.sign_checkpoint()
    log.export(door.ledger, tmp_path / "out")
    assert number.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert len(door.said()) == 2
    assert all(kind.personal for kind in STAFF_EVENTS)
    assert door.ledger.forget({"refusals": NOON + HOUR}) == 0
    assert door.ledger.forget({"accesses": NOON + HOUR}) == 2
    assert door.said() == []
    assert [Leaf.decode(data).kind for _, data in door.ledger.leaves(0, 2)] == [
        EventKind.ACCOUNT_CHANGED,
        EventKind.ACCESS_DENIED,
    ]


def test_a_hash_is_salted_and_slow_enough() -> None:
    first, second = hash_password(PASSWORD, "Ada"), hash_password(PASSWORD, "Ada")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
