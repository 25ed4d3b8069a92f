"""`Dataset` and the functions that read folders, time series and splits."""

import os
import threading
import time
import wave

import numpy as np
import pytest

import maas
from maas import preprocessing, utils
from maas.data import AUTOTUNE, Dataset


def rows(data):
    return [np.asarray(x).tolist() for x in data]


def test_the_methods():
    data = Dataset.from_tensor_slices(np.arange(7))
    assert len(data) == 7 and rows(data) == rows(data) == list(range(7))
    assert rows(data.batch(3)) == [[0, 1, 2], [3, 4, 5], [6]] and len(data.batch(3)) == 3
    assert rows(data.batch(3, drop_remainder=True)) == [[0, 1, 2], [3, 4, 5]]
    assert rows(data.batch(3).unbatch()) == list(range(7))
    assert rows(data.take(2)) == [0, 1] and rows(data.skip(5)) == [5, 6] and len(data.take(99)) == 7
    assert rows(data.map(lambda x: x * 2).filter(lambda x: x > 8)) == [10, 12]
    assert rows(data.take(2).repeat(2)) == [0, 1, 0, 1] and data.repeat().cardinality() == -2
    assert rows(data.repeat().take(9))[-2:] == [0, 1]
    pairs = Dataset.from_tensor_slices(({"a": np.arange(4)}, np.arange(4) * 10))
    assert rows(pairs.map(lambda x, y: x["a"] + y)) == [0, 11, 22, 33]
    x, y = next(iter(pairs.batch(3)))
    assert x["a"].tolist() == [0, 1, 2] and y.tolist() == [0, 10, 20]
    with pytest.raises(TypeError, match="is not known"):
        len(data.filter(bool))
    with pytest.raises(ValueError, match=r"equally many rows, received \[2, 3\]"):
        Dataset.from_tensor_slices((np.zeros(2), np.zeros(3)))


def test_shuffle():
    data = Dataset.from_tensor_slices(np.arange(50))
    a = data.shuffle(50, seed=3)
    first, second = rows(a), rows(a)
    assert sorted(first) == list(range(50)) and first != second and first != list(range(50))
    assert rows(data.shuffle(50, seed=3)) == first
    fixed = data.shuffle(10, seed=3, reshuffle_each_iteration=False)
    assert rows(fixed) == rows(fixed) and rows(fixed)[0] < 10


@pytest.mark.parametrize("call, text", [
    (lambda d: d.batch(0), "batch: batch_size must be an int >= 1, received batch_size=0"),
    (lambda d: d.batch(2.0), "received batch_size=2.0"), (lambda d: d.batch(True), "received batch_size=True"),
    (lambda d: d.shuffle(0), "shuffle: buffer_size must be an int >= 1, received buffer_size=0"),
    (lambda d: d.take(-2), "take: count must be an int >= -1, received count=-2"),
    (lambda d: d.skip(-2), "received count=-2"), (lambda d: d.repeat(-2), "received count=-2"),
    (lambda d: Dataset.from_tensor_slices(5), "equally many rows, received .'a number'"),
])  # fmt: skip
@pytest.mark.parametrize("make", [Dataset.from_tensor_slices, lambda x: Dataset.from_generator(lambda: iter(x))])
def test_wrong_counts(make, call, text):
    with pytest.raises(ValueError, match=text):
        call(make(np.arange(3)))


@pytest.mark.parametrize("make", [Dataset.from_tensor_slices, lambda x: Dataset.from_generator(lambda: iter(x))])
def test_ends(make):
    assert rows(make(np.zeros(0)).repeat()) == rows(make(np.zeros(0)).batch(3)) == []
    data = make(np.arange(5))
    assert rows(data.take(-1)) == rows(data.skip(0)) == rows(data.take(np.int64(9))) == [0, 1, 2, 3, 4]
    assert rows(data.skip(-1)) == rows(data.take(0)) == rows(data.repeat(0)) == rows(data.skip(9)) == []
    assert rows(data.skip(1).take(3).batch(2)) == [[1, 2], [3]]
    assert rows(data.skip(1).batch(3, drop_remainder=True)) == [[1, 2, 3]]
    assert sorted(rows(data.shuffle(2, seed=1).take(3)))[-1] < 5


def test_rows_in_batches_are_the_rows_one_by_one():
    nest = {"x": np.arange(5000).reshape(2500, 2), "y": (np.arange(2500.0, dtype="float32"),)}
    for buffer in (1, 7, 2500, 9000):
        data = Dataset.from_tensor_slices(nest).shuffle(buffer, seed=2, reshuffle_each_iteration=False)
        one_by_one = data.map(lambda e: e)
        for a, b in zip(data.skip(3).take(990).batch(64), one_by_one.skip(3).take(990).batch(64), strict=True):
            assert a["x"].dtype == b["x"].dtype and a["y"][0].dtype == b["y"][0].dtype
            assert np.array_equal(a["x"], b["x"]) and np.array_equal(a["y"][0], b["y"][0])
    batch = next(iter(data.batch(4)))
    batch["x"][:] = -1
    assert nest["x"].min() == 0  # batches are copies
    data = Dataset.from_tensor_slices((np.zeros((60_000, 28, 28), "uint8"), np.arange(60_000))).shuffle(60_000)
    begin = time.process_time()
    assert sorted(np.concatenate([y for _, y in data.batch(128)])) == list(range(60_000))
    assert time.process_time() - begin < 0.3


def test_the_order_comes_from_the_global_seed():
    orders = []
    for seed in (1, 1, 2):
        maas.utils.set_random_seed(seed)
        np.random.seed(5)
        orders.append(rows(Dataset.from_tensor_slices(np.arange(30)).shuffle(30)))
    assert orders[0] == orders[1] != orders[2]


def test_autotune_counts_the_cpus_of_the_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    names = set()
    data = Dataset.from_generator(lambda: range(64))

    def watch(i):
        time.sleep(0.005)
        names.add(threading.current_thread().name)

    list(data.map(watch, AUTOTUNE))
    assert len(names) == 3


def test_cache_reads_once():
    read = []
    data = Dataset.from_generator(lambda: iter([1, 2, 3])).map(lambda x: read.append(x) or x).cache()
    assert rows(data.take(1)) == [1]  # a pass that stops early is not kept
    assert rows(data) == rows(data) == [1, 2, 3] and read == [1, 1, 2, 3]


@pytest.mark.parametrize("make", [lambda d: d.prefetch(AUTOTUNE), lambda d: d.map(lambda x: x, 3),
                                  lambda d: d.map(lambda x: x, AUTOTUNE).prefetch(1)])  # fmt: skip
def test_ahead_keeps_order_errors_and_ends_its_threads(make):
    assert rows(make(Dataset.from_tensor_slices(np.arange(40)))) == list(range(40))

    def broken():
        yield 1
        raise RuntimeError("no more")

    data = iter(make(Dataset.from_generator(broken)))
    with pytest.raises(RuntimeError, match="no more"):
        list(data)
    endless = iter(make(Dataset.from_tensor_slices(np.arange(3)).repeat()))
    assert [int(next(endless)) for _ in range(4)] == [0, 1, 2, 0]
    endless.close()
    end = time.monotonic() + 10
    while any(t.name.startswith("maas-") for t in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("maas-")]


def test_making_overlaps_with_using():
    def slow():
        for i in range(8):
            time.sleep(0.03)
            yield i

    running, overlaps = threading.Event(), []

    def watched():
        for i in slow():
            overlaps.append(running.is_set())
            yield i

    for _ in Dataset.from_generator(watched).prefetch(2):
        running.set()
        time.sleep(0.05)
        running.clear()
    assert sum(overlaps) >= 3  # items were made while others were used


# ---- folders


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, n in (("cats", 5), ("dogs", 3), (".hidden", 1)):
        (folder / name).mkdir()
        for i in range(n):
            utils.save_img(folder / name / f"{i}.png", rng.uniform(0, 255, (6, 8, 3)), scale=False)
    (folder / "cats" / "notes.txt").write_text("x", encoding="utf-8")
    return folder


def test_images(images):
    data = utils.image_dataset_from_directory(images, image_size=(6, 8), batch_size=3, shuffle=False, verbose=False)
    assert utils.image_dataset_from_directory is preprocessing.image_dataset_from_directory
    assert data.class_names == ["cats", "dogs"] and len(data) == 3
    x, y = (np.concatenate(part) for part in zip(*data))
    assert x.shape == (8, 6, 8, 3) and x.dtype == np.float32 and y.dtype == np.int32
    assert y.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    for image, path in zip(x, data.file_paths):
        assert np.array_equal(image, utils.img_to_array(utils.load_img(path)))


@pytest.mark.parametrize("kwargs, shape, labels", [
    ({"label_mode": "categorical"}, (6, 8, 3), (3, 2)), ({"label_mode": "binary"}, (6, 8, 3), (3, 1)),
    ({"color_mode": "grayscale"}, (6, 8, 1), (3,)), ({"data_format": "channels_first"}, (3, 6, 8), (3,)),
    ({"image_size": 4, "crop_to_aspect_ratio": True}, (4, 4, 3), (3,)),
    ({"class_names": ["dogs"]}, (6, 8, 3), (3,)), ({"color_mode": "rgba"}, (6, 8, 4), (3,)),
])  # fmt: skip
def test_options_for_images(images, kwargs, shape, labels):
    kwargs = {"image_size": (6, 8), "batch_size": 3, "verbose": False, **kwargs}
    x, y = next(iter(utils.image_dataset_from_directory(images, **kwargs)))
    assert x.shape == (3, *shape) and y.shape == labels
    if kwargs["image_size"] == 4:
        plain = utils.load_img(utils.image_dataset_from_directory(images, **{**kwargs, "shuffle": False}).file_paths[0])
        ours = next(iter(utils.image_dataset_from_directory(images, **{**kwargs, "shuffle": False})))[0][0]
        expected = preprocessing.image.smart_resize(utils.img_to_array(plain), (4, 4))
        np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_the_two_parts_are_disjoint_and_those_of_keras(images):
    kwargs = {"image_size": (6, 8), "validation_split": 0.4, "seed": 5, "verbose": False}
    train, held_out = utils.image_dataset_from_directory(images, subset="both", **kwargs)
    assert len(train.file_paths) == 5 and len(held_out.file_paths) == 3
    assert not set(train.file_paths) & set(held_out.file_paths)
    assert utils.image_dataset_from_directory(images, subset="training", **kwargs).file_paths == train.file_paths
    # Keras shuffles the sorted paths with RandomState(seed) and takes the last ones.
    paths = [str(images / "cats" / f"{i}.png") for i in range(5)] + [
        str(images / "dogs" / f"{i}.png") for i in range(3)
    ]
    np.random.RandomState(5).shuffle(paths)
    assert train.file_paths + held_out.file_paths == paths
    for data in (train, held_out):
        for _ in range(2):
            labels = np.concatenate([y for _, y in data])
            assert sorted(labels) == sorted("dogs" in path for path in data.file_paths)


def test_no_labels_and_given_labels(images):
    x = next(iter(utils.image_dataset_from_directory(images, labels=None, image_size=6, verbose=False)))
    assert x.shape == (9, 6, 6, 3)  # all of the folder, hidden ones too
    data = utils.image_dataset_from_directory(
        images / "dogs", labels=[4, 2, 4], image_size=6, shuffle=False, verbose=False, batch_size=None
    )
    assert [int(y) for _, y in data] == [4, 2, 4] and data.class_names == ["2", "4"]
    data = utils.image_dataset_from_directory(
        images / "dogs", np.array([1, 0, 1]), "categorical", image_size=6, shuffle=False, verbose=False
    )
    assert next(iter(data))[1].tolist() == [[0, 1], [1, 0], [0, 1]]


def test_fit_from_a_folder(images):
    data = utils.image_dataset_from_directory(images, image_size=(6, 8), batch_size=3, seed=1, verbose=False)
    model = maas.Sequential([maas.layers.Rescaling(1 / 255), maas.layers.Flatten(), maas.layers.Dense(2)])
    model.compile("adam", maas.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = model.fit(data, validation_data=data, epochs=2, verbose=0)
    assert len(history.history["val_accuracy"]) == 2
    assert model.predict(data, verbose=0).shape == (8, 2)


def test_texts(tmp_path):
    for name, texts in (("neg", ["bad é", "awful"]), ("pos", ["good"])):
        (tmp_path / name).mkdir()
        for i, text in enumerate(texts):
            (tmp_path / name / f"{i}.txt").write_text(text, encoding="utf-8")
    data = utils.text_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    x, y = next(iter(data))
    assert x.tolist() == ["bad é", "awful", "good"] and y.tolist() == [0, 0, 1]
    vectorize = maas.layers.TextVectorization()
    vectorize.adapt(data.map(lambda text, label: text))
    assert set(vectorize.get_vocabulary()) == {"", "[UNK]", "bad", "é", "awful", "good"}
    assert [a.shape for a, _ in data.map(lambda text, label: (vectorize(text), label))] == [(3, 2)]
    short = utils.text_dataset_from_directory(tmp_path, labels=None, max_length=2, shuffle=False, verbose=False)
    assert next(iter(short)).tolist() == ["ba", "aw", "go"]


def test_sounds(tmp_path):
    (tmp_path / "a").mkdir()
    for i, n in enumerate((3, 5)):
        with wave.open(str(tmp_path / "a" / f"{i}.wav"), "wb") as f:
            f.setnchannels(1)
            f.setsampwidth(2)
            f.setframerate(8000)
            f.writeframes(np.arange(-n, 0, dtype="<i2").tobytes())
    x, y = next(iter(utils.audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False)))
    assert x.shape == (2, 5, 1) and y.tolist() == [0, 0]
    assert (x[0, :, 0] * 32768).tolist() == [-3, -2, -1, 0, 0]
    x = next(iter(utils.audio_dataset_from_directory(tmp_path, labels=None, output_sequence_length=4, verbose=False)))
    assert x.shape == (2, 4, 1)
    (tmp_path / "a" / "z.wav").write_bytes(b"RIFFxxxx")
    with pytest.raises(ValueError, match="16-bit PCM"):
        list(utils.audio_dataset_from_directory(tmp_path, verbose=False))


# ---- time series


@pytest.mark.parametrize("kwargs", [
    {}, {"sequence_stride": 3}, {"sampling_rate": 2}, {"start_index": 4, "end_index": 15}, {"batch_size": None},
    {"shuffle": True, "seed": 1},
])  # fmt: skip
@pytest.mark.parametrize("with_targets", [True, False])
def test_timeseries(with_targets, kwargs):
    series, targets = np.arange(20) * 10, np.arange(20) + 100
    data = utils.timeseries_dataset_from_array(
        series, targets[:18] if with_targets else None, sequence_length=4, **{"batch_size": 5, **kwargs}
    )
    start, end = kwargs.get("start_index", 0), kwargs.get("end_index", 20)
    rate, stride = kwargs.get("sampling_rate", 1), kwargs.get("sequence_stride", 1)
    count = end - start - 3 * rate
    begins = range(0, min(count, 18) if with_targets else count, stride)
    expected = [(series[start:end][[b + rate * k for k in range(4)]].tolist(), int(targets[start:end][b]))
                for b in begins]  # fmt: skip
    found = []
    for element in data:
        x, y = element if with_targets else (element, None)
        if kwargs.get("batch_size", 5) is None:
            x, y = x[None], None if y is None else y[None]
        y = y if with_targets else [None] * len(x)
        found += [(a.tolist(), None if b is None else int(b)) for a, b in zip(x, y)]
    assert len(data) == (len(begins) if kwargs.get("batch_size", 5) is None else -(-len(begins) // 5))
    expected = expected if with_targets else [(x, None) for x, _ in expected]
    assert (sorted(found) if "shuffle" in kwargs else found) == expected
    assert "shuffle" not in kwargs or found != expected


def test_split_dataset():
    x, y = np.arange(10), np.arange(10) * 2
    left, right = utils.split_dataset([x, y], left_size=0.7)
    assert [int(a) for a, _ in left] == list(range(7)) and [int(b) for _, b in right] == [14, 16, 18]
    left, right = utils.split_dataset(x, right_size=2, shuffle=True, seed=1)
    assert sorted(rows(left) + rows(right)) == list(range(10)) and rows(left) != list(range(8))
    left, right = utils.split_dataset(Dataset.from_tensor_slices(x), left_size=3, right_size=4)
    assert (rows(left), rows(right)) == ([0, 1, 2], [6, 7, 8, 9])


@pytest.mark.parametrize("call, error, text", [
    (lambda d: utils.image_dataset_from_directory(d / "none"), FileNotFoundError, "the folder does not exist"),
    (lambda d: utils.image_dataset_from_directory(d / ".hidden", labels="x"), ValueError, "labels must be"),
    (lambda d: utils.image_dataset_from_directory(d, label_mode="x"), ValueError, "label_mode must be"),
    (lambda d: utils.image_dataset_from_directory(d, color_mode="x"), ValueError, "color_mode must be"),
    (lambda d: utils.image_dataset_from_directory(d, image_size=(1, 2, 3)), ValueError, "image_size must be"),
    (lambda d: utils.image_dataset_from_directory(d, interpolation="x"), ValueError, "interpolation must be"),
    (lambda d: utils.image_dataset_from_directory(d, class_names=["x"]), ValueError, "among the sub-folders"),
    (lambda d: utils.image_dataset_from_directory(d, labels=[1]), ValueError, "as many as the"),
    (lambda d: utils.image_dataset_from_directory(d, labels=["a"] * 9), ValueError, "must be ints, received 'a'"),
    (lambda d: utils.image_dataset_from_directory(d, labels=[1.5] * 9), ValueError, "must be ints, received 1.5"),
    (lambda d: utils.image_dataset_from_directory(d / "dogs", labels=[4, 2, 4], label_mode="categorical"), ValueError,
     "count from 0 to 1, received labels from 2 to 4"),
    (lambda d: utils.image_dataset_from_directory(d / "dogs", labels=[-1, 0, 0], label_mode="binary"), ValueError,
     "count from 0 to 1, received labels from -1 to 0"),
    (lambda d: utils.image_dataset_from_directory(d, validation_split=0.5), ValueError, "go together"),
    (lambda d: utils.image_dataset_from_directory(d, validation_split=2, subset="both"), ValueError, r"in \(0, 1\)"),
    (lambda d: utils.image_dataset_from_directory(d, validation_split=0.5, subset="both"), ValueError, "needs a seed"),
    (lambda d: utils.image_dataset_from_directory(d, class_names=["cats"], label_mode="binary"), ValueError, "2 cl"),
    (lambda d: utils.text_dataset_from_directory(d / "dogs", labels=None), ValueError, "no files with"),
    (lambda d: utils.audio_dataset_from_directory(d, sampling_rate=8000), ValueError, "no resampling"),
    (lambda d: utils.timeseries_dataset_from_array(np.zeros(5), None, 9), ValueError, "no window"),
    (lambda d: utils.timeseries_dataset_from_array(np.zeros(5), None, 2, start_index=9), ValueError, "start_index"),
    (lambda d: utils.timeseries_dataset_from_array(np.zeros(5), None, 2, end_index=5), ValueError, "end_index"),
    (lambda d: utils.timeseries_dataset_from_array(np.zeros(5), None, 2, sampling_rate=0), ValueError, "sampling_r"),
    (lambda d: utils.split_dataset(np.zeros(5)), ValueError, "give left_size or right_size"),
    (lambda d: utils.split_dataset(np.zeros(5), left_size="x"), TypeError, "received str"),
    (lambda d: utils.split_dataset(np.zeros(5), left_size=5), ValueError, r"int in \(0, 5\)"),
    (lambda d: utils.split_dataset(np.zeros(5), left_size=0.01), ValueError, "non-empty"),
    (lambda d: utils.split_dataset([np.zeros(5), np.zeros(4)], left_size=2), ValueError, "equally long"),
    (lambda d: utils.split_dataset(5, left_size=2), TypeError, "received int"),
])  # fmt: skip
def test_errors(images, call, error, text):
    with pytest.raises(error, match=text):
        call(images)
