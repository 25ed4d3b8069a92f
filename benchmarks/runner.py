"""Runs contenders side by side: own process each, interleaved rounds, outputs compared, ratios with an interval."""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"


class Contender:
    """A process that prepares a task and times it when asked."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contender", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip

    def ask(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"the process ended with status {self.process.wait()}"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interval(ratios):
    """Median and bootstrap 95 % interval."""
    ratios, rng = np.asarray(ratios), np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    return float(np.median(ratios)), float(np.percentile(medians, 2.5)), float(np.percentile(medians, 97.5))


def compare(task, names, rounds, seconds, reference=None):
    """Times one task on all contenders.

    Returns:
        dict: name -> {"us": median of round minima, "rounds": [...], "error": relative error} or {"failed": text}.
    """
    contenders, result = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            module = importlib.import_module(f"benchmarks.baselines.{name}")
            if not module.available() or not hasattr(module, task["kind"]):
                continue
            contender, output = Contender(name), os.path.join(folder, f"{name}.npy")
            reply = contender.ask(do="prepare", task=task, output=output)
            if "error" in reply:
                result[name] = {"failed": reply["error"]}
                contender.close()
                continue
            error = None
            if reference is not None:
                error = float(np.abs(np.load(output) - reference).max() / np.abs(reference).max())
                if error > 1e-3:
                    result[name] = {"failed": f"wrong output, relative error {error:.1e}"}
                    contender.close()
                    continue
            result[name] = {"rounds": [], "error": error, "first": reply.get("first")}
            contenders.append(contender)
        for _ in range(rounds):
            for contender in contenders:
                reply = contender.ask(do="run", seconds=seconds)
                if "error" not in reply:
                    result[contender.name]["rounds"].append(min(reply["times"]))
        for contender in contenders:
            contender.close()
            r = result[contender.name]
            r["us"] = float(np.median(r["rounds"]))
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
    for row in rows:
        cells = []
        for name in names:
            r = row["contenders"].get(name, {})
            cells.append(f"{r['us']:,.1f}" if "us" in r else "failed" if "failed" in r else "-")
        ratio = row.get("ratio")
        text = f"{ratio[0]:.2f}x ({ratio[1]:.2f}-{ratio[2]:.2f}) {row['best_peer']}" if ratio else "no peer"
        table.add_row(row["row"], *cells, text)
    Console(width=max(120, 24 + 18 * len(names))).print(table)
    for row in rows:
        for name, r in row["contenders"].items():
            if "failed" in r:
                print(f"{row['row']}: {name} failed: {r['failed']}")


def save(rows, name):
    """JSON, and a plot where matplotlib is installed."""
    import maas
    from maas import _core

    RESULTS.mkdir(exist_ok=True)
    facts = {"cpu": _core.cpu_info(), "isa": _core.isa(), "maas": maas.__version__, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=1))
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with_ratio = [r for r in rows if "ratio" in r]
    if not with_ratio:
        return
    figure, axes = plt.subplots(figsize=(8, 1 + 0.5 * len(with_ratio)))
    axes.barh([r["row"] for r in with_ratio], [r["ratio"][0] for r in with_ratio])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times faster than the best peer")
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.png")


def arguments(description):
    """Options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("rows", nargs="*", help="only rows whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5, help="per round and contender")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def wanted(label, patterns):
    return not patterns or any(p in label for p in patterns)
