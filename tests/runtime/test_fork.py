"""A child of a fork finds free locks and whole weights, whatever other threads were doing; spawn works as well."""

import multiprocessing
import threading
import warnings

import numpy as np
import pytest

import maas
from maas import layers, ops

warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
X = np.random.default_rng(0).normal(size=(256, 64)).astype("float32")
Y = np.ones((256, 8), "float32")


def build():
    model = maas.Sequential([layers.Input((64,)), layers.Dense(256, activation="relu"), layers.Dense(8)])
    model.compile(optimizer="sgd", loss="mse")
    return model


def use(model, queue):
    a = model.predict(X, verbose=0)
    b = model.predict(X[:7], verbose=0)
    history = model.fit(X, Y, epochs=2, batch_size=32, verbose=0).history["loss"]
    weights = model.get_weights()
    eager = np.asarray(ops.matmul(X, X.T))
    queue.put((np.array_equal(a[:7], b), bool(np.isfinite(history).all() and np.isfinite(eager).all()), len(weights)))


def in_child(context, model, seconds=60):
    queue = context.Queue()
    child = context.Process(target=use, args=(model, queue))
    child.start()
    child.join(seconds)
    alive = child.is_alive()
    if alive:
        child.kill()
        child.join()
    assert not alive, "the child waits for ever"
    assert child.exitcode == 0
    return queue.get(timeout=10)


def busy(*functions):
    """Runs functions again and again in threads; a context manager's worth of two calls."""
    stop = threading.Event()

    def loop(f):
        while not stop.is_set():
            f()

    threads = [threading.Thread(target=loop, args=(f,), daemon=True) for f in functions]
    for t in threads:
        t.start()

    def end():
        stop.set()
        for t in threads:
            t.join(60)

    return end


def test_fork_while_other_threads_train_predict_and_compute():
    model = build()
    model.fit(X, Y, batch_size=32, verbose=0)
    model.predict(X, verbose=0)
    big = np.ones((700, 700), "float32")
    end = busy(
        lambda: model.fit(X, Y, batch_size=256, verbose=0),
        lambda: model.predict(X, verbose=0),
        lambda: [ops.add(np.ones(k, "float32"), 1.0) for k in range(1, 30)],
        lambda: ops.matmul(big, big),
    )
    try:
        for _ in range(8):
            assert in_child(multiprocessing.get_context("fork"), model) == (True, True, 4)
    finally:
        end()
    assert np.isfinite(model.predict(X, verbose=0)).all()


def is_whole(variables, queue):
    values = [v.numpy() for v in variables]
    queue.put(all((v == values[0][0]).all() for v in values))


def test_a_child_never_has_half_a_step():
    from maas import _core

    variables = [_core.Variable(np.zeros(1 << 18, "float32")) for _ in range(8)]
    with _core.Trace() as trace:
        for v in variables:
            v.assign(v.value + 1.0)
        program = trace.compile([])
    program()
    end = busy(lambda: program())
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(12):
            queue = context.Queue()
            child = context.Process(target=is_whole, args=(variables, queue))
            child.start()
            assert queue.get(timeout=30)
            child.join(30)
            assert child.exitcode == 0
    finally:
        end()


def spawned(queue):
    use(build(), queue)


def test_spawn():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=spawned, args=(queue,))
    child.start()
    assert queue.get(timeout=120) == (True, True, 4)
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.long
def test_fork_many_times():
    model = build()
    model.fit(X, Y, batch_size=32, verbose=0)
    end = busy(lambda: model.fit(X, Y, batch_size=256, verbose=0), lambda: model.predict(X, verbose=0))
    try:
        for _ in range(200):
            assert in_child(multiprocessing.get_context("fork"), model) == (True, True, 4)
    finally:
        end()
