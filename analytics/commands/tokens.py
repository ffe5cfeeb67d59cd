"""`openaisle token`: tokens by which programs read figures or metrics. Whoever may run it here may do so.

A token is printed once, alone on a line, and stands nowhere afterwards; what is said about it goes beside, to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

from analytics.commands.accounts import opened_access
from consent.command import Commands, command, group, now_us, whole

_SCOPES = ("figures", "metrics")
_DAYS = 90


def add(commands: Commands) -> None:
    """Say the words of `openaisle token`."""
    token = commands.add_parser("token", help="tokens by which programs read released figures, or how the shop does")
    parts = group(token)

    made = command(parts, "add", "make a token and print it, once")
    made.add_argument("name", metavar="NAME", help="what reads with it")
    made.add_argument("--scope", required=True, choices=_SCOPES, help="figures: /api; metrics: /metrics")
    made.add_argument("--days", type=whole, default=_DAYS, metavar="N", help=f"how long it stands (default: {_DAYS})")
    made.set_defaults(run=_add)

    listed = command(parts, "list", "list the tokens, those that are over too")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(run=_list)

    revoked = command(parts, "revoke", "delete a token; it opens nothing from now on")
    revoked.add_argument("name", metavar="NAME")
    revoked.set_defaults(run=_revoke)


def _add(arguments: argparse.Namespace) -> int:
    from consent.tokens import Scope

    with opened_access(arguments) as (_, _, access):
        made, secret = access.tokens.add(arguments.name, Scope(arguments.scope), arguments.days, now_us=now_us())
        try:
            access.log.changed(made.id, f"token_{made.scope}")
        except BaseException:
            access.tokens.revoke(made.name)  # one that the log does not know must not open anything
            raise
    print(secret)
    print(
        f"{made.name} reads {made.scope} with this token until {_day(made.until_us)}; it is shown only now. The log"
        f" knows it as {made.id}",
        file=sys.stderr,
    )
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with opened_access(arguments) as (_, _, access):
        found = access.tokens.all()
    if arguments.json:
        names = ("name", "scope", "id", "made_us", "until_us", "used_us")
        print(json.dumps({"tokens": [{name: getattr(one, name) for name in names} for one in found]}))
        return 0
    for one in found:
        ends = "until" if one.stands(now_us()) else "over since"
        used = "never used" if one.used_us is None else f"last used {_day(one.used_us)}"
        print(f"{one.name}  {one.scope}  {ends} {_day(one.until_us)}  {used}  in the log as {one.id}")
    if not found:
        print("no tokens")
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    with opened_access(arguments) as (_, _, access):
        token = access.tokens.revoke(arguments.name)
        access.log.changed(token.id, "token_revoked")
    print(f"revoked {token.name}")
    return 0


def _day(t_us: int) -> str:
    return datetime.fromtimestamp(t_us // 1_000_000, UTC).date().isoformat()
