"""What `pickle`, `copy` and so joblib and multiprocessing ask of models, layers, Variables and Tensors.

maas itself never reads a pickle. A model goes as the bytes of its `.keras` file together with the classes that are not
maas's own; a layer as its class, config, input shapes and weights.
"""

import io


def reduce_model(model):
    """For `Model.__reduce__`."""
    from maas.saving.keras_file import write_keras_file

    file = io.BytesIO()
    write_keras_file(model, file)
    own = {}
    for cls in map(type, [model, *model._flatten_layers()]):
        if cls.__module__.split(".")[0] != "maas" and own.setdefault(cls.__name__, cls) is not cls:
            raise TypeError(f"{model.name}: a copy tells classes by their names, received two called {cls.__name__!r}")
    return _load_model, (file.getvalue(), own, model.name)


def _load_model(data, classes, name):
    from maas.saving.keras_file import load_keras_bytes
    from maas.saving.object_registration import get_registered_name

    named = {get_registered_name(c): c for c in classes.values()}
    model = load_keras_bytes(data, {**classes, **named})
    model.name = name
    return model


def reduce_layer(layer):
    """For `Layer.__reduce__`."""
    weights = layer.get_weights() if layer.built else None
    return _make_layer, (type(layer), layer.get_config(), layer.built and layer.get_build_config(), weights)


def _make_layer(cls, config, build_config, weights):
    layer = cls.from_config(config)
    if build_config:
        layer.build_from_config(build_config)
    if weights is not None:
        layer.set_weights(weights)
    return layer


def reduce_variable(variable):
    """For `Variable.__reduce__`; regularizers and constraints are left to the layer that has them."""
    return _make_variable, (type(variable), variable.numpy(), variable.dtype, variable.trainable, variable.name)


def _make_variable(cls, value, dtype, trainable, name):
    return cls(value, dtype=dtype, trainable=trainable, name=name)


def reduce_tensor(tensor):
    """For `Tensor.__reduce__`."""
    return _make_tensor, (tensor.numpy(), str(tensor.dtype))


def _make_tensor(value, dtype):
    from maas import ops

    return ops.convert_to_tensor(value, dtype)
