"""Cases of convolution and its gradients, and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


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


def _per_group(x, k, groups):
    """x and a kernel with an axis of groups before their channels."""
    return [a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups) for a in (x, k)]


def reference(x, kernel, strides, padding, dilation, groups):
    x, kernel = x.astype(np.float64), kernel.astype(np.float64)
    y = np.zeros(output_shape(x.shape, kernel.shape, strides, padding, dilation))
    xg, kg = _per_group(x, kernel, groups)
    yg = _per_group(y, y, groups)[0]
    for kh, kw, xs, ys in _taps(x.shape, kernel.shape, strides, padding, dilation):
        yg[ys] += np.einsum("nhwgc,cgf->nhwgf", xg[xs], kg[kh, kw])
    return y


def reference_gradients(x, kernel, dy, strides, padding, dilation, groups):
    x, kernel, dy = x.astype(np.float64), kernel.astype(np.float64), dy.astype(np.float64)
    xg, kg = _per_group(x, kernel, groups)
    dyg = _per_group(dy, dy, groups)[0]
    dx, dk = np.zeros_like(x), np.zeros_like(kernel)
    dxg, dkg = _per_group(dx, dk, groups)
    for kh, kw, xs, ys in _taps(x.shape, kernel.shape, strides, padding, dilation):
        dxg[xs] += np.einsum("nhwgf,cgf->nhwgc", dyg[ys], kg[kh, kw])
        dkg[kh, kw] += np.einsum("nhwgc,nhwgf->cgf", xg[xs], dyg[ys])
    return dx, dk


@dataclass(frozen=True)
class Case:
    x: tuple
    kernel: tuple
    strides: tuple = (1, 1)
    padding: str = "valid"
    dilation: tuple = (1, 1)

    @property
    def groups(self):
        return self.x[3] // self.kernel[2]

    @property
    def options(self):
        return {"strides": self.strides, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def __str__(self):
        return f"{self.x}-{self.kernel}-s{self.strides}-{self.padding}-d{self.dilation}".replace(" ", "")


CASES = [
    Case((1, 1, 1, 1), (1, 1, 1, 1)),
    Case((2, 8, 8, 1), (3, 3, 1, 32), padding="same"),
    Case((3, 28, 28, 1), (3, 3, 1, 32)),
    Case((2, 28, 28, 1), (5, 5, 1, 6), padding="same"),
    Case((2, 13, 13, 32), (3, 3, 32, 64)),
    Case((2, 9, 11, 3), (3, 3, 3, 8), padding="same"),
    Case((2, 9, 11, 3), (3, 3, 3, 17), (2, 2), "same"),
    Case((2, 10, 7, 5), (2, 3, 5, 70), (2, 1)),
    Case((2, 12, 9, 4), (3, 2, 4, 20), (3, 2), "same"),
    Case((1, 7, 40, 16), (3, 3, 16, 48), padding="same"),
    Case((2, 15, 14, 6), (3, 3, 6, 33), (1, 1), "same", (2, 3)),
    Case((2, 15, 14, 10), (3, 3, 10, 9), (2, 2), "valid", (3, 2)),
    Case((2, 11, 10, 9), (4, 4, 9, 5), (2, 2), "same", (2, 2)),
    Case((2, 6, 6, 12), (1, 1, 12, 20)),
    Case((2, 7, 6, 12), (1, 1, 12, 20), (2, 2)),
    Case((2, 5, 6, 3), (2, 2, 3, 4), (3, 3), "same"),  # gaps between windows: some inputs have no tap
    Case((2, 8, 7, 12), (3, 3, 4, 18), padding="same"),
    Case((2, 8, 7, 6), (3, 3, 1, 12), (2, 2), "same"),
    Case((2, 1, 50, 7), (1, 5, 7, 19), padding="same"),
    Case((5, 4, 4, 64), (3, 3, 64, 64), padding="same"),
    Case((2, 3, 3, 8), (3, 3, 8, 130)),
    Case((0, 8, 8, 3), (3, 3, 3, 8), padding="same"),
    Case((3, 24, 24, 20), (3, 3, 20, 24), padding="same"),
    Case((3, 5, 6, 90), (3, 3, 90, 100), padding="same"),  # a kernel whose gradient is shared by rows
    Case((2, 4, 5, 800), (2, 2, 800, 70)),  # and by parts of a row of taps
]
