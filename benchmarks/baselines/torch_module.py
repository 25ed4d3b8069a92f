"""A network as a `torch.fx` module: plain calls of torch's functions, weights as parameters."""

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from benchmarks.translate import translate

UNARY = {
    "relu": torch.relu, "relu6": F.relu6, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "silu": F.silu,
    "swish": F.silu, "exponential": torch.exp, "gelu": F.gelu,
}  # fmt: skip


class TorchModule:
    """Builder of fx nodes; handles are nodes."""

    def __init__(self):
        self.root, self.graph, self.input_shapes = nn.Module(), fx.Graph(), []

    def call(self, function, *args, **kwargs):
        return self.graph.call_function(function, args, kwargs)

    def method(self, name, *args):
        return self.graph.call_method(name, args)

    def constant(self, a):
        t = torch.tensor(np.array(a, "float32"))  # a copy that torch owns
        if t.ndim == 4:
            t = t.to(memory_format=torch.channels_last)
        name = f"w{len(list(self.root.parameters()))}"
        self.root.register_parameter(name, nn.Parameter(t))
        return self.graph.get_attr(name)

    def input(self, i, shape, dtype):
        self.input_shapes.append(tuple(shape))
        return self.graph.placeholder(f"x{i}")

    def transpose(self, x, axes):
        return self.method("permute", x, *axes)

    def reshape(self, x, shape):
        return self.method("reshape", x, -1, *shape[1:])  # the batch stays open, for training

    def conv(self, x, kernel, bias, strides, pads, dilation, groups):
        rank = kernel.ndim - 2
        before, after = pads[:rank], pads[rank:]
        if before != after:  # torch's own padding is symmetric
            x = self.call(F.pad, x, [n for b, a in zip(before[::-1], after[::-1]) for n in (b, a)])
            before = (0,) * rank
        bias = None if bias is None else self.constant(bias)
        function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[rank]
        return self.call(
            function, x, self.constant(kernel), bias, stride=strides, padding=before, dilation=dilation, groups=groups
        )  # fmt: skip

    def conv_transpose(self, x, kernel, bias, strides):
        return self.call(F.conv_transpose2d, x, self.constant(kernel), self.constant(bias), stride=strides)

    def pool(self, x, kind, size, strides, pads):
        if kind == "average":
            return self.call(F.avg_pool2d, x, size, strides)
        before, after = pads[:2], pads[2:]
        if before != after:
            x = self.call(F.pad, x, [n for b, a in zip(before[::-1], after[::-1]) for n in (b, a)], value=-np.inf)
            before = (0, 0)
        return self.call(F.max_pool2d, x, size, strides, before)

    def spatial_mean(self, x):
        return self.call(F.adaptive_avg_pool2d, x, 1)

    def step_mean(self, x):
        return self.method("mean", x, 1)

    def step(self, x, i):
        return self.method("select", x, 1, i)

    def dense(self, x, kernel, bias):
        bias = None if bias is None else self.constant(bias)
        return self.call(F.linear, x, self.constant(kernel.T), bias)

    def matmul(self, a, b):
        return self.call(torch.matmul, a, b)

    def attention(self, q, k, v, shape, steps, scale, causal):
        q, k, v = (self.method("transpose", x, 1, 2) for x in (q, k, v))
        y = self.call(F.scaled_dot_product_attention, q, k, v, is_causal=causal, scale=scale)
        return self.method("transpose", y, 1, 2)

    def rnn(self, x, shape, cell, weights, sequences):
        units = weights[0][1].shape[0]
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        layer = kind(shape[2], units, batch_first=True, bidirectional=len(weights) == 2)
        # Keras's gates to torch's: i f g o as they are, z r h -> r z h.
        order = [0, 1, 2, 3] if cell == "lstm" else [1, 0, 2]

        def gates(a):
            return torch.tensor(
                np.concatenate([np.split(np.asarray(a), len(order), -1)[g] for g in order], -1).T.copy()
            )

        for suffix, (kernel, recurrent, bias) in zip(("", "_reverse"), weights):
            bias = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
            values = {"weight_ih": kernel, "weight_hh": recurrent, "bias_ih": bias[0], "bias_hh": bias[1]}
            for name, value in values.items():
                getattr(layer, f"{name}_l0{suffix}").data = gates(value)
        name = f"layer{len(list(self.root.children()))}"
        self.root.add_module(name, layer)
        both = self.graph.call_module(name, (x,))
        y = self.call(_item, both, 0)
        if sequences:
            return y
        if len(weights) == 1:
            return self.method("select", y, 1, -1)
        raise NotImplementedError("torch: only the last step of two directions")

    def unary(self, x, function):
        if function == "gelu_tanh":
            return self.call(F.gelu, x, approximate="tanh")
        return self.call(UNARY[function], x)

    def binary(self, kind, a, b):
        return self.call({"add": torch.add, "mul": torch.mul}[kind], a, b)

    def concat(self, xs, axis):
        return self.call(torch.cat, xs, axis)

    def softmax(self, x):
        return self.call(torch.softmax, x, -1)

    def layer_norm(self, x, gamma, beta, epsilon):
        return self.call(F.layer_norm, x, gamma.shape, self.constant(gamma), self.constant(beta), float(epsilon))

    def rms_norm(self, x, gamma, epsilon):
        return self.call(F.rms_norm, x, gamma.shape, self.constant(gamma), float(epsilon))

    def embedding(self, ids, table):
        return self.call(F.embedding, ids, self.constant(table))


def _item(values, i):
    return values[i]


def module(net):
    """(module, its input tensors, whether the output has channels first)."""
    from benchmarks.translate import channels_first_inputs

    builder = TorchModule()
    y = translate(net, builder)
    builder.graph.output(y.handle)
    tensors = [torch.tensor(x) for x in channels_first_inputs(net, builder)]
    # Images only: attention wants the features of a head side by side.
    images = [tuple(s) != x.shape and len(s) == 4 for s, x in zip(builder.input_shapes, net.inputs)]
    tensors = [t.to(memory_format=torch.channels_last) if i else t for t, i in zip(tensors, images)]
    return fx.GraphModule(builder.root, builder.graph), tensors, y.first


def logits(net):
    """The module for training: without the softmax at its end."""
    import copy

    from benchmarks.net import Net

    config = copy.deepcopy(net.config)
    last = config["layers"][-1]["config"]
    if last.get("activation") == "softmax":
        last["activation"] = "linear"
    return module(Net(config, net.weights, net.inputs))[0]
