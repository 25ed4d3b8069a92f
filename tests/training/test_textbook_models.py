"""The models of the five programs train as with real Keras: same first weights, same order of rows, same history."""

import keras
import numpy as np
import pytest

import maas
from tests.training.pair import assert_same_history
from tests.training.textbook_models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_whole_history_is_that_of_keras(name):
    build, data, loss = MODELS[name]
    x, y = data()
    keras.utils.set_random_seed(0)
    theirs, ours = build(keras), build(maas)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    histories = []
    for model in (ours, theirs):
        model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
        fit = {"batch_size": 32, "epochs": 3, "shuffle": False, "verbose": 0}
        histories.append(model.fit(x[:-32], y[:-32], validation_data=(x[-32:], y[-32:]), **fit))
    # Closer than one step would move them: no gradient and no update is wrong.
    assert_same_history(*histories)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-3, atol=1e-5)
