"""Text to indices: standardised, split into tokens, looked up. Runs outside of the Graph."""

import re

import numpy as np

from maas.layers.layer import Layer
from maas.layers.preprocessing.encoding import MODES, OwnOutputDtype, batches_of, check_mode, refuse_sparse
from maas.layers.preprocessing.string_lookup import StringLookup
from maas.layers.preprocessing.text_input import depth_of, nested_text
from maas.layers.preprocessing.vocabulary_files import refuse_path

_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")
# Only A to Z, whatever the locale.
_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")
# ASCII only: a no-break space joins.
_SPACE = re.compile("[ \t\n\r\x0b\x0c]+")


class TextVectorization(OwnOutputDtype, Layer):
    """Texts to token indices (or multi-hot, count or tf-idf vectors).

    It runs outside of the Graph: apply it to the data, and give the model its output.

    Args:
        max_tokens: int or None, the most indices that `adapt` makes; 0 (nothing) and 1 (unknown) are two of them.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of an array of
            strings.
        split: "whitespace", "character", None, or a function from an array of strings to lists of tokens.
        ngrams: int (1 to n) or tuple of ints, how many tokens form one; None takes single tokens.
        output_mode: "int", "multi_hot", "count" or "tf_idf".
        output_sequence_length: int or None, length of the rows for "int": longer ones are cut, shorter filled with 0.
        pad_to_max_tokens: bool, whether vectors have the size `max_tokens`.
        vocabulary: list or array of str, or a path (read now, stored with the model).
        idf_weights: list of numbers, for "tf_idf".
        sparse, ragged: bool; only False.
        encoding: str, encoding of inputs that are bytes.

    Raises:
        ValueError: for arguments that do not fit.
    """

    def __init__(
        self, max_tokens=None, standardize="lower_and_strip_punctuation", split="whitespace", ngrams=None,
        output_mode="int", output_sequence_length=None, pad_to_max_tokens=False, vocabulary=None, idf_weights=None,
        sparse=False, ragged=False, encoding="utf-8", name=None, **kwargs,
    ):  # fmt: skip
        has_vocabulary = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        where = self._label()
        for word, value, known in (("standardize", standardize, _STANDARDIZE), ("split", split, _SPLIT)):
            if value is not None and not callable(value) and value not in known:
                raise ValueError(
                    f"{where}: `{word}` must be one of {known}, None or a function, received {word}={value!r}"
                )
        refuse_sparse(where, sparse)
        if ragged:
            raise ValueError(f"{where}: there are no ragged tensors, use ragged=False, received ragged={ragged!r}")
        output_mode = check_mode(where, output_mode, (*MODES, "tf_idf"))
        if not (
            ngrams is None
            or (isinstance(ngrams, int) and not isinstance(ngrams, bool))
            or (isinstance(ngrams, tuple) and all(isinstance(n, int) for n in ngrams))
        ):
            raise ValueError(f"{where}: `ngrams` must be None, an int or a tuple of ints, received ngrams={ngrams!r}")
        if output_sequence_length is not None and (output_mode != "int" or not isinstance(output_sequence_length, int)):
            raise ValueError(
                f"{where}: `output_sequence_length` must be an int and goes with output_mode='int' only, received "
                f"output_sequence_length={output_sequence_length!r}, output_mode={output_mode!r}"
            )
        self._standardize, self._split, self._ngrams_arg = standardize, split, ngrams
        self._ngrams = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else ngrams
        self._ragged, self._output_mode = ragged, output_mode
        self._output_sequence_length, self._encoding = output_sequence_length, encoding
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens, vocabulary=vocabulary, idf_weights=idf_weights, mask_token="",
            pad_to_max_tokens=pad_to_max_tokens, output_mode=output_mode, sparse=sparse, encoding=encoding,
            has_input_vocabulary=has_vocabulary, vocabulary_size=size,
        )  # fmt: skip
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self._build_at_init()

    @property
    def compute_dtype(self):
        return "string"

    @property
    def variable_dtype(self):
        return "string"

    @property
    def _output_dtype(self):
        return self._lookup_layer._output_dtype

    # ---- vocabulary

    def adapt(self, data, batch_size=None, steps=None):
        """Learn the vocabulary; see `StringLookup.adapt`.

        Args:
            data: array or list of str, or an iterable of batches of them.
            batch_size: ignored.
            steps: int or None, how many batches are read.
        """
        self.reset_state()
        for batch, _ in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data):
        """Count the tokens of a batch of texts."""
        rows, single = self._preprocess(data)
        self._lookup_layer.update_state([rows] if single else rows, samples=True)

    def finalize_state(self):
        """Make the vocabulary of what was counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self):
        """Forget what `update_state` counted."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their indices."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self):
        """Number of indices."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary, idf_weights=None):
        """Take a vocabulary in place of `adapt`; see `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights=idf_weights)

    # ---- text

    def _standardized(self, nested):
        if isinstance(nested, list):
            return [self._standardized(x) for x in nested]
        if self._standardize in ("lower", "lower_and_strip_punctuation"):
            nested = nested.translate(_LOWER)
        if self._standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            nested = _PUNCTUATION.sub("", nested)
        return nested

    def _tokens(self, text):
        if self._split == "whitespace":
            return [t for t in _SPACE.split(text) if t]
        return list(text)

    def _preprocess(self, inputs):
        """(rows of tokens, False), or (tokens, True) for a single text."""
        where = self._label()
        nested = nested_text(inputs, self._encoding, where)
        if callable(self._standardize):
            nested = nested_text(self._standardize(np.asarray(nested, dtype=str)), self._encoding, where)
        else:
            nested = self._standardized(nested)
        single = isinstance(nested, str)
        if self._split is None:
            rows = nested
        else:
            if depth_of(nested) > 1:
                if any(len(x) != 1 or isinstance(x[0], list) for x in nested):
                    raise ValueError(
                        f"{where}: texts must have the shape (batch,) or (batch, 1), received rows of "
                        f"{sorted({len(x) for x in nested})[:9]} entries"
                    )
                nested = [x[0] for x in nested]
            texts = [nested] if single else nested
            if callable(self._split):
                rows = nested_text(self._split(np.asarray(texts, dtype=str)), self._encoding, where)
            else:
                rows = [self._tokens(t) for t in texts]
            rows = rows[0] if single else rows
        if self._ngrams is not None and isinstance(rows, list):
            rows = [self._joined(r) for r in rows] if rows and isinstance(rows[0], list) else self._joined(rows)
        return rows, single

    def _joined(self, tokens):
        return [" ".join(tokens[i : i + n]) for n in self._ngrams for i in range(len(tokens) - n + 1)]

    def call(self, inputs):
        from maas import ops

        rows, single = self._preprocess(inputs)
        if self._output_mode != "int":
            return self._lookup_layer(rows)
        indices = self._lookup_layer.index_rows(rows)
        length = self._output_sequence_length
        if isinstance(indices, int):
            return ops.convert_to_tensor(np.asarray(indices, "int64"))
        flat = not indices or isinstance(indices[0], int)
        if flat and not single:  # split=None and one axis: every text is a token
            out = np.asarray(indices, "int64")
            return ops.convert_to_tensor(out if length is None else _fit(out, length))
        filled = [indices] if flat else indices
        length = max(map(len, filled), default=0) if length is None else length
        out = np.zeros((len(filled), length), "int64")
        for i, row in enumerate(filled):
            row = row[:length]
            out[i, : len(row)] = row
        return ops.convert_to_tensor(out[0] if flat else out)

    def compute_output_shape(self, input_shape):
        if self._output_mode == "int":
            return (input_shape[0], self._output_sequence_length)
        if self._split is None:
            return self._lookup_layer.compute_output_shape(input_shape if len(input_shape) > 1 else (*input_shape, 1))
        return self._lookup_layer.compute_output_shape((input_shape[0], None))

    # ---- files

    def save_own_variables(self, store):
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store):
        self._lookup_layer.load_own_variables(store)

    def stored_assets(self):
        """dict of file name to bytes; see `StringLookup.stored_assets`."""
        return self._lookup_layer.stored_assets()

    def take_assets(self, assets):
        """Read what `stored_assets` gave."""
        self._lookup_layer.take_assets(assets)

    def save_assets(self, dir_path):
        """Write the vocabulary into a folder."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path):
        """Read the vocabulary from a folder."""
        self._lookup_layer.load_assets(dir_path)

    __reduce__ = StringLookup.__reduce__

    def get_build_config(self):
        return {}

    def get_config(self):
        lookup = self._lookup_layer
        own = {
            "max_tokens": lookup.max_tokens,
            "standardize": _serialized(self._standardize),
            "split": _serialized(self._split),
            "ngrams": self._ngrams_arg,
            "output_mode": self._output_mode,
            "output_sequence_length": self._output_sequence_length,
            "pad_to_max_tokens": lookup.pad_to_max_tokens,
            "sparse": lookup.sparse,
            "ragged": self._ragged,
            "vocabulary": lookup.input_vocabulary,
            "idf_weights": lookup.input_idf_weights,
            "encoding": self._encoding,
            "vocabulary_size": self.vocabulary_size(),
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        from maas.saving.serialization import deserialize_keras_object

        refuse_path(cls, config)
        config = dict(config)
        for name in ("standardize", "split"):
            if isinstance(config.get(name), dict):
                config[name] = deserialize_keras_object(config[name])
        if isinstance(config.get("ngrams"), list):
            config["ngrams"] = tuple(config["ngrams"])
        return super().from_config(config)


def _fit(row, length):
    out = np.zeros(length, "int64")
    out[: min(len(row), length)] = row[:length]
    return out


def _serialized(value):
    """A function by its registered name; words as they are."""
    from maas.saving.serialization import serialize_keras_object

    return serialize_keras_object(value) if callable(value) else value
