"""Cases of pooling, and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np

from tests.ops.conv_cases import window


def _windows(x_shape, size, strides, padding):
    """(oh, ow, the slices of the window's part inside the image)."""
    axes = [window(x_shape[i + 1], size[i], strides[i], 1, padding) for i in (0, 1)]
    for oh in range(axes[0][0]):
        for ow in range(axes[1][0]):
            begin = [o * s - b for o, s, (_, b) in zip((oh, ow), strides, axes)]
            yield oh, ow, tuple(slice(max(b, 0), max(b + k, 0)) for b, k in zip(begin, size))


def output_shape(x_shape, pool_size, strides, padding):
    return (x_shape[0], *(window(x_shape[i + 1], pool_size[i], strides[i], 1, padding)[0] for i in (0, 1)), x_shape[3])


def reference(kind, x, pool_size, strides, padding):
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    for oh, ow, (h, w) in _windows(x.shape, pool_size, strides, padding):
        part = x[:, h, w].astype(np.float64)
        y[:, oh, ow] = part.max((1, 2)) if kind == "max" else part.mean((1, 2))
    return y


def reference_gradient(kind, x, dy, pool_size, strides, padding):
    dx = np.zeros(x.shape)
    for oh, ow, (h, w) in _windows(x.shape, pool_size, strides, padding):
        part = x[:, h, w]
        n, ph, pw, c = part.shape
        if kind == "average":
            dx[:, h, w] += dy[:, oh, ow][:, None, None] / (ph * pw)
            continue
        first = part.reshape(n, ph * pw, c).argmax(1)  # the first of equals, as the op; a NaN counts as the largest
        hit = np.arange(ph * pw)[None, :, None] == first[:, None]
        dx[:, h, w] += (hit * dy[:, oh, ow].astype(np.float64)[:, None]).reshape(part.shape)
    return dx


@dataclass(frozen=True)
class Case:
    x: tuple
    pool_size: tuple = (2, 2)
    strides: tuple = (2, 2)
    padding: str = "valid"

    @property
    def options(self):
        return {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}

    def __str__(self):
        return f"{self.x}-{self.pool_size}-s{self.strides}-{self.padding}".replace(" ", "")


CASES = [
    Case((1, 2, 2, 1)),
    Case((2, 26, 26, 32)),
    Case((3, 11, 11, 64)),
    Case((2, 9, 7, 5), padding="same"),
    Case((2, 9, 8, 17), (3, 3), (2, 2), "same"),
    Case((2, 9, 8, 40), (3, 2), (1, 1)),
    Case((2, 7, 7, 16), (3, 3), (1, 1), "same"),
    Case((2, 10, 10, 3), (2, 2), (3, 3)),  # inputs between the windows
    Case((2, 1, 33, 9), (1, 4), (1, 4)),
    Case((1, 20, 20, 3), (20, 20), (1, 1)),  # positions need more than a byte
    Case((0, 8, 8, 4)),
]
