"""Builds the C++ tests in the folder where the package was built, so that only what changed compiles, and runs each."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import maas

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(path.stem for path in (ROOT / "cpp/tests").glob("*_test.cpp"))
EDITABLE = (
    ROOT in Path(maas.__file__).parents and Path(sysconfig.get_path("platlib")) not in Path(maas.__file__).parents
)


def checked(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert result.returncode == 0, result.stdout[-8000:]
    return result.stdout


def kept_options(cache):
    """Options that must stay as they were when the package was built, for its objects to be used again."""
    text = cache.read_text(encoding="utf-8") if cache.exists() else ""
    kept = r"^((?:MAAS|CMAKE_CXX_COMPILER|CMAKE_BUILD_TYPE)\w*:\w+=.*)$"
    return [f"-D{option}" for option in re.findall(kept, text, re.MULTILINE)]


@pytest.fixture(scope="session")
def build():
    folder = ROOT / "build" / ("editable" if EDITABLE else sys.implementation.cache_tag)
    options = [*kept_options(folder / "CMakeCache.txt"), "-DMAAS_TESTS=ON", f"-DPython_EXECUTABLE={sys.executable}"]
    if not EDITABLE:  # the cache names files of pip's temporary build environment
        (folder / "CMakeCache.txt").unlink(missing_ok=True)
    # cmake and ninja of [test] lie beside this Python, which need not be on PATH.
    env = os.environ | {"PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]}
    checked(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *options], env=env)
    checked(["cmake", "--build", folder, "--target", "cpp_tests"], env=env)
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(build, program):
    if program.startswith("cuda_") and "MAAS_CUDA_HEADERS-NOTFOUND" in (build / "CMakeCache.txt").read_text():
        pytest.skip("needs the headers of a CUDA toolkit")
    output = checked([build / "cpp_tests" / program, "--color_output=no"], timeout=600)
    assert "No errors detected" in output


def test_every_test_file_is_a_program():
    assert PROGRAMS and PROGRAMS == sorted(path.stem for path in (ROOT / "cpp/tests").rglob("*.cpp"))


def test_isa_objects_leak_no_code(build):
    """A weak symbol compiled for AVX-512 may be the copy that the linker keeps for every CPU."""
    sources = [path.relative_to(ROOT) for path in (ROOT / "cpp").rglob("*.*.cpp")]
    leaks = []
    for source in sources:
        isa = source.suffixes[-2].lstrip(".")
        kernels = 0
        for line in checked(["nm", "--defined-only", build / f"CMakeFiles/maas_objects.dir/{source}.o"]).splitlines():
            kind, name = line.split()[-2:]
            is_kernel = kind == "T" and isa in name.replace("_", "")
            kernels += is_kernel
            if kind not in "bdrtn" and not is_kernel:  # lower case: local to the file
                leaks.append(f"{source}: {kind} {name}")
        if kernels == 0:
            leaks.append(f"{source}: no kernel named after {isa}")
    assert sources and not leaks
