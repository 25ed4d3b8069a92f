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


def _taps(x_shape, kernel_shape, strides, padding, dilation):
    """For every tap its index, and the slices of x and y it connects, without padding anything."""
    axes = [window(x_shape[i + 1], kernel_shape[i], strides[i], dilation[i], padding) for i in (0, 1)]
    for kh in range(kernel_shape[0]):
        for kw in range(kernel_shape[1]):
            xs, ys = [slice(None)], [slice(None)]
            for i, k in enumerate((kh, kw)):
                out, begin = axes[i]
                inside = [o for o in range(out) if 0 <= o * strides[i] - begin + k * dilation[i] < x_shape[i + 1]]
                if not inside:
                    break
                start = inside[0] * strides[i] - begin + k * dilation[i]
                xs.append(slice(start, start + (len(inside) - 1) * strides[i] + 1, strides[i]))
                ys.append(slice(inside[0], inside[-1] + 1))
            else:
                yield kh, kw, tuple(xs), tuple(ys)


def output_shape(x_shape, kernel_shape, strides, padding, dilation):
    sizes = [window(x_shape[i + 1], kernel_shape[i], strides[i], dilation[i], padding)[0] for i in (0, 1)]
    return (x_shape[0], *sizes, kernel_shape[3])


def _per_group(groups, *arrays):
    """Arrays with an axis of groups before their channels."""
    return [a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups) for a in arrays]


def reference(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    y = np.zeros(output_shape(x.shape, kernel.shape, strides, padding, dilation))
    xg, kg, yg = _per_group(groups, x, kernel, y)
    for kh, kw, xs, ys in _taps(x.shape, kernel.shape, strides, padding, dilation):
        yg[ys] += np.einsum("nhwgc,cgf->nhwgf", xg[xs], kg[kh, kw])
    return y


def input_gradient(dy, kernel, size, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    dx = np.zeros((dy.shape[0], *size, kernel.shape[2] * groups))
    dxg, dyg, kg = _per_group(groups, dx, dy, kernel)
    for kh, kw, xs, ys in _taps(dx.shape, kernel.shape, strides, padding, dilation):
        dxg[xs] += np.einsum("nhwgf,cgf->nhwgc", dyg[ys], kg[kh, kw])
    return dx


def kernel_gradient(x, dy, kernel_size, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    dk = np.zeros((*kernel_size, x.shape[3] // groups, dy.shape[3]))
    xg, dyg, dkg = _per_group(groups, x, dy, dk)
    for kh, kw, xs, ys in _taps(x.shape, dk.shape, strides, padding, dilation):
        dkg[kh, kw] += np.einsum("nhwgc,nhwgf->cgf", xg[xs], dyg[ys])
    return dk


def conv(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1), **keywords):
    """A case; the kernel's input channels say the number of groups."""
    small = np.prod(kernel) * x[0] * x[1] * x[2] < 1e6  # slopes of the reference take their time
    params = {"strides": strides, "padding": padding, "dilation": dilation, "groups": x[3] // kernel[2]}
    return Case(x, kernel, gradient=small, **params, **keywords)


def measured(n, size, ic, oc, k=3, stride=1):
    out = -(-size // stride)
    return Case(
        (n, size, size, ic), (k, k, ic, oc), strides=(stride, stride), padding="same", bench=True,
        flops=2.0 * n * out * out * k * k * ic * oc,
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
]
MEASURED = [
    measured(1, 56, 64, 64),
    measured(1, 28, 128, 128),
    measured(1, 14, 256, 256),
    measured(1, 7, 512, 512),
    measured(1, 56, 64, 256, k=1),
    measured(1, 56, 128, 128, stride=2),
    measured(32, 28, 1, 32),
    measured(32, 14, 32, 64),
]


def _gradient_cases(kind):
    """The same convolutions as cases of one of their gradients."""
    for case in CASES:
        (x, kernel), p = case.shapes, case.params
        dy = output_shape(x, kernel, p["strides"], p["padding"], p["dilation"])
        if kind == "input":
            yield Case(dy, kernel, gradient=case.gradient, size=x[1:3], **p)
        else:
            yield Case(x, dy, gradient=case.gradient, kernel_size=kernel[:2], **p)


def error(meaning, terms):
    """A sum of products, whose sizes sum to `meaning` of the absolute values, is off by about sqrt(terms) epsilons."""
    return lambda a, b, **p: (2 + terms(a, b) ** 0.5) * meaning(np.abs(a), np.abs(b), **p)


OPS = [
    Op(
        "conv", reference, CASES + MEASURED, epsilons=1, error=error(reference, lambda x, k: k[..., 0].size), rows=(0,),
        gradient_epsilons=lambda x, k, **p: 200,
        parts={"conv_pack": "the kernel as conv_packed reads it", "conv_packed": "what convolutions lower to"},
    ),
    Op(
        "conv_input_gradient", input_gradient, list(_gradient_cases("input")), epsilons=1,
        error=error(input_gradient, lambda dy, k: k[..., 0, :].size), rows=(0,),
    ),
    Op(
        "conv_kernel_gradient", kernel_gradient, list(_gradient_cases("kernel")), epsilons=1,
        error=error(kernel_gradient, lambda x, dy: max(dy[..., 0].size, 1)),
    ),
]  # fmt: skip
