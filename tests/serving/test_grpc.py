"""gRPC by hand: messages that lie, keys, deadlines, health, and a port that is taken."""

import re
import struct
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest

import maas
from maas.serving import PythonModel, Server
from maas.serving import keys as api_keys
from tests.wire import field, parse, varint

from .conftest import Gate, affine, echo, metric, toy

X = np.random.default_rng(6).standard_normal((2, 16)).astype(np.float32)
SERVICE = "/inference.GRPCInferenceService/"
Code = grpc.StatusCode


def tensor(shape, contents=b"", name="x", datatype="FP32"):
    packed = b"".join(varint(d) for d in shape)
    return field(5, field(1, name) + field(2, datatype) + field(3, packed) + (field(5, contents) if contents else b""))


def request(*parts, model="toy"):
    return field(1, model) + b"".join(parts)


RAW = request(tensor(X.shape), field(7, X.tobytes()))


@pytest.fixture(scope="module")
def server():
    models = {"toy": toy(), "ints": echo("int8", (None, 2)), "flags": echo("bool", (None, 2))}
    models["words"] = echo("bytes", (None, 1))
    with Server(models, port=0, grpc_port=0) as s:
        yield s
        with grpc.insecure_channel(f"127.0.0.1:{s.grpc_port}") as c:
            assert parse(c.unary_unary(SERVICE + "ServerLive")(b"")) == {1: [1]}


@pytest.fixture
def call(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as c:
        yield lambda method, message, **more: c.unary_unary(SERVICE + method)(message, timeout=20, **more)


def refusal(call, *args, **more):
    with pytest.raises(grpc.RpcError) as e:
        call(*args, **more)
    return e.value.code(), e.value.details()


def test_raw_and_typed_contents_are_bit_equal(call):
    floats = field(6, X.tobytes())
    one_by_one = b"".join(varint(6 << 3 | 5) + struct.pack("<f", v) for v in X.ravel())
    for message in (RAW, request(tensor(X.shape, floats)), request(tensor(X.shape, one_by_one))):
        answer = parse(call("ModelInfer", message))
        assert answer[1] == [b"toy"] and answer[6] == [affine(X).tobytes()]
    ints = b"".join(varint(v) for v in (-128, 127))
    answer = parse(call("ModelInfer", request(tensor((1, 2), field(2, ints), datatype="INT8"), model="ints")))
    assert np.frombuffer(answer[6][0], np.int8).tolist() == [-128, 127]
    flags = field(1, 1) + field(1, 0)
    answer = parse(call("ModelInfer", request(tensor((1, 2), flags, datatype="BOOL"), model="flags")))
    assert answer[6] == [b"\1\0"]
    words = field(8, b"a\xff") + field(8, b"")
    answer = parse(call("ModelInfer", request(tensor((2, 1), words, datatype="BYTES"), model="words")))
    assert answer[6] == [b"\2\0\0\0a\xff\0\0\0\0"]


PAST = varint(130)
BAD = {
    "not a message": b"\xff" * 20,
    "field of number 0": b"\0\0" + RAW,
    "group": RAW + b"\x0b",
    "varint without end": RAW + b"\x80",
    "varint of 11 bytes": RAW + b"\x08" + b"\x80" * 10 + b"\1",
    "length past the end": RAW + b"\x3a" + varint(2**40),
    "length of 64 bits": RAW + b"\x3a" + varint(2**64 - 1),
    "no inputs": request(),
    "no contents": request(tensor(X.shape)),
    "unknown input": request(tensor(X.shape, name="z"), field(7, X.tobytes())),
    "input twice": request(tensor(X.shape), tensor(X.shape), field(7, X.tobytes()), field(7, X.tobytes())),
    "no name": request(tensor(X.shape, name=""), field(7, X.tobytes())),
    "datatype": request(tensor(X.shape, datatype="FP31"), field(7, X.tobytes())),
    "other datatype": request(tensor(X.shape, datatype="INT32"), field(7, X.tobytes())),
    "negative shape": request(tensor((-2, 16)), field(7, X.tobytes())),
    "zero shape": request(tensor((0, 16)), field(7, b"")),
    "huge shape": request(tensor((2**62, 16)), field(7, X.tobytes())),
    "shape that wraps": request(tensor((2**32, 2**32)), field(7, X.tobytes())),
    "33 sizes": request(tensor([1] * 33), field(7, X.tobytes())),
    "raw short": request(tensor(X.shape), field(7, X.tobytes()[:-1])),
    "raw long": request(tensor(X.shape), field(7, X.tobytes() + b"\0")),
    "raw twice": request(tensor(X.shape), field(7, X.tobytes()), field(7, X.tobytes())),
    "raw many": request(tensor(X.shape), field(7, b"") * 1000),
    "raw and typed": request(tensor(X.shape, field(6, X.tobytes())), field(7, X.tobytes())),
    "typed short": request(tensor(X.shape, field(6, X.tobytes()[:-4]))),
    "typed long": request(tensor(X.shape, field(6, X.tobytes() + b"\0\0\0\0"))),
    "typed uneven": request(tensor(X.shape, field(6, X.tobytes()[:-1]))),
    "typed of another type": request(tensor(X.shape, field(7, b"\0" * 256))),
    "typed out of range": request(tensor((1, 2), field(2, varint(128) * 2), datatype="INT8"), model="ints"),
    "bool of 2": request(tensor((1, 2), field(1, b"\2\2"), datatype="BOOL"), model="flags"),
    "strings short": request(tensor((1, 1), datatype="BYTES"), field(7, b"\5\0\0\0a"), model="words"),
    "strings long": request(tensor((1, 1), datatype="BYTES"), field(7, b"\1\0\0\0ab"), model="words"),
    "output twice": RAW + field(6, field(1, "y")) * 2,
    "output nameless": RAW + field(6, b""),
    "outputs many": RAW + b"".join(field(6, field(1, f"y{i}")) for i in range(300)),
    "long id": RAW + field(3, "a" * 2000),
    "negative timeout": RAW + field(4, field(1, "timeout") + field(2, field(2, -1))),
    "timeout of text": RAW + field(4, field(1, "timeout") + field(2, field(3, "a"))),
    "shared memory": request(
        field(
            5, field(1, "x") + field(2, "FP32") + field(4, field(1, "shared_memory_region") + field(2, field(3, "r")))
        )
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_s15_messages_that_lie(server, call, case):
    code, text = refusal(call, "ModelInfer", BAD[case])
    assert code == Code.INVALID_ARGUMENT and text
    assert metric(server.url, "maas_queue_depth") == 0


def test_random_messages(call):
    rng = np.random.default_rng(8)
    seen = set()
    for _ in range(400):
        data = bytearray(RAW)
        for _ in range(rng.integers(1, 4)):
            i = int(rng.integers(len(data)))
            data[i : i + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 3)))
        try:
            call("ModelInfer", bytes(data))
        except grpc.RpcError as e:
            seen.add(e.code())
    assert seen <= {Code.INVALID_ARGUMENT, Code.NOT_FOUND} and Code.INVALID_ARGUMENT in seen


def test_unknown_methods_and_models(call):
    assert refusal(call, "SystemSharedMemoryStatus", b"")[0] == Code.UNIMPLEMENTED
    assert refusal(call, "ModelReady", field(1, "no"))[0] == Code.NOT_FOUND
    assert refusal(call, "ModelReady", b"")[0] == Code.NOT_FOUND
    assert parse(call("ModelReady", field(1, "toy"))) == {1: [1]}


def test_health_service(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as c:
        check = c.unary_unary("/grpc.health.v1.Health/Check")
        assert parse(check(b"")) == {1: [1]}
        assert parse(check(field(1, "inference.GRPCInferenceService"))) == {1: [1]}
        assert refusal(check, field(1, "other"))[0] == Code.NOT_FOUND


def test_keys_and_scopes(tmp_path):
    text = {}
    for name, options in {"infer": {"scopes": ["infer"]}, "other": {"scopes": ["infer"], "models": ["other*"]}}.items():
        text[name], row = api_keys.make(name, **options)
        api_keys.add(tmp_path / "keys.json", row)
    with Server(toy(), name="toy", port=0, grpc_port=0, keys=tmp_path / "keys.json") as s:
        with grpc.insecure_channel(f"127.0.0.1:{s.grpc_port}") as c:

            def call(method, message, *tokens):
                metadata = [("authorization", f"Bearer {t}") for t in tokens]
                return c.unary_unary(SERVICE + method)(message, metadata=metadata, timeout=20)

            assert parse(call("ServerLive", b"")) == {1: [1]}
            for method in ("ModelInfer", "ServerMetadata", "RepositoryIndex", "ModelStatistics", "RepositoryModelLoad"):
                assert refusal(call, method, RAW)[0] == Code.UNAUTHENTICATED
                assert refusal(call, method, RAW, "nonsense")[0] == Code.UNAUTHENTICATED
                assert refusal(call, method, RAW, text["infer"], text["infer"])[0] == Code.UNAUTHENTICATED
            assert parse(call("ModelInfer", RAW, text["infer"]))[6] == [affine(X).tobytes()]
            assert refusal(call, "ModelInfer", RAW, text["other"])[0] == Code.PERMISSION_DENIED
            assert refusal(call, "ModelStatistics", b"", text["infer"])[0] == Code.PERMISSION_DENIED
            assert call("RepositoryIndex", b"", text["other"]) == b""
            stream = c.stream_stream(SERVICE + "ModelStreamInfer")
            assert refusal(lambda: list(stream(iter([RAW]), timeout=20)))[0] == Code.UNAUTHENTICATED


def test_deadlines_and_a_full_queue():
    gate = Gate()
    options = {"max_queue_size": 1, "max_batch_size": 2, "request_timeout": 20.0}
    with Server(toy(gate), name="toy", port=0, grpc_port=0, **options) as s:
        with grpc.insecure_channel(f"127.0.0.1:{s.grpc_port}") as c, futures.ThreadPoolExecutor(4) as pool:
            infer = c.unary_unary(SERVICE + "ModelInfer")
            first = pool.submit(infer, RAW, timeout=20)
            assert gate.entered.acquire(timeout=10)
            began = time.monotonic()
            assert refusal(infer, RAW, timeout=0.3)[0] == Code.DEADLINE_EXCEEDED
            assert time.monotonic() - began < 5
            # The request's own timeout, in microseconds; the call would wait longer.
            began = time.monotonic()
            short = RAW + field(4, field(1, "timeout") + field(2, field(2, 200_000)))
            assert refusal(infer, short, timeout=20)[0] == Code.DEADLINE_EXCEEDED
            assert time.monotonic() - began < 5
            second = pool.submit(infer, RAW, timeout=20)
            while metric(s.url, "maas_queue_depth") != 1:
                time.sleep(0.01)
            assert refusal(infer, RAW, timeout=20)[0] == Code.RESOURCE_EXHAUSTED
            gate.open.set()
            for answer in (first, second):
                assert parse(answer.result(20))[6] == [affine(X).tobytes()]
        # What was past its deadline never ran.
        assert gate.rows == [2, 2]


def test_priorities(server):
    gate, order = Gate(), []

    def model(arrays):
        order.append(int(arrays[0][0, 0]))
        return gate(arrays)

    def ask(priority):
        row = np.full((1, 16), priority, np.float32)
        parameter = field(4, field(1, "priority") + field(2, field(2, priority)))
        return request(tensor((1, 16)), field(7, row.tobytes()), parameter)

    with Server(toy(model), name="toy", port=0, grpc_port=0, max_batch_size=1, priority_levels=3) as s:
        with grpc.insecure_channel(f"127.0.0.1:{s.grpc_port}") as c, futures.ThreadPoolExecutor(9) as pool:
            infer = c.unary_unary(SERVICE + "ModelInfer")
            calls = [pool.submit(infer, ask(2), timeout=20)]
            assert gate.entered.acquire(timeout=10)
            for n, priority in enumerate([3, 3, 3, 1, 1]):
                calls.append(pool.submit(infer, ask(priority), timeout=20))
                while metric(s.url, "maas_queue_depth") != n + 1:
                    time.sleep(0.01)
            gate.open.set()
            for each in calls:
                each.result(20)
    # What was in a batch already goes in its turn; the first priority passes what waits.
    assert order[0] == 2 and sorted(order[1:]) == [1, 1, 3, 3, 3] and order[-1] == 3 and order.index(1) < 3


def test_stop_answers_those_who_wait_for_the_store():
    begun, go = threading.Event(), threading.Event()

    class Store:
        def index(self):
            return []

        def load(self, name, parameters):
            begun.set()
            assert go.wait(20)

        unload = load

    server = Server(toy(), name="toy", port=0, grpc_port=0, repository_api=True)
    server.set_model_store(Store(), may_change=True)
    key = [("authorization", f"Bearer {server.management_key}")]
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as c, futures.ThreadPoolExecutor(8) as pool:
        load = c.unary_unary(SERVICE + "RepositoryModelLoad")
        assert refusal(lambda: load(field(2, "a"), timeout=10))[0] == Code.UNAUTHENTICATED
        first = pool.submit(load, field(2, "a"), timeout=30, metadata=key)
        assert begun.wait(10)
        others = [pool.submit(load, field(2, "b"), timeout=30, metadata=key) for _ in range(3)]
        time.sleep(0.3)
        stopper = pool.submit(server.stop)
        time.sleep(0.3)
        began = time.monotonic()
        go.set()
        assert first.result(10) == b""
        for each in others:
            assert refusal(each.result, 10)[0] == Code.UNAVAILABLE
        stopper.result(10)
        assert time.monotonic() - began < 5


def test_many_calls_share_batches(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as c, futures.ThreadPoolExecutor(16) as pool:
        infer = c.unary_unary(SERVICE + "ModelInfer")
        x = np.random.default_rng(9).standard_normal((200, 1, 16)).astype(np.float32)
        messages = [request(tensor((1, 16)), field(7, row.tobytes())) for row in x]
        for row, answer in zip(x, pool.map(lambda m: infer(m, timeout=20), messages)):
            assert parse(answer)[6] == [affine(row).tobytes()]


def test_a_model_that_fails_is_internal_and_says_nothing():
    def broken(arrays):
        raise RuntimeError("/secret/path")

    with Server(toy(broken), name="toy", port=0, grpc_port=0) as s:
        with grpc.insecure_channel(f"127.0.0.1:{s.grpc_port}") as c:
            code, text = refusal(lambda: c.unary_unary(SERVICE + "ModelInfer")(RAW, timeout=20))
            assert code == Code.INTERNAL and text == "model 'toy' failed"


def test_a_port_that_is_taken(server):
    second = Server(toy(), name="toy", port=0, grpc_port=server.grpc_port)
    with pytest.raises(RuntimeError):
        second.start()


def test_without_grpcio_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    with pytest.raises(ImportError, match=r"maas\[grpc\]"):
        Server(PythonModel(lambda a: a, [("x", (None,), "int8")], [("y", (None,), "int8")]), name="a", grpc_port=0)


def test_maas_serve_with_a_grpc_port(tmp_path):
    model = maas.Sequential([maas.layers.Input((16,), name="x"), maas.layers.Dense(4, name="y")])
    model.save(tmp_path / "net.keras")
    command = [sys.executable, "-m", "maas.cli", "serve", tmp_path / "net.keras", "--port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        port = re.fullmatch(r"maas: gRPC at 127\.0\.0\.1:(\d+)\n", lines[1])[1]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as c:
            message = request(tensor(X.shape), field(7, X.tobytes()), model="net")
            answer = parse(c.unary_unary(SERVICE + "ModelInfer")(message, timeout=20))
        assert answer[6] == [np.asarray(model.predict(X, verbose=0)).tobytes()]
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
