"""Tensors of other libraries, eager calls, gradients by tape, devices by name."""

import os

import numpy as np

import maas
from maas import _core, layers, ops
from tests.cuda.checks import Skipped, on, raised
from tests.cuda.models import same


def torch_on(device):
    """torch, where it sees the same device."""
    try:
        import torch
    except ImportError:
        raise Skipped("torch is not installed") from None
    if device != "cpu" and not torch.cuda.is_available():
        raise Skipped("torch sees no GPU")
    return torch, "cpu" if device == "cpu" else device.replace("gpu", "cuda")


def from_torch(check, device):
    """A dense tensor of torch is read where it lies, in every dtype; strides are a TypeError that says what to do."""
    torch, place = torch_on(device)
    for dtype in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"):
        x = torch.arange(24, device=place).reshape(4, 6).to(getattr(torch, dtype))
        t = maas.from_dlpack(x)
        assert str(t.dtype) == dtype and tuple(t.shape) == (4, 6)
        if device != "cpu":
            assert str(t.device) == device, str(t.device)
        with on(device):
            y = np.asarray(ops.cast(t, "float32"))
        np.testing.assert_array_equal(y, x.float().cpu().numpy())
    x = torch.randn(64, 64, device=place)
    with on(device):
        same(np.asarray(ops.multiply(maas.from_dlpack(x[3:50]), 2.0)), 2 * x[3:50].cpu().numpy(), "rows")
        t = maas.from_dlpack(x)
        x.add_(1)
        if device != "cpu":
            torch.cuda.synchronize()
        same(np.asarray(ops.multiply(t, 2.0)), 2 * x.cpu().numpy(), "after a change")
    for view in (x.T, x[::2], x[:, 3:50]):
        message = raised(TypeError, maas.from_dlpack, (view,))
        assert "contiguous" in message, message


def to_torch(check, device):
    """torch reads our results where they lie; values computed just before are there."""
    torch, place = torch_on(device)
    a, b = np.random.default_rng(0).standard_normal((2, 300, 300)).astype("float32")
    with on(device):
        y = ops.matmul(ops.convert_to_tensor(a), ops.convert_to_tensor(b))
        t = torch.from_dlpack(y)
        assert t.device == torch.device(place)
        same(t.cpu().numpy(), a @ b, "product", 1e-4, 1e-4)
        z = torch.from_dlpack(ops.add(maas.from_dlpack(t @ t), 1.0))
    same(z.cpu().numpy(), (a @ b) @ (a @ b) + 1, "there and back", 1e-3, 1e-1)
    del y
    torch.randn(300, 300, device=place)
    same(t.cpu().numpy(), a @ b, "kept alive", 1e-4, 1e-4)


def exchanged(module, device, make, read):
    """Dense arrays of a library come here and go back where they lie."""
    if device == "cpu":
        raise Skipped("its arrays are on a GPU")
    x = np.random.default_rng(0).standard_normal((40, 30)).astype("float32")
    theirs = make(x)
    t = maas.from_dlpack(theirs)
    assert str(t.device) == device, str(t.device)
    with on(device):
        y = ops.multiply(t, 3.0)
    same(read(y), 3 * x, f"to {module} and back")


def cupy(check, device):
    """CuPy's arrays."""
    try:
        import cupy as library
    except ImportError:
        raise Skipped("CuPy is not installed") from None
    exchanged("CuPy", device, library.asarray, lambda y: library.asnumpy(library.from_dlpack(y)))


def jax(check, device):
    """JAX's arrays."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    try:
        import jax as library
    except ImportError:
        raise Skipped("JAX is not installed") from None
    if library.default_backend() != "gpu":
        raise Skipped("JAX sees no GPU")
    exchanged("JAX", device, library.device_put, lambda y: np.asarray(library.dlpack.from_dlpack(y)))


def eager(check, device):
    """Calls outside programs compute where the scope says, and mix arrays of NumPy with tensors of the device."""
    a = np.random.default_rng(0).standard_normal((33, 17)).astype("float32")
    with on(device):
        x = ops.convert_to_tensor(a)
        y = ops.softmax(ops.add(x, a), axis=-1)
        if device != "cpu":
            assert str(y.device) == device, str(y.device)
        z = ops.sum(y, axis=-1)
    same(np.asarray(z), np.ones(33), "sums")
    e = np.exp(2 * a.astype("float64"))
    same(np.asarray(y), e / e.sum(-1, keepdims=True), "softmax")
    for index in (0, -1, slice(2, 9), (3, slice(None, None, 2))):
        same(np.asarray(y[index]), np.asarray(y)[index], f"[{index}]")


def tape(check, device):
    """A layer called eagerly, and gradients by a tape."""
    x = np.random.default_rng(0).standard_normal((6, 5)).astype("float32")
    results = []
    for where in ("cpu", device):
        with on(where):
            layer = layers.Dense(4, activation="tanh")
            layer.build((6, 5))
            layer.set_weights([np.linspace(-1, 1, 20).reshape(5, 4), np.linspace(-0.5, 0.5, 4)])
            with maas.GradientTape() as record:
                loss = ops.sum(ops.square(layer(x)))
            gradients = record.gradient(loss, layer.trainable_variables)
            results.append([np.asarray(loss), *(np.asarray(g) for g in gradients)])
    for got, want in zip(results[1], results[0]):
        same(got, want, "tape")


def state(check, device):
    """Variables of the device: values, writes, updates by programs, and none when a step fails."""
    with on(device):
        v = maas.Variable(np.arange(6, dtype="float32"))
        v.assign(v * 2.0)
        np.testing.assert_array_equal(np.asarray(v), np.arange(6) * 2.0)
        counter = _core.Variable(np.zeros(3, "float32"))
        with _core.Trace() as trace:
            x, at = trace.input(["n", 3]), trace.input(["m"], "int32")
            picked = _core.take(x, at, axis=0)
            counter.assign(_core.add(counter.value, _core.sum(picked, axis=[0])))
            p = check.saw(trace.compile([picked]))
        rows = np.random.default_rng(0).standard_normal((9, 3)).astype("float32")
        for n in (9, 4, 7, 9):
            at = np.arange(n, dtype="int32")[::-1].copy()
            np.testing.assert_array_equal(p.numpy(rows[:n], at)[0], rows[:n][::-1])
        before = counter.numpy()
        message = raised(IndexError, p.numpy, (rows, np.array([0, 9], "int32")))
        assert "received 9" in message, message
        np.testing.assert_array_equal(counter.numpy(), before)
        same(before, rows.sum(0) * 2 + rows[:4].sum(0) + rows[:7].sum(0), "updates", 1e-4, 1e-4)


def devices(check, device):
    """The device is listed by its name, and a name that does not exist is a ValueError or RuntimeError that says so."""
    if device == "cpu":
        return
    names = [str(getattr(d, "name", d)) for d in maas.list_devices()]
    assert any(device in name for name in names), names
    for wrong in ("gpu:99", "tpu:0"):
        try:
            with maas.device(wrong):
                ops.add(np.ones(2, "float32"), 1.0)
        except (ValueError, RuntimeError) as error:
            assert wrong in str(error), str(error)
        else:
            raise AssertionError(f"{wrong} was taken")


CHECKS = {f.__name__: f for f in (from_torch, to_torch, cupy, jax, eager, tape, state, devices)}
