"""The base of IntegerLookup and StringLookup: tokens to indices, and indices to what the output mode asks for."""

import os

import numpy as np

from maas.layers.layer import Layer
from maas.layers.preprocessing.encoding import (
    MODES,
    OwnOutputDtype,
    check_mode,
    encode,
    encoded_shape,
    refuse_sparse,
)  # fmt: skip
from maas.layers.preprocessing.hashing import check_salt, hash_bucket
from maas.layers.preprocessing.vocabulary import Vocabulary, plain_list
from maas.layers.preprocessing.vocabulary_files import VocabularyFiles, refuse_path


class IndexLookup(Vocabulary, VocabularyFiles, OwnOutputDtype, Layer):
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
        self.input_vocabulary = None if isinstance(vocabulary, (str, os.PathLike)) else plain_list(vocabulary)
        self.input_idf_weights = plain_list(idf_weights)
        self._has_input_vocabulary = has_vocabulary
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self._set_tokens([])
        self._idf = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        self._build_at_init()

    def _buckets(self, tokens):
        """Index among the `num_oov_indices` of each unknown token."""
        return [hash_bucket(str(t), self.num_oov_indices, self.salt) for t in tokens]

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
