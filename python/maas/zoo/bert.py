"""BERT and models of its shape."""

from maas import layers
from maas.initializers import TruncatedNormal
from maas.models import Model
from maas.zoo.common import fixed_seed
from maas.zoo.position import PositionEmbedding
from maas.zoo.transformer import block


def _init():
    return TruncatedNormal(stddev=0.02)


def BERT(
    vocabulary_size=30522, num_layers=12, num_heads=12, hidden_dim=768, intermediate_dim=3072, max_sequence_length=512,
    num_segments=2, sequence_length=None, pooling=True, seed=0, name="bert",
):  # fmt: skip
    """BERT: an encoder of transformer blocks over tokens, their places and their segments.

    Args:
        vocabulary_size: int, number of token ids.
        num_layers, num_heads: ints.
        hidden_dim, intermediate_dim: ints, features of a token and units between the dense layers of a block.
        max_sequence_length: int, number of places that have a vector.
        num_segments: int, number of segment ids.
        sequence_length: int, steps of every input; None: any up to `max_sequence_length`.
        pooling: bool, whether the output is the first token after a dense layer with tanh, or all tokens.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of [token_ids, segment_ids], int32 (batch, steps), and outputs (batch, hidden_dim), without pooling
        (batch, steps, hidden_dim).
    Reference: Devlin et al., 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
        arXiv:1810.04805.
    """
    with fixed_seed(seed):
        tokens = layers.Input((sequence_length,), dtype="int32", name="token_ids")
        segments = layers.Input((sequence_length,), dtype="int32", name="segment_ids")
        x = layers.Embedding(vocabulary_size, hidden_dim, embeddings_initializer=_init(), name="tokens")(tokens)
        s = layers.Embedding(num_segments, hidden_dim, embeddings_initializer=_init(), name="segments")(segments)
        x = PositionEmbedding(max_sequence_length, initializer=_init(), name="positions")(x)
        x = layers.Add(name="embeddings_add")([x, s])
        x = layers.LayerNormalization(epsilon=1e-12, name="embeddings_norm")(x)
        for i in range(num_layers):
            x = block(x, num_heads, intermediate_dim, "gelu", f"block_{i}", epsilon=1e-12, init=_init)
        if pooling:
            x = layers.Dense(hidden_dim, activation="tanh", kernel_initializer=_init(), name="pooled")(x[:, 0])
        return Model([tokens, segments], x, name=name)


def BERTBase(sequence_length=None, pooling=True, seed=0, name="bert_base"):
    """BERT-base: 12 blocks, 768 features; 109.5 million weights.

    Args and Returns: as `BERT`.
    Reference: Devlin et al., 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
        arXiv:1810.04805.
    """
    return BERT(sequence_length=sequence_length, pooling=pooling, seed=seed, name=name)


def MiniLM(sequence_length=None, pooling=True, seed=0, name="minilm_l6_h384"):
    """MiniLM-L6-H384: 6 blocks, 384 features; 22.7 million weights.

    Args and Returns: as `BERT`.
    Reference: Wang et al., 2020, "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
        Transformers", arXiv:2002.10957.
    """
    return BERT(
        num_layers=6, hidden_dim=384, intermediate_dim=1536, sequence_length=sequence_length, pooling=pooling,
        seed=seed, name=name,
    )  # fmt: skip
