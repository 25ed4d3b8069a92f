"""OpenVINO, latency mode, pinned to float32 (it runs bf16 by default where the CPU has it)."""

import importlib.util

import numpy as np

from benchmarks.baselines import onnxruntime


def available():
    return importlib.util.find_spec("openvino") is not None and importlib.util.find_spec("onnx") is not None


def infer(net, weights, x, threads):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(onnxruntime.graph(net, weights).SerializeToString(), b"")
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x
    model.reshape(list(x.shape))
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer({0: x}, share_inputs=True)[0]
