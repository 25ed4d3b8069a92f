"""gzip and deflate, both ways."""

import gzip
import json
import time
import zlib

import numpy as np
import pytest
import tritonclient.http as triton

from .conftest import affine, body, call, infer, raw, rows_of
from .test_hostile import post, statuses

X = np.random.default_rng(3).standard_normal((32, 16)).astype(np.float32)
GOOD = json.dumps(body(X)).encode()
PATH = "/v2/models/toy/infer"
ENCODE = {"gzip": gzip.compress, "deflate": zlib.compress}
DECODE = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("request_coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_coding", [None, "gzip", "deflate"])
def test_triton_client_compresses(server, binary, request_coding, response_coding):
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    i = triton.InferInput("x", list(X.shape), "FP32")
    i.set_data_from_numpy(X, binary_data=binary)
    r = client.infer(
        "toy",
        [i],
        outputs=[triton.InferRequestedOutput("y", binary_data=binary)],
        request_compression_algorithm=request_coding,
        response_compression_algorithm=response_coding,
    )
    assert r.as_numpy("y").tobytes() == affine(X).tobytes()
    client.close()


@pytest.mark.parametrize(
    "accept, want",
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", "gzip"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("GZIP ; q=1", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *;q=0.1", "deflate"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("br, zstd", None),
        ("identity", None),
        ("gzip;q=2", None),
        ("gzip;q=x", None),
        (";;,,q=1;gzip", None),
        ("", None),
        (None, None),
    ],
)
def test_accept_encoding(server, accept, want):
    headers = {} if accept is None else {"Accept-Encoding": accept}
    status, got, text = call(server.url, PATH, GOOD, headers=headers)
    assert status == 200 and got["Content-Encoding"] == want and int(got["Content-Length"]) == len(text)
    if want:
        assert got["Vary"] == "Accept-Encoding"
        text = DECODE[want](text)
    assert rows_of(json.loads(text)).tobytes() == affine(X).tobytes()


def test_other_routes_and_small_answers(server):
    status, headers, text = call(server.url, "/metrics", headers={"Accept-Encoding": "gzip"})
    assert status == 200 and headers["Content-Encoding"] == "gzip" and b"maas_" in gzip.decompress(text)
    assert call(server.url, "/v2", headers={"Accept-Encoding": "gzip"})[1]["Content-Encoding"] is None
    two = "GET {} HTTP/1.1\r\nHost: a\r\n{}\r\n"
    answer = raw(
        server, (two.format("/metrics", "Accept-Encoding: gzip\r\n") + two.format("/metrics", "")).encode(), 0.3
    )
    assert statuses(answer) == [200, 200] and answer.count(b"Content-Encoding") == 1


@pytest.mark.parametrize("coding", ENCODE)
def test_a_stream_with_names_and_blocks(server, coding):
    c = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    data = b"".join(c.compress(GOOD[i : i + 100]) + c.flush(zlib.Z_FULL_FLUSH) for i in range(0, len(GOOD), 100))
    assert infer(server.url, data + c.flush(), headers={"Content-Encoding": coding})[0] == 200
    stored = zlib.compressobj(0, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    data = stored.compress(GOOD) + stored.flush()
    assert infer(server.url, data, headers={"Content-Encoding": coding})[0] == 200
    if coding == "gzip":  # name, comment, extra field and header checksum
        plain = gzip.compress(GOOD)
        head = b"\x1f\x8b\x08\x1e" + plain[4:10] + b"\x03\0abc" + b"name\0" + b"comment\0" + b"\0\0"
        assert infer(server.url, head + plain[10:], headers={"Content-Encoding": coding})[0] == 200


@pytest.mark.parametrize("coding", ENCODE)
def test_s14_broken_streams(server, coding):
    data = ENCODE[coding](GOOD)
    at = sorted({*range(12), *range(0, len(data), max(1, len(data) // 40))})
    flips = {data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1 :]: i for i in at}
    cuts = [data[:n] for n in (0, 1, 2, 9, 10, 11, len(data) // 2, len(data) - 9, len(data) - 1)]
    for bad in [*cuts, data + b"\0", data + data, b"\0" * 30, *flips]:
        status, answer = infer(server.url, bad, headers={"Content-Encoding": coding})
        # The time stamp, the hints and the system of a gzip header mean nothing to the content.
        free = coding == "gzip" and flips.get(bad, 0) in range(4, 10)
        assert (status == 200) if free else (status == 400 and set(answer) == {"error"}), (flips.get(bad), status)
    raw_deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bad = raw_deflate.compress(GOOD) + raw_deflate.flush()
    assert infer(server.url, bad, headers={"Content-Encoding": coding})[0] == 400
    assert infer(server.url, data, headers={"Content-Encoding": coding})[0] == 200


@pytest.mark.parametrize("coding", ENCODE)
def test_s14_bombs(server, coding):
    def peak():
        with open("/proc/self/status") as f:
            return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) << 10

    c = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    block = b" " * (1 << 20)
    bomb = b"".join(c.compress(block) for _ in range(256)) + c.flush()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # or the peak is that of what ran before
    before, began = peak(), time.monotonic()
    status, answer = infer(server.url, bomb, headers={"Content-Encoding": coding})
    assert status == 413 and "decompressed" in answer["error"]
    assert time.monotonic() - began < 5
    assert peak() - before < 200 << 20
    assert infer(server.url, GOOD)[0] == 200


def test_the_limit_is_of_the_plain_body():
    from maas.serving import Server

    from .conftest import toy

    with Server(toy(), name="toy", port=0, max_body_bytes=20000) as s:
        for coding, encode in ENCODE.items():
            for size, want in ((20000, 200), (20001, 413)):
                data = encode(GOOD[:-1] + b" " * (size - len(GOOD)) + b"}")
                assert infer(s.url, data, headers={"Content-Encoding": coding})[0] == want


def test_the_binary_header_counts_plain_bytes(server):
    tensor = {"name": "x", "shape": list(X.shape), "datatype": "FP32", "parameters": {"binary_data_size": X.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    for coding, encode in ENCODE.items():
        headers = {"Content-Encoding": coding, "Inference-Header-Content-Length": str(len(head))}
        headers["Accept-Encoding"] = coding
        status, got, text = call(server.url, PATH, encode(head + X.tobytes()), headers=headers)
        if got["Content-Encoding"]:
            text = DECODE[coding](text)
        assert status == 200 and text[int(got["Inference-Header-Content-Length"]) :] == affine(X).tobytes()


def test_requests_are_framed_before_they_are_decompressed(server):
    data = gzip.compress(GOOD)
    both = post(data, "Content-Encoding: gzip") + post(GOOD, "Connection: close")
    assert statuses(raw(server, both)) == [200, 200]
