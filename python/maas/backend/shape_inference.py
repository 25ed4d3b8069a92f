"""Shapes and dtypes of a call on KerasTensors, found by tracing it once on placeholders that hold no data."""

from maas import tree
from maas.backend.call_context import no_losses
from maas.backend.keras_tensor import KerasTensor
from maas.backend.masks import get_keras_mask, set_keras_mask
from maas.backend.scopes import SymbolicScope


def compute_output_spec(fn, args, kwargs):
    """Call `fn` on symbolic tensors shaped like the KerasTensors among its arguments.

    Every unknown first size is the same unknown "batch"; every other unknown size is a new one.

    Returns:
        What `fn` returns, with each tensor replaced by a KerasTensor of its shape and dtype.
    """
    from maas import _core

    with no_losses(), SymbolicScope(), _core.Trace() as trace:
        made = {}

        def placeholder(x):
            if not isinstance(x, KerasTensor):
                return x
            if id(x) not in made:
                shape = tuple("batch" if i == 0 and d is None else d for i, d in enumerate(x.shape))
                made[id(x)] = trace.input(shape, dtype=x.dtype, name=x.name)
                mask = get_keras_mask(x)
                if mask is not None:
                    set_keras_mask(made[id(x)], placeholder(mask))
            return made[id(x)]

        outputs = fn(*tree.map_structure(placeholder, args), **tree.map_structure(placeholder, kwargs))

        def spec(x):
            if not hasattr(x, "shape") or not hasattr(x, "dtype"):
                return x
            out = KerasTensor(tuple(x.shape), dtype=x.dtype)
            mask = get_keras_mask(x)
            if mask is not None:
                set_keras_mask(out, KerasTensor(tuple(mask.shape), dtype=mask.dtype))
            return out

        return tree.map_structure(spec, outputs)
