"""Training epochs on a GPU: `fit` on arrays of NumPy against torch's loop over data that is on the GPU already."""

import statistics
import time

import numpy as np

# name: (function of maas.zoo, rows, batch)
ROWS = {
    "G13 training tutorial CNN 28x28 batch 32": ("TutorialConvNet", 4096, 32),
    "G13 training tutorial CNN 28x28 batch 128": ("TutorialConvNet", 8192, 128),
    "G13 training MLP 784-512-512-10 batch 128": ("MLP", 8192, 128),
    "G13 training digits CNN batch 32": ("DigitsConvNet", 4096, 32),
    "G13 training LSTM classifier 80 steps 128 units batch 64": ("lstm", 2048, 64),
}
QUICK = "tutorial CNN 28x28 batch 128"
WORDS, WIDTH, STEPS = 20000, 128, 80


def zoo_net(net, rows=1):
    """A network of the zoo with inputs."""
    from benchmarks.rows import Row
    from maas import zoo

    return Row(net, getattr(zoo, net), batch=rows).net()


def data(net, rows):
    rng = np.random.default_rng(1)
    if net == "lstm":
        return rng.integers(0, WORDS, (rows, STEPS)).astype("int32"), rng.integers(0, 10, rows)
    return zoo_net(net, rows).inputs[0], rng.integers(0, 10, rows)


def ours(net, x, y, batch):
    """A function that trains an epoch and gives its mean loss."""
    import maas
    from benchmarks.baselines import keras_program

    if net != "lstm":
        return keras_program.trainer(maas, zoo_net(net), x, y, batch)
    layers = maas.layers
    model = maas.Sequential(
        [maas.Input((STEPS,), dtype="int32"), layers.Embedding(WORDS, WIDTH), layers.LSTM(WIDTH), layers.Dense(10)]
    )
    loss = maas.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(maas.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return lambda: model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0).history["loss"][0]


def torch_model(net, batch):
    import torch

    from benchmarks.baselines.torch_module import logits

    if net != "lstm":
        return logits(zoo_net(net, batch))

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(WORDS, WIDTH)
            self.cell = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True)
            self.out = torch.nn.Linear(WIDTH, 10)

        def forward(self, x):
            return self.out(self.cell(self.words(x))[0][:, -1])

    return Classifier()


def theirs(net, x, y, batch, mode):
    """torch's epoch: data, order and optimizer the same; losses and hits are summed on the GPU."""
    import torch

    from benchmarks.baselines.torch import tensor

    model = torch_model(net, batch).cuda().train()
    x, y = tensor(x).cuda(), torch.tensor(y).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    forward = torch.compile(model, mode=mode, dynamic=False) if mode else model

    def epoch():
        total, hits = torch.zeros((), device="cuda"), torch.zeros((), device="cuda", dtype=torch.int64)
        for i in range(0, len(x), batch):
            optimizer.zero_grad(set_to_none=True)
            out = forward(x[i : i + batch])
            loss = loss_of(out, y[i : i + batch])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(out)
            hits += (out.detach().argmax(-1) == y[i : i + batch]).sum()
        return float(total) / len(x)

    return epoch


def measure(name, rounds, compiled=True):
    """Microseconds of a training step of everyone."""
    import torch

    import maas
    from benchmarks.gpu_check.measure import settings

    settings()
    net, rows, batch = ROWS[name]
    x, y = data(net, rows)
    result, epochs = {"problems": {}, "units": {}, "rows": [], "host": []}, {}
    scope = maas.device("gpu:0")
    modes = {"eager": None} | ({"compile": "reduce-overhead"} if compiled and net != "lstm" else {})
    for who, mode in {"maas": None, **modes}.items():
        try:
            if who == "maas":
                with scope:
                    epoch = ours(net, x, y, batch)
            else:
                epoch = theirs(net, x, y, batch, mode)
            losses = [epoch() for _ in range(2)]
            if not np.isfinite(losses).all():
                raise AssertionError(f"losses {losses}")
            epochs[who] = epoch
            result.setdefault("losses", {})[who] = [round(v, 5) for v in losses]
        except Exception as error:  # noqa: BLE001, the others are measured all the same
            result["problems"][who] = f"{type(error).__name__}: {error}"[:200]
    times = {who: [] for who in epochs}
    for _ in range(rounds):
        for who, epoch in epochs.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            epoch()
            torch.cuda.synchronize()
            times[who].append((time.perf_counter() - start) / (rows / batch))
    us = {who: 1e6 * statistics.median(t) for who, t in times.items()}
    result["us"] = {who: round(value, 1) for who, value in us.items()}
    result["units"] = {who: [round(rows / (value * 1e-6 * rows / batch), 0), None] for who, value in us.items()}
    peers = {who: value for who, value in us.items() if who != "maas"}
    if peers and "maas" in us:
        peer = min(peers, key=peers.get)
        paired = [b / a for a, b in zip(times["maas"], times[peer])]
        result.update(best_peer=peer, ratio=[float(f(paired)) for f in (np.median, np.min, np.max)])
    result["ok"] = "maas" in us
    return result
