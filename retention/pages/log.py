"""The log: entries by kind, day and number, the proof of each, what is signed and witnessed, a check on the spot."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import streamlit as st

from analytics.config import StoreFile
from analytics.dashboard import desk, require
from analytics.desk import log_keys
from analytics.pages.style import begin
from analytics.state import State
from consent import chronicle, proof
from consent.access import Action
from consent.events import ConsentError, EventKind
from consent.inspection import inspect
from consent.keys import Role
from consent.ledger import Ledger
from retention import witnessed
from retention.model import RetentionError
from retention.pages.entries import WORDS, clock, entries
from retention.pages.handout import hand_out

_PAGE = 50


def log_page(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Consent log")
    require(Action.READ_CONSENTS)
    state, ledger = desk().state.reread(), desk().ledger
    st.markdown(
        "Every promise and what became of it, in a log that only grows. Entries about people keep their number and"
        " kind for ever; when and how they were said goes with the person."
    )
    _heads(state, ledger)
    _search(ledger, state.store)
    _proof(state, ledger)
    _check(state, ledger)


def _heads(state: State, ledger: Ledger) -> None:
    newest, size = ledger.newest_checkpoint(), ledger.size
    try:
        seen = witnessed.read(state.root, ledger)
    except (ConsentError, RetentionError) as error:
        st.error(str(error))
        seen = None
    with st.container(key="cards"):
        one, two, three = st.columns(3)
        one.metric("Entries", f"{size:,}")
        two.metric("Signed by the keeper", "nothing yet" if newest is None else f"{newest[1].size:,}")
        three.metric("Seen by a witness", "nothing yet" if seen is None else f"{seen.checkpoint.size:,}")
    if newest is None:
        st.info(f"Nothing is signed yet: `openaisle keeper --state {state.root}` must run; it signs within a second.")
    elif newest[1].size < size:
        st.warning(
            f"Not signed yet: {size - newest[1].size} of the entries. A running keeper signs within a second: reload,"
            f" and if this stays, start `openaisle keeper --state {state.root}`."
        )
    with st.expander("Checkpoint and witness"):
        if newest is not None:
            st.markdown("The newest checkpoint, a signed note:")
            st.code(newest[0], language=None)
        if seen is None:
            st.markdown(
                "**No witness.** Without one, nobody notices a log that is put back to an older state. Set one up on"
                " the officer's own machine:"
            )
        else:
            at = clock(seen.at_s * 1_000_000, state.store.timezone)
            st.markdown(f"**{seen.name}** cosigned {seen.checkpoint.size:,} entries at {at}. To have the rest seen:")
        have = 0 if seen is None else seen.checkpoint.size
        steps = [] if seen else [f"openaisle witness init WITNESS --name officer.example/shop --log '{_key(ledger)}'"]
        steps += [
            f"openaisle witness ask --state {state.root} --seen {have} > asked   # in the shop",
            "openaisle witness cosign WITNESS < asked > cosigned   # on the officer's machine",
            f"openaisle witness keep cosigned --state {state.root} --key LINE   # in the shop; `init` printed LINE",
        ]
        st.code("\n".join(steps), language=None, wrap_lines=True)


def _search(ledger: Ledger, store: StoreFile) -> None:
    zone = store.timezone
    st.header("Find entries")
    st.caption("By kind, day and number; there is no search by anything about a person.")
    one, two, three = st.columns([2, 1, 1])
    kinds = one.multiselect("Kinds", list(EventKind), format_func=lambda kind: WORDS.get(kind, kind.value))
    days = two.date_input("Days, on the shop's clock", value=[])
    number = three.number_input("From number downwards", min_value=0, value=None, step=1, placeholder="newest")
    since_us = until_us = None
    if isinstance(days, tuple | list) and days:
        since_us = _midnight(days[0], zone)
        until_us = _midnight(days[-1] + timedelta(days=1), zone)
    below = None if number is None else int(number) + 1
    found = chronicle.search(ledger, kinds=kinds, since_us=since_us, until_us=until_us, below=below, limit=_PAGE + 1)
    if not found:
        why = "The log is empty: nobody was asked anything yet." if ledger.size == 0 else "No entry is like that."
        hint = " Entries whose time is erased are found by kind and number only." if since_us is not None else ""
        st.info(why + hint)
        return
    entries(found[:_PAGE], store)
    if len(found) > _PAGE:
        st.caption(f"There are more. For older ones, give {found[_PAGE].entry} as number.")


def _proof(state: State, ledger: Ledger) -> None:
    st.header("Proof of an entry")
    number = st.number_input("Number of the entry", min_value=0, value=None, step=1, placeholder="as listed above")
    if number is None:
        st.caption("Give a number: the proof shows to anybody, offline, that this entry stands in the signed log.")
        return
    entry = int(number)
    try:
        data = proof.write(ledger, entry)
        told = proof.check(data, ledger.keys.public_keys("log"))
    except ConsentError as error:
        st.warning(str(error))
        return
    one = chronicle.line(ledger, entry)
    if one is not None:
        entries([one], state.store)
    st.success(
        f"Entry {entry} (`{told.leaf.kind.value}`) stands under the signed checkpoint of {told.checkpoint.size:,}"
        f" entries, root {told.checkpoint.root.hex()}."
    )
    hand_out("Download the proof", data, f"entry-{entry}.json", "application/json", Action.READ_CONSENTS)
    st.code(
        f"openaisle consent verify --entry entry-{entry}.json --key '{_key(ledger)}'", language=None, wrap_lines=True
    )


def _check(state: State, ledger: Ledger) -> None:
    st.header("Check the whole log")
    st.markdown(
        "Here and now, every entry, hash, payload, consent and checkpoint. It shows what this machine holds; what was"
        " rewritten with the shop's own key only a witness or a receipt can tell."
    )
    if st.button("Check it now", icon=":material/verified:", type="primary"):
        require(Action.AUDIT)
        with st.spinner("Checking every entry…"):
            _checked(state)
    st.caption("The same without this machine: export it, take it elsewhere, and check it there with a key you kept.")
    st.code(
        f"openaisle consent export --state {state.root} OUT\nopenaisle consent verify OUT --key '{_key(ledger)}'",
        language=None,
        wrap_lines=True,
    )


def _checked(state: State) -> None:
    try:
        with state.open_ledger(Role.DASHBOARD) as own:
            seen = witnessed.read(state.root, own)
            known = () if seen is None else (seen.note,)
            found = inspect(own, known, None if seen is None else (seen.name, seen.public))
    except (ConsentError, RetentionError) as error:
        st.error(f"**Not whole.** {error}", icon=":material/error:")
        return
    st.success(
        f"**Whole.** {found.size:,} signed entries, checked in {found.seconds:.1f} s.", icon=":material/verified:"
    )
    st.table(
        {
            "Log": found.origin,
            "Signed entries": f"{found.size:,}",
            "Root of the signed entries": found.root,
            "Entries after that": f"{found.newer:,}",
            "Root of all entries": found.now_root,
            "Payloads that still stand": f"{found.records:,}, each fits its entry",
            "Consents": f"{found.consents:,}, each follows from its entries",
            "Checkpoints": f"{found.checkpoints:,}, each signed and in the log",
            "Witness": f"{found.witnessed} cosigned checkpoint, in the log" if found.witnessed else "none",
        },
        border="horizontal",
    )


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, time(), zone).timestamp()) * 1_000_000


def _key(ledger: Ledger) -> str:
    return log_keys(ledger)[0]
