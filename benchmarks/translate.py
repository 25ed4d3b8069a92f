"""Reads a model's config and weights and tells a builder, in plain calls, what the network computes.

A builder makes one peer's form of the network: `baselines/onnx_graph.py`, `baselines/torch_module.py`, and
`reference.py`, which computes it in float64. Builders see images and sequences of convolutions with channels first,
everything else as Keras has it. What every peer does when it loads a model is done here once: batch norms are folded
into the convolution before them, zero padding into the convolution or pool after it.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Value:
    """A tensor of the network: the builder's handle, its shape as in Keras, whether channels come first, zeros to put
    around it, and whether it is known to be >= 0."""

    handle: object
    shape: tuple
    first: bool = False
    pads: tuple = ()
    positive: bool = False


SPATIAL = ("Conv", "Depthwise", "MaxPooling", "AveragePooling", "ZeroPadding")


class Translator:
    """Walks a `Net` and calls a builder; `run` returns the output's `Value`."""

    def __init__(self, net, builder):
        self.b, self.weights = builder, net.weights
        self.layers = {layer["name"]: layer for layer in net.config["layers"]}
        self.order, self.inputs = net.config["input_layers"], net.inputs
        if isinstance(self.order[0], str):
            self.order = [self.order]
        self.calls = [(n, i, c) for n, layer in self.layers.items() for i, c in enumerate(layer["inbound_nodes"])]
        self.output = net.config["output_layers"]
        self.output = tuple((self.output if isinstance(self.output[0], str) else self.output[0])[:2])
        self.norms = self._folded_norms()

    def run(self):
        values = {}
        for i, (name, *_) in enumerate(self.order):
            x = self.inputs[i]
            readers = [self.layers[n]["class_name"] for n, _, c in self.calls if (name, 0) in sources(c)]
            first = x.ndim > 2 and any(r.startswith(SPATIAL) for r in readers)
            shape = (x.shape[0], x.shape[-1], *x.shape[1:-1]) if first else x.shape
            values[name, 0] = Value(self.b.input(i, shape, str(x.dtype)), x.shape, first)
        waiting = list(self.calls)
        while waiting:
            ready = [c for c in waiting if all(s in values for s in sources(c[2]))]
            if not ready:
                raise ValueError(f"translate: loose ends at {[c[0] for c in waiting]}")
            for name, index, call in ready:
                values[name, index] = self._call(name, call, [values[s] for s in sources(call)])
            waiting = [c for c in waiting if c not in ready]
        return values[self.output]

    def _folded_norms(self):
        """name of a linear convolution -> the batch norm that alone reads it."""
        found = {}
        for name, layer in self.layers.items():
            kind, config = layer["class_name"], layer["config"]
            if kind in ("Conv2D", "DepthwiseConv2D") and config["activation"] == "linear":
                readers = [n for n, _, c in self.calls if (name, 0) in sources(c)]
                if len(readers) == 1 and self.layers[readers[0]]["class_name"] == "BatchNormalization":
                    found[name] = readers[0]
        return found

    def _call(self, name, call, xs):
        layer = self.layers[name]
        kind, config = layer["class_name"], layer["config"]
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise NotImplementedError(f"translate: no form of {kind} ({name})")
        w = [np.asarray(a) for a in self.weights.get(name, [])]
        options = {**call["kwargs"], "items": call["args"][1] if kind == "GetItem" else None}
        return self._activated(method(xs, config, w, name=name, options=options), config)

    def _activated(self, y, config):
        function = config.get("activation")
        # Recurrent layers use theirs inside.
        return y if function in (None, "linear") or "recurrent_activation" in config else self._apply(y, function)

    def _apply(self, y, function, **options):
        if function == "softmax":
            y = self._last(y)
            return replace(y, handle=self.b.softmax(y.handle))
        handle = self.b.unary(self._plain(y).handle, function, **options)
        return replace(y, handle=handle, positive=function in ("relu", "relu6", "sigmoid", "exponential"))

    # Layouts and padding

    def _plain(self, x):
        if any(x.pads):
            raise NotImplementedError("translate: zero padding before something else than a convolution or max pool")
        return x

    def _last(self, x):
        """The value as Keras has it."""
        x = self._plain(x)
        if not x.first:
            return x
        rank = len(x.shape)
        return replace(x, handle=self.b.transpose(x.handle, (0, *range(2, rank), 1)), first=False)

    def _first(self, x):
        """The value with channels first."""
        if x.first:
            return x
        rank = len(x.shape)
        return replace(x, handle=self.b.transpose(x.handle, (0, rank - 1, *range(1, rank - 1))), first=True)

    # Convolutions and pools

    def _window(self, x, sizes, strides, padding, dilation):
        """Zeros (before..., after...) and sizes of the output."""
        before, after, out = [], [], []
        for axis, (k, s, d) in enumerate(zip(sizes, strides, dilation)):
            n, reach = x.shape[1 + axis], (k - 1) * d + 1
            total = max((-(-n // s) - 1) * s + reach - n, 0) if padding == "same" else 0
            b, a = (reach - 1, 0) if padding == "causal" else (total // 2, total - total // 2)
            if x.pads:
                b, a = b + x.pads[axis][0], a + x.pads[axis][1]
            before.append(b), after.append(a), out.append((n + b + a - reach) // s + 1)
        return (*before, *after), tuple(out)

    def _convolve(self, xs, config, kernel, bias, groups, name):
        x, rank = self._first(xs[0]), kernel.ndim - 2
        if name in self.norms:
            gamma, shift = self._scale_and_shift(self.norms[name])
            kernel = kernel.astype("float64") * gamma
            bias = shift if bias is None else bias * gamma + shift
        one = [1] * rank
        strides, dilation = config["strides"], config.get("dilation_rate") or one
        pads, out = self._window(x, kernel.shape[:rank], strides, config["padding"], dilation)
        kernel = np.ascontiguousarray(kernel.transpose(rank + 1, rank, *range(rank)))
        handle = self.b.conv(x.handle, kernel, bias, tuple(strides), pads, tuple(dilation), groups)
        return Value(handle, (x.shape[0], *out, kernel.shape[0]), True)

    def _Conv2D(self, xs, config, w, name, **_):
        return self._convolve(xs, config, w[0], w[1] if len(w) > 1 else None, config["groups"], name)

    _Conv1D = _Conv2D

    def _DepthwiseConv2D(self, xs, config, w, name, **_):
        kernel = w[0].reshape(*w[0].shape[:2], 1, -1)
        return self._convolve(xs, config, kernel, w[1] if len(w) > 1 else None, xs[0].shape[-1], name)

    def _Conv2DTranspose(self, xs, config, w, **_):
        x, strides = self._first(self._plain(xs[0])), tuple(config["strides"])
        if tuple(config["kernel_size"]) != strides:
            raise NotImplementedError("translate: Conv2DTranspose with overlapping windows")
        shape = (x.shape[0], *(n * s for n, s in zip(x.shape[1:], strides)), w[0].shape[2])
        kernel = np.ascontiguousarray(w[0].transpose(3, 2, 0, 1))
        return Value(self.b.conv_transpose(x.handle, kernel, w[1], strides), shape, True)

    def _MaxPooling2D(self, xs, config, w, kind="max", **_):
        x, strides = self._first(xs[0]), config["strides"] or config["pool_size"]
        if kind == "average" or not x.positive:
            x = self._plain(x)
        pads, out = self._window(x, config["pool_size"], strides, config["padding"], [1] * len(strides))
        if kind == "average" and any(pads):
            raise NotImplementedError("translate: average pool with padding")
        handle = self.b.pool(x.handle, kind, tuple(config["pool_size"]), tuple(strides), pads)
        return Value(handle, (x.shape[0], *out, x.shape[-1]), True, positive=x.positive)

    def _AveragePooling2D(self, xs, config, w, **_):
        return self._MaxPooling2D(xs, config, w, kind="average")

    def _ZeroPadding2D(self, xs, config, w, **_):
        return replace(self._plain(xs[0]), pads=tuple(map(tuple, config["padding"])))

    def _GlobalAveragePooling2D(self, xs, config, w, **_):
        x = self._first(self._plain(xs[0]))
        y = Value(self.b.spatial_mean(x.handle), (x.shape[0], 1, 1, x.shape[-1]), True)
        if config["keepdims"]:
            return y
        return Value(self.b.reshape(y.handle, (x.shape[0], x.shape[-1])), (x.shape[0], x.shape[-1]))

    def _GlobalAveragePooling1D(self, xs, config, w, **_):
        x = self._last(xs[0])
        return Value(self.b.step_mean(x.handle), (x.shape[0], x.shape[2]))

    # Products

    def _Dense(self, xs, config, w, **_):
        x = self._last(xs[0])
        handle = self.b.dense(x.handle, w[0], w[1] if len(w) > 1 else None)
        return Value(handle, (*x.shape[:-1], w[0].shape[1]))

    def _Dot(self, xs, config, w, **_):
        a, b = map(self._last, xs)
        if list(config["axes"]) != [2, 1]:
            raise NotImplementedError(f"translate: Dot over axes {config['axes']}")
        return Value(self.b.matmul(a.handle, b.handle), (*a.shape[:2], b.shape[2]))

    def _MultiHeadAttention(self, xs, config, w, options, **_):
        query, value = map(self._last, xs[:2])
        heads, size, n = config["num_heads"], config["key_dim"], query.shape[0]
        parts = []
        for x, kernel, bias in ((query, *w[0:2]), (value, *w[2:4]), (value, *w[4:6])):
            y = self.b.dense(x.handle, kernel.reshape(kernel.shape[0], -1), bias.ravel())
            parts.append(self.b.reshape(y, (n, x.shape[1], heads, kernel.shape[2])))
        y = self.b.attention(*parts, (n, *query.shape[1:2], heads, size), value.shape[1], size**-0.5,
                             options["use_causal_mask"])  # fmt: skip
        y = self.b.reshape(y, (n, query.shape[1], heads * w[4].shape[2]))
        return Value(self.b.dense(y, w[6].reshape(-1, w[6].shape[-1]), w[7]), query.shape)

    def _DotProductAttention(self, xs, config, w, **_):
        q, k, v = map(self._last, xs)
        y = self.b.attention(
            q.handle, k.handle, v.handle, q.shape, k.shape[1], q.shape[-1] ** -0.5, config["is_causal"]
        )  # fmt: skip
        return Value(y, q.shape)

    def _Embedding(self, xs, config, w, options, **_):
        x = xs[0]
        if options.get("reverse"):
            return Value(self.b.dense(self._last(x).handle, w[0].T, None), (*x.shape[:-1], w[0].shape[0]))
        return Value(self.b.embedding(x.handle, w[0]), (*x.shape, w[0].shape[1]))

    _ReversibleEmbedding = _Embedding

    def _PositionEmbedding(self, xs, config, w, **_):
        return replace(xs[0], handle=self.b.binary("add", xs[0].handle, self.b.constant(w[0][: xs[0].shape[1]])))

    # Recurrent layers

    def _LSTM(self, xs, config, w, cell="lstm", **_):
        x = self._last(xs[0])
        return self._recur(x, cell, [w], config, config["return_sequences"])

    def _GRU(self, xs, config, w, **_):
        return self._LSTM(xs, config, w, cell="gru")

    def _Bidirectional(self, xs, config, w, **_):
        inner = config["layer"]
        cell = {"LSTM": "lstm", "GRU": "gru"}[inner["class_name"]]
        half = len(w) // 2
        return self._recur(
            self._last(xs[0]), cell, [w[:half], w[half:]], inner["config"], inner["config"]["return_sequences"]
        )  # fmt: skip

    def _recur(self, x, cell, weights, config, sequences):
        if cell == "gru" and not config["reset_after"]:
            raise NotImplementedError("translate: GRU with the reset before the product")
        units = config["units"] * len(weights)
        shape = (*x.shape[:2], units) if sequences else (x.shape[0], units)
        return Value(self.b.rnn(x.handle, x.shape, cell, weights, sequences), shape)

    # Everything else

    def _scale_and_shift(self, name):
        """A batch norm as `x * scale + shift`, in float64."""
        config = self.layers[name]["config"]
        gamma, beta, mean, variance = (np.asarray(a, "float64") for a in self.weights[name])
        scale = gamma / np.sqrt(variance + config["epsilon"])
        return scale, beta - mean * scale

    def _BatchNormalization(self, xs, config, w, name, **_):
        if name in self.norms.values():
            return xs[0]
        x = self._last(xs[0])
        scale, shift = self._scale_and_shift(name)
        y = self.b.binary("mul", x.handle, self.b.constant(scale))
        return replace(x, handle=self.b.binary("add", y, self.b.constant(shift)), positive=False)

    def _LayerNormalization(self, xs, config, w, **_):
        x = self._last(xs[0])
        return replace(x, handle=self.b.layer_norm(x.handle, w[0], w[1], config["epsilon"]), positive=False)

    def _RMSNormalization(self, xs, config, w, **_):
        x = self._last(xs[0])
        return replace(x, handle=self.b.rms_norm(x.handle, w[0], config["epsilon"]), positive=False)

    def _Activation(self, xs, config, w, **_):
        return xs[0]  # the activation itself follows in _activated

    def _ReLU(self, xs, config, w, **_):
        return self._apply(xs[0], {None: "relu", 6.0: "relu6"}[config["max_value"]])

    def _Softmax(self, xs, config, w, **_):
        return self._apply(xs[0], "softmax")

    def _Gelu(self, xs, config, w, **_):
        return self._apply(xs[0], "gelu_tanh" if config["approximate"] else "gelu")

    def _Dropout(self, xs, config, w, **_):
        return xs[0]

    def _Add(self, xs, config, w, kind="add", **_):
        first = all(x.first for x in xs)
        xs = [self._plain(x) if first else self._last(x) for x in xs]
        y = replace(xs[0], handle=self.b.binary(kind, *(x.handle for x in xs)), positive=all(x.positive for x in xs))
        return replace(y, shape=np.broadcast_shapes(*(x.shape for x in xs)))

    def _Multiply(self, xs, config, w, **_):
        return self._Add(xs, config, w, kind="mul")

    def _Concatenate(self, xs, config, w, **_):
        first = all(x.first for x in xs)
        xs = [self._plain(x) if first else self._last(x) for x in xs]
        handle = self.b.concat([x.handle for x in xs], 1 if first else len(xs[0].shape) - 1)
        return replace(xs[0], handle=handle, shape=(*xs[0].shape[:-1], sum(x.shape[-1] for x in xs)), positive=False)

    def _Flatten(self, xs, config, w, **_):
        x = self._last(xs[0])
        shape = (x.shape[0], int(np.prod(x.shape[1:])))
        return Value(self.b.reshape(x.handle, shape), shape, positive=x.positive)

    def _GetItem(self, xs, config, w, options, **_):
        x, items = self._last(xs[0]), options["items"]
        if len(items) != 2 or not isinstance(items[1], int):
            raise NotImplementedError(f"translate: items {items}")
        return Value(self.b.step(x.handle, items[1]), (x.shape[0], *x.shape[2:]))


def sources(call):
    """(layer, node) of every tensor that a call reads."""
    found = []

    def visit(x):
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                found.append(tuple(x["config"]["keras_history"][:2]))
            else:
                for v in x.values():
                    visit(v)
        elif isinstance(x, list):
            for v in x:
                visit(v)

    visit([call["args"], call["kwargs"]])
    return found


def translate(net, builder):
    """Builds the network with the builder; returns the output's `Value`."""
    return Translator(net, builder).run()


def channels_first_inputs(net, builder):
    """The inputs as the translated network takes them."""
    return [
        np.ascontiguousarray(np.moveaxis(x, -1, 1)) if tuple(s) != x.shape else x
        for x, s in zip(net.inputs, builder.input_shapes)
    ]
