"""Every page of the kiosk in all six languages, in a real browser at its narrowest: direction, room, glyphs, axe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page

from consent.kiosk.messages import LANGUAGES, OWN_NAMES, Messages
from tests.chromium import chromium, violations
from tests.command import Place
from tests.consent.kiosk.front import ON_PAD, Floor, make_shop, served, watching
from tests.consent.kiosk.walk import pages

NARROW = {"width": 320, "height": 640}  # what 1280 pixels are at 400 % (WCAG 2.2, 1.4.10)
EVERY_PAGE = {
    *("welcome", "choices", "choices, nothing ticked", "young", "done", "stop", "stop, wrong code", "told"),
    *("returning", "mine", "stopped", "no", "object", "slip", "notice", "pair", "problem"),
}

# What sticks out of the page or of its own box, or is too small to hit; tables may scroll within a box of their own,
# and a field as one types.
FAULTS = """() => {
  const width = document.documentElement.clientWidth;
  const found = [];
  if (document.documentElement.scrollWidth > width) found.push("the page scrolls sideways");
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg, .wide-table, .unseen, .skip, dialog:not([open])") || e.tagName === "INPUT") continue;
    const box = e.getBoundingClientRect();
    const name = `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`;
    if (box.width && (box.right > width + 1 || box.left < -1)) found.push(`out of the page: ${name}`);
    if (e.clientWidth && e.scrollWidth > e.clientWidth + 1) found.push(`out of its box: ${name}`);
    const tapped = e.matches("button, a, label:has(input)") && box.width;
    if (tapped && Math.min(box.width, box.height) < 48) found.push(`too small: ${name}`);
  }
  return found;
}"""

# Where the letters of a text stand on the screen, from left to right.
AS_SEEN = """element => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const letters = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (let i = 0; i < node.length; i += 1) {
      const range = document.createRange();
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const box = range.getBoundingClientRect();
      if (box.width) letters.push([Math.round(box.top), box.left, node.data[i]]);
    }
  }
  letters.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return letters.map((letter) => letter[2]).join("");
}"""

# Each character as drawn in the page's own fonts, compared with one that Unicode has not assigned.
BOXES = """characters => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 48;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const family = getComputedStyle(document.body).fontFamily;
  const drawn = (character, weight) => {
    pen.clearRect(0, 0, 48, 48);
    pen.font = `${weight} 32px ${family}`;
    pen.fillText(character, 6, 38);
    return pen.getImageData(0, 0, 48, 48).data.join();
  };
  return [400, 650].flatMap((weight) => {
    const box = drawn("\\u0378", weight);
    return characters.filter((character) => drawn(character, weight) === box);
  });
}"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("shop")
    state = make_shop(root / "shop", kiosk=f"languages = {list(LANGUAGES)}".replace("'", '"'))
    floor = Floor()
    with watching(state, floor), served(state, Place(root / "place")) as address:
        floor.come(ON_PAD)
        yield address


@pytest.fixture
def screen(chrome: Browser) -> Iterator[Page]:
    context = chrome.new_context(viewport=NARROW)  # type: ignore[arg-type]
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    yield opened
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_in_every_language(screen: Page, url: str, language: str) -> None:
    direction, faults, seen = Messages.load(language).direction, list[str](), set[str]()
    for name in pages(screen, url, language):
        seen.add(name)
        html = screen.locator("html")
        if (html.get_attribute("lang"), html.get_attribute("dir")) != (language, direction):
            faults.append(f"{name}: language or direction is not said")
        faults += [f"{name}: {fault}" for fault in screen.evaluate(FAULTS)]
        faults += [f"{name}: {fault}" for fault in violations(screen)]
        if name == "done":
            code = screen.locator("p.code").evaluate(AS_SEEN)
            if not re.fullmatch(r"([0-9A-Z]{4}-?){5}", code):
                faults.append(f"done: the code reads {code!r}")
            if code.replace("-", "") != screen.locator("p.code").inner_text().replace("-", "").replace("\n", ""):
                faults.append(f"done: the code is reordered to {code!r}")
    assert faults == []
    assert seen == EVERY_PAGE


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_letter_has_a_glyph(screen: Page, url: str, language: str) -> None:
    screen.goto(url)
    screen.evaluate("code => { document.documentElement.lang = code }", language)
    texts = [*Messages.load(language).texts.values(), *OWN_NAMES.values()]
    letters = sorted({letter for text in texts for letter in text if not letter.isspace()})
    assert screen.evaluate(BOXES, ["\u0530", "A"]) == ["\u0530", "\u0530"]  # a letter without a glyph is found
    assert screen.evaluate(BOXES, letters) == []


def test_in_arabic_dates_run_from_right_to_left_and_addresses_do_not(screen: Page, url: str) -> None:
    say = Messages.load("ar")
    date = say("done.until", until=say.day(datetime(2026, 11, 21, tzinfo=UTC)))
    address = say("notice.complaint.named", authority="Aufsicht, Alt-Moabit 59, 10555 Berlin")
    number = say("notice.controller.contact", contact="+49 30 1234")
    screen.goto(url)
    screen.set_viewport_size({"width": 1280, "height": 900})
    main = screen.locator("main")

    def seen(text: str) -> str:
        main.evaluate("(e, text) => { e.dir = 'rtl'; e.textContent = text; e.style.whiteSpace = 'nowrap' }", text)
        return str(main.evaluate(AS_SEEN))

    assert re.search(r"2026.*21", seen(date))  # the day on the right, where reading begins
    assert "Aufsicht, Alt-Moabit 59, 10555 Berlin" in seen(address)
    assert "+49 30 1234" in seen(number)
    assert "+49 30 1234" not in seen(re.sub("[\u2066-\u2069]", "", number))  # what the isolation is for
