"""CIFAR-10: 60,000 colour images, 32x32, 10 classes."""

import os

import numpy as np

from maas.datasets import loading


def load_data():
    """Loads CIFAR-10, from the cache or the web; its pickles are read by a reader of plain values, never unpickled.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (50000 and 10000, 32, 32, 3), or channels first by the global
        setting; y uint8 (n, 1).
    Reference: Krizhevsky, 2009, "Learning multiple layers of features from tiny images".
    """
    from maas.utils.file_utils import get_file

    folder = get_file(
        "cifar-10-batches-py-target", origin="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", extract=True,
        file_hash="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    )  # fmt: skip
    folder = os.path.join(folder, "cifar-10-batches-py")
    parts = [loading.cifar_batch(os.path.join(folder, f"data_batch_{i}"), "labels") for i in range(1, 6)]
    train = tuple(np.concatenate(p) for p in zip(*parts))
    return loading.cifar_result(train, loading.cifar_batch(os.path.join(folder, "test_batch"), "labels"), "uint8")
