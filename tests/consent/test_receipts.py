"""A receipt proves itself offline, gives nothing away, and cannot be changed by a single bit."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent import log, merkle, receipts
from consent.events import ConsentError, Purpose
from consent.keys import KeyRing, Role
from consent.ledger import Grant, Ledger
from consent.receipts import LONGEST, Receipt, ReceiptError
from consent.subjects import new_secret, show_secret
from tests.consent.shop import NOON, NOTICE, say_yes


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def given(ledger: Ledger) -> Grant:
    say_yes(ledger)
    ledger.sign_checkpoint()
    return say_yes(ledger, Purpose.DWELL, Purpose.REPEAT)


@pytest.fixture
def receipt(ledger: Ledger, given: Grant) -> Receipt:
    return receipts.issue(ledger, given, now_us=NOON)


def verify(ledger: Ledger, proof: str | bytes, **more: Any) -> receipts.Proof:
    return receipts.verify(proof, ledger.keys.public_keys("receipt"), ledger.keys.public_keys("log"), **more)


def refused(ledger: Ledger, proof: str | bytes) -> bool:
    try:
        verify(ledger, proof)
    except ConsentError:
        return True
    return False


def forge(receipt: Receipt, key: Ed25519PrivateKey, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return the receipt with another payload or header, signed by whoever holds that key."""
    head, body, _ = receipt.proof.split(".")
    payload = {**json.loads(unb64(body)), **changes}
    payload = {name: value for name, value in payload.items() if value is not None}
    first = {**json.loads(unb64(head)), **(header or {})}
    first = {name: value for name, value in first.items() if value is not None}
    text = b64(rfc8785.dumps(first)) + "." + b64(rfc8785.dumps(payload))
    return f"{text}.{b64(key.sign(text.encode()))}"


# --- what it says -----------------------------------------------------------------------------------------------------


def test_a_proof_is_a_compact_jws_that_any_library_reads(ledger: Ledger, given: Grant, receipt: Receipt) -> None:
    head, body, signature = receipt.proof.split(".")
    public = ledger.keys.public_keys("receipt")[0]
    kid = hashlib.sha256(b"openaisle/main-street/receipt\n\x01" + public).hexdigest()[:8]
    assert json.loads(unb64(head)) == {"alg": "EdDSA", "kid": kid, "typ": "openaisle-receipt"}
    payload = json.loads(unb64(body))
    ((_, data),) = ledger.leaves(1, 2)
    assert payload.pop("log")[0] == 1
    assert payload == {
        "v": 1,
        "iss": "openaisle/main-street",
        "leaf": 1,
        "code": b64(hashlib.sha256(given.secret.encode()).digest()),
        "record": b64(hashlib.sha256(b"\x00" + data).digest()),
    }
    assert log.is_signed(public, unb64(signature), f"{head}.{body}".encode())


def test_it_carries_the_signed_checkpoint_whole(ledger: Ledger, receipt: Receipt) -> None:
    newest = ledger.newest_checkpoint()
    assert newest is not None
    told = verify(ledger, receipt.proof, origin="openaisle/main-street", leaf_index=1)
    assert (told.note, told.checkpoint) == newest


def test_showing_it_gives_nothing_away(ledger: Ledger, given: Grant, receipt: Receipt) -> None:
    head, body, _ = receipt.proof.split(".")
    shown = (unb64(head) + unb64(body)).decode()
    for word in (given.secret, given.subject.hex(), given.grant_id.hex(), str(NOON), *(p.value for p in Purpose)):
        assert word not in shown
    assert b64(given.subject) not in shown
    assert given.secret not in repr(receipt)


def test_it_belongs_to_its_own_code_only(ledger: Ledger, given: Grant, receipt: Receipt) -> None:
    verify(ledger, receipt.proof, secret=show_secret(given.secret).lower())
    with pytest.raises(ReceiptError, match="does not belong"):
        verify(ledger, receipt.proof, secret=new_secret())


def test_the_slip_of_a_no_has_leaf_and_checkpoint_and_no_code(ledger: Ledger, given: Grant) -> None:
    for leaf in (
        ledger.refuse(now_us=NOON, notice_sha256=NOTICE, language="en", version="1"),
        ledger.object(now_us=NOON),
    ):
        slip = receipts.issue(ledger, leaf, now_us=NOON)
        told = verify(ledger, slip.proof, leaf_index=leaf)
        assert (slip.secret, told.code, slip.until) == (None, None, {})
        assert told.checkpoint is not None
        assert "code" not in json.loads(unb64(slip.proof.split(".")[1]))
        with pytest.raises(ReceiptError, match="does not belong"):
            verify(ledger, slip.proof, secret=given.secret)


def test_before_the_first_checkpoint_there_is_a_receipt_without_one(ledger: Ledger) -> None:
    told = verify(ledger, receipts.issue(ledger, say_yes(ledger), now_us=NOON).proof)
    assert (told.note, told.checkpoint) == (None, None)
    with pytest.raises(ReceiptError, match="no checkpoint"):
        told.check_newer(log.Checkpoint("openaisle/main-street", 1, bytes(32)), [])


def test_only_the_kiosk_and_the_administrator_can_issue(ledger: Ledger, given: Grant) -> None:
    for role in Role:
        keys = KeyRing.open(ledger.keys.directory, role)
        with Ledger(ledger.path, keys, store=ledger.store) as other:
            if role in (Role.KIOSK, Role.ADMIN):
                verify(ledger, receipts.issue(other, given, now_us=NOON).proof)
            else:
                with pytest.raises(ConsentError, match="does not hold the receipt key"):
                    receipts.issue(other, given, now_us=NOON)


def test_what_the_log_does_not_have_cannot_be_proved(ledger: Ledger, given: Grant) -> None:
    with pytest.raises(ReceiptError, match="no entry 99"):
        receipts.issue(ledger, 99, now_us=NOON)


def test_the_longest_name_and_the_largest_log_fit(tmp_path: Path, keys: KeyRing) -> None:
    (tmp_path / "large").mkdir()
    with Ledger(tmp_path / "large" / "ledger.sqlite", keys, store="x" * 64) as ledger:
        given = say_yes(ledger)
        ledger.sign_checkpoint()
        receipt = receipts.issue(ledger, given, now_us=NOON)
    sizes: dict[str, Any] = {"leaf": 2**53 - 1, "log": [2**53 - 1, "A" * 43, "A" * 91]}
    assert len(forge(receipt, Ed25519PrivateKey.generate(), **sizes)) <= LONGEST


# --- changed receipts -------------------------------------------------------------------------------------------------


def mutations(proof: str) -> Iterator[tuple[str, bytes]]:
    """Yield every one-bit flip of the bytes, and every character dropped, doubled, swapped with the next, or padded."""
    raw = proof.encode("ascii")
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        yield "flipped", bytes(changed)
    for i in range(len(raw)):
        yield "dropped", raw[:i] + raw[i + 1 :]
        yield "doubled", raw[: i + 1] + raw[i:]
        yield "cut", raw[:i]
        if i + 1 < len(raw) and raw[i] != raw[i + 1]:
            yield "swapped", raw[:i] + raw[i + 1 : i + 2] + raw[i : i + 1] + raw[i + 2 :]
        for junk in (b"=", b" ", b"\n", b".", b"\x00"):
            yield "padded", raw[: i + 1] + junk + raw[i + 1 :]
    for junk in (b"\n", b" ", b"=", b"=="):
        yield "padded", junk + raw


def test_every_change_of_every_kind_is_refused(ledger: Ledger, receipt: Receipt) -> None:
    verify(ledger, receipt.proof)
    verify(ledger, receipt.proof.encode())
    tried: dict[str, int] = {}
    for kind, changed in mutations(receipt.proof):
        assert refused(ledger, changed), (kind, changed)
        tried[kind] = tried.get(kind, 0) + 1
    size = len(receipt.proof)
    assert tried["flipped"] == 8 * size
    assert tried["dropped"] == tried["doubled"] == tried["cut"] == size
    assert tried["swapped"] > 0.9 * (size - 1)


def test_every_bit_of_what_is_signed_and_of_the_signature_counts(ledger: Ledger, receipt: Receipt) -> None:
    """Flips below base64, so that each changed receipt is a well-formed one."""
    parts = [unb64(part) for part in receipt.proof.split(".")]
    tried = 0
    for place, part in enumerate(parts):
        for bit in range(len(part) * 8):
            changed = bytearray(part)
            changed[bit // 8] ^= 1 << bit % 8
            again = [b64(bytes(changed) if i == place else other) for i, other in enumerate(parts)]
            assert refused(ledger, ".".join(again))
            tried += 1
    assert tried == 8 * sum(map(len, parts))


def test_spare_bits_of_base64_are_no_second_spelling(ledger: Ledger, receipt: Receipt) -> None:
    """The last of 86 characters carries two bits of the signature; the other 15 spellings of it decode alike."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [c for c in alphabet if unb64(receipt.proof[:-1].split(".")[2] + c) == unb64(receipt.proof.split(".")[2])]
    assert len(same) == 16
    assert [c for c in same if not refused(ledger, receipt.proof[:-1] + c)] == [receipt.proof[-1]]


def test_no_other_algorithm_and_no_other_header_is_looked_at(ledger: Ledger, receipt: Receipt) -> None:
    head, body, signature = receipt.proof.split(".")
    own = json.loads(unb64(head))
    public = ledger.keys.public_keys("receipt")[0]
    real = ledger.keys.signing_key("receipt")
    for alg in ("none", "None", "", "HS256", "ES256", "Ed25519", "eddsa", None, 7, ["EdDSA"]):
        first = b64(json.dumps({**own, "alg": alg}, separators=(",", ":"), sort_keys=True).encode())
        mac = b64(hmac.new(public, f"{first}.{body}".encode(), hashlib.sha256).digest())
        for signed in (signature, "", mac, b64(real.sign(f"{first}.{body}".encode()))):
            assert refused(ledger, f"{first}.{body}.{signed}"), alg
    mac = b64(hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest())
    assert refused(ledger, f"{head}.{body}.{mac}")
    for junk in (
        {"typ": None},
        {"kid": None},
        {"kid": "00000000"},
        {"kid": own["kid"].upper() + "A"},
        {"crit": ["exp"]},
        {"jku": "https://example.invalid/keys"},
        {"jwk": {"kty": "OKP"}},
        {"b64": False},
        {"zip": "DEF"},
    ):
        assert refused(ledger, forge(receipt, real, junk)), junk  # signed with the real key all the same
    for spelling in (json.dumps(own), json.dumps(own, separators=(",", ":")) + " ", json.dumps(own)[:-1] + ',"alg":1}'):
        text = f"{b64(spelling.encode())}.{body}"
        assert refused(ledger, f"{text}.{b64(real.sign(text.encode()))}")


def test_no_other_key_and_no_other_store_is_believed(
    ledger: Ledger, given: Grant, receipt: Receipt, tmp_path: Path
) -> None:
    assert refused(ledger, forge(receipt, Ed25519PrivateKey.generate()))
    assert refused(ledger, forge(receipt, ledger.keys.signing_key("log")))
    (tmp_path / "side").mkdir()
    with Ledger(tmp_path / "side" / "ledger.sqlite", ledger.keys, store="side-street") as side:  # the same keys even
        say_yes(side)
        side.sign_checkpoint()
        other = receipts.issue(side, say_yes(side), now_us=NOON)
    with pytest.raises(ReceiptError, match="is of openaisle/side-street"):
        verify(ledger, other.proof, origin=ledger.origin)
    signed = other.proof.split(".")
    for i in range(3):  # a part of one in the other
        mixed = receipt.proof.split(".")
        mixed[i] = signed[i]
        assert mixed == receipt.proof.split(".") or refused(ledger, ".".join(mixed))
    with pytest.raises(ReceiptError, match="not signed with a receipt key"):
        receipts.verify(
            receipt.proof, KeyRing.create(tmp_path / "other").public_keys("receipt"), ledger.keys.public_keys("log")
        )


def test_it_is_of_one_entry_only(ledger: Ledger, receipt: Receipt) -> None:
    with pytest.raises(ReceiptError, match="is of entry 1, not of 0"):
        verify(ledger, receipt.proof, leaf_index=0)
    assert refused(ledger, forge(receipt, Ed25519PrivateKey.generate(), leaf=0))
    ledger.sign_checkpoint()
    leaves = [data for _, data in ledger.leaves(0, 2)]
    verify(ledger, receipt.proof).check_export(leaves)
    moved = verify(ledger, forge(receipt, ledger.keys.signing_key("receipt"), leaf=0))  # the store itself lies
    with pytest.raises(log.LogError, match="entry 0 of this log is not the one of the receipt"):
        moved.check_export(leaves)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": None},
        {"iss": 7},
        {"iss": "open aisle"},
        {"leaf": -1},
        {"leaf": "1"},
        {"leaf": True},
        {"record": "AAAA"},
        {"record": None},
        {"code": 7},
        {"code": "A" * 42},
        {"more": 1},
        {"log": []},
        {"log": [1]},
        {"log": ["1", "A" * 43, "A" * 91]},
        {"log": [1, "A" * 43, "A" * 91]},
        {"log": {"size": 1}},
        {"log": 7},
    ],
)
def test_another_form_is_refused_even_when_the_store_signed_it(
    ledger: Ledger, receipt: Receipt, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConsentError):
        verify(ledger, forge(receipt, ledger.keys.signing_key("receipt"), **changes))


def test_the_checkpoint_in_it_must_be_the_logs_own(ledger: Ledger, receipt: Receipt) -> None:
    size, root, signed = json.loads(unb64(receipt.proof.split(".")[1]))["log"]
    real = ledger.keys.signing_key("receipt")
    for other in (
        [size + 1, root, signed],
        [size, b64(bytes(32)), signed],
        [size, root, b64(unb64(signed)[:-1] + b"x")],
    ):
        with pytest.raises(log.LogError, match=r"does not verify|not signed"):
            verify(ledger, forge(receipt, real, log=other))
    foreign = log.sign(log.Checkpoint(ledger.origin, size, unb64(root)), Ed25519PrivateKey.generate())
    line = log.split(foreign)[1][0]
    with pytest.raises(log.LogError, match="not signed by the log's key"):
        verify(ledger, forge(receipt, real, log=[size, root, b64(line.key_id + line.value)]))


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é" * 10, "A" * 1001, "{}", b"\xff\xfe", b""])
def test_what_is_no_receipt_at_all_is_refused(ledger: Ledger, text: str | bytes) -> None:
    with pytest.raises(ReceiptError, match="not the proof of a receipt"):
        verify(ledger, text)


def test_a_receipt_outlives_the_key_that_signed_it(tmp_path: Path) -> None:
    keys = KeyRing.create(tmp_path / "keys")
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "ledger.sqlite"
    with Ledger(path, keys, store="main-street") as ledger:
        receipt = receipts.issue(ledger, say_yes(ledger), now_us=NOON)
    rotated = keys.rotate("receipt").rotate("log")
    with Ledger(path, rotated, store="main-street") as ledger:
        verify(ledger, receipt.proof)
        newer = receipts.issue(ledger, say_yes(ledger), now_us=NOON)
        verify(ledger, newer.proof)
        assert newer.proof.split(".")[0] != receipt.proof.split(".")[0]
        lines = receipts.key_lines(ledger)
        lines += [log.verifier_key(ledger.origin, public) for public in ledger.keys.public_keys("log")]
        found = receipts.read_keys(lines)
        assert found == ([*rotated.public_keys("receipt")], [*rotated.public_keys("log")], ledger.origin)
    with pytest.raises(log.LogError, match="different stores"):
        receipts.read_keys([*lines, log.verifier_key("openaisle/side", keys.public_keys("log")[0])])
    with pytest.raises(log.LogError, match="key of a witness"):
        receipts.read_keys([log.verifier_key("officer.example", keys.public_keys("log")[0], log.COSIGNATURE)])


# --- a log that was cut short, rolled back or forked ------------------------------------------------------------------


def test_a_newer_receipt_shows_that_the_log_only_grew(ledger: Ledger, given: Grant) -> None:
    proofs = []
    for _ in range(12):
        ledger.sign_checkpoint()
        proofs.append(verify(ledger, receipts.issue(ledger, say_yes(ledger), now_us=NOON).proof))
    for i, older in enumerate(proofs):
        for newer in proofs[i:]:
            assert older.checkpoint is not None
            assert newer.checkpoint is not None
            steps = ledger.consistency_proof(older.checkpoint.size, newer.checkpoint.size)
            older.check_newer(newer.checkpoint, steps)
            if older is not newer:
                with pytest.raises(ConsentError, match="cut short or rolled back"):
                    newer.check_newer(older.checkpoint, steps)
            forked = log.Checkpoint(ledger.origin, newer.checkpoint.size, bytes(32))
            with pytest.raises(ConsentError):
                older.check_newer(forked, steps)
    with pytest.raises(log.LogError, match="is of the log openaisle/side"):
        proofs[0].check_newer(log.Checkpoint("openaisle/side", 99, bytes(32)), [])


def test_an_export_is_held_against_a_receipt(ledger: Ledger, given: Grant, tmp_path: Path) -> None:
    public = ledger.keys.public_keys("log")
    log.export(ledger, tmp_path / "before")
    ledger.sign_checkpoint()
    told = verify(ledger, receipts.issue(ledger, given, now_us=NOON).proof)
    log.export(ledger, tmp_path / "after")
    assert receipts.check_export(told, tmp_path / "after", public).known == 1
    with pytest.raises(log.LogError, match="once had 2 entries and now has 1: it was cut short"):
        receipts.check_export(told, tmp_path / "before", public)


def test_a_log_rewritten_by_whoever_holds_all_keys_is_found(ledger: Ledger, given: Grant, tmp_path: Path) -> None:
    ledger.sign_checkpoint()
    told = verify(ledger, receipts.issue(ledger, given, now_us=NOON).proof)
    (tmp_path / "anew").mkdir()
    with Ledger(tmp_path / "anew" / "ledger.sqlite", ledger.keys, store="main-street") as anew:
        for _ in range(5):
            say_yes(anew)
        anew.sign_checkpoint()
        log.export(anew, tmp_path / "export")
        newest = anew.newest_checkpoint()
        assert newest is not None
        with pytest.raises(merkle.ProofError):
            told.check_newer(newest[1], anew.consistency_proof(2, 5))
    with pytest.raises(log.LogError, match="rewritten"):
        receipts.check_export(told, tmp_path / "export", ledger.keys.public_keys("log"))


def test_an_entry_left_out_after_the_receipts_checkpoint_is_found(ledger: Ledger, given: Grant, tmp_path: Path) -> None:
    """The receipt is older than the checkpoint over its own entry; its record digest still names that entry."""
    told = verify(ledger, receipts.issue(ledger, given, now_us=NOON).proof)
    assert told.checkpoint is not None
    assert told.checkpoint.size <= told.leaf_index
    with pytest.raises(log.LogError, match="ends before entry 1"):
        told.check_export([data for _, data in ledger.leaves(0, 1)])
    with pytest.raises(log.LogError, match="entry 1 of this log is not the one"):
        told.check_export([data for _, data in ledger.leaves(0, 1)] * 2)


# --- as QR ------------------------------------------------------------------------------------------------------------


def scan(text: str, module_px: int) -> str:
    """Return what a phone reads from the drawn symbol; OpenCV's own detector misses one large symbol in five."""
    matrix = np.array(list(receipts.qr_symbol(text).matrix_iter(scale=module_px, border=4)), dtype=np.uint8)
    found, _ = cv2.wechat_qrcode.WeChatQRCode().detectAndDecode(np.where(matrix == 1, 0, 255).astype(np.uint8))
    return "".join(found)


def test_both_codes_come_back_from_their_symbols(ledger: Ledger, given: Grant, receipt: Receipt) -> None:
    address = receipts.withdraw_url("https://shop.example:8643/", given.secret)
    assert address == f"https://shop.example:8643/w#{given.secret}"
    for module_px in (3, 4, 6):
        assert scan(address, module_px) == address
        assert scan(receipt.proof, module_px) == receipt.proof


def test_the_symbols_fit_narrow_paper(ledger: Ledger, given: Grant, receipt: Receipt) -> None:
    """58 mm paper has 384 dots of 1/8 mm; a phone wants four dots a module, and eight modules stay white."""
    slip = receipts.issue(ledger, 0, now_us=NOON)
    for text in (receipt.proof, slip.proof, receipts.withdraw_url("https://shop.example:8643", given.secret)):
        assert len(text) <= LONGEST
        assert (receipts.qr_symbol(text).symbol_size(border=4)[0]) * 4 <= 384
    longest = receipt.proof + "x" * (LONGEST - len(receipt.proof))
    assert receipts.qr_symbol(longest).symbol_size(border=4)[0] * 3 <= 384


def test_the_drawing_needs_no_style_and_no_script(receipt: Receipt) -> None:
    drawn = receipts.qr_svg(receipt.proof, title='Proof <of> "consent" & more')
    assert drawn.startswith('<svg role="img" ')
    assert "<title>Proof &lt;of&gt; " in drawn
    assert "&amp; more</title>" in drawn
    for word in ("style", "script", "class=", "href", "http", "width=", receipt.proof[:20]):
        assert word not in drawn
