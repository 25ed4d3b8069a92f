"""Shapes that depend on values: NumPy is the oracle; programs with them run in segments."""

import numpy as np
import pytest

import maas
from maas import _core, ops, tree

rng = np.random.default_rng(5)


def compiled(f, *arrays, shapes=None):
    with _core.Trace() as trace:
        inputs = [
            trace.input(a.shape if shapes is None else shapes[i], str(a.dtype), f"x{i}") for i, a in enumerate(arrays)
        ]
        outputs = [ops.convert_to_tensor(y) for y in tree.flatten(f(*inputs))]
        return trace.compile(outputs)


def both(f, *arrays):
    """Results of f traced (sizes open) and at once."""
    traced = compiled(f, *arrays, shapes=[(None,) * a.ndim for a in arrays]).numpy(*arrays)
    eager = [np.asarray(y) for y in tree.flatten(f(*[_core.Tensor(a) for a in arrays]))]
    for a, b in zip(traced, eager):
        np.testing.assert_array_equal(a, b)
    return traced


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "float64", "int8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (0, 3), (1,)])
def test_nonzero(dtype, shape):
    x = rng.integers(-1, 2, shape).astype(dtype)
    for f in (ops.nonzero, ops.where):
        for got, want in zip(both(f, x), np.nonzero(x)):
            np.testing.assert_array_equal(got, want)
            assert got.dtype == np.int32
    assert both(ops.nonzero, np.zeros((3, 2), "float32"))[0].shape == (0,)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool", "float64", "int64"])
def test_unique(dtype):
    for shape in [(11,), (4, 5), (0,), (1,)]:
        x = rng.integers(0, 6, shape).astype(dtype)
        values, index, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
        got = both(lambda v: ops.unique(v, return_index=True, return_inverse=True, return_counts=True), x)
        for a, b in zip(got, (values, index, inverse.reshape(x.shape), counts)):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(both(ops.unique, x)[0], values)


def test_unique_of_nan_and_infinities():
    x = np.array([np.nan, 1, -np.inf, np.nan, np.inf, 1, -0.0, 0.0], "float32")
    np.testing.assert_array_equal(both(ops.unique, x)[0], np.unique(x))


def test_unique_of_a_given_size():
    x = np.array([3, 1, 3, 2], "int32")
    f = lambda n, fill=None: np.asarray(ops.unique(x, size=n, fill_value=fill))  # noqa: E731
    np.testing.assert_array_equal(f(2), [1, 2])
    np.testing.assert_array_equal(f(5), [1, 2, 3, 1, 1])
    np.testing.assert_array_equal(f(5, 9), [1, 2, 3, 9, 9])


def test_boolean_masks():
    x = rng.normal(size=(4, 3, 5)).astype("float32")
    for mask in (rng.random(4) > 0.5, rng.random((4, 3)) > 0.5, rng.random((4, 3, 5)) > 0.5, np.zeros(4, bool)):
        np.testing.assert_array_equal(both(lambda v, m: v[m], x, mask)[0], x[mask])
    mask = rng.random(3) > 0.3
    np.testing.assert_array_equal(both(lambda v, m: v[:, m], x, mask)[0], x[:, mask])
    np.testing.assert_array_equal(both(lambda v, m: v[..., m, 1:3], x, mask)[0], x[..., mask, 1:3])
    with pytest.raises(IndexError, match=r"mask must fit.*received \(3,\)"):
        _core.Tensor(x)[np.ones(3, bool)]


def test_what_follows_uses_the_size():
    def f(x):
        kept = x[x > 0]
        n = ops.shape(kept)[0]
        again = kept[kept > ops.mean(kept)]  # a size that depends on a size
        return kept, ops.arange(n), ops.sum(kept) / n, ops.concatenate([again, kept], axis=0), x * 2, ops.ones((n, 2))

    program = compiled(f, np.zeros(3, "float32"), shapes=[(None,)])
    for size in (1, 5, 40, 200):
        x = np.abs(rng.normal(size=size)).astype("float32") * np.where(np.arange(size) % 3, 1, -1).astype("float32")
        if not (x > 0).any():
            x[0] = 1.0
        kept = x[x > 0]
        again = kept[kept > kept.mean()]
        expected = (
            kept,
            np.arange(len(kept)),
            kept.mean(),
            np.concatenate([again, kept]),
            x * 2,
            np.ones((len(kept), 2)),
        )
        for got, want in zip(program.numpy(x), expected):
            np.testing.assert_allclose(got, want, rtol=2e-6)


def test_gradients_flow_through_the_values():
    def f(x):
        y = x[x > 0]
        return _core.gradients(ops.sum(y * y * y), [x])

    x = rng.normal(size=(6, 3))
    np.testing.assert_allclose(compiled(f, x).numpy(x)[0], np.where(x > 0, 3 * x * x, 0), rtol=1e-12)


def test_state_changes_at_the_end_or_not_at_all():
    total, table = _core.Variable(np.float32(0)), _core.Variable(np.arange(4, dtype="float32"))
    with _core.Trace() as trace:
        x = trace.input((None,), "int32")
        total.assign(total.value + 1.0)
        kept = x[x >= 0]
        y = ops.sum(ops.take(table.value, kept, axis=0))
        program = trace.compile([y, total.value])
    assert [float(v) for v in program.numpy(np.array([-5, 2, 3], "int32"))] == [5.0, 1.0]
    with pytest.raises(IndexError, match="take.*received 7"):
        program.numpy(np.array([7, -1], "int32"))
    assert total.numpy() == 1.0
    program.numpy(np.array([-1], "int32"))
    assert total.numpy() == 2.0


def test_in_models():
    class Positive(maas.layers.Layer):
        def call(self, x):
            rows = ops.sum(x, axis=1) > 0
            return x[rows]

    inputs = maas.Input((3,))
    model = maas.Model(inputs, maas.layers.Dense(2)(Positive()(inputs)))
    w, b = model.get_weights()
    for n in (1, 4, 9):
        x = rng.normal(size=(n, 3)).astype("float32")
        np.testing.assert_allclose(model(x), x[x.sum(1) > 0] @ w + b, rtol=1e-4, atol=1e-5)
    # In a training step: the loss sees only the rows that count.

    class OnlyPositive(maas.Model):
        def __init__(self):
            super().__init__()
            self.dense = maas.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with maas.GradientTape() as tape:
                rows = y[:, 0] > 0
                loss = ops.mean((self(x[rows]) - y[rows]) ** 2)
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    x = rng.normal(size=(64, 3)).astype("float32")
    y = np.where(rng.random((64, 1)) > 0.5, x @ np.float32([[1], [2], [3]]), -1).astype("float32")
    model = OnlyPositive()
    model.compile(maas.optimizers.Adam(0.1))
    history = model.fit(x, y, epochs=60, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.05 * history[0]


def test_not_inside_branches_and_loops():
    with pytest.raises(NotImplementedError, match="depends on values.*outside branches and loops"):
        compiled(lambda x: ops.map(lambda v: ops.sum(v[v > 0]), x), np.zeros((2, 3), "float32"))


def test_threads_share_a_segmented_program():
    import threading

    program = compiled(lambda x: ops.cumsum(x[x > 0]) * 2, np.zeros(3), shapes=[(None,)])
    data = [rng.normal(size=n) for n in range(1, 40)]
    expected = [program.numpy(x)[0] for x in data]
    wrong = []

    def work():
        for x, want in zip(data * 5, expected * 5):
            if not np.array_equal(program.numpy(x)[0], want):
                wrong.append(len(x))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong
