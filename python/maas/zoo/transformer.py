"""The transformer block, and a small encoder made of it."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed


def block(x, num_heads, intermediate_dim, activation, name, norm_first=False, causal=False, epsilon=1e-5, init=None):
    """Self-attention and two dense layers, each added to its input.

    Args:
        x: KerasTensor (batch, steps, features).
        num_heads: int.
        intermediate_dim: int, units between the dense layers.
        activation: between them, a name or a function of tensors.
        name: str, before the names of the layers.
        norm_first: bool, whether norms stand before the branches (GPT-2) or after the sums (BERT).
        causal: bool, whether step t sees only steps up to t.
        epsilon: float, of the norms.
        init: function that makes an initializer, one for each kernel; None: Glorot.
    """
    features = x.shape[-1]
    init = init or (lambda: "glorot_uniform")

    def norm(x, part):
        return layers.LayerNormalization(epsilon=epsilon, name=f"{name}_{part}_norm")(x)

    def attend(x):
        return layers.MultiHeadAttention(
            num_heads, features // num_heads, kernel_initializer=init(), name=f"{name}_attention"
        )(x, x, use_causal_mask=causal)  # fmt: skip

    def feed(x):
        x = layers.Dense(intermediate_dim, kernel_initializer=init(), name=f"{name}_intermediate")(x)
        x = (
            layers.Activation(activation, name=f"{name}_activation")(x)
            if isinstance(activation, str)
            else activation(x)
        )
        return layers.Dense(features, kernel_initializer=init(), name=f"{name}_output")(x)

    for part, branch in (("attention", attend), ("output", feed)):
        y = branch(norm(x, part) if norm_first else x)
        x = layers.Add(name=f"{name}_{part}_add")([x, y])
        x = x if norm_first else norm(x, part)
    return x


def TransformerEncoder(
    input_shape=(64, 64), num_layers=2, num_heads=4, intermediate_dim=256, classes=10, activation="relu",
    classifier_activation="softmax", seed=0, name="transformer_encoder",
):  # fmt: skip
    """A small classifier of sequences: transformer blocks, the mean over all steps, one dense layer.

    Args:
        input_shape: tuple (steps, features).
        num_layers, num_heads: ints.
        intermediate_dim: int, units between the dense layers of a block.
        classes: int.
        activation, classifier_activation: of the blocks and of the last layer.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of sequences (batch, steps, features) and outputs (batch, classes).
    Reference: Vaswani et al., 2017, "Attention Is All You Need", arXiv:1706.03762.
    """
    with fixed_seed(seed):
        x = inputs = layers.Input(input_shape)
        for i in range(num_layers):
            x = block(x, num_heads, intermediate_dim, activation, f"block_{i}")
        x = layers.GlobalAveragePooling1D(name="avg_pool")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)
