"""libmaas without Python: a C++ program loads, runs and serves a `.maas` file."""

import json
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import maas
from maas import layers

CORE = Path(maas._core.__file__).parent


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    source = Path(__file__).with_name("serve.cpp")
    include = CORE / "include"
    assert (include / "maas.h").is_file()
    subprocess.run(
        ["c++", "-std=c++17", "-Wall", "-Wextra", f"-I{include}", source, "-o", folder / "serve"]
        + [f"-L{CORE}", "-lmaas", f"-Wl,-rpath,{CORE}"],
        check=True,
    )
    # The header is C, too.
    check = folder / "check.c"
    check.write_text('#include "maas.h"\nint main(void) { return maas_error() == 0; }\n')
    subprocess.run(
        ["cc", "-std=c99", "-pedantic-errors", f"-I{include}", "-c", check, "-o", folder / "c.o"], check=True
    )
    return folder / "serve"


@pytest.fixture(scope="module")
def model():
    maas.utils.set_random_seed(0)
    x = inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(x)
    return maas.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))


def test_the_program_answers_with_the_bits_of_predict(program, model, tmp_path):
    path = tmp_path / "digits.maas"
    model.export(path)
    x = np.random.default_rng(0).random((1, 8, 8, 1), "float32")
    want = model.predict(x, verbose=0)
    with subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(" ".join(f"{v:.9g}" for v in x.ravel()) + "\n")
        process.stdin.flush()
        got = np.array(process.stdout.readline().split(), "float32")
        np.testing.assert_array_equal(got, want[0])
        port = int(process.stdout.readline().split()[1])
        body = {"inputs": [{"name": model.inputs[0].name, "shape": [1, 8, 8, 1], "datatype": "FP32"}]}
        body["inputs"][0]["data"] = [float(v) for v in x.ravel()]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v2/models/model/infer",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            output = json.load(answer)["outputs"][0]
        assert output["name"] == "head"
        np.testing.assert_array_equal(np.array(output["data"], "float32"), want[0])
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("content", [b"", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 100])
def test_a_bad_file_is_an_error_text(program, tmp_path, content):
    path = tmp_path / "bad.maas"
    path.write_bytes(content)
    done = subprocess.run([program, path], input="", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("load: ") and len(done.stderr) > 20
