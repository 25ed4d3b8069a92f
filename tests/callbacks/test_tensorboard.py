"""Event files, read by an own reader of records and protobuf's wire format."""

import json
import struct

import numpy as np
import pytest

import maas
from maas import layers
from maas.callbacks import TensorBoard
from maas.callbacks.event_file import crc32c
from tests.wire import parse

X, Y = (np.random.default_rng(i).normal(size=(20, n)).astype("float32") for i, n in ((0, 4), (1, 2)))


def unmasked(crc):
    crc = (crc - 0xA282EAD8) & 0xFFFFFFFF
    return (crc << 15 | crc >> 17) & 0xFFFFFFFF


def read(folder):
    """[(step, tag, summary value fields)] of the one event file of a folder."""
    (path,) = folder.iterdir()
    data, at, found, version = path.read_bytes(), 0, [], None
    while at < len(data):
        (length, crc) = struct.unpack_from("<QI", data, at)
        assert unmasked(crc) == crc32c(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        assert unmasked(struct.unpack_from("<I", data, at + 12 + length)[0]) == crc32c(body)
        at += 16 + length
        event = parse(body)
        version = version or event[3][0]
        for summary in event.get(5, []):
            for value in parse(summary)[1]:
                value = parse(value)
                found.append((event.get(2, [0])[0], value[1][0].decode(), value))
    assert version == b"brain.Event:2"
    return found


def numbers(events):
    return {(step, tag): struct.unpack("<f", v[2][0])[0] for step, tag, v in events if 2 in v}


def fit(callback, epochs=2):
    maas.utils.set_random_seed(0)
    model = maas.Sequential([layers.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2)])
    model.compile(maas.optimizers.SGD(0.1), "mse", metrics=["mae"])
    history = model.fit(
        X, Y, batch_size=5, epochs=epochs, verbose=0, validation_data=(X, Y), callbacks=[callback]
    )  # fmt: skip
    return model, history.history


def test_the_sum_of_its_definition():
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(b"") == 0


def test_epochs_and_the_model(tmp_path):
    model, history = fit(TensorBoard(tmp_path))
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    found = numbers(train)
    assert set(found) == {(e, f"epoch_{n}") for e in (0, 1) for n in ("loss", "mae", "learning_rate")}
    for e in (0, 1):
        assert found[e, "epoch_loss"] == pytest.approx(history["loss"][e])
        assert found[e, "epoch_learning_rate"] == pytest.approx(0.1)
        assert numbers(validation)[e, "epoch_mae"] == pytest.approx(history["val_mae"][e])
    assert numbers(validation)[8, "evaluation_loss_vs_iterations"] == pytest.approx(history["val_loss"][1])
    ((step, tag, value),) = [e for e in train if 2 not in e[2]]
    assert (step, tag) == (0, "keras") and parse(parse(value[9][0])[1][0])[1] == [b"graph_keras_model"]
    assert json.loads(parse(value[8][0])[8][0]) == json.loads(model.to_json())


@pytest.mark.parametrize("update_freq, steps", [("batch", range(1, 9)), (3, (3, 6))])
def test_batches(update_freq, steps, tmp_path):
    fit(TensorBoard(tmp_path, update_freq=update_freq, write_graph=False, write_steps_per_second=True))
    found = numbers(read(tmp_path / "train"))
    assert {step for step, tag in found if tag == "batch_loss"} == set(steps)
    assert all(found[step, "batch_steps_per_second"] > 0 for step in steps) and found[0, "epoch_steps_per_second"] > 0


def test_weights(tmp_path):
    model, _ = fit(TensorBoard(tmp_path, histogram_freq=1, write_images=True, write_graph=False))
    last = {tag: v for step, tag, v in read(tmp_path / "train") if step == 1 and 2 not in v}
    path = model.layers[0].kernel.path
    kernel = model.layers[0].kernel.numpy().astype("float64")
    message = parse(last[f"{path}/histogram"][5][0])
    low, high, count, total, squares = (struct.unpack("<d", message[i][0])[0] for i in range(1, 6))
    assert (low, high, count) == (kernel.min(), kernel.max(), 12)
    np.testing.assert_allclose((total, squares), (kernel.sum(), (kernel**2).sum()))
    limits, counts = (np.frombuffer(message[i][0], "<f8") for i in (6, 7))
    assert counts.sum() == 12 and len(limits) == len(counts) and limits[-1] == pytest.approx(high)
    picture = parse(last[f"{path}/image/0"][4][0])
    assert (picture[1], picture[2], picture[3]) == ([3], [4], [1]) and picture[4][0].startswith(b"\x89PNG")


def test_embeddings_for_the_projector(tmp_path):
    x = layers.Input((3,), dtype="int32")
    both = layers.Embedding(5, 2, name="words")(x) + layers.Embedding(5, 2, name="more")(x)
    model = maas.Model(x, layers.Flatten()(both))
    model.compile("sgd", "mse")
    callback = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "labels.tsv"})
    model.fit(np.zeros((4, 3), "int32"), np.zeros((4, 6)), verbose=0, callbacks=[callback])
    words = 'embeddings {\n  tensor_name: "words"\n  tensor_path: "words.tsv"\n  metadata_path: "labels.tsv"\n}\n'
    assert (tmp_path / "projector_config.pbtxt").read_text() == words + words.replace("words", "more").replace(
        '  metadata_path: "labels.tsv"\n', ""
    )
    for name in ("words", "more"):
        table = np.loadtxt(tmp_path / f"{name}.tsv", "float32", delimiter="\t")
        np.testing.assert_array_equal(table, model.get_layer(name).embeddings.numpy())
    assert (tmp_path / "train" / "keras_embedding.ckpt-0.weights.h5").exists()
    with pytest.raises(ValueError, match="must name Embedding layers"):
        callback = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"other": "x"})
        model.fit(np.zeros((4, 3), "int32"), np.zeros((4, 6)), verbose=0, callbacks=[callback])


def test_a_model_without_a_config_is_said(tmp_path):
    class Twice(layers.Layer):
        def __init__(self, fixed):
            super().__init__()

        def call(self, x):
            return 2 * x

    model = maas.Sequential([layers.Input((4,)), Twice(object()), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="TensorBoard: the layers of the model are not written, received "):
        model.fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path)])


@pytest.mark.parametrize("kwargs, text", [({"update_freq": 0}, "update_freq must be"),
                                          ({"profile_batch": 2}, "profile_batch must be 0")])  # fmt: skip
def test_errors(kwargs, text):
    with pytest.raises(ValueError, match=text):
        TensorBoard(**kwargs)
