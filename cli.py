"""The `openaisle` command: reads words, wires parts, prints. No rules live here.

Every command returns 0 on success and 2 on bad usage or input, with one clear line on stderr and never a traceback.
Parts are imported inside the commands, so that `--help` is instant and a command loads only what it needs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

PAD_ANSWER_S = 20.0  # a second after the tap, as much later as its picture may be late, and patience


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after `openaisle`; those of the process where None.

    Returns:
        0 on success, 2 on bad usage or input, 130 when interrupted.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    from analytics.detect import quiet_parts
    from analytics.scratch import no_core_dumps

    quiet_parts()
    no_core_dumps()
    from analytics.model import AnalyticsError
    from consent.events import ConsentError
    from retention.model import RetentionError

    try:
        with _scratch(arguments):
            return int(arguments.run(arguments))
    except (AnalyticsError, ConsentError, RetentionError) as error:
        print(f"openaisle: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone; nothing to say and nobody to say it to
        return 0
    except sqlite3.Error as error:
        print(f"openaisle: the ledger cannot be used ({error}); restore it from a backup", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"openaisle: {where}{error.strerror or error}; check the path and who may use it", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("openaisle: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="openaisle", description="In-store dwell analytics with enforced consent.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _add_shop(commands)
    _add_consent(commands)
    _add_measure(commands)
    _add_backup(commands)
    return parser


def _scratch(arguments: argparse.Namespace) -> AbstractContextManager[object]:
    """Return where the temporary files of a command go: into its state directory, where it has one."""
    from analytics.scratch import scratch
    from analytics.state import STORE_TOML

    root: Path | None = getattr(arguments, "state", None)
    return scratch(root) if root is not None and (root / STORE_TOML).is_file() else nullcontext()


def _now_us() -> int:
    return time.time_ns() // 1000


def _until_told(stop: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C end a long-running command after what it is doing."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)


# --- a shop -----------------------------------------------------------------------------------------------------------


def _add_shop(commands: argparse._SubParsersAction[_Parser]) -> None:
    init = commands.add_parser("init", help="make a state directory with a commented store.toml, keys and a ledger")
    init.add_argument("dir", type=Path, metavar="DIR", help="state directory to make")
    init.add_argument("--keys", type=Path, metavar="DIR", help="key directory to make (default: next to it)")
    init.add_argument("--name", default="", help="name of the shop")
    init.add_argument("--timezone", default="", help="IANA name, such as Europe/Berlin (default: this machine's)")
    init.set_defaults(run=_init)

    watch = _command(commands, "watch", "watch the cameras: people to visits to consented rows and plain counts")
    watch.add_argument("--model", type=Path, required=True, metavar="PATH", help="OpenVINO export, or .pt with yolo")
    watch.add_argument("--start", type=_instant, metavar="TIME", help="when a file began: 2026-11-20T10:00:00+01:00")
    watch.set_defaults(run=_watch)

    kiosk = _command(commands, "kiosk", "serve the page at the entrance: opt in, opt out, receipt")
    kiosk.add_argument("--port", type=_port, metavar="N", help="where store.toml says another (default: 8600)")
    kiosk.add_argument("--pair", action="store_true", help="make a code that lets one tablet in, and print it")
    kiosk.add_argument("--unpair", action="store_true", help="forget every paired tablet")
    kiosk.set_defaults(run=_kiosk)

    phone = _command(commands, "phone", "serve the page for shoppers' phones: withdraw, look, take the record along")
    phone.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)  # ends with whoever started it
    phone.set_defaults(run=_phone)

    tls = _command(commands, "tls", "make or renew a certificate for pages within the shop, and the authority for it")
    tls.add_argument("--host", action="append", required=True, metavar="NAME", help="name or address, as browsers ask")
    tls.add_argument("--out", type=Path, metavar="DIR", help="where the files lie (default: next to the state)")
    tls.add_argument("--renew", action="store_true", help="make a new certificate though the present one still holds")
    tls.set_defaults(run=_tls)

    notice = _command(commands, "notice", "print the privacy notice, or the sign at the door, to hang up")
    notice.add_argument("--language", metavar="CODE", help="en, de, fr, es, zh or ar (default: the store's first)")
    notice.add_argument("--sign", action="store_true", help="the short text for the door")
    notice.add_argument("--out", type=Path, metavar="FILE", help="a new file: .html to print, or .txt")
    notice.set_defaults(run=_notice)

    keeper = _command(commands, "keeper", "load visits, erase what is due, release figures, sign the log")
    keeper.add_argument("--once", action="store_true", help="one pass, and print what it did as JSON")
    keeper.set_defaults(run=_keeper)

    dashboard = _command(commands, "dashboard", "serve the manager's page on this machine")
    dashboard.add_argument("--port", type=_port, default="8501", metavar="N", help="default: 8501")
    dashboard.set_defaults(run=_dashboard)

    level = _command(commands, "level", "show the privacy level, or approve another one")
    level.add_argument("level", nargs="?", choices=["counts", "dwell", "repeat", "emotion"], help="level to approve")
    level.add_argument("--approved-by", action="append", default=[], metavar="NAME", help="twice, two people")
    level.add_argument("--dpia", metavar="REF", help="reference of the data protection impact assessment")
    level.set_defaults(run=_level)


def _command(commands: argparse._SubParsersAction[_Parser], name: str, text: str) -> _Parser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("OPENAISLE_STATE", ".")),
        metavar="DIR",
        help="state directory (default: $OPENAISLE_STATE, else here)",
    )
    command.add_argument("--keys", type=Path, metavar="DIR", help="key directory, where store.toml names another")
    return command


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise argparse.ArgumentTypeError(f"port {text} is taken; choose another with --port") from error
    return int(text)


def _instant(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no instant; write 2026-11-20T10:00:00+01:00") from error
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no time zone; add +01:00 or Z")
    if not datetime(1971, 1, 1, tzinfo=UTC) <= instant < datetime(2101, 1, 1, tzinfo=UTC):
        raise argparse.ArgumentTypeError(f"{text!r} is no year of this shop; give an instant from 1971 to 2100")
    return round((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def _init(arguments: argparse.Namespace) -> int:
    from analytics.start import init

    state = init(arguments.dir, arguments.keys, now_us=_now_us(), name=arguments.name, timezone=arguments.timezone)
    print(f"made {state.root} (level counts: nobody is recorded) and its keys in {state.keys}")
    print(
        f"next: write your camera into {state.root / 'store.toml'}, then run `openaisle watch` and `openaisle keeper`"
    )
    return 0


def _watch(arguments: argparse.Namespace) -> int:
    from analytics.report import read_plan
    from analytics.state import State
    from analytics.watch import watch
    from consent.keys import Role

    state, stop = State.read(arguments.state, arguments.keys), threading.Event()
    _until_told(stop)
    with state.open_ledger(Role.WATCH) as ledger:
        done = watch(
            state,
            ledger,
            arguments.model,
            start_us=arguments.start,
            stop=stop,
            plan=lambda: read_plan(state.released),
        )
    print(json.dumps({camera: asdict(numbers) for camera, numbers in done.items()}))
    return 0


def _kiosk(arguments: argparse.Namespace) -> int:
    from functools import partial

    from analytics import desk
    from analytics.state import State
    from consent import padview
    from consent.keys import Role
    from consent.kiosk import pairing
    from consent.kiosk.app import kiosk
    from consent.kiosk.messages import Messages
    from consent.kiosk.notice import notice
    from consent.kiosk.serve import Listener, bind, serve

    state = State.read(arguments.state, arguments.keys)
    if arguments.pair:
        code = pairing.new_code(state.root / desk.PAIRED, now_us=_now_us())
        print(f"pairing code: {code[:4]}-{code[4:]}  (works once, for ten minutes; open /pair on the tablet)")
        return 0
    if arguments.unpair:
        print(f"forgot {pairing.unpair(state.root / desk.PAIRED)} paired tablets")
        return 0
    with state.open_ledger(Role.KIOSK) as ledger:
        shop = desk.shop(state, ledger)
        notice(shop, Messages.load(shop.languages[0]))  # a shop that may ask nobody is told so before it serves
        table = state.store.kiosk
        port = shop.port if arguments.port is None else arguments.port
        with bind(table.address, port) as door:
            view = None if shop.pad is None else partial(padview.read, state.live, shop.pad)
            files = [None if path is None else state.root / path for path in (table.certificate, table.certificate_key)]
            _until_told(threading.Event())
            print(f"kiosk: http{'s' if files[0] else ''}://{table.address}:{port}", file=sys.stderr)
            with _phone_beside(arguments) if state.store.phone.public_url else nullcontext():
                serve([Listener(kiosk(shop, ledger, view=view), door, *files)])
    return 0


@contextmanager
def _phone_beside(arguments: argparse.Namespace) -> Iterator[None]:
    """Run the page for phones in a process of its own, which ends with this one however that ends."""
    words = [sys.executable, str(Path(__file__).resolve()), "phone", "--beside", "--state", str(arguments.state)]
    words += ["--keys", str(arguments.keys)] if arguments.keys else []
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:  # the pipe ends with us
        try:
            yield
        finally:
            process.terminate()


def _phone(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.events import ConsentError
    from consent.keys import Role
    from consent.kiosk.phone import phone
    from consent.listener import Listener

    state, stop = State.read(arguments.state, arguments.keys), threading.Event()
    table = state.store.phone
    if table.public_url is None or table.certificate is None or table.certificate_key is None:
        raise ConsentError("phones come by https only: give public_url, certificate and certificate_key under [phone]")
    _until_told(stop)
    if arguments.beside:
        threading.Thread(target=_when_left, args=(stop,), daemon=True).start()
    with state.open_ledger(Role.PHONE) as ledger:
        listener = Listener(
            phone(desk.shop(state, ledger), ledger),
            address=str(table.address),
            port=table.port,
            certificate=state.root / table.certificate,
            key=state.root / table.certificate_key,
            stop=stop,
        )
        listener.serve_here(on_ready=lambda: print(f"phone: {table.public_url}", file=sys.stderr))
    return 0


def _when_left(stop: threading.Event) -> None:
    """Stop when whoever started this process is gone: then the pipe from it ends."""
    sys.stdin.buffer.read()
    stop.set()


def _tls(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent import tls

    state = State.read(arguments.state, arguments.keys)
    out = arguments.out or state.root.resolve().with_name(state.root.resolve().name + "-tls")
    made = tls.make(out, arguments.host, now=datetime.now(UTC), state=state.root, renew=arguments.renew)
    print(f"{'made' if made.renewed else 'still good:'} a certificate until {made.until:%Y-%m-%d}; in store.toml:")
    print(f'certificate = "{made.certificate}"\ncertificate_key = "{made.key}"')
    print(f"each device trusts {made.authority}, once, after comparing its SHA-256:\n{made.fingerprint}")
    return 0


def _notice(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.keys import Role
    from consent.kiosk.messages import Messages
    from consent.kiosk.notice import NoticeError, notice
    from consent.kiosk.poster import poster

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        shop = desk.shop(state, ledger)
        told = notice(shop, Messages.load(arguments.language or shop.languages[0]))
    text = told.sign if arguments.sign else told.text
    if arguments.out is None:
        sys.stdout.buffer.write(text.encode())  # its exact bytes, whatever the terminal's encoding: they are hashed
        return 0
    if arguments.out.suffix.lower() in (".html", ".htm"):
        text = poster(told, sign=arguments.sign)
    try:
        with arguments.out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise NoticeError(f"{arguments.out} is there already, and nothing is overwritten; name a new file") from error
    print(f"wrote {arguments.out} (version {told.version}, SHA-256 of the full notice {told.sha256})", file=sys.stderr)
    return 0


def _keeper(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention.keeper import Keeper

    state, stop = State.read(arguments.state, arguments.keys), threading.Event()
    _until_told(stop)
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        if arguments.once:
            print(json.dumps(asdict(keeper.run_once(_now_us())), default=str))
        else:
            keeper.run(stop, _now_us)
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    from analytics.dashboard import command, environment
    from analytics.state import State

    state = State.read(arguments.state, arguments.keys)
    words = command(arguments.port)
    os.execve(words[0], words, environment(state.root))  # noqa: S606  our own interpreter and words


def _level(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.events import Level
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.ADMIN) as ledger:
        if arguments.level is not None:
            names = {name.strip().casefold() for name in arguments.approved_by} - {""}
            approvals = [hashlib.sha256(name.encode()).digest() for name in sorted(names)]
            reference = (arguments.dpia or "").strip()
            dpia = hashlib.sha256(reference.encode()).digest() if reference else None
            ledger.set_level(Level(arguments.level), now_us=_now_us(), approvals=approvals, dpia_sha256=dpia)
        print(
            f"approved: {ledger.approved_level()}; store.toml asks for: {state.store.store.level}; "
            f"in force: {state.level(ledger)}"
        )
    return 0


# --- consent ----------------------------------------------------------------------------------------------------------


def _add_consent(commands: argparse._SubParsersAction[_Parser]) -> None:
    consent = commands.add_parser("consent", help="give, take back and show a consent; export and verify the log")
    parts = consent.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)

    grant = _command(parts, "grant", "write a consent down and print its code, which is kept nowhere else")
    grant.add_argument("purpose", nargs="+", choices=["dwell", "emotion", "repeat", "smile"])
    grant.add_argument("--notice", type=Path, required=True, metavar="FILE", help="the text the shopper was shown")
    grant.add_argument("--language", default="en", help="of the notice (default: en)")
    grant.add_argument("--version", default="1", help="of the notice (default: 1)")
    grant.add_argument("--pad", metavar="NAME", help="link whoever stands on this pad alone, and say what came of it")
    grant.set_defaults(run=_grant)

    withdraw = _command(parts, "withdraw", "take a consent back; the code is read from standard input")
    withdraw.add_argument("--purpose", action="append", choices=["dwell", "emotion", "repeat", "smile"], default=None)
    withdraw.set_defaults(run=_withdraw)

    show = _command(parts, "show", "show how a consent stands; the code is read from standard input")
    show.set_defaults(run=_show)

    export = _command(parts, "export", "write the log up to its newest checkpoint into a new directory")
    export.add_argument("out", type=Path, metavar="OUT")
    export.set_defaults(run=_export)

    record = _command(parts, "record", "print the full consent record; the code is read from standard input")
    record.set_defaults(run=_record)

    verify = parts.add_parser("verify", help="check an exported log, a receipt or a consent record offline")
    verify.add_argument("out", type=Path, nargs="?", metavar="OUT", help="what `consent export` wrote")
    verify.add_argument("--receipt", type=Path, metavar="FILE", help="the text of a receipt's proof")
    verify.add_argument("--record", type=Path, metavar="FILE", help="a consent record, as the holder of a code gets it")
    verify.add_argument(
        "--key", required=True, action="append", metavar="LINE", help="each key that `export` printed, from elsewhere"
    )
    verify.add_argument("--witness", metavar="LINE", help="a witness that must have cosigned the known checkpoints")
    verify.add_argument(
        "--known",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint from a receipt or witness; the log must contain it",
    )
    verify.set_defaults(run=_verify)


def _code() -> str:
    """Read a code without leaving it in a history, a process list or on the screen."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("code: ")
    return sys.stdin.readline().strip()


def _grant(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.events import Purpose
    from consent.keys import Role
    from consent.subjects import show_secret

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.KIOSK) as ledger:
        said = desk.grant(
            state,
            ledger,
            [Purpose(purpose) for purpose in arguments.purpose],
            notice=arguments.notice,
            language=arguments.language,
            version=arguments.version,
            now_us=_now_us(),
            pad=arguments.pad,
        )
        print(f"code: {show_secret(said.grant.secret)}  (log entry {said.grant.leaf_index}; it is shown only now)")
        print(f"proof: {desk.proof(ledger, said.grant, now_us=_now_us())}")
        if said.pad_request is None:
            return 0
        print("let them stand on the pad alone, until this says what came of it", file=sys.stderr)
        until_s = time.monotonic() + PAD_ANSWER_S
        while time.monotonic() < until_s:
            time.sleep(0.1)
            answer = ledger.read_pad_request(said.pad_request)
            if answer is not None and answer.outcome is not None:
                print(f"pad: {answer.outcome}")
                return 0
        print("pad: no answer; is `openaisle watch` running?")
        return 0


def _withdraw(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.events import Purpose
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    purposes = None if arguments.purpose is None else [Purpose(purpose) for purpose in arguments.purpose]
    with state.open_ledger(Role.KIOSK) as ledger:
        done = desk.withdraw(ledger, _code(), now_us=_now_us(), purposes=purposes)
    ended = ", ".join(sorted(done.purposes))
    print(f"withdrawn: {ended} (log entry {done.leaf_index})" if ended else "nothing was in force any more")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.KIOSK) as ledger:
        print(json.dumps(desk.show(ledger, _code()), indent=2))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        checkpoint = desk.export(ledger, arguments.out)
        print(f"{checkpoint.size} entries in {arguments.out}; the log's key, to be kept elsewhere:")
        print("\n".join(desk.log_keys(ledger)))
        print("and the key of its receipts:", *desk.receipt_keys(ledger), sep="\n")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.KIOSK) as ledger:
        print(json.dumps(desk.record(state, ledger, _code()), indent=2, ensure_ascii=False))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.config import ConfigError

    if not (arguments.out or arguments.receipt or arguments.record):
        raise ConfigError("nothing to verify: name an export, a --receipt or a --record")
    proof = None
    if arguments.out is not None:
        verified = desk.verify(arguments.out, arguments.key, known=arguments.known, witness=arguments.witness)
        print(f"intact: {verified.checkpoint.size} entries, held against {verified.known} other checkpoints")
    if arguments.receipt is not None:
        proof = desk.verify_receipt(arguments.receipt, arguments.key, export=arguments.out)
        seen = "no checkpoint" if proof.checkpoint is None else f"a checkpoint of {proof.checkpoint.size} entries"
        where = ", both in this log" if arguments.out and proof.checkpoint else ""
        print(f"receipt: true, entry {proof.leaf_index} of {proof.origin}, with {seen}{where}")
    if arguments.record is not None:
        checked = desk.verify_record(arguments.record, arguments.key, proof=proof)
        same = "as fixed at the yes" if checked.controller_fixed else "not as fixed at the yes: changed since"
        print(f"record: true, {checked.proved} of {checked.entries} entries in the signed log, controller {same}")
    return 0


# --- measure ----------------------------------------------------------------------------------------------------------


def _add_measure(commands: argparse._SubParsersAction[_Parser]) -> None:
    measure = commands.add_parser(
        "measure",
        help="measure zone visits in a clip and score them against a truth; stores nothing",
        description="Measure zone visits in a clip; with --truth, say how far off they are. Stores nothing.",
    )
    measure.add_argument("video", type=Path, metavar="VIDEO", help="any video file")
    measure.add_argument("--zones", type=Path, required=True, metavar="FILE", help="zone file (TOML)")
    measure.add_argument("--model", type=Path, required=True, metavar="PATH", help="OpenVINO export, or .pt with yolo")
    measure.add_argument("--truth", type=Path, metavar="CSV", help="true visits: zone,person,enter_s,leave_s")
    measure.add_argument(
        "--boxes", type=Path, metavar="TXT", help="true boxes (MOTChallenge gt.txt), for HOTA and IDF1"
    )
    measure.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    measure.add_argument("--fps", type=_rate, default=10.0, metavar="N", help="looks a second, or 'all' (default: 10)")
    measure.add_argument("--no-gate", action="store_true", help="run the network on still pictures too")
    measure.add_argument("--square-input", action="store_true", help="pad pictures to the network's own shape")
    measure.add_argument("--video-out", type=Path, metavar="FILE", help="draw boxes, tracks, zones on an empty canvas")
    measure.set_defaults(run=_measure)


def _rate(text: str) -> float | None:
    if text == "all":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; give looks a second, or 'all'")
    return rate


def _measure(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from analytics import accuracy, measure
    from analytics.canvas import Canvas
    from analytics.config import read_zones
    from analytics.detect import detector
    from analytics.model import AnalyticsError
    from analytics.video import Source, probe

    zones = read_zones(arguments.zones)
    # read first: a typing slip must not cost a whole run
    true = None if arguments.truth is None else measure.read_truth(arguments.truth, zones)
    info = probe(Source(str(arguments.video)))
    audit = None if arguments.boxes is None else measure.TrackAudit(arguments.boxes, info.fps or 25.0)
    model = detector(arguments.model, fit_aspect=not arguments.square_input)
    with ExitStack() as stack:
        canvas = None
        if arguments.video_out is not None:
            if arguments.video_out.resolve() == arguments.video.resolve():
                raise AnalyticsError(f"--video-out {arguments.video_out} is the clip itself; name another file")
            canvas = stack.enter_context(Canvas(arguments.video_out, (info.width, info.height), zones.zones()))
        total = info.duration_s and round(info.duration_s, 1)
        bar = stack.enter_context(tqdm(total=total, unit="s", disable=None, leave=False))
        result = measure.measure(
            arguments.video,
            zones,
            model,
            fps=arguments.fps,
            motion_gate=not arguments.no_gate,
            canvas=canvas,
            progress=lambda done: bar.update(round(done - bar.n, 3)),
            audit=audit,
        )
    if true is not None:
        result.score = accuracy.score(true, result.stays())
    if audit is not None:
        result.tracking = audit.figures()
    print(json.dumps(result.as_dict()) if arguments.json else result.table())
    return 0


# --- backups ----------------------------------------------------------------------------------------------------------


def _add_backup(commands: argparse._SubParsersAction[_Parser]) -> None:
    backup = _command(commands, "backup", "write everything the shop needs to go on into one signed file, but no key")
    backup.add_argument("target", type=Path, metavar="DIR|FILE", help="file to make, or a folder to make it in")
    backup.set_defaults(run=_backup)

    restore = _command(commands, "restore", "put a backup in the place of a state directory, without what was erased")
    restore.add_argument("source", type=Path, metavar="FROM", help="what `openaisle backup` wrote")
    restore.add_argument("--journal", type=Path, metavar="DIR", help="the journal (default: as store.toml says)")
    restore.add_argument("--replace", action="store_true", help="delete the shop that is there")
    restore.add_argument("--witness", metavar="LINE", help="a witness that must have cosigned the known checkpoints")
    restore.add_argument(
        "--known",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint from a witness or receipt; a journal that is older is refused",
    )
    restore.set_defaults(run=_restore)


def _backup(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention.backup import backup

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.KEEPER) as ledger:
        made = backup(state, ledger, arguments.target, _now_us())
    print(f"made {made} ({made.stat().st_size} bytes); keep it for {state.store.terms.backup} days at most")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from analytics.desk import read_notes
    from consent import log
    from retention.restore import restore

    done = restore(
        arguments.source,
        arguments.state,
        _now_us(),
        keys=arguments.keys,
        journal=arguments.journal,
        known=read_notes(arguments.known),
        witness=None if arguments.witness is None else log.read_verifier_key(arguments.witness)[:2],
        replace_state=arguments.replace,
    )
    rows, people = sum(e.rows for e in done.erased), sum(e.subjects for e in done.erased)
    made = datetime.fromtimestamp(done.made_us // 1_000_000, UTC).isoformat()
    print(
        f"restored {arguments.state} as of {made}: {done.entries} log entries, {done.adopted} of them from the "
        f"journal; erased again: {people} people, {rows} rows; {done.ended} consents had ended since"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
