"""`openaisle init`: a new shop, in the most private state that measures anything.

Rules:
- Nothing is overwritten: the state directory and the key directory must not exist, or be empty.
- Level `counts`, no pad, no kiosk, no grant: whoever writes their camera into one line can start.
- The file explains itself; what it leaves out is shown with its default.

The keys lie beside the state directory, never in it: a stolen disk image or backup of one is worth little.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from pathlib import Path

from pydantic import ValidationError

from analytics.config import ConfigError, StoreFile
from analytics.state import STORE_TOML, State, journal_beside, keys_beside
from analytics.tables import explain
from consent.events import DEFAULT_TERM, Purpose
from consent.keys import KeyRing
from consent.ledger import Ledger

PLACEHOLDER = "rtsp://192.0.2.10/stream"  # an address kept for examples: no camera answers there
TEMPLATE = """\
# What this shop measures. Everything here can be changed; every change is noted in the log by the hash of this file.

[store]
name = {name}
id = {id}                # in the log and in every pseudonym; do not change it once there are rows
timezone = {timezone}
# How much may be recorded: "counts" < "dwell" < "repeat" < "emotion". "counts" records nobody: people are only counted,
# at least five in a bin. More needs this line, the approval of two people, and visitors who say yes at the pad.
# Going back deletes the rows that the lower level does not allow.
level = "counts"
keys = {keys}
# journal = "/mnt/other-disk/journal"   # what a restored backup must erase again; next to this directory by default

[[camera]]
name = "entrance"
# The line to change: rtsp://user@host/path, /dev/video0 or usb:0. Never write a password here: name the environment
# variable or the file (chmod 600) that holds it. A video file, too, but for `openaisle watch --start TIME` alone.
source = "{placeholder}"
# password_env = "ENTRANCE_CAMERA_PASSWORD"
# password_file = "/etc/openaisle/entrance.password"
# fps = 10.0                                              # looks a second
# latency_s = 0.8                                         # how old a picture is at most when it arrives; measure it
# turn = 180                                              # degrees clockwise, where the camera hangs upside down
# masks = [[[0, 0], [200, 0], [200, 120], [0, 120]]]      # blacked out before anything looks: a till, a screen, a desk
#
# [camera.ground]                                         # four floor points in pixels, and where they are in metres
# image = [[212, 660], [1010, 655], [760, 310], [400, 312]]
# metres = [[0, 0], [6, 0], [6, 9], [0, 9]]

# A zone is a floor polygon in pixels of the full picture. This one is as large as any picture: it counts, but who
# leaves it leaves the picture, so no stay in it has an end. Draw your own, well inside the picture.
# Kinds: entrance, product, queue, service, exit, staff (never measured), pad (where shoppers say yes), outside (the
# pavement before the door: who passes by is counted, and nothing else; see docs/metrics.md before you draw one).
[[camera.zone]]
name = "floor"
kind = "product"
polygon = [[0, 0], [7680, 0], [7680, 4320], [0, 4320]]

# [[camera.zone]]               # footfall needs an entrance
# name = "door"
# kind = "entrance"
# polygon = [[900, 300], [1100, 300], [1100, 420], [900, 420]]

# [[camera.zone]]
# name = "pad"
# kind = "pad"
# polygon = [[560, 600], [720, 600], [720, 690], [560, 690]]

# [[camera.zone]]               # with its shelf, facing and reaches of those who said yes are told: docs/metrics.md
# name = "coffee"
# kind = "product"
# polygon = [[400, 480], [620, 470], [640, 560], [390, 575]]
# shelf = {{ face = [[410, 400], [610, 392], [608, 250], [412, 256]], edge = [[405, 478], [615, 468]] }}

# [hours]                       # a day left out is closed; without this table every day is open all day
# mon = ["09:00", "20:00"]
# sat = ["09:00", "18:00"]

# [terms]                       # days that a yes holds and a row is kept
# dwell = {dwell}
# emotion = {emotion}
# repeat = {repeat}
# backup = 30                   # days that a backup may be kept

# [controller]                  # who answers for the data, as notices and receipts show it
# name = "Main Street Groceries Ltd"
# address = "1 Main Street"
# contact = "privacy@example.com"
# officer = ""
# jurisdiction = "DE"
# recipients = []               # who else receives the data, processors included
# authority = ""                # who takes complaints, with address

# [kiosk]
# port = 8600
# allowed_hosts = ["localhost", "127.0.0.1"]
# minimum_age = 16              # whoever is younger can only refuse
# pad = "pad"                   # the pad before it, where there are several
# languages = ["en", "de", "fr", "es", "zh", "ar"]       # the first is shown to whoever has not chosen
# idle_s = 90                   # seconds without a touch until it forgets what was entered
# printer = "/dev/usb/lp0"      # a receipt printer that knows ESC/POS, or a Unix socket that leads to one
# paper_mm = 80                 # or 58
# address = "192.168.1.10"      # for a tablet elsewhere in the shop, with a certificate for that address;
# certificate = "/etc/openaisle/kiosk.pem"               # pair it by `openaisle kiosk --pair`
# certificate_key = "/etc/openaisle/kiosk.key"

# [staff]                       # who works here is left out of everything, by a printed marker: `openaisle staff-tag`
# tags = [0, 1]

# [dashboard]                   # the pages of the staff; see docs/access.md
# port = 8501
# idle_min = 30                 # minutes without anything done until somebody is signed out
# session_h = 12                # hours until they are in any case
# address = "192.168.1.10"      # elsewhere in the shop, with a certificate for that address; `openaisle tls` makes both
# certificate = "/etc/openaisle/dashboard.pem"
# certificate_key = "/etc/openaisle/dashboard.key"
# allowed_hosts = ["localhost", "127.0.0.1"]             # names under which browsers reach it
# approver = ""                 # key of an outsider who may approve a higher level; `openaisle level key` prints it

# [oidc]                        # sign-in at a provider of OpenID Connect; without issuer it is off
# issuer = "https://login.example.com"
# client_id = "openaisle"
# client_secret_file = "/etc/openaisle/oidc.secret"      # or client_secret_env
# hosts = []                    # further hosts that the provider names; no other is called
# authority = "/etc/openaisle/oidc-ca.pem"               # where its certificate is not a public one
# label = "your work account"   # on the button

# [phone]                       # a page on which shoppers' phones withdraw and look; see docs/phone.md
# public_url = "https://shop.example:8643"
# certificate = "/etc/openaisle/phone.pem"               # from a public authority: see docs/phone.md
# certificate_key = "/etc/openaisle/phone.key"
# address = "0.0.0.0"
# port = 8643

# [alerts]                      # who is told when a queue zone is full for some minutes; nobody without these
# webhook = "https://hooks.shop.example/queue"
# queue = "medium"              # from 5 people on; or "long", from 10 on
# minutes = 3

# [alerts.mqtt]                 # a broker, beside the webhook or instead of it
# host = "broker.shop.example"
# port = 8883
# username = "openaisle"
# password_file = "/etc/openaisle/broker.secret"         # or password_env
# authority = "/etc/openaisle/broker-ca.pem"             # where its certificate is not a public one
# topic = "openaisle"           # alerts go to openaisle/STORE-ID/alerts

# [mailbox]                     # a box outside the shop that takes withdrawals only; without url it is off
# url = "https://box.example"
# authority = "/etc/openaisle/box-ca.pem"                # where its certificate is not a public one
# every_s = 30

# [smile]                       # a price that falls with a smile, and by a button; see docs/smile.md. Level "emotion"
# item = "A cup of coffee"
# currency = "EUR"
# price = "2.50"                # amounts are text, all with the same number of decimals
# floor = "2.00"                # it falls no further
# budget = "40.00"              # discounts of one day together
# minutes = 60                  # that a voucher holds at least

# [expression]                  # level "emotion": another net than the one that came along, of the same form
# model = "/etc/openaisle/faces.onnx"                    # or from here; weights/expression.md says which form

# [pad]
# ring_m = 0.6                  # nobody else may stand this near to the pad, metres
"""


def init(root: Path, keys: Path | None = None, *, now_us: int, name: str = "", timezone: str = "") -> State:
    """Make a new shop: `store.toml`, keys and a ledger whose first entry is the hash of that file.

    Args:
        root: the state directory to make.
        keys: the key directory to make; next to `root` by default.
        now_us: UTC microseconds.
        name: of the shop; that of the directory by default.
        timezone: IANA name; that of this machine by default.

    Raises:
        ConfigError: something is there already, or a directory cannot be made.
        ConsentError: the key directory would lie in the state directory.
    """
    keys = keys_beside(root) if keys is None else keys
    for directory in (root, keys, journal_beside(root)):
        _untouched(directory)
    root, keys = root.resolve(), keys.resolve()
    text = template(root, keys, name=name, timezone=timezone)
    try:
        StoreFile.model_validate(tomllib.loads(text))  # before anything is made
    except ValidationError as error:
        raise ConfigError(explain(error, StoreFile)) from error
    try:
        root.mkdir(mode=0o770, parents=True, exist_ok=True)  # first: what is left of a failure is an empty directory
        ring = KeyRing.create(keys, state=root)
        (root / STORE_TOML).write_text(text, encoding="utf-8")
        (root / STORE_TOML).chmod(0o640)  # it names cameras and people; each process may have a user of its own
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be made: {error.strerror}; choose another place") from error
    state = State.read(root)
    with Ledger(state.ledger, ring, store=state.store.store.id) as ledger:
        ledger.note_config(state.sha256, now_us=now_us)
        ledger.sign_checkpoint()
    return state


def template(root: Path, keys: Path, *, name: str = "", timezone: str = "") -> str:
    """Return the `store.toml` of a new shop."""
    name = name or root.resolve().name
    return TEMPLATE.format(
        name=json.dumps(name, ensure_ascii=False),
        id=json.dumps(_id(name)),
        timezone=json.dumps(timezone or _local_timezone()),
        keys=json.dumps(str(keys), ensure_ascii=False),
        placeholder=PLACEHOLDER,
        **{p.value: DEFAULT_TERM[p] for p in Purpose},
    )


def _untouched(directory: Path) -> None:
    if directory.is_dir() and not any(directory.iterdir()):
        return
    if directory.exists() or directory.is_symlink():
        raise ConfigError(f"{directory} is there already, and nothing is overwritten; name a new directory")


def _id(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:64].lower() or "store"


def _local_timezone() -> str:
    """Return the machine's time zone by name, UTC where it has none."""
    link = Path("/etc/localtime")
    _, found, name = str(link.resolve()).partition("/zoneinfo/")
    return name if found and link.exists() else "UTC"
