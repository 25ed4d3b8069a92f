"""`.maas`: a safetensors file whose metadata holds the Graph, so that it runs without Python and without layers.

Tensors that belong to layers, optimizers and metrics have the names of Keras 3's weight files
(`layers/dense/vars/0`). Metadata: `maas_format`, `graph`, `keras_config` (if the model has layers), `model_name` and
checksums. There is no code inside; any safetensors tool reads the tensors.
"""

import contextlib
import math
import os

import numpy as np

from maas import _core
from maas.backend.standardize import numpy_dtype
from maas.saving import assets, own_state, state_tree, weights_file
from maas.saving.config_json import parse_json
from maas.saving.keras_file import model_config_json
from maas.saving.load_budget import item_bytes, load_budget
from maas.saving.serialization import deserialize_keras_object, object_sharing_scope

PREDICT = "predict"


def encode_maas(model, with_training_state=True, input_signature=None):
    """The pieces of a `.maas` file of a model, in order: bytes and arrays of bytes.

    Args:
        model: a built model.
        with_training_state: bool, whether the optimizer and metrics go into the file.
        input_signature: nested `(shape, dtype)`-like specs of the inputs; needed for a subclassed model that was
            never called on data.
    """
    from maas.models.graph_model import GraphModel
    from maas.models.programs import inference_trace

    if isinstance(model, GraphModel):
        raise ValueError(f"a model that was loaded as a graph is its file; copy the file, received {model!r}")
    if not model.built:
        raise ValueError(
            f"{own_state.label(model)}: build the model first, by calling it on data or with build(input_shape); "
            "there is nothing to save, received a model that is not built"
        )
    writer = _core.ModelWriter()
    for path, obj in state_tree.walk(model):
        if weights_file.is_training_part(obj) and not with_training_state:
            continue
        for key, value in own_state.saved_state(obj).items() if weights_file.has_state(obj) else ():
            name = f"{path}/vars/{key}" if path else f"vars/{key}"
            # A variable that two objects hold is stored once more under the second name.
            if not isinstance(value, _core.Variable) or writer.tensor(value, name) != name:
                writer.array(name, value)
    for name, content in assets.collect(model).items():
        writer.array(name, np.frombuffer(content, "uint8"))
    trace, outputs, inputs, names = inference_trace(model, input_signature)
    writer.add_function(PREDICT, trace, outputs, inputs, names)
    # A model of classes without get_config still runs as a graph.
    with contextlib.suppress(NotImplementedError):
        writer.set("keras_config", model_config_json(model))
    writer.set("model_name", model.name)
    writer.set("accuracy", model._accuracy)
    return writer.encode()


class TensorTree:
    """The tensors of a `.maas` file as `weights_file` reads a tree."""

    def __init__(self, tensors):
        self.groups, self._children = {"": {}}, {}
        self.nbytes = sum(t.size * item_bytes(t.dtype) for t in tensors.values())
        for name, tensor in tensors.items():
            where, _, key = name.rpartition("/")
            if where == "vars" or where.endswith("/vars"):
                self.groups.setdefault(where, {})
                self._children.setdefault(where, {})[key] = _Stored(tensor)

    def children(self, where):
        """dict of key to stored tensor of one object."""
        return self._children.get(where, {})


class _Stored:
    def __init__(self, tensor):
        self._tensor, self.shape, self.dtype = tensor, tensor.shape, tensor.dtype

    def unpacked(self, variable):
        """Itself, or int4 in the shape of its variable: the file holds bytes of two."""
        if (variable.dtype, self.dtype) != ("int4", "uint8") or self.shape != ((math.prod(variable.shape) + 1) // 2,):
            return self
        return _Stored(_core.Tensor.from_stored_bytes(self._tensor.numpy(), variable.shape, "int4"))

    def read(self):
        from maas import ops

        # In what NumPy has of its own, whatever other packages are there.
        return ops.cast(self._tensor, numpy_dtype(self.dtype).name).numpy()


@contextlib.contextmanager
def _naming(path):
    """Errors of the engine say which file."""
    try:
        yield
    except (ValueError, TypeError, IndexError, RuntimeError, NotImplementedError) as e:
        raise type(e)(f"{e} (in {path!r})") from None


def load_saved(path):
    """The `_core.SavedModel` of a path."""
    path = os.fspath(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"model file not found, received {path!r}")
    with _naming(path):
        return _core.SavedModel.load(path)


def load_graph(path):
    """The file as a `GraphModel`, or `ClassicalModel`: what runs, without layers."""
    return _graph_model(load_saved(path), path)


def _graph_model(saved, path):
    from maas.models.graph_model import GraphModel

    if "classical" not in saved.metadata:
        return GraphModel(saved)
    from maas.classical.model import ClassicalModel

    try:
        return ClassicalModel(saved)
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"damaged metadata of a classical model: {type(e).__name__}: {e} (in {path!r})") from None


def load_maas(path, custom_objects=None, compile=True):
    """The model of a `.maas` file: layers that can go on training, or a `GraphModel` where the file has none."""
    saved = load_saved(path)
    text = saved.metadata.get("keras_config")
    if text is None:
        return _graph_model(saved, path)
    config = parse_json(text.encode(), "keras_config")
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), dict):
        raise ValueError(f"keras_config: expected the config of a model, received keys {sorted(config)[:10]}")
    if not compile:
        config["compile_config"] = None
    tree = TensorTree(saved.tensors)
    with object_sharing_scope(), load_budget(tree.nbytes):
        model = deserialize_keras_object(config, custom_objects)
    if not hasattr(model, "load_weights") or not hasattr(model, "layers"):
        raise ValueError(f"keras_config: expected the config of a model, received {type(model).__name__}")
    stored = {n: t.numpy().tobytes() for n, t in saved.tensors.items() if n.startswith(assets.PREFIX)}
    assets.restore(model, stored)
    weights_file.load_tree(model, tree, with_training_state=compile, fresh=True)
    return model


def load_maas_weights(model, path, skip_mismatch=False):
    """Reads the weights of a `.maas` file into a built model; if anything does not fit, nothing changes."""
    weights_file.load_tree(model, TensorTree(load_saved(path).tensors), skip_mismatch)
