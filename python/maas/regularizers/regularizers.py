"""Penalties on weights or outputs that are added to the loss."""

from maas.backend.objects import Configurable, as_float


class Regularizer(Configurable):
    """Callable `regularizer(x) -> scalar tensor`."""

    def __call__(self, x):
        return 0.0

    def get_config(self):
        raise NotImplementedError(f"{type(self).__name__} does not implement get_config()")

    def __repr__(self):
        return f"<{type(self).__name__}>"


class L1(Regularizer):
    """`l1 * sum(|x|)`.

    Args:
        l1: number >= 0, or None for the default 0.01.
    """

    def __init__(self, l1=0.01):
        self.l1 = as_float(0.01 if l1 is None else l1, "l1", "L1")

    def __call__(self, x):
        from maas import ops

        return ops.multiply(ops.sum(ops.absolute(x)), self.l1)

    def get_config(self):
        return {"l1": self.l1}


class L2(Regularizer):
    """`l2 * sum(x^2)`.

    Args:
        l2: number >= 0, or None for the default 0.01.
    """

    def __init__(self, l2=0.01):
        self.l2 = as_float(0.01 if l2 is None else l2, "l2", "L2")

    def __call__(self, x):
        from maas import ops

        return ops.multiply(ops.sum(ops.square(x)), self.l2)

    def get_config(self):
        return {"l2": self.l2}


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x^2)`.

    Args:
        l1, l2: numbers >= 0; None counts as 0.
    """

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = as_float(0.0 if l1 is None else l1, "l1", "L1L2")
        self.l2 = as_float(0.0 if l2 is None else l2, "l2", "L1L2")

    def __call__(self, x):
        from maas import ops

        total = ops.zeros((), dtype=x.dtype)
        if self.l1:
            total = ops.add(total, ops.multiply(ops.sum(ops.absolute(x)), self.l1))
        if self.l2:
            total = ops.add(total, ops.multiply(ops.sum(ops.square(x)), self.l2))
        return total

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """`factor * mean |cosine|` over all pairs of different rows (or columns) of a matrix.

    Args:
        factor: number >= 0.
        mode: "rows" or "columns".

    Raises:
        ValueError: for another mode, and on call for anything but a matrix.
    """

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = as_float(factor, "factor", "OrthogonalRegularizer")
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: `mode` must be 'rows' or 'columns', received {mode!r}")
        self.mode = mode

    def __call__(self, x):
        from maas import ops

        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer: the input must be a matrix, received shape {tuple(x.shape)}")
        if self.mode == "columns":
            x = ops.transpose(x)
        norm = ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), 1e-12))
        unit = ops.divide(x, norm)
        size = x.shape[0]
        off_diagonal = ops.multiply(ops.matmul(unit, ops.transpose(unit)), 1.0 - ops.eye(size, dtype=x.dtype))
        return ops.multiply(ops.sum(ops.absolute(off_diagonal)), 0.5 * self.factor / (size * (size - 1) / 2))

    def get_config(self):
        return {"factor": self.factor, "mode": self.mode}
