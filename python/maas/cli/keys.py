"""`maas keys create|list|revoke`: the API keys of `maas serve --keys FILE`."""

from __future__ import annotations

import argparse
import re
import time

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be a number and one of s, m, h, d, such as 90d, received {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key, add it to the file and show it, once")
    create.add_argument("--name", default="", help="who it is for; shown by list")
    create.add_argument(
        "--scope", action="append", choices=("infer", "read", "manage", "admin"), help="may be repeated; default: infer"
    )
    create.add_argument("--model", action="append", help="a model's name, * for any text; may be repeated; default: *")
    create.add_argument("--expires-in", type=_duration, metavar="TIME", help="such as 12h or 90d; default: never")
    create.add_argument("--requests-per-second", type=float, help="default: no limit")
    create.add_argument("--burst", type=float, help="requests at once; default: those of one second")
    listed = actions.add_parser("list", help="show the keys of the file")
    revoke = actions.add_parser("revoke", help="take a key off the file; a running server notices within a second")
    revoke.add_argument("key", metavar="ID", help="the key's id, or its name")
    for sub in (create, listed, revoke):
        sub.add_argument("--keys", metavar="FILE", default="keys.json", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    from maas.serving import keys

    if args.action == "create":
        text, row = keys.make(
            args.name,
            args.scope or ["infer"],
            args.model or ["*"],
            args.expires_in,
            args.requests_per_second,
            args.burst,
        )
        keys.add(args.keys, row)
        print(text)
    elif args.action == "revoke":
        keys.revoke(args.keys, args.key)
        print(f"maas: key {args.key} is revoked")
    else:
        _show(keys.read(args.keys))
    return 0


def _show(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("id", "name", "scopes", "models", "expires", "requests/s")
    for row in rows:
        expires, rate = row.get("expires"), row.get("requests_per_second")
        when = "never" if expires is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
        if expires is not None and expires <= time.time():
            when += " (past)"
        cells = [row["id"], row.get("name", ""), " ".join(row["scopes"]), " ".join(row["models"]), when]
        # As text, so that no name is taken for markup.
        table.add_row(*map(Text, [*cells, "any" if rate is None else f"{rate:g}"]))
    Console(soft_wrap=True).print(table)
