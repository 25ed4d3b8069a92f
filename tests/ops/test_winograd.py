"""Winograd's convolution: how far off it is, what a NaN reaches, epilogues, and where it is used. Cases are in
winograd_cases.py."""

import numpy as np
import pytest

import maas
from maas import _core
from tests.ops import conv_cases, support, winograd_cases
from tests.ops.support import compiled

EPS = np.finfo("float32").eps


@pytest.fixture(params=support.LEVELS)
def level(request):
    with support.isa(request.param):
        yield request.param


def image_and_kernel(x_shape, filters, seed=0):
    """A picture after a ReLU, and He's weights."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal(x_shape), 0).astype("float32")
    k = rng.standard_normal((3, 3, x_shape[-1], filters)) * (2 / (9 * x_shape[-1])) ** 0.5
    return x, k.astype("float32")


def ops_of(program):
    return [op for op, _ in program.kernels]


# Root mean square and largest error, in epsilons of the root mean square of the output, for one channel: both grow with
# the root of their number. The direct way has 0.31 and 3.
@pytest.mark.parametrize("tile, rms, largest", [(4, 0.8, 8), (2, 0.3, 2.5)])
@pytest.mark.parametrize("shape, filters", [((1, 28, 28, 64), 64), ((1, 14, 14, 256), 64), ((2, 9, 11, 512), 32)])
def test_error(tile, rms, largest, shape, filters):
    x, k = image_and_kernel(shape, filters)
    want = conv_cases.reference(x.astype("float64"), k.astype("float64"), padding="same")
    for level in ("avx2", "avx512"):
        with support.isa(level):
            y = np.asarray(winograd_cases.winograd(x, k, tile=tile))
        error, scale = y - want, EPS * np.sqrt((want**2).mean())
        assert np.sqrt((error**2).mean()) <= rms * shape[-1] ** 0.5 * scale
        assert np.abs(error).max() <= largest * shape[-1] ** 0.5 * scale


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("tile", [4, 2])
def test_what_is_not_finite_stays_in_tiles_that_read_it(tile, value, level):
    """The tiles of which some output, cut off or not, reads the pixel; the others keep their bits."""
    x, k = image_and_kernel((3, 11, 10, 20), 24)
    before = np.asarray(winograd_cases.winograd(x, k, tile=tile))
    for row, column in ((0, 0), (5, 4), (10, 9), (3, 7)):
        spoilt = x.copy()
        spoilt[1, row, column, 3] = value
        y = np.asarray(winograd_cases.winograd(spoilt, k, tile=tile))
        reads = [
            [any(t - 1 <= at <= t + 1 for t in range(o // tile * tile, o // tile * tile + tile)) for o in range(n)]
            for n, at in ((11, row), (10, column))
        ]
        may = np.outer(*reads)
        assert y[0].tobytes() == before[0].tobytes() and y[2].tobytes() == before[2].tobytes()
        assert y[1][~may].tobytes() == before[1][~may].tobytes()
        if np.isnan(value):
            direct = conv_cases.reference(spoilt.astype("float64"), k.astype("float64"), padding="same")
            assert np.isnan(y[np.isnan(direct)]).all()


@pytest.mark.parametrize("tile", [4, 2])
@pytest.mark.parametrize("shape, filters", [((2, 9, 10, 24), 70), ((3, 4, 4, 16), 16)])
def test_epilogues(tile, shape, filters, level):
    x, k = image_and_kernel(shape, filters)
    rng = np.random.default_rng(1)
    b, s = (rng.standard_normal(filters).astype("float32") for _ in range(2))
    r = rng.standard_normal((*shape[:3], filters)).astype("float32")
    y = conv_cases.reference(x.astype("float64"), k.astype("float64"), padding="same")
    positive = lambda v: np.maximum(v, 0)  # noqa: E731
    kinds = {
        "bias": (lambda y, b, s, r: y + b, y + b),
        "bias relu": (lambda y, b, s, r: _core.relu(y + b), positive(y + b)),
        "relu": (lambda y, b, s, r: _core.relu(y), positive(y)),
        "scale, bias, residual, relu": (lambda y, b, s, r: _core.relu(y * s + b + r), positive(y * s + b + r)),
        "residual": (lambda y, b, s, r: y + r, y + r),
        "chain": (lambda y, b, s, r: _core.tanh(y * b) + r, np.tanh(y * b) + r),
        "mask": (lambda y, b, s, r: _core.relu_gradient(y, r), np.where(r > 0, y, 0)),
    }
    operands = (x, k, b, s, r)
    specs = [((None if i in (0, 4) else a.shape[0], *a.shape[1:]), "float32") for i, a in enumerate(operands)]
    specs[0], specs[4] = (("batch", *shape[1:]), "float32"), (("batch", *r.shape[1:]), "float32")
    for name, (tail, want) in kinds.items():
        program = compiled(
            lambda x, k, b, s, r: [tail(winograd_cases.winograd(x, k, tile=tile), b, s, r)],  # noqa: B023
            *specs,
        )
        assert ops_of(program)[-1] == "conv_winograd", f"{name} is not fused"
        got = program.numpy(*operands)[0]
        assert np.abs(got - want).max() <= 200 * EPS * np.abs(want).max(), name


def test_misaligned_image(level):
    x, k = image_and_kernel((2, 9, 10, 24), 40)
    room = np.empty(x.size + 1, "float32")
    shifted = room[1:].reshape(x.shape)
    shifted[...] = x
    program = compiled(lambda x, k: [winograd_cases.winograd(x, k)], (x.shape, "float32"), (k.shape, "float32"))
    assert program.numpy(shifted, k)[0].tobytes() == program.numpy(x, k)[0].tobytes()


def forward(x, k, **params):
    return _core.conv(x, k, padding="same", **params)


X, K = (("batch", 28, 28, 64), "float32"), ((3, 3, 64, 64), "float32")


def test_used_by_programs_not_by_eager_ops():
    x, k = image_and_kernel((2, 28, 28, 64), 64)
    program = compiled(lambda x, k: [forward(x, k)], X, K)
    assert ops_of(program) == ["conv_winograd_pack", "conv_winograd"]
    assert any("conv_winograd_f32" in line for line in program.plan.splitlines())
    with _core.Trace() as trace:
        xs, ks = trace.input(*X), trace.input(*K)
        exact = trace.compile([forward(xs, ks)], accuracy="exact")
    assert "conv_packed" in ops_of(exact) and "conv_winograd" not in ops_of(exact)
    eager = np.asarray(_core.conv(x, k, padding="same"))
    assert eager.tobytes() == exact.numpy(x, k)[0].tobytes()
    fast = program.numpy(x, k)[0]
    assert fast.tobytes() != eager.tobytes()
    assert np.abs(fast - eager).max() <= 110 * EPS * np.sqrt((eager.astype("float64") ** 2).mean())
    with pytest.raises(ValueError, match="received 'close'"), _core.Trace() as trace:
        trace.compile([trace.input((2,), "float32")], accuracy="close")


def test_rows_do_not_depend_on_the_batch():
    x, k = image_and_kernel((9, 28, 28, 64), 64)
    program = compiled(lambda x, k: [forward(x, k)], X, K)
    all_rows = program.numpy(x, k)[0]
    for rows in (slice(0, 1), slice(3, 5), slice(8, 9)):
        assert program.numpy(x[rows].copy(), k)[0].tobytes() == all_rows[rows].tobytes()


def test_training_uses_it_for_input_gradients_alone():
    def step(x, k):
        h = _core.relu(forward(x, k))
        y = forward(h, k)
        return [y, *_core.gradients(_core.sum(y * y), [x, k])]

    program = compiled(step, X, K)
    names = ops_of(program)
    assert names.count("conv_packed") == 2 and names.count("conv_winograd") == 2
    x, k = image_and_kernel((2, 28, 28, 64), 64)
    x -= 0.5
    got = program.numpy(x, k)
    with _core.Trace() as trace:
        exact = trace.compile(step(trace.input(*X), trace.input(*K)), accuracy="exact")
    want = exact.numpy(x, k)
    assert got[0].tobytes() == want[0].tobytes() and got[2].dtype == "float32"
    for a, b in zip(got[1:], want[1:]):
        assert np.abs(a - b).max() <= 200 * EPS * np.abs(b).max()


def test_a_transposed_convolution_is_direct_in_a_training_forward():
    def forward_transposed(x, k):
        return _core.conv_input_gradient(x, k, padding="same", size=[28, 28])

    def step(x, k):
        y = forward_transposed(x, k)
        return [y, *_core.gradients(_core.sum(y * y), [k])]

    assert "conv_winograd" in ops_of(compiled(lambda x, k: [forward_transposed(x, k)], X, K))
    assert "conv_winograd" not in ops_of(compiled(step, X, K))


@pytest.mark.parametrize(
    "params",
    [{"strides": [2, 2]}, {"dilation": [2, 2]}, {"groups": 2}],
    ids=str,
)
def test_other_windows_are_direct(params):
    kernel = (3, 3, 64 // params.get("groups", 1), 64)
    program = compiled(lambda x, k: [forward(x, k, **params)], X, (kernel, "float32"))
    assert "conv_winograd" not in ops_of(program)


def test_unknown_image_sizes():
    program = compiled(lambda x, k: [forward(x, k)], ((None, None, None, 64), "float32"), K)
    assert "conv_winograd" in ops_of(program)
    for shape in ((1, 5, 9, 64), (2, 16, 7, 64)):
        x, k = image_and_kernel(shape, 64)
        want = conv_cases.reference(x.astype("float64"), k.astype("float64"), padding="same")
        assert np.abs(program.numpy(x, k)[0] - want).max() <= 110 * EPS * np.sqrt((want**2).mean())


def test_a_network_answers_the_same():
    """A small residual network, fast and exact: the same classes, logits that agree to a few epsilons of their size."""
    maas.utils.set_random_seed(3)
    layers = maas.layers
    inputs = maas.Input((24, 24, 3))
    h = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    for _ in range(3):
        r = layers.Conv2D(32, 3, padding="same", activation="relu")(h)
        r = layers.Conv2D(32, 3, padding="same")(r)
        h = layers.Activation("relu")(layers.Add()([h, r]))
    h = layers.GlobalAveragePooling2D()(h)
    model = maas.Model(inputs, layers.Dense(10)(h))
    x = np.random.default_rng(0).standard_normal((64, 24, 24, 3)).astype("float32")
    fast = model.predict(x, verbose=0)
    exact = model.optimize(accuracy="exact").predict(x, verbose=0)
    assert fast.tobytes() != exact.tobytes()
    assert np.abs(fast - exact).max() <= 200 * EPS * np.abs(exact).max()
    assert (fast.argmax(1) == exact.argmax(1)).all()
