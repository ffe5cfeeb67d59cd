"""How the dashboard is started: on this machine's own address, with nothing sent anywhere. It imports no Streamlit.

There is no login yet, so the page answers this machine alone; `app.py` refuses to run otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from analytics.config import read_store
from analytics.state import STORE_TOML

STATE = "OPENAISLE_STATE"  # names the state directory to the page
ADDRESS = "127.0.0.1"
PORT = 8501

_OPTIONS = {
    "server.address": ADDRESS,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": ADDRESS,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "theme.base": "light",
    "theme.primaryColor": "#0f766e",
    "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f5f5f4",
    "theme.textColor": "#1c1917",
}


def command(port: int = PORT) -> list[str]:
    """Return the command line that serves the page.

    Args:
        port: on the loopback address.
    """
    page = Path(__file__).resolve().parent.parent / "app.py"
    options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
    return [sys.executable, "-m", "streamlit", "run", str(page), f"--server.port={port}", *options]


def environment(state_dir: Path, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment to run it in.

    Args:
        state_dir: of the store.
        inherited: of this process, by default.
    """
    return {**(os.environ if inherited is None else inherited), STATE: str(state_dir.resolve())}


def simulated(state_dir: Path) -> bool:
    """Say whether `store.toml` calls the shop simulated; every page of such a shop must say so.

    Raises:
        ConfigError: `store.toml` does not fit.
    """
    path = state_dir / STORE_TOML
    return path.is_file() and read_store(path).store.simulated
