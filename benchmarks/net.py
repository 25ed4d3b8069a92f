"""A model as data: what contenders, each in a process of its own, build their own form of the same network from."""

import json
from pathlib import Path

import numpy as np


class Net:
    """Config and weights of a functional model, and inputs for it.

    Attributes:
        config: dict, the model's `get_config()` as it looks in a file.
        weights: dict, name of a layer -> list of arrays in the order of `layer.get_weights()`.
        inputs: list of arrays.
        folder: where it was loaded from.
    """

    folder = None

    def __init__(self, config, weights, inputs):
        self.config, self.weights, self.inputs = config, weights, list(inputs)

    @classmethod
    def of(cls, model, inputs=()):
        config = json.loads(json.dumps(model.get_config()))
        return cls(config, {x.name: x.get_weights() for x in model.layers if x.weights}, inputs)

    def save(self, folder):
        folder = Path(folder)
        (folder / "config.json").write_text(json.dumps(self.config))
        for i, (name, arrays) in enumerate(self.weights.items()):
            for j, a in enumerate(arrays):
                np.save(folder / f"w-{i}-{j}-{name}.npy", a)
        for i, x in enumerate(self.inputs):
            np.save(folder / f"x-{i}.npy", x)

    @classmethod
    def load(cls, folder):
        """The same net; its arrays stay in their files until they are read, so that their memory is not counted."""
        folder, weights = Path(folder), {}
        order = sorted(folder.glob("w-*.npy"), key=lambda p: [int(n) for n in p.stem.split("-")[1:3]])
        for path in order:
            weights.setdefault(path.stem.split("-", 3)[3], []).append(np.load(path, mmap_mode="r"))
        inputs = [np.load(folder / f"x-{i}.npy") for i in range(len(list(folder.glob("x-*.npy"))))]
        net = cls(json.loads((folder / "config.json").read_text()), weights, inputs)
        net.folder = folder
        return net

    def save_onnx(self):
        """`model.onnx` beside the net, with attention also `own.onnx`, and which tensors have channels first."""
        from benchmarks.baselines import onnx_graph

        model, builder, output_first = onnx_graph.graph(self)
        (self.folder / "model.onnx").write_bytes(model.SerializeToString())
        if builder.attends:
            (self.folder / "own.onnx").write_bytes(onnx_graph.graph(self, contrib=True)[0].SerializeToString())
        first = [tuple(s) != x.shape for s, x in zip(builder.input_shapes, self.inputs)]
        (self.folder / "onnx.json").write_text(json.dumps({"inputs": first, "output": output_first}))

    def onnx_inputs(self):
        """Name -> array of what the ONNX model takes."""
        first = json.loads((self.folder / "onnx.json").read_text())["inputs"]
        found = [np.ascontiguousarray(np.moveaxis(x, -1, 1)) if f else x for x, f in zip(self.inputs, first)]
        return {f"x{i}": x for i, x in enumerate(found)}

    def from_onnx(self, y):
        """The ONNX model's output as Keras has it."""
        return np.moveaxis(y, 1, -1) if json.loads((self.folder / "onnx.json").read_text())["output"] else y

    def build(self, keras):
        """The model again, in maas or in real Keras."""
        objects = {} if keras.__name__ == "maas" else {"maas>PositionEmbedding": _position_embedding(keras)}
        model = keras.Model.from_config(_without_draws(self.config), custom_objects=objects)
        for name, arrays in self.weights.items():
            model.get_layer(name).set_weights(arrays)
        return model


def _without_draws(config):
    """A copy in which all weights start as zeros: others follow, and random numbers take their time."""
    if isinstance(config, dict):
        return {k: "zeros" if k.endswith("initializer") and v else _without_draws(v) for k, v in config.items()}
    return [_without_draws(v) for v in config] if isinstance(config, list) else config


def _position_embedding(keras):
    """`maas.zoo.PositionEmbedding` for real Keras."""

    class PositionEmbedding(keras.layers.Layer):
        def __init__(self, sequence_length, initializer="zeros", **kwargs):
            super().__init__(**kwargs)
            self.sequence_length = sequence_length

        def build(self, input_shape):
            self.table = self.add_weight(name="table", shape=(self.sequence_length, input_shape[-1]))

        def call(self, inputs):
            return inputs + self.table[: inputs.shape[1]]

    return PositionEmbedding
