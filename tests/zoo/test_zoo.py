"""Architectures: numbers of weights as published, outputs as real Keras computes them, seeds."""

import random

import numpy as np
import pytest

from benchmarks.net import Net
from benchmarks.reference import reference
from benchmarks.runner import error_of
from maas import initializers, zoo
from maas.testing import assert_close
from tests.zoo.models import PUBLISHED, SMALL, make, normal, run


@pytest.mark.parametrize("name", PUBLISHED)
def test_number_of_weights(name, monkeypatch):
    # Zeros of calloc cost no time; how initializers draw is not in question here.
    for kind in ("GlorotUniform", "HeNormal", "VarianceScaling", "TruncatedNormal", "RandomNormal", "RandomUniform"):
        draw = staticmethod(lambda shape, dtype: np.zeros(shape, "float32"))
        monkeypatch.setattr(getattr(initializers, kind), "draw", draw)
    assert getattr(zoo, name)().count_params() == PUBLISHED[name]


# Deep ones are compared with the reference that this very test compares with Keras: XLA compiles them for a minute.
DEEP = ("ResNet34", "ResNet50", "VGG16", "MobileNetV2", "EfficientNetB0", "MNISTConvNet", "CIFARConvNet", "BERT")


@pytest.mark.parametrize("name", SMALL)
def test_outputs_are_those_of_real_keras_and_of_the_reference(name, keras):
    model, inputs = make(name)
    got, net = run(model, inputs), Net.of(model, inputs)
    wanted = reference(net)[0]
    assert got.shape == wanted.shape
    assert error_of(got, wanted) < 2e-6
    assert np.std(got) > 1e-6
    if name not in DEEP:
        theirs = net.build(keras).predict_on_batch(inputs[0] if len(inputs) == 1 else inputs)
        assert error_of(np.asarray(theirs), wanted) < 2e-6


def test_every_function_has_a_small_model():
    shapes_of_another = {"BERTBase", "MiniLM"}
    assert {n.split()[0] for n in SMALL} == set(zoo.__all__) - shapes_of_another - {
        "PositionEmbedding", "randomize_statistics"
    }  # fmt: skip


def test_a_seed_fixes_the_weights_and_leaves_the_programs_own_numbers_alone():
    state = random.getstate()
    a, b, c = (zoo.LeNet(seed=s).get_weights() for s in (1, 1, 2))
    assert random.getstate() == state
    assert all(np.array_equal(x, y) for x, y in zip(a, b))
    assert not np.array_equal(a[0], c[0]) and not np.array_equal(a[0].ravel()[:8], a[2].ravel()[:8])
    zoo.LeNet(seed=None)
    assert random.getstate() != state


def test_randomized_statistics_are_those_of_a_trained_net():
    model = zoo.randomize_statistics(zoo.UNet((16, 16, 3), filters=(4, 6)), seed=4)
    norm = model.get_layer("down0_bn1")
    gamma, beta, mean, variance = norm.get_weights()
    assert (gamma != 1).all() and (beta != 0).all() and (mean != 0).all() and (variance > 0.5).all()


def test_too_many_places():
    layer = zoo.PositionEmbedding(4)
    with pytest.raises(ValueError, match=r"at most 4 steps, received \(2, 5, 3\)"):
        layer(normal(2, 5, 3))


def test_sequences_of_any_length():
    model = zoo.GPT2(30, 1, 2, 8, 12, 16)
    ids = np.arange(20).reshape(2, 10).astype("int32")
    assert_close(run(model, [ids[:, :6]]), run(model, [ids])[:, :6], eps=64)
