"""`Bidirectional`: one recurrent layer forwards and one backwards."""

from maas.layers.layer import Layer


class Bidirectional(Layer):
    """Joins the outputs of a recurrent layer run forwards and of one run backwards.

    Args:
        layer: recurrent layer; it is copied, the copies are named forward_... and backward_....
        merge_mode: "concat", "sum", "ave", "mul", or None for a pair.
        backward_layer: recurrent layer with the other `go_backwards`, default a copy of `layer`.

    Raises:
        ValueError: for a wrong argument or layers that do not fit together.
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        for given in (layer, backward_layer):
            if given is not None and not isinstance(given, Layer):
                raise ValueError(f"Bidirectional: `layer` and `backward_layer` must be layers, received {given!r}")
        if layer is None or merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(
                f"Bidirectional: `merge_mode` must be 'sum', 'mul', 'ave', 'concat' or None, received {merge_mode!r}"
            )
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward")
        self.backward_layer = (
            _copy(layer, "backward", go_backwards=not layer.go_backwards) if backward_layer is None else backward_layer
        )
        for name in ("stateful", "return_sequences", "return_state"):
            a, b = getattr(self.forward_layer, name), getattr(self.backward_layer, name)
            if a != b:
                raise ValueError(f"{self._label()}: both layers must have one value of `{name}`, received {a} and {b}")
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise ValueError(
                f"{self._label()}: the layers must run in different directions, received "
                f"go_backwards={layer.go_backwards} twice"
            )
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self.stateful, self.return_sequences, self.return_state = (
            layer.stateful,
            layer.return_sequences,
            layer.return_state,
        )
        self.supports_masking = True
        self.input_spec = layer.input_spec
        if weights is not None:
            raise NotImplementedError(
                f"{self._label()}: `weights` does not exist here; call set_weights() after build, received weights"
            )

    def build(self, sequences_shape, initial_state_shape=None):
        for one in (self.forward_layer, self.backward_layer):
            if not one.built:
                one.build(sequences_shape)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        out, states = self.forward_layer.compute_output_shape(sequences_shape), ()
        if self.return_state:
            out, states = out[0], tuple(out[1:])
        if self.merge_mode == "concat":
            out = (*out[:-1], 2 * out[-1])
        if self.merge_mode is None:
            return (out, out, *states, *states)
        return (out, *states, *states) if self.return_state else tuple(out)

    def call(self, sequences, initial_state=None, mask=None, training=None):
        from maas import ops

        forward_state = backward_state = None
        if initial_state is not None:
            half = len(initial_state) // 2
            forward_state, backward_state = initial_state[:half], initial_state[half:]
        kwargs = {"training": training, "mask": mask}
        y = self.forward_layer(sequences, initial_state=forward_state, **kwargs)
        z = self.backward_layer(sequences, initial_state=backward_state, **kwargs)
        states = ()
        if self.return_state:
            states = (*y[1:], *z[1:])
            y, z = y[0], z[0]
        if self.return_sequences:
            z = ops.flip(z, axis=1)
        if self.merge_mode is None:
            return (y, z, *states)
        out = {
            "concat": lambda: ops.concatenate([y, z], axis=-1),
            "sum": lambda: ops.add(y, z),
            "ave": lambda: ops.divide(ops.add(y, z), 2.0),
            "mul": lambda: ops.multiply(y, z),
        }[self.merge_mode]()
        return (out, *states) if self.return_state else out

    def reset_state(self):
        if not self.stateful:
            raise AttributeError(f"{self._label()}: reset_state() needs a stateful layer, received stateful=False")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    @property
    def states(self):
        both = (self.forward_layer.states, self.backward_layer.states)
        return tuple(both[0]) + tuple(both[1]) if all(both) else None

    def compute_mask(self, sequences, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        out = mask if self.return_sequences else None
        pair = [out, out] if self.merge_mode is None else [out]
        states = [None] * (2 * len(self.forward_layer.state_size)) if self.return_state else []
        return pair[0] if len(pair) == 1 and not states else pair + states

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        layers = {
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }
        return {**super().get_config(), "merge_mode": self.merge_mode, **layers}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        config = dict(config)
        for key in ("layer", "backward_layer"):
            if config.get(key) is not None:
                config[key] = deserialize_keras_object(config[key], custom_objects=custom_objects)
        return cls(**config)


def _copy(layer, prefix, **changes):
    """A layer of the same config named `prefix_...`."""
    config = layer.get_config()
    name = config["name"]
    config["name"] = f"{prefix}_{name.removeprefix(prefix + '_')}"
    return type(layer).from_config({**config, **changes})
