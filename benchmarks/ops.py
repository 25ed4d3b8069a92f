"""Single ops against torch, on the cases of tests/ops that say bench=True: time, GFLOP/s or GB/s, share of the peak
measured in the same run. Outputs are checked against the case's float64 reference."""

from benchmarks import runner
from tests.ops.case import bench_rows

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
    for label, (op, case) in bench_rows().items():
        if not runner.wanted(label, options.rows):
            continue
        task = {"kind": "op", "label": label, "threads": options.threads}
        operands = case.operands()
        wanted = op.wanted(case, operands)[0]
        result = runner.compare(task, CONTENDERS, options.rounds, options.seconds, wanted)
        summary = runner.summarize(label, result)
        us = result.get("maas", {}).get("us")
        if us:
            moved = sum(a.nbytes for a in operands)
            summary["share of peak"] = case.flops / us / 1e3 / gflops if case.flops else moved / us / 1e3 / gbytes
            summary["row"] += (
                f" ({case.flops / us / 1e3:.0f} GFLOP/s)" if case.flops else f" ({moved / us / 1e3:.1f} GB/s read)"
            )
        rows.append(summary)
    runner.show(rows, "ops, float32")
    runner.save(rows, "ops")


if __name__ == "__main__":
    main()
