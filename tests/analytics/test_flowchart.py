"""The ribbons of a Sankey diagram: as wide as what flows, within the picture, and none over another's zone."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.figures import LOST, OTHERS
from analytics.flowchart import ribbons, sankey
from analytics.report import Flow

ZONES = ("tea", "coffee", "queue", LOST, OTHERS)
FLOWS = st.dictionaries(
    st.tuples(st.sampled_from(ZONES[:3]), st.sampled_from(ZONES)), st.integers(5, 5000), min_size=1
).map(lambda found: [Flow("camera", start, end, n) for (start, end), n in found.items()])


@given(FLOWS)
def test_a_zone_is_as_high_as_what_flows_through_it(flows: list[Flow]) -> None:
    found, left, right = ribbons(flows)
    assert len(found) == len(flows)
    whole = sum(flow.n for flow in flows)
    for bars, end in ((left, "start"), (right, "end")):
        room = sum(top - low for low, top in bars.values())
        for zone, (low, top) in bars.items():
            n = sum(flow.n for flow in flows if getattr(flow, end) == zone)
            assert top - low == pytest.approx(room * n / whole)
            assert -1e-9 <= low < top <= 1 + 1e-9
        assert all(a[0] > b[1] for a, b in pairwise(bars.values()))  # from the top down, with room between
    for ribbon in found:
        for (low, top), bar in ((ribbon.left, left[ribbon.flow.start]), (ribbon.right, right[ribbon.flow.end])):
            assert bar[0] - 1e-9 <= low < top <= bar[1] + 1e-9


@given(FLOWS)
def test_ribbons_of_one_zone_do_not_overlap(flows: list[Flow]) -> None:
    found, left, right = ribbons(flows)
    for zone in left:
        ends = sorted((r.left for r in found if r.flow.start == zone), reverse=True)
        assert all(a[0] >= b[1] - 1e-9 for a, b in pairwise(ends))
    for zone in right:
        ends = sorted((r.right for r in found if r.flow.end == zone), reverse=True)
        assert all(a[0] >= b[1] - 1e-9 for a, b in pairwise(ends))


def test_it_names_what_is_no_zone_in_words_and_needs_no_other_file() -> None:
    text = json.dumps(sankey([Flow("camera", "tea", LOST, 20), Flow("camera", "tea", OTHERS, 10)]))
    assert "out of sight" in text
    assert "other zones" in text
    assert "/lost" not in text
    assert '"url"' not in text
