# %% [markdown]
# # A convolutional network, layer by layer
#
# Three convolutions with max and average pooling between them read handwritten digits of 28x28 pixels.

# %%
import maas as keras
from maas import layers, models

keras.utils.set_random_seed(0)

# %% [markdown]
# The digits that ship with the package have 8x8 pixels; `size=28` enlarges them to the size of MNIST.

# %%
(train_images, train_labels), (test_images, test_labels) = keras.datasets.digits.load_data(size=28)
train_images = train_images.reshape((-1, 28, 28, 1)).astype("float32") / 255
test_images = test_images.reshape((-1, 28, 28, 1)).astype("float32") / 255
print("training images:", train_images.shape)
print("test images:    ", test_images.shape)

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # the plots need: pip install 'maas[plot]'

if plt:
    plt.figure(figsize=(6, 3))
    for i in range(10):
        plt.subplot(2, 5, i + 1)
        plt.imshow(train_images[i, ..., 0], cmap="gray_r")
        plt.title(train_labels[i])
        plt.axis("off")
    plt.show()

# %% [markdown]
# ## The model

# %%
model = models.Sequential()
model.add(layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
model.add(layers.MaxPooling2D((2, 2)))
model.add(layers.Conv2D(64, (3, 3), activation="relu"))
model.add(layers.AveragePooling2D((2, 2)))
model.add(layers.Conv2D(64, (3, 3), activation="relu"))
model.add(layers.Flatten())
model.add(layers.Dense(64, activation="relu"))
model.add(layers.Dense(10))
model.summary()

# %%
model.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(train_images, train_labels, epochs=5, validation_data=(test_images, test_labels))

# %%
if plt:
    plt.plot(history.history["accuracy"], label="accuracy")
    plt.plot(history.history["val_accuracy"], label="val_accuracy")
    plt.xlabel("Epoch")
    plt.ylabel("Accuracy")
    plt.legend(loc="lower right")
    plt.show()

# %%
test_loss, test_acc = model.evaluate(test_images, test_labels, verbose=2)

# %%
print(f"test accuracy: {test_acc:.4f}")
