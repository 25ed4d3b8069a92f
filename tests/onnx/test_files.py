"""Damaged, contradictory and hostile files: one clear error each, and external data from beside the model alone."""

import os
import random
import signal
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import maas
from maas.onnx import graph as onnx_graph
from maas.onnx.wire import FileSource
from tests.onnx.graphs import FOLDER
from tests.wire import field

F = TensorProto.FLOAT


def info(name, shape=(2, 3), kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs=(("x", (2, 3)),), outputs=("y",), weights=(), opset=20, **kwargs):
    graph = helper.make_graph(nodes, "g", [info(*i) for i in inputs], [info(o, None) for o in outputs], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **kwargs)


def load(proto):
    return maas.onnx.load(proto.SerializeToString())


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, name=f"{op}_1", **attributes)


def lying(**fields):
    tensor = TensorProto(name="w", data_type=F, dims=[2, 3], raw_data=b"\0" * 24)
    for key, value in fields.items():
        if key == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, key, value)
    return tensor


ADD = node("Add", ["x", "w"], ["y"])
BAD = {
    "circle": (
        model([node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"], name="two")], outputs=["b"]),
        ValueError,
        "must not form a circle, received Add 'Add_1'",
    ),
    "missing name": (model([ADD]), ValueError, "Add 'Add_1' reads 'w', which no input, initialiser or node makes"),
    "missing output": (model([], outputs=["y"]), ValueError, "the outputs reads 'y'"),
    "made twice": (
        model([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])]), ValueError, "'Abs_1' makes 'y', which exists"
    ),
    "initialiser twice": (model([ADD], weights=[lying(), lying()]), ValueError, "received 'w' twice"),
    "short data": (model([ADD], weights=[lying(raw_data=b"123")]), ValueError, "'w' .* needs 24 bytes, received 3"),
    "negative size": (model([ADD], weights=[lying(dims=[2, -3])]), ValueError, r"'w' must have .* received \[2, -3\]"),
    "huge": (model([ADD], weights=[lying(dims=[2**40, 2**40])]), ValueError, "'w' is larger than any model"),
    "rank 40": (model([ADD], weights=[lying(dims=[1] * 40)]), ValueError, "'w' must have at most 32 sizes"),
    "dtype": (model([ADD], weights=[lying(data_type=TensorProto.COMPLEX64)]), TypeError, "'w' .*received complex64"),
    "dtype number": (model([ADD], weights=[lying(data_type=999)]), TypeError, "'w' must have .* received number 999"),
    "string input": (model([ADD], [("x", (2,), TensorProto.STRING)], weights=[lying()]), TypeError, "'x' .*string"),
    "new opset": (model([node("Relu", ["x"], ["y"])], opset=99), NotImplementedError, "1 to 28, received opset 99"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
def test_contradictions_are_told_at_load(name):
    proto, kind, text = BAD[name]
    with pytest.raises(kind, match=text):
        load(proto)


@pytest.mark.parametrize(
    ("proto", "kind", "text"),
    [
        (model([node("Frobnicate", ["x"], ["y"])]), NotImplementedError, "'Frobnicate_1': no such op .*Abs, Acos"),
        (model([node("MatMul", ["x", "x"], ["y"])]), ValueError, "MatMul 'MatMul_1': "),
        (model([ADD], weights=[lying(data_type=7, dims=[3])]), TypeError, "float32 and int64"),
        (model([node("Concat", ["x", "x"], ["y"], axis=5)]), ValueError, r"'Concat_1': axis must be in \[-2, 2\)"),
        (model([node("Reshape", ["x", "s"], ["y"])], weights=[
            TensorProto(name="s", data_type=7, dims=[1], raw_data=b"\7" + b"\0" * 7)]), ValueError, "Reshape_1.*7"),
        (model([node("DepthToSpace", ["x"], ["y"])]), ValueError, "attribute 'blocksize' is missing"),
        (model([node("Conv", ["x", "w"], ["y"])], weights=[lying()]), ValueError, "Conv_1.*1 to 3 spatial axes"),
    ],
)  # fmt: skip
def test_ops_that_do_not_fit_are_told_by_name(proto, kind, text):
    with pytest.raises(kind, match=text):
        load(proto)(np.zeros((2, 3), "float32"))


@pytest.mark.parametrize("data", [b"", b"no model at all", b"\x08\x07", bytes(range(256))])
def test_other_bytes_are_told(data):
    with pytest.raises(ValueError, match="is no ONNX model|must import an opset"):
        maas.onnx.load(data)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="model file not found, received .*none.onnx"):
        maas.onnx.load(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="must be a plain file"):
        maas.onnx.load(tmp_path)


def test_other_domain_is_told():
    proto = model([helper.make_node("Foo", ["x"], ["y"], name="a", domain="my.ops")])
    with pytest.raises(ValueError, match="imports the domains .*received no version of 'my.ops'"):
        load(proto)
    proto.opset_import.append(helper.make_opsetid("my.ops", 1))
    with pytest.raises(NotImplementedError, match="received domain 'my.ops'"):
        load(proto)(np.zeros((2, 3), "float32"))


@pytest.mark.parametrize("depth", [40, 5000])
def test_deep_nests_are_told(depth):
    """Written byte by byte: protobuf's own classes refuse to make such a file."""
    output = info("y", None).SerializeToString()
    graph = field(1, node("Identity", ["m"], ["y"]).SerializeToString()) + field(12, output)
    for _ in range(depth):
        body = field(5, field(1, b"body") + b"\xa0\x01\x05" + field(6, graph))
        graph = field(1, field(1, b"m") + field(2, b"y") + field(4, b"Loop") + body) + field(12, output)
    opset = helper.make_opsetid("", 20).SerializeToString()
    with pytest.raises(ValueError, match="may lie 32 deep|is no ONNX model"):
        maas.onnx.load(b"\x08\x09" + field(7, graph) + field(8, opset))


# ---- external data


def external(location, offset=None, length=None):
    tensor = TensorProto(name="w", data_type=F, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return model([ADD], weights=[tensor])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models" / "sub").mkdir(parents=True)
    data = np.arange(8, dtype="<f4").tobytes()
    (tmp_path / "secret.bin").write_bytes(data)
    (tmp_path / "models" / "w.bin").write_bytes(data)
    (tmp_path / "models" / "sub" / "w.bin").write_bytes(data)
    os.symlink(tmp_path / "secret.bin", tmp_path / "models" / "link.bin")
    os.symlink(tmp_path, tmp_path / "models" / "up")
    os.link(tmp_path / "secret.bin", tmp_path / "models" / "hard.bin")
    os.mkfifo(tmp_path / "models" / "pipe")
    return tmp_path / "models"


def at(folder, proto):
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return maas.onnx.load(path)


@pytest.mark.parametrize(("location", "offset"), [("w.bin", None), ("w.bin", 0), ("w.bin", 8), ("sub/w.bin", 4)])
def test_external_data_are_read(folder, location, offset):
    y = at(folder, external(location, offset))(np.zeros((2, 3), "float32"))
    begin = (offset or 0) // 4
    np.testing.assert_array_equal(y.numpy().reshape(-1), np.arange(begin, begin + 6, dtype="float32"))


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/passwd", "link.bin", "up/secret.bin", "hard.bin", "pipe", "sub", "none.bin", "", ".",
     "sub/..", "sub//w.bin", "./w.bin", "sub/../w.bin", "..\\secret.bin", "w.bin\0x", "a" * 5000],
)  # fmt: skip
def test_s33_external_data_stay_beside_the_model(folder, location):
    begin = time.monotonic()
    with pytest.raises(ValueError, match="tensor 'w'") as e:
        at(folder, external(location))
    assert time.monotonic() - begin < 2 and "root:" not in str(e.value)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(16, None), (10**17, None), (-4, None), ("1e3", None), (2**63, None), (0, 23), (0, -24), (0, 2**62)],
)
def test_s33_offsets_and_lengths_lie_in_the_file(folder, offset, length):
    with pytest.raises(ValueError, match="tensor 'w'"):
        at(folder, external("w.bin", offset, length))


def test_s33_bytes_have_no_folder():
    with pytest.raises(ValueError, match="needs to be loaded from a path"):
        load(external("w.bin"))


def test_s33_a_file_that_is_swapped_for_a_link_is_never_followed(folder):
    """Another thread swaps the file for a link to a secret while it is loaded again and again."""
    target, secret = folder / "swap.bin", folder.parent / "outside.bin"
    secret.write_bytes(np.full(8, 666, "<f4").tobytes())
    plain = (folder / "w.bin").read_bytes()
    path = folder / "m.onnx"
    path.write_bytes(external("swap.bin").SerializeToString())
    done = threading.Event()

    def swap():
        while not done.is_set():
            for make in (lambda p: os.symlink(secret, p), lambda p: p.write_bytes(plain)):
                new = folder / "new"
                make(new)
                os.replace(new, target)

    thread = threading.Thread(target=swap)
    thread.start()
    loaded = 0
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                loaded_model = maas.onnx.load(path)
            except ValueError:
                continue
            loaded += 1
            assert loaded_model.weights[0].numpy().max() < 100
    finally:
        done.set()
        thread.join()
    assert loaded


def test_a_pipe_in_place_of_the_model_is_told_at_once(folder):
    """Looked at once it is open: what a path leads to may change at any time before."""
    found = []

    def read():
        try:
            FileSource(os.fspath(folder / "pipe"), 1 << 20)
        except ValueError as e:
            found.append(str(e))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert len(found) == 1 and "must be a plain file" in found[0]


def test_a_model_that_is_refused_leaves_no_descriptor(folder):
    before = len(os.listdir("/proc/self/fd"))
    for name in ("pipe", "sub", "none.onnx"):
        with pytest.raises((ValueError, FileNotFoundError)):
            maas.onnx.load(folder / name)
    with pytest.raises(ValueError, match="may hold 7 bytes, received 32"):
        FileSource(os.fspath(folder / "w.bin"), 7)
    assert len(os.listdir("/proc/self/fd")) == before


# ---- fuzz


def _mutated(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        kind, place = rng.randrange(5), rng.randrange(max(len(data), 1))
        if kind == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[place : place + rng.randrange(1, 20)]
        elif kind == 2:
            data[place:place] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 8)))
        elif kind == 3:
            other = rng.randrange(max(len(data), 1))
            data[place:place] = data[other : other + rng.randrange(1, 60)]
        else:
            data[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x80\x80\x80\x80\x01"))
    return bytes(data)


def _edited(data, rng):
    """A file that protobuf reads, with names, sizes, dtypes, attributes or data of another kind."""
    proto = onnx.ModelProto.FromString(data)
    g = proto.graph
    names = [n for item in g.node for n in (*item.input, *item.output)] + [t.name for t in g.initializer]
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind, item = rng.randrange(8), rng.choice(g.node)
        if kind == 0 and item.input:
            item.input[rng.randrange(len(item.input))] = rng.choice([*names, ""])
        elif kind == 1 and item.output:
            item.output[rng.randrange(len(item.output))] = rng.choice([*names, "new"])
        elif kind == 2:
            item.op_type = rng.choice(g.node).op_type
        elif kind == 3 and item.attribute:
            a = rng.choice(item.attribute)
            a.i = rng.choice((-1, 0, 1, 2, 7, 2**40, -(2**63)))
            a.ints[:] = [rng.choice((-2, 0, 1, 3, 2**50)) for _ in a.ints]
            a.type = rng.choice((a.type, a.type, 1, 2, 7))
        elif kind == 4 and g.initializer:
            rng.choice(g.initializer).dims[:] = [rng.choice((-1, 0, 1, 2, 3, 64)) for _ in range(rng.randrange(4))]
        elif kind == 5 and g.initializer:
            t = rng.choice(g.initializer)
            t.data_type = rng.randrange(28)
            if t.HasField("raw_data") and len(t.raw_data) < 1 << 16:
                t.raw_data = bytes(rng.randrange(256) for _ in range(len(t.raw_data)))
        elif kind == 6:
            del g.node[rng.randrange(len(g.node))]
            if not g.node:
                break
        elif g.input:
            del rng.choice(g.input).type.tensor_type.shape.dim[:1]
    return proto.SerializeToString()


def _seeds():
    found = [(FOLDER / "lstm.onnx").read_bytes(), (FOLDER / "detector.onnx").read_bytes()]
    rng = np.random.default_rng(0)
    w = onnx.numpy_helper.from_array(rng.standard_normal((2, 3)).astype("float32"), "w")
    shape = onnx.numpy_helper.from_array(np.array([3, 2]), "s")
    found.append(
        model([ADD, node("Reshape", ["y", "s"], ["z"])], outputs=["z"], weights=[w, shape]).SerializeToString()
    )
    body = helper.make_graph(
        [node("Add", ["v", "w"], ["u"]), node("Identity", ["c"], ["d"])], "body",
        [info("i", (), 7), info("c", (), 9), info("v")], [info("d", (), 9), info("u")],
    )  # fmt: skip
    m = onnx.numpy_helper.from_array(np.array(3), "m")
    found.append(
        model([helper.make_node("Loop", ["m", "", "x"], ["y"], body=body)], weights=[w, m]).SerializeToString()
    )
    found.append(external("w.bin").SerializeToString())
    return found


def test_mutated_files_give_clear_errors(monkeypatch):
    """For a minute (MAAS_FUZZ_SECONDS): whatever the bytes, the model loads and runs, or a typed error comes."""
    monkeypatch.setattr(onnx_graph, "_MAX_NODES", 2000)

    def late(*_):
        raise TimeoutError("a loop that the data keeps going")

    before = signal.signal(signal.SIGALRM, late)
    seeds, rng = _seeds(), random.Random(int(os.environ.get("MAAS_FUZZ_SEED", "7")))
    end, tries, ran = time.monotonic() + float(os.environ.get("MAAS_FUZZ_SECONDS", "60")), 0, 0
    while time.monotonic() < end:
        signal.alarm(5)
        data = (_mutated if tries % 2 else _edited)(rng.choice(seeds), rng)
        tries += 1
        try:
            found = maas.onnx.load(data)
            if sum(i.size if hasattr(i, "size") else 1 for i in found.weights) < 1 << 20 and len(found.inputs) <= 2:
                arrays = [_some(i) for i in found.inputs]
                found(*arrays)
                ran += 1
        except (ValueError, TypeError, NotImplementedError, IndexError, MemoryError, TimeoutError) as e:
            assert str(e), data
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert tries > 200 and ran > 5, (tries, ran)


def _some(port):
    shape = [min(n or 2, 64) for n in port.shape]
    return np.ones(shape, port.dtype if "float" not in port.dtype else "float32")
