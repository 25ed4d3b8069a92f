"""`InputSpec`: what a layer asks of its input, and the check that names the layer when the input does not fit."""

from maas import tree
from maas.backend.standardize import standardize_dtype, standardize_shape


class InputSpec:
    """Rank, dtype, shape and sizes of single axes that an input must have.

    Args:
        dtype: str or None.
        shape: tuple of int or None; None entries accept any size.
        ndim, min_ndim, max_ndim: int or None.
        axes: dict from axis to size.
        allow_last_axis_squeeze: bool, a last axis of size 1 may be missing or added.
        name: str, key of this input where inputs come as a dict.
        optional: bool, None is accepted.
    """

    def __init__(
        self,
        dtype=None,
        shape=None,
        ndim=None,
        max_ndim=None,
        min_ndim=None,
        axes=None,
        allow_last_axis_squeeze=False,
        name=None,
        optional=False,
    ):
        self.dtype = standardize_dtype(dtype) if dtype is not None else None
        self.shape = standardize_shape(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.name, self.optional = name, optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(k): v for k, v in (axes or {}).items()}
        except (ValueError, TypeError, AttributeError):
            raise TypeError(f"InputSpec: `axes` must be a dict with int keys, received {axes!r}") from None
        rank = self.ndim if self.ndim is not None else self.max_ndim
        if self.axes and rank is not None and max(self.axes) > rank - 1:
            raise ValueError(f"InputSpec: axis {max(self.axes)} is out of range for rank {rank}, received axes={axes}")

    def get_config(self):
        keys = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {k: getattr(self, k) for k in keys}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        keys = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return "InputSpec(" + ", ".join(f"{k}={getattr(self, k)}" for k in keys if getattr(self, k)) + ")"


def assert_input_compatibility(input_spec, inputs, owner):
    """Check inputs against specs.

    Args:
        input_spec: InputSpec or a nest of them.
        inputs: tensor or a nest of tensors.
        owner: str, the layer as errors name it: "Dense 'head'".

    Raises:
        ValueError: if the number, rank, dtype or shape of the inputs does not fit.
    """
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict):
        names = [s.name for s in specs]
        if all(names):
            missing = [n for n in names if n not in inputs]
            if missing:
                raise ValueError(
                    f"{owner}: missing data for input {missing[0]!r}; expected the keys {names}, received "
                    f"{list(inputs)}"
                )
            inputs = [inputs[n] for n in names]
    flat = tree.flatten(inputs)
    if len(flat) != len(specs):
        names = [s.name for s in specs if s is not None and s.name]
        named = f" named {names}" if len(names) == len(specs) else ""
        raise ValueError(
            f"{owner}: expected {len(specs)} input(s){named}, received {len(flat)}: {[_shape_text(x) for x in flat]}"
        )
    for i, (x, spec) in enumerate(zip(flat, specs)):
        if spec is None or (x is None and spec.optional):
            continue
        if not hasattr(x, "shape"):
            raise ValueError(f"{owner}: inputs of a layer must be tensors, received {x!r} (of type {type(x).__name__})")
        _check_one(x, spec, owner if len(flat) == 1 else f"{owner}, input {i}")


def _shape_text(x):
    return tuple(x.shape) if hasattr(x, "shape") else x


def _check_one(x, spec, owner):
    shape = tuple(x.shape)
    rank = len(shape)
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and rank != spec.ndim:
        raise ValueError(
            f"{owner}: the input must have rank {spec.ndim} (expected ndim={spec.ndim}, found ndim={rank}), "
            f"received {shape}"
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(f"{owner}: the rank of the input must be at most {spec.max_ndim}, received {shape}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(f"{owner}: the rank of the input must be at least {spec.min_ndim}, received {shape}")
    if spec.dtype is not None and standardize_dtype(x.dtype) != spec.dtype:
        raise ValueError(f"{owner}: the dtype of the input must be {spec.dtype}, received {standardize_dtype(x.dtype)}")
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            where = "last axis" if axis in (-1, rank - 1) else f"axis {axis}"
            raise ValueError(f"{owner}: {where} of the input must be {size}, received {shape}")
    if spec.shape is not None:
        want, have = spec.shape, shape
        if spec.allow_last_axis_squeeze and len(want) != len(have):
            have = have[:-1] if have and have[-1] == 1 else have
            want = want[:-1] if want and want[-1] == 1 else want
        if any(w is not None and h is not None and w != h for w, h in zip(want, have)) or len(want) != len(have):
            hint = "; a single sample needs a batch axis, x[None]" if len(have) == len(want) - 1 else ""
            raise ValueError(f"{owner}: the shape of the input must be {spec.shape}{hint}, received {shape}")
