"""`maas demo`: the whole road in a folder of its own, and what happens when a stage misses."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import maas
from maas.cli import demo, main

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "maas.cli", "demo"]


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder, output and seconds of one run of the command."""
    folder = tmp_path_factory.mktemp("demo")
    began = time.monotonic()
    result = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    assert result.stderr == ""  # nothing of the server that the demo does not show
    return folder, result.stdout, time.monotonic() - began


def test_it_leaves_the_model_and_no_process(finished):
    folder, output, seconds = finished
    assert [path.name for path in folder.iterdir()] == ["digits.keras"]
    assert not is_running(int(re.search(r"process (\d+) is ready", output)[1]))
    assert seconds <= 60


def test_it_prints_accuracy_answers_and_times(finished):
    _, output, _ = finished
    accuracy = float(re.search(r"not seen: ([0-9.]+)%", output)[1])
    right = int(re.search(r"of all 360 answers (\d+) are right", output)[1])
    # The server's answers are those of the model that was measured.
    assert accuracy >= 97 and right == round(accuracy * 3.6)
    assert len(re.findall(r"^Epoch \d+/25$", output, re.MULTILINE)) == 25
    assert "bit for bit" in output
    assert re.findall(r"^   (\w+) +[0-9.]+ s$", output, re.MULTILINE) == ["train", "save", "serve", "ask", "all"]


def test_the_readme_shows_what_it_prints(finished):
    def lines(text):
        return [re.sub(r"[0-9][0-9,.:]*", "#", line.strip()) for line in text.splitlines()]

    (shown,) = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    printed = iter(lines(finished[1]))
    # In the same order: `in` goes on where the last line was found.
    assert [line for line in lines(shown) if line not in printed] == []


def test_the_printed_commands_do_the_same(finished):
    folder, output, _ = finished
    serve, metadata, infer = (shlex.split(line) for line in output.rstrip().splitlines()[-3:])
    assert serve[:2] == ["maas", "serve"] and metadata[0] == infer[0] == "curl"
    with maas.Server(folder / serve[2], port=0) as server:
        ours = [command[1].replace("http://127.0.0.1:8000", server.url) for command in (metadata, infer)]
        with urllib.request.urlopen(ours[0], timeout=20) as response:
            assert json.load(response)["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 1]}]
        assert infer[2] == "-d"
        with urllib.request.urlopen(ours[1], infer[3].encode(), timeout=20) as response:
            answer = json.load(response)["outputs"][0]
    label = int(re.search(r"came back: (\d) with", output)[1])
    assert answer["shape"] == [1, 10] and np.argmax(answer["data"]) == label


@pytest.mark.parametrize("seed", range(5))
def test_the_accuracy_holds_for_five_seeds(seed):
    _, accuracy = demo.train(seed, verbose=0)
    assert accuracy >= demo.MIN_ACCURACY


def test_a_low_accuracy_is_a_failure(tmp_path):
    result = subprocess.run([*COMMAND, "--epochs", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1 and not list(tmp_path.iterdir())
    assert re.fullmatch(r"maas demo: error: the accuracy must be at least 97%, received .*%\n", result.stderr)


@pytest.mark.parametrize(
    "flags, text",
    [
        (["--output", "digits.h5"], "--output must end in .keras, received 'digits.h5'"),
        (["--output", "nowhere/digits.keras"], "a folder that exists, received 'nowhere/digits.keras'"),
        (["--epochs", "0"], "--epochs must be at least 1, received 0"),
        (["--seed", "-1"], "received seed=-1"),
    ],
)
def test_bad_options_are_one_line(flags, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *flags]) == 1
    err = capsys.readouterr().err
    assert text in err and err.count("\n") == 1 and err.startswith("maas demo: error: ")


@pytest.fixture
def started(monkeypatch):
    """Every process that the demo starts in this process."""
    processes = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            processes.append(self)

    monkeypatch.setattr(demo.subprocess, "Popen", Recorded)
    return processes


def test_a_server_that_does_not_start_is_a_failure(tmp_path, started):
    with pytest.raises(RuntimeError, match="must print its address, received ''"):
        with demo.serve(tmp_path / "missing.keras"):
            pass
    assert [p.returncode for p in started] == [1]


def test_a_server_that_is_late_is_ended(tmp_path, started):
    demo.build_model().save(tmp_path / "digits.keras")
    with pytest.raises(RuntimeError, match="not ready after 0.001 s"):
        with demo.serve(tmp_path / "digits.keras", wait=0.001):
            pass
    assert started[0].returncode is not None


def test_other_answers_are_a_failure(tmp_path, monkeypatch, started, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "train", lambda seed, epochs: (demo.build_model(), 1.0))
    ask = demo.Client.ask
    monkeypatch.setattr(demo.Client, "ask", lambda self, rows: np.nextafter(ask(self, rows), np.float32(2)))
    assert main(["demo"]) == 1
    assert "must be those of predict, received other bits" in capsys.readouterr().err
    assert started[0].returncode is not None


def test_sigterm_ends_the_server_too(tmp_path):
    program = textwrap.dedent("""
        import sys, time
        from maas.cli import demo, main
        demo.train = lambda seed, epochs: (demo.build_model(), 1.0)
        demo.Client.ask = lambda self, rows: time.sleep(60)
        sys.exit(main(["demo"]))
    """)
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        ready = next(line for line in process.stdout if "is ready at" in line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
        assert not is_running(int(re.search(r"process (\d+)", ready)[1]))
    finally:
        process.kill()
        process.communicate()
