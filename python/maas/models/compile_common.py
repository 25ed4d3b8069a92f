"""What the losses and metrics of `compile` share: which output a setting belongs to."""

from maas import tree


def is_binary_or_sparse_categorical(y_true, y_pred):
    """(one prediction per sample, targets are class numbers), read from the shapes."""
    rank_true, rank_pred = len(y_true.shape), len(y_pred.shape)
    last_true = y_true.shape[-1] if rank_true else None
    last_pred = y_pred.shape[-1] if rank_pred else None
    sparse = rank_true < rank_pred or (last_true == 1 and last_pred is not None and last_pred > 1)
    return last_pred == 1, sparse


def names_of_outputs(y_pred, output_names):
    """One name (or None) per output, in flatten order."""
    count = len(tree.flatten(y_pred))
    if isinstance(y_pred, dict) and len(y_pred) == count:
        return [path[0] for path, _ in tree.flatten_with_path(y_pred)]
    if output_names and len(output_names) == count:
        return list(output_names)
    return [None] * count


def align(structure, y_pred, names, what):
    """The leaves of `structure`, one per output.

    Args:
        structure: targets or weights nested like the outputs, a dict by output name, or a flat list.
        y_pred: the outputs.
        names: list of str or None, from `names_of_outputs`.
        what: str for the error.

    Raises:
        ValueError: if the structure does not fit the outputs.
    """
    count = len(names)
    if isinstance(structure, dict) and not isinstance(y_pred, dict):
        if set(structure) == set(names):
            return [structure[n] for n in names]
        if None not in names:
            raise ValueError(f"{what} must have the names of the outputs {names} as keys, received {list(structure)}")
    leaves = tree.flatten(structure)
    if len(leaves) == count:
        if isinstance(structure, dict) and isinstance(y_pred, dict) and set(structure) != set(y_pred):
            raise ValueError(
                f"{what} must have the keys of the model's outputs {sorted(y_pred)}, received {sorted(structure)}"
            )
        return leaves
    labels = [n if n is not None else i for i, n in enumerate(names)]
    raise ValueError(f"{what} must have one array per output {labels}, received {len(leaves)}")


def describe(y_true, y_pred):
    """Shapes for an error message."""
    return f"received y_true of shape {tuple(y_true.shape)} and y_pred of shape {tuple(y_pred.shape)}"
