"""The privacy notice: everything Article 13 GDPR wants, made from the store's own settings.

Rules:
- Two layers. The short one is also the sign at the door; the full one names every item of Article 13, the right to
  object (Article 21) and, where the level allows it, the emotion recognition that AI Act Article 50(3) wants told.
- The same settings give the same bytes, and a grant fixes their SHA-256. A setting that shoppers are told about changes
  the version, which is the same in all languages.
- A shop that has not said who answers for the data has no notice, and so no kiosk.

No fact is made up here: what a shop does not say is not in it. Whether the stated legal basis holds for a shop is the
shop's own judgement (docs/legal.md). This module reads no file and asks no ledger.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from consent.events import ConsentError, Purpose
from consent.kiosk.messages import Messages
from consent.kiosk.settings import Shop

WORDING = "1"  # counts editions of the texts; raise it when a change of words changes their meaning
LEAST_TRACKS = 5  # of a sum about everybody; what the release enforces
LEAST_VISITORS = 10  # of a sum about consenting visitors

# the section in which each item stands
ARTICLES: dict[str, str] = {
    "13(1)(a)": "controller",
    "13(1)(b)": "officer",
    "13(1)(c)": "consent",
    "13(1)(d)": "everybody",
    "13(1)(e)": "recipients",
    "13(1)(f)": "transfers",
    "13(2)(a)": "storage",
    "13(2)(b)": "rights",
    "13(2)(c)": "withdraw",
    "13(2)(d)": "complaint",
    "13(2)(e)": "voluntary",
    "13(2)(f)": "automated",
}

# where the GDPR, or the United Kingdom's copy of it, is the law: the notice follows its articles
GDPR_COUNTRIES = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK IS LI NO GB".split()  # noqa: SIM905  read as a list
)


class NoticeError(ConsentError):
    """The store has not said what its notice must name."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the notice.

    Attributes:
        name: of the part, the same in every language.
        heading: as shown.
        paragraphs: as shown, plain text, one or more.
    """

    name: str
    heading: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice of one shop in one language.

    Attributes:
        language: BCP 47.
        direction: ``ltr`` or ``rtl``.
        version: edition of the wording, and the start of a hash of the settings; the same in all languages.
        title: as shown.
        short: the first layer, and the sign at the door.
        sections: the second layer.
        closing: the line with the version.
    """

    language: str
    direction: str
    version: str
    title: str
    short: Section
    sections: tuple[Section, ...]
    closing: str

    @property
    def parts(self) -> tuple[Section, ...]:
        """Both layers, in the order of the text."""
        return (self.short, *self.sections)

    @property
    def text(self) -> str:
        """The exact text, both layers: paragraphs a line each, a blank line before each part."""
        return _lines(self.title, self.parts, self.closing)

    @property
    def sign(self) -> str:
        """The text of the sign at the door: title and first layer."""
        return _lines(self.title, (self.short,), "")

    @property
    def sha256(self) -> str:
        """SHA-256 of the text in UTF-8, 64 hex digits: what a grant fixes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def _lines(title: str, sections: tuple[Section, ...], closing: str) -> str:
    blocks = [title, *("\n".join((part.heading, *part.paragraphs)) for part in sections)]
    return "\n\n".join([*blocks, closing] if closing else blocks) + "\n"


def missing(shop: Shop) -> list[str]:
    """Return what the store must still say under ``[controller]`` before it may ask anybody."""
    return [name for name in ("name", "address", "contact") if not getattr(shop.controller, name).strip()]


def notice(shop: Shop, messages: Messages) -> Notice:
    """Return the notice of a shop as it stands now.

    Raises:
        NoticeError: the shop has not said who answers for the data.
    """
    if lacking := missing(shop):
        raise NoticeError(
            f"store.toml does not say who answers for the data: fill in {', '.join(lacking)} under [controller]; "
            "without it no notice can be shown, and nobody may be asked"
        )
    say, offered = messages, shop.offers()  # the level is asked for once: one notice speaks of one level
    offers = [purpose for purpose in Purpose if purpose in offered]
    version = _version(shop, offers)
    short = Section("short", say("notice.short.heading"), _short(shop, offers, say))
    parts = {name: _told(f"notice.{name}", paragraphs, say) for name, paragraphs in _full(shop, offers, say).items()}
    return Notice(
        language=messages.language,
        direction=messages.direction,
        version=version,
        title=say("notice.title", shop=shop.name),
        short=short,
        sections=tuple(Section(name, say(f"notice.{name}.heading"), told) for name, told in parts.items()),
        closing=say("notice.version", version=version),
    )


Said = tuple[str, dict[str, str | int]] | str  # the end of a key, and the values its text needs


def _told(prefix: str, paragraphs: list[Said], say: Messages) -> tuple[str, ...]:
    pairs = [(said, {}) if isinstance(said, str) else said for said in paragraphs]
    return tuple(say(f"{prefix}.{key}", **values) for key, values in pairs)


def _short(shop: Shop, offers: list[Purpose], say: Messages) -> tuple[str, ...]:
    who, names = shop.controller, [say(f"purpose.{purpose}") for purpose in offers]
    lines: list[Said] = [("everybody", {"tracks": LEAST_TRACKS}), "basis", _object(shop, say)]
    lines.append(("consent", {"purposes": say.listed(names)}) if offers else "no_consent")
    if Purpose.EMOTION in offers:
        lines.append("emotion")
    lines.append(("controller", {"name": who.name, "address": who.address, "contact": who.contact}))
    if who.officer:
        lines.append(("officer", {"officer": who.officer}))
    return _told("notice.short", [*lines, "more"], say)


def _object(shop: Shop, say: Messages) -> Said:
    if shop.pad is None:
        return "object_desk", {"contact": shop.controller.contact}
    return "object_pad", {"label": say("welcome.object")}


def _full(shop: Shop, offers: list[Purpose], say: Messages) -> dict[str, list[Said]]:
    who = shop.controller
    contact: dict[str, str | int] = {"contact": who.contact}
    url: dict[str, str | int] = {"url": shop.public_url or ""}
    parts: dict[str, list[Said]] = {
        "controller": [("who", {"name": who.name, "address": who.address}), ("contact", contact)],
        "officer": [("who", {"officer": who.officer}) if who.officer else ("none", contact)],
        "everybody": [("what", {"tracks": LEAST_TRACKS}), "why", "basis", _object(shop, say)],
        "consent": ["none"],
    }
    if offers:
        terms: list[Said] = [
            (p.value, {"name": say(f"purpose.{p}"), "days": say.count("days", shop.terms[p])}) for p in offers
        ]
        parts["consent"] = ["each", *terms, "basis", "pseudonym"]
        if shop.minimum_age:
            parts["consent"].append(("age", {"age": shop.minimum_age}))
    if Purpose.EMOTION in offers:
        parts["emotion"] = ["what", "basis", "doubt"]
    parts["source"] = ["what"]
    parts["record"] = ["what", "basis", "session"]
    parts["storage"] = [
        "pictures",
        *(["rows"] if offers else []),
        ("backups", {"days": say.count("days", shop.backup_days)}),
        ("sums", {"tracks": LEAST_TRACKS, "visitors": LEAST_VISITORS}),
    ]
    parts["recipients"] = [("some", {"recipients": "; ".join(who.recipients)}) if who.recipients else "none"]
    parts["transfers"] = ["none"]
    parts["rights"] = [
        *("access", "rectification", "erasure", "restriction", "portability", "objection"),
        ("how_phone", {**contact, **url}) if shop.public_url else ("how", contact),
        "lost",
    ]
    parts["withdraw"] = ["what", "how" if shop.pad is None else "how_pad"]
    if shop.public_url:
        parts["withdraw"].append(("how_phone", url))
    if shop.mailbox_url:
        parts["withdraw"].append(("how_mailbox", {"url": shop.mailbox_url}))
    parts["complaint"] = [("named", {"authority": who.authority}) if who.authority else "unnamed"]
    parts["voluntary"] = ["what"]
    parts["automated"] = ["what", "smile"] if Purpose.SMILE in offers else ["what"]
    if who.jurisdiction[:2] not in GDPR_COUNTRIES:
        parts["law"] = ["what"]
    return parts


def _version(shop: Shop, offers: list[Purpose]) -> str:
    who = shop.controller
    facts = {
        "shop": shop.name,
        "purposes": {purpose.value: shop.terms[purpose] for purpose in offers},
        "controller": [who.name, who.address, who.contact, who.officer, who.jurisdiction, who.authority],
        "recipients": list(who.recipients),
        "minimum_age": shop.minimum_age,
        "pad": shop.pad is not None,
        "backup": shop.backup_days,
        "phone": shop.public_url or "",
        "mailbox": shop.mailbox_url or "",
    }
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return f"{WORDING}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
