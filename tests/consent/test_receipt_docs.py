"""The example in docs/receipt.md is a real receipt, and says what the page says of it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from consent import receipts
from consent.events import ConsentError

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "receipt.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PROOF, KEYS = (text for kind, text in BLOCKS if not kind)
CODE = "40DE-QZPJ-X96W-VNCX-VDTV"


def test_the_example_verifies_with_the_two_lines() -> None:
    receipt_keys, log_keys, origin = receipts.read_keys(KEYS.strip().splitlines())
    proof = receipts.verify(PROOF.strip(), receipt_keys, log_keys, origin=origin, secret=CODE, leaf_index=16)
    assert proof.checkpoint is not None
    assert proof.checkpoint.size == 16
    for i in (20, 100, 400, -3):
        changed = PROOF.strip()
        changed = changed[:i] + ("A" if changed[i] != "A" else "B") + changed[i + 1 :]
        with pytest.raises(ConsentError):
            receipts.verify(changed, receipt_keys, log_keys)


def test_header_and_payload_are_shown_as_they_are() -> None:
    head, body, _ = PROOF.strip().split(".")
    shown = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
    assert shown == [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)]


def test_the_sizes_are_those_of_the_example() -> None:
    assert f"of {len(PROOF.strip())} characters" in TEXT
    assert receipts.qr_symbol(PROOF.strip()).designator == "16-L"
    address = receipts.withdraw_url("https://shop.example:8643", CODE.replace("-", ""))
    assert f"`{address}`" in TEXT
    assert receipts.qr_symbol(address).designator == "4-M"
    assert [receipts.qr_symbol(t).symbol_size(border=0)[0] for t in (PROOF.strip(), address)] == [81, 33]
