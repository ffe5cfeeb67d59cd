"""Four eyes: whoever asks for a higher level does not approve it, and a signature fits one request."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cli
from analytics.state import State
from consent import approval, log
from consent.access import Access, DeniedError, Desk, Who
from consent.accesslog import AccessLog
from consent.accounts import Accounts
from consent.approval import ApprovalError, approve, approve_signed, ask, pending, signed
from consent.events import ConsentError, EventKind, Leaf, Level
from consent.keys import Role
from consent.ledger import Ledger
from tests import four_eyes
from tests.consent.shop import NOON, say_yes

NAME = "officer.example"


@dataclass
class Shop:
    ledger: Ledger
    access: Access
    now: list[int]

    def who(self, name: str, desk: Desk) -> Who:
        return self.access.accounts.add(name, desk, now_us=NOON).who()

    def kinds(self) -> list[EventKind]:
        self.access.close()
        return [Leaf.decode(data).kind for _, data in self.ledger.leaves(0, self.ledger.size)]


@pytest.fixture
def shop(ledger: Ledger) -> Iterator[Shop]:
    now = [NOON]
    with Accounts(ledger.path.parent / "access.sqlite") as accounts:
        access = Access(accounts, AccessLog(ledger, now_us=lambda: now[0]), now_us=lambda: now[0])
        yield Shop(ledger, access, now)


def test_two_people_raise_it_and_one_does_not(shop: Shop) -> None:
    ada, bo = shop.who("Ada", Desk.ADMINISTRATOR), shop.who("Bo", Desk.COMPLIANCE)
    with pytest.raises(ApprovalError, match="nothing is asked for"):
        approve(shop.ledger, shop.access, bo, Level.EMOTION, "DPIA-7")
    ask(shop.ledger, shop.access, ada, Level.EMOTION, "DPIA-7")
    with pytest.raises(ApprovalError, match="somebody else"):
        approve(shop.ledger, shop.access, ada, Level.EMOTION, "DPIA-7")
    assert shop.ledger.approved_level() is Level.COUNTS
    entry = approve(shop.ledger, shop.access, bo, Level.EMOTION, "DPIA-7")
    assert shop.ledger.approved_level() is Level.EMOTION
    assert Leaf.decode(next(shop.ledger.leaves(entry, entry + 1))[1]).kind is EventKind.LEVEL_RAISED
    with pytest.raises(ApprovalError, match="nothing is asked for"):
        approve(shop.ledger, shop.access, bo, Level.EMOTION, "DPIA-7")
    assert EventKind.ACCESS_DENIED in shop.kinds()


@pytest.mark.parametrize("desk", list(Desk))
def test_only_the_desks_of_the_table_ask_and_approve(shop: Shop, desk: Desk) -> None:
    somebody, other = shop.who("Ada", desk), shop.who("Bo", Desk.ADMINISTRATOR)
    if desk is Desk.ADMINISTRATOR:
        ask(shop.ledger, shop.access, somebody, Level.DWELL, "7")
    else:
        with pytest.raises(DeniedError):
            ask(shop.ledger, shop.access, somebody, Level.DWELL, "7")
    ask(shop.ledger, shop.access, other, Level.DWELL, "7")
    if desk is Desk.MANAGER:
        with pytest.raises(DeniedError):
            approve(shop.ledger, shop.access, somebody, Level.DWELL, "7")
    else:
        approve(shop.ledger, shop.access, somebody, Level.DWELL, "7")


def test_a_request_lapses_and_needs_an_assessment_and_a_way_up(shop: Shop) -> None:
    ada, bo = shop.who("Ada", Desk.ADMINISTRATOR), shop.who("Bo", Desk.COMPLIANCE)
    with pytest.raises(ApprovalError, match="assessment"):
        ask(shop.ledger, shop.access, ada, Level.DWELL, "  ")
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    shop.now[0] += approval.LAPSES_US
    assert pending(shop.ledger, shop.access) is None
    with pytest.raises(ApprovalError, match="lapsed"):
        approve(shop.ledger, shop.access, bo, Level.DWELL, "7")
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    approve(shop.ledger, shop.access, bo, Level.DWELL, "7")
    for level in (Level.COUNTS, Level.DWELL):
        with pytest.raises(ApprovalError, match="already"):
            ask(shop.ledger, shop.access, ada, level, "7")


def test_a_request_goes_with_the_account_that_asked(shop: Shop) -> None:
    ada, bo = shop.who("Ada", Desk.ADMINISTRATOR), shop.who("Bo", Desk.ADMINISTRATOR)
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    shop.access.accounts.remove("Ada")
    with pytest.raises(ApprovalError, match="nothing is asked for"):
        approve(shop.ledger, shop.access, bo, Level.DWELL, "7")


def test_an_outsiders_signature_raises_it_once_and_for_this_request(shop: Shop) -> None:
    ada, key = shop.who("Ada", Desk.ADMINISTRATOR), Ed25519PrivateKey.generate()
    line = log.verifier_key(NAME, key.public_key().public_bytes_raw())
    first = ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    note = signed(first.text(), NAME, key)
    with pytest.raises(ApprovalError, match="nobody outside"):
        approve_signed(shop.ledger, shop.access, note, None)
    with pytest.raises(ApprovalError, match="not in the log"):
        approve_signed(shop.ledger, shop.access, note, line)
    name(shop, line)
    for wrong in (
        signed(first.text(), NAME, Ed25519PrivateKey.generate()),
        signed(first.text(), "somebody.else", key),
        note.replace("level dwell", "level emotion"),
        note[:-6] + "AAAA=\n",
        first.text(),
        "",
    ):
        with pytest.raises(ConsentError):
            approve_signed(shop.ledger, shop.access, wrong, line)
    shop.now[0] += 1
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    with pytest.raises(ApprovalError, match="another request"):
        approve_signed(shop.ledger, shop.access, note, line)
    again = pending(shop.ledger, shop.access)
    assert again is not None
    approve_signed(shop.ledger, shop.access, signed(again.text(), NAME, key), line)
    assert shop.ledger.approved_level() is Level.DWELL
    with pytest.raises(ApprovalError, match="nothing is asked for"):
        approve_signed(shop.ledger, shop.access, signed(again.text(), NAME, key), line)


def test_nothing_is_approved_but_what_was_read(shop: Shop) -> None:
    ada, bo = shop.who("Ada", Desk.ADMINISTRATOR), shop.who("Bo", Desk.COMPLIANCE)
    ask(shop.ledger, shop.access, ada, Level.DWELL, "DPIA-1")
    ask(shop.ledger, shop.access, ada, Level.EMOTION, "DPIA-2")  # after Bo read the first
    for level, reference in ((Level.DWELL, "DPIA-1"), (Level.EMOTION, "DPIA-1"), (Level.DWELL, "DPIA-2")):
        with pytest.raises(ApprovalError, match="what is asked for is emotion"):
            approve(shop.ledger, shop.access, bo, level, reference)
    assert shop.ledger.approved_level() is Level.COUNTS
    approve(shop.ledger, shop.access, bo, Level.EMOTION, " DPIA-2 ")


def name(shop: Shop, key: str | None) -> None:
    """Have the log say whom store.toml names, as the keeper does."""
    shop.ledger.note_config("ee" * 32, now_us=shop.now[0], approver=approval.approver(key))


def test_an_administrator_does_not_approve_with_a_key_of_their_own(shop: Shop) -> None:
    ada, own, officer = shop.who("Ada", Desk.ADMINISTRATOR), Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    mine, theirs = (log.verifier_key(NAME, key.public_key().public_bytes_raw()) for key in (own, officer))
    name(shop, theirs)
    assert "counts since" in approval.standing(shop.ledger, theirs, now_us=shop.now[0])
    for before in (None, theirs):  # her own after the officer's, and after nobody's
        name(shop, before)
        name(shop, mine)
        note = signed(ask(shop.ledger, shop.access, ada, Level.DWELL, "7").text(), NAME, own)
        with pytest.raises(ApprovalError, match="is new"):
            approve_signed(shop.ledger, shop.access, note, mine)
    assert "DOES NOT COUNT" in approval.standing(shop.ledger, mine, now_us=shop.now[0])
    since = shop.now[0]
    shop.now[0] = since + approval.STANDS_US - 1
    note = signed(ask(shop.ledger, shop.access, ada, Level.DWELL, "7").text(), NAME, own)
    with pytest.raises(ApprovalError, match="is new"):
        approve_signed(shop.ledger, shop.access, note, mine)
    shop.now[0] += 1
    shop.ledger.note_config("dd" * 32, now_us=shop.now[0])  # another setting: the key stands on
    approve_signed(shop.ledger, shop.access, note, mine)
    assert shop.ledger.approved_level() is Level.DWELL


def test_once_somebody_consented_no_key_counts_at_once(shop: Shop) -> None:
    ada, key = shop.who("Ada", Desk.ADMINISTRATOR), Ed25519PrivateKey.generate()
    line = log.verifier_key(NAME, key.public_key().public_bytes_raw())
    say_yes(shop.ledger)
    name(shop, line)
    note = signed(ask(shop.ledger, shop.access, ada, Level.EMOTION, "7").text(), NAME, key)
    with pytest.raises(ApprovalError, match="is new"):
        approve_signed(shop.ledger, shop.access, note, line)


def test_an_entry_that_nobody_can_read_any_more_ends_the_standing(shop: Shop) -> None:
    key = Ed25519PrivateKey.generate()
    line = log.verifier_key(NAME, key.public_key().public_bytes_raw())
    name(shop, None)
    name(shop, line)
    with sqlite3.connect(shop.ledger.path) as file:
        file.execute("DELETE FROM records WHERE leaf = 1")
    assert approval.counts_from(shop.ledger, line) is None
    name(shop, line)
    assert approval.counts_from(shop.ledger, line) == shop.now[0] + approval.STANDS_US


def taken(shop: Shop, who: Who, how: str) -> Who:
    """Have somebody else put an account into other hands, as the commands do."""
    accounts = shop.access.accounts
    if how == "made":
        accounts.remove(who.name)
        who = accounts.add(who.name, who.desk, now_us=shop.now[0]).who()
    elif how == "password":
        accounts.set_password(who.name, "four words of somebody else")
    else:
        accounts.set_desk(who.name, who.desk)
    shop.access.log.changed(who.account, how, desk=who.desk)
    return who


@pytest.mark.parametrize("how", ["made", "password", "desk"])
def test_an_account_that_was_taken_over_approves_nothing_for_two_weeks(shop: Shop, how: str) -> None:
    ada, bo = shop.who("Ada", Desk.ADMINISTRATOR), shop.who("Bo", Desk.COMPLIANCE)
    say_yes(shop.ledger)
    shop.now[0] += approval.STANDS_US
    ask(shop.ledger, shop.access, ada, Level.EMOTION, "7")
    shop.now[0] += 1
    bo = taken(shop, bo, how)
    with pytest.raises(ApprovalError, match="after this was asked for"):
        approve(shop.ledger, shop.access, bo, Level.EMOTION, "7")
    since = shop.now[0]
    ask(shop.ledger, shop.access, ada, Level.EMOTION, "7")
    with pytest.raises(ApprovalError, match="lately"):
        approve(shop.ledger, shop.access, bo, Level.EMOTION, "7")
    shop.now[0] = since + approval.STANDS_US - 1
    ask(shop.ledger, shop.access, ada, Level.EMOTION, "7")
    with pytest.raises(ApprovalError, match="lately"):
        approve(shop.ledger, shop.access, bo, Level.EMOTION, "7")
    assert shop.ledger.approved_level() is Level.COUNTS
    shop.now[0] += 1
    approve(shop.ledger, shop.access, bo, Level.EMOTION, "7")
    assert EventKind.ACCESS_DENIED in shop.kinds()


def test_who_changes_their_own_password_is_still_themselves(shop: Shop) -> None:
    ada, bo = shop.who("Ada", Desk.ADMINISTRATOR), shop.who("Bo", Desk.COMPLIANCE)
    say_yes(shop.ledger)
    shop.now[0] += approval.STANDS_US
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    shop.now[0] += 1
    shop.access.log.changed(bo.account, "password", by=bo.account)
    approve(shop.ledger, shop.access, bo, Level.DWELL, "7")


def test_in_a_shop_where_nobody_consented_the_first_two_need_not_wait_but_no_third_comes_in_between(shop: Shop) -> None:
    ada = shop.who("Ada", Desk.ADMINISTRATOR)
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    shop.now[0] += 1
    late = shop.access.accounts.add("Eve", Desk.COMPLIANCE, now_us=shop.now[0]).who()
    with pytest.raises(ApprovalError, match="after this was asked for"):
        approve(shop.ledger, shop.access, late, Level.DWELL, "7")
    ask(shop.ledger, shop.access, ada, Level.DWELL, "7")
    approve(shop.ledger, shop.access, late, Level.DWELL, "7")


@pytest.mark.parametrize("text", ["", "x\n", "openaisle privacy level\n", "openaisle privacy level\n" * 6 + "x"])
def test_nothing_but_a_request_is_signed(text: str) -> None:
    with pytest.raises(ApprovalError, match="no request"):
        signed(text, NAME, Ed25519PrivateKey.generate())


# --- by command -------------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *words: str | Path, status: int = 0) -> str:
    assert cli.main([str(word) for word in words]) == status
    said = capsys.readouterr()
    if status:
        assert said.err.count("\n") == 1
        return said.err
    return said.out


def test_the_commands_of_four_eyes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "shop"
    run(capsys, "init", root)
    add_ada, add_grace, request, approving = four_eyes.words(root, "dwell", tmp_path)
    run(capsys, *add_ada)
    run(capsys, *add_grace)
    run(capsys, *request)
    assert "asked for by account" in run(capsys, "level", "show", "--state", root)
    by_ada = [request[0], "approve", *request[2:]]
    assert "somebody else" in run(capsys, *by_ada, status=2)
    wrong = [word.replace("compliance.password", "administrator.password") for word in approving]
    assert "name, password or code is wrong" in run(capsys, *wrong, status=2)
    assert "approved: counts" in run(capsys, "level", "show", "--state", root)
    other = [word.replace("DPIA-7", "DPIA-8") for word in approving]
    assert "what is asked for is dwell" in run(capsys, *other, status=2)
    assert "what is asked for is dwell" in run(capsys, *(w.replace("dwell", "emotion") for w in approving), status=2)
    assert "name what you approve" in run(capsys, *approving[:2], *approving[5:], status=2)
    run(capsys, *approving)
    assert "approved: dwell" in run(capsys, "level", "show", "--state", root)
    assert "ask for it" in run(capsys, "level", "lower", "emotion", "--state", root, status=2)
    assert "approved: counts" in run(capsys, "level", "lower", "counts", "--state", root)


def test_a_sole_owner_and_an_outsider(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, key, asked = tmp_path / "shop", tmp_path / "officer.key", tmp_path / "request"
    run(capsys, "init", root)
    add_ada, _, request, _ = four_eyes.words(root, "dwell", tmp_path)
    run(capsys, *add_ada)
    line = run(capsys, "level", "key", key, "--name", NAME).strip()
    assert key.stat().st_mode & 0o077 == 0
    run(capsys, *request, "--out", asked)
    note = tmp_path / "note"
    note.write_text(run(capsys, "level", "sign", asked, "--key", key))
    approving = ["level", "approve", "--state", str(root), "--signed", str(note)]
    assert "nobody outside" in run(capsys, *approving, status=2)
    toml = root / "store.toml"
    toml.write_text(toml.read_text() + '\n[dashboard]\napprover = "not a key"\n')
    assert "level key" in run(capsys, *approving, status=2)
    toml.write_text(toml.read_text().replace("not a key", line))
    assert "approved: dwell" in run(capsys, *approving)
    with State.read(root).open_ledger(Role.DASHBOARD) as ledger:
        assert ledger.approved_level() is Level.DWELL


def test_a_request_that_cannot_be_written_was_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, kept = tmp_path / "shop", tmp_path / "request"
    run(capsys, "init", root)
    add_ada, _, request, _ = four_eyes.words(root, "dwell", tmp_path)
    run(capsys, *add_ada)
    kept.write_text("kept")
    for unusable in (kept, tmp_path / "nowhere" / "request"):
        run(capsys, *request, "--out", unusable, status=2)
        assert "asked for by account" not in run(capsys, "level", "show", "--state", root)
    assert kept.read_text() == "kept"
    (tmp_path / "administrator.password").write_text("not the password of anybody\n")
    run(capsys, *request, "--out", tmp_path / "other", status=2)
    assert not (tmp_path / "other").exists()


def test_the_commands_about_accounts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, secret = tmp_path / "shop", tmp_path / "secret"
    run(capsys, "init", root)
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o644)
    add: list[str | Path] = [
        "user",
        "add",
        "Ada",
        "--desk",
        "administrator",
        "--state",
        root,
        "--password-file",
        secret,
    ]
    assert "chmod 600" in run(capsys, *add, status=2)
    secret.chmod(0o600)
    assert "made Ada" in run(capsys, *add)
    assert "already" in run(capsys, *add, status=2)
    assert "no terminal" in run(capsys, *add[:-2], status=2)
    assert "names no provider" in run(capsys, *add[:-2], "--oidc", "a@b.example", status=2)
    run(capsys, "user", "add", "Bo", "--desk", "manager", "--state", root, "--password-file", secret)
    assert "compliance desk" in run(capsys, "user", "role", "bo", "compliance", "--state", root)
    assert "new password" in run(capsys, "user", "passwd", "bo", "--state", root, "--password-file", secret)
    assert "0 sessions" in run(capsys, "user", "sign-out", "bo", "--state", root)
    assert "only administrator" in run(capsys, "user", "remove", "ada", "--state", root, status=2)
    assert "removed Bo" in run(capsys, "user", "remove", "bo", "--state", root)
    assert run(capsys, "user", "list", "--state", root).startswith("Ada  administrator  password")
    assert '"Ada"' in run(capsys, "user", "list", "--json", "--state", root)
    with State.read(root).open_ledger(Role.DASHBOARD) as ledger:
        said = [Leaf.decode(data).kind for _, data in ledger.leaves(0, ledger.size)]
    assert said.count(EventKind.ACCOUNT_CHANGED) == 6
