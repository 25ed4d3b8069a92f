"""`result_type` against Keras's own lattice, for every pair and triple, Python numbers included."""

import itertools

import keras
import numpy as np
import pytest
from keras.src.backend.common import dtypes as keras_dtypes

import maas
from maas import ops

NAMES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bfloat16", "float16", "float32",
    "float64",
]  # fmt: skip
WORDS = [*NAMES, int, float]


@pytest.fixture
def wide(monkeypatch):
    """Keras cuts 64 bits to 32 at the very end where its backend is JAX; maas, like Keras on TensorFlow, does not."""
    monkeypatch.setattr(keras_dtypes, "BIT64_TO_BIT32_DTYPE", {})


@pytest.fixture(params=["float32", "float16", "bfloat16", "float64"])
def floatx(request):
    old = keras.config.floatx()
    keras.config.set_floatx(request.param)
    maas.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx(old)
    maas.config.set_floatx(old)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_combination(count, wide, floatx):
    wrong = []
    for given in itertools.product([*WORDS, None], repeat=count):
        want, got = keras.backend.result_type(*given), maas.backend.result_type(*given)
        if want != got:
            wrong.append((given, want, got))
    assert not wrong, wrong[:20]
    assert maas.backend.result_type() == keras.backend.result_type()


def test_only_64_bits_differ_from_jax():
    short = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
    for given in itertools.product(WORDS, repeat=2):
        got = maas.backend.result_type(*given)
        assert short.get(got, got) == keras.backend.result_type(*given), given


@pytest.mark.parametrize("other", [*NAMES, "float8_e4m3fn"])
def test_float8_is_cast_by_hand(other):
    for given in (("float8_e4m3fn", other), (other, "float8_e4m3fn")):
        with pytest.raises(ValueError, match="float8"):
            keras.backend.result_type(*given)
        with pytest.raises(ValueError, match="float8.*cast it first, received"):
            maas.backend.result_type(*given)


@pytest.mark.parametrize("a, b", itertools.product(NAMES, repeat=2))
def test_tensors_meet_there(a, b):
    y = ops.add(ops.convert_to_tensor(np.ones(3), a), ops.convert_to_tensor(np.ones(3), b))
    assert y.dtype == maas.backend.result_type(a, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [2, 2.0, True])
def test_numbers_are_weak(name, number):
    x = ops.convert_to_tensor(np.ones(3), name)
    want = maas.backend.result_type(name, "bool" if number is True else type(number))
    for y in (x + number, number + x, ops.multiply(x, number), ops.maximum(number, x)):
        assert y.dtype == want
