"""`maas bench URL --model NAME`: load on a server, and how long its answers took."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from maas.serving.load import PROTOCOLS


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"must be NAME: VALUE, received {text!r}")
    return name.strip(), value.strip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Asks a server as fast as it answers on --connections connections (closed loop), or --rate times a second "
        "whether it keeps up or not (open loop; latency then counts from when a request was due, so that a stall of "
        "the server is seen by every request that it kept waiting)."
    )
    parser.add_argument("url", metavar="URL", help="http://HOST:PORT of the server; with --protocol http also the path")
    parser.add_argument("--model", metavar="NAME", help="the model to ask, with random inputs of its shapes")
    parser.add_argument("--version", dest="model_version", metavar="VERSION", help="default: the server's choice")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="oip",
        help="oip: JSON; oip-binary; tfs: TensorFlow Serving; http: --body-file as it is; grpc: by grpcio in Python, "
        "whose own cost is in every figure (default: %(default)s)",
    )
    parser.add_argument("--rows", type=int, default=1, help="rows of each request (default: %(default)s)")
    parser.add_argument(
        "--free-size", type=int, default=16, metavar="N", help="for other open sizes of the model's inputs"
    )
    parser.add_argument("--body-file", metavar="FILE", help="of --protocol http: the body of every request")
    parser.add_argument("--content-type", default="application/json", help="of --protocol http (default: %(default)s)")
    parser.add_argument("--header", type=_header, action="append", default=[], metavar="NAME: VALUE", help="repeatable")
    parser.add_argument("--key", help="API key; default: the variable MAAS_API_KEY, which no other user sees")
    parser.add_argument("--connections", type=int, default=16, help="at a time (default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=0, metavar="R", help="requests a second, open loop; 0: closed loop"
    )
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson", help="gaps of the open loop")
    parser.add_argument(
        "--duration", type=float, default=10, metavar="S", help="seconds measured (default: %(default)s)"
    )
    parser.add_argument(
        "--warm-up", type=float, default=1, metavar="S", help="seconds before that (default: %(default)s)"
    )
    parser.add_argument("--requests", type=int, default=0, metavar="N", help="end after so many (default: no limit)")
    parser.add_argument("--timeout", type=float, default=10, metavar="S", help="of one request (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of the generator (default: %(default)s)")
    parser.add_argument("--no-keep-alive", action="store_true", help="a connection for each request")
    parser.add_argument("--seed", type=int, default=1, help="of values and gaps (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there; - is the terminal, without the table")
    parser.add_argument("--allow-remote", action="store_true", help="also ask servers on other machines")


def run(args: argparse.Namespace) -> int:
    result = measure(args)
    from maas.serving.load import summary

    figures = {
        "url": args.url,
        "model": args.model,
        "protocol": args.protocol,
        "connections": args.connections,
        "loop": "open" if args.rate else "closed",
        "rate": args.rate or None,
        "arrivals": args.arrivals if args.rate else None,
        "rows": args.rows,
        **summary(result, args.rows),
    }
    if args.json == "-":
        print(json.dumps(figures, indent=1))
    else:
        _show(figures)
        if args.json:
            from maas.saving.atomic import atomic_write

            with atomic_write(Path(args.json)) as file:
                file.write(json.dumps(figures, indent=1).encode())
    refusal = bytes(result.first_refusal)[:300].decode(errors="replace")
    if refusal:
        print(f"maas bench: the first refusal says: {refusal}", file=sys.stderr)
    return 0 if result.answers else 1


def measure(args: argparse.Namespace) -> Any:
    """The result of the load that `args` describe."""
    from maas.serving import load

    target = load.Target.parse(args.url)
    target.check(args.allow_remote)  # before anything is asked of it
    key = args.key or os.environ.get("MAAS_API_KEY") or None
    common = {
        "connections": args.connections,
        "rate": args.rate,
        "poisson": args.arrivals == "poisson",
        "seconds": args.duration,
        "warm_up": args.warm_up,
        "requests_limit": args.requests,
        "timeout": args.timeout,
        "seed": args.seed,
    }
    if args.protocol == "http":
        if args.body_file is None or args.model is not None:
            raise ValueError("--protocol http needs --body-file and no --model")
        headers = [*args.header, *([("Authorization", f"Bearer {key}")] if key else [])]
        body = Path(args.body_file).read_bytes()
        keep_alive = not args.no_keep_alive
        requests = [load.request_bytes(target, target.path or "/", body, args.content_type, headers, keep_alive)]
    elif args.model is None:
        raise ValueError(f"--protocol {args.protocol} needs --model NAME")
    elif args.protocol == "grpc":
        return _grpc(args, target, key, common)
    else:
        requests = load.model_requests(
            target,
            args.protocol,
            args.model,
            version=args.model_version,
            rows=args.rows,
            free=args.free_size,
            key=key,
            headers=args.header,
            keep_alive=not args.no_keep_alive,
            seed=args.seed,
        )
    return load.run(
        requests,
        target,
        threads=args.threads,
        keep_alive=not args.no_keep_alive,
        allow_remote=args.allow_remote,
        **common,
    )


def _grpc(args: argparse.Namespace, target: Any, key: str | None, common: dict[str, Any]) -> Any:
    import numpy as np

    from maas.serving import grpc_load, load

    if args.threads != 1 or args.no_keep_alive or args.header:
        raise ValueError("--threads, --no-keep-alive and --header are for HTTP, received one with --protocol grpc")
    metadata = grpc_load.model_metadata(target.authority, args.model, args.model_version or "", key, args.timeout)
    rng = np.random.default_rng(args.seed)
    messages = [
        grpc_load.infer_message(
            args.model, load.random_inputs(metadata, args.rows, args.free_size, rng), args.model_version or ""
        )
        for _ in range(8)
    ]
    return grpc_load.GrpcLoad(target.authority, messages, key=key, **common).run()


def _show(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    loop = f"{figures['rate']:g} requests/s, {figures['arrivals']}" if figures["rate"] else "closed loop"
    console.print(f"{figures['url']} {figures['protocol']}: {loop}, {figures['connections']} connections")
    console.print(
        f"{figures['requests_per_second']:,.0f} requests/s answered ({figures['answers']:,} in "
        f"{figures['seconds']:.1f} s; {figures['rows_per_second']:,.0f} rows/s)"
    )
    table = Table()
    table.add_column("microseconds")
    for name in figures["latency_us"]:
        table.add_column(name, justify="right")
    kinds = {"latency_us": "latency"}
    if figures["rate"]:
        kinds = {"latency_us": "from when due", "service_us": "from when sent"}
    for kind, label in kinds.items():
        table.add_row(label, *(f"{value:,.0f}" for value in figures[kind].values()))
    console.print(table)
    for kind, count in figures["errors"].items():
        console.print(f"{kind}: {count:,}")
