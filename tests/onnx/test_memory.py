"""Memory that reading and writing take, measured in processes of their own, and weights in a file beside the model."""

import os
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import maas
from maas import layers as L
from maas.onnx.export import encode_onnx
from maas.onnx.export import model as export_model
from maas.onnx.wire import GRAPH, INITIALIZER
from tests.wire import field

MIB = 1 << 20
_PEAK = """
import gc, sys
import numpy as np, onnx, maas
import maas.onnx.convert, maas.onnx.export

def mib(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024

def start():
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return mib("VmRSS")
"""


def _numbers(code, *args):
    done = subprocess.run([sys.executable, "-c", _PEAK + code, *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return [float(n) for n in done.stdout.split()]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 8 matrices of 8 MiB."""
    rng, nodes, weights, at = np.random.default_rng(0), [], [], "x"
    for i in range(8):
        data = rng.standard_normal((1024, 2048) if i % 2 == 0 else (2048, 1024), dtype="float32") / 64
        weights.append(onnx.numpy_helper.from_array(data, f"w{i}"))
        nodes.append(helper.make_node("MatMul", [at, f"w{i}"], [f"y{i}"]))
        at = f"y{i}"
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 1024]) for n in ("x", at)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    path = tmp_path_factory.mktemp("large") / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())
    return path


def test_a_model_holds_its_weights_once(large):
    held, peak = _numbers(
        "before = start(); m = maas.onnx.load(sys.argv[1]); gc.collect();"
        "print(mib('VmRSS') - before, mib('VmHWM') - before)",
        str(large),
    )
    assert 60 < held < 64 * 1.3, held
    assert peak < 64 * 1.5, peak


def test_writing_copies_the_weights_once(tmp_path):
    peak, size = _numbers(
        "import os; L = maas.layers;"
        "m = maas.Sequential([maas.Input((2048,)), *[L.Dense(2048) for _ in range(4)]]);"
        "before = start(); m.export(sys.argv[1]);"
        "print(mib('VmHWM') - before, os.path.getsize(sys.argv[1]) / 2**20)",
        str(tmp_path / "m.onnx"),
    )
    assert size > 64 and peak < size * 1.5, (peak, size)


def _dense():
    model = maas.Sequential([maas.Input((6,)), L.Dense(5, activation="relu"), L.Dense(3)], name="two")
    return model, np.random.default_rng(0).standard_normal((4, 6)).astype("float32")


def test_large_models_keep_weights_beside_the_file(tmp_path, monkeypatch):
    model, x = _dense()
    plain = tmp_path / "plain.onnx"
    model.export(plain)
    assert plain.read_bytes() == encode_onnx(model) and os.listdir(tmp_path) == ["plain.onnx"]
    monkeypatch.setattr(export_model, "_LIMIT", 100)
    with pytest.raises(ValueError, match="two: .* at most 2 GB, received .* bytes of weights; export it to a path"):
        encode_onnx(model)
    path = tmp_path / "large.onnx"
    model.export(path)
    assert len(os.listdir(tmp_path)) == 3 and len(_data_files(path)) == 1
    onnx.checker.check_model(os.fspath(path), full_check=True)
    np.testing.assert_array_equal(maas.onnx.load(path)(x).numpy(), maas.onnx.load(plain)(x).numpy())
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        model.export(path, overwrite=False)
    assert path.read_bytes() == before


def _data_files(path):
    """Files of weights of a model."""
    found = [name for name in os.listdir(path.parent) if name.startswith(f"{path.name}.")]
    assert all(re.fullmatch(re.escape(path.name) + r"\.[0-9a-f]{16}\.data", name) for name in found), found
    return found


_CRASH = """
import os, sys
import numpy as np, maas
from maas.onnx.export import model as export_model
export_model._LIMIT = 100
path, replace = sys.argv[1], os.replace

def killed(a, b):
    if b == path:
        os._exit(9)
    replace(a, b)

os.replace = killed
model = maas.onnx.load(path)
for v in model.weights:
    v.assign(v.numpy() + 1)
model.export(path)
"""


def test_a_model_keeps_its_own_weights_whatever_happens(tmp_path, monkeypatch):
    model, x = _dense()
    monkeypatch.setattr(export_model, "_LIMIT", 100)
    path = tmp_path / "m.onnx"
    model.export(path)
    old, first = model.predict(x, verbose=0), _data_files(path)
    answer = maas.onnx.load(path)(x).numpy()
    np.testing.assert_allclose(answer, old, rtol=1e-6)
    # Killed when the weights are there and the graph is not.
    done = subprocess.run([sys.executable, "-c", _CRASH, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 9, done.stderr[-2000:]
    assert len(_data_files(path)) == 2
    np.testing.assert_array_equal(maas.onnx.load(path)(x).numpy(), answer)
    # What it left goes with the next one, and so do the weights of before.
    model.set_weights([w + 2 for w in model.get_weights()])
    model.export(path)
    assert len(_data_files(path)) == 1 and _data_files(path) != first
    np.testing.assert_allclose(maas.onnx.load(path)(x).numpy(), model.predict(x, verbose=0), rtol=1e-6)
    # The same once more.
    second = _data_files(path)
    model.export(path)
    assert _data_files(path) == second
    # An error leaves nothing of the new one.
    replace, answer = os.replace, maas.onnx.load(path)(x).numpy()

    def full(a, b):
        if b == str(path):
            raise OSError("no space")
        replace(a, b)

    model.set_weights([w + 1 for w in model.get_weights()])
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(os, "replace", full)
        model.export(path)
    assert _data_files(path) == second
    np.testing.assert_array_equal(maas.onnx.load(path)(x).numpy(), answer)
    # A model that needs no such file has none.
    monkeypatch.undo()
    model.export(path)
    assert _data_files(path) == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_all_kinds_of_bytes_are_read(kind):
    model, x = _dense()
    data = encode_onnx(model)
    np.testing.assert_allclose(maas.onnx.load(kind(data))(x).numpy(), model.predict(x, verbose=0), rtol=1e-6)


def test_a_graph_in_two_parts_is_one(large):
    """Protobuf puts the parts of a message together; large data may lie in any of them."""
    proto = onnx.load(large)
    first, second = onnx.ModelProto(), onnx.ModelProto()
    first.CopyFrom(proto)
    del first.graph.initializer[4:], first.graph.node[4:]
    first.graph.ClearField("output")
    second.graph.initializer.extend(proto.graph.initializer[4:])
    second.graph.node.extend(proto.graph.node[4:])
    second.graph.output.extend(proto.graph.output)
    x = np.random.default_rng(1).standard_normal((2, 1024)).astype("float32")
    parts = first.SerializeToString() + second.SerializeToString()
    np.testing.assert_array_equal(maas.onnx.load(parts)(x).numpy(), maas.onnx.load(large)(x).numpy())


def _tensor(value):
    return TensorProto(name="w", data_type=1, dims=[600], raw_data=np.full(600, value, "<f4").tobytes())


def _model_with(fields):
    """The bytes of x + w, whose graph ends in these fields."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [600]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ports[:1], ports[1:])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    graph = data.graph.SerializeToString() + fields
    data.ClearField("graph")
    return data.SerializeToString() + field(GRAPH, graph)


def test_the_last_of_two_data_counts():
    text = _tensor(0).SerializeToString() + TensorProto(raw_data=_tensor(1).raw_data).SerializeToString()
    data = _model_with(field(INITIALIZER, text))
    assert maas.onnx.load(data)(np.zeros(600, "float32")).numpy().min() == 1


def test_a_number_in_place_of_an_initialiser_is_none():
    """As protobuf has it: the data of the tensors after it stay theirs."""
    data = _model_with(field(INITIALIZER, 7) + field(INITIALIZER, _tensor(1).SerializeToString()))
    assert maas.onnx.load(data)(np.zeros(600, "float32")).numpy().min() == 1
