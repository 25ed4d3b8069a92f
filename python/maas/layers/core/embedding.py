"""`Embedding`: ids to vectors."""

from maas.layers.core.dense import refuse
from maas.layers.layer import Layer
from maas.layers.options import check_positive, config_of, set_options


class Embedding(Layer):
    """`embeddings[ids]`.

    Args:
        input_dim: int, number of ids (largest id plus 1).
        output_dim: int, size of a vector.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the weight (input_dim, output_dim).
        mask_zero: bool, id 0 is padding: the output carries a mask that is False there.
        weights: array with the first values of the weight.

    Raises:
        ValueError: for a wrong argument.
    """

    def __init__(
        self, input_dim, output_dim, embeddings_initializer="uniform", embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False, weights=None, lora_rank=None, lora_alpha=None, quantization_config=None, **kwargs,
    ):  # fmt: skip
        length = kwargs.pop("input_length", None)
        if length is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (length,) if isinstance(length, int) else tuple(length)
        super().__init__(**kwargs)
        refuse(self, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.input_dim = check_positive(input_dim, "input_dim", self._label())
        self.output_dim = check_positive(output_dim, "output_dim", self._label())
        set_options(
            self, embeddings_initializer=embeddings_initializer, embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
        )  # fmt: skip
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            if not (isinstance(weights, list) and len(weights) == 1):
                weights = [weights]
            self.set_weights(weights)

    def build(self, input_shape=None):
        if self.built:
            return
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.input_dim, self.output_dim), initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint, autocast=False,
        )  # fmt: skip

    def call(self, inputs):
        from maas import ops
        from maas.backend.standardize import standardize_dtype
        from maas.ops.gather import lookup

        if standardize_dtype(inputs.dtype) not in ("int32", "int64", "uint32"):
            inputs = ops.cast(inputs, "int32")
        # Rows are cast after they were read: a cast of the table would cost more than the look-up.
        return ops.cast(lookup(self.embeddings, inputs, self._label()), self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        from maas import ops

        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        own = config_of(
            self, "input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "activity_regularizer",
            "embeddings_constraint", "mask_zero",
        )  # fmt: skip
        return {**super().get_config(), **own, "quantization_config": None}
