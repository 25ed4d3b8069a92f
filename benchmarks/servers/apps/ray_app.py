"""Ray Serve over ONNX Runtime."""

import os
import time

import numpy as np
import ray
from onnx_session import open_session
from ray import serve

BATCH = int(os.environ["BENCH_BATCH"])


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Mlp:
    def __init__(self):
        self.session, self.input = open_session()

    def run(self, x):
        return self.session.run(None, {self.input: x})[0]

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.001)
    async def together(self, xs):
        y = self.run(np.concatenate(xs))
        return np.split(y, np.cumsum([len(x) for x in xs])[:-1])

    async def __call__(self, request):
        x = np.array((await request.json())["data"], "float32")
        return {"data": (await self.together(x) if BATCH > 1 else self.run(x)).tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])})
    serve.run(Mlp.bind(), route_prefix="/infer")
    while True:
        time.sleep(60)
