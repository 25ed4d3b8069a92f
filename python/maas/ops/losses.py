"""Cross-entropies: from logits one op each with its own gradient, from probabilities with Keras's clipping."""

from maas import _core
from maas.backend.config import epsilon
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast
from maas.ops.elementwise import clip
from maas.ops.views import expand_dims, moveaxis, squeeze

__all__ = ["binary_crossentropy", "categorical_crossentropy", "ctc_loss", "sparse_categorical_crossentropy"]


def _last(x, axis):
    return x if axis in (-1, x.ndim - 1) else moveaxis(x, axis, -1)


def _normalized(p):
    p = p / _core.sum(p, axis=[-1], keepdims=True)
    return clip(p, epsilon(), 1.0 - epsilon())


def _same(a, b):
    return a is None or b is None or a == b


@op
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`y = -log p[target]`, one value per sample.

    Args:
        target: integer Tensor (...), or (..., 1), classes in [0, classes).
        output: float Tensor (..., classes): probabilities (normalised and clipped to [1e-7, 1 - 1e-7]), or logits.
        from_logits: bool.
        axis: int, the axis of the classes.

    Raises:
        ValueError: if the shapes do not belong together.
        IndexError: when it runs, if a class is out of range; it names position and value.
    """
    target, output = as_tensor(target), _last(as_tensor(output), axis)
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = squeeze(target, -1)
    if target.ndim != output.ndim - 1 or not all(map(_same, target.shape, output.shape)):
        hint = "; for one-hot rows use categorical_crossentropy" if target.ndim == output.ndim else ""
        raise ValueError(
            f"sparse_categorical_crossentropy: target must have the shape of output without the class axis{hint}, "
            f"received target {target.shape} and output {output.shape}"
        )
    if target.dtype not in ("int32", "int64"):
        target = cast(target, "int32")
    classes = "classes" if output.shape[-1] is None else output.shape[-1]
    rule = f"sparse_categorical_crossentropy: labels must be in [0, {classes})"
    if from_logits:
        return _core.sparse_softmax_cross_entropy(output, target, rule=rule)
    total = _core.sum(output, axis=[-1])
    picked = _core.take_along_axis(output, expand_dims(target, -1), axis=-1, wrap=False, rule=rule)
    picked = squeeze(picked, -1) / total
    return -_core.log(clip(picked, epsilon(), 1.0 - epsilon()))


@op
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`y = -sum_c target[c] log p[c]`, one value per sample.

    Args:
        target: float Tensor (..., classes), often one-hot.
        output: float Tensor of the same shape: probabilities, or logits.

    Raises:
        ValueError: if the shapes differ.
    """
    target, output = as_tensor(target), as_tensor(output)
    if target.ndim != output.ndim or not all(map(_same, target.shape, output.shape)) or output.ndim < 1:
        numbers = target.ndim == output.ndim - 1 or (target.ndim == output.ndim and target.shape[-1] == 1)
        hint = "; for class numbers use sparse_categorical_crossentropy" if numbers else ""
        raise ValueError(
            f"categorical_crossentropy: target and output must have one shape{hint}, "
            f"received {target.shape} and {output.shape}"
        )
    target, output = cast(_last(target, axis), output.dtype), _last(output, axis)
    if from_logits:
        return _core.softmax_cross_entropy(output, target)
    return -_core.sum(target * _core.log(_normalized(output)), axis=[-1])


@op
def binary_crossentropy(target, output, from_logits=False):
    """`y = -target log p - (1 - target) log(1 - p)`, element by element.

    Args:
        target: float Tensor.
        output: float Tensor of the same shape: probabilities, or logits.

    Raises:
        ValueError: if the shapes differ.
    """
    target, output = as_tensor(target), as_tensor(output)
    if target.ndim != output.ndim or not all(map(_same, target.shape, output.shape)):
        raise ValueError(
            f"binary_crossentropy: target and output must have one shape, received {target.shape} and {output.shape}"
        )
    target = cast(target, output.dtype)
    if from_logits:
        return _core.relu(output) - output * target + _core.log1p(_core.exp(-_core.absolute(output)))
    p = clip(output, epsilon(), 1.0 - epsilon())
    return -(target * _core.log(p) + (1.0 - target) * _core.log(1.0 - p))


@op
def ctc_loss(target, output, target_length, output_length, mask_index=0):
    """`y = -log p(target)`, `p` summed over all alignments: paths from which repeats, then blanks, are dropped.

    Args:
        target: integer Tensor (batch, length) of classes.
        output: float Tensor (batch, time, classes) of logits.
        target_length: integer Tensor (batch,), how many labels of each row count.
        output_length: integer Tensor (batch,), how many steps of each row count.
        mask_index: int, the class that means blank.

    Returns:
        Tensor (batch,), at least float32; 1e5 where no path of that many steps gives the labels.

    Raises:
        ValueError: if the shapes do not belong together.
        IndexError: when it runs, for a label or length out of range.
    Reference: Graves et al., 2006, "Connectionist Temporal Classification".
    """
    output = as_tensor(output)
    if output.dtype != "float64":
        output = cast(output, "float32")
    labels, lengths, times = (cast(as_tensor(t), "int32") for t in (target, target_length, output_length))
    return _core.ctc_loss(output, labels, lengths, times, blank=mask_index)
