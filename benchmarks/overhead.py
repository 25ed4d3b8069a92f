"""What `model(x)` and `predict` cost above the plan's own time, on the smallest networks: `python -m benchmarks.overhead`.

The plan's own time is the sum of its steps, timed inside the engine; all are the least of many.
"""

import json
import time

import numpy as np

from benchmarks import runner
from benchmarks.model_rows import rows

NAMES = ("M4 MLP 16-16-4 batch 1", "M1 LeNet-5 batch 1", "M2 tutorial CNN 28x28 batch 1")


def least(run, seconds):
    """Least time of a call in microseconds, over groups of calls."""
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(20):
            run()
        best = min(best, (time.perf_counter() - start) / 20)
    return best * 1e6


def measure(row, seconds):
    """Microseconds of the plan, of `program(x)`, `model(x)` and `model.predict(x)`."""
    import maas
    from maas.models.programs import inference_program

    net = row.net()
    model, x = net.build(maas), net.inputs[0]
    program = inference_program(model)[0]
    # A profile times every step by itself, so a plan of few steps is known to about a tenth of a microsecond.
    plan = min(sum(step["us"] for step in program.profile([x], 50)) for _ in range(20))
    calls = {"program(x)": lambda: program(x), "model(x)": lambda: model(x)}
    calls["predict(x)"] = lambda: model.predict(x, verbose=0)
    return {"row": row.label, "plan": plan, **{n: least(f, seconds) for n, f in calls.items()}}


def main():
    options = runner.arguments(__doc__).parse_args()
    import maas

    maas.set_num_threads(options.threads)
    found = [
        measure(r, 5 * options.seconds) for r in rows() if r.label in NAMES and runner.wanted(r.label, options.rows)
    ]
    for r in found:
        above = {n: r[n] - r["plan"] for n in ("program(x)", "model(x)", "predict(x)")}
        told = ", ".join(f"{n} {us:+.2f} us" for n, us in above.items())
        print(f"{r['row']}: plan {r['plan']:.2f} us; above it: {told}")
    runner.RESULTS.mkdir(exist_ok=True)
    (runner.RESULTS / "overhead.json").write_text(json.dumps(found, indent=1, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
