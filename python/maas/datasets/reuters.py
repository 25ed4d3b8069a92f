"""Reuters: 11,228 news wires as lists of word numbers, 46 topics."""

from maas.datasets import loading
from maas.datasets.plain_pickle import read_npz

_LABELS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass "
    "crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi "
    "iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"
)


def load_data(
    path="reuters.npz", num_words=None, skip_top=0, maxlen=None, test_split=0.2, seed=113, start_char=1, oov_char=2,
    index_from=3,
):  # fmt: skip
    """Loads the Reuters wires, from the cache or the web; its pickled lists are read by a reader of plain values.

    Args:
        path: str, name of the file in the cache.
        num_words: int or None, words with a larger number (rarer ones) become `oov_char`.
        skip_top: int, so do the most frequent ones below it.
        maxlen: int or None, longer texts are left out.
        test_split: number in [0, 1), the share for testing.
        seed: int, for the order.
        start_char: int or None, put in front of each text.
        oov_char: int, or None to leave such words out.
        index_from: int, added to the word numbers.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x arrays of lists of int, y int64.
    Reference: Lewis, 1997, "Reuters-21578 text categorization collection".
    """
    loading.check_split("reuters", test_split)
    file_hash = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
    f = read_npz(loading.fetched(path, file_hash, "reuters.npz"))
    x, labels = loading.shuffled(seed, f["x"], f["y"])
    rows = loading.marked(x, start_char, index_from)
    if maxlen:
        rows, labels = loading.without_long(maxlen, rows, labels)
    rows = loading.limited(rows, num_words, skip_top, oov_char)
    return loading.split(loading.objects(rows), labels, test_split)


def get_word_index(path="reuters_word_index.json"):
    """dict of word to number, most frequent first; `load_data` adds `index_from` to the numbers."""
    return loading.word_index(path, "4d44cc38712099c9e383dc6e5f11a921", "reuters_word_index.json")


def get_label_names():
    """The topics, in the order of their numbers."""
    return tuple(_LABELS.split())
