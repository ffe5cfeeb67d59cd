"""Letters to people who ask: filled from the shop's own settings, as Markdown, for the shop to read, sign and send.

    retention/letters/no_secret.de.md

A template is plain text with `${name}` for what the shop fills in. A line that begins with `?name ` stands in the
letter only where that is known, such as a data protection officer. Nothing else is decided in a template.

Rules:
- No letter leaves with a gap: what the shop must say and has not written into store.toml is named, and no letter comes.
- Nothing about a person is in it but what the shop writes in by hand: the letter begins with an empty address.
- The words are the shop's to check; they are no legal advice.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from importlib import resources
from string import Template

from analytics.state import State
from consent.cases import Case
from consent.events import Purpose
from consent.kiosk.messages import LANGUAGES, Messages
from retention.model import RetentionError


class LetterError(RetentionError):
    """A letter cannot be written."""


class Letter(StrEnum):
    """Which letter."""

    SECRET = "secret"  # they have their code  # noqa: S105
    NO_SECRET = "no_secret"  # they said yes and lost it  # noqa: S105
    NEVER = "never"  # they never said yes
    COMPLAINT = "complaint"
    EXTENSION = "extension"  # the answer takes longer


_NEEDED = ("name", "address", "contact")
_OPTION = re.compile(r"\?(\w+) ")


def write(state: State, kind: str, language: str, today: date, case: Case | None = None) -> str:
    """Return a letter as Markdown.

    Args:
        state: the shop.
        kind: see `Letter`.
        language: one of the six.
        today: the date of the letter.
        case: the request it answers, if it is in the register; an extension needs one.

    Raises:
        LetterError: a setting is missing, the language is not there, or the case does not fit.
    """
    kind = Letter(kind)
    if language not in LANGUAGES:
        raise LetterError(f"there are no letters in {language!r}; choose from {', '.join(LANGUAGES)}")
    controller, terms = state.store.controller, state.store.terms
    if missing := [name for name in _NEEDED if not getattr(controller, name).strip()]:
        raise LetterError(f"write {missing[0]!r} into [controller] of store.toml: a letter says who answers")
    if kind is Letter.EXTENSION and (case is None or case.extended is None):
        raise LetterError(
            "this letter tells of an extended case: name it with --case, after `openaisle requests extend`"
        )
    say = Messages.load(language)
    values = {
        "shop": state.store.store.name,
        **{name: getattr(controller, name).strip() for name in (*_NEEDED, "officer", "authority")},
        "object_label": say("no.object"),  # as they stand on the kiosk's buttons
        "stop_label": say("welcome.stop"),
        "today": _day(say, today),
        "dwell_days": str(terms.days()[Purpose.DWELL]),
        "repeat_days": str(terms.days()[Purpose.REPEAT]),
        "emotion_days": str(terms.days()[Purpose.EMOTION]),
        "backup_days": str(terms.backup),
    }
    if case is not None:
        values |= {"case": str(case.number), "received": _day(say, case.received), "due": _day(say, case.due)}
        if case.extended is not None:
            values[str(case.extended)] = "yes"
    return fill(_text(kind, language), values)


def fill(text: str, values: dict[str, str]) -> str:
    """Return a template with its values in place.

    Raises:
        LetterError: it asks for something that there is no value for.
    """
    lines = []
    for line in text.splitlines():
        asked = _OPTION.match(line)
        if asked is None:
            lines.append(line)
        elif values.get(asked[1]):
            lines.append(line[asked.end() :])
    try:
        return re.sub(r"\n{3,}", "\n\n", Template("\n".join(lines)).substitute(values)).strip() + "\n"
    except (KeyError, ValueError) as error:
        raise LetterError(f"this letter has a gap: {error}") from error


def _text(kind: Letter, language: str) -> str:
    return (resources.files("retention") / "letters" / f"{kind}.{language}.md").read_text(encoding="utf-8")


def _day(say: Messages, day: date) -> str:
    return say.day(datetime(day.year, day.month, day.day))
