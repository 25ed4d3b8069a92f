"""`Operation`: what a node of a functional graph calls. Layers and recorded `maas.ops` calls are operations."""

import inspect
import textwrap
import weakref

from maas import tree
from maas.backend.keras_tensor import any_symbolic_tensors
from maas.backend.naming import auto_name, check_name
from maas.backend.node import Node
from maas.backend.shape_inference import compute_output_spec


class Operation:
    """Base of everything that can be called on KerasTensors.

    Args:
        name: str without "/", default the class name in snake case with a running number.
    """

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls)
        # The constructor's arguments are kept, so that classes without get_config() of their own can still be saved.
        object.__setattr__(instance, "_init_arguments", (args, kwargs))
        return instance

    def __init__(self, name=None):
        cls = type(self).__name__
        self.name = auto_name(cls) if name is None else check_name(name, cls)
        self._inbound_nodes = []
        self._outbound_nodes = weakref.WeakSet()

    def __call__(self, *args, **kwargs):
        if any_symbolic_tensors(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args, **kwargs):
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def call(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} does not implement `call()`")

    def compute_output_spec(self, *args, **kwargs):
        """KerasTensors with the shapes and dtypes that `call` returns for these arguments."""
        return compute_output_spec(self.call, args, kwargs)

    @property
    def input(self):
        """Input tensor(s) of the first symbolic call."""
        return self._first_node("input").input_tensors_struct()

    @property
    def output(self):
        """Output tensor(s) of the first symbolic call."""
        values = self._first_node("output").outputs
        return values[0] if len(values) == 1 else values

    def _first_node(self, what):
        if not self._inbound_nodes:
            raise AttributeError(f"'{self.name}' has never been called on a symbolic tensor and thus has no {what}")
        return self._inbound_nodes[0]

    def get_config(self):
        """The arguments that make the same object again, as a JSON-serialisable dict."""
        config = {"name": self.name}
        if not is_default_method(self, "get_config", Operation):
            return config
        return {**config, **auto_config(self)}

    @classmethod
    def from_config(cls, config):
        """The object described by the dict that `get_config` returned."""
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            from maas import dtype_policies

            config["dtype"] = dtype_policies.deserialize(config["dtype"])
        try:
            return cls(**config)
        except Exception as e:
            raise TypeError(f"{cls.__name__} could not be made from its config: {e}; received config={config}") from e

    def __repr__(self):
        return f"<Operation name={self.name}>"


def is_default_method(obj, method, *bases):
    """True if the class of `obj` inherits `method` from one of `bases` without overriding it."""
    found = getattr(type(obj), method)
    return any(found is getattr(base, method) for base in bases)


def auto_config(obj, without=()):
    """The constructor's arguments of an object whose class does not define get_config(), but its name and `without`.

    Raises:
        NotImplementedError: if an argument is not a plain value (number, string, bool, None or nests of them).
    """
    args, kwargs = obj._init_arguments
    signature = inspect.signature(type(obj).__init__)
    parameters = list(signature.parameters.values())[1:]
    bound = signature.bind(None, *args, **kwargs)
    bound.apply_defaults()
    values = dict(list(bound.arguments.items())[1:])
    for p in parameters:
        if p.kind is p.VAR_KEYWORD:
            values.update(values.pop(p.name, {}))
        elif p.kind is p.VAR_POSITIONAL and values.pop(p.name, ()):
            raise NotImplementedError(_no_config(obj, "was made with positional arguments (*args)"))
    values = {k: v for k, v in values.items() if k != "name" and k not in without}
    if not all(isinstance(v, (str, int, float, bool, type(None))) for v in tree.flatten(values)):
        raise NotImplementedError(_no_config(obj, "was made with arguments that are not plain values"))
    return values


def _no_config(obj, why):
    return textwrap.dedent(f"""\
        {type(obj).__name__} '{getattr(obj, "name", "")}' {why}, so its class must define get_config() to be saved:

            def get_config(self):
                config = super().get_config()
                config.update({{"argument": self.argument}})
                return config
        """)
