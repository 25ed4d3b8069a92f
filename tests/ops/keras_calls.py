"""One call or more of every function of `maas.ops` that Keras has: `CALLS` of (name, arguments, options).

`GRADIENTS` are the calls whose slopes are compared with finite differences.
"""

import numpy as np

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype("float32")


X, Y = normal(3, 5), normal(3, 5)
POSITIVE, SHARE = np.abs(X) + 0.3, (np.tanh(X) * 0.9).astype("float32")
NAN = X.copy()
NAN[0, 1], NAN[2] = np.nan, np.nan
ENDS = np.array([[np.inf, -np.inf, np.nan, 0.0, -1.5]], "float32")
INT, J = RNG.integers(-9, 9, (3, 5)).astype("int32"), RNG.integers(1, 9, (3, 5)).astype("int32")
U8, TRUTH = J.astype("uint8"), X > 0
CUBE, IMAGE = normal(2, 3, 4), normal(2, 6, 8, 4)
SQUARE = normal(2, 4, 4)
SPD = (SQUARE @ SQUARE.transpose(0, 2, 1) + 2 * np.eye(4)).astype("float32")
PAIR = (normal(2, 8), normal(2, 8))
IDS = np.array([0, 2, 2], "int32")
PROBABILITIES = (np.abs(X) / np.abs(X).sum(1, keepdims=True)).astype("float32")
ONE_HOT, CLASSES = np.eye(5, dtype="float32")[[1, 4, 0]], np.array([1, 4, 0], "int32")
LAST = {"data_format": "channels_last"}
KERNEL = normal(3, 2, 4, 5)

FLOATS = {  # functions of one float tensor, and where they are tried
    "absolute": X, "abs": X, "angle": X, "arccos": SHARE, "arccosh": POSITIVE + 1, "arcsin": SHARE, "arcsinh": X,
    "arctan": X, "arctanh": SHARE, "cbrt": X, "ceil": X, "celu": X, "conj": X, "conjugate": X, "cos": X, "cosh": X,
    "deg2rad": X, "elu": X, "erf": X, "erfc": X, "erfinv": SHARE, "exp": X, "exp2": X, "expm1": X, "fabs": X,
    "floor": X, "gelu": X, "hard_shrink": X, "hard_sigmoid": X, "hard_silu": X, "hard_swish": X, "hard_tanh": X,
    "i0": X, "imag": X, "leaky_relu": X, "log": POSITIVE, "log10": POSITIVE, "log1p": POSITIVE, "log2": POSITIVE,
    "log_sigmoid": X, "log_softmax": X, "negative": X, "rad2deg": X, "real": X, "reciprocal": POSITIVE, "relu": X,
    "relu6": X, "round": X, "rsqrt": POSITIVE, "selu": X, "sigmoid": X, "sign": X, "silu": X, "sin": X, "sinc": X,
    "sinh": X, "soft_shrink": X, "softmax": X, "softplus": X, "softsign": X, "sparse_plus": X, "sparse_sigmoid": X,
    "sqrt": POSITIVE, "square": X, "squareplus": X, "swish": X, "tan": SHARE, "tanh": X, "tanh_shrink": X, "trunc": X,
}  # fmt: skip
TESTS = "isfinite isinf isnan isneginf isposinf isreal signbit".split()
PAIRS = (
    "add arctan2 divide divide_no_nan fmax fmin fmod heaviside hypot logaddexp logaddexp2 maximum minimum mod multiply "
    "subtract true_divide floor_divide equal not_equal greater greater_equal less less_equal"
).split()
WHOLE = "gcd lcm bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift left_shift right_shift"
REDUCTIONS = (
    "all any max min mean prod sum var std amax amin logsumexp ptp nansum nanprod nanmean nanvar nanstd nanmax nanmin "
    "nanmedian median"
).split()
PLACES = "argmax argmin nanargmax nanargmin cumsum cumprod nancumsum nancumprod argsort sort".split()

CALLS = [
    *((name, (x,), {}) for name, x in FLOATS.items()), *((name, (a,), {}) for name in TESTS for a in (ENDS, INT)),
    *((name, (X, Y), {}) for name in PAIRS),
    *((name, (INT, J), {}) for name in PAIRS if name not in ("divide_no_nan",)),
    *((name, a, {}) for name in WHOLE.split() for a in ((INT, J), (U8, U8[::-1] % 8))),
    *((name, (a,), {}) for name in ("bitwise_not", "bitwise_invert") for a in (INT, U8)),
    *((name, (TRUTH, TRUTH[::-1]), {}) for name in ("logical_and", "logical_or", "logical_xor")),
    ("logical_not", (TRUTH,), {}),
    *((name, (NAN if name.startswith("nan") else X,), {"axis": axis, "keepdims": keep})
      for name in REDUCTIONS for axis, keep in ((None, False), (1, True))),
    *((name, (NAN if name.startswith("nan") else X,), {"axis": axis}) for name in PLACES for axis in (0, -1)),
    *((name, (NAN, 0.3 if "quantile" in name else 30.0), {"axis": 0, "method": method})
      for name in ("nanquantile", "nanpercentile") for method in ("linear", "lower", "higher", "midpoint", "nearest")),
    ("nanquantile", (X, np.array([0.1, 0.7], "float32")), {"axis": 1, "keepdims": True}),
    ("quantile", (X, 0.3), {"axis": 0}), ("percentile", (X, 30.0), {"axis": 0}),
    ("average", (X,), {"axis": 0, "weights": np.array([1, 2, 3], "float32")}),
    ("count_nonzero", (INT,), {"axis": 1}), ("moments", (X, [0]), {}), ("power", (POSITIVE, Y), {}),
    ("power", (INT, 2), {}), ("ldexp", (X, INT), {}), ("clip", (X, -0.5, 0.5), {}),
    ("threshold", (X, 0.2, -7.0), {}), ("glu", (IMAGE,), {"axis": 1}), ("round", (X,), {"decimals": 1}),
    ("where", (TRUTH, X, Y), {}), ("nan_to_num", (ENDS,), {"posinf": 3.0}), ("isclose", (X, X + 1e-7), {}),
    ("allclose", (X, X), {}), ("isin", (INT, J[0]), {}), ("isin", (X, X[1]), {"invert": True}),
    ("select", ([TRUTH, X < -1], [X, Y], 3.0), {}), ("arange", (2, 9, 3), {}),
    ("arange", (3,), {"dtype": "float32"}), ("eye", (3, 4), {"k": 1}), ("identity", (3,), {}),
    ("full", ((2, 3), 7.0), {}), ("full_like", (X, 2.0), {}), ("ones", ((2,),), {}), ("ones_like", (INT,), {}),
    ("zeros", ((2, 0),), {}), ("zeros_like", (X,), {"dtype": "int32"}), ("empty_like", (X,), {}),
    ("empty", ((2,),), {}), ("linspace", (0.0, 2.0), {"num": 5}), ("logspace", (0.0, 2.0), {"num": 5}),
    ("geomspace", (1.0, 100.0), {"num": 5}), ("tri", (3, 4), {"k": 1}), ("shape", (X,), {}), ("size", (X,), {}),
    ("ndim", (CUBE,), {}),
    *((name, (m,), {}) for name in ("bartlett", "blackman", "hamming", "hanning") for m in (1, 7)),
    ("kaiser", (7, 3.5), {}), ("array", ([1.0, 2.0],), {}), ("cast", (X, "int32"), {}),
    ("convert_to_numpy", (X,), {}), ("convert_to_tensor", ([1, 2],), {"dtype": "float32"}), ("copy", (X,), {}),
    ("saturate_cast", (100 * X, "uint8"), {}), ("stop_gradient", (X,), {}), ("dtype", (X,), {}),
    ("is_tensor", (X,), {}), ("append", (X, Y), {"axis": 1}), ("concatenate", ([X, Y],), {"axis": 1}),
    ("stack", ([X, Y],), {"axis": 1}), ("hstack", ([X, Y],), {}), ("vstack", ([X, Y],), {}),
    ("dstack", ([X, Y],), {}), ("dstack", ([X[0], Y[0]],), {}), ("broadcast_to", (X, (2, 3, 5)), {}),
    ("expand_dims", (X, 1), {}), ("squeeze", (X[None],), {}), ("flip", (X,), {}), ("fliplr", (X,), {}),
    ("flipud", (X,), {}), ("moveaxis", (CUBE, 0, 2), {}), ("swapaxes", (CUBE, 0, 2), {}),
    ("transpose", (CUBE,), {}), ("transpose", (CUBE, (1, 0, 2)), {}), ("reshape", (X, (5, -1)), {}),
    ("ravel", (X,), {}), ("repeat", (X, 2), {"axis": 1}), ("tile", (X, (2, 1)), {}), ("roll", (X, 2), {"axis": 1}),
    ("rot90", (X,), {}), ("pad", (X, ((1, 0), (2, 1))), {}), ("pad", (X, ((1, 0), (2, 1))), {"mode": "reflect"}),
    ("split", (X, [2, 3]), {"axis": 1}), ("array_split", (X, 4), {"axis": 1}), ("hsplit", (X, [2]), {}),
    ("vsplit", (X, 3), {}), ("dsplit", (CUBE, 2), {}), ("unstack", (X,), {}), ("diag", (X[0],), {"k": 1}),
    ("diagflat", (X,), {"k": -1}), ("diagonal", (X,), {"offset": 1}), ("trace", (X,), {}),
    ("tril", (X,), {"k": 1}), ("triu", (X,), {"k": -1}), ("meshgrid", (X[0], X[1, :3]), {}),
    ("rearrange", (CUBE, "a b c -> c (a b)"), {}), ("diff", (X,), {"axis": 0}),
    ("get_item", (X, (slice(None), 2)), {}), ("slice", (X, (1, 2), (2, 2)), {}), ("vander", (X[0],), {"N": 3}),
    ("slice_update", (X, (1, 2), np.ones((2, 2), "float32")), {}),
    ("unravel_index", (np.array([3, 7], "int32"), (4, 5)), {}), ("take", (X, np.array([2, 0])), {"axis": 0}),
    ("take_along_axis", (X, np.array([[1], [0], [4]])), {"axis": 1}),
    ("scatter", (np.array([[1], [0]]), X[:2], (4, 5)), {}),
    ("scatter_update", (X, np.array([[1, 2]]), np.ones(1, "float32")), {}),
    *((f"segment_{f}", (a, IDS), {"num_segments": 4}) for f in ("sum", "max", "min", "prod") for a in (X, INT)),
    ("bincount", (J[0],), {}), ("digitize", (X, np.array([-1, 0, 1], "float32")), {}),
    ("histogram", (X.reshape(-1),), {"bins": 4}), ("in_top_k", (CLASSES, X, 2), {}),
    ("multi_hot", (CLASSES, 5), {}), ("one_hot", (CLASSES, 5), {}), ("searchsorted", (np.sort(X[0]), X), {}),
    ("top_k", (X, 2), {}), ("nonzero", (TRUTH,), {}), ("unique", (J,), {}), ("matmul", (X, Y.T), {}),
    ("dot", (X, Y.T), {}), ("vdot", (X, Y), {}), ("inner", (X, Y), {}), ("outer", (X, Y), {}),
    ("tensordot", (CUBE, CUBE), {"axes": [[1], [1]]}), ("einsum", ("ij,kj->ik", X, Y), {}),
    ("kron", (X, Y[:2]), {}), ("cross", (CUBE[..., :3], CUBE[:, ::-1, :3]), {}), ("cdist", (X, Y), {}),
    ("corrcoef", (X,), {}), *(("correlate", (X[0], Y[0, :3]), {"mode": m}) for m in ("valid", "same", "full")),
    ("trapezoid", (X,), {"dx": 0.5}), ("trapezoid", (X,), {"x": np.sort(X[0])}), ("psnr", (X, Y, 2.0), {}),
    ("cholesky", (SPD,), {}), ("cholesky_inverse", (np.linalg.cholesky(SPD[0]),), {}), ("det", (SQUARE,), {}),
    ("eigh", (SPD,), {}), ("inv", (SPD,), {}), ("logdet", (SPD,), {}), ("lstsq", (X.T, Y.T), {}),
    ("lu_factor", (SPD,), {}), ("matrix_rank", (SQUARE,), {}), ("norm", (X,), {}),
    ("norm", (X,), {"ord": 1, "axis": 1}), ("pinv", (SPD,), {}), ("qr", (SQUARE,), {}), ("slogdet", (SQUARE,), {}),
    ("solve", (SPD, SQUARE), {}), ("svd", (SQUARE,), {"compute_uv": False}),
    ("solve_triangular", (np.linalg.cholesky(SPD), SQUARE), {"lower": True}), ("fft", (PAIR,), {}),
    ("fft2", (PAIR,), {}), ("ifft2", (PAIR,), {}), ("rfft", (PAIR[0],), {}),
    ("irfft", ((PAIR[0][:, :5], PAIR[1][:, :5]),), {}), ("stft", (normal(2, 30), 8, 4, 8), {}),
    ("istft", ((normal(2, 6, 5), normal(2, 6, 5)), 8, 4, 8), {}),
    ("istft", ((normal(1, 6, 5), normal(1, 6, 5)), 8, 2, 8), {"length": 9, "window": "hamming", "center": False}),
    ("extract_sequences", (normal(2, 11), 4, 3), {}),
    ("unfold", (normal(2, 3, 7, 8), (2, 3)), {"dilation": 2, "padding": 1, "stride": 2}),
    ("fold", (normal(2, 12, 35), (6, 8), 2), {}), ("depth_to_space", (IMAGE, 2), {}),
    ("space_to_depth", (IMAGE, 2), {}), ("depth_to_space", (IMAGE.transpose(0, 3, 1, 2), 2, "channels_first"), {}),
    ("space_to_depth", (IMAGE.transpose(0, 3, 1, 2), 2, "channels_first"), {}),
    *((f"adaptive_{f}_pool", (a, 3), LAST) for f in ("average", "max") for a in (CUBE, IMAGE, normal(2, 4, 5, 6, 3))),
    ("adaptive_max_pool", (IMAGE, (2, 5), "channels_first"), {}),
    ("max_pool", (IMAGE, (2, 2), (2, 2)), {"padding": "same", **LAST}), ("average_pool", (IMAGE, (2, 2), (2, 2)), LAST),
    ("conv", (IMAGE, KERNEL), LAST), ("conv_transpose", (IMAGE, normal(3, 2, 5, 4)), {"strides": 2, **LAST}),
    ("depthwise_conv", (IMAGE, normal(3, 2, 4, 2)), LAST),
    ("separable_conv", (IMAGE, normal(3, 2, 4, 2), normal(1, 1, 8, 3)), LAST),
    ("batch_normalization", (X, X[0], POSITIVE[0], -1), {}), ("layer_normalization", (X,), {}),
    ("rms_normalization", (X,), {}), ("normalize", (X,), {}),
    ("dot_product_attention", (normal(2, 5, 2, 4),) * 3, {}),
    ("binary_crossentropy", (TRUTH.astype("float32"), PROBABILITIES), {}),
    ("categorical_crossentropy", (ONE_HOT, PROBABILITIES), {}),
    ("sparse_categorical_crossentropy", (CLASSES, PROBABILITIES), {}),
    ("ctc_loss", (np.array([[1, 2], [3, 0]], "int32"), normal(2, 6, 5),
      np.array([2, 1], "int32"), np.array([6, 5], "int32")), {}),
]  # fmt: skip

# Where Keras itself is wrong (or has no such dtype), with a reason; what is right is tested beside.
WRONG_IN_KERAS = {"sparsemax": "tau is that of the whole row: rows sum to less than 1"}


def with_functions(ops):
    """name -> result of the calls that take functions, which each library traces in its own way."""

    @ops.custom_gradient
    def twice(x):
        return x * 2.0, lambda *args, upstream=None: (args[0] if upstream is None else upstream) * 3.0

    return {
        "custom_gradient": twice(ops.convert_to_tensor(X)),
        "associative_scan": ops.associative_scan(lambda a, b: a + b, ops.convert_to_tensor(X)),
        "cond": ops.cond(
            ops.convert_to_tensor(True), lambda: ops.convert_to_tensor(X), lambda: ops.convert_to_tensor(Y)
        ),
        "fori_loop": ops.fori_loop(0, 3, lambda i, a: a * 2.0, ops.convert_to_tensor(X)),
        "map": ops.map(lambda row: ops.sum(row), ops.convert_to_tensor(X)),
        "scan": ops.scan(lambda c, row: (c + row, c * row), ops.convert_to_tensor(X[0]), ops.convert_to_tensor(Y)),
        "switch": ops.switch(1, [lambda a: a, lambda a: a * 2.0], ops.convert_to_tensor(X)),
        "vectorized_map": ops.vectorized_map(lambda row: ops.sum(row) * 2.0, ops.convert_to_tensor(X)),
        "vectorize": ops.vectorize(lambda a, b: a * b + 1.0)(ops.convert_to_tensor(X), ops.convert_to_tensor(Y[0])),
        "while_loop": ops.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2.0), (0, ops.convert_to_tensor(X))),
    }


NO_SLOPE = {"ceil", "floor", "round", "sign", "trunc", "angle", "imag", "hard_shrink", "conj", "conjugate", "real"}
GRADIENTS = [
    *((name, (x,), {}) for name, x in FLOATS.items() if name not in NO_SLOPE),
    *(c for c in CALLS if c[0] in (
        "add arctan2 divide fmax fmin fmod hypot logaddexp2 ldexp glu threshold nansum nanprod nanmean nanvar nanstd "
        "nanmax nancumsum nancumprod nanquantile ptp cdist corrcoef correlate trapezoid psnr vander dstack array_split "
        "diagflat logdet istft extract_sequences unfold fold depth_to_space space_to_depth adaptive_average_pool "
        "adaptive_max_pool"
    ).split() and str(np.asarray(c[1][0][0] if isinstance(c[1][0], (tuple, list)) else c[1][0]).dtype) == "float32"),
]  # fmt: skip
