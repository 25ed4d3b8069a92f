"""Vocabularies of lookups and of TextVectorization in files, and damaged ones."""

import copy
import json
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

import maas
from maas import layers
from maas.saving.archive import archive_bytes, read_archive
from tests.layers import pair


def text_model():
    pair.fresh_names()
    layer = layers.TextVectorization(output_mode="tf_idf", name="text")
    layer.adapt(["é b\tb", "b c"])
    inputs = maas.Input((1,), dtype="string")
    return maas.Model(inputs, layers.Dense(2)(layer(inputs))), layer


def test_a_learned_vocabulary_is_stored_in_the_archive(tmp_path):
    model, layer = text_model()
    model.save(tmp_path / "m.keras")
    names = zipfile.ZipFile(tmp_path / "m.keras").namelist()
    assert names[3:] == [
        "assets/layers/text_vectorization/vocabulary.txt",
        "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt",
    ]
    again = maas.models.load_model(tmp_path / "m.keras").get_layer("text")
    assert again.get_vocabulary() == layer.get_vocabulary() == ["[UNK]", "b", "é", "c"]
    np.testing.assert_array_equal(again(["b é x"]).numpy(), layer(["b é x"]).numpy())


def test_tokens_with_line_breaks_and_an_empty_last_one(tmp_path):
    layer = layers.StringLookup()
    layer.adapt([["a\nb", "a\nb", "\r", "\r", "x", ""]])
    assert pickle.loads(pickle.dumps(layer)).get_vocabulary() == ["[UNK]", "a\nb", "\r", "x", ""]
    layer.save_assets(tmp_path)
    other = layers.StringLookup()
    other.load_assets(tmp_path)
    assert other.get_vocabulary() == layer.get_vocabulary()


def test_damaged_and_hostile_vocabularies(tmp_path):
    model, _ = text_model()
    model.save(tmp_path / "m.keras")
    members = {n: bytes(c) for n, c in read_archive((tmp_path / "m.keras").read_bytes()).items()}
    name = "assets/layers/text_vectorization/vocabulary.txt"

    def load(changed):
        metadata = json.loads(changed["metadata.json"])
        metadata.pop("sha256", None)
        (tmp_path / "x.keras").write_bytes(archive_bytes({**changed, "metadata.json": json.dumps(metadata).encode()}))
        return maas.models.load_model(tmp_path / "x.keras")

    with pytest.raises(ValueError, match="does not match its sha256"):
        (tmp_path / "x.keras").write_bytes(archive_bytes({**members, name: b"[UNK]\nz"}))
        maas.models.load_model(tmp_path / "x.keras")
    for content, text in ((b"\xff\xfe", "no UTF-8 text"), (b"[UNK]\na\na", "is damaged"), (b"", "is damaged")):
        with pytest.raises(ValueError, match=text):
            load({**members, name: content})
    with pytest.raises(ValueError, match=r"assets that the model has no place for, received \['assets/other/x.txt'\]"):
        load({**members, "assets/other/x.txt": b"x"})
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        for member, content in {**members, "assets/../../x/vocabulary.txt": b"x"}.items():
            archive.writestr(zipfile.ZipInfo(member), content)
    with pytest.raises(ValueError, match="not a plain relative name"):
        maas.models.load_model(tmp_path / "x.keras")


def test_a_config_may_not_name_a_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    for cls in (layers.StringLookup, layers.TextVectorization):
        layer = cls(vocabulary=str(path))
        assert layer.get_vocabulary(include_special_tokens=False) == ["a", "b"]
        config = layers.serialize(layer)
        assert str(path) not in json.dumps(config)
        config["config"]["vocabulary"] = str(path)
        with pytest.raises(Exception, match="a config may not name a vocabulary file"):
            layers.deserialize(config)
    path.write_text("3\n4\n", encoding="utf-8")
    assert layers.IntegerLookup(vocabulary=str(path)).get_vocabulary() == [-1, 3, 4]
    layer.save_assets(tmp_path)
    other = layers.TextVectorization()
    other.load_assets(tmp_path)
    assert other.get_vocabulary() == ["", "[UNK]", "a", "b"]


@pytest.mark.parametrize("kind", [str, pathlib.Path])
@pytest.mark.parametrize("make, x, expected", [
    (layers.StringLookup, np.array(["b", "x"]), [2, 0]), (layers.TextVectorization, np.array(["b x"]), [[3, 1]]),
    (layers.IntegerLookup, np.array([20, 5]), [2, 0]),
])  # fmt: skip
def test_a_vocabulary_from_a_path_is_stored_with_the_layer(make, x, expected, kind, tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("10\n20\n" if make is layers.IntegerLookup else "a\nb\n")
    layer = make(vocabulary=kind(path))
    assert layer.get_config()["vocabulary"] is None
    json.dumps(layer.get_config())
    path.unlink()
    for one in (layer, pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert one(x).numpy().tolist() == expected
    with pytest.raises(ValueError, match="vocabulary"):
        make.from_config({**layer.get_config(), "vocabulary": kind(path)})
