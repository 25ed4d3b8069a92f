"""Where state lives and programs run: the cpu, or a GPU."""

from maas import _core


class device:
    """Make state on a device: `with maas.device("gpu:0"): model = ...`.

    Variables made inside live there, and a program runs where its variables are. Functions of arrays alone run on the
    device of the scope, or of an operand that lies on a GPU already.

    Args:
        name: str, "cpu", "gpu" or "gpu:<number>".

    Raises:
        ValueError: for another name, or a number that this machine has no GPU for.
        RuntimeError: if no GPU can be used; the text says why.
    """

    def __init__(self, name):
        self.name = _core.parse_device(name)
        self._before = []

    def __enter__(self):
        self._before.append(_core.set_current_device(self.name))
        return self

    def __exit__(self, *_):
        _core.set_current_device(self._before.pop())

    def __repr__(self):
        return f"<device {self.name}>"


def list_devices(device_type=None):
    """Names of the devices of this machine.

    Args:
        device_type: "cpu", "gpu", or None for all.

    Returns:
        A list of str such as `["cpu", "gpu:0"]`.
    """
    gpus = [f"gpu:{i}" for i in range(_core.gpu_count())] if device_type in (None, "gpu", "GPU") else []
    return ([] if device_type in ("gpu", "GPU") else ["cpu"]) + gpus


def synchronize(name="gpu:0"):
    """Wait until all that was queued on a device is done."""
    _core.synchronize(name)


def from_dlpack(x):
    """A tensor that shares the memory of another library's array (NumPy, torch, JAX, CuPy), on its device.

    Args:
        x: an object with `__dlpack__`, dense and row-major.

    Raises:
        TypeError: for another layout, dtype or device.
    """
    return _core.from_dlpack(x)
