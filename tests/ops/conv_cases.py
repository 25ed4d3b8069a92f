"""Cases of convolution and its gradients, and what they mean, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op


def window(size, kernel, stride, dilation, padding):
    """(output size, zeros before the first element) of one axis."""
    extent = (kernel - 1) * dilation + 1
    if padding == "same":
        out = -(-size // stride)
        return out, max((out - 1) * stride + extent - size, 0) // 2
    return (size - extent) // stride + 1, 0


def windows(x_shape, sizes, strides, dilation, padding, pads=()):
    """(output size, zeros before the first element) of every spatial axis."""
    axes = []
    for i, (size, kernel, stride, dilated) in enumerate(zip(x_shape[1:-1], sizes, strides, dilation)):
        if padding == "explicit":
            out = window(size + pads[2 * i] + pads[2 * i + 1], kernel, stride, dilated, "valid")[0]
            axes.append((out, pads[2 * i]))
        else:
            axes.append(window(size, kernel, stride, dilated, padding))
    return axes


def _filled(x_shape, strides, dilation):
    """Empty strides and dilation are ones."""
    ones = (1,) * (len(x_shape) - 2)
    return tuple(strides) or ones, tuple(dilation) or ones


def _taps(x_shape, kernel_shape, strides, padding, dilation, pads):
    """For every tap its index, and the slices of x and y it connects, without padding anything."""
    strides, dilation = _filled(x_shape, strides, dilation)
    axes = windows(x_shape, kernel_shape, strides, dilation, padding, pads)
    for tap in np.ndindex(*kernel_shape[:-2]):
        xs, ys = [slice(None)], [slice(None)]
        for i, k in enumerate(tap):
            out, begin = axes[i]
            inside = [o for o in range(out) if 0 <= o * strides[i] - begin + k * dilation[i] < x_shape[i + 1]]
            if not inside:
                break
            start = inside[0] * strides[i] - begin + k * dilation[i]
            xs.append(slice(start, start + (len(inside) - 1) * strides[i] + 1, strides[i]))
            ys.append(slice(inside[0], inside[-1] + 1))
        else:
            yield tap, tuple(xs), tuple(ys)


def output_shape(x_shape, kernel_shape, strides=(), padding="valid", dilation=(), pads=()):
    strides, dilation = _filled(x_shape, strides, dilation)
    axes = windows(x_shape, kernel_shape, strides, dilation, padding, pads)
    return (x_shape[0], *(out for out, _ in axes), kernel_shape[-1])


def _per_group(groups, *arrays):
    """Arrays with an axis of groups before their channels."""
    return [a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups) for a in arrays]


def reference(x, kernel, strides=(), padding="valid", dilation=(), groups=1, pads=()):
    y = np.zeros(output_shape(x.shape, kernel.shape, strides, padding, dilation, pads))
    xg, kg, yg = _per_group(groups, x, kernel, y)
    for tap, xs, ys in _taps(x.shape, kernel.shape, strides, padding, dilation, pads):
        yg[ys] += np.einsum("...gc,cgf->...gf", xg[xs], kg[tap])
    return y


def input_gradient(dy, kernel, size, strides=(), padding="valid", dilation=(), groups=1, pads=()):
    dx = np.zeros((dy.shape[0], *size, kernel.shape[-2] * groups))
    dxg, dyg, kg = _per_group(groups, dx, dy, kernel)
    for tap, xs, ys in _taps(dx.shape, kernel.shape, strides, padding, dilation, pads):
        dxg[xs] += np.einsum("...gf,cgf->...gc", dyg[ys], kg[tap])
    return dx


def kernel_gradient(x, dy, kernel_size, strides=(), padding="valid", dilation=(), groups=1, pads=()):
    dk = np.zeros((*kernel_size, x.shape[-1] // groups, dy.shape[-1]))
    xg, dyg, dkg = _per_group(groups, x, dy, dk)
    for tap, xs, ys in _taps(x.shape, dk.shape, strides, padding, dilation, pads):
        part, dpart = xg[xs], dyg[ys]
        dkg[tap] += np.einsum("pgc,pgf->cgf", part.reshape(-1, *part.shape[-2:]), dpart.reshape(-1, *dpart.shape[-2:]))
    return dk


def conv(x, kernel, strides=(), padding="valid", dilation=(), **keywords):
    """A case; the kernel's input channels say the number of groups."""
    small = np.prod(kernel) * np.prod(x[:-1]) < 1e6  # slopes of the reference take their time
    params = {"strides": strides, "padding": padding, "dilation": dilation, "groups": x[-1] // kernel[-2]}
    return Case(x, kernel, gradient=small, **params, **keywords)


def measured(x, kernel, stride=1, **keywords):
    spatial = len(x) - 2
    outputs = np.prod([-(-s // stride) for s in x[1:-1]])
    return Case(
        x, kernel, strides=(stride,) * spatial, padding="same", groups=x[-1] // kernel[-2], bench=True,
        flops=2.0 * x[0] * outputs * np.prod(kernel), **keywords,
    )  # fmt: skip


CASES = [
    conv((1, 1, 1, 1), (1, 1, 1, 1)),
    conv((2, 8, 8, 1), (3, 3, 1, 32), padding="same"),
    conv((3, 28, 28, 1), (3, 3, 1, 32)),
    conv((2, 28, 28, 1), (5, 5, 1, 6), padding="same"),
    conv((2, 13, 13, 32), (3, 3, 32, 64)),
    conv((2, 9, 11, 3), (3, 3, 3, 8), padding="same"),
    conv((2, 9, 11, 3), (3, 3, 3, 17), (2, 2), "same"),
    conv((2, 10, 7, 5), (2, 3, 5, 70), (2, 1)),
    conv((2, 12, 9, 4), (3, 2, 4, 20), (3, 2), "same"),
    conv((1, 7, 40, 16), (3, 3, 16, 48), padding="same"),
    conv((2, 15, 14, 6), (3, 3, 6, 33), (1, 1), "same", (2, 3)),
    conv((2, 15, 14, 10), (3, 3, 10, 9), (2, 2), "valid", (3, 2)),
    conv((2, 11, 10, 9), (4, 4, 9, 5), (2, 2), "same", (2, 2)),
    conv((2, 6, 6, 12), (1, 1, 12, 20)),
    conv((2, 7, 6, 12), (1, 1, 12, 20), (2, 2)),
    conv((2, 5, 6, 3), (2, 2, 3, 4), (3, 3), "same"),  # gaps between windows: some inputs have no tap
    conv((2, 8, 7, 12), (3, 3, 4, 18), padding="same"),
    conv((2, 8, 7, 6), (3, 3, 1, 12), (2, 2), "same"),
    conv((2, 1, 50, 7), (1, 5, 7, 19), padding="same"),
    conv((5, 4, 4, 64), (3, 3, 64, 64), padding="same"),
    conv((2, 3, 3, 8), (3, 3, 8, 130)),
    conv((0, 8, 8, 3), (3, 3, 3, 8), padding="same"),
    conv((3, 24, 24, 20), (3, 3, 20, 24), padding="same"),
    conv((3, 5, 6, 90), (3, 3, 90, 100), padding="same"),  # a kernel whose gradient is shared by rows
    conv((2, 4, 5, 800), (2, 2, 800, 70)),  # and by parts of a row of taps
    # images so narrow that tiles go over rows: strides, groups, three axes, more than one block of terms
    conv((3, 7, 7, 64), (3, 3, 32, 80), padding="same"),
    conv((2, 15, 9, 20), (3, 5, 20, 40), (2, 2), "same"),
    conv((2, 3, 5, 4, 24), (2, 3, 2, 24, 33), padding="same"),
    conv((1, 7, 7, 400), (3, 3, 400, 70), padding="same"),
    # several panels whose rows threads share: rows of an image, one list of them
    conv((1, 30, 26, 5), (3, 3, 5, 80), (2, 2), "same"),
    conv((2, 12, 12, 20), (1, 1, 20, 130), (2, 2)),
    conv((1, 220, 4, 16), (3, 3, 16, 80), padding="same"),
    # one channel into few, where lanes are outputs: edges, strides and dilation of rows, odd widths
    conv((2, 28, 28, 1), (5, 5, 1, 8), padding="same"),
    conv((3, 11, 33, 1), (3, 4, 1, 5), (2, 1), "same"),
    conv((2, 12, 65, 1), (3, 2, 1, 3), (1, 1), "valid", (3, 1)),
    conv((2, 9, 14, 1), (2, 3, 1, 1), (3, 1)),
    conv((2, 40, 1), (5, 1, 7), padding="same"),
    conv((2, 6, 12, 1), (7, 3, 1, 4), padding="same"),
    conv((2, 6, 50, 1), (1, 9, 1, 2), padding="same"),
    # few columns, as dot products: of the forward pass, of the input gradient, of both
    conv((2, 9, 11, 40), (3, 3, 40, 1), padding="same"),
    conv((2, 9, 11, 20), (3, 3, 20, 3), (2, 1), "same"),
    conv((2, 9, 10, 2), (3, 3, 2, 100), (2, 2), "same"),
    conv((2, 9, 10, 33), (5, 4, 33, 5), (1, 1), "same", (1, 2)),
    conv((2, 30, 3), (7, 3, 40), (2,)),
    conv((2, 6, 9, 48), (3, 3, 24, 4), padding="same"),
    # one spatial axis
    conv((1, 1, 1), (1, 1, 1)),
    conv((3, 40, 9), (5, 9, 20), padding="same"),
    conv((2, 100, 16), (3, 16, 33), (2,), "same"),
    conv((2, 37, 8), (3, 4, 10), (1,), "valid", (3,)),
    conv((2, 20, 12), (1, 12, 18)),
    # three
    conv((1, 1, 1, 1, 1), (1, 1, 1, 1, 1)),
    conv((2, 5, 6, 7, 3), (3, 3, 3, 3, 8), padding="same"),
    conv((2, 7, 6, 9, 10), (3, 2, 3, 10, 33), (2, 1, 2), "same"),
    conv((2, 8, 7, 9, 6), (2, 3, 2, 3, 8), (1, 1, 1), "valid", (2, 1, 3)),
    conv((2, 6, 5, 7, 9), (3, 3, 2, 9, 4), (2, 3, 2), "same", (2, 1, 1)),
    conv((3, 3, 4, 5, 12), (1, 1, 1, 12, 20)),
    conv((0, 4, 4, 4, 3), (3, 3, 3, 3, 8), padding="same"),
    # depthwise
    conv((2, 9, 20, 5), (3, 3, 1, 5), padding="same"),
    conv((2, 14, 15, 80), (3, 3, 1, 80)),
    conv((2, 11, 10, 70), (3, 3, 1, 70), (2, 2), "same"),
    conv((2, 12, 13, 33), (5, 4, 1, 33), (3, 1), "same"),
    conv((2, 13, 9, 20), (3, 3, 1, 20), (1, 1), "same", (2, 3)),
    conv((2, 11, 10, 9), (4, 4, 1, 9), (2, 2), "same", (2, 2)),
    conv((2, 8, 9, 130), (1, 1, 1, 130), (2, 2)),  # a window of one: inputs without a tap
    conv((2, 5, 2, 20), (3, 7, 1, 20), padding="same"),  # a window wider than the image
    conv((2, 9, 8, 6), (3, 3, 1, 18), padding="same"),  # several filters for a channel
    conv((3, 50, 24), (5, 1, 48), (2,), "same"),
    conv((2, 70, 7), (3, 1, 133), (1,), "same"),
    conv((2, 6, 7, 8, 20), (3, 3, 3, 1, 20), (1, 2, 1), "same"),
    conv((20, 6, 7, 20), (3, 3, 1, 20), padding="same"),  # several parts of the kernel's gradient
    conv((0, 6, 7, 20), (3, 3, 1, 20)),
]
MEASURED = [
    measured((1, 56, 56, 64), (3, 3, 64, 64)),
    measured((1, 28, 28, 128), (3, 3, 128, 128)),
    measured((1, 14, 14, 256), (3, 3, 256, 256)),
    measured((1, 7, 7, 512), (3, 3, 512, 512)),
    measured((1, 56, 56, 64), (1, 1, 64, 256)),
    measured((1, 56, 56, 128), (3, 3, 128, 128), 2),
    measured((32, 28, 28, 1), (3, 3, 1, 32)),
    measured((32, 14, 14, 32), (3, 3, 32, 64)),
    measured((1, 56, 56, 128), (3, 3, 1, 128), note="depthwise"),
    measured((32, 128, 64), (5, 64, 128), note="1-D"),
    measured((2, 16, 16, 16, 16), (3, 3, 3, 16, 32), note="3-D"),
]
TRANSPOSED = [
    Case(
        (8, 14, 14, 64), (3, 3, 32, 64), size=(28, 28), strides=(2, 2), padding="same", bench=True, note="transposed",
        flops=2.0 * 8 * 14 * 14 * 9 * 64 * 32,
    ),
    Case((2, 4, 5, 6), (3, 2, 9, 6), size=(9, 11), strides=(2, 2), padding="explicit", pads=(0, 0, 0, -1)),
    Case((2, 7, 20), (3, 2, 20), size=(14,), strides=(2,), padding="explicit", pads=(1, 0)),
]  # fmt: skip


def _gradient_cases(kind):
    """The same convolutions as cases of one of their gradients."""
    for case in CASES:
        (x, kernel), p = case.shapes, case.params
        dy = output_shape(x, kernel, p["strides"], p["padding"], p["dilation"])
        if kind == "input":
            yield Case(dy, kernel, gradient=case.gradient, size=x[1:-1], **p)
        else:
            yield Case(x, dy, gradient=case.gradient, kernel_size=kernel[:-2], **p)


def error(meaning, terms):
    """A sum of products, whose sizes sum to `meaning` of the absolute values, is off by about sqrt(terms) epsilons."""
    return lambda a, b, **p: (2 + terms(a, b) ** 0.5) * meaning(np.abs(a), np.abs(b), **p)


OPS = [
    Op(
        "conv", reference, CASES + MEASURED, epsilons=1, error=error(reference, lambda x, k: k[..., 0].size), rows=(0,),
        gradient_epsilons=lambda x, k, **p: 200,
        parts={
            "conv_pack": "the kernel as conv_packed reads it",
            "conv_packed": "what convolutions lower to",
            "conv_direct": "what convolutions lower to on a GPU",
            "depthwise": "what convolutions of one channel a group lower to",
            "depthwise_kernel_gradient": "their kernel gradient",
            "repeat_channels": "channels for depthwise filters, several a channel",
        },
    ),
    Op(
        "conv_input_gradient", input_gradient, [*_gradient_cases("input"), *TRANSPOSED], epsilons=1,
        error=error(input_gradient, lambda dy, k: k[..., 0, :].size), rows=(0,),
    ),
    Op(
        "conv_kernel_gradient", kernel_gradient, list(_gradient_cases("kernel")), epsilons=1,
        error=error(kernel_gradient, lambda x, dy: max(dy[..., 0].size, 1)), rows="sums over the batch",
    ),
]  # fmt: skip
