"""Random tensors. Counter-based: Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox4x32-10)."""

import numbers

import numpy as np

from maas import _core
from maas.random.seed_generator import draw_seed


def _state(seed):
    state = draw_seed(seed)
    if isinstance(state, _core.Tensor) and state.is_symbolic:
        return state
    # Values of short vectors count as sizes and would make a new program for every draw; a column does not.
    return np.asarray(state).astype("int64").reshape(2, 1)


def _sizes(shape):
    return [shape] if hasattr(shape, "__index__") or isinstance(shape, _core.Dim) else list(shape)


def _dtype(dtype):
    from maas.backend.config import floatx
    from maas.backend.standardize import standardize_dtype

    return standardize_dtype(dtype or floatx())


def _is_number(*values):
    return all(isinstance(v, numbers.Number) for v in values)


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    """Numbers spread evenly over [minval, maxval); integers for an integer dtype.

    Args:
        shape: tuple of sizes.
        minval, maxval: numbers, or tensors that broadcast to `shape`.
        dtype: str, default float32.
        seed: int, SeedGenerator or None.
    """
    dtype = _dtype(dtype)
    if not dtype.startswith(("float", "bfloat")):
        return randint(shape, int(minval), int(maxval), dtype, seed)
    if _is_number(minval, maxval):
        return _core.random_uniform(
            _state(seed), shape=_sizes(shape), low=float(minval), high=float(maxval), dtype=dtype
        )
    u = _core.random_uniform(_state(seed), shape=_sizes(shape), dtype=dtype)
    return _core.add(_core.multiply(u, _core.subtract(maxval, minval)), minval)


def _normal(shape, mean, stddev, dtype, seed, truncated):
    dtype = _dtype(dtype)
    state, sizes = _state(seed), _sizes(shape)
    if _is_number(mean, stddev):
        return _core.random_normal(
            state, shape=sizes, mean=float(mean), stddev=float(stddev), truncated=truncated, dtype=dtype
        )
    z = _core.random_normal(state, shape=sizes, truncated=truncated, dtype=dtype)
    return _core.add(_core.multiply(z, stddev), mean)


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Numbers of the normal distribution.

    Args:
        shape: tuple of sizes.
        mean, stddev: numbers, or tensors that broadcast to `shape`.
        dtype: str, a floating dtype, default float32.
        seed: int, SeedGenerator or None.

    Reference: Wichura, 1988, "Algorithm AS 241: The percentage points of the normal distribution" (inversion).
    """
    return _normal(shape, mean, stddev, dtype, seed, False)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Numbers of the normal distribution within two standard deviations of the mean.

    Args:
        shape: tuple of sizes.
        mean, stddev: numbers, or tensors that broadcast to `shape`.
        dtype: str, a floating dtype, default float32.
        seed: int, SeedGenerator or None.
    """
    return _normal(shape, mean, stddev, dtype, seed, True)


def randint(shape, minval, maxval, dtype="int32", seed=None):
    """Integers spread evenly over [minval, maxval).

    Args:
        shape: tuple of sizes.
        minval, maxval: ints, minval < maxval.
        dtype: str, an integer dtype.
        seed: int, SeedGenerator or None.

    Raises:
        ValueError: if the range is empty.
        TypeError: if `dtype` is not an integer dtype.
    """
    return _core.random_int(_state(seed), shape=_sizes(shape), low=int(minval), high=int(maxval), dtype=_dtype(dtype))


def dropout(inputs, rate, noise_shape=None, seed=None):
    """Sets a share `rate` of the elements to 0 and divides the others by `1 - rate`.

    Args:
        inputs: Tensor, floating.
        rate: number in [0, 1].
        noise_shape: tuple that broadcasts to the shape of `inputs`: one draw counts where it is 1; None stands for the
            input's size.
        seed: int, SeedGenerator or None.

    Raises:
        ValueError: if the rate is out of range.
    """
    from maas.ops.core import as_tensor

    x = as_tensor(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate must be in [0, 1], received rate={rate}")
    if rate == 0:
        return x
    if noise_shape is None:
        return _core.dropout(x, _state(seed), rate=float(rate))
    sizes = [d if n is None else n for n, d in zip(noise_shape, x.dims)]
    ones = _core.broadcast_to(_core.cast(1.0, dtype=x.dtype), shape=sizes)
    mask = _core.dropout(ones, _state(seed), rate=float(rate))
    return _core.where(_core.greater(mask, 0.0), _core.multiply(x, mask), 0.0)


def shuffle(x, axis=0, seed=None):
    """`x` with its slices along `axis` in random order, every order equally likely.

    Args:
        x: Tensor.
        axis: int.
        seed: int, SeedGenerator or None.
    """
    from maas.ops.core import as_tensor

    x = as_tensor(x)
    order = _core.random_permutation(_state(seed), size=[x.dims[axis]])
    return _core.take(x, order, axis=axis)


def categorical(logits, num_samples, dtype="int32", seed=None):
    """Classes drawn with probabilities softmax(logits), by the largest of logits + Gumbel noise.

    Args:
        logits: Tensor (batch, classes).
        num_samples: int, draws for each row.
        dtype: str, default int32.
        seed: int, SeedGenerator or None.

    Returns:
        Tensor (batch, num_samples).
    """
    from maas.ops.core import as_tensor

    logits = as_tensor(logits)
    if logits.ndim != 2:
        raise ValueError(f"categorical: logits must have the shape (batch, classes), received {logits.shape}")
    batch, classes = logits.dims
    u = _core.random_uniform(_state(seed), shape=[batch, num_samples, classes], low=1e-30, high=1.0, dtype=logits.dtype)
    gumbel = _core.negative(_core.log(_core.negative(_core.log(u))))
    scores = _core.add(_core.reshape(logits, shape=[batch, 1, classes]), gumbel)
    return _core.cast(_core.argmax(scores, axis=[2]), dtype=dtype)
