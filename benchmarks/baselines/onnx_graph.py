"""A network as an ONNX model with fixed sizes, channels first."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.translate import translate

TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
UNARY = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "exponential": "Exp"}


class OnnxGraph:
    """Builder of ONNX nodes; handles are names.

    Args:
        contrib: bool, attention as ONNX Runtime's own op in place of products and softmax.
    """

    def __init__(self, contrib=False):
        self.contrib, self.nodes, self.tensors, self.inputs, self.input_shapes = contrib, [], [], [], []
        self.attends = False

    def node(self, kind, *inputs, domain="", **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def constant(self, a, dtype="float32"):
        self.tensors.append(numpy_helper.from_array(np.array(a, dtype, order="C"), f"w{len(self.tensors)}"))
        return f"w{len(self.tensors) - 1}"

    def input(self, i, shape, dtype):
        self.inputs.append(helper.make_tensor_value_info(f"x{i}", TYPES[dtype], shape))
        self.input_shapes.append(tuple(shape))
        return f"x{i}"

    def transpose(self, x, axes):
        return self.node("Transpose", x, perm=list(axes))

    def reshape(self, x, shape):
        return self.node("Reshape", x, self.constant(shape, "int64"))

    def conv(self, x, kernel, bias, strides, pads, dilation, groups):
        more = [] if bias is None else [self.constant(bias)]
        return self.node(
            "Conv", x, self.constant(kernel), *more, strides=list(strides), pads=list(pads), dilations=list(dilation),
            group=groups, kernel_shape=list(kernel.shape[2:]),
        )  # fmt: skip

    def conv_transpose(self, x, kernel, bias, strides):
        return self.node("ConvTranspose", x, self.constant(kernel), self.constant(bias), strides=list(strides))

    def pool(self, x, kind, size, strides, pads):
        kind = {"max": "MaxPool", "average": "AveragePool"}[kind]
        return self.node(kind, x, kernel_shape=list(size), strides=list(strides), pads=list(pads))

    def spatial_mean(self, x):
        return self.node("GlobalAveragePool", x)

    def step_mean(self, x):
        return self.node("ReduceMean", x, self.constant([1], "int64"), keepdims=0)

    def step(self, x, i):
        return self.node("Gather", x, self.constant(i, "int64"), axis=1)

    def dense(self, x, kernel, bias):
        y = self.node("MatMul", x, self.constant(kernel))
        return y if bias is None else self.node("Add", y, self.constant(bias))

    def matmul(self, a, b):
        return self.node("MatMul", a, b)

    def attention(self, q, k, v, shape, steps, scale, causal):
        self.attends, (n, length, heads, size) = True, shape
        if self.contrib:
            given = [self.reshape(x, (n, s, heads * size)) for x, s in ((q, length), (k, steps), (v, steps))]
            y = self.node(
                "MultiHeadAttention", *given, domain="com.microsoft", num_heads=heads, scale=scale,
                unidirectional=int(causal),
            )  # fmt: skip
            return self.reshape(y, shape)
        q, k, v = self.transpose(q, (0, 2, 1, 3)), self.transpose(k, (0, 2, 3, 1)), self.transpose(v, (0, 2, 1, 3))
        scores = self.node("Mul", self.node("MatMul", q, k), self.constant(scale))
        if causal:
            below = np.tri(length, steps, dtype=bool)
            scores = self.node("Add", scores, self.constant(np.where(below, 0, np.finfo("float32").min)))
        return self.transpose(self.node("MatMul", self.softmax(scores), v), (0, 2, 1, 3))

    def rnn(self, x, shape, cell, weights, sequences):
        n, steps, _ = shape
        # Keras's gates to ONNX's: i f g o -> i o f g, z r h as they are.
        order, units = ([0, 3, 1, 2] if cell == "lstm" else [0, 1, 2]), weights[0][1].shape[0]

        def gates(a):
            return np.concatenate([np.split(a, len(order), -1)[g] for g in order], -1)

        w = self.constant(np.stack([gates(k).T for k, _, _ in weights]))
        r = self.constant(np.stack([gates(u).T for _, u, _ in weights]))
        both = [np.stack([b, np.zeros_like(b)]) if b.ndim == 1 else b for _, _, b in weights]
        b = self.constant(np.stack([gates(b).ravel() for b in both]))
        # One row in the batch: a change of order is a change of shape.
        x = self.reshape(x, (steps, n, shape[2])) if n == 1 else self.transpose(x, (1, 0, 2))
        options = {"linear_before_reset": 1} if cell == "gru" else {}
        name, last = f"v{len(self.nodes)}", f"v{len(self.nodes)}_last"
        direction = "bidirectional" if len(weights) == 2 else "forward"
        self.nodes.append(helper.make_node(
            cell.upper(), [x, w, r, b], [name if sequences else "", "" if sequences else last],
            hidden_size=units, direction=direction, **options,
        ))  # fmt: skip
        if sequences:  # (steps, directions, n, units)
            return self.reshape(self.transpose(name, (2, 0, 1, 3)), (n, steps, len(weights) * units))
        last = last if len(weights) == 1 else self.transpose(last, (1, 0, 2))
        return self.reshape(last, (n, len(weights) * units))

    def unary(self, x, function):
        if function == "relu6":
            return self.node("Clip", x, self.constant(0.0), self.constant(6.0))
        if function in ("silu", "swish"):
            return self.node("Mul", x, self.node("Sigmoid", x))
        if function.startswith("gelu"):
            return self.node("Gelu", x, approximate="tanh" if function == "gelu_tanh" else "none")
        return self.node(UNARY[function], x)

    def binary(self, kind, a, b):
        return self.node({"add": "Add", "mul": "Mul"}[kind], a, b)

    def concat(self, xs, axis):
        return self.node("Concat", *xs, axis=axis)

    def softmax(self, x):
        return self.node("Softmax", x, axis=-1)

    def layer_norm(self, x, gamma, beta, epsilon):
        given = (self.constant(gamma), self.constant(beta))
        return self.node("LayerNormalization", x, *given, epsilon=float(epsilon), axis=-1)

    def rms_norm(self, x, gamma, epsilon):
        if self.contrib:
            # As ONNX Runtime names it, in the default domain.
            return self.node("SimplifiedLayerNormalization", x, self.constant(gamma), epsilon=float(epsilon), axis=-1)
        mean = self.node("ReduceMean", self.node("Mul", x, x), self.constant([-1], "int64"))
        root = self.node("Sqrt", self.node("Add", mean, self.constant(epsilon)))
        return self.node("Mul", self.node("Div", x, root), self.constant(gamma))

    def embedding(self, ids, table):
        return self.node("Gather", self.constant(table), ids)


def graph(net, contrib=False):
    """(ONNX model, builder, whether the output has channels first)."""
    builder = OnnxGraph(contrib)
    y = translate(net, builder)
    shape = (y.shape[0], y.shape[-1], *y.shape[1:-1]) if y.first else y.shape
    output = helper.make_tensor_value_info(y.handle, TensorProto.FLOAT, shape)
    g = helper.make_graph(builder.nodes, "net", builder.inputs, [output], builder.tensors)
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid("com.microsoft", 1)] if contrib else [])]
    return helper.make_model(g, opset_imports=opsets, ir_version=9), builder, y.first
