"""The 1,797 handwritten digits of the UCI Machine Learning Repository, which ship inside the package."""

from pathlib import Path

import numpy as np

SEED = 1998
TEST_SIZE = 360


def load_data(size=8):
    """Loads the digits, split into 1,437 for training and 360 for testing, every digit in the same share of both.

    The split is the same on every machine and with every NumPy.

    Args:
        size: int, at least 8, height and width of an image in pixels. 8 gives the original images with values 0 to 16;
            a larger size enlarges them bilinearly (pixel centres at half) and spreads the values over 0 to 255.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 of shape (n, size, size), y int64 of shape (n,).

    Raises:
        ValueError: if `size` is not an integer of at least 8.
    Reference: Alpaydin and Kaynak, 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
        doi:10.24432/C50P49, CC BY 4.0.
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 8:
        raise ValueError(f"digits.load_data: size must be an integer of at least 8, received size={size!r}")
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as data:
        x, y = data["x"], data["y"].astype(np.int64)
    if size > 8:
        x = _enlarge(x, int(size))
    train, test = _stratified_split(y, TEST_SIZE)
    return (x[train], y[train]), (x[test], y[test])


def _stratified_split(y, test_size):
    # RandomState, unlike default_rng, promises the same stream in every version of NumPy.
    order = np.random.RandomState(SEED).permutation(len(y))
    labels = y[order]
    counts = np.bincount(y)
    share = counts * test_size / len(y)
    take = np.floor(share).astype(np.int64)
    largest_remainder = np.argsort(take - share, kind="stable")[: test_size - take.sum()]
    take[largest_remainder] += 1
    is_test = np.zeros(len(y), bool)
    for label, n in enumerate(take):
        is_test[np.flatnonzero(labels == label)[:n]] = True
    return order[~is_test], order[is_test]


def _enlarge(x, size):
    # Output pixel i lies at (i + 1/2) * 8 / size - 1/2 = numerator / unit. Integers round alike on every machine.
    old = x.shape[-1]
    unit = 2 * size
    numerator = old * (2 * np.arange(size) + 1) - size
    low, weight = numerator // unit, numerator % unit
    left, right = low.clip(0, old - 1), (low + 1).clip(0, old - 1)
    x = x.astype(np.int64)
    x = x[:, left] * (unit - weight)[:, None] + x[:, right] * weight[:, None]
    x = x[:, :, left] * (unit - weight) + x[:, :, right] * weight
    scale = 16 * unit * unit
    return ((x * 255 + scale // 2) // scale).astype(np.uint8)
