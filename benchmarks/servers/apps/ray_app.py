"""Ray Serve over ONNX Runtime."""

import os
import time

import numpy as np
import onnxruntime
import ray
from ray import serve


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Mlp:
    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    async def __call__(self, request):
        x = np.array((await request.json())["data"], "float32")
        return {"data": self.session.run(None, {self.input: x})[0].tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])})
    app = Mlp.bind(os.environ["BENCH_MODEL"], int(os.environ["BENCH_THREADS"]))
    serve.run(app, route_prefix="/infer")
    while True:
        time.sleep(60)
