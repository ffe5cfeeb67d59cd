"""`openaisle measure` on real clips with true visits, by the command a user types, held to what the docs promise."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from numpy.typing import NDArray

from analytics.accuracy import Stay
from analytics.config import ConfigError, ZoneFile, read_zones
from analytics.measure import TrackAudit, measure, read_stays, read_truth
from tests.command import INT8, Place

pytestmark = pytest.mark.data

PETS, TUD = "tracking/PETS09-S2L1", "tracking/TUD-Stadtmitte"


@pytest.fixture(scope="session")
def measured(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run the command on a sequence, once a session for each choice of words."""

    @cache
    def run(sequence: str, *words: str) -> dict[str, Any]:
        folder = data / sequence
        done = Place(tmp_path_factory.mktemp("measure")).run(
            "measure",
            folder / f"{folder.name}.mp4",
            "--zones",
            folder / "zones.toml",
            "--truth",
            folder / "visits.csv",
            "--model",
            data / INT8,
            "--json",
            *words,
        )
        assert (done.returncode, done.stderr) == (0, "")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run


# --- how far off ------------------------------------------------------------------------------------------------------


def test_a_long_clip_at_seven_frames_a_second_is_measured_as_promised(measured: Any) -> None:
    score = measured(PETS)["score"]
    assert score["f1"] >= 0.90
    assert score["dwell_error_s"] <= 0.6
    assert abs(score["total_dwell_error"]) <= 0.04


def test_a_crowded_street_gives_one_error_at_most(measured: Any) -> None:
    score = measured(TUD)["score"]
    assert score["true"] == 9
    assert max(score["true"], score["measured"]) - score["matched"] <= 1


def test_five_looks_a_second_lose_little(measured: Any) -> None:
    assert measured(PETS, "--fps", "5")["score"]["f1"] >= measured(PETS)["score"]["f1"] - 0.05


def test_fewer_looks_are_fewer_inferences(measured: Any) -> None:
    few, many = measured(PETS, "--fps", "5"), measured(PETS)
    assert many["frames"] == 795  # the clip has 7 pictures a second: each of them
    assert 500 <= few["frames"] <= 580
    assert few["seconds"] == pytest.approx(many["seconds"], abs=0.2)
    assert few["inferences"] <= few["frames"]


# --- the object -------------------------------------------------------------------------------------------------------


def test_the_object_has_the_form_of_the_docs(measured: Any) -> None:
    result = measured(TUD)
    assert set(result) == {
        *("visits", "decisions", "reaches", "frames", "seconds", "blind_s", "cpu_seconds", "inferences"),
        *("looks", "looks_cpu_seconds", "score", "decision_score", "entries", "passers_by"),
    }
    assert result["reaches"] == []
    assert result["entries"] is result["passers_by"] is None  # the zone file draws no door
    assert result["looks"] == 0  # nobody is looked at twice unless somebody says that all agreed
    assert all(one["pose_s"] is None for one in result["decisions"])
    assert result["visits"]
    for visit in result["visits"]:
        assert set(visit) == {"zone", "track", "enter_s", "leave_s", "end_reason"}
        assert visit["zone"] in {"window_left", "window_right"}
        assert isinstance(visit["track"], int)
        assert 0 <= visit["enter_s"] < visit["leave_s"] <= result["seconds"]
        assert visit["end_reason"] in {"crossed", "lost", "blind", "opt_out"}
    assert [v["enter_s"] for v in result["visits"]] == sorted(v["enter_s"] for v in result["visits"])
    assert result["frames"] == 72  # ten a second of 7.16 s
    assert 0 < result["inferences"] <= result["frames"]
    assert result["seconds"] == pytest.approx(7.1, abs=0.1)
    assert result["cpu_seconds"] > 0
    assert set(result["score"]) >= {"true", "measured", "matched", "f1", "dwell_error_s", "total_dwell_error"}
    assert result["score"]["measured"] == len(result["visits"])


# --- the parts, with a detector that sees nobody ----------------------------------------------------------------------


class Nobody:
    """A detector of an empty world."""

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, image: NDArray[np.uint8]) -> sv.Detections:
        self.looks += 1
        return sv.Detections.empty()


@pytest.fixture(scope="module")
def zones(data: Path) -> ZoneFile:
    return read_zones(data / TUD / "zones.toml")


def test_where_nobody_is_found_nothing_is_measured(data: Path, zones: ZoneFile) -> None:
    eyes, done = Nobody(), list[float]()
    result = measure(data / TUD / "TUD-Stadtmitte.mp4", zones, eyes, fps=5, progress=done.append)
    assert result.visits == []
    assert (result.frames, result.inferences) == (36, eyes.looks - 1)  # one look before the clock starts
    assert len(done) == 36
    assert done == sorted(done)
    assert "0 of" not in result.table()


def test_who_came_in_and_who_passed_is_told_where_both_are_drawn(data: Path, zones: ZoneFile) -> None:
    square = ((0.0, 0.0), (90.0, 0.0), (90.0, 90.0), (0.0, 90.0))
    tables = [{"name": kind, "kind": kind, "polygon": square} for kind in ("entrance", "outside")]
    for drawn, told in ((tables, (0, 0)), (tables[:1], (0, None)), (tables[1:], (None, None))):
        door = ZoneFile.model_validate({"zone": drawn})
        result = measure(data / TUD / "TUD-Stadtmitte.mp4", door, Nobody(), fps=5, until_s=0.5)
        assert (result.entries, result.passers_by) == told
    result.entries, result.passers_by = 3, 9
    assert "3 entries, 9 passers-by: capture 25%" in result.table()


def test_a_zone_outside_the_picture_is_no_empty_figure(data: Path) -> None:
    right = ((500.0, 100.0), (630.0, 100.0), (630.0, 200.0), (500.0, 200.0))  # of 640 by 480 pixels; turned, 480 by 640
    drawn = ZoneFile.model_validate({"zone": [{"name": "right", "kind": "product", "polygon": right}]})
    clip = data / TUD / "TUD-Stadtmitte.mp4"
    assert measure(clip, drawn, Nobody(), fps=5, until_s=0.5).frames
    with pytest.raises(ConfigError, match="zone right lies outside the picture of 480x640"):
        measure(clip, drawn, Nobody(), fps=5, until_s=0.5, turn=90)


def test_a_measurement_can_end_early(data: Path, zones: ZoneFile) -> None:
    result = measure(data / TUD / "TUD-Stadtmitte.mp4", zones, Nobody(), fps=5, until_s=2.0)
    assert result.seconds == pytest.approx(2.0, abs=0.21)
    assert result.frames == 11


def test_a_hole_in_the_clip_is_told(data: Path, zones: ZoneFile) -> None:
    result = measure(data / TUD / "TUD-Stadtmitte.mp4", zones, Nobody(), fps=5)
    result.blind_s = 0.2 * result.seconds
    assert "coverage 80% (low: read with care)" in result.table()
    result.blind_s = 0
    assert "coverage 100%, 36 looks" in result.table()


# --- truth files ------------------------------------------------------------------------------------------------------


def test_the_true_visits_of_the_sequences_are_read(data: Path, zones: ZoneFile) -> None:
    true = read_truth(data / TUD / "visits.csv", zones)
    assert len(true) == 9
    assert all(isinstance(stay, Stay) for stay in true)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "needs the columns zone, person, enter_s, leave_s in its first row"),
        ("a,b\n1,2\n", "needs the columns"),
        ("zone,person,enter_s,leave_s\nwindow_left,1,0,x\n", "row 2: could not convert"),
        ("zone,person,enter_s,leave_s\nwindow_left,1,0,1\nwindow_left,1,3\n", "row 3: "),
        ("zone,person,enter_s,leave_s\nwindow_left,1,3,1\n", "row 2: a stay in 'window_left' ends before it starts"),
        ("zone,person,enter_s,leave_s\nwindow_left,1,nan,1\n", "row 2: "),
        ("zone,person,enter_s,leave_s\nwindow_left,1,0,inf\n", "row 2: a stay in 'window_left' lies outside the clip"),
        ("zone,person,enter_s,leave_s\nwindow_left,1,-3,1\n", "row 2: a stay in 'window_left' lies outside the clip"),
        ("zone,person,enter_s,leave_s\nwindow,1,0,1\n", "zone 'window' is not in the zone file; it has window_left, "),
        ("zone,person,enter_s,leave_s\nwindow_left,1,0,\udcff\n", "cannot be read as a truth file"),
    ],
)
def test_a_truth_that_cannot_be_used_is_refused_in_one_line(
    text: str, line: str, tmp_path: Path, zones: ZoneFile
) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as refusal:
        read_truth(path, zones)
    assert str(refusal.value).startswith(str(path))
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_truth_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes("\ufeffzone,person,enter_s,leave_s\r\nshelf,1,0.5,2\r\n".encode())
    assert read_stays(path) == [Stay("shelf", 0.5, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "1,1,x,0,10,20,1\n",
        "1,1\n",
        "1.5,1,0,0,10,20,1\n",
        "1,99999999999999999999,0,0,10,20,1\n",
        "1,1,nan,0,10,20,1\n",
        "1,1,0,0,1e308,20,1\n",
    ],
)
def test_true_boxes_that_cannot_be_used_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(f"1,1,0,0,10,20,1\n{text}")
    with pytest.raises(ConfigError, match="row 2: not frame, id, left, top, width, height, flag"):
        TrackAudit(path, 25)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="name a regular file"):
        read_stays(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="name a regular file"):
        TrackAudit(tmp_path / "pipe", 25)


def test_perfect_boxes_score_full_marks_and_swapped_people_do_not(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("".join(f"{f},{p},{100 * p},10,30,60,1\n" for f in range(1, 11) for p in (1, 2)))
    perfect, swapped = TrackAudit(path, 10), TrackAudit(path, 10)
    for f in range(10):
        boxes = [(p, (100.0 * p, 10.0, 100.0 * p + 30, 70.0)) for p in (1, 2)]
        perfect.see(f * 100_000, boxes)
        swapped.see(f * 100_000, [(3 - p if f >= 5 else p, box) for p, box in boxes])
    assert perfect.figures() == pytest.approx({"hota": 1.0, "idf1": 1.0})
    assert swapped.figures()["idf1"] == pytest.approx(0.5)
    assert swapped.figures()["hota"] < 0.8
