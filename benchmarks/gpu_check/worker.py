"""Runs items on a device: `python -m benchmarks.gpu_check.worker gpu:0 [ITEM ...]`, or those that stdin names."""

import json
import os
import sys
import traceback

import numpy as np


def healthy(device):
    """Whether the device still computes: after an illegal address nothing in this process does."""
    from maas import _core
    from tests.cuda.checks import on

    try:
        with on(device):
            return np.asarray(_core.add(np.ones(3, "float32"), np.ones(3, "float32"))).tolist() == [2, 2, 2]
    except Exception:  # noqa: BLE001
        return False


def run(item, device):
    """{"ok", "checks": [{"name", "error", "rows", "host"}], ...} of one item."""
    from benchmarks.gpu_check import items

    kind, _, name = item.partition(":")
    if kind in ("bench", "peer"):
        return measured(kind, name)
    checks = []
    for name, function in items.checks(item):
        check = items.Check(name)
        try:
            function(check, device)
        except items.Skipped as reason:
            checks.append({"name": name, "error": None, "rows": [], "host": [], "skipped": str(reason)})
            continue
        except Exception as error:  # noqa: BLE001, it is the result
            text = str(error)
            if isinstance(error, NotImplementedError) and "maas was built without" in text:
                checks.append({"name": name, "error": None, "rows": [], "host": [], "skipped": text})
                continue
            place = traceback.extract_tb(error.__traceback__)[-1]
            check.error = f"{type(error).__name__}: {text[:500]} ({os.path.basename(place.filename)}:{place.lineno})"
        checks.append({"name": name, "error": check.error, "rows": sorted(check.rows), "host": sorted(check.host)})
        if check.error and not healthy(device):
            return {"ok": False, "checks": checks, "error": "the device is broken after this", "broken": True}
    return {"ok": all(c["error"] is None for c in checks), "checks": checks}


def measured(kind, name):
    """One row of the benchmarks; a worker that failed starts anew, for its memory may be full."""
    from benchmarks.gpu_check import measure, training
    from benchmarks.gpu_check.rows import all_rows

    rounds = int(os.environ.get("GPU_CHECK_ROUNDS", "5"))

    try:
        if name == "peaks":
            return measure.peaks()
        if kind == "peer":
            measure.compile_only(all_rows()[name])
            return {"ok": True}
        if name in training.ROWS:
            return training.measure(name, rounds, os.environ.get("GPU_CHECK_COMPILE", "1") == "1")
        result = measure.measure(all_rows()[name], rounds)
        return {**result, "broken": "maas" in result["problems"] and not healthy("gpu:0")}
    except Exception as error:  # noqa: BLE001, it is the result
        return {"ok": False, "error": f"{type(error).__name__}: {error}"[:500], "broken": True}


def main():
    device, given = sys.argv[1], sys.argv[2:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not reach the protocol
    from maas import _core

    _core.set_num_threads(1)
    for line in given or sys.stdin:
        answer = run(line if given else json.loads(line), device)
        out.write(json.dumps(answer) + "\n")
        out.flush()
        if answer.get("broken"):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
