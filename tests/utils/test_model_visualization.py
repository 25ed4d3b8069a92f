"""Pictures of models: which boxes and arrows, and that the files are what they say."""

import re
import xml.etree.ElementTree

import numpy as np
import pytest

import maas
from maas import layers, utils


def functional():
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu", name="shared")
    both = layers.Add(name="both")([shared(a), shared(b)])
    inner = maas.Sequential(
        [layers.Input((3,)), layers.Dense(2, name="inside"), layers.ReLU(name="last")], name="inner"
    )
    out = inner(both)
    other = layers.Dense(2, name="other", trainable=False)(both)
    return maas.Model([a, b], layers.Concatenate(name="end")([out, other]), name="whole")


def arrows(dot):
    names = {b.key: b.title.split(" ")[0] for b in dot.boxes}
    return sorted((names[x], names[y]) for x, y in dot.edges)


def test_boxes_and_arrows():
    dot = utils.model_to_dot(functional())
    assert sorted(b.title for b in dot.boxes) == [
        "a (InputLayer)", "b (InputLayer)", "both (Add)", "end (Concatenate)", "inner (Sequential)", "other (Dense)",
        "shared (Dense)",
    ]  # fmt: skip
    assert arrows(dot) == [
        ("a", "shared"), ("b", "shared"), ("both", "inner"), ("both", "other"), ("inner", "end"), ("other", "end"),
        ("shared", "both"),
    ]  # fmt: skip


def test_nested_models():
    dot = utils.model_to_dot(functional(), expand_nested=True)
    assert {b.title.split(" ")[0]: b.groups for b in dot.boxes if b.groups}["inside"] == ("inner",)
    assert ("inside", "last") in arrows(dot) and ("last", "end") in arrows(dot)
    assert "subgraph cluster" in dot.to_string()


def test_what_boxes_say():
    options = {"show_shapes": True, "show_dtype": True, "show_layer_activations": True, "show_trainable": True}
    dot = utils.model_to_dot(functional(), **options)
    rows = {b.title.split(" ")[0]: b.rows for b in dot.boxes}
    assert rows["shared"] == [
        ["Activation: relu"],
        ["Input shape: (None, 4)", "Output shape: (None, 3)", "Output dtype: float32", "Trainable"],
    ]
    assert rows["other"][-1][-1] == "Non-trainable"
    assert rows["a"] == [["Output shape: (None, 4)", "Output dtype: float32"]]
    assert rows["both"][0][0] == "Input shape: [(None, 4), (None, 4)]".replace("4", "3")
    assert [b.title for b in utils.model_to_dot(functional(), show_layer_names=False).boxes][0] == "InputLayer"


def test_a_sequential_and_a_subclassed_model():
    model = maas.Sequential([layers.Input((3,)), layers.Dense(2, name="x"), layers.ReLU(name="y")])
    assert arrows(utils.model_to_dot(model)) == [("x", "y")]

    class Own(maas.Model):
        def __init__(self):
            super().__init__(name="own")
            self.d = layers.Dense(1)

        def call(self, x):
            return self.d(x)

    own = Own()
    with pytest.raises(ValueError, match="own: build the model first"):
        utils.model_to_dot(own)
    own(np.zeros((1, 2), "float32"))
    assert [b.title for b in utils.model_to_dot(own).boxes] == ["own (Own)"]


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
@pytest.mark.parametrize("expand_nested", [False, True])
def test_no_two_boxes_overlap_and_arrows_point_the_right_way(rankdir, expand_nested):
    dot = utils.model_to_dot(functional(), show_shapes=True, rankdir=rankdir, expand_nested=expand_nested)
    for i, a in enumerate(dot.boxes):
        assert 0 <= a.x and a.x + a.width <= dot.width and 0 <= a.y and a.y + a.height <= dot.height
        for b in dot.boxes[:i]:
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart, (a.title, b.title)
    place = {b.key: {"TB": b.y, "BT": -b.y, "LR": b.x, "RL": -b.x}[rankdir] for b in dot.boxes}
    assert all(place[x] < place[y] for x, y in dot.edges)


def test_files(tmp_path):
    model = functional()
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "jpg": b"\xff\xd8", "svg": b"<svg", "dot": b"digraph G"}
    for suffix, start in starts.items():
        utils.plot_model(model, tmp_path / f"m.{suffix}", show_shapes=True, expand_nested=True, dpi=60)
        assert (tmp_path / f"m.{suffix}").read_bytes().startswith(start)
    root = xml.etree.ElementTree.parse(tmp_path / "m.svg").getroot()
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Dense" in texts and "Input shape: (None, 4)" in texts and "inner" in texts
    utils.plot_model(model, str(tmp_path / "plain"), dpi=60)
    assert (tmp_path / "plain.png").exists()


def test_names_are_escaped():
    model = maas.Sequential([layers.Input((3,)), layers.Dense(2, name='<b>&"|{x}\\')])
    dot = utils.model_to_dot(model)
    assert xml.etree.ElementTree.fromstring(dot.to_svg()) is not None and "<b>" not in dot.to_svg()
    label = re.search(r'label="(.*)"\];', dot.to_string())[1]
    assert not re.search(r'(?<!\\)[<>"]', label)


@pytest.mark.parametrize("kwargs, text", [
    ({"rankdir": "XX"}, "rankdir must be"), ({"layer_range": ["a", "b"]}, "unknown arguments"),
    ({"to_file": "m.tiff"}, "received format='tiff'"),
])  # fmt: skip
def test_errors(kwargs, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=text):
        utils.plot_model(functional(), **kwargs)
