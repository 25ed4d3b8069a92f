"""Runs that are killed at any moment go on as if nothing had happened; averaged weights; logs sent to a server."""

import http.server
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import keras
import numpy as np
import pytest

import maas
from maas import layers
from maas.callbacks import BackupAndRestore, LambdaCallback, RemoteMonitor, SwapEMAWeights
from maas.saving.archive import read_archive, write_archive

PROGRAM = Path(__file__).with_name("killed_run.py")


def start(folder, source, save_freq):
    command = [sys.executable, str(PROGRAM), str(folder), source, save_freq]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.strip().splitlines()[-1])


def check_killed(tmp_path, source, save_freq, kills, seed):
    """Kills a run `kills` times, each time after a random part of its time, and compares its end."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    process = start(tmp_path / "whole", source, save_freq)
    process.stdout.readline()
    begin = time.monotonic()
    whole = finish(process)
    seconds = time.monotonic() - begin
    rng, done = random.Random(seed), 0
    while done < kills:
        process = start(tmp_path / "killed", source, save_freq)
        assert process.stdout.readline() == "ready\n", process.stderr.read()[-3000:]
        time.sleep(rng.uniform(0, seconds / 2))
        process.kill()
        out, _ = process.communicate(timeout=60)
        done += 1
        model = tmp_path / "killed" / "model.keras"
        if model.exists():
            maas.models.load_model(model)  # never half a file
        if out.strip():  # it was at its end before it was killed
            for path in (tmp_path / "killed" / "backup").iterdir():
                path.unlink()
    again = finish(start(tmp_path / "killed", source, save_freq))
    assert again["weights"] == whole["weights"]
    assert again["last"] == whole["last"]


@pytest.mark.parametrize("source, save_freq", [("arrays", "3"), ("dataset", "4"), ("generator", "5")])
def test_killed_runs_end_the_same(source, save_freq, tmp_path):
    check_killed(tmp_path, source, save_freq, kills=2, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("source, save_freq", [("arrays", "epoch"), ("arrays", "1"), ("dataset", "3"),
                                               ("generator", "2"), ("steps", "1")])  # fmt: skip
def test_200_kills(source, save_freq, tmp_path):
    check_killed(tmp_path, source, save_freq, kills=40, seed=2)


# ---- in one process: every place of a run, without a kill


def small_model():
    maas.utils.set_random_seed(3)
    model = maas.Sequential([layers.Input((4,)), layers.Dropout(0.3, seed=1), layers.Dense(2)])
    model.compile(maas.optimizers.Adam(0.05), "mse", metrics=["mae", "r2_score"])
    return model


X, Y = (np.random.default_rng(i).normal(size=(20, n)).astype("float32") for i, n in ((0, 4), (1, 2)))


class Killed(BaseException):
    pass


def fit(callbacks, **kwargs):
    """The weights at the end, and the logs of the last epoch."""
    model = small_model()
    history = model.fit(X, Y, **{"batch_size": 6, "epochs": 3, "verbose": 0, **kwargs}, callbacks=callbacks).history
    return [*model.get_weights(), *(values[-1] for values in history.values())]


@pytest.mark.parametrize("kwargs", [{}, {"steps_per_epoch": 3}, {"shuffle": False}, {"steps_per_epoch": 5}], ids=str)
@pytest.mark.parametrize("save_freq", ["epoch", 1, 3])
def test_resumed_from_every_batch(save_freq, kwargs, tmp_path):
    every = []
    expected = fit([LambdaCallback(on_train_batch_end=lambda batch, logs: every.append(batch))], **kwargs)
    for last in range(len(every)):
        seen = []

        def stop(batch, logs, last=last, seen=seen):
            seen.append(batch)
            if len(seen) > last:
                raise Killed

        backup = str(tmp_path / str(last))
        with pytest.raises(Killed):
            fit([BackupAndRestore(backup, save_freq), LambdaCallback(on_train_batch_end=stop)], **kwargs)
        found = fit([BackupAndRestore(backup, save_freq)], **kwargs)
        for a, b in zip(found, expected):
            np.testing.assert_array_equal(a, b)
        assert not os.path.exists(backup)  # deleted at the end


def test_a_damaged_backup_and_the_one_before(tmp_path):
    expected = fit([], epochs=3)

    def stop(epoch, logs):
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        fit([BackupAndRestore(tmp_path / "b", double_checkpoint=True), LambdaCallback(on_epoch_end=stop)])
    latest = tmp_path / "b" / "latest.backup"
    assert sorted(os.listdir(tmp_path / "b")) == ["latest.backup", "latest.backup.bkp"]
    latest.write_bytes(latest.read_bytes()[:-50])
    for a, b in zip(fit([BackupAndRestore(tmp_path / "b", double_checkpoint=True, delete_checkpoint=False)]), expected):
        np.testing.assert_array_equal(a, b)
    for path in (tmp_path / "b").iterdir():
        path.write_bytes(b"no backup")
    with pytest.raises(ValueError, match="the backup .* does not fit"):
        fit([BackupAndRestore(tmp_path / "b")])


@pytest.mark.parametrize("key, value", [
    ("pass_rng", None), ("rng", None), ("rng", [["MT19937", [1, 2]], [3, [1], None]]), ("pass_rng", 7),
    ("pass_rng", [["MT19937", [-1] * 624, 0, 0, 0.0], [3, [1] * 625, None]]), ("step", -1),
], ids=range(6))  # fmt: skip
def test_a_damaged_state_falls_back_before_anything_changes(key, value, tmp_path):
    expected, folder = fit([]), tmp_path / "b"

    def stop(epoch, logs):
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        fit([BackupAndRestore(folder, double_checkpoint=True), LambdaCallback(on_epoch_end=stop)])
    latest = folder / "latest.backup"
    members = read_archive(latest.read_bytes())
    state = json.loads(bytes(members["training.json"]))
    if value is None:
        del state[key]
    else:
        state[key] = value
    with open(latest, "wb") as file:
        write_archive(file, {**members, "training.json": json.dumps(state).encode()})
    (folder / "mine.txt").write_text("kept")
    for a, b in zip(fit([BackupAndRestore(folder, double_checkpoint=True)]), expected):
        np.testing.assert_array_equal(a, b)
    assert os.listdir(folder) == ["mine.txt"]  # the files of others stay
    with open(latest, "wb") as file:
        write_archive(file, {**members, "training.json": json.dumps(state).encode()})
    model = small_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="training.json is damaged"):
        model.fit(X, Y, verbose=0, callbacks=[BackupAndRestore(folder)])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_a_backup_of_another_model(tmp_path):
    with pytest.raises(Killed):
        fit([BackupAndRestore(tmp_path / "b", 1), LambdaCallback(on_train_batch_end=_raise)])
    other = maas.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2)])
    other.compile("sgd", "mse")
    before = other.get_weights()
    with pytest.raises(ValueError, match="does not fit"):
        other.fit(X, Y, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights()))


def _raise(batch, logs):
    raise Killed


@pytest.mark.parametrize("kwargs, text", [
    ({"backup_dir": ""}, "must be a folder"), ({"backup_dir": "x", "save_freq": "batch"}, "received 'batch'"),
    ({"backup_dir": "x", "save_freq": 0}, "received 0"),
])  # fmt: skip
def test_wrong_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        BackupAndRestore(**kwargs)


# ---- moving averages


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_beside_keras(swap_on_epoch):
    """Validation, predictions and the weights at the end of each epoch."""
    seen = []
    for lib in (maas, keras):
        model = lib.Sequential([lib.layers.Input((4,)), lib.layers.Dense(2)])
        model.set_weights([np.full((4, 2), 0.3, "float32"), np.zeros(2, "float32")])
        model.compile(lib.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.7), "mse")
        kept = []
        history = model.fit(
            X, Y, batch_size=5, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y),
            callbacks=[
                lib.callbacks.SwapEMAWeights(swap_on_epoch),
                lib.callbacks.LambdaCallback(on_epoch_end=lambda e, logs, m=model, k=kept: k.extend(m.get_weights())),
            ],
        )  # fmt: skip
        seen.append((history.history["val_loss"], kept, model.get_weights()))
    np.testing.assert_allclose(seen[0][0], seen[1][0], rtol=1e-5)
    for ours, theirs in zip(seen[0][1] + seen[0][2], seen[1][1] + seen[1][2]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_averages_need_an_optimizer_that_keeps_them():
    model = small_model()
    with pytest.raises(ValueError, match="must be made with use_ema=True"):
        model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()])


# ---- logs to a server


@pytest.mark.parametrize("send_as_json", [False, True])
def test_remote_monitor(send_as_json):
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.path, self.headers["X-Key"], self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_address[1]}"
    model = small_model()
    monitor = RemoteMonitor(root, headers={"X-Key": "k"}, send_as_json=send_as_json)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[monitor])
    server.shutdown()
    server.server_close()
    assert [(path, key) for path, key, _, _ in got] == [("/publish/epoch/end/", "k")] * 2
    texts = [body if send_as_json else urllib.parse.parse_qs(body)["data"][0] for _, _, _, body in got]
    assert [json.loads(t) for t in texts] == [
        {"epoch": i, **{name: values[i] for name, values in history.history.items()}} for i in range(2)
    ]
    with pytest.warns(UserWarning, match="cannot be reached"):
        model.fit(X, Y, verbose=0, callbacks=[monitor])
    with pytest.raises(ValueError, match="http or https"):
        RemoteMonitor("file:///x")
