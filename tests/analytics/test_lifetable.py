"""The bins of times."""

from __future__ import annotations

import pytest

from analytics.lifetable import BINS, EDGES_US, bin_index
from analytics.model import SECOND


def test_edges_are_fixed_for_ever() -> None:
    assert [round(e / SECOND, 2) for e in EDGES_US[:5]] == [2, 2.83, 4, 5.66, 8]
    assert EDGES_US[-1] == 8192 * SECOND


@pytest.mark.parametrize("i", range(BINS))
def test_an_edge_belongs_to_the_bin_above_it(i: int) -> None:
    assert bin_index(EDGES_US[i]) == i
    assert bin_index(EDGES_US[i] - 1) == max(0, i - 1)
