"""Tokens to indices and back: IntegerLookup, and StringLookup, which runs outside of the Graph."""

import collections
import json
import math
import os

import numpy as np

from maas.layers.layer import Layer
from maas.layers.preprocessing.encoding import MODES, batches_of, check_mode, encode, encoded_shape, refuse_sparse
from maas.layers.preprocessing.hashing import check_salt, hash_bucket
from maas.layers.preprocessing.text_input import nested_text

ASSET = "vocabulary.txt"
# Beside it where a token holds a line break, which a text file of lines cannot tell.
EXACT_ASSET = "vocabulary.json"


class IndexLookup(Layer):
    """Base of the lookups: a vocabulary, given, set or learned by `adapt`.

    Indices: the mask token is 0 (only for output_mode "int"), then come `num_oov_indices` for unknown tokens, then
    the vocabulary.
    """

    def __init__(
        self, max_tokens, num_oov_indices, mask_token, oov_token, vocabulary_dtype, vocabulary=None, idf_weights=None,
        invert=False, output_mode="int", sparse=False, pad_to_max_tokens=False, oov_method="floormod", name=None,
        salt=None, **kwargs,
    ):  # fmt: skip
        self._frozen_vocab_size = kwargs.pop("vocabulary_size", None)
        has_vocabulary = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        kwargs.pop("trainable", None)
        kwargs.pop("dtype", None)
        super().__init__(name=name, **kwargs)
        where = self._label()
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"{where}: `max_tokens` must be greater than 1, received max_tokens={max_tokens}")
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(f"{where}: pad_to_max_tokens=True needs `max_tokens`, received max_tokens=None")
        if num_oov_indices < 0:
            raise ValueError(f"{where}: `num_oov_indices` must be >= 0, received num_oov_indices={num_oov_indices}")
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(f"{where}: `oov_method` must be 'floormod' or 'farmhash', received {oov_method!r}")
        if salt is not None and vocabulary_dtype == "int64" and oov_method != "farmhash":
            raise ValueError(f"{where}: `salt` needs oov_method='farmhash', received oov_method={oov_method!r}")
        output_mode = check_mode(where, output_mode, (*MODES, "tf_idf"))
        if invert and output_mode != "int":
            raise ValueError(f"{where}: invert=True needs output_mode='int', received output_mode={output_mode!r}")
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(f"{where}: `idf_weights` needs output_mode='tf_idf', received {output_mode!r}")
        refuse_sparse(where, sparse)
        if output_mode == "tf_idf" and vocabulary is not None and idf_weights is None:
            raise ValueError(f"{where}: a vocabulary with output_mode='tf_idf' needs `idf_weights`, received None")
        self.salt = check_salt(where, salt)
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token, self.invert = mask_token, oov_token, invert
        self.output_mode, self.sparse, self.pad_to_max_tokens = output_mode, sparse, pad_to_max_tokens
        self.vocabulary_dtype, self.oov_method = vocabulary_dtype, oov_method
        # A vocabulary from a file is stored in the archive, not in the config.
        self.input_vocabulary = None if isinstance(vocabulary, str) else _plain_list(vocabulary)
        self.input_idf_weights = _plain_list(idf_weights)
        self._has_input_vocabulary = has_vocabulary
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self._set_tokens([])
        self._idf = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        self._build_at_init()

    # ---- the vocabulary

    def _set_tokens(self, tokens):
        # Tuples and a plain object: nothing here is state that a layer tracks.
        self._tokens = tuple(tokens)
        object.__setattr__(self, "_index_of", {t: i for i, t in enumerate(self._tokens)})

    def _oov_start_index(self):
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _token_start_index(self):
        return self._oov_start_index() + self.num_oov_indices

    def vocabulary_size(self):
        """Number of indices: mask, unknown tokens and vocabulary."""
        return len(self._tokens) + self._token_start_index()

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their indices.

        Args:
            include_special_tokens: bool, whether the mask token and the tokens for unknown ones come first.

        Returns:
            list.
        """
        if not include_special_tokens:
            return list(self._tokens)
        mask = [self.mask_token] * self._oov_start_index()
        return [*mask, *[self.oov_token] * self.num_oov_indices, *self._tokens]

    def _read_file(self, path):
        if self.output_mode == "tf_idf":
            raise ValueError(f"{self._label()}: output_mode='tf_idf' takes no vocabulary file, received {path!r}")
        if not os.path.exists(path):
            raise ValueError(f"{self._label()}: the vocabulary file does not exist, received {path!r}")
        with open(path, encoding="utf-8", newline="\n") as f:
            return [line.rstrip("\r\n") for line in f]

    def set_vocabulary(self, vocabulary, idf_weights=None):
        """Take a vocabulary in place of `adapt`.

        Args:
            vocabulary: list or array of different tokens, with or without the special ones in front; or the path of a
                text file with one token a line.
            idf_weights: list or array of one number per token, for output_mode "tf_idf".

        Raises:
            ValueError: for repeated or reserved tokens, too many, or weights that do not fit.
        """
        where = self._label()
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(
                f"{where}: `idf_weights` go with output_mode='tf_idf' and only with it, received "
                f"output_mode={self.output_mode!r}, idf_weights={idf_weights}"
            )
        given = self._read_file(vocabulary) if isinstance(vocabulary, (str, os.PathLike)) else _plain_list(vocabulary)
        given = [self._token(t) for t in given]
        if not given:
            raise ValueError(f"{where}: a vocabulary must hold tokens, received none")
        start = self._token_start_index()
        special = [self.mask_token] * self._oov_start_index() + [self.oov_token] * self.num_oov_indices
        has_special = given[:start] == special
        tokens = given[start:] if has_special else given
        repeated = [t for t, n in collections.Counter(tokens).items() if n > 1]
        if repeated:
            raise ValueError(
                f"{where}: the tokens of a vocabulary must differ, received {repeated[:10]} more than once"
            )
        for name, token in (("mask", self.mask_token), ("oov", self.oov_token if self.invert else None)):
            if token is not None and token in tokens:
                raise ValueError(
                    f"{where}: the {name} token {token!r} may only come first, in the order {special}, received it at "
                    f"index {given.index(token)}"
                )
        if self.max_tokens is not None and start + len(tokens) > self.max_tokens:
            raise ValueError(
                f"{where}: a vocabulary may have max_tokens={self.max_tokens} indices, received {start + len(tokens)}"
            )
        idf = None
        if idf_weights is not None:
            idf = np.asarray(idf_weights, dtype="float32")
            if idf.shape != (len(given),):
                raise ValueError(f"{where}: `idf_weights` must have the shape {(len(given),)}, received {idf.shape}")
            if not has_special:
                # In double, as NumPy takes the mean of the numbers that the user gave.
                front = np.full(start, np.average(np.asarray(idf_weights, dtype="float64")), "float32")
                idf = np.concatenate([front, idf])
        self._set_tokens(tokens)
        self._take_idf(idf)
        self._record_vocabulary_size()

    def _take_idf(self, idf):
        if idf is not None and self.pad_to_max_tokens and self.max_tokens is not None:
            idf = np.pad(idf, (0, self.max_tokens - len(idf)))
        self._idf = None if idf is None else tuple(idf.tolist())

    def _record_vocabulary_size(self):
        fixed = self.output_mode != "int" and not self.pad_to_max_tokens
        if fixed and self._frozen_vocab_size not in (None, self.vocabulary_size()):
            raise RuntimeError(
                f"{self._label()}: with output_mode={self.output_mode!r} and pad_to_max_tokens=False the size of the "
                f"vocabulary cannot change from {self._frozen_vocab_size}, received {self.vocabulary_size()} tokens"
            )
        self._frozen_vocab_size = self.vocabulary_size()

    # ---- adapt

    def adapt(self, data, steps=None):
        """Learn the vocabulary: all tokens by falling count, at most `max_tokens` with the special ones.

        Args:
            data: array or list of tokens, or an iterable of batches.
            steps: int or None, how many batches are read.

        Raises:
            ValueError: if the layer was made with a vocabulary.
        """
        self.reset_state()
        for batch, whole in batches_of(data, steps):
            self.update_state(batch, samples=whole)
        self.finalize_state()

    def reset_state(self):
        """Forget what `update_state` counted."""
        object.__setattr__(self, "_counts", collections.Counter())
        object.__setattr__(self, "_document_counts", collections.Counter())
        self._documents = 0

    def update_state(self, data, samples=False):
        """Count the tokens of a batch. `samples`: of a flat list, every entry is a sample of its own."""
        if self._has_input_vocabulary:
            raise ValueError(
                f"{self._label()}: a layer made with a `vocabulary` cannot be adapted, received data for adapt()"
            )
        rows = self._rows(data, samples)
        for row in rows:
            self._counts.update(row)
            if self.output_mode == "tf_idf":
                self._document_counts.update(set(row))
        self._documents += len(rows)

    def finalize_state(self):
        """Make the vocabulary of what was counted."""
        if self._has_input_vocabulary or not self._counts:
            self._record_vocabulary_size()
            return
        for token in (self.mask_token, self.oov_token):
            self._counts.pop(token, None)
        # Most frequent first; among equals the larger, as bytes.
        order = sorted(self._counts, key=lambda t: (self._counts[t], _sort_key(t)), reverse=True)
        if self.max_tokens:
            order = order[: max(self.max_tokens - self._token_start_index(), 0)]
        self._set_tokens(order)
        if self.output_mode == "tf_idf":
            idf = [math.log(1 + self._documents / (1 + self._document_counts[t])) for t in order]
            idf = np.asarray(idf, "float32")
            front = np.full(self._token_start_index(), idf.mean() if len(idf) else 0.0, "float32")
            self._take_idf(np.concatenate([front, idf]))
        self.reset_state()
        self._record_vocabulary_size()

    # ---- what depends on the kind of token

    def _token(self, value):
        raise NotImplementedError

    def _rows(self, data, samples):
        """list of samples, each a list of tokens."""
        raise NotImplementedError

    def _buckets(self, tokens):
        """Index among the `num_oov_indices` of each unknown token."""
        return [hash_bucket(str(t), self.num_oov_indices, self.salt) for t in tokens]

    # ---- output

    @property
    def compute_dtype(self):
        return self.vocabulary_dtype

    @property
    def variable_dtype(self):
        return self.vocabulary_dtype

    @property
    def _output_dtype(self):
        from maas.backend.config import floatx

        if self.output_mode == "int":
            return self.vocabulary_dtype if self.invert else "int64"
        return floatx()

    def _depth(self):
        depth = self.max_tokens if self.pad_to_max_tokens else self._frozen_vocab_size
        if depth is None:
            raise RuntimeError(
                f"{self._label()}: output_mode={self.output_mode!r} needs a vocabulary first: give `vocabulary`, or "
                f"call adapt(data), received none"
            )
        return depth

    def _encoded(self, indices):
        from maas import ops

        if self.output_mode == "int":
            return indices
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        out = encode(indices, mode, self._depth(), self._output_dtype)
        if self.output_mode == "tf_idf":
            if self._idf is None:
                raise RuntimeError(
                    f"{self._label()}: output_mode='tf_idf' needs `idf_weights` or adapt(), received none"
                )
            out = ops.multiply(out, ops.convert_to_tensor(np.asarray(self._idf), out.dtype))
        return out

    def compute_output_shape(self, input_shape):
        depth = None if self.output_mode == "int" else self._depth()
        return encoded_shape(input_shape, "multi_hot" if self.output_mode == "tf_idf" else self.output_mode, depth)

    def compute_output_spec(self, inputs):
        from maas.backend.keras_tensor import KerasTensor

        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=self._output_dtype)

    # ---- files

    def save_own_variables(self, store):
        if self.output_mode == "tf_idf" and self._idf is not None:
            store["idf_weights"] = np.asarray(self._idf, "float32")

    def load_own_variables(self, store):
        if "idf_weights" in store:
            self._idf = tuple(np.asarray(store["idf_weights"], "float32").ravel().tolist())

    def stored_assets(self):
        """dict of file name to bytes: what an archive holds for this layer beside config and weights."""
        if self.input_vocabulary is not None or not self._tokens:
            return {}
        words = list(map(str, self.get_vocabulary()))
        stored = {ASSET: "\n".join(words).encode("utf-8", "surrogateescape")}
        if any("\n" in w or "\r" in w for w in words):
            stored[EXACT_ASSET] = json.dumps(words).encode()
        return stored

    def take_assets(self, assets):
        """Read what `stored_assets` gave.

        Raises:
            ValueError: if it is not a vocabulary for this layer.
        """
        if self.input_vocabulary is not None or ASSET not in assets:
            return
        lines = self._stored_words(assets)
        idf, self._frozen_vocab_size = self._idf, None
        start = self._token_start_index()
        special, tokens = lines[:start], [self._token(t) for t in lines[start:]]
        if len(special) < start or len(set(tokens)) < len(tokens):
            raise ValueError(f"{self._label()}: the stored vocabulary is damaged, received {len(lines)} lines")
        self._set_tokens(tokens)
        self._idf = idf
        self._record_vocabulary_size()

    def _stored_words(self, assets):
        from maas.saving.config_json import parse_json

        try:
            if EXACT_ASSET in assets:
                words = parse_json(b'{"words": %s}' % bytes(assets[EXACT_ASSET]), EXACT_ASSET)["words"]
                if isinstance(words, list) and all(isinstance(w, str) for w in words):
                    return words
                raise ValueError(f"{self._label()}: the stored vocabulary is damaged, received {str(words)[:80]}")
            words = bytes(assets[ASSET]).decode("utf-8").split("\n")
        except UnicodeDecodeError as e:
            raise ValueError(f"{self._label()}: the stored vocabulary is no UTF-8 text, received {e}") from None
        # An empty last line is the end of the file, unless the config counts it as a token.
        while words and words[-1] == "" and len(words) != self._frozen_vocab_size:
            words.pop()
        return words

    def save_assets(self, dir_path):
        """Write the vocabulary into a folder."""
        for name, content in self.stored_assets().items():
            with open(os.path.join(dir_path, name), "wb") as f:
                f.write(content)

    def load_assets(self, dir_path):
        """Read the vocabulary from a folder."""
        if self.input_vocabulary is None:
            found = {}
            for name in (ASSET, EXACT_ASSET):
                path = os.path.join(dir_path, name)
                if name == ASSET or os.path.exists(path):
                    with open(path, "rb") as f:
                        found[name] = f.read()
            self.take_assets(found)

    def __reduce__(self):
        store = {}
        self.save_own_variables(store)
        return _remake, (type(self), self.get_config(), self.stored_assets(), store)

    def get_build_config(self):
        return {}

    def get_config(self):
        own = {
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "vocabulary_dtype": self.vocabulary_dtype,
            "idf_weights": self.input_idf_weights,
            "vocabulary": self.input_vocabulary,
            "vocabulary_size": self._frozen_vocab_size,
            "oov_method": self.oov_method,
            "salt": self.salt,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        refuse_path(cls, config)
        return super().from_config(config)


def refuse_path(cls, config):
    """ValueError if a config names a file: vocabularies come with the model, and nothing else is read."""
    if isinstance(config.get("vocabulary"), str):
        raise ValueError(
            f"{cls.__name__}: a config may not name a vocabulary file, received vocabulary={config['vocabulary']!r}"
        )


def _remake(cls, config, assets, store):
    layer = cls.from_config(config)
    layer.load_own_variables(store)
    layer.take_assets(assets)
    return layer


def _plain_list(values):
    if values is None:
        return None
    return list(values) if isinstance(values, (list, tuple)) else np.asarray(values).tolist()


def _sort_key(token):
    return token.encode("utf-8", "surrogatepass") if isinstance(token, str) else token


class IntegerLookup(IndexLookup):
    """Integers to indices of a vocabulary (or back, with `invert`), inside the Graph.

    Args:
        max_tokens: int or None, the most indices that `adapt` makes, special ones included.
        num_oov_indices: int, number of indices for unknown integers (`value % num_oov_indices`); 0 makes them an error.
        mask_token: int or None, the integer that means "nothing here", index 0.
        oov_token: int, what `invert` gives for other indices.
        vocabulary: list or array of ints, or a path (read now, stored with the model).
        vocabulary_dtype: "int64".
        idf_weights: list of numbers, for output_mode "tf_idf".
        invert: bool.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        sparse: bool; only False.
        pad_to_max_tokens: bool, whether vectors have the size `max_tokens`.
        oov_method: "floormod" or "farmhash".
        salt: int or two ints, keys of the hash.

    Raises:
        ValueError: for arguments that do not fit.
    """

    def __init__(
        self, max_tokens=None, num_oov_indices=1, mask_token=None, oov_token=-1, vocabulary=None,
        vocabulary_dtype="int64", idf_weights=None, invert=False, output_mode="int", sparse=False,
        pad_to_max_tokens=False, oov_method="floormod", salt=None, name=None, **kwargs,
    ):  # fmt: skip
        if vocabulary_dtype != "int64":
            raise ValueError(f"IntegerLookup: `vocabulary_dtype` must be 'int64', received {vocabulary_dtype!r}")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary_dtype, vocabulary=vocabulary,
            idf_weights=idf_weights, invert=invert, output_mode=output_mode, sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens, oov_method=oov_method, salt=salt, name=name, **kwargs,
        )  # fmt: skip

    def _token(self, value):
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self._label()}: tokens must be integers, received {value!r}") from None

    def _rows(self, data, samples):
        x = np.asarray(data)
        if x.dtype.kind not in "iu":
            x = x.astype("int64")
        x = x.reshape(-1, 1) if samples and x.ndim == 1 else x.reshape(1, -1) if x.ndim < 2 else x
        return x.reshape(len(x), -1).tolist()

    def call(self, inputs):
        from maas import ops

        if isinstance(inputs, (int, list, tuple)):
            inputs = np.asarray(inputs)
        inputs = ops.cast(ops.convert_to_tensor(inputs), "int64")
        return self._tokens_at(inputs) if self.invert else self._encoded(self._indices(inputs))

    def _tokens_at(self, indices):
        from maas import _core, ops

        table = np.asarray([*self.get_vocabulary(), self.oov_token], "int64")
        if self.num_oov_indices:
            table[self._oov_start_index() : self._token_start_index()] = self.oov_token
        known = (indices >= 0) & (indices < len(table) - 1)
        at = ops.where(known, indices, len(table) - 1)
        return _core.take(ops.convert_to_tensor(table), ops.cast(at, "int32"), axis=0)

    def _indices(self, x):
        from maas import _core, ops

        keys = np.asarray(self._tokens or [0], "int64")
        order = np.argsort(keys, kind="stable")
        start = self._token_start_index()
        place = ops.minimum(ops.searchsorted(ops.convert_to_tensor(keys[order]), x), len(keys) - 1)
        found = ops.equal(ops.take(ops.convert_to_tensor(keys[order]), place, axis=0), x)
        if not self._tokens:
            found = ops.zeros_like(found)
        index = ops.take(ops.convert_to_tensor(order + start), place, axis=0)
        masked = None if self.mask_token is None else ops.equal(x, self.mask_token)
        if self.num_oov_indices == 0:
            # Reading past the end is the error; it names the position.
            ok = found if masked is None else ops.logical_or(found, masked)
            rule = f"{self._label()}: with num_oov_indices=0 all inputs must be in the vocabulary"
            checked = _core.take(ops.zeros((1,), "int64"), ops.where(ok, 0, 1), axis=0, rule=rule)
            index = index + checked
        else:
            index = ops.where(found, index, self._unknown(x) + self._oov_start_index())
        return index if masked is None else ops.where(masked, 0 if self.output_mode == "int" else -1, index)

    def _unknown(self, x):
        from maas import ops

        if self.num_oov_indices == 1:
            return ops.zeros_like(x)
        if self.oov_method == "floormod":
            return ops.mod(x, self.num_oov_indices)
        if x.is_symbolic:
            raise NotImplementedError(
                f"{self._label()}: oov_method='farmhash' runs outside of the Graph: apply the layer to the data first, "
                f"or use oov_method='floormod', received a traced call"
            )
        values = x.numpy()
        buckets = np.asarray(self._buckets(values.ravel().tolist()), "int64").reshape(values.shape)
        return ops.convert_to_tensor(buckets)

    def get_config(self):
        config = super().get_config()
        for name in ("oov_token", "mask_token"):
            config[name] = None if config[name] is None else int(config[name])
        if config["vocabulary"] is not None:
            config["vocabulary"] = [int(v) for v in config["vocabulary"]]
        return config


class StringLookup(IndexLookup):
    """Strings to indices of a vocabulary (or back, with `invert`).

    It runs outside of the Graph: apply it to the data, or put it first in a model that gets strings.

    Args:
        max_tokens: int or None, the most indices that `adapt` makes, special ones included.
        num_oov_indices: int, number of indices for unknown strings (chosen by hash); 0 makes them an error.
        mask_token: str or None, the string that means "nothing here", index 0.
        oov_token: str, what `invert` gives for other indices.
        vocabulary: list or array of str, or a path (read now, stored with the model).
        idf_weights: list of numbers, for output_mode "tf_idf".
        invert: bool.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        pad_to_max_tokens: bool, whether vectors have the size `max_tokens`.
        sparse: bool; only False.
        encoding: str, encoding of inputs that are bytes.
        salt: int or two ints, keys of the hash.

    Raises:
        ValueError: for arguments that do not fit.
    """

    def __init__(
        self, max_tokens=None, num_oov_indices=1, mask_token=None, oov_token="[UNK]", vocabulary=None,
        idf_weights=None, invert=False, output_mode="int", pad_to_max_tokens=False, sparse=False, encoding="utf-8",
        name=None, salt=None, **kwargs,
    ):  # fmt: skip
        self.encoding = encoding
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, "string", vocabulary=vocabulary,
            idf_weights=idf_weights, invert=invert, output_mode=output_mode, sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens, name=name, salt=salt, **kwargs,
        )  # fmt: skip

    def _token(self, value):
        if not isinstance(value, (str, bytes)):
            raise ValueError(f"{self._label()}: tokens must be strings, received {value!r}")
        return value.decode(self.encoding) if isinstance(value, bytes) else str(value)

    def _rows(self, data, samples):
        nested = nested_text(data, self.encoding, self._label())
        if isinstance(nested, str):
            return [[nested]]
        if all(isinstance(x, str) for x in nested):
            return [[x] for x in nested] if samples else [nested]
        return [list(_leaves(x)) for x in nested]

    def call(self, inputs):
        if self.invert:
            return self._strings_at(inputs)
        return self._encoded(self._index_tensor(nested_text(inputs, self.encoding, self._label())))

    def _strings_at(self, indices):
        table = np.asarray([*self.get_vocabulary(), self.oov_token], dtype=object)
        indices = np.asarray(indices)
        if indices.dtype.kind not in "iu":
            raise TypeError(f"{self._label()}: with invert=True inputs must be integers, received {indices.dtype}")
        at = np.where((indices >= 0) & (indices < len(table) - 1), indices, len(table) - 1)
        return np.asarray(table[at].tolist(), dtype=str)

    def index_rows(self, nested):
        """Nested lists of str as nested lists of indices; -1 for what counts nowhere."""
        if isinstance(nested, str):
            return self._index(nested)
        return [self.index_rows(x) for x in nested]

    def _index(self, token):
        if token == self.mask_token:
            return 0 if self.output_mode == "int" else -1
        at = self._index_of.get(token)
        if at is not None:
            return at + self._token_start_index()
        if self.num_oov_indices == 0:
            raise ValueError(
                f"{self._label()}: with num_oov_indices=0 all inputs must be in the vocabulary, received {token!r}"
            )
        return self._oov_start_index() + (self._buckets([token])[0] if self.num_oov_indices > 1 else 0)

    def _index_tensor(self, nested):
        from maas import ops

        rows = self.index_rows(nested)
        if isinstance(rows, list) and rows and all(isinstance(r, list) for r in rows):
            sizes = {len(r) for r in rows}
            if len(sizes) > 1:
                if self.output_mode in ("int", "one_hot"):
                    raise ValueError(
                        f"{self._label()}: rows must be equally long, received lengths {sorted(sizes)[:9]}"
                    )
                width = max(sizes)
                rows = [r + [-1] * (width - len(r)) for r in rows]
        return ops.convert_to_tensor(np.asarray(rows, dtype="int64"))

    def get_config(self):
        config = super().get_config()
        del config["vocabulary_dtype"]
        return {**config, "encoding": self.encoding}


def _leaves(nested):
    if isinstance(nested, str):
        yield nested
    else:
        for x in nested:
            yield from _leaves(x)
