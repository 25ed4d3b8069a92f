"""What the data set modules share."""

import numpy as np

FOLDER = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def fetched(path, file_hash, name=None):
    """Path in the cache of one of the files of `FOLDER`."""
    from maas.utils.file_utils import get_file

    return get_file(path, origin=FOLDER + (name or path), file_hash=file_hash)


def plain_arrays(path):
    """dict of the arrays of a `.npz` file without Python objects."""
    with np.load(path, allow_pickle=False) as f:
        return {k: f[k] for k in f.files}


def shuffled(seed, *arrays):
    """Arrays in the random order that Keras gives them."""
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return [a[order] for a in arrays]


def split(x, y, test_split):
    """`(x_train, y_train), (x_test, y_test)`: the last share is for testing."""
    n = int(len(x) * (1 - test_split))
    return (np.array(x[:n]), np.array(y[:n])), (np.array(x[n:]), np.array(y[n:]))


def check_split(name, test_split):
    """ValueError unless the share is in [0, 1)."""
    if not 0 <= test_split < 1:
        raise ValueError(f"{name}.load_data: test_split must be in [0, 1), received test_split={test_split}")


def objects(rows):
    """Array of Python lists."""
    out = np.empty(len(rows), object)
    out[:] = rows
    return out


def marked(rows, start_char, index_from):
    """Rows of word numbers, shifted and with a start mark."""
    shift = index_from or 0
    head = [] if start_char is None else [start_char]
    return [head + [w + shift for w in row] for row in rows]


def without_long(maxlen, rows, labels):
    """The rows shorter than `maxlen` and their labels."""
    kept = [(r, v) for r, v in zip(rows, labels) if len(r) < maxlen]
    return [r for r, _ in kept], np.asarray([v for _, v in kept], dtype=np.asarray(labels).dtype)


def limited(rows, num_words, skip_top, oov_char):
    """Rows with words outside of [skip_top, num_words) replaced, or left out."""
    if not num_words:
        num_words = max(max(r) for r in rows)
    if oov_char is None:
        return [[w for w in r if skip_top <= w < num_words] for r in rows]
    return [[w if skip_top <= w < num_words else oov_char for w in r] for r in rows]


def word_index(path, file_hash, name):
    """dict of word to number."""
    import json

    with open(fetched(path, file_hash, name), encoding="utf-8") as f:
        return json.load(f)


def cifar_batch(path, label_key):
    """(images (n, 3, 32, 32) uint8, labels) of one file of CIFAR."""
    from maas.datasets.plain_pickle import read_pickle

    with open(path, "rb") as f:
        found = read_pickle(f.read())
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a table of images and labels, received {type(found).__name__}")
    found = {k.decode() if isinstance(k, bytes) else k: v for k, v in found.items()}
    return found["data"].reshape(-1, 3, 32, 32), np.asarray(found[label_key])


def cifar_result(train, test, dtype=None):
    """Images in the global data format, labels (n, 1)."""
    from maas.backend.config import image_data_format

    out = []
    for x, y in (train, test):
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if image_data_format() == "channels_last" else x
        y = y.reshape(-1, 1)
        out.append((x, y if dtype is None else y.astype(dtype)))
    return tuple(out)
