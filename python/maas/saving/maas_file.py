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
    write_state(writer, model, with_training_state=with_training_state)
    for name, content in assets.collect(model).items():
        writer.array(name, np.frombuffer(content, "uint8"))
    metadata = {"model_name": model.name, "accuracy": model._accuracy}
    # A model of classes without get_config still runs as a graph.
    with contextlib.suppress(NotImplementedError):
        metadata["keras_config"] = model_config_json(model)
    return encode_functions(writer, {PREDICT: inference_trace(model, input_signature)}, metadata)


def write_state(writer, root, prefix="", with_training_state=False):
    """The state of an object and of all below it, under the names of weight files.

    Args:
        writer: `_core.ModelWriter`.
        prefix: str in front of the names.
        with_training_state: bool, whether the optimizer and metrics are written.
    """
    for path, obj in state_tree.walk(root):
        if weights_file.is_training_part(obj) and not with_training_state:
            continue
        for key, value in own_state.saved_state(obj).items() if weights_file.has_state(obj) else ():
            write_tensor(writer, f"{prefix}{path}/vars/{key}" if path else f"{prefix}vars/{key}", value)


def write_tensor(writer, name, value):
    """A variable or array; a variable that has a name already is stored once more under this one."""
    if not isinstance(value, _core.Variable) or writer.tensor(value, name) != name:
        writer.array(name, value)


def encode_functions(writer, functions, metadata):
    """The pieces of a file with these functions.

    Args:
        writer: `_core.ModelWriter` with the tensors.
        functions: dict of name to `(trace, outputs, input names, output names)`.
        metadata: dict of str to str, with `model_name` and `accuracy`.
    """
    for name, recorded in functions.items():
        writer.add_function(name, *recorded)
    for key, value in metadata.items():
        writer.set(key, value)
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
