"""CIFAR-100: 60,000 colour images, 32x32, 100 classes in 20 groups."""

import os

from maas.datasets import loading


def load_data(label_mode="fine"):
    """Loads CIFAR-100, from the cache or the web; its pickles are read by a reader of plain values, never unpickled.

    Args:
        label_mode: "fine" (100 classes) or "coarse" (20).

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (50000 and 10000, 32, 32, 3), or channels first by the global
        setting; y int64 (n, 1).

    Raises:
        ValueError: for another mode.
    Reference: Krizhevsky, 2009, "Learning multiple layers of features from tiny images".
    """
    from maas.utils.file_utils import get_file

    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"cifar100.load_data: label_mode must be 'fine' or 'coarse', received {label_mode!r}")
    folder = get_file(
        "cifar-100-python-target", origin="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", extract=True,
        file_hash="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    )  # fmt: skip
    folder = os.path.join(folder, "cifar-100-python")
    parts = (loading.cifar_batch(os.path.join(folder, n), f"{label_mode}_labels") for n in ("train", "test"))
    return loading.cifar_result(*parts)
