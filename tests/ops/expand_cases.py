"""Cases of a product and the depthwise convolution of its result in one step, called by what the pass makes of them."""

import numpy as np

from maas import _core
from tests.ops import conv_cases
from tests.ops.case import Case, Op
from tests.ops.winograd_cases import panel_width


def expand(x, a, kernel, **params):
    panels = _core.gemm_pack(a, nr=panel_width())
    return _core.expand_depthwise(x, panels, kernel, channels=a.shape[1], nr=panel_width(), **params)


def reference(x, a, kernel, **params):
    return conv_cases.reference(x @ a, kernel, groups=kernel.shape[-1], **params)


def error(x, a, kernel, **params):
    """The wide image has the errors of its products, each sum of the window those of its own."""
    terms = 4 + a.shape[0] ** 0.5 + (kernel.shape[0] * kernel.shape[1]) ** 0.5
    return terms * reference(np.abs(x), np.abs(a), np.abs(kernel), **params)


def case(image, channels, window, padding="valid", strides=(), **params):
    shapes = (image, (image[-1], channels), (*window, 1, channels))
    return Case(*shapes, padding=padding, strides=strides, **params)


CASES = [
    case((1, 14, 14, 8), 20, (3, 3), "same"),
    case((2, 15, 9, 5), 70, (3, 3), "same", (2, 2)),
    case((3, 20, 33, 16), 150, (5, 5)),
    case((2, 17, 50, 3), 33, (3, 2), "same", (3, 1)),
    case((2, 9, 70, 4), 130, (2, 3), "valid", (1, 2)),
    case((2, 8, 7, 6), 40, (3, 3), "explicit", (1, 1), pads=(3, 0, 0, 2)),
    case((2, 8, 7, 6), 40, (3, 3), "explicit", (2, 1), pads=(0, 4, 1, 1)),
    case((1, 1, 1, 3), 5, (3, 3), "same"),
    case((2, 30, 2, 24), 16, (7, 1), "same"),
    case((2, 12, 12, 9), 24, (1, 1)),
    case((1, 14, 14, 8), 20, (3, 3), "same", special=True),
    case((0, 14, 14, 8), 20, (3, 3), "same"),
]
OPS = [
    Op(
        "expand_depthwise", reference, CASES, dtypes=("float32",), epsilons=1, error=error, gradient=False, rows=(0,),
        call=expand,
    )
]  # fmt: skip
