"""Resident memory of a process that has loaded a network and run it, for every contender: `python -m
benchmarks.memory [row of benchmarks.models]`. The peers read their own files; what only made those is not counted."""

import json
import tempfile

from benchmarks import runner
from benchmarks.baselines import INFERENCE, MORE
from benchmarks.model_rows import rows
from benchmarks.net import Net


def measure(row, options):
    """Name -> reply with the MiB of a fresh process, its libraries included, after a warm-up."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        row.net().save(folder)
        contenders = runner.Contenders()
        Net.load(folder).save_onnx()
        for name in options.only or (*INFERENCE, *(MORE if options.all else ())):
            contender = contenders.get(name)
            if contender is None:
                continue
            task = {"kind": "infer", "folder": folder, "threads": options.threads, "program": False}
            reply = contender.ask(do="prepare", task=task, output=f"{folder}/out.npy")
            if "error" not in reply:
                contender.ask(do="run", seconds=options.seconds)
                reply = contender.ask(do="memory")
            found[name] = reply
            contenders.drop(name)
    return found


def main():
    options = runner.arguments(__doc__).parse_args()
    patterns = options.rows or ["M5 ResNet-50 batch 1"]
    result = {}
    for row in rows():
        if runner.wanted(row.label, patterns):
            found = result[row.label] = measure(row, options)
            known = {n: r["mib"] for n, r in found.items() if "mib" in r}
            peers = {n: m for n, m in known.items() if n != "maas"}
            for name, reply in found.items():
                print(f"{row.label}: {name} {reply['mib']:.0f} MiB" if "mib" in reply else f"{name}: {reply['error']}")
            if "maas" in known and peers:
                print(f"{row.label}: maas over the least peer: {known['maas'] / min(peers.values()):.2f}")
    runner.RESULTS.mkdir(exist_ok=True)
    (runner.RESULTS / "memory.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
