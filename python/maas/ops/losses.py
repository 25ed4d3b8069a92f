"""Cross entropies, with the names of `keras.ops`."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]


def _floating(x):
    from maas.backend import result_type

    x = as_tensor(x)
    return cast(x, result_type(x.dtype, "float32")) if not x.dtype.startswith(("float", "bfloat")) else x


def _to_last(x, axis):
    """`x` with `axis` moved to the end."""
    at = axis % x.ndim
    return x if at == x.ndim - 1 else _core.transpose(x, axes=[*(a for a in range(x.ndim) if a != at), at])


def _log_of_probabilities(output):
    """log of probabilities that are first made to sum to 1 and kept off 0 and 1 by epsilon."""
    from maas.backend.config import epsilon

    output = _core.divide(output, _core.sum(output, axis=[-1], keepdims=True))
    return _core.log(_core.minimum(_core.maximum(output, epsilon()), 1.0 - epsilon()))


@op
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`loss = -log(p[target])` for each row, p = softmax(output) or the probabilities themselves.

    Args:
        target: Tensor of integer classes, the shape of `output` without `axis`; a trailing axis of size 1 is dropped.
        output: Tensor of logits or probabilities.
        from_logits: bool, whether `output` holds logits. They are exact where probabilities would underflow.
        axis: int, the axis of classes.

    Returns:
        Tensor of losses, the shape of `target`.

    Raises:
        IndexError: if a class is outside [0, classes), naming its position.
        ValueError: if the shapes do not fit.
    """
    target, output = as_tensor(target), _floating(output)
    if output.ndim < 1:
        raise ValueError(f"sparse_categorical_crossentropy: output must have at least one axis, received shape {output.shape}")
    if not target.dtype.startswith("int"):
        target = cast(target, "int32")
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = _core.reshape(target, shape=list(target.dims[:-1]))
    output = _to_last(output, axis)
    if target.ndim != output.ndim - 1:
        raise ValueError(
            "sparse_categorical_crossentropy: target must have the shape of output without the axis of classes, "
            f"received {target.shape} and {output.shape}"
        )
    if from_logits:
        return _core.sparse_softmax_cross_entropy(output, target)
    if output.shape[-1] is not None:
        # take_along_axis counts negative indices from the end; here they are wrong classes, so they go out of its range.
        target = _core.where(_core.less(target, 0), _core.subtract(target, int(output.shape[-1])), target)
    column = _core.reshape(target, shape=[*target.dims, 1])
    # Only the named probability is read, so no other one is taken the logarithm of.
    from maas.backend.config import epsilon

    p = _core.divide(_core.take_along_axis(output, column, axis=-1), _core.sum(output, axis=[-1], keepdims=True))
    p = _core.minimum(_core.maximum(p, epsilon()), 1.0 - epsilon())
    return _core.reshape(_core.negative(_core.log(p)), shape=list(target.dims))


@op
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`loss = -sum(target * log(p))` for each row, p = softmax(output) or the probabilities themselves.

    Args:
        target: Tensor of the shape of `output`, usually one-hot or probabilities.
        output: Tensor of logits or probabilities.
        from_logits: bool, whether `output` holds logits.
        axis: int, the axis of classes.

    Returns:
        Tensor of losses, without `axis`.

    Raises:
        ValueError: if the shapes differ.
    """
    output = _floating(output)
    target = cast(as_tensor(target), output.dtype)
    if target.ndim != output.ndim or output.ndim < 1:
        raise ValueError(f"categorical_crossentropy: target and output must have one shape, received {target.shape} and {output.shape}")
    target, output = _to_last(target, axis), _to_last(output, axis)
    if from_logits:
        return _core.softmax_cross_entropy(output, target)
    if any(None not in (a, b) and a != b for a, b in zip(target.shape, output.shape)):
        raise ValueError(f"categorical_crossentropy: target and output must have one shape, received {target.shape} and {output.shape}")
    return _core.negative(_core.sum(_core.multiply(target, _log_of_probabilities(output)), axis=[-1]))


@op
def binary_crossentropy(target, output, from_logits=False):
    """`loss = -target * log(p) - (1 - target) * log(1 - p)`, element by element, p = sigmoid(output) or `output` itself.

    Args:
        target: Tensor of the shape of `output`, in [0, 1].
        output: Tensor of logits or probabilities.
        from_logits: bool, whether `output` holds logits.

    Raises:
        ValueError: if the shapes differ.
    """
    output = _floating(output)
    target = cast(as_tensor(target), output.dtype)
    if target.ndim != output.ndim or any(None not in (a, b) and a != b for a, b in zip(target.shape, output.shape)):
        raise ValueError(f"binary_crossentropy: target and output must have one shape, received {target.shape} and {output.shape}")
    if from_logits:
        positive, negative = _core.log_sigmoid(output), _core.log_sigmoid(_core.negative(output))
    else:
        from maas.backend.config import epsilon

        output = _core.minimum(_core.maximum(output, epsilon()), 1.0 - epsilon())
        positive, negative = _core.log(output), _core.log(_core.subtract(1.0, output))
    other = _core.multiply(_core.subtract(1.0, target), negative)
    return _core.negative(_core.add(_core.multiply(target, positive), other))
