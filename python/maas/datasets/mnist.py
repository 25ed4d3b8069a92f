"""MNIST: 70,000 handwritten digits, 28x28, grey."""

from maas.datasets import loading


def load_data(path="mnist.npz"):
    """Loads MNIST, from the cache or the web.

    Args:
        path: str, name of the file in the cache.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (60000 and 10000, 28, 28) with values 0 to 255, y uint8.
    Reference: LeCun, Cortes and Burges, 1998, "The MNIST database of handwritten digits".
    """
    f = loading.plain_arrays(
        loading.fetched(path, "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1", "mnist.npz")
    )
    return (f["x_train"], f["y_train"]), (f["x_test"], f["y_test"])
