"""The privacy level: what is in force, how it came to be; asking for more, approving it with four eyes, going lower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import streamlit as st

from analytics.dashboard import desk, require
from analytics.pages.style import begin
from analytics.state import STORE_TOML, State
from consent import approval, chronicle
from consent.access import Access, Action, Who
from consent.approval import Proposal, pending, standing
from consent.events import ConsentError, Level
from consent.ledger import Ledger
from retention.pages.asking import now_us, remember, said
from retention.pages.entries import clock
from retention.pages.handout import hand_out

_MEANS = {
    Level.COUNTS: "counts about everybody; nobody is recorded",
    Level.DWELL: "how long those who said yes stay and decide",
    Level.REPEAT: "whether those who said yes to it come back",
    Level.EMOTION: "expression on the own face of those who said yes to it",
}
_Done = TypeVar("_Done")
_HERE = "127.0.0.1"  # Streamlit names no address where somebody looks from the machine itself


def privacy_level(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Privacy level")
    who = require(Action.APPROVE_LEVEL)
    at = desk()
    state, ledger = at.state.reread(), at.ledger
    approved, wanted, force = ledger.approved_level(), state.store.store.level, state.level(ledger)
    said()
    with st.container(key="cards"):
        one, two, three = st.columns(3)
        one.metric("In force", force.value)
        two.metric("Approved", approved.value)
        three.metric("Asked for in store.toml", wanted.value)
    st.caption(f"In force is the lower of what two people approved and what `{STORE_TOML}` asks for.")
    st.markdown("\n".join(f"- **{level}**: {means}" for level, means in _MEANS.items()))
    st.header("A higher level")
    proposal = pending(ledger, at.access)
    if approved is Level.EMOTION:
        st.info(f"**{approved}** is the highest level there is: there is none to ask for.")
    elif proposal is not None:
        _proposed(state, ledger, at.access, who, proposal)
    else:
        st.info(
            "Nothing is asked for. An administrator asks, naming the assessment (DPIA) that speaks for it; within a"
            " week somebody else approves it here: two people, each with an account and a password of their own."
        )
    if who.may(Action.ASK_LEVEL) and approved is not Level.EMOTION:
        _ask(ledger, at.access, who, approved, again=proposal is not None)
    if approved is not Level.COUNTS:
        _lower(ledger, approved)
    _history(state, ledger)


def _proposed(state: State, ledger: Ledger, access: Access, who: Who, proposal: Proposal) -> None:
    names = {one.id: one.name for one in access.accounts.accounts()}
    st.warning(
        f"**{proposal.level}** is asked for by {names.get(proposal.account, 'an account that is gone')} (account"
        f" `{proposal.account}`), since {clock(proposal.asked_us, state.store.timezone)}; it lapses after a week."
        f" Assessment: SHA-256 `{proposal.dpia.hex()}`. To say no, leave it: nothing changes."
    )
    if why := approval.objection(ledger, access, who, proposal):
        st.info(f"You cannot approve this. {why[:1].upper()}{why[1:]}.")
    else:
        _approve(ledger, access, who, proposal)
    _outside(state, ledger, access, proposal)


def _approve(ledger: Ledger, access: Access, who: Who, proposal: Proposal) -> None:
    with st.form("approve", border=True):
        st.markdown("**Approve it**, after reading the assessment")
        level = st.selectbox("Level that you approve", [one for one in Level if one is not Level.COUNTS], index=None)
        reference = st.text_input("Reference of the assessment that you read", autocomplete="off")
        typed = _secrets("approve")
        if st.form_submit_button("Approve it", type="primary"):
            if _lacks(level, reference, typed) or level is None:
                return
            _do(
                lambda: approval.approve(ledger, access, _checked(access, who, typed), Level(level), reference),
                lambda entry: (
                    f"Approved: {proposal.level} (log entry {entry}). It is in force where {STORE_TOML} asks for it."
                ),
            )


def _outside(state: State, ledger: Ledger, access: Access, proposal: Proposal) -> None:
    """Let an outsider's signed file stand for the second person of a shop that has one only."""
    with st.expander("Nobody else works here? An outsider signs"):
        key = state.store.dashboard.approver
        if key is None:
            st.markdown(
                f"`{STORE_TOML}` names nobody. Have the officer run `openaisle level key officer.key --name NAME` on"
                " their own machine, and write the line that it prints as `approver` under `[dashboard]`."
            )
            return
        st.text(standing(ledger, key, now_us=now_us()))
        st.markdown("1. Send them this request. They sign it: `openaisle level sign request.txt --key officer.key`.")
        hand_out("Download the request", proposal.text(), "request.txt", "text/plain", Action.APPROVE_LEVEL)
        with st.form("signed", border=False):
            file = st.file_uploader("2. What they signed, as a file that ends in .signed", type=["signed"])
            if st.form_submit_button("Approve by this file"):
                if file is None:
                    st.error("Choose the file that they sent back.")
                    return
                require(Action.APPROVE_LEVEL)
                note = file.getvalue().decode("utf-8", "replace")
                _do(
                    lambda: _by_file(state, ledger, access, note, key),
                    lambda entry: f"Approved by an outsider: {proposal.level} (log entry {entry}).",
                )


def _by_file(state: State, ledger: Ledger, access: Access, note: str, key: str) -> int:
    approval.note_approver(ledger, state.sha256, key, now_us=now_us())
    return approval.approve_signed(ledger, access, note, key)


def _ask(ledger: Ledger, access: Access, who: Who, approved: Level, *, again: bool) -> None:
    with st.form("ask", border=True):
        st.markdown("**Ask for another level instead**" if again else "**Ask for a higher level**")
        level = st.selectbox("Level", [one for one in Level if one > approved], index=None)
        reference = st.text_input("Reference of the assessment (DPIA) that speaks for it", autocomplete="off")
        typed = _secrets("ask")
        if st.form_submit_button("Ask for it", type="primary"):
            if _lacks(level, reference, typed) or level is None:
                return
            _do(
                lambda: approval.ask(ledger, access, _checked(access, who, typed), Level(level), reference),
                lambda made: f"Asked for {made.level}. Give somebody else the assessment; they approve it here.",
            )


def _secrets(form: str) -> tuple[str, str]:
    """Draw what somebody types to show, then and there, that it is they."""
    one, two = st.columns(2)
    password = one.text_input("Your password", type="password", autocomplete="current-password", key=f"{form}-password")
    code = two.text_input("Code", autocomplete="one-time-code", key=f"{form}-code", help="only with a second factor")
    return password, code


def _lacks(level: str | None, reference: str, typed: tuple[str, str]) -> bool:
    """Say whether something is missing that whoever signs must fill in, and draw what."""
    fields = {"the level": level, "the reference of the assessment": reference.strip(), "your password": typed[0]}
    missing = [name for name, value in fields.items() if not value]
    if missing:
        st.error(f"Nothing was done yet. Still missing: {', '.join(missing)}.")
    return bool(missing)


def _checked(access: Access, who: Who, typed: tuple[str, str]) -> Who:
    password, code = typed
    return access.check(who.name, password, st.context.ip_address or _HERE, code)


def _do(act: Callable[[], _Done], tell: Callable[[_Done], str]) -> None:
    try:
        done = act()
    except ConsentError as error:
        st.error(f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return
    remember(tell(done))
    st.rerun()


def _lower(ledger: Ledger, approved: Level) -> None:
    st.header("A lower level")
    st.markdown("At once, and by one person: rows that it does not allow are deleted by the keeper.")
    with st.form("lower", border=True):
        lower = st.selectbox("Lower it to", [level for level in Level if level < approved])
        sure = st.checkbox("Rows that this level does not allow are deleted for good")
        if st.form_submit_button("Lower it") and lower is not None:
            require(Action.APPROVE_LEVEL)
            if sure:
                ledger.set_level(lower, now_us=now_us())
                remember(f"Lowered to {lower}; the gate is shut, and the keeper deletes what it does not allow.")
                st.rerun()
            st.error("Say that rows are deleted for good, or leave it.")


def _history(state: State, ledger: Ledger) -> None:
    st.header("History")
    lines = chronicle.search(ledger, kinds=chronicle.LEVELS, limit=200)
    if not lines:
        st.info("The level was never raised: it is `counts`, that of a new shop.")
        return
    st.table(
        [
            {
                "Entry": str(line.entry),
                "When": clock(line.at_us, state.store.timezone),
                "To": line.level or "",
                "How": line.kind.value.replace("_", " "),
                "Approvals": str(len((line.details or {}).get("approvals", []))),
                "Assessment": "" if line.digest is None else f"SHA-256 {line.digest[:16]}…",
            }
            for line in lines
        ],
        border="horizontal",
    )
