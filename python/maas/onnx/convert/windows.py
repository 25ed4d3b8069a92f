"""Windows over spatial axes as ONNX describes them."""

import itertools

from maas import _core
from maas.backend.known_sizes import NeedsKnownSizes


def to_last(x):
    """(batch, channels, ...) with the channels last."""
    return _core.transpose(x, axes=[0, *range(2, x.ndim), 1])


def to_second(x):
    """The way back."""
    return _core.transpose(x, axes=[0, x.ndim - 1, *range(1, x.ndim - 1)])


class Windows:
    """Strides, dilations and borders of a node.

    Args:
        call: `Call`.
        sizes: spatial sizes of the input.
        kernel: list of int.

    Attributes:
        pads: list of (before, after).
        out: sizes of the output.
        extra: what `ceil_mode` adds behind the borders, per axis.
    """

    def __init__(self, call, sizes, kernel):
        rank = len(sizes)
        self.kernel, self.sizes = [int(k) for k in kernel], list(sizes)
        self.strides = _list(call, "strides", rank, 1)
        self.dilations = _list(call, "dilations", rank, 1)
        if len(self.kernel) != rank or any(k < 1 for k in self.kernel):
            raise ValueError(f"kernel_shape must hold {rank} numbers >= 1, received {self.kernel}")
        self.extent = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations)]
        self.pads = self._pads(call, rank)
        self.out, self.extra = [], []
        for n, e, s, (before, after) in zip(self.sizes, self.extent, self.strides, self.pads):
            room = n + before + after - e
            if isinstance(room, int) and room < 0 and not call.attr("ceil_mode", 0):
                raise ValueError(f"a window of {e} does not fit, received sizes {self.sizes} with pads {self.pads}")
            count, extra = room // s + 1, 0
            if call.attr("ceil_mode", 0):
                if not isinstance(room, int):
                    raise NeedsKnownSizes("ceil_mode needs known sizes")
                count = -(-room // s) + 1
                # A window must begin inside the input or the border before it.
                if (count - 1) * s >= n + before:
                    count -= 1
                extra = max((count - 1) * s + e - (n + before + after), 0)
            self.out.append(count)
            self.extra.append(extra)

    def _pads(self, call, rank):
        kind = call.attr("auto_pad", "NOTSET")
        if kind == "VALID":
            return [(0, 0)] * rank
        if kind in ("SAME_UPPER", "SAME_LOWER"):
            pads = []
            for n, e, s in zip(self.sizes, self.extent, self.strides):
                if not isinstance(n, int) and s != 1:
                    raise NeedsKnownSizes(f"auto_pad {kind} with strides needs known sizes")
                total = e - 1 if s == 1 else max((-(-n // s) - 1) * s + e - n, 0)
                small = total // 2
                pads.append((small, total - small) if kind == "SAME_UPPER" else (total - small, small))
            return pads
        if kind != "NOTSET":
            raise ValueError(f"auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, received {kind!r}")
        flat = call.attr("pads", [0] * (2 * rank))
        if len(flat) != 2 * rank:
            raise ValueError(f"pads must hold {2 * rank} numbers, received {flat}")
        return list(zip(flat[:rank], flat[rank:]))

    @property
    def is_plain(self):
        """No dilation."""
        return all(d == 1 for d in self.dilations)

    def flat_pads(self, extra=True):
        """Before and after, axis by axis."""
        return [int(p) for (b, a), e in zip(self.pads, self.extra) for p in (b, a + (e if extra else 0))]

    def slices(self, x, fill):
        """(place in the window, the elements of `x` there for every output), `x` with channels second.

        Args:
            x: Tensor (batch, channels, ...).
            fill: number outside of `x`.
        """
        before = [0, 0, *(b for b, _ in self.pads)]
        after = [0, 0, *(a + e for (_, a), e in zip(self.pads, self.extra))]
        x = _core.pad(x, before=before, after=after, value=fill) if any(before) or any(after) else x
        for place in itertools.product(*(range(k) for k in self.kernel)):
            begin = [0, 0, *(p * d for p, d in zip(place, self.dilations))]
            end = [*x.dims[:2], *(b + (n - 1) * s + 1 for b, n, s in zip(begin[2:], self.out, self.strides))]
            yield place, _core.slice(x, begin=begin, end=end, step=[1, 1, *self.strides])


def _list(call, name, rank, default):
    values = call.attr(name, [default] * rank)
    if len(values) != rank or any(v < 1 for v in values):
        raise ValueError(f"{name} must hold {rank} numbers >= 1, received {values}")
    return list(values)
