"""`maas serve PATH`: a model file, or a folder of models, as an HTTP service, until SIGTERM or Ctrl-C.

SIGHUP reads keys and certificates again, and opens the access log again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="model file: .keras, .maas, .onnx or .h5; or a folder of models")
    parser.add_argument("--name", help="name of the model in URLs (default: the file's stem; not for a folder)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free port (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, help="also answer gRPC there (needs maas[grpc]; default: no gRPC)")
    parser.add_argument(
        "--management-port",
        type=_port_or_none,
        default=-1,
        metavar="PORT",
        help="load and unload models and make keys there, on 127.0.0.1 (needs maas[serve]); none: nowhere "
        "(default: 8001, a free one with --port 0)",
    )
    parser.add_argument(
        "--repository-api",
        action="store_true",
        help="clients with a key of scope manage may load and unload models on --port too",
    )
    parser.add_argument("--max-batch-size", type=int, default=32, help="most rows of one run (default: %(default)s)")
    parser.add_argument(
        "--max-queue-delay-us", type=int, default=0, help="how long a batch waits for more rows (default: %(default)s)"
    )
    parser.add_argument("--max-queue-size", type=int, default=1024, help="waiting requests (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="compute threads (default: all cores this process may use)")
    parser.add_argument("--drain-timeout", type=float, default=30.0, help="seconds (default: %(default)s)")
    parser.add_argument("--keys", metavar="FILE", help="API keys, a file of `maas keys create`")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate and chain (PEM): speak TLS only, on every port")
    parser.add_argument("--tls-key", metavar="FILE", help="its key (PEM; default: in the file of the certificate)")
    parser.add_argument(
        "--client-ca", metavar="FILE", help="clients need a certificate of these authorities (PEM, with their CRLs)"
    )
    parser.add_argument(
        "--access-log", metavar="FILE", help="a line of JSON for each request; - is the standard output"
    )
    parser.add_argument(
        "--insecure-no-auth", action="store_true", help="allow a --host that other machines reach, without any keys"
    )


def _port_or_none(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port or 'none', received {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    began = time.perf_counter()
    # What the server writes is for its user alone.
    mask = os.umask(0o077)
    # The handlers come first: a signal during loading must end the command just as well.
    asked = threading.Event()
    stops = {s: signal.signal(s, lambda *_: asked.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    again = threading.Event()
    hangup = signal.signal(signal.SIGHUP, lambda *_: again.set())
    try:
        with _server(args) as server:
            took = (time.perf_counter() - began) * 1e3
            folder = os.path.isdir(args.path)
            what = f"{len(server.names)} models of {args.path!r}" if folder else repr(server.names[0])
            _say(f"maas: serving {what} at {server.url} (ready after {took:.0f} ms)")
            if args.tls_cert is None and _reached_by_others(args.host):
                _say("maas: warning: without --tls-cert keys and data can be read by whoever carries them")
            if server.grpc_port is not None:
                _say(f"maas: gRPC at {server.host}:{server.grpc_port}")
            if server.management_port is not None:
                _say(f"maas: management at http://127.0.0.1:{server.management_port}")
            if server.management_key is not None:
                _say(f"maas: the key of this run, shown once: {server.management_key}", sys.stderr)
            # A signal that comes just before a wait begins does not end it, so no wait lasts for ever.
            while not asked.wait(0.5):
                if again.is_set():
                    again.clear()
                    _reload(server)
            _say(f"maas: stopping; requests in flight have {args.drain_timeout:g} s (a second signal ends at once)")
            # A second signal ends the process at once.
            for s in stops:
                signal.signal(s, signal.SIG_DFL)
        _say("maas: stopped")
    finally:
        for s, handler in {**stops, signal.SIGHUP: hangup}.items():
            signal.signal(s, handler)
        os.umask(mask)
    return 0


def _reached_by_others(host: str) -> bool:
    return not (host in ("localhost", "::1") or host.startswith("127."))


def _reload(server: Any) -> None:
    try:
        server.reload()
        _say("maas: read keys and certificates again, opened the access log again")
    except (ValueError, RuntimeError) as error:
        _say(f"maas: what was there stays: {error}")


def _server(args: argparse.Namespace) -> Any:
    from maas.serving import Server

    try:
        return Server(
            args.path,
            args.name,
            args.host,
            args.port,
            max_batch_size=args.max_batch_size,
            max_queue_delay_us=args.max_queue_delay_us,
            max_queue_size=args.max_queue_size,
            threads=args.threads,
            drain_timeout=args.drain_timeout,
            grpc_port=args.grpc_port,
            keys=args.keys,
            tls_cert=args.tls_cert,
            tls_key=args.tls_key,
            client_ca=args.client_ca,
            access_log=args.access_log,
            insecure_no_auth=args.insecure_no_auth,
            management_port=_management_port(args),
            repository_api=args.repository_api,
        )
    except ValueError as error:
        # Imported here alone: it brings the layers, which a server of a .maas file has no use for.
        from maas.saving.serialization import UnknownObjectError

        if not isinstance(error, UnknownObjectError):
            raise
        raise ValueError(f"{error}\n\n{_IN_PYTHON.format(**_for_python(args, error.name))}") from error


def _management_port(args: argparse.Namespace) -> int | None:
    if args.management_port != -1:
        return args.management_port
    from maas.serving.management import EXTRA, available

    if not available():
        _say(f"maas: no management: {EXTRA}", sys.stderr)
        return None
    return 8001 if args.port else 0


# What to do where the command cannot help: it has no way to give objects of the user's own.
_IN_PYTHON = """\
maas serve cannot be given classes of your own; this program serves the same model:

    import maas
    from your_module import {object}

    model = maas.saving.load_model({path!r}, custom_objects={{{key!r}: {object}}})
    maas.Server(model, name={name!r}, host={host!r}, port={port}).start().wait()
"""


def _for_python(args: argparse.Namespace, key: str) -> dict[str, Any]:
    name = key.split(">")[-1]
    return {
        # A name from a file is shown as code only if it is a name.
        "object": name if name.isidentifier() else "YourClass",
        "key": key[:100],
        "path": args.path,
        "name": args.name or Path(args.path).stem,
        "host": args.host,
        "port": args.port,
    }


def _say(text: str, file: Any = None) -> None:
    # Whoever started the server may have closed the pipe, or the disk is full; that is no reason to end.
    with contextlib.suppress(OSError):
        print(text, flush=True, file=file)
