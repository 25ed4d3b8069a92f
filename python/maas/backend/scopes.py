"""`StatelessScope` and `SymbolicScope`: calls that change no Variable, and calls that only ask for shapes."""

import threading

from maas import _core

_local = threading.local()


class StatelessScope:
    """Inside, Variables read as given values and writes to them are kept by the scope; afterwards all is as before.

    Everything inside runs op by op, with values; models and `maas.jit` functions that are called inside, too.

    Args:
        state_mapping: list of (Variable, value) that hold inside.
        collect_losses: bool, whether `losses` keeps what layers pass to `add_loss`.
        initialize_variables: accepted; Variables have their values from the start.

    Raises:
        ValueError: if something that is no Variable is mapped, or a value has another shape.
    """

    def __init__(self, state_mapping=None, collect_losses=False, initialize_variables=True):
        from maas import ops

        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        self.losses = []
        self._mapped = {}
        for variable, value in state_mapping or ():
            if not isinstance(variable, _core.Variable):
                raise ValueError(f"StatelessScope: only Variables can be mapped to values, received {variable!r}")
            value = ops.convert_to_tensor(value, dtype=variable.dtype)
            if tuple(value.shape) != tuple(variable.shape):
                raise ValueError(
                    f"StatelessScope: '{variable.path}' has shape {tuple(variable.shape)}, received a value of shape "
                    f"{tuple(value.shape)}"
                )
            self._mapped[id(variable)] = variable, value
        self._trace = None

    def __enter__(self):
        self._outer = get_stateless_scope()
        self._trace = _core.Trace(values=True)
        self._trace.__enter__()
        try:
            self._trace.overlay(*map(list, zip(*self._mapped.values())) if self._mapped else ([], []))
        except BaseException:
            self._trace.__exit__(None, None, None)
            raise
        _local.stateless = self
        return self

    def __exit__(self, *_):
        _local.stateless = self._outer
        variables = [variable for variable, _ in self._mapped.values()]
        values = [variable.value for variable in variables]
        self._trace.end_overlay(variables)
        self._trace.__exit__(None, None, None)  # without commit: nothing is written
        self._trace = None
        self._mapped = {id(v): (v, value) for v, value in zip(variables, values)}

    def add_loss(self, loss):
        """Keeps a loss."""
        self.losses.append(loss)

    def add_update(self, update):
        """Sets the scope's value of a variable: `(variable, value)`."""
        variable, value = update
        if self._trace is not None:
            variable.assign(value)
        self._mapped[id(variable)] = variable, value

    def get_current_value(self, variable):
        """The value inside the scope; None for a variable that was neither mapped nor written."""
        if id(variable) not in self._mapped:
            return None
        return variable.value if self._trace is not None else self._mapped[id(variable)][1]

    def note_write(self, variable):
        """`variable` was assigned inside the scope."""
        self._mapped.setdefault(id(variable), (variable, None))


class SymbolicScope:
    """Tells code inside that it runs for shapes alone: `in_symbolic_scope()` is True."""

    def __enter__(self):
        self._outer = getattr(_local, "symbolic", None)
        _local.symbolic = self
        return self

    def __exit__(self, *_):
        _local.symbolic = self._outer


def get_stateless_scope():
    """The innermost `StatelessScope` of this thread, or None."""
    return getattr(_local, "stateless", None)


def in_stateless_scope():
    """Whether this thread is inside a `StatelessScope`."""
    return get_stateless_scope() is not None


def in_symbolic_scope():
    """Whether this thread is inside a `SymbolicScope`."""
    return getattr(_local, "symbolic", None) is not None
