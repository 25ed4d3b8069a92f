"""The command that runs everything on a GPU, without one: crashes, hangs, results that are kept, marks taken off."""

import sys
import time

from benchmarks.gpu_check import items, tests_part
from benchmarks.gpu_check.pool import run_items
from benchmarks.gpu_check.records import Records
from benchmarks.gpu_check.verified import unmark

WORKER = """
import json, os, sys, time
for line in sys.stdin:
    item = json.loads(line)
    if item == "crash":
        print("illegal address", file=sys.stderr, flush=True)
        os.abort()
    if item == "hang":
        time.sleep(60)
    print(json.dumps({"ok": item != "wrong", "broken": item == "wrong", "checks": []}), flush=True)
"""


def test_a_crash_or_a_hang_costs_one_item(tmp_path):
    records, said = Records(tmp_path, "one"), []
    names = ["a", "crash", "b", "hang", "c", "wrong", "d"]
    left = run_items(
        names, "gpu:0", records, workers=2, seconds=2, say=said.append, command=[sys.executable, "-c", WORKER]
    )
    assert left == [] and records.done() == {"a", "b", "c", "d"}
    assert records.failed() == {"crash", "hang", "wrong"} and len(said) == 3
    assert "illegal address" in records.last()["crash"]["error"]
    assert records.last()["hang"]["error"].startswith("timeout after 2 s")


def test_what_the_deadline_leaves_is_for_the_next_run(tmp_path):
    records = Records(tmp_path, "one")
    left = run_items(
        ["a", "b"], "gpu:0", records, workers=1, deadline=time.monotonic() - 1, command=[sys.executable, "-c", WORKER]
    )
    assert left == ["a", "b"] and not records.all


def test_results_count_for_the_build_they_came_from(tmp_path):
    Records(tmp_path, "old").add("case:softmax:0", ok=True, checks=[])
    with (tmp_path / "gpu_check.jsonl").open("a") as file:
        file.write('{"item": "case:sof')  # the run was cut short here
    new = Records(tmp_path, "new")
    assert new.done() == set() and set(new.last()) == {"case:softmax:0"}
    new.add("case:softmax:1", ok=True, checks=[])
    assert Records(tmp_path, "old").done() == {"case:softmax:0"} and len(Records(tmp_path, "old").last()) == 2


def test_a_row_is_clean_when_no_check_that_ran_it_failed():
    def check(error, *rows):
        return {"name": "forward", "error": error, "rows": rows, "host": []}

    tests = {
        "case:a:0": {"ok": False, "checks": [check(None, "a_cuda", "b_cuda"), check("wrong", "b_cuda")]},
        "case:a:1": {"ok": True, "checks": [check(None, "a_cuda")]},
    }
    assert tests_part.verdicts(tests) == ({"a_cuda"}, {"b_cuda"})


def test_every_item_has_checks():
    names = [*items.all_items(), *items.alone()]
    assert len(set(names)) == len(names) > 1000
    assert all(list(items.checks(name)) for name in names)
    assert set(items.short_list()) <= set(names)


def test_marks_are_taken_off_clean_rows_alone():
    text = (
        "MAAS_CUDA_KERNEL(a_cuda, sm90, f32, cuda_unverified)\n"
        "MAAS_CUDA_KERNEL(b_cuda, sm90, f32, cuda_unverified | cuda_reports)\n"
        "MAAS_CUDA_HARDWARE_KERNEL_SCRATCH(c_cuda, sm90, bf16, cuda_reports | cuda_unverified, 64)\n"
        "MAAS_CUDA_KERNEL(d_cuda, sm90, f32, cuda_unverified, 4, 8)\n"
        "MAAS_CUDA_KERNEL(e_cuda, sm90, f32, cuda_unverified)\n"
    )
    new, changed = unmark(text, {"a_cuda", "b_cuda", "c_cuda", "d_cuda"})
    assert changed == ["a_cuda", "b_cuda", "c_cuda", "d_cuda"]
    assert new == (
        "MAAS_CUDA_KERNEL(a_cuda, sm90, f32)\n"
        "MAAS_CUDA_KERNEL(b_cuda, sm90, f32, cuda_reports)\n"
        "MAAS_CUDA_HARDWARE_KERNEL_SCRATCH(c_cuda, sm90, bf16, cuda_reports, 64)\n"
        "MAAS_CUDA_KERNEL(d_cuda, sm90, f32, cuda_plain, 4, 8)\n"
        "MAAS_CUDA_KERNEL(e_cuda, sm90, f32, cuda_unverified)\n"
    )
