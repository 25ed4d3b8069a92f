"""Cases of ops that move, join, repeat and make elements, and what they mean, in NumPy."""

import numpy as np

from tests.ops.case import Case, Op, Operand

DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool")


def reshape(x, shape):
    return x.reshape(shape)


def shape_of(x):
    return np.array(x.shape, "int32")


def transpose(x, axes):
    return x.transpose(axes)


def broadcast_to(x, shape):
    sizes = (1,) * (len(shape) - x.ndim) + x.shape
    return np.broadcast_to(x, [n if s == -1 else s for s, n in zip(shape, sizes)])


def _part(begin, end, step):
    return tuple(slice(b, e, s) for b, e, s in zip(begin, end, step))


def take_part(x, begin, end, step):
    return x[_part(begin, end, step)]


def slice_gradient(dy, begin, step, shape):
    y = np.zeros(shape, dy.dtype)
    y[tuple(slice(b, b + n * s, s) for b, n, s in zip(begin, dy.shape, step))] = dy
    return y


def concatenate(*xs, axis):
    return np.concatenate(xs, axis)


def pad(x, before, after, value=0.0):
    return np.pad(x, list(zip(before, after)), constant_values=np.asarray(value).astype(x.dtype))


def flip(x, axis=()):
    return np.flip(x, tuple(axis) or None)


def arange(size, start=0.0, step=1.0, dtype="int32"):
    return (start + np.arange(size[0]) * step).astype(dtype)


def one_hot(indices, num_classes, dtype):
    return (indices[..., None] == np.arange(num_classes)).astype(dtype)


def integers(shape, low, high, dtype="int64"):
    return Operand(shape, lambda rng, s: rng.integers(low, high, s), dtype)


def op(name, reference, cases, rows=(), **keywords):
    return Op(name, reference, cases, dtypes=DTYPES, epsilons=0, rows=rows, **keywords)


def rows_but_axis_0(case):
    axis = case.params.get("axis", 1)
    return () if 0 in np.atleast_1d(axis) or axis == [] else range(len(case.shapes))


OPS = [
    op(
        "reshape",
        reshape,
        [
            Case((3, 4), shape=[2, 6]),
            Case((3, 4, 5), shape=[-1, 20], rows=(0,)),
            Case((), shape=[1, 1]),
            Case((0, 3), shape=[3, 0]),
        ],
    ),
    op(
        "shape_of",
        shape_of,
        [Case((3, 4, 5)), Case((7,)), Case(()), Case((0, 3))],
        rows="the result is the shape",
        unknown=(0,),
        gradient=False,
    ),
    op(
        "transpose",
        transpose,
        [Case((3, 4), axes=[1, 0]), Case((5, 3, 4), axes=[0, 2, 1], rows=(0,)), Case((2, 0, 3, 5), axes=[3, 1, 0, 2])],
    ),
    op(
        "broadcast_to",
        broadcast_to,
        [
            Case((3, 1), shape=[2, 3, 4]),
            Case((), shape=[5]),
            Case((3, 1, 4), shape=[-1, 7, 4], rows=(0,)),
            Case((1,), shape=[0]),
        ],
    ),
    op(
        "slice",
        take_part,
        [
            Case((7, 3, 9), begin=[1, 0, 2], end=[7, 3, 9], step=[2, 1, 3]),
            Case((4, 33), begin=[0, 5], end=[4, 5], step=[1, 1]),
            Case((40,), begin=[3], end=[38], step=[1]),
        ],
        rows="begin and end say the batch",
    ),
    op(
        "slice_gradient",
        slice_gradient,
        [
            Case((3, 2, 4), begin=[1, 0, 2], step=[2, 1, 1], shape=[7, 3, 9]),
            Case((5, 7, 3), begin=[1, 0, 2], step=[2, 1, 1], shape=[12, 9, 9]),
            Case((0, 3), begin=[0, 1], step=[1, 1], shape=[2, 5]),
            Case((3, 8), begin=[0, 1], step=[1, 2], shape=[3, 17]),
        ],
        rows="shape says the batch",
    ),
    op(
        "concatenate",
        concatenate,
        [
            Case((3, 2, 4), (3, 2, 4), axis=1),
            Case((2, 3, 4), (2, 0, 4), (2, 1, 4), axis=1),
            Case((5, 7, 3), (5, 7, 3), (5, 7, 3), axis=1),
            Case((2, 3), (4, 3), axis=0),
            Case((6, 1), (6, 17), axis=-1),
        ],
        rows=rows_but_axis_0,
    ),
    op(
        "pad",
        pad,
        [
            Case((3, 2, 4), before=[1, 0, 2], after=[0, 3, 1], value=2.0),
            Case((5, 7, 3), before=[1, 2, 3], after=[0, 1, 0], value=0.5),
            Case((4, 33), before=[0, 1], after=[0, 2], rows=(0,)),
            Case((0, 2), before=[1, 0], after=[1, 0]),
        ],
    ),
    op(
        "flip",
        flip,
        [Case((3, 2, 5), axis=[2]), Case((4, 33), axis=[0]), Case((3, 4), rows=()), Case((0, 3), axis=[0])],
        rows=rows_but_axis_0,
    ),
    Op(
        "arange",
        arange,
        [
            Case(size=[0], dtype="float32"),
            Case(size=[5], dtype="int32"),
            Case(size=[3000], start=5.0, step=-2.5, dtype="float32"),
            Case(size=[1025], start=1.0, step=0.125, dtype="float64"),
            Case(size=[70], start=-3.0, step=2.0, dtype="int64"),
        ],
        dtypes=("float32",),
        epsilons=1,
        gradient=False,
        rows="there are no operands",
    ),
    Op(
        "one_hot",
        one_hot,
        [
            Case(integers((), 0, 3), num_classes=3, dtype="float32", rows=()),
            Case(np.arange(-2, 40), num_classes=33, dtype="float32"),  # an index out of range gives a row of zeros
            Case(integers((4, 7), -3, 9, "int32"), num_classes=5, dtype="int32"),
            Case(integers((9,), 0, 2, "int8"), num_classes=0, dtype="float32"),
            Case(np.array([2**40, -(2**62), 2]), num_classes=5, dtype="bool"),
        ],
        dtypes=("float32",),
        epsilons=0,
        gradient=False,
        rows=(0,),
    ),
]
