"""The C++ tests under ThreadSanitizer, and under AddressSanitizer with UndefinedBehaviorSanitizer.

Only core, graph, ops and runtime are built, at -O1, in build/<sanitizer>, so that the next run compiles what changed.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(p.stem for p in (ROOT / "cpp/tests").glob("*_test.cpp") if not p.stem.startswith("serving"))
# Building both takes minutes that the usual run does not have yet.
pytestmark = pytest.mark.long
OPTIONS = {
    "thread": {"TSAN_OPTIONS": "halt_on_error=1 second_deadlock_stack=1"},
    "address": {
        "ASAN_OPTIONS": "detect_stack_use_after_return=1 allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    },
}


def checked(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert result.returncode == 0, result.stdout[-8000:]
    return result.stdout


@pytest.fixture(scope="module", params=sorted(OPTIONS))
def build(request):
    folder = ROOT / "build" / request.param
    headers = {str(p) for p in map(Path, sys.path) if (p / "cmeel.prefix").is_dir()}
    options = [
        f"-DMAAS_SANITIZE={request.param}",
        "-DMAAS_TESTS=ON",
        "-DMAAS_SERVING=OFF",
        "-DMAAS_CUDA=OFF",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DCMAKE_PREFIX_PATH={';'.join(sorted(headers))}",
    ]
    env = os.environ | {"PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]}
    checked(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *options], env=env)
    checked(["cmake", "--build", folder, "--target", "cpp_tests"], env=env)
    return request.param, folder


def run(build, program, seconds):
    sanitizer, folder = build
    env = os.environ | OPTIONS[sanitizer] | {"MAAS_STRESS_SECONDS": str(seconds)}
    output = checked([folder / "cpp_tests" / program, "--color_output=no"], env=env, timeout=60 + 4 * seconds)
    assert "No errors detected" in output


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(build, program):
    run(build, program, seconds=10)


def test_engine_for_long(build):
    run(build, "engine_test", seconds=300)


def test_a_race_is_found(build):
    """A sanitizer that finds nothing proves little until it is seen to find something."""
    sanitizer, folder = build
    env = os.environ | OPTIONS[sanitizer] | {"MAAS_PLANTED": "1"}
    command = [folder / "cpp_tests/planted_test", "--color_output=no"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert result.returncode != 0
    assert {"thread": "data race", "address": "heap-buffer-overflow"}[sanitizer] in result.stdout
