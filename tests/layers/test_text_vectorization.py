"""TextVectorization against plain Python."""

import numpy as np
import pytest

import maas
from maas import layers
from tests.layers.test_category_layers import expected_indices, expected_output, learned

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
