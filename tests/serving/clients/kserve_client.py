"""kserve's clients: base URL, HOST:PORT of gRPC, and a folder with x.npy and y.npy that model `net` must map."""

import asyncio
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig

url, grpc, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")


def request(binary):
    i = InferInput("x", list(x.shape), "FP32")
    i.set_data_from_numpy(x, binary_data=binary)
    return InferRequest("net", [i], request_id="abc")


def check(response):
    assert response.model_name == "net" and response.id == "abc"
    out: InferOutput = response.outputs[0]
    assert out.name == "y" and out.as_numpy().astype(np.float32).tobytes() == y.tobytes()


async def main():
    v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await v2.is_server_live(url) and await v2.is_server_ready(url) and await v2.is_model_ready(url, "net")
    for binary in (False, True):
        check(await v2.infer(url, request(binary), model_name="net"))
    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    assert await v1.is_server_live(url) and await v1.is_model_ready(url, "net")
    got = await v1.infer(url, {"instances": x.tolist()}, model_name="net")
    assert np.float32(got["predictions"]).tobytes() == y.tobytes()

    client = InferenceGRPCClient(grpc)
    assert await client.is_server_live() and await client.is_server_ready() and await client.is_model_ready("net")
    for binary in (False, True):
        check(await client.infer(request(binary)))
    await client.close()


asyncio.run(main())
