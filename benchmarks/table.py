"""The results of earlier runs as one Markdown table, worst ratio first: `python -m benchmarks.table [ops models]`."""

import json
import sys

from benchmarks.runner import RESULTS


def table(names=("ops", "models")):
    """Lines of the table."""
    rows = [
        r
        for n in names
        if (RESULTS / f"{n}.json").exists()
        for r in json.loads((RESULTS / f"{n}.json").read_text())["rows"]
    ]
    peers = [p for p in dict.fromkeys(p for r in rows for p in r["contenders"]) if p != "maas"]
    lines = ["| row | ratio (95 %) | best peer | of peak | maas, us | " + " | ".join(peers) + " | kernels |"]
    lines.append("|---" * (len(peers) + 6) + "|")
    for row in sorted(rows, key=lambda r: r["ratio"][0] if "ratio" in r else 0):
        times = {n: f"{r['us']:,.1f}" if "us" in r else "failed" for n, r in row["contenders"].items()}
        ratio = "{:.2f} ({:.2f}-{:.2f})".format(*row["ratio"]) if "ratio" in row else "-"
        share = f"{row['share']:.0%} {row['bound']}" if "share" in row else ""
        cells = [row["row"], ratio, row.get("best_peer", "-"), share, times.get("maas", "-")]
        lines.append("| " + " | ".join([*cells, *(times.get(p, "-") for p in peers), kernels(row)]) + " |")
    return lines


def kernels(row, most=3):
    """The kernels that took most of the time, with their share."""
    spent = row.get("kernels")
    if not isinstance(spent, list):
        return ""
    by_name, total = {}, sum(us for *_, us in spent) or 1
    for _, kernel, us in spent:
        by_name[kernel] = by_name.get(kernel, 0) + us
    first = sorted(by_name.items(), key=lambda kv: -kv[1])[:most]
    return ", ".join(f"{name} {us / total:.0%}" for name, us in first)


if __name__ == "__main__":
    print("\n".join(table(sys.argv[1:] or ("ops", "models"))))
