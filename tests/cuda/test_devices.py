"""Where state lives and programs run: scopes, moves, steps of the host, state that is kept from bad data."""

import subprocess
import sys

import numpy as np
import pytest

import maas
from maas import _core, ops

pytestmark = pytest.mark.usefixtures("gpu")


def _data(rows=48, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 16)).astype("float32")
    return x, rng.integers(0, 4, rows)


def _mlp(seed=3):
    maas.utils.set_random_seed(seed)
    model = maas.Sequential(
        [maas.Input((16,)), maas.layers.Dense(32, activation="relu"), maas.layers.Dense(4, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_scope_decides_where_state_is_made():
    with maas.device("gpu"):
        v = maas.Variable([1.0, 2.0])
        with maas.device("cpu"):
            w = maas.Variable([1.0])
    assert v.device == "gpu:0" and w.device == "cpu" and maas.Variable(1.0).device == "cpu"
    np.testing.assert_array_equal(v.numpy(), [1, 2])
    v.assign([3, 4])
    np.testing.assert_array_equal(v.numpy(), [3, 4])
    assert "gpu:0" in maas.list_devices() and maas.list_devices("cpu") == ["cpu"]


def test_names_of_devices_are_checked():
    with pytest.raises(ValueError, match="received 'tpu'"):
        maas.device("tpu")
    with pytest.raises(ValueError, match="gpu:99"):
        with maas.device("gpu:99"):
            pass


def test_operands_on_the_gpu_pull_the_op_there():
    x = ops.convert_to_tensor(np.arange(6, dtype="float32")).to("gpu")
    y = ops.exp(x) + 1
    assert x.device == y.device == "gpu:0"
    np.testing.assert_allclose(y.numpy(), np.exp(np.arange(6)) + 1, rtol=1e-6)
    assert float(ops.sum(y)) == pytest.approx(float(np.sum(y.numpy())), rel=1e-6)
    assert y.to("cpu").device == "cpu"


def test_training_on_the_gpu_follows_the_cpu():
    x, y = _data()
    cpu, gpu = _mlp(), _mlp()
    gpu.to("gpu")
    assert all(v.device == "gpu:0" for v in gpu.variables)
    a = cpu.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    b = gpu.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-4)
    assert a["accuracy"] == pytest.approx(b["accuracy"])
    assert all(v.device == "gpu:0" for v in [*gpu.variables, *gpu.optimizer.variables, *gpu.metrics_variables])
    np.testing.assert_allclose(cpu.predict(x, verbose=0), gpu.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


def test_a_model_comes_back_and_goes_on():
    x, y = _data()
    stays, moves = _mlp(), _mlp()
    for model in (stays, moves):
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    moves.to("gpu:0")
    for model in (stays, moves):
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    moves.to("cpu")
    assert all(v.device == "cpu" for v in [*moves.variables, *moves.optimizer.variables, *moves.metrics_variables])
    for model in (stays, moves):
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(stays.get_weights(), moves.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_every_batch_size_of_one_program():
    x, _ = _data(37)
    model = _mlp()
    expected = model(x).numpy()
    model.to("gpu")
    for rows in (37, 1, 5, 37, 37, 5, 5, 0 + 2):
        np.testing.assert_allclose(model(x[:rows]).numpy(), expected[:rows], rtol=1e-4, atol=1e-6)


def test_bad_labels_keep_state_as_it_was():
    x, y = _data()
    model = _mlp().to("gpu")
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    before = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    y = y.copy()
    y[3] = 4
    with pytest.raises((IndexError, ValueError), match="4"):
        model.fit(x, y, batch_size=48, epochs=1, verbose=0)
    for a, b in zip(before, [v.numpy() for v in [*model.variables, *model.optimizer.variables]]):
        np.testing.assert_array_equal(a, b)


def test_what_no_kernel_takes_runs_on_the_host():
    x = ops.convert_to_tensor(np.eye(3, dtype="float32") * 4).to("gpu")
    y = ops.cholesky(x)
    assert y.device == "gpu:0"
    np.testing.assert_allclose(y.numpy(), np.eye(3) * 2, rtol=1e-6)

    @maas.jit
    def f(v):
        return ops.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s * 2.0), (0, v))[1] + 1.0

    with maas.device("gpu"):
        np.testing.assert_allclose(f(np.float32(1.5)), 13.0)


def test_a_step_on_the_host_is_told_once():
    code = "from maas import ops; x = ops.eye(3).to('gpu'); ops.cholesky(x); ops.cholesky(ops.eye(4).to('gpu'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("'cholesky' has no GPU kernel") == 1, done.stderr


def test_repeated_runs_are_bit_equal():
    x, y = _data()
    weights = []
    for _ in range(2):
        model = _mlp().to("gpu")
        model.fit(x, y, batch_size=16, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


def test_saved_from_the_gpu_loaded_on_the_cpu(tmp_path):
    x, y = _data()
    model = _mlp().to("gpu")
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = maas.models.load_model(tmp_path / "m.keras")
    assert all(v.device == "cpu" for v in loaded.variables)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-6)


def test_dlpack_shares_memory_both_ways():
    x = np.arange(12, dtype="float32").reshape(3, 4)
    t = maas.from_dlpack(x)
    np.testing.assert_array_equal(t.numpy(), x)
    back = np.from_dlpack(t)
    assert np.shares_memory(back, x)
    with pytest.raises(TypeError, match="contiguous"):
        maas.from_dlpack(x.T)


def test_memory_that_is_not_there_is_memory_error():
    with maas.device("gpu"):
        with pytest.raises(MemoryError):
            ops.zeros((1 << 20, 1 << 20), dtype="float32")
        np.testing.assert_array_equal(ops.ones((2,)).numpy(), [1, 1])


def test_threads_share_a_model():
    import threading

    x, _ = _data(8)
    model = _mlp().to("gpu")
    expected = model(x).numpy()
    wrong = []

    def work():
        for _ in range(10):
            if not np.allclose(model(x).numpy(), expected, rtol=1e-5):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert _core.gpu_memory(0)[0] > 0
