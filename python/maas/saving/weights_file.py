"""`.weights.h5`: a model's state in Keras 3's layout, per object a group `<path>/vars` with datasets "0", "1", ..."""

import warnings

from maas.saving import hdf5_write, own_state, state_tree
from maas.saving.hdf5 import open_hdf5

# Attributes that compile() makes. A file may hold their state while the model is not compiled, or the reverse.
_TRAINING_PARTS = frozenset(
    "_compile_loss _compile_metrics _loss _loss_tracker _metrics compiled_metrics loss loss_tracker metrics".split()
)
# Keras 2.13 used this name for "layers".
_OLD_LAYERS = "_layer_checkpoint_dependencies"


def weights_bytes(model, may_be_unbuilt=False):
    """The `.weights.h5` file of a model as bytes.

    Raises:
        ValueError: if the model is not built, so that there is nothing to save, unless `may_be_unbuilt`.
    """
    if not model.built and not may_be_unbuilt:
        raise ValueError(
            f"{own_state.label(model)}: build the model first, by calling it on data or with build(input_shape); "
            "there are no weights to save, received a model that is not built"
        )
    entries = [(path, obj, own_state.saved_state(obj)) for path, obj in state_tree.walk(model) if has_state(obj)]

    def fill(file):
        for path, obj, state in entries:
            name = getattr(obj, "name", None)
            if not state and not isinstance(name, str):
                continue
            group = file.require_group(f"{path}/vars" if path else "vars")
            if isinstance(name, str):
                group.attrs["name"] = name
            for key, value in state.items():
                hdf5_write.write_dataset(group, key, value)

    return hdf5_write.hdf5_bytes(fill)


def has_state(obj):
    """Whether an object has state of its own to save."""
    return hasattr(obj, "save_own_variables") or bool(own_state.own_variables(obj))


def load_weights_bytes(model, data, skip_mismatch=False, with_training_state=True):
    """Read a `.weights.h5` file into a model; nothing is written unless everything fits.

    Args:
        model: a built model.
        data: bytes-like, the file.
        skip_mismatch: bool, warn about objects that do not fit and leave them alone, instead of an error.
        with_training_state: bool, whether the optimizer's state is read too.

    Raises:
        ValueError: naming the object with the expected and the found shapes, if the file does not fit the model.
    """
    with open_hdf5(data) as tree:
        hdf5_write.check_digest(tree)
        load_tree(model, tree, skip_mismatch, with_training_state)


def load_tree(model, tree, skip_mismatch=False, with_training_state=True, fresh=False):
    """`load_weights_bytes` for a file that is open and checked; `fresh`: the model was made for it."""
    if not model.built:
        raise ValueError(
            f"{own_state.label(model)}: build the model before loading weights, by calling it on data or with "
            "build(input_shape), received a model that is not built"
        )
    changes = plan_changes(model, tree, skip_mismatch, with_training_state)
    changes.commit(None if fresh else every_variable(model))


def every_variable(model):
    """All variables that loading could touch."""
    return [v for _, obj in state_tree.walk(model) for v in own_state.own_variables(obj) or _variables_of(obj)]


def _variables_of(obj):
    return list(getattr(obj, "variables", ()))


def _is_training_path(path):
    first = path.split("/")[0]
    return first in _TRAINING_PARTS or first.endswith("optimizer")


def is_training_part(obj):
    """Optimizers, losses and metrics: their state is a convenience, weights are what a file must restore."""
    from maas.layers.layer import Layer

    return not isinstance(obj, Layer)


def _stored(tree, path):
    """dict of key to `Dataset` of one object, or None if the file has no group for it."""
    candidates = [path]
    if any(p.startswith(_OLD_LAYERS) for p in tree.groups):
        candidates.append(path.replace("layers", _OLD_LAYERS))
    for candidate in candidates:
        where = f"{candidate}/vars" if candidate else "vars"
        if where in tree.groups:
            return where, tree.children(where)
    return None, None


def plan_changes(model, tree, skip_mismatch=False, with_training_state=True):
    """The checked assignments that put the state of `tree` into `model`."""
    changes = own_state.Changes(skip_mismatch)
    entries, other_paths, used = state_tree.walk(model), None, set()
    for path, obj in entries:
        if not has_state(obj):
            continue
        training = is_training_part(obj)
        if training and not with_training_state:
            continue
        where, stored = _stored(tree, path)
        variables = own_state.own_variables(obj)
        if training and stored and len(stored) > len(variables or ()) and not getattr(obj, "built", True):
            # Compiled, but not trained yet: make the slots, so that the saved ones have a place.
            obj.build(model.trainable_variables)
            variables = own_state.own_variables(obj)
        if stored is None or (not stored and variables):
            # A file of another version may reach the object by another attribute.
            other_paths = other_paths or state_tree.all_paths(model)
            for other in other_paths.get(id(obj), ()):
                other_where, other_stored = _stored(tree, other)
                if other_stored:
                    where, stored = other_where, other_stored
                    break
        if where is not None:
            used.add(where)
        _plan_object(changes, obj, path, variables, stored, training)
    _check_all_used(changes, model, tree, used, with_training_state)
    return changes


def _plan_object(changes, obj, path, variables, stored, training):
    where = f"{own_state.label(obj)} at '{path}'" if path else own_state.label(obj)
    if variables is None:
        if stored is not None:
            changes.custom.append((obj, {key: d.read() for key, d in stored.items()}))
        elif own_state.saved_state(obj):
            changes.mismatch(f"{where}: the file has no state for it, received only other objects")
        return
    if not stored:
        if variables and not training:
            names = [getattr(v, "path", v.name) for v in variables]
            changes.mismatch(f"{where}: expected variables {names}, received none from the file")
        return
    problem = None
    if sorted(stored) != sorted(str(i) for i in range(len(stored))):
        problem = f"{where}: variables must be numbered 0 to {len(stored) - 1}, received {sorted(stored)[:20]}"
    else:
        values = [stored[str(i)] for i in range(len(stored))]
        if training and variables and hasattr(obj, "iterations") and len(stored) == 2 < len(variables):
            variables = variables[:2]  # an optimizer that had no step yet: its counter and its learning rate
        values = [d.unpacked(v) if hasattr(d, "unpacked") else d for d, v in zip(values, variables)] + values[
            len(variables) :
        ]
        problem = own_state.check_values(where, variables, values)
    if problem is not None and training:
        warnings.warn(f"{problem}; it starts anew", stacklevel=6)
        return
    if problem is not None:
        changes.mismatch(problem)
        return
    changes.add(obj, variables, [d.read() for d in values])


def _check_all_used(changes, model, tree, used, with_training_state):
    for where in tree.groups:
        if not where.endswith("vars") or where in used or not tree.children(where):
            continue
        if _is_training_path(where):
            continue  # the model is not compiled, or with another optimizer
        name = tree.groups[where].get("name", "")
        shapes = [d.shape for d in tree.children(where).values()]
        changes.mismatch(
            f"{own_state.label(model)}: the file holds state that the model has no place for, received '{where[:-5]}' "
            f"(saved from '{name}') with shapes {shapes}"
        )
