"""One contender in a process of its own, driven line by line over stdin and stdout by `benchmarks.runner`."""

import gc
import importlib
import json
import os
import sys
import time

import numpy as np

from benchmarks.net import Net


def prepare(module, task):
    """(run, result) of a task, and the net."""
    if task["kind"] == "op":
        from tests.ops.case import bench_rows

        op, case = bench_rows()[task["label"]]
        return *module.op(op.name, case, task["threads"]), None
    net = Net.load(task["folder"])
    if task["kind"] == "infer":
        made = module.infer(net, task["threads"], task["program"])
        net.weights.clear()  # mapped files would count as memory
        return *made, net
    y = np.random.default_rng(2).integers(0, 10, len(net.inputs[0]))
    return module.train(net, net.inputs[0], y, task["batch"], task["threads"]), lambda loss: loss, net


def measure(run, seconds):
    """Times of single calls, in microseconds, for about `seconds`; short calls are timed in groups."""
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    group = max(1, int(2e-4 / max(once, 1e-9)))
    times, end = [], start + seconds
    while not times or time.perf_counter() < end:
        t = time.perf_counter()
        for _ in range(group):
            run()
        times.append((time.perf_counter() - t) / group * 1e6)
    return times


def resident():
    """MiB of memory that this process holds."""
    gc.collect()
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def main():
    out, name, run, net = os.fdopen(os.dup(1), "w"), sys.argv[1], None, None
    os.dup2(2, 1)  # what libraries print must not reach the protocol
    module = importlib.import_module(f"benchmarks.baselines.{name}")
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if message["do"] == "prepare":
                run = result = net = None
                run, result, net = prepare(module, message["task"])
                first = result(run())
                if message["task"]["kind"] != "train":
                    np.save(message["output"], first)
                for _ in range(2):
                    run()
                reply = {"first": None if isinstance(first, np.ndarray) else float(first)}
            elif message["do"] == "peaks":
                reply = {"peaks": module.peaks(message["threads"])}
            elif message["do"] == "kernels":
                reply = {"kernels": module.kernels(net)}
            elif message["do"] == "memory":
                reply = {"mib": resident()}
            else:
                reply = {"times": measure(run, message["seconds"])}
        except Exception as error:  # noqa: BLE001, the parent reports it as this contender's result
            reply = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
