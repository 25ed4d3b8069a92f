"""How much memory a model file may make us take for weights: about what its weights file really holds.

A config of a few bytes can ask for a layer or a metric of terabytes. While a model is made from a file, every new
weight is counted against the bytes that the file declares, before it is allocated.
"""

import contextlib
import math
import threading

_local = threading.local()
# Small state that files leave out, such as seeds.
_SLACK = 1 << 20
# Metrics make their state when they are made, and no file has to hold it: a fixed sum instead.
_STATE_BYTES = 256 << 20


@contextlib.contextmanager
def load_budget(stored_bytes):
    """Context in which the weights that are made may take at most twice `stored_bytes` (float32 read as float64)."""
    outer = getattr(_local, "left", None)
    _local.left = {"weight": 2 * stored_bytes + _SLACK, "state": _STATE_BYTES}
    try:
        yield
    finally:
        _local.left = outer


def count_weight(shape, dtype, owner):
    """Take one weight off the budget; does nothing outside of a load.

    Raises:
        ValueError: if the file does not hold that much.
    """
    _take("weight", math.prod(shape) * item_bytes(dtype), owner, "the file holds less")


def count_state(count, size, owner):
    """The same for `count` values of `size` bytes in a metric: its state, or a list whose length a config gives.

    Raises:
        ValueError: if it is more than any metric needs.
    """
    _take("state", count * size, owner, f"at most {_STATE_BYTES} bytes are allowed")


def item_bytes(dtype):
    """Bytes of one value of a dtype given by name; half a byte counts as one."""
    bits = "".join(c for c in dtype.partition("_")[0] if c.isdecimal())  # "float8_e4m3fn" has 8
    return max(1, int(bits or 8) // 8)


def _take(kind, size, owner, limit):
    left = getattr(_local, "left", None)
    if left is None:
        return
    # Written so that NaN is refused too.
    if not 0 <= size <= left[kind]:
        raise ValueError(f"{owner}: the config asks for more {kind} than a file may, {limit}, received {size} bytes")
    left[kind] -= size
