"""Graphs and what becomes of them: text form, passes, plans, sizes, state."""

import re

import numpy as np
import pytest

from maas import _core


def _trace(function, *shapes):
    with _core.Trace() as trace:
        inputs = [trace.input(list(s), name=f"x{i}") for i, s in enumerate(shapes)]
        outputs = function(*inputs)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        return trace.graph(outputs), trace.compile(outputs)


def _steps(program):
    return re.findall(r"^step \d+: (\S+)", program.plan, re.M)


def _prepared(program):
    return re.findall(r"^prepare \d+: (\S+)", program.plan, re.M)


def test_a_graph_prints_as_text():
    text, _ = _trace(lambda x: _core.softmax(_core.add(x, 1.0), axis=-1), ("batch", 4))
    assert text.splitlines() == [
        "%0 = input 'x0' : float32(None, 4)",
        "%1 = constant 1 : float32()",
        "%2 = add(%0, %1) : float32(None, 4)",
        "%3 = softmax(%2, axis=-1, log=false) : float32(None, 4)",
        "return %3",
    ]


def test_equal_nodes_become_one():
    _, program = _trace(lambda x: [_core.softmax(x), _core.softmax(x) * 2.0], (3, 4))
    assert _steps(program).count("softmax") == 1


def test_what_nobody_needs_is_not_run():
    def f(x):
        _core.softmax(x)
        return _core.exp(x)

    assert _steps(_trace(f, (3, 4))[1]) == ["chain"]


def test_elementwise_work_fuses_into_one_chain():
    _, program = _trace(lambda x, y: _core.tanh(x * y + 1.0) - y, (5, 6), (6,))
    assert _steps(program) == ["chain"]


def test_a_chain_moves_into_the_product_before_it():
    w, b = _core.Variable(np.ones((4, 3), "float32")), _core.Variable(np.ones(3, "float32"))
    _, program = _trace(lambda x: _core.relu(_core.matmul(x, w) + b.value), ("batch", 4))
    assert _steps(program) == ["gemm"] and _prepared(program) == ["gemm_pack"]


def test_a_value_that_is_read_twice_is_not_fused_away():
    w = _core.Variable(np.ones((4, 3), "float32"))

    def f(x):
        y = _core.matmul(x, w)
        return [_core.relu(y), y]

    text, program = _trace(f, ("batch", 4))
    relu, y = program.numpy(-np.ones((2, 4), "float32"))
    assert (relu == 0).all() and (y == -4).all()


def test_weights_are_prepared_once_and_again_after_a_write():
    w = _core.Variable(np.ones((4, 3), "float32"))
    _, program = _trace(lambda x: _core.matmul(x, w), ("batch", 4))
    x = np.ones((2, 4), "float32")
    assert (program.numpy(x)[0] == 4).all()
    w.assign(np.full((4, 3), 2, "float32"))
    assert (program.numpy(x)[0] == 8).all()


def test_one_program_serves_every_batch():
    w = _core.Variable(np.random.default_rng(0).normal(size=(4, 3)).astype("float32"))
    _, program = _trace(lambda x: _core.softmax(_core.matmul(x, w)), ("batch", 4))
    x = np.random.default_rng(1).normal(size=(70, 4)).astype("float32")
    whole = program.numpy(x)[0]
    for n in (0, 1, 2, 63, 64, 65, 70, 3):
        assert program.numpy(x[:n])[0].tobytes() == whole[:n].tobytes()


def test_sizes_are_checked_when_they_are_bound():
    _, program = _trace(lambda x, y: x + y, ("batch", 4), ("batch", 4))
    with pytest.raises(ValueError, match=r"axis 0 of input 'x1' must be 2.*received \(3, 4\)"):
        program(np.ones((2, 4), "float32"), np.ones((3, 4), "float32"))
    with pytest.raises(ValueError, match=r"2 inputs are needed, received 1"):
        program(np.ones((2, 4), "float32"))
    with pytest.raises(TypeError, match="must be float32, received float64"):
        program(np.ones((2, 4)), np.ones((2, 4), "float32"))


def test_state_is_written_together_at_the_end():
    a, b = _core.Variable(np.float32([1, 2])), _core.Variable(np.float32([10, 20]))
    with _core.Trace() as trace:
        old_a, old_b = a.value, b.value
        a.assign(old_b + 1.0)  # each is made from the other's value of before
        b.assign(old_a * 2.0)
        program = trace.compile([old_a + old_b])
    assert program.numpy()[0].tolist() == [11, 22]
    assert a.numpy().tolist() == [11, 21] and b.numpy().tolist() == [2, 4]


def test_a_failed_run_writes_nothing():
    table, count = _core.Variable(np.ones((3, 2), "float32")), _core.Variable(np.zeros((), "int32"))
    with _core.Trace() as trace:
        index = trace.input(["n"], "int32")
        rows = _core.take(table, index, axis=0)
        count.assign(count.value + 1)
        table.assign(table.value * 2.0)
        program = trace.compile([rows])
    with pytest.raises(IndexError, match="take: index out of range at flat position 1, received 7"):
        program(np.int32([0, 7]))
    assert count.numpy() == 0 and (table.numpy() == 1).all()
    program(np.int32([0, 2]))
    assert count.numpy() == 1 and (table.numpy() == 2).all()


def test_views_cost_nothing():
    def f(x):
        y = _core.transpose(_core.reshape(x, shape=[-1, 2, 3]), axes=[0, 2, 1])
        return _core.exp(_core.slice(y, begin=[0, 1, 0], end=[y.dims[0], 3, 2], step=[1, 1, 1]))

    _, program = _trace(f, ("batch", 6))
    assert _steps(program) == ["chain"]
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    want = np.exp(x.reshape(5, 2, 3).transpose(0, 2, 1)[:, 1:])
    np.testing.assert_allclose(program.numpy(x)[0], want, rtol=1e-6)


def test_outputs_own_their_memory():
    _, program = _trace(lambda x: [x, x, _core.reshape(x, shape=[-1])], (2, 3))
    x = np.ones((2, 3), "float32")
    a, b, c = program.numpy(x)
    a[0, 0] = 5
    assert x[0, 0] == 1 and b[0, 0] == 1 and c[0] == 1


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_give_the_same_fused_and_step_by_step(seed):
    rng = np.random.default_rng(seed)
    unary = ["tanh", "sigmoid", "relu", "negative", "square", "exp"]
    binary = ["add", "multiply", "subtract", "maximum"]
    recipe = []
    for i in range(14):
        if rng.random() < 0.15:
            recipe.append(("softmax", int(rng.integers(0, i + 2))))
        elif rng.random() < 0.5:
            recipe.append((str(rng.choice(unary)), int(rng.integers(0, i + 2))))
        else:
            recipe.append((str(rng.choice(binary)), int(rng.integers(0, i + 2)), int(rng.integers(0, i + 2))))

    def f(x, y):
        values = [x, y]
        for name, *at in recipe:
            z = getattr(_core, name)(*(values[i] for i in at))
            values.append(_core.minimum(z, 3.0))  # keeps exp and square from growing without bound
        return [values[-1], values[-4], values[-9]]

    x, y = rng.normal(size=(6, 10)).astype("float32"), rng.normal(size=(10,)).astype("float32")
    _, program = _trace(f, ("batch", 10), (10,))
    for got, want in zip(program.numpy(x, y), f(_core.Tensor(x), _core.Tensor(y))):
        assert got.tobytes() == np.asarray(want).tobytes()


def test_reshape_follows_symbolic_sizes():
    _, program = _trace(lambda x: _core.reshape(x, shape=[-1, 3]), ("batch", "time", 6))
    assert program.numpy(np.zeros((2, 5, 6), "float32"))[0].shape == (20, 3)
    with pytest.raises(ValueError, match="does not fit|do not fill"):
        _trace(lambda x: _core.reshape(x, shape=[5, 3]), ("batch", 6))


def test_sizes_compute():
    with _core.Trace() as trace:
        x = trace.input(["batch", 4])
        n = x.dims[0]
        assert n + n == n * 2 and (n * 6) // 2 == n * 3 and (n + 1) * 2 - 2 == n * 2
        assert n != n + 1 and n * 0 == 0
        y = _core.broadcast_to(_core.Tensor(np.float32(1)), shape=[n * 2 + 1])
        program = trace.compile([y])
    assert program.numpy(np.zeros((3, 4), "float32"))[0].shape == (7,)
