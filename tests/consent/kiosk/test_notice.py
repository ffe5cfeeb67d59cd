"""The notice has every item of Article 13 in every language, from the store's own settings, and its hash fixes it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.figures import K_CONSENTING, K_EVERYBODY
from consent.events import DEFAULT_TERM, Level, Purpose
from consent.kiosk.messages import LANGUAGES, Messages
from consent.kiosk.notice import (
    ARTICLES,
    LEAST_TRACKS,
    LEAST_VISITORS,
    Notice,
    NoticeError,
    Section,
    missing,
    notice,
)
from consent.kiosk.settings import Controller, Shop

CONTROLLER = Controller(
    name="Marktgasse Lebensmittel GmbH",
    address="Marktgasse 1, 10115 Berlin",
    contact="privacy@marktgasse.example",
    officer="Dr. Ada Beispiel, dpo@marktgasse.example",
    jurisdiction="DE",
    recipients=("Wartung Nord GmbH", "Archiv Süd AG"),
    authority="Berliner Aufsicht, Alt-Moabit 59",
)
SHOP = Shop(
    name="Marktgasse 1",
    store="market-1",
    timezone=ZoneInfo("Europe/Berlin"),
    level=lambda: Level.EMOTION,
    terms={Purpose.DWELL: 31, Purpose.EMOTION: 8, Purpose.REPEAT: 91, Purpose.SMILE: 2},
    controller=CONTROLLER,
    minimum_age=17,
    pad="pad",
    public_url="https://withdraw.marktgasse.example",
    mailbox_url="https://letters.marktgasse.example",
    backup_days=29,
)
# Article 13 GDPR, paragraphs 1 and 2, item by item: written down here once more, not taken from the code
ITEMS = [f"13(1)({letter})" for letter in "abcdef"] + [f"13(2)({letter})" for letter in "abcdef"]


def made(language: str, shop: Shop = SHOP) -> Notice:
    return notice(shop, Messages.load(language))


def section(told: Notice, name: str) -> Section:
    (found,) = [part for part in told.sections if part.name == name]
    return found


def plain(part: Section) -> str:
    return re.sub("[\u2066-\u2069]", "", "\n".join(part.paragraphs))


def at(level: Level, shop: Shop = SHOP) -> Shop:
    return replace(shop, level=lambda: level)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("item", ITEMS)
def test_every_item_of_article_13_has_its_section(item: str, language: str) -> None:
    for level in Level:
        part = section(made(language, at(level)), ARTICLES[item])
        assert part.heading
        assert part.paragraphs


# what the section of each item must say, besides prose: facts of the shop, and articles by number
FACTS: Mapping[str, list[str]] = {
    "controller": ["Marktgasse Lebensmittel GmbH", "Marktgasse 1, 10115 Berlin", "privacy@marktgasse.example"],
    "officer": ["Dr. Ada Beispiel, dpo@marktgasse.example"],
    "everybody": ["6", "21", "5"],
    "consent": ["31", "91", "8", "6", "17"],
    "emotion": ["2024/1689", "50", "6", "9", "ICO", "CNIL"],
    "record": ["6", "7"],
    "storage": ["29", "5", "10"],
    "recipients": ["Wartung Nord GmbH", "Archiv Süd AG"],
    "rights": ["15", "16", "17", "18", "20", "21", "11", "privacy@marktgasse.example", "https://withdraw.marktgasse"],
    "withdraw": ["7", "https://withdraw.marktgasse.example", "https://letters.marktgasse.example"],
    "complaint": ["77", "Berliner Aufsicht, Alt-Moabit 59"],
    "automated": ["22"],
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", FACTS)
def test_every_section_names_its_facts_and_articles(name: str, language: str) -> None:
    said = plain(section(made(language), name))
    for fact in FACTS[name]:
        assert re.search(rf"(?<!\d){re.escape(fact)}", said), fact


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_right_is_a_line_of_its_own(language: str) -> None:
    rights = section(made(language), "rights").paragraphs
    for line, article in enumerate((15, 16, 17, 18, 20, 21)):
        assert re.search(rf"(?<!\d){article}(?!\d)", rights[line])


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_have_the_same_sections_and_as_many_paragraphs(language: str) -> None:
    def shape(told: Notice) -> list[tuple[str, int]]:
        return [(part.name, len(part.paragraphs)) for part in (told.short, *told.sections)]

    for level in Level:
        assert shape(made(language, at(level))) == shape(made("en", at(level)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sign_names_who_why_the_rights_and_where_to_read_on(language: str) -> None:
    told = made(language)
    sign = re.sub("[\u2066-\u2069]", "", told.sign)
    for fact in (CONTROLLER.name, CONTROLLER.address, CONTROLLER.contact, CONTROLLER.officer, SHOP.name):
        assert fact in sign
    messages = Messages.load(language)
    assert messages("welcome.object") in sign  # the right to object, as the button says it
    assert messages("notice.short.emotion") in sign
    assert all(messages(f"purpose.{purpose}") in sign for purpose in Purpose)
    assert told.text.startswith(told.sign.rstrip("\n"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("level", Level)
def test_only_what_the_level_allows_is_offered(level: Level, language: str) -> None:
    told, messages = made(language, at(level)), Messages.load(language)
    for purpose in Purpose:
        assert (messages(f"purpose.{purpose}") in told.text) == level.allows(purpose)
    assert ("emotion" in [part.name for part in told.sections]) == level.allows(Purpose.EMOTION)
    assert (messages("notice.short.emotion") in told.sign) == level.allows(Purpose.EMOTION)
    assert (messages("notice.automated.smile") in told.text) == level.allows(Purpose.SMILE)
    assert (messages("notice.short.no_consent") in told.sign) == (level is Level.COUNTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_settings_give_the_same_bytes(language: str) -> None:
    again = made(language, replace(SHOP, terms=dict(SHOP.terms), level=lambda: Level("emotion")))
    assert again.text == made(language).text
    assert again.sha256 == hashlib.sha256(again.text.encode("utf-8")).hexdigest()
    for part in (again.short, *again.sections):  # what is shown is what is hashed
        assert "\n".join((part.heading, *part.paragraphs)) in again.text


def test_the_version_is_the_same_in_every_language_and_the_hash_is_not() -> None:
    told = [made(language) for language in LANGUAGES]
    assert len({one.version for one in told}) == 1
    assert len({one.sha256 for one in told}) == len(LANGUAGES)
    assert [one.direction for one in told] == ["ltr"] * 5 + ["rtl"]
    assert all(one.version in one.closing for one in told)


def controller(**changes: Any) -> Callable[[Shop], Shop]:
    return lambda shop: replace(shop, controller=replace(shop.controller, **changes))


CHANGES: Mapping[str, Callable[[Shop], Shop]] = {
    "name": lambda shop: replace(shop, name="Another shop"),
    "level": lambda shop: at(Level.REPEAT, shop),
    **{
        f"term of {purpose}": lambda shop, purpose=purpose: replace(  # type: ignore[misc]
            shop, terms={**shop.terms, purpose: shop.terms[purpose] + 3}
        )
        for purpose in Purpose
    },
    "controller": controller(name="Another GmbH"),
    "address": controller(address="Elsewhere 2"),
    "contact": controller(contact="elsewhere@example.com"),
    "officer": controller(officer="Somebody Else"),
    "no officer": controller(officer=""),
    "jurisdiction": controller(jurisdiction="CN"),
    "recipients": controller(recipients=("Wartung Nord GmbH",)),
    "no recipients": controller(recipients=()),
    "authority": controller(authority="Another authority"),
    "no authority": controller(authority=""),
    "minimum age": lambda shop: replace(shop, minimum_age=18),
    "no minimum age": lambda shop: replace(shop, minimum_age=0),
    "no pad": lambda shop: replace(shop, pad=None),
    "no phones": lambda shop: replace(shop, public_url=None),
    "phones elsewhere": lambda shop: replace(shop, public_url="https://other.example"),
    "no mailbox": lambda shop: replace(shop, mailbox_url=None),
    "mailbox elsewhere": lambda shop: replace(shop, mailbox_url="https://other.example"),
    "backups": lambda shop: replace(shop, backup_days=28),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("change", CHANGES)
def test_every_setting_a_shopper_is_told_of_changes_hash_and_version(change: str, language: str) -> None:
    before, after = made(language), made(language, CHANGES[change](SHOP))
    assert before.sha256 != after.sha256
    assert before.version != after.version
    # and not by the version alone
    assert before.text.replace(before.version, "") != after.text.replace(after.version, "")


def test_what_no_shopper_is_told_of_changes_nothing() -> None:
    other = replace(SHOP, port=9000, idle_s=120, printer=Path("/dev/printer"), allowed_hosts=("kiosk.local",))
    assert made("en", other).sha256 == made("en").sha256


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("change", ["", *CHANGES])
def test_no_placeholder_and_nothing_empty_is_left(change: str, language: str) -> None:
    told = made(language, CHANGES[change](SHOP) if change else SHOP)
    assert not re.search(r"[{}]", told.text)
    bare = re.sub("[\u2066-\u2069]", "", told.text)
    assert not re.search("[\u2066\u2067]\u2069", told.text), "an empty value was filled in"
    assert "\n\n\n" not in bare
    assert not re.search(r": ?[.。]|\(\)|（）", bare)


def test_the_level_is_asked_for_once_so_that_one_notice_speaks_of_one_level() -> None:
    levels = iter([Level.EMOTION] + [Level.COUNTS] * 50)
    told = made("en", replace(SHOP, level=lambda: next(levels)))
    assert told.text == made("en").text


@pytest.mark.parametrize("field", ["name", "address", "contact"])
def test_without_a_controller_there_is_no_notice(field: str) -> None:
    shop = controller(**{field: "  "})(SHOP)
    assert missing(shop) == [field]
    with pytest.raises(NoticeError, match=rf"fill in {field} under \[controller\]"):
        notice(shop, Messages.load("en"))
    assert missing(SHOP) == []


def test_only_outside_the_gdpr_s_reach_other_law_is_mentioned() -> None:
    def mentioned(code: str) -> bool:
        told = made("en", controller(jurisdiction=code)(SHOP))
        return "law" in [part.name for part in told.sections]

    assert not any(mentioned(code) for code in ("DE", "FR", "ES", "NO", "GB", "GB-SCT"))
    assert all(mentioned(code) for code in ("", "CN", "US-IL", "CH"))


def test_the_least_sums_are_those_of_the_release() -> None:
    assert (LEAST_TRACKS, LEAST_VISITORS) == (K_EVERYBODY, K_CONSENTING)


def test_the_default_terms_are_said_in_days() -> None:
    told = made("en", replace(SHOP, terms=DEFAULT_TERM))
    said = plain(section(told, "consent"))
    for days in ("30 days", "7 days", "90 days", "1 day."):
        assert days in said
