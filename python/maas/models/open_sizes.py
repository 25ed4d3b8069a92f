"""Which axes of a model's data are left open when it is traced: one program then serves every size of them."""

import os
import sys

from maas import tree


def declared_inputs(model):
    """The model's inputs, nested; an empty list for models that do not say."""
    return _declared(model, "inputs")


def _declared(model, sides):
    try:
        tensors = getattr(model, sides)
    except (AttributeError, ValueError):
        return []
    return [] if tensors is None else tensors


def _shapes(model, sides):
    if model.__dict__.get("_needs_known_sizes"):
        return []
    return [tuple(x.shape) for x in tree.flatten(_declared(model, sides)) if x is not None]


def input_shapes(model):
    """Shapes of the model's inputs, flat, with None for open axes; empty for models that do not say."""
    return _shapes(model, "inputs")


def output_shapes(model):
    """The same of its outputs."""
    return _shapes(model, "outputs")


def open_shape(shape, declared, name):
    """`shape` (without its first axis) with a name in place of every size that `declared` leaves open.

    Sizes of different names may still have to be equal: the program checks that when it is called.
    """
    return tuple(
        f"{name}.{a}" if a < len(declared) and declared[a] is None else size for a, size in enumerate(shape, start=1)
    )


def open_key(model, layout, key):
    """A batch's key with open sizes in place of those that differ from batch to batch.

    Targets and weights share the open axes of the outputs they belong to.

    Args:
        layout, key: of a batch (`maas.data.batch`).
    """
    form, parts = key
    parts = list(parts)
    for struct, declared, name in zip(layout.structure, (input_shapes(model), *2 * [output_shapes(model)]), "xyw"):
        places = [i for i in tree.flatten(struct) if i is not None]
        if len(places) != len(declared):
            continue
        for n, (i, shape) in enumerate(zip(places, declared)):
            if name != "x" or len(parts[i][0]) + 1 == len(shape):
                parts[i] = (open_shape(parts[i][0], shape, f"{name}{n}"), parts[i][1])
    return form, tuple(parts)


def close_sizes(model, reason):
    """A layer of the model cannot do with open sizes: from now on every size is its own. Said under `MAAS_LOG`.

    Args:
        reason: the `NeedsKnownSizes` that says so.

    Returns:
        bool, whether this changes anything.
    """
    if model.__dict__.get("_needs_known_sizes") or not any(None in shape[1:] for shape in input_shapes(model)):
        return False
    object.__setattr__(model, "_needs_known_sizes", True)
    if os.environ.get("MAAS_LOG"):
        print(f"maas: {model.name} | every size of its data makes a plan of its own | {reason}", file=sys.stderr)
    return True
