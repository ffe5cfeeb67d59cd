"""Vouchers: worth something once, within the day's budget, and nobody's."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import vouchers
from consent.events import ConsentError
from consent.keys import KeyRing, Role
from consent.vouchers import Answer, SpentError, TakenError, VoucherError, Vouchers, read, show

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
NOON = int(datetime(2026, 11, 21, 12, 3, 22, tzinfo=BERLIN).timestamp()) * 1_000_000
ANNA, BERT = b"a" * 32, b"b" * 32


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    KeyRing.create(tmp_path / "keys")
    return KeyRing.open(tmp_path / "keys", Role.KIOSK)


@pytest.fixture
def shop(ring: KeyRing, tmp_path: Path) -> Vouchers:
    return Vouchers(tmp_path / "vouchers", ring, BERLIN)


def give(
    shop: Vouchers, worth: int = 50, *, now_us: int = NOON, subject: bytes | None = None, budget: int = 1000
) -> str:
    return shop.issue(worth, budget=budget, minutes=30, now_us=now_us, subject=subject).code


def test_it_is_worth_something_once(shop: Vouchers) -> None:
    code = give(shop)
    assert shop.redeem(show(code).lower(), now_us=NOON + MINUTE) == vouchers.Redeemed(Answer.GOOD, 50)
    assert shop.redeem(code, now_us=NOON + MINUTE) == vouchers.Redeemed(Answer.USED)


def test_its_time_ends_and_is_told_in_steps_that_hide_the_minute(shop: Vouchers) -> None:
    ends = {shop.issue(1, budget=100, minutes=30, now_us=NOON + s * 1_000_000).until_us for s in range(0, 390, 30)}
    assert len(ends) == 1, "whoever came within these six minutes has the same end"
    (end,) = ends
    assert end >= NOON + 36 * MINUTE
    assert end <= NOON + 40 * MINUTE
    code = give(shop)
    assert shop.redeem(code, now_us=end).answer is Answer.OVER
    assert shop.redeem(code, now_us=end - 1).answer is Answer.GOOD


def test_it_holds_across_midnight(shop: Vouchers) -> None:
    late = int(datetime(2026, 11, 21, 23, 55, tzinfo=BERLIN).timestamp()) * 1_000_000
    code = give(shop, now_us=late)
    give(shop, now_us=late + 6 * MINUTE)  # the next day's first
    assert shop.redeem(code, now_us=late + 20 * MINUTE).answer is Answer.GOOD


def test_every_changed_character_is_refused(shop: Vouchers) -> None:
    code = give(shop)
    for place in range(vouchers.LENGTH):
        for letter in vouchers._ALPHABET.replace(code[place], ""):
            changed = code[:place] + letter + code[place + 1 :]
            assert shop.redeem(changed, now_us=NOON).answer is not Answer.GOOD
    assert shop.redeem(code, now_us=NOON).answer is Answer.GOOD


@given(typed=st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_whatever_is_typed_is_answered(shop: Vouchers, typed: str) -> None:
    assert shop.redeem(typed, now_us=NOON).answer is Answer.UNKNOWN


def test_a_rightly_signed_code_that_was_never_given_is_nothing(shop: Vouchers) -> None:
    give(shop)
    step = (NOON + HOUR - vouchers._FIRST_US) // vouchers.STEP_US
    forged = shop._code(1, step)
    assert shop._open(forged) == (1, step)
    assert shop.redeem(forged, now_us=NOON).answer is Answer.UNKNOWN


def test_another_shops_voucher_is_nothing_here(shop: Vouchers, tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "other")
    other = Vouchers(tmp_path / "vouchers", KeyRing.open(tmp_path / "other", Role.KIOSK), BERLIN)
    assert shop.redeem(give(other), now_us=NOON).answer is Answer.UNKNOWN


def test_once_a_day_under_one_code(shop: Vouchers) -> None:
    give(shop, subject=ANNA)
    assert shop.had_one(ANNA, now_us=NOON)
    with pytest.raises(TakenError):
        give(shop, subject=ANNA, now_us=NOON + HOUR)
    assert not shop.had_one(BERT, now_us=NOON)
    give(shop, subject=BERT)
    for _ in range(3):
        give(shop)  # who shows no code leaves no hash
    assert not shop.had_one(ANNA, now_us=NOON + DAY)
    give(shop, subject=ANNA, now_us=NOON + DAY)


def test_a_new_key_does_not_make_it_twice(shop: Vouchers, ring: KeyRing, tmp_path: Path) -> None:
    code = give(shop, subject=ANNA)
    KeyRing.open(ring.directory, Role.ADMIN).rotate("voucher")
    after = Vouchers(tmp_path / "vouchers", KeyRing.open(ring.directory, Role.KIOSK), BERLIN)
    with pytest.raises(TakenError):
        give(after, subject=ANNA)
    assert after.redeem(code, now_us=NOON).answer is Answer.GOOD
    assert after.redeem(give(after), now_us=NOON).answer is Answer.GOOD


def test_nothing_kept_tells_who_when_or_which_code(shop: Vouchers, tmp_path: Path) -> None:
    codes = [give(shop, subject=os.urandom(32)) for _ in range(9)] + [give(shop, subject=ANNA)]
    (file,) = (tmp_path / "vouchers").iterdir()
    kept = file.read_bytes()
    for trace in (ANNA, *(c.encode() for c in codes), NOON.to_bytes(8, "big"), (NOON // 1_000_000).to_bytes(4, "big")):
        assert trace not in kept
    with sqlite3.connect(file) as db:
        tables = {name: [c[1] for c in db.execute(f"PRAGMA table_info({name})")] for name in ("vouchers", "takers")}
        rows, takers = db.execute("SELECT * FROM vouchers").fetchall(), db.execute("SELECT id FROM takers").fetchall()
    assert tables == {"vouchers": ["id", "worth", "state"], "takers": ["id"]}
    assert {row[1:] for row in rows} == {(50, "unused")}
    assert [row[0] for row in rows] == sorted(row[0] for row in rows), "in the order of their hashes"
    assert not {row[0] for row in rows} & {taker[0] for taker in takers}
    assert file.stat().st_mode & 0o007 == 0


def spelled(number: int) -> bytes:
    """Return a number of 63 bits as SQLite's file holds the id of a row: seven bits a byte, and eight in the ninth."""
    if number < 1 << 56:
        groups = max(1, -(-number.bit_length() // 7))
        return bytes((number >> 7 * i & 0x7F) | (0x80 if i else 0) for i in reversed(range(groups)))
    return bytes(0x80 | number >> 8 + 7 * i & 0x7F for i in reversed(range(8))) + bytes([number & 0xFF])


def test_who_had_one_is_forgotten_with_the_day(shop: Vouchers, tmp_path: Path) -> None:
    give(shop, subject=ANNA)
    tag = shop._tag(1, ANNA, shop._day(NOON))
    file = tmp_path / "vouchers" / "2026-11-21.sqlite"
    assert spelled(tag) in file.read_bytes()
    give(shop, now_us=NOON + DAY)
    assert spelled(tag) not in file.read_bytes()
    assert sorted(p.name for p in file.parent.iterdir()) == ["2026-11-21.sqlite", "2026-11-22.sqlite"]


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.integers(0, 2)), max_size=25), st.integers(0, 1500))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_a_day_never_gives_more_than_its_budget(
    tmp_path_factory: pytest.TempPathFactory, ring: KeyRing, asks: list[tuple[int, bool, int]], budget: int
) -> None:
    shop = Vouchers(tmp_path_factory.mktemp("day") / "vouchers", ring, BERLIN)
    given: Counter[int] = Counter()
    had: set[tuple[int, int]] = set()
    for number, (worth, known, day) in enumerate(sorted(asks, key=lambda ask: ask[2])):
        who = number % 3
        subject = bytes([who]) * 32 if known else None
        try:
            give(shop, worth, subject=subject, budget=budget, now_us=NOON + day * DAY)
        except SpentError:
            assert given[day] + worth > budget
        except TakenError:
            assert (who, day) in had
        else:
            assert not known or (who, day) not in had
            given[day] += worth
            had |= {(who, day)} if known else set()
        assert given[day] <= budget
        assert shop.left(budget, now_us=NOON + day * DAY) == budget - given[day]


def test_a_role_without_the_key_makes_none(ring: KeyRing, tmp_path: Path) -> None:
    for role in set(Role) - {Role.KIOSK, Role.ADMIN}:
        with pytest.raises(ConsentError, match="no key for vouchers"):
            Vouchers(tmp_path / "vouchers", KeyRing.open(ring.directory, role), BERLIN)
    (ring.directory / "voucher-0001.key").unlink()  # a store that was made before there were vouchers
    old = KeyRing.open(ring.directory, Role.KIOSK)
    with pytest.raises(ConsentError, match="openaisle keys voucher"):
        Vouchers(tmp_path / "vouchers", old, BERLIN)
    KeyRing.open(ring.directory, Role.ADMIN).rotate("voucher")
    give(Vouchers(tmp_path / "vouchers", KeyRing.open(ring.directory, Role.KIOSK), BERLIN))


@pytest.mark.parametrize(("worth", "minutes"), [(0, 30), (-5, 30), (50, 0), (50, vouchers.MOST_MINUTES + 1)])
def test_what_is_no_discount_is_not_made(shop: Vouchers, tmp_path: Path, worth: int, minutes: int) -> None:
    with pytest.raises(VoucherError):
        shop.issue(worth, budget=1000, minutes=minutes, now_us=NOON)
    assert not (tmp_path / "vouchers").exists()


def test_what_cannot_be_written_is_neither_given_nor_redeemed(shop: Vouchers, tmp_path: Path) -> None:
    code = give(shop)
    file = tmp_path / "vouchers" / "2026-11-21.sqlite"
    whole = file.read_bytes()
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(VoucherError, match="nothing was given"):
        give(shop)
    with pytest.raises(VoucherError, match="nothing was given or redeemed"):
        shop.redeem(code, now_us=NOON)
    file.write_bytes(whole)
    assert shop.redeem(code, now_us=NOON).answer is Answer.GOOD


# --- races between processes ------------------------------------------------------------------------------------------


def ask(folder: Path, keys: Path, times: int, worth: int, budget: int, same: bool) -> int:
    """Ask for vouchers as one page does, and return what they are worth together."""
    shop = Vouchers(folder, KeyRing.open(keys, Role.KIOSK), UTC)
    total = 0
    for _ in range(times):
        with contextlib.suppress(SpentError, TakenError):
            total += shop.issue(worth, budget=budget, minutes=30, now_us=NOON, subject=ANNA if same else None).worth
    return total


def redeem(folder: Path, keys: Path, codes: list[str]) -> list[str]:
    shop = Vouchers(folder, KeyRing.open(keys, Role.KIOSK), UTC)
    return [shop.redeem(code, now_us=NOON).answer.value for code in codes]


def test_processes_that_race_for_the_budget_never_exceed_it(ring: KeyRing, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        arguments = (tmp_path / "vouchers", ring.directory, 15, 30, 1000, False)
        given = sum(pool.starmap(ask, [arguments] * 4))
        assert given == 990, "33 of 30 fit into 1,000; 60 were asked for"
        assert sum(pool.starmap(ask, [(tmp_path / "v2", ring.directory, 5, 30, 1000, True)] * 4)) == 30


def test_of_tills_that_race_exactly_one_wins(ring: KeyRing, tmp_path: Path) -> None:
    shop = Vouchers(tmp_path / "vouchers", ring, UTC)
    codes = [give(shop, 1) for _ in range(25)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        told = pool.starmap(redeem, [(tmp_path / "vouchers", ring.directory, codes)] * 4)
    for answers in zip(*told, strict=True):
        assert sorted(answers) == ["good", "used", "used", "used"]


def test_a_key_of_the_code_is_read_as_people_write_it() -> None:
    assert read(" o12l-abcd efgh-jkmn ") == "0121ABCDEFGHJKMN"
    assert read("0121ABCDEFGHJKM") is None
    assert timedelta(minutes=vouchers.MOST_MINUTES) < timedelta(days=1)
