"""Cases of Winograd's convolution, called by what lowering makes, so that small images are tried too."""

import numpy as np

from maas import _core
from tests.ops import conv_cases
from tests.ops.case import Case, Op


def panel_width():
    """Of the active level."""
    return 64 if "avx512" in _core.isa() else 16


def winograd(x, kernel, tile=4, padding="same", pads=(), gradient=False, size=(), epilogue=()):
    """The convolution, or (`gradient`) the gradient for an image of this size of one whose output is x."""
    begin = [1, 1] if padding == "same" else [0, 0] if padding == "valid" else [pads[0], pads[2]]
    if not gradient:
        size = conv_cases.output_shape(x.shape, kernel.shape, padding=padding, pads=pads)[1:3]
    w = _core.conv_winograd_pack(kernel, tile=tile, nr=panel_width(), gradient=gradient)
    return _core.conv_winograd(
        x, w, tile=tile, nr=panel_width(), channels=kernel.shape[2 if gradient else 3], size=list(size),
        begin=[2 - b for b in begin] if gradient else begin,
    )  # fmt: skip


def reference(x, kernel, tile=4, padding="same", pads=(), gradient=False, size=()):
    if gradient:
        return conv_cases.input_gradient(x, kernel, size, padding=padding, pads=pads)
    return conv_cases.reference(x, kernel, padding=padding, pads=pads)


def error(x, kernel, **params):
    """Sums of a tile share their rounding errors: a small result may have those of the largest one."""
    sizes = reference(np.abs(x), np.abs(kernel), **params)
    return (2 + (9 * x.shape[-1]) ** 0.5) * np.broadcast_to(sizes.max((1, 2), keepdims=True, initial=0), sizes.shape)


SHAPES = [
    ((1, 4, 4, 16), (3, 3, 16, 16)),
    ((2, 8, 8, 32), (3, 3, 32, 64)),
    ((3, 7, 7, 20), (3, 3, 20, 33)),
    ((2, 13, 6, 17), (3, 3, 17, 70)),
    ((1, 1, 1, 5), (3, 3, 5, 3)),
    ((2, 3, 18, 70), (3, 3, 70, 130)),
    ((1, 30, 29, 8), (3, 3, 8, 24)),
    ((5, 5, 5, 200), (3, 3, 200, 40)),
    ((0, 5, 5, 16), (3, 3, 16, 16)),
]
CASES = [Case(x, k, tile=tile, gradient=False) for x, k in SHAPES for tile in (4, 2)]
for tile in (4, 2):
    CASES += [
        Case((2, 9, 10, 24), (3, 3, 24, 48), tile=tile, padding="valid"),
        Case((2, 9, 10, 24), (3, 3, 24, 20), tile=tile, padding="explicit", pads=(2, 0, 0, 3)),
        Case((2, 9, 10, 24), (3, 3, 24, 20), tile=tile, values="tiny"),
    ]


def _gradients():
    """Where dy has another size than x, and what begins before it."""
    for padding, pads in (("same", ()), ("valid", ()), ("explicit", (2, 0, 0, 3)), ("explicit", (4, -1, 0, 0))):
        for tile in (4, 2):
            dy = conv_cases.output_shape((2, 9, 10, 24), (3, 3, 24, 40), padding=padding, pads=pads)
            case = Case(dy, (3, 3, 24, 40), tile=tile, padding=padding, pads=pads, size=(9, 10))
            case.params["gradient"] = True
            yield case


CASES += _gradients()
OPS = [
    Op(
        "conv_winograd", reference, CASES, dtypes=("float32",), epsilons=4, error=error, gradient=False, rows=(0,),
        call=winograd, parts={"conv_winograd_pack": "the kernel as conv_winograd reads it"},
    )
]  # fmt: skip
