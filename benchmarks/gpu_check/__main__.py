"""`python -m benchmarks.gpu_check`: builds, tests and measures on this machine's GPU; see --help."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

PARTS = ("build", "tests", "bench")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=__doc__)
    parser.add_argument("--part", choices=(*PARTS, "peers", "report", "all"), default="all")
    parser.add_argument("rows", nargs="*", help="only items whose name contains one of these")
    parser.add_argument("--results", default=str(Path(__file__).parent.parent / "results"), help="folder of results")
    parser.add_argument("--device", default="gpu:0")
    parser.add_argument("--seconds", type=float, default=460, help="each part ends in time (default: %(default)g)")
    parser.add_argument("--item-seconds", type=float, default=60, help="of one test (default: %(default)g)")
    parser.add_argument("--workers", type=int, default=max(1, min(14, (os.cpu_count() or 2) - 2)))
    parser.add_argument("--tools", nargs="*", default=["memcheck"], help="of compute-sanitizer")
    parser.add_argument("--failed", action="store_true", help="only what failed last time")
    parser.add_argument("--again", action="store_true", help="also what passed with this build")
    parser.add_argument("--rounds", type=int, default=5, help="of a benchmark (default: %(default)d)")
    parser.add_argument("--quick", action="store_true", help="a short list of benchmarks")
    return parser.parse_args()


def build(options):
    from benchmarks.gpu_check import build_part

    return build_part.run(options)


def main():
    options = arguments()
    # Rows that never ran on hardware are what is to be tried.
    os.environ.setdefault("MAAS_UNVERIFIED", "1")
    parts = PARTS if options.part == "all" else (options.part,)
    if "build" in parts and not build(options):
        return 1
    if parts == ("build",):
        return 0
    try:
        import maas
    except ImportError as error:
        print(f"maas is not built: {error}; run --part build first")
        return 1
    from benchmarks.gpu_check import bench_part, tests_part
    from benchmarks.gpu_check.records import Records, fingerprint

    records = Records(options.results, fingerprint())
    if options.device != "cpu" and "report" not in parts:
        try:
            with maas.device(options.device):
                pass
        except (RuntimeError, ValueError) as error:
            print(f"no GPU: {error}")
            return 2
    for part in parts:
        start = time.monotonic()
        if part == "tests":
            tests_part.run(records, options.device, options)
        if part in ("bench", "peers"):
            bench_part.run(records, options.device, options, compile_only=part == "peers")
        print(f"{part}: {time.monotonic() - start:.0f} s")
    tests = tests_part.tests_of(records.last())
    clean, faulty = tests_part.verdicts(tests)
    verified = {"build": records.build, "clean": sorted(clean), "faulty": sorted(faulty)}
    (Path(options.results) / "verified.json").write_text(json.dumps(verified, indent=1))
    lines = tests_part.summary(records) if "bench" not in parts or len(parts) > 1 else []
    print("\n".join([*lines, *bench_part.summary(records)]))
    return 0 if all(r["ok"] for r in tests.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
