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
