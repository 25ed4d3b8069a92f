"""The loaders beside Keras's over the same small files, and the reader of plain pickles against hostile ones."""

import gzip
import importlib
import json
import os
import pickle

import keras
import numpy as np
import pytest

from maas import datasets, tree
from maas.datasets.plain_pickle import read_pickle

RNG = np.random.default_rng(0)


def old_batch(images, labels, key):
    """A pickle as Python 2 wrote CIFAR: byte strings, protocol 2."""
    raw, n = images.tobytes(), len(images)
    ints = b"".join(b"K" + bytes([v]) for v in labels)
    return (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
        b"U\x01b\x87Rq\x05(K\x01K" + bytes([n]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + len(raw).to_bytes(4, "little") + raw
        + b"tbU" + bytes([len(key)]) + key.encode() + b"]q\x08(" + ints + b"eu."
    )  # fmt: skip


def idx(array, header):
    return gzip.compress(bytes(header) + array.tobytes())


def write_files(folder):
    def images(*shape):
        return RNG.integers(0, 256, shape).astype("uint8")

    def lists(n):
        out = np.empty(n, object)
        out[:] = [RNG.integers(1, 400, RNG.integers(2, 9)).tolist() for _ in range(n)]
        return out

    x, y = images(9, 28, 28), images(9)
    np.savez(folder / "mnist.npz", x_train=x[:6], y_train=y[:6], x_test=x[6:], y_test=y[6:])
    for part, n in (("train", 5), ("t10k", 3)):
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(images(n), 8))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images(n, 28, 28), 16))
    for name in ("boston_housing", "california_housing"):
        np.savez(folder / f"{name}.npz", x=RNG.normal(size=(700, 4)), y=RNG.normal(size=700))
    y = RNG.integers(0, 2, 12)
    np.savez(folder / "imdb.npz", x_train=lists(12), y_train=y, x_test=lists(12), y_test=1 - y)
    np.savez(folder / "reuters.npz", x=lists(15), y=RNG.integers(0, 46, 15))
    for name in ("imdb", "reuters"):
        (folder / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "é": 2}), encoding="utf-8")
    ten, hundred = folder / "cifar-10-batches-py-target", folder / "cifar-100-python-target"
    (ten / "cifar-10-batches-py").mkdir(parents=True)
    (hundred / "cifar-100-python").mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        path = ten / "cifar-10-batches-py" / name
        path.write_bytes(old_batch(images(4, 3072), [1, 9, 0, 3], "labels"))
    for name in ("train", "test"):
        table = {b"data": images(4, 3072), b"fine_labels": [1, 99, 0, 3], b"coarse_labels": [1, 19, 0, 3]}
        (hundred / "cifar-100-python" / name).write_bytes(pickle.dumps(table, protocol=4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


CALLS = [
    ("mnist", "load_data", {}), ("fashion_mnist", "load_data", {}), ("cifar100", "load_data", {}),
    ("cifar100", "load_data", {"label_mode": "coarse"}), ("boston_housing", "load_data", {"test_split": 0.3}),
    ("california_housing", "load_data", {}), ("california_housing", "load_data", {"version": "small", "seed": 1}),
    ("imdb", "load_data", {}), ("imdb", "load_data", {"num_words": 100, "skip_top": 5, "oov_char": None}),
    ("imdb", "load_data", {"maxlen": 6, "start_char": None, "index_from": 0, "seed": 2}),
    ("imdb", "load_data", {"start_char": None}), ("imdb", "get_word_index", {}),
    ("reuters", "load_data", {}), ("reuters", "load_data", {"num_words": 50, "maxlen": 7, "test_split": 0.5}),
    ("reuters", "get_word_index", {}), ("reuters", "get_label_names", {}),
]  # fmt: skip
CLAIMS = {f"datasets.{name}.{function}" for name, function, _ in CALLS} | {"datasets.cifar10.load_data"}


def same(a, b):
    if isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    elif isinstance(a, np.ndarray):
        assert a.shape == np.shape(b) and a.dtype == np.asarray(b).dtype and a.tolist() == np.asarray(b).tolist()
    else:
        assert a == b


@pytest.fixture
def recorded(folder, monkeypatch):
    """Both libraries get their files from the folder; what they asked for is kept."""
    asked = {"maas": [], "keras": []}

    def fake(lib):
        def get_file(fname=None, origin=None, **kwargs):
            kwargs["cache_subdir"] = os.path.normpath(kwargs.get("cache_subdir", "datasets"))
            asked[lib].append((fname, origin, kwargs))
            return str(folder / fname)

        return get_file

    monkeypatch.setattr("maas.utils.file_utils.get_file", fake("maas"))
    for name in {c[0] for c in CALLS} | {"cifar10"}:
        monkeypatch.setattr(f"keras.src.datasets.{name}.get_file", fake("keras"))
    return asked


@pytest.mark.parametrize("name, function, kwargs", CALLS, ids=str)
def test_the_same_files_and_the_same_data(name, function, kwargs, recorded):
    # Keras makes object arrays by np.array, which fails for lists of one length.
    ours = getattr(getattr(datasets, name), function)(**kwargs)
    theirs = getattr(getattr(keras.datasets, name), function)(**kwargs)
    same(ours, theirs)
    assert recorded["maas"] == recorded["keras"]


def test_cifar10(folder, recorded):
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    assert x_train.shape == (20, 32, 32, 3) and y_train.shape == (20, 1) and x_test.shape == (4, 32, 32, 3)
    module = importlib.import_module("keras.src.datasets.cifar")
    data, labels = module.load_batch(str(folder / "cifar-10-batches-py-target/cifar-10-batches-py/test_batch"))
    same(x_test, np.ascontiguousarray(data.transpose(0, 2, 3, 1)))
    assert y_test[:, 0].tolist() == labels and y_test.dtype == y_train.dtype == np.uint8
    with pytest.raises(ValueError):  # Keras wants all 50,000
        keras.datasets.cifar10.load_data()
    assert recorded["maas"] == recorded["keras"]


# ---- the reader of plain pickles


def test_numbers_in_the_other_byte_order():
    whole = pickle.dumps(np.arange(6, dtype="<i4"), 4).replace(b"\x8c\x01<", b"\x8c\x01>")
    assert read_pickle(whole).tolist() == (np.arange(6) << 24).tolist()


def ragged():
    out = np.empty(2, object)
    out[:] = [[1, 300, -5, 70_000], []]
    return out


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("value", [
    {b"a": [1, 2], "b": (3.5, None, True, False)}, list(range(3000)), [2**40, -(2**70), 255, 256, -1], b"x" * 300,
    "é\n" * 200, np.asfortranarray(np.arange(6.0).reshape(2, 3)), ragged(),
    [[], {}, ()], np.array([True, False]),
], ids=lambda v: type(v).__name__)  # fmt: skip
def test_reads_what_pickle_writes(value, protocol):
    found, expected = read_pickle(pickle.dumps(value, protocol)), pickle.loads(pickle.dumps(value, protocol))
    if isinstance(expected, np.ndarray):
        same(found, expected)
        assert found.flags.f_contiguous == expected.flags.f_contiguous
    else:
        assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_in_tuples(protocol):
    array = np.arange(3)
    for value in ((array,), [(array, 1)], {"a": ((array, "x"), (array,))}, (array, array)):
        found, flat = read_pickle(pickle.dumps(value, protocol)), []
        tree.map_structure(lambda a, b, flat=flat: flat.append((a, b)), found, value)
        assert type(found) is type(value) and len(flat) >= 1
        for a, b in flat:
            assert type(a) is type(b)
            np.testing.assert_array_equal(a, b)
    deep = ()
    for _ in range(60):  # 2^60 leaves if every reference were followed
        deep = (deep, deep)
    assert read_pickle(pickle.dumps(deep, protocol))[0] is not None
    assert read_pickle(b"\x80\x02)" + 100_000 * b"\x85" + b".")


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/maas-was-here",)


@pytest.mark.parametrize("value", [
    Evil(), os.system, print, np.float64, np.dtype([("a", "O")]), {1, 2}, 3 + 4j, object(), np.datetime64("2020"),
    bytearray(b"x"), {(1, 2): 3},
    np.array([Evil()], object), (np.ndarray,), [(np.dtype("f4"), 1)], ((np.dtype("f4"),),),
], ids=lambda v: type(v).__name__)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_refuses_everything_else(value, protocol):
    with pytest.raises(ValueError, match="takes numbers, text, lists, dicts and arrays only, received"):
        read_pickle(pickle.dumps(value, protocol))
    assert not os.path.exists("/tmp/maas-was-here")


def test_damaged_pickles_are_value_errors():
    whole = old_batch(RNG.integers(0, 256, (2, 3072)).astype("uint8"), [1, 2], "labels")
    assert read_pickle(whole)[b"labels"] == [1, 2]
    small = pickle.dumps({"a": ragged(), "b": np.arange(3), "c": [1, b"x", "y"]}, 4)
    for data in (whole, small):
        for cut in [*range(0, 200), len(data) - 1]:
            if cut < len(data):
                with pytest.raises(ValueError):
                    read_pickle(data[:cut])
    for _ in range(3000):
        broken = bytearray(small)
        for at in RNG.integers(0, len(small), 3):
            broken[at] = RNG.integers(0, 256)
        try:
            read_pickle(broken)
        except ValueError:
            pass


@pytest.mark.parametrize("data", [
    b".", b"(.", b"K", b"h\x00.", b"]e.", b"}(K\x01u.", b"cnumpy\nndarray\n.", b"cos\nsystem\n.", b")R.", b"Nb.",
    b"(\x85.", b"(K\x01\x86.", b"cnumpy\nndarray\n\x85\x85.", b"(cnumpy\nndarray\nt.",
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R.",
])  # fmt: skip
def test_hostile_byte_codes(data):
    with pytest.raises(ValueError):
        read_pickle(data)


@pytest.mark.parametrize("call, text", [
    (lambda: datasets.cifar100.load_data("x"), "label_mode must be"),
    (lambda: datasets.boston_housing.load_data(test_split=1), r"in \[0, 1\)"),
    (lambda: datasets.california_housing.load_data("tiny"), "version must be"),
])  # fmt: skip
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()
