"""Batches from arrays: order, shuffling, casts, checks; no model is needed."""

import numpy as np
import pytest

from maas.data import EpochIterator, get_data_adapter
from maas.data.arrays import split_for_validation
from maas.utils import PyDataset


def rows(n=10, width=3, dtype="float32"):
    return np.arange(n * width, dtype=dtype).reshape(n, width)


def collect(adapter):
    """Arrays of one pass; they are valid until the next batch, so they are copied."""
    return [[a.copy() for a in arrays] for _, _, arrays in adapter.batches()]


def test_order_and_partial_batch():
    x, y = rows(), np.arange(10)
    batches = collect(get_data_adapter(x, y, batch_size=4))
    assert [len(b[0]) for b in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)


@pytest.mark.parametrize("shuffle", [True, "batch"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
def test_shuffled_rows_stay_together(shuffle, dtype):
    np.random.seed(0)
    x, y = rows(10, dtype=dtype), np.arange(10)
    batches = collect(get_data_adapter(x, y, batch_size=4, shuffle=shuffle))
    found_x, found_y = (np.concatenate([b[i] for b in batches]) for i in (0, 1))
    assert sorted(found_y) == list(y) and list(found_y) != list(y)
    np.testing.assert_array_equal(found_x, x[found_y])
    if shuffle == "batch":
        assert sorted(found_y[:4]) == [0, 1, 2, 3]


def test_large_arrays_are_cast_batch_by_batch(monkeypatch):
    from maas.data import array_adapter

    monkeypatch.setattr(array_adapter, "_CAST_AT_ONCE", 0)
    x = rows(10, dtype="float64")
    for shuffle in (False, True):
        adapter = get_data_adapter(x, np.arange(10), batch_size=4, shuffle=shuffle)
        assert adapter._arrays[0].dtype == "float64"
        for arrays in collect(adapter):
            assert arrays[0].dtype == "float32"
            np.testing.assert_array_equal(arrays[0], x[arrays[1]])


def test_shuffling_reuses_buffers():
    adapter = get_data_adapter(rows(), batch_size=2, shuffle=True)
    addresses = {arrays[0].__array_interface__["data"][0] for _, _, arrays in adapter.batches()}
    assert len(addresses) == 1


def test_rows_that_are_not_contiguous():
    x = rows(10, 6)[::2, ::3]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in collect(get_data_adapter(x, batch_size=2))]), x)


def test_nested_structures_and_names():
    x, y = {"b": rows(), "a": rows(width=2)}, [np.arange(10), rows()]
    layout, _, arrays = next(get_data_adapter(x, y).batches())
    assert layout.names == ["x['a']", "x['b']", "y[0]", "y[1]"]
    packed_x, packed_y, weight = layout.pack(arrays)
    assert weight is None
    np.testing.assert_array_equal(packed_x["b"], x["b"])
    np.testing.assert_array_equal(packed_y[0], y[0])


@pytest.mark.parametrize(
    "given, wanted",
    [("float64", "float32"), ("float16", "float32"), ("uint8", "int32"), ("int16", "int32"), ("uint32", "int64"),
     ("int64", "int64"), ("int32", "int32"), ("bool", "bool")],
)  # fmt: skip
def test_dtypes_without_a_model(given, wanted):
    assert next(get_data_adapter(rows(dtype="int64").astype(given)).batches())[2][0].dtype == wanted


def test_dtypes_of_the_inputs_win():
    adapter = get_data_adapter(rows(dtype="uint8"), np.arange(10), input_dtypes=lambda x: ["float32"])
    arrays = next(adapter.batches())[2]
    assert arrays[0].dtype == "float32" and arrays[1].dtype == "int64"


class Table:
    """What pandas looks like."""

    __module__ = "pandas.core"

    def __init__(self, a):
        self.a, self.ndim, self.shape = a, a.ndim, a.shape

    def __array__(self, dtype=None, copy=None):
        return self.a

    def to_numpy(self):
        return self.a


def test_tables_and_columns():
    arrays = next(get_data_adapter(Table(rows()), Table(np.arange(10))).batches())[2]
    assert [a.shape for a in arrays] == [(10, 3), (10, 1)]


def test_steps_choose_the_batch_size():
    assert get_data_adapter(rows(10), steps_per_epoch=3).batch_size == 4


def test_keys_tell_layouts_apart():
    def key(*args, **kwargs):
        return next(get_data_adapter(*args, **kwargs).batches())[1]

    assert key(rows(5)) == key(rows(9))
    assert key(rows(5)) != key(rows(5, width=2))
    assert key(rows(5)) != key(rows(5), np.arange(5))
    assert key(rows(5), np.arange(5)) != key([rows(5), np.arange(5)])
    assert key(rows(5), np.arange(5)) != key(rows(5), np.arange(5.0))


def test_epochs_go_on_with_steps():
    data = EpochIterator(get_data_adapter(np.arange(10), batch_size=2), steps_per_epoch=2)
    with pytest.warns(UserWarning, match="received 1 of 2"):
        epochs = [[int(arrays[0][0]) for _, (_, _, arrays) in data.epoch()] for _ in range(4)]
    assert epochs == [[0, 2], [4, 6], [8], [0, 2]]


def test_peek_loses_nothing():
    data = EpochIterator(get_data_adapter(b for b in [(np.ones((2, 1)),), (np.zeros((3, 1)),)]))
    assert data.peek()[2][0].shape == (2, 1)
    assert [len(arrays[0]) for _, (_, _, arrays) in data.epoch()] == [2, 3]


def test_workers_keep_the_order():
    import threading

    class Slow(PyDataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            threading.Event().wait(0.002 * (20 - i) % 0.007)
            return (np.full((2, 1), i),)

    batches = collect(get_data_adapter(Slow(workers=4, max_queue_size=3)))
    assert [int(b[0][0, 0]) for b in batches] == list(range(20))


def test_an_error_in_a_worker_reaches_the_caller():
    class Broken(PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            if i == 3:
                raise OSError("no such picture")
            return (np.ones((1, 1)),)

    for workers in (1, 3):
        with pytest.raises(OSError, match="no such picture"):
            collect(get_data_adapter(Broken(workers=workers)))


def test_split():
    (x, y, w), (vx, vy, vw) = split_for_validation(rows(10), np.arange(10), None, 0.25)
    assert len(x) == 7 and list(vy) == [7, 8, 9] and w is None and vw is None and len(vx) == 3 and len(y) == 7
    for n, split in ((1, 0.01), (10, 1.0)):
        with pytest.raises(ValueError, match=f"received validation_split={split}"):
            split_for_validation(rows(n), None, None, split)


@pytest.mark.parametrize(
    "call, kind",
    [
        (lambda: get_data_adapter(rows(), rows(9)), ValueError),
        (lambda: get_data_adapter(np.float32(1)), ValueError),
        (lambda: get_data_adapter([1, 2]), ValueError),
        (lambda: get_data_adapter("text"), ValueError),
        (lambda: get_data_adapter(None), ValueError),
        (lambda: get_data_adapter(rows(dtype="complex64")), TypeError),
        (lambda: get_data_adapter(rows(), np.arange(10), class_weight={0: 1}, sample_weight=np.ones(10)), ValueError),
        (lambda: get_data_adapter(rows(), [np.arange(10)] * 2, sample_weight=np.ones((10, 3))), ValueError),
        (lambda: get_data_adapter(rows(), [np.arange(10)] * 2, class_weight={0: 1}), ValueError),
        (lambda: EpochIterator(get_data_adapter(rows()), steps_per_epoch=0), ValueError),
    ],
)
def test_wrong_data(call, kind):
    with pytest.raises(kind, match="received"):
        call()
