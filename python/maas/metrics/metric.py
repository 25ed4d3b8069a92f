"""The base class of metrics: state variables, an update that traces into the step, a result."""

import math

import numpy as np

from maas import backend
from maas.backend.naming import auto_name
from maas.saving.load_budget import count_state, item_bytes


class Metric:
    """Base class of metrics.

    Subclasses make their state with `add_variable` in `__init__`, change it in `update_state` with `assign`, and
    compute the value from it in `result`. Both may run inside a trace, so they use `maas.ops`.

    Args:
        dtype: the dtype of the state, `floatx()` by default.
        name: str, the name shown in logs.
    """

    # "up" or "down": which way is better. Callbacks with mode="auto" ask for it.
    _direction = None

    def __init__(self, dtype=None, name=None):
        object.__setattr__(self, "_variables", [])
        object.__setattr__(self, "_metrics", [])
        self.name = name or auto_name(type(self).__name__)
        dtype = dtype or backend.floatx()
        self._dtype = getattr(dtype, "compute_dtype", None) or backend.standardize_dtype(dtype)

    @property
    def dtype(self):
        """The dtype of the state."""
        return self._dtype

    def add_variable(self, shape, initializer="zeros", dtype=None, aggregation="sum", name=None):
        """A new state variable of `shape`, not trainable. `reset_state` sets it to zero."""
        del aggregation  # one device: nothing to aggregate over
        self._check_super_called()
        shape, dtype = tuple(shape), dtype or self.dtype
        count_state(math.prod(shape), item_bytes(dtype), f"metric '{self.name}'")
        with backend.name_scope(self.name.replace("/", ">"), caller=self):
            value = _initial_value(initializer, shape, dtype)
            variable = backend.Variable(value, dtype=dtype, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_weight(self, shape=(), initializer=None, dtype=None, name=None):
        """The same as `add_variable`."""
        return self.add_variable(shape, initializer or "zeros", dtype=dtype, name=name)

    @property
    def variables(self):
        """The state, own variables first, then those of metrics held as attributes."""
        out = list(self._variables)
        for metric in self._metrics:
            out.extend(metric.variables)
        return out

    def reset_state(self):
        """Sets every state variable to zero."""
        for v in self.variables:
            v.assign(np.zeros(v.shape, backend.numpy_dtype(v.dtype)))

    def update_state(self, *args, **kwargs):
        """Adds a batch to the state; to be written by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self):
        """The value for all that was added since the last reset; to be written by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def __call__(self, *args, **kwargs):
        self._check_super_called()
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables, *args, **kwargs):
        """`update_state` on given values of `variables`; returns their next values and changes nothing."""
        return self._stateless("stateless_update_state", self.update_state, metric_variables, args, kwargs)[1]

    def stateless_result(self, metric_variables):
        """`result` for given values of `variables`."""
        return self._stateless("stateless_result", self.result, metric_variables, (), {})[0]

    def stateless_reset_state(self):
        """The values of `variables` after `reset_state`."""
        return self._stateless("stateless_reset_state", self.reset_state, self.variables, (), {})[1]

    def _stateless(self, name, f, values, args, kwargs):
        from maas.transforms.stateless import stateless

        def run(*args, **kwargs):
            out = f(*args, **kwargs)
            return None if name != "stateless_result" else out

        outputs, (after,) = stateless(self, f"{self.name}.{name}", run, (self.variables,), (values,), args, kwargs)
        return outputs, after

    def get_config(self):
        """What the constructor needs to make the same metric again."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        return cls(**config)

    def __setattr__(self, name, value):
        if isinstance(value, Metric):
            self._check_super_called()
            if all(m is not value for m in self._metrics):
                self._metrics.append(value)
        elif isinstance(value, backend.Variable):
            self._check_super_called()
            if all(v is not value for v in self._variables):
                self._variables.append(value)
        object.__setattr__(self, name, value)

    def _check_super_called(self):
        if "_variables" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() first")

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


def _initial_value(initializer, shape, dtype):
    if initializer in (None, "zeros"):
        return np.zeros(shape, backend.numpy_dtype(dtype))
    if type(initializer).__name__ == "Zeros":
        return np.zeros(shape, backend.numpy_dtype(dtype))
    from maas import initializers

    return np.asarray(initializers.get(initializer)(shape, dtype=dtype))
