"""The half of the tests that runs under real Keras (JAX backend), as a program of its own.

python keras_side.py make FOLDER    saves every model in every format, with its predictions
python keras_side.py check FOLDER   loads every file that maas saved there and writes what it sees
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).parent))

import keras
import models
import numpy as np


def outputs(model, case):
    return np.asarray(model(models.data(case)[0], training=False))


def make(folder):
    keras.utils.set_random_seed(3)
    for case in models.BUILDERS:
        model = models.compiled(keras, case)
        model.train_on_batch(*models.data(case))
        model.save(folder / f"{case}.keras")
        model.save_weights(folder / f"{case}.weights.h5")
        model.save(folder / f"{case}.h5")
        before = outputs(model, case)
        state = models.state(model)
        model.train_on_batch(*models.data(case))
        np.savez(folder / f"{case}.npz", y=before, y_next=outputs(model, case), **state)


def check(folder):
    models.block_class(keras)  # registers the class
    for case in models.BUILDERS:
        if not (folder / f"{case}.npz").exists():
            continue
        found = {}
        for suffix in ("keras", "h5", "weights.h5"):
            path = folder / f"{case}.{suffix}"
            try:
                if suffix == "weights.h5":
                    model = models.compiled(keras, case)
                    model.optimizer.build(model.trainable_variables)
                    model.load_weights(path)
                else:
                    model = keras.saving.load_model(path)
                found[f"{suffix}/y"] = outputs(model, case)
                found |= {f"{suffix}/{k}": v for k, v in models.state(model).items()}
                found[f"{suffix}/loss"] = np.asarray(str(model.loss))
            except Exception as e:  # reported, and failed, by the test
                found[f"{suffix}/error"] = np.asarray(f"{type(e).__name__}: {e}"[:3000])
        np.savez(folder / f"{case}.seen.npz", **found)


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2]))
