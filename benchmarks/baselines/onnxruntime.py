"""ONNX Runtime: all optimizations, sequential, denormals as zero, bound output."""

import importlib.util

import numpy as np

from benchmarks.nets import NETS


def available():
    return importlib.util.find_spec("onnxruntime") is not None and importlib.util.find_spec("onnx") is not None


def graph(net, weights):
    """The network as an ONNX model, NCHW, batch free."""
    from onnx import TensorProto, helper, numpy_helper

    shape, layers = NETS[net]
    values, nodes, tensors = iter(weights), [], []
    image = len(shape) == 3
    declared = ["batch", shape[2], shape[0], shape[1]] if image else ["batch", *shape]
    x, count = "x", 0

    def constant(array):
        nonlocal count
        count += 1
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), f"w{count}"))
        return f"w{count}"

    def node(kind, inputs, **attributes):
        nonlocal count
        count += 1
        nodes.append(helper.make_node(kind, inputs, [f"v{count}"], **attributes))
        return f"v{count}"

    for layer in layers:
        if layer[0] == "conv":
            kernel, bias = next(values), next(values)
            pad = (layer[2] - 1) // 2 if layer[3] == "same" else 0
            x = node("Conv", [x, constant(kernel.transpose(3, 2, 0, 1)), constant(bias)], pads=[pad] * 4)
            x = node("Relu", [x])
        elif layer[0] == "pool":
            x = node("MaxPool", [x], kernel_shape=[layer[1]] * 2, strides=[layer[1]] * 2)
        elif layer[0] == "flatten":
            x = node("Flatten", [node("Transpose", [x], perm=[0, 2, 3, 1])])
        else:
            x = node("Gemm", [x, constant(next(values)), constant(next(values))])
            if layer[2]:
                x = node({"relu": "Relu", "softmax": "Softmax"}[layer[2]], [x])
    g = helper.make_graph(
        nodes, net, [helper.make_tensor_value_info("x", TensorProto.FLOAT, declared)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)], tensors,
    )  # fmt: skip
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def infer(net, weights, x, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = ort.InferenceSession(graph(net, weights).SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x
    feed = {"x": x}
    return lambda: session.run(None, feed)[0]
