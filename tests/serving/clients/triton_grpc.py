"""tritonclient over gRPC: HOST:PORT, and a folder with x.npy and y.npy that model `net` must map bit for bit."""

import queue
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

where, folder = sys.argv[1], Path(sys.argv[2])
x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
client = triton.InferenceServerClient(where)


def given(array, name="x", datatype="FP32"):
    i = triton.InferInput(name, list(array.shape), datatype)
    i.set_data_from_numpy(array)
    return i


def refused(code, text, call, *args, **more):
    try:
        call(*args, **more)
    except InferenceServerException as e:
        assert code in e.status() and text in e.message(), (e.status(), e.message())
    else:
        raise AssertionError(f"{code} did not come")


assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("net") and client.is_model_ready("net", "1")
meta = client.get_server_metadata()
assert meta.name == "maas" and "statistics" in meta.extensions
meta = client.get_model_metadata("net")
assert (meta.name, list(meta.versions), meta.inputs[0].name, list(meta.inputs[0].shape)) == (
    "net",
    ["1"],
    "x",
    [-1, 16],
)
config = client.get_model_config("net").config
assert config.max_batch_size == 32 and config.input[0].data_type == 11 and list(config.input[0].dims) == [16]
assert config.output[0].name == "y" and config.backend == "maas"

before = client.get_inference_statistics("net").model_stats[0]
for n in (1, 5, len(x)):
    r = client.infer("net", [given(x[:n])], request_id="abc", model_version="1")
    assert r.as_numpy("y").tobytes() == y[:n].tobytes() and r.get_response().id == "abc"
for compression in ("gzip", "deflate"):
    r = client.infer("net", [given(x)], compression_algorithm=compression)
    assert r.as_numpy("y").tobytes() == y.tobytes()
r = client.infer("net", [given(x[:2])], outputs=[triton.InferRequestedOutput("y", class_count=2)])
top = r.as_numpy("y")
assert top.shape == (2, 2) and [int(v.split(b":")[1]) for v in top[:, 0]] == y[:2].argmax(1).tolist()

words = np.array([["a", "bcd"], ["", "é"]], object)
r = client.infer("words", [given(words, datatype="BYTES")])
assert [[v.decode() for v in row] for row in r.as_numpy("y").tolist()] == words.tolist()
half = np.arange(6, dtype=np.float16).reshape(2, 3)
assert client.infer("half", [given(half, datatype="FP16")]).as_numpy("y").tobytes() == half.tobytes()

stats = client.get_inference_statistics("net").model_stats[0]
assert stats.inference_stats.success.count - before.inference_stats.success.count == 6
assert stats.inference_count - before.inference_count == 1 + 5 + 3 * len(x) + 2
assert {s.name for s in client.get_inference_statistics().model_stats} == {"net", "words", "half"}
index = client.get_model_repository_index().models
assert {(m.name, m.version, m.state) for m in index} == {(n, "1", "READY") for n in ("net", "words", "half")}

refused("NOT_FOUND", "unknown model: 'no' is not found", client.infer, "no", [given(x)])
refused("NOT_FOUND", "version '7'", client.infer, "net", [given(x)], model_version="7")
refused("NOT_FOUND", "not valid", client.get_model_metadata, "a/b")
refused("INVALID_ARGUMENT", "shape must be [-1,16], received [2,3]", client.infer, "net", [given(x[:2, :3].copy())])
many = client.infer("net", [given(np.concatenate([x[:1]] * 33))]).as_numpy("y")  # more rows than max_batch_size
assert many.tobytes() == client.infer("net", [given(x[:1])]).as_numpy("y").tobytes() * 33
refused("INVALID_ARGUMENT", "datatype must be FP32", client.infer, "net", [given(x.astype("f8"), datatype="FP64")])
refused(
    "INVALID_ARGUMENT", "no output 'z'", client.infer, "net", [given(x)], outputs=[triton.InferRequestedOutput("z")]
)
refused("UNAUTHENTICATED", "an API key is needed", client.load_model, "net")

answers = queue.Queue()
client.start_stream(callback=lambda result, error: answers.put((result, error)))
for n in (3, 33, 1):
    client.async_stream_infer("net", [given(np.resize(x, (n, 16)))], request_id=str(n))
result, error = answers.get(timeout=20)
assert error is None and result.as_numpy("y").tobytes() == y[:3].tobytes() and result.get_response().id == "3"
result, error = answers.get(timeout=20)
assert error is None and result.as_numpy("y").tobytes() == np.resize(y, (33, y.shape[1])).tobytes()
result, error = answers.get(timeout=20)
assert error is None and result.as_numpy("y").tobytes() == y[:1].tobytes()
client.stop_stream()
client.close()
