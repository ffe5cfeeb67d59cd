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
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from consent.ledger import Ledger

PAD_ANSWER_S = 20.0  # a second after the tap, as much later as its picture may be late, and patience
ANSWER_S = 60.0  # for an answer to an access request


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
    except UnicodeError:
        print("openaisle: what was given is not text in UTF-8; check its letters", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if not str(error).startswith("Symlink loop"):  # pathlib's, up to Python 3.12
            raise
        print(f"openaisle: {error}; check the path", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("openaisle: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="openaisle", description="In-store dwell analytics with enforced consent.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _add_shop(commands)
    _add_consent(commands)
    _add_witness(commands)
    _add_measure(commands)
    _add_demo(commands)
    _add_models(commands)
    _add_backup(commands)
    _add_requests(commands)
    _add_keys(commands)
    _add_retention(commands)
    return parser


def _scratch(arguments: argparse.Namespace) -> AbstractContextManager[object]:
    """Return where the temporary files of a command go: into its state directory, where it has one."""
    from analytics.scratch import scratch
    from analytics.state import STORE_TOML

    root: Path | None = getattr(arguments, "state", None)
    touches = root is not None and (root / STORE_TOML).is_file() and not getattr(arguments, "looks_only", False)
    return scratch(root) if root is not None and touches else nullcontext()


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
    watch.add_argument(
        "--model", type=Path, metavar="PATH", help="OpenVINO export, or .pt with yolo (default: our own)"
    )
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

    deal = _command(commands, "deal", "write the keys that one process may hold, for its own Unix user")
    deal.add_argument("role", choices=["kiosk", "phone", "watch", "keeper", "dashboard"], metavar="ROLE")
    deal.add_argument("out", type=Path, metavar="OUT", help="new directory; that process then runs with --keys OUT")
    deal.set_defaults(run=_deal)

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

    mailbox = commands.add_parser("mailbox", help="a box outside the shop that takes withdrawals only")
    boxes = mailbox.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)
    line = _command(boxes, "line", "print the line with which a mailbox is set up for this store; it is public")
    line.set_defaults(run=_mailbox_line)
    serve = boxes.add_parser("serve", help="run the mailbox; needs no state directory and no key of the shop")
    serve.add_argument("letters", type=Path, metavar="DIR", help="where the sealed letters lie")
    serve.add_argument("--line", required=True, metavar="LINE", help="what `mailbox line` printed")
    serve.add_argument("--url", required=True, help="https address under which shoppers and the keeper reach it")
    serve.add_argument("--name", required=True, help="name of the shop, as people know it")
    serve.add_argument("--certificate", type=Path, required=True, metavar="FILE", help="PEM, with its chain")
    serve.add_argument("--certificate-key", type=Path, required=True, metavar="FILE", help="PEM")
    serve.add_argument("--address", default="0.0.0.0", help="of this machine (default: all)")  # noqa: S104  it is public
    serve.add_argument("--port", type=int, default=443, metavar="N", help="default: 443")
    serve.set_defaults(run=_mailbox_serve)

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
    from consent.printing import Paper, print_receipt

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
            paper = None if shop.printer is None else partial(print_receipt, shop=shop, paper=Paper(table.paper_mm))
            _until_told(threading.Event())
            with _phone_beside(arguments) if state.store.phone.public_url else nullcontext():
                serve([Listener(kiosk(shop, ledger, view=view, print_receipt=paper), door, *files)])
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


def _deal(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import KeyRing, Role

    state = State.read(arguments.state, arguments.keys)
    KeyRing.open(state.keys, Role.ADMIN, state=state.root).deal(arguments.out, arguments.role)
    print(f"keys of {arguments.role} in {arguments.out}; give the directory to its user, and run it with --keys")
    return 0


def _tls(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent import tls

    state = State.read(arguments.state, arguments.keys)
    out = arguments.out or state.root.resolve().with_name(state.root.resolve().name + "-tls")
    made = tls.make(out, arguments.host, now=datetime.now(UTC), state=state.root, renew=arguments.renew)
    print(f"{'made' if made.renewed else 'still good:'} a certificate until {made.until:%Y-%m-%d}; in store.toml:")
    # store.toml reads a path from its own directory, not from here
    print(f'certificate = "{made.certificate.resolve()}"\ncertificate_key = "{made.key.resolve()}"')
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
    from consent.mailpost import Mailpost, PostError
    from retention.keeper import Keeper

    state, stop = State.read(arguments.state, arguments.keys), threading.Event()
    box, post = state.store.mailbox, None
    _until_told(stop)
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        if box.url is not None:
            post = Mailpost(ledger, box.url, None if box.authority is None else state.root / box.authority)
        if arguments.once:
            try:
                if post is not None:
                    post.fetch(_now_us)
            except PostError as error:
                print(f"openaisle: {error}", file=sys.stderr)  # and everything else is done all the same
            report = keeper.run_once(_now_us())
            print(json.dumps(asdict(report), default=str))
            report.check()
        else:
            with nullcontext() if post is None else post.fetching(box.every_s, _now_us):
                keeper.run(stop, _now_us)
    return 0


def _mailbox_line(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from consent.letters import Setup

    with State.read(arguments.state, arguments.keys).open_ledger(Role.KEEPER) as ledger:
        print(Setup.of(ledger.origin, ledger.keys).line())
    return 0


def _mailbox_serve(arguments: argparse.Namespace) -> int:
    from consent.kiosk.letterbox import letterbox
    from consent.letters import Letters, Setup
    from consent.listener import Listener

    stop, letters = threading.Event(), Letters(arguments.letters)
    _until_told(stop)
    with closing(letters):
        Listener(
            letterbox(letters, Setup.read(arguments.line), url=arguments.url, shop=arguments.name),
            address=arguments.address,
            port=arguments.port,
            certificate=arguments.certificate,
            key=arguments.certificate_key,
            stop=stop,
        ).serve_here(on_ready=lambda: print(f"mailbox: {arguments.url}", file=sys.stderr))
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    from analytics.dashboard import command, environment
    from analytics.state import State

    state = State.read(arguments.state, arguments.keys)
    words = command(arguments.port)
    os.execve(words[0], words, environment(state.root))  # noqa: S606  our own interpreter and words


def _level(arguments: argparse.Namespace) -> int:
    from analytics.state import STORE_TOML, State
    from consent.events import Level
    from consent.keys import Role
    from retention.holds import person

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.ADMIN) as ledger:
        if arguments.level is not None:
            people = {person(name) for name in arguments.approved_by if name.strip()}
            approvals = [bytes.fromhex(one) for one in sorted(people)]
            reference = (arguments.dpia or "").strip()
            dpia = hashlib.sha256(reference.encode()).digest() if reference else None
            ledger.set_level(Level(arguments.level), now_us=_now_us(), approvals=approvals, dpia_sha256=dpia)
        print(
            f"approved: {ledger.approved_level()}; store.toml asks for: {state.store.store.level}; "
            f"in force: {state.level(ledger)}"
        )
        if ledger.approved_level() > state.store.store.level:
            print(f'to use it, write level = "{ledger.approved_level()}" under [store] in {state.root / STORE_TOML}')
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

    access = _command(parts, "access", "hand out all that is held under a code, as a ZIP; the code is read from stdin")
    access.add_argument("--out", type=Path, metavar="FILE", help="file to make (default: standard output)")
    access.set_defaults(run=_access)

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


def _known_code(ledger: Ledger) -> str:
    """Read a code that somebody is known under; those that fail are noted, and too many of them wait."""
    from consent import answers

    code = _code()
    answers.look_up(ledger, code, now_us=_now_us())
    return code


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
        done = desk.withdraw(ledger, _known_code(ledger), now_us=_now_us(), purposes=purposes)
    ended = ", ".join(sorted(done.purposes))
    print(f"withdrawn: {ended} (log entry {done.leaf_index})" if ended else "nothing was in force any more")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.KIOSK) as ledger:
        print(json.dumps(desk.show(ledger, _known_code(ledger)), indent=2))
    return 0


def _access(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent import answers
    from consent.events import ConsentError
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    if arguments.out is None and sys.stdout.isatty():
        raise ConsentError("this is an archive, not a text: name a file with --out")
    with state.open_ledger(Role.KIOSK) as ledger:
        code = _code()
        request = answers.ask(ledger, code, now_us=_now_us())
        until = time.monotonic() + ANSWER_S
        while (told := answers.fetch(ledger, state.exports, request, code)) is None:
            if time.monotonic() > until:
                raise ConsentError(f"no answer within {ANSWER_S:.0f} s; is `openaisle keeper` running?")
            time.sleep(0.1)
    if arguments.out is None:
        sys.stdout.buffer.write(told)
    else:
        with os.fdopen(os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(told)
        print(f"made {arguments.out} ({len(told)} bytes); hand it over and delete it")
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
        print(json.dumps(desk.record(state, ledger, _known_code(ledger)), indent=2, ensure_ascii=False))
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


# --- witness ----------------------------------------------------------------------------------------------------------


def _add_witness(commands: argparse._SubParsersAction[_Parser]) -> None:
    witness = commands.add_parser(
        "witness",
        help="the officer's own machine: remember what was seen of a log, and cosign what only added to it",
        description="Remember what was seen of a log, and cosign what only added to it. Works by files, without a "
        "network: `ask` runs in the shop, the rest on the officer's own machine.",
    )
    parts = witness.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)

    init = parts.add_parser("init", help="make a witness of one log, and print its key")
    init.add_argument("dir", type=Path, metavar="DIR", help="new directory for its key and its memory")
    init.add_argument("--name", required=True, help="of the witness, such as officer.example/main-street")
    init.add_argument("--log", required=True, metavar="LINE", help="the log's key, as `consent export` prints it")
    init.set_defaults(run=_witness_init)

    ask = _command(parts, "ask", "write what the witness needs to see, to standard output")
    ask.add_argument("--seen", type=int, required=True, metavar="N", help="entries it has seen: `witness show`")
    ask.set_defaults(run=_witness_ask)

    cosign = parts.add_parser("cosign", help="read what `ask` wrote, print the checkpoint with a cosignature")
    cosign.add_argument("dir", type=Path, metavar="DIR", help="of the witness")
    cosign.set_defaults(run=_witness_cosign)

    show = parts.add_parser("show", help="say what was seen last, and the witness's key")
    show.add_argument("dir", type=Path, metavar="DIR", help="of the witness")
    show.add_argument("--checkpoint", action="store_true", help="print the checkpoint cosigned last, and nothing else")
    show.set_defaults(run=_witness_show)


def _witness_init(arguments: argparse.Namespace) -> int:
    from consent.witness import Witness

    print(Witness.create(arguments.dir, arguments.name, arguments.log).verifier_key)
    return 0


def _witness_ask(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from consent.witness import request

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        sys.stdout.write(request(ledger, arguments.seen))
    return 0


def _witness_cosign(arguments: argparse.Namespace) -> int:
    from consent.witness import LONGEST, Witness, read_request

    asked = b"" if sys.stdin is None else sys.stdin.buffer.read(LONGEST + 1)
    sys.stdout.write(Witness(arguments.dir).cosign(read_request(asked), now_s=int(time.time())))
    return 0


def _witness_show(arguments: argparse.Namespace) -> int:
    from consent.witness import Witness

    witness = Witness(arguments.dir)
    if arguments.checkpoint:
        sys.stdout.write(witness.newest() or "")
        return 0
    print(f"seen: {witness.size} entries")
    print(f"key: {witness.verifier_key}")
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
    measure.add_argument(
        "--model", type=Path, metavar="PATH", help="OpenVINO export, or .pt with yolo (default: our own)"
    )
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


# --- requests ---------------------------------------------------------------------------------------------------------


def _add_requests(commands: argparse._SubParsersAction[_Parser]) -> None:
    requests = commands.add_parser("requests", help="the register of people's requests, with deadlines, and letters")
    parts = requests.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)

    add = _command(parts, "add", "write a request down; never who asked")
    add.add_argument("kind", choices=["access", "erasure", "objection", "complaint"])
    add.add_argument("--received", type=_day, metavar="DAY", help="when it came (default: today)")
    add.set_defaults(run=_add_case)

    listed = _command(parts, "list", "list the requests, the most urgent first")
    listed.add_argument("--open", action="store_true", help="those that are not closed only")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(run=_list_cases)

    extend = _command(
        parts, "extend", "take two further months; whoever asked must be told: `requests letter extension`"
    )
    extend.add_argument("--because", required=True, choices=["complexity", "number"], help="Art. 12(3)")
    extend.set_defaults(run=_extend_case)

    close = _command(parts, "close", "close a request")
    close.add_argument(
        "--outcome", required=True, choices=["answered", "erased", "nothing", "unknown", "refused", "taken_back"]
    )
    close.set_defaults(run=_close_case)
    for words in (extend, close):
        words.add_argument("number", type=int, metavar="N", help="number of the request")

    letter = _command(parts, "letter", "print a letter as Markdown, filled from store.toml")
    letter.add_argument("kind", choices=["secret", "no_secret", "never", "complaint", "extension"])
    letter.add_argument("--language", default="en", help="en, de, fr, es, zh or ar (default: en)")
    letter.add_argument("--case", type=int, metavar="N", help="the request that it answers")
    letter.set_defaults(run=_letter)


def _today(zone: tzinfo) -> date:
    return datetime.now(zone).date()


def _add_case(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.events import ConsentError
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    received, today = arguments.received or _today(state.store.timezone), _today(state.store.timezone)
    if not date(2018, 5, 25) <= received <= today:
        raise ConsentError(f"a request is received by today, {today}, and not before 2018-05-25; not on {received}")
    with state.open_ledger(Role.DASHBOARD) as ledger:
        case = ledger.open_case(arguments.kind, received)
    print(f"case {case.number}: {case.kind}, received {case.received}, to be answered by {case.due}")
    return 0


def _list_cases(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    today = _today(state.store.timezone)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        cases = [case for case in ledger.cases() if case.closed is None or not arguments.open]
    if arguments.json:
        told = [{**asdict(case), "overdue": case.overdue(today)} for case in cases]
        print(json.dumps({"today": today, "cases": told}, default=str))
        return 0
    for case in cases:
        late = " OVERDUE" if case.overdue(today) and case.closed is None else " late" if case.overdue(today) else ""
        ended = f"closed {case.closed}: {case.outcome}" if case.closed else f"due {case.due}"
        longer = f" (extended: {case.extended})" if case.extended else ""
        print(f"{case.number}  {case.kind}  received {case.received}  {ended}{longer}{late}")
    if not cases:
        print("no requests")
    return 0


def _extend_case(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        case = ledger.extend_case(arguments.number, arguments.because, _today(state.store.timezone))
    print(f"case {case.number}: to be answered by {case.due}")
    print(f"tell them now: openaisle requests letter extension --case {case.number}")
    return 0


def _close_case(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        case = ledger.close_case(arguments.number, arguments.outcome, _today(state.store.timezone), now_us=_now_us())
    print(f"case {case.number}: closed {case.closed}, {case.outcome}")
    return 0


def _letter(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention import letter

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        case = None if arguments.case is None else ledger.case(arguments.case)
    print(letter.write(state, arguments.kind, arguments.language, _today(state.store.timezone), case), end="")
    return 0


# --- keys -------------------------------------------------------------------------------------------------------------


def _add_keys(commands: argparse._SubParsersAction[_Parser]) -> None:
    keys = commands.add_parser("keys", help="rotate the key that seals subjects' keys, and destroy old ones in time")
    parts = keys.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)
    for name, text, anew in (
        ("rotate", "make a new sealing key, seal everything anew, destroy what is past the backup term", True),
        ("retire", "destroy the sealing keys that are past the backup term, and make none", False),
    ):
        words = _command(parts, name, text)
        words.set_defaults(run=_rotate, anew=anew)


def _rotate(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention.rotation import rotate

    state = State.read(arguments.state, arguments.keys)
    done = rotate(state, _now_us(), anew=arguments.anew)
    print(f"sealing key: generation {done.generation} in use, {done.sealed} subjects' keys sealed anew")
    for generation in done.destroyed:
        print(f"generation {generation} is destroyed")
    for generation, end_us in done.waiting:
        end = datetime.fromtimestamp(end_us // 1_000_000, state.store.timezone).date()
        print(f"generation {generation} lives until {end}: run `openaisle keys retire` then")
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


# --- retention --------------------------------------------------------------------------------------------------------


def _add_retention(commands: argparse._SubParsersAction[_Parser]) -> None:
    retention = commands.add_parser("retention", help="what is kept and why; erase, prove, hold, certify")
    parts = retention.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)

    for name, text in (
        ("plan", "show what would go, when and why; touches nothing, and works beside a running keeper"),
        ("status", "show the last sweep, the backlog, the oldest of each class, holds, and what is due next"),
    ):
        look = _command(parts, name, text)
        look.add_argument("--json", action="store_true", help="print one JSON object")
        look.set_defaults(run=_look, what=name, looks_only=True)

    run = _command(parts, "run", "erase what is due now, once; a running keeper does it by itself")
    run.add_argument("--prove", action="store_true", help="print what the search of every byte saw")
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.set_defaults(run=_sweep)

    record = _command(parts, "record", "print the record of processing activities (Art. 30), as Markdown")
    record.add_argument("--json", action="store_true", help="print one JSON object")
    record.set_defaults(run=_processing)

    certificate = _command(parts, "certificate", "print the certificate of an erasure, by a log entry it names")
    certificate.add_argument("entry", type=int, metavar="ENTRY", help="that ended the consent, or says erased")
    certificate.set_defaults(run=_certificate)

    keys = _command(parts, "keys", "print the keys that check certificates and the log, to be kept elsewhere")
    keys.set_defaults(run=_certificate_keys)

    verify = parts.add_parser("verify-certificate", help="check the certificate of an erasure offline")
    verify.add_argument("file", type=Path, metavar="FILE")
    verify.add_argument("--key", required=True, action="append", metavar="LINE", help="the store's, from elsewhere")
    verify.add_argument("--log-key", action="append", default=[], metavar="LINE", help="check the checkpoint's, too")
    verify.set_defaults(run=_verify_certificate)

    hold = parts.add_parser("hold", help="stop the deletion of named classes on named days (Art. 18)")
    holding = hold.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)
    place = _command(holding, "place", "place a hold; consent that ended stays ended")
    place.add_argument("name", nargs="+", metavar="CLASS", help="dwell, repeat, consent")
    place.add_argument("--from", dest="first", type=_day, required=True, metavar="DAY", help="2026-11-01")
    place.add_argument("--to", dest="last", type=_day, required=True, metavar="DAY")
    place.add_argument("--reference", default="", metavar="REF", help="of the file; the log keeps its SHA-256")
    release = _command(holding, "release", "release a hold; what is due by then is erased at once")
    release.add_argument("entry", type=int, metavar="ENTRY", help="number that `place` printed")
    for words in (place, release):
        words.add_argument("--officer", required=True, metavar="NAME", help="who does it; the log keeps its SHA-256")
    place.set_defaults(run=_place_hold)
    release.set_defaults(run=_release_hold)
    listed = _command(holding, "list", "list the holds in force")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(run=_list_holds)

    window = _command(parts, "erase-window", "erase every consent given in a window, for somebody without their code")
    window.add_argument("--from", dest="first", required=True, metavar="TIME", help="'2026-11-21 15:05', shop's clock")
    window.add_argument("--to", dest="last", required=True, metavar="TIME")
    window.add_argument("--yes", type=int, metavar="N", help="do it; N repeats the number that is shown without it")
    window.add_argument("--officer", metavar="NAME", default="", help="who does it; the log keeps its SHA-256")
    window.set_defaults(run=_erase_window)


def _erase_window(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention import window

    state = State.read(arguments.state, arguments.keys)
    zone = state.store.timezone
    chosen = window.Window(window.instant(arguments.first, zone), window.instant(arguments.last, zone, last=True))
    with state.open_ledger(Role.DASHBOARD) as ledger:
        if arguments.yes is None:
            number = window.count(ledger, chosen)
            print(f"{number} people's consents were given in this window and would be erased, whoever they are")
            if number:
                print(f"to erase them: add --yes {number} --officer NAME")
            return 0
        entry = window.erase(ledger, chosen, arguments.yes, officer=arguments.officer, now_us=_now_us())
    print(f"{arguments.yes} ended (log entry {entry}); the keeper erases them now")
    return 0


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write 2026-11-01") from error


def _look(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention import plan

    state = State.read(arguments.state, arguments.keys)
    told = (plan.plan if arguments.what == "plan" else plan.status)(state, _now_us())
    print(json.dumps(told) if arguments.json else plan.text(told))
    return 0


def _sweep(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention.keeper import Keeper

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        report = keeper.run_once(_now_us())
    paths = [state.certificates / one.certificate for one in report.erased]
    if arguments.json:
        told = asdict(report)
        if arguments.prove:
            told["certificates"] = [json.loads(path.read_bytes()) for path in paths]
        print(json.dumps(told))
    else:
        for one, path in zip(report.erased, paths, strict=True):
            print(f"erased: {one.subjects} subjects, {one.rows} rows (log entry {one.leaf_index}; certificate {path})")
            search = json.loads(path.read_bytes())["certificate"]["search"]
            for file in search["files"] if arguments.prove else ():
                print(f"  {file['sha256']}  {file['bytes']:>12}  {file['path']}")
            if arguments.prove:
                print(
                    f"  searched for {sum(search['patterns'].values())} patterns as {search['forms']}: found "
                    f"{search['found']}; what is there rightly was found {search['control']['found']} times"
                )
        if not report.erased and not report.problems:
            print("nothing was due, so there was nothing to erase or to search for")
    report.check()
    return 0


def _processing(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention import record

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        told = record.record(state.store, state.level(ledger), state.sha256)
    print(json.dumps(told) if arguments.json else record.markdown(told))
    return 0


def _certificate(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention import certificate

    state = State.read(arguments.state, arguments.keys)
    sys.stdout.write(certificate.find(state.certificates, arguments.entry).read_text(encoding="utf-8"))
    return 0


def _certificate_keys(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.state import State
    from consent.keys import Role
    from retention import certificate

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        print("\n".join([*certificate.key_lines(ledger), *desk.log_keys(ledger)]))
    return 0


def _verify_certificate(arguments: argparse.Namespace) -> int:
    from analytics.tables import refuse_pipe
    from retention import certificate

    refuse_pipe(arguments.file)
    told = certificate.verify(arguments.file.read_bytes(), arguments.key, arguments.log_key)
    rows = ", ".join(f"{n} rows of {name}" for name, n in told.rows.items()) or "no rows"
    signed = "its signature checked" if told.log_signed else "its signature not checked: give --log-key"
    print(f"holds: {told.store} erased {told.subjects} subjects and {rows} at {told.erased_at}")
    ended = ", ".join(map(str, told.entries)) or "their term"
    print(f"log: entry {told.entry}, ended by {ended}; checkpoint: {signed}")
    control = "nothing left to find" if told.control is None else f"what is there rightly found {told.control} times"
    print(f"search: {told.patterns} patterns in {told.files} files, none found; {control}")
    if told.held:
        print(f"holds in force meanwhile: {', '.join(map(str, told.held))}")
    return 0


def _place_hold(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention import holds

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        placed = holds.place(
            ledger,
            arguments.name,
            arguments.first,
            arguments.last,
            officer=arguments.officer,
            reference=arguments.reference,
            now_us=_now_us(),
        )
    print(f"hold {placed.entry}: {', '.join(placed.classes)} from {placed.first} to {placed.last} stay until released")
    return 0


def _release_hold(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention import holds

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        entry = holds.release(ledger, arguments.entry, officer=arguments.officer, now_us=_now_us())
    print(f"released (log entry {entry}); the keeper erases what is due, or `openaisle retention run` where none runs")
    return 0


def _list_holds(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import Role
    from retention import holds, plan

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role.DASHBOARD) as ledger:
        told = [plan.told_of(hold) for hold in holds.holds(ledger)]
    if arguments.json:
        print(json.dumps({"holds": told}))
    else:
        print("\n".join(plan.hold_line(one) for one in told) or "no hold is in force")
    return 0


# --- demo -------------------------------------------------------------------------------------------------------------


def _add_demo(commands: argparse._SubParsersAction[_Parser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="show everything on a simulated shop: measured against the truth, then the pages",
        description="Run the simulated shop's clip through everything, print measured against true figures, then serve "
        "the dashboard (four simulated weeks) and the kiosk on this machine until stopped.",
    )
    demo.add_argument(
        "--state", type=Path, metavar="DIR", help="new directory to keep it in (default: gone at the end)"
    )
    demo.add_argument("--headless", action="store_true", help="end after the table, serve nothing")
    demo.add_argument("--model", type=Path, metavar="PATH", help="another detector than our own")
    demo.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    demo.add_argument("--remake-weeks", type=Path, metavar="FILE", help="make the four simulated weeks again, and end")
    demo.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.remake_weeks is not None:
        return _remake_weeks(arguments.remake_weeks)
    import tempfile

    from tqdm import tqdm

    from analytics.model import AnalyticsError
    from analytics.shopfloor import demo, opening, weeks
    from analytics.state import State
    from analytics.store import NewVisit
    from consent.events import Purpose
    from consent.keys import Role
    from retention.keeper import Keeper

    def keep(state: State) -> list[NewVisit]:
        with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
            keeper.run_once(_now_us())
            return list(keeper.visits.read(Purpose.DWELL))

    stop = threading.Event()
    with ExitStack() as stack:
        if arguments.state is None:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what lies below is removed on the way out
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openaisle-demo-")))
        else:
            root = arguments.state
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise AnalyticsError(f"{root} is there already, and nothing is overwritten; name a new directory")
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        hour = 3_600_000_000
        with tqdm(total=92.0, unit="s", disable=None, leave=False) as bar:
            outcome = demo.run(
                root / "clip",
                arguments.model,
                keep,
                start_us=(_now_us() // hour - 2) * hour,
                progress=lambda done: bar.update(round(done - bar.n, 3)),
            )
        year = opening.open_shop(root / "weeks", name=weeks.NAME, source="simulated", now_us=_now_us(), hours=True)
        files = weeks.unpack(year)
        print(json.dumps(outcome.as_dict()) if arguments.json else outcome.table(), flush=True)
        if not arguments.json:
            until = "" if arguments.state is not None else " (gone when this ends; --state DIR keeps it)"
            print(f"\nfigures of the clip: {outcome.state.released}{until}")
            print(f"four simulated weeks: {year.released}, {files} files, made up by a program", flush=True)
        if not arguments.headless:
            _attend(root, outcome.state.root, year.root, stop)
    return 0


def _attend(root: Path, clip: Path, year: Path, stop: threading.Event) -> None:
    """Serve the pages of the demo until told to stop."""
    from analytics.shopfloor.attend import Attendant, free_port

    _until_told(stop)
    (root / "logs").mkdir()
    with Attendant([sys.executable, str(Path(__file__).resolve())], root / "logs") as pages:
        dashboard, kiosk = free_port(), free_port()
        pages.start("keeper", ["keeper", "--state", clip])
        pages.start("dashboard", ["dashboard", "--state", year, "--port", str(dashboard)])
        pages.start("kiosk", ["kiosk", "--state", clip, "--port", str(kiosk)])
        if all(pages.answers(port, stop) for port in (dashboard, kiosk)):
            print(f"\ndashboard: http://127.0.0.1:{dashboard}  (the four simulated weeks)")
            print(f"kiosk:     http://127.0.0.1:{kiosk}  (the shop of the clip)\nCtrl-C ends both", flush=True)
        while not stop.wait(0.5):
            pages.check()


def _remake_weeks(bundle: Path) -> int:
    import random
    import tempfile

    from tqdm import tqdm

    from analytics.shopfloor import weeks
    from analytics.state import State
    from consent.keys import Role
    from retention.keeper import Keeper

    chance = random.Random(weeks.SEED)  # noqa: S311 - the same weeks again, of nobody

    def keep(state: State, now_us: int) -> None:
        with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger, chance) as keeper:
            keeper.run_once(now_us)

    with tempfile.TemporaryDirectory(prefix="openaisle-weeks-") as name:
        root = Path(name) / "weeks"
        for day, _ in tqdm(weeks.make(root, keep), total=24, unit="day", disable=None, leave=False):
            last = day
        weeks.pack(State.read(root).released, bundle)
    print(f"{bundle}: {weeks.FIRST} to {last}, {bundle.stat().st_size:,} bytes")
    return 0


# --- models -----------------------------------------------------------------------------------------------------------


def _add_models(commands: argparse._SubParsersAction[_Parser]) -> None:
    models = commands.add_parser("models", help="show which models lie here; fetch a larger one")
    parts = models.add_subparsers(metavar="WHAT", required=True, parser_class=_Parser)
    shown = parts.add_parser("list", help="what lies here, whence, under which licence, and whether it is unchanged")
    shown.add_argument("--json", action="store_true", help="print one JSON object instead")
    shown.set_defaults(run=_models_list)
    fetch = parts.add_parser("fetch", help="get a larger model over the network; the only command that calls anybody")
    fetch.add_argument("name", metavar="NAME", help="see `openaisle models list`")
    fetch.set_defaults(run=_models_fetch)


def _models_list(arguments: argparse.Namespace) -> int:
    from analytics import models

    found = models.models(models.read_catalogue(), models.folder())
    if arguments.json:
        print(json.dumps({"models": [one.as_dict() for one in found]}))
    else:
        print("\n".join(map(str, found)))
    if broken := [one.name for one in found if one.sound is False]:
        raise models.ModelsError(f"{', '.join(broken)}: not as it should be; restore it before anything uses it")
    return 0


def _models_fetch(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from analytics import models

    with tqdm(unit="B", unit_scale=True, disable=None, leave=False) as bar:
        one = models.fetch(arguments.name, models.read_catalogue(), models.folder(), progress=bar.update)
    print(one)
    print(f"use it: openaisle watch --model {one.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
