"""Measures one row on a GPU: our program and torch's functions on the same numbers, in turns."""

import os
import statistics
import time

import numpy as np

from benchmarks.gpu_check.rows import NO_GRAPHS

# TFLOP/s of bf16 matrix units, of float32, and TB/s of memory: datasheets, dense.
PEAKS = {"H100": (989.4, 66.9, 3.35), "H200": (989.4, 66.9, 4.8)}
SECONDS = 0.02  # of one contender in one round


def torch_inputs(row, number):
    """One set of inputs."""
    import torch

    generator = torch.Generator("cuda").manual_seed(number)
    out = []
    for shape, dtype, scale in row.inputs:
        x = torch.randn(shape, device="cuda", generator=generator)
        out.append((x * (scale or 1)).to(getattr(torch, dtype)))
    return out


def our_program(row, inputs):
    """The row as a program: `inputs[, cotangent] -> y[, gradients]`; weights are no inputs but its state."""
    import maas
    from maas import _core

    given = row.inputs[:1] if row.state else row.inputs
    weights = [maas.Variable(maas.from_dlpack(t)) for t in inputs[len(given) :]]
    with _core.Trace() as trace:
        xs = [trace.input(list(shape), dtype, f"x{i}") for i, (shape, dtype, _) in enumerate(given)]
        xs += [w.value for w in weights]
        y = row.ours(*xs)
        if not row.backward:
            return trace.compile([y], row.name)
        w = trace.input(list(y.dims), y.dtype, "w")
        wanted = [x for x, (_, _, scale) in zip(xs, row.inputs) if scale is not None]
        return trace.compile([y, *_core.gradients(y, wanted, w)], row.name)


def torch_function(row, function, inputs, w, static=False):
    """A function without arguments that runs torch's side of the row. `static`: the inputs stay where they are, so that
    torch's CUDA graphs need not copy them first."""
    import torch

    prepared = row.prepare(*inputs) if row.prepare else inputs
    if static:
        for t in prepared:
            torch._dynamo.mark_static_address(t)
    if not row.backward:

        def run():
            with torch.no_grad():
                return function(*prepared)

        return run
    leaves = [t.detach().requires_grad_() for t in prepared]

    def run_with_gradients():
        y = function(*leaves)
        return y, *torch.autograd.grad(y, leaves, w)

    return run_with_gradients


def mode_of(row):
    """torch.compile's mode; GPU_CHECK_MODE names another where compiling may not take minutes."""
    return os.environ.get("GPU_CHECK_MODE") or row.compiled


def contenders(row, sets, ws):
    """name -> one function for every set of inputs."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    # Row.theirs may not be compiled under two names at once: every contender has its own entry.
    found = {"eager": [torch_function(row, row.theirs, s, w) for s, w in zip(sets, ws)]}
    for backend in row.backends:
        kind = getattr(SDPBackend, backend)

        def limited(*args, kind=kind):
            with sdpa_kernel(kind):
                return row.theirs(*args)

        found[backend.split("_")[0].lower()] = [torch_function(row, limited, s, w) for s, w in zip(sets, ws)]
    if row.compiled and os.environ.get("GPU_CHECK_COMPILE", "1") == "1":
        compiled = torch.compile(row.theirs, mode=mode_of(row), dynamic=False)
        found["compile"] = [torch_function(row, compiled, s, w, row.compiled != NO_GRAPHS) for s, w in zip(sets, ws)]
    return found


def relative_error(got, want):
    got, want = got.detach().float(), want.detach().float()
    return float((got - want).norm() / want.norm().clamp_min(1e-30))


def errors(row, results, reference, inputs, w):
    """The largest relative error of our outputs, and of the gradients where torch's have the same layout."""
    import torch

    got = [torch.from_dlpack(r) for r in results]
    worst = relative_error(got[0], reference)
    if row.backward and row.prepare is None:
        wide = torch_function(row, row.theirs, [x.float() for x in inputs], w.float())()[1:]
        worst = max([worst, *(relative_error(a, b) for a, b in zip(got[1:], wide))])
    return worst


def seconds_of(functions, count):
    import torch

    torch.cuda.synchronize()
    start = time.perf_counter()
    for i in range(count):
        functions[i % len(functions)]()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def warm(functions):
    """Calls until the time of a call is known; how many make a round."""
    for f in functions[:2]:
        f()
    seconds_of(functions, 3)
    return max(3, min(2000, int(SECONDS / seconds_of(functions, 3))))


def settings():
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def compile_only(row):
    """torch.compile's part alone, so that its cache on disk knows the row."""
    import torch

    settings()
    inputs = torch_inputs(row, 0)
    w = None
    if row.backward:
        with torch.no_grad():
            w = torch.randn_like(row.theirs(*(row.prepare(*inputs) if row.prepare else inputs)))
    compiled = torch.compile(row.theirs, mode=mode_of(row), dynamic=False)
    run = torch_function(row, compiled, inputs, w, row.compiled != NO_GRAPHS)
    for _ in range(3):
        run()
    torch.cuda.synchronize()


def measure(row, rounds):
    """A result: microseconds of everyone, the ratio to the best peer with its range, shares of the peak, the error."""
    import torch

    import maas
    from tests.cuda.checks import Check, on

    settings()
    sets = [torch_inputs(row, number) for number in range(row.sets)]
    result, check = {"peers": {}, "problems": {}}, Check(row.name)
    with torch.no_grad():
        wide = [x.float() for x in sets[0]]
        reference = row.theirs(*(row.prepare(*wide) if row.prepare else wide))
        del wide
    ws = [torch.randn(reference.shape, device="cuda").to(sets[0][0].dtype) if row.backward else None for _ in sets]
    functions, problems = {}, result["problems"]
    try:
        with on("gpu:0"):
            program = check.saw(our_program(row, sets[0]))
            given = [
                [maas.from_dlpack(t) for t in (*(s[:1] if row.state else s), *([w] if row.backward else []))]
                for s, w in zip(sets, ws)
            ]
            error = errors(row, program(*given[0]), reference, sets[0], ws[0])
            result["relative_error"] = error
            if not error <= row.error:
                problems["maas"] = f"relative error {error:.1e} of {row.error:.0e} allowed"
            functions["maas"] = [lambda given=g: program(*given) for g in given]
            counts = {"maas": warm(functions["maas"])}
    except Exception as error:  # noqa: BLE001, peers are measured all the same
        problems["maas"] = f"{type(error).__name__}: {error}"[:300]
        functions.pop("maas", None)
        counts = {}
    result["rows"], result["host"] = sorted(check.rows), sorted(check.host)
    for name, theirs in contenders(row, sets, ws).items():
        try:
            start = time.perf_counter()
            y = theirs[0]()
            error = relative_error(y[0] if row.backward else y, reference)
            if not error <= 3 * row.error:
                raise AssertionError(f"relative error {error:.1e}")
            del y
            functions[name], counts[name] = theirs, warm(theirs)
            if name == "compile":
                result["compile_seconds"] = round(time.perf_counter() - start, 1)
        except Exception as error:  # noqa: BLE001, a peer that cannot is left out
            problems[name] = f"{type(error).__name__}: {error}"[:120]
    del reference
    times = {name: [] for name in functions}
    with on("gpu:0" if "maas" in functions else "cpu"):
        for _ in range(rounds):
            for name, list_ in functions.items():
                times[name].append(seconds_of(list_, counts[name]))
    us = {name: 1e6 * statistics.median(t) for name, t in times.items()}
    result["us"] = {name: round(value, 2) for name, value in us.items()}
    peers = {name: value for name, value in us.items() if name != "maas"}
    best = min(us, key=us.get) if us else None
    if peers and "maas" in us:
        peer = min(peers, key=peers.get)
        paired = [b / a for a, b in zip(times["maas"], times[peer])]
        result.update(best_peer=peer, ratio=[float(f(paired)) for f in (np.median, np.min, np.max)])
    card = torch.cuda.get_device_name()
    result["card"] = card
    peak = next((v for k, v in PEAKS.items() if k in card), None)
    result["units"] = {}
    for name in us:
        rate = row.flops / us[name] / 1e6 if row.flops else row.bytes / us[name] / 1e6
        top = peak and ((peak[1 if row.inputs[0][1] == "float32" else 0]) if row.flops else peak[2])
        result["units"][name] = [round(rate, 2), round(rate / top, 3) if top else None]
    result["best"] = best
    result["ok"] = "maas" in us and "maas" not in problems
    return result


def peaks():
    """Measured in this run: bf16 product of 8192 cubed in TFLOP/s, a large copy in TB/s of reads and writes."""
    import torch

    a, b = (torch.randn(8192, 8192, device="cuda").bfloat16() for _ in range(2))
    product = [lambda: a @ b]
    x = torch.randn(1 << 30, device="cuda")
    y = torch.empty_like(x)
    copy = [lambda: y.copy_(x)]
    warm(product)
    warm(copy)
    return {
        "tflops": round(2 * 8192**3 / min(seconds_of(product, 20) for _ in range(3)) / 1e12, 1),
        "tbytes": round(8 * (1 << 30) / min(seconds_of(copy, 10) for _ in range(3)) / 1e12, 3),
        "card": torch.cuda.get_device_name(), "ok": True,
    }  # fmt: skip
