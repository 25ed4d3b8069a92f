"""One file per contender. Each has `available()`, and of these what it can do:

infer(net, threads, program) -> (run, result): `run()` computes once, `result(run())` is the output as NumPy array
train(net, x, y, batch, threads) -> callable; a call trains one epoch in the given order, Adam, lr 1e-3
op(name, case, threads) -> (run, result), for a case of tests/ops

`net` is a `benchmarks.net.Net`; `folder / model.onnx` is written for those that read it.
"""

INFERENCE = ("maas", "onnxruntime", "openvino", "torch", "torch_jit", "jax")
# Compiled for minutes, or not meant for single calls: with --all.
MORE = ("torch_compile", "keras_jax", "keras_tensorflow")
TRAINING = ("maas", "torch", "torch_compile", "keras_jax", "keras_tensorflow")
