"""What all peers run: the model in ONNX Runtime."""

import os

import onnxruntime


def open_session():
    """`(session, name of its input)` of the model and threads that the benchmark asks for."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["BENCH_THREADS"])
    session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name
