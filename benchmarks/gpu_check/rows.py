"""The GPU rows of the benchmarks: one function of the same inputs for us and for torch, whole models among them."""

import functools
from dataclasses import dataclass, field


@dataclass
class Row:
    """One measured function.

    Args:
        name: "G<number> <words>", unique.
        inputs: [(shape, dtype, scale)], random normal numbers times `scale`; a scale of None: no gradient is taken.
        ours: function of the inputs in maas's ops, traced to a program.
        theirs: function of torch's tensors.
        prepare: torch's tensors -> what `theirs` takes, outside the measured time; views and layouts only.
        flops, bytes: of one call; the larger share of the peak is reported.
        backward: the gradients of all inputs with a scale are computed too.
        compiled: torch.compile is tried as well, in this mode.
        state: all inputs but the first are weights, which a program holds as state.
        sets: how many sets of inputs take turns, so that the L2 cache holds none of them.
        error: allowed relative error by norm against torch in float32.
        quick: part of the short list.
    """

    name: str
    inputs: list
    ours: object
    theirs: object
    prepare: object = None
    flops: float = 0.0
    bytes: float = 0.0
    backward: bool = False
    compiled: str | None = None
    sets: int = 1
    state: bool = False
    error: float = 2e-2
    quick: bool = False
    backends: tuple = field(default=())


BF, F4 = "bfloat16", "float32"
NO_GRAPHS = "max-autotune-no-cudagraphs"


def gemms():
    from maas import ops

    for m, n, k, quick in ((4096, 4096, 4096, True), (8192, 8192, 8192, True), (5120, 3072, 8192, False)):
        yield Row(
            f"G1 matmul bf16 {m}x{n}x{k}", [((m, k), BF, 1), ((k, n), BF, 1)], ops.matmul, lambda a, b: a @ b,
            flops=2.0 * m * n * k, quick=quick,
        )  # fmt: skip

    def gelu(x, w, b):
        return ops.gelu(ops.add(ops.matmul(x, w), b), approximate=True)

    def torch_gelu(x, w, b):
        import torch.nn.functional as F

        return F.gelu(torch_addmm(x, w, b), approximate="tanh")

    def torch_addmm(x, w, b):
        import torch

        return torch.addmm(b, x, w)

    shape = [((8192, 768), BF, 1), ((768, 3072), BF, 0.05), ((3072,), BF, 1)]
    yield Row(
        "G2 matmul bias gelu 8192x3072x768", shape, gelu, torch_gelu, flops=2.0 * 8192 * 3072 * 768,
        compiled=NO_GRAPHS, quick=True,
    )  # fmt: skip

    def residual(x, w, b, r):
        return ops.add(ops.add(ops.matmul(x, w), b), r)

    shape = [((8192, 3072), BF, 1), ((3072, 768), BF, 0.05), ((768,), BF, 1), ((8192, 768), BF, 1)]
    yield Row(
        "G2 matmul bias residual 8192x768x3072", shape, residual, lambda x, w, b, r: torch_addmm(x, w, b) + r,
        flops=2.0 * 8192 * 3072 * 768, compiled=NO_GRAPHS,
    )  # fmt: skip
    for m in (1, 8, 16, 64):
        yield Row(
            f"G3 matmul bf16 {m}x4096x4096", [((m, 4096), BF, 1), ((4096, 4096), BF, 1)], ops.matmul,
            lambda a, b: a @ b, bytes=2.0 * (4096 * 4096 + 2 * m * 4096), sets=6, quick=m in (1, 16),
        )  # fmt: skip
    yield Row(
        "G4 matmul f32 4096", [((4096, 4096), F4, 1)] * 2, ops.matmul, lambda a, b: a @ b, flops=2.0 * 4096**3,
        error=1e-5, quick=True,
    )  # fmt: skip
    yield Row(
        "G4 matmul f32 1024", [((1024, 1024), F4, 1)] * 2, ops.matmul, lambda a, b: a @ b, flops=2.0 * 1024**3,
        error=1e-5,
    )  # fmt: skip


def nchw(x, kernel, *rest):
    """NHWC and HWIO as torch's channels_last views."""
    import torch

    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    return (x.permute(0, 3, 1, 2), kernel, *(r.permute(0, 3, 1, 2) if r.dim() == 4 else r for r in rest))


def convs():
    from maas import ops

    def ours(x, k, b, r, strides=1):
        return ops.relu(ops.add(ops.add(ops.conv(x, k, strides=strides, padding="same"), b), r))

    def theirs(x, k, b, r, strides=1):
        import torch.nn.functional as F

        return F.relu(F.conv2d(x, k, b, stride=strides, padding=k.shape[2] // 2) + r).permute(0, 2, 3, 1)

    layers = (
        (56, 64, 64, 3),
        (56, 64, 256, 1),
        (28, 128, 128, 3),
        (14, 256, 256, 3),
        (14, 1024, 256, 1),
        (7, 512, 512, 3),
    )
    for batch in (1, 8, 32):
        for side, ic, oc, k in layers:
            image = (batch, side, side)
            flops = 2.0 * batch * side * side * ic * oc * k * k
            yield Row(
                f"G5 conv {k}x{k} {side}x{side} {ic}->{oc} batch {batch}",
                [((*image, ic), BF, 1), ((k, k, ic, oc), BF, (k * k * ic) ** -0.5), ((oc,), BF, 1),
                 ((*image, oc), BF, 1)],
                ours, theirs, nchw, flops=flops, compiled=NO_GRAPHS if batch == 32 and side == 28 else None,
                quick=(side, k) == (28, 3) and batch in (1, 32),
            )  # fmt: skip
    for side, ic, oc, k in ((56, 64, 64, 3), (14, 256, 256, 3)):
        yield Row(
            f"G5 conv {k}x{k} {side}x{side} {ic}->{oc} batch 32 training",
            [((32, side, side, ic), BF, 1), ((k, k, ic, oc), BF, (k * k * ic) ** -0.5)],
            lambda x, k: ops.conv(x, k, padding="same"),
            lambda x, k: __import__("torch").nn.functional.conv2d(x, k, padding=k.shape[2] // 2).permute(0, 2, 3, 1),
            nchw, flops=6.0 * 32 * side * side * ic * oc * k * k, backward=True,
        )  # fmt: skip


def attentions():
    from maas import ops
    from maas.ops.attention import attend

    def torch_attention(q, k, v, causal=False):
        import torch.nn.functional as F

        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        return F.scaled_dot_product_attention(
            q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
        ).transpose(1, 2)  # fmt: skip

    for size in (128, 512, 2048, 8192):
        for dim in (64, 128):
            for causal in (False, True):
                for backward in (False, True):
                    if backward and (size, dim) not in ((512, 64), (2048, 128), (8192, 128)):
                        continue
                    batch, heads = 16384 // size, 2048 // dim
                    flops = 4.0 * batch * heads * size * size * dim * (3.5 if backward else 1) / (2 if causal else 1)
                    yield Row(
                        f"G6 attention {size} dim {dim}{' causal' * causal}{' training' * backward}",
                        [((batch, size, heads, dim), BF, 1)] * 3,
                        functools.partial(ops.dot_product_attention, is_causal=causal),
                        functools.partial(torch_attention, causal=causal), flops=flops, backward=backward,
                        backends=("FLASH_ATTENTION", "CUDNN_ATTENTION"), error=3e-2,
                        quick=(size, dim, causal) in ((2048, 128, False), (512, 64, False), (8192, 128, True)),
                    )  # fmt: skip
    for batch, context in ((1, 4096), (32, 4096), (1, 32768)):
        yield Row(
            f"G7 decode attention batch {batch} context {context}",
            [((batch, 1, 32, 128), BF, 1), ((batch, context, 8, 128), BF, 1), ((batch, context, 8, 128), BF, 1)],
            functools.partial(attend, at_end=True), torch_attention, bytes=4.0 * batch * context * 8 * 128,
            sets=6 if batch == 1 else 1, error=3e-2,
            backends=("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION"), quick=context == 4096,
        )  # fmt: skip


def recurrences():
    from maas import ops

    def ours(x, h, c, kernel, recurrent, bias):
        return ops.lstm(x, h, c, kernel, recurrent, bias, return_sequences=True)[0]

    def prepare(x, h, c, kernel, recurrent, bias):
        import torch

        units = h.shape[1]
        cell = torch.nn.LSTM(x.shape[2], units, batch_first=True, device=x.device, dtype=x.dtype)
        with torch.no_grad():
            cell.weight_ih_l0.copy_(kernel.T)
            cell.weight_hh_l0.copy_(recurrent.T)
            cell.bias_ih_l0.copy_(bias)
            cell.bias_hh_l0.zero_()
        cell.flatten_parameters()
        return cell, x, h[None], c[None]

    def theirs(cell, x, h, c):
        return cell(x, (h, c))[0]

    for batch in (1, 8, 64):
        for units in (256, 512, 1024):
            for dtype in (F4, BF):
                steps = 512 if units < 1024 else 256
                yield Row(
                    f"G8 lstm {'f32' if dtype == F4 else 'bf16'} batch {batch} units {units} steps {steps}",
                    [((batch, steps, units), dtype, 1), ((batch, units), dtype, 1), ((batch, units), dtype, 1),
                     ((units, 4 * units), dtype, units**-0.5), ((units, 4 * units), dtype, units**-0.5),
                     ((4 * units,), dtype, 0.1)],
                    ours, theirs, prepare, flops=16.0 * batch * steps * units * units,
                    error=2e-3 if dtype == F4 else 3e-2, quick=(units, dtype) == (256, F4) and batch < 64,
                )  # fmt: skip


def normalizations():
    from maas import ops

    def norm(x, g, b):
        return ops.layer_normalization(x, g, b, epsilon=1e-5)

    def torch_norm(x, g, b):
        import torch.nn.functional as F

        return F.layer_norm(x, x.shape[-1:], g, b, 1e-5)

    def rms(x, g):
        return ops.rms_normalization(x, g, epsilon=1e-5)

    def torch_rms(x, g):
        import torch.nn.functional as F

        return F.rms_norm(x, x.shape[-1:], g, 1e-5)

    n, c = 16384, 4096
    full, one = ((n, c), BF, 1), ((c,), BF, 1)
    size = 2.0 * n * c
    found = (
        ("layer norm", [full, one, one], norm, torch_norm),
        ("rms norm", [full, one], rms, torch_rms),
        ("softmax", [full], ops.softmax, lambda x: x.softmax(-1)),
    )
    for backward in (False, True):
        for name, inputs, ours, theirs in found:
            # Forward reads x and writes y; backward reads x (or y) and dy and writes dx.
            yield Row(
                f"G9 {name} {n}x{c} bf16{' training' * backward}", inputs, ours, theirs,
                bytes=size * (5 if backward else 2), backward=backward, compiled=NO_GRAPHS, quick=True,
            )  # fmt: skip

    def chain(x, y):
        return ops.add(ops.multiply(ops.tanh(x), y), ops.sigmoid(y))

    yield Row(
        f"G9 tanh(x) y + sigmoid(y) {n}x{c} bf16", [full, full], chain, lambda x, y: x.tanh() * y + y.sigmoid(),
        bytes=3 * size, compiled=NO_GRAPHS, quick=True,
    )  # fmt: skip
    yield Row(
        f"G9 sum of rows {n}x{c} f32", [((n, c), F4, 1)], lambda x: ops.sum(x, axis=-1), lambda x: x.sum(-1),
        bytes=4.0 * n * c, error=1e-5,
    )  # fmt: skip


def resnet_weights():
    """(kernel, inputs, outputs) of ResNet-50's convolutions in order, normalizations folded."""
    layers, channels = [(7, 3, 64)], 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            layers += [(1, channels, width), (3, width, width), (1, width, 4 * width)]
            if block == 0:
                layers.append((1, channels, 4 * width))
            channels = 4 * width
    return layers


def resnet(x, weights, conv, pool, mean, dense):
    """ResNet-50 v1.5 from its five kinds of steps."""
    given = iter(weights)

    def step(x, stride=1, residual=None, act=True):
        return conv(x, next(given), next(given), stride, residual, act)

    x = pool(step(x, 2))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 and stage else 1
            y = step(step(x), stride)
            last = (next(given), next(given))
            short = step(x, stride, act=False) if block == 0 else x
            x = conv(y, *last, 1, short, True)
    return dense(mean(x), next(given), next(given))


def resnets():
    from maas import ops

    def conv(x, k, b, stride, residual, act):
        y = ops.add(ops.conv(x, k, strides=stride, padding="same"), b)
        y = y if residual is None else ops.add(y, residual)
        return ops.relu(y) if act else y

    def ours(x, *weights):
        return resnet(
            x, weights, conv, lambda x: ops.max_pool(x, 3, 2, padding="same"), lambda x: ops.mean(x, axis=(1, 2)),
            lambda x, w, b: ops.add(ops.matmul(x, w), b),
        )  # fmt: skip

    def theirs(x, *weights):
        import torch
        import torch.nn.functional as F

        def conv(x, k, b, stride, residual, act):
            size = k.shape[2]
            if stride == 2 and size > 1:  # Keras pads more at the end of an even image
                before = (size - 2) // 2
                x = F.pad(x, (before, size - 2 - before) * 2)
                y = F.conv2d(x, k, b, stride=2)
            else:
                y = F.conv2d(x, k, b, stride=stride, padding=size // 2)
            y = y if residual is None else y + residual
            return F.relu(y) if act else y

        def pool(x):
            return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)

        return resnet(x, weights, conv, pool, lambda x: x.mean((2, 3)), lambda x, w, b: torch.addmm(b, x, w))

    def prepare(x, *weights):
        import torch

        last = torch.channels_last
        moved = [w.permute(3, 2, 0, 1).contiguous(memory_format=last) if w.dim() == 4 else w for w in weights]
        return (x.permute(0, 3, 1, 2), *moved)

    for batch in (1, 8, 32):
        inputs = [((batch, 224, 224, 3), BF, 1)]
        for k, ic, oc in resnet_weights():
            inputs += [((k, k, ic, oc), BF, (2.0 / (k * k * ic)) ** 0.5 * (0.6 if k == 1 else 1)), ((oc,), BF, 0.1)]
        inputs += [((2048, 1000), BF, 0.02), ((1000,), BF, 0.1)]
        yield Row(
            f"G10 ResNet-50 bf16 batch {batch}", inputs, ours, theirs, prepare, flops=8.2e9 * batch,
            compiled="max-autotune" if batch == 1 else "reduce-overhead", error=6e-2, quick=batch in (1, 32),
            state=True,
        )  # fmt: skip


def transformer_inputs(batch, length, width, layers, heads, context=0):
    inputs = [((batch, length, width), BF, 1)]
    for _ in range(layers):
        for shape in ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)):
            inputs += [(shape, BF, shape[0] ** -0.5), ((shape[1],), BF, 0.1)]
        inputs += [((width,), BF, 1)] * 4
        if context:
            inputs += [((batch, context, heads, width // heads), BF, 1)] * 2
    return inputs


def transformer(x, weights, heads, matmul, attend, norm, gelu, split, before, cached):
    """Layers of attention and feed-forward; `before`: normalization comes first (GPT-2), else last (BERT)."""
    given = iter(weights)
    while (w := next(given, None)) is not None:
        qkv, out, up, down = (w, next(given)), *((next(given), next(given)) for _ in range(3))
        first, second = ((next(given), next(given)) for _ in range(2))
        cache = (next(given), next(given)) if cached else None
        y = norm(x, *first) if before else x
        q, k, v = split(matmul(y, *qkv), heads)
        y = matmul(attend(q, *(cache or (k, v))), *out)
        x = x + y if before else norm(x + y, *first)
        y = norm(x, *second) if before else x
        y = matmul(gelu(matmul(y, *up)), *down)
        x = x + y if before else norm(x + y, *second)
    return x


def transformers():
    from maas import ops
    from maas.ops.attention import attend

    def both(heads, before, cached):
        def ours(x, *weights):
            batch, length, width = x.shape

            def split(y, heads):
                y = ops.reshape(y, (batch, length, 3, heads, width // heads))
                return (y[:, :, i] for i in range(3))

            def attention(q, k, v):
                y = attend(q, k, v, is_causal=before and not cached, at_end=cached)
                return ops.reshape(y, (batch, length, width))

            return transformer(
                x, weights, heads, lambda y, w, b: ops.add(ops.matmul(y, w), b), attention,
                lambda y, g, b: ops.layer_normalization(y, g, b, epsilon=1e-5),
                lambda y: ops.gelu(y, approximate=True), split, before, cached,
            )  # fmt: skip

        def theirs(x, *weights):
            import torch.nn.functional as F

            batch, length, width = x.shape

            def split(y, heads):
                return y.view(batch, length, 3, heads, width // heads).unbind(2)

            def attention(q, k, v):
                q, k, v = (t.transpose(1, 2) for t in (q, k, v))
                y = F.scaled_dot_product_attention(q, k, v, is_causal=before and not cached)
                return y.transpose(1, 2).reshape(batch, length, width)

            return transformer(
                x, weights, heads, lambda y, w, b: F.linear(y, w, b), attention,
                lambda y, g, b: F.layer_norm(y, (width,), g, b, 1e-5), lambda y: F.gelu(y, approximate="tanh"), split,
                before, cached,
            )  # fmt: skip

        return ours, theirs

    def prepare(x, *weights):
        # F.linear takes (out, in).
        return (x, *(w.T.contiguous() if w.dim() == 2 else w for w in weights))

    for batch in (1, 8, 32):
        ours, theirs = both(12, False, False)
        yield Row(
            f"G11 BERT-base 128 bf16 batch {batch}", transformer_inputs(batch, 128, 768, 12, 12), ours, theirs, prepare,
            flops=22.4e9 * batch, compiled="max-autotune" if batch == 1 else "reduce-overhead", error=6e-2,
            quick=batch in (1, 32), state=True,
        )  # fmt: skip
    ours, theirs = both(12, True, True)
    yield Row(
        "G12 GPT-2 124M decode batch 1 context 1024", transformer_inputs(1, 1, 768, 12, 12, 1024), ours, theirs,
        prepare, bytes=2.0 * (85e6 + 12 * 2 * 1024 * 768), compiled="max-autotune", error=6e-2, quick=True, state=True,
    )  # fmt: skip
    ours, theirs = both(12, True, False)
    yield Row(
        "G12 GPT-2 124M prefill 512", transformer_inputs(1, 512, 768, 12, 12), ours, theirs, prepare,
        flops=2.0 * 85e6 * 512, compiled="reduce-overhead", error=6e-2, state=True,
    )  # fmt: skip


@functools.cache
def all_rows():
    """name -> Row."""
    from benchmarks.gpu_check.rows_moves import moves

    groups = (gemms, normalizations, attentions, convs, recurrences, transformers, resnets, moves)
    return {row.name: row for group in groups for row in group()}
