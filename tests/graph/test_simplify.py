"""Algebra on small graphs, printed as text: what goes, what stays, and that not a bit changes."""

import numpy as np
import pytest

from maas import _core
from maas import ops as k
from tests.graph.text import nodes, ops

SPECIAL = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0, 1.2e-38, 3e38]], "float32")


def one(function, *shapes):
    return ops(function, *shapes or [("batch", 8)], passes="recognize")


# ---- arithmetic

GOES = {
    "x * 1": lambda x: x * 1.0,
    "x / 1": lambda x: x / 1.0,
    "x - 0": lambda x: x - 0.0,
    "x + -0": lambda x: x + float("-0.0"),
    "--x": lambda x: k.negative(k.negative(x)),
    "x^1": lambda x: k.power(x, 1.0),
    "max(x, x)": lambda x: k.maximum(x, x),
    "where(c, x, x)": lambda x: k.where(k.greater(x, 1.0), x, x),
}
BECOMES = {
    "x / 4": (lambda x: x / 4.0, ["multiply"]),
    "x / -1": (lambda x: x / -1.0, ["negative"]),
    "x * -1": (lambda x: x * -1.0, ["negative"]),
    "x^2": (lambda x: k.power(x, 2.0), ["square"]),
    "x^-1": (lambda x: k.power(x, -1.0), ["reciprocal"]),
    "1 / sqrt(x)": (lambda x: 1.0 / k.sqrt(x), ["rsqrt"]),
    "reciprocal(sqrt(x))": (lambda x: _core.reciprocal(k.sqrt(x)), ["rsqrt"]),
    "abs(abs(x))": (lambda x: k.abs(k.abs(x)), ["absolute"]),
    "relu(relu(x))": (lambda x: k.relu(k.relu(x)), ["relu"]),
    "abs(-x)": (lambda x: k.abs(k.negative(x)), ["absolute"]),
    "square(-x)": (lambda x: k.square(k.negative(x)), ["square"]),
    "floor(floor(x))": (lambda x: k.floor(k.floor(x)), ["floor"]),
}
STAYS = {
    "x + 0": lambda x: x + 0.0,
    "x - x": lambda x: x - x,
    "x * 0": lambda x: x * 0.0,
    "x / 3": lambda x: x / 3.0,
    "x / 2^127": lambda x: x / 2.0**127,
    "x^0.5": lambda x: k.power(x, 0.5),
    "tanh(tanh(x))": lambda x: k.tanh(k.tanh(x)),
}


@pytest.mark.parametrize("name", GOES)
def test_arithmetic_that_does_nothing_goes(name):
    assert one(GOES[name]) == []


@pytest.mark.parametrize("name", BECOMES)
def test_arithmetic_becomes_cheaper(name):
    function, want = BECOMES[name]
    assert one(function) == want


@pytest.mark.parametrize("name", STAYS)
def test_arithmetic_that_would_change_stays(name):
    """Signed zeros, NaN and infinities, or a rounding, would come out otherwise."""
    want = {"tanh(tanh(x))": 2}.get(name, 1)
    assert len(one(STAYS[name])) == want


def test_a_sum_with_a_negated_operand_is_a_difference():
    shapes = [("batch", 8), ("batch", 8)]
    assert one(lambda x, y: x + k.negative(y), *shapes) == ["subtract"]
    assert one(lambda x, y: k.negative(y) + x, *shapes) == ["subtract"]
    assert one(lambda x, y: x - k.negative(y), *shapes) == ["add"]


def test_constants_of_one_element_are_worked_out():
    def function(x):
        eight = _core.cast(_core.Tensor(np.float64(8)), dtype="float32")
        return x * k.sqrt(eight * 2.0)

    assert nodes(function, ("batch", 8), passes="recognize") == ["constant 4", "multiply(%0, %1)", "return %2"]


EXACT = {**GOES, **{name: f for name, (f, _) in BECOMES.items() if name not in ("x^2", "x^-1")}, **STAYS}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", EXACT)
def test_not_a_bit_changes(name, dtype):
    got, want = both(lambda x: k.cast(EXACT[name](k.cast(x, dtype)), "float32"), SPECIAL)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    if dtype in ("bfloat16", "float16"):  # a chain rounds once, at its end; step by step every result is rounded
        np.testing.assert_allclose(got, want, rtol=2**-7 if dtype == "bfloat16" else 2**-10)
        return
    np.testing.assert_array_equal(got.view("uint32")[~np.isnan(got)], want.view("uint32")[~np.isnan(want)])


def both(function, *arrays):
    """The first output, optimised and unoptimised."""
    found = []
    for on in (True, False):
        _core.set_passes(on)
        try:
            with _core.Trace() as trace:
                xs = [trace.input(list(a.shape), str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
                found.append(trace.compile([function(*xs)]).numpy(*arrays)[0])
        finally:
            _core.set_passes(True)
    return found


# ---- moves


def test_moves_that_do_nothing_go():
    for function in (
        lambda x: k.reshape(x, [-1, 4, 6]),
        lambda x: k.transpose(x, [0, 1, 2]),
        lambda x: k.transpose(k.transpose(x, [0, 2, 1]), [0, 2, 1]),
        lambda x: x[:, 0:4],
        lambda x: k.concatenate([x], 1),
        lambda x: k.concatenate([x[:, :1], x[:, 1:3], x[:, 3:]], 1),
        lambda x: k.flip(k.flip(x, 1), 1),
        lambda x: k.pad(x, [[0, 0], [0, 0], [0, 0]]),
        lambda x: k.reshape(k.reshape(x, [-1, 24]), [-1, 4, 6]),
        lambda x: _core.broadcast_to(x, shape=[-1, 4, 6]),
    ):
        assert one(function, ("batch", 4, 6)) == []


def test_two_moves_become_one():
    shape = ("batch", 4, 6)
    assert nodes(lambda x: k.reshape(k.reshape(x, [-1, 24]), [-1, 8, 3]), shape, passes="recognize")[0].startswith(
        "reshape(%0"
    )
    assert one(lambda x: k.transpose(k.transpose(x, [1, 0, 2]), [0, 2, 1]), shape) == ["transpose"]
    assert one(lambda x: x[:, 1:][:, :2], shape) == ["slice"]
    assert one(lambda x: k.concatenate([k.concatenate([x, x + 1.0], 1), x], 1), shape) == ["add", "concatenate"]
    assert one(lambda x: k.max(k.max(x, 2, keepdims=True), 1), shape) == ["max", "reshape"]


def test_a_transpose_of_ones_is_a_reshape():
    assert one(lambda x: k.transpose(x, [0, 3, 1, 2]), ("batch", 1, 1, 8)) == ["reshape"]


def test_moves_that_do_something_stay():
    shape = ("batch", 4, 4)
    assert one(lambda x: k.transpose(x, [0, 2, 1]), shape) == ["transpose"]
    assert one(lambda x: x[:, 1:], shape) == ["slice"]
    assert one(lambda x: k.concatenate([x[:, 2:], x[:, :2]], 1), shape) == ["slice", "slice", "concatenate"]
    assert one(lambda x: k.concatenate([x[:, :2], x[:, :2]], 1), shape) == ["slice", "concatenate"]
    assert one(lambda x: k.sum(k.sum(x, 2, keepdims=True), 1), shape) == ["sum", "sum"]  # would round otherwise


def test_a_swapped_operand_is_a_flag_of_the_product():
    got = nodes(lambda x, w: k.matmul(x, k.transpose(w)), ("batch", 4), (8, 4), passes="recognize")
    assert got[0] == "matmul(%0, %1, transpose_a=false, transpose_b=true)"
    got = nodes(lambda x, w: k.matmul(k.transpose(x), w), (4, "batch"), (4, 8), passes="recognize")
    assert got[0] == "matmul(%0, %1, transpose_a=true, transpose_b=false)"


# ---- equal and unused nodes


def test_equal_nodes_are_one_and_unused_ones_are_gone():
    def function(x):
        k.exp(x)
        return k.tanh(x) * k.tanh(x * 1.0)

    assert nodes(function, ("batch", 8), passes="recognize") == ["tanh(%0)", "multiply(%1, %1)", "return %2"]


def test_equal_constants_are_one():
    assert one(lambda x: (x * 2.5) + (x * 2.5)) == ["multiply", "add"]


def test_nodes_that_differ_in_a_parameter_stay_two():
    assert one(lambda x: k.softmax(x, -1) + k.softmax(x, 0), (4, 8)) == ["softmax", "softmax", "add"]
