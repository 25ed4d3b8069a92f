"""Every row of the GPU benchmarks, one after another; compiled peers come from a cache on disk where there is one."""

import os
import tarfile
import time
from pathlib import Path

from benchmarks.gpu_check.pool import run_items

CACHE = Path("/tmp/maas_inductor")


def rows_wanted(options):
    """(name, whether torch.compile takes part) of the rows that were asked for."""
    from benchmarks.gpu_check import training
    from benchmarks.gpu_check.rows import all_rows

    rows = [(row.name, bool(row.compiled), row.quick) for row in all_rows().values()]
    rows += [(name, False, training.QUICK in name) for name in training.ROWS]
    return [
        (name, compiled) for name, compiled, quick in rows
        if (quick or not options.quick) and (not options.rows or any(p in name for p in options.rows))
    ]  # fmt: skip


def unpack(folder):
    """torch.compile's cache of an earlier run, if it was kept."""
    kept = Path(folder) / "inductor.tgz"
    if kept.exists() and not CACHE.exists():
        with tarfile.open(kept) as tar:
            tar.extractall(CACHE, filter="tar")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(CACHE))


def pack(folder):
    if CACHE.exists():
        with tarfile.open(Path(folder) / "inductor.tgz", "w:gz", compresslevel=3) as tar:
            tar.add(CACHE, arcname=".")


def run(records, device, options, compile_only=False):
    """The part; returns the number of rows that did not run in time."""
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or not torch.cuda.is_available():
        print("bench: torch sees no GPU, so nothing is measured")
        return 0
    os.environ["GPU_CHECK_ROUNDS"] = str(options.rounds)
    unpack(options.results)
    start = time.monotonic()
    deadline = start + options.seconds
    rows = rows_wanted(options)
    if compile_only:
        items = [f"peer:{name}" for name, compiled in rows if compiled]
        left = run_items(items, device, records, min(options.workers, 8), 240, deadline)
        pack(options.results)
        return len(left)
    done = records.done() if not options.again else set()
    items = [i for i in ("bench:peaks", *(f"bench:{name}" for name, _ in rows)) if i not in done]
    if options.failed:
        items = [i for i in items if i in records.failed() or i not in records.last()]
    left = run_items(items, device, records, 1, 120, deadline)
    pack(options.results)
    print(f"bench: {time.monotonic() - start:.0f} s, {len(left)} rows left for the next run")
    return len(left)


def summary(records):
    """A line for every row: ratio to the best peer, microseconds, rate and share of the peak, error, host steps."""
    last = {i[6:]: r for i, r in records.last().items() if i.startswith("bench:")}
    if not last:
        return []
    peaks = last.pop("peaks", {})
    lines = [
        f"bench on {peaks.get('card')}: measured {peaks.get('tflops')} TFLOP/s bf16, {peaks.get('tbytes')} TB/s copy"
    ]
    for name, r in last.items():
        if "us" not in r:
            lines.append(f"{name[:52]:52s} FAILED {r.get('error', '')[:90]}")
            continue
        us, units = r["us"], r["units"]
        rate, share = units.get("maas", (0, 0))
        ours = f"{us['maas']:9.1f}us {rate:7.2f} {100 * (share or 0):3.0f}%" if "maas" in us else "-"
        ratio = f"{r['ratio'][0]:5.2f}x" if "ratio" in r else "     -"
        peers = " ".join(f"{n}:{v:.1f}" for n, v in us.items() if n != "maas")
        more = f" host:{','.join(r['host'])}" if r["host"] else ""
        wrong = f" !{r['problems']['maas'][:70]}" if "maas" in r["problems"] else ""
        old = " (an earlier build)" if r["build"] != records.build else ""
        lines.append(f"{name[:46]:46s} {ratio} {ours} | {peers}{more}{wrong}{old}")
    return lines
