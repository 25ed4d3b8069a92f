"""`Input` and `InputLayer`: where a functional graph starts."""

import warnings

from maas.backend.keras_tensor import KerasTensor
from maas.backend.node import Node
from maas.backend.standardize import standardize_dtype, standardize_shape
from maas.layers.layer import Layer


class InputLayer(Layer):
    """Entry point of a model.

    Args:
        shape: tuple of int or None, without the batch axis.
        batch_size: int or None.
        dtype: str, default "float32".
        sparse, ragged: must be false; sparse and ragged inputs do not exist here.
        batch_shape: tuple with the batch axis, in place of `shape` and `batch_size`.
        input_tensor: KerasTensor to wrap.
        optional: bool, None may be passed for this input.
        name: str.

    Raises:
        ValueError: if the shape is missing, given twice or wrong.
    """

    def __init__(
        self, shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, input_tensor=None,
        optional=False, name=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(name=name)
        owner = self._label()
        if "input_shape" in kwargs:
            warnings.warn("Argument `input_shape` is deprecated. Use `shape` instead.", stacklevel=2)
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if kwargs:
            raise ValueError(f"{owner}: unrecognized keyword arguments, received {kwargs}")
        if sparse or ragged:
            raise ValueError(f"{owner}: only dense inputs exist, received sparse={sparse}, ragged={ragged}")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(f"{owner}: `input_tensor` must be a KerasTensor, received {input_tensor!r}")
            batch_shape, shape = (input_tensor.shape, None) if batch_shape is None else (batch_shape, shape)
            dtype = input_tensor.dtype if dtype is None else dtype
        if shape is not None and batch_shape is not None:
            raise ValueError(
                f"{owner}: give `shape` or `batch_shape`, not both, received shape={shape}, batch_shape={batch_shape}"
            )
        if batch_size is not None and batch_shape is not None:
            raise ValueError(
                f"{owner}: give `batch_size` or `batch_shape`, not both, received {batch_size} and {batch_shape}"
            )
        if shape is None and batch_shape is None:
            raise ValueError(f"{owner}: `shape` must be given, received None")
        if shape is not None:
            batch_shape = (batch_size, *standardize_shape(shape, owner))
        self._batch_shape = standardize_shape(batch_shape, owner)
        self._dtype = standardize_dtype(dtype)
        self.sparse = self.ragged = False
        self.optional = bool(optional)
        self._dtype_policy = _dtype_policy(self._dtype)
        if input_tensor is None:
            input_tensor = KerasTensor(self._batch_shape, dtype=self._dtype, name=name)
        Node(self, (), {}, input_tensor)
        self.built = True

    @property
    def batch_shape(self):
        return self._batch_shape

    @property
    def dtype(self):
        return self._dtype

    def call(self):
        return None

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = config["dtype"]["config"]["name"]
        return cls(**config)

    def __repr__(self):
        return f"<InputLayer name={self.name}, batch_shape={self.batch_shape}, dtype={self.dtype}>"


def _dtype_policy(dtype):
    from maas import dtype_policies

    return dtype_policies.DTypePolicy("float32" if dtype == "string" else dtype)


def Input(  # noqa: N802, the public name is Keras's
    shape=None,
    batch_size=None,
    dtype=None,
    sparse=None,
    ragged=None,
    batch_shape=None,
    name=None,
    tensor=None,
    optional=False,
    **kwargs,
):
    """KerasTensor that a functional model starts from.

    Args:
        shape: tuple of int or None, without the batch axis; `(None, 64)` is a sequence of unknown length.
        batch_size: int or None.
        dtype: str, default "float32".
        batch_shape: tuple with the batch axis, in place of the first two.
        name: str.
        tensor: KerasTensor to wrap.
        optional: bool, None may be passed for this input.

    Returns:
        KerasTensor of shape `(batch_size, *shape)`.

    Raises:
        ValueError: if the shape is missing or wrong.
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name, **kwargs)
    return layer.output
