"""Documents filled from the settings in force: record, assessment pack, sign and notice; and the audit bundle."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analytics.dashboard import desk, require
from analytics.desk import log_keys
from analytics.pages.style import begin
from analytics.state import State
from consent.access import Action
from consent.kiosk.notice import NoticeError
from consent.kiosk.poster import poster
from consent.ledger import Ledger
from retention import assessment, bundle, certificate, paper, record, signage
from retention.pages.asking import at_once, now_us
from retention.pages.handout import hand_out

_ASKED = "officers-bundle"


def documents(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Documents")
    require(Action.AUDIT)
    state, ledger = desk().state.reread(), desk().ledger
    level = state.level(ledger)
    st.markdown(
        f"Made anew each time from `store.toml` as it stands and the level in force (**{level}**). What the software"
        " cannot know is left out or marked as a blank. We are engineers, not lawyers: have them read by somebody who"
        " is."
    )
    told = record.record(state.store, level, state.sha256)
    if told["missing"]:
        st.warning(f"Not filled in yet under `[controller]` of store.toml: {', '.join(told['missing'])}.")
    _document(state, "Record of processing", "record", record.markdown(told), "GDPR Art. 30(1)")
    text = assessment.assessment(state.store, level, state.sha256)
    _document(
        state,
        "Impact assessment: pack",
        "dpia",
        text,
        f"GDPR Art. 35; {text.count(assessment.BLANK) - 1} blanks to fill",
    )
    _signs(state, ledger)
    _bundle(state, ledger)


def _document(state: State, title: str, name: str, text: str, what: str) -> None:
    st.header(title)
    st.caption(what)
    store = state.store.store
    with st.container(horizontal=True):
        hand_out("As Markdown", text, f"{name}.md", "text/markdown", Action.AUDIT)
        hand_out(
            "As PDF",
            lambda: paper.pdf(title, text, store.name, simulated=store.simulated),
            f"{name}.pdf",
            "application/pdf",
            Action.AUDIT,
        )
    with st.expander("Read it here"):
        st.code(text, language=None, wrap_lines=True)


def _signs(state: State, ledger: Ledger) -> None:
    st.header("Sign and notice")
    try:
        found = {one.language: one for one in signage.notices(state, ledger)}
    except NoticeError as error:
        st.info(str(error))
        return
    one = found[st.selectbox("Language", list(found)) or next(iter(found))]
    st.caption(f"Version {one.version}; SHA-256 of the notice {one.sha256}. Hang up the sign where people come in.")
    with st.container(horizontal=True):
        hand_out("Sign to print", poster(one, sign=True), f"sign-{one.language}.html", "text/html", Action.AUDIT)
        hand_out("Notice to print", poster(one), f"notice-{one.language}.html", "text/html", Action.AUDIT)
    with st.expander("The words of the sign"):
        st.code(one.sign, language=None, wrap_lines=True)


def _bundle(state: State, ledger: Ledger) -> None:
    st.header("Audit bundle")
    st.markdown(
        "Log, checkpoints, certificates, policy, record, settings without secrets and the hours of the cameras, in one"
        " signed archive that holds nothing about a shopper. The keeper makes and signs it."
    )
    if st.button("Ask the keeper for it", type="primary"):
        require(Action.AUDIT)
        st.session_state[_ASKED] = ledger.open_request(bundle.REQUEST, now_us=now_us())
    if _ASKED in st.session_state:
        _made(st.session_state[_ASKED])
    keys = [*certificate.key_lines(ledger)[:1], *log_keys(ledger)[:1]]
    st.caption("To check it, anywhere and offline, with keys that you kept elsewhere:")
    st.code(
        "openaisle audit verify audit.zip " + " ".join(f"--key '{line}'" for line in keys),
        language=None,
        wrap_lines=True,
    )
    st.caption(f"By command, for a timer: `openaisle audit bundle --state {state.root} --out FILE`")


@st.fragment(run_every=2)
def _made(number: int) -> None:
    at = desk()
    try:
        data = bundle.fetch(at.state, at.ledger, number)
    except bundle.BundleError as error:
        st.warning(str(error))
        return
    if data is None:
        st.info(f"The keeper has not made it yet. {at_once()}")
        return
    hand_out("Download the bundle", data, "audit.zip", "application/zip", Action.AUDIT)
