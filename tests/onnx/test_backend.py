"""ONNX's own backend tests: every case as a Plan; those that do not pass are listed with reasons."""

import pickle
import string
import subprocess
import sys

import numpy as np
import pytest

from maas import _core
from tests.onnx import backend
from tests.onnx.not_passing import reasons


def _failures(cases):
    failed = {}
    for case in cases:
        try:
            backend.run_case(case)
        except Exception as e:  # noqa: BLE001, whatever goes wrong is told together
            failed[case.name] = f"{type(e).__name__}: {str(e).strip()[:300]}"
    return failed


def _check(cases):
    known, failed = reasons(), _failures(cases)
    new = {name: text for name, text in failed.items() if name not in known}
    assert not new, "\n".join(f"{name}: {text}" for name, text in new.items())
    passing = [c.name for c in cases if c.name in known and c.name not in failed]
    assert not passing, f"these pass and must leave the list: {passing}"


@pytest.mark.parametrize("letter", string.ascii_lowercase)
def test_node_cases(letter):
    found = [c for name, c in backend.cases("node").items() if name.removeprefix("test_").startswith(letter)]
    _check(found)


@pytest.mark.parametrize("kind", [k for k in backend.KINDS if k != "node"])
def test_model_cases(kind):
    assert len(backend.cases(kind)) > 10
    _check(list(backend.cases(kind).values()))


def test_all_node_cases_have_a_letter():
    names = backend.cases("node")
    assert len(names) > 1500 and all(n.removeprefix("test_")[0] in string.ascii_lowercase for n in names)
    known = reasons()
    everything = {n for kind in backend.KINDS for n in backend.cases(kind)}
    assert set(known) <= everything, sorted(set(known) - everything)


_ALONE = """
import pickle, sys
class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("onnx.reference", "onnxruntime", "onnx.backend")):
            raise ImportError(name)
sys.meta_path.insert(0, Barred())
import maas
from maas.onnx import trace
ops, cases = pickle.load(sys.stdin.buffer)
walk, programs = trace.convert, 0
for name, data, inputs in cases:
    model = maas.onnx.load(data)
    trace.convert = walk
    model(*inputs)
    trace.convert = None  # a second call walks no node: all that runs is the program
    model(*inputs)
    for program in model._onnx_programs.values():
        programs += 1
        unknown = {op for op, _ in program.kernels} - ops
        assert not unknown, (name, unknown)
assert not [m for m in sys.modules if m.startswith(("onnx.reference", "onnxruntime"))]
print(programs)
"""


def test_cases_are_plans_of_registered_ops():
    """In a process without other engines; the second call of every model runs its program and nothing else."""
    known = reasons()
    chosen = [
        (name, case.model.SerializeToString(), case.data_sets[0][0])
        for name, case in backend.cases("node").items()
        if name not in known and "expanded" not in name and all(isinstance(x, np.ndarray) for x in case.data_sets[0][0])
    ]
    assert len(chosen) > 1000
    names = set(_core.op_names())
    done = subprocess.run(
        [sys.executable, "-c", _ALONE], input=pickle.dumps((names, chosen)), capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert int(done.stdout) >= len(chosen) * 0.9
