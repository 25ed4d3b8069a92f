"""What several families share."""

from maas import _core, ops
from maas.backend.known_sizes import NeedsKnownSizes
from maas.onnx.trace import is_known


def is_float(x):
    return "float" in x.dtype


def is_signed(x):
    return x.dtype.startswith("int")


def like(value, x):
    """A number as a tensor of the dtype of `x`."""
    return ops.cast(ops.convert_to_tensor(value), x.dtype)


def shaped(x, shape):
    """`x` in another shape; a known value stays known."""
    return _core.Tensor(x.numpy().reshape(shape)) if is_known(x) else _core.reshape(x, shape=shape)


def axis_of(call, rank, default=None, name="axis"):
    """Attribute `axis` in [0, rank)."""
    axis = call.attr(name, default)
    if axis is None or not -max(rank, 1) <= axis < max(rank, 1):
        raise ValueError(f"{name} must be in [{-rank}, {rank}), received {name}={axis}")
    return axis % max(rank, 1)


def axes_of(values, rank):
    """Several axes in [0, rank)."""
    axes = [int(a) for a in values]
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axes must be in [{-rank}, {rank}), received {axes}")
    return [a % rank for a in axes]


def given_axes(call, index, rank, attribute="axes"):
    """Axes from input `index` (newer opsets) or an attribute; None where there are none."""
    if call.given(index) is not None:
        return axes_of(call.known(index, "axes").reshape(-1), rank)
    axes = call.attr(attribute)
    return None if axes is None else axes_of(axes, rank)


def flip_side(x, index):
    """`index` counted from the end where it is negative."""
    return _core.where(_core.less(index, like(0, index)), _core.add(index, like(x, index)), index)


def mix(dims_a, dims_b):
    """Sizes that two shapes broadcast to.

    Raises:
        NeedsKnownSizes: for an open size that may be 1 where the other shape has another one.
    """
    rank = max(len(dims_a), len(dims_b))
    a, b = [1] * (rank - len(dims_a)) + list(dims_a), [1] * (rank - len(dims_b)) + list(dims_b)
    return [_mixed(m, n) for m, n in zip(a, b)]


def _mixed(m, n):
    for one, other in ((m, n), (n, m)):
        if isinstance(one, int) and one == 1:
            return other
    if not (isinstance(m, int) or m == n):
        raise NeedsKnownSizes(f"a shape with the open size {m} needs to be known to become {n}")
    return m
