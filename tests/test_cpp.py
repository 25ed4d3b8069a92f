"""Builds the C++ tests in the folder where the package was built, so that only what changed compiles, and runs each."""

from pathlib import Path

import pytest

from tests.cpp_build import checked, configured, make

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(path.stem for path in (ROOT / "cpp/tests").glob("*_test.cpp"))


@pytest.fixture(scope="session")
def build():
    make("cpp_tests")
    return configured()


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(build, program):
    if program.startswith("cuda_") and "MAAS_CUDA_HEADERS-NOTFOUND" in (build / "CMakeCache.txt").read_text():
        pytest.skip("no GPU to emulate: it needs cuda_runtime_api.h of a CUDA toolkit")
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
