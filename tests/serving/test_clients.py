"""Clients that nobody here wrote, and one answer over all protocols."""

import http.client
import json

import numpy as np
import pytest
import tritonclient.http as triton

import maas
from maas.serving import Server

from . import peers
from .conftest import call, echo, infer, rows_of


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A server with a compiled model, and what predict() says of some rows."""
    maas.utils.set_random_seed(1)
    layers = maas.layers
    model = maas.Sequential([layers.Input((16,), name="x"), layers.Dense(32, "gelu"), layers.Dense(4, name="y")])
    x = np.random.default_rng(5).standard_normal((7, 16)).astype(np.float32)
    y = np.asarray(model.predict(x, verbose=0))
    folder = tmp_path_factory.mktemp("net")
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    models = {"net": model, "words": echo("bytes", (None, None)), "half": echo("float16", (None, 3))}
    with Server(models, port=0, grpc_port=0) as s:
        yield s, folder, x, y
        assert call(s.url, "/v2/health/live")[0] == 200


def test_every_rest_form_gives_the_bits_of_predict(net):
    s, _, x, y = net
    meta = json.loads(call(s.url, "/v2/models/net")[2])
    name_in, name_out = meta["inputs"][0]["name"], meta["outputs"][0]["name"]
    assert (name_in, name_out) == ("x", "y")
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    assert rows_of(infer(s.url, {"inputs": [tensor]}, "net")[1]).tobytes() == y.tobytes()
    client = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
    i = triton.InferInput("x", list(x.shape), "FP32")
    i.set_data_from_numpy(x)
    assert client.infer("net", [i]).as_numpy("y").tobytes() == y.tobytes()
    client.close()
    for data, key in (({"instances": x.tolist()}, "predictions"), ({"inputs": x.tolist()}, "outputs")):
        got = json.loads(call(s.url, "/v1/models/net:predict", data)[2])[key]
        assert np.float32(got).tobytes() == y.tobytes()
    # One row at a time, and rows of all in one batch: the same bits.
    c = http.client.HTTPConnection("127.0.0.1", s.port)
    for row, want in zip(x, y):
        c.request("POST", "/v1/models/net:predict", json.dumps({"instances": [row.tolist()]}))
        assert np.float32(json.loads(c.getresponse().read())["predictions"]).tobytes() == want.tobytes()
    c.close()


def test_triton_over_grpc(net):
    s, folder, _, _ = net
    peers.run("triton", "triton_grpc.py", f"127.0.0.1:{s.grpc_port}", folder)


def test_kserve(net):
    s, folder, _, _ = net
    peers.run("kserve", "kserve_client.py", s.url, f"127.0.0.1:{s.grpc_port}", folder)


def test_ovmsclient(net):
    s, folder, _, _ = net
    peers.run("ovms", "ovms_client.py", f"127.0.0.1:{s.port}", folder)
