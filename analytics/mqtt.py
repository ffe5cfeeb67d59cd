"""Alerts for an MQTT broker (3.1.1): the one that `store.toml` names, and nobody else.

Rules:
- One connection an alert: open, say it at QoS 1, wait until the broker has it, close. Nothing is kept open, queued or
  retained, so no old alert is told to whoever subscribes later, and an idle shop calls nobody.
- Over TLS 1.2 or newer, with the broker's name checked; without TLS within the house only. No proxy of the environment
  is used.
- A broker that does not answer costs a few seconds of the thread that says alerts; cameras never wait for it.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from analytics.config import ConfigError, MqttTable
from consent.logs import plain

if TYPE_CHECKING:
    from analytics.alerts import Alert

TIMEOUT_S: Final = 5.0  # for a connection, and again for the rest
_TURN_S = 0.1

_log = logging.getLogger(__name__)


class _Direct(paho.Client):
    """A client that knows no proxy: nobody but the broker itself."""

    def _get_proxy(self) -> dict[str, Any] | None:
        return None


@dataclass(slots=True)
class _Talk:
    topic: str
    payload: str
    taken: bool = False
    refused: str = ""

    @property
    def over(self) -> bool:
        return self.taken or bool(self.refused)


class Broker:
    """Says alerts to one broker.

    Args:
        table: where it is, as `store.toml` has it.
        root: the state directory, from which relative paths go.
        store: name of the shop.
        store_id: its id, a part of the topic.

    Raises:
        ConfigError: password or authority cannot be read.
    """

    def __init__(self, table: MqttTable, root: Path, store: str, store_id: str) -> None:
        self._table, self._store = table, store
        self.topic = f"{table.topic}/{store_id}/alerts"
        self._id = f"openaisle-{store_id}"
        self._password = table.password(root)
        self._tls = _context(None if table.authority is None else root / table.authority) if table.tls else None

    def say(self, alert: Alert) -> bool:
        """Send one; False where the broker did not take it."""
        talk = _Talk(self.topic, json.dumps(alert.body(self._store), ensure_ascii=False))
        client = _Direct(
            CallbackAPIVersion.VERSION2, client_id=self._id, userdata=talk, protocol=paho.MQTTv311, clean_session=True
        )
        client.connect_timeout = TIMEOUT_S
        client.on_connect, client.on_publish = _connected, _published
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._table.username is not None:
            client.username_pw_set(self._table.username, self._password)
        try:
            client.connect(self._table.host, self._table.port)
            until_s = time.monotonic() + TIMEOUT_S
            while not talk.over and time.monotonic() < until_s:
                if client.loop(_TURN_S) is not MQTTErrorCode.MQTT_ERR_SUCCESS and not talk.over:
                    talk.refused = "it hung up"
        except (OSError, ValueError) as error:  # a name that is none is a ValueError
            _log.warning("an alert could not be sent to the broker (%s); check [alerts.mqtt]", error)
            return False
        finally:
            client.disconnect()
        if not talk.taken:
            said = plain(talk.refused or "it did not answer")
            _log.warning("an alert was not taken by the broker (%s); check [alerts.mqtt]", said)
        return talk.taken


def _connected(client: paho.Client, talk: _Talk, _flags: object, code: ReasonCode, _more: Properties | None) -> None:
    if code.is_failure:
        talk.refused = code.getName()  # one of the standard's own words
    else:
        client.publish(talk.topic, talk.payload, qos=1, retain=False)


def _published(_client: paho.Client, talk: _Talk, _number: int, _code: ReasonCode, _more: Properties) -> None:
    talk.taken = True


def _context(authority: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise ConfigError(
            f"alerts.mqtt: {authority} is no certificate that can be read; name the one that signed the broker's"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
