"""Raising the privacy level with four eyes: one person asks, another one approves, and each has to show who they are.

Rules:
- Who asks and who approves are two accounts, each with its own password typed then and there, and each at a desk that
  may. One name typed twice, or two names typed by one, is not two people.
- Who approves names the level and the assessment that they read; another request than that is not approved by them.
- An account approves nothing that was asked for before it was made, moved to its desk, or given a password by somebody
  else; and, once anybody has consented, nothing for `STANDS_US` after that, so that nobody makes or takes over a second
  account and approves alone, unseen.
- Where one person runs the shop, the second approval comes from outside: a file signed by the Ed25519 key that
  store.toml names (`dashboard.approver`), such as the data-protection officer's, made and used on their own machine.
  A key counts once it has stood in the log for `STANDS_US` without a break, so that nobody names their own and approves
  at once. The first that a shop ever names counts at once where nobody has consented yet.
- A request names the level and the SHA-256 of the reference to the assessment (DPIA). It lapses after a week, when it
  is approved, and when somebody asks anew. A signature fits one request only.
- The level is raised in the transaction that logs it, with both approvals; lowering needs nobody.

Nothing here can tell whether two accounts belong to one person; the log says when each account was made and changed.

What is signed is a signed note (c2sp.org/signed-note):

    openaisle privacy level
    openaisle/main-street
    level emotion
    assessment 1f2e…                       (SHA-256 of its reference, hex)
    asked-by 0123456789abcdef              (number of the account)
    asked-us 1790000000000000

    — officer.example eRkwyAMo…            (base64 of key id ‖ Ed25519 signature over the lines above)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent import log
from consent.access import Access, Action, Refusal, Who
from consent.events import DAY_US, ConsentError, EventKind, Leaf, Level, commit
from consent.ledger import Ledger

LAPSES_US = 7 * DAY_US
STANDS_US = 14 * DAY_US
_HEAD = "openaisle privacy level"
_TAKES = ("made", "desk", "password", "factor_removed")  # the log's words for what may put an account into other hands
_OF_KIND = "SELECT idx, data FROM leaves WHERE instr(data, ?) > 0 ORDER BY idx"


class ApprovalError(ConsentError):
    """The level is not raised; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A level that somebody asked for.

    Attributes:
        origin: name of the log.
        level: wanted.
        dpia: SHA-256 of the reference to the assessment.
        account: number of the account that asked.
        asked_us: when, UTC microseconds.
    """

    origin: str
    level: Level
    dpia: bytes
    account: str
    asked_us: int

    def text(self) -> str:
        """Return what is signed."""
        return (
            f"{_HEAD}\n{self.origin}\nlevel {self.level}\nassessment {self.dpia.hex()}\n"
            f"asked-by {self.account}\nasked-us {self.asked_us}\n"
        )


def ask(ledger: Ledger, access: Access, who: Who, level: Level, reference: str) -> Proposal:
    """Ask for a higher level and return the request, which somebody else must approve.

    Args:
        ledger: opened by any role.
        access: of the shop.
        who: asks, and has just shown who they are.
        level: wanted.
        reference: of the assessment (DPIA).

    Raises:
        DeniedError: they may not.
        ApprovalError: it is not higher, or names no assessment.
    """
    access.require(who, Action.ASK_LEVEL)
    before = ledger.approved_level()
    if level <= before:
        raise ApprovalError(f"{before} is approved already; `openaisle level lower` goes down, and needs nobody")
    if not reference.strip():
        raise ApprovalError("name the assessment (DPIA) that speaks for it with --dpia")
    now_us = access.now_us()
    dpia = _assessment(reference)
    access.accounts.propose(level.value, dpia, who.account, now_us=now_us)
    return Proposal(ledger.origin, level, dpia, who.account, now_us)


def pending(ledger: Ledger, access: Access) -> Proposal | None:
    """Return what was asked for and is neither approved nor lapsed."""
    found = access.accounts.proposal()
    if found is None:
        return None
    level, dpia, account, asked_us = found
    if not 0 <= access.now_us() - asked_us < LAPSES_US:
        access.accounts.settle()
        return None
    return Proposal(ledger.origin, Level(level), dpia, account, asked_us)


def approve(ledger: Ledger, access: Access, who: Who, level: Level, reference: str) -> int:
    """Approve what somebody else asked for, raise the level, and return the log entry that says so.

    Args:
        ledger: opened by any role.
        access: of the shop.
        who: approves, and has just shown who they are.
        level: that they approve.
        reference: of the assessment (DPIA) that they read.

    Raises:
        DeniedError: they may not.
        ApprovalError: nothing or something else is asked for, or it was they who asked.
    """
    access.require(who, Action.APPROVE_LEVEL)
    proposal = _pending(ledger, access)
    if why := objection(ledger, access, who, proposal):
        access.log.denied(Refusal.ACTION, account=who.account, action=Action.APPROVE_LEVEL)
        raise ApprovalError(why)
    if (level, _assessment(reference)) != (proposal.level, proposal.dpia):
        raise ApprovalError(
            f"what is asked for is {proposal.level}, on the assessment with SHA-256 {proposal.dpia.hex()}; you named "
            f"{level} on {_assessment(reference).hex()}: read it, and name what you approve"
        )
    return _raise(ledger, access, proposal, _account(who.account))


def objection(ledger: Ledger, access: Access, who: Who, proposal: Proposal) -> str:
    """Say why somebody cannot approve a request, empty where they can.

    Args:
        ledger: opened by any role.
        access: of the shop.
        who: would approve.
        proposal: what is asked for.
    """
    if who.account == proposal.account:
        return "you asked for this level yourself, and whoever asks cannot approve; somebody else must, with an account"
    since_us = in_hands_since(ledger, access, who)
    if since_us > proposal.asked_us:
        return (
            "your account was made, moved or given a password after this was asked for: somebody else approves it, or "
            "it is asked for anew"
        )
    if access.now_us() < since_us + STANDS_US and _consented(ledger):
        day = datetime.fromtimestamp((since_us + STANDS_US) / 1e6, UTC)
        return (
            f"your account was made, moved or given a password lately and approves from {day:%Y-%m-%d %H:%M} UTC on; "
            "until then somebody else does, or an outsider signs"
        )
    return ""


def in_hands_since(ledger: Ledger, access: Access, who: Who) -> int:
    """Return since when nobody else could have had an account: made, moved or its password set by others; UTC µs.

    Args:
        ledger: opened by any role.
        access: of the shop.
        who: whose account.
    """
    since_us = access.accounts.find(who.name).made_us
    sql = "SELECT at_us, payload FROM records WHERE kind = ?"
    for at_us, payload in ledger.select(sql, EventKind.ACCOUNT_CHANGED.value):
        told = json.loads(payload)
        if told["account"] == who.account and told["what"] in _TAKES and told.get("by") != who.account:
            since_us = max(since_us, at_us)
    return since_us


def _consented(ledger: Ledger) -> bool:
    return bool(ledger.select(f"{_OF_KIND} LIMIT 1", f'"kind":"{EventKind.GRANTED}"'.encode()))


def approver(key: str | None) -> str:
    """Return how the log knows an outsider's key: its SHA-256, hex; empty where store.toml names none."""
    return "" if key is None else hashlib.sha256(b"approver " + key.encode()).hexdigest()


def note_approver(ledger: Ledger, settings: bytes, key: str | None, *, now_us: int) -> None:
    """Have the log say whom store.toml names, as the keeper does at its next sweep.

    Args:
        ledger: opened by any role.
        settings: SHA-256 of store.toml.
        key: the outsider's public key, as store.toml names it.
        now_us: UTC microseconds.
    """
    ledger.note_config(settings, now_us=now_us, approver=approver(key))


def counts_from(ledger: Ledger, key: str) -> int | None:
    """Return from when an outsider's key counts, UTC microseconds; None where it does not stand in the log yet.

    Args:
        ledger: opened by any role.
        key: the outsider's public key, as store.toml names it.
    """
    wanted, since, others = approver(key), None, False
    rows = ledger.select(_OF_KIND, f'"kind":"{EventKind.CONFIG_CHANGED}"'.encode())
    for index, data in rows:
        record = ledger.record(index)
        if record is None or commit(record.entry_key, record.payload) != Leaf.decode(data).commitment:
            since, others = None, True  # nobody knows any more what it said
            continue
        told = json.loads(record.payload)
        if told.get("approver", "") != wanted:
            since, others = None, others or bool(told.get("approver"))
        elif since is None:
            since = (index, int(told["at_us"]))
    if since is None:
        return None
    index, at_us = since
    consents = ledger.select(_OF_KIND, f'"kind":"{EventKind.GRANTED}"'.encode())
    first = not others and not any(entry < index for entry, _ in consents)
    return at_us if first else at_us + STANDS_US


def standing(ledger: Ledger, key: str, *, now_us: int) -> str:
    """Say in one line whether an outsider's key counts."""
    name, from_us = log.read_verifier_key(key)[0], counts_from(ledger, key)
    if from_us is None:
        return f"outsider: {name}; the key is not in the log yet, and does not count"
    verb = "counts since" if from_us <= now_us else "is new and DOES NOT COUNT before"
    return f"outsider: {name}; the key {verb} {datetime.fromtimestamp(from_us / 1e6, UTC):%Y-%m-%d %H:%M} UTC"


def approve_signed(ledger: Ledger, access: Access, note: str, key: str | None) -> int:
    """Raise the level by an outsider's signed file, and return the log entry that says so.

    Args:
        ledger: opened by any role.
        access: of the shop.
        note: what `signed` made of the request.
        key: the outsider's public key, as store.toml names it.

    Raises:
        ApprovalError: store.toml names no key, the key does not count yet, nothing is asked for, or the signature is
            not of this request.
        LogError: the file is no signed note.
    """
    if key is None:
        raise ApprovalError("store.toml names nobody outside: write their key as approver under [dashboard] first")
    from_us = counts_from(ledger, key)
    if from_us is None:
        raise ApprovalError("the outsider's key is not in the log yet; the keeper writes it there at its next sweep")
    if access.now_us() < from_us:
        day = datetime.fromtimestamp(from_us / 1e6, UTC)
        raise ApprovalError(
            f"the outsider's key in store.toml is new and counts from {day:%Y-%m-%d %H:%M} UTC on; until then somebody "
            "with another account approves"
        )
    proposal = _pending(ledger, access)
    name, public, kind = log.read_verifier_key(key)
    text, signatures = log.split(note)
    if text != proposal.text():
        raise ApprovalError("this file was signed for another request; have the one signed that is asked for now")
    wanted = log.key_id(name, public, kind)
    found = [one for one in signatures if one.name == name and one.key_id == wanted]
    if not found or not all(log.is_signed(public, one.value, text.encode()) for one in found):
        raise ApprovalError(f"this file is not signed by {name}, whom store.toml names")
    return _raise(ledger, access, proposal, hashlib.sha256(b"outside " + public).digest())


def signed(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Return a request with somebody's signature, for `approve_signed`.

    Raises:
        ApprovalError: it is no request.
    """
    if not text.startswith(f"{_HEAD}\n") or not text.endswith("\n") or text.count("\n") != 6:
        raise ApprovalError("this is no request for a level: `openaisle level request --out FILE` makes one")
    public = key.public_key().public_bytes_raw()
    return text + "\n" + log.Signature(name, log.key_id(name, public), key.sign(text.encode())).line()


def _pending(ledger: Ledger, access: Access) -> Proposal:
    proposal = pending(ledger, access)
    if proposal is None:
        raise ApprovalError("nothing is asked for, or it lapsed after a week; `openaisle level request` asks")
    return proposal


def _raise(ledger: Ledger, access: Access, proposal: Proposal, second: bytes) -> int:
    entry = ledger.set_level(
        proposal.level,
        now_us=access.now_us(),
        approvals=[_account(proposal.account), second],
        dpia_sha256=proposal.dpia,
    )
    access.accounts.settle()
    if entry is None:
        raise ApprovalError(f"{proposal.level} is approved already")
    return entry


def _assessment(reference: str) -> bytes:
    return hashlib.sha256(reference.strip().encode()).digest()


def _account(number: str) -> bytes:
    return hashlib.sha256(b"account " + number.encode()).digest()
