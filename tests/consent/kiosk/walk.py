"""One shopper's way through every page of the kiosk, in a real browser and in any language."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

WRONG = "0" * 20


def speak(page: Page, language: str, display: Collection[str] = ()) -> None:
    """Tap the language on the page at hand, and `large` or `contrast`."""
    button = page.locator(f'.languages button[lang="{language}"]')
    if button.get_attribute("aria-pressed") != "true":
        with page.expect_navigation():
            button.click()
    for what in display:
        with page.expect_navigation():
            page.locator(f'button[value="{what}:on"]').click()


def pages(page: Page, url: str, language: str, display: Collection[str] = ()) -> Iterator[str]:
    """Yield the name of each page while it is on the screen; the way writes one yes, one no and one objection."""

    def tap(what: str) -> None:
        with page.expect_navigation():
            page.locator(what).click()

    def type_code(code: str) -> None:
        page.locator("#code").fill(code)
        tap("form#main-form button.answer")

    page.goto(url)
    speak(page, language, display)
    yield "welcome"
    tap('a[href="/choices"]')
    yield "choices"
    tap('button[name="answer"][value="yes"]')
    yield "choices, nothing ticked"
    page.locator('input[value="younger"]').check()
    page.locator('input[value="dwell"]').check()
    tap('button[name="answer"][value="yes"]')
    yield "young"
    tap(".bottom form button")  # whoever was too young stays so until they leave
    speak(page, language, display)
    page.goto(f"{url}/choices")
    for box in page.locator('input[type="checkbox"]').all():
        box.check()
    page.locator('input[value="older"]').check()
    tap('button[name="answer"][value="yes"]')
    page.wait_for_selector(".outcome:not([data-asked])", timeout=10_000)
    yield "done"
    code = re.sub(r"\s", "", page.locator("p.code").inner_text())
    page.goto(f"{url}/stop")
    yield "stop"
    type_code(WRONG)
    yield "stop, wrong code"
    page.goto(f"{url}/know")
    type_code(code)
    yield "told"
    page.goto(f"{url}/returning")
    yield "returning"
    type_code(code)
    page.wait_for_selector(".outcome:not([data-asked])", timeout=10_000)
    yield "mine"
    tap('.actions form[action="/stop/code"] button')
    yield "stopped"
    tap(".bottom form button")
    speak(page, language, display)
    tap('button[name="answer"][value="no"]')
    yield "no"
    tap('form[action="/object"] button')
    page.wait_for_selector(".outcome:not([data-asked])", timeout=10_000)
    yield "object"
    tap('a[href="/slip"]')
    yield "slip"
    tap('button[value="notice:"]')
    yield "notice"
    page.goto(f"{url}/pair")
    yield "pair"
    page.goto(f"{url}/choices")
    page.locator('input[name="attempt"]').first.evaluate("field => { field.value = 'old' }")
    tap('button[name="answer"][value="no"]')
    yield "problem"
