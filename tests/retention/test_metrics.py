"""What Prometheus is told: how the processes do, in counts and ages, and nothing by which a shopper is noticed."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from analytics.answers import answers
from analytics.figures import Figure
from analytics.live import Board, Live
from analytics.shopfloor import opening, weeks
from analytics.state import State
from consent.keys import Role
from consent.ledger import Ledger
from retention.metrics import Health, metrics, steps
from retention.status import NAME, PROBLEMS
from tests.consent.shop import NOON, SECOND, say_yes, write

Told = dict[tuple[str, str], float]


def shop(root: Path) -> State:
    return opening.open_shop(root, name="A simulated shop", source="none", now_us=NOON)


def told(state: State, ledger: Ledger, now_us: int = NOON) -> Told:
    """Return what is told, by name and camera, without the disk: others write there too."""
    found = {
        (sample.name, sample.labels.get("camera", "")): sample.value
        for metric in Health(state, ledger, lambda: now_us).collect()
        for sample in metric.samples
    }
    return {key: value for key, value in found.items() if "disk" not in key[0]}


def test_a_yes_a_visit_and_a_withdrawal_change_nothing_that_is_told(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    with state.open_ledger(Role.ADMIN) as ledger, state.open_ledger(Role.KEEPER) as keeper:
        keeper.sign_checkpoint()
        before = told(state, ledger)
        grant = say_yes(ledger)
        assert told(state, ledger) == before
        assert write(ledger, grant.subject, at_us=NOON)
        assert told(state, ledger) == before
        ledger.withdraw(grant.secret, now_us=NOON + 1)
        assert told(state, ledger, NOON + 2) == before
        keeper.sign_checkpoint()
        keeper.destroy_subject(grant.subject, now_us=NOON + 3)
        assert told(state, ledger, NOON + 4) == before


def test_what_is_late_is_told_in_steps(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    with state.open_ledger(Role.ADMIN) as ledger, state.open_ledger(Role.KEEPER) as keeper:
        keeper.sign_checkpoint()
        stays = say_yes(ledger)
        grants = [say_yes(ledger) for _ in range(6)]
        for grant in grants:
            write(ledger, grant.subject, at_us=NOON)
            ledger.withdraw(grant.secret, now_us=NOON)
        write(ledger, stays.subject, at_us=NOON)
        late = told(state, ledger, NOON + 599 * SECOND)
        assert late["openaisle_erasures_due", ""] == 5  # of six
        assert late["openaisle_erasures_overdue", ""] == 0
        assert late["openaisle_log_unsigned_age_seconds", ""] == 590
        late = told(state, ledger, NOON + 601 * SECOND)
        assert late["openaisle_erasures_overdue", ""] == 10  # six are more than five
        assert late["openaisle_inbox_oldest_age_seconds", ""] == 600
        assert late["openaisle_inbox_rows", ""] == 0  # seven are less than a hundred
        keeper.sign_checkpoint()
        assert told(state, ledger, NOON + 601 * SECOND)["openaisle_log_unsigned_age_seconds", ""] == 0
        over = told(state, ledger, NOON + 40 * 86_400 * SECOND)  # the last yes has outlived its term, too
        assert (over["openaisle_erasures_due", ""], over["openaisle_erasures_overdue", ""]) == (5, 10)
    assert [steps(n, 5) for n in (0, 4, 5, 9)] == [0, 0, 5, 5]
    assert [steps(n, 5, up=True) for n in (0, 1, 5, 6)] == [0, 5, 5, 10]


def test_cameras_and_alerts_as_watch_says_and_no_band(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    board = Board()
    with state.open_ledger(Role.DASHBOARD) as ledger:
        still = told(state, ledger)
        assert still["openaisle_watch_up", ""] == 0
        assert still["openaisle_camera_up", "simulated"] == 0
        assert ("openaisle_camera_last_picture_age_seconds", "simulated") not in still
        with Live(state.live, board):
            assert told(state, ledger)["openaisle_watch_up", ""] == 1
            assert told(state, ledger)["openaisle_camera_up", "simulated"] == 0
            board.saw("simulated")
            board.saw("another")  # not of this shop
            board.alert(True)
            board.alert(False)
            seen = told(state, ledger)
            text = TestClient(metrics(state, ledger)).get("/metrics").text
            board.show_zones("simulated", {"queue": "long", "tea": "10+"})
            crowded = told(state, ledger)
    assert seen["openaisle_camera_up", "simulated"] == 1
    assert 0 <= seen["openaisle_camera_last_picture_age_seconds", "simulated"] < 10
    assert seen["openaisle_alerts_sent_total", ""] == seen["openaisle_alerts_failed_total", ""] == 1
    assert "another" not in text
    assert set(crowded) == set(seen)
    ages = ("openaisle_camera_last_picture_age_seconds", "simulated")
    assert {key: value for key, value in crowded.items() if key != ages} == {
        key: value for key, value in seen.items() if key != ages
    }


def test_the_last_sweep_and_what_it_found_wrong(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    with state.open_ledger(Role.DASHBOARD) as ledger:
        assert ("openaisle_keeper_sweep_age_seconds", "") not in told(state, ledger)
        note = {"swept_us": NOON - 90 * SECOND, **dict.fromkeys(PROBLEMS), "clock": None}
        (state.root / NAME).write_text(json.dumps({**note, "deferred": "a reason that names a file"}))
        found = told(state, ledger)
    assert found["openaisle_keeper_sweep_age_seconds", ""] == 90
    assert found["openaisle_keeper_problems", ""] == 1


def test_coverage_is_that_of_the_released_cells_of_today(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    weeks.unpack(state)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        report = answers(state.root)
        day = report.days()[-1]
        newest = max(cell.end_us for cell in report.cells(Figure.VISITS, day, day))
        found = told(state, ledger, newest + 60 * SECOND)
        assert found["openaisle_camera_coverage_ratio", "simulated"] == pytest.approx(1.0, abs=0.2)
        assert found["openaisle_released_age_seconds", ""] == 60
        later = told(state, ledger, newest + 10 * 86_400 * SECOND)
        assert ("openaisle_camera_coverage_ratio", "simulated") not in later  # not known is not zero
        (state.released / "everybody-zone_visits-2026-10-11.parquet").write_bytes(b"broken")
        assert told(state, ledger)["openaisle_released_readable", ""] == 0


def test_names_words_and_labels_are_as_prometheus_has_them(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    with state.open_ledger(Role.DASHBOARD) as ledger:
        client = TestClient(metrics(state, ledger))
        answer = client.get("/metrics")
        logging.getLogger("analytics.somebody").warning("something that names %s", "somebody")
        again = {m.name: m for m in text_string_to_metric_families(client.get("/metrics").text)}
        (state.root / "store.toml").write_text("no toml")
        broken = {m.name: m for m in text_string_to_metric_families(client.get("/metrics").text)}
        assert client.get("/metrics/").status_code == 404
    assert answer.headers["content-type"].startswith("text/plain; version=")
    cameras = {camera.name for camera in state.store.camera}
    for family in text_string_to_metric_families(answer.text):
        assert re.fullmatch(r"(openaisle|process)_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert re.search(r"(_seconds|_bytes|_ratio)$", family.name) or "age" not in family.name
        for sample in family.samples:
            assert set(sample.labels) <= {"camera"}
            assert set(sample.labels.values()) <= cameras
    assert again["openaisle_dashboard_warnings"].samples[0].value == 1
    assert again["openaisle_config_valid"].samples[0].value == 1
    assert broken["openaisle_config_valid"].samples[0].value == 0
    assert broken["openaisle_privacy_level"].samples[0].value == 0


def test_every_metric_stands_in_the_documentation(tmp_path: Path) -> None:
    state = shop(tmp_path / "shop")
    page = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
    with state.open_ledger(Role.DASHBOARD) as ledger, Live(state.live, Board()):
        text = TestClient(metrics(state, ledger)).get("/metrics").text
    names = set(re.findall(r"^# TYPE (openaisle_\w+) ", text, re.MULTILINE))
    assert len(names) > 15
    assert not [name for name in names if f"`{name}`" not in page]
