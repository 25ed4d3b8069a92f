"""Boston housing: 506 districts, 13 numbers each, and the median price of a house."""

from maas.datasets import loading


def load_data(path="boston_housing.npz", test_split=0.2, seed=113):
    """Loads the Boston housing data, from the cache or the web.

    Args:
        path: str, name of the file in the cache.
        test_split: number in [0, 1), the share for testing.
        seed: int, for the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x float64 (n, 13), y float64 (n,) in 1,000 dollars.

    Raises:
        ValueError: if the share is out of range.
    Reference: Harrison and Rubinfeld, 1978, "Hedonic housing prices and the demand for clean air".
    """
    loading.check_split("boston_housing", test_split)
    file_hash = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
    f = loading.plain_arrays(loading.fetched(path, file_hash, "boston_housing.npz"))
    return loading.split(*loading.shuffled(seed, f["x"], f["y"]), test_split)
