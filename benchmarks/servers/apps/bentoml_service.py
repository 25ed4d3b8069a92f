"""BentoML over ONNX Runtime."""

import os

import bentoml
import numpy as np
from onnx_session import open_session

batch = int(os.environ["BENCH_BATCH"])
together = {"batchable": True, "max_batch_size": batch} if batch > 1 else {}


@bentoml.service(workers=1)
class Mlp:
    def __init__(self):
        self.session, self.input = open_session()

    @bentoml.api(route="/infer", **together)
    async def infer(self, data: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.input: data.astype("float32")})[0]
