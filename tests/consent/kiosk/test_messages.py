"""Six languages say the same: same keys, same values, nothing empty, nothing forgotten in English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.events import Purpose
from consent.kiosk import messages as module
from consent.kiosk.messages import CATEGORIES, LANGUAGES, Messages, MessagesError, pick, placeholders, plural

OTHERS = tuple(code for code in LANGUAGES if code != "en")
ENGLISH = Messages.load("en")

# texts that are the same word in English and in the other language, each looked at
SAME: dict[str, frozenset[str]] = {
    "de": frozenset({f"format.month.{month}" for month in (4, 8, 9, 11)}),  # April, August, September, November
    "fr": frozenset(),
    "es": frozenset(),
    "zh": frozenset(),
    "ar": frozenset(),
}
# words of English that are no words, or other words, of the language
FORBIDDEN = re.compile(
    r"\b(the|you|your|yours|we|our|is|are|was|with|and|from|please|not|yes|what|who|this|that|here|shop|store|"
    r"consent|withdraw|delete|code|camera|receipt|measure|anonymous|anonymously|GDPR[- ]compliant)\b",
    re.IGNORECASE,
)
WORDS_OF_BOTH = {  # in FORBIDDEN, and right in this language
    "de": {"was", "code", "not"},
    "fr": {"code", "consent"},
    "es": set[str](),
    "zh": set[str](),
    "ar": set[str](),
}


def base(key: str) -> str:
    """Return the key of a text; all plural forms of one text have the same."""
    head, _, last = key.rpartition(".")
    return f"{head}.*" if last in CATEGORIES["ar"] else key


def without_values(text: str) -> str:
    return re.sub(r"\{\w+\}", " ", text)


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_keys_of_english(language: str) -> None:
    assert {base(key) for key in Messages.load(language).texts} == {base(key) for key in ENGLISH.texts}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_counted_text_has_exactly_the_plural_forms_of_its_language(language: str) -> None:
    forms: dict[str, set[str]] = {}
    for key in Messages.load(language).texts:
        if base(key) != key:
            forms.setdefault(base(key), set()).add(key.rpartition(".")[2])
    assert forms
    assert {key: found for key, found in forms.items() if found != set(CATEGORIES[language])} == {}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_needs_the_values_that_english_needs(language: str) -> None:
    needed = {base(key): placeholders(text) for key, text in ENGLISH.texts.items()}
    for key, text in Messages.load(language).texts.items():
        if base(key) == key:
            assert placeholders(text) == needed[key], key
        else:  # "one day" may leave the number out, or say it
            assert placeholders(text) <= needed[base(key)], key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_badly_spaced(language: str) -> None:
    for key, text in Messages.load(language).texts.items():
        assert text.strip(), f"{key} is empty"
        assert text == unicodedata.normalize("NFC", text), f"{key} is not in normal form"
        assert key.startswith("format.") or text == text.strip(), f"{key} begins or ends with a blank"
        assert "  " not in text, f"{key} has two blanks in a row"
        assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]", text), f"{key} holds a hidden mark"


@pytest.mark.parametrize("language", OTHERS)
def test_no_english_is_left(language: str) -> None:
    texts = Messages.load(language).texts
    same = {
        key
        for key, text in texts.items()
        if text == ENGLISH.texts.get(key) and re.search(r"[^\W\d_]", without_values(text))
    }
    assert same == SAME[language]
    for key, text in texts.items():
        left = {word.casefold() for word in FORBIDDEN.findall(without_values(text))} - WORDS_OF_BOTH[language]
        assert not left, f"{key}: {left}"


@pytest.mark.parametrize(("language", "letters"), [("ar", "ARABIC"), ("zh", "CJK")])
def test_every_text_is_in_the_script_of_its_language(language: str, letters: str) -> None:
    for key, text in Messages.load(language).texts.items():
        if key in SAME[language] or not re.search(r"[^\W\d_]", without_values(text)):
            continue
        plain = re.sub(r"GDPR|ICO|CNIL|SHA|Cookie|`.*?`", "", without_values(text))  # the same in every language
        own = sum(unicodedata.name(letter, "").startswith(letters) for letter in plain)
        latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in plain)
        assert own > latin, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_promises_what_is_not_so(language: str) -> None:
    wrong = re.compile(
        r"anonym|anónim|匿名|مجهول|(GDPR|DSGVO|RGPD|PIPL)[- ]?(compliant|konform|conforme)|conforme (au|al) RGPD|"
        r"irreversib",
        re.IGNORECASE,
    )
    for key, text in Messages.load(language).texts.items():
        assert not wrong.search(text), key


def test_directions_and_own_names() -> None:
    assert {code: Messages.load(code).direction for code in LANGUAGES} == {
        **dict.fromkeys(("en", "de", "fr", "es", "zh"), "ltr"),
        "ar": "rtl",
    }
    names = [Messages.load(code).name for code in LANGUAGES]
    assert names == ["English", "Deutsch", "Français", "Español", "简体中文", "العربية"]


def test_an_unknown_key_and_a_missing_value_raise() -> None:
    key = next(key for key, text in ENGLISH.texts.items() if placeholders(text))
    with pytest.raises(MessagesError, match="no text"):
        ENGLISH("there.is.no.such.text")
    with pytest.raises(MessagesError, match="needs a value"):
        ENGLISH(key)
    with pytest.raises(MessagesError, match="no texts in 'xx'"):
        Messages.load("xx")


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ENGLISH.language = "de"  # type: ignore[misc]
    with pytest.raises(TypeError):
        ENGLISH.texts["a"] = "b"  # type: ignore[index]


@pytest.mark.parametrize("text", ["{", "}", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}"])
def test_a_placeholder_is_a_name_and_nothing_more(text: str) -> None:
    with pytest.raises(MessagesError):
        placeholders(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("7K4M-21", "\u20667K4M-21\u2069"),
        (30, "\u206630\u2069"),
        ("1 Main Street, 10115 Berlin", "\u20661 Main Street, 10115 Berlin\u2069"),
        ("+49 30 1234", "\u2066+49 30 1234\u2069"),
        ("21 نوفمبر 2026", "\u206721 نوفمبر 2026\u2069"),
        # parts that are isolated themselves: still a date from right to left
        ("\u206621\u2069 \u2067نوفمبر\u2069", "\u2067\u206621\u2069 \u2067نوفمبر\u2069\u2069"),
    ],
)
def test_values_are_isolated_where_the_text_runs_from_right_to_left(value: str | int, shown: str) -> None:
    assert Messages("ar", {"text": "<{value}>"})("text", value=value) == f"<{shown}>"
    assert Messages("de", {"text": "<{value}>"})("text", value=value) == f"<{value}>"


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("en", {0: "other", 1: "one", 2: "other", 30: "other"}),
        ("de", {0: "other", 1: "one", 21: "other"}),
        ("fr", {0: "one", 1: "one", 2: "other"}),
        ("es", {0: "other", 1: "one", 2: "other"}),
        ("zh", {0: "other", 1: "other", 7: "other"}),
        # the samples of CLDR
        ("ar", {0: "zero", 1: "one", 2: "two", 3: "few", 10: "few", 11: "many", 26: "many", 99: "many", 100: "other",
                102: "other", 103: "few", 110: "few", 111: "many", 1000: "other"}),
    ],
)  # fmt: skip
def test_plural_forms(language: str, forms: dict[int, str]) -> None:
    assert {number: plural(language, number) for number in forms} == forms


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.integers(0, 400))
def test_any_number_of_days_can_be_said(language: str, number: int) -> None:
    said = Messages.load(language).count("days", number)
    assert str(number) in said or number in (0, 1, 2)


def test_a_number_below_nothing_is_refused() -> None:
    with pytest.raises(MessagesError):
        ENGLISH.count("days", -1)


@pytest.mark.parametrize(
    ("language", "day", "moment"),
    [
        ("en", "21 November 2026", "21 November 2026, 15:10"),
        ("de", "21. November 2026", "21. November 2026, 15:10 Uhr"),
        ("fr", "21 novembre 2026", "21 novembre 2026 à 15:10"),
        ("es", "21 de noviembre de 2026", "21 de noviembre de 2026, 15:10"),
        ("zh", "2026年11月21日", "2026年11月21日 15:10"),
        ("ar", "21 نوفمبر 2026", "21 نوفمبر 2026، الساعة 15:10"),
    ],
)
def test_days_and_moments(language: str, day: str, moment: str) -> None:
    messages, instant = Messages.load(language), datetime(2026, 11, 21, 15, 10, 59, tzinfo=ZoneInfo("Europe/Berlin"))
    shown = [re.sub("[\u2066-\u2069]", "", text) for text in (messages.day(instant), messages.moment(instant))]
    assert shown == [day, moment]


@pytest.mark.parametrize(("language", "day"), [("en", "1 May 2027"), ("de", "1. Mai 2027"), ("fr", "1er mai 2027")])
def test_the_first_of_a_month(language: str, day: str) -> None:
    assert Messages.load(language).day(datetime(2027, 5, 1, tzinfo=UTC)) == day


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "de"),
        ("fr", "fr"),
        ("de-AT,en;q=0.5", "de"),  # an Austrian is not answered in English
        ("zh-Hant-HK;q=0.9,en;q=0.8", "zh"),
        ("ar-EG", "ar"),
        ("EN_us", "en"),
        ("en;q=0.3,es;q=0.8", "es"),
        ("en;q=0.5,fr;q=0.5", "en"),  # equals: the store's order
        ("pt-BR,es;q=0", "de"),
        ("de;q=0,*", "en"),  # anything but the first
        ("*;q=0.1,fr;q=0", "de"),
        ("fr;q=0,fr-CH;q=0.4", "fr"),
        ("xx,en;q=abc", "de"),
        (';;;,,q=,=="\x00', "de"),
    ],
)
def test_the_browser_s_language(header: str, language: str) -> None:
    assert pick(header, ("de", "en", "fr", "es", "zh", "ar")) == language


@given(st.text(max_size=2_000), st.permutations(LANGUAGES))
def test_any_header_gives_an_offered_language(header: str, offered: Iterable[str]) -> None:
    codes = tuple(offered)[:3]
    assert pick(header, codes) in codes


def test_a_text_cannot_stand_in_two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomllib.loads", lambda text: {"a": {"b": "c"}})
    with pytest.raises(MessagesError, match="stands twice"):
        module._load.__wrapped__("en")


@pytest.mark.parametrize("key", ["welcome.what", "welcome.what_counts"])
@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "zh"])  # Chinese puts no blanks
def test_what_we_do_is_said_in_thirty_words(language: str, key: str) -> None:
    words = [word for word in Messages.load(language)(key).split() if re.search(r"\w", word)]
    assert 5 < len(words) <= 30, words


def test_every_text_is_shown_somewhere() -> None:
    consent = Path(module.__file__).parents[1]
    folders = (consent, consent.parent / "analytics" / "smile")
    files = [path for folder in folders for kind in ("*.py", "*.html") for path in folder.rglob(kind)]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)

    def shown(key: str) -> bool:
        table, _, end = key.rpartition(".")
        put_together = rf"""["']{re.escape(table)}\.(["'] ~|{{)"""  # "event." ~ kind, f"problem.{why}"
        told = table.startswith("notice.") and (f'"{end}"' in source or end in {"heading", *Purpose})
        counted = table == "days"
        return key in source or told or counted or re.search(put_together, source) is not None

    assert {key for key in ENGLISH.texts if not shown(key)} == set()
    assert not shown("welcome.nothing")
    assert not shown("state.nothing")
