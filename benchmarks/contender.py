"""One contender in a process of its own, driven line by line over stdin and stdout by `benchmarks.runner`."""

import importlib
import json
import os
import sys
import time

import numpy as np


def prepare(contender, task):
    """The callable to time for a task."""
    from benchmarks import nets

    module = importlib.import_module(f"benchmarks.baselines.{contender}")
    if task["kind"] == "op":
        from tests.ops.case import bench_rows

        op, case = bench_rows()[task["label"]]
        return module.op(op.name, case, task["threads"])
    values = nets.weights(task["net"])
    if task["kind"] == "infer":
        return module.infer(task["net"], values, nets.inputs(task["net"], task["batch"]), task["threads"])
    x = nets.inputs(task["net"], task["rows"])
    y = np.random.default_rng(2).integers(0, 10, task["rows"])
    return module.train(task["net"], values, x, y, task["batch"], task["threads"])


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


def main():
    out, contender, run = os.fdopen(os.dup(1), "w"), sys.argv[1], None
    os.dup2(2, 1)  # what libraries print must not reach the protocol
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if message["do"] == "prepare":
                run = prepare(contender, message["task"])
                first = run()
                if message["task"]["kind"] != "train":
                    np.save(message["output"], first)
                for _ in range(2):
                    run()
                reply = {"ok": True, "first": None if isinstance(first, np.ndarray) else float(first)}
            elif message["do"] == "peaks":
                reply = {
                    "peaks": importlib.import_module(f"benchmarks.baselines.{contender}").peaks(message["threads"])
                }
            else:
                reply = {"times": measure(run, message["seconds"])}
        except Exception as error:  # noqa: BLE001, the parent reports it as this contender's result
            reply = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
