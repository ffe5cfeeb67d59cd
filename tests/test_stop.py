"""After a tap on "stop" no row is written: a sample of `make bench-latency`, without its clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analytics import rtsp_server
from tests.bench import stop_latency


def test_a_consent_taken_back_between_two_rows_leaves_no_second_row(tmp_path: Path) -> None:
    found = stop_latency.rows(tmp_path, 30)
    assert (len(found.commit_s), found.after) == (30, 0)


@pytest.mark.data
@pytest.mark.timeout(600)
def test_a_linked_shopper_in_a_real_picture_is_let_go_and_no_row_follows(data: Path, tmp_path: Path) -> None:
    if reason := rtsp_server.missing():
        pytest.skip(f"RTSP server packages: {reason}")
    found = stop_latency.real(tmp_path, 4, 1, seconds=600, busy=False)
    assert (len(found.commit_s), found.after, found.offered) == (4, 0, 0)
    assert len(found.shut_s) + found.blind == 4
