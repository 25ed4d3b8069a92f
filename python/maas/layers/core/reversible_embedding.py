"""`ReversibleEmbedding`: ids to vectors, and vectors back to a score for every id."""

from maas.backend.keras_tensor import KerasTensor
from maas.backend.masks import set_keras_mask
from maas.layers.core.embedding import Embedding
from maas.layers.options import config_of


class ReversibleEmbedding(Embedding):
    """`embeddings[ids]`, and with `reverse=True` the scores `x @ embeddings.T` of a language model.

    Args:
        input_dim: int, number of ids (largest id plus 1).
        output_dim: int, size of a vector.
        tie_weights: bool, whether both directions share one weight; else the way back has `reverse_embeddings`
            (output_dim, input_dim).
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the weight (input_dim, output_dim).
        mask_zero: bool, id 0 is padding.
        reverse_dtype: dtype of the way back; None: the compute dtype.
        logit_soft_cap: number c, scores become `c tanh(scores / c)`; None: they stay.

    Raises:
        ValueError: for a wrong argument.
    Reference: Press and Wolf, 2016, "Using the Output Embedding to Improve Language Models", arXiv:1608.05859.
    """

    def __init__(
        self, input_dim, output_dim, tie_weights=True, embeddings_initializer="uniform", embeddings_regularizer=None,
        embeddings_constraint=None, mask_zero=False, reverse_dtype=None, logit_soft_cap=None, **kwargs,
    ):  # fmt: skip
        # Read by build(), which first values in `kwargs` run already.
        super().__init__(
            input_dim, output_dim, embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer, embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero, **kwargs,
        )  # fmt: skip
        self.tie_weights, self.reverse_dtype, self.logit_soft_cap = tie_weights, reverse_dtype, logit_soft_cap

    def build(self, input_shape=None):
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings", shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
            )  # fmt: skip

    def call(self, inputs, reverse=False):
        from maas import ops

        if not reverse:
            result, mask = super().call(inputs), super().compute_mask(inputs)
            if mask is not None:
                set_keras_mask(result, mask)
            return result
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        # The table is kept out of autocasting, because rows are cast after they were read.
        dtype = self.reverse_dtype or self.compute_dtype
        scores = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        if self.logit_soft_cap is not None:
            scores = ops.multiply(ops.tanh(ops.divide(scores, self.logit_soft_cap)), self.logit_soft_cap)
        return scores

    def compute_mask(self, inputs, mask=None):
        return None  # set in call(), because the way back has none

    def compute_output_shape(self, input_shape, reverse=False):
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.output_dim)

    def compute_output_spec(self, inputs, reverse=False):
        return KerasTensor(self.compute_output_shape(inputs.shape, reverse), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "tie_weights", "reverse_dtype", "logit_soft_cap")}
