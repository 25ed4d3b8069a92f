"""Every test on the device: workers side by side, a tool for memory errors beside them, then what needs it alone."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from shutil import which

from benchmarks.gpu_check import items
from benchmarks.gpu_check.pool import ROOT, first_error, run_items
from maas import _core


def sanitizer():
    """Path of compute-sanitizer, or None."""
    return which("compute-sanitizer") or next(
        (p for p in ("/usr/local/cuda/bin/compute-sanitizer",) if os.access(p, os.X_OK)), None
    )


def sanitize(tool, chosen, device, seconds, records):
    """Runs items under a tool of compute-sanitizer; one result, `sanitizer:<tool>:<first item>`."""
    name, command = f"sanitizer:{tool}:{chosen[0]}", sanitizer()
    if command is None:
        records.add(name, ok=True, unavailable="compute-sanitizer is not installed")
        return
    log = tempfile.TemporaryFile()
    start = time.monotonic()
    process = subprocess.Popen(
        [command, "--tool", tool, "--error-exitcode", "66", sys.executable, "-m", "benchmarks.gpu_check.worker",
         device, *chosen],
        stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the tool and what it runs: that would go on using the GPU
        status = process.wait()
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    report = [line for line in lines if line.startswith("=========")]
    ran = sum(1 for line in lines if line.startswith('{"ok"'))
    refused = any("not supported" in line or "Unable to find" in line for line in report)
    result = {"seconds": round(time.monotonic() - start, 1), "ran": f"{ran} of {len(chosen)} items", "status": status}
    if refused:
        records.add(name, ok=True, unavailable="; ".join(report)[:400], **result)
        return
    # Calls that refuse memory are errors to the tool, and wanted: only kernels count.
    bad = [line for line in report if "Invalid" in line or "hazard" in line or "Race" in line or "leaked" in line]
    records.add(name, ok=not bad, error=None if not bad else "\n".join(report)[:3000], report=report[-1:], **result)


def run(records, device, options):
    """The part; returns the number of items that did not run in time."""
    start = time.monotonic()
    deadline = start + options.seconds
    everything = [*items.all_items(), *items.plain(), *items.alone()]
    done = records.done() if not options.again else set()
    wanted = [
        i for i in everything if i not in done and (not options.rows or any(p in items.label(i) for p in options.rows))
    ]
    if options.failed:
        failed, ever = records.failed(), records.last()
        wanted = [i for i in wanted if i in failed or i not in ever]
    print(f"tests: {len(wanted)} of {len(everything)} items to run on {device}, {options.workers} workers")
    tools = []
    if not options.rows and not options.failed:
        short = items.short_list()
        for tool in options.tools:
            shards = 3
            for shard in range(shards):
                args = (tool, short[shard::shards], device, options.seconds * 0.75, records)
                tools.append(threading.Thread(target=sanitize, args=args))
    for thread in tools:
        thread.start()
    lonely, behind = set(items.alone()), set(items.plain())
    left = run_items(
        [i for i in wanted if i not in lonely | behind],
        device, records, options.workers, options.item_seconds, deadline - 20,
    )  # fmt: skip
    left += run_items(
        [i for i in wanted if i in behind], device, records, options.workers, options.item_seconds, deadline - 15,
        env={"MAAS_WITHOUT_ROWS": items.HARDWARE},
    )  # fmt: skip
    for thread in tools:
        thread.join()
    left += run_items([i for i in wanted if i in lonely], device, records, 1, options.item_seconds, deadline)
    print(f"tests: {time.monotonic() - start:.0f} s, {len(left)} items left for the next run")
    return len(left)


def tests_of(last):
    """Results of cases, models and the rest."""
    return {i: r for i, r in last.items() if i.split(":")[0] in ("case", "plain", "model", "interop", "memory")}


def summary(records):
    """Lines about tests, the newest result of each item: counts, failures by cause, rows, ops of the host."""
    last = records.last()
    tests = tests_of(last)
    old = sum(1 for r in tests.values() if r["build"] != records.build)
    bad = {i: r for i, r in tests.items() if not r["ok"]}
    clean, faulty = verdicts(tests)
    host = {}
    for item, r in tests.items():
        for check in r.get("checks", ()):
            for op in check["host"]:
                host.setdefault(op, set()).add(item)
    lines = [
        f"tests: {len(tests) - len(bad)} items passed, {len(bad)} failed, {old} results are of an earlier build",
        f"rows: {len(clean)} clean, {len(faulty)} not",
    ]
    causes = {}
    for item, r in bad.items():
        op = item.removeprefix("plain:").split(":")[1]
        rows = sorted({row for c in r.get("checks", ()) if c["error"] for row in c["rows"]})
        causes.setdefault((op, ",".join(rows)[:80]), []).append((item, first_error(r)))
    for (op, rows), found in sorted(causes.items(), key=lambda c: -len(c[1]))[:40]:
        lines.append(f"  {len(found):3d}x {op} [{rows}] e.g. {found[0][0]}: {found[0][1][:170]}")
    known = {row for _, row, isa in _core.kernel_rows() if isa == "cuda"}
    lines.append("rows that nothing ran: " + " ".join(sorted(known - clean - faulty)))
    lines.append("rows not clean: " + " ".join(sorted(faulty)))
    lines.append("host steps: " + " ".join(f"{op}({len(i)})" for op, i in sorted(host.items())))
    for item, r in last.items():
        if item.startswith("sanitizer:"):
            words = r.get("unavailable") or r.get("error") or " ".join(r.get("report", []))
            lines.append(f"{item.split(':')[1]}: {'ok' if r['ok'] else 'FAILED'} {r.get('ran', '')} {words[:300]}")
    return lines


def verdicts(tests):
    """(rows that ran in a check and never in a failing one, rows that ran in a failing one)."""
    seen, faulty = set(), set()
    for r in tests.values():
        for check in r.get("checks", ()):
            seen |= set(check["rows"])
            if check["error"]:
                faulty |= set(check["rows"])
    return seen - faulty, faulty
