"""Backup and restore: what comes back, what must never, what is refused, and what a crash or a changed byte does."""

from __future__ import annotations

import base64
import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cli
from analytics.config import ConfigError
from analytics.figures import Audience
from analytics.state import RESTORING, State
from consent import log
from consent.audit import audit
from consent.events import EventKind, Leaf, Level, Purpose
from consent.keys import Role
from consent.ledger import Ledger, RequestStatus
from consent.witness import Witness, request
from retention import archive, restore
from retention.archive import BackupError, Manifest
from retention.backup import REQUEST, backup
from retention.erasure import Erasure
from retention.figures import Released
from retention.journal import Journal
from retention.journalled import NAME, JournalError
from retention.keeper import Keeper, PassReport
from retention.restore import Restored
from tests.apart import read_apart
from tests.command import Place
from tests.retention import keeper_child
from tests.retention.keeping import DAY_US, NOON, NOTICE, SECOND, Shop

RUNS = int(os.environ.get("OPENAISLE_RUNS", "8"))
EVERY_BIT = "OPENAISLE_EVERY_BIT" in os.environ  # a bit of each byte, not of each seventh: `make soak`
MINUTE = 60 * SECOND


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory where there is one: processes are killed here, and no machine."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def shop(place: Path) -> Iterator[Shop]:
    shop = Shop.make(place / "shop")
    yield shop
    shop.ledger.close()


def run_once(shop: Shop, now_us: int) -> PassReport:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        return keeper.run_once(now_us)


def back(shop: Shop, made: Path, now_us: int, **how: object) -> Restored:
    """Lose the disk, and restore."""
    lose(shop)
    done = restore.restore(made, shop.state.root, now_us, **how)  # type: ignore[arg-type]
    shop.state = State.read(shop.state.root)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    return done


def lose(shop: Shop) -> None:
    shop.ledger.close()
    shutil.rmtree(shop.state.root)


def forms(number: int) -> list[bytes]:
    raw = number.to_bytes(8, "little")
    found = [raw, raw[::-1], raw.hex().encode(), raw[::-1].hex().encode(), str(number).encode()]
    return [*found, base64.b64encode(raw)[:10], base64.b64encode(raw[::-1])[:10]]


def hits(root: Path, needles: list[bytes]) -> dict[str, int]:
    """Where the bytes stand, by a search that shares nothing with the product's."""
    found: Counter[str] = Counter()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            data = read_apart(path)
            found[path.name] += sum(data.count(needle) for needle in needles)
    return {name: n for name, n in found.items() if n}


def busy(shop: Shop, people: int = 6) -> list[tuple[str, bytes, int]]:
    """People with a row each in the visits; return code, subject and pseudonym of each."""
    run_once(shop, NOON)  # the journal begins
    granted = [shop.yes() for _ in range(people)]
    for i, one in enumerate(granted):
        assert shop.stay(one.subject, NOON + (i + 1) * SECOND)
    run_once(shop, NOON + MINUTE)
    return [(one.secret, one.subject, shop.hash_of(one.subject, NOON)) for one in granted]


# --- what comes back --------------------------------------------------------------------------------------------------


def test_what_was_there_is_there_again_and_the_file_is_for_its_owner_only(shop: Shop, place: Path) -> None:
    people = busy(shop)
    shop.stay(people[0][1], NOON + 2 * MINUTE)  # still in the inbox
    rows, size, root = shop.rows(), shop.ledger.size, shop.ledger.root()
    made = backup(shop.state, shop.ledger, place, NOON + 3 * MINUTE)
    assert made.name == "openaisle-shop-20260921T141620Z.tar"
    assert made.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in place.iterdir()) == [made.name, "shop", "shop-journal", "shop-keys"]
    done = back(shop, made, NOON + 4 * MINUTE)
    assert (done.adopted, done.ended, done.erased) == (0, 0, ())
    assert shop.rows() == rows
    assert shop.ledger.root(size) == root
    assert [Leaf.decode(data).kind for _, data in shop.ledger.leaves(size, shop.ledger.size)] == [EventKind.RESTORED]
    assert [shop.ledger.find(code) for code, _, _ in people] == [subject for _, subject, _ in people]
    assert len(shop.ledger.read_inbox()) == 1
    assert run_once(shop, NOON + 5 * MINUTE).loaded == 1
    assert len(shop.rows()) == len(rows) + 1
    audit(shop.ledger)
    assert not (shop.state.root / RESTORING).exists()


def test_a_tar_lists_it_and_no_key_journal_export_or_account_is_in_it(shop: Shop, place: Path) -> None:
    busy(shop)
    for name in ("exports", "certificates", "spill"):
        (shop.state.root / name).mkdir()
    (shop.state.root / "exports" / "sealed.zip").write_bytes(b"SEALED ANSWER")
    (shop.state.root / "certificates" / "1.json").write_bytes(b"{}")
    (shop.state.root / "access.sqlite").write_bytes(b"ARGON2 HASHES")
    (shop.state.root / "notes.txt").write_bytes(b"SOMETHING ELSE")
    made = backup(shop.state, shop.ledger, place / "b.tar", NOON + 2 * MINUTE)
    with tarfile.open(made) as tar:
        names = tar.getnames()
    assert [n for n in names if not n.startswith("released/")] == [
        *("manifest.json", "store.toml", "ledger.sqlite", "visits.duckdb", "certificates/1.json")
    ]
    assert any(n.startswith("released/") for n in names)
    data = made.read_bytes()
    for word in (b"SEALED ANSWER", b"ARGON2 HASHES", b"SOMETHING ELSE", (shop.state.journal / NAME).read_bytes()[:60]):
        assert word not in data
    for key in shop.state.keys.glob("*.key"):
        secret = key.read_bytes()
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:40]):
            assert form not in data, key.name


def test_numbers_of_the_inbox_go_on_above_those_the_visits_know(shop: Shop, place: Path) -> None:
    """The ledger is copied first: rows written and loaded meanwhile are in the visits and not in the ledger."""
    (_, her, _), *_ = busy(shop)
    real = Journal.follow

    def later(self: Journal, now_us: int) -> int:
        with pytest.MonkeyPatch.context() as once:
            once.setattr(Journal, "follow", real)
            for i in range(40):
                assert shop.stay(her, NOON + 2 * MINUTE + i * SECOND)
            run_once(shop, NOON + 4 * MINUTE)
        return real(self, now_us)

    with pytest.MonkeyPatch.context() as between:
        between.setattr(Journal, "follow", later)
        made = backup(shop.state, shop.ledger, place, NOON + 5 * MINUTE)
    before = sorted(enter for _, enter in shop.rows())
    back(shop, made, NOON + 6 * MINUTE)
    assert sorted(enter for _, enter in shop.rows()) == before
    for i in range(45):
        assert shop.stay(her, NOON + 7 * MINUTE + i * SECOND)
    assert run_once(shop, NOON + 9 * MINUTE).loaded == 45
    assert len(shop.rows()) == len(before) + 45


def test_made_while_keeper_and_visitors_are_at_work_it_loses_no_acknowledged_row_and_doubles_none(place: Path) -> None:
    rng = random.Random(3)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([keeper_child.__name__])
    for run in range(max(3, RUNS // 4)):
        shop = Shop.make(place / f"shop{run}")
        people = [shop.yes(Purpose.DWELL).subject for _ in range(4)]
        keep, come = (str(shop.state.root), NOON + DAY_US), (str(shop.state.root), people, NOON + SECOND)
        keeper = processes.Process(target=keeper_child.keep, args=keep, daemon=True)
        keeper.start()
        writer = processes.Process(target=keep_coming, args=come, daemon=True)
        writer.start()
        while not shop.ledger.select("SELECT seq FROM sqlite_sequence WHERE name = 'inbox'"):
            time.sleep(0.05)
        time.sleep(rng.random())
        ((written,),) = shop.ledger.select("SELECT seq FROM sqlite_sequence WHERE name = 'inbox'")
        made = backup(shop.state, shop.ledger, place / f"{run}.tar", NOON + DAY_US, patience_s=60)
        assert writer.is_alive()
        assert keeper.is_alive()
        for process in (writer, keeper):
            process.kill()
            process.join()
        back(shop, made, NOON + DAY_US + SECOND)
        run_once(shop, NOON + DAY_US + MINUTE)
        entered = [enter for _, enter in shop.rows()]
        assert len(entered) == len(set(entered)), "doubled"
        assert set(range(written)) <= {(enter - NOON) // SECOND - 1 for enter in entered}, "lost"
        shop.ledger.close()


def keep_coming(root: str, people: list[bytes], start_us: int) -> None:
    """Write visits, one a second of the shop's clock, until killed."""
    state = State.read(Path(root))
    with state.open_ledger(Role.ADMIN) as ledger:
        shop = Shop(state, ledger)
        i = 0
        while True:
            assert shop.stay(people[i % len(people)], start_us + i * SECOND)
            i += 1
            time.sleep(0.002)


# --- what must not come back ------------------------------------------------------------------------------------------


def test_whoever_was_erased_since_is_in_no_byte_of_what_comes_back_though_the_backup_holds_them(
    shop: Shop, place: Path
) -> None:
    people = busy(shop, 20)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    gone = people[:5]
    wrapped = [shop.ledger.select("SELECT wrapped FROM subjects WHERE subject = ?", s)[0][0] for _, s, _ in gone]
    for code, _, _ in gone:
        shop.ledger.withdraw(code, now_us=NOON + 3 * MINUTE)
    assert [e.subjects for e in run_once(shop, NOON + 4 * MINUTE).erased] == [5]
    needles = [form for _, _, pseudonym in gone for form in forms(pseudonym)]
    needles += [subject for _, subject, _ in gone] + wrapped

    plain = place / "plain"
    plain.mkdir()
    with tarfile.open(made) as tar:
        tar.extractall(plain, filter="data")
    control = hits(plain, needles)
    assert control["visits.duckdb"] >= 5
    assert control["ledger.sqlite"] >= 10

    done = back(shop, made, NOON + 5 * MINUTE)
    assert [(e.subjects, e.rows) for e in done.erased] == [(5, 5)]
    assert hits(shop.state.root, needles) == {}
    assert len(shop.rows()) == len(shop.ledger.subjects()) == 15
    run_once(shop, NOON + 6 * MINUTE)
    assert hits(shop.state.root, needles) == {}
    audit(shop.ledger)


def test_a_consent_that_ended_since_stays_ended_though_nothing_was_erased_yet(shop: Shop, place: Path) -> None:
    her, him = shop.yes(Purpose.DWELL, Purpose.REPEAT), shop.yes()
    for one in (her, him):
        shop.stay(one.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    number = shop.hash_of(her.subject, NOON)
    shop.ledger.withdraw(her.secret, now_us=NOON + 3 * MINUTE, purposes=[Purpose.DWELL])
    shop.ledger.withdraw(him.secret, now_us=NOON + 3 * MINUTE)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper._sign(NOON + 3 * MINUTE)  # the keeper has seen it, and dies
    done = back(shop, made, NOON + 4 * MINUTE)
    assert (done.adopted, done.ended, [(e.subjects, e.rows) for e in done.erased]) == (2, 2, [(1, 2)])
    assert shop.ledger.subjects() == [her.subject]
    assert {s.purpose for s in shop.ledger.standing(her.subject) if s.state.permits} == {Purpose.REPEAT}
    assert (shop.rows(), len(shop.rows(Purpose.REPEAT))) == ([], 1)
    assert hits(shop.state.root, forms(number)) == {}
    audit(shop.ledger)


def test_who_came_back_before_the_backup_is_not_erased_by_what_was_before(shop: Shop, place: Path) -> None:
    her = shop.yes()
    shop.ledger.withdraw(her.secret, now_us=NOON + SECOND)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        journal = Journal(shop.state.journal, ledger)
        journal.append([ledger.number_of(her.subject)], 1, NOON + 2 * SECOND)  # written down, and not begun
        del keeper
    again = {"notice_sha256": NOTICE, "language": "en", "version": "1", "secret": her.secret}
    shop.ledger.grant([Purpose.DWELL], now_us=NOON + MINUTE, **again)  # type: ignore[arg-type]
    shop.stay(her.subject, NOON + 2 * MINUTE)
    run_once(shop, NOON + 3 * MINUTE)
    made = backup(shop.state, shop.ledger, place, NOON + 4 * MINUTE)
    assert back(shop, made, NOON + 5 * MINUTE).erased == ()
    assert len(shop.rows()) == 1


def level_lowered(shop: Shop) -> None:
    shop.set('level = "repeat"', 'level = "counts"')


def term_shortened(shop: Shop) -> None:
    toml = shop.state.root / "store.toml"
    toml.write_text(toml.read_text() + "\n[terms]\ndwell = 1\n")


@pytest.mark.parametrize("change", [level_lowered, term_shortened])
def test_rows_that_went_by_a_stricter_store_toml_do_not_come_back_with_the_older_one(
    shop: Shop, place: Path, change: Callable[[Shop], None]
) -> None:
    people = busy(shop)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    change(shop)
    later = NOON + 2 * DAY_US
    assert [e.rows for e in run_once(shop, later).erased] == [6]
    done = back(shop, made, later + MINUTE)
    assert [e.rows for e in done.erased] == [6]
    assert shop.rows() == []
    assert hits(shop.state.root, [f for _, _, pseudonym in people for f in forms(pseudonym)]) == {}


def test_what_is_past_its_term_by_now_does_not_come_back(shop: Shop, place: Path) -> None:
    people = busy(shop)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    done = back(shop, made, NOON + 31 * DAY_US)
    assert [(e.subjects, e.rows) for e in done.erased] == [(6, 6)]
    assert hits(shop.state.root, [f for _, _, pseudonym in people for f in forms(pseudonym)]) == {}


def test_a_figure_that_may_have_been_released_since_is_not_drawn_again(shop: Shop, place: Path) -> None:
    people = busy(shop, 25)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    later = NOON + DAY_US
    assert run_once(shop, later).cells > 0
    cells = Released(shop.state.released).cells()
    assert any(row["audience"] == "consenting" and not row["suppressed"] for row in cells)
    shop.ledger.withdraw(people[0][0], now_us=later)
    run_once(shop, later + MINUTE)
    back(shop, made, later + 2 * MINUTE)
    for now_us in (later + 3 * MINUTE, later + 2 * DAY_US):
        run_once(shop, now_us)
    again = [row for row in Released(shop.state.released).cells() if row["audience"] == Audience.CONSENTING]
    assert again
    assert all(row["suppressed"] for row in again)


def test_a_state_that_is_replaced_keeps_its_figures_and_its_staff(shop: Shop, place: Path) -> None:
    busy(shop, 25)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    run_once(shop, NOON + DAY_US)
    (shop.state.root / "access.sqlite").write_bytes(b"staff")
    cells = Released(shop.state.released).cells()
    shop.ledger.close()
    restore.restore(made, shop.state.root, NOON + DAY_US + MINUTE, replace_state=True)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert Released(shop.state.released).cells() == cells
    assert (shop.state.root / "access.sqlite").read_bytes() == b"staff"
    run_once(shop, NOON + DAY_US + 2 * MINUTE)
    assert Released(shop.state.released).cells() == cells


def test_a_state_that_is_replaced_tells_the_journal_first_what_no_keeper_had_seen(shop: Shop, place: Path) -> None:
    people = busy(shop)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    shop.ledger.withdraw(people[0][0], now_us=NOON + 3 * MINUTE)
    shop.ledger.close()
    done = restore.restore(made, shop.state.root, NOON + 4 * MINUTE, replace_state=True)
    assert [(e.subjects, e.rows) for e in done.erased] == [(1, 1)]
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert people[0][1] not in shop.ledger.subjects()


# --- the log goes on --------------------------------------------------------------------------------------------------


def test_what_no_keeper_had_seen_is_told_though_store_toml_has_a_slip_in_it(shop: Shop, place: Path) -> None:
    people = busy(shop)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    shop.ledger.withdraw(people[0][0], now_us=NOON + 3 * MINUTE)
    shop.ledger.close()
    path = shop.state.root / "store.toml"
    path.write_text(path.read_text().replace("[store]", "[stroe]"))
    done = restore.restore(made, shop.state.root, NOON + 4 * MINUTE, keys=shop.state.keys, replace_state=True)
    assert (done.adopted, done.ended, len(done.erased)) == (1, 1, 1)


def test_the_log_goes_on_where_the_lost_one_ended_and_fits_every_receipt_and_the_witness(
    shop: Shop, place: Path
) -> None:
    busy(shop)
    witness = Witness.create(place / "witness", "officer.example/shop", log_key(shop))
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    shop.ledger.set_level(Level.DWELL, now_us=NOON + 3 * MINUTE)
    shop.yes(now_us=NOON + 3 * MINUTE)
    run_once(shop, NOON + 4 * MINUTE)
    seen = witness.cosign(request(shop.ledger, 0), now_s=NOON // SECOND)
    lost = [data for _, data in shop.ledger.leaves(0, shop.ledger.size)]
    size = shop.ledger.size

    done = back(shop, made, NOON + 5 * MINUTE, known=[seen], witness=key_of(witness))
    assert done.adopted == 3  # level, yes, and the settings in force with the new level
    assert [data for _, data in shop.ledger.leaves(0, size)] == lost
    assert shop.ledger.approved_level() is Level.DWELL
    audit(shop.ledger)
    run_once(shop, NOON + 6 * MINUTE)
    again = witness.cosign(request(shop.ledger, witness.size), now_s=NOON // SECOND + 60)
    assert log.open_note(again, shop.ledger.keys.public_keys("log")).size > size
    log.export(shop.ledger, place / "export")
    checked = log.verify(place / "export", shop.ledger.keys.public_keys("log"), known=[seen, again])
    assert checked.known == 2
    made_again = backup(shop.state, shop.ledger, place / "second.tar", NOON + 7 * MINUTE)
    assert back(shop, made_again, NOON + 8 * MINUTE, known=[seen, again]).adopted == 0
    # and the first one once more, over everything that has been since
    assert back(shop, made, NOON + 9 * MINUTE, known=[seen, again]).adopted > 2
    audit(shop.ledger)


def log_key(shop: Shop) -> str:
    return log.verifier_key(shop.ledger.origin, shop.ledger.keys.public_keys("log")[0])


def key_of(witness: Witness) -> tuple[str, bytes]:
    return log.read_verifier_key(witness.verifier_key)[:2]


# --- refusals ---------------------------------------------------------------------------------------------------------


def journal_lost(shop: Shop) -> None:
    shutil.rmtree(shop.state.journal)


def journal_begun_anew(shop: Shop) -> None:
    shutil.rmtree(shop.state.journal)
    shop.yes(now_us=NOON + 3 * MINUTE)
    run_once(shop, NOON + 4 * MINUTE)


def journal_put_back(shop: Shop) -> None:
    """An old copy of it, from before the backup."""
    lines = (shop.state.journal / NAME).read_bytes().splitlines(keepends=True)
    (shop.state.journal / NAME).write_bytes(lines[0])


def journal_edited(shop: Shop) -> None:
    path = shop.state.journal / NAME
    path.write_bytes(path.read_bytes().replace(b'"at_us":17900', b'"at_us":17901', 1))


def keys_lost(shop: Shop) -> None:
    shutil.rmtree(shop.state.keys)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (journal_lost, "journal .* cannot be read"),
        (journal_begun_anew, r"begins at entry \d+ and the backup ends at \d+"),
        (journal_put_back, r"ends at entry \d+ and the backup at \d+: it is an old copy"),
        (journal_edited, "was changed"),
        (keys_lost, "keys that open this backup are missing"),
    ],
)
def test_a_restore_that_could_bring_the_erased_back_is_refused_and_touches_nothing(
    shop: Shop, place: Path, damage: Callable[[Shop], None], says: str
) -> None:
    busy(shop)
    made = backup(shop.state, shop.ledger, place / "b.tar", NOON + 2 * MINUTE)
    damage(shop)
    lose(shop)
    with pytest.raises((BackupError, JournalError), match=says):
        restore.restore(made, shop.state.root, NOON + 5 * MINUTE)
    assert sorted(p.name for p in place.iterdir() if p.name.startswith((".", "shop"))) == [
        p for p in ("shop-journal", "shop-keys") if (place / p).exists()
    ]


def test_a_journal_older_than_what_the_witness_saw_is_refused(shop: Shop, place: Path) -> None:
    busy(shop)
    witness = Witness.create(place / "witness", "officer.example/shop", log_key(shop))
    made = backup(shop.state, shop.ledger, place / "b.tar", NOON + 2 * MINUTE)
    old = (shop.state.journal / NAME).read_bytes()
    code = shop.yes(now_us=NOON + 3 * MINUTE).secret
    shop.ledger.withdraw(code, now_us=NOON + 3 * MINUTE)
    run_once(shop, NOON + 4 * MINUTE)
    seen = witness.cosign(request(shop.ledger, 0), now_s=NOON // SECOND)
    lose(shop)
    newest = (shop.state.journal / NAME).read_bytes()
    (shop.state.journal / NAME).write_bytes(old)
    with pytest.raises(JournalError, match="old copy"):
        restore.restore(made, shop.state.root, NOON + 5 * MINUTE, known=[seen], witness=key_of(witness))
    (shop.state.journal / NAME).write_bytes(newest)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(log.LogError, match="not cosigned"):
        restore.restore(made, shop.state.root, NOON + 5 * MINUTE, known=[seen], witness=("other.example", other))
    restore.restore(made, shop.state.root, NOON + 5 * MINUTE, known=[seen], witness=key_of(witness))
    shop.ledger = shop.state.open_ledger(Role.ADMIN)


def test_a_shop_that_is_there_is_not_replaced_unasked_and_not_while_somebody_is_in(shop: Shop, place: Path) -> None:
    busy(shop)
    made = backup(shop.state, shop.ledger, place, NOON + 2 * MINUTE)
    before = hits(shop.state.root, [b"\x00"])
    with pytest.raises(BackupError, match="--replace"):
        restore.restore(made, shop.state.root, NOON + 3 * MINUTE)
    shop.ledger.close()
    ready, go = multiprocessing.Event(), multiprocessing.Event()
    for inside in (sit_in_ledger, sit_in_visits):
        ready.clear()
        go.clear()
        process = multiprocessing.Process(target=inside, args=(str(shop.state.root), ready, go))
        process.start()
        ready.wait()
        with pytest.raises(BackupError, match=r"a process has .* open; stop"):
            restore.restore(made, shop.state.root, NOON + 3 * MINUTE, replace_state=True)
        go.set()
        process.join()
    assert hits(shop.state.root, [b"\x00"]).keys() >= before.keys() - {"ledger.sqlite-shm", "ledger.sqlite-wal"}
    restore.restore(made, shop.state.root, NOON + 3 * MINUTE, replace_state=True)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)


def sit_in_ledger(root: str, ready: object, go: object) -> None:
    with State.read(Path(root)).open_ledger(Role.KIOSK):
        ready.set()  # type: ignore[attr-defined]
        go.wait()  # type: ignore[attr-defined]


def sit_in_visits(root: str, ready: object, go: object) -> None:
    from analytics.store import Visits

    with Visits(State.read(Path(root)).visits):
        ready.set()  # type: ignore[attr-defined]
        go.wait()  # type: ignore[attr-defined]


def test_a_folder_that_is_no_shop_is_not_written_over(shop: Shop, place: Path) -> None:
    made = backup(shop.state, shop.ledger, place, NOON)
    (place / "photos").mkdir()
    (place / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(BackupError, match="is not empty and no shop"):
        restore.restore(
            made, place / "photos", NOON, keys=shop.state.keys, journal=shop.state.journal, replace_state=True
        )
    assert (place / "photos" / "cat.jpg").read_bytes() == b"cat"


def test_a_rehearsal_leaves_the_shop_that_is_there_alone(shop: Shop, place: Path) -> None:
    run_once(shop, NOON)
    made = backup(shop.state, shop.ledger, place, NOON + MINUTE)
    journal, elsewhere = shop.state.journal, place / "rehearsal"
    before = {path.name: path.read_bytes() for path in journal.iterdir()}
    with pytest.raises(BackupError, match=r"is the journal of .*shop, which is there.*copy the journal"):
        restore.restore(made, elsewhere, NOON + 2 * MINUTE, keys=shop.state.keys, journal=journal)
    assert {path.name: path.read_bytes() for path in journal.iterdir()} == before
    assert not elsewhere.exists()
    shutil.copytree(journal, place / "rehearsal-journal")
    restore.restore(made, elsewhere, NOON + 2 * MINUTE, keys=shop.state.keys)
    run_once(shop, NOON + 3 * MINUTE)  # its keeper goes on


@pytest.mark.parametrize("way", ["a link", "a link as the default", "from inside it", "named in store.toml"])
def test_a_shops_journal_is_known_by_every_name(
    shop: Shop, place: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, told = shop.state.journal, place / "link"
    if way == "named in store.toml":
        journal = told = place / "elsewhere"
        toml = shop.state.root / "store.toml"
        toml.write_text(toml.read_text().replace("[store]", f'[store]\njournal = "{told}"', 1))
        shop.state = State.read(shop.state.root)
        assert shop.state.journal == told
    run_once(shop, NOON)
    made = backup(shop.state, shop.ledger, place, NOON + MINUTE)
    if way == "a link":
        told.symlink_to(journal)
    elif way == "a link as the default":
        told = place / "T-journal"
        told.symlink_to(journal)
    elif way == "from inside it":
        monkeypatch.chdir(journal)
        told = Path()
    before = {path.name: path.read_bytes() for path in journal.iterdir()}
    with pytest.raises(BackupError, match="which is there, and whose keeper would stop"):
        restore.restore(made, place / "T", NOON + 2 * MINUTE, keys=shop.state.keys, journal=told)
    if way == "named in store.toml":  # the copy would go on in that journal, too
        shutil.copytree(told, place / "T-journal")
        with pytest.raises(BackupError, match="which is there, and whose keeper would stop"):
            restore.restore(made, place / "T", NOON + 2 * MINUTE, keys=shop.state.keys)
    assert {path.name: path.read_bytes() for path in journal.iterdir()} == before
    assert not (place / "T").exists()
    run_once(shop, NOON + 3 * MINUTE)


def test_a_shop_behind_a_link_is_replaced_and_not_the_link(shop: Shop, place: Path) -> None:
    run_once(shop, NOON)
    made = backup(shop.state, shop.ledger, place, NOON + MINUTE)
    link = place / "link"
    link.symlink_to(shop.state.root)
    shop.ledger.close()
    restore.restore(made, link, NOON + 2 * MINUTE, keys=shop.state.keys, journal=shop.state.journal, replace_state=True)
    assert link.is_symlink()
    shop.state = State.read(shop.state.root)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    run_once(shop, NOON + 3 * MINUTE)


def test_another_shops_backup_is_refused(shop: Shop, place: Path) -> None:
    other = Shop.make(place / "other")
    made = backup(other.state, other.ledger, place / "b.tar", NOON)
    other.ledger.close()
    lose(shop)
    with pytest.raises(BackupError, match="no backup of this shop"):
        restore.restore(made, shop.state.root, NOON)


# --- crashes ----------------------------------------------------------------------------------------------------------

STEPS: list[tuple[object, str]] = [
    (restore, "_prepare"),
    (restore, "unpack"),
    (Ledger, "adopt"),
    (Ledger, "never_again"),
    (Ledger, "withdraw_subject"),
    (Erasure, "run"),
    (Ledger, "append_event"),
    (restore, "_swap"),
    (Path, "replace"),
    (Path, "unlink"),
]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A shop, its backup, and somebody who was erased after it; return the folder, and what must not be found."""
    folder = tmp_path_factory.mktemp("past")
    shop = Shop.make(folder / "shop")
    people = busy(shop)
    backup(shop.state, shop.ledger, folder / "b.tar", NOON + 2 * MINUTE)
    shop.ledger.withdraw(people[0][0], now_us=NOON + 3 * MINUTE)
    run_once(shop, NOON + 4 * MINUTE)
    shop.ledger.close()
    return folder, [*forms(people[0][2]), people[0][1]]


@pytest.fixture
def erased(past: tuple[Path, list[bytes]], place: Path) -> Iterator[tuple[Shop, list[bytes]]]:
    """A copy of it for each test; five rows stay in it."""
    shutil.copytree(past[0], place, dirs_exist_ok=True)
    state = State.read(place / "shop")
    shop = Shop(state, state.open_ledger(Role.ADMIN))
    yield shop, past[1]
    shop.ledger.close()


@pytest.mark.parametrize("there", [True, False], ids=["replace", "lost"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
def test_killed_at_any_step_nothing_half_restored_opens_and_the_next_restore_finishes(
    erased: tuple[Shop, list[bytes]],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    step: str,
    after: bool,
    there: bool,
) -> None:
    (shop, needles), made = erased, place / "b.tar"
    whole = made.read_bytes()
    shop.ledger.close()
    if not there:
        shutil.rmtree(shop.state.root)
    real = getattr(owner, step)

    def stop(*args: object, **how: object) -> None:
        if after:
            real(*args, **how)
        os.kill(os.getpid(), signal.SIGKILL)

    def child() -> None:
        monkeypatch.setattr(owner, step, stop)
        restore.restore(made, shop.state.root, NOON + 5 * MINUTE, replace_state=there)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert made.read_bytes() == whole
    for folder in place.iterdir():
        if folder.is_dir() and folder.name not in ("shop-keys", "shop-journal"):
            opens_without_the_erased(folder, shop.state.keys, needles)
    restore.restore(made, shop.state.root, NOON + 6 * MINUTE, keys=shop.state.keys, replace_state=True)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert len(shop.rows()) == 5
    assert hits(place / "shop", needles) == {}
    assert sorted(p.name for p in place.iterdir()) == ["b.tar", "shop", "shop-journal", "shop-keys"]
    audit(shop.ledger)
    assert run_once(shop, NOON + 7 * MINUTE).deferred is None


def opens_without_the_erased(folder: Path, keys: Path, needles: list[bytes]) -> bool:
    """Say whether a state directory opens; where it does, nothing erased is in it."""
    try:
        State.read(folder, keys)
    except ConfigError:
        return False
    assert hits(folder, needles) == {}
    return True


def test_killed_at_any_moment_nothing_half_restored_opens_and_the_next_restore_finishes(
    erased: tuple[Shop, list[bytes]], place: Path
) -> None:
    (shop, needles), made = erased, place / "b.tar"
    shop.ledger.close()
    rng, opened = random.Random(11), 0
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([restore.__name__])
    for _ in range(RUNS):
        child = processes.Process(
            target=restore.restore,
            args=(made, shop.state.root, NOON + 5 * MINUTE),
            kwargs={"keys": shop.state.keys, "replace_state": True},
        )
        child.start()
        time.sleep(rng.uniform(0.05, 1.2))
        child.kill()
        child.join()
        for folder in place.iterdir():
            if folder.is_dir() and folder.name not in ("shop-keys", "shop-journal"):
                opened += opens_without_the_erased(folder, shop.state.keys, needles)
    assert opened
    restore.restore(made, shop.state.root, NOON + 6 * MINUTE, keys=shop.state.keys, replace_state=True)
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert len(shop.rows()) == 5
    assert hits(place / "shop", needles) == {}
    audit(shop.ledger)


def test_a_killed_backup_leaves_no_copy_behind_the_next_one(
    shop: Shop, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(shop)
    (place / "disk").mkdir()

    def child() -> None:
        monkeypatch.setattr("retention.backup.write", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        backup(shop.state, shop.ledger, place / "disk", NOON)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list((place / "disk").iterdir())) == 1  # a folder with a ledger in it
    made = backup(shop.state, shop.ledger, place / "disk", NOON)
    assert list((place / "disk").iterdir()) == [made]


def test_a_copy_that_a_killed_backup_did_not_take_goes_with_an_erasure_or_in_an_hour(shop: Shop) -> None:
    people = busy(shop)
    for ends in (True, False):
        shop.ledger.open_request(REQUEST, now_us=NOON + 2 * MINUTE)
        run_once(shop, NOON + 2 * MINUTE)
        (spare,) = shop.state.root.glob("visits.duckdb.next.*")
        with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
            assert not spare.exists()  # a keeper that starts
            request = ledger.open_request(REQUEST, now_us=NOON + 2 * MINUTE)
            keeper.run_once(NOON + 3 * MINUTE)
            answer = ledger.read_request(request)
            assert answer is not None
            assert (answer.status, answer.result) == (RequestStatus.DONE, spare.name.encode())
            assert spare.exists()
            if ends:
                shop.ledger.withdraw(people[0][0], now_us=NOON + 3 * MINUTE)
            keeper.run_once(NOON + 4 * MINUTE if ends else NOON + 64 * MINUTE)
            assert not spare.exists()


# --- a changed file ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Ed25519PrivateKey]:
    """A backup of one short file."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "store.toml").write_bytes(b"[store]\n")
    files = {"store.toml": archive.digest(tmp_path / "store.toml")}
    manifest = Manifest("shop", NOON, 0, "00" * 32, None, files)
    archive.write(tmp_path / "small.tar", manifest, {"store.toml": tmp_path / "store.toml"}, key)
    return tmp_path / "small.tar", key


def public(key: Ed25519PrivateKey) -> list[bytes]:
    return [key.public_key().public_bytes_raw()]


def test_every_flipped_bit_and_every_cut_of_a_backup_is_noticed(small: tuple[Path, Ed25519PrivateKey]) -> None:
    path, key = small
    whole = path.read_bytes()
    with archive.opened(path, public(key)) as (_, manifest):
        assert list(manifest.files) == ["store.toml"]
    noticed, tried = 0, range(0, len(whole), 1 if EVERY_BIT else 7)
    for i in tried:
        for wrong in (whole[:i] + bytes([whole[i] ^ (1 << i % 8)]) + whole[i + 1 :], whole[:i]):
            path.write_bytes(wrong)
            with pytest.raises(BackupError, match="damaged"), archive.opened(path, public(key)):
                pass
            noticed += 1
    assert noticed == 2 * len(tried) > 2000
    path.write_bytes(whole + b"\n")
    with pytest.raises(BackupError, match="damaged"), archive.opened(path, public(key)):
        pass


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"[store]\n") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return info


HOSTILE = {
    "climbs": [member("../store.toml")],
    "absolute": [member("/etc/cron.d/x")],
    "folder": [member("released/../../x")],
    "deep": [member("released/a/b.parquet")],
    "hidden": [member("released/.x.tmp")],
    "symlink": [member("store.toml", tarfile.SYMTYPE, "/etc/passwd")],
    "hardlink": [member("store.toml", tarfile.LNKTYPE, "/etc/passwd")],
    "device": [member("store.toml", tarfile.CHRTYPE)],
    "fifo": [member("store.toml", tarfile.FIFOTYPE)],
    "directory": [member("store.toml", tarfile.DIRTYPE)],
    "unknown": [member("cron.sh")],
    "wal": [member("ledger.sqlite-wal")],
    "twice": [member("store.toml"), member("store.toml")],
    "missing": [],
    "link, then through it": [member("released", tarfile.SYMTYPE, "/tmp"), member("released/x")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_even_one_who_can_sign_gets_no_file_anywhere_else(
    small: tuple[Path, Ed25519PrivateKey], tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    path, key = small
    names = {"store.toml", *(m.name for m in members)}
    files = dict.fromkeys(names, archive.digest(tmp_path / "store.toml"))
    sign(path, key, Manifest("shop", NOON, 0, "00" * 32, None, files), members)
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    before = {p for p in tmp_path.rglob("*") if not p.is_relative_to(inside)}
    with pytest.raises(BackupError, match=r"has no place in one|lacks"), archive.opened(path, public(key)) as opened:
        archive.unpack(*opened, inside)
    assert {p for p in tmp_path.rglob("*") if not p.is_relative_to(inside)} == before
    assert not any(p.is_symlink() for p in inside.rglob("*"))


def sign(path: Path, key: Ed25519PrivateKey, manifest: Manifest, members: list[tarfile.TarInfo]) -> None:
    """Write what `archive.write` never would."""
    import hashlib

    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        text = manifest.encode()
        tar.addfile(member("manifest.json", data=text), io.BytesIO(text))
        for one in members:
            tar.addfile(one, io.BytesIO(b"[store]\n") if one.isreg() else None)
    data = held.getvalue()
    mark = b"openaisle backup v1 "
    signature = key.sign(mark + hashlib.sha256(data).digest())
    path.write_bytes(data + mark + base64.b64encode(signature) + b"\n")


def test_contents_that_are_not_those_of_the_manifest_and_newer_formats_are_refused(
    small: tuple[Path, Ed25519PrivateKey], tmp_path: Path
) -> None:
    path, key = small
    size, _ = archive.digest(tmp_path / "store.toml")
    (tmp_path / "out").mkdir()
    sign(
        path, key, Manifest("shop", NOON, 0, "00" * 32, None, {"store.toml": (size, "ab" * 32)}), [member("store.toml")]
    )
    with pytest.raises(BackupError, match="not what its manifest says"), archive.opened(path, public(key)) as opened:
        archive.unpack(*opened, tmp_path / "out")
    newer = Manifest("shop", NOON, 0, "00" * 32, None, {})
    told = json.loads(newer.encode()) | {"format": 2}
    with pytest.raises(BackupError, match="of format 2"):
        Manifest.decode(json.dumps(told).encode())
    for broken in (b"", b"[]", b"{}", b'{"format":1}', b"\xff"):
        with pytest.raises(BackupError, match="not one that openaisle writes"):
            Manifest.decode(broken)


# --- bad places -------------------------------------------------------------------------------------------------------


def test_bad_targets_are_refused_and_nothing_is_left(shop: Shop, place: Path) -> None:
    busy(shop)
    (place / "there.tar").write_bytes(b"mine")
    (place / "link.tar").symlink_to(place / "nowhere")
    (place / "inside").symlink_to(shop.state.root)
    before = sorted(p for p in place.rglob("*"))
    for target, says in (
        (shop.state.root, "must not lie with the state directory"),
        (shop.state.root / "b.tar", "must not lie with the state directory"),
        (place / "inside" / "b.tar", "must not lie with the state directory"),
        (shop.state.keys / "b.tar", "must not lie with the keys"),
        (shop.state.journal, "must not lie with the journal"),
        (place / "there.tar", "is there already"),
        (place / "link.tar", "is there already"),
        (Path("/dev/full"), "is there already"),
        (place / "none" / "b.tar", "there is no folder"),
    ):
        with pytest.raises(BackupError, match=says):
            backup(shop.state, shop.ledger, target, NOON)
    assert sorted(p for p in place.rglob("*")) == before
    assert (place / "there.tar").read_bytes() == b"mine"


@pytest.mark.parametrize("limit", [0, 100, 50_000, 300_000, 600_000, 920_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(shop: Shop, place: Path, limit: int) -> None:
    busy(shop)
    (place / "disk").mkdir()
    shop.ledger.close()
    said = full(limit, lambda: backup_alone(shop.state, place / "disk"))
    assert said.split(":")[0] in ("BackupError", "StoreError", "JournalError", "LedgerError"), said
    assert not list(shop.state.root.glob("*.next*"))
    assert list((place / "disk").iterdir()) == []
    shop.ledger = shop.state.open_ledger(Role.ADMIN)


@pytest.mark.parametrize("limit", [0, 1000, 100_000, 250_000, 700_000])
def test_a_full_disk_during_a_restore_changes_nothing(shop: Shop, place: Path, limit: int) -> None:
    busy(shop)
    made = backup(shop.state, shop.ledger, place / "b.tar", NOON + 2 * MINUTE)
    shop.ledger.close()
    rows = shop.rows()
    said = full(limit, lambda: restore.restore(made, shop.state.root, NOON + 3 * MINUTE, replace_state=True))
    assert said.split(":")[0].endswith("Error"), said
    assert not list(place.glob(".*"))
    shop.ledger = shop.state.open_ledger(Role.ADMIN)
    assert shop.rows() == rows


def backup_alone(state: State, target: Path) -> None:
    with state.open_ledger(Role.KEEPER) as ledger:
        backup(state, ledger, target, NOON)


def full(limit: int, do: Callable[[], object]) -> str:
    """Do something in a process whose files cannot grow above a size; return the kind of its error and its text."""
    told, tell = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            do()
        except Exception as error:  # noqa: BLE001 - which one it is is the question
            tell.send(f"{type(error).__name__}: {error}")
        else:
            tell.send("nothing")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    said = str(told.recv())
    process.join()
    return said


@pytest.mark.parametrize("name", ["a b.json", "link", "pipe", "folder"])
def test_what_would_not_come_back_is_not_backed_up(name: str, shop: Shop, place: Path) -> None:
    busy(shop)
    odd = shop.state.certificates / name
    odd.parent.mkdir(exist_ok=True)
    key = next(shop.state.keys.glob("log-*.key"))
    make: dict[str, Callable[[], object]] = {
        "link": lambda: odd.symlink_to(key),
        "pipe": lambda: os.mkfifo(odd),
        "folder": odd.mkdir,
    }
    make.get(name, odd.touch)()
    with pytest.raises(BackupError, match="would not come back; move it elsewhere"):
        backup(shop.state, shop.ledger, place / "odd.tar", NOON + 3 * MINUTE)
    assert not (place / "odd.tar").exists()


def test_a_damaged_ledger_is_not_backed_up(shop: Shop, place: Path) -> None:
    busy(shop, 40)
    ((page,),) = shop.ledger.select("SELECT rootpage FROM sqlite_schema WHERE name = 'grants'")
    ((size,),) = shop.ledger.select("PRAGMA page_size")
    shop.ledger.compact()
    shop.ledger.close()
    data = bytearray(shop.state.ledger.read_bytes())
    data[(page - 1) * size : page * size] = os.urandom(size)
    shop.state.ledger.write_bytes(bytes(data))
    with shop.state.open_ledger(Role.KEEPER) as ledger, pytest.raises(BackupError, match=r"damaged|cannot be copied"):
        backup(shop.state, ledger, place / "b.tar", NOON)
    assert not (place / "b.tar").exists()


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_make_and_restore_and_refuse_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop.make(tmp_path / "shop")
    shop.ledger.close()
    at = Place(tmp_path / "place")
    state = ("--state", shop.state.root)
    made = at.run("backup", tmp_path / "b.tar", *state)
    assert (made.returncode, made.stderr) == (0, "")
    assert "30 days at most" in made.stdout
    done = at.run("restore", tmp_path / "b.tar", *state, "--replace")
    assert (done.returncode, done.stderr) == (0, "")
    assert "erased again: 0 people, 0 rows" in done.stdout
    (tmp_path / "letter.txt").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    for words, says in (
        (("backup", tmp_path / "b.tar", *state), "is there already"),
        (("backup", tmp_path / "c.tar", "--state", tmp_path / "none"), "is no state directory"),
        (("backup", shop.state.root, *state), "must not lie with the state directory"),
        (("backup",), "required: DIR|FILE"),
        (("restore", tmp_path / "b.tar", *state), "add --replace"),
        (("restore", tmp_path / "none.tar", *state), "is no backup"),
        (("restore", tmp_path, *state), "is no backup"),
        (("restore", tmp_path / "pipe", *state), "is no backup"),
        (("restore", tmp_path / "letter.txt", *state), "damaged"),
        (("restore", tmp_path / "b.tar", "--state", tmp_path / "new"), "keys that open this backup are missing"),
        (("restore", tmp_path / "b.tar", *state, "--replace", "--known", tmp_path / "letter.txt"), "not a signed note"),
        (("restore", tmp_path / "b.tar", *state, "--replace", "--known", tmp_path / "no"), "cannot be read as text"),
        (("restore", tmp_path / "b.tar", *state, "--replace", "--witness", "x"), "openaisle: "),
        (("restore", tmp_path / "b.tar", *state, "--replace", "--journal", tmp_path / "no"), "name it with --journal"),
    ):
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        assert (status, out) == (2, ""), words
        assert says in err, (words, err)
        assert err.count("\n") == 1, err
    assert State.read(shop.state.root).store.store.id == "shop"


def test_a_ledger_that_could_not_be_asked_any_more_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop.make(tmp_path / "shop")
    shop.ledger.close()
    state = ("--state", str(shop.state.root))
    assert cli.main(["keeper", "--once", *state]) == 0
    assert cli.main(["backup", str(tmp_path / "b.tar"), *state]) == 0
    for end in ("", "-wal", "-shm"):
        shop.state.ledger.with_name(f"ledger.sqlite{end}").unlink(missing_ok=True)
    shop.state.ledger.write_bytes(b"no database" * 1000)
    capsys.readouterr()
    assert cli.main(["restore", str(tmp_path / "b.tar"), *state, "--replace"]) == 0
    said = capsys.readouterr()
    assert "the ledger that was there could not be read" in said.err
    assert said.err.count("\n") == 1
    assert "restored" in said.out
    shop.state.open_ledger(Role.KIOSK).close()
