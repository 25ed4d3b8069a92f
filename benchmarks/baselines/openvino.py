"""OpenVINO, latency mode, pinned to float32 (it runs bf16 by default where the CPU has it)."""

import importlib.util
from pathlib import Path


def available():
    return importlib.util.find_spec("openvino") is not None and importlib.util.find_spec("onnx") is not None


def infer(net, threads, program):
    import openvino as ov

    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    request = ov.Core().compile_model(str(Path(net.folder) / "model.onnx"), "CPU", options).create_infer_request()
    feed = net.onnx_inputs()
    for name, x in feed.items():
        request.set_tensor(name, ov.Tensor(x, shared_memory=True))

    def result(_, feed=feed):  # the arrays live as long as the request reads them
        return net.from_onnx(request.get_output_tensor(0).data)

    return lambda: request.infer(share_outputs=True), result
