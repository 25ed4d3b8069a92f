"""Programs whose rows do not know of each other run a few rows at a time; the others do not."""

import numpy as np
import pytest

import maas
from maas import _core, layers, ops


def draw(*shape, dtype="float32"):
    rng = np.random.default_rng(sum(shape))
    return rng.integers(0, 5, shape).astype(dtype) if dtype == "int32" else rng.normal(size=shape).astype(dtype)


def program_of(function, *shapes, dtype="float32"):
    """A program whose inputs all have the same open number of rows."""
    with _core.Trace() as trace:
        values = [trace.input(("b", *shape), dtype, f"x{i}") for i, shape in enumerate(shapes)]
        y = function(*values)
        return trace.compile(list(y) if isinstance(y, (list, tuple)) else [y])


TABLE, WEIGHT, SQUARE = draw(5, 16), draw(16, 8), draw(6, 6)
APART = {
    "elements": (lambda x, y: ops.tanh(x) * y + 1.0, [(16,), (16,)]),
    "a row for all": (lambda x: x + TABLE[0], [(16,)]),
    "product": (lambda x: ops.matmul(x, WEIGHT), [(16,)]),
    "product of more axes": (lambda x: ops.matmul(x, WEIGHT), [(6, 16)]),
    "products of rows": (lambda x, y: ops.matmul(x, ops.transpose(y, (0, 2, 1))), [(6, 16), (5, 16)]),
    "softmax": (ops.softmax, [(16,)]),
    "sum": (lambda x: ops.sum(x, axis=(1, 2)), [(6, 16)]),
    "mean of the last axis": (lambda x: ops.mean(x, axis=-1, keepdims=True), [(16,)]),
    "reshape": (lambda x: ops.reshape(x, (-1, 8)), [(16,)]),
    "reshape and back": (lambda x: ops.reshape(ops.softmax(ops.reshape(x, (-1, 8))), (-1, 16)), [(16,)]),
    "transpose": (lambda x: ops.transpose(x, (0, 2, 1)), [(6, 16)]),
    "slice": (lambda x: x[:, 2:5], [(16,)]),
    "concatenate": (lambda x, y: ops.concatenate([x, y], axis=1), [(16,), (6,)]),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 2))), [(16,)]),
    "flip": (lambda x: ops.flip(x, axis=1), [(16,)]),
    "two results": (lambda x: (ops.exp(x), ops.max(x, axis=1)), [(16,)]),
    "attention": (lambda x: ops.dot_product_attention(x, x, x), [(6, 2, 16)]),
    "layer norm": (lambda x: ops.layer_normalization(x), [(16,)]),
    "convolution": (lambda x: ops.conv(x, np.ones((3, 3, 2, 4), "float32"), padding="same"), [(6, 6, 2)]),
    "depthwise": (lambda x: ops.depthwise_conv(x, np.ones((3, 3, 2, 1), "float32")), [(6, 6, 2)]),
    "groups": (lambda x: ops.conv(x, np.ones((3, 3, 2, 8), "float32")), [(6, 6, 4)]),
    "depthwise, twice the channels": (
        lambda x: ops.depthwise_conv(x, np.ones((3, 3, 2, 2), "float32")),
        [(6, 6, 2)],
    ),
    "pooling": (lambda x: ops.max_pool(x, 2), [(6, 6, 2)]),
}
MIXED = {
    "sum of rows": lambda x: ops.sum(x, axis=0),
    "against the mean of rows": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "against the mean of all": lambda x: x - ops.mean(x),
    "product of rows": lambda x: ops.matmul(x, ops.transpose(x)),
    "product over rows": lambda x: ops.matmul(ops.transpose(x), x),
    "softmax over rows": lambda x: ops.softmax(x, axis=0),
    "cumulated rows": lambda x: ops.cumsum(x, axis=0),
    "turned rows": lambda x: ops.flip(x, axis=0),
    "all but one row": lambda x: x[1:],
    "twice the rows": lambda x: ops.concatenate([x, x], axis=0),
    "rows by number": lambda x: ops.take(x, np.int32([0, 0]), axis=0),
    "sorted rows": lambda x: ops.sort(x, axis=0),
    "columns first": lambda x: ops.transpose(x),
    "size of the batch": lambda x: x / ops.cast(ops.shape(x)[0], "float32"),
    "a row of noise": lambda x: x + maas.random.normal(ops.shape(x), seed=3),
    "one result for all": lambda x: (x, ops.max(x)),
    "first row": lambda x: x - x[:1],
}


@pytest.mark.parametrize("name", APART)
def test_rows_that_do_not_know_of_each_other(name):
    function, shapes = APART[name]
    program = program_of(function, *shapes)
    assert program.rows_are_apart
    for rows in (1, 2, 7):
        x = [draw(rows, *shape) for shape in shapes]
        whole = program.numpy(*x)
        for i in range(rows):
            one = program.numpy(*[np.ascontiguousarray(v[i : i + 1]) for v in x])
            for a, b in zip(whole, one):
                np.testing.assert_array_equal(a[i * len(b) : (i + 1) * len(b)], b)


@pytest.mark.parametrize("name", MIXED)
def test_rows_that_do(name):
    assert not program_of(MIXED[name], (16,)).rows_are_apart


def test_rows_of_a_table():
    program = program_of(lambda i: ops.take(TABLE, i, axis=0), (3,), dtype="int32")
    assert program.rows_are_apart
    i = draw(7, 3, dtype="int32")
    np.testing.assert_array_equal(program.numpy(i)[0], TABLE[i])


def network():
    x = layers.Input((40, 40, 8))
    y = layers.Conv2D(64, 3, activation="relu", padding="same")(x)
    y = layers.MaxPooling2D()(y)
    y = layers.Add()([layers.Conv2D(64, 3, padding="same")(y), y])
    y = layers.LayerNormalization()(layers.DepthwiseConv2D(3)(y))
    y = layers.Flatten()(y)
    return maas.Model(x, [layers.Dense(10, activation="softmax")(y), layers.Dense(1)(y)])


@pytest.fixture
def heavy():
    """A program that is worth parts, and its input of so many rows."""
    model = network()
    program = program_of(lambda x: model(x), (40, 40, 8))
    return program, lambda rows: draw(rows, 40, 40, 8)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [16, 21, 32, 45])
def test_parts_change_no_bit(heavy, threads, rows):
    program, input_of = heavy
    x, before = input_of(rows), _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        assert program.rows_at_once([x]) < rows
        whole = program.numpy(x)
        for seed in (1, 2):
            for a, b in zip(whole, program.run_cut([x], seed)):
                np.testing.assert_array_equal(a, b)
    finally:
        _core.set_num_threads(before)
    for i in (0, rows // 2, rows - 1):
        assert program.rows_at_once([x[i : i + 1]]) == 1
        for a, b in zip(whole, program.numpy(np.ascontiguousarray(x[i : i + 1]))):
            np.testing.assert_array_equal(a[i], b[0])


def test_small_work_stays_in_one_part():
    program = program_of(lambda x: ops.relu(ops.matmul(x, WEIGHT)), (16,))
    x = draw(32, 16)
    assert program.rows_are_apart and program.rows_at_once([x]) == 32


def test_a_bad_index_is_named_as_it_lies_in_the_whole_batch():
    model = maas.Sequential([layers.Input((64,), dtype="int32"), layers.Embedding(50, 256, name="words")])
    model.add(layers.Dense(512))
    program = program_of(lambda i: model(i), (64,), dtype="int32")
    x = draw(64, 64, dtype="int32")
    assert program.rows_at_once([x]) < 64
    fine = program.numpy(x)[0]
    bad = x.copy()
    bad[61, 5] = 77
    with pytest.raises(IndexError, match=rf"'words'.*received 77 \(flat position {61 * 64 + 5} in the batch\)"):
        program.numpy(bad)
    np.testing.assert_array_equal(program.numpy(x)[0], fine)


def test_profiles_count_what_all_threads_did(heavy):
    program, input_of = heavy
    rows = program.profile([input_of(16)], repeats=3)
    assert all(row["us"] > 0 for row in rows)
    assert max(len(row["workers"]) for row in rows) == min(_core.get_num_threads(), 16)
