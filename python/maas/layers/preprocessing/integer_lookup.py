"""Integers to indices and back, inside the Graph."""

import numpy as np

from maas.layers.preprocessing.index_lookup import IndexLookup


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
