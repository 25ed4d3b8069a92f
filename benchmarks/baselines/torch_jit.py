"""PyTorch traced, frozen and optimized for inference."""

from benchmarks.baselines import torch as eager

available = eager.available


def infer(net, threads, program):
    return eager.infer(net, threads, program, variant="jit")
