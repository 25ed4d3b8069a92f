"""The server against those that PyPI has: same model, same machine, same client (`maas bench`), interleaved rounds.

Ours runs with API keys, limits, metrics and batching on. Each peer lives in a virtual environment of its own, made here
when it is not in the cache yet; one that cannot be made or does not answer right is left out, with the reason. Loopback
only. A server that is not asked is stopped. `--prepare` only makes the environments.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import report, runner
from benchmarks.load_generator import ours
from benchmarks.servers.contenders import REQUIREMENTS, Running, contenders
from benchmarks.servers.environment import python_of

# Row: units of the layers, connections, compute threads, rows that batching servers may take together.
ROWS = {
    "serving, MLP 16-16-4, 16 connections": ((16, 16, 4), 16, 1, 1),
    "serving, MLP 1024-2048-1024, 32 connections": ((1024, 2048, 1024), 32, 2, 32),
}


def make_model(units, folder):
    """Writes model.keras and model.onnx with one input "x"; returns one row of input and its answer."""
    import onnxruntime

    import maas

    layers = maas.layers
    x = layers.Input((units[0],), name="x")
    y = x
    for n in units[1:-1]:
        y = layers.Dense(n, activation="relu")(y)
    model = maas.Model(x, layers.Dense(units[-1], name="y")(y))
    model.save(folder / "model.keras")
    model.export(str(folder / "model.onnx"))
    row = np.random.default_rng(1).standard_normal((1, units[0]), "float32").round(6)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return row, session.run(None, {session.get_inputs()[0].name: row})[0]


def make_key(folder):
    """An API key for everything, and its file."""
    command = [sys.executable, "-m", "maas.cli", "keys", "create", "--keys", str(folder / "keys.json")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def measure(label, options):
    """One row for the table: contenders by name with microseconds per request and percentiles."""
    units, connections, threads, batch = ROWS[label]
    running, result = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x, wanted = make_model(units, folder)
        key = make_key(folder)
        try:
            for contender in contenders():
                if options.only and contender.name not in options.only:
                    continue
                try:
                    server = Running(contender, x, wanted, folder, threads, key, batch)
                except (RuntimeError, OSError) as error:
                    print(f"{contender.name} is left out: {error}", flush=True)
                    result[contender.name] = {"failed": str(error)}
                    continue
                server.signal(signal.SIGSTOP)
                running[contender.name] = server
                result[contender.name] = {"rounds": [], "rates": [], "p50": [], "p99": []}
            for _ in range(options.rounds):
                for name, server in running.items():
                    server.signal(signal.SIGCONT)
                    got = ours(
                        server.url, server.body, options.seconds, connections, server.headers, server.content_type
                    )
                    server.signal(signal.SIGSTOP)
                    if got["errors"]:
                        print(f"{name} answered errors: {got['errors']}", flush=True)
                    r = result[name]
                    r["rates"].append(got["rate"])
                    r["rounds"].append(
                        1e6 / max(got["rate"], 1e-9)
                    )  # microseconds per request: what the table compares
                    r["p50"].append(got["p50"])
                    r["p99"].append(got["p99"])
        finally:
            for server in running.values():
                server.close()
    for r in result.values():
        if r.get("rounds"):
            r["us"] = float(np.median(r["rounds"]))
            r["requests_per_second"] = float(np.median(r["rates"]))
    summary = runner.summarize(label, {n: r for n, r in result.items() if n != "maas-binary"})
    if "us" in result.get("maas-binary", {}):
        binary = {"maas": result["maas-binary"], **{n: r for n, r in result.items() if not n.startswith("maas")}}
        summary["ratio_binary"] = runner.summarize(label, binary).get("ratio")
        summary["contenders"]["maas-binary"] = result["maas-binary"]
    return summary


def show(summary):
    """The row in the terminal, in requests a second."""
    print(summary["row"])
    for name, r in sorted(summary["contenders"].items(), key=lambda kv: kv[1].get("us", np.inf)):
        if "us" in r:
            p50, p99 = float(np.median(r["p50"])), float(np.median(r["p99"]))
            print(f"  {name:20} {r['requests_per_second']:10,.0f} requests/s, p50 {p50:,.0f} us, p99 {p99:,.0f} us")
        else:
            print(f"  {name:20} left out: {r['failed'][:200]}")
    for key, told in (("ratio", "JSON"), ("ratio_binary", "binary")):
        if summary.get(key):
            print("  {}: {:.1f}x ({:.1f}-{:.1f}) {}".format(told, *summary[key], summary["best_peer"]))


def main():
    parser = runner.arguments(__doc__)
    parser.add_argument("--prepare", action="store_true", help="make the environments of the peers and end")
    options = parser.parse_args()
    if options.prepare:
        for name, requirements in REQUIREMENTS.items():
            try:
                python_of(name, requirements)
            except RuntimeError as error:
                print(f"{name} is left out: {error}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server stays behind
    done = []
    for label in ROWS:
        if runner.wanted(label, options.rows):
            done.append(measure(label, options))
            report.save(done, "serving", connections=ROWS[label][1])
            show(done[-1])
    report.plot("serving")


if __name__ == "__main__":
    main()
