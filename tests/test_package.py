"""Budgets of the installed package: size of the wheel and time of the import."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import maas
from maas import _core

IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def import_seconds(module):
    return float(subprocess.run([sys.executable, "-c", IMPORT.format(module)], capture_output=True, check=True).stdout)


def test_wheel_is_smaller_than_15_mb():
    binary = io.BytesIO()
    with zipfile.ZipFile(binary, "w", zipfile.ZIP_DEFLATED) as wheel:
        for folder in {Path(maas.__file__).parent, Path(_core.__file__).parent}:
            for path in folder.rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    wheel.write(path)
    assert len(binary.getvalue()) < 15e6


def test_import_takes_at_most_1_9_times_import_numpy():
    # The shortest of interleaved rounds: other programs on the machine can only add time.
    rounds = [(import_seconds("maas"), import_seconds("numpy")) for _ in range(9)]
    ours, numpys = map(min, zip(*rounds))
    assert ours <= 1.9 * numpys


def test_import_loads_no_heavy_module():
    program = "import sys, maas, maas.datasets; print(*[m for m in {} if m in sys.modules])"
    heavy = ["h5py", "rich", "safetensors", "sklearn", "scipy", "matplotlib", "onnx", "fastapi", "keras", "jax"]
    result = subprocess.run([sys.executable, "-c", program.format(heavy)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
