"""BentoML over ONNX Runtime."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class Mlp:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["BENCH_THREADS"])
        path = os.environ["BENCH_MODEL"]
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    @bentoml.api(route="/infer")
    async def infer(self, data: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.input: data.astype("float32")})[0]
