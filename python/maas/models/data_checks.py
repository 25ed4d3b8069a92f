"""What `fit` and `evaluate` say of data that can be read but is likely wrong."""

import math
import warnings

import numpy as np

from maas import tree
from maas.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    LossFunctionWrapper,
    binary_crossentropy,
    binary_focal_crossentropy,
)

# Steps between two looks at the loss. It is a mean over the epoch, so a NaN stays until the epoch's end.
EVERY = 16
# Of an input that is looked at.
MOST_BYTES = 1 << 28


def check_validation_data(data, needs_targets):
    """ValueError if `data` is a bare array where targets are needed."""
    if needs_targets and hasattr(data, "shape"):
        raise ValueError(
            "validation_data must be (x, y), (x, y, sample_weight) or a source of such batches, received one array "
            f"of shape {tuple(data.shape)}"
        )


def warn_of_values(names, arrays):
    """Warns if a float input holds NaN or infinity, for the loss will be no number; returns whether it did."""
    for name, a in zip(names, arrays):
        # A file larger than memory is not read for this.
        a = a[: max(1, MOST_BYTES // max(a[:1].nbytes, 1))]
        # The sum alone is fast; only where it is no number, all values are looked at.
        with np.errstate(invalid="ignore", over="ignore"):
            if not name.startswith("x") or a.dtype.kind != "f" or a.size == 0 or np.isfinite(a.sum()):
                continue
        bad = ~np.isfinite(a)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            warnings.warn(
                f"{name} holds {int(bad.sum())} values that are NaN or infinite, the first is {a[first]} at index "
                f"{first}: the loss will most likely be NaN; remove, replace or mask them",
                stacklevel=4,
            )
            return True
    return False


def check_labels(targets, layout, arrays):
    """ValueError if a label of a binary cross-entropy is outside [0, 1]: the loss would have no minimum.

    Args:
        targets: list of (position among the leaves of y, Loss), as `CompileLoss` found them.
        layout, arrays: of a batch or of all data.
    """
    _, y, weights = ([None if i is None else arrays[i] for i in tree.flatten(part)] for part in layout.structure)
    names = [None if i is None else layout.names[i] for i in tree.flatten(layout.structure[1])]
    for position, loss in targets:
        a = y[position]
        if a is None or not _is_binary(loss) or a.size == 0:
            continue
        weight = weights[position] if len(weights) == len(y) else None
        if weight is not None:
            # Labels of weight 0 are padding.
            if weight.shape != a.shape[: weight.ndim]:
                continue
            a = a[weight != 0]
        low, high = (a.min(), a.max()) if a.size else (0, 0)
        if low < 0 or high > 1:
            raise ValueError(
                f"loss {loss.name!r}: labels {names[position]} must be in [0, 1]; for more than two classes use "
                f"sparse_categorical_crossentropy, received {low if low < 0 else high}"
            )


def _is_binary(loss):
    # A subclass may mean something of its own with other labels.
    if type(loss) is LossFunctionWrapper:
        return loss.fn in (binary_crossentropy, binary_focal_crossentropy)
    return type(loss) in (BinaryCrossentropy, BinaryFocalCrossentropy)


class LossWatch:
    """Warns once in a `fit` when the loss is no number any more."""

    def __init__(self, done=False):
        self.done = done

    def look(self, step, outputs, number, epoch):
        """Reads the loss in the outputs of a step.

        Args:
            step: CompiledStep.
            outputs: list of Tensors.
            number, epoch: int, from 0.
        """
        place = step.structure.get("loss") if isinstance(step.structure, dict) else None
        if self.done or not isinstance(place, int) or outputs[place].ndim:
            return
        loss = float(outputs[place])
        if not math.isfinite(loss):
            self.done = True
            warnings.warn(
                f"the loss is {loss} by step {number + 1} of epoch {epoch + 1}: look for NaN, infinite or very large "
                "values in the data, for a division or log of 0 in the model, or lower the learning rate",
                stacklevel=4,
            )
