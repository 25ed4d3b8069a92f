"""JPEG and PNG files as inputs of models that take pixels, by every protocol; hostile files (S-14, S-31 in kind)."""

import base64
import gzip
import io
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

import maas
from maas.serving import PythonModel, Server
from maas.serving import images as decoder

from .conftest import call, metric, wait_for

RNG = np.random.default_rng(3)
PHOTO = np.asarray(Image.fromarray(RNG.integers(0, 255, (3, 4, 3), np.uint8)).resize((12, 9)))


def encoded(pixels, form="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def pixels_of(data, mode="RGB"):
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def mirror(shape, dtype="float32", more=()):
    return PythonModel(lambda a: a[0], [("x", shape, dtype), *more], [("y", shape, dtype)])


MODELS = {
    "fixed": mirror((None, 9, 12, 3)),
    "bytes": mirror((None, 9, 12, 3), "uint8"),
    "grey": mirror((None, 9, 12, 1), "uint8"),
    "flat": mirror((None, 9, 12)),
    "first": mirror((None, 3, 9, 12)),
    "free": mirror((None, None, None, 3), "uint8"),
    "alone": mirror((9, 12, 3), "uint8"),
    "two": mirror((None, 9, 12, 3), "uint8", [("z", (None, 2), "float32")]),
    "ints": mirror((None, 9, 12, 3), "int32"),
    "wide": mirror((None, 9, 12, 4)),
}


@pytest.fixture(scope="module")
def server():
    with Server(MODELS, port=0, grpc_port=0) as s:
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200
        for name in MODELS:
            wait_for(lambda name=name: metric(s.url, "maas_inference_in_flight", model=name) == 0)


def tfs(server, model, request):
    status, _, text = call(server.url, f"/v1/models/{model}:predict", request)
    return status, json.loads(text)


def rows(server, model, files):
    status, answer = tfs(server, model, {"instances": [b64(f) for f in files]})
    assert status == 200, answer
    return np.array(answer["predictions"])


def oip(server, model, inputs):
    status, _, text = call(server.url, f"/v2/models/{model}/infer", {"inputs": inputs})
    answer = json.loads(text)
    if status != 200:
        return status, answer["error"]
    out = answer["outputs"][0]
    return status, np.array(out["data"]).reshape(out["shape"])


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_rows_columns_and_the_open_protocol(server, form):
    files = [encoded(PHOTO, form), encoded(255 - PHOTO, form)]
    want = np.stack([pixels_of(f) for f in files])
    for model in ("fixed", "bytes", "free"):
        assert np.array_equal(rows(server, model, files), want)
        _, named = tfs(server, model, {"instances": [{"x": b64(f)} for f in files]})
        assert np.array_equal(named["predictions"], want)
        for inputs in ([b64(f) for f in files], {"x": [b64(f) for f in files]}):
            assert np.array_equal(tfs(server, model, {"inputs": inputs})[1]["outputs"], want)
        assert np.array_equal(tfs(server, model, {"inputs": b64(files[0])})[1]["outputs"], want[:1])
        tensor = {"name": "x", "shape": [2], "datatype": "BYTES", "data": [b64(f) for f in files]}
        for order in (tensor, dict(reversed(tensor.items()))):  # the data may come before its datatype
            status, got = oip(server, model, [order])
            assert status == 200 and np.array_equal(got, want)


def test_layouts_and_channels(server):
    file = encoded(PHOTO)
    grey = np.asarray(Image.fromarray(PHOTO).convert("L"))
    assert np.array_equal(rows(server, "grey", [file])[0, :, :, 0], grey)
    assert np.array_equal(rows(server, "flat", [file])[0], grey)
    assert np.array_equal(rows(server, "first", [file])[0], PHOTO.transpose(2, 0, 1))
    status, got = oip(server, "alone", [{"name": "x", "shape": [1], "datatype": "BYTES", "data": [b64(file)]}])
    assert status == 200 and np.array_equal(got, PHOTO)
    # Grey, palette and alpha become RGB; alpha is dropped.
    for kind in ("L", "P", "RGBA", "LA", "1"):
        out = io.BytesIO()
        Image.fromarray(PHOTO).convert(kind).save(out, "PNG")
        assert np.array_equal(rows(server, "bytes", [out.getvalue()])[0], pixels_of(out.getvalue())), kind


def test_an_image_beside_another_input(server):
    files = [encoded(PHOTO), encoded(255 - PHOTO)]
    image = {"name": "x", "shape": [2], "datatype": "BYTES", "data": [b64(f) for f in files]}
    other = {"name": "z", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}
    for inputs in ([image, other], [other, image]):
        status, got = oip(server, "two", inputs)
        assert status == 200 and np.array_equal(got, np.stack([PHOTO, 255 - PHOTO]))
    status, answer = tfs(server, "two", {"instances": [{"x": b64(f), "z": [1, 2]} for f in files]})
    assert status == 200 and np.array_equal(answer["predictions"], np.stack([PHOTO, 255 - PHOTO]))
    assert oip(server, "two", [image, dict(other, shape=[1, 2], data=[1, 2])])[0] == 400


def test_binary_and_grpc(server):
    import grpc

    file = encoded(PHOTO, "JPEG")
    raw = struct.pack("<I", len(file)) + file
    tensor = {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, _, text = call(server.url, "/v2/models/bytes/infer", head + raw, headers=headers)
    assert status == 200 and json.loads(text)["outputs"][0]["data"] == pixels_of(file).ravel().tolist()

    def field(number, value):
        size, out = len(value), b""
        while size >= 0x80:
            out, size = out + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + out + bytes([size]) + value

    message = field(1, b"bytes") + field(5, field(1, b"x") + field(2, b"BYTES") + field(3, b"\x01")) + field(7, raw)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        assert pixels_of(file).tobytes() in ask(message, timeout=20)
        with pytest.raises(grpc.RpcError) as error:
            ask(message.replace(b"JFIF", b"\0\0\0\0").replace(file[:2], b"no"), timeout=20)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_images_and_numbers_share_batches(server):
    before = metric(server.url, "maas_inference_requests_total", model="bytes", outcome="success")
    wrong = []

    def ask(i):
        photo = RNG_ROWS[i]
        got = rows(server, "bytes", [encoded(photo)]) if i % 2 else np.array(
            tfs(server, "bytes", {"instances": [photo.tolist()]})[1]["predictions"]
        )  # fmt: skip
        if not np.array_equal(got[0], photo):
            wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(RNG_ROWS))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    after = metric(server.url, "maas_inference_requests_total", model="bytes", outcome="success")
    assert after == before + len(RNG_ROWS)


RNG_ROWS = RNG.integers(0, 255, (24, 9, 12, 3), np.uint8)


def test_a_model_of_the_engine():
    model = maas.Sequential(
        [maas.Input((9, 12, 3)), maas.layers.Rescaling(1 / 255), maas.layers.Flatten(), maas.layers.Dense(2)]
    )
    want = model.predict(np.stack([PHOTO, 255 - PHOTO]).astype(np.float32), verbose=0)
    with Server(model, name="m", port=0) as server:
        assert np.array_equal(rows(server, "m", [encoded(PHOTO), encoded(255 - PHOTO)]).astype(np.float32), want)


# ---- what is refused


def png(width, height, data=b"", bits=8, kind=2, more=b""):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_sizes_that_do_not_fit(server):
    small, file = encoded(PHOTO[:5]), encoded(PHOTO)
    status, answer = tfs(server, "fixed", {"instances": [b64(small)]})
    assert (status, answer["error"]) == (400, "an image must be 9 x 12 pixels (height x width), received 5 x 12")
    # Where the model leaves the size free, the first image of a request sets it.
    status, answer = tfs(server, "free", {"instances": [b64(small), b64(file)]})
    assert (status, answer["error"]) == (400, "an image must be 5 x 12 pixels (height x width), received 9 x 12")
    assert np.array_equal(rows(server, "free", [small])[0], PHOTO[:5])
    assert "one image" in tfs(server, "alone", {"inputs": [b64(file), b64(file)]})[1]["error"]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"no image",
        b"GIF89a\x0c\x00\x09\x00\x00\x00\x00;",
        encoded(PHOTO, "BMP"),
        encoded(PHOTO, "WEBP"),
        encoded(PHOTO, "TIFF"),
        encoded(PHOTO)[:-30],
        encoded(PHOTO, "JPEG")[:200],
        encoded(RNG.integers(0, 2**16, (9, 12), np.uint16)),
        png(12, 9, b"x" * 50),
        png(12, 9, zlib.compress(b"\x09" * 37 * 9)),
        encoded(PHOTO, "JPEG", progressive=True)[:-2] + b"\xff\xda" * 101 + b"\xff\xd9",
    ],
    ids=range(12),
)
def test_files_that_are_refused(server, file):
    for model in ("fixed", "free"):
        status, answer = tfs(server, model, {"instances": [b64(file)]})
        assert status == 400 and list(answer) == ["error"] and "/" not in answer["error"].replace("JPEG or PNG", "")


def test_rows_that_a_file_does_not_have_are_zero(server):
    # Pillow takes such a file; what is missing must not be what was in memory before.
    rows(server, "bytes", [encoded(np.full((9, 12, 3), 7, np.uint8))] * 4)
    got = rows(server, "bytes", [png(12, 9, zlib.compress((b"\0" + b"\x05" * 36) * 4))] * 4)
    assert (got[:, :4] == 5).all() and (got[:, 4:] == 0).all()


def test_bombs_are_refused_by_their_sizes(server):
    text = zlib.compress(b"\0" * (64 << 20), 9)
    bombs = [png(20000, 20000, zlib.compress(b"\0" * 60001 * 1000, 9)), png(2**31 - 1, 2**31 - 1), png(5000, 5000)]
    bombs.append(png(12, 9, more=struct.pack(">I", len(text) + 3) + b"zTXt" + b"a\0\0" + text + b"\0\0\0\0"))
    for bomb in bombs:
        for model in ("fixed", "free"):
            began = time.monotonic()
            status, _ = tfs(server, model, {"instances": [b64(bomb)]})
            assert status == 400 and time.monotonic() - began < 0.5


def test_words_that_are_no_images(server):
    file = b64(encoded(PHOTO))
    for model, request in (
        ("ints", {"instances": [file]}),
        ("wide", {"instances": [file]}),
        ("fixed", {"instances": [{"b64": "***"}]}),
        ("fixed", {"instances": [{"b64": 1}]}),
        ("fixed", {"instances": [[file]]}),
        ("fixed", {"instances": [file, PHOTO.tolist()]}),
        ("fixed", {"instances": [PHOTO.tolist(), file]}),
        ("fixed", {"instances": [{**file, "x": 1}]}),
        ("fixed", {"instances": []}),
    ):
        status, answer = tfs(server, model, request)
        assert status == 400 and list(answer) == ["error"], request
    tensor = {"name": "x", "shape": [1], "datatype": "BYTES"}
    for change in (
        {"data": ["text"]},
        {"data": [{}]},
        {"data": [{"b64": 1}]},
        {"data": [{"b64": "%"}]},
        {"data": [{"b64": []}]},
        {"data": [{"b64": {"b64": ""}}]},
        {"data": [{**file, "more": 1}]},
        {"data": [{"more": "AAAA"}]},
        {"data": [{"b64": "AAAA", "b64 ": "AAAA"}]},
        {"data": [file, file]},
        {"data": [file], "shape": [1, 1]},
        {"data": [file], "shape": [0]},
        {"data": [file], "datatype": "UINT8"},
    ):
        assert oip(server, "fixed", [tensor | change])[0] == 400, change
    text = json.dumps({"inputs": [tensor]}).replace("}]", ', "data": [{"b64": "AA==", "b64": "AA=="}]}]')
    assert call(server.url, "/v2/models/fixed/infer", text)[0] == 400


def test_strings_may_be_base64_too():
    model = PythonModel(lambda a: a[0], [("x", (None,), "bytes")], [("y", (None,), "bytes")])
    with Server(model, name="s", port=0) as server:
        tensor = {"name": "x", "shape": [3], "datatype": "BYTES", "data": ["a", b64(b"b"), b64(b"")]}
        status, _, text = call(server.url, "/v2/models/s/infer", {"inputs": [tensor]})
        assert status == 200 and json.loads(text)["outputs"][0]["data"] == ["a", "b", ""]


def test_random_mutations_never_break_it(server):
    chance = random.Random(1)
    files = [encoded(PHOTO), encoded(PHOTO, "JPEG"), encoded(PHOTO, "JPEG", progressive=True), encoded(PHOTO[:, :, 0])]
    for _ in range(400):
        file = bytearray(chance.choice(files))
        for _ in range(chance.randrange(1, 8)):
            file[chance.randrange(len(file))] = chance.randrange(256)
        if chance.random() < 0.3:
            del file[chance.randrange(len(file)) :]
        status, answer = tfs(server, chance.choice(["fixed", "free"]), {"instances": [b64(bytes(file))]})
        assert status == 200 or (status == 400 and list(answer) == ["error"])


def test_decoding_does_not_hold_others_up(server):
    # The size is free, so all of this is decoded.
    large = b64(encoded(np.zeros((4000, 4000, 3), np.uint8), compress_level=1))
    answers = []
    slow = [
        threading.Thread(target=lambda: answers.append(tfs(server, "free", {"instances": [large, b64(b"x")]})))
        for _ in range(2)
    ]
    for t in slow:
        t.start()
    waits = []
    while any(t.is_alive() for t in slow):
        began = time.perf_counter()
        assert call(server.url, "/v2/health/live")[0] == 200
        waits.append(time.perf_counter() - began)
    assert [status for status, _ in answers] == [400, 400] and sorted(waits)[len(waits) // 2] < 0.05


def test_a_server_that_stops_answers_those_who_wait(monkeypatch):
    entered, go = threading.Semaphore(0), threading.Event()

    def slow(*arguments):
        entered.release()
        assert go.wait(20)
        return real(*arguments)

    real = decoder.decode
    monkeypatch.setattr(decoder, "decode", slow)
    answers = []
    with Server(MODELS["bytes"], name="m", port=0) as server:

        def ask():
            answers.append(tfs(server, "m", {"instances": [b64(encoded(PHOTO))]})[0])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads:
            t.start()
        assert entered.acquire(timeout=10) and entered.acquire(timeout=10)
        wait_for(lambda: metric(server.url, "maas_http_connections") >= 5)  # theirs, and that of this question
        threading.Timer(0.2, go.set).start()
    for t in threads:
        t.join()
    assert answers == [200] * 4  # a server drains


def test_a_deadline_passes_before_its_images_are_decoded(monkeypatch):
    real = decoder.decode
    monkeypatch.setattr(decoder, "decode", lambda *a: (time.sleep(0.4), real(*a))[1])
    with Server(MODELS["bytes"], name="m", port=0, request_timeout=0.3) as server:
        answers = []

        def ask():
            answers.append(tfs(server, "m", {"instances": [b64(encoded(PHOTO))]})[0])

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert set(answers) == {504}
        wait_for(lambda: metric(server.url, "maas_inference_in_flight", model="m") == 0)
        monkeypatch.undo()


def test_a_deadline_passes_between_images(monkeypatch):
    real, calls = decoder.decode, []

    def slow(*arguments):
        calls.append(1)
        time.sleep(0.1)
        return real(*arguments)

    monkeypatch.setattr(decoder, "decode", slow)
    with Server(MODELS["bytes"], name="m", port=0, request_timeout=0.3) as server:
        assert tfs(server, "m", {"instances": [b64(encoded(PHOTO))] * 30})[0] == 504
        wait_for(lambda: metric(server.url, "maas_inference_in_flight", model="m") == 0)
        time.sleep(0.3)
        seen = len(calls)
        time.sleep(0.3)
        assert seen == len(calls) < 10


def test_more_images_than_a_request_may_have_are_not_decoded(monkeypatch):
    real, calls = decoder.decode, []
    monkeypatch.setattr(decoder, "decode", lambda *a: (calls.append(1), real(*a))[1])
    with Server(MODELS["bytes"], name="m", port=0, max_batch_size=4, max_queue_size=2) as server:
        status, answer = tfs(server, "m", {"instances": [b64(encoded(PHOTO))] * 9})
        assert (status, answer["error"]) == (400, "a request may have at most 8 rows, received 9")
        assert not calls
        assert tfs(server, "m", {"instances": [b64(encoded(PHOTO))] * 8})[0] == 200 and len(calls) == 8


def test_images_of_a_client_that_has_gone_are_not_decoded(monkeypatch):
    entered, go, real = threading.Semaphore(0), threading.Event(), decoder.decode

    def slow(*arguments):
        entered.release()
        assert go.wait(20)
        return real(*arguments)

    monkeypatch.setattr(decoder, "decode", slow)
    data = json.dumps({"instances": [b64(encoded(PHOTO))]}).encode()
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data)
    with Server(MODELS["bytes"], name="m", port=0) as server:
        stay = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        for s in stay:
            s.sendall(head + data)
        assert entered.acquire(timeout=10) and entered.acquire(timeout=10)
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(head + data)
            wait_for(lambda: metric(server.url, "maas_http_connections") == 4)
        try:
            # Theirs, and that of this question. Nothing but images waits.
            wait_for(lambda: metric(server.url, "maas_http_connections") == 3, seconds=5)
        finally:
            go.set()
        for s in stay:
            assert s.recv(15) == b"HTTP/1.1 200 OK"
            s.close()
        assert not entered.acquire(timeout=0.3)


def test_a_large_png_is_no_jpeg_of_many_scans(server):
    large = encoded(np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8), compress_level=0)
    assert large.count(b"\xff\xda") > decoder.MAX_SCANS
    assert decoder.decode(large, 3, -1, -1)[:2] == (2000, 2000)


def test_other_inputs_of_those_who_wait_count(monkeypatch):
    entered, go = threading.Semaphore(0), threading.Event()
    real = decoder.decode

    def slow(*arguments):
        entered.release()
        assert go.wait(20)
        return real(*arguments)

    monkeypatch.setattr(decoder, "decode", slow)
    file, size = encoded(PHOTO), 120 << 20
    raw = struct.pack("<I", len(file)) + file
    inputs = [
        {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}},
        {"name": "z", "shape": [1, size], "datatype": "UINT8", "parameters": {"binary_data_size": size}},
    ]
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Encoding": "gzip"}
    request = gzip.compress(head + raw + bytes(size), 1)
    model = mirror((None, 9, 12, 3), "uint8", [("z", (None, None), "uint8")])
    answers = []
    with Server(model, name="m", port=0, max_body_bytes=130 << 20) as server:

        def ask():
            answers.append(call(server.url, "/v2/models/m/infer", request, headers=headers)[0])

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for t in threads:
            t.start()
        assert entered.acquire(timeout=10) and entered.acquire(timeout=10)
        threading.Timer(3, go.set).start()
        ask()
        go.set()
        for t in threads:
            t.join()
    assert answers == [429, 200, 200]


def test_without_pillow_the_answer_names_the_extra(tmp_path):
    (tmp_path / "PIL.py").write_text("raise ImportError('no')")
    program = (
        "import json, sys\nsys.path.insert(0, sys.argv[1])\n"
        "from maas.serving import PythonModel, Server\n"
        "from urllib.request import Request, urlopen\nfrom urllib.error import HTTPError\n"
        "m = PythonModel(lambda a: a[0], [('x', (None, 1, 1, 3), 'uint8')], [('y', (None, 1, 1, 3), 'uint8')])\n"
        "with Server(m, name='m', port=0) as s:\n"
        '    try: urlopen(s.url + \'/v1/models/m:predict\', b\'{"instances":[{"b64":"AAAA"}]}\', 20)\n'
        "    except HTTPError as e: print(e.code, e.read().decode())\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert result.stdout.startswith("501 ") and "pip install maas[image]" in result.stdout, result
