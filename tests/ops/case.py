"""The form of a case file: what an op means and where it is tried. Tests and benchmarks read the same cases.

tests/ops/<family>_cases.py ends with a list `OPS`; this is a whole file:

    import numpy as np
    from tests.ops.case import Case, Op

    def reference(x, axis=-1):  # float64 NumPy
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    CASES = [Case((1, 1)), Case((2, 7, 5), axis=1), Case((4, 33), values="huge"), Case((64, 50257), bench=True)]
    OPS = [Op("softmax", reference, CASES, rows=(0,))]
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEVELS = ["ref", "avx2", "avx512"]
MORE_LEVELS = ["avx512_vnni", "avx512_bf16", "amx"]  # only ops with rows for them run there
SPECIAL = (np.nan, np.inf, -np.inf, 1e-41)  # the last one is denormal in float32

# What a float operand holds; (low, high) is a uniform range, a function of (generator, shape) anything else.
VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "huge": lambda rng, shape: 100 * rng.standard_normal(shape),
    "tiny": lambda rng, shape: 1e-39 * rng.standard_normal(shape),  # denormal in float32
    "positive": lambda rng, shape: rng.uniform(0.5, 4, shape),
    "ties": lambda rng, shape: rng.integers(-4, 5, shape).astype("float64"),
}


@dataclass(frozen=True)
class Operand:
    """A shape with its own values or dtype. `valid`: the range [low, high) of indices, which hostile tests leave."""

    shape: tuple
    values: object = None
    dtype: str | None = None
    valid: tuple | None = None

    def make(self, rng, values, dtype):
        values = self.values or values
        if isinstance(values, tuple):
            x = rng.uniform(*values, self.shape)
        else:
            x = np.asarray((VALUES[values] if isinstance(values, str) else values)(rng, self.shape))
        dtype = self.dtype or dtype
        if x.dtype.kind == "f" and not dtype.startswith(("float", "bfloat")):
            x = x > 0 if dtype == "bool" else 10 * x
        return x.astype(dtype)


def index(shape, size, dtype="int64", negative=True):
    """Indices of `size` elements; `negative`: the op also takes negative ones, which count from the end."""
    low = -size if negative else 0
    return Operand(shape, lambda rng, s: rng.integers(low, size, s), dtype, (low, size))


def mask(shape, share=0.6):
    """Booleans, true for this share."""
    return Operand(shape, lambda rng, s: rng.random(s) < share, "bool")


class Case:
    """One call of an op.

    Args:
        *operands: shapes of float operands, `Operand`s (`index`, `mask`), or arrays; arrays of floats take the dtype
            that is tried.
        values: what float operands hold: a key of VALUES, a range (low, high), a function (generator, shape) -> array.
        dtypes: dtypes to try; None: the op's.
        special: True: with NaN, infinities and denormals among the floats.
        rows: operands whose first axis is the batch; None: the op's.
        gradient: False: no finite differences here (large cases, values where there is no slope).
        bench: True: measured by `benchmarks.ops`, not run by the tests.
        flops: of a measured case; 0: it is judged by the bytes of its operands.
        note: a word for the name of a measured case.
        **params: the op's parameters.
    """

    def __init__(
        self, *operands, values="normal", special=False, dtypes=None, rows=None, gradient=True, bench=False, flops=0.0,
        note="", **params,
    ):  # fmt: skip
        self.given = [Operand(o) if isinstance(o, tuple) else o for o in operands]
        self.values, self.special, self.dtypes, self.rows, self.params = values, special, dtypes, rows, params
        self.gradient = gradient and not special and values not in ("huge", "tiny", "ties")
        self.bench, self.flops, self.note = bench, flops, note

    def operands(self, dtype="float32", seed=0):
        """Fresh arrays, the same for every call."""
        rng = np.random.default_rng(seed)
        out = []
        for o in self.given:
            if isinstance(o, Operand):
                out.append(o.make(rng, self.values, dtype))
            else:
                a = np.array(o)
                out.append(a.astype(dtype) if a.dtype.kind == "f" else a)
            if self.special and out[-1].dtype.kind == "f":
                for i, value in enumerate(SPECIAL):
                    out[-1].reshape(-1)[5 + 7 * i :: 28] = value
        return out

    @property
    def shapes(self):
        return [tuple(o.shape) for o in self.given]

    @property
    def indices(self):
        """(operand, (low, high)) of the operands that are indices."""
        return [(i, o.valid) for i, o in enumerate(self.given) if isinstance(o, Operand) and o.valid]

    def __str__(self):
        words = ["x".join(map(str, s)) or "scalar" for s in self.shapes]
        words += [f"{k}={v}".replace(" ", "") for k, v in self.params.items() if v is not False]
        words += [str(self.values)] * (self.values in ("huge", "tiny", "positive", "ties")) + ["special"] * self.special
        return "-".join(words)


class Op:
    """An op, its meaning and its cases.

    Args:
        name: as in ops.inc.
        reference: (*operands, **params) -> array or tuple, float64 NumPy; float operands come widened.
        cases: list of Case.
        dtypes: float dtypes (or others) to try.
        result: dtype of float results, or a dict from the dtype tried; None: the parameter `dtype`, else the dtype
            tried. Results that are not floats have the reference's dtype and are exact.
        epsilons: allowed error, in epsilons of the result's dtype, of a result's size; or a dict by dtype.
        error: (*operands, **params) -> per result the size that errors are counted in; None: the result's own.
        gradient: False: there is none, which is checked too.
        gradient_epsilons: allowed error of float32 gradients, in epsilons of the largest or of 1; or a function of
            (*operands, **params).
        rows: operands whose first axis is the batch, or a function of the case; a str: why rows do not stand alone.
        unknown: operands whose first size may be unknown when compiled, where these are not `rows`, or a function of
            the case.
        parts: name -> reason, of ops that only this one's lowering or gradient makes.
        call: (*operands, **params) -> results, where that is not the op itself.
    """

    def __init__(
        self, name, reference, cases, *, dtypes=("float32", "float64"), result=None, epsilons=4, error=None,
        gradient=True, gradient_epsilons=60, rows, unknown=None, parts=None, call=None,
    ):  # fmt: skip
        self.name, self.reference, self.cases, self.dtypes, self.result = name, reference, cases, dtypes, result
        self.epsilons, self.error = epsilons, error
        self.gradient, self.gradient_epsilons = gradient, gradient_epsilons
        self.rows, self.unknown, self.parts, self.call = rows, unknown, parts or {}, call

    def function(self, case):
        """The case as a function of its operands alone."""
        from maas import _core

        call = self.call or getattr(_core, self.name)
        return lambda *operands: call(*operands, **case.params)

    def wanted(self, case, operands):
        """The reference's results on widened operands."""
        with np.errstate(all="ignore"):
            return results_of(self.reference(*map(widened, operands), **case.params))

    def allowed(self, case, operands, wanted, dtype):
        """Allowed absolute errors, one array per result."""
        epsilons = self.epsilons.get(dtype, 4) if isinstance(self.epsilons, dict) else self.epsilons
        with np.errstate(all="ignore"):
            sizes = results_of(self.error(*map(widened, operands), **case.params)) if self.error else wanted
            facts = np.finfo(dtype)
            return [epsilons * facts.eps * np.abs(s) + facts.tiny for s in sizes]

    def allowed_gradient(self, case, operands):
        """Allowed error of float32 gradients, in epsilons."""
        given = self.gradient_epsilons
        return given(*map(widened, operands), **case.params) if callable(given) else given

    def result_dtype(self, case, dtype):
        if "dtype" in case.params:
            return case.params["dtype"]
        return self.result.get(dtype, dtype) if isinstance(self.result, dict) else self.result or dtype

    def rows_of(self, case):
        """Operands of the case that carry its batch."""
        rows = self.rows(case) if callable(self.rows) else () if isinstance(self.rows, str) else self.rows
        rows = rows if case.rows is None else case.rows
        return self.same_first(case, rows)

    def same_first(self, case, operands):
        """Those of the operands that the case has, with the first size of the first of them."""
        operands = [i for i in operands if i < len(case.shapes) and case.shapes[i]]
        return tuple(i for i in operands if case.shapes[i][0] == case.shapes[operands[0]][0])

    def unknown_of(self, case):
        """Operands whose first size programs leave open."""
        unknown = self.unknown(case) if callable(self.unknown) else self.unknown
        return self.rows_of(case) if unknown is None else self.same_first(case, unknown)

    def levels(self):
        """Names of the ISA levels that its kernels, or those of its parts, tell apart."""
        from maas import _core

        needs = "+".join(isa for op, _, isa in _core.kernel_rows() if op == self.name or op in self.parts).split("+")
        return [*LEVELS, *(level for level in MORE_LEVELS if level in needs)]


def widened(a):
    """In float64, with zeros for what is denormal: kernels take it as 0."""
    if a.dtype.kind != "f":
        return a
    wide = a.astype("float64")
    wide[np.abs(a) < np.finfo(a.dtype).tiny] = 0
    return wide


def results_of(y):
    return [np.asarray(a) for a in (y if isinstance(y, (tuple, list)) else [y])]


def all_ops():
    """Every Op of every case file. `<family>_forms_cases.py` have a form of their own and a test that reads it."""
    files = (f.stem for f in sorted(Path(__file__).parent.glob("*_cases.py")))
    files = (f for f in files if not f.startswith("test_") and not f.endswith("_forms_cases"))
    return [op for f in files for op in importlib.import_module(f"tests.ops.{f}").OPS]


def bench_rows():
    """label -> (op, case) of everything that is measured."""
    rows = {}
    for op in all_ops():
        for case in op.cases:
            if case.bench:
                sizes = " ".join("x".join(map(str, s)) for s in case.shapes)
                rows[f"{op.name}{' ' + case.note if case.note else ''} {sizes}"] = (op, case)
    return rows
