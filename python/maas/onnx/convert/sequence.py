"""Sequences and optional values: lists and None while the graph is walked."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import axis_of
from maas.onnx.registry import converts


@converts("SequenceConstruct")
def construct(call, *xs):
    return (list(xs),)


@converts("SequenceEmpty")
def empty(call):
    return ([],)


def _place(call, index, default, size, what):
    if call.given(index) is None:
        return default
    place = int(call.known(index, what).reshape(()))
    if not -size <= place <= size:
        raise ValueError(f"{what} must be in [{-size}, {size}], received {place}")
    return place + size if place < 0 else place


@converts("SequenceAt")
def at(call, sequence, position):
    return sequence[_place(call, 1, 0, len(sequence), "the position")]


@converts("SequenceInsert")
def insert(call, sequence, x, position=None):
    place = _place(call, 2, len(sequence), len(sequence), "the position")
    return ([*sequence[:place], x, *sequence[place:]],)


@converts("SequenceErase")
def erase(call, sequence, position=None):
    place = _place(call, 1, len(sequence) - 1, len(sequence), "the position")
    return ([*sequence[:place], *sequence[place + 1 :]],)


@converts("SequenceLength")
def length(call, sequence):
    return _core.Tensor(np.array(len(sequence), "int64"))


@converts("ConcatFromSequence")
def concat(call, sequence):
    rank = sequence[0].ndim + (1 if call.attr("new_axis", 0) else 0)
    axis = axis_of(call, rank)
    return ops.stack(sequence, axis) if call.attr("new_axis", 0) else _core.concatenate(*sequence, axis=axis)


@converts("SplitToSequence")
def split(call, x, sizes=None):
    axis = axis_of(call, x.ndim, 0)
    n = x.shape[axis]
    if n is None:
        raise ValueError(f"the size of axis {axis} must be known, received shape {x.shape}")
    if sizes is None:
        parts = [1] * n
    else:
        given = call.known(1, "split")
        step = int(given.reshape(-1)[0])
        parts = [int(v) for v in given] if given.ndim else [min(step, n - i) for i in range(0, n, step)]
    pieces = ops.split(x, list(np.cumsum(parts)[:-1].tolist()), axis=axis)
    if sizes is None and not call.attr("keepdims", 1):
        pieces = [ops.squeeze(p, axis) for p in pieces]
    return (list(pieces),)


@converts("Optional")
def optional(call, x=None):
    return x


@converts("OptionalHasElement")
def has_element(call, x=None):
    return _core.Tensor(np.array(x is not None))


@converts("OptionalGetElement")
def get_element(call, x):
    return x
