"""Memory of a device that ends: a MemoryError, and a process that goes on."""

import gc

import numpy as np

from maas import _core, ops
from tests.cuda.checks import Skipped, on, raised


def alive(device):
    x = np.random.default_rng(0).standard_normal((50, 40)).astype("float32")
    with on(device):
        np.testing.assert_allclose(np.asarray(ops.matmul(x, x.T)), x @ x.T, rtol=1e-4, atol=1e-4)


def too_large(check, device):
    """A result, an intermediate and a variable of 4 TiB."""
    side = 1 << 20
    with on(device):
        for _ in range(2):
            raised(MemoryError, lambda: ops.broadcast_to(np.ones((1, 1), "float32"), (side, side)) + 1.0, ())
            with _core.Trace() as trace:
                x = trace.input([side, 1])
                p = trace.compile([_core.sum(_core.exp(_core.add(x, _core.transpose(x, axes=[1, 0]))), axis=[0])])
            raised(MemoryError, p.numpy, (np.ones((side, 1), "float32"),))
            alive(device)


def fill(check, device):
    """Tensors of 2 GiB until there is no memory left, all of them dropped, and the same once more."""
    if device == "cpu" or _core.gpu_info(int(device.split(":")[1]))["emulated"]:
        raise Skipped("the memory is this machine's own")
    for _ in range(2):
        kept, full = [], False
        with on(device):
            for i in range(200):
                try:
                    kept.append(ops.add(ops.broadcast_to(np.full((1, 1), i, "float32"), (1 << 14, 1 << 15)), 1.0))
                except MemoryError:
                    full = True
                    break
        assert full and len(kept) > 3, f"{len(kept)} tensors of 2 GiB"
        np.testing.assert_array_equal(np.asarray(kept[1][5, :3]), [2, 2, 2])
        kept.clear()
        gc.collect()
        alive(device)


CHECKS = {"too_large": too_large, "fill": fill}
