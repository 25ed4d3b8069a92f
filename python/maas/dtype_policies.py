"""Dtype policies: in which dtype a layer computes and in which it keeps its variables."""

from maas import missing_names
from maas.backend.standardize import is_float_dtype, standardize_dtype

_global = None


class DTypePolicy:
    """Pair of dtypes `(compute_dtype, variable_dtype)` under one name.

    Args:
        name: a dtype ("float32": both are float32), or "mixed_float16" / "mixed_bfloat16" (compute low, variables
            float32).
    """

    def __init__(self, name=None):
        if not isinstance(name, str) and name is not None:
            raise TypeError(f"DTypePolicy: `name` must be a string such as 'float32', received {name!r}")
        self._name = standardize_dtype(None) if name is None else name
        if self._name in ("mixed_float16", "mixed_bfloat16"):
            self._compute_dtype, self._variable_dtype = self._name[6:], "float32"
        else:
            try:
                dtype = standardize_dtype(self._name)
            except ValueError:
                raise ValueError(
                    f"DTypePolicy: `name` must be a dtype, 'mixed_float16' or 'mixed_bfloat16', received {name!r}"
                ) from None
            self._compute_dtype = self._variable_dtype = dtype
        self.quantization_mode = None

    @property
    def name(self):
        return self._name

    @property
    def compute_dtype(self):
        return self._compute_dtype

    @property
    def variable_dtype(self):
        return self._variable_dtype

    def convert_input(self, x, autocast, dtype):
        """Array or tensor `x` as a tensor, floating values cast to `dtype` if `autocast`; anything else is left
        alone.
        """
        if x is None or isinstance(x, (str, int, float, bool)):
            return x
        if hasattr(x, "dtype") and hasattr(x, "shape"):
            have = standardize_dtype(x.dtype)
        elif hasattr(x, "__array__"):
            x = x.__array__()
            have = standardize_dtype(x.dtype)
        else:
            return x
        cast = autocast and is_float_dtype(have) and is_float_dtype(dtype) and have != dtype
        from maas.backend.keras_tensor import KerasTensor

        if isinstance(x, KerasTensor):
            return KerasTensor(x.shape, dtype, name=x.name) if cast else x
        from maas import ops

        if cast:
            return ops.cast(x, dtype)
        return x if ops.is_tensor(x) else ops.convert_to_tensor(x)

    def get_config(self):
        return {"name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.name == other.name

    def __hash__(self):
        return hash((type(self), self.name))

    def __repr__(self):
        return f'<DTypePolicy "{self.name}">'


FloatDTypePolicy = DTypePolicy


def dtype_policy():
    """The policy that layers take when they are given none."""
    global _global
    if _global is None:
        _global = DTypePolicy()
    return _global


def set_dtype_policy(policy):
    """Set the default policy; None goes back to the default float dtype."""
    global _global
    _global = None if policy is None else get(policy)


def get(identifier):
    """A policy from None (the default), a name, a policy, a dtype, or a config dict."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))


def serialize(policy):
    """Config dict of a policy, in the format of Keras files."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": policy.get_config(), "registered_name": None}


def deserialize(config, custom_objects=None):
    """Policy from the dict that `serialize` made.

    Raises:
        ValueError: for another kind of policy (quantized policies do not exist yet).
    """
    name = config.get("class_name")
    if name not in ("DTypePolicy", "FloatDTypePolicy"):
        raise ValueError(f"dtype policy of a class that does not exist here, received class_name={name!r}")
    return DTypePolicy(**config["config"])


__getattr__ = missing_names.getattr_of(__name__)
