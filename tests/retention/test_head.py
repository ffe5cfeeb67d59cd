"""A ledger put back by hand is refused by every process, and nothing that was said since is forgotten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import cli
from analytics.config import ConfigError
from analytics.state import HEAD, State
from consent.keys import Role
from retention.keeper import Keeper
from tests.retention.keeping import NOON, SECOND, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop.make(tmp_path / "shop")


def sweep(shop: Shop, now_us: int) -> None:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper.run_once(now_us)


def put_back(shop: Shop, tmp_path: Path) -> None:
    """Keep a copy, let somebody withdraw, and put the copy back."""
    yes = shop.yes(now_us=NOON)
    sweep(shop, NOON + SECOND)
    shop.ledger.close()
    old = tmp_path / "old.sqlite"
    shutil.copy(shop.state.ledger, old)
    with shop.state.open_ledger(Role.KIOSK) as ledger:
        ledger.withdraw(yes.secret, now_us=NOON + 2 * SECOND)
    sweep(shop, NOON + 3 * SECOND)
    shutil.copy(old, shop.state.ledger)


def test_no_process_opens_a_ledger_that_was_put_back(shop: Shop, tmp_path: Path) -> None:
    put_back(shop, tmp_path)
    for role in Role:
        with pytest.raises(ConfigError, match=r"was put back by hand.*openaisle restore"):
            shop.state.open_ledger(role)


@pytest.mark.parametrize(
    "words",
    [["watch"], ["kiosk"], ["keeper", "--once"], ["consent", "grant", "dwell", "--notice", "x"], ["consent", "show"]],
)
def test_every_command_says_so_in_one_line(
    shop: Shop, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put_back(shop, tmp_path)
    assert cli.main([*words, "--state", str(shop.state.root)]) == 2
    said = capsys.readouterr().err
    assert "put back by hand" in said
    assert said.count("\n") == 1


def test_status_says_it_and_goes_on(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_back(shop, tmp_path)
    assert cli.main(["retention", "status", "--state", str(shop.state.root)]) == 0
    assert "problem: " in (said := capsys.readouterr().out)
    assert "was put back by hand" in said


def test_a_log_that_differs_at_the_same_length_is_refused(shop: Shop, tmp_path: Path) -> None:
    shop.ledger.close()
    old = tmp_path / "old.sqlite"
    shutil.copy(shop.state.ledger, old)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    yes = shop.yes(now_us=NOON)
    sweep(shop, NOON + SECOND)
    size = shop.ledger.size
    shop.ledger.close()
    shutil.copy(old, shop.state.ledger)
    with pytest.raises(ConfigError):
        shop.state.open_ledger(Role.KIOSK)
    note = (shop.state.journal / HEAD).read_text()
    (shop.state.journal / HEAD).unlink()  # somebody takes care to go on from the copy
    with shop.state.open_ledger(Role.ADMIN) as ledger:
        while ledger.size < size:
            ledger.object(now_us=NOON + SECOND)
    (shop.state.journal / HEAD).write_text(note)
    with pytest.raises(ConfigError, match="put back by hand"):
        shop.state.open_ledger(Role.KIOSK)
    assert yes.secret not in note


def test_a_shop_without_a_keeper_a_copy_elsewhere_and_a_newer_log_are_opened(shop: Shop, tmp_path: Path) -> None:
    assert not shop.state.journal.exists()
    shop.state.open_ledger(Role.KIOSK).close()
    sweep(shop, NOON)
    assert (shop.state.journal / HEAD).is_file()
    for _ in range(3):
        shop.yes(now_us=NOON + SECOND)  # the keeper has not signed it yet
    shop.state.open_ledger(Role.KIOSK).close()
    shop.ledger.close()
    shutil.copytree(shop.state.root, tmp_path / "copy")
    State.read(tmp_path / "copy", shop.state.keys).open_ledger(Role.KIOSK).close()


def test_a_head_of_another_shop_or_a_broken_one_is_one_line(shop: Shop, tmp_path: Path) -> None:
    sweep(shop, NOON)
    other = Shop.make(tmp_path / "other")
    sweep(other, NOON)
    for wrong in ((other.state.journal / HEAD).read_bytes(), b"", b"\xff\xfe", b"{}"):
        (shop.state.journal / HEAD).write_bytes(wrong)
        with pytest.raises(ConfigError, match=HEAD):
            shop.state.open_ledger(Role.KIOSK)
    other.ledger.close()


def test_other_users_may_read_the_head_and_nothing_else_of_the_journal(shop: Shop) -> None:
    sweep(shop, NOON)
    folder = shop.state.journal
    folder.chmod(0o700)  # as an earlier version made it
    shop.yes(now_us=NOON)
    sweep(shop, NOON + SECOND)
    assert folder.stat().st_mode & 0o777 == 0o711
    assert {p.name: p.stat().st_mode & 0o077 for p in folder.iterdir()} == {
        "journal.jsonl": 0,
        "lock": 0,
        HEAD: 0o044,
    }


def test_a_keeper_that_was_killed_before_it_put_the_head_down_does_so_next(shop: Shop) -> None:
    sweep(shop, NOON)
    shop.yes(now_us=NOON)
    sweep(shop, NOON + SECOND)
    newest = (shop.state.journal / HEAD).read_text()
    (shop.state.journal / HEAD).unlink()
    sweep(shop, NOON + 2 * SECOND)
    assert (shop.state.journal / HEAD).read_text() == newest
