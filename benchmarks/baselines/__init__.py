"""One file per contender. Each has `available()`, and `infer` and `train` where it can do that.

infer(net, weights, x, threads) -> callable; a call runs x once and returns the output as a NumPy array
train(net, weights, x, y, batch, threads) -> callable; a call trains one epoch in the given order, Adam, lr 1e-3
"""

INFERENCE = ("maas", "onnxruntime", "torch", "torch_compile", "keras_jax", "keras_tensorflow", "openvino")
TRAINING = ("maas", "torch", "torch_compile", "keras_jax", "keras_tensorflow")
