"""LitServe over ONNX Runtime."""

import os

import litserve
import numpy as np
from onnx_session import open_session


class Api(litserve.LitAPI):
    def setup(self, device):
        self.session, self.input = open_session()

    def decode_request(self, request):
        return np.array(request["data"], "float32")

    def predict(self, x):
        # A batch of requests has one axis more.
        y = self.session.run(None, {self.input: x.reshape(-1, x.shape[-1])})[0]
        return y.reshape(*x.shape[:-1], y.shape[-1])

    def encode_response(self, y):
        return {"data": y.tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=int(os.environ["BENCH_BATCH"]), batch_timeout=0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["BENCH_PORT"]), host="127.0.0.1", generate_client_file=False, log_level="error")
