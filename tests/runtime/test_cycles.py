"""Many models made, used and dropped: memory stays flat."""

import gc
import os

import numpy as np
import pytest

import maas
from maas import _core, layers

X = np.random.default_rng(0).normal(size=(64, 128)).astype("float32")
Y = np.ones((64, 4), "float32")


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def cycle(i):
    model = maas.Sequential(
        [layers.Input((128,)), layers.Dense(512, activation="relu"), layers.Dropout(0.1), layers.Dense(4)]
    )
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    model.fit(X, Y, batch_size=16 + i % 7, epochs=1, verbose=0)
    model.predict(X[: 1 + i % 64], verbose=0)
    model(X[:1])


def growth(cycles, warm):
    for i in range(warm):
        cycle(i)
    gc.collect()
    before, used = resident(), _core.memory_stats()["current"]
    for i in range(cycles):
        cycle(i)
    gc.collect()
    return resident() - before, _core.memory_stats()["current"] - used


def test_a_hundred_models_leave_nothing_behind():
    grown, used = growth(100, 40)
    # A model's state, plans and arenas are about 2 MB: one in ten kept would show.
    assert grown < 16 << 20, f"{grown / 1e6:.1f} MB more after 100 models"
    assert used < 4 << 20


@pytest.mark.long
def test_a_thousand_models_leave_nothing_behind():
    grown, used = growth(1000, 100)
    assert grown < 24 << 20, f"{grown / 1e6:.1f} MB more after 1,000 models"
    assert used < 4 << 20
