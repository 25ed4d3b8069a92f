"""NumPy functions and habits on Tensors: they work as on a JAX array, or say what to use."""

import keras
import numpy as np
import pytest

import maas
from maas import _core, ops

A = np.linspace(-2, 3, 6, dtype="float32").reshape(2, 3)

FUNCTIONS = {
    "sum": np.sum,
    "sum axis": lambda x: np.sum(x, axis=0),
    "sum keepdims": lambda x: np.sum(x, axis=1, keepdims=True),
    "mean": np.mean,
    "std": np.std,
    "var": lambda x: np.var(x, axis=1),
    "prod": np.prod,
    "max": lambda x: np.max(x, axis=-1),
    "amin": np.amin,
    "argmax": lambda x: np.argmax(x, axis=1),
    "any": lambda x: np.any(x > 1),
    "exp": np.exp,
    "maximum": lambda x: np.maximum(x, 0),
    "add": lambda x: np.add(np.ones((2, 3)), x),
    "array + x": lambda x: np.ones((2, 3), "float32") + x,
    "scalar * x": lambda x: np.float32(2) * x,
    "array < x": lambda x: np.zeros((2, 3)) < x,
    "array @ x": lambda x: np.ones((2, 2), "float32") @ x,
    "round": lambda x: np.round(x, 1),
    "clip": lambda x: np.clip(x, 0, 1),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": np.transpose,
    "concatenate": lambda x: np.concatenate([x, x]),
    "sort": np.sort,
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "median": np.median,
    "take": lambda x: np.take(x, [0, 2], axis=1),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "T": lambda x: x.T,
    ".mean": lambda x: x.mean(axis=0),
    ".sum dtype": lambda x: x.sum(dtype="float64"),
    ".astype": lambda x: x.astype("int32"),
    ".astype type": lambda x: x.astype(np.float64),
    ".reshape": lambda x: x.reshape(-1, 2),
    ".transpose": lambda x: x.transpose(1, 0),
    ".flatten": lambda x: x.flatten(),
    ".tolist": lambda x: x.tolist(),
    "round()": lambda x: round(float(x[0, 1]), 1),
    "format": lambda x: f"{x[0, 1]:.2f} {x.sum():>8.3f} {(x > 0).sum():d}",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name):
    function = FUNCTIONS[name]
    expected, got = function(A), function(ops.convert_to_tensor(A))
    if isinstance(expected, str):
        assert got == expected
        return
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-6, atol=1e-6)


def test_methods_are_traced():
    with _core.Trace() as trace:
        x = trace.input(("batch", 3), "float32", "x")
        program = trace.compile([np.sum(x), x.T, x.mean(axis=1), np.reshape(x, (-1,))])
    for got, expected in zip(program.numpy(A), (A.sum(), A.T, A.mean(1), A.ravel())):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_value_that_is_not_known_says_so():
    with _core.Trace() as trace:
        x = trace.input(("batch", 3), "float32", "x")
        for call in (np.exp, lambda x: f"{x:.2f}", lambda x: x.numpy(), lambda x: x.tolist()):
            with pytest.raises(TypeError, match="no value while it is traced"):
                call(x)
        with pytest.raises(TypeError, match="use maas.ops in place of NumPy"):
            np.exp(x)
    x = maas.Input((3,))
    with pytest.raises(TypeError, match="not known yet; use layers and `maas.ops` functions"):
        np.sum(x)
    with pytest.raises(AttributeError, match="KerasTensor has no 'mean'.*use `maas.ops`"):
        x.mean()
    with pytest.raises(AttributeError, match="KerasTensor has no 'numpy'"):
        x.numpy()
    assert not hasattr(x, "numpy") and not hasattr(x, "mean")


def test_what_a_tensor_does_not_have():
    t = ops.convert_to_tensor(A)
    with pytest.raises(AttributeError, match=r"a Tensor has no 'tofile': use `maas.ops`, or .numpy\(\)"):
        t.tofile("x")
    with pytest.raises(TypeError, match=r"immutable.*\.numpy\(\)\.copy\(\).*received an assignment at 0"):
        t[0] = 1
    with pytest.raises(TypeError, match=r"formatted as a number.*\.numpy\(\).*shape \(2, 3\)"):
        f"{t:.2f}"
    with pytest.raises(TypeError, match="immutable"):
        np.sum(t, out=np.zeros(()))
    assert not hasattr(t, "tofile") and f"{t}" == str(t)


def test_variables_and_metrics():
    v = maas.Variable(A)
    assert float(np.sum(v)) == pytest.approx(float(np.sum(keras.Variable(A))))
    np.testing.assert_allclose(np.ones((2, 3), "float32") + v, A + 1)
    np.testing.assert_allclose(np.exp(v), np.exp(A), rtol=1e-6)
    metric = maas.metrics.Mean()
    metric.update_state([1.0, 2.0])
    assert f"{metric.result():.3f}" == "1.500"
    assert f"{maas.optimizers.SGD(0.125).learning_rate:.3f}" == "0.125"


@pytest.mark.parametrize("name", ["sum", "mean", "std", "max", "T"])
def test_the_same_kind_of_result_as_in_keras(name):
    """NumPy's functions give a tensor of the library, not an array, where they do so on a JAX array."""
    ours, theirs = (
        getattr(np, {"T": "transpose"}.get(name, name))(library.ops.convert_to_tensor(A)) for library in (maas, keras)
    )
    assert isinstance(theirs, type(keras.ops.convert_to_tensor(A)))
    assert isinstance(ours, _core.Tensor)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "value, dtype, text",
    [
        (2**31, None, "2147483648 does not fit in int32, which holds -2147483648 to 2147483647"),
        (-(2**31) - 1, None, "-2147483649 does not fit in int32"),
        ([1, 2**33], None, "8589934592 does not fit in int32"),
        ([[2**70]], None, f"{2**70} does not fit in int32"),
        (300, "uint8", "300 does not fit in uint8, which holds 0 to 255"),
        ([-1], "uint8", "-1 does not fit in uint8"),
        (2**63, "int64", "does not fit in int64"),
    ],
)
def test_integers_that_do_not_fit(value, dtype, text):
    """As Keras on JAX: an OverflowError, where NumPy's arrays wrap with an explicit dtype."""
    for convert in (maas.ops.convert_to_tensor, keras.ops.convert_to_tensor):
        with pytest.raises(OverflowError, match=text if convert is maas.ops.convert_to_tensor else ""):
            convert(value, dtype) if dtype != "int64" else maas.ops.convert_to_tensor(value, dtype)
    with pytest.raises(OverflowError, match="8589934592 does not fit in int32"):
        maas.ops.ones(2, "int32") + 2**33


def test_integers_that_fit():
    assert maas.ops.convert_to_tensor([2**31 - 1, -(2**31)]).dtype == "int32"
    assert int(maas.ops.convert_to_tensor(2**40, "int64")) == 2**40
    assert maas.ops.convert_to_tensor(np.array([2**40])).dtype == "int64"
    assert int(maas.ops.convert_to_tensor(np.array([300]), "uint8")[0]) == 44
    assert float(maas.ops.convert_to_tensor(2**40, "float32")) == 2.0**40
    assert maas.ops.convert_to_tensor([]).dtype == "float32"
