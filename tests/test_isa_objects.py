"""cpp/simd leaves nothing in an object that a linker could share: no weak and no global symbol besides the kernels.

test_cpp.py checks the objects of the real kernels; here every primitive of the headers is compiled, on every ISA.
"""

import subprocess
from pathlib import Path

import pytest

from .test_simd import HERE, ISAS, ROOT, flags

PROGRAM = """
#include "simd/isa.h"
namespace maas {
using namespace simd;
#define SIMD_1(NAME, ORACLE) \\
  void NAME##_ISA(const float* x, float* y, int64_t n) { map<V>(x, y, n, 0.f, [](V a) { return NAME(a); }); }
#define SIMD_2(NAME, ORACLE) \\
  void NAME##_ISA(const float* x, float* y, int64_t n) { \\
    map2<V>(x, y, y, n, 0.f, [](V a, V b) { return NAME(a, b); }); \\
  }
#include "functions.inc"
void copy_ISA(const bf16* x, f16* y, int64_t n) { map<V>(x, y, n, 0.f, [](V a) { return a; }); }
void cast_ISA(const int64_t* x, int8_t* y, int64_t n) { map<V>(x, y, n, 0.f, [](V a) { return a; }); }
float sum_ISA(const bool* x, int64_t n) { return sum_all<V>(x, n) + max_all<V>(x, n) + min_all<V>(x, n); }
void turn_ISA(float* x) {
  Block<V, 16> block;
  block.load(x);
  transpose(block.v);
  block.store(x);
}
}  // namespace maas
"""


@pytest.mark.parametrize("isa", ISAS)
def test_headers_leave_no_shared_symbol(tmp_path, isa):
    source, target = tmp_path / "every.cpp", tmp_path / "every.o"
    source.write_text(PROGRAM.replace("_ISA", f"_{isa}"))
    command = ["c++", "-std=c++20", "-O2", "-ffp-contract=off", "-fPIC", f"-I{ROOT / 'cpp'}", f"-I{HERE}", *flags(isa)]
    subprocess.run([*command, "-c", source, "-o", target], check=True)
    lines = subprocess.run(["nm", "-C", target], check=True, capture_output=True, text=True).stdout.splitlines()
    kinds = [line.split(maxsplit=2)[-2:] if line[0] != " " else line.split(maxsplit=1) for line in lines]
    shared = [name for kind, name in kinds if kind not in "tdbrU" and f"_{isa}(" not in name]
    assert not shared
    assert sum(f"_{isa}(" in name for kind, name in kinds if kind == "T") > 30
    assert {name for kind, name in kinds if kind == "U"} <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}


def test_no_standard_header_but_four():
    allowed = {"<immintrin.h>", "<cstddef>", "<cstdint>", "<cstring>"}
    for path in Path(ROOT / "cpp/simd").glob("*.h"):
        included = {line.split()[1] for line in path.read_text().splitlines() if line.startswith("#include <")}
        assert included <= allowed, path
