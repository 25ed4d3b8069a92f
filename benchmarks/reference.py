"""The network in float64 NumPy: what outputs are compared with, and how many multiply-adds they take."""

import math

import numpy as np

from benchmarks.translate import translate

_erf = np.vectorize(math.erf, otypes=["float64"])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


UNARY = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "exponential": np.exp,
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


class Reference:
    """Builder that computes at once; handles are float64 arrays."""

    def __init__(self, inputs):
        self.arrays, self.macs = inputs, 0.0

    def input(self, i, shape, dtype):
        x = self.arrays[i]
        x = np.moveaxis(x, -1, 1) if tuple(shape) != x.shape else x
        return x.astype("float64") if x.dtype.kind == "f" else x

    def constant(self, a):
        return np.asarray(a, "float64")

    def transpose(self, x, axes):
        return x.transpose(axes)

    def reshape(self, x, shape):
        return x.reshape(shape)

    def conv(self, x, kernel, bias, strides, pads, dilation, groups):
        rank, n = x.ndim - 2, x.shape[0]
        kernel = kernel.astype("float64")
        x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:])])
        sizes = kernel.shape[2:]
        out = [(m - (k - 1) * d - 1) // s + 1 for m, k, s, d in zip(x.shape[2:], sizes, strides, dilation)]
        y = np.zeros((n, groups, kernel.shape[0] // groups, math.prod(out)))
        by_group = kernel.reshape(groups, -1, *kernel.shape[1:])
        for tap in np.ndindex(*sizes):
            at = tuple(slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dilation, out, strides))
            part = x[(slice(None), slice(None), *at)].reshape(n, groups, -1, math.prod(out))
            y += by_group[(..., *tap)] @ part
        self.macs += y.size * math.prod(kernel.shape[1:])
        y = y.reshape(n, -1, *out)
        return y if bias is None else y + np.asarray(bias, "float64").reshape(-1, *[1] * rank)

    def conv_transpose(self, x, kernel, bias, strides):
        y = np.einsum("nihw,ioab->nohawb", x, kernel.astype("float64"), optimize=True)
        self.macs += y.size * kernel.shape[0]
        n, o, h, a, w, b = y.shape
        return y.reshape(n, o, h * a, w * b) + bias.astype("float64")[:, None, None]

    def pool(self, x, kind, size, strides, pads):
        before, after = pads[:2], pads[2:]
        x = np.pad(x, [(0, 0), (0, 0), *zip(before, after)], constant_values=-np.inf if kind == "max" else 0)
        windows = np.lib.stride_tricks.sliding_window_view(x, size, (2, 3))[:, :, :: strides[0], :: strides[1]]
        return windows.max((-2, -1)) if kind == "max" else windows.mean((-2, -1))

    def spatial_mean(self, x):
        return x.mean((2, 3), keepdims=True)

    def step_mean(self, x):
        return x.mean(1)

    def step(self, x, i):
        return x[:, i]

    def dense(self, x, kernel, bias):
        return self.matmul(x, kernel.astype("float64")) + (0 if bias is None else bias.astype("float64"))

    def matmul(self, a, b):
        y = a @ b
        self.macs += float(y.size) * a.shape[-1]
        return y

    def attention(self, q, k, v, shape, steps, scale, causal):
        q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
        scores = scale * (q @ k.swapaxes(-1, -2))
        if causal:
            scores += np.where(np.tri(*scores.shape[-2:]), 0, -np.inf)
        y = self.softmax(scores) @ v
        self.macs += float(scores.size) * (q.shape[-1] + v.shape[-1]) * (0.5 if causal else 1)
        return y.transpose(0, 2, 1, 3)

    def rnn(self, x, shape, cell, weights, sequences):
        outputs = []
        for direction, (kernel, recurrent, bias) in enumerate(weights):
            kernel, recurrent, bias = (a.astype("float64") for a in (kernel, recurrent, bias))
            steps = x[:, ::-1] if direction else x
            given = steps @ kernel + (bias[0] if cell == "gru" else bias)
            self.macs += shape[0] * shape[1] * float(kernel.size + recurrent.size)
            h = c = np.zeros((shape[0], recurrent.shape[0]))
            all_h = []
            for t in range(shape[1]):
                if cell == "lstm":
                    i, f, g, o = np.split(given[:, t] + h @ recurrent, 4, -1)
                    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
                    h = _sigmoid(o) * np.tanh(c)
                else:
                    (z, r, g), (uz, ur, ug) = np.split(given[:, t], 3, -1), np.split(h @ recurrent + bias[1], 3, -1)
                    z = _sigmoid(z + uz)
                    h = z * h + (1 - z) * np.tanh(g + _sigmoid(r + ur) * ug)
                all_h.append(h)
            ys = np.stack(all_h, 1)
            outputs.append((ys[:, ::-1] if direction else ys) if sequences else h)
        return np.concatenate(outputs, -1)

    def unary(self, x, function):
        return UNARY[function](x)

    def binary(self, kind, a, b):
        return a + b if kind == "add" else a * b

    def concat(self, xs, axis):
        return np.concatenate(xs, axis)

    def softmax(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def layer_norm(self, x, gamma, beta, epsilon):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * gamma + beta

    def rms_norm(self, x, gamma, epsilon):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * gamma

    def embedding(self, ids, table):
        return table.astype("float64")[ids]


def reference(net, rows=None):
    """The output of the first `rows` of the batch (all by default), and the multiply-adds of the whole batch."""
    inputs = [x[:rows] for x in net.inputs]
    builder = Reference(inputs)
    y = translate(type(net)(net.config, net.weights, inputs), builder)
    return (np.moveaxis(y.handle, 1, -1) if y.first else y.handle), builder.macs * len(net.inputs[0]) / len(inputs[0])
