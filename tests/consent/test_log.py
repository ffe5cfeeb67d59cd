"""Checkpoints, the export, and every way to change one."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent import log, merkle
from consent.events import ConsentError, EventKind, Leaf, Purpose
from consent.keys import KeyRing
from consent.ledger import Entry, Ledger
from tests.consent.shop import NOON, NOTICE, say_yes

EVERY_BIT = "OPENAISLE_EVERY_BIT" in os.environ  # all 1.5 million bits, all deletions, all forks: `make soak`

# published with the Go implementation of signed notes (pkg.go.dev/golang.org/x/mod/sumdb/note)
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
# the example of c2sp.org/tlog-cosignature
C2SP_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE"
    "+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe"
    "+mbIUBkBIfZ+qnA==\n"
)


def test_notes_and_keys_of_another_implementation_verify() -> None:
    assert log.read_verifier_key(SUM_KEY)[0] == "sum.golang.org"
    name, public, kind = log.read_verifier_key(GO_KEY)
    text, (signature,) = log.split(GO_NOTE)
    assert (signature.name, signature.key_id, kind) == (name, log.key_id(name, public), log.ED25519)
    assert log.is_signed(public, signature.value, text.encode())
    assert log.verifier_key(name, public) == GO_KEY


def test_the_published_example_of_a_cosigned_checkpoint_is_read_and_written_the_same() -> None:
    text, signatures = log.split(C2SP_NOTE)
    checkpoint = log.Checkpoint.parse(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert int.from_bytes(signatures[1].value[:8], "big") == 1679315147
    assert checkpoint.text() + "\n" + "".join(s.line() for s in signatures) == C2SP_NOTE


KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = log.Checkpoint("openaisle/main-street", 3, bytes(range(32)))
NOTE = log.sign(HEAD, KEY)


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    assert log.open_note(NOTE, PUBLIC) == HEAD
    extended = log.Checkpoint(HEAD.origin, 3, HEAD.root, ("more",))
    assert log.open_note(log.sign(extended, KEY), PUBLIC) == extended
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert log.open_note(NOTE, [other, PUBLIC]) == HEAD  # an older generation of the key
    with pytest.raises(log.LogError, match="not signed by"):
        log.open_note(NOTE, other)
    with pytest.raises(log.LogError, match="not of openaisle/side"):
        log.open_note(NOTE, PUBLIC, origin="openaisle/side")


def test_every_bit_of_a_checkpoint_counts() -> None:
    raw = NOTE.encode()
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((log.LogError, UnicodeDecodeError)):
            log.open_note(bytes(changed).decode(), PUBLIC)


def test_unknown_signatures_are_ignored_as_the_specification_says() -> None:
    strange = log.Signature("somebody.example", b"abcd", b"x" * 64).line()
    assert log.open_note(NOTE + strange, PUBLIC) == HEAD
    with pytest.raises(log.LogError, match="signature lines"):
        log.open_note(NOTE + strange * 64, PUBLIC)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        NOTE.rstrip("\n"),
        NOTE.replace("— ", "- "),
        NOTE.replace("\n3\n", "\n03\n"),
        NOTE.replace("\n3\n", "\n+3\n"),
        NOTE.replace("\n3\n", "\n3\r\n"),
        NOTE.replace("\n3\n", "\n"),
        NOTE.replace("\n3\n", "\n\n3\n"),
        HEAD.text() + "\n" + log.Signature("a", b"", b"").line(),
        HEAD.text(),
    ],
)
def test_what_is_not_a_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(log.LogError):
        log.open_note(note, PUBLIC)


def test_cosignatures_bind_time_and_text() -> None:
    witness = Ed25519PrivateKey.generate()
    public = witness.public_key().public_bytes_raw()
    cosigned = log.cosign(NOTE, "officer.example", witness, now_s=1_790_000_000)
    assert log.open_note(cosigned, PUBLIC) == HEAD
    assert log.cosigned_at(cosigned, "officer.example", public) == 1_790_000_000
    again = log.cosign(cosigned, "officer.example", witness, now_s=1_790_000_060)
    assert log.cosigned_at(again, "officer.example", public) == 1_790_000_060
    for bad in (NOTE, cosigned.replace("officer.example", "officer.test")):
        with pytest.raises(log.LogError, match="not cosigned"):
            log.cosigned_at(bad, "officer.example", public)
    text, signatures = log.split(cosigned)
    earlier = (1_700_000_000).to_bytes(8, "big") + signatures[1].value[8:]
    for value in (earlier, signatures[1].value[:-1]):
        forged = text + "\n" + log.Signature("officer.example", signatures[1].key_id, value).line()
        with pytest.raises(log.LogError):
            log.cosigned_at(forged, "officer.example", public)


@pytest.mark.parametrize("line", ["", "a+b", SUM_KEY[:-2], SUM_KEY.replace("033de0ae", "033de0af"), "x" + SUM_KEY])
def test_a_damaged_public_key_is_refused(line: str) -> None:
    with pytest.raises(log.LogError):
        log.read_verifier_key(line)


# the export


@dataclass(frozen=True)
class Export:
    """An exported log of 1,000 entries, and checkpoints it has passed."""

    folder: Path
    note: bytes
    leaves: bytes
    openings: bytes
    public: bytes
    known: list[str]

    def check(self, note: bytes | None = None, leaves: bytes | None = None, openings: bytes | None = None) -> None:
        log.check(
            self.note if note is None else note,
            self.leaves if leaves is None else leaves,
            self.openings if openings is None else openings,
            self.public,
            known=self.known,
        )

    def lines(self) -> list[bytes]:
        return self.leaves.splitlines(keepends=True)

    def refused(self, **changed: bytes) -> bool:
        try:
            self.check(**changed)
        except ConsentError:
            return True
        return False


def grow(ledger: Ledger, until: int) -> None:
    entries = []
    for i in range(ledger.size, until):
        match i % 10:
            case 0:
                entries.append(Entry(EventKind.ERASED, NOON + i, {"rows": i}, count=i))
            case 1:
                entries.append(Entry(EventKind.CONFIG_CHANGED, NOON + i, {}, digest=bytes.fromhex(NOTICE)))
            case _:
                entries.append(Entry(EventKind.REFUSED, NOON + i, {"channel": "kiosk"}, purposes=frozenset(Purpose)))
    ledger.append_events(entries)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Export:
    state = tmp_path_factory.mktemp("state")
    known = []
    with Ledger(state / "ledger.sqlite", keys, store="main-street") as ledger:
        for i in range(5):
            say_yes(ledger, Purpose.DWELL, Purpose.REPEAT, now_us=NOON + i)
        for size in (400, 700, 1_000):
            grow(ledger, size)
            note = ledger.sign_checkpoint()
            assert note is not None
            known.append(note)
        folder = state / "export"
        log.export(ledger, folder)
    note_file, leaves, openings = (
        (folder / name).read_bytes() for name in ("checkpoint", "leaves.jsonl", "openings.jsonl")
    )
    return Export(folder, note_file, leaves, openings, keys.public_keys("log")[0], known[:2])


def test_an_export_verifies_with_the_public_key_alone(exported: Export) -> None:
    assert sorted(p.name for p in exported.folder.iterdir()) == ["checkpoint", "leaves.jsonl", "openings.jsonl"]
    proved = log.verify(exported.folder, exported.public)
    assert (proved.checkpoint.size, proved.known, proved.cosigned_s) == (1_000, 0, None)
    assert log.verify(exported.folder, exported.public, known=exported.known).known == 2


def test_nothing_about_a_person_is_exported(exported: Export) -> None:
    text = exported.leaves + exported.openings
    assert b"at_us" not in exported.leaves
    assert b"subject" not in text
    assert exported.leaves.count(b'"granted"') == 5
    assert b'"grant"' not in exported.openings
    assert len(exported.openings.splitlines()) == 2 * 1_000 // 10 - 2  # entries 0 and 1 are grants


class Flips:
    """Every flip of a bit, judged by what the flip touches and by nothing else.

    A flip within a line of the leaves changes one leaf's hash, and so the root; one within an opening changes that
    opening. All the rest of the export is the same, so the whole verifier has no more to say about it: it refuses for
    the same reason, which is held against it for a bit of every line. A flip that makes or takes a line break, and
    every flip in the checkpoint, goes to the whole verifier.
    """

    def __init__(self, exported: Export) -> None:
        self.exported = exported
        self.lines = exported.leaves.splitlines()
        self.openings = exported.openings.splitlines()
        self.levels = log.subtrees(self.lines)
        self.root = log.open_note(exported.note.decode(), exported.public).root
        about_nobody = [(i, leaf) for i, line in enumerate(self.lines) if not (leaf := Leaf.decode(line)).kind.personal]
        self.opens = dict(enumerate(about_nobody))
        assert self.root_with(0, self.lines[0]) == self.root

    def root_with(self, index: int, line: bytes) -> bytes:
        """Return the root of the log with one entry exchanged, from the hashes beside its way up."""
        value, changed = merkle.leaf_hash(line), {}
        for level, row in enumerate(self.levels):
            if index >= len(row):
                break
            changed[level, index] = value
            if index ^ 1 < len(row):
                pair = (row[index - 1], value) if index % 2 else (value, row[index + 1])
                value = merkle.node_hash(*pair)
            index //= 2
        return merkle.root(len(self.lines), lambda level, i: changed.get((level, i), self.levels[level][i]))

    def seen(self, name: str, line_number: int, at: int, bit: int, *, whole: bool = False) -> bool:
        """Say whether a flip is refused; `at` is a byte of the line, its line break the last."""
        files = {"note": self.exported.note, "leaves": self.exported.leaves, "openings": self.exported.openings}
        line = bytearray(files[name].splitlines(keepends=True)[line_number] if whole else self.line(name, line_number))
        was, line[at] = line[at], line[at] ^ 1 << bit
        if whole or name == "note" or b"\n" in (bytes([was]), bytes([line[at]])):
            rest = files[name].splitlines(keepends=True)
            return self.exported.refused(
                **{name: b"".join([*rest[:line_number], bytes(line), *rest[line_number + 1 :]])}
            )
        if name == "leaves":
            return self.root_with(line_number, bytes(line[:-1])) != self.root
        try:
            log._check_opening(bytes(line[:-1]), *self.opens[line_number])
        except ConsentError:
            return True
        return False

    def line(self, name: str, number: int) -> bytes:
        if name == "note":
            return self.exported.note.splitlines(keepends=True)[number]
        return (self.lines if name == "leaves" else self.openings)[number] + b"\n"

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Yield file, line and length of each line, its break included."""
        for name, content in (("note", self.exported.note), ("leaves", self.exported.leaves)):
            yield from ((name, i, len(line) + 1) for i, line in enumerate(content.splitlines()))
        yield from (("openings", i, len(line) + 1) for i, line in enumerate(self.openings))


def test_every_bit_counts(exported: Export) -> None:
    flips, rng = Flips(exported), random.Random(1)
    places = [
        (name, number, at, bit)
        for name, number, length in flips.spans()
        for at, bit in (
            itertools.product(range(length), range(8))
            if EVERY_BIT or name == "note"
            else {(rng.randrange(length), rng.randrange(8)), (length // 2, 7), (0, 0)}
        )
    ]
    for place in places:
        assert flips.seen(*place), place
    assert len(places) > 3_000
    total = 8 * sum(length for _, _, length in flips.spans())
    print(f"{len(places)} of {total} bits flipped, one at a time: all seen")
    assert not EVERY_BIT or len(places) == total == 8 * (
        len(exported.note) + len(exported.leaves) + len(exported.openings)
    )


def test_the_whole_verifier_sees_a_flip_in_every_line(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(monkeypatch)
    flips, rng = Flips(exported), random.Random(2)
    for name, number, length in flips.spans():
        place = (name, number, rng.randrange(length), rng.randrange(8))
        assert flips.seen(*place, whole=True), place
        assert flips.seen(*place), place
    for line in (0, 1, 511, 998, 999):
        same = flips.lines[line]
        assert flips.root_with(line, same) == flips.root
        changed = [*flips.lines[:line], same + b" ", *flips.lines[line + 1 :]]
        levels = log.subtrees(changed)
        assert flips.root_with(line, same + b" ") == merkle.root(1_000, lambda n, i: levels[n][i])  # noqa: B023


def remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same functions, remembering what they said before: hours become minutes."""
    monkeypatch.setattr(merkle, "leaf_hash", lru_cache(4096)(merkle.leaf_hash))
    monkeypatch.setattr(merkle, "node_hash", lru_cache(4096)(merkle.node_hash))
    monkeypatch.setattr(Leaf, "decode", lru_cache(4096)(Leaf.decode))


def test_every_deletion_repetition_and_exchange_is_seen(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(monkeypatch)
    tried = 0
    lines = exported.lines()
    for i in range(0, 1_000, 1 if EVERY_BIT else 19):
        assert exported.refused(leaves=b"".join(lines[:i] + lines[i + 1 :])), i
        assert exported.refused(leaves=b"".join(lines[: i + 1] + lines[i:])), i
        if i:
            assert exported.refused(leaves=b"".join([*lines[: i - 1], lines[i], lines[i - 1], *lines[i + 1 :]])), i
        tried += 3 if i else 2
    openings = exported.openings.splitlines(keepends=True)
    for i in range(0, len(openings), 1 if EVERY_BIT else 19):
        assert exported.refused(openings=b"".join(openings[:i] + openings[i + 1 :])), i
        assert exported.refused(openings=b"".join(openings[: i + 1] + openings[i:])), i
        if i:
            assert exported.refused(
                openings=b"".join([*openings[: i - 1], openings[i], openings[i - 1], *openings[i + 1 :]])
            ), i
        tried += 3 if i else 2
    print(f"{tried} deletions, repetitions and exchanges: all seen")


@pytest.mark.parametrize("size", range(1_000) if EVERY_BIT else [0, 1, 399, 400, 699, 700, 999])
def test_a_log_cut_short_by_whoever_holds_the_key_is_seen_against_a_newer_receipt(
    exported: Export, keys: KeyRing, size: int
) -> None:
    def rewritten(lines: list[bytes]) -> tuple[bytes, bytes, bytes]:
        levels = log.subtrees([line.rstrip(b"\n") for line in lines])
        root = merkle.root(len(lines), lambda level, index: levels[level][index])
        note = log.sign(log.Checkpoint("openaisle/main-street", len(lines), root), keys.signing_key("log"))
        kept = [line for line in exported.openings.splitlines(keepends=True) if _index(line) < len(lines)]
        return note.encode(), b"".join(lines), b"".join(kept)

    note, leaves, openings = rewritten(exported.lines()[:size])
    log.check(note, leaves, openings, exported.public)  # alone it looks whole: that is what receipts are for
    newest = [*exported.known, exported.note.decode()]
    with pytest.raises(log.LogError, match="cut short"):
        log.check(note, leaves, openings, exported.public, known=newest)

    # a fork: the same length, one entry exchanged for another
    lines = exported.lines()
    lines[size] = lines[size - 1] if size else lines[5]
    note, leaves, openings = rewritten(lines)
    if size < 700:
        with pytest.raises(ConsentError):
            log.check(note, leaves, openings, exported.public, known=exported.known)
    with pytest.raises(ConsentError):
        log.check(note, leaves, openings, exported.public, known=newest)


def _index(line: bytes) -> int:
    return int(line.split(b'"index":')[1].split(b",")[0])


def test_a_checkpoint_with_more_than_the_logs_signature_is_no_export(exported: Export) -> None:
    strange = log.Signature("somebody.example", b"abcd", b"x" * 64).line()
    assert exported.refused(note=exported.note + strange.encode())


@pytest.mark.parametrize("change", ["checkpoint", "leaves.jsonl", "openings.jsonl"])
def test_a_missing_file_is_named(exported: Export, tmp_path: Path, change: str) -> None:
    for path in exported.folder.iterdir():
        if path.name != change:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(log.LogError, match=change):
        log.verify(tmp_path, exported.public)


def test_an_export_is_not_written_over_another(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(log.LogError, match="no checkpoint"):
        log.export(ledger, tmp_path / "export")
    say_yes(ledger)
    ledger.sign_checkpoint()
    log.export(ledger, tmp_path / "export")
    with pytest.raises(log.LogError, match="not empty"):
        log.export(ledger, tmp_path / "export")


def test_known_checkpoints_must_be_cosigned_where_a_witness_is_named(exported: Export) -> None:
    witness = Ed25519PrivateKey.generate()
    named = ("officer.example", witness.public_key().public_bytes_raw())
    with pytest.raises(log.LogError, match="not cosigned"):
        log.verify(exported.folder, exported.public, known=exported.known, witness=named)
    cosigned = [log.cosign(note, named[0], witness, now_s=7) for note in exported.known]
    assert log.verify(exported.folder, exported.public, known=cosigned, witness=named).cosigned_s == 7


def test_a_different_log_of_the_same_key_is_refused(exported: Export, keys: KeyRing) -> None:
    other = log.sign(log.Checkpoint("openaisle/side", 0, merkle.EMPTY_ROOT), keys.signing_key("log"))
    check: Callable[[], object] = lambda: log.verify(exported.folder, exported.public, known=[other])  # noqa: E731
    with pytest.raises(log.LogError, match="openaisle/side"):
        check()
