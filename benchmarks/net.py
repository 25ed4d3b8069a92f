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
    """

    def __init__(self, config, weights, inputs):
        self.config, self.weights, self.inputs = config, weights, list(inputs)

    @classmethod
    def of(cls, model, inputs=()):
        config = json.loads(json.dumps(model.get_config()))
        return cls(config, {l.name: l.get_weights() for l in model.layers if l.weights}, inputs)

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
        return cls(json.loads((folder / "config.json").read_text()), weights, inputs)

    def build(self, keras):
        """The model again, in maas or in real Keras."""
        import copy

        objects = {} if keras.__name__ == "maas" else {"maas>PositionEmbedding": _position_embedding(keras)}
        model = keras.Model.from_config(copy.deepcopy(self.config), custom_objects=objects)
        for name, arrays in self.weights.items():
            model.get_layer(name).set_weights(arrays)
        return model


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
