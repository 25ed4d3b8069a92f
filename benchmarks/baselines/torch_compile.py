"""PyTorch with torch.compile, weights frozen."""

from benchmarks.baselines import torch as eager

available = eager.available


def infer(net, threads, program):
    return eager.infer(net, threads, program, variant="compile")


def train(net, x, y, batch, threads):
    return eager.train(net, x, y, batch, threads, compiled=True)
