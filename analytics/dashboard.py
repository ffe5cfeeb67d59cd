"""How the dashboard is started, and who looks at it. Streamlit is imported only where a page is drawn.

Rules:
- It answers on this machine's own address, or elsewhere over TLS: `store.toml` says which. `app.py` refuses to run
  otherwise. Nothing is sent anywhere.
- A page that needs to know who looks calls `who`; one that shows or does what not everybody may calls `require` first.

    from analytics.dashboard import require
    from consent.access import Action

    require(Action.READ_REQUESTS)  # the log has it now; whoever may not is shown that, and nothing else

What an account may do is said by `consent.desks`; the door itself is `consent.signin`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from analytics.colours import DARK, LIGHT
from analytics.config import ConfigError, DashboardTable, read_store
from analytics.state import STORE_TOML, State
from consent.access import Access, Action, Who
from consent.accesslog import AccessLog
from consent.accounts import Accounts, Span
from consent.events import Level
from consent.keys import Role
from consent.ledger import Ledger
from consent.oidc import Provider, Settings
from consent.signin.files import Files, Kind
from consent.signin.gate import SESSION_HEADER, Heard, Manner

if TYPE_CHECKING:
    from consent.signin.pages import SignIn

STATE = "OPENAISLE_STATE"  # names the state directory to the page
KEYS = "OPENAISLE_KEYS"  # and the key directory, where the command named one
ADDRESS = "127.0.0.1"
PORT = 8501
ACCOUNTS = "access.sqlite"

SECTIONS: dict[str, Action] = {
    "shop": Action.SEE_FIGURES,
    "compliance": Action.SEE_COMPLIANCE,
    "level": Action.APPROVE_LEVEL,
    "set-up": Action.SET_UP,
}

_OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.maxUploadSize": "20",
    # Streamlit walks the whole heap after every click, 0.15 s with a year of cells in it; Python's own rule suffices
    "runner.postScriptGC": "false",
    "browser.gatherUsageStats": "false",
    "logger.hideWelcomeMessage": "true",  # the command says where the pages are, in its own words
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "theme.light.primaryColor": LIGHT.accent,
    "theme.light.backgroundColor": LIGHT.ground,
    "theme.light.secondaryBackgroundColor": "#f5f5f4",
    "theme.light.textColor": "#1c1917",
    "theme.dark.primaryColor": DARK.accent,
    "theme.dark.backgroundColor": DARK.ground,
    "theme.dark.secondaryBackgroundColor": "#22262a",
    "theme.dark.textColor": "#f5f5f4",
}


def command(port: int = PORT, state: State | None = None) -> list[str]:
    """Return the command line that serves the page.

    Args:
        port: of the address.
        state: of the store, whose `[dashboard]` says the address and the certificate; loopback without one.
    """
    table = DashboardTable() if state is None else state.store.dashboard
    page = Path(__file__).resolve().parent.parent / "app.py"
    options = {"server.address": table.address, "browser.serverAddress": table.address, **_OPTIONS}
    if state is not None and table.certificate is not None:
        options["server.sslCertFile"] = str((state.root / table.certificate).resolve())
        options["server.sslKeyFile"] = str((state.root / str(table.certificate_key)).resolve())
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(page), f"--server.port={port}", *words]


def environment(
    state_dir: Path, inherited: Mapping[str, str] | None = None, keys: Path | None = None
) -> dict[str, str]:
    """Return the environment to run it in.

    Args:
        state_dir: of the store.
        inherited: of this process, by default.
        keys: the key directory, where it is not the one that `store.toml` names.
    """
    found = {**(os.environ if inherited is None else inherited), STATE: str(state_dir.resolve())}
    found.pop(KEYS, None)
    return found if keys is None else {**found, KEYS: str(keys.resolve())}


def simulated(state_dir: Path) -> bool:
    """Say whether `store.toml` calls the shop simulated; every page of such a shop must say so.

    Raises:
        ConfigError: `store.toml` does not fit.
    """
    path = state_dir / STORE_TOML
    return path.is_file() and read_store(path).store.simulated


# --- who looks --------------------------------------------------------------------------------------------------------


def open_accounts(state: State) -> Accounts:
    """Open the accounts of a shop."""
    table = state.store.dashboard
    return Accounts(state.root / ACCOUNTS, Span(table.idle_min * 60_000_000, table.session_h * 3_600_000_000))


@dataclass(frozen=True, slots=True)
class Desk:
    """What the process of the dashboard keeps open.

    Attributes:
        state: the shop as it was at the start.
        ledger: opened with `Role.DASHBOARD`.
        access: who may come in.
    """

    state: State
    ledger: Ledger
    access: Access


@cache
def desk() -> Desk:
    """Return what this process keeps open, which the environment names; the same at every call.

    Raises:
        ConfigError: the state directory cannot be used.
        ConsentError: neither can the keys, the ledger or the accounts.
    """
    keys = os.environ.get(KEYS)
    state = State.read(Path(os.environ[STATE]), None if keys is None else Path(keys))
    ledger = state.open_ledger(Role.DASHBOARD)
    second = state.store.dashboard.second_factor
    return Desk(state, ledger, Access(open_accounts(state), AccessLog(ledger), second=second))


def level() -> Level:
    """Return the privacy level in force; `counts` while `store.toml` does not fit."""
    try:
        return desk().state.reread().level(desk().ledger)
    except ConfigError:
        return Level.COUNTS


def who() -> Who | None:
    """Return who looks at the page that is being drawn, as their account stands now; None for nobody.

    Raises:
        ConsentError: the accounts cannot be read.
    """
    import streamlit as st

    return holder(st.context.headers)


def holder(headers: Mapping[str, str]) -> Who | None:
    """Return who holds the session of a request that passed the door; see `who`."""
    key = headers.get(SESSION_HEADER, "")
    return desk().access.who(bytes.fromhex(key)) if len(key) == 64 else None


def require(action: Action) -> Who:
    """Return who looks, if they may do this; the log then says so where it is about shoppers.

    Raises:
        DeniedError: they may not; it is in the log, and `app.py` says so.
        ConsentError: the log cannot be written: nothing may be shown.
    """
    return desk().access.require(who(), action)


def is_sealed(state: State) -> bool:
    """Say whether the page is served to this machine alone, or over TLS, as `store.toml` says."""
    import streamlit as st

    table = state.store.dashboard
    own = ip_address(table.address).is_loopback or st.get_option("server.sslCertFile") is not None
    return own and st.get_option("server.address") == table.address


# --- the door ---------------------------------------------------------------------------------------------------------


def manner(state: State, port: int, pages: Iterable[tuple[str, str]]) -> Manner:
    """Return how the door behaves.

    Args:
        state: of the store.
        port: on which the page is served.
        pages: path and section of every page, whoever may see it.
    """
    needed = {path: SECTIONS[section] for path, section in pages}
    table = state.store.dashboard
    secure = table.certificate is not None
    return Manner(
        hosts=table.allowed_hosts,
        # cookies know no port: two dashboards on one machine must not sign each other out
        cookie=f"__Host-openaisle-{port}" if secure else f"openaisle-{port}",
        secure=secure,
        needs=lambda path: needed.get(path.strip("/").partition("/")[0]),
        hear=partial(heard, needed=needed),
        farewell=farewell(),
        files=Files(
            (
                Kind(Action.TAKE_RECEIPTS, ".csv", 20_000_000),
                Kind(Action.APPROVE_LEVEL, ".signed", 20_000),
            )
        ),
    )


def sign_in(state: State, access: Access, manner: Manner) -> SignIn:
    """Return what the pages for signing in need."""
    from consent.signin.pages import SignIn

    return SignIn(
        access=access,
        shop=state.store.store.name,
        cookie=manner.cookie,
        secure=manner.secure,
        provider=provider(state),
        simulated=state.store.store.simulated,
    )


def provider(state: State) -> Provider | None:
    """Return the sign-in provider that `store.toml` names, if any.

    Raises:
        ConfigError: its secret is not where store.toml says, or others can read it.
    """
    table = state.store.oidc
    if table.issuer is None:
        return None
    return Provider(
        Settings(
            issuer=table.issuer,
            client_id=table.client_id,
            secret=table.secret(state.root),
            hosts=frozenset(host.lower() for host in table.hosts),
            authority=None if table.authority is None else state.root / table.authority,
            label=table.label,
        )
    )


def whole_page() -> HTMLResponse:
    """Return what Streamlit serves under every address, told where it is served.

    Left alone, it finds that out under a page's own address by asking for things that are not there, and the browser
    writes an error for each.
    """
    return HTMLResponse(_index())


@cache
def _index() -> str:
    import streamlit

    text = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    told = "<script>window.__streamlit = {BACKEND_BASE_URL: window.location.origin};</script>"
    return text.replace("<head>", f"<head>{told}", 1)


def heard(message: bytes, needed: Mapping[str, Action]) -> Heard | None:
    """Return what a message of a page means for the door, None where it is none.

    Args:
        message: as it came over the websocket.
        needed: what somebody must be allowed in order to see a page, by its path.
    """
    from google.protobuf.message import DecodeError
    from streamlit.proto.BackMsg_pb2 import BackMsg

    try:
        told = BackMsg.FromString(message)
    except DecodeError:
        return None
    if told.WhichOneof("type") != "rerun_script":
        return Heard()
    run = told.rerun_script
    # a page can be asked for by its hash, by its name, and by the address that the browser says it shows
    asked = {run.page_name.strip("/"), urlsplit(run.context_info.url).path.strip("/")}
    pages = {action for path, action in needed.items() if path in asked or _hash_of(path) == run.page_script_hash}
    return Heard(active=not run.is_auto_rerun, needs=frozenset(pages))


@cache
def _hash_of(path: str) -> str:
    """Return under what Streamlit knows a page."""
    from streamlit.util import calc_hash

    return calc_hash(path)


def farewell() -> bytes:
    """Return the message that makes an open page leave for the sign-in page."""
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    message = ForwardMsg()
    message.auth_redirect.url = "/sign-in"
    return bytes(message.SerializeToString())
