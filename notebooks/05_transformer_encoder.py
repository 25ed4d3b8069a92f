# %% [markdown]
# # A Transformer encoder
#
# Cuts a handwritten digit into 16 patches of 2x2 pixels and classifies the sequence of patches with self-attention,
# as a vision transformer does.

# %%
import numpy as np

import maas as keras
from maas import layers, ops

keras.utils.set_random_seed(0)

# %%
(x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()


def patches(images):
    """(n, 8, 8) pixels from 0 to 16 as (n, 16, 4) values from 0 to 1."""
    blocks = images.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4)
    return blocks.reshape(-1, 16, 4).astype("float32") / 16


x_train, x_test = patches(x_train), patches(x_test)
print("sequences of patches:", x_train.shape)

# %% [markdown]
# ## The layers
#
# Attention does not know where a patch comes from, so a learned embedding of its position is added to it.


# %%
class PositionEmbedding(layers.Layer):
    def __init__(self, length, width, **kwargs):
        super().__init__(**kwargs)
        self.length = length
        self.project = layers.Dense(width)
        self.positions = layers.Embedding(input_dim=length, output_dim=width)

    def call(self, x):
        positions = ops.arange(0, self.length, 1)
        return self.project(x) + self.positions(positions)


class TransformerEncoder(layers.Layer):
    def __init__(self, width, num_heads, hidden, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(num_heads=num_heads, key_dim=width // num_heads)
        self.feed_forward = keras.Sequential([layers.Dense(hidden, activation="relu"), layers.Dense(width)])
        self.norm1 = layers.LayerNormalization(epsilon=1e-6)
        self.norm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, x, training=False):
        attended = self.dropout1(self.attention(x, x), training=training)
        x = self.norm1(x + attended)
        transformed = self.dropout2(self.feed_forward(x), training=training)
        return self.norm2(x + transformed)


# %%
inputs = layers.Input(shape=(16, 4))
x = PositionEmbedding(length=16, width=64)(inputs)
x = TransformerEncoder(width=64, num_heads=4, hidden=128)(x)
x = TransformerEncoder(width=64, num_heads=4, hidden=128)(x)
x = layers.GlobalAveragePooling1D()(x)
x = layers.Dropout(0.1)(x)
outputs = layers.Dense(10, activation="softmax")(x)

model = keras.Model(inputs=inputs, outputs=outputs)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()

# %% [markdown]
# ## Train

# %%
history = model.fit(x_train, y_train, batch_size=32, epochs=15, validation_data=(x_test, y_test))

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # the plots need: pip install 'maas[plot]'

if plt:
    plt.plot(history.history["loss"], label="training")
    plt.plot(history.history["val_loss"], label="validation")
    plt.xlabel("epoch")
    plt.ylabel("loss")
    plt.legend()
    plt.show()

# %%
predictions = model.predict(x_test)
wrong = np.flatnonzero(predictions.argmax(axis=1) != y_test)
print(len(wrong), "of", len(y_test), "digits are misread; the first ones:")
for i in wrong[:5]:
    print(f"  label {y_test[i]}, read as {predictions[i].argmax()} with probability {predictions[i].max():.2f}")

# %%
test_loss, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy: {test_accuracy:.4f}")
