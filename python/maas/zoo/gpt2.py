"""GPT-2."""

from maas import layers
from maas.initializers import RandomNormal
from maas.models import Model
from maas.zoo.common import fixed_seed
from maas.zoo.position import PositionEmbedding
from maas.zoo.transformer import block


def GPT2(
    vocabulary_size=50257, num_layers=12, num_heads=12, hidden_dim=768, intermediate_dim=3072,
    max_sequence_length=1024, sequence_length=None, seed=0, name="gpt2",
):  # fmt: skip
    """GPT-2, by default the smallest: causal transformer blocks, scores by the tied embedding; 124.4 million weights.

    Args:
        vocabulary_size: int, number of token ids.
        num_layers, num_heads: ints.
        hidden_dim, intermediate_dim: ints, features of a token and units between the dense layers of a block.
        max_sequence_length: int, number of places that have a vector.
        sequence_length: int, steps of every input; None: any up to `max_sequence_length`.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of token ids, int32 (batch, steps), and scores of the next token (batch, steps, vocabulary_size).
    Reference: Radford et al., 2019, "Language Models are Unsupervised Multitask Learners".
    """
    from maas import ops

    def gelu(x):
        return ops.gelu(x, approximate=True)

    def init():
        return RandomNormal(stddev=0.02)

    with fixed_seed(seed):
        inputs = layers.Input((sequence_length,), dtype="int32", name="token_ids")
        table = layers.ReversibleEmbedding(vocabulary_size, hidden_dim, embeddings_initializer=init(), name="tokens")
        x = PositionEmbedding(max_sequence_length, initializer=init(), name="positions")(table(inputs))
        for i in range(num_layers):
            x = block(
                x, num_heads, intermediate_dim, gelu, f"block_{i}", norm_first=True, causal=True, init=init
            )  # fmt: skip
        x = layers.LayerNormalization(epsilon=1e-5, name="norm")(x)
        return Model(inputs, table(x, reverse=True), name=name)
