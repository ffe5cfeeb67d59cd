"""Pictures of curves and shares: what is drawn is what was estimated, with its interval, and said in words too."""

from __future__ import annotations

import json
import re

from analytics.colours import DARK, LIGHT
from analytics.curves import rows, shares, still, told
from analytics.pages.picture import png
from analytics.survival import Curve, curve
from tests.analytics.test_survival import histogram, stays

LINE = Curve((0.0, 4.0, 8.0), (1.0, 0.6, 0.2), (1.0, 0.5, 0.1), (1.0, 0.7, 0.3))


def test_rows_are_the_points_of_the_curve_with_their_band() -> None:
    assert rows({"everybody": LINE}) == [
        {"Of": "everybody", "Seconds": 4.0, "Still deciding": 0.6, "95 % from": 0.5, "95 % to": 0.7},
        {"Of": "everybody", "Seconds": 8.0, "Still deciding": 0.2, "95 % from": 0.1, "95 % to": 0.3},
    ]


def test_a_curve_of_many_points_is_thinned_and_keeps_its_end() -> None:
    found = curve(histogram(stays(1, 4000, 0.01)))
    thin = rows({"everybody": found})
    assert len(thin) < 140 < len(found.seconds)
    assert thin[-1]["Seconds"] == round(found.seconds[-1], 2)


def test_a_second_curve_is_told_apart_by_more_than_its_colour() -> None:
    spec = still({"everybody": LINE, "consenting shoppers": LINE}, DARK)
    dashes = [
        layer["encoding"]["strokeDash"]["scale"]
        for layer in spec["layer"][0]["layer"]
        if "strokeDash" in layer["encoding"]
    ]
    assert dashes == [{"domain": ["everybody", "consenting shoppers"], "range": [[1, 0], [6, 4]]}]


def test_pictures_are_drawn_without_a_network() -> None:
    table = [{"Zone": "tea", "Outcome": "left without touching", "share": 0.3, "low": 0.2, "high": 0.4}]
    for chart in (still({"everybody": LINE}, LIGHT), shares(table, LIGHT)):
        assert png(chart).startswith(b"\x89PNG")
        assert not re.search(r"https?://(?!vega\.github\.io/schema/)", json.dumps(chart))


def test_the_words_beside_a_curve_say_its_medians() -> None:
    words = told("wine", {"everybody": 24.0, "consenting shoppers": None})
    assert "half of everybody are done after 24 s" in words
    assert "of consenting shoppers fewer than half are done" in words
