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
