"""`custom_gradient`: a function with a gradient of one's own."""

import functools
import inspect
import itertools

from maas import _core, tree
from maas.backend.keras_tensor import KerasTensor
from maas.backend.standardize import is_float_dtype
from maas.transforms.leaves import is_array, is_variable, name_of, recorded

_tags = itertools.count(1)


def custom_gradient(f):
    """`f` with the gradient that it returns beside its value: `y, grad = f(*args)`, `dx = grad(dy)`.

    The value has the bits that `f` computes. The gradient function is traced when `f` is; it may be differentiated in
    turn. Variables and tensors that `f` closes over get no gradient.

    Args:
        f: function of tensors that returns `(outputs, grad)`. `grad(*upstream)`, or `grad(*args, upstream=dy)`,
            gives one gradient per argument of `f` (None for zero); a single one needs no tuple.

    Returns:
        Function of the same arguments that returns the outputs.

    Raises:
        TypeError: if `f` does not return a pair with a function.
        ValueError: if the gradients do not fit the arguments.
    """

    @functools.wraps(f, updated=())
    def wrapped(*args, **kwargs):
        leaves = tree.flatten((args, kwargs))
        if any(isinstance(x, KerasTensor) for x in leaves):
            return _pair(f, args, kwargs)[0]
        if _core.is_tracing():
            return _record(f, args, kwargs)
        if not _core.is_recording():
            return _pair(f, args, kwargs)[0]
        # The function is traced and runs op by op, so that the tape sees its rule.
        args = [tree.map_structure(lambda x: x.value if is_variable(x) else x, a) for a in args]
        return recorded(lambda *args, **kwargs: _record(f, args, kwargs), args, kwargs)

    return wrapped


def _pair(f, args, kwargs):
    out = f(*args, **kwargs)
    if not (isinstance(out, tuple) and len(out) == 2 and callable(out[1])):
        raise TypeError(
            f"custom_gradient: {name_of(f)} must return (outputs, gradient function), received {type(out).__name__}"
        )
    return out


def _record(f, args, kwargs):
    args = [tree.map_structure(lambda x: x.value if is_variable(x) else x, a) for a in args]
    args = [
        tree.map_structure(lambda x: x if not is_array(x) or isinstance(x, _core.Tensor) else _core.Tensor(x), a)
        for a in args
    ]
    outputs, rule = _pair(f, args, kwargs)
    flat = tree.flatten(outputs)
    places = [i for i, y in enumerate(flat) if isinstance(y, _core.Tensor) and is_float_dtype(y.dtype)]
    ys = [flat[i] for i in places]
    if not ys:
        return outputs
    upstream = [_core.cotangent(y, tag=next(_tags)) for y in ys]
    xs, dxs = _operands(f, args, _apply_rule(f, rule, args, upstream))
    made = _core.custom_gradient(*ys, *xs, *upstream, *dxs, outputs=len(ys), operands=len(xs))
    for i, y in zip(places, made if isinstance(made, tuple) else [made]):
        flat[i] = y
    return tree.pack_sequence_as(outputs, flat)


def _tensor(x):
    return _core.Tensor(x) if is_array(x) and not isinstance(x, _core.Tensor) else x


def _apply_rule(f, rule, args, upstream):
    try:
        parameters = inspect.signature(rule).parameters
    except (TypeError, ValueError):
        parameters = {}
    if "upstream" in parameters:
        given = rule(*args, upstream=upstream[0] if len(upstream) == 1 else tuple(upstream))
    else:
        given = rule(*upstream)
    given = tuple(given) if isinstance(given, (tuple, list)) and not (len(args) == 1 and len(given) != 1) else (given,)
    if len(given) != len(args):
        raise ValueError(
            f"custom_gradient: the gradient of {name_of(f)} must give {len(args)} gradients, received {len(given)}"
        )
    return given


def _operands(f, args, given):
    from maas import ops

    xs, dxs = [], []
    for number, (arg, gradient) in enumerate(zip(args, given)):
        if gradient is None:
            continue
        tree.assert_same_structure(arg, gradient)
        for x, dx in zip(tree.flatten(arg), tree.flatten(gradient)):
            if dx is None or not isinstance(x, _core.Tensor) or not is_float_dtype(x.dtype):
                continue
            dx = ops.cast(ops.convert_to_tensor(dx), x.dtype)
            if tuple(dx.shape) != tuple(x.shape):
                raise ValueError(
                    f"custom_gradient: the gradient of {name_of(f)} for argument {number} must have shape "
                    f"{tuple(x.shape)}, received {tuple(dx.shape)}"
                )
            xs.append(x)
            dxs.append(dx)
    return xs, dxs
