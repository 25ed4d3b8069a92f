"""Layers for categories and numbers, and lookups, against plain Python."""

import collections
import copy
import json
import math
import pickle
import resource

import keras
import numpy as np
import pytest

import maas
from maas import layers, ops
from maas.layers.preprocessing.encoding import encode
from maas.layers.preprocessing.hashing import hash_bucket
from tests.layers import pair

RNG = np.random.default_rng(0)


def one_hot(index, depth):
    return [1.0 if i == index else 0.0 for i in range(depth)]


# ---- CategoryEncoding


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(3, 2), (4, 1), (5,), ()])
def test_category_encoding(mode, shape):
    ours, theirs = (lib.CategoryEncoding(6, output_mode=mode, name="c") for lib in (layers, keras.layers))
    x = RNG.integers(0, 6, shape)
    pair.assert_outputs_close(ours(x), theirs(x), 0)
    assert pair.plain(ours.get_config()) == pair.plain(theirs.get_config())
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
    if shape != () or mode != "one_hot":  # where Keras's shape is not that of its output
        assert tuple(ours(x).shape) == tuple(ours.compute_output_shape(shape))
    if mode == "count" and shape == (3, 2):
        weights = RNG.uniform(size=shape).astype("float32")
        pair.assert_outputs_close(ours(x, count_weights=weights), theirs(x, count_weights=weights))


# ---- Discretization


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize(
    "kwargs", [{"bin_boundaries": [-0.5, 0.0, 0.5]}, {"num_bins": 4}, {"num_bins": 3, "epsilon": 0.1}], ids=str
)
def test_discretization(mode, kwargs):
    ours, theirs = (lib.Discretization(output_mode=mode, name="d", **kwargs) for lib in (layers, keras.layers))
    if "num_bins" in kwargs:
        # Keras looks for TensorFlow's data sets in adapt(); its state can be set without.
        for batch in np.split(RNG.normal(size=(600, 2)), 3):
            ours.update_state(batch)
            theirs.update_state(batch)
        ours.finalize_state()
        theirs.finalize_state()
        np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)
        theirs.bin_boundaries = list(ours.bin_boundaries)
    for x in (RNG.normal(size=(3, 4)).astype("float32"), RNG.normal(size=(3, 1)).astype("float32")):
        pair.assert_outputs_close(ours(x), theirs(x), 0)
        assert tuple(ours(x).shape) == tuple(ours.compute_output_shape(x.shape))
    assert pair.plain(ours.get_config()) == pair.plain(theirs.get_config())
    again = layers.deserialize(pair.config_of(theirs, keras))
    pair.assert_outputs_close(again(x), ours(x), 0)


def test_quantiles_are_about_right():
    layer = layers.Discretization(num_bins=4)
    layer.adapt(RNG.permutation(10_000).astype("float32"))
    np.testing.assert_allclose(layer.bin_boundaries, [2500, 5000, 7500], rtol=0.03)


# ---- lookups


def expected_indices(x, tokens, mask, oov, mode, bucket):
    start = (mask is not None and mode == "int") + oov
    out = []
    for v in x:
        if v == mask:
            out.append(0 if mode == "int" else None)
        elif v in tokens:
            out.append(tokens.index(v) + start)
        else:
            out.append(start - oov + bucket(v))
    return out


def expected_output(rows, mode, depth, idf):
    if mode == "int":
        return rows
    if mode == "one_hot":
        return [[one_hot(i, depth) for i in row] for row in rows]
    counts = [[float(row.count(i)) for i in range(depth)] for row in rows]
    if mode == "multi_hot":
        return [[min(c, 1.0) for c in row] for row in counts]
    return counts if mode == "count" else [[c * w for c, w in zip(row, idf)] for row in counts]


def learned(data, mask, oov_token, oov, max_tokens, mode):
    """(tokens, idf) by the rules: by count, then the larger token, as bytes."""
    counts = collections.Counter(v for row in data for v in row)
    counts.pop(mask, None)
    counts.pop(oov_token, None)
    key = (lambda t: t.encode()) if isinstance(data[0][0], str) else (lambda t: t)
    order = sorted(counts, key=lambda t: (counts[t], key(t)), reverse=True)
    start = (mask is not None and mode == "int") + oov
    order = order[: max_tokens - start] if max_tokens else order
    idf = [math.log(1 + len(data) / (1 + sum(t in row for row in data))) for t in order]
    return order, [sum(idf) / len(idf)] * start + idf


STRINGS = [["a", "b"], ["b", "c"], ["q", "É"], ["", "[UNK]"], ["b", "a"]]
STRING_INPUTS = [["a", "zz"], ["q", "a"], ["", "b"]]
INTEGERS = [[5, 6], [5, -3], [0, 7], [-1, 100], [5, 2**40]]
INTEGER_INPUTS = [[5, 0], [9, -3], [-8, 2**40]]


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count", "tf_idf"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kwargs", [{}, {"num_oov_indices": 3}, {"max_tokens": 4},
                                    {"max_tokens": 12, "pad_to_max_tokens": True}], ids=str)  # fmt: skip
@pytest.mark.parametrize("kind", ["string", "integer"])
def test_lookup(kind, kwargs, masked, mode):
    text = kind == "string"
    cls, data, x = (layers.StringLookup, STRINGS, STRING_INPUTS) if text else (
        layers.IntegerLookup, INTEGERS, INTEGER_INPUTS
    )  # fmt: skip
    mask, oov_token = (("" if text else 0) if masked else None), ("[UNK]" if text else -1)
    layer = cls(output_mode=mode, mask_token=mask, **kwargs)
    layer.adapt(np.array(data))
    oov = kwargs.get("num_oov_indices", 1)
    tokens, idf = learned(data, mask, oov_token, oov, kwargs.get("max_tokens"), mode)
    special = ([mask] if masked and mode == "int" else []) + [oov_token] * oov
    assert layer.get_vocabulary() == special + tokens and layer.get_vocabulary(False) == tokens
    assert layer.vocabulary_size() == len(special) + len(tokens)

    def bucket(v):
        return hash_bucket(v, oov) if text else v % oov

    depth = kwargs["max_tokens"] if kwargs.get("pad_to_max_tokens") else layer.vocabulary_size()
    rows = [expected_indices(row, tokens, mask, oov, mode, bucket) for row in x]
    expected = np.asarray(expected_output(rows, mode, depth, idf + [0.0] * (depth - len(idf))))
    for given in (x, np.array(x)):
        found = layer(given)
        assert found.dtype == ("int64" if mode == "int" else "float32")
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
    # What was set is as good as what was learned, and configs bring it back.
    if mode != "tf_idf":
        again = cls(output_mode=mode, mask_token=mask, vocabulary=tokens, **kwargs)
        copy_ = layers.deserialize(json.loads(json.dumps(layers.serialize(again))))
        for one in (again, copy_):
            np.testing.assert_array_equal(np.asarray(one(x)), np.asarray(found))
        assert copy_.get_config() == again.get_config()
    # A copy has what was learned.
    for one in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(np.asarray(one(x)), np.asarray(found))


@pytest.mark.parametrize("mode", ["int", "multi_hot"])
def test_integer_lookup_in_a_saved_graph(mode, tmp_path):
    layer = layers.IntegerLookup(mask_token=0, num_oov_indices=2, output_mode=mode)
    layer.adapt(np.array(INTEGERS))
    x = np.array(INTEGER_INPUTS)
    model = maas.Sequential([layers.Input((2,), dtype="int64"), layer, layers.Rescaling(2.0)])
    expected = 2 * np.asarray(layer(x), "float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    for name in ("m.keras", "m.maas"):
        model.save(tmp_path / name)
        again = maas.models.load_model(tmp_path / name)
        assert again.layers[0].get_vocabulary() == layer.get_vocabulary()
        np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    from maas.saving.maas_file import load_graph

    np.testing.assert_array_equal(load_graph(tmp_path / "m.maas").predict(x, verbose=0), expected)


def test_unknown_integers_without_a_place():
    layer = layers.IntegerLookup(vocabulary=[5, 7], num_oov_indices=0, mask_token=0, name="ids")
    assert layer(np.array([7, 0, 5])).numpy().tolist() == [2, 0, 1]
    with pytest.raises(IndexError, match="IntegerLookup 'ids': with num_oov_indices=0 all inputs must be in the voc"):
        layer(np.array([7, 6]))
    with pytest.raises(ValueError, match="StringLookup 'words': with num_oov_indices=0 .* received 'x'"):
        layers.StringLookup(vocabulary=["a"], num_oov_indices=0, name="words")(["a", "x"])


def test_back_from_indices():
    words = layers.StringLookup(vocabulary=["a", "b"], mask_token="", num_oov_indices=2, invert=True)
    assert words(np.array([[0, 1], [3, 4], [9, -1]])).tolist() == [["", "[UNK]"], ["a", "b"], ["[UNK]", "[UNK]"]]
    numbers = layers.IntegerLookup(vocabulary=[8, 9], mask_token=0, invert=True)
    assert numbers(np.array([0, 1, 2, 3, 7, -2])).numpy().tolist() == [0, -1, 8, 9, -1, -1]


@pytest.mark.parametrize("data", [
    lambda: np.array(["b", "a", "b"]), lambda: ["b", "a", b"b"], lambda: (np.array(t) for t in ("b", "a", "b")),
    lambda: iter([(np.array(["b", "a"]), np.zeros(2)), (np.array(["b"]), np.zeros(1))]),
    lambda: [["b", "a"], ["b"]],
])  # fmt: skip
def test_adapt_reads_arrays_and_iterables_of_batches(data):
    layer = layers.StringLookup()
    layer.adapt(data())
    assert layer.get_vocabulary() == ["[UNK]", "b", "a"]


def test_steps_of_adapt():
    layer = layers.StringLookup()
    layer.adapt((np.array([t]) for t in "abc"), steps=2)
    assert layer.get_vocabulary() == ["[UNK]", "b", "a"]


def test_pipeline():
    ours, theirs = (
        lib.Pipeline([lib.Rescaling(0.5, name="r"), lib.CenterCrop(2, 2, name="c")], name="p")
        for lib in (layers, keras.layers)
    )
    assert pair.plain(ours.get_config()) == pair.plain(theirs.get_config())
    x = RNG.uniform(size=(2, 5, 5, 1)).astype("float32")
    pair.assert_outputs_close(ours(x), theirs(x), 0)
    again = layers.deserialize(pair.config_of(theirs, keras))
    pair.assert_outputs_close(again(x), theirs(x), 0)
    text = layers.TextVectorization(vocabulary=["a"])
    assert layers.Pipeline([text, layers.CategoryEncoding(3)])(["a b"]).numpy().tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("make, error, text", [
    (lambda: layers.CategoryEncoding(), ValueError, "`num_tokens` must be a positive int"),
    (lambda: layers.Discretization(num_bins=0), ValueError, "must be >= 1, received num_bins=0"),
    (lambda: layers.Hashing(3)(["a", None]), TypeError, "received None of NoneType"),
    (lambda: layers.Hashing(3)([{"a": 1}]), TypeError, "received {'a': 1} of dict"),
    (lambda: layers.HashedCrossing(3)([["a"], [None]]), TypeError, "received None of NoneType"),
    (lambda: layers.CategoryEncoding(3, output_mode="x"), ValueError, "`output_mode` must be one of"),
    (lambda: layers.CategoryEncoding(3, sparse=True), ValueError, "no sparse tensors"),
    (lambda: layers.CategoryEncoding(3)([1], count_weights=[1.0]), ValueError, "needs output_mode='count'"),
    (lambda: layers.Discretization(), ValueError, "give `num_bins` or `bin_boundaries`"),
    (lambda: layers.Discretization([1.0]).adapt([1.0]), ValueError, "made with `num_bins`"),
    (lambda: layers.Discretization(num_bins=2)(np.ones(1)), ValueError, "call adapt"),
    (lambda: layers.Discretization(num_bins=2).adapt(np.zeros(0)), ValueError, "at least one number"),
    (lambda: layers.StringLookup(max_tokens=1), ValueError, "greater than 1"),
    (lambda: layers.StringLookup(pad_to_max_tokens=True), ValueError, "needs `max_tokens`"),
    (lambda: layers.StringLookup(num_oov_indices=-1), ValueError, ">= 0"),
    (lambda: layers.StringLookup(vocabulary=["a", "a"]), ValueError, r"received \['a'\] more than once"),
    (lambda: layers.StringLookup(vocabulary=[]), ValueError, "received none"),
    (lambda: layers.StringLookup(vocabulary=["a", ""], mask_token=""), ValueError, "the mask token '' may only"),
    (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), ValueError, "max_tokens=2 indices"),
    (lambda: layers.StringLookup(vocabulary=["a"]).adapt(["b"]), ValueError, "cannot be adapted"),
    (lambda: layers.StringLookup(vocabulary="/nowhere.txt"), ValueError, "file does not exist"),
    (lambda: layers.StringLookup(output_mode="multi_hot")(["a"]), RuntimeError, "needs a vocabulary first"),
    (lambda: layers.StringLookup(output_mode="tf_idf", vocabulary=["a"]), ValueError, "needs `idf_weights`"),
    (lambda: layers.StringLookup(output_mode="multi_hot", invert=True), ValueError, "needs output_mode='int'"),
    (lambda: layers.StringLookup(vocabulary=["a"])([1.5]), TypeError, "must be strings, received 1.5"),
    (lambda: layers.StringLookup(vocabulary=["a"])([["a"], ["a", "b"]]), ValueError, "equally long"),
    (lambda: layers.IntegerLookup(salt=3), ValueError, "needs oov_method='farmhash'"),
    (lambda: layers.IntegerLookup(vocabulary_dtype="int32"), ValueError, "must be 'int64'"),
    (lambda: layers.IntegerLookup(vocabulary=["x"]), ValueError, "tokens must be integers, received 'x'"),
    (lambda: layers.TextVectorization(standardize="upper"), ValueError, "`standardize` must be one of"),
    (lambda: layers.TextVectorization(ngrams="2"), ValueError, "`ngrams` must be"),
    (lambda: layers.TextVectorization(ragged=True), ValueError, "no ragged tensors"),
    (lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3), ValueError, "goes with"),
    (lambda: layers.TextVectorization()([["a", "b"]]), ValueError, r"shape \(batch,\) or \(batch, 1\)"),
    (lambda: layers.Hashing(0), ValueError, "`num_bins` must be a positive int"),
    (lambda: layers.Hashing(3, salt="x"), ValueError, "`salt` must be an int or two ints"),
    (lambda: layers.Hashing(3, dtype="float32"), ValueError, "must be 'int32' or 'int64'"),
    (lambda: layers.HashedCrossing(3)([np.zeros(2, "int32")]), ValueError, "two or more features"),
    (lambda: layers.HashedCrossing(3)([np.zeros(2, "int32"), np.zeros(3, "int32")]), ValueError, "one shape"),
    (lambda: layers.Pipeline.from_config({"layers": 3}), ValueError, "must hold a list of layers"),
])  # fmt: skip
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    "text", [np.array(["a", "b"]), np.array([["a"], ["b"]], dtype=object), ["a", "b"]], ids=range(3)
)
def test_a_model_says_where_strings_are_looked_up(text):
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    model = maas.Sequential([lookup, layers.Embedding(4, 2)])
    with pytest.raises(TypeError, match="Sequential.*: inputs must hold numbers: strings are looked up outside"):
        model(text)
    assert maas.Sequential([layers.Embedding(4, 2)])(lookup(text)).shape == (*np.shape(text), 2)
    if isinstance(text, np.ndarray):
        model.compile("sgd", "mse")
        for run in (model.predict, model.evaluate, model.fit):
            with pytest.raises(TypeError, match="x must hold numbers: strings are looked up outside"):
                run(text, *([] if run == model.predict else [np.ones((2, 1))]), verbose=0)


@pytest.mark.parametrize("shape", [(7,), (5, 4), (5, 1), (2, 3, 4), (0, 3), (3, 0), (2, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "float64"])
def test_counts_of_any_shape(shape, dtype):
    indices, weights, axis = RNG.integers(-2, 9, shape), RNG.random(shape).astype("float32"), len(shape) > 1
    one_hot = (indices[..., None] == np.arange(6)).astype("float64")
    many, counts = ops.convert_to_tensor(indices), one_hot.sum(int(axis))
    for mode, expected in (("count", counts), ("multi_hot", np.minimum(counts, 1))):
        y = encode(many, mode, 6, dtype)
        assert str(y.dtype) == dtype
        np.testing.assert_array_equal(y.numpy(), expected)
    y = encode(many, "count", 6, "float32", ops.convert_to_tensor(weights)).numpy()
    np.testing.assert_allclose(y, (one_hot * weights[..., None]).sum(int(axis)), rtol=1e-6)


@pytest.mark.parametrize("mode", ["count", "multi_hot"])
@pytest.mark.parametrize("rest", [(4,), (3, 4), (3, 2, 2)], ids=str)
def test_counts_in_a_model_take_any_batch(mode, rest):
    x = layers.Input(rest, dtype="int64")
    model = maas.Model(x, layers.CategoryEncoding(6, output_mode=mode)(x))
    assert model.output_shape == (None, *rest[1:], 6)
    for batch in (1, 5, 2):
        indices = RNG.integers(0, 6, (batch, *rest))
        counts = (indices[..., None] == np.arange(6)).sum(1)
        found = model.predict(indices, verbose=0)
        np.testing.assert_array_equal(found, counts if mode == "count" else counts > 0)


def test_counts_need_no_one_hot_vectors():
    indices = RNG.integers(0, 50_000, (64, 512))  # as float32 one-hot vectors 6.5 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    y = layers.CategoryEncoding(50_000, output_mode="count")(indices)
    assert float(ops.sum(y)) == indices.size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB


def test_a_lookup_sorts_its_keys_once(monkeypatch):
    layer = layers.IntegerLookup(vocabulary=[30, 10, 20])
    monkeypatch.setattr(np, "argsort", None)
    for _ in range(2):
        assert layer(np.array([10, 20, 30, 5])).numpy().tolist() == [2, 3, 1, 0]
