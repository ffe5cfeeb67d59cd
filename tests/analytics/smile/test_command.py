"""`[smile]` in store.toml and the commands around it: what is said where something is missing, and that off is off."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from analytics.config import SmileTable, StoreFile
from analytics.reading import OWN
from analytics.smile.offer import Offer
from analytics.start import PLACEHOLDER
from tests.command import Place
from tests.conftest import ROOT
from tests.consent.kiosk.front import make_shop

TABLE = {"item": "Coffee", "currency": "EUR", "price": "2.50", "floor": "2.00", "budget": "40.00"}


def test_the_table_is_the_offer() -> None:
    assert SmileTable.model_validate(TABLE).offer() == Offer("Coffee", "EUR", 2, 250, 200, 4000, 60)
    yen = SmileTable.model_validate({**TABLE, "currency": "JPY", "price": "300", "floor": "0", "budget": "3000"})
    assert yen.offer() == Offer("Coffee", "JPY", 0, 300, 0, 3000, 60)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"floor": "2.50"}, "not below the price"),
        ({"floor": "3.00"}, "not below the price"),
        ({"floor": "2"}, "same number of decimals"),
        ({"budget": "0.40"}, "does not reach for one discount"),
        ({"price": 2.5}, "string"),
        ({"price": "-1.00"}, "pattern"),
        ({"price": "1,00"}, "pattern"),
        ({"currency": "euro"}, "pattern"),
        ({"item": ""}, "at least 1"),
        ({"item": "two\nlines"}, "pattern"),
        ({"minutes": 5}, "greater than or equal to 10"),
        ({"minutes": 241}, "less than or equal to 240"),
        ({"percent": 10}, "Extra inputs"),
    ],
)
def test_a_table_that_does_not_add_up_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SmileTable.model_validate({**TABLE, **changes})


def test_without_the_table_there_is_no_offer() -> None:
    least = tomllib.loads('[store]\nname = "s"\nid = "s"\ntimezone = "UTC"\n')
    assert StoreFile.model_validate(least).smile is None


def test_a_shop_without_the_key_is_told_how_to_make_it(tmp_path: Path) -> None:
    place, state = Place(tmp_path / "place"), make_shop(tmp_path / "shop")
    (key,) = state.keys.glob("voucher-*.key")
    key.unlink()
    done = place.run("kiosk", "--state", state.root)
    assert done.returncode == 2
    assert "openaisle keys voucher" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    made = place.run("keys", "voucher", "--state", state.root)
    assert (made.returncode, "generation 1 in use" in made.stdout) == (0, True)
    assert "generation 2 in use" in place.run("keys", "voucher", "--state", state.root).stdout


@pytest.mark.parametrize(("command", "model"), [("watch", "gone.onnx"), ("kiosk", "gone.onnx"), ("kiosk", "mute.onnx")])
def test_a_file_of_the_shops_own_that_cannot_read_is_told_at_the_start(
    tmp_path: Path, command: str, model: str
) -> None:
    place, state = Place(tmp_path / "place"), make_shop(tmp_path / "shop")
    (state.root / "mute.onnx").write_bytes(OWN.read_bytes().replace(b"smile", b"smirk"))
    text = (state.root / "store.toml").read_text().replace(PLACEHOLDER, "rtsp://192.0.2.1/door")
    (state.root / "store.toml").write_text(f'{text}\n[expression]\nmodel = "{model}"\n')
    done = place.run(command, "--state", state.root)
    assert done.returncode == 2
    assert f"{state.root}/{model}" in done.stderr
    assert ("reads no smile" if model == "mute.onnx" else "under [expression]") in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_till_is_paired_by_a_command(tmp_path: Path) -> None:
    place, state = Place(tmp_path / "place"), make_shop(tmp_path / "shop")
    said = place.run("kiosk", "--state", state.root, "--pair-till").stdout
    assert "open /pair on the till" in said


def test_off_is_off() -> None:
    """The kiosk's own modules bring nothing of the smile page with them."""
    words = (
        "import sys, cli; from analytics import desk; from consent.kiosk import app; import analytics.commands.shop;"
        "assert not [m for m in sys.modules if m in ('analytics.smile.pages', 'analytics.smile.reader', 'cv2',"
        " 'onnxruntime', 'openvino', 'consent.vouchers')]"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
