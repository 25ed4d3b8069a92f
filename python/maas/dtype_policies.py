"""Dtype policies: in which dtype a layer computes and in which it keeps its variables."""

import re
from collections.abc import MutableMapping

from maas import missing_names
from maas.backend.standardize import is_float_dtype, standardize_dtype

_global = None


class DTypePolicy:
    """Pair of dtypes `(compute_dtype, variable_dtype)` under one name.

    Args:
        name: a dtype ("float32": both are float32), or "mixed_float16" / "mixed_bfloat16" (compute low, variables
            float32). Default: the global policy's.
    """

    def __init__(self, name=None):
        if not isinstance(name, str) and name is not None:
            raise TypeError(f"DTypePolicy: `name` must be a string such as 'float32', received {name!r}")
        self._name = dtype_policy().name if name is None else name
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
        from maas import ops
        from maas.backend.keras_tensor import KerasTensor

        if isinstance(x, KerasTensor):
            return ops.cast(x, dtype) if cast else x
        if cast:
            return ops.cast(x, dtype)
        return x if ops.is_tensor(x) else ops.convert_to_tensor(x)

    def get_config(self):
        return {"name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), self.name))

    def __repr__(self):
        return f'<DTypePolicy "{self.name}">'


FloatDTypePolicy = DTypePolicy


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """A dict from layer paths to policies. A key is a path or a regular expression that matches whole paths.

    Args:
        default_policy: policy, its name, or None (the global policy), for paths that no key matches.
        policy_map: dict from keys to policies.

    Raises:
        ValueError: if `default_policy` is a map.
        TypeError: if `policy_map` is no dict.
    """

    def __init__(self, default_policy=None, policy_map=None):
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError(f"DTypePolicyMap: `default_policy` cannot be a map, received {default_policy!r}")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"DTypePolicyMap: `policy_map` must be a dict, received {policy_map!r}")
        self._default = None if default_policy is None else get(default_policy)
        # Files hold what was given: None, a name, or a policy's config.
        self._default_given = serialize(self._default) if isinstance(default_policy, DTypePolicy) else default_policy
        self._map = {} if policy_map is None else {key: get(policy) for key, policy in policy_map.items()}

    @property
    def name(self):
        return f"map_{self.default_policy.name}"

    @property
    def default_policy(self):
        """The policy of paths that no key matches."""
        return dtype_policy() if self._default is None else self._default

    @property
    def compute_dtype(self):
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self):
        return self.default_policy.variable_dtype

    @property
    def quantization_mode(self):
        return self.default_policy.quantization_mode

    def __getitem__(self, key):
        """The policy of a path: an exact key, the one regular expression that matches, or the default.

        Raises:
            ValueError: if several regular expressions match.
        """
        if key in self._map:
            return self._map[key]
        matching = [pattern for pattern in self._map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"DTypePolicyMap: one key at most may match a path, {key!r} matches, received {matching}")
        return self._map[matching[0]] if matching else self.default_policy

    def __setitem__(self, key, policy):
        if key in self._map:
            raise ValueError(f"DTypePolicyMap: {key!r} is in the map already, received {policy!r}")
        self._map[key] = get(policy)

    def __delitem__(self, key):
        del self._map[key]

    def __contains__(self, key):
        return key in self._map

    def __len__(self):
        return len(self._map)

    def __iter__(self):
        return iter(self._map)

    def get_config(self):
        policies = {key: serialize(policy) for key, policy in self._map.items()}
        if self._default is None:
            # Without a default, all of them follow the global policy of whoever loads the map, as in Keras.
            policies = {key: {**policy, "config": {"name": None}} for key, policy in policies.items()}
        return {"default_policy": self._default_given, "policy_map": policies}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(
            config.get("default_policy"),
            {key: deserialize(policy, custom_objects) for key, policy in config["policy_map"].items()},
        )

    def __eq__(self, other):
        return type(other) is DTypePolicyMap and self.get_config() == other.get_config()

    __hash__ = object.__hash__

    def __repr__(self):
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={list(self._map.items())}>"


def dtype_policy():
    """The policy that layers take when they are given none."""
    global _global
    if _global is None:
        _global = DTypePolicy(standardize_dtype(None))
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
    name = type(policy).__name__
    module = "keras" if name == "DTypePolicy" else "keras.dtype_policies"
    return {"module": module, "class_name": name, "config": policy.get_config(), "registered_name": None}


def deserialize(config, custom_objects=None):
    """Policy from the dict that `serialize` made.

    Raises:
        ValueError: for another kind of policy (quantized policies do not exist yet).
    """
    name = config.get("class_name")
    if custom_objects and name in custom_objects:
        return custom_objects[name].from_config(config["config"])
    cls = {"DTypePolicy": DTypePolicy, "FloatDTypePolicy": DTypePolicy, "DTypePolicyMap": DTypePolicyMap}.get(name)
    if cls is None:
        raise ValueError(f"dtype policy of a class that does not exist here, received class_name={name!r}")
    return cls.from_config(config["config"])


__getattr__ = missing_names.getattr_of(__name__)
