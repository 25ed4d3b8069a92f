"""JAX: the network through Keras, compiled as one function of weights and inputs."""

import numpy as np

from benchmarks.baselines import keras_jax

available = keras_jax.available


def infer(net, threads, program):
    import jax

    model = net.build(keras_jax.backend(threads))
    weights = [[v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]
    x = [jax.numpy.asarray(a) for a in net.inputs]

    def forward(trainable, rest, x):
        return model.stateless_call(trainable, rest, x if len(x) > 1 else x[0], training=False)[0]

    compiled = jax.jit(forward).lower(*weights, x).compile()
    return lambda: compiled(*weights, x).block_until_ready(), np.asarray
