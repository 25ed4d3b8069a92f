"""How much memory a model file may make us take for weights: about what its weights file really holds.

A config of a few bytes can ask for a layer of terabytes. While a model is made from a file, every new weight is counted
against the bytes that the file declares, before it is allocated.
"""

import contextlib
import math
import threading

_local = threading.local()
# Small state that files leave out, such as seeds.
_SLACK = 1 << 20


@contextlib.contextmanager
def load_budget(stored_bytes):
    """Context in which the weights that are made may take at most twice `stored_bytes` (float32 read as float64)."""
    outer = getattr(_local, "left", None)
    _local.left = 2 * stored_bytes + _SLACK
    try:
        yield
    finally:
        _local.left = outer


def count_weight(shape, dtype, owner):
    """Take one weight off the budget; does nothing outside of a load.

    Raises:
        ValueError: if the file does not hold that much.
    """
    left = getattr(_local, "left", None)
    if left is None:
        return
    bits = "".join(c for c in dtype if c.isdecimal())
    size = math.prod(shape) * (int(bits) // 8 if bits else 1)
    if size > left:
        raise ValueError(
            f"{owner}: the config asks for a weight of {size} bytes, but the file holds less, received shape {shape}"
        )
    _local.left = left - size
