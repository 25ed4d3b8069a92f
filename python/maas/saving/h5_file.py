"""Legacy `.h5` of a whole model: the config as JSON in root attributes, weights by layer name, optimizer weights.

Layout: attributes `model_config`, `training_config`, `keras_version`, `backend`; group `model_weights` with the
attribute `layer_names` and one group per layer with `weight_names` and one dataset per name; group `optimizer_weights`.
"""

import json
import warnings

import numpy as np

from maas.saving import hdf5_write, own_state, weights_file
from maas.saving.config_json import parse_json
from maas.saving.hdf5 import open_hdf5
from maas.saving.keras_file import KERAS_FORMAT
from maas.saving.legacy_config import upgrade_model, upgrade_training_config
from maas.saving.load_budget import load_budget
from maas.saving.serialization import deserialize_keras_object, object_sharing_scope, serialize_keras_object

# HDF5 keeps an attribute in the object header, which is limited to 64 KiB.
_HEADER_LIMIT = 64512
_TOP_LEVEL = "top_level_model_weights"


def legacy_weights(layer):
    """Weights in the order of legacy files: all trainable ones, then the others."""
    return list(layer.trainable_weights) + list(layer.non_trainable_weights)


def _top_level_weights(model):
    return list(model._trainable_variables) + list(model._non_trainable_variables)


# ---- writing


def _write_names(group, name, names):
    """A list of names as an attribute, cut into `name0`, `name1`, ... where it is too long for one."""
    encoded = [n.encode() for n in names]
    if any(len(n) > _HEADER_LIMIT for n in encoded):
        raise ValueError(f"a name is too long for an .h5 file, received one of {max(map(len, encoded))} bytes")
    parts = 1
    chunks = [np.asarray(encoded)] if encoded else []
    while any(c.nbytes > _HEADER_LIMIT for c in chunks):
        parts += 1
        chunks = np.array_split(np.asarray(encoded), parts)
    if parts == 1:
        group.attrs[name] = encoded
    else:
        for i, chunk in enumerate(chunks):
            group.attrs[f"{name}{i}"] = chunk


def _write_weights(group, variables):
    names = [str(getattr(v, "path", v.name)) for v in variables]
    if len(set(names)) != len(names):
        raise ValueError(
            f"two weights of one layer have the same path, so an .h5 file cannot hold them, received {names}"
        )
    _write_names(group, "weight_names", names)
    for name, variable in zip(names, variables):
        hdf5_write.write_dataset(group, name, variable)


def h5_bytes(model, include_optimizer=True):
    """A model as the bytes of a legacy `.h5` file."""
    if not model.built:
        raise ValueError(
            f"{own_state.label(model)}: build the model before saving it, received a model that is not built"
        )
    whole = serialize_keras_object(model)
    # Keras has no build_config here; with it a subclassed model can be loaded from .h5 too.
    config = {k: whole[k] for k in ("class_name", "config", "build_config") if whole.get(k) is not None}
    compile_config = whole.get("compile_config")
    if whole["registered_name"] not in (None, whole["class_name"]):
        config["class_name"] = whole["registered_name"]

    def fill(file):
        file.attrs["keras_version"], file.attrs["backend"] = KERAS_FORMAT, "maas"
        file.attrs["model_config"] = json.dumps(config).encode()
        if include_optimizer and compile_config:
            training = {k: v for k, v in compile_config.items() if k != "optimizer"}
            training["optimizer_config"] = compile_config["optimizer"]
            file.attrs["training_config"] = json.dumps(training).encode()
        weights = file.create_group("model_weights")
        _write_names(weights, "layer_names", [layer.name for layer in model.layers])
        weights.attrs["keras_version"], weights.attrs["backend"] = KERAS_FORMAT, "maas"
        for layer in sorted(model.layers, key=lambda x: x.name):
            _write_weights(weights.create_group(layer.name), legacy_weights(layer))
        _write_weights(weights.create_group(_TOP_LEVEL), _top_level_weights(model))
        if include_optimizer and compile_config and getattr(model, "optimizer", None) is not None:
            _write_weights(file.create_group("optimizer_weights"), model.optimizer.variables)

    return hdf5_write.hdf5_bytes(fill)


# ---- reading


def _names(attributes, name):
    """A list of names that may be cut into `name0`, `name1`, ..."""
    if name in attributes:
        found = attributes[name]
    else:
        found, i = [], 0
        while f"{name}{i}" in attributes:
            part = attributes[f"{name}{i}"]
            found += part if isinstance(part, list) else [part]
            i += 1
    if not isinstance(found, list) or not all(isinstance(n, str) for n in found):
        raise ValueError(f".h5 file: attribute '{name}' must be a list of names, received {str(found)[:200]}")
    return found


class _WeightsGroup:
    """The `model_weights` of a file, which is the root of a file that holds weights only."""

    def __init__(self, tree):
        root = tree.groups[""]
        self.tree = tree
        has_names = "layer_names" in root or "layer_names0" in root
        self.prefix = "" if has_names else "model_weights"
        if self.prefix not in tree.groups:
            raise ValueError(
                ".h5 file: it has neither 'layer_names' nor a group 'model_weights', so it holds no weights of a model"
            )
        self.layer_names = _names(tree.groups[self.prefix], "layer_names")

    def datasets(self, layer):
        """The datasets of one layer in the order of its weight names."""
        path = f"{self.prefix}/{layer}" if self.prefix else layer
        if path not in self.tree.groups:
            raise ValueError(f".h5 file: layer '{layer[:200]}' is listed but not stored")
        return datasets_of(self.tree, path)

    def has(self, layer):
        return (f"{self.prefix}/{layer}" if self.prefix else layer) in self.tree.groups


def datasets_of(tree, path):
    """The datasets of one group in the order of its attribute `weight_names`."""
    found = []
    for name in _names(tree.groups[path], "weight_names"):
        if f"{path}/{name}" not in tree.datasets:
            raise ValueError(f".h5 file: weight '{name[:200]}' of '{path}' is listed but not stored")
        found.append(tree.datasets[f"{path}/{name}"])
    return found


def _plan(changes, obj, where, variables, datasets):
    problem = own_state.check_values(where, variables, datasets)
    if problem is not None:
        changes.mismatch(problem)
        return
    changes.add(obj, variables, [d.read() for d in datasets])


def plan_changes(model, tree, skip_mismatch=False, by_name=False):
    """The checked assignments that put the weights of a legacy file into a model, by order or by layer name."""
    changes, group = own_state.Changes(skip_mismatch), _WeightsGroup(tree)
    stored = [(name, group.datasets(name)) for name in group.layer_names]
    if by_name:
        by = {}
        for layer in model.layers:
            by.setdefault(layer.name, []).append(layer)
        pairs = [(name, layer, datasets) for name, datasets in stored for layer in by.get(name, ())]
        if not pairs:
            raise ValueError(
                f"{own_state.label(model)}: no layer has the name of a stored one, expected one of {sorted(by)}, "
                f"received {group.layer_names}"
            )
    else:
        stored = [(name, datasets) for name, datasets in stored if datasets]
        layers = [layer for layer in model.layers if legacy_weights(layer)]
        if len(stored) != len(layers):
            raise ValueError(
                f"{own_state.label(model)}: expected {len(layers)} layers with weights {[x.name for x in layers]}, "
                f"received {len(stored)} from the file: {[name for name, _ in stored]}"
            )
        pairs = [(name, layer, datasets) for (name, datasets), layer in zip(stored, layers)]
    for name, layer, datasets in pairs:
        where = own_state.label(layer) + ("" if name == layer.name else f" (saved as '{name}')")
        _plan(changes, layer, where, legacy_weights(layer), datasets)
    if group.has(_TOP_LEVEL):
        _plan(changes, model, own_state.label(model), _top_level_weights(model), group.datasets(_TOP_LEVEL))
    return changes


def load_h5_weights_bytes(model, data, skip_mismatch=False, by_name=False):
    """Read the weights of a legacy file, of weights only or of a whole model, into a built model."""
    if not model.built:
        raise ValueError(
            f"{own_state.label(model)}: build the model before loading weights, received a model that is not built"
        )
    with open_hdf5(data) as tree:
        hdf5_write.check_digest(tree)
        changes = plan_changes(model, tree, skip_mismatch, by_name)
    changes.commit(weights_file.every_variable(model))


def load_h5_bytes(data, custom_objects=None, compile=True):
    """The model of a legacy `.h5` file given as bytes."""
    with open_hdf5(data) as tree:
        hdf5_write.check_digest(tree)
        root = tree.groups[""]
        if "model_config" not in root:
            raise ValueError(
                ".h5 file: it has no 'model_config', so it holds weights only; build the model and call load_weights()"
            )
        config = parse_json(str(root["model_config"]), "model_config")
        if not isinstance(config.get("class_name"), str) or "config" not in config:
            raise ValueError(f"model_config: expected the config of a model, received keys {sorted(config)[:10]}")
        with object_sharing_scope(), load_budget(tree.nbytes):
            model = deserialize_keras_object(_convert(upgrade_model, config), custom_objects)
        if not hasattr(model, "load_weights"):
            raise ValueError(f"model_config: expected the config of a model, received {type(model).__name__}")
        if not model.built:
            raise ValueError(
                f"{own_state.label(model)}: the file does not say the shape of the input, so its weights have no place"
            )
        plan_changes(model, tree).commit()
        if compile and "training_config" in root:
            with load_budget(tree.nbytes):
                _compile(model, tree, parse_json(str(root["training_config"]), "training_config"), custom_objects)
    return model


def _convert(function, config):
    try:
        return function(config)
    except (TypeError, KeyError, AttributeError, IndexError, RecursionError) as e:
        raise ValueError(f".h5 file: the config is damaged ({type(e).__name__}: {e})") from e


def _compile(model, tree, training_config, custom_objects):
    from maas.saving.object_registration import CustomObjectScope

    config = _convert(upgrade_training_config, training_config)
    with CustomObjectScope(custom_objects):
        try:
            model.compile_from_config(config)
        except (TypeError, KeyError, AttributeError) as e:
            raise ValueError(f"training_config: cannot compile the model ({type(e).__name__}: {e})") from e
    if "optimizer_weights" not in tree.groups:
        return
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    datasets, variables = datasets_of(tree, "optimizer_weights"), list(optimizer.variables)
    if len(datasets) == len(variables) - 1 and datasets[0].path.endswith("iteration:0"):
        # Keras 2 keeps the learning rate in the config only.
        variables = [v for v in variables if v is not optimizer._learning_rate]
    keras2 = str(tree.groups[""].get("keras_version", "")).startswith("2.")
    if len(datasets) == 2 < len(variables) and not keras2:
        variables = variables[: len(datasets)]  # it had no step yet, so it holds its counter and learning rate only
    if len(datasets) != len(variables) and keras2:
        warnings.warn(
            f"{model.name}: this optimizer state of Keras 2 is not understood, so {optimizer.name} starts anew: "
            f"expected {len(variables)} variables, received {len(datasets)}",
            stacklevel=4,
        )
        return
    changes = own_state.Changes()
    _plan(changes, optimizer, own_state.label(optimizer), variables, datasets)
    changes.commit()
