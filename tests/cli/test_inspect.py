"""`maas inspect`: what it says of a file is what the model is."""

import json
import subprocess
import sys

import numpy as np
import pytest

import maas
from maas.cli import main
from maas.cli.inspect import collect


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    model = maas.Sequential(
        [
            maas.Input((8, 8, 1), name="image"),
            maas.layers.Conv2D(4, 3, activation="relu"),
            maas.layers.Flatten(),
            maas.layers.Dense(10, activation="softmax", name="head"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    for name in ("m.keras", "m.maas", "m.h5"):
        model.save(folder / name)
    model.save_weights(folder / "m.weights.h5")
    return folder


@pytest.mark.parametrize("name", ["m.keras", "m.maas", "m.h5"])
def test_what_it_collects(folder, name):
    info = collect(str(folder / name), batch=5)
    assert info["weights"] == {"float32": {"tensors": 4, "parameters": 1490, "bytes": 5960}}
    assert info["inputs"] == [("image", "float32", (None, 8, 8, 1))]
    assert [(n, s) for n, _, s in info["outputs"]] == [("head", (None, 10))]
    run = info["run"]
    # conv: 6 x 6 places, 9 taps, 4 filters; dense: 144 x 10.
    assert run["flops"] == 5 * 2 * (36 * 9 * 4 + 144 * 10)
    assert run["memory"]["peak"] <= run["memory"]["arena"] <= run["memory"]["without_reuse"]
    assert sum(run["ops"].values()) == len(run["steps"]) and all(s["kernel"] for s in run["steps"])
    assert "softmax" in info["graph"]


def test_the_command(folder, capsys):
    assert main(["inspect", str(folder / "m.maas"), "--plan", "--graph"]) == 0
    out = capsys.readouterr().out
    for text in ("image: float32(None, 8, 8, 1)", "1,490 in 4 tensors", "predict", "conv_packed", "arena", "return %"):
        assert text in out
    assert main(["inspect", str(folder / "m.keras"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["batch"] == 1


def test_weights_alone(folder, capsys):
    assert main(["inspect", str(folder / "m.weights.h5")]) == 0
    assert "layers/dense/vars/0" in capsys.readouterr().out


def test_bad_files_are_one_line(folder, tmp_path, capsys):
    (tmp_path / "bad.maas").write_bytes(b"nonsense")
    for arguments in (["missing.keras"], [str(tmp_path / "bad.maas")], [str(folder / "m.keras"), "--batch", "0"]):
        assert main(["inspect", *arguments]) == 1
        error = capsys.readouterr().err
        assert error.startswith("maas inspect: error: ") and error.count("\n") == 1


def test_log_of_kernels():
    program = "import numpy as np; from maas import ops; ops.softmax(np.ones((4, 8), 'float32'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"MAAS_LOG": "kernels", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if "softmax" in line]
    assert done.returncode == 0 and any("softmax_f32_" in line and "8" in line for line in lines), done.stderr


def test_profiles():
    model = maas.Sequential([maas.Input((16,)), maas.layers.Dense(32, activation="relu"), maas.layers.Dense(4)])
    model.compile("adam", "mse", metrics=["mae"])
    x, y = np.ones((64, 16), "float32"), np.ones((64, 4), "float32")
    profile = model.profile(x, repeats=3)
    assert sum(row["flops"] or 0 for row in profile.rows) == 2 * 64 * (16 * 32 + 32 * 4)
    assert profile.total_us == pytest.approx(sum(row["us"] for row in profile.rows))
    assert "gemm" in repr(profile) and "GFLOP/s" in repr(profile) and "<table>" in profile._repr_html_()
    before = [v.numpy() for v in model.variables + model.optimizer.variables]
    training = model.profile(x, y, repeats=3)
    assert any(row["op"].startswith("adam") for row in training.rows) and len(training.rows) > len(profile.rows)
    for variable, value in zip(model.variables + model.optimizer.variables, before):
        np.testing.assert_array_equal(variable.numpy(), value)
    with pytest.raises(ValueError, match="repeats must be an int >= 1, received 0"):
        model.profile(x, repeats=0)


def test_traces_open_in_perfetto(tmp_path):
    """The Trace Event Format: complete events with name, ts and dur in microseconds, pid and tid; metadata events."""
    model = maas.Sequential([maas.Input((16,)), maas.layers.Dense(4)])
    model.profile(np.ones((8, 16), "float32"), repeats=2).save_trace(tmp_path / "t.json")
    trace = json.loads((tmp_path / "t.json").read_text())
    complete = [e for e in trace["traceEvents"] if e["ph"] == "X" and e["cat"] == "step"]
    assert complete and {e["ph"] for e in trace["traceEvents"]} == {"X", "M"}
    at = 0
    for event in complete:
        assert event["ts"] >= at and event["dur"] >= 0 and event["name"] and event["pid"] == event["tid"] == 1
        at = event["ts"] + event["dur"] - 1e-6
        assert {"kernel", "shape", "bytes"} <= set(event["args"])


def test_traces_have_a_track_for_every_thread(tmp_path):
    model = maas.Sequential([maas.Input((256,)), maas.layers.Dense(512, activation="relu"), maas.layers.Dense(4)])
    profile = model.profile(np.ones((1024, 256), "float32"), repeats=5)
    threads = maas.get_num_threads()
    row = max(profile.rows, key=lambda row: row["us"])
    assert 1 <= len(row["workers"]) <= threads
    for row in profile.rows:
        assert 0 <= row["balance"] <= 1 and all(w > 0 for w in row["workers"][:1])
        assert max(row["workers"], default=0) <= row["us"]  # a step is done when its slowest thread is
    assert "least / most busy" in repr(profile)
    events = profile.trace_events()
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names[1] == "steps" and set(names.values()) >= {"thread 0"}
    workers = [e for e in events if e.get("cat") == "worker"]
    assert {e["tid"] for e in workers} | {1} == set(names)
    assert len(workers) == sum(len(row["workers"]) for row in profile.rows)
    if threads > 1:
        assert "thread 1" in names.values()
