"""Audits kept: a handful of numbers, nothing of the clip, and nothing kept unasked."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from analytics.accuracy import Stay, score
from analytics.audits import AuditError, audit_of, audits, keep
from analytics.lines import LinesError
from analytics.measure import Measurement
from analytics.notes import FOLDER
from analytics.shopfloor import opening, record
from cli import main

CAMERA = opening.CAMERA


def measured() -> Measurement:
    true = [Stay("tea", 0.0, 10.0), Stay("tea", 20.0, 30.0), Stay("coffee", 5.0, 9.0)]
    found = [Stay("tea", 0.5, 10.0), Stay("tea", 20.0, 31.0)]
    return Measurement(seconds=60.0, blind_s=6.0, score=score(true, found), tracking={"hota": 0.8, "idf1": 0.9})


def test_the_newest_stands_first_and_is_what_was_measured(tmp_path: Path) -> None:
    assert audits(tmp_path) == []
    for at in (1, 2):
        keep(tmp_path, audit_of(measured(), CAMERA, at))
    newest, oldest = audits(tmp_path)
    assert (newest.at_us, oldest.at_us) == (2, 1)
    assert (newest.true, newest.measured, newest.matched) == (3, 2, 2)
    assert newest.f1 == pytest.approx(0.8)
    assert newest.dwell_error_s == pytest.approx(0.75)
    assert newest.coverage == pytest.approx(0.9)
    assert (newest.hota, newest.idf1) == (0.8, 0.9)


def test_without_a_truth_there_is_nothing_to_keep() -> None:
    with pytest.raises(AuditError, match="--truth"):
        audit_of(Measurement(seconds=1.0), CAMERA, 1)


def test_a_line_that_is_no_audit_is_named(tmp_path: Path) -> None:
    keep(tmp_path, audit_of(measured(), CAMERA, 1))
    path = tmp_path / FOLDER / "audits.jsonl"
    path.write_text(path.read_text() + '{"at_us":1}\n')
    with pytest.raises(AuditError, match="no audit"):
        audits(tmp_path)
    path.write_text("[]\n")
    with pytest.raises(LinesError, match="line 1"):
        audits(tmp_path)


def test_the_command_keeps_numbers_and_nothing_of_the_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = opening.open_shop(tmp_path / "shop", name="A simulated shop", source="none", now_us=time.time_ns() // 1000)
    words = [
        *("measure", str(record.HERE / record.CLIP), "--zones", str(record.HERE / record.ZONES)),
        *("--truth", str(record.HERE / record.VISITS), "--fps", "2"),
    ]
    assert main(words) == 0
    assert not (shop.root / FOLDER).exists()
    assert main([*words, "--keep", str(shop.root), "--camera", CAMERA, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["score"]
    (audit,) = audits(shop.root)
    assert (audit.camera, audit.f1, audit.true) == (CAMERA, told["f1"], told["true"])
    text = (shop.root / FOLDER / "audits.jsonl").read_text()
    assert "mp4" not in text
    assert len(json.loads(text)) == 11


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--camera", CAMERA], "--keep needs --truth"),
        (["--truth", "x.csv", "--camera", "cellar"], f"--camera, one of {CAMERA}"),
        (["--truth", "x.csv"], f"--camera, one of {CAMERA}"),
    ],
)
def test_a_slip_costs_no_run(more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = opening.open_shop(tmp_path / "shop", name="A simulated shop", source="none", now_us=time.time_ns() // 1000)
    zones = str(record.HERE / record.ZONES)
    assert main(["measure", "no.mp4", "--zones", zones, "--keep", str(shop.root), *more]) == 2
    assert said in capsys.readouterr().err
