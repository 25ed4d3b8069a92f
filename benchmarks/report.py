"""Results as lines, a table in the terminal, JSON, a plot, and Markdown: `python -m benchmarks.report [ops models]`
prints what earlier runs left, worst ratio first."""

import json
import sys
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"


def line(summary):
    """A row of the table in one line."""
    times = {n: r.get("us") for n, r in summary["contenders"].items()}
    told = " ".join(f"{n}={t:.1f}" if t else f"{n}=failed" for n, t in times.items())
    ratio = f"{summary['ratio'][0]:.2f}x {summary['best_peer']}" if "ratio" in summary else "no peer"
    return f"{summary['row']}: {ratio}; {told}"


def show(rows, title):
    """Table in the terminal."""
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(n for row in rows for n in row["contenders"]))
    table = Table(title=title)
    table.add_column("row")
    for name in names:
        table.add_column(f"{name}, us", justify="right")
    table.add_column("ratio to best peer (95 %)", justify="right")
    table.add_column("of peak", justify="right")
    near = any("near_share" in row for row in rows)
    if near:
        table.add_column("neighbours", justify="right")
    for row in rows:
        cells = []
        for name in names:
            r = row["contenders"].get(name, {})
            cells.append(f"{r['us']:,.1f}" if "us" in r else "failed" if "failed" in r else "-")
        ratio = row.get("ratio")
        text = f"{ratio[0]:.2f}x ({ratio[1]:.2f}-{ratio[2]:.2f}) {row['best_peer']}" if ratio else "no peer"
        share = f"{row['share']:.0%} {row['bound']}" if "share" in row else ""
        table.add_row(row["row"], *cells, text, share, *([f"{row.get('near_share', 0):.0%}"] if near else []))
    Console(width=max(120, 44 + 18 * len(names))).print(table)
    for row in rows:
        for name, r in row["contenders"].items():
            if "failed" in r:
                print(f"{row['row']}: {name} failed: {r['failed'][:300]}")


def save(rows, name, **facts):
    """JSON. Rows of earlier runs that were not measured now are kept."""
    import maas
    from maas import _core

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    new = {row["row"] for row in rows}
    rows = [row for row in before if row["row"] not in new] + rows
    facts = {"cpu": _core.cpu_info(), "isa": _core.isa(), "maas": maas.__version__, **facts, "rows": rows}
    path.write_text(json.dumps(facts, indent=1))


def plot(name):
    """A picture of the ratios in the JSON, where matplotlib is installed."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path = RESULTS / f"{name}.json"
    with_ratio = sorted(
        (r for r in json.loads(path.read_text())["rows"] if r.get("ratio")), key=lambda r: r["ratio"][0]
    )
    if not with_ratio:
        return
    figure, axes = plt.subplots(figsize=(8, 1 + 0.25 * len(with_ratio)))
    middle, low, high = np.transpose([r["ratio"] for r in with_ratio])
    axes.barh([r["row"] for r in with_ratio], middle, xerr=[np.maximum(middle - low, 0), np.maximum(high - middle, 0)])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times faster than the best peer")
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"))
    plt.close(figure)


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
