"""PyTorch with torch.compile."""

from benchmarks.baselines import torch as eager


def available():
    return eager.available()


def infer(net, weights, x, threads):
    return eager.infer(net, weights, x, threads, compiled=True)


def train(net, weights, x, y, batch, threads):
    return eager.train(net, weights, x, y, batch, threads, compiled=True)
