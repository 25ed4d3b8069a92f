"""`maas inspect FILE`: what a model file holds and what running it takes."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="FILE", help=".maas, .keras, .h5 or .weights.h5")
    parser.add_argument("--batch", type=int, default=1, help="rows of the run that is described (default: %(default)s)")
    parser.add_argument("--size", type=int, default=16, help="length of every other free axis (default: %(default)s)")
    parser.add_argument("--graph", action="store_true", help="print the Graph as it is saved")
    parser.add_argument("--plan", action="store_true", help="print every step with its kernel")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def _weights(tensors: list[tuple[str, str, tuple[int, ...]]]) -> dict[str, Any]:
    """Counts and bytes of `(name, dtype, shape)`."""
    from maas.saving.load_budget import item_bytes

    by_dtype: dict[str, dict[str, int]] = {}
    for _, dtype, shape in tensors:
        entry = by_dtype.setdefault(dtype, {"tensors": 0, "parameters": 0, "bytes": 0})
        entry["tensors"] += 1
        entry["parameters"] += math.prod(shape)
        entry["bytes"] += math.prod(shape) * item_bytes(dtype)
    return by_dtype


def _model(path: Path) -> tuple[Any, dict[str, Any]]:
    """A `GraphModel`-like object with `serving_program`, and what only this kind of file tells."""
    if path.suffix == ".maas":
        from maas.saving.maas_file import load_graph

        model = load_graph(path)
        metadata = dict(model._saved.metadata)
        extra = {
            "format": f".maas {metadata.pop('maas_format')}",
            "functions": sorted(model._saved.functions),
            "layers": "keras_config" in metadata,
            "metadata": {k: v for k, v in metadata.items() if k not in ("graph", "keras_config")},
        }
        return model, extra
    from maas.saving import load_model

    model = load_model(path)
    return model, {"format": path.suffix, "layers": True, "class": type(model).__name__}


def _program(model: Any) -> tuple[Any, list[str], list[str]]:
    if hasattr(model, "serving_program"):
        return model.serving_program()
    from maas.models.programs import inference_program

    return inference_program(model)


def _graph_text(model: Any) -> str:
    if hasattr(model, "_saved"):
        return model._saved.graph("predict")
    from maas.models.programs import inference_trace

    trace, outputs, _, _ = inference_trace(model)
    return trace.graph(outputs)


def collect(path: str, batch: int = 1, size: int = 16) -> dict[str, Any]:
    """Everything that `maas inspect` shows, as plain values (sizes in bytes).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no model file, or damaged.
    """
    file = Path(path)
    if batch < 1 or size < 1:
        raise ValueError(f"inspect: --batch and --size must be >= 1, received {batch} and {size}")
    if not file.is_file():
        raise FileNotFoundError(f"there is no model file {path!r}")
    info: dict[str, Any] = {"path": str(file), "bytes": file.stat().st_size}
    if file.name.endswith(".weights.h5"):
        from maas.saving.files import read_file
        from maas.saving.hdf5 import open_hdf5

        with open_hdf5(read_file(file)) as tree:
            tensors = [(name, d.dtype, tuple(d.shape)) for name, d in tree.datasets.items()]
        return {**info, "format": ".weights.h5", "tensors": tensors, "weights": _weights(tensors)}
    model, extra = _model(file)
    info.update(extra)
    weights = model.weights.items() if isinstance(model.weights, dict) else [(v.path, v) for v in model.weights]
    tensors = [(name, str(v.dtype), tuple(v.shape)) for name, v in weights]
    info.update(name=model.name, tensors=tensors, weights=_weights(tensors))
    for key in ("inputs", "outputs"):
        info[key] = [(x.name, str(x.dtype), tuple(x.shape)) for x in getattr(model, key)]
    info["run"] = _run(model, info, batch, size)
    info["graph"] = _graph_text(model)
    return info


def _run(model: Any, info: dict[str, Any], batch: int, size: int) -> dict[str, Any]:
    """What one run of `batch` rows takes; every other free axis has `size` elements."""
    import numpy as np

    program, input_names, output_names = _program(model)
    info["inputs"] = [(name, *rest) for name, (_, *rest) in zip(input_names, info["inputs"])]
    info["outputs"] = [(name, *rest) for name, (_, *rest) in zip(output_names, info["outputs"])]
    arrays = []
    for _, dtype, shape in info["inputs"]:
        sizes = [d if d is not None else batch if axis == 0 else size for axis, d in enumerate(shape)]
        arrays.append(np.zeros(sizes, dtype))
    steps = program.profile(arrays, 1)
    memory = program.memory(arrays)
    return {
        "batch": batch,
        "steps": [{k: s[k] for k in ("op", "kernel", "why", "shape", "flops", "bytes", "threads")} for s in steps],
        "ops": dict(Counter(s["op"] for s in steps).most_common()),
        "flops": sum(s["flops"] or 0 for s in steps),
        "bytes_moved": sum(s["bytes"] for s in steps),
        "memory": {k: memory[k] for k in ("arena", "peak", "without_reuse", "peak_op")},
        "plan": program.plan,
    }


def _size(n: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return ""


def _count(n: float) -> str:
    for unit, step in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= step:
            return f"{n / step:.2f} {unit}"
    return f"{n:.0f} "


def _tables(info: dict[str, Any], show_plan: bool) -> list[Any]:
    from rich.table import Table

    out = []
    head = Table(title=info["path"], title_justify="left", show_header=False)
    rows = [("format", info["format"]), ("file", _size(info["bytes"]))]
    if "name" in info:
        rows.append(("name", info["name"]))
        rows.append(("layers", "yes" if info["layers"] else "no: runs as a graph only"))
    if "functions" in info:
        rows.append(("functions", ", ".join(info["functions"])))
    for key in ("inputs", "outputs"):
        rows += [(key[:-1], f"{name}: {dtype}{shape}") for name, dtype, shape in info.get(key, [])]
    for dtype, w in info["weights"].items():
        rows.append((f"weights, {dtype}", f"{w['parameters']:,} in {w['tensors']} tensors, {_size(w['bytes'])}"))
    run = info.get("run")
    if run:
        memory = run["memory"]
        rows.append((f"work, batch {run['batch']}", f"{_count(run['flops'])}FLOP, {_size(run['bytes_moved'])} moved"))
        rows.append(("arena", f"{_size(memory['arena'])} (without reuse {_size(memory['without_reuse'])})"))
        rows.append(("peak", f"{_size(memory['peak'])} at {memory['peak_op'] or 'no step'}"))
        rows.append(("steps", ", ".join(f"{n} {op}" for op, n in run["ops"].items())))
    for row in rows:
        head.add_row(*map(str, row))
    out.append(head)
    if show_plan and run:
        table = Table(title="plan", title_justify="left")
        for column in ("step", "op", "output", "kernel", "FLOP", "bytes", "threads", "why"):
            table.add_column(column)
        for i, s in enumerate(run["steps"]):
            flops = "" if s["flops"] is None else _count(s["flops"])
            shape = " x ".join(map(str, s["shape"]))
            table.add_row(str(i), s["op"], shape, s["kernel"], flops, _size(s["bytes"]), str(s["threads"]), s["why"])
        out.append(table)
    if not run:
        table = Table(title="tensors", title_justify="left")
        for column in ("name", "dtype", "shape"):
            table.add_column(column)
        for name, dtype, shape in info["tensors"]:
            table.add_row(name, dtype, str(shape))
        out.append(table)
    return out


def run(args: argparse.Namespace) -> int:
    info = collect(args.path, args.batch, args.size)
    if args.json:
        print(json.dumps(info, indent=2))
        return 0
    from rich.console import Console

    # Piped output is not folded at 80 columns: programs and grep read whole lines.
    console = Console() if Console().is_terminal else Console(width=160)
    for table in _tables(info, args.plan):
        console.print(table)
    if args.graph and "graph" in info:
        print(info["graph"], end="")
    return 0
