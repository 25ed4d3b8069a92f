"""Every layer under every policy: outputs as Keras's under the same policy, and one step of training."""

import keras
import numpy as np
import pytest

import maas
from maas import layers, tree
from maas.backend.naming import reset_uids
from tests.layers import pair
from tests.layers.layer_cases import CASES, inputs_of

HALVES = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "mixed_bfloat16": 2.0**-8, "mixed_float16": 2.0**-11}
POLICIES = [*HALVES, "float64"]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


def in_turn(cases, policies):
    """Every case once, the policies in turn; all pairs are tried by the tests that are marked as long."""
    pairs = [(c, policies[i % len(policies)]) for i, c in enumerate(cases)]
    return pytest.mark.parametrize("case, policy", pairs, ids=[f"{c.name}-{p}" for c, p in pairs])


def all_pairs(policies):
    def marked(test):
        return pytest.mark.long(every_case(pytest.mark.parametrize("policy", policies)(test)))

    return marked


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
    # Names from the start, so that weights have Keras's paths.
    reset_uids() if lib is maas else keras.utils.clear_session(free_memory=False)
    lib.config.set_dtype_policy(policy)
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
    key = CASES.index(case)  # two cases may share a name
    if key not in _exact:
        _exact[key] = [wide(y) for y in outputs(maas, case, rounded(inputs_of(case)), "float64")[1]]
    return _exact[key]


def distance(got, want, policy):
    """The largest error in roundings of the compute dtype at the size of the result."""
    worst = 0.0
    for y, e in zip(got, want):
        y = wide(y)
        assert y.shape == e.shape and np.isfinite(y).all()
        unit = HALVES.get(policy, 2.0**-53) * max(1.0, np.abs(e).max(initial=0))
        worst = max(worst, np.abs(y - e).max(initial=0) / unit)
    return worst


def check_outputs(case, policy):
    """Near to the exact result: few roundings of the compute dtype."""
    layer, got = outputs(maas, case, rounded(inputs_of(case)), policy)
    dtype = layer.compute_dtype
    assert all(y.dtype == dtype for y in got if "float" in y.dtype)
    assert distance(got, exact(case), policy) <= 5


@in_turn(CASES, list(HALVES))
def test_outputs(case, policy):
    check_outputs(case, policy)


@all_pairs(list(HALVES))
def test_all_outputs(case, policy):
    check_outputs(case, policy)


def check_as_keras(case, policy):
    inputs = rounded(inputs_of(case))
    ours, got = outputs(maas, case, inputs, policy)
    try:
        theirs, want = outputs(keras, case, inputs, policy)
    except (ValueError, NotImplementedError) as e:
        if "F16_F16_F32" not in str(e) and "Unsupported dtype" not in str(e):
            raise
        # JAX on a CPU has no attention in float16, and no orthogonal initial values in 16 bits.
        return check_outputs(case, policy)
    name = keras.backend.standardize_dtype
    assert [name(y.dtype) for y in got] == [name(y.dtype) for y in want]
    assert [(v.path, v.dtype) for v in ours.weights] == [(v.path, name(v.dtype)) for v in theirs.weights]
    # As near to the exact result as Keras's are, or two roundings.
    assert distance(got, exact(case), policy) <= distance(want, exact(case), policy) + 2


@in_turn(CASES[::5], list(HALVES))
def test_as_keras(case, policy):
    check_as_keras(case, policy)


@all_pairs(list(HALVES))
def test_all_as_keras(case, policy):
    check_as_keras(case, policy)


@pytest.mark.long
@every_case
def test_float64(case):
    """Sixteen digits, where float32 (held against Keras elsewhere) has seven."""
    inputs = rounded(inputs_of(case))
    _, short = outputs(maas, case, inputs, "float32")
    _, got = outputs(maas, case, [x.astype("float64") if x.dtype.kind == "f" else x for x in inputs], "float64")
    for y, x, e in zip(got, short, exact(case)):
        assert y.dtype == ("float64" if "float" in str(x.dtype) else x.dtype)
        np.testing.assert_allclose(wide(x), e, rtol=0, atol=2 * case.eps * 2.0**-23 * max(1, np.abs(e).max(initial=0)))


def check_step(case, policy):
    maas.config.set_dtype_policy(policy)
    arrays = rounded(inputs_of(case))
    inputs = [maas.Input(x.shape[1:], dtype=str(x.dtype)) for x in arrays]
    layer = case.make(layers)
    out = tree.flatten(pair.call(layer, inputs))
    model = maas.Model(inputs, [y for y in out if "float" in y.dtype])
    # A step of a hundredth of a gradient may be less than a half-precision weight can show.
    model.compile(maas.optimizers.SGD(1.0), "mse")
    targets = [np.ones(y.shape, "float32") for y in tree.flatten(model(arrays if len(arrays) > 1 else arrays[0]))]
    before = [wide(v) for v in layer.trainable_variables]
    # Loss scaling skips steps whose gradients are infinite, and halves the scale.
    for _ in range(8 if policy == "mixed_float16" else 1):
        loss = model.train_on_batch(arrays, targets)
        assert np.isfinite(np.asarray(loss, "float64")).all()
        assert all(np.isfinite(wide(v)).all() for v in layer.trainable_variables)
        moved = any(np.abs(wide(v) - old).max() > 0 for v, old in zip(layer.trainable_variables, before))
        if moved or not before or case.name == "dot":
            return
    raise AssertionError("no weight moved")


@in_turn(CASES, POLICIES)
def test_one_step_of_training(case, policy):
    check_step(case, policy)


@all_pairs(POLICIES)
def test_all_steps_of_training(case, policy):
    check_step(case, policy)
