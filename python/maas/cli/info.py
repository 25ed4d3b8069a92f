"""`maas info`: what this build is, what it found on this machine, and what it uses of that."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def _dependencies() -> dict[str, str | None]:
    """Installed version of every package that `maas` names, extras included; None for one that is missing."""
    try:
        required = importlib.metadata.requires("maas") or []
    except importlib.metadata.PackageNotFoundError:
        # Run from a source tree: only what the package cannot do without.
        required = ["numpy", "h5py", "safetensors", "rich"]
    found: dict[str, str | None] = {}
    for text in required:
        # Tests and formatters say nothing about what this installation can do.
        if re.search(r"extra == ['\"](test|dev|bench)['\"]", text):
            continue
        name = re.match(r"[A-Za-z0-9._-]+", text)[0]
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _openssl_version() -> str:
    from maas import _core

    try:
        return _core.openssl_version()
    except NotImplementedError as error:
        return f"not usable here: {error}"


def collect() -> dict[str, Any]:
    """Everything that `maas info` shows, as plain values (sizes in bytes)."""
    import maas
    from maas import _core

    build, cpu = _core.build_info(), _core.cpu_info()
    return {
        "version": maas.__version__,
        "location": str(Path(maas.__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "compiler": build["compiler"],
        "serving": build["serving"],
        "eigen": build["eigen"],
        "openssl": build["openssl"],
        "openssl_version": _openssl_version() if build["openssl"] else None,
        # The CUDA kernels are a library of their own, loaded on first use.
        "cuda": Path(_core.__file__).with_name("libmaas_cuda.so").is_file(),
        "cpu": cpu["brand"],
        "logical_cpus": cpu["logical_cpus"],
        "threads": _core.get_num_threads(),
        "isa_found": _core.machine_isa(),
        "isa_used": _core.isa(),
        "l1d_bytes": cpu["l1d_bytes"],
        "l2_bytes": cpu["l2_bytes"],
        "l3_bytes": cpu["l3_bytes"],
        "dependencies": _dependencies(),
    }


def _size(size: int) -> str:
    for unit, step in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size / step:g} {unit}"
    return f"{size} B" if size else "unknown"


def _built_in(value: bool) -> str:
    return "built in" if value else "not built in"


def rows(info: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of the table: a title, and (name, value) lines."""
    return [
        (
            "build",
            [
                ("maas", info["version"]),
                ("installed in", info["location"]),
                ("Python", info["python"]),
                ("platform", info["platform"]),
                ("compiler", info["compiler"]),
                ("HTTP server", _built_in(info["serving"])),
                ("OpenSSL (TLS)", info["openssl_version"] or _built_in(False)),
                ("CUDA kernels", _built_in(info["cuda"])),
                ("Eigen", _built_in(info["eigen"])),
            ],
        ),
        (
            "machine",
            [
                ("CPU", f"{info['cpu']}, {info['logical_cpus']} logical CPUs"),
                ("L1d, L2, L3", ", ".join(_size(info[f"{level}_bytes"]) for level in ("l1d", "l2", "l3"))),
                ("ISA found", info["isa_found"].replace("+", " ")),
                ("ISA used", info["isa_used"].replace("+", " ") + " (MAAS_ISA sets it)"),
                ("threads", f"{info['threads']} (MAAS_NUM_THREADS sets it)"),
            ],
        ),
        ("packages", [(name, version or "not installed") for name, version in info["dependencies"].items()]),
    ]


def run(args: argparse.Namespace) -> int:
    info = collect()
    if args.json:
        print(json.dumps(info, indent=2))
        return 0
    sections = rows(info)
    width = max(len(name) for _, lines in sections for name, _ in lines)
    for title, lines in sections:
        print(title)
        for name, value in lines:
            print(f"  {name:<{width}}  {value}")
    return 0
