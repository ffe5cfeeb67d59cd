"""The till: who may redeem, what it is told, and that nothing is taken off twice."""

from __future__ import annotations

import html
import re
import threading

import pytest
from httpx import Response
from starlette.testclient import TestClient

from consent.events import Level
from consent.kiosk import pairing
from consent.kiosk.messages import Messages
from consent.vouchers import show
from tests.analytics.smile.conftest import HOST, Tablet

EN = Messages.load("en")


class Till:
    """A till's browser, without a script."""

    def __init__(self, tablet: Tablet, *, till: bool = True) -> None:
        self.client: TestClient = tablet.client()
        code = pairing.new_code(tablet.paired, now_us=tablet.now_us(), till=till)
        page = self.client.get("/pair")
        (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', page.text))
        self.client.post("/pair", data={"csrf": csrf, "pairing": code}, headers={"origin": HOST})
        self.page: Response = self.client.get("/till")

    @property
    def fields(self) -> dict[str, str]:
        return dict(re.findall(r'name="(token|number)" value="([^"]+)"', self.page.text))

    @property
    def text(self) -> str:
        return html.unescape(self.page.text)

    def type(self, code: str, fields: dict[str, str] | None = None) -> str:
        sent = {**(fields or self.fields), "code": code}
        self.page = self.client.post("/till", data=sent, headers={"origin": HOST})
        for answer in ("good", "used", "over", "unknown"):
            if EN(f"till.{answer}", worth="0.50 EUR", item="Coffee") in self.text:
                return answer
        return str(self.page.status_code)


def give(tablet: Tablet) -> str:
    return tablet.vouchers.issue(50, budget=4000, minutes=60, now_us=tablet.now_us()).code


def test_a_voucher_is_good_once(tablet: Tablet) -> None:
    till, code = Till(tablet), give(tablet)
    assert till.type(show(code)) == "good"
    assert till.type(show(code)) == "used"
    assert till.type("1234 5678 9ABC DEFG") == "unknown"
    tablet.ahead_s += 3 * 3600
    assert till.type(give(tablet)) == "good", "a till is never too old"
    assert "set-cookie" not in till.page.headers


def test_time_over_is_said(tablet: Tablet) -> None:
    till, code = Till(tablet), give(tablet)
    tablet.ahead_s += 71 * 60
    assert till.type(code) == "over"


def test_only_a_paired_till_redeems(tablet: Tablet) -> None:
    code = give(tablet)
    for client in (tablet.client(), Till(tablet, till=False).client):
        page = client.get("/till")
        assert (page.status_code, EN("till.unpaired") in html.unescape(page.text)) == (403, True)
        answer = client.post("/till", data={"code": code, "token": "", "number": "1"}, headers={"origin": HOST})
        assert answer.status_code == 403
    till = Till(tablet)
    for fields in ({"token": "forged", "number": "n"}, {"token": "", "number": "n"}):
        assert till.type(code, fields) == "403"
    till.page = till.client.get("/till")
    sent = {**till.fields, "code": code}
    assert till.client.post("/till", data=sent, headers={"origin": "https://evil.example"}).status_code == 403
    assert till.client.post("/till", data=sent).status_code == 403
    assert till.type(code) == "good", "none of these redeemed it"
    pairing.unpair(tablet.paired)
    assert till.client.get("/till").status_code == 403


def test_a_form_sent_again_because_no_answer_came_is_told_the_same(tablet: Tablet) -> None:
    till, code = Till(tablet), give(tablet)
    fields = till.fields
    assert till.type(code, fields) == "good"
    assert till.type(code, fields) == "good", "the answer was lost on the way; it is taken off once"
    assert till.type(code) == "used"


def test_a_remembered_answer_counts_for_its_own_code_and_till_alone(tablet: Tablet) -> None:
    till, first, second = Till(tablet), give(tablet), give(tablet)
    fields = till.fields
    assert till.type(first, fields) == "good"
    assert till.type("1234 5678 9ABC DEFG", fields) == "unknown"
    assert till.type("nonsense", fields) == "unknown"
    assert till.type(second, fields) == "good"
    assert till.type(show(second).lower(), fields) == "good", "the same code, spelt in another way"
    assert till.type(second) == "used", "it was redeemed, not only called good"
    other = Till(tablet)
    assert other.type(first, {**other.fields, "number": fields["number"]}) == "used", "another till was told nothing"


def test_a_form_without_a_number_is_not_remembered(tablet: Tablet) -> None:
    till, code = Till(tablet), give(tablet)
    fields = {**till.fields, "number": ""}
    assert [till.type(code, fields) for _ in range(2)] == ["good", "used"]


def test_of_two_tills_at_once_exactly_one_wins(tablet: Tablet) -> None:
    tills = [Till(tablet), Till(tablet)]
    for _ in range(8):
        code, start = give(tablet), threading.Barrier(2)
        told: list[str] = []

        def ask(till: Till, code: str = code, told: list[str] = told, start: threading.Barrier = start) -> None:
            fields = till.fields
            start.wait()
            told.append(till.type(code, fields))

        threads = [threading.Thread(target=ask, args=(till,)) for till in tills]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == ["good", "used"]


def test_a_disk_that_cannot_be_written_takes_nothing_off_and_the_same_form_goes_on(tablet: Tablet) -> None:
    till, code = Till(tablet), give(tablet)
    (file,) = (tablet.root / "vouchers").iterdir()
    whole = file.read_bytes()
    file.write_bytes(b"torn" * 2000)
    number = till.fields["number"]
    assert till.type(code) == "503"
    assert EN("till.busy") in till.text
    assert till.fields["number"] == number
    file.write_bytes(whole)
    assert till.type(code) == "good"


def test_wrong_codes_are_limited_and_right_ones_are_not(tablet: Tablet) -> None:
    till = Till(tablet)
    told = [till.type("0" * 16) for _ in range(25)]
    assert told[0] == "unknown"
    assert told[-1] == "429"
    assert till.type(give(tablet)) == "good"


def test_a_voucher_is_honoured_after_the_level_was_lowered(tablet: Tablet) -> None:
    till, code = Till(tablet), give(tablet)
    tablet.level = Level.COUNTS
    assert till.type(code) == "good"


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_till_speaks_the_language_of_its_browser(tablet: Tablet, language: str) -> None:
    page = Till(tablet).client.get("/till", headers={"accept-language": language})
    assert Messages.load(language)("till.title") in page.text
    assert f'lang="{language}"' in page.text
