"""Cases of the elementwise functions: meaning in float64 NumPy, range, error bound in epsilons."""

from math import erf, erfc, sqrt

import ml_dtypes
import numpy as np

from tests.ops.case import Case, Op, Operand, mask

_erf = np.vectorize(erf, otypes=["float64"])
_erfc = np.vectorize(erfc, otypes=["float64"])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gated(x, p):
    """x times a probability, with the limit 0 at -inf."""
    return np.where(x == -np.inf, 0, x * p)


def gelu_tanh(x):
    return gated(x, sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x**3)))


def selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


def rounding(kind):
    """To a narrower float and back."""

    def reference(x):
        with np.errstate(over="ignore"):
            return x.astype(kind).astype("float64")

    return reference


BROADCAST = [
    ((7, 5), (5,)),
    ((7, 5), (7, 1)),
    ((2, 3, 4), ()),
    ((2, 1, 4), (3, 1)),
    ((6, 1, 5, 1), (1, 4, 1, 3)),
    ((1,), (1, 1)),
    ((0, 3), (3,)),
    ((3000,), (3000,)),
    ((33, 64), (64,)),
]


def function(name, reference, low=-8.0, high=8.0, eps=4, floor=1e-30, arity=1, more=(), **keywords):
    """An Op; eps: allowed error in epsilons of the result, of `floor` where that is nearer to 0."""
    cases = [
        Case(*[(1003,)] * arity, values=(low, high)),
        Case(*[(4099,)] * arity, values=(low, high), special=True),
        *more,
    ]
    # float64 rows use libm: a few epsilons of intermediate results, as formulas are written plainly.
    return Op(
        name, reference, cases, epsilons={"float32": eps, "float64": 64},
        error=lambda *a: np.maximum(np.abs(reference(*a)), floor), rows=range(arity), **keywords,
    )  # fmt: skip


def numbers(name, reference, more=(), **keywords):
    """An Op on integers too, where it is exact; values lie near each other so that some are equal."""
    near = [Operand((200,), lambda rng, s: rng.integers(0, 50, s)) for _ in range(2)]
    whole = [Case(*near[: keywords.get("arity", 1)], dtypes=INTEGERS, gradient=False, rows=())]
    return function(name, reference, more=[*whole, *more], **keywords)


QUOTIENTS = np.array([np.nan, np.inf, -np.inf, 0.0, 1.5, -2.0, 3e30])
INTEGERS = ("int8", "uint8", "int16", "int32", "int64", "uint32")
SPREAD = [Case(*shapes, rows=()) for shapes in BROADCAST]


def test(name, reference, arity=2, more=()):
    """An Op that answers with booleans; `ties` has many equals."""
    cases = [
        Case(*[(1003,)] * arity, values="ties"),
        Case(*[(4099,)] * arity, values="ties", special=True),
        *more,
    ]
    dtypes = ("float32", "float64", *INTEGERS, "bool")
    return Op(name, reference, cases, dtypes=dtypes, gradient=False, rows=range(arity))


def logic(name, reference, arity=2):
    cases = [Case(*[mask((1003,))] * arity), Case(*[mask(s) for s in ((7, 5), (5,))][:arity], rows=())]
    return Op(name, reference, cases, dtypes=("bool",), gradient=False, rows=range(arity))


def bitwise(name, reference):
    """An Op on the bits of integers."""
    near = [Operand((1003,), lambda rng, s: rng.integers(0, 100, s), dtype) for dtype in INTEGERS]
    return Op(name, reference, [Case(o, o) for o in near], dtypes=("int32",), gradient=False, rows=(0, 1))


def cast(x, dtype):
    return (x != 0) if dtype == "bool" else np.trunc(x).astype(dtype) if "int" in dtype else x.astype(dtype)


OPS = [
    numbers("negative", np.negative),
    numbers("absolute", np.abs),
    numbers("square", np.square),
    function("sqrt", np.sqrt, 0.01),
    function("rsqrt", lambda x: 1 / np.sqrt(x), 0.01),
    function("reciprocal", lambda x: 1 / x, 0.1),
    function("exp", np.exp, -80, 80, more=[Case((1024, 1024), bench=True)]),
    function("expm1", np.expm1),
    function("log", np.log, 1e-6, 100, floor=1e-2),
    function("log1p", np.log1p, -0.9, 100, floor=1e-3),
    function("log2", np.log2, 1e-6, 100, floor=1e-2),
    function("sin", np.sin, -100, 100, floor=1e-2),
    function("cos", np.cos, -100, 100, floor=1e-2),
    function("tan", np.tan, -1.5, 1.5, eps=6),
    function("tanh", np.tanh, more=[Case((1024, 1024), bench=True)]),
    function("sinh", np.sinh),
    function("cosh", np.cosh),
    function("arctan", np.arctan),
    function("arcsin", np.arcsin, -0.99, 0.99),
    function("arccos", np.arccos, -0.99, 0.99),
    function("arcsinh", np.arcsinh),
    function("arccosh", np.arccosh, 1.01, 50, floor=0.1),
    function("arctanh", np.arctanh, -0.99, 0.99),
    function("arctan2", np.arctan2, arity=2),
    function("erf", _erf),
    function("sigmoid", sigmoid),
    function("log_sigmoid", lambda x: -np.logaddexp(0, -x)),
    function("softplus", lambda x: np.logaddexp(0, x)),
    function("softsign", lambda x: x / (1 + np.abs(x))),
    numbers("relu", lambda x: np.maximum(x, 0)),
    function("relu6", lambda x: np.clip(x, 0, 6)),
    function("relu_gradient", lambda dy, y: np.where(y > 0, dy, 0), arity=2),
    function("silu", lambda x: gated(x, sigmoid(x))),
    function(
        "gelu_erf", lambda x: gated(x, 0.5 * _erfc(-x / sqrt(2))), eps=8, floor=1e-4,
        more=[Case((128, 3072), bench=True)],
    ),
    function("gelu_tanh", gelu_tanh, eps=8, floor=0.1),  # 1 + tanh cancels
    function("selu", selu, eps=6),
    function("hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), floor=0.1),
    numbers("floor", np.floor, gradient=False),
    numbers("ceil", np.ceil, gradient=False),
    numbers("trunc", np.trunc, gradient=False),
    numbers("round", np.round, gradient=False),
    numbers("sign", np.sign, gradient=False),
    numbers(
        "add", np.add, arity=2, floor=1e-2, more=[*SPREAD, Case((1024, 1024), (1024, 1024), bench=True)],
    ),
    numbers("subtract", np.subtract, arity=2, floor=1e-2),
    numbers("multiply", np.multiply, arity=2),
    function("divide", np.divide, 0.5, arity=2),
    function("power", np.power, 0.1, 4, arity=2, eps=6),
    numbers("maximum", np.maximum, arity=2),
    numbers("minimum", np.minimum, arity=2),
    function("leaky_relu", lambda x, a: np.where(x > 0, x, a * x), arity=2),
    function("elu", lambda x, a: np.where(x > 0, x, a * np.expm1(x)), arity=2, eps=6),
    function(
        "floor_divide", np.floor_divide, 1, 8, arity=2, gradient=False,
        more=[Case(*np.meshgrid(QUOTIENTS, QUOTIENTS), gradient=False, rows=())],
    ),
    function("mod", np.mod, 1, 8, arity=2, floor=8),
    function("identity", lambda x: x),
    function("stop_gradient", lambda x: x, gradient=False),
    test("to_bool", lambda x: x != 0, arity=1),
    test("equal", np.equal),
    test("not_equal", np.not_equal),
    test("greater", np.greater),
    test("greater_equal", np.greater_equal),
    test("less", np.less, more=SPREAD),
    test("less_equal", np.less_equal),
    test("isnan", np.isnan, arity=1),
    test("isinf", np.isinf, arity=1),
    test("isfinite", np.isfinite, arity=1),
    logic("logical_and", np.logical_and),
    logic("logical_or", np.logical_or),
    logic("logical_xor", np.logical_xor),
    logic("logical_not", np.logical_not, arity=1),
    bitwise("bitwise_and", np.bitwise_and),
    bitwise("bitwise_or", np.bitwise_or),
    bitwise("bitwise_xor", np.bitwise_xor),
    Op(
        "where", np.where, [
            Case(mask((1003,)), (1003,), (1003,)),
            Case(mask((4099,)), (4099,), (4099,), special=True),
            *(Case(mask(a), b, a, rows=()) for a, b in BROADCAST),
        ], dtypes=("float32", "float64", *INTEGERS), epsilons=0, rows=(0, 1, 2),
    ),
    Op(
        "cast", cast, [Case((200,), values=(0, 50), dtype=d) for d in ("float32", "float64")],
        dtypes=("float32", "float64", *INTEGERS, "bool"), epsilons=1, rows=(0,),
    ),
    Op(
        "cast", cast, [Case((200,), values=(0, 50), dtype=d) for d in (*INTEGERS, "bool")], gradient=False, rows=(0,),
        dtypes=("float32", "float64", *INTEGERS, "bool"),
    ),
    *(
        Op(
            f"round_{name}", rounding(kind), [
                Case((1003,), values=(-8.0, 8.0), gradient=False),
                Case((4099,), special=True), Case((515,), values="huge", gradient=False),
            ], epsilons=0, rows=(0,),
        )
        for name, kind in (("bf16", ml_dtypes.bfloat16), ("f16", np.float16))
    ),
    Op("copy", lambda x: x, [Case((33, 64)), Case(()), Case((0, 3))], epsilons=0, rows=(0,)),
]  # fmt: skip
