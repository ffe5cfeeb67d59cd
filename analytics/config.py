"""What people write down: `store.toml`, and zone files. The configuration edge; the only place for pydantic here.

Rules:
- Unknown keys are refused with the nearest valid name, and every refusal is one line with file, place and remedy.
- A password stands nowhere in a file: it is named by an environment variable or a file of its own, and read only by
  whoever opens the camera.
- What is left out has the most private value that works.

Nothing here opens a camera, and nothing here writes. What a store may do beyond its level is the ledger's to say.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, IPvAnyAddress, field_validator, model_validator

from analytics.smile.offer import Offer
from analytics.tables import ConfigError, Strict, read_toml, refuse_pipe
from analytics.zones import Ground, Point, Shelf, Zone, ZoneKind
from consent.desks import Desk
from consent.events import DEFAULT_TERM, ConsentError, Level, Purpose
from consent.kiosk.messages import LANGUAGES
from consent.kiosk.settings import Controller
from consent.log import read_verifier_key

__all__ = [
    "CameraTable",
    "ConfigError",
    "StoreFile",
    "ZoneFile",
    "read_store",
    "read_toml",
    "read_zones",
]

LONGEST_TERM = 366  # days; ours: a store that needs longer keeps released figures, not rows
MOST_ZONES = 256  # of one camera; ours, far above any floor that a person draws
_CLEAN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<user>[^/?#:@\s]+)@[^@]+", re.IGNORECASE)  # an address with a user alone
_SECRET = re.compile(r"(pass(w(or)?d|phrase|code)?|pwd?|psw|token|key|secret|auth)=", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ShelfTable(Strict):
    """``[zone.shelf]``: the shelf before a product zone: its face in the picture, and its edge on the floor."""

    face: tuple[Point, ...] = Field(min_length=3, max_length=64)
    edge: tuple[Point, Point]

    def shelf(self) -> Shelf:
        """Return the checked shelf.

        Raises:
            ValueError: the corners make no face, or the edge has no length.
        """
        return Shelf(self.face, self.edge)


class ZoneTable(Strict):
    """One ``[[zone]]``: a floor polygon in pixels of the full frame, and of a product zone the shelf behind it."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w .-]+$")
    kind: ZoneKind
    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)
    shelf: ShelfTable | None = None

    def zone(self) -> Zone:
        """Return the checked zone.

        Raises:
            ValueError: the corners make no floor zone.
        """
        return Zone(self.name, self.kind, self.polygon, None if self.shelf is None else self.shelf.shelf())


class GroundTable(Strict):
    """``[ground]``: four floor points in pixels and the same four in metres."""

    image: tuple[Point, Point, Point, Point]
    metres: tuple[Point, Point, Point, Point]


class ZoneFile(Strict):
    """A zone file: ``[[zone]]`` tables, and optionally ``[ground]`` and ``masks``."""

    zone: tuple[ZoneTable, ...] = Field(min_length=1, max_length=MOST_ZONES)
    ground: GroundTable | None = None
    masks: tuple[Annotated[tuple[Point, ...], Field(min_length=3, max_length=64)], ...] = ()

    @model_validator(mode="after")
    def _geometry(self) -> Self:
        names = [zone.name for zone in self.zones()]
        self.floor()
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two zones are called {name!r}; give each its own name")
        return self

    def zones(self) -> tuple[Zone, ...]:
        """Return the checked zones, in the order of the file."""
        return tuple(table.zone() for table in self.zone)

    def floor(self) -> Ground:
        """Return the ground calibration; one that knows no metres where the file has none."""
        return Ground(self.ground.image, self.ground.metres) if self.ground else Ground()


# --- store.toml -------------------------------------------------------------------------------------------------------


def _iana(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write one like 'Europe/Berlin'") from error
    return name


def _clock(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", text):
        raise ValueError(f"{text!r} is no time of day; write '09:00'")
    return text


Clock = Annotated[str, AfterValidator(_clock)]
Days = Annotated[int, Field(ge=1, le=LONGEST_TERM, strict=True)]
Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f]*$")]


class StoreTable(Strict):
    """``[store]``: which shop this is, and how much it may do; every page of a simulated one says so."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    timezone: Annotated[str, AfterValidator(_iana)]
    level: Level = Level.COUNTS
    keys: Path | None = None
    simulated: bool = False
    journal: Path | None = None


class HoursTable(Strict):
    """``[hours]``: opening hours by day, ``["09:00", "20:00"]`` in the store's time zone; a day left out is closed."""

    mon: tuple[Clock, Clock] | None = None
    tue: tuple[Clock, Clock] | None = None
    wed: tuple[Clock, Clock] | None = None
    thu: tuple[Clock, Clock] | None = None
    fri: tuple[Clock, Clock] | None = None
    sat: tuple[Clock, Clock] | None = None
    sun: tuple[Clock, Clock] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for day, hours in self:
            if hours is not None and hours[0] >= hours[1]:
                raise ValueError(f"{day} closes at {hours[1]}, not after it opens at {hours[0]}; swap them")
        return self

    def of(self, weekday: int) -> tuple[str, str] | None:
        """Return opening and closing time of a weekday, 0 for Monday; None where it is closed."""
        return (self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun)[weekday]


class TermsTable(Strict):
    """``[terms]``: how many days a yes holds, and a row is kept, by purpose; and how many days a backup may live."""

    dwell: Days = DEFAULT_TERM[Purpose.DWELL]
    emotion: Days = DEFAULT_TERM[Purpose.EMOTION]
    repeat: Days = DEFAULT_TERM[Purpose.REPEAT]
    smile: Days = DEFAULT_TERM[Purpose.SMILE]
    backup: Days = 30

    def days(self) -> dict[Purpose, int]:
        """Return the term of each purpose in days."""
        return {purpose: int(getattr(self, purpose.value)) for purpose in Purpose}


class ControllerTable(Strict):
    """``[controller]``: who answers for the data, as notices and receipts show it."""

    name: Line = ""
    address: Line = ""
    contact: Line = ""
    officer: Line = ""
    jurisdiction: str = Field(default="", pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$")
    recipients: tuple[Line, ...] = ()
    authority: Line = ""

    def controller(self) -> Controller:
        """Return what the pages and receipts show."""
        return Controller(**self.model_dump())


def _https(url: str) -> str:
    if not re.fullmatch(r"https://[A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?/?", url):
        raise ValueError(f"{url!r} is no address for phones; write https://shop.example, without path")
    return url.rstrip("/")


Https = Annotated[str, AfterValidator(_https)]


def _own_address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no IP address of this machine; write '127.0.0.1'") from error
    return text


def _host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,253}", host):
        raise ValueError(f"{host!r} is no host name; write it without scheme and path, and no wildcard")
    return host


OwnAddress = Annotated[str, AfterValidator(_own_address)]
Host = Annotated[str, AfterValidator(_host)]


class KioskTable(Strict):
    """``[kiosk]``: the page at the entrance."""

    port: int = Field(default=8600, ge=1, le=65535, strict=True)
    address: OwnAddress = "127.0.0.1"
    certificate: Path | None = None
    certificate_key: Path | None = None
    allowed_hosts: tuple[Host, ...] = ("localhost", "127.0.0.1")
    minimum_age: int = Field(default=16, ge=0, le=99, strict=True)
    pad: str | None = None
    languages: tuple[str, ...] = Field(default=LANGUAGES, min_length=1)
    idle_s: int = Field(default=90, ge=40, le=900, strict=True)
    printer: Path | None = None
    paper_mm: Literal[58, 80] = 80

    @field_validator("languages")
    @classmethod
    def _languages(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in languages:
            if language not in LANGUAGES or languages.count(language) > 1:
                raise ValueError(f"{language!r} does not fit here; choose from {', '.join(LANGUAGES)}, each once")
        return languages

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key go together; name both or none")
        if self.certificate is None and not ip_address(self.address).is_loopback:
            raise ValueError("from elsewhere codes would travel readable; name certificate and certificate_key, too")
        return self


class PhoneTable(Strict):
    """``[phone]``: the page that shoppers' phones reach; it starts only with an https `public_url`."""

    public_url: Https | None = None
    address: IPvAnyAddress = ip_address("0.0.0.0")  # noqa: S104  phones come from elsewhere; it can grant nothing
    port: int = Field(default=8643, ge=1, le=65535, strict=True)
    certificate: Path | None = None
    certificate_key: Path | None = None

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if self.public_url is not None and (self.certificate is None or self.certificate_key is None):
            raise ValueError(
                "phones come by https only: name certificate and certificate_key; `openaisle tls` makes both"
            )
        return self


class MailboxTable(Strict):
    """``[mailbox]``: a box outside the shop that takes withdrawals; the keeper fetches them. Off without `url`."""

    url: Https | None = None
    authority: Path | None = None
    every_s: int = Field(default=30, ge=5, le=3600, strict=True)


class DashboardTable(Strict):
    """``[dashboard]``: the pages of the staff; off this machine over TLS only."""

    port: int = Field(default=8501, ge=1, le=65535, strict=True)
    address: OwnAddress = "127.0.0.1"
    certificate: Path | None = None
    certificate_key: Path | None = None
    allowed_hosts: tuple[Host, ...] = ("localhost", "127.0.0.1")
    idle_min: int = Field(default=30, ge=1, le=480, strict=True)
    session_h: int = Field(default=12, ge=1, le=24, strict=True)
    approver: str | None = Field(default=None, max_length=300)
    second_factor: tuple[Desk, ...] = ()

    @field_validator("approver")
    @classmethod
    def _key(cls, line: str | None) -> str | None:
        line = line or None
        if line is not None:
            try:
                read_verifier_key(line)
            except ConsentError as error:
                raise ValueError(f"{error}; it is the line that `openaisle level key` prints") from error
        return line

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key go together; name both or none")
        if self.certificate is None and not ip_address(self.address).is_loopback:
            raise ValueError(
                "from elsewhere passwords would travel readable; name certificate and certificate_key, too: "
                "`openaisle tls` makes both"
            )
        return self


class OidcTable(Strict):
    """``[oidc]``: a provider of OpenID Connect whose word is taken for who somebody is. Off without `issuer`."""

    issuer: str | None = Field(
        default=None, pattern=r"^https://[A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$"
    )
    client_id: str = Field(default="", max_length=300)
    client_secret_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    client_secret_file: Path | None = None
    hosts: tuple[Host, ...] = ()
    authority: Path | None = None
    label: str = Field(default="your work account", min_length=1, max_length=60)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.issuer is not None and not self.client_id:
            raise ValueError("name the client_id under which the provider knows this dashboard")
        if self.client_secret_env and self.client_secret_file:
            raise ValueError("client_secret_env and client_secret_file are both there; keep one of them")
        return self

    def secret(self, base: Path, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the secret that goes with the client_id, None where the provider gave none.

        Args:
            base: the state directory, from which relative paths go.
            environ: where client_secret_env is looked up.

        Raises:
            ConfigError: it is not where the file says, or others can read it.
        """
        if self.client_secret_env is None and self.client_secret_file is None:
            return None
        return _read_secret("oidc", "the client's", self.client_secret_env, self.client_secret_file, base, environ)


Amount = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,3})?$")]  # text: no number of TOML is 0.10


class SmileTable(Strict):
    """``[smile]``: a price that falls with a smile, and by a button; without this table there is no such page."""

    item: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    price: Amount
    floor: Amount
    budget: Amount
    minutes: int = Field(default=60, ge=10, le=240, strict=True)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len({len(amount.partition(".")[2]) for amount in (self.price, self.floor, self.budget)}) > 1:
            raise ValueError("price, floor and budget have the same number of decimals; write '2.50' and '2.00'")
        offer = self.offer()
        if not offer.floor < offer.price:
            raise ValueError(f"the floor {self.floor} is not below the price {self.price}; lower it")
        if offer.budget < offer.whole:
            raise ValueError(f"the budget {self.budget} of a day does not reach for one discount; raise it")
        return self

    def offer(self) -> Offer:
        """Return what is offered, in whole units."""
        price, floor, budget = (int(amount.replace(".", "")) for amount in (self.price, self.floor, self.budget))
        decimals = len(self.price.partition(".")[2])
        return Offer(self.item, self.currency, decimals, price, floor, budget, self.minutes)


class ExpressionTable(Strict):
    """``[expression]``: another file that reads faces than the one that came along, of the same form."""

    model: Path | None = None

    def file(self, base: Path) -> Path | None:
        """Return the file; a relative path goes from `base`, the state directory. None for the one that came along."""
        return None if self.model is None else base / self.model


class StaffTable(Strict):
    """``[staff]``: the numbers of the printed markers that staff wear; see `analytics.tags`."""

    tags: tuple[Annotated[int, Field(ge=0, le=49, strict=True)], ...] = ()


class PadTable(Strict):
    """``[pad]``: the guard ring around every pad."""

    ring_m: float = Field(default=0.6, ge=0.3, le=5.0)


def _read_secret(
    who: str, whose: str, variable: str | None, file: Path | None, base: Path, environ: Mapping[str, str]
) -> str:
    """Return a password from the environment or a file of its own; keep it in memory and show it nowhere."""
    if variable is not None:
        secret = environ.get(variable, "")
        where = f"the environment variable {variable}"
    else:
        path = base / str(file)
        where = f"the password file {path}"
        try:
            refuse_pipe(path)
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise ConfigError(f"others can read {where}; run `chmod 600 {path}`")
            secret = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{who}: {where} cannot be read; check path and owner") from error
    if not secret:
        raise ConfigError(f"{who}: {where} is empty; put {whose} password there")
    return secret


def _hook(url: str) -> str:
    parts = urlsplit(url)
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]{1,260}(/[A-Za-z0-9._~/-]*)?", url) or parts.hostname is None:
        raise ValueError(
            "this is no address for alerts; write https://hooks.shop.example/queue, without user and query"
        )
    if parts.scheme == "http" and not _within(parts.hostname):
        raise ValueError("http is for this house only; write https, or the number of a machine in it")
    return url


def _within(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_private
    except ValueError:
        return False


class MqttTable(Strict):
    """``[alerts.mqtt]``: a broker that is told of a long queue; over TLS, but within the house."""

    host: Host
    port: int = Field(default=8883, ge=1, le=65535, strict=True)
    tls: bool = Field(default=True, strict=True)
    authority: Path | None = None
    username: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    password_file: Path | None = None
    topic: str = Field(default="openaisle", max_length=200, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if not self.tls and not _within(self.host):
            raise ValueError("without tls only a machine of this house is told; leave tls out, or write its number")
        if not self.tls and self.authority is not None:
            raise ValueError("authority is for tls; drop one of the two")
        if self.password_env and self.password_file:
            raise ValueError("password_env and password_file are both there; keep one of them")
        if (self.username is None) != (self.password_env is None and self.password_file is None):
            raise ValueError("username goes with password_file or password_env; name both or none")
        return self

    def password(self, base: Path, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the password that goes with the username, None without one.

        Args:
            base: the state directory, from which relative paths go.
            environ: where password_env is looked up.

        Raises:
            ConfigError: it is not where the file says, or others can read it.
        """
        if self.username is None:
            return None
        return _read_secret("alerts.mqtt", "the broker's", self.password_env, self.password_file, base, environ)


class AlertsTable(Strict):
    """``[alerts]``: who is told when a queue is long for some minutes. Off without `webhook` and `mqtt`."""

    webhook: Annotated[str, AfterValidator(_hook)] | None = None
    mqtt: MqttTable | None = None
    queue: Literal["medium", "long"] = "medium"
    minutes: int = Field(default=3, ge=1, le=120, strict=True)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Who is called; nobody where it is off."""
        webhook = [] if self.webhook is None else [str(urlsplit(self.webhook).hostname)]
        return (*webhook, *([] if self.mqtt is None else [self.mqtt.host]))

    @property
    def people(self) -> str:
        """From how many people on a line is that long."""
        return {"medium": "5 people or more", "long": "10 people or more"}[self.queue]


class CameraTable(ZoneFile):
    """One ``[[camera]]``: where its pictures come from, and, as in a zone file, what lies on its floor."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w .-]+$")
    source: str = Field(min_length=1, max_length=2000)
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    password_file: Path | None = None
    fps: float = Field(default=10.0, gt=0, le=60)
    latency_s: float | None = Field(default=None, ge=0, le=10)
    turn: Literal[0, 90, 180, 270] = 0

    @field_validator("source")
    @classmethod
    def _no_password(cls, source: str) -> str:
        clean = _CLEAN.fullmatch(source)
        # an @ anywhere else may end a password, however badly the address is written
        if ("@" in source and (clean is None or ":" in unquote(clean["user"]))) or _SECRET.search(unquote(source)):
            raise ValueError(
                "the address may hold a password; write rtsp://user@host/path and name the password's environment "
                "variable (password_env) or file (password_file)"
            )
        try:
            urlsplit(source)
        except ValueError as error:
            raise ValueError("this is no address; write rtsp://user@host/path") from error
        return source

    @model_validator(mode="after")
    def _one_door(self) -> Self:
        if self.password_env and self.password_file:
            raise ValueError(f"camera {self.name!r} has password_env and password_file; keep one of them")
        if (self.password_env or self.password_file) and not urlsplit(self.source).username:
            raise ValueError(f"camera {self.name!r} has a password but no user; write rtsp://user@host/path")
        return self

    def address(self, base: Path, environ: Mapping[str, str] = os.environ) -> str:
        """Return the source with its password, for whoever opens the camera; keep it in memory and show it nowhere.

        Args:
            base: the state directory, from which relative paths go.
            environ: where password_env is looked up.

        Raises:
            ConfigError: the password is not where the file says, or others can read it.
        """
        if self.password_env is None and self.password_file is None:
            return self.source if "://" in self.source or self.source.startswith("usb:") else str(base / self.source)
        who = f"camera {self.name!r}"
        secret = _read_secret(who, "the camera's", self.password_env, self.password_file, base, environ)
        parts = urlsplit(self.source)
        user, _, host = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}:{quote(secret, safe='')}@{host}").geturl()


class StoreFile(Strict):
    """`store.toml`: everything a shop decides."""

    store: StoreTable
    hours: HoursTable | None = None
    terms: TermsTable = TermsTable()
    controller: ControllerTable = ControllerTable()
    kiosk: KioskTable = KioskTable()
    phone: PhoneTable = PhoneTable()
    mailbox: MailboxTable = MailboxTable()
    alerts: AlertsTable = AlertsTable()
    dashboard: DashboardTable = DashboardTable()
    oidc: OidcTable = OidcTable()
    staff: StaffTable = StaffTable()
    pad: PadTable = PadTable()
    smile: SmileTable | None = None
    expression: ExpressionTable = ExpressionTable()
    camera: tuple[CameraTable, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Self:
        cameras, pads = [camera.name for camera in self.camera], self.pads()
        for what, names in (("cameras", cameras), ("pads", pads)):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"two {what} are called {name!r}; give each its own name in this store")
        if self.kiosk.pad is not None and self.kiosk.pad not in pads:
            raise ValueError(f"the kiosk's pad {self.kiosk.pad!r} is not drawn; there is {', '.join(pads) or 'none'}")
        return self

    @property
    def timezone(self) -> ZoneInfo:
        """The store's time zone."""
        return ZoneInfo(self.store.timezone)

    def kinds(self) -> dict[tuple[str, str], ZoneKind]:
        """Return the kind of each measured zone by (camera, zone); see `ZoneKind.in_shop`."""
        zones = {(camera.name, zone.name): zone.kind for camera in self.camera for zone in camera.zone}
        return {where: kind for where, kind in zones.items() if kind.in_shop}

    def shelves(self) -> set[tuple[str, str]]:
        """Return the zones whose shelf is drawn, as (camera, zone)."""
        return {(camera.name, zone.name) for camera in self.camera for zone in camera.zone if zone.shelf is not None}

    def pads(self) -> list[str]:
        """Return the names of the pads that are drawn."""
        return [zone.name for camera in self.camera for zone in camera.zone if zone.kind is ZoneKind.PAD]

    def kiosk_pad(self) -> str | None:
        """Return the pad before the kiosk: the one it names, else the only one; None where none is drawn.

        Raises:
            ConfigError: there are several and the kiosk names none.
        """
        pads = self.pads()
        if self.kiosk.pad is None and len(pads) > 1:
            raise ConfigError(f"say before which pad the kiosk stands: pad = one of {', '.join(pads)} under [kiosk]")
        return self.kiosk.pad or next(iter(pads), None)

    def camera_of_pad(self, pad: str) -> CameraTable:
        """Return the camera that sees a pad.

        Raises:
            ConfigError: there is no such pad.
        """
        known: list[str] = []
        for camera in self.camera:
            known += [zone.name for zone in camera.zone if zone.kind is ZoneKind.PAD]
            if pad in known:
                return camera
        raise ConfigError(f"no pad is called {pad!r}; store.toml has {', '.join(known) or 'none'}")

    def opening(self, t_us: int) -> tuple[int, int] | None:
        """Return opening and closing (UTC microseconds) of the store-local day of an instant.

        None where it is closed that day. Without ``[hours]`` a day is open from midnight to midnight.
        """
        zone = self.timezone
        day = (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone).date()
        hours = ("00:00", "24:00") if self.hours is None else self.hours.of(day.weekday())
        if hours is None:
            return None

        def instant(text: str) -> int:
            hour, minute = map(int, text.split(":"))
            local = datetime.combine(day + timedelta(days=hour // 24), time(hour % 24, minute), tzinfo=zone)
            return (local - _EPOCH) // timedelta(microseconds=1)

        return instant(hours[0]), instant(hours[1])

    def is_open(self, t_us: int) -> bool:
        """Say whether the store is open at an instant, UTC microseconds."""
        hours = self.opening(t_us)
        return hours is not None and hours[0] <= t_us < hours[1]


# --- reading ----------------------------------------------------------------------------------------------------------


def read_zones(path: Path) -> ZoneFile:
    """Read a zone file and check its geometry.

    Raises:
        ConfigError: see `read_toml`; also corners that make no zone and two zones of one name.
    """
    return read_toml(path, ZoneFile)


def read_store(path: Path) -> StoreFile:
    """Read and check `store.toml`.

    Raises:
        ConfigError: see `read_toml`.
    """
    return read_toml(path, StoreFile)
