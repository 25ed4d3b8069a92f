"""Rows of other memory-bound ops: copies that turn axes, casts, chains with a broadcast operand, pooling."""

from benchmarks.gpu_check.rows import BF, F4, NO_GRAPHS, Row


def moves():
    from maas import ops

    n, c = 16384, 4096
    size = n * c
    yield Row(
        f"G14 transpose {n}x{c} bf16", [((n, c), BF, 1)], lambda x: ops.transpose(x), lambda x: x.t().contiguous(),
        bytes=4.0 * size, quick=True,
    )  # fmt: skip
    yield Row(
        f"G14 transpose {n}x{c} f32", [((n, c), F4, 1)], lambda x: ops.transpose(x), lambda x: x.t().contiguous(),
        bytes=8.0 * size,
    )  # fmt: skip
    yield Row(
        "G14 heads 32x1024x16x128 bf16", [((32, 1024, 16, 128), BF, 1)], lambda x: ops.transpose(x, (0, 2, 1, 3)),
        lambda x: x.permute(0, 2, 1, 3).contiguous(), bytes=4.0 * size,
    )  # fmt: skip
    yield Row(
        f"G14 cast {n}x{c} f32 to bf16", [((n, c), F4, 1)], lambda x: ops.cast(x, BF), lambda x: x.bfloat16(),
        bytes=6.0 * size,
    )  # fmt: skip

    def biased(x, b):
        return ops.gelu(ops.add(x, b), approximate=False)

    def torch_biased(x, b):
        import torch.nn.functional as F

        return F.gelu(x + b)

    for name, dtype, width in (("bf16", BF, 2), ("f32", F4, 4)):
        yield Row(
            f"G14 erf gelu of x + row {n}x{c} {name}", [((n, c), dtype, 1), ((c,), dtype, 1)],
            biased, torch_biased, bytes=2.0 * width * size, compiled=NO_GRAPHS, quick=dtype == F4,
        )  # fmt: skip
    yield Row(
        f"G14 concatenate 2 of {n}x{c // 2} bf16", [((n, c // 2), BF, 1)] * 2,
        lambda a, b: ops.concatenate([a, b], axis=1), lambda a, b: _torch().cat([a, b], 1), bytes=4.0 * size,
    )  # fmt: skip

    def pool(x):
        return ops.max_pool(x, 3, 2, "same")

    def torch_pool(x):
        # Same padding of an even size puts its one pixel behind.
        F = _torch().nn.functional
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2).permute(0, 2, 3, 1)

    def channels_last(x):
        return (x.permute(0, 3, 1, 2),)

    pixels = 64.0 * 112 * 112 * 64
    yield Row(
        "G14 max pool 3x3 64x112x112x64 bf16", [((64, 112, 112, 64), BF, 1)], pool, torch_pool, channels_last,
        bytes=2.0 * pixels * 1.25, compiled=NO_GRAPHS,
    )  # fmt: skip


def _torch():
    import torch

    return torch
