"""Runs contenders side by side: own process each, interleaved rounds, outputs compared, ratios with an interval."""

import argparse
import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.baselines import INFERENCE, MORE
from benchmarks.net import Net

RESULTS = Path(__file__).parent / "results"


class Contender:
    """A process that prepares tasks and times them when asked; between questions it is stopped, so that no thread of
    it that waits by spinning disturbs another contender."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contender", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        atexit.register(self.close)

    def ask(self, **message):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the process ended with status {self.process.wait()}"}
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(line)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            self.process.wait()
        atexit.unregister(self.close)


class Contenders:
    """Contenders by name; their processes, with all that they import, are kept for the next row."""

    def __init__(self):
        self._running = {}

    def get(self, name):
        """The process of this name; None where the peer is not installed."""
        running = self._running.get(name)
        if running is None or running.process.poll() is not None:
            if not importlib.import_module(f"benchmarks.baselines.{name}").available():
                return None
            running = self._running[name] = Contender(name)
        return running

    def can(self, name, kind):
        return hasattr(importlib.import_module(f"benchmarks.baselines.{name}"), kind)

    def drop(self, name):
        running = self._running.pop(name, None)
        if running is not None:
            running.close()

    def close(self):
        for name in list(self._running):
            self.drop(name)


def interval(ratios):
    """Median and bootstrap 95 % interval."""
    ratios, rng = np.asarray(ratios), np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    return float(np.median(ratios)), float(np.percentile(medians, 2.5)), float(np.percentile(medians, 97.5))


def error_of(got, wanted):
    """Largest difference, over the largest value; NaN counts as wrong."""
    if got.shape[1:] != wanted.shape[1:]:
        return float("inf")
    error = np.abs(got[: len(wanted)] - wanted).max() / np.abs(wanted).max()
    return float(error) if np.isfinite(error) else float("inf")


def compare(contenders, task, names, rounds, seconds, wanted=None):
    """Times one task on all contenders.

    Args:
        contenders: `Contenders`.
        task: dict that `benchmarks.contender` reads.
        names: of the contenders.
        rounds: int.
        seconds: float, per round and contender.
        wanted: array, the output in float64, or that of the first rows of the batch.

    Returns:
        dict: name -> {"us": median of round minima, "rounds": [...], "error": relative error} or {"failed": text}.
    """
    ready, result = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            contender = contenders.get(name) if contenders.can(name, task["kind"]) else None
            if contender is None:
                continue
            output = os.path.join(folder, f"{name}.npy")
            reply = contender.ask(do="prepare", task=task, output=output)
            error = None
            if "error" not in reply and wanted is not None:
                error = error_of(np.load(output), wanted)
                if error > 1e-3:
                    reply = {"error": f"wrong output, relative error {error:.1e}"}
            if "error" in reply:
                result[name] = {"failed": reply["error"]}
                continue
            result[name] = {"rounds": [], "error": error, "first": reply["first"]}
            ready.append(contender)
    for _ in range(rounds):
        for contender in ready:
            reply = contender.ask(do="run", seconds=seconds)
            if "error" not in reply:
                result[contender.name]["rounds"].append(min(reply["times"]))
    for contender in ready:
        r = result[contender.name]
        if r["rounds"]:
            r["us"] = float(np.median(r["rounds"]))
        else:
            r["failed"] = "no round came to its end"
    return result


def summarize(label, result):
    """Row for the table: the best peer and the ratio to it, above 1 when maas is faster."""
    times = {n: r["us"] for n, r in result.items() if "us" in r}
    row = {"row": label, "contenders": result}
    peers = {n: t for n, t in times.items() if n != "maas"}
    if "maas" in times and peers:
        best = min(peers, key=peers.get)
        paired = [b / a for a, b in zip(result["maas"]["rounds"], result[best]["rounds"])]
        row["best_peer"], row["ratio"] = best, interval(paired)
    return row


def measure_row(contenders, row, options):
    """One `benchmarks.rows.Row` on all contenders: a row for the table, with work, error and maas's kernels."""
    from benchmarks.reference import reference

    with tempfile.TemporaryDirectory() as folder:
        row.net().save(folder)
        net = Net.load(folder)
        names = options.only or (*INFERENCE, *(MORE if options.all else ()))
        if any(contenders.get(n) for n in ("onnxruntime", "openvino") if n in names):
            net.save_onnx()
        # Rows of a network's batch do not touch each other, so two of them tell whether the output is right.
        wanted, macs = reference(net, None if row.program else 2)
        task = {"kind": "infer", "folder": folder, "threads": options.threads, "program": row.program}
        result = compare(contenders, task, names, options.rounds, options.seconds, wanted)
        summary = summarize(row.label, result)
        summary.update(macs=macs, bytes=sum(a.nbytes for a in net.inputs) + wanted.size * 4
                       + sum(a.nbytes for arrays in net.weights.values() for a in arrays))  # fmt: skip
        if "us" in result.get("maas", {}):
            reply = contenders.get("maas").ask(do="kernels")
            summary["kernels"] = reply.get("kernels", reply.get("error"))
    return summary


def add_share(summary, peaks):
    """How much of the measured peak maas reaches: of multiply-adds, or of bandwidth where that is the tighter bound."""
    from maas import _core

    us = summary["contenders"].get("maas", {}).get("us")
    if us:
        cached = summary["bytes"] < 2 * _core.cpu_info()["l2_bytes"]  # where bandwidth says nothing
        bounds = [2 * summary["macs"] / peaks[0] / 1e3, 0 if cached else summary["bytes"] / peaks[1] / 1e3]
        summary["share"], summary["bound"] = max(bounds) / us, ("FMA", "memory")[bounds[1] > bounds[0]]
    return summary


def measure_rows(rows, options, title, name):
    """Everything that `benchmarks.ops` and `benchmarks.models` do with their rows."""
    # Also when a time limit ends the program, no contender stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    contenders, done = Contenders(), []
    try:
        for name_ in options.only or (*INFERENCE, *(MORE if options.all else ())):
            contenders.get(name_)  # start them all: imports run side by side
        peaks = contenders.get("maas").ask(do="peaks", threads=options.threads)["peaks"]
        print(f"measured here, {options.threads} threads: {peaks[0]:.0f} GFLOP/s of multiply-adds, {peaks[1]:.1f} GB/s")
        rng = np.random.default_rng()
        for row in rows:
            summary = add_share(measure_row(contenders, row, options), peaks)
            if options.neighbours and "ratio" in summary:
                drawn = [row.neighbour(rng, grown=i % 2 == 1) for i in range(options.neighbours)]
                near = [measure_row(contenders, other, options) for other in drawn]
                summary["near"] = [{k: n.get(k) for k in ("row", "ratio", "best_peer")} for n in near]
                known = [n["ratio"][0] for n in near if "ratio" in n]
                if known:
                    summary["near_share"] = float(np.median(known)) / summary["ratio"][0]
            done.append(summary)
            save(done, name, peaks=peaks, threads=options.threads)
            if options.verbose:
                print(line(summary), flush=True)
    finally:
        contenders.close()
    show(done, title)
    plot(name)
    return done


def line(summary):
    """A row of the table in one line."""
    times = {n: r.get("us") for n, r in summary["contenders"].items()}
    told = " ".join(f"{n}={t:.1f}" if t else f"{n}=failed" for n, t in times.items())
    ratio = f"{summary['ratio'][0]:.2f}x {summary['best_peer']}" if "ratio" in summary else "no peer"
    return f"{summary['row']}: {ratio}; {told}"


def show(rows, title):
    """Table in the terminal."""
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(n for row in rows for n in row["contenders"]))
    table = Table(title=title)
    table.add_column("row")
    for name in names:
        table.add_column(f"{name}, us", justify="right")
    table.add_column("ratio to best peer (95 %)", justify="right")
    table.add_column("of peak", justify="right")
    near = any("near_share" in row for row in rows)
    if near:
        table.add_column("neighbours", justify="right")
    for row in rows:
        cells = []
        for name in names:
            r = row["contenders"].get(name, {})
            cells.append(f"{r['us']:,.1f}" if "us" in r else "failed" if "failed" in r else "-")
        ratio = row.get("ratio")
        text = f"{ratio[0]:.2f}x ({ratio[1]:.2f}-{ratio[2]:.2f}) {row['best_peer']}" if ratio else "no peer"
        share = f"{row['share']:.0%} {row['bound']}" if "share" in row else ""
        table.add_row(row["row"], *cells, text, share, *([f"{row.get('near_share', 0):.0%}"] if near else []))
    Console(width=max(120, 44 + 18 * len(names))).print(table)
    for row in rows:
        for name, r in row["contenders"].items():
            if "failed" in r:
                print(f"{row['row']}: {name} failed: {r['failed'][:300]}")


def save(rows, name, **facts):
    """JSON. Rows of earlier runs that were not measured now are kept."""
    import maas
    from maas import _core

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    new = {row["row"] for row in rows}
    rows = [row for row in before if row["row"] not in new] + rows
    facts = {"cpu": _core.cpu_info(), "isa": _core.isa(), "maas": maas.__version__, **facts, "rows": rows}
    path.write_text(json.dumps(facts, indent=1))


def plot(name):
    """A picture of the ratios in the JSON, where matplotlib is installed."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path = RESULTS / f"{name}.json"
    with_ratio = sorted(
        (r for r in json.loads(path.read_text())["rows"] if r.get("ratio")), key=lambda r: r["ratio"][0]
    )
    if not with_ratio:
        return
    figure, axes = plt.subplots(figsize=(8, 1 + 0.25 * len(with_ratio)))
    middle, low, high = np.transpose([r["ratio"] for r in with_ratio])
    axes.barh([r["row"] for r in with_ratio], middle, xerr=[np.maximum(middle - low, 0), np.maximum(high - middle, 0)])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times faster than the best peer")
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"))
    plt.close(figure)


def arguments(description):
    """Options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("rows", nargs="*", help="only rows whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="per round and contender")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="only these contenders")
    parser.add_argument("--all", action="store_true", help="also slow rows, and peers that compile for minutes")
    parser.add_argument("--neighbours", type=int, nargs="?", const=3, default=0, help="sizes beside a row's own to try")
    parser.add_argument("--verbose", action="store_true", help="a line as soon as a row is done")
    return parser


def chosen(rows, options):
    """The rows whose name contains a word that was given; slow ones by their full name or with --all."""
    return [r for r in rows if wanted(r.label, options.rows) and (options.all or not r.slow or r.label in options.rows)]


def wanted(label, patterns):
    return not patterns or any(p in label for p in patterns)
