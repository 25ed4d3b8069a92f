"""Odd models give the answers of ONNX Runtime: control flow, sequences, empty and scalar tensors, far indices."""

import numpy as np
import pytest

import maas
from tests.onnx.odd_cases import cases
from tests.onnx.oracle import answers


@pytest.fixture(scope="module")
def both():
    found = cases()
    return found, answers(found)


@pytest.mark.parametrize("name", list(cases()))
def test_answers_are_those_of_onnx_runtime(both, name):
    found, expected = both
    data, calls = found[name]
    model = maas.onnx.load(data)
    for xs, wanted in zip(calls, expected[name], strict=True):
        results = model(*xs)
        for y, e in zip(results if isinstance(results, list) else [results], wanted, strict=True):
            assert (y.shape, str(y.dtype)) == (e.shape, str(e.dtype))
            np.testing.assert_allclose(y.numpy(), e, rtol=1e-5, atol=1e-6)
