"""Casts cancel where nothing is lost, stay where they round, and move to where they touch less."""

import numpy as np
import pytest

from maas import _core
from maas import ops as k
from tests.graph.test_simplify import both
from tests.graph.text import nodes, ops


def casts(*dtypes):
    def function(x):
        for d in dtypes:
            x = k.cast(x, d)
        return x

    return function


GOES = [
    ("bfloat16", "float32", "bfloat16"),
    ("float16", "float32", "float16"),
    ("float32", "float64", "float32"),
    ("int8", "float32", "int8"),
    ("int32", "int64", "int32"),
    ("uint8", "int32", "uint8"),
    ("bool", "float32", "bool"),
]
MERGES = [
    (("bfloat16", "float32", "float64"), "cast(%0, dtype=float64)"),
    (("int8", "int32", "float32"), "cast(%0, dtype=float32)"),
    (("float32", "float64", "bool"), "cast(%0, dtype=bool)"),
]
STAYS = [
    ("float32", "bfloat16", "float32"),
    ("float32", "float16", "float32"),
    ("float64", "float32", "float64"),
    ("int32", "float32", "int32"),
    ("int64", "int32", "int64"),
    ("float16", "bfloat16", "float16"),
    ("float32", "float64", "int32"),
]


def shown(dtypes):
    return nodes(casts(*dtypes[1:]), ("batch", 4), dtype=dtypes[0], passes="precision")[:-1]


@pytest.mark.parametrize("dtypes", GOES)
def test_a_cast_that_loses_nothing_goes(dtypes):
    assert shown(dtypes) == []


@pytest.mark.parametrize("dtypes, want", MERGES)
def test_two_casts_become_one(dtypes, want):
    assert shown(dtypes) == [want]


@pytest.mark.parametrize("dtypes", STAYS)
def test_a_cast_that_rounds_stays(dtypes):
    assert len(shown(dtypes)) == 2


def test_casts_cancel_across_views():
    def function(x):
        return k.cast(k.transpose(k.reshape(k.cast(x, "float32"), [-1, 2, 3]), [0, 2, 1]), "bfloat16")

    assert ops(function, ("batch", 6), dtype="bfloat16", passes="precision") == ["reshape", "transpose"]


def test_a_part_is_cast_after_it_was_taken():
    def part(x):
        return _core.slice(k.cast(x, "float32"), begin=[0, 0], end=[4, 2], step=[1, 1])

    assert ops(part, (4, 8), dtype="bfloat16", passes="precision") == ["slice", "cast"]
    index = np.array([1, 2], "int32")
    assert ops(lambda x: k.take(k.cast(x, "bfloat16"), index, axis=0), (100, 8), passes="precision") == ["take", "cast"]


def test_a_value_that_is_repeated_is_cast_before():
    found = ops(
        lambda x: k.cast(_core.broadcast_to(x, shape=[-1, 64]), "float32"), ("batch", 1), dtype="bfloat16",
        passes="precision",
    )  # fmt: skip
    assert found == ["cast", "broadcast_to"]


def test_a_cast_that_others_read_stays_where_it_is():
    def function(x):
        y = k.cast(x, "float32")
        return [y[:, :2], k.tanh(y)]

    assert ops(function, ("batch", 8), dtype="bfloat16", passes="precision").count("cast") == 1


@pytest.mark.parametrize("dtypes", [*GOES, *STAYS, *(m for m, _ in MERGES)])
def test_not_a_bit_changes(dtypes):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3, 40)) * 100).astype("float32")
    x[0, :6] = [0.0, -0.0, 65504.0, 1e-7, -3e-5, 1e30 if dtypes[0][0] in "fb" else 7]
    function = casts(*dtypes)
    if any(d.startswith(("int", "uint")) for d in dtypes):
        x = np.abs(x) % 100  # floats that the integers hold
    got, want = both(lambda x: k.cast(function(x), "float64"), x)
    np.testing.assert_array_equal(got.view("int64"), want.view("int64"))


def test_weights_are_cast_once():
    """A cast of a parameter is prepared with its panels, not made by every run."""
    w = _core.Variable(np.ones((8, 4), "float32"))
    with _core.Trace() as trace:
        x = trace.input(["batch", 8], "bfloat16", "x")
        program = trace.compile([k.matmul(x, k.cast(w.value, "bfloat16"))])
    steps = [line for line in program.plan.splitlines() if line.startswith("step")]
    assert not any("(8, 4)" in line for line in steps)
