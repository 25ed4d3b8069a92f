"""The vocabulary of a lookup: given, set, or learned by `adapt`."""

import collections
import math
import os

import numpy as np

from maas.layers.preprocessing.encoding import batches_of


class Vocabulary:
    """The part of a lookup that keeps its tokens and their indices; a subclass says what a token is."""

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
        given = self._read_file(vocabulary) if isinstance(vocabulary, (str, os.PathLike)) else plain_list(vocabulary)
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


def plain_list(values):
    """A list of what came as a list, tuple or array; None stays None."""
    if values is None:
        return None
    return list(values) if isinstance(values, (list, tuple)) else np.asarray(values).tolist()


def _sort_key(token):
    return token.encode("utf-8", "surrogatepass") if isinstance(token, str) else token
