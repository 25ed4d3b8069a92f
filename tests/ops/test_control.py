"""Branches and loops: real Keras (JAX backend) says what they mean, NumPy and finite differences check the rest."""

import os

import numpy as np
import pytest

from maas import _core, ops, tree

os.environ.setdefault("KERAS_BACKEND", "jax")


def keras_ops():
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "jax":
        pytest.skip("the oracle is Keras with the JAX backend")
    return keras.ops


def traced(f, *arrays, shapes=None):
    """f compiled as one program, run on the arrays; nested results as NumPy."""
    with _core.Trace() as trace:
        inputs = [
            trace.input(a.shape if shapes is None else shapes[i], str(a.dtype), f"x{i}") for i, a in enumerate(arrays)
        ]
        result = f(*inputs)
        flat = [ops.convert_to_tensor(x) for x in tree.flatten(result)]
        program = trace.compile(flat)
    return tree.pack_sequence_as(result, program.numpy(*arrays))


def eager(f, *arrays):
    return tree.map_structure(lambda x: np.asarray(ops.convert_to_tensor(x)), f(*[_core.Tensor(a) for a in arrays]))


def same(a, b, tolerance=2e-6):
    tree.assert_same_structure(a, b)
    for x, y in zip(tree.flatten(a), tree.flatten(b)):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape and x.dtype == y.dtype, (x.shape, y.shape, x.dtype, y.dtype)
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def against_keras(make, *arrays):
    """`make(ops)` gives the function; here traced and eagerly, and in Keras."""
    k = keras_ops()
    expected = tree.map_structure(np.asarray, make(k)(*[k.convert_to_tensor(a) for a in arrays]))
    same(traced(make(ops), *arrays), expected)
    same(eager(make(ops), *arrays), expected)


rng = np.random.default_rng(3)
X = rng.normal(size=(5, 3)).astype("float32")
H = rng.normal(size=(3,)).astype("float32")
W = (rng.normal(size=(3, 3)) * 0.4).astype("float32")


@pytest.mark.parametrize("flag", [True, False])
def test_cond(flag):
    def make(k):
        return lambda p, x, w: k.cond(
            p, lambda: {"a": k.matmul(x, w), "b": (k.sum(x),)}, lambda: {"a": x * 2.0, "b": (k.max(x),)}
        )

    against_keras(make, np.asarray(flag), X, W)


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
def test_switch(index):
    def make(k):
        return lambda i, x: k.switch(i, [lambda v: v + 1.0, lambda v: v * 3.0, lambda v: -v], x)

    against_keras(make, np.asarray(index, "int32"), X)


@pytest.mark.parametrize("maximum", [None, 3, 0])
def test_while_loop(maximum):
    def make(k):
        def f(x):
            return k.while_loop(
                lambda i, v, n: i < 6,
                lambda i, v, n: (i + 1, v * 1.5 + k.cast(i, "float32"), {"sum": n["sum"] + k.sum(v)}),
                (k.convert_to_tensor(0), x, {"sum": k.sum(x) * 0}),
                maximum_iterations=maximum,
            )

        return f

    against_keras(make, X)


def test_while_loop_of_one_tensor():
    against_keras(lambda k: lambda x: k.while_loop(lambda v: k.sum(v) < 100.0, lambda v: v * 2.0, k.abs(x)), X)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse):
    def make(k):
        def step(carry, x):
            h = k.tanh(k.matmul(k.reshape(carry["h"], (1, 3)), W)[0] + x["x"])
            return {"h": h, "n": carry["n"] + 1}, (h * 2.0, k.sum(x["y"]))

        return lambda h, x, y: k.scan(step, {"h": h, "n": k.convert_to_tensor(0)}, {"x": x, "y": y}, reverse=reverse)

    against_keras(make, H, X, X.astype("int32"))


def test_scan_without_xs():
    against_keras(lambda k: lambda x: k.scan(lambda c, _: (c * 1.25, k.sum(c)), x, length=4), X)


def test_scan_of_no_steps():
    with_none = traced(lambda x: ops.scan(lambda c, v: (c + v, c * 2.0), H, x), X[:0])
    same(with_none, (H, np.zeros((0, 3), "float32")))
    same(eager(lambda x: ops.scan(lambda c, v: (c + v, c * 2.0), H, x), X[:0]), (H, np.zeros((0, 3), "float32")))


def test_map():
    against_keras(lambda k: lambda x: k.map(lambda v: (k.sum(v), {"s": v * v}), x), X)
    against_keras(lambda k: lambda x, y: k.map(lambda v: v[0] + k.sum(v[1]), [x, y]), X, X * 2)
    against_keras(lambda k: lambda x: k.vectorized_map(lambda v: k.max(v) - v, x), X)


def test_fori_loop():
    against_keras(lambda k: lambda x: k.fori_loop(2, 7, lambda i, v: v + k.cast(i, "float32") * x, x), X)
    against_keras(lambda k: lambda n, x: k.fori_loop(0, n, lambda i, v: v * 1.5, x), np.asarray(4, "int32"), X)
    against_keras(lambda k: lambda x: k.fori_loop(5, 2, lambda i, v: v * 2.0, x), X)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(n, reverse):
    x = rng.normal(size=(2, n, 3)).astype("float32")
    against_keras(lambda k: lambda v: k.associative_scan(lambda a, b: a + b, v, reverse=reverse, axis=1), x)
    against_keras(
        lambda k: (
            lambda v: k.associative_scan(
                lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (v, v * 2.0), reverse=reverse, axis=1 if reverse else -2
            )
        ),
        x,
    )


def test_loops_inside_loops():
    def make(k):
        def outer(c, row):
            inner = k.scan(lambda a, v: (a + v * k.sum(row), a), k.sum(c), row)
            flag = k.sum(row) > 0
            return c + inner[0], k.cond(flag, lambda: inner[1], lambda: inner[1] * c)

        return lambda h, x: k.scan(outer, h, x)

    against_keras(make, H, X)


# ---- gradients

XD, HD, WD = X.astype("float64"), H.astype("float64"), W.astype("float64")


def gradients_of(f, arrays, order=1):
    """Gradients of sum(f * ramp) for all arrays by the engine; `order` 2: of the sum of squares of the first."""

    def total(*xs):
        parts = [ops.sum(ops.sin(y)) for y in tree.flatten(f(*xs))]
        y = parts[0]
        for p in parts[1:]:
            y = y + p
        return y

    def result(*xs):
        y = total(*xs)
        if order == 2:
            ds = _core.gradients(y, list(xs))
            y = sum(ops.sum(d * d) for d in ds if d is not None)
        return [y] + [d if d is not None else ops.zeros_like(x) for d, x in zip(_core.gradients(y, list(xs)), xs)]

    return traced(result, *arrays)


def check_gradients(f, *arrays, order=(1, 2)):
    for o in order:
        value, *analytic = gradients_of(f, arrays, o)
        assert any(np.abs(a).max() > 1e-3 for a in analytic)
        with _core.Trace() as trace:
            inputs = [trace.input(a.shape, "float64", f"x{i}") for i, a in enumerate(arrays)]
            parts = [ops.sum(ops.sin(y)) for y in tree.flatten(f(*inputs))]
            y = sum(parts[1:], parts[0])
            if o == 2:
                y = sum(ops.sum(d * d) for d in _core.gradients(y, inputs) if d is not None)
            program = trace.compile([y])
        step = 1e-6
        for k, a in enumerate(arrays):
            numeric = np.zeros_like(a)
            for i in np.ndindex(a.shape):
                moved = [x.copy() for x in arrays]
                moved[k][i] += step
                up = program.numpy(*moved)[0]
                moved[k][i] -= 2 * step
                numeric[i] = (up - program.numpy(*moved)[0]) / (2 * step)
            np.testing.assert_allclose(analytic[k], numeric, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradient_of_cond(sign):
    def f(x, w):
        return ops.cond(ops.sum(x) * sign > -1e9 * sign, lambda: ops.tanh(ops.matmul(x, w)), lambda: x * x)

    check_gradients(f, XD, WD)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradient_of_scan(reverse):
    def f(h, x, w):
        def step(c, v):
            new = ops.tanh(ops.matmul(ops.reshape(c, (1, 3)), w)[0] + v)
            return new, new * c

        return ops.scan(step, h, x, reverse=reverse)

    check_gradients(f, HD, XD, WD)


def test_gradient_of_map():
    check_gradients(lambda x, w: ops.map(lambda v: ops.tanh(ops.matmul(ops.reshape(v, (1, 3)), w)), x), XD, WD)


def test_gradient_of_fori_loop():
    check_gradients(
        lambda x, w: ops.fori_loop(1, 4, lambda i, v: ops.tanh(ops.matmul(v, w)) * ops.cast(i, "float64"), x), XD, WD
    )


def test_gradient_of_while_loop():
    def f(x, w):
        return ops.while_loop(
            lambda i, v: ops.logical_and(i < 100, ops.sum(v * v) > 0.02),
            lambda i, v: (i + 1, ops.tanh(ops.matmul(v, w)) * 0.7),
            (0, x),
            maximum_iterations=12,
        )[1]

    check_gradients(f, XD, WD)


def test_gradient_of_loops_inside_loops():
    def f(h, x):
        def outer(c, row):
            inner, _ = ops.scan(lambda a, v: (ops.sin(a + v * c), a), c, row)
            return ops.cond(ops.sum(row) > 0, lambda: inner, lambda: inner * c), inner

        return ops.scan(outer, ops.sum(h), x)

    check_gradients(f, HD, XD)


def test_while_loop_gradient_needs_a_bound():
    with pytest.raises(NotImplementedError, match="while_loop.*maximum_iterations"), _core.Trace() as trace:
        x = trace.input((3,))
        y = ops.while_loop(lambda v: ops.sum(v) < 10.0, lambda v: v * 2.0, x)
        _core.gradients(ops.sum(y), [x])


# ---- state, errors, sizes, threads


def test_variables_read_and_written_in_bodies():
    v, w = _core.Variable(np.float32(2.0)), _core.Variable(np.ones(3, "float32"))
    with _core.Trace() as trace:
        x = trace.input((None, 3))

        def step(c, row):
            v.assign(v.value * 0.5)
            return c + row * w.value * v.value, v.value

        y, seen = ops.scan(step, ops.zeros((3,)), x)
        program = trace.compile([y, seen, v.value])
    y, seen, last = program.numpy(X)
    factors = 2.0 * 0.5 ** np.arange(1, 6)
    np.testing.assert_allclose(seen, factors)
    np.testing.assert_allclose(y, (X * factors[:, None]).sum(0), rtol=1e-5)
    assert last == factors[-1] and v.numpy() == factors[-1]

    count = _core.Variable(np.int32(0))
    with _core.Trace() as trace:
        flag = trace.input((), "bool")

        def taken():
            count.assign(count.value + 10)
            return count.value

        program = trace.compile([ops.cond(flag, taken, lambda: count.value)])
    for flag, expected in [(False, 0), (True, 10), (False, 10), (True, 20)]:
        assert program.numpy(np.asarray(flag))[0] == expected and count.numpy() == expected


def test_cond_of_while_must_not_write():
    v = _core.Variable(np.float32(2.0))
    with pytest.raises(ValueError, match="while_loop: cond must not write state.*'variable'"), _core.Trace() as trace:
        x = trace.input(())

        def condition(a):
            v.assign(a)
            return a < 3.0

        ops.while_loop(condition, lambda a: a + 1.0, x)


def test_gradient_for_a_variable_read_in_a_body():
    w = _core.Variable(WD)
    with _core.Trace() as trace:
        x = trace.input((5, 3), "float64")
        y, _ = ops.scan(lambda c, v: (ops.tanh(ops.matmul(c + v, w.value)), 0.0), ops.zeros((1, 3), "float64"), x)
        program = trace.compile(_core.gradients(ops.sum(y), [w, x]))
    dw, _ = program.numpy(XD)

    def loss(weights):
        c = np.zeros((1, 3))
        for row in XD:
            c = np.tanh((c + row) @ weights)
        return c.sum()

    for i in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[i] = 1e-6
        np.testing.assert_allclose(dw[i], (loss(WD + step) - loss(WD - step)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_bad_index_inside_a_body_leaves_state_untouched():
    table, count = _core.Variable(np.eye(4, dtype="float32")), _core.Variable(np.int32(0))
    with _core.Trace() as trace:
        i = trace.input((None,), "int32")
        count.assign(count.value + 1)
        y, _ = ops.scan(lambda c, k: (c + ops.take(table.value, k, axis=0), 0), ops.zeros((4,)), i)
        program = trace.compile([y])
    np.testing.assert_array_equal(program.numpy(np.array([0, 3, 3], "int32"))[0], [1, 0, 0, 2])
    with pytest.raises(IndexError, match="take.*received 9"):
        program.numpy(np.array([1, 9, 2], "int32"))
    assert count.numpy() == 1


def test_interrupt_inside_a_loop_leaves_state_untouched():
    import _thread
    import threading

    v = _core.Variable(np.float32(1.0))
    with _core.Trace() as trace:
        x = trace.input(())
        v.assign(v.value * 2.0)
        y = ops.while_loop(lambda a: a >= 0.0, lambda a: ops.sin(a) * ops.sin(a), x)
        program = trace.compile([y])
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        program.numpy(np.float32(0.5))
    assert v.numpy() == 1.0


def test_errors_name_the_op_and_what_came():
    with _core.Trace() as trace:
        x = trace.input((2, 3))
        with pytest.raises(ValueError, match=r"scan.*next carried value 0 must be float32\(2, 3\).*float32\(2,\)"):
            ops.scan(lambda c, _: (ops.sum(c, axis=1), c), x, length=2)
        with pytest.raises(TypeError, match=r"scan.*next carried value 0 must be float32\(2, 3\).*int32\(2, 3\)"):
            ops.scan(lambda c, _: (ops.cast(c, "int32"), c), x, length=2)
        with pytest.raises(ValueError, match="cond.*one structure"):
            ops.cond(ops.sum(x) > 0, lambda: x, lambda: (x, x))
        with pytest.raises(ValueError, match=r"cond.*one shape and dtype.*received"):
            ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.sum(x))
        with pytest.raises(ValueError, match="scan: without xs a length"):
            ops.scan(lambda c, _: (c, c), x)
        with pytest.raises(ValueError, match="one length"):
            ops.map(lambda v: v[0], [x, x[:1]])
        with pytest.raises(TypeError, match="ops.cond"):
            bool(ops.sum(x) > 0)
        with pytest.raises(ValueError, match="as many values as there are loop_vars, 2, received 1"):
            ops.while_loop(lambda a, b: True, lambda a, b: (a,), (x, x))


def test_unknown_sizes():
    def f(x, w):
        y, ys = ops.scan(lambda c, v: (c + ops.matmul(v, w), ops.sum(c)), ops.zeros((x.dims[1], 4)), x)
        return y, ys, ops.map(lambda v: v * 2.0, x)

    with _core.Trace() as trace:
        x, w = trace.input((None, None, 3)), trace.input((3, 4))
        program = trace.compile(tree.flatten(f(x, w)))
    for t, b in [(1, 1), (4, 7), (9, 2), (0, 3), (6, 6)]:
        xs, ws = rng.normal(size=(t, b, 3)).astype("float32"), rng.normal(size=(3, 4)).astype("float32")
        y, ys, m = program.numpy(xs, ws)
        steps = np.einsum("tbk,kn->tbn", xs, ws)
        np.testing.assert_allclose(y, steps.sum(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(m, xs * 2)
        before = np.concatenate([np.zeros((1, b, 4)), steps.cumsum(0)])[:t]
        np.testing.assert_allclose(ys, before.sum((1, 2)), rtol=1e-3, atol=1e-4)


def test_any_number_of_threads_and_any_cut_gives_the_same_bits():
    x = rng.normal(size=(6, 160, 192)).astype("float32")
    w = (rng.normal(size=(192, 192)) * 0.05).astype("float32")

    def f(x, w):
        def step(c, v):
            c = ops.tanh(ops.matmul(c, w) + v)
            return ops.cond(ops.sum(v) > 0, lambda: c, lambda: ops.matmul(c, w)), ops.softmax(c)

        c, ys = ops.scan(step, x[0], x)
        last = ops.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, ops.tanh(ops.matmul(v, w))), (0, c))[1]
        return [c, ys, last, *_core.gradients(ops.sum(ops.sin(ys)), [x, w])]

    with _core.Trace() as trace:
        program = trace.compile(f(trace.input(x.shape), trace.input(w.shape)))
    results = {}
    before = _core.get_num_threads()
    for threads in (1, 2):
        _core.set_num_threads(threads)
        results[threads] = [program.numpy(x, w) for _ in range(5)]
    _core.set_num_threads(before)
    for other in [*results[1][1:], *results[2], program.run_cut([x, w], 11)]:
        for a, b in zip(results[1][0], other):
            np.testing.assert_array_equal(a, b)


def test_bodies_print_and_compare():
    def record(factor):
        with _core.Trace() as trace:
            x = trace.input((4, 3))
            y, ys = ops.scan(lambda c, v: (c + v * factor, c), ops.zeros((3,)), x)
            return trace.graph([y, ys])

    assert record(2.0) == record(2.0) != record(3.0)
    text = record(2.0)
    assert "loop(" in text and "carries=1" in text and "multiply" in text and "constant 2" in text

    # Equal loops are computed once.
    with _core.Trace() as trace:
        x = trace.input((4, 3))
        a = ops.map(lambda v: ops.tanh(v), x)
        b = ops.map(lambda v: ops.tanh(v), x)
        program = trace.compile([a + b])
    assert program.plan.count("loop") == 1
    np.testing.assert_allclose(program.numpy(X[:4])[0], 2 * np.tanh(X[:4]), rtol=1e-5)


def test_packed_weights_are_made_once_before_the_loop():
    w = _core.Variable(rng.normal(size=(64, 64)).astype("float32"))
    with _core.Trace() as trace:
        x = trace.input((None, 8, 64))
        y, _ = ops.scan(lambda c, v: (ops.tanh(ops.matmul(c, w.value) + v), 0), ops.zeros((8, 64)), x)
        program = trace.compile([y])
    plan = program.plan
    assert "prepare 0: gemm_pack" in plan and "gemm_pack" not in plan[plan.index("step 0") :]


def test_functional_models():
    import maas

    inputs = maas.Input((3,))
    y = ops.map(lambda v: ops.tanh(v) * 2.0, inputs)
    y = ops.cond(ops.sum(y) > 0, lambda: 1.0, lambda: -1.0) * inputs
    model = maas.Model(inputs, y)
    sign = 1.0 if np.tanh(X).sum() > 0 else -1.0
    np.testing.assert_allclose(model(X), sign * X, rtol=1e-6)


def test_a_trace_that_runs_what_it_records():
    """Values are there while it records; gradients are those of a compiled trace; state changes at the end."""
    v = _core.Variable(np.float32(3.0))
    seen = []

    def f(h, x):
        def step(c, row):
            seen.append(getattr(row, "has_value", False))
            return ops.tanh(c + row), c * row

        y, ys = ops.scan(step, h, x)
        if getattr(y, "has_value", False) and float(ops.sum(y)) > 1e9:
            raise AssertionError
        y = ops.while_loop(lambda a: ops.sum(a * a) > 0.5, lambda a: a * 0.5, y, maximum_iterations=20)
        y = ops.cond(ops.sum(y) > 0, lambda: y * 3.0, lambda: y)
        return [y, ys, *_core.gradients(ops.sum(y * y) + ops.sum(ys), [h, x])]

    compiled = traced(f, H, X)
    with _core.Trace(values=True) as trace:
        results = f(trace.input_value(H), trace.input_value(X))
        v.assign(v.value + 1.0)
        assert float(v.value) == 4.0 and v.numpy() == 3.0
        seen.clear()
        for a, b in zip(results, compiled):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-5, atol=1e-6)
        trace.commit()
    assert v.numpy() == 4.0
