"""Random graphs of public ops: every node is drawn with a value at hand, so that graphs make sense and stay in range.

A graph is a recipe, a list of (function, operands): `build` runs it on any tensors, in a trace or eagerly.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from maas import _core, ops

BATCH = 3


@dataclass
class Value:
    array: np.ndarray  # in float64
    batch: int | None  # the axis that has an unknown size, if any

    @property
    def shape(self):
        return self.array.shape

    @property
    def rank(self):
        return self.array.ndim


class Draw:
    """Draws nodes one after the other. `weights` are constants or variables of the graph."""

    def __init__(self, seed, nodes=28, exact=False):
        self.rng = np.random.default_rng(seed)
        self.exact = exact  # only what every pass must keep to the bit
        self.inputs, self.values, self.recipe, self.weights = [], [], [], []
        for _ in range(int(self.rng.integers(1, 4))):
            rank = int(self.rng.integers(2, 5))
            self.inputs.append(self.normal(BATCH, *(self.size() for _ in range(rank - 1))))
            self.values.append(Value(self.inputs[-1], 0))
        kinds = self.exact_kinds() if exact else self.all_kinds()
        while len(self.recipe) < nodes:
            kinds[int(self.rng.integers(len(kinds)))]()
        some = self.rng.permutation(len(self.values) - len(self.inputs))[: int(self.rng.integers(1, 4))]
        self.outputs = sorted({len(self.values) - 1, *(int(i) + len(self.inputs) for i in some)})

    # ---- small draws

    def size(self):
        return int(self.rng.choice([1, 2, 3, 4, 5, 8]))

    def normal(self, *shape):
        return self.rng.standard_normal(shape)

    def choice(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def pick(self, fits=lambda v: True):
        """The number of a value, later ones more often; None if none fits."""
        good = [i for i, v in enumerate(self.values) if fits(v)]
        return good[-1 - int(min(self.rng.geometric(0.35) - 1, len(good) - 1))] if good else None

    def weight(self, array):
        """A parameter: a constant, or a variable that the graph reads."""
        self.weights.append((array, bool(self.rng.integers(2))))
        return len(self.weights) - 1

    def node(self, function, operands, batch, weights=()):
        """Adds a node, unless its value is out of range or too large."""
        with np.errstate(all="ignore"):
            given = [self.values[i].array for i in operands] + [self.weights[w][0] for w in weights]
            y = np.asarray(function(*(_core.Tensor(a) for a in given)))
        if y.dtype != np.float64 or y.size == 0 or y.size > 3000 or y.ndim > 5:
            return None
        if not np.isfinite(y).all() or np.abs(y).max() > 50:
            return None
        self.recipe.append((function, tuple(operands), tuple(weights)))
        self.values.append(Value(y, batch))
        return len(self.values) - 1

    # ---- nodes

    def unary(self):
        name = self.choice(
            "tanh", "sigmoid", "relu", "gelu", "silu", "sin", "softplus", "square", "negative", "abs", "relu6",
            "hard_sigmoid", "erf",
        )  # fmt: skip
        self.map(getattr(ops, name))

    def exact_unary(self):
        self.map(getattr(ops, self.choice("tanh", "relu", "negative", "abs", "sigmoid", "floor")))

    def map(self, function):
        i = self.pick()
        return self.node(function, [i], self.values[i].batch)

    def nothing(self):
        """Arithmetic that a pass may take away or write in another way."""
        self.map(
            self.choice(
                lambda x: x * 1.0,
                lambda x: ops.negative(ops.negative(x)),
                lambda x: x / 4.0,
                lambda x: x / -1.0,
                lambda x: x - 0.0,
                lambda x: x + 0.0,
                lambda x: ops.power(x, 2.0),
                lambda x: ops.power(x, 1.0),
                lambda x: ops.where(ops.greater(x, 0.0), x, x),
                lambda x: ops.maximum(x, x),
                lambda x: 1.0 / ops.sqrt(ops.square(x) + 0.5),
                lambda x: ops.subtract(x, ops.negative(ops.tanh(x))),
                lambda x: ops.abs(ops.abs(x)),
                lambda x: ops.relu(ops.relu(x)),
            )
        )

    def binary(self):
        i = self.pick()
        a = self.values[i]
        j = self.pick(lambda b: b.shape == a.shape and b.batch == a.batch)
        name = self.choice("add", "subtract", "multiply", "maximum", "minimum")
        function = getattr(ops, name)
        if a.rank and self.rng.random() < 0.3:
            shape = [1 if k == a.batch or self.rng.random() < 0.5 else n for k, n in enumerate(a.shape)]
            w = self.weight(self.normal(*shape[int(self.rng.integers(len(shape))) :]))
            return self.node(lambda x, w: function(x, w), [i], a.batch, [w])
        if self.rng.random() < 0.3 and a.rank:
            axis = int(self.rng.integers(a.rank))
            return self.node(lambda x: function(x, ops.mean(x, axis, keepdims=True)), [i], a.batch)
        return self.node(function, [i, j], a.batch)

    def select(self):
        i = self.pick()
        a = self.values[i]
        j = self.pick(lambda b: b.shape == a.shape and b.batch == a.batch)
        # Both sides agree where the condition changes: a rounding may turn it.
        return self.node(lambda x, y: ops.where(ops.greater(x, y), x, 2.0 * x - y), [i, j], a.batch)

    def reduce(self):
        i = self.pick(lambda v: v.rank >= 2)
        if i is None:
            return
        v = self.values[i]
        axes = [
            int(a) for a in np.flatnonzero(self.rng.random(v.rank) < 0.5) if a != v.batch or self.rng.random() < 0.2
        ]
        keep = bool(self.rng.integers(2))
        if not axes:
            return
        function = getattr(ops, self.choice("sum", "mean", "max", "min"))
        batch = None if v.batch in axes else v.batch
        if batch is not None and not keep:
            batch -= sum(a < batch for a in axes)
        self.node(lambda x: function(x, axes, keepdims=keep), [i], batch)

    def matmul(self):
        i = self.pick(lambda v: v.rank >= 2 and v.batch != v.rank - 1)
        if i is None:
            return
        v = self.values[i]
        n = self.size()
        if self.rng.random() < 0.6:
            w = self.normal(v.shape[-1], n) / np.sqrt(v.shape[-1])
            if self.rng.random() < 0.4:
                turned = self.weight(np.ascontiguousarray(w.T))
                return self.node(lambda x, w: ops.matmul(x, ops.transpose(w)), [i], v.batch, [turned])
            bias = self.weight(self.normal(n))
            return self.node(lambda x, w, b: ops.relu(ops.matmul(x, w) + b), [i], v.batch, [self.weight(w), bias])
        if v.rank >= 3 and v.batch is not None and v.batch < v.rank - 2:
            self.node(lambda x: ops.matmul(x, ops.swapaxes(x, -1, -2)) * 0.25, [i], v.batch)

    def move(self):
        i = self.pick(lambda v: v.rank >= 2)
        if i is None:
            return
        v = self.values[i]
        kind = self.choice("transpose", "transpose", "reshape", "slice", "pad", "flip", "concatenate", "take", "expand",
                           "broadcast", "split")  # fmt: skip
        axis = int(self.rng.choice([a for a in range(v.rank) if a != v.batch]))
        if kind == "transpose":
            axes = [int(a) for a in self.rng.permutation(v.rank)]
            self.node(lambda x: ops.transpose(x, axes), [i], None if v.batch is None else axes.index(v.batch))
        elif kind == "reshape" and v.batch in (0, None):
            rest = v.shape[1:] if v.batch == 0 else v.shape
            count = int(np.prod(rest))
            divisor = self.choice(*[d for d in range(1, count + 1) if count % d == 0])
            shape = self.choice([count], [divisor, count // divisor], [*rest], [count, 1])
            shape = [-1, *shape] if v.batch == 0 else shape
            self.node(lambda x: ops.reshape(x, shape), [i], v.batch)
        elif kind == "slice":
            begin, step = int(self.rng.integers(v.shape[axis])), self.choice(1, 1, 2)
            at = tuple(slice(begin, None, step) if a == axis else slice(None) for a in range(v.rank))
            self.node(lambda x: x[at], [i], v.batch)
        elif kind == "pad":
            width = [[0, 0]] * v.rank
            width[axis] = [int(self.rng.integers(3)), int(self.rng.integers(3))]
            self.node(lambda x: ops.pad(x, width), [i], v.batch)
        elif kind == "flip":
            self.node(lambda x: ops.flip(x, axis), [i], v.batch)
        elif kind == "concatenate":
            j = self.pick(lambda b: b.shape == v.shape and b.batch == v.batch)
            self.node(lambda x, y: ops.concatenate([x, y], axis), [i, j], v.batch)
        elif kind == "take":
            index = self.rng.integers(v.shape[axis], size=3).astype("int32")
            self.node(lambda x: ops.take(x, index, axis=axis), [i], v.batch)
        elif kind == "expand":
            at = int(self.rng.integers(v.rank + 1))
            self.node(lambda x: ops.expand_dims(x, at), [i], None if v.batch is None else v.batch + (at <= v.batch))
        elif kind == "broadcast" and v.shape[axis] == 1:
            n = self.size()
            self.node(lambda x: ops.repeat(x, n, axis=axis), [i], v.batch)
        elif kind == "split" and v.shape[axis] % 2 == 0:
            self.node(lambda x: ops.concatenate(ops.split(x, 2, axis), axis), [i], v.batch)

    def images(self, first=False):
        """The number of a value (batch, height, width, channels), or with `first` (batch, channels, height, width)."""
        return self.pick(lambda v: v.rank == 4 and v.batch == 0 and min(v.shape[2:] if first else v.shape[1:3]) >= 2)

    def convolve(self):
        first = bool(self.rng.integers(2))
        i = self.images(first)
        if i is None:
            return
        v = self.values[i]
        channels, filters = v.shape[1 if first else 3], self.size()
        kernel = self.weight(self.normal(2, 2, channels, filters) / np.sqrt(4 * channels))
        form = "channels_first" if first else "channels_last"
        padding = self.choice("same", "valid")
        j = self.node(lambda x, w: ops.conv(x, w, 1, padding, form), [i], 0, [kernel])
        if j is None or not first or self.rng.random() < 0.2:
            return
        # As a model that is channels first goes on.
        for _ in range(int(self.rng.integers(1, 4))):
            c = self.values[j].shape[1]
            kind = self.choice("bias", "relu", "pool", "norm", "conv", "residual", "mean")
            if kind == "bias":
                k = self.node(lambda x, b: x + b, [j], 0, [self.weight(self.normal(1, c, 1, 1))])
            elif kind == "relu":
                k = self.node(ops.relu, [j], 0)
            elif kind == "pool":
                pool = self.choice(ops.max_pool, ops.average_pool)
                k = self.node(
                    partial(pool, pool_size=2, strides=1, padding="same", data_format="channels_first"), [j], 0
                )
            elif kind == "norm":
                w = [self.weight(self.normal(c)), self.weight(self.rng.uniform(0.5, 1, c))]
                k = self.node(lambda x, m, s: ops.batch_normalization(x, m, s, 1), [j], 0, w)
            elif kind == "conv":
                w = self.weight(self.normal(1, 1, c, 4) / np.sqrt(c))
                k = self.node(lambda x, w: ops.conv(x, w, 1, "same", "channels_first"), [j], 0, [w])
            elif kind == "residual":
                k = self.node(lambda x: x + ops.tanh(x), [j], 0)
            else:
                k = self.node(lambda x: ops.mean(x, [2, 3], keepdims=True), [j], 0)
            if k is None or min(self.values[k].shape[2:]) < 2:
                return
            j = k

    def pool(self):
        i = self.images()
        if i is not None:
            function = self.choice(ops.max_pool, ops.average_pool)
            self.node(lambda x: function(x, 2, 2, "same"), [i], 0)

    def normalize(self):
        i = self.pick(lambda v: v.rank >= 2 and v.batch != v.rank - 1 and v.shape[-1] > 1)
        if i is None:
            return
        v, kind = self.values[i], self.choice("softmax", "layer_norm", "spelled", "rms", "log_softmax")
        axis = int(self.rng.choice([a for a in range(v.rank) if a != v.batch]))
        if "softmax" in kind:
            return self.node(lambda x: getattr(ops, kind)(x, axis), [i], v.batch)
        gamma, beta = (self.weight(self.normal(v.shape[-1])) for _ in range(2))

        def spelled(x, g, b):
            d = x - ops.mean(x, -1, keepdims=True)
            return d / ops.sqrt(ops.mean(ops.square(d), -1, keepdims=True) + 0.1) * g + b

        def rms(x, g, b):
            return x * ops.rsqrt(ops.mean(x * x, -1, keepdims=True) + 0.1) * g + b

        def fused(x, g, b):
            return ops.layer_normalization(x, g, b, axis=-1, epsilon=0.1)

        self.node({"spelled": spelled, "rms": rms, "layer_norm": fused}[kind], [i], v.batch, [gamma, beta])

    def activation(self):
        self.map(
            self.choice(
                lambda x: 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0))),
                lambda x: 0.5 * x * (1.0 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * ops.power(x, 3.0)))),
                lambda x: x * ops.sigmoid(x),
                lambda x: x * ops.relu6(x + 3.0) / 6.0,
            )
        )

    def attention(self):
        i = self.pick(lambda v: v.rank in (3, 4) and v.batch == 0)
        if i is None:
            return
        v = self.values[i]
        if v.rank == 3:

            def function(x):
                scores = ops.matmul(x, ops.transpose(x, [0, 2, 1])) * 0.3
                return ops.matmul(ops.softmax(scores, -1), x)

        else:  # (batch, time, heads, size)

            def function(x):
                q = ops.transpose(x, [0, 2, 1, 3])
                k = ops.transpose(ops.tanh(x), [0, 2, 3, 1])
                y = ops.matmul(ops.softmax(ops.matmul(q, k) / 2.0, -1), q)
                return ops.transpose(y, [0, 2, 1, 3])

        self.node(function, [i], 0)

    def scan(self):
        i = self.pick(lambda v: v.rank >= 2)
        if i is not None:
            v = self.values[i]
            axis = int(self.rng.choice([a for a in range(v.rank) if a != v.batch]))
            self.node(lambda x: ops.cumsum(x, axis) * 0.25, [i], v.batch)

    def all_kinds(self):
        return [
            self.unary, self.unary, self.binary, self.binary, self.nothing, self.select, self.reduce, self.matmul,
            self.move, self.move, self.move, self.convolve, self.convolve, self.pool, self.normalize, self.activation,
            self.attention, self.scan,
        ]  # fmt: skip

    def exact_kinds(self):
        return [self.exact_unary, self.binary_exact, self.select, self.move, self.move, self.cast]

    def binary_exact(self):
        i = self.pick()
        a = self.values[i]
        j = self.pick(lambda b: b.shape == a.shape and b.batch == a.batch)
        self.node(getattr(ops, self.choice("add", "subtract", "multiply", "maximum")), [i, j], a.batch)

    def cast(self):
        """Through another dtype and back: the rounding must stay, and a cast that does not round may go."""
        there = self.choice("bfloat16", "float16", "float64", "int32")
        i = self.pick()

        def function(x):
            return ops.cast(ops.cast(x, there), x.dtype)

        self.node(function, [i], self.values[i].batch)

    # ---- use

    def build(self, inputs, dtype):
        """Outputs for these inputs, tensors of a trace or eager ones."""
        weights = []
        for array, variable in self.weights:
            array = array.astype(dtype)
            weights.append(_core.Variable(array).value if variable else array)
        values = list(inputs)
        for function, operands, used in self.recipe:
            values.append(function(*(values[i] for i in operands), *(weights[w] for w in used)))
        return [values[i] for i in self.outputs]

    def program(self, dtype, optimised, gradients=False):
        """A program for these inputs (and one cotangent per output): outputs, then gradients of the inputs."""
        _core.set_passes(optimised)
        try:
            with _core.Trace() as trace:
                inputs = [trace.input(["batch", *x.shape[1:]], dtype, f"x{i}") for i, x in enumerate(self.inputs)]
                outputs = self.build(inputs, dtype)
                if not gradients:
                    return trace.compile(outputs)
                loss = None
                for y in outputs:
                    w = trace.input(list(y.dims), dtype, "w")
                    term = _core.sum(_core.multiply(y, w))
                    loss = term if loss is None else _core.add(loss, term)
                found = _core.gradients(loss, inputs)
                zero = [ops.zeros_like(x) for x in inputs]
                return trace.compile([*outputs, *(g if g is not None else z for g, z in zip(found, zero))])
        finally:
            _core.set_passes(True)
