"""Many models made, used and dropped: memory stays flat."""

import gc
import os

import numpy as np
import pytest

import maas
from maas import _core, layers, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 128)).astype("float32")
Y = np.ones((64, 4), "float32")
IMAGES = RNG.normal(size=(16, 16, 16, 2)).astype("float32")
TEXTS = RNG.normal(size=(16, 20, 6)).astype("float32")


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def dense(i, folder):
    model = maas.Sequential(
        [layers.Input((128,)), layers.Dense(512, activation="relu"), layers.Dropout(0.1), layers.Dense(4)]
    )
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    model.fit(X, Y, batch_size=16 + i % 7, epochs=1, verbose=0)
    model.predict(X[: 1 + i % 64], verbose=0)
    model(X[:1])


def shapes(i, folder):
    """Another architecture and other sizes every time."""
    if i % 2:
        x, parts = TEXTS[:, : 4 + i % 13], [layers.LSTM(8 + i % 5), layers.Dense(3)]
    else:
        x = IMAGES[:, : 8 + i % 9]
        parts = [layers.Conv2D(2 + i % 6, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten()]
        parts.append(layers.Dense(3))
    model = maas.Sequential([layers.Input(x.shape[1:]), *parts])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(x, np.ones((16, 3), "float32"), batch_size=3 + i % 6, epochs=1, verbose=0)
    model.predict(x[: 1 + i % 16], verbose=0)


def files(i, folder):
    model = maas.Sequential([layers.Input((128,)), layers.Dense(256, activation="relu"), layers.Dense(4)])
    model.compile(optimizer="adam", loss="mse")
    model.fit(X, Y, verbose=0)
    path = folder / f"model.{('keras', 'maas', 'h5')[i % 3]}"
    model.save(path)
    want = model.predict(X[:3], verbose=0)
    np.testing.assert_array_equal(maas.saving.load_model(path).predict(X[:3], verbose=0), want)


def tape(i, folder):
    """Eager ops and a tape: graphs that are kept for a while, sizes that come and go."""
    w, b = (maas.Variable(np.full(s, 0.01, "float32")) for s in ((128, 64 + i % 32), (64 + i % 32,)))
    optimizer = maas.optimizers.SGD(0.01)
    for _ in range(3):
        with maas.GradientTape() as recorded:
            loss = ops.mean(ops.square(ops.tanh(ops.matmul(X[: 8 + i % 50], w) + b)))
        gradients = recorded.gradient(loss, [w, b])
        optimizer.apply(gradients, [w, b])
    step = maas.jit(lambda x: ops.softmax(ops.matmul(x, w) + b))
    step(X[:5])


def growth(cycle, cycles, warm, folder):
    for i in range(warm):
        cycle(i, folder)
    gc.collect()
    before, used = resident(), _core.memory_stats()["current"]
    for i in range(cycles):
        cycle(i, folder)
    gc.collect()
    return resident() - before, _core.memory_stats()["current"] - used


CYCLES = [dense, shapes, files, tape]
names = [f.__name__ for f in CYCLES]


def test_a_hundred_models_leave_nothing_behind(tmp_path):
    grown, used = growth(dense, 100, 40, tmp_path)
    # A model's state, plans and arenas are about 2 MB: one in ten kept would show.
    assert grown < 16 << 20, f"{grown / 1e6:.1f} MB more after 100 models"
    assert used < 4 << 20


@pytest.mark.long
@pytest.mark.parametrize("cycle", CYCLES, ids=names)
def test_a_thousand_cycles_leave_nothing_behind(cycle, tmp_path):
    """From cycle 100 to cycle 1,000: 16 KB a cycle would show, which is less than any of these models holds."""
    grown, used = growth(cycle, 900, 100, tmp_path)
    assert grown < 14 << 20, f"{grown / 1e6:.1f} MB more after 900 cycles"
    assert used < 4 << 20
