"""Random tensors: the same bits everywhere, the right distributions, seeds that advance, dropout and its gradient."""

import numpy as np
import pytest

from maas import _core, ops, random
from tests.ops import support

N = 200_000
STATE = np.array([[7], [3]])


def test_plain_kernels_have_the_bits_of_the_others():
    """Beyond what other ops promise; everything else about draws is in tests/ops/random_cases.py."""
    for n in (0, 1, 5, 31, 32, 33, 1024, 1025, 5000):
        x = np.arange(1, n + 1, dtype="float32")
        seen = []
        for level in support.LEVELS:
            with support.isa(level):
                draws = [_core.random_uniform(STATE, shape=[n], low=-2.0, high=3.0), _core.dropout(x, STATE, rate=0.3)]
                seen.append([d.numpy().tobytes() for d in draws])
        assert seen[0] == seen[1] == seen[2]


def test_a_prefix_is_the_same_numbers():
    long = random.uniform((3000,), seed=9).numpy()
    np.testing.assert_array_equal(random.uniform((17,), seed=9).numpy(), long[:17])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_distributions(dtype):
    # Six deviations of the mean of N numbers.
    u = random.uniform((N,), -1.0, 3.0, dtype=dtype, seed=1).numpy().astype("float64")
    assert u.min() >= -1 and u.max() <= 3 and (dtype == "float16" or u.max() < 3)
    assert abs(u.mean() - 1) < 6 * np.sqrt(16 / 12 / N) + 1e-3 and abs(u.var() - 16 / 12) < 0.02
    z = random.normal((N,), 2.0, 3.0, dtype=dtype, seed=1).numpy().astype("float64")
    assert abs(z.mean() - 2) < 18 / np.sqrt(N) + 1e-3 and abs(z.std() - 3) < 0.03
    t = random.truncated_normal((N,), dtype=dtype, seed=1).numpy().astype("float64")
    assert np.abs(t).max() <= 2 and abs(t.mean()) < 0.02 and abs(t.std() - 0.8796) < 0.01


def test_integers_and_classes():
    counts = np.bincount(random.randint((N,), -3, 5, seed=1).numpy() + 3, minlength=8)
    assert counts.size == 8 and ((counts - N / 8) ** 2 / (N / 8)).sum() < 40  # chi-squared, 7 degrees of freedom
    wide = random.randint((1000,), -(2**62), 2**62, dtype="int64", seed=1).numpy()
    assert wide.min() < -(2**60) and wide.max() > 2**60
    p = np.array([[0.1, 0.2, 0.7]], "float32")
    drawn = random.categorical(np.log(p), 50_000, seed=3).numpy()
    assert drawn.shape == (1, 50_000) and drawn.dtype == np.int32
    np.testing.assert_allclose(np.bincount(drawn[0]) / 50_000, p[0], atol=0.01)


def test_shuffle():
    x = np.arange(20).reshape(10, 2)
    y = random.shuffle(x, seed=4).numpy()
    assert (
        not np.array_equal(x, y) and np.array_equal(np.sort(y[:, 0]), x[:, 0]) and np.array_equal(y[:, 1], y[:, 0] + 1)
    )


def test_seeds():
    assert np.array_equal(random.uniform((5,), seed=3), random.uniform((5,), seed=3))
    one, two = random.SeedGenerator(5), random.SeedGenerator(5)
    first = [random.uniform((5,), seed=one).numpy() for _ in range(3)]
    assert len({a.tobytes() for a in first}) == 3
    with _core.Trace() as trace:
        program = trace.compile([random.uniform((5,), seed=two)])
    for want in first:  # a program advances the state as eager draws do
        np.testing.assert_array_equal(program.numpy()[0], want)
    np.testing.assert_array_equal(two.state.numpy(), [5, 3])
    random.set_global_seed(1)
    a = random.normal((4,)).numpy()
    b = random.normal((4,)).numpy()
    random.set_global_seed(1)
    np.testing.assert_array_equal(random.normal((4,)).numpy(), a)
    assert not np.array_equal(a, b)
    again = random.SeedGenerator.from_config(one.get_config())
    np.testing.assert_array_equal(random.uniform((5,), seed=again).numpy(), first[0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_dropout(dtype):
    y = random.dropout(np.ones(N, dtype), 0.25, seed=1).numpy()
    assert y.dtype == dtype and set(np.unique(y)) == {0, np.ones((), dtype) / np.asarray(0.75, dtype)}
    assert abs((y == 0).mean() - 0.25) < 0.01
    assert not random.dropout(np.ones(9, dtype), 1.0, seed=1).numpy().any()
    x = np.array([np.nan, np.inf, 1.0], dtype)
    np.testing.assert_array_equal(random.dropout(x, 0.0, seed=1).numpy(), x)


def test_dropout_gradient_uses_the_same_draw():
    generator = random.SeedGenerator(2)
    with _core.Trace() as trace:
        x = trace.input(["batch", 6], "float32")
        y = random.dropout(x, 0.5, seed=generator)
        shared = random.dropout(x, 0.5, noise_shape=(None, 1), seed=generator)
        program = trace.compile([y, _core.gradients(ops.sum(y), [x])[0], shared])
    ones = np.ones((40, 6), "float32")
    y, dx, shared = program.numpy(ones)
    np.testing.assert_array_equal(y, dx)
    assert 0 < (y == 0).mean() < 1 and (shared == shared[:, :1]).all() and 0 < (shared == 0).mean() < 1
    assert not np.array_equal(program.numpy(ones)[0], y)


def test_errors():
    with pytest.raises(ValueError, match="rate must be in"):
        random.dropout(np.ones(3, "float32"), 1.5, seed=1)
    with pytest.raises(ValueError, match="low must be below high"):
        random.randint((3,), 5, 5, seed=1)
    with pytest.raises(TypeError, match="dtype must be an integer, received float32"):
        random.randint((3,), 0, 5, dtype="float32", seed=1)
    with pytest.raises(ValueError, match="`seed` must be an int in"):
        random.SeedGenerator("x")
    with pytest.raises(ValueError, match="`seed` must be an int, a SeedGenerator or None"):
        random.uniform((3,), seed="x")


@pytest.mark.parametrize("seed", [3, 4])
def test_gamma_beta_and_binomial(seed):
    """By Kolmogorov and Smirnov's test against the distribution functions, and by chi-squared for counts."""
    from scipy import stats

    for a in (0.3, 1.0, 2.5, 40.0):
        x = random.gamma((50_000,), a, seed=seed).numpy()
        assert x.dtype == np.float32 and stats.kstest(x.astype("float64"), stats.gamma(a).cdf).pvalue > 1e-3
    for a, b in ((0.5, 0.5), (2.0, 5.0), (30.0, 1.0)):
        x = random.beta((50_000,), a, b, seed=seed).numpy().astype("float64")
        assert stats.kstest(x, stats.beta(a, b).cdf).pvalue > 1e-3
    for n, p in ((5, 0.3), (16, 0.9), (17, 0.5), (100, 0.01), (1000, 0.7), (10**6, 0.25)):
        x = random.binomial((50_000,), n, p, seed=seed).numpy()
        values, counts = np.unique(x, return_counts=True)
        expected = stats.binom(n, p).pmf(values) * x.size
        many = expected > 20
        if n < 10**6:
            whole = counts[many].sum() / expected[many].sum()
            assert stats.chisquare(counts[many], expected[many] * whole).pvalue > 1e-3
        assert abs(x.mean() - n * p) < 6 * np.sqrt(n * p * (1 - p) / x.size)


def test_shaped_draws_at_their_ends():
    tiny = random.beta((1000,), 0.01, 0.02, seed=1).numpy()
    assert np.isfinite(tiny).all() and abs(tiny.mean() - 1 / 3) < 0.06
    np.testing.assert_array_equal(random.binomial((3,), [0, 10, 1000], [0.5, 0.0, 1.0], seed=1).numpy(), [0, 0, 1000])
    wide = random.binomial((2, 3), [1, 2, 300], [[0.5], [0.9]], seed=1).numpy()
    assert wide.shape == (2, 3) and (wide <= [1, 2, 300]).all()
    assert random.gamma((), 2.0, seed=1).shape == () and random.gamma((0, 3), 2.0, seed=1).shape == (0, 3)
    assert random.gamma((2,), 2.0, dtype="float16", seed=1).dtype == "float16"
    np.testing.assert_array_equal(random.gamma((9,), 2.0, seed=5).numpy(), random.gamma((9,), 2.0, seed=5).numpy())
    generator = random.SeedGenerator(1)
    assert (
        random.beta((9,), 2.0, 2.0, seed=generator).numpy() != random.beta((9,), 2.0, 2.0, seed=generator).numpy()
    ).all()
    for call, words in (
        (lambda: random.gamma((2,), 0.0), "gamma: alpha must be positive, received 0.0"),
        (lambda: random.beta((2,), 1.0, -1.0), "beta: beta must be positive"),
        (lambda: random.binomial((2,), 3, 1.5), r"probabilities must be in \[0, 1\], received 1.5"),
        (lambda: random.binomial((2,), -1, 0.5), "counts must be in"),
        (lambda: random.gamma((2,), 1.0, dtype="int32"), "dtype must be floating"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_alpha_dropout_keeps_mean_and_variance():
    import maas

    z = random.normal((400, 1000), seed=2)
    layer = maas.layers.AlphaDropout(0.3, seed=1)
    y = layer(z, training=True).numpy()
    assert abs(y.mean()) < 0.01 and abs(y.std() - 1) < 0.01
    low = y.min()  # what is dropped has one value, a f + b
    a = ((1 - 0.3) * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
    share = (np.abs(y - (a * -1.7580993408473766 * (1 - 0.3))) < 1e-6).mean()
    assert abs(share - 0.3) < 0.01 and low < -1
    rows = maas.layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=1)(np.ones((50, 8), "float32"), training=True)
    assert (np.ptp(np.asarray(rows), axis=1) == 0).all()
    cells = maas.layers.SpatialDropout3D(0.5, seed=1)(np.ones((9, 2, 3, 4, 5), "float32"), training=True).numpy()
    assert (np.ptp(cells.reshape(9, -1, 5), axis=1) == 0).all() and set(np.unique(cells)) == {0, 2}


def test_draws_with_a_shape_in_a_program():
    """The same numbers traced as at once, and others at the next call."""
    import maas

    for draw in (
        lambda seed: random.gamma((4, 3), 0.7, seed=seed),
        lambda seed: random.beta((4, 3), 2.0, 0.5, seed=seed),
        lambda seed: random.binomial((4, 3), 9.0, 0.4, seed=seed),
    ):
        seeds = [random.SeedGenerator(5) for _ in range(2)]
        run = maas.jit(lambda: draw(seeds[0]))  # noqa: B023
        first, second = run().numpy(), run().numpy()
        np.testing.assert_allclose(first, draw(seeds[1]).numpy(), rtol=1e-5)
        assert not np.array_equal(first, second)
