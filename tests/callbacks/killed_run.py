"""A training run for the tests to kill: `python killed_run.py FOLDER SOURCE SAVE_FREQ`.

Prints "ready" when training starts, and one line with the sums of the weights and of the logs when it has ended.
"""

import hashlib
import json
import sys

import numpy as np

import maas
from maas import layers
from maas.callbacks import BackupAndRestore, LambdaCallback, ModelCheckpoint
from maas.data import Dataset

folder, source, save_freq = sys.argv[1], sys.argv[2], sys.argv[3]
rng = np.random.default_rng(0)
x, y = rng.normal(size=(150, 6)).astype("float32"), rng.integers(0, 3, 150)


def batches():
    order = np.random.default_rng(5)
    while True:
        rows = order.integers(0, 150, 16)
        yield x[rows], y[rows]


maas.utils.set_random_seed(3)
model = maas.Sequential([layers.Input((6,)), layers.Dense(16, "relu"), layers.Dropout(0.3), layers.Dense(3)])
model.compile("adam", maas.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
data = {
    "arrays": lambda: {"x": x, "y": y, "batch_size": 16},
    "steps": lambda: {"x": x, "y": y, "batch_size": 16, "steps_per_epoch": 7},
    "dataset": lambda: {"x": Dataset.from_tensor_slices((x, y)).shuffle(60, seed=4).batch(16).prefetch(2)},
    "generator": lambda: {"x": batches(), "steps_per_epoch": 9},
}[source]()
logs = {}
progress = LambdaCallback(
    on_train_begin=lambda _: print("ready", flush=True), on_epoch_end=lambda epoch, log: logs.update({epoch: log})
)
save_freq = save_freq if save_freq == "epoch" else int(save_freq)
backup = BackupAndRestore(f"{folder}/backup", save_freq, delete_checkpoint=False)
model.fit(**data, epochs=12, verbose=0, callbacks=[progress, backup, ModelCheckpoint(f"{folder}/model.keras")])
weights = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
print(json.dumps({"weights": weights, "last": logs[11], "epochs": sorted(logs)}), flush=True)
