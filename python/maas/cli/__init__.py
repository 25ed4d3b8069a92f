"""The `maas` command. A subcommand is a module with HELP, add_arguments(parser) and run(args) -> exit status."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from maas import missing_names

# Name -> module. The module of a subcommand is imported only when it is asked for.
COMMANDS = {
    "demo": ("maas.cli.demo", "train, save, load and serve a model that reads handwritten digits"),
    "serve": ("maas.cli.serve", "serve a model over HTTP"),
    "bench": ("maas.cli.bench", "load a server and tell how many requests it answers, and how soon"),
    "keys": ("maas.cli.keys", "make, list and revoke the API keys of a server"),
    "inspect": ("maas.cli.inspect", "what a model file holds and what running it takes"),
    "info": ("maas.cli.info", "what this build is and what it uses of this machine"),
}


DESCRIPTION = "Serve Keras-style models over HTTP. Models are trained and saved in Python: `import maas`."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `maas ARGV...` and returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="maas", description=DESCRIPTION)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary)
        if argv[:1] == [name]:
            command = importlib.import_module(module)
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    if args.version:
        import maas

        print(f"maas {maas.__version__}")
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    try:
        return args.run(args)
    except (OSError, ValueError, TypeError, RuntimeError, MemoryError, ImportError) as error:
        # One clear line; the trace is for programs, which call the functions and not the command.
        print(f"maas {args.command}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


__getattr__ = missing_names.getattr_of(__name__)
