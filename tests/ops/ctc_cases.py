"""Cases of the CTC loss and what it means: a sum over every path, in float64 NumPy."""

import itertools

import numpy as np

from tests.ops.case import Case, Op, Operand


def collapsed(path, blank):
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def ctc(x, labels, label_lengths, time_lengths, blank=0):
    out = np.zeros(len(x))
    for b, (length, time) in enumerate(zip(label_lengths, time_lengths)):
        p = np.exp(x[b] - x[b].max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        wanted = tuple(labels[b, :length])
        paths = [p for p in itertools.product(range(x.shape[-1]), repeat=time) if collapsed(p, blank) == wanted]
        if not paths:
            out[b] = 1e5
            continue
        chosen = np.take_along_axis(p[None, :time], np.array(paths, "int64").reshape(len(paths), time, 1), -1)
        out[b] = -np.log(chosen.prod((1, 2)).sum())
    return out


def operands(batch, time, classes, width, blank=0, short=True):
    """The row in the middle has full lengths, so that every one of its labels is read."""

    def labels(rng, shape):
        y = rng.integers(0, classes - 1, shape)
        return y + (y >= blank)

    def lengths(longest):
        def make(rng, shape):
            y = rng.integers(0, longest + 1, shape) if short else np.full(shape, longest)
            y[batch // 2] = longest
            return y

        return Operand((batch,), make, "int32", (0, longest + 1))

    return (
        (batch, time, classes), Operand((batch, width), labels, "int32", (0, classes)), lengths(width), lengths(time),
    )  # fmt: skip


CASES = [
    Case(*operands(1, 1, 2, 1)),
    Case(*operands(3, 4, 3, 2)),
    Case(*operands(5, 5, 4, 3)),
    Case(*operands(3, 5, 3, 2, blank=2), blank=2),
    Case(*operands(3, 6, 3, 4, short=False)),
    Case(*operands(3, 2, 3, 4, short=False), gradient=False, note="no path"),
    Case(*operands(3, 4, 3, 2), values="huge"),
]
OPS = [Op("ctc_loss", ctc, CASES, epsilons=32, error=lambda *a, **k: np.abs(ctc(*a, **k)) + 1, rows=(0, 1, 2, 3))]
