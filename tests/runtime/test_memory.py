"""Memory: refused before it is taken, kept within bounds, used again where the plan can."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from maas import _core, ops


def run(code, **env):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PROGRAM = """
    import numpy as np, resource
    from maas import _core, ops

    with _core.Trace() as trace:
        x = trace.input(["n", 1000])
        program = trace.compile([ops.sum(ops.softmax(ops.softmax(x), axis=0))], "big")
    small, large = np.ones((4, 1000), "float32"), np.ones((20000, 1000), "float32")

    def refused(*args):
        before = _core.memory_stats()["current"]
        for _ in range(3):  # once refused, always refused
            try:
                program(*args)
            except MemoryError as error:
                assert "Plan 'big': needs" in str(error), error
            else:
                raise AssertionError("not refused")
            assert _core.memory_stats()["current"] == before
        assert _core.memory_stats()["peak"] < 60e6
"""


def test_a_run_over_the_limit_is_refused_every_time_and_takes_nothing():
    run(
        PROGRAM
        + """
    program(small)
    refused(large)
    assert program(small)
    """,
        MAAS_MEMORY_LIMIT="100MB",
    )


def test_the_limit_of_the_address_space_is_kept_too():
    run(
        PROGRAM
        + """
    program(small)
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (90 << 20), resource.RLIM_INFINITY))
    refused(large)
    assert program(small)
    """
    )


def test_prepared_weights_are_refused_before_they_are_taken():
    run(
        """
    import numpy as np
    from maas import _core, ops
    w = _core.Variable(np.ones((4000, 4000), "float32"))
    before = _core.memory_stats()["current"]
    with _core.Trace() as trace:
        x = trace.input((1, 4000))
        y = [ops.matmul(x, w.value), ops.matmul(x, ops.transpose(w.value))]  # two panels of 64 MB
        try:
            trace.compile(y, "wide")
        except MemoryError as error:
            assert "Prepared weights of plan 'wide': needs 12" in str(error), error
        else:
            raise AssertionError("not refused")
    assert _core.memory_stats()["current"] == before
    """,
        MAAS_MEMORY_LIMIT="160MB",
    )


def test_eager_programs_keep_a_bounded_number_of_bytes():
    for i in range(60):
        a, b = np.ones((1, 2048), "float32"), np.ones((2048, 2048 + 16 * i), "float32")
        ops.matmul(a, b)
        assert _core.memory_stats()["eager_bytes"] <= (256 + 40) << 20
    assert _core.memory_stats()["eager_programs"] > 2
    _core.trim_memory()
    stats = _core.memory_stats()
    assert stats["eager_bytes"] == 0 and stats["eager_programs"] == 0


def compiled(function, *shapes):
    with _core.Trace() as trace:
        inputs = [trace.input(s, name=f"x{i}") for i, s in enumerate(shapes)]
        outputs = function(*inputs)
        return trace.compile(outputs if isinstance(outputs, list) else [outputs])


def chain(x, length, function=ops.tanh):
    for _ in range(length):
        x = function(x)
    return x


def test_a_chain_of_steps_in_place_works_in_one_buffer():
    x = np.linspace(-1, 1, 64 * 64, dtype="float32").reshape(64, 64)
    program = compiled(lambda x: chain(ops.softmax(x), 60), (64, 64))  # a chain holds 12 functions
    assert program.plan.count(": chain") >= 5
    assert program.memory([x])["without_reuse"] == x.nbytes
    want = chain(np.exp(x) / np.exp(x).sum(-1, keepdims=True), 60, np.tanh)
    np.testing.assert_allclose(program.numpy(x)[0], want, rtol=1e-5)


def test_a_buffer_that_somebody_still_reads_is_not_taken_over():
    def f(x):
        a = ops.softmax(x)
        b = chain(a, 13)  # in place but for a
        c = chain(b, 13)
        view = ops.transpose(b)
        return [ops.softmax(c) + b, ops.softmax(view), ops.softmax(chain(a, 3))]

    x = np.random.default_rng(0).normal(size=(32, 32)).astype("float32")
    program = compiled(f, (32, 32))

    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    a = softmax(x.astype("float64"))
    b = chain(a, 13, np.tanh)
    c = chain(b, 13, np.tanh)
    for got, want in zip(program.numpy(x), [softmax(c) + b, softmax(b.T), softmax(chain(a, 3, np.tanh))]):
        np.testing.assert_allclose(got, want, rtol=2e-5)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_with_chains_and_views_keep_every_value(seed):
    """Reuse must change no bit: the same graph, once as one program and once op by op."""
    rng = np.random.default_rng(seed)
    makers = [
        lambda v: ops.softmax(v()),
        lambda v: chain(v(), 13),
        lambda v: ops.transpose(v()),
        lambda v: v() + v(),
        lambda v: v() * ops.transpose(v()),
        lambda v: ops.reshape(ops.reshape(v(), (-1,)), (8, 8)),
        lambda v: ops.matmul(v(), v()),
    ]
    picks = [(int(rng.integers(len(makers))), rng.integers(0, 1 << 30, 4)) for _ in range(25)]

    def build(x):
        values = [x]
        for maker, numbers in picks:
            draw = iter(numbers)
            values.append(makers[maker](lambda: values[-1 - int(next(draw)) % min(len(values), 4)]))  # noqa: B023
        return values[-3:]

    x = (rng.normal(size=(8, 8)) / 4).astype("float32")
    got = compiled(lambda x: list(build(x)), (8, 8)).numpy(x)
    for a, b in zip(got, build(ops.convert_to_tensor(x))):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-4, atol=1e-6)


def test_a_plan_reports_its_memory():
    x = np.ones((3, 1000), "float32")
    report = compiled(lambda x: ops.sum(ops.softmax(ops.softmax(x), axis=0)), ("n", 1000)).memory([x])
    block = 4 * 1000 * 4  # room for 4 rows
    assert report["peak"] <= report["arena"] <= report["without_reuse"]
    assert report["without_reuse"] % 64 == 0 and report["peak"] >= block
    assert "peak" in report["text"] and "without reuse" in report["text"]


def test_a_scatter_update_works_in_the_memory_of_its_operand():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 128)).astype("float32")
    index, rows = np.int32([[1], [5]]), rng.normal(size=(2, 128)).astype("float32")

    def built(reads_again):
        with _core.Trace() as trace:
            a, i, u = trace.input([64, 128]), trace.input([2, 1], "int32"), trace.input([2, 128])
            y = ops.softmax(a)
            z = ops.scatter_update(y, i, u)
            return trace.compile([ops.softmax(z), *([ops.cumsum(y, axis=0)] if reads_again else [])])

    y = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    z = y.copy()
    z[[1, 5]] = rows
    want = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    for reads_again in (False, True):
        program = built(reads_again)
        got = program.numpy(x, index, rows)
        np.testing.assert_allclose(got[0], want, rtol=1e-5, atol=1e-6)
        assert program.memory([x, index, rows])["without_reuse"] == x.nbytes * (2 if reads_again else 1)
    np.testing.assert_allclose(got[1], y.cumsum(0), rtol=1e-5, atol=1e-5)


def test_a_scatter_update_of_state_that_fails_writes_nothing():
    w = _core.Variable(np.ones((4, 8), "float32"))
    with _core.Trace() as trace:
        i = trace.input(["n", 1], "int32")
        new = ops.scatter_update(w.value * 2.0, i, ops.zeros((i.dims[0], 8)))
        w.assign(new)
        program = trace.compile([])
    with pytest.raises(IndexError):
        program(np.int32([[1], [4]]))
    np.testing.assert_array_equal(w.numpy(), np.ones((4, 8)))
    program(np.int32([[1], [3]]))
    np.testing.assert_array_equal(w.numpy()[:, 0], [2, 0, 2, 0])


def test_memory_that_runs_out_inside_a_decomposition_is_an_error():
    run(
        """
    import resource
    import numpy as np
    from maas import ops
    x = np.random.default_rng(0).normal(size=(1500, 1500)).astype("float32")
    wanted = ops.svd(x[:50, :50])
    pages = int(open("/proc/self/statm").read().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (60 << 20), resource.RLIM_INFINITY))
    try:
        ops.svd(x)
    except MemoryError as error:
        assert "svd" in str(error), error
    else:
        raise AssertionError("not refused")
    resource.setrlimit(resource.RLIMIT_AS, before)
    for a, b in zip(ops.svd(x[:50, :50]), wanted):
        np.testing.assert_array_equal(a, b)
    """
    )
