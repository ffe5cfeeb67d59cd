"""The week on paper: the same week is the same file, it says what it is, and a slip is one clear line."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from streamlit.testing.v1 import AppTest

from analytics.answers import answers
from analytics.model import AnalyticsError
from analytics.pages.compare import TWO
from analytics.pages.lines import VERDICTS
from analytics.pages.pdf import Week, weekly
from analytics.pages.verdicts import rows, said
from analytics.shopfloor import opening, weeks
from analytics.state import State
from cli import main


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> State:
    root = tmp_path_factory.mktemp("weekly") / "shop"
    state = opening.open_shop(root, name=weeks.NAME, source="simulated", now_us=time.time_ns() // 1000, hours=True)
    weeks.unpack(state)
    return state


@pytest.fixture(scope="module")
def paper(shop: State) -> bytes:
    return weekly(shop.root, Week.read("2026-W40"))


def streams(paper: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL):
        try:
            yield zlib.decompress(found[1])
        except zlib.error:
            yield found[1]


def words(paper: bytes) -> str:
    """Return what is written on it, read by the letters of each of its fonts in turn."""
    parts = list(streams(paper))
    letters: list[dict[int, str]] = []
    for part in parts:
        if b"beginbfchar" in part or b"beginbfrange" in part:
            pairs = re.findall(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]{4,8})>\n", part)
            letters.append({int(a, 16): bytes.fromhex(b.decode()).decode("utf-16-be") for a, b in pairs})
    text: list[str] = []
    for part in parts:
        for raw in re.findall(rb"\(((?:\\.|[^\\)])*)\)\s*T[jJ]|<([0-9A-Fa-f]+)>\s*Tj|\[(.*?)\]\s*TJ", part, re.DOTALL):
            plain = re.sub(rb"\\(.)", lambda m: {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(m[1], m[1]), raw[0])
            codes = [int.from_bytes(plain[i : i + 2], "big") for i in range(0, len(plain) - 1, 2)]
            text.extend("".join(table.get(code, "?") for code in codes) for table in letters)
    return " ".join(text)


@pytest.fixture(scope="module")
def text(paper: bytes) -> str:
    return words(paper)


def test_it_says_what_it_is_of_whom_and_that_nobody_was_there(text: str) -> None:
    for part in (
        "Week 2026-W40",
        "2026-09-28",
        "2026-10-04",
        "Simulated: this shop does not exist",
        "everybody.footfall",
        "everybody.dwell",
        "rule 1",
        "coverage 100%",
        "everybody.passers_by",
        "Capture: of those who passed the door",
        "What happened",
        "Against the weeks before",
        "Not shown",
        "coffee",
    ):
        assert part in text, part


def test_its_pictures_have_words(paper: bytes) -> None:
    assert len(re.findall(rb"/Subtype /Image", paper)) >= 3
    assert paper.count(b"/Alt ") >= 3
    assert b"/Lang (en)" in paper


def test_the_same_week_is_the_same_file_and_another_is_not(shop: State, paper: bytes) -> None:
    assert weekly(shop.root, Week.read("2026-W40")) == paper
    assert weekly(shop.root, Week.read("2026-W41")) != paper


def test_the_first_week_has_nothing_before_it_and_says_so(shop: State) -> None:
    assert "There are no figures of the weeks before" in words(weekly(shop.root, Week.read("2026-W38")))


def test_page_and_paper_say_the_same_of_the_same_two_periods(shop: State, text: str) -> None:
    report = answers(shop.root)
    spans = Week.read("2026-W40").against(report.days())
    assert spans is not None
    assert [f"{day}" for span in spans for day in span] == ["2026-09-14", "2026-09-26", "2026-09-28", "2026-10-04"]
    real = [said(row) for row in rows(report, *spans) if row.verdict in VERDICTS[:2]]
    assert real  # sweets and coffee changed places on that Monday
    for one in real:
        assert one in text
    asked = urlencode([("how", TWO), *(("before", day) for day in spans[0]), *(("after", day) for day in spans[1])])
    page = "from pathlib import Path\nfrom analytics.pages.compare import compare_page\n"
    for zones in ([], ["sweets"]):  # what is shown changes no verdict
        app = AppTest.from_string(f"{page}compare_page(Path({str(shop.root)!r}))", default_timeout=120)
        for key, value in {**parse_qs(asked), "zones": zones}.items():
            app.query_params[key] = value
        told = "\n".join(one.value for one in app.run().markdown)
        assert not app.exception
        for one in real:
            assert (one in told) == (not zones or one.startswith("sweets"))


@pytest.mark.parametrize("text", ["", "2026", "2026-W54", "2026-W00", "W40", "2026-40", "next", "2026-W40-W41"])
def test_what_is_no_week_is_one_line(
    text: str, shop: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pdf"
    assert main(["report", "--state", str(shop.root), f"--week={text}", "--out", str(out)]) == 2
    assert "write year and number of the week: 2026-W41" in capsys.readouterr().err
    assert not out.exists()


def test_a_week_reads_as_it_is_written() -> None:
    for day in (date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1), date(2026, 9, 14)):
        week = Week.of(day)
        assert week.monday <= day <= week.sunday
        assert Week.read(str(week)) == week


def test_the_newest_week_is_taken_where_none_is_named_and_nothing_else_is_written_over(
    shop: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pdf"
    out.write_text("my own notes")
    words_ = ["report", "--state", str(shop.root), "--out", str(out)]
    assert main(words_) == 2
    assert "is no PDF; name another file" in capsys.readouterr().err
    assert out.read_text() == "my own notes"
    out.unlink()
    assert main(words_) == 0
    assert "2026-W41" in capsys.readouterr().out
    assert main([*words_, "--week", "2026-W40"]) == 0  # an older report is replaced


def test_a_week_without_figures_and_a_shop_without_any_are_told_apart(
    shop: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AnalyticsError, match="figures reach from 2026-09-14"):
        weekly(shop.root, Week.read("2020-W01"))
    empty = opening.open_shop(tmp_path / "shop", name="A simulated shop", source="none", now_us=time.time_ns() // 1000)
    with pytest.raises(AnalyticsError, match="there are no figures yet"):
        weekly(empty.root, Week.read("2020-W01"))
    assert main(["report", "--state", str(empty.root), "--out", str(tmp_path / "x.pdf")]) == 2
    assert "run `openaisle up`" in capsys.readouterr().err
