"""Arrays for named inputs, as models without layers take them: by position, by name, or as one dict or list."""

import numpy as np

from maas import _core
from maas.backend.standardize import numpy_dtype

# What may become what: bool, then integers, then floats.
_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2}


def in_order(model, names, args, kwargs):
    """The arguments of a call in the order of the inputs.

    Args:
        model: str, for errors.
        names: list of str, the inputs.

    Raises:
        ValueError: unless there is exactly one value for each name.
    """
    if len(args) == 1 and isinstance(args[0], dict):
        args, kwargs = (), {**args[0], **kwargs}
    elif len(args) == 1 and isinstance(args[0], (list, tuple)):
        values = args[0]
        if len(names) != 1 or (len(values) == 1 and hasattr(values[0], "shape") and hasattr(values[0], "dtype")):
            args = tuple(values)
    given = dict(zip(names, args))
    wrong = [k for k in kwargs if k not in names or k in given]
    given.update(kwargs)
    if len(args) > len(names) or wrong or len(given) != len(names):
        raise ValueError(
            f"{model}: the inputs are {names}, received {len(args)} by position and {sorted(kwargs)} by name"
        )
    return [given[n] for n in names]


def _kind(dtype):
    return "f" if "float" in dtype else "b" if dtype == "bool" else "u" if dtype.startswith("u") else "i"


def check_kind(model, name, dtype, value):
    """An error for values of a dtype that only a loss could turn into `dtype`, such as floats for integers."""
    kind = np.dtype(value.dtype).kind if isinstance(value, np.ndarray) else _kind(str(value.dtype))
    if kind not in _ORDER or _ORDER[kind] > _ORDER[_kind(dtype)]:
        raise TypeError(
            f"{model}: input '{name}' must be {dtype}, received {value.dtype} of shape {tuple(value.shape)}"
        )


def fitted(model, name, dtype, value):
    """`value` in the dtype of an input.

    Args:
        model: str, for errors.
        name, dtype: of the input.
        value: array, tensor or number.

    Returns:
        NumPy array or `Tensor`.

    Raises:
        TypeError: for floats where integers are needed, and what holds no numbers.
        ValueError: for integers that do not fit into `dtype`.
    """
    value = value if isinstance(value, (np.ndarray, _core.Tensor)) else np.asarray(value)
    if str(value.dtype) == dtype:
        return value
    check_kind(model, name, dtype, value)
    value = np.asarray(value)
    if _kind(dtype) in "ui" and value.dtype.kind in "ui" and value.size:
        from maas.ops.core import _LIMITS

        low, high = _LIMITS[dtype]
        least, most = int(value.min()), int(value.max())
        if least < low or most > high:
            raise ValueError(
                f"{model}: input '{name}' must be {dtype}, from {low} to {high}, "
                f"received {least if least < low else most} in {value.dtype} of shape {value.shape}"
            )
    return value.astype(numpy_dtype(dtype))


def print_ports(title, inputs, outputs, footer, print_fn=print):
    """Prints a table of inputs and outputs.

    Args:
        title, footer: str.
        inputs, outputs: lists of `(name, dtype, shape)`.
        print_fn: callable that gets the text.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for column in ("", "name", "dtype", "shape"):
        table.add_column(column)
    for kind, ports in (("input", inputs), ("output", outputs)):
        for name, dtype, shape in ports:
            table.add_row(kind, name, dtype, str(shape))
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
        console.print(footer)
    print_fn(capture.get())
