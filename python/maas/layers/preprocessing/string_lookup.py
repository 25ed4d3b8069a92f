"""Strings to indices and back, outside of the Graph."""

import numpy as np

from maas.layers.preprocessing.index_lookup import IndexLookup
from maas.layers.preprocessing.text_input import nested_text


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
