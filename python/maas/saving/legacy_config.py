"""Configs of Keras 2 and of legacy `.h5` files, brought to the Keras 3 form that the rest of the package reads.

Nothing is guessed: an argument of Keras 2 that has no meaning any more is dropped only while it has its default value.
"""

# Arguments that Keras 3 no longer has, with the values under which dropping them changes nothing; None: any value.
_DROPPED = {
    "implementation": None,
    "time_major": (False,),
    "input_length": None,
    "virtual_batch_size": (None,),
    "fused": None,
    "adjustment": (None,),
    "query_shape": None,
    "key_shape": None,
    "value_shape": None,
    "softmax_robust_masking": (False,),
}
_FAMILIES = {
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
}
_MODELS = {"Model": "Functional", "Functional": "Functional", "Sequential": "Sequential"}
_WRAPPED = ("layer", "backward_layer", "cell")
_OPTIMIZER_DROPPED = {"decay": (0, 0.0, None), "is_legacy_optimizer": None, "jit_compile": None}


def _drop(config, table, where):
    out = {}
    for key, value in config.items():
        if key not in table:
            out[key] = value
        elif table[key] is not None and value not in table[key]:
            raise ValueError(f"{where}: argument '{key}' of Keras 2 has no meaning here, received {value!r}")
    return out


def _is_object(value):
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value


def _with_module(value, module):
    """A nested object dict, with the module that Keras 2 left out."""
    if not _is_object(value) or value.get("module"):
        return value
    config = value["config"]
    if isinstance(config, dict):
        config = {k: v for k, v in config.items() if k != "dtype"} if module == "keras.initializers" else dict(config)
    return {"module": module, "class_name": value["class_name"], "config": config, "registered_name": None}


def upgrade_layer(layer):
    """The Keras 3 config dict of one layer.

    Args:
        layer: dict with class_name and config, of either version.
    """
    if not _is_object(layer):
        raise ValueError(f"expected the config of a layer, received {str(layer)[:200]}")
    name = layer["class_name"]
    if name in _MODELS and (layer.get("module") is None or isinstance(layer["config"], list)):
        out = upgrade_model(layer)
    elif layer.get("module"):
        out = {**layer, "config": _upgrade_values(layer["config"], name)}
    else:
        kind = "keras.layers"
        # Layers and ops share names such as Multiply; only a layer's config says whether it is trainable.
        is_layer = isinstance(layer["config"], dict) and "trainable" in layer["config"]
        if not is_layer and _is_operation(name):
            kind = "keras.src.ops.numpy"
        out = {
            "module": kind,
            "class_name": name,
            "config": _upgrade_values(layer["config"], name),
            "registered_name": None,
        }
        registered = name if ">" in name else layer.get("registered_name")
        if registered and ">" in registered:  # a class of the caller's
            out["registered_name"], out["class_name"] = registered, registered.split(">")[-1]
        out.update({k: v for k, v in layer.items() if k in ("name", "shared_object_id", "build_config")})
    if "inbound_nodes" in layer:
        out["inbound_nodes"] = [_upgrade_node(n) for n in layer["inbound_nodes"]]
    if "name" in layer:
        out["name"] = layer["name"]
    return out


def _is_operation(class_name):
    from maas.backend.symbolic import operation_from_config

    try:
        return operation_from_config(class_name, {"name": "probe"}) is not None
    except ValueError:
        return False


def _upgrade_values(config, name):
    if not isinstance(config, dict):
        raise ValueError(f"'{name}': config must be a dict, received {type(config).__name__}")
    config = _drop(config, _DROPPED, f"{name} '{config.get('name', '')}'")
    batch_shape = config.pop("batch_input_shape", None)
    if name == "InputLayer" and batch_shape is not None:
        config["batch_shape"] = batch_shape
    dtype = config.get("dtype")
    if isinstance(dtype, dict) and dtype.get("class_name") == "Policy":
        config["dtype"] = dtype["config"]["name"]
    axis = config.get("axis")
    if name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    for key, value in list(config.items()):
        family = _FAMILIES.get(key.rsplit("_", 1)[-1])
        if family is not None:
            config[key] = _with_module(value, family)
        elif key in _WRAPPED and _is_object(value):
            config[key] = upgrade_layer(value)
        elif key == "cells" and isinstance(value, list):
            config[key] = [upgrade_layer(v) for v in value]
    return config


def _tensor(reference):
    """`[layer name, node index, tensor index]` as the tensor dict of Keras 3; only its history is used."""
    name, node, index = reference[:3]
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [], "dtype": "float32", "keras_history": [name, node, index]},
    }


def _is_reference(value):
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(v, int) for v in value[1:3])
    )


def _upgrade_node(node):
    """Keras 2 writes a call as a list of `[layer, node, tensor, {arguments}]`."""
    if isinstance(node, dict):
        return node
    if _is_reference(node):
        node = [node]
    if not isinstance(node, list) or not node or not all(_is_reference(r) for r in node):
        raise ValueError(f"a call of a layer is damaged, received {str(node)[:200]}")
    tensors = [_tensor(r) for r in node]
    kwargs = node[0][3] if len(node[0]) == 4 and isinstance(node[0][3], dict) else {}
    kwargs = {k: _tensor(v) if _is_reference(v) else v for k, v in kwargs.items()}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}


def upgrade_model(config):
    """The Keras 3 config dict of a model from its legacy one: Sequential or Functional."""
    name, inner = config["class_name"], config["config"]
    if isinstance(inner, list):
        inner = {"name": "sequential", "layers": inner}  # Keras before 2.2.3
    if name not in _MODELS or not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        # A class of the caller's: its own from_config reads it.
        out = {"module": None, "class_name": name, "config": inner, "registered_name": name}
        return {**out, "build_config": config["build_config"]} if "build_config" in config else out
    layers = [upgrade_layer(layer) for layer in inner["layers"]]
    if name == "Sequential" and layers:
        first = inner["layers"][0]
        shape = first["config"].get("batch_input_shape") if isinstance(first["config"], dict) else None
        if shape is not None and layers[0]["class_name"] != "InputLayer":
            dtype = "int32" if layers[0]["class_name"] == "Embedding" else "float32"
            layers.insert(0, {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {"batch_shape": shape, "dtype": dtype, "name": f"{first['config'].get('name', name)}_input"},
                "registered_name": None,
            })  # fmt: skip
    module = "keras" if name == "Sequential" else "keras.src.models.functional"
    for key in ("input_layers", "output_layers"):
        # Keras 2 wraps the only input of a model in a list.
        if isinstance(inner.get(key), list) and len(inner[key]) == 1 and _is_reference(inner[key][0]):
            inner = {**inner, key: inner[key][0]}
    return {
        "module": module,
        "class_name": _MODELS[name],
        "config": {**inner, "layers": layers},
        "registered_name": "Functional" if module != "keras" else None,
    }


def _upgrade_nest(value, module):
    """Losses or metrics: one, or lists and dicts of them."""
    if _is_object(value):
        value = _with_module(value, module)
        inner = value["config"]
        if not isinstance(inner, dict):
            return value
        if value["class_name"] == "MeanMetricWrapper" and isinstance(inner.get("fn"), str):
            # What compile(metrics=["accuracy"]) became; by its name it is resolved anew for the shapes of the model.
            return "accuracy" if inner.get("name") in ("accuracy", "acc") else inner["fn"]
        inner = {k: v for k, v in inner.items() if k != "fn" or not isinstance(v, str)}
        if inner.get("reduction") == "auto":
            inner["reduction"] = "sum_over_batch_size"
        return {**value, "config": inner}
    if isinstance(value, list):
        return [_upgrade_nest(v, module) for v in value]
    if isinstance(value, dict):
        return {k: _upgrade_nest(v, module) for k, v in value.items()}
    return value


def _metrics(value):
    """Keras 2 lists metrics per output, also where there is only one output."""
    value = _upgrade_nest(value, "keras.metrics")
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) else value


def upgrade_training_config(config):
    """The Keras 3 compile config from the `training_config` of a legacy file."""
    optimizer = config.get("optimizer_config")
    if not _is_object(optimizer) or not isinstance(optimizer["config"], dict):
        raise ValueError(f"training_config: expected the config of an optimizer, received {str(optimizer)[:200]}")
    settings = _drop(optimizer["config"], _OPTIMIZER_DROPPED, f"optimizer {optimizer['class_name']}")
    if "lr" in settings:
        settings["learning_rate"] = settings.pop("lr")
    if "learning_rate" in settings:
        settings["learning_rate"] = _with_module(settings["learning_rate"], "keras.optimizers.schedules")
    class_name = (
        optimizer["class_name"].split(">")[-1]
        if optimizer["class_name"].startswith("Custom>")
        else optimizer["class_name"]
    )
    return {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": class_name,
            "config": settings,
            "registered_name": None,
        },
        "loss": _upgrade_nest(config.get("loss"), "keras.losses"),
        "loss_weights": config.get("loss_weights"),
        "metrics": _metrics(config.get("metrics")),
        "weighted_metrics": _metrics(config.get("weighted_metrics")),
    }
