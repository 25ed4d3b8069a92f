"""What every case of tests/ops must hold on a device, without pytest: `benchmarks.gpu_check` runs on bare machines."""

import contextlib
from dataclasses import dataclass, field

import numpy as np

from maas import _core
from tests.ops import support
from tests.ops.case import widened


class Skipped(Exception):
    """There is nothing to check: the op refuses such operands on every device, or a peer is not installed."""


HALVES = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def on(device):
    """Ops, programs and variables of the block live there."""
    if device == "cpu":
        return contextlib.nullcontext()
    import maas

    return maas.device(device)


@dataclass
class Check:
    """One check of one case: what failed, and which kernels its programs hold."""

    name: str
    error: str | None = None
    rows: set = field(default_factory=set)
    host: set = field(default_factory=set)

    def saw(self, program):
        """Notes the kernels of a program: rows of CUDA, and ops that ran on the host."""
        for op, kernel in program.kernels:
            if kernel in ("host", "sub-plans"):
                self.host.add(op)
            else:
                self.rows.add(kernel)
        return program


def same_twice(p, operands):
    """Results of a run; a second one must have the same bits."""
    first = p.numpy(*operands)
    support.same_bits(first, p.numpy(*operands))
    return first


def forward(check, op, case, device, dtype):
    """Outputs against the float64 reference, within the bounds of the case."""
    operands, result = case.operands(dtype), op.result_dtype(case, dtype)
    wanted, bounds = meaning(op, case, operands, result, operands)
    with on(device):
        p = check.saw(support.program(op.function(case), operands, gradients=False))
        results = same_twice(p, operands)
    assert len(results) == len(wanted)
    if device != "cpu" and any(denormals(a) for a in operands):
        # CPU kernels take denormals as 0; a GPU computes with them. Each element may be the one or the other.
        others, more = meaning(op, case, operands, result, [widest(a) for a in operands])
        for i, y in enumerate(results):
            with np.errstate(all="ignore"):
                a, b = (np.abs(y.astype("float64") - w.astype("float64")) for w in (others[i], wanted[i]))
                no_number = np.isnan(y), np.isnan(others[i]), np.isnan(wanted[i])
                near = (a < b) | (y == others[i]) | (~no_number[0] & no_number[2]) | (no_number[0] & no_number[1])
                near &= y != wanted[i]
            wanted[i] = np.where(near, others[i], wanted[i]).astype(wanted[i].dtype)
            bounds[i] = bounds[i] if bounds[i] is None else np.where(near, more[i], bounds[i])
    for y, want, bound in zip(results, wanted, bounds):
        support.check_result(y, want, bound, result, dtype)


def meaning(op, case, operands, result, wide):
    """What the reference gives for operands of this width, and the errors it allows."""
    wanted = op.wanted(case, wide)
    floats = any(w.dtype.kind == "f" for w in wanted)
    return wanted, op.allowed(case, wide, wanted, result) if floats else [None] * len(wanted)


def widest(a):
    """Floats as float64; integers, which may hold tables, as they are."""
    return a.astype("float64") if a.dtype.kind == "f" else a


def denormals(a):
    """Whether some number is not 0 and below the smallest normal one."""
    return a.dtype.kind == "f" and bool(((a != 0) & (np.abs(a) < np.finfo(a.dtype).tiny)).any())


def gradient(check, op, case, device):
    """Float32 gradients against the float64 rows of the CPU on the same numbers, with an unknown batch."""
    operands, f = case.operands(), op.function(case)
    ws = support.cotangents(f, operands)
    wide = [widened(a) for a in (*operands, *ws)]
    wanted = support.program(f, wide[: len(operands)]).numpy(*wide)[len(ws) :]
    with on(device):
        p = check.saw(support.program(f, operands, op.unknown_of(case)))
        results = same_twice(p, [*operands, *ws])[len(ws) :]
    for got, want in zip(results, wanted):
        bound = 2.0**-23 * op.allowed_gradient(case, operands) * np.abs(want).max(initial=1)
        error = np.abs(got - want).max(initial=0)
        assert error <= bound, f"{error / bound} times the allowed error"


def gradient_f64(check, op, case, device):
    """Float64 gradients against those of the CPU."""
    operands, f = case.operands("float64"), op.function(case)
    ws = support.cotangents(f, operands)
    wanted = support.program(f, operands).numpy(*operands, *ws)[len(ws) :]
    with on(device):
        results = same_twice(check.saw(support.program(f, operands)), [*operands, *ws])[len(ws) :]
    for got, want in zip(results, wanted):
        bound = 2.0**-52 * 2 * op.allowed_gradient(case, operands) * np.abs(want).max(initial=1)
        error = np.abs(got - want).max(initial=0)
        assert error <= bound, f"{error / bound} times the allowed error"


def hostile(check, op, case, device):
    """A bad index is an IndexError that names op, position and value, and leaves the state as it was."""
    operands, f = case.operands(), op.function(case)
    with on(device):
        state = _core.Variable(np.full(3, 2, "float32"))
        with _core.Trace() as trace:
            y = f(*[trace.input(list(a.shape), str(a.dtype)) for a in operands])
            y = y[0] if isinstance(y, tuple) else y
            state.assign(_core.add(state.value, _core.cast(_core.sum(y), dtype="float32")))
            p = check.saw(trace.compile([y]))
        for i, (low, high) in case.indices:
            facts, at = np.iinfo(operands[i].dtype), operands[i].size // 2
            for bad in (high, low - 1, 2**31 - 1, -(2**31), 2**40, -(2**62)):
                if not operands[i].size or not facts.min <= bad <= facts.max:
                    continue
                wrong = [a.copy() for a in operands]
                wrong[i].reshape(-1)[at] = bad
                for run in (f, p.numpy):
                    message = raised(IndexError, run, wrong)
                    assert message.startswith(f"{op.name}: "), message
                    assert message.endswith(f" position {at}, received {bad}"), message
        np.testing.assert_array_equal(state.numpy(), np.full(3, 2))
        assert state.version == 0


def raised(kind, run, operands):
    try:
        run(*operands)
    except kind as error:
        return str(error)
    raise AssertionError(f"expected {kind.__name__}")


def rounded(a, dtype):
    """Float32 numbers that the half type holds."""
    if dtype == "float16":
        return a.astype("float16").astype("float32")
    bits = np.ascontiguousarray(a, "float32").view("uint32")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view("float32").reshape(a.shape)


def half_function(op, case, dtype):
    """The case with its float operands and results cast inside, so that programs take and give float32."""

    def function(*xs):
        ys = op.function(case)(*[_core.cast(x, dtype=dtype) if x.dtype == "float32" else x for x in xs])
        ys = ys if isinstance(ys, (tuple, list)) else [ys]
        return [_core.cast(y, dtype="float32") if y.dtype == dtype else y for y in ys]

    return function


def close(got, want, eps, what):
    """Within some roundings of the half type: by norm, and no element far off."""
    with np.errstate(all="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want)) | (~np.isfinite(got) & (np.abs(want) > 100))
        error = np.where(same, 0, got - want)
        size = np.where(same, np.where(np.isfinite(want), want, 0), want)
        # Sums that cancel have the errors of their terms: nothing is asked of what is far below 1.
        norm = np.linalg.norm(error.ravel()) / max(np.linalg.norm(size.ravel()), 0.1 * max(1, error.size) ** 0.5)
        worst = np.abs(error).max(initial=0) / max(np.abs(size).max(initial=0), 0.1)
    assert norm <= 6 * eps and worst <= 16 * eps, (
        f"{what}: relative error {norm:.2e} by norm, {worst:.2e} at worst, epsilon {eps:.1e}"
    )


def half(check, op, case, device, dtype, gradients):
    """16-bit floats: outputs, or gradients, of operands rounded to them against float64."""
    try:
        half_results(check, op, case, device, dtype, gradients)
    except (TypeError, NotImplementedError):
        if refused(op, case, dtype):
            raise Skipped(f"{op.name} takes no {dtype}") from None
        raise


def half_results(check, op, case, device, dtype, gradients):
    operands = [rounded(a, dtype) if a.dtype.kind == "f" else a for a in case.operands()]
    eps, f = HALVES[dtype], half_function(op, case, dtype)
    if not gradients:
        wanted = op.wanted(case, operands)
        with on(device):
            results = same_twice(check.saw(support.program(f, operands, gradients=False)), operands)
        for got, want in zip(results, wanted):
            assert got.shape == want.shape
            if want.dtype.kind == "f":
                close(got, want, eps, "output")
            elif got.dtype.kind != "f":
                np.testing.assert_array_equal(got, want)
        return
    ws = support.cotangents(op.function(case), operands)
    ws = [rounded(w, dtype) if w.dtype.kind == "f" else w for w in ws]
    wide = [widened(a) for a in (*operands, *ws)]
    wanted = support.program(op.function(case), wide[: len(operands)]).numpy(*wide)[len(ws) :]
    with on(device):
        results = same_twice(check.saw(support.program(f, operands)), [*operands, *ws])[len(ws) :]
    for got, want in zip(results, wanted):
        close(got, want, 2 * eps, "gradient")


def halves_of(op, case):
    """16-bit dtypes that the case can be tried in."""
    floats = "float32" in (case.dtypes or op.dtypes) and "dtype" not in case.params and not case.special
    if not floats or case.values in ("huge", "tiny", "ties"):
        return ()
    # A function of their values jumps, or they compute in float32 or wider alone.
    if op.name.startswith(("random", "fft")) or op.name in UNROUNDED:
        return ()
    return HALVES


UNROUNDED = {
    "floor", "ceil", "trunc", "round", "sign", "floor_divide", "mod", "tan", "cholesky", "solve", "triangular_solve",
    "det", "slogdet", "lu", "qr", "svd", "eigh", "eig", "ctc_loss", "branch", "loop", "power", "cast", "unique",
    "nonzero", "arange", "prod",
}  # fmt: skip


OPTIMIZERS = {"sgd", "adam", "rmsprop", "adagrad", "adadelta", "adamax", "nadam", "lion", "ftrl"}


def refused(op, case, dtype):
    """The op takes no operands of this dtype, on any device."""
    try:
        support.program(half_function(op, case, dtype), case.operands(), gradients=False)
    except (TypeError, NotImplementedError):
        return True
    return False


def checks(op, case):
    """(name, function of (check, device)) of everything that the case must hold on a device."""
    for dtype in case.dtypes or op.dtypes:
        yield f"forward {dtype}", lambda check, device, d=dtype: forward(check, op, case, device, d)
    if op.gradient and not case.special and "dtype" not in case.params:
        yield "gradient float32", lambda check, device: gradient(check, op, case, device)
        if "float64" in (case.dtypes or op.dtypes):
            yield "gradient float64", lambda check, device: gradient_f64(check, op, case, device)
    if any(0 not in case.shapes[i] for i, _ in case.indices):
        yield "hostile indices", lambda check, device: hostile(check, op, case, device)
    for dtype in halves_of(op, case):
        yield f"forward {dtype}", lambda check, device, d=dtype: half(check, op, case, device, d, False)
        if op.gradient and case.gradient and op.name not in OPTIMIZERS:
            yield f"gradient {dtype}", lambda check, device, d=dtype: half(check, op, case, device, d, True)
