"""Layers of several inputs: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from maas import tree
from maas.layers.layer import Layer


def _broadcast(owner, shapes):
    """Shape of the result: batch axes meet, the other axes broadcast from the last one on."""
    batch = next((s[0] for s in shapes if s and s[0] not in (None, 1)), None)
    if batch is None and all(s and s[0] == 1 for s in shapes):
        batch = 1
    out = ()
    for shape in (s[1:] for s in shapes):
        a, b = sorted((out, tuple(shape)), key=len)
        a = (1,) * (len(b) - len(a)) + a
        merged = []
        for x, y in zip(a, b):
            if x is None or y is None:
                # An unknown size and 1 stay unknown; an unknown size and n must be n.
                merged.append(
                    x if y is None and x not in (None, 1) else y if x is None and y not in (None, 1) else None
                )
            elif x != y and 1 not in (x, y):
                raise ValueError(
                    f"{owner}: the inputs must have shapes that broadcast together, received {list(map(tuple, shapes))}"
                )
            else:
                merged.append(max(x, y) if 0 not in (x, y) else 0)
        out = tuple(merged)
    return (batch, *out)


class Merge(Layer):
    """Base of layers that combine a list of tensors elementwise.

    Raises:
        ValueError: if the input is not a list of at least two tensors (one is accepted by most) whose shapes broadcast.
    """

    least = 1

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merge(self, inputs):
        raise NotImplementedError(f"{self._label()}: the class does not implement `_merge()`")

    def _check(self, shapes):
        if not isinstance(shapes, (list, tuple)) or tree.is_shape(shapes):
            raise ValueError(f"{self._label()}: the input must be a list of tensors, received {shapes}")
        if len(shapes) < self.least:
            raise ValueError(
                f"{self._label()}: the input must be a list of at least {self.least} tensors, received {len(shapes)}"
            )
        batches = {s[0] for s in shapes if s and s[0] is not None}
        if len(batches) > 1 and 1 not in batches:
            raise ValueError(
                f"{self._label()}: the inputs must have one batch size, received {list(map(tuple, shapes))}"
            )

    def build(self, input_shape):
        self._check(input_shape)
        _broadcast(self._label(), input_shape)

    def call(self, inputs):
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(
                f"{self._label()}: the input must be a list of tensors, received one of shape {tuple(inputs.shape)}"
            )
        inputs = list(inputs)
        rank = max(len(x.shape) for x in inputs)
        return self._merge([_to_rank(x, rank) for x in inputs])

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return _broadcast(self._label(), input_shape)

    def compute_mask(self, inputs, mask=None):
        from maas import ops

        if not isinstance(mask, (list, tuple)) or any(m is None for m in mask):
            return None  # an input without a mask counts as all True, and True or anything is True
        out = mask[0]
        for m in mask[1:]:
            out = ops.logical_or(out, m)
        return out

    def get_config(self):
        return super().get_config()


def _to_rank(x, rank):
    """Axes of size 1 after the batch axis, so that tensors of lower rank line up at their last axes."""
    from maas import ops

    while len(x.shape) < rank:
        x = ops.expand_dims(x, 1)
    return x


def _fold(inputs, name):
    from maas import ops

    out = inputs[0]
    for x in inputs[1:]:
        out = getattr(ops, name)(out, x)
    return out


class Add(Merge):
    """`a + b + ...` of a list of tensors."""

    def _merge(self, inputs):
        return _fold(inputs, "add")


class Multiply(Merge):
    """`a * b * ...` of a list of tensors."""

    def _merge(self, inputs):
        return _fold(inputs, "multiply")


class Average(Merge):
    """`(a + b + ...) / n` of a list of tensors."""

    def _merge(self, inputs):
        from maas import ops

        return ops.divide(_fold(inputs, "add"), float(len(inputs)))


class Maximum(Merge):
    """Elementwise maximum of a list of tensors."""

    def _merge(self, inputs):
        return _fold(inputs, "maximum")


class Minimum(Merge):
    """Elementwise minimum of a list of tensors."""

    def _merge(self, inputs):
        return _fold(inputs, "minimum")


class Subtract(Merge):
    """`a - b` of a list of two tensors."""

    def _check(self, shapes):
        super()._check(shapes)
        if len(shapes) != 2:
            raise ValueError(f"{self._label()}: the input must be a list of exactly 2 tensors, received {len(shapes)}")

    def _merge(self, inputs):
        from maas import ops

        return ops.subtract(*inputs)


class Concatenate(Merge):
    """A list of tensors joined along `axis`.

    Args:
        axis: int.

    Raises:
        ValueError: if the other axes differ.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        from maas import ops

        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_output_shape(self, input_shape):
        if not isinstance(input_shape, (list, tuple)) or tree.is_shape(input_shape):
            raise ValueError(f"{self._label()}: the input must be a list of tensors, received {input_shape}")
        shapes = [tuple(s) for s in input_shape]
        rank = len(shapes[0])
        axis = self.axis + rank if self.axis < 0 else self.axis
        out = list(shapes[0])
        for shape in shapes[1:]:
            fits = len(shape) == rank and all(
                i == axis or a is None or b is None or a == b for i, (a, b) in enumerate(zip(out, shape))
            )
            if not fits:
                raise ValueError(f"{self._label()}: all axes but axis {self.axis} must be equal, received {shapes}")
            out = (
                [a if a is not None else b for a, b in zip(out[:axis], shape[:axis])]
                + [out[axis]]
                + [a if a is not None else b for a, b in zip(out[axis + 1 :], shape[axis + 1 :])]
            )
        sizes = [s[axis] for s in shapes]
        out[axis] = None if None in sizes else sum(sizes)
        return tuple(out)

    def compute_mask(self, inputs, mask=None):
        from maas import ops

        if mask is None or all(m is None for m in mask):
            return None
        parts = []
        for x, m in zip(inputs, mask):
            if m is None:
                m = ops.ones_like(x, dtype="bool")
            else:
                m = ops.cast(m, "bool")
                while len(m.shape) < len(x.shape):
                    m = ops.expand_dims(m, -1)
                m = ops.logical_and(m, ops.ones_like(x, dtype="bool"))
            parts.append(m)
        return ops.any(ops.concatenate(parts, axis=self.axis), axis=-1)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """Products of two tensors summed along `axes`, sample by sample.

    Args:
        axes: int, or two ints, one for each input.
        normalize: bool, divide by the norms first: cosine similarity.

    Raises:
        ValueError: if the sizes along `axes` differ.
    """

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        ok = isinstance(axes, int) or (
            isinstance(axes, (list, tuple)) and len(axes) == 2 and all(isinstance(a, int) for a in axes)
        )
        if not ok:
            raise (TypeError if not isinstance(axes, (list, tuple)) else ValueError)(
                f"{self._label()}: `axes` must be an int or two ints, received axes={axes!r}"
            )
        self.axes, self.normalize = axes, normalize

    def _resolve(self, shapes):
        axes = (
            [self.axes % len(s) for s in shapes]
            if isinstance(self.axes, int)
            else [a % len(s) for a, s in zip(self.axes, shapes)]
        )
        sizes = [s[a] for a, s in zip(axes, shapes)]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError(
                f"{self._label()}: the sizes along axes={self.axes} must be equal, received {list(map(tuple, shapes))}"
            )
        return axes

    def build(self, input_shape):
        self._check(input_shape)
        if len(input_shape) != 2:
            raise ValueError(
                f"{self._label()}: the input must be a list of exactly 2 tensors, received {len(input_shape)}"
            )
        self._resolve(input_shape)

    def call(self, inputs):
        from maas import ops

        a, b = inputs
        i, j = self._resolve([x.shape for x in inputs])
        if self.normalize:
            a, b = (
                ops.divide(x, ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=k, keepdims=True), 1e-12)))
                for x, k in ((a, i), (b, j))
            )
        # Letters: z batch, k the axis summed away.
        left = "z" + "abcdefgh"[: len(a.shape) - 1]
        right = "z" + "mnopqrst"[: len(b.shape) - 1]
        left = left[:i] + "k" + left[i + 1 :]
        right = right[:j] + "k" + right[j + 1 :]
        out = left.replace("k", "") + right[1:].replace("k", "")
        result = ops.einsum(f"{left},{right}->{out}", a, b)
        return ops.expand_dims(result, -1) if len(out) == 1 else result

    def compute_output_shape(self, input_shape):
        a, b = (list(s) for s in input_shape)
        i, j = self._resolve(input_shape)
        out = a[:i] + a[i + 1 :] + (b[:j] + b[j + 1 :])[1:]
        return (*out, 1) if len(out) == 1 else tuple(out)

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _function(cls, name):
    def merge(inputs, **kwargs):
        return cls(**kwargs)(inputs)

    merge.__name__ = name
    merge.__doc__ = f"`{cls.__name__}` as a function of a list of tensors."
    return merge


add, subtract, multiply = _function(Add, "add"), _function(Subtract, "subtract"), _function(Multiply, "multiply")
average, maximum, minimum = _function(Average, "average"), _function(Maximum, "maximum"), _function(Minimum, "minimum")


def concatenate(inputs, axis=-1, **kwargs):
    """`Concatenate` as a function of a list of tensors."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs, axes=-1, **kwargs):
    """`Dot` as a function of a list of two tensors."""
    return Dot(axes=axes, **kwargs)(inputs)
