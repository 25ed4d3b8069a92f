"""Layers for categories, numbers and text against plain Python, and their vocabularies in files."""

import collections
import copy
import json
import math
import pathlib
import pickle
import resource
import zipfile

import keras
import numpy as np
import pytest

import maas
from maas import layers, ops
from maas.layers.preprocessing.encoding import encode
from maas.layers.preprocessing.hashing import fingerprint64, hash_bucket, siphash24
from maas.saving.archive import archive_bytes, read_archive
from tests.layers import pair

RNG = np.random.default_rng(0)

# ---- hashes: what TensorFlow gives, modulo 2^63 - 1

HASHES = [
    ("", 1936946117179621456, 4260434136022711674),
    ("a", 3694432073954588132, 1834374123143231496),
    ("abcd", 1897425971756105985, 6101624822259411976),
    ("abcdefgh", 9145071594317031690, 1168332015709806289),
    ("x" * 16, 3320895591121647644, 2883603522978542428),
    ("x" * 17, 2082709914559524774, 7082463577551666636),
    ("y" * 33, 8610735037765521150, 2751351373242397498),
    ("é" * 40, 706083037942589338, 5648041392648071669),
    ("z" * 200, 8728890208429024092, 7508717716893159176),
]


@pytest.mark.parametrize("text, plain, keyed", HASHES, ids=lambda v: str(v)[:4])
def test_hashes(text, plain, keyed):
    assert (hash_bucket(text, 2**63 - 1), hash_bucket(text, 2**63 - 1, [3, 7])) == (plain, keyed)


def test_siphash_of_its_paper():
    key = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert siphash24(key, bytes(range(15))) == 0xA129CA6149BE45E5


def test_every_length_has_its_own_fingerprint():
    assert len({fingerprint64(b"q" * n) for n in range(300)}) == 300


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


# ---- text

DOCUMENTS = ["The cat, the dog!", " a  cat\tsat ", "", "ÉCOLE don't stop_it", "x"]
TEXTS = ["the dog sat", "zzz", "", "cat don't É a b c d"]
PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"


def expected_tokens(text, standardize="lower_and_strip_punctuation", split="whitespace", ngrams=None, **_):
    if standardize in ("lower", "lower_and_strip_punctuation"):
        text = "".join(c.lower() if c.isascii() else c for c in text)
    if standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
        text = "".join(c for c in text if c not in PUNCTUATION)
    tokens = text.split() if split == "whitespace" else list(text)
    if ngrams is None:
        return tokens
    sizes = range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams
    return [" ".join(g) for n in sizes for g in zip(*(tokens[i:] for i in range(n)))]


@pytest.mark.parametrize("mode", ["int", "multi_hot", "count", "tf_idf"])
@pytest.mark.parametrize("kwargs", [
    {}, {"ngrams": 2}, {"ngrams": (2, 3)}, {"split": "character"}, {"standardize": None}, {"standardize": "lower"},
    {"standardize": "strip_punctuation"}, {"max_tokens": 5}, {"output_sequence_length": 3},
], ids=str)  # fmt: skip
def test_text_vectorization(kwargs, mode):
    length = kwargs.get("output_sequence_length")
    if length and mode != "int":
        kwargs = {}
    layer = layers.TextVectorization(output_mode=mode, **kwargs)
    layer.adapt(DOCUMENTS)
    documents = [expected_tokens(t, **kwargs) for t in DOCUMENTS]
    tokens, idf = learned(documents, "", "[UNK]", 1, kwargs.get("max_tokens"), mode)
    assert layer.get_vocabulary() == (["", "[UNK]"] if mode == "int" else ["[UNK]"]) + tokens
    rows = [expected_indices(expected_tokens(t, **kwargs), tokens, "", 1, mode, lambda v: 0) for t in TEXTS]
    if mode == "int":
        width = length or max(map(len, rows))
        expected = np.asarray([(r + [0] * width)[:width] for r in rows])
    else:
        expected = np.asarray(expected_output(rows, mode, layer.vocabulary_size(), idf))
    for given in (TEXTS, np.array(TEXTS), np.array(TEXTS)[:, None], [t.encode() for t in TEXTS]):
        np.testing.assert_allclose(np.asarray(layer(given)), expected, rtol=1e-6)
    alone = np.asarray(layer(TEXTS[0]))
    np.testing.assert_allclose(alone, expected[0][: len(alone)], rtol=1e-6)


def test_functions_of_the_user_for_text():
    layer = layers.TextVectorization(standardize=np.char.upper, split=lambda x: [t.split("-") for t in x.tolist()])
    layer.adapt(["a-b", "b"])
    assert layer.get_vocabulary() == ["", "[UNK]", "B", "A"]
    assert layer(["b-z-a"]).numpy().tolist() == [[2, 1, 3]]
    whole = layers.TextVectorization(split=None, standardize=None, vocabulary=["new york", "rome"])
    assert whole(["rome", "new york", "x"]).numpy().tolist() == [3, 2, 1]


def test_text_in_a_model_that_trains():
    texts, y = ["good fine", "bad", "good", "bad awful"] * 8, np.array([1, 0, 1, 0] * 8)
    vectorize = layers.TextVectorization(output_sequence_length=3)
    vectorize.adapt(texts)
    model = maas.Sequential([layers.Embedding(8, 4, mask_zero=True), layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile(maas.optimizers.Adam(0.05), maas.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(vectorize(texts), y, epochs=15, verbose=0)
    assert model.evaluate(vectorize(texts), y, verbose=0, return_dict=True)["accuracy"] == 1.0
    with pytest.raises(TypeError, match="strings are looked up outside of the Graph, so apply StringLookup"):
        model.predict(np.array(texts), verbose=0)


# ---- hashing layers


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("kwargs", [{}, {"salt": 5}, {"salt": [5, 9]}, {"mask_value": "b"}], ids=str)
def test_hashing(kwargs, mode):
    layer = layers.Hashing(7, output_mode=mode, **kwargs)
    salt = [5, 5] if kwargs.get("salt") == 5 else kwargs.get("salt")
    x = [["a", "b"], ["c", "12"], ["b", "é"]]

    def place(v):
        if "mask_value" not in kwargs:
            return hash_bucket(v, 7, salt)
        return 0 if v == "b" else 1 + hash_bucket(v, 6, salt)

    rows = [[place(v) for v in row] for row in x]
    np.testing.assert_array_equal(np.asarray(layer(x)), expected_output(rows, mode, 7, None))
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(layer(x)))
    numbers = layers.Hashing(7)(np.array([12, 13]))
    assert numbers.numpy().tolist() == [hash_bucket("12", 7), hash_bucket("13", 7)]


def test_hashed_crossing():
    layer = layers.HashedCrossing(1000003)
    both = [np.array([[5], [-7]]), np.array([["x"], ["漢"]])]
    assert layer(both).numpy().tolist() == [[723191], [951849]]  # TensorFlow's
    assert layers.HashedCrossing(5, output_mode="one_hot")(both).shape == (2, 5)
    assert layer([c[:, 0] for c in both]).shape == (2,)


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


# ---- files


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


def test_a_mask_of_bytes_is_the_string():
    layer = layers.Hashing(4, mask_value=b"x")
    assert layer(["x", "y"]).numpy().tolist() == layers.Hashing(4, mask_value="x")(["x", "y"]).numpy().tolist()
    assert layer(["x"]).numpy().tolist() == [0] and json.loads(json.dumps(layer.get_config()))["mask_value"] == "x"


def test_a_lookup_sorts_its_keys_once(monkeypatch):
    layer = layers.IntegerLookup(vocabulary=[30, 10, 20])
    monkeypatch.setattr(np, "argsort", None)
    for _ in range(2):
        assert layer(np.array([10, 20, 30, 5])).numpy().tolist() == [2, 3, 1, 0]
