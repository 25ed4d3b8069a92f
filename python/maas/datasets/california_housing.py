"""California housing: 20,640 districts, 8 numbers each, and the median price of a house."""

from maas.datasets import loading


def load_data(version="large", path="california_housing.npz", test_split=0.2, seed=113):
    """Loads the California housing data, from the cache or the web.

    Args:
        version: "large" (all) or "small" (600 districts).
        path: str, name of the file in the cache.
        test_split: number in [0, 1), the share for testing.
        seed: int, for the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x float32 (n, 8), y float32 (n,) in dollars.

    Raises:
        ValueError: if the share is out of range, or for another version.
    Reference: Pace and Barry, 1997, "Sparse spatial autoregressions".
    """
    loading.check_split("california_housing", test_split)
    if version not in ("large", "small"):
        raise ValueError(f"california_housing.load_data: version must be 'large' or 'small', received {version!r}")
    file_hash = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
    f = loading.plain_arrays(loading.fetched(path, file_hash, "california_housing.npz"))
    n = 600 if version == "small" else None
    return loading.split(*loading.shuffled(seed, f["x"][:n], f["y"][:n]), test_split)
