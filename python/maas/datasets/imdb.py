"""IMDB: 50,000 film reviews as lists of word numbers, good or bad."""

import numpy as np

from maas.datasets import loading
from maas.datasets.plain_pickle import read_npz


def load_data(
    path="imdb.npz", num_words=None, skip_top=0, maxlen=None, seed=113, start_char=1, oov_char=2, index_from=3,
    **kwargs,
):  # fmt: skip
    """Loads the IMDB reviews, from the cache or the web; its pickled lists are read by a reader of plain values.

    Args:
        path: str, name of the file in the cache.
        num_words: int or None, words with a larger number (rarer ones) become `oov_char`.
        skip_top: int, so do the most frequent ones below it.
        maxlen: int or None, longer texts are left out.
        seed: int, for the order.
        start_char: int or None, put in front of each text.
        oov_char: int, or None to leave such words out.
        index_from: int, added to the word numbers.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x arrays of lists of int (25000 each), y int64 of 0 and 1.

    Raises:
        ValueError: if `maxlen` leaves nothing.
        TypeError: for an unknown argument.
    Reference: Maas et al., 2011, "Learning word vectors for sentiment analysis".
    """
    if kwargs:
        raise TypeError(f"imdb.load_data: unknown arguments, received {sorted(kwargs)}")
    file_hash = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
    f = read_npz(loading.fetched(path, file_hash, "imdb.npz"))
    random = np.random.RandomState(seed)
    parts = []
    for x, y in ((f["x_train"], f["y_train"]), (f["x_test"], f["y_test"])):
        order = np.arange(len(x))
        random.shuffle(order)
        rows, labels = loading.marked(x[order], start_char, index_from), y[order]
        if maxlen:
            rows, labels = loading.without_long(maxlen, rows, labels)
            if not rows:
                raise ValueError(f"imdb.load_data: no text is shorter than maxlen, received maxlen={maxlen}")
        parts.append((rows, labels))
    n = len(parts[0][0])
    rows = loading.limited(parts[0][0] + parts[1][0], num_words, skip_top, oov_char)
    return (loading.objects(rows[:n]), parts[0][1]), (loading.objects(rows[n:]), parts[1][1])


def get_word_index(path="imdb_word_index.json"):
    """dict of word to number, most frequent first; `load_data` adds `index_from` to the numbers."""
    return loading.word_index(path, "bfafd718b763782e994055a2d397834f", "imdb_word_index.json")
