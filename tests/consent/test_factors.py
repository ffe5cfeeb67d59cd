"""Second factors: codes by the RFC's own vectors, and every way to come in without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consent import access as module
from consent import factors
from consent.access import CODES, TRIES, DeniedError, Desk, Refusal
from consent.accounts import AccountError, Accounts, digest
from consent.events import EventKind
from consent.factors import STEP_S, code_at, step_of
from consent.ledger import Ledger
from tests.apart import read_apart
from tests.consent.shop import NOON, SECOND
from tests.consent.test_access import PASSWORD, Door, add

SEED = b"12345678901234567890"  # RFC 6238, appendix B
NEW = "another four good words"


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_rfc(at_s: int, code: str) -> None:
    assert code_at(SEED, at_s // STEP_S) == code[2:]  # six digits of the eight in the table


def test_a_code_holds_for_its_half_minute_and_its_neighbours_and_once() -> None:
    step = NOON // SECOND // STEP_S
    near = {shift: step_of(SEED, code_at(SEED, step + shift), NOON) for shift in range(-3, 4)}
    assert near == {-3: None, -2: None, -1: step - 1, 0: step, 1: step + 1, 2: None, 3: None}
    assert step_of(SEED, code_at(SEED, step), NOON, after=step) is None
    for wrong in ("", "x", "１２３４５６", "123456789", "00000"):
        assert step_of(SEED, wrong, NOON) is None


@pytest.fixture
def door(ledger: Ledger) -> Iterator[Door]:
    with Accounts(ledger.path.parent / "access.sqlite") as accounts:
        yield Door(ledger, accounts)


def now(door: Door, seed: bytes) -> str:
    return code_at(seed, door.now_us // SECOND // STEP_S)


def set_up(door: Door) -> tuple[bytes, list[str]]:
    """Give Ada a second factor; half a minute later it is."""
    handle, made = door.access.begin_factor("Ada")
    _, codes = door.access.finish_factor(handle, PASSWORD, now(door, made.seed), "")
    door.now_us += STEP_S * SECOND
    return made.seed, codes


def refused(door: Door, code: str = "", password: str = PASSWORD) -> Refusal:
    with pytest.raises(DeniedError) as denied:
        door.access.sign_in("Ada", password, "10.0.0.1", code)
    return denied.value.reason


def test_a_password_alone_opens_nothing_any_more_and_a_code_counts_once(door: Door) -> None:
    add(door)
    before = door.access.sign_in("Ada", PASSWORD, "10.0.0.1")
    seed, codes = set_up(door)
    assert door.accounts.session(digest(before), now_us=door.now_us) is None  # signed out everywhere
    assert refused(door) is Refusal.FACTOR
    assert refused(door, "000000") is Refusal.FACTOR
    assert refused(door, now(door, seed), "not the password") is Refusal.PASSWORD
    code = now(door, seed)
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.1", f"{code[:3]} {code[3:]}")
    assert refused(door, code) is Refusal.FACTOR  # seen over a shoulder
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.1", codes[0].lower())
    assert refused(door, codes[0]) is Refusal.FACTOR
    assert door.access.factors.left(door.accounts.find("Ada").id) == factors.RECOVERY - 1
    kinds = [told["what"] for kind, told, _ in door.said() if kind == EventKind.ACCOUNT_CHANGED.value]
    assert kinds == ["factor", "recovery_code"]


def test_nothing_on_the_disk_opens_an_account(door: Door) -> None:
    add(door)
    seed, codes = set_up(door)
    held = b"".join(read_apart(path) for path in door.accounts.path.parent.glob("*.sqlite*"))
    for secret in (
        seed,
        factors.written(seed).encode(),
        *(c.encode() for c in codes),
        codes[0].replace("-", "").encode(),
    ):
        assert secret not in held


def test_codes_are_guessed_slowly_and_a_restart_gives_no_try_back(door: Door) -> None:
    add(door)
    seed, _ = set_up(door)
    found = [refused(door, f"{i:06d}") for i in range(CODES + 2)]
    assert found == [Refusal.FACTOR] * CODES + [Refusal.PACE] * 2
    door.__post_init__()  # the process starts anew
    assert refused(door, now(door, seed)) is Refusal.PACE
    door.now_us += 601 * SECOND
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.1", now(door, seed))


def test_wrong_passwords_are_counted_through_a_restart_and_a_clock_put_back(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(door)
    monkeypatch.setattr(Accounts, "check", lambda *_: None)
    for _ in range(TRIES):
        assert refused(door) is Refusal.PASSWORD
    door.__post_init__()
    assert refused(door) is Refusal.PACE
    door.now_us -= 3600 * SECOND
    assert refused(door) is Refusal.PACE
    held = read_apart(door.accounts.path) + read_apart(door.accounts.path.with_name("access.sqlite-wal"))
    assert b"10.0.0.1" not in held
    door.now_us += 2 * 3600 * SECOND
    door.access.tick()
    assert door.accounts.rows("SELECT count(*) FROM tries") == [(0,)]  # what is over is not kept


def test_who_sets_somebodys_password_gets_no_account_with_its_second_factor(door: Door) -> None:
    add(door)
    seed, _ = set_up(door)
    her = door.accounts.find("Ada").who()
    door.access.change_password(her, PASSWORD, NEW, NEW, "10.0.0.1")
    assert refused(door, password=NEW) is Refusal.FACTOR
    assert door.access.sign_in("Ada", NEW, "10.0.0.1", now(door, seed))  # her own change keeps it
    door.accounts.set_password("Ada", PASSWORD)  # somebody else's ends it
    assert not door.access.factors.has(her.account)
    assert door.access.factors.left(her.account) == 0


def test_a_desk_that_must_have_one_gets_a_session_by_nothing_else(door: Door) -> None:
    add(door, desk=Desk.COMPLIANCE)
    door.access = module.Access(door.accounts, door.access.log, now_us=lambda: door.now_us, second=(Desk.COMPLIANCE,))
    assert refused(door) is Refusal.FACTOR_MISSING
    seed, _ = set_up(door)
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.1", now(door, seed))


def test_it_is_made_by_who_has_the_password_and_the_app_within_ten_minutes_and_once(door: Door) -> None:
    add(door)
    handle, made = door.access.begin_factor("Ada")
    for password, code in ((PASSWORD, "000000"), ("not the password", now(door, made.seed))):
        with pytest.raises(DeniedError):
            door.access.finish_factor(handle, password, code, "")
    assert not door.access.factors.has(door.accounts.find("Ada").id)
    door.now_us += 601 * SECOND
    with pytest.raises(AccountError, match="ten minutes"):
        door.access.finish_factor(handle, PASSWORD, now(door, made.seed), "")
    seed, _ = set_up(door)
    with pytest.raises(AccountError, match="already"):
        door.access.begin_factor("Ada")
    with pytest.raises(DeniedError):
        door.access.remove_factor(door.accounts.find("Ada").who(), PASSWORD, "000000", "")
    door.access.remove_factor(door.accounts.find("Ada").who(), PASSWORD, now(door, seed), "")
    assert door.access.sign_in("Ada", PASSWORD, "10.0.0.1")


def test_an_app_reads_what_the_picture_says() -> None:
    told = factors.address(SEED, "Main Street & Co", "Ada: O'Neil")
    assert told.startswith("otpauth://totp/Main%20Street%20%26%20Co%3AAda%3A%20O%27Neil?secret=")
    assert told.endswith("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Main%20Street%20%26%20Co")
