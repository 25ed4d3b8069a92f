"""maas itself."""

import numpy as np

from benchmarks.baselines import keras_program


def available():
    return True


def infer(net, threads, program):
    """The model called as users do, or `program`: what it compiles to, without the call's Python."""
    import maas

    maas.set_num_threads(threads)
    model, x = net.build(maas), net.inputs
    infer.model = model
    if program or len(x) > 1:
        from maas.models.programs import inference_program

        run = inference_program(model)[0]
        return lambda: run(*x), lambda y: np.asarray(y[0])
    x = x[0]
    return lambda: model(x), np.asarray


def kernels(net):
    """[op, kernel, microseconds] of every step of the model that was prepared last."""
    x = net.inputs if len(net.inputs) > 1 else net.inputs[0]
    return [[r["op"], r["kernel"], round(r["us"], 2)] for r in infer.model.profile(x, repeats=3).rows]


def train(net, x, y, batch, threads):
    import maas

    maas.set_num_threads(threads)
    return keras_program.trainer(maas, net, x, y, batch)


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
    return lambda: program(*arrays), lambda y: np.asarray(y[0])


def peaks(threads):
    """Measured GFLOP/s of multiply-adds in registers and GB/s of memory: the yardsticks of the tables."""
    import maas
    from maas import _core

    maas.set_num_threads(threads)
    return list(_core.measure_peak(0.2))
