"""What the kiosk, the receipts and the notice say, in six languages, from message files.

Rules:
- English is the source of keys. The other languages have the same keys with the same placeholders; tests hold them in
  step, so a text that is missing is never found by a shopper.
- An unknown key and a value that is missing raise; nothing is shown half-filled, and nothing falls back to another
  language unnoticed.
- In a language written from right to left each value put into a text is isolated in its own direction, so that a
  code, a date or an address reads the same in every language.
- Digits are 0 to 9 in all languages: what a screen says can be compared with the receipt and the log.

Screens and receipts stand in ``messages/<language>.toml``, the privacy notice in ``messages/notice/<language>.toml``,
the smile page and the till in ``messages/smile/<language>.toml``. Texts are plain text: whoever puts them into HTML
escapes them. Nothing here knows a shop or a shopper.
"""

from __future__ import annotations

import string
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from consent.events import ConsentError

LANGUAGES: tuple[str, ...] = ("en", "de", "fr", "es", "zh", "ar")
OWN_NAMES: Mapping[str, str] = MappingProxyType(
    {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "zh": "简体中文", "ar": "العربية"}
)
RIGHT_TO_LEFT = frozenset({"ar"})
LRI, RLI, PDI = "\u2066", "\u2067", "\u2069"  # isolate from left to right, from right to left, and its end
LONGEST_HEADER = 1_000  # characters of Accept-Language that are read; ours, browsers send under 200


class MessagesError(ConsentError):
    """A text was asked for that does not exist, or a file of texts is not one."""


def plural(language: str, number: int) -> str:
    """Return the CLDR plural category of a whole number, 0 or more.

    Source: Unicode CLDR, language plural rules. French and Spanish also know ``many`` for whole millions, which no text
    here counts.
    """
    return _PLURALS[language](number)


def _arabic(n: int) -> str:
    if n < 3:
        return ("zero", "one", "two")[n]
    return "few" if 3 <= n % 100 <= 10 else "many" if n % 100 > 10 else "other"


_PLURALS: Mapping[str, Callable[[int], str]] = {
    "en": lambda n: "one" if n == 1 else "other",
    "de": lambda n: "one" if n == 1 else "other",
    "fr": lambda n: "one" if n < 2 else "other",
    "es": lambda n: "one" if n == 1 else "other",
    "zh": lambda n: "other",
    "ar": _arabic,
}
CATEGORIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("en", "de", "fr", "es"), ("one", "other")),
        "zh": ("other",),
        "ar": ("zero", "one", "two", "few", "many", "other"),
    }
)


@dataclass(frozen=True, slots=True)
class Messages:
    """The texts of one language.

    Attributes:
        language: BCP 47, one of `LANGUAGES`.
        texts: each text by its dotted key, with its placeholders.
    """

    language: str
    texts: Mapping[str, str]

    @classmethod
    def load(cls, language: str) -> Messages:
        """Return the texts of a language.

        Raises:
            MessagesError: there are none in this language.
        """
        return _load(language)

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``, as HTML's `dir` wants it."""
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"

    @property
    def name(self) -> str:
        """The language's own name."""
        return OWN_NAMES[self.language]

    def __call__(self, key: str, **values: str | int) -> str:
        """Return a text with its values filled in.

        Raises:
            MessagesError: there is no such text, or it needs a value that is not given.
        """
        text = self.texts.get(key)
        if text is None:
            raise MessagesError(f"there is no text {key!r} in {self.language}; add it to every message file")
        try:
            return text.format_map({name: self._isolated(value) for name, value in values.items()})
        except KeyError as error:
            raise MessagesError(f"the text {key!r} in {self.language} needs a value for {error}") from error

    def count(self, key: str, number: int, **values: str | int) -> str:
        """Return the text of a number of things: ``days.one`` or ``days.other``, say, with the number as ``{n}``.

        Raises:
            MessagesError: see `__call__`; also a number below 0.
        """
        if number < 0:
            raise MessagesError(f"{number} things cannot be counted for {key!r}")
        return self(f"{key}.{plural(self.language, number)}", n=number, **values)

    def day(self, instant: datetime) -> str:
        """Return the day of an instant in its own time zone, written out: 21 November 2026."""
        day = self("format.first") if instant.day == 1 else instant.day
        month = self(f"format.month.{instant.month}")
        return self("format.day", day=day, month=month, year=f"{instant.year:04d}")

    def moment(self, instant: datetime) -> str:
        """Return the day and the time of an instant in its own time zone: 21 November 2026, 15:10."""
        return self("format.moment", day=self.day(instant), time=f"{instant:%H:%M}")

    def listed(self, things: Sequence[str]) -> str:
        """Return things as a list within a sentence."""
        return self("format.comma").join(things)

    def _isolated(self, value: str | int) -> str:
        return isolated(str(value)) if self.direction == "rtl" else str(value)


def isolated(value: str) -> str:
    """Return a value that text of the other direction around it cannot reorder.

    The first letter decides, also one within an isolate: a date made of isolated parts has to keep their order, and
    Unicode's own "first strong" (U+2068) would look past them.
    """
    letters = (unicodedata.bidirectional(letter) for letter in value)
    strong = next((kind for kind in letters if kind in ("L", "R", "AL")), "L")  # digits alone go from left to right
    return f"{LRI if strong == 'L' else RLI}{value}{PDI}"


@cache
def _load(language: str) -> Messages:
    if language not in LANGUAGES:
        raise MessagesError(f"there are no texts in {language!r}; choose from {', '.join(LANGUAGES)}")
    folder = files("consent.kiosk") / "messages"
    texts: dict[str, str] = {}
    for file in (folder / part / f"{language}.toml" for part in ("", "notice", "smile")):
        for key, text in _flat(tomllib.loads(file.read_text(encoding="utf-8"))).items():
            if key in texts:
                raise MessagesError(f"the text {key!r} stands twice in {language}; keep one of them")
            placeholders(text)
            texts[key] = text
    return Messages(language, MappingProxyType(texts))


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            flat |= _flat(value, f"{key}.")
        elif isinstance(value, str):
            flat[key] = value
        else:
            raise MessagesError(f"{key!r} is no text; a message file holds tables of strings")
    return flat


def placeholders(text: str) -> frozenset[str]:
    """Return the names of the values that a text needs.

    Raises:
        MessagesError: a brace stands alone, or a placeholder is more than a name.
    """
    names = set()
    try:
        for _, name, form, conversion in string.Formatter().parse(text):
            if name is not None:
                if not name.isidentifier() or form or conversion:
                    raise MessagesError(f"a placeholder is a name in braces, not {name!r}, in the text {text!r}")
                names.add(name)
    except ValueError as error:
        raise MessagesError(f"a brace stands alone in the text {text!r}; write it twice") from error
    return frozenset(names)


def pick(accept_language: str, offered: Sequence[str]) -> str:
    """Return the offered language that a browser likes best, the first one offered where it likes none.

    Args:
        accept_language: the header; ``de-AT`` is served by ``de``, and what cannot be read is passed over.
        offered: codes in the store's order, one or more.
    """
    likes: dict[str, float] = {}
    for tag, quality in parse_accept_header(accept_language[:LONGEST_HEADER], LanguageAccept):
        primary = tag.replace("_", "-").partition("-")[0].casefold()
        likes[primary] = max(quality, likes.get(primary, 0.0))
    best = max(offered, key=lambda code: likes.get(code, likes.get("*", 0.0)))  # max takes the first of equals
    return best if likes.get(best, likes.get("*", 0.0)) > 0 else offered[0]
