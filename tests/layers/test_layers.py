"""Every layer against real Keras: config, names, shapes, weights and outputs."""

import keras
import numpy as np
import pytest

from maas import layers
from maas.saving.serialization import serialize_keras_object
from tests.layers import pair
from tests.layers.layer_cases import CASES, inputs_of

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


_pairs = {}


def built_pair(case):
    """Built once per case: most of the time goes into Keras's first calls."""
    if case.name not in _pairs:
        _pairs[case.name] = build_pair(case)
    return _pairs[case.name]


def build_pair(case):
    ours, theirs = pair.make_pair(case.make)
    inputs = inputs_of(case)
    # Twice: the first call builds.
    pair.call(ours, inputs)
    pair.call(theirs, inputs)
    values = pair.random_weights(theirs.weights)
    ours.set_weights(values)
    theirs.set_weights(values)
    if hasattr(theirs, "finalize_state"):
        theirs.finalize_state()  # Keras's Normalization reads its weights only here
    return ours, theirs, inputs


@every_case
def test_outputs_and_state(case):
    ours, theirs, inputs = built_pair(case)
    pair.assert_outputs_close(pair.call(ours, inputs, **case.call), pair.call(theirs, inputs, **case.call), case.eps)
    # Moving averages and the like after the call.
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([float(x) for x in ours.losses], [float(x) for x in theirs.losses], rtol=1e-5)


@every_case
def test_config_and_names(case):
    ours, theirs, _ = built_pair(case)
    assert pair.plain(serialize_keras_object(ours)) == pair.plain(keras.saving.serialize_keras_object(theirs))
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    assert [(w.name, tuple(w.shape), w.trainable) for w in ours.weights] == [
        (w.name, tuple(w.shape), w.trainable) for w in theirs.weights
    ]
    assert (ours.name, ours.built, ours.count_params()) == (theirs.name, theirs.built, theirs.count_params())
    assert ours.supports_masking == theirs.supports_masking


@every_case
def test_loads_the_config_of_keras(case):
    ours, theirs, inputs = built_pair(case)
    copy = layers.deserialize(pair.plain(keras.saving.serialize_keras_object(theirs)))
    pair.call(copy, inputs)
    copy.set_weights(ours.get_weights())  # those of Keras may have other last bits after a training call
    pair.assert_outputs_close(pair.call(copy, inputs), pair.call(ours, inputs), 0)
    back = keras.saving.deserialize_keras_object(pair.plain(serialize_keras_object(ours)))
    assert pair.plain(back.get_config()) == pair.plain(theirs.get_config())


@every_case
def test_symbolic_shapes(case):
    ours, theirs = pair.make_pair(case.make)
    made = []
    for lib, layer in ((layers, ours), (keras.layers, theirs)):
        inputs = [lib.Input(s[1:], dtype=case.dtype) for s in case.shapes]
        out = pair.call(layer, inputs, **case.call)
        made.append([(tuple(x.shape), x.dtype) for x in keras.tree.flatten(out)])
    assert made[0] == made[1]


@every_case
def test_rows_are_their_own(case):
    """A row alone gives the bits it gives in a batch (training statistics excepted)."""
    if case.call.get("training") or case.name == "flatten_rank_1":
        return
    ours, _, inputs = built_pair(case)
    whole = [np.asarray(x) for x in keras.tree.flatten(pair.call(ours, inputs, **case.call))]
    alone = [np.asarray(x) for x in keras.tree.flatten(pair.call(ours, [x[1:2] for x in inputs], **case.call))]
    for a, b in zip(whole, alone):
        np.testing.assert_array_equal(a[1:2], b)
