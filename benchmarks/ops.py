"""Single ops and small blocks against the installed peers (benchmarks/op_rows.py), checked in float64. Named on the
command line, or with --cases, also the cases of tests/ops that say bench=True, against torch."""

from benchmarks import runner
from benchmarks.op_rows import rows


def measure_cases(options):
    """Rows of the case files: compiled programs against torch's functions."""
    from tests.ops.case import bench_rows

    contenders, done = runner.Contenders(), []
    try:
        for label, (op, case) in bench_rows().items():
            if not runner.wanted(label, options.rows):
                continue
            task = {"kind": "op", "label": label, "threads": options.threads}
            operands = case.operands()
            output = op.wanted(case, operands)[0]
            result = runner.compare(contenders, task, ("maas", "torch"), options.rounds, options.seconds, output)
            us, moved = result["maas"].get("us"), sum(a.nbytes for a in operands)
            rate = f"{case.flops / us / 1e3:.0f} GFLOP/s" if us and case.flops else ""
            rate = rate or (f"{moved / us / 1e3:.1f} GB/s read" if us else "failed")
            done.append(runner.summarize(f"{label} ({rate})", result))
    finally:
        contenders.close()
    if done:
        runner.show(done, "cases of tests/ops, float32")
        runner.save(done, "cases")
        runner.plot("cases")


def main():
    parser = runner.arguments(__doc__)
    parser.add_argument("--cases", action="store_true", help="also the cases of tests/ops")
    options = parser.parse_args()
    found = runner.chosen(rows(), options)
    if found:
        runner.measure_rows(found, options, "ops, float32", "ops")
    if options.cases or options.rows:
        measure_cases(options)


if __name__ == "__main__":
    main()
