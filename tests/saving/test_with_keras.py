"""Files go both ways between maas and real Keras 3 (JAX backend): config, weights, compile settings, optimizer state.

Keras is taken from this interpreter, or from the one that MAAS_KERAS_PYTHON names.
"""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import maas
from maas.saving import load_model
from tests.saving import models

CASES = list(models.BUILDERS)
# float32 epsilons relative to the largest output, for sums of at most a few hundred terms in another order.
EPSILONS = 64


def keras_python():
    named = os.environ.get("MAAS_KERAS_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("keras") and importlib.util.find_spec("jax"):
        return sys.executable
    pytest.skip("needs real Keras with JAX, in this interpreter or in the one named by MAAS_KERAS_PYTHON")


def run_keras(command, folder):
    program = Path(__file__).with_name("keras_side.py")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [keras_python(), str(program), command, str(folder)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of files written by Keras."""
    return run_keras("make", tmp_path_factory.mktemp("by_keras"))


def load(folder, case, suffix):
    models.block_class(maas)  # registers the class
    if suffix == "weights.h5":
        model = models.compiled(maas, case)
        model.optimizer.build(model.trainable_variables)
        model.load_weights(folder / f"{case}.{suffix}")
        return model
    return load_model(folder / f"{case}.{suffix}")


def assert_near(got, expected):
    assert np.max(np.abs(got - expected)) <= EPSILONS * np.finfo("float32").eps * max(1.0, np.max(np.abs(expected)))


@pytest.mark.parametrize("suffix", ["keras", "weights.h5", "h5"])
@pytest.mark.parametrize("case", CASES)
def test_maas_reads_what_keras_wrote(made, case, suffix):
    expected = np.load(made / f"{case}.npz")
    model = load(made, case, suffix)
    state = models.state(model)
    assert set(state) == set(expected.files) - {"y", "y_next"}
    for key, value in state.items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    assert_near(model.predict(models.data(case)[0], verbose=0), expected["y"])


@pytest.mark.parametrize("case", ["functional", "simple_rnn", "lstm", "nested", "blocks"])
def test_training_goes_on(made, case):
    # Without dropout, one more step gives what Keras got: loss, metrics and optimizer state are all there.
    model = load_model(made / f"{case}.keras")
    model.train_on_batch(*models.data(case))
    got, expected = model.predict(models.data(case)[0], verbose=0), np.load(made / f"{case}.npz")["y_next"]
    assert np.max(np.abs(got - expected)) <= 1e-4  # Adam divides by small moments: errors grow


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """(folder of files written by maas, with what Keras saw in them; errors by case)."""
    folder, errors = tmp_path_factory.mktemp("by_maas"), {}
    keras_python()
    for case in CASES:
        try:
            model = models.compiled(maas, case)
            model.train_on_batch(*models.data(case))
            for suffix in ("keras", "h5"):
                model.save(folder / f"{case}.{suffix}")
            model.save_weights(folder / f"{case}.weights.h5")
            np.savez(folder / f"{case}.npz", y=model.predict(models.data(case)[0], verbose=0), **models.state(model))
        except Exception as e:  # raised again by the tests of this case
            errors[case] = e
    return run_keras("check", folder), errors


@pytest.mark.parametrize("suffix", ["keras", "weights.h5", "h5"])
@pytest.mark.parametrize("case", CASES)
def test_keras_reads_what_maas_wrote(checked, case, suffix):
    folder, errors = checked
    if case in errors:
        raise errors[case]
    expected, seen = np.load(folder / f"{case}.npz"), np.load(folder / f"{case}.seen.npz")
    assert f"{suffix}/error" not in seen, str(seen[f"{suffix}/error"])
    for key in expected.files:
        if suffix == "h5" and key.startswith("o") and int(key[1:]) >= 2:
            continue  # Keras 3.15 restores no optimizer slots from .h5, not even from its own
        if key == "y":
            assert_near(seen[f"{suffix}/y"], expected["y"])
        else:
            np.testing.assert_array_equal(seen[f"{suffix}/{key}"], expected[key], err_msg=key)
    assert "sparse_categorical_crossentropy" in str(seen[f"{suffix}/loss"])


@pytest.mark.parametrize("suffix", ["keras", "weights.h5", "h5"])
@pytest.mark.parametrize("case", CASES)
def test_maas_reads_what_maas_wrote(tmp_path, case, suffix):
    model = models.compiled(maas, case)
    model.train_on_batch(*models.data(case))
    (model.save_weights if suffix == "weights.h5" else model.save)(tmp_path / f"{case}.{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load(tmp_path, case, suffix)
    expected, state = models.state(model), models.state(again)
    assert set(state) == set(expected)
    for key, value in state.items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    x = models.data(case)[0]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
