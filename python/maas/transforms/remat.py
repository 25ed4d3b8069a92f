"""`remat`: less memory for the backward pass, by computing the forward pass of a part twice."""

import functools
import threading

from maas import _core, tree
from maas.backend.keras_tensor import KerasTensor
from maas.backend.standardize import is_float_dtype

_local = threading.local()


def remat(f):
    """`f` whose intermediate values are computed again in the backward pass, not kept: `remat(f)(*args) = f(*args)`.

    Values and gradients are those of `f`. Only what depends on more than weights is computed again. Outside a trace it
    is `f` itself: there is no backward pass to plan for.

    Args:
        f: function, layer or model.

    Returns:
        Function with the arguments of `f`.

    Reference: Chen et al., 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174.
    """

    @functools.wraps(f, updated=())
    def rematerialized(*args, **kwargs):
        if not _core.is_tracing() or any(isinstance(x, KerasTensor) for x in tree.flatten((args, kwargs))):
            return f(*args, **kwargs)
        start = _core.node_mark()
        outputs = f(*args, **kwargs)
        return _mark(outputs, start)

    return rematerialized


def _mark(outputs, start):
    from maas.backend.masks import get_keras_mask, set_keras_mask

    flat = tree.flatten(outputs)
    places = [i for i, y in enumerate(flat) if getattr(y, "is_symbolic", False) and is_float_dtype(y.dtype)]
    if not places:
        return outputs
    for i, y in zip(places, _core.remat_between([flat[i] for i in places], start)):
        mask = get_keras_mask(flat[i])
        if mask is not None:
            set_keras_mask(y, mask)
        flat[i] = y
    return tree.pack_sequence_as(outputs, flat)


class RematScope:
    """Inside `with`, layers that are made rematerialise what they compute.

    Args:
        mode: "full" for all layers; "larger_than" for layers whose output has more than `output_size_threshold`
            elements (of one row, where the batch is unknown); "list_of_layers" for those named in
            `layer_names`; None for none.
        output_size_threshold: int.
        layer_names: list of str.

    Raises:
        ValueError: for another mode.
        NotImplementedError: for "activations", which Keras has too.
    """

    MODES = ("full", "activations", "larger_than", "list_of_layers", None)

    def __init__(self, mode="full", output_size_threshold=1024, layer_names=None):
        if mode not in self.MODES:
            raise ValueError(f"RematScope: mode must be one of {self.MODES}, received {mode!r}")
        if mode == "activations":
            raise NotImplementedError(
                "RematScope: only whole layers can be rematerialised, received mode='activations'"
            )
        self.mode, self.output_size_threshold = mode, output_size_threshold
        self.layer_names = list(layer_names or ())

    def __enter__(self):
        self._outer = current_scope()
        _local.scope = self
        return self

    def __exit__(self, *_):
        _local.scope = self._outer


def current_scope():
    """The innermost `RematScope`, or None."""
    return getattr(_local, "scope", None)


def call_in_scope(scope, layer, args, kwargs):
    """`layer.call` the way the scope in which the layer was made asks for."""
    mode = scope.mode
    if mode == "full" or (mode == "list_of_layers" and layer.name in scope.layer_names):
        return remat(layer.call)(*args, **kwargs)
    if mode == "larger_than" and _core.is_tracing():
        start = _core.node_mark()
        outputs = layer.call(*args, **kwargs)
        sizes = [_size(y) for y in tree.flatten(outputs) if hasattr(y, "shape")]
        return _mark(outputs, start) if max(sizes, default=0) > scope.output_size_threshold else outputs
    return layer.call(*args, **kwargs)


def _size(y):
    size = 1
    for d in y.shape:
        size *= 1 if d is None else d
    return size
