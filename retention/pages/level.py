"""The privacy level: what is in force, how it came to be, and what a second person is asked to approve."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analytics.dashboard import desk, require
from analytics.pages.style import begin
from consent import chronicle
from consent.access import Action
from consent.approval import pending, standing
from consent.events import Level
from retention.pages.asking import now_us, remember, said
from retention.pages.entries import clock

_MEANS = {
    Level.COUNTS: "counts about everybody; nobody is recorded",
    Level.DWELL: "how long those who said yes stay and decide",
    Level.REPEAT: "whether those who said yes to it come back",
    Level.EMOTION: "expression on the own face of those who said yes to it",
}


def privacy_level(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Privacy level")
    require(Action.SEE_COMPLIANCE)
    at = desk()
    state, ledger = at.state.reread(), at.ledger
    approved, wanted, force = ledger.approved_level(), state.store.store.level, state.level(ledger)
    said()
    with st.container(key="cards"):
        one, two, three = st.columns(3)
        one.metric("In force", force.value)
        two.metric("Approved", approved.value)
        three.metric("Asked for in store.toml", wanted.value)
    st.markdown("\n".join(f"- **{level}**: {means}" for level, means in _MEANS.items()))
    st.header("A higher level")
    proposal = pending(ledger, at.access)
    if proposal is None:
        st.info(
            "Nothing is asked for. An administrator asks with `openaisle level request`, naming the assessment (DPIA);"
            " then somebody else approves it here within a week."
        )
    else:
        st.warning(
            f"**{proposal.level}** is asked for, by account `{proposal.account}`, since"
            f" {clock(proposal.asked_us, state.store.timezone)}. Assessment: SHA-256 `{proposal.dpia.hex()}`. Approving"
            " needs your own password, typed then and there, and you must be somebody else."
        )
        command = f"openaisle level approve {proposal.level} --dpia REFERENCE --state {state.root} --user YOUR-NAME"
        st.code(command, language="bash", wrap_lines=True)
        st.caption("REFERENCE is that of the assessment you read; another one than was asked for is refused.")
    if (key := state.store.dashboard.approver) is not None:
        # the line names whoever store.toml names: shown as it is, never as Markdown
        st.text(standing(ledger, key, now_us=now_us()))
    if approved is not Level.COUNTS:
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
