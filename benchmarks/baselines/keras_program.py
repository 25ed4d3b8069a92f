"""The one Keras program that maas and Keras's own backends run: only the import differs."""

from benchmarks.nets import NETS


def build(keras, net, weights):
    """The network as a Sequential model with the given weights."""
    shape, spec = NETS[net]
    layers = [keras.layers.Input(shape)]
    for layer in spec:
        if layer[0] == "conv":
            layers.append(keras.layers.Conv2D(layer[1], layer[2], padding=layer[3], activation="relu"))
        elif layer[0] == "pool":
            layers.append(keras.layers.MaxPooling2D(layer[1]))
        elif layer[0] == "flatten":
            layers.append(keras.layers.Flatten())
        else:
            layers.append(keras.layers.Dense(layer[1], activation=layer[2]))
    model = keras.Sequential(layers)
    model.set_weights(weights)
    return model


def trainer(keras, net, weights, x, y, batch):
    """An epoch of `fit` as users write it."""
    model = build(keras, net, weights)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda: model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0).history["loss"][0]
