"""cpp/simd on every ISA of this machine: equal bits, and errors in ulp against float64 libm over the float range."""

import ctypes
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
HERE = ROOT / "tests/simd"
ISAS = ("avx2", "avx512")
TINY = np.float32(2.0**-126)  # the smallest normal float32
FLOAT, INT = np.float32, np.int32

# Largest error in ulp, as math.h states it.
BOUNDS = {
    "exp": 1.1,
    "exp2": 1,
    "expm1": 2,
    "log": 1,
    "log2": 2,
    "log1p": 2,
    "sin": 2,
    "cos": 2,
    "tan": 4,
    "asin": 3,
    "acos": 2,
    "atan": 3,
    "sinh": 3,
    "cosh": 2,
    "tanh": 3,
    "asinh": 3,
    "acosh": 3,
    "atanh": 3,
    "erf": 3,
    "sigmoid": 3,
    "softplus": 3,
    "silu": 3,
    "gelu_erf": 6,
    "gelu_tanh": 4,
    "selu": 3,
    "elu": 3,
    "pow": 2,
    "atan2": 3,
}
EXACT = ("sqrt", "floor", "ceil", "trunc", "round", "abs", "copysign", "max_nan", "min_nan")
# Where the formula flushes a little before the result would.
FLOORS = {"silu": 3e-37, "gelu_erf": 3e-37, "gelu_tanh": 3e-37, "tanh": 5e-38, "sinh": 5e-38}
TWO = ("pow", "atan2", "elu", "copysign", "max_nan", "min_nan")


def flags(isa):
    """The compile flags of one ISA, from the build's own rule."""
    rules = dict(re.findall(r"^set\(maas_(\w+) (.*)\)$", (ROOT / "cmake/sources.cmake").read_text(), re.M))
    return rules[isa].split()


def machine_has(isa):
    found = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)[1].split())
    return {flag.removeprefix("-m") for flag in flags(isa)} <= found


def compiled(source, target, extra):
    command = ["c++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fPIC", "-shared"]
    command += [f"-I{ROOT / 'cpp'}", *extra, str(source), "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stderr}"
    return ctypes.CDLL(str(target))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simd")
    libs = {i: compiled(HERE / "kernels.cpp", folder / f"{i}.so", flags(i)) for i in ISAS if machine_has(i)}
    return libs | {"oracle": compiled(HERE / "oracle.cpp", folder / "oracle.so", [])}


@pytest.fixture(params=ISAS)
def lib(request, libraries):
    if request.param not in libraries:
        pytest.skip(f"missing ISA: {request.param}")
    return libraries[request.param]


def pointer(array):
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


def call(lib, name, x, y=None, flush=True):
    out = np.empty_like(x)
    y = x if y is None else y
    getattr(lib, f"simd_{name}")(pointer(x), pointer(y), pointer(out), ctypes.c_int64(x.size), ctypes.c_bool(flush))
    return out


def oracle(libraries, name, x, y):
    with np.errstate(invalid="ignore"):  # signalling NaN
        x, y = flushed(x).astype(np.float64), flushed(y).astype(np.float64)
    out = np.empty_like(x)
    getattr(libraries["oracle"], f"oracle_{name}")(pointer(x), pointer(y), pointer(out), ctypes.c_int64(x.size))
    return out


def flushed(x):
    return np.where(np.abs(x) < TINY, np.copysign(FLOAT(0), x), x)


SPECIALS = np.array(
    [0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000, 0x3F800000, 0xBF800000,
     0x3F7FFFFF, 0x3F800001, 0xBF7FFFFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC12345,
     0x42B17218, 0x42B17217, 0xC2AEAC4F, 0xC2AEAC50, 0xC2CFF1B5, 0x3FC90FDB, 0x40490FDB, 0x40C90FDB, 0x47C35000,
     0x47C35001, 0x4B800000, 0x4B800001, 0x3F000000, 0x40000000, 0x40400000, 0xC0400000, 0xC0000000, 0x4F000000,
     0xCF000000, 0x3F3504F3, 0x3F3504F4, 0x3ED413CD, 0x401A827A, 0x3F70A3D7],
    np.uint32,
).view(FLOAT)  # fmt: skip


def sweep(stride, start=0):
    bits = np.arange(start, 2**32, stride, dtype=np.int64).astype(np.uint32)
    around = (SPECIALS.view(np.uint32)[:, None] + np.arange(-40, 41).astype(np.uint32)).ravel()  # near every border
    return np.concatenate([bits, around, SPECIALS.view(np.uint32)]).view(FLOAT)


def inputs(name):
    """All bit patterns at a stride; for two arguments also pairs of specials and pairs of moderate size."""
    if name not in TWO:
        x = sweep(4099)
        ordinary = np.linspace(-110, 110, 200_001, dtype=FLOAT)
        x = np.concatenate([x, ordinary, ordinary / 64])
        return x, x
    rng = np.random.default_rng(7)
    wide = sweep(8209)
    x = np.concatenate([wide, rng.permutation(wide), rng.lognormal(0, 3, 400_000).astype(FLOAT)])
    near_one = (1 + rng.normal(0, 0.02, 100_000)).astype(FLOAT)
    pairs = np.array(np.meshgrid(SPECIALS, SPECIALS), FLOAT).reshape(2, -1)
    x = np.concatenate([x, near_one, near_one, pairs[0]])
    n = x.size - pairs.shape[1]
    y = np.concatenate([rng.permutation(wide), rng.normal(0, 9, n - wide.size).astype(FLOAT), pairs[1]])
    y[wide.size : wide.size + 5000] = np.round(y[wide.size : wide.size + 5000])  # integers, for pow of negative bases
    y[n - 100_000 : n] *= 200
    return x, y


def ulps(y, exact):
    """|y - exact| in units of the last place of exact; 0 where both are inf or flushed alike, inf where one is."""
    size = np.exp2(np.clip(np.floor(np.log2(np.maximum(np.abs(exact), 2.0**-126))), -126, 127) - 23)
    top = 2.0**128 - 2.0**104  # the largest float32
    # Beyond the largest float, inf counts as one step above it.
    a, b = (np.clip(v.astype(np.float64), -(2.0**128), 2.0**128) for v in (y, exact))
    error = np.abs(a - b) / size
    small = (np.abs(exact) < 2.0**-126 * (1 + 1e-6)) & (np.abs(y) <= 2.0**-126)
    both_inf = (np.abs(y) == np.inf) & (np.abs(exact) > top) & (np.sign(y) == np.sign(exact))
    return np.where(small | both_inf, 0, error)


def allowed(name, x):
    bound = np.full(x.shape, BOUNDS[name], np.float64)
    if name == "gelu_tanh":
        x = np.clip(np.nan_to_num(x).astype(np.float64), -12, 0)
        bound += 5 * np.abs(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return bound


@pytest.mark.parametrize("name", BOUNDS)
def test_error_over_the_whole_range(libraries, lib, name):
    x, y = inputs(name)
    if name == "elu":
        y = np.abs(y) + 1  # alpha
    out, exact = call(lib, name, x, y), oracle(libraries, name, x, y)
    nan = np.isnan(exact)
    np.testing.assert_array_equal(np.isnan(out), nan)
    error = np.where(nan, 0, ulps(np.where(nan, 0, out), np.where(nan, 0, exact)))
    error[np.maximum(np.abs(exact), np.abs(out)) < FLOORS.get(name, 0)] = 0
    excess = error - allowed(name, x)
    worst = int(np.argmax(excess))
    print(f"{name}: {error.max():.3f} ulp")
    assert excess[worst] <= 0, (
        f"{name}({x[worst]!r}, {y[worst]!r}) = {out[worst]!r}, exact {exact[worst]!r}, {error[worst]} ulp"
    )
    signed = ~nan & (np.abs(exact) > 2.0**-120) & (out != 0)
    np.testing.assert_array_equal(np.signbit(out[signed]), np.signbit(exact[signed]))
    if name in ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf", "expm1", "log1p"):
        zeros = call(lib, name, np.array([0.0, -0.0], FLOAT))
        assert zeros.view(np.uint32).tolist() == [0, 0x80000000]


@pytest.mark.parametrize("name", EXACT)
def test_correctly_rounded(libraries, lib, name):
    x, y = inputs(name)
    normal = (np.abs(x) >= TINY) & (np.abs(y) >= TINY)  # not true of NaN
    x, y = (np.concatenate([v[normal], SPECIALS[-8:], np.array([0, -0.0], FLOAT)]) for v in (x, y))
    if name.endswith("_nan"):
        x, y = (
            np.concatenate([v, pair]) for v, pair in ((x, FLOAT([np.nan, 1, np.nan])), (y, FLOAT([1, np.nan, np.nan])))
        )
    exact = oracle(libraries, name, x, y).astype(FLOAT)
    np.testing.assert_array_equal(call(lib, name, x, y), exact)


BINARIES = re.findall(r"^BINARY\((\w+),", (HERE / "kernels.cpp").read_text(), re.M)


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("name", [*BOUNDS, *EXACT, *BINARIES])
def test_same_bits_on_every_isa(libraries, name, flush):
    if not {"avx2", "avx512"} <= libraries.keys():
        pytest.skip("missing ISA: avx512")
    x, y = inputs(name if name in BOUNDS else "pow")
    if name == "elu" or name in BINARIES and name not in ("min", "max"):
        keep = ~(np.isnan(x) & np.isnan(y))  # which of two NaNs wins is the compiler's choice of operand order
        x, y = x[keep], y[keep]
    a, b = (call(libraries[isa], name, x, y, flush).view(np.uint32) for isa in ISAS)
    different = np.flatnonzero(a != b)
    if different.size:
        i = different[0]
        pytest.fail(f"{different.size} of {a.size} differ, first {name}({x[i]!r}, {y[i]!r}): {a[i]:#x} and {b[i]:#x}")


def test_nan_rules(lib):
    nan, one, two, zero, minus = FLOAT([np.nan]), FLOAT([1]), FLOAT([2]), FLOAT([0.0]), FLOAT([-0.0])
    for name in ("min", "max"):  # the second operand, as the hardware does
        assert call(lib, name, nan, one)[0] == 1 and np.isnan(call(lib, name, one, nan)[0])
        assert np.signbit(call(lib, name, zero, minus)[0]) and not np.signbit(call(lib, name, minus, zero)[0])
    assert call(lib, "min", one, two)[0] == 1 and call(lib, "max", one, two)[0] == 2


def test_arithmetic(lib):
    x, y = (np.random.default_rng(s).normal(0, 100, 5000).astype(FLOAT) for s in (1, 2))
    exact = {"add": x + y, "sub": x - y, "mul": x * y, "div": x / y, "neg": -x, "eq": x == y, "lt": x < y, "ge": x >= y}
    wide = x.astype(np.float64) * y
    exact |= {"fma": (wide + x), "fms": (wide - x), "fnma": (x - wide), "broadcast_fma": 2.0 * y.astype(np.float64) + x}
    for name, value in exact.items():
        np.testing.assert_array_equal(call(lib, name, x, y), value.astype(FLOAT), err_msg=name)
    i, j = x.view(INT), y.view(INT)
    exact = {"iadd": i + j, "isub": i - j, "imul": i * j, "iand": i & j, "ior": i | j, "ixor": i ^ j, "shl": i << 5}
    exact |= {"imin": np.minimum(i, j), "imax": np.maximum(i, j), "shr": i >> 5}
    exact |= {"shr_logical": (x.view(np.uint32) >> 5).view(INT), "and": i & j, "or": i | j, "xor": i ^ j}
    exact |= {"trunc_to_int": x.astype(INT), "round_to_int": np.rint(x).astype(INT)}
    for name, value in exact.items():
        np.testing.assert_array_equal(call(lib, name, x, y).view(INT), value, err_msg=name)
    for name, value in {"ilt": i < j, "ile": i <= j, "igt": i > j, "ige": i >= j, "ieq": i == j, "ine": i != j}.items():
        np.testing.assert_array_equal(call(lib, name, x, y), value.astype(FLOAT), err_msg=name)
    np.testing.assert_array_equal(call(lib, "to_float", x), i.astype(FLOAT))


def bfloat16_bits(x):
    bits = x.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(x), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def saturated(x, dtype):
    info = np.iinfo(dtype)
    wide = np.trunc(np.nan_to_num(x.astype(np.float64), nan=0, posinf=1e30, neginf=-1e30))
    inside = np.clip(wide, -(2.0**62), 2.0**62).astype(np.int64).clip(info.min, info.max)
    return np.where(wide >= 2.0**63, info.max, np.where(wide < -(2.0**62), info.min, inside)).astype(dtype)


CASTS = {
    "float32": (FLOAT, lambda x: x, lambda b: b),
    "float64": (np.float64, lambda x: x.astype(np.float64), lambda b: b.astype(FLOAT)),
    "float16": (np.float16, lambda x: x.astype(np.float16), lambda b: b.astype(FLOAT)),
    "bfloat16": (np.uint16, bfloat16_bits, lambda b: (b.astype(np.uint32) << 16).view(FLOAT)),
    "bool": (np.bool_, lambda x: x != 0, lambda b: b.astype(FLOAT)),
} | {
    name: (np.dtype(name).type, lambda x, d=name: saturated(x, d), lambda b: b.astype(FLOAT))
    for name in ("int8", "uint8", "int32", "int64")
}


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", CASTS)
def test_storage_types_and_tails(lib, name):
    dtype, narrow, widen = CASTS[name]
    rng = np.random.default_rng(3)
    borders = [0, -0.0, 1, -1, 0.5, 1.5, 2.5, 127, 127.9, 128, -128, -129, 255, 256, 3e9, -3e9, 1e19, 65504, 65520]
    borders += [1e-7, 2.0**31, 2.0**31 - 128, 2.0**62, np.inf, -np.inf, np.nan, 1 + 2.0**-8, 1 + 3 * 2.0**-8]
    values = np.concatenate(
        [FLOAT(borders), (rng.normal(0, 1, 4000) * 10.0 ** rng.integers(-4, 5, 4000)).astype(FLOAT)]
    )
    values = values[: values.size // 16 * 16].reshape(-1, 16)
    for row in values:
        for n in (16, int(rng.integers(0, 16))):
            # Elements past the tail: a store keeps them, a load must not read them (it would see the wrong value).
            target = np.full(17, 1, dtype)
            getattr(lib, f"store_{name}")(pointer(row), pointer(target), ctypes.c_int64(n))
            expected = np.full(17, 1, dtype)
            expected[:n] = narrow(row[:n])
            np.testing.assert_array_equal(target, expected)
            out = np.empty(16, FLOAT)
            getattr(lib, f"load_{name}")(pointer(target), ctypes.c_int64(n), ctypes.c_float(-7.5), pointer(out))
            loaded = np.full(16, -7.5, FLOAT)
            loaded[:n] = widen(target[:n])
            np.testing.assert_array_equal(out.view(np.uint32), loaded.view(np.uint32))


def test_int64_rounds_once_to_float32(lib):
    x = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 16)
    x[:4] = [2**53 + 1, 2**24 + 1, -(2**63), 2**63 - 1]
    out = np.empty(16, FLOAT)
    lib.load_int64(pointer(x), ctypes.c_int64(16), ctypes.c_float(0), pointer(out))
    np.testing.assert_array_equal(out, x.astype(FLOAT))


@pytest.mark.parametrize("name", ["int8", "uint8", "int32", "int64"])
def test_integer_storage(lib, name):
    rng = np.random.default_rng(5)
    info = np.iinfo(name)
    for n in range(17):
        lanes = rng.integers(-(2**31), 2**31, 16).astype(INT) >> rng.integers(0, 30, 16).astype(INT)
        target = np.full(17, 3, name)
        getattr(lib, f"istore_{name}")(pointer(lanes), pointer(target), ctypes.c_int64(n))
        expected = np.full(17, 3, name)
        expected[:n] = lanes[:n].astype(np.int64).clip(info.min, info.max)
        np.testing.assert_array_equal(target, expected)
        out = np.empty(16, INT)
        getattr(lib, f"iload_{name}")(pointer(target), ctypes.c_int64(n), ctypes.c_int32(-9), pointer(out))
        np.testing.assert_array_equal(out, np.concatenate([target[:n].astype(INT), np.full(16 - n, -9, INT)]))


def test_masked_loads_touch_no_page_behind_the_tail(lib):
    """The last n elements before a page without access: a load or store of 16 would be a segmentation fault."""
    import mmap

    libc = ctypes.CDLL(None, use_errno=True)
    page = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    second = ctypes.c_void_p(start + mmap.PAGESIZE)
    assert libc.mprotect(second, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    try:
        lanes, out = np.arange(16, dtype=FLOAT), np.empty(16, FLOAT)
        for name, (dtype, _, _) in CASTS.items():
            for n in range(16):
                p = ctypes.c_void_p(start + mmap.PAGESIZE - n * np.dtype(dtype).itemsize)
                getattr(lib, f"store_{name}")(pointer(lanes), p, ctypes.c_int64(n))
                getattr(lib, f"load_{name}")(p, ctypes.c_int64(n), ctypes.c_float(0), pointer(out))
                assert not out[n:].any()
    finally:
        libc.mprotect(second, ctypes.c_size_t(mmap.PAGESIZE), 3)


def test_masks(lib):
    rng = np.random.default_rng(2)
    for n in range(17):
        assert lib.mask_of_tail(ctypes.c_int64(n)) == (1 << n) - 1
        for density in (0, 0.5, 1):
            flags_in, flags_out = rng.random(17) < density, np.ones(17, np.bool_)
            bits = lib.mask_round_trip(pointer(flags_in), pointer(flags_out), ctypes.c_int64(n))
            assert bits == sum(1 << i for i in range(n) if flags_in[i])
            np.testing.assert_array_equal(flags_out, np.concatenate([flags_in[:n], np.ones(17 - n, np.bool_)]))


def test_gather_and_transpose(lib):
    rng = np.random.default_rng(4)
    table, index, mask = rng.normal(size=100).astype(FLOAT), rng.integers(0, 100, 16).astype(INT), 0xA5C3
    every, some = np.empty(16, FLOAT), np.empty(16, FLOAT)
    chosen = np.array([mask >> i & 1 for i in range(16)], bool)
    lib.gather(pointer(table), pointer(index), pointer(every))
    np.testing.assert_array_equal(every, table[index])
    far = np.where(chosen, index, 2**30).astype(INT)  # lanes switched off are not read
    lib.gather_some(pointer(table), pointer(far), ctypes.c_uint32(mask), pointer(some))
    np.testing.assert_array_equal(some, np.where(chosen, table[index], 7))
    square = rng.normal(size=(16, 16)).astype(FLOAT)
    turned = square.copy()
    lib.transpose16(pointer(turned))
    np.testing.assert_array_equal(turned, square.T)


def tree(lanes, fn):
    for half in (8, 4, 2, 1):
        lanes = fn(lanes[:half], lanes[half : 2 * half])
    return lanes[0]


def test_reductions_follow_the_one_tree(lib):
    rng = np.random.default_rng(6)
    for n in [*range(1, 70), 1000, 4099]:
        x = rng.normal(size=n).astype(FLOAT)
        out = np.empty(5, FLOAT)
        lib.reduce(pointer(x), ctypes.c_int64(n), pointer(out))
        sums = np.zeros(16, FLOAT)
        for i in range(0, n, 16):
            sums[: min(16, n - i)] += x[i : i + 16]
        few = np.concatenate([x, np.ones(16, FLOAT)])[:16] if n < 16 else x[:16]
        np.testing.assert_array_equal(out, [tree(sums, np.add), x.max(), x.min(), tree(few, np.multiply), x[0]])
        x[rng.integers(n)] = np.nan
        lib.reduce(pointer(x), ctypes.c_int64(n), pointer(out))
        assert np.isnan(out[:3]).all()
        count = np.zeros(n + 1, INT)
        lib.visit(pointer(count), ctypes.c_int64(n))
        np.testing.assert_array_equal(count, [*[1] * n, 0])
