"""The networks of the benchmarks as data, so that every contender builds the same one with the same weights."""

import numpy as np

# ("conv", filters, kernel, padding) with relu, ("pool", size), ("flatten",), ("dense", units, activation)
NETS = {
    "mlp-16-16-4": ((16,), [("dense", 16, "relu"), ("dense", 4, None)]),
    "mlp-784-512-512-10": ((784,), [("dense", 512, "relu"), ("dense", 512, "relu"), ("dense", 10, "softmax")]),
    "digits-cnn": (
        (8, 8, 1),
        [
            ("conv", 16, 3, "same"),
            ("pool", 2),
            ("conv", 32, 3, "same"),
            ("flatten",),
            ("dense", 64, "relu"),
            ("dense", 10, "softmax"),
        ],
    ),
    "tutorial-cnn-28": (
        (28, 28, 1),
        [
            ("conv", 32, 3, "valid"),
            ("pool", 2),
            ("conv", 64, 3, "valid"),
            ("pool", 2),
            ("conv", 64, 3, "valid"),
            ("flatten",),
            ("dense", 64, "relu"),
            ("dense", 10, "softmax"),
        ],
    ),
}


def shapes(net):
    """Shape of the value after every layer, without the batch."""
    shape, layers = NETS[net]
    out = []
    for layer in layers:
        if layer[0] == "conv":
            h, w, _ = shape
            cut = layer[2] - 1 if layer[3] == "valid" else 0
            shape = (h - cut, w - cut, layer[1])
        elif layer[0] == "pool":
            shape = (shape[0] // layer[1], shape[1] // layer[1], shape[2])
        elif layer[0] == "flatten":
            shape = (int(np.prod(shape)),)
        else:
            shape = (layer[1],)
        out.append(shape)
    return out


def weights(net, seed=0):
    """Glorot-uniform weights in Keras's layout: kernels (kh, kw, in, out) and (in, out), biases zero."""
    rng = np.random.default_rng(seed)
    shape, layers = NETS[net]
    result = []
    for layer, after in zip(layers, shapes(net)):
        if layer[0] == "conv":
            k, c, f = layer[2], shape[-1], layer[1]
            limit = (6 / (k * k * (c + f))) ** 0.5
            result += [rng.uniform(-limit, limit, (k, k, c, f)).astype("float32"), np.zeros(f, "float32")]
        elif layer[0] == "dense":
            limit = (6 / (shape[0] + layer[1])) ** 0.5
            result += [
                rng.uniform(-limit, limit, (shape[0], layer[1])).astype("float32"),
                np.zeros(layer[1], "float32"),
            ]
        shape = after
    return result


def inputs(net, batch, seed=1):
    """Random input rows."""
    return np.random.default_rng(seed).normal(size=(batch, *NETS[net][0])).astype("float32")


def macs(net):
    """Multiply-adds of one row."""
    shape, layers = NETS[net]
    total = 0
    for layer, after in zip(layers, shapes(net)):
        if layer[0] == "conv":
            total += after[0] * after[1] * layer[2] ** 2 * shape[-1] * layer[1]
        elif layer[0] == "dense":
            total += shape[0] * layer[1]
        shape = after
    return total


def reference(net, values, x):
    """The network in float64 NumPy."""
    from numpy.lib.stride_tricks import sliding_window_view

    x, values = x.astype("float64"), iter(values)
    for layer in NETS[net][1]:
        if layer[0] == "conv":
            kernel, bias, k = next(values).astype("float64"), next(values), layer[2]
            if layer[3] == "same":
                p = (k - 1) // 2
                x = np.pad(x, ((0, 0), (p, k - 1 - p), (p, k - 1 - p), (0, 0)))
            x = np.maximum(np.einsum("nhwcij,ijcf->nhwf", sliding_window_view(x, (k, k), (1, 2)), kernel) + bias, 0)
        elif layer[0] == "pool":
            n, h, w, c = x.shape
            s = layer[1]
            x = x[:, : h // s * s, : w // s * s].reshape(n, h // s, s, w // s, s, c).max((2, 4))
        elif layer[0] == "flatten":
            x = x.reshape(len(x), -1)
        else:
            x = x @ next(values).astype("float64") + next(values)
            if layer[2] == "relu":
                x = np.maximum(x, 0)
            elif layer[2] == "softmax":
                e = np.exp(x - x.max(-1, keepdims=True))
                x = e / e.sum(-1, keepdims=True)
    return x
