"""Fashion-MNIST: 70,000 pictures of clothes, 28x28, grey, 10 classes."""

import gzip

import numpy as np

from maas.datasets.loading import FOLDER

_FILES = (
    "train-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
)  # fmt: skip


def load_data():
    """Loads Fashion-MNIST, from the cache or the web.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (60000 and 10000, 28, 28), y uint8.
    Reference: Xiao, Rasul and Vollgraf, 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms", arXiv:1708.07747.
    """
    from maas.utils.file_utils import get_file

    parts = []
    for name in _FILES:
        path = get_file(name, origin=FOLDER + name, cache_subdir="datasets/fashion-mnist")
        with gzip.open(path, "rb") as f:
            parts.append(np.frombuffer(f.read(), np.uint8, offset=16 if "images" in name else 8))
    y_train, x_train, y_test, x_test = parts
    return (x_train.reshape(-1, 28, 28), y_train), (x_test.reshape(-1, 28, 28), y_test)
