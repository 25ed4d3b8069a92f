"""Every layer under every policy: outputs as Keras's under the same policy, and one step of training."""

import keras
import numpy as np
import pytest

import maas
from maas import layers, tree
from tests.layers import pair
from tests.layers.layer_cases import CASES, inputs_of

HALVES = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "mixed_bfloat16": 2.0**-8, "mixed_float16": 2.0**-11}
POLICIES = [*HALVES, "float64"]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
every_policy = pytest.mark.parametrize("policy", POLICIES)


@pytest.fixture(autouse=True)
def plain():
    yield
    for k in (keras, maas):
        k.config.set_dtype_policy("float32")


def values_of(weights, seed=0):
    """Small random values, which no policy rounds: eighths."""
    return [
        v if "int" in str(w.dtype) else np.round(np.asarray(v, "float32") * 8) / 8 + ("variance" in w.name)
        for w, v in zip(weights, pair.random_weights(weights, seed))
    ]


def rounded(inputs):
    return [x if x.dtype.kind != "f" else np.round(x * 8) / 8 for x in inputs]


def outputs(lib, case, inputs, policy):
    lib.config.set_dtype_policy(policy)
    pair.fresh_names()
    nn = layers if lib is maas else keras.layers
    layer = case.make(nn)
    pair.call(layer, inputs)
    layer.set_weights(values_of(layer.weights))
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
    return layer, tree.flatten(pair.call(layer, inputs, **case.call))


def wide(x):
    return np.asarray(x).astype("float64")


_exact = {}


def exact(case):
    """Ours in float64, from the same weights."""
    if case.name not in _exact:
        _exact[case.name] = [wide(y) for y in outputs(maas, case, rounded(inputs_of(case)), "float64")[1]]
    return _exact[case.name]


@every_case
@pytest.mark.parametrize("policy", HALVES)
def test_outputs(case, policy):
    """As near to the exact result as Keras's are, or two roundings of the compute dtype."""
    inputs = rounded(inputs_of(case))
    ours, got = outputs(maas, case, inputs, policy)
    theirs, want = outputs(keras, case, inputs, policy)
    name = keras.backend.standardize_dtype
    assert [name(y.dtype) for y in got] == [name(y.dtype) for y in want]
    assert [(v.path, v.dtype) for v in ours.weights] == [(v.path, v.dtype) for v in theirs.weights]
    for y, k, e in zip(got, want, exact(case)):
        y, k = wide(y), wide(k)
        unit = HALVES[policy] * max(1.0, np.abs(e).max(initial=0))
        bound = np.abs(k - e).max(initial=0) + 2 * unit
        assert np.abs(y - e).max(initial=0) <= bound, (np.abs(y - e).max() / unit, np.abs(k - e).max() / unit)


@every_case
def test_float64(case):
    """JAX has no float64, so Keras's float32 stands in."""
    inputs = rounded(inputs_of(case))
    maas.config.set_dtype_policy("float64")
    _, want = outputs(keras, case, inputs, "float32")
    _, got = outputs(maas, case, inputs, "float64")
    for y, k, e in zip(got, want, exact(case)):
        assert str(y.dtype) == ("float64" if np.asarray(k).dtype.kind == "f" else str(np.asarray(k).dtype))
        np.testing.assert_allclose(wide(y), wide(k), rtol=0, atol=case.eps * 2.0**-23 * max(1, np.abs(e).max()))


@every_policy
@every_case
def test_one_step_of_training(case, policy):
    maas.config.set_dtype_policy(policy)
    arrays = rounded(inputs_of(case))
    inputs = [maas.Input(x.shape[1:], dtype=str(x.dtype)) for x in arrays]
    layer = case.make(layers)
    out = tree.flatten(pair.call(layer, inputs))
    model = maas.Model(inputs, [y for y in out if "float" in y.dtype])
    model.compile("sgd", "mse")
    targets = [np.zeros(y.shape, "float32") for y in tree.flatten(model(arrays if len(arrays) > 1 else arrays[0]))]
    before = [wide(v) for v in layer.trainable_variables]
    loss = model.train_on_batch(arrays, targets)
    assert np.isfinite(np.asarray(loss, "float64")).all()
    assert all(np.isfinite(wide(v)).all() for v in layer.trainable_variables)
    if before and case.name != "dot":
        assert any(np.abs(wide(v) - old).max() > 0 for v, old in zip(layer.trainable_variables, before))
