"""`KerasFileEditor`: lists, compares, changes and saves what Keras's own does."""

import contextlib
import io

import keras
import numpy as np
import pytest

import maas

CLAIMS = {"saving.KerasFileEditor"}


def model(lib):
    made = lib.Sequential([lib.Input((3,)), lib.layers.Dense(4, name="a"), lib.layers.Dense(2, name="b")])
    made.compile("sgd", "mse")
    return made


def plain(weights):
    return {k: plain(v) if isinstance(v, dict) else np.asarray(v).tolist() for k, v in weights.items() if v is not None}


def quiet(f, *args):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        return f(*args), text.getvalue()


@pytest.fixture(params=["m.keras", "m.weights.h5"])
def path(request, tmp_path):
    path = str(tmp_path / request.param)
    m = model(maas)
    m.save(path) if path.endswith(".keras") else m.save_weights(path)
    return path


def edited(editor, path):
    editor.rename_object("layers/dense_1", "head")
    editor.delete_weight("layers/head", "1")
    editor.add_weights("layers/head", {"1": np.full(2, 7.0, "float32")})
    editor.add_object("layers/extra", {"0": np.ones((2, 2), "float32")})
    editor.delete_object("layers/extra")
    editor.rename_object("layers/head", "dense_1")
    editor.save(path)


def test_against_keras(path, tmp_path):
    ours, theirs = maas.saving.KerasFileEditor(path), quiet(keras.saving.KerasFileEditor, path)[0]
    wanted = {k: v for k, v in plain(theirs.weights_dict).items() if v}
    assert plain(ours.weights_dict) == wanted
    assert ours.config == theirs.config and ours.metadata == theirs.metadata
    text = quiet(ours.summary)[1]
    assert "layers/dense_1" in text and "shape=(4, 2)" in text
    reference = model(maas)
    assert quiet(ours.compare, reference)[0]["status"] == "success"
    edited(ours, str(tmp_path / "ours.weights.h5"))
    quiet(edited, theirs, str(tmp_path / "theirs.weights.h5"))
    again = maas.saving.KerasFileEditor(tmp_path / "ours.weights.h5")
    other = maas.saving.KerasFileEditor(tmp_path / "theirs.weights.h5")
    assert plain(again.weights_dict) == plain(other.weights_dict)
    loaded = model(keras)
    loaded.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_array_equal(loaded.get_weights()[3], [7, 7])


def test_differences_are_counted(path):
    editor = maas.saving.KerasFileEditor(path)
    total = quiet(editor.compare, model(maas))[0]["match_count"]
    editor.rename_object("dense_1", "c")
    editor.add_weights("dense", {"0": np.zeros((9, 9))})
    found, text = quiet(editor.compare, model(maas))
    assert found == {"status": "error", "error_count": 5, "match_count": total - 3}
    assert "layers/dense/vars/0: the model has shape (3, 4), the file (9, 9)" in text


def test_mistakes(path, tmp_path):
    editor = maas.saving.KerasFileEditor(path)
    for call, words in (
        (lambda: editor.delete_object("dense_9"), "there is no such object; the file has .*received 'dense_9'"),
        (lambda: editor.delete_object("layers/x/y"), "there is no such object"),
        (lambda: editor.delete_object("0"), "a path is needed"),
        (lambda: editor.rename_object("dense", "layers/b"), "without '/'"),
        (lambda: editor.rename_object("dense", "dense_1"), "exists beside"),
        (lambda: editor.add_object("nowhere/x", {}), "'nowhere' is not in the file"),
        (lambda: editor.add_object("x", np.ones(2)), "must be a dict"),
        (lambda: editor.delete_weight("dense", "7"), "has the weights"),
        (lambda: editor.save(tmp_path / "x.keras"), "must end in .weights.h5"),
        (lambda: maas.saving.KerasFileEditor("x.h5"), "must end in .keras or .weights.h5, received 'x.h5'"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "bad.weights.h5").write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(ValueError, match="pickle"):
        maas.saving.KerasFileEditor(tmp_path / "bad.weights.h5")


def test_what_is_known_about_an_object_goes_with_it(path):
    editor = maas.saving.KerasFileEditor(path)
    before = dict(editor.object_metadata)
    (first, second) = [p for p in before if p.startswith("layers/")][:2]
    editor.rename_object(first.split("/")[-1], "head")
    assert first not in editor.object_metadata and editor.object_metadata["layers/head"] == before[first]
    editor.delete_object(second)
    assert second not in editor.object_metadata
    editor.rename_object("layers", "parts")
    assert editor.object_metadata["parts/head"] == before[first]
    assert not [p for p in editor.object_metadata if p.startswith("layers/")]
