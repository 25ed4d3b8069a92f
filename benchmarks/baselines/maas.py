"""maas itself."""

from benchmarks.baselines import keras_program


def available():
    return True


def infer(net, weights, x, threads):
    import maas

    maas.set_num_threads(threads)
    model = keras_program.build(maas, net, weights)
    return lambda: model(x).numpy()


def train(net, weights, x, y, batch, threads):
    import maas

    maas.set_num_threads(threads)
    return keras_program.trainer(maas, net, weights, x, y, batch)


def op(name, case, threads):
    """One op as a compiled program."""
    import maas
    from maas import _core

    maas.set_num_threads(threads)
    operands = case.operands()
    with _core.Trace() as trace:
        # The second operand of products is a weight: prepared once, as in a model.
        weight = name in ("conv", "conv_input_gradient") or name == "matmul" and operands[1].ndim == 2
        inputs = [
            trace.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(operands[:1] if weight else operands)
        ]
        values = [*inputs, _core.Variable(operands[1])] if weight else inputs
        y = getattr(_core, name)(*values, **case.params)
        program = trace.compile([y[0] if isinstance(y, tuple) else y], name=name)
    arrays = operands[: len(inputs)]
    return lambda: program.numpy(*arrays)[0]


def peaks(threads):
    """Measured GFLOP/s of a large product and GB/s of a large addition, the yardsticks of the table."""
    import time

    from tests.ops.case import Case

    best = []
    for name, case, work in (
        ("matmul", Case((1536, 1536), (1536, 1536)), 2.0 * 1536**3),
        ("add", Case((1 << 24,), (1 << 24,)), 12.0 * (1 << 24)),
    ):
        run, fastest = op(name, case, threads), float("inf")
        for _ in range(8):
            start = time.perf_counter()
            run()
            fastest = min(fastest, time.perf_counter() - start)
        best.append(work / fastest / 1e9)
    return best
