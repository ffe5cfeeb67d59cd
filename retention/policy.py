"""What personal data there is, where, why, on what ground, and until when. One declaration; everything else follows.

Rules:
- Every table and column of `ledger.sqlite`, `visits.duckdb`, `access.sqlite` and the released figures stands here, and
  every folder and place besides. A table or column that does not stand here fails the sweep: nothing is loaded,
  released, logged as erased or certified before somebody names it or removes it. What *is* named is deleted meanwhile
  all the same, keys first: a shopper's erasure never waits for a table that they know nothing of.
- From this declaration are made: the sweep (`sweep`), the record of processing (`retention.record`) and the rows of the
  compliance page (`rows`). Its SHA-256 (`digest`) goes into the log whenever it changes.
- The terms of purposes and backups are the store's, in `store.toml`; every other term stands here.

Pure: nothing here reads a file, and nothing here deletes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import rfc8785

from consent.events import DAY_US, Purpose

SWEEP_S = 240  # a sweep begins at least this often: below five minutes with the pass before it at work


class Place(StrEnum):
    """Where data lies: a file or folder of the state directory, or somewhere else."""

    LEDGER = "ledger.sqlite"
    VISITS = "visits.duckdb"
    RELEASED = "released"
    EXPORTS = "exports"
    CERTIFICATES = "certificates"
    ACCESS = "access.sqlite"
    SETTINGS = "store.toml"
    VERSIONS = "versions"
    TABLETS = "kiosk.paired"
    VOUCHERS = "vouchers"
    NOTES = "notes"
    STATUS = "keeper.json"
    WITNESS = "witness.json"
    RESERVE = "ledger.reserve"
    SOCKET = "live.sock"
    SCRATCH = "tmp"
    SPILL = "spill"
    JOURNAL = "journal"  # beside the state directory, or on another disk
    KEYS = "keys"  # beside the state directory, or on another disk
    MEMORY = "memory"  # of a running process; on no disk


class Action(StrEnum):
    """What ends a class of data."""

    REWRITE = "rows deleted, file rewritten, every byte of the state directory searched"
    DESTROY = "key destroyed, rows deleted, file rewritten, every byte of the state directory searched"
    FORGET = "rows deleted; their bytes go with the next rewriting of the file"
    UNLINK = "file deleted"
    LEAVE = "ends with what it belongs to; nothing deletes it by itself"
    KEEP = "kept: it says nothing about a person"


@dataclass(frozen=True, slots=True)
class Term:
    """How long a class is kept after its trigger.

    Attributes:
        text: for people.
        us: microseconds, where the term is fixed here.
        purpose: whose term in `store.toml` it is, where it is one of those.
        backup: it is the term of backups in `store.toml`.
    """

    text: str
    us: int | None = None
    purpose: Purpose | None = None
    backup: bool = False

    def days(self, terms: Mapping[Purpose, int], backup_days: int) -> float | None:
        """Return the term in days as the store set it; None where it is no length of time."""
        if self.purpose is not None:
            return terms[self.purpose]
        if self.backup:
            return backup_days
        return None if self.us is None else self.us / DAY_US


@dataclass(frozen=True, slots=True)
class Category:
    """One class of data.

    Attributes:
        name: one word or two; holds and plans name it.
        place: where it lies.
        columns: by table; empty where a file or folder is meant as a whole.
        about: what it says, and about whom.
        purpose: what it is for.
        basis: on what ground (articles of the GDPR).
        trigger: what starts its term.
        term: how long it is kept then.
        action: what ends it.
        backed_up: it is in backups, and so lives on in them until their term.
        personal: it is about an identifiable person, pseudonyms included.
        holdable: an officer's hold can stop its deletion.
    """

    name: str
    place: Place
    about: str
    purpose: str
    basis: str
    trigger: str
    term: Term
    action: Action
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    backed_up: bool = True
    personal: bool = True
    holdable: bool = False


_VISIT = (
    *("visitor", "zone", "enter", "leave", "censored", "start_reason", "end_reason", "stopped_us"),
    *("decisions", "undecided", "poses", "outcomes", "day"),
)
_EXPRESSION = ("visitor", "zone", "enter", "leave", "samples", "shares", "day")
_LINE = ("audience", "figure", "camera", "zone")
_CONSENT = "6(1)(a) consent; 7(1) to show it"
_DUTY = "6(1)(c) with 5(2): to show that duties were kept"
_INTEREST = "6(1)(f): to run the shop floor's own system safely"
_AT_ONCE = Term("at once: deleted at the next look, seconds; bytes searched within the minute")
_EVER = Term("for ever")
_A_DAY = Term("1 day", us=DAY_US)

CATEGORIES: tuple[Category, ...] = (
    *(
        Category(
            name=purpose.value,
            place=Place.VISITS,
            columns={purpose.value: _VISIT},
            about=f"zone visits of shoppers who said yes, under {pseudonym}",
            purpose=why,
            basis="6(1)(a) consent",
            trigger="end of the visit; or of the consent, whichever ends it first",
            term=Term(f"terms.{purpose.value}; at once when the consent ends", purpose=purpose),
            action=Action.REWRITE,
            holdable=True,
        )
        for purpose, pseudonym, why in (
            (Purpose.DWELL, "a keyed hash that changes every day", "how long shoppers stay and decide"),
            (Purpose.REPEAT, "a keyed hash that stays the same", "whether shoppers come back"),
        )
    ),
    Category(
        name=Purpose.EMOTION.value,
        place=Place.VISITS,
        columns={Purpose.EMOTION.value: _EXPRESSION},
        about="what share of the looks at the faces of shoppers who said yes showed which expression, by zone visit,"
        " under a keyed hash of its own that changes every day; no picture, no face template, no series",
        purpose="which expressions shoppers show before which shelf",
        basis="6(1)(a) and 9(2)(a) explicit consent",
        trigger="end of the visit; or of the consent, whichever ends it first",
        term=Term("terms.emotion; at once when the consent ends", purpose=Purpose.EMOTION),
        action=Action.REWRITE,
        holdable=True,
    ),
    Category(
        name="held",
        place=Place.VISITS,
        columns={"held": ("purpose", *_VISIT), "held_emotion": ("purpose", *_EXPRESSION)},
        about="zone visits that are due and stay because an officer's hold says so; nothing is computed from them",
        purpose="restriction of processing",
        basis="18(1), 18(2); 17(3)(e)",
        trigger="release of the hold",
        term=_AT_ONCE,
        action=Action.REWRITE,
    ),
    Category(
        name="visits_work",
        place=Place.VISITS,
        columns={
            "zones": ("id", "camera", "name", "kind"),
            "loaded": ("inbox",),
            "erasing": ("visitor",),
            "erasures": ("request", "purpose", "deleted"),
        },
        about="names of zones and numbers of erasures; pseudonyms of deleted rows until their bytes are searched for",
        purpose="to load rows once, and to finish an erasure after a crash",
        basis=_DUTY,
        trigger="an erasure that is logged",
        term=_AT_ONCE,
        action=Action.LEAVE,
    ),
    Category(
        name="consent",
        place=Place.LEDGER,
        columns={
            "subjects": ("id", "subject", "number", "wrapped", "created_us"),
            "grants": ("id", "subject", "purpose", "state", "grant_id", "given_us", "until_us", "ended_us", "leaf"),
            "records": ("leaf", "kind", "subject", "at_us", "entry_key", "payload"),
        },
        about="who said yes to what and when, under the keyed hash of a code, and the shopper's own sealed key",
        purpose="to act on a yes and on its end, and to show that there was one",
        basis=_CONSENT,
        trigger="end of every consent given under the code",
        term=_AT_ONCE,
        action=Action.DESTROY,
        holdable=True,
    ),
    Category(
        name="inbox",
        place=Place.LEDGER,
        columns={"inbox": ("id", "kind", "subject", "written_us", "payload")},
        about="closed zone visits and their expression on their way from the camera to the visits, and sums about"
        " everybody",
        purpose="to hand over rows without losing one",
        basis="6(1)(a) consent",
        trigger="loaded by the keeper; or end of the consent, whichever is first",
        term=_AT_ONCE,
        action=Action.DESTROY,
    ),
    Category(
        name="refusals",
        place=Place.LEDGER,
        columns={"records": ("leaf", "kind", "at_us", "entry_key", "payload")},
        about="when somebody said no or objected, and in which language; nothing tells who",
        purpose="to show that a no was taken",
        basis=_DUTY,
        trigger="written",
        term=_A_DAY,
        action=Action.FORGET,
    ),
    Category(
        name="accesses",
        place=Place.LEDGER,
        columns={"records": ("leaf", "kind", "at_us", "entry_key", "payload")},
        about="which account was refused what, read what about shoppers, looked at which camera, wrote which settings,"
        " or was changed; the account is a random number, and whose it was goes with the account",
        purpose="to see who looked, and who tried to",
        basis="6(1)(c) with 5(2), 32: to show who had access",
        trigger="written",
        term=Term("1 year", us=365 * DAY_US),
        action=Action.FORGET,
    ),
    Category(
        name="operations",
        place=Place.LEDGER,
        columns={"operations": ("op", "what", "subject", "at_us", "result")},
        about="what was already done, so that a retry does nothing twice",
        purpose="to answer a repeated request as the first one",
        basis=_INTEREST,
        trigger="written; or the erasure of the subject, whichever is first",
        term=_A_DAY,
        action=Action.FORGET,
    ),
    Category(
        name="pad_requests",
        place=Place.LEDGER,
        columns={
            "pad_requests": (
                *("id", "pad", "kind", "subject", "screen_us", "tap_us", "opened_us", "outcome", "answered_us"),
            )
        },
        about="when somebody tapped at the pad; whom it was about is forgotten with the answer",
        purpose="to link a track to a yes, or to leave it out",
        basis="6(1)(a) consent; 21 for an objection",
        trigger="opened",
        term=_A_DAY,
        action=Action.FORGET,
    ),
    Category(
        name="requests",
        place=Place.LEDGER,
        columns={"requests": ("id", "kind", "args", "status", "opened_us", "settled_us", "result")},
        about="what the keeper was asked, erasures among them: random numbers of subjects, entries of the log, counts",
        purpose="to finish what was begun",
        basis=_DUTY,
        trigger="settled",
        term=_A_DAY,
        action=Action.FORGET,
    ),
    Category(
        name="cases",
        place=Place.LEDGER,
        columns={"cases": ("id", "kind", "received", "due", "extended", "closed", "closed_us", "outcome")},
        about="that somebody asked for access, erasure or an end, or complained, and by when; no name, no code",
        purpose="to answer in time, and to show it",
        basis="12(3), 5(2)",
        trigger="closed",
        term=Term("3 years", us=3 * 365 * DAY_US),
        action=Action.FORGET,
    ),
    Category(
        name="log",
        place=Place.LEDGER,
        columns={
            "leaves": ("idx", "hash", "data"),
            "nodes": ("level", "idx", "hash"),
            "checkpoints": ("id", "size", "note"),
            "levels": ("id", "level", "leaf"),
            "meta": ("key", "value"),
            "records": ("leaf", "kind", "at_us", "entry_key", "payload"),
            "sqlite_sequence": ("name", "seq"),
        },
        about="that something happened, and commitments that say nothing once their keys are destroyed; the shop's own"
        " entries (settings, levels, erasures, holds) in full; what each camera did in each hour, in bands",
        purpose="to show what was promised and done",
        basis=_DUTY,
        trigger="none",
        term=_EVER,
        action=Action.KEEP,
        personal=False,
    ),
    Category(
        name="figures",
        place=Place.RELEASED,
        columns={
            "cells": (
                *("id", "metric", "rule", *_LINE, "kind", "tz", "start_us", "end_us", "bin_us", "k", "unit"),
                *("suppressed", "n", "people", "counts", "observed_us", "open_us"),
            ),
            "plan": (*_LINE, "from_us", "bin_us"),
            "waiting": (*_LINE, "kind", "tz", "since_us", "bin_us", "k", "now_us"),
        },
        about="counts of ten consenting shoppers, or of five tracks, receipts or questions at the kiosk, and more;"
        " rounded, and nothing about a person",
        purpose="to run the shop",
        basis="no personal data",
        trigger="none",
        term=_EVER,
        action=Action.KEEP,
        personal=False,
    ),
    Category(
        name="exports",
        place=Place.EXPORTS,
        about="answers to access requests, sealed to the code of whoever asked; audit bundles, which are about nobody",
        purpose="to hand out what is held",
        basis="15, 20",
        trigger="written; or the erasure of anybody, whichever is first",
        term=_A_DAY,
        action=Action.UNLINK,
        backed_up=False,
    ),
    Category(
        name="certificates",
        place=Place.CERTIFICATES,
        about="what was erased, in counts, and the numbers of the log entries by which it was ended",
        purpose="to show a shopper or an officer that an erasure reached the bytes",
        basis="12(3), 5(2)",
        trigger="written",
        term=Term("90 days", us=90 * DAY_US),
        action=Action.UNLINK,
    ),
    Category(
        name="staff",
        place=Place.ACCESS,
        columns={
            "accounts": ("id", "name", "folded", "desk", "password", "invited", "provider", "made_us"),
            "meta": ("key", "value"),
        },
        about="accounts of staff: a name as they chose it, their desk, a hash of their password or of their number at"
        " the sign-in provider",
        purpose="to let only those in who may",
        basis="6(1)(f), 32",
        trigger="`openaisle user remove`",
        term=Term("as long as the account stands"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="sessions",
        place=Place.ACCESS,
        columns={
            "sessions": ("token", "account", "begun_us", "seen_us"),
            "codes": ("code", "account", "until_us"),
        },
        about="who is signed in, and since when: hashes of random tokens, and when they were last used",
        purpose="to know a signed-in browser again, and to end it",
        basis="6(1)(f), 32",
        trigger="signed out, idle, over, or ended by an administrator",
        term=Term("a day at most, as store.toml says"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="factors",
        place=Place.ACCESS,
        columns={"factors": ("account", "salt", "sealed", "step"), "recovery": ("code", "account")},
        about="second factors of staff: the seed of an app's codes, sealed by their password, and hashes of recovery"
        " codes",
        purpose="to let nobody in by a password alone",
        basis="6(1)(f), 32",
        trigger="taken away on the account's page, by `openaisle user forget-factor`, or with the account",
        term=Term("as long as the account has one"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="tries",
        place=Place.ACCESS,
        columns={"tries": ("key", "spare", "at_us", "full_us")},
        about="how often somebody tried to sign in lately: salted hashes of addresses and names",
        purpose="to slow down whoever guesses",
        basis="6(1)(f), 32",
        trigger="the last try; one that was right",
        term=Term("an hour at most"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="tokens",
        place=Place.ACCESS,
        columns={"tokens": ("token", "id", "name", "folded", "scope", "made_us", "until_us", "used_us")},
        about="tokens by which programs read released figures or how the processes do: a name, a hash, the hour of the"
        " last use",
        purpose="to let only those programs read that may",
        basis="6(1)(f), 32",
        trigger="the day on which it is over; `openaisle token revoke` deletes it at once",
        term=Term("30 days", us=30 * DAY_US),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="proposals",
        place=Place.ACCESS,
        columns={"proposals": ("id", "level", "dpia", "account", "opened_us")},
        about="a higher privacy level that one person asked for and nobody else has approved yet",
        purpose="to have a second person look at it",
        basis="6(1)(f), 35",
        trigger="asked for",
        term=Term("7 days; approved, or asked anew, at once"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="settings",
        place=Place.SETTINGS,
        about="what the shop decided; name and contact of the controller and its officer",
        purpose="to run the shop, and to tell shoppers who answers for it",
        basis="6(1)(c) with 13(1)",
        trigger="edited by the shop",
        term=Term("as long as the shop says so"),
        action=Action.LEAVE,
    ),
    Category(
        name="versions",
        place=Place.VERSIONS,
        about="former texts of store.toml, and why they were changed; who changed them stands in the log alone",
        purpose="to see what was drawn when, and to bring it back",
        basis="6(1)(c) with 13(1)",
        trigger="a hundred newer ones",
        term=Term("the newest hundred"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="vouchers",
        place=Place.VOUCHERS,
        about="what a voucher is worth and whether it was redeemed, under a keyed hash of its code: nobody's own; apart"
        " from it, and until the next day begins, a keyed hash of each code under which one was given",
        purpose="to redeem a voucher once, and to give one a day under a code",
        basis="6(1)(a) consent; no personal data where no code was shown",
        trigger="the last voucher of the day",
        term=_A_DAY,
        action=Action.UNLINK,
        backed_up=False,
    ),
    Category(
        name="tablets",
        place=Place.TABLETS,
        about="hashes of the tablets that may show the kiosk's page, and of the tills; nobody's own",
        purpose="to take a yes from the shop's own tablets only",
        basis="no personal data",
        trigger="forgotten by `openaisle kiosk`",
        term=Term("as long as the shop says so"),
        action=Action.LEAVE,
        backed_up=False,
        personal=False,
    ),
    Category(
        name="notes",
        place=Place.NOTES,
        about="what happened in the shop, as its managers wrote it, and how far off audits of its cameras found them",
        purpose="to read figures right",
        basis="no personal data; a note that names somebody is taken out for good, in every version",
        trigger="taken out by a manager",
        term=Term("as long as the shop says so"),
        action=Action.LEAVE,
        personal=False,
    ),
    Category(
        name="workings",
        place=Place.STATUS,
        about="when the keeper last looked at everything, what was wrong, and in days and bands what exists",
        purpose="to see that the keeper works, and what goes next",
        basis="no personal data",
        trigger="the next sweep",
        term=Term("minutes"),
        action=Action.LEAVE,
        backed_up=False,
        personal=False,
    ),
    Category(
        name="witness",
        place=Place.WITNESS,
        about="how many entries of the log a witness has seen: one checkpoint with its cosignature",
        purpose="to show that the log was not rewritten",
        basis="no personal data",
        trigger="the next one",
        term=Term("until the next one"),
        action=Action.LEAVE,
        backed_up=False,
        personal=False,
    ),
    Category(
        name="reserve",
        place=Place.RESERVE,
        about="nothing: room on the disk",
        purpose="to write a withdrawal down on a full disk",
        basis="no personal data",
        trigger="given back on a full disk, and taken again by a sweep",
        term=Term("as long as there is room"),
        action=Action.LEAVE,
        backed_up=False,
        personal=False,
    ),
    Category(
        name="scratch",
        place=Place.SCRATCH,
        about="what a part puts down for a moment; never a picture or a code",
        purpose="to work",
        basis="as of what it is made from",
        trigger="end of the process, or the start of the next",
        term=_AT_ONCE,
        action=Action.UNLINK,
        backed_up=False,
    ),
    Category(
        name="spill",
        place=Place.SPILL,
        about="what did not fit into memory while rows were looked at, encrypted",
        purpose="to work",
        basis="as of the rows",
        trigger="end of the process, or the start of the next",
        term=_AT_ONCE,
        action=Action.UNLINK,
        backed_up=False,
    ),
    Category(
        name="live",
        place=Place.SOCKET,
        about="how many stand at the pad, and the box of one who is alone; passed on, and on no disk",
        purpose="to show people their own box",
        basis="6(1)(f)",
        trigger="the next picture",
        term=Term("a moment"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="journal",
        place=Place.JOURNAL,
        about="random numbers of subjects that were erased, and the log's own entries; no code, key or pseudonym",
        purpose="to repeat erasures when an older backup is put back",
        basis=_DUTY,
        trigger="written",
        term=Term("terms.backup: as long as a backup may live", backup=True),
        action=Action.FORGET,
        backed_up=False,
    ),
    Category(
        name="keys",
        place=Place.KEYS,
        columns=dict.fromkeys(("pepper", "sealing", "log", "receipt", "certificate", "mailbox", "voucher"), ()),
        about="the shop's own keys; with them and a copy of the ledger, pseudonyms can be computed",
        purpose="to seal subjects' keys, and to sign",
        basis="32",
        trigger="rotated",
        term=Term("terms.backup after rotation; `retire` destroys", backup=True),
        action=Action.LEAVE,
        backed_up=False,
        personal=False,
    ),
    Category(
        name="kiosk",
        place=Place.MEMORY,
        about="the code on the screen, what was tapped, a stated age; nothing is on a disk",
        purpose="to ask, and to hand the code over",
        basis=_CONSENT,
        trigger="the screen is left, or idle",
        term=Term("seconds; kiosk.idle_s at most"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="receipts",
        place=Place.MEMORY,
        about="receipts of the tills while their file is read: number, time, till, items, amount; whatever else stands"
        " in it is dropped with the line, and of a receipt nothing is on a disk",
        purpose="to sum them up by hour and till",
        basis="6(1)(f)",
        trigger="summed up",
        term=Term("seconds"),
        action=Action.LEAVE,
        backed_up=False,
    ),
    Category(
        name="tracks",
        place=Place.MEMORY,
        about="pictures, boxes, tracks, which of them is linked to a yes, and how those stand and reach before a shelf;"
        " nothing is on a disk",
        purpose="to count, and to measure who said yes",
        basis="6(1)(f) for counts; 6(1)(a) for rows",
        trigger="out of sight; a picture: looked at",
        term=Term("a picture: one look; a track: until it ends"),
        action=Action.LEAVE,
        backed_up=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the keeper deletes, and how old it may become.

    Attributes:
        rows: by purpose, of its table of visits, days.
        forget: by class whose rows in the ledger are deleted, microseconds.
        files: by folder of the state directory, microseconds.
    """

    rows: Mapping[Purpose, int]
    forget: Mapping[str, int]
    files: Mapping[str, int]


def sweep(terms: Mapping[Purpose, int], categories: Iterable[Category] = CATEGORIES) -> Sweep:
    """Return what the keeper has to do by the declaration.

    Args:
        terms: days per purpose, from store.toml.
        categories: the declaration.
    """
    rows: dict[Purpose, int] = {}
    forget: dict[str, int] = {}
    files: dict[str, int] = {}
    for one in categories:
        if one.action is Action.REWRITE and one.term.purpose is not None:
            rows[one.term.purpose] = terms[one.term.purpose]
        elif one.term.us is not None and one.action is Action.FORGET and one.place is Place.LEDGER:
            forget[one.name] = one.term.us
        elif one.term.us is not None and one.action is Action.UNLINK:
            files[one.place.value] = one.term.us
    return Sweep(rows, forget, files)


def unnamed(
    place: Place, found: Mapping[str, Collection[str]], categories: Iterable[Category] = CATEGORIES
) -> list[str]:
    """Return the tables and columns of a place that no category names, as `file: table.column`."""
    named = _named(place, categories)
    return [
        f"{place.value}: {table}.{column}"
        for table, columns in sorted(found.items())
        for column in sorted(columns)
        if column not in named.get(table, ())
    ]


def missing(
    place: Place, found: Mapping[str, Collection[str]], categories: Iterable[Category] = CATEGORIES
) -> list[str]:
    """Return the tables and columns that a category names and the place does not have."""
    return [
        f"{place.value}: {table}.{column}"
        for table, columns in sorted(_named(place, categories).items())
        for column in sorted(columns)
        if column not in found.get(table, ())
    ]


def _named(place: Place, categories: Iterable[Category]) -> dict[str, set[str]]:
    named: dict[str, set[str]] = {}
    for one in categories:
        if one.place is place:
            for table, columns in one.columns.items():
                named.setdefault(table, set()).update(columns)
    return named


def holdable() -> list[str]:
    """Return the names of the classes whose deletion an officer can stop."""
    return [one.name for one in CATEGORIES if one.holdable]


def rows(terms: Mapping[Purpose, int], backup_days: int) -> list[dict[str, Any]]:
    """Return the declaration as a table, with the store's own terms, for a page or a record.

    Args:
        terms: days per purpose, from store.toml.
        backup_days: how long a backup may live, from store.toml.
    """
    return [
        {
            "class": one.name,
            "place": one.place.value,
            "columns": [f"{table}.{column}" for table, columns in one.columns.items() for column in columns or ("*",)],
            "about": one.about,
            "personal": one.personal,
            "purpose": one.purpose,
            "basis": one.basis,
            "trigger": one.trigger,
            "term": one.term.text,
            "days": one.term.days(terms, backup_days),
            "action": one.action.value,
            "backup_days": backup_days if one.backed_up else 0,
            "holdable": one.holdable,
        }
        for one in CATEGORIES
    ]


def canonical(categories: Iterable[Category] = CATEGORIES) -> bytes:
    """Return the declaration as RFC 8785 canonical JSON, of which the log holds the SHA-256."""
    told: list[Any] = [asdict(one) for one in categories]
    return rfc8785.dumps(told)


def digest(categories: Iterable[Category] = CATEGORIES) -> bytes:
    """Return the SHA-256 of the declaration, for the log."""
    return hashlib.sha256(canonical(categories)).digest()
