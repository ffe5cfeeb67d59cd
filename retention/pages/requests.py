"""Requests of people: the register with its deadlines, letters, and what is done by their code or without it."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import streamlit as st

from analytics.dashboard import desk, require
from analytics.pages.style import begin
from analytics.state import State
from consent import answers
from consent.access import Action
from consent.cases import CaseKind, Outcome, Reason
from consent.events import ConsentError
from consent.ledger import Ledger, RequestStatus
from retention import counter, letter, window
from retention.counter import What
from retention.model import RetentionError
from retention.pages.asking import at_once, now_us, remember, said
from retention.pages.handout import hand_out

_ASKED, _FORM = "officers-asked", "officers-form"
_BY_CODE = {What.COPY: "Hand out everything (Art. 15 and 20)", What.ERASE: "End and erase everything"}
_WORD = "erase"


def requests(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Requests")
    who = require(Action.READ_REQUESTS)
    state, ledger = desk().state.reread(), desk().ledger
    said()
    register, code, without = st.tabs(["Register", "With a code", "Without a code"])
    with register:
        _register(state, ledger)
    with code:
        _with_code(state, ledger)
    with without:
        _window(state, ledger, who.account)


def _register(state: State, ledger: Ledger) -> None:
    today = datetime.now(state.store.timezone).date()
    cases = ledger.cases()
    st.caption("What for, since when and until when; never who: that stands in your own correspondence.")
    if cases:
        st.table(
            [
                {
                    "Number": str(case.number),
                    "Kind": case.kind.value,
                    "Received": str(case.received),
                    "Answer by": f"{case.due}{' (extended)' if case.extended else ''}",
                    "State": f"closed {case.closed}: {case.outcome}"
                    if case.closed
                    else "**overdue**"
                    if case.overdue(today)
                    else "open",
                }
                for case in cases
            ],
            border="horizontal",
        )
    else:
        st.info("No request is in the register. Write one down the day it comes: the month begins with that day.")
    still = [case.number for case in cases if case.closed is None]
    with st.form("new", border=True):
        st.markdown("**Write one down**")
        kind = st.selectbox("What for", [one.value for one in CaseKind])
        received = st.date_input("Received", value=today, min_value=date(2018, 5, 25), max_value=today)
        if st.form_submit_button("Write it down", type="primary") and kind and isinstance(received, date):
            require(Action.CHANGE_REQUESTS)
            case = ledger.open_case(kind, received)
            remember(f"Case {case.number} is in the register; it is to be answered by {case.due}.")
            st.rerun()
    if still:
        with st.form("change", border=True):
            st.markdown("**Close or extend one**")
            # nothing is chosen beforehand: a case is closed once
            number = st.selectbox("Number", still, index=None, placeholder="Which of those that are open")
            ended = st.selectbox(
                "How",
                [*(f"closed: {one}" for one in Outcome), *(f"extended: {one}" for one in Reason)],
                index=None,
                placeholder="Closed or extended, and why",
            )
            if st.form_submit_button("Close or extend it"):
                require(Action.CHANGE_REQUESTS)
                if number is None or ended is None:
                    st.error("Choose a number and how; nothing was changed.")
                else:
                    _change(ledger, int(number), ended, today)
    _letter(state, ledger, today)


def _change(ledger: Ledger, number: int, ended: str, today: date) -> None:
    how, _, word = ended.partition(": ")
    try:
        if how == "closed":
            ledger.close_case(number, word, today, now_us=now_us())
            remember(f"Case {number} is closed: {word}.")
        else:
            case = ledger.extend_case(number, word, today)
            remember(f"Case {number} is to be answered by {case.due} now. Tell whoever asked: see the letter.")
    except ConsentError as error:
        st.error(str(error))
        return
    st.rerun()


def _letter(state: State, ledger: Ledger, today: date) -> None:
    with st.expander("Letters"):
        one, two, three = st.columns(3)
        kind = one.selectbox("Letter", [each.value for each in letter.Letter])
        language = two.selectbox("Language", state.store.kiosk.languages)
        number = three.selectbox("For case", [None, *(case.number for case in ledger.cases())])
        try:
            case = None if number is None else ledger.case(number)
            text = letter.write(state, kind, language, today, case)
        except (ConsentError, RetentionError) as error:
            st.warning(str(error))
            return
        st.code(text, language=None, wrap_lines=True)


def _with_code(state: State, ledger: Ledger) -> None:
    st.markdown(
        "Whoever shows their code may have it all ended, or handed out. The code is sealed to the keeper before it is"
        " written anywhere; this desk never learns whom it is about."
    )
    what = st.radio("What they want", list(_BY_CODE), index=None, format_func=_BY_CODE.__getitem__, key="by-code")
    if what is not None:
        _ask(ledger, what)
    if _ASKED in st.session_state:
        _outcome(state.root, state.exports, st.session_state[_ASKED])


def _ask(ledger: Ledger, what: What) -> None:
    """Draw the form that asks the keeper: what is refused stays as it was typed, and what is asked for is emptied."""
    form = st.session_state.setdefault(_FORM, 0)
    with st.form("code", border=True):
        code = st.text_input("Code", type="password", autocomplete="off", key=f"code-{form}")
        sure = what is not What.ERASE or (
            st.text_input(
                f"To end and erase everything, type the word {_WORD}", autocomplete="off", key=f"sure-{what}-{form}"
            ).strip()
            == _WORD
        )
        if not st.form_submit_button("Ask the keeper", type="primary"):
            return
    if not sure:
        st.error(f"Nothing was asked: an erasure cannot be undone. Type the word {_WORD} as well.")
        return
    require(Action.ERASE if what is What.ERASE else Action.HAND_OUT)
    try:
        st.session_state[_ASKED] = counter.ask(ledger, what, code, now_us=now_us())
    except (ConsentError, RetentionError) as error:
        st.error(str(error))
        return
    st.session_state[_FORM] = form + 1
    st.rerun()


@st.fragment(run_every=2)
def _outcome(root: Path, exports: Path, number: int) -> None:
    ledger = desk().ledger
    try:
        status, told = counter.answer(ledger, number)
    except RetentionError as error:
        st.info(str(error))
        return
    if status in (RequestStatus.PENDING, RequestStatus.RUNNING):
        st.info(f"Request {number}: the keeper has not answered yet. {at_once()}")
    elif status is not RequestStatus.DONE:
        st.warning(f"Request {number}: nobody is known under this code: check it, or everything is erased already.")
    elif "entry" in told:
        if told["entry"] < 0:
            st.info(f"Request {number}: nothing was in force any more under this code.")
            return
        st.success(
            f"Request {number}: ended by entry {told['entry']}; nothing is recorded from that moment, and the keeper"
            " erases. Give the number along: under it the certificate is found on the page “Consents”."
        )
    else:
        _copy(ledger, exports, number, told["question"])


def _copy(ledger: Ledger, exports: Path, number: int, question: int) -> None:
    st.success(f"Request {number}: the keeper makes the copy. It opens only where the code is typed again.")
    code = st.text_input("Code once more", type="password", autocomplete="off", key=f"again-{number}")
    if not code:
        return
    require(Action.HAND_OUT)
    try:
        data = answers.fetch(ledger, exports, question, code)
    except ConsentError as error:
        st.warning(str(error))
        return
    if data is None:
        st.info("The keeper is at it; wait a moment.")
        return
    hand_out("Download the copy", data, "everything.zip", "application/zip", Action.HAND_OUT)
    st.caption("Hand it over, and delete it from this computer.")


def _window(state: State, ledger: Ledger, officer: str) -> None:
    st.markdown(
        "Somebody lost their code and wants to be erased: every yes that was given between two instants ends. They may"
        " be other people's, too; they can say yes again. Whoever stands linked on the pad can press stop instead."
    )
    zone = state.store.timezone
    now = datetime.now(zone)
    one, two, three = st.columns(3)
    day = one.date_input("Day", value=now.date(), key="window-day")
    first = two.time_input("From", value=time(max(0, now.hour - 1)), key="window-first", step=300)
    last = three.time_input("To", value=time(now.hour, now.minute), key="window-last", step=300)
    if not isinstance(day, date):
        return
    try:
        chosen = window.Window(
            window.instant(f"{day} {first:%H:%M}", zone), window.instant(f"{day} {last:%H:%M}", zone, last=True)
        )
        number = window.count(ledger, chosen)
    except RetentionError as error:
        st.warning(str(error))
        return
    st.markdown(f"**{number}** people's consents were given then and are held.")
    with st.form("window", border=True):
        repeated = st.number_input("To end them all, type their number", min_value=0, value=None, step=1)
        if st.form_submit_button("End and erase them"):
            if repeated is None:
                st.error("Nothing was ended: type their number as well.")
                return
            require(Action.ERASE)
            try:
                entry = window.erase(ledger, chosen, int(repeated), officer=officer, now_us=now_us())
            except (ConsentError, RetentionError) as error:
                st.error(str(error))
                return
            remember(f"{int(repeated)} ended (entry {entry}); the keeper erases them. {at_once()}")
            st.rerun()
