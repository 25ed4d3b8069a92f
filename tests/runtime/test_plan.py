"""What a Plan must not lose: updates that are views, copies shared by two lists, bad data at the commit point."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from maas import _core, ops


def counting(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: ops.reshape(x, (6,)),
        lambda x: ops.transpose(x),
        lambda x: x[:, 1],
        lambda x: ops.softmax(x, axis=0),  # ends in a transpose
    ],
    ids=["reshape", "transpose", "slice", "softmax"],
)
def test_an_update_may_be_a_view(view):
    x = counting(2, 3)
    want = np.asarray(view(ops.multiply(x, 2.0)))
    variable = _core.Variable(np.zeros_like(want))
    with _core.Trace() as trace:
        symbol = trace.input((2, 3))
        variable.assign(view(symbol * 2.0))
        program = trace.compile([])
    program(x)
    np.testing.assert_array_equal(variable.numpy(), want)


def test_an_update_may_be_a_view_of_state_that_is_written_too():
    a, b = _core.Variable(counting(6)), _core.Variable(np.zeros((2, 3), "float32"))
    with _core.Trace() as trace:
        before = a.value
        b.assign(ops.reshape(before, (2, 3)))
        a.assign(before + 1.0)
        program = trace.compile([])
    program()
    np.testing.assert_array_equal(b.numpy(), counting(2, 3))
    np.testing.assert_array_equal(a.numpy(), counting(6) + 1)


def test_a_dense_copy_made_by_the_run_is_not_read_by_what_is_prepared():
    weights = counting(3, 4) / 7
    variable = _core.Variable(weights)
    with _core.Trace() as trace:
        rows = trace.input((2,), "int32")
        seen = ops.transpose(variable.value)
        program = trace.compile([ops.take(seen, rows, axis=0), ops.take(ops.softmax(seen), rows, axis=0)])
    first, second = program.numpy(np.array([3, 1], "int32"))
    np.testing.assert_array_equal(first, weights.T[[3, 1]])
    np.testing.assert_array_equal(second, np.asarray(ops.softmax(weights.T.copy()))[[3, 1]])


def test_a_bad_index_in_what_is_prepared_is_an_error_every_time():
    table = _core.Variable(counting(4, 3))
    with _core.Trace() as trace:
        x = trace.input((1, 3))
        program = trace.compile([x + ops.take(table.value, np.array([99], "int32"), axis=0)])
    for _ in range(2):
        with pytest.raises(IndexError, match="take.*99"):
            program(counting(1, 3))


def test_a_bad_index_that_another_thread_finds_last_stops_the_commit():
    table, state = _core.Variable(counting(64, 64)), _core.Variable(np.zeros((1 << 14, 64), "float32"))
    with _core.Trace() as trace:
        rows = trace.input((1 << 14,), "int32")
        state.assign(state.value + ops.take(table.value, rows, axis=0))
        program = trace.compile([])
    rows = np.zeros(1 << 14, "int32")
    rows[-1] = 99  # in the last member's part
    threads = _core.get_num_threads()
    try:
        _core.set_num_threads(2)
        for _ in range(100):
            with pytest.raises(IndexError, match="take"):
                program(rows)
    finally:
        _core.set_num_threads(threads)
    assert not state.numpy().any()


def test_numbers_that_differ_in_the_last_bit_are_different_ops():
    assert np.asarray(ops.arange(16777215.0, 16777216.0))[0] == 16777215.0
    assert np.asarray(ops.arange(16777214.0, 16777215.0))[0] == 16777214.0
    x = counting(1, 1)
    pads = [np.asarray(ops.pad(x, ((0, 0), (0, 1)), constant_values=v))[0, 1] for v in (123456.25, 123456.5)]
    assert pads == [123456.25, 123456.5]
    with _core.Trace() as trace:
        s = trace.input((1, 1))
        program = trace.compile([ops.pad(s, ((0, 0), (0, 1)), constant_values=v) for v in (123456.25, 123456.5)])
    assert [y[0, 1] for y in program.numpy(x)] == [123456.25, 123456.5]


def test_other_threads_go_on_while_an_eager_op_runs():
    ticks, stop = [0], threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks[0] += 1

    a = np.ones((600, 600))
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        start = time.perf_counter()
        while time.perf_counter() - start < 0.5:
            begun, before = time.perf_counter(), ticks[0]
            ops.matmul(a, a)
            during, taken = ticks[0] - before, time.perf_counter() - begun
            if taken > 0.05 and during > 5:
                return
    finally:
        stop.set()
        thread.join()
    assert taken < 0.05, "the GIL was held"


def test_a_tensor_of_another_dtype_is_refused_as_an_array_is():
    with _core.Trace() as trace:
        program = trace.compile([trace.input((2,), "int32") + 1])
    values = np.array([1.5, 2.5], "float32")
    for x in (values, ops.convert_to_tensor(values)):
        with pytest.raises(TypeError, match="must be int32, received float32"):
            program(x)


def test_eager_programs_do_not_depend_on_values():
    code = "import numpy as np; from maas import ops; [ops.add(np.full(8, i, 'int32'), 1) for i in range(5)]"
    env = {**os.environ, "MAAS_LOG": "kernels", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stderr.count("maas: add |") == 1
