"""The notice and the sign at the door as they are in force, for the log and for whoever prints them.

The words are those of `consent.kiosk.notice`, filled from the shop's own settings; nothing is written here.
"""

from __future__ import annotations

from analytics.config import ConfigError
from analytics.desk import shop
from analytics.state import State
from consent.kiosk.messages import Messages
from consent.kiosk.notice import Notice, NoticeError, notice
from consent.ledger import Ledger


def notices(state: State, ledger: Ledger) -> list[Notice]:
    """Return the notice in each of the shop's languages.

    Raises:
        NoticeError: the shop has not said who answers for the data.
        ConfigError: store.toml does not say before which pad the kiosk stands.
    """
    told = shop(state, ledger)
    return [notice(told, Messages.load(language)) for language in told.languages]


def hashes(state: State, ledger: Ledger) -> dict[str, str]:
    """Return the version of the notice and the SHA-256 of its text by language; empty where there is none yet."""
    try:
        found = notices(state, ledger)
    except (NoticeError, ConfigError):
        return {}
    return {"version": found[0].version, **{one.language.lower().replace("-", "_"): one.sha256 for one in found}}
