"""Single ops against torch: time, GFLOP/s or GB/s, share of the peak measured in the same run."""

import numpy as np

from benchmarks import runner
from tests.ops.bench_rows import ROWS

CONTENDERS = ("maas", "torch")


def main():
    options = runner.arguments(__doc__).parse_args()
    yardstick = runner.Contender("maas")
    peaks = yardstick.ask(do="peaks", threads=options.threads)
    yardstick.close()
    gflops, gbytes = peaks.get("peaks", (float("nan"),) * 2)
    print(
        f"measured here, {options.threads} threads: {gflops:.0f} GFLOP/s in a product of 1536 cubed, "
        f"{gbytes:.1f} GB/s in a large addition"
    )
    rows = []
    for row in ROWS:
        if not runner.wanted(row.label, options.rows):
            continue
        task = {"kind": "op", "label": row.label, "threads": options.threads}
        result = runner.compare(task, CONTENDERS, options.rounds, options.seconds)
        summary = runner.summarize(row.label, result)
        us = result.get("maas", {}).get("us")
        if us:
            moved = 4.0 * sum(np.prod(s) for s in row.shapes)
            summary["share of peak"] = row.flops / us / 1e3 / gflops if row.flops else moved / us / 1e3 / gbytes
            summary["row"] += (
                f" ({row.flops / us / 1e3:.0f} GFLOP/s)" if row.flops else f" ({moved / us / 1e3:.1f} GB/s read)"
            )
        rows.append(summary)
    runner.show(rows, "ops, float32")
    runner.save(rows, "ops")


if __name__ == "__main__":
    main()
