"""Public functions of indices, order and small arrays against Keras on JAX; traces, typed errors, order of sums."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support

keras = pytest.importorskip("keras")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 7)).astype("float32")
NAN = X.copy()
NAN[1, 3], NAN[2, 0], NAN[2, 1] = np.nan, np.inf, -np.inf
INTS, U8 = RNG.integers(-5, 6, (4, 7)).astype("int32"), RNG.integers(0, 9, (4, 7)).astype("uint8")
CUBE = RNG.standard_normal((3, 4, 5)).astype("float32")
ZEROS = np.where(RNG.random((4, 7)) < 0.3, 0, X).astype("float32")
PLACES, VALUES = np.array([[0, 1], [2, 3], [0, 1], [-1, 0]]), RNG.standard_normal(4).astype("float32")
IDS = np.array([0, 2, 2, 1])
ARRAYS = {"float": X, "nan": NAN, "int": INTS, "uint8": U8, "bool": X > 0}

CALLS = [
    *(
        (name, (a,), {"axis": axis})
        for name in ("sort", "argsort", "cumprod", "median")
        for a in ARRAYS.values()
        for axis in (-1, 0, None)
    ),
    *(
        ("quantile", (a, q), {"axis": axis, "method": method})
        for a in (X, NAN, INTS)
        for q, axis in ((0.3, -1), ([0.1, 0.5, 0.93], 0), ([0.0, 1.0], None))
        for method in ("linear", "lower", "higher", "midpoint", "nearest")
    ),
    ("quantile", (X, 0.3), {"axis": 1, "keepdims": True}),
    ("median", (CUBE,), {"axis": (0, 2), "keepdims": True}),
    ("percentile", (X, 30), {"axis": 1}),
    *((name, (a, *more), {}) for a in ARRAYS.values() for name, *more in (("top_k", 3), ("diff",), ("nan_to_num",))),
    *(("isclose", (a, a), {"equal_nan": b}) for a in ARRAYS.values() for b in (True, False)),
    ("isclose", (X, X + 1e-6), {}),
    ("allclose", (X, X + 1e-6), {"rtol": 1e-3}),
    ("diff", (CUBE,), {"n": 2, "axis": 1}),
    ("nan_to_num", (NAN,), {"nan": 3.0, "posinf": 1.0, "neginf": -2.0}),
    *(("diagonal", (X,), {"offset": k}) for k in (0, -2, 3, 9)),
    ("diagonal", (CUBE,), {"axis1": 0, "axis2": 2, "offset": 1}),
    ("trace", (CUBE,), {"offset": 1, "axis1": 1, "axis2": 2}),
    *(("rot90", (CUBE,), {"k": k, "axes": axes}) for k in (-1, 0, 1, 2, 3) for axes in ((0, 1), (2, 1))),
    ("searchsorted", (np.sort(X[0]), NAN), {}),
    ("searchsorted", (np.sort(INTS[0]), INTS), {"side": "right"}),
    ("digitize", (NAN, np.array([-1, 0, 1], "float32")), {}),
    ("digitize", (INTS, np.array([3, 0, -3], "int32")), {}),
    ("histogram", (X[0],), {}),
    ("histogram", (X[0],), {"bins": 4, "range": (-1, 1)}),
    ("kron", (X[:2, :3], X[:3, :2]), {}),
    ("divide_no_nan", (X, INTS.astype("float32")), {}),
    ("divide_no_nan", (INTS, INTS), {}),
    ("log10", (np.abs(X),), {}),
    ("arctan2", (INTS, X), {}),
    ("select", ([X > 0, X < -1], [X, X * X], 7.0), {}),
    *((f"bitwise_{f}", (a, a[::-1]), {}) for f in ("and", "or", "xor") for a in (INTS, U8, X > 0)),
    *(("bitwise_not", (a,), {}) for a in (INTS, U8, X > 0)),
    ("scatter", (PLACES, VALUES, (4, 7)), {}),
    ("scatter", (PLACES[:, :1], X, (5, 7)), {}),
    *(("scatter_update", (X, PLACES, VALUES), {"reduction": r}) for r in (None, "add", "max", "min", "mul")),
    ("slice_update", (X, [1, 2], np.ones((2, 3), "float32")), {}),
    ("slice_update", (X, np.array([1, 0]), np.ones((2, 7), "float32")), {}),
    ("slice_update", (X, [3, 6], np.ones((2, 3), "float32")), {}),  # moved to lie within
    ("slice_update", (X, [-1, -2], np.ones((1, 1), "float32")), {}),
    *((f"segment_{f}", (a, IDS), {"num_segments": 4}) for f in ("sum", "max") for a in (X, INTS, X[:, 0])),
    ("bincount", (IDS,), {}),
    ("bincount", (IDS,), {"minlength": 9}),
    ("bincount", (IDS,), {"weights": VALUES}),
    ("bincount", (np.array([[1, 2, 4], [0, 4, 4]]),), {"weights": np.ones((2, 3), "float32")}),
    ("in_top_k", (np.array([1, 0, 3, 2]), X, 3), {}),
    ("in_top_k", (np.array([1, 3, 0, 2]), NAN, 3), {}),
    *(("cross", (CUBE[..., :m], CUBE[:, 1:2, :n]), {}) for m in (2, 3) for n in (2, 3)),
    ("cross", (CUBE, CUBE[::-1]), {"axis": 0}),
    ("cross", (CUBE[..., :3], CUBE[..., 1:4]), {"axisc": 0}),
    ("meshgrid", (X[0], X[1, :3], X[2, :2]), {}),
    ("meshgrid", (X[0], X[1, :3]), {"indexing": "ij"}),
    ("logspace", (0, 3), {"num": 7}),
    ("multi_hot", (np.array([0, 2, 5]), 6), {}),
    ("multi_hot", (np.array([[0, 2], [5, 5]]), 6), {"dtype": "int32"}),
    ("rearrange", (CUBE, "a b c -> c (a b)"), {}),
    ("rearrange", (CUBE.reshape(3, 20), "a (b c) -> c a b"), {"b": 4}),
    ("size", (CUBE,), {}),
    ("ndim", (CUBE,), {}),
]


def listed(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


@pytest.mark.parametrize("name, args, options", CALLS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CALLS)])
def test_against_keras(name, args, options):
    wanted, got = listed(getattr(keras.ops, name)(*args, **options)), listed(getattr(ops, name)(*args, **options))
    assert len(wanted) == len(got)
    for w, g in zip(wanted, got):
        if not isinstance(w, int):
            assert str(w.dtype) == g.dtype
        np.testing.assert_allclose(np.asarray(g), np.asarray(w), rtol=2e-6, atol=2e-6)


def test_argpartition():
    order = np.asarray(ops.argpartition(X, 3, axis=1))
    got = np.take_along_axis(X, order, 1)
    assert (got[:, :3] <= got[:, 3:4]).all() and (got[:, 4:] >= got[:, 3:4]).all()


def test_gradients_are_those_of_jax():
    import jax

    weights = RNG.standard_normal(200).astype("float32")
    for name, call in {
        "sort": lambda o, x: o.sort(x, axis=0),
        "top_k": lambda o, x: o.top_k(x, 3)[0],
        "median": lambda o, x: o.median(x, axis=1),
        "quantile": lambda o, x: o.quantile(x, 0.3, axis=1),
        "cumprod": lambda o, x: o.cumprod(x, axis=1),
        "cross": lambda o, x: o.cross(x[:, :3], x[:, 3:6]),
        "segment_sum": lambda o, x: o.segment_sum(x, IDS, num_segments=4),
        "scatter_update": lambda o, x: o.scatter_update(x, PLACES, x[0, :4]),
        "slice_update": lambda o, x: o.slice_update(x, [1, 2], x[:2, :3]),
        "trace": lambda o, x: o.trace(x),
    }.items():

        def loss(o, x, call=call):
            y = o.reshape(call(o, x), (-1,))
            return o.sum(y * weights[: y.shape[0]])

        want = jax.grad(lambda x: loss(keras.ops, x))(ZEROS if name == "cumprod" else X)
        with _core.Trace() as trace:
            x = trace.input([4, 7], "float32")
            got = trace.compile(_core.gradients(loss(ops, x), [x])).numpy(ZEROS if name == "cumprod" else X)[0]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=name)


def test_slope_of_a_running_product_with_zeros():
    support.check_gradients(lambda x: ops.cumprod(x, axis=1), [ZEROS.astype("float64")])


def test_bad_indices_name_op_position_and_value():
    with pytest.raises(IndexError, match=r"segment_sum: segment_ids must be in \[0, 4\), received 9 .*position 1"):
        ops.segment_sum(X, np.array([0, 9, 2, 1]), num_segments=4)
    with pytest.raises(IndexError, match=r"segment_max: .* received -1 .*position 3"):
        ops.segment_max(X, np.array([0, 1, 2, -1]), num_segments=4)
    with pytest.raises(IndexError, match=r"bincount: .* received -3 .*position 0"):
        ops.bincount(np.array([-3, 1]))
    with pytest.raises(IndexError, match=r"in_top_k: targets .* received 7 .*position 2"):
        ops.in_top_k(np.array([0, 1, 7, 2]), X, 2)
    with pytest.raises(IndexError, match=r"scatter_update: .* position 1, received 7"):
        ops.scatter_update(X, [[0, 7]], VALUES[:1])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: ops.sort(X, axis=2), ValueError, "sort: axis.*2"),
        (lambda: ops.top_k(X, 8), ValueError, "top_k: k must be .* received k=8"),
        (lambda: ops.scatter(PLACES, VALUES, (4,)), ValueError, "scatter: .* received"),
        (lambda: ops.scatter(PLACES.astype("float32"), VALUES, (4, 7)), TypeError, "indices must be integers"),
        (lambda: ops.scatter_update(X, PLACES, VALUES, reduction="mean"), ValueError, "reduction.*'mean'"),
        (lambda: ops.slice_update(X, [0, 0], np.ones((5, 1))), ValueError, "must fit.*5, 1"),
        (lambda: ops.quantile(X, 1.5), ValueError, r"q must be in \[0, 1\], received q=1.5"),
        (lambda: ops.quantile(X, 0.5, method="best"), ValueError, "method.*'best'"),
        (lambda: ops.bincount(IDS, sparse=True), NotImplementedError, "sparse=True"),
        (lambda: ops.searchsorted(X, X), ValueError, "one axis"),
        (lambda: ops.bitwise_and(X, X), TypeError, "integers are needed"),
        (lambda: ops.rearrange(X, "a b c -> a b c"), ValueError, "every axis"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_sums_of_repeated_indices_have_one_order():
    """The same bits on one thread and two, and those of adding one by one."""
    ids, data = RNG.integers(0, 5, 3000), RNG.standard_normal((3000, 1500)).astype("float32")
    want = np.zeros((5, 1500), "float32")
    np.add.at(want, ids, data)
    for threads in (1, 2):
        with support.isa("avx2", threads):
            np.testing.assert_array_equal(np.asarray(ops.segment_sum(data, ids, num_segments=5)), want)


def test_in_a_trace_with_an_unknown_batch():
    def run(x):
        best, where = ops.top_k(x, 2)
        return [ops.median(x, axis=1), best, where, ops.cumprod(x, axis=0), ops.diff(x, axis=0), ops.argsort(x, axis=0)]

    p = support.compiled(run, (("n", 7), "float32"))
    for n in (1, 3):
        x = X[:n]
        for got, want in zip(p.numpy(x), run(x)):
            np.testing.assert_array_equal(got, np.asarray(want))
    with pytest.raises(NotImplementedError, match="bincount: the size of the result depends on values"):
        support.compiled(lambda i: [ops.bincount(i)], (("n",), "int32"))
    with pytest.raises(ValueError, match="segment_sum: num_segments must be set"):
        support.compiled(lambda x: [ops.segment_sum(x, ops.cast(x[:, 0], "int32"))], (("n", 7), "float32"))


@pytest.mark.parametrize("axis", [0, 1])
def test_variance_far_from_zero(axis):
    x = (1e6 + RNG.standard_normal((700, 300))).astype("float32")
    want = x.astype("float64").var(axis)
    error = np.abs(np.asarray(ops.var(x, axis=axis)) - want) / want
    assert error.max() <= 16 * np.finfo("float32").eps


def test_in_a_functional_model_and_its_file(tmp_path):
    import maas

    x = maas.Input((7,))
    values, places = ops.top_k(x, 3)
    ys = [
        ops.diff(x),
        ops.rot90(x),
        ops.rearrange(x, "b (h p) -> h b p", p=1),
        ops.sort(x),
        ops.median(x, axis=-1),
        ops.cumprod(x, axis=1),
        values,
        ops.digitize(x, np.array([-1.0, 0.0, 1.0], "float32")),
        ops.take_along_axis(x, places, axis=1),
        ops.nan_to_num(x),
        ops.isclose(x, x),
    ]
    model = maas.Model(x, ys)
    wanted = [
        np.diff(X), np.rot90(X), X.T[:, :, None], np.sort(X), np.median(X, -1), np.cumprod(X, 1), np.sort(X)[:, :3:-1],
        np.digitize(X, [-1, 0, 1]), np.sort(X)[:, :3:-1], X, np.ones_like(X, bool),
    ]  # fmt: skip
    for got, want in zip(model(X), wanted):
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-6, atol=1e-7)
    model = maas.Model(x, [y for i, y in enumerate(ys) if i != 7])  # files hold no arrays among an op's arguments
    model.save(tmp_path / "m.keras")
    for got, want in zip(maas.models.load_model(tmp_path / "m.keras")(X), model(X)):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(want))
