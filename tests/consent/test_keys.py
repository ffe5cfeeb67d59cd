"""Secrets, pseudonyms, and keys that only the right process can use."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.events import ConsentError, Purpose
from consent.keys import LETTER, SUBJECT_KEY, KeyRing, Role, seal_to
from consent.subjects import (
    ALWAYS,
    new_secret,
    period_of,
    read_secret,
    show_secret,
    subject_of,
    visitor,
)

SUBJECT = bytes(range(32))


def test_secrets_are_a_hundred_fair_bits() -> None:
    made = [new_secret() for _ in range(4_000)]
    assert len(set(made)) == len(made)
    for place in range(20):
        seen = [secret[place] for secret in made]
        assert len(set(seen)) == 32
        assert max(map(seen.count, set(seen))) < 220  # 125 expected; eight standard deviations


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), min_size=20, max_size=20))
def test_a_code_is_read_however_it_is_typed(letters: list[str]) -> None:
    secret = "".join(letters)
    shown = show_secret(secret)
    assert shown.count("-") == 4
    for typed in (
        shown,
        shown.lower(),
        shown.replace("-", " "),
        f"  {secret}\n",
        secret.replace("0", "O").replace("1", "l"),
        secret.replace("0", "o").replace("1", "I"),
        "–".join(shown.split("-")),  # what a phone makes of a dash
        "".join(chr(ord(c) + 0xFEE0) for c in secret),  # full width, from a Chinese keyboard
    ):
        assert read_secret(typed) == secret


@pytest.mark.parametrize("typed", ["", "A" * 19, "A" * 21, "U" * 20, "Ä" * 20, "A" * 19 + "!", "A" * 19 + "\x00"])
def test_what_cannot_be_a_code_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(ConsentError) as caught:
        read_secret(typed)
    assert not typed or typed not in str(caught.value)


def test_the_subject_needs_the_pepper() -> None:
    assert subject_of(b"a" * 32, "0" * 20) != subject_of(b"b" * 32, "0" * 20)
    # RFC 4231, test case 2
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert subject_of(b"Jefe", "what do ya want for nothing?").hex() == known


def test_visitors_of_different_days_purposes_stores_and_people_cannot_be_linked() -> None:
    seen = {
        visitor(key, purpose, period, store)
        for key in (b"a" * 32, b"b" * 32)
        for purpose in Purpose
        for period in ("2026-11-20", "2026-11-21", ALWAYS)
        for store in ("main", "side")
    }
    assert len(seen) == 2 * 4 * 3 * 2
    assert all(0 <= v < 2**64 for v in seen)


def test_the_parts_of_a_visitor_cannot_be_shifted() -> None:
    assert visitor(b"k" * 32, Purpose.DWELL, "ab", "c") != visitor(b"k" * 32, Purpose.DWELL, "a", "bc")


def test_visitor_is_the_documented_formula() -> None:
    # HMAC-SHA256(32 × 0x00, 00000005 "dwell" 0000000a "2026-11-20" 00000004 "main"), first 8 bytes: by openssl
    assert visitor(bytes(32), Purpose.DWELL, "2026-11-20", "main") == int("34bf94a99107acf0", 16)


def test_a_day_is_the_stores_own() -> None:
    berlin, tokyo = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
    late = 1_782_945_000_000_000  # 2026-07-01 22:30 UTC: past midnight in Berlin's summer
    assert period_of(Purpose.DWELL, late, berlin) == "2026-07-02"
    assert period_of(Purpose.DWELL, late, ZoneInfo("UTC")) == "2026-07-01"
    assert period_of(Purpose.EMOTION, late - 12 * 3_600_000_000, tokyo) == "2026-07-01"
    assert period_of(Purpose.REPEAT, late, berlin) == ALWAYS


def test_a_sealed_key_opens_for_whom_it_is_meant_alone(keys: KeyRing, tmp_path: Path) -> None:
    key = os.urandom(32)
    sealed = KeyRing.open(keys.directory, Role.KIOSK).seal(SUBJECT, key)
    assert key not in sealed
    for role in (Role.WATCH, Role.KEEPER):
        assert KeyRing.open(keys.directory, role).unseal(SUBJECT, sealed) == key
    for role in (Role.KIOSK, Role.DASHBOARD):
        with pytest.raises(ConsentError, match="does not hold"):
            KeyRing.open(keys.directory, role).unseal(SUBJECT, sealed)
    with pytest.raises(ConsentError):
        keys.unseal(bytes(32), sealed)  # moved to another subject
    with pytest.raises(ConsentError):
        KeyRing.create(tmp_path / "other").unseal(SUBJECT, sealed)


def test_every_bit_of_a_sealed_key_counts(keys: KeyRing) -> None:
    sealed = keys.seal(SUBJECT, os.urandom(32))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ConsentError):
            keys.unseal(SUBJECT, bytes(changed))
    for length in (0, 1, 84):
        with pytest.raises(ConsentError):
            keys.unseal(SUBJECT, sealed[:length])


def test_two_sealings_of_one_key_share_nothing(keys: KeyRing) -> None:
    first, second = (keys.seal(SUBJECT, bytes(32)) for _ in range(2))
    assert first[5:] != second[5:]


NAMES = ("pepper", "sealing", "log", "receipt", "certificate", "mailbox", "voucher")
HOLDS = {
    Role.KIOSK: {"pepper", "receipt", "voucher"},
    Role.PHONE: {"pepper"},
    Role.WATCH: {"sealing"},
    Role.KEEPER: {"pepper", "sealing", "log", "certificate", "mailbox"},
    Role.DASHBOARD: set(),
}


@pytest.mark.parametrize(("role", "held"), HOLDS.items())
def test_a_role_loads_and_is_dealt_its_own_keys_only(keys: KeyRing, tmp_path: Path, role: Role, held: set[str]) -> None:
    keys.deal(tmp_path / "dealt", role)
    private = {p.name.split("-")[0] for p in (tmp_path / "dealt").glob("*.key")}
    assert private == held
    for ring in (KeyRing.open(tmp_path / "dealt", role), KeyRing.open(keys.directory, role)):
        assert {name for name in NAMES if ring.holds(name)} == held
        assert ring.public_keys("log") == keys.public_keys("log")
        for name in {"log", "receipt", "certificate"} - held:  # those that sign
            with pytest.raises(ConsentError, match="does not hold"):
                ring.signing_key(name)
        if "pepper" not in held:
            with pytest.raises(ConsentError, match="pepper"):
                ring.subjects_of("0" * 20)


def test_the_phone_page_cannot_write_a_consent_down(keys: KeyRing, tmp_path: Path) -> None:
    keys.deal(tmp_path / "phone", Role.PHONE)
    assert {p.name for p in (tmp_path / "phone").iterdir()} == {"pepper-0001.key", "log-0001.pub"}
    for directory in (tmp_path / "phone", keys.directory):
        ring = KeyRing.open(directory, Role.PHONE)
        with pytest.raises(ConsentError, match="holds no sealing key"):
            ring.seal(SUBJECT, os.urandom(32))
        assert ring.subjects_of("0" * 20) == keys.subjects_of("0" * 20)


def test_a_letter_opens_for_the_keeper_alone_and_every_bit_of_it_counts(keys: KeyRing) -> None:
    generation, public = keys.newest("mailbox")
    letter = seal_to(public, generation, b"withdraw", LETTER)
    keeper = KeyRing.open(keys.directory, Role.KEEPER)
    assert keeper.open_letter(letter) == b"withdraw"
    assert b"withdraw" not in letter
    for role in set(Role) - {Role.KEEPER, Role.ADMIN}:
        with pytest.raises(ConsentError, match="does not hold"):
            KeyRing.open(keys.directory, role).open_letter(letter)
    for bit in range(len(letter) * 8):
        changed = bytearray(letter)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ConsentError):
            keeper.open_letter(bytes(changed))
    for junk in (b"", b"\x01", os.urandom(52), os.urandom(80), seal_to(public, generation, b"withdraw", SUBJECT_KEY)):
        with pytest.raises(ConsentError):
            keeper.open_letter(junk)


def test_the_token_for_the_mailbox_follows_from_its_key_and_rotates_with_it(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    (first,) = ring.mailbox_tokens()
    assert len(first) == 32
    assert KeyRing.open(ring.directory, Role.KEEPER).mailbox_tokens() == (first,)
    assert KeyRing.open(ring.directory, Role.KIOSK).mailbox_tokens() == ()
    assert ring.rotate("mailbox").mailbox_tokens()[1:] == (first,)


def test_less_cannot_deal_more(keys: KeyRing, tmp_path: Path) -> None:
    with pytest.raises(ConsentError, match="do not cover"):
        KeyRing.open(keys.directory, Role.KIOSK).deal(tmp_path / "x", Role.KEEPER)
    keys.deal(tmp_path / "kiosk", Role.KIOSK)
    with pytest.raises(ConsentError, match="lacks the keys certificate, log, mailbox, sealing"):
        KeyRing.open(tmp_path / "kiosk", Role.KEEPER)


def test_key_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    assert stat.S_IMODE(ring.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in ring.directory.iterdir()} == {0o600}
    for path in (ring.directory, ring.directory / "pepper-0001.key", ring.directory / "log-0001.pub"):
        mode = path.stat().st_mode
        for loose in (0o040, 0o004, 0o020, 0o001):
            path.chmod(mode | loose)
            with pytest.raises(ConsentError, match="chmod"):
                KeyRing.open(ring.directory, Role.KIOSK)
        path.chmod(mode)
    KeyRing.open(ring.directory, Role.KIOSK)


def test_keys_in_the_state_directory_are_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "link").symlink_to(state)
    for place in (state, state / "keys", state / "a" / "b", tmp_path / "link" / "keys"):
        with pytest.raises(ConsentError, match="state directory"):
            KeyRing.create(place, state=state)
    assert list(state.iterdir()) == []


def test_a_used_directory_and_a_damaged_key_are_refused(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    with pytest.raises(ConsentError, match="not empty"):
        KeyRing.create(ring.directory)
    with pytest.raises(ConsentError, match="not empty"):
        ring.deal(ring.directory, Role.KIOSK)
    (ring.directory / "pepper-0001.key").write_bytes(b"short")
    with pytest.raises(ConsentError, match="damaged"):
        KeyRing.open(ring.directory, Role.KIOSK)
    with pytest.raises(ConsentError, match="no key directory"):
        KeyRing.open(tmp_path / "nowhere", Role.KIOSK)


def test_no_key_shows_in_a_repr(keys: KeyRing) -> None:
    shown = repr(keys)
    for path in keys.directory.glob("*.key"):
        assert repr(path.read_bytes())[2:-1] not in shown
        assert path.read_bytes().hex() not in shown


def test_after_a_rotation_old_seals_open_until_their_key_is_retired(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    old = ring.seal(SUBJECT, b"k" * 32)
    known = ring.subjects_of("0" * 20)
    ring = ring.rotate("sealing").rotate("pepper").rotate("log")
    assert ring.unseal(SUBJECT, old) == b"k" * 32
    new = ring.seal(SUBJECT, b"k" * 32)
    assert (ring.generation_of(old), ring.generation_of(new)) == (1, 2)
    assert ring.subjects_of("0" * 20)[1:] == known
    assert ring.subjects_of("0" * 20)[0] not in known
    assert len(ring.public_keys("log")) == 2
    with pytest.raises(ConsentError, match="in use"):
        ring.retire("sealing", 2)
    ring = ring.retire("sealing", 1)
    with pytest.raises(ConsentError, match="generation 1"):
        ring.unseal(SUBJECT, old)
    assert ring.unseal(SUBJECT, new) == b"k" * 32
    with pytest.raises(ConsentError, match="administrator"):
        KeyRing.open(ring.directory, Role.KEEPER).rotate("log")
