"""PyTorch eager: channels_last, batch norms folded, inference mode or fused Adam."""

import importlib.util

import numpy as np


def available():
    return importlib.util.find_spec("torch") is not None


def tensor(x):
    """Rows as torch wants them: NCHW in channels_last memory."""
    import torch

    if x.ndim != 4:
        return torch.tensor(x)
    return torch.tensor(np.ascontiguousarray(x)).permute(0, 3, 1, 2).to(memory_format=torch.channels_last)


def infer(net, threads, program, variant="eager"):
    import torch

    from benchmarks.baselines.torch_module import module

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model, inputs, first = module(net)
    model.eval()
    # Compiled code is specialised on no_grad; inference_mode is for eager calls.
    off = torch.inference_mode if variant == "eager" else torch.no_grad
    if variant == "jit":
        with torch.no_grad():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, inputs)))
    elif variant == "compile":
        torch._inductor.config.freezing = True
        model = torch.compile(model, dynamic=False)

    def run():
        with off():
            return model(*inputs)

    return run, lambda y: (y.movedim(1, -1) if first else y).numpy()


def train(net, x, y, batch, threads, compiled=False):
    import torch

    from benchmarks.baselines.torch_module import logits

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model, x, y = logits(net).train(), tensor(x), torch.tensor(y)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    forward = torch.compile(model, dynamic=False) if compiled else model

    def epoch():
        total, hits = 0.0, 0
        for i in range(0, len(x), batch):
            optimizer.zero_grad(set_to_none=True)
            out = forward(x[i : i + batch])
            loss = loss_of(out, y[i : i + batch])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(out)
            hits += (out.detach().argmax(-1) == y[i : i + batch]).sum()
        return float(total) / len(x)

    return epoch


def convolution(name, x, kernel, strides, padding, groups=1, size=None, dilation=()):
    """Keras's convolution with padding "same", or the gradient for its input, in channels_last memory."""
    import torch
    from torch.nn import functional as F

    spatial, sizes = x.ndim - 2, size or x.shape[1:-1]
    memory = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}[spatial]
    x = torch.tensor(x).movedim(-1, 1).contiguous(memory_format=memory)
    k = torch.tensor(kernel).movedim((-1, -2), (0, 1)).contiguous(memory_format=memory)
    total = [max((-(-n // s) - 1) * s + w - n, 0) for n, s, w in zip(sizes, strides, kernel.shape)]
    begin = [n // 2 for n in total]
    if name == "conv_input_gradient":
        # Of the padded image; what lies in the padding is cut off.
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
        cut = (..., *(slice(b, b + n) for b, n in zip(begin, sizes)))
        more = [n + t - (o - 1) * s - w for n, t, o, s, w in zip(sizes, total, x.shape[2:], strides, kernel.shape)]
        return lambda: function(x, k, stride=strides, output_padding=more, groups=groups)[cut].movedim(1, -1)
    function = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
    if any(n % 2 for n in total):  # Keras pads more at the end, torch's own padding is symmetric
        pads = [n for t, b in zip(total[::-1], begin[::-1]) for n in (b, t - b)]
        return lambda: function(F.pad(x, pads), k, stride=strides, groups=groups).movedim(1, -1)
    return lambda: function(x, k, stride=strides, padding=begin, groups=groups).movedim(1, -1)


def op(name, case, threads):
    """One op through torch's public functions."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    operands, params = case.operands(), case.params
    a = [torch.tensor(x) for x in operands]
    if name.startswith("conv"):
        run = convolution(name, *operands, **params)
    elif name == "attention":
        q, k, v = (t.transpose(1, 2).contiguous() for t in a)
        causal = params.get("causal", False)
        run = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)  # noqa: E731
    elif name == "max_pool":
        x = tensor(operands[0])
        run = lambda: F.max_pool2d(x, params["pool_size"], params["strides"]).permute(0, 2, 3, 1)  # noqa: E731
    else:
        run = {
            "matmul": lambda: torch.matmul(*a),
            "softmax": lambda: torch.softmax(a[0], -1),
            "layer_norm": lambda: F.layer_norm(a[0], a[0].shape[-1:], a[1], a[2], 1e-3),
            "gelu_erf": lambda: F.gelu(a[0]),
            "tanh": lambda: torch.tanh(a[0]),
            "exp": lambda: torch.exp(a[0]),
            "add": lambda: a[0] + a[1],
            "cumsum": lambda: torch.cumsum(a[0], params["axis"]),
            "sum": lambda: a[0].sum(params.get("axis")),
        }[name]

    def call():
        with torch.inference_mode():
            return run()

    return call, lambda y: y.numpy()
