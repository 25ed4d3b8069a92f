# %% [markdown]
# # Images from a file
#
# Loads a NumPy file, cleans and normalises it, trains a small convolutional network, saves it as `model.h5` and
# predicts with the model that was loaded back.

# %%
import numpy as np

import maas as keras

keras.utils.set_random_seed(0)

# %% [markdown]
# Your own file goes here. This one holds the 1,437 training digits that ship with the package: 64 pixels from 0 to 16
# and the label in each row. Real files have flaws, so a few rows are repeated and a few lose a pixel.

# %%
(x, y), (x_test, y_test) = keras.datasets.digits.load_data()
table = np.column_stack([x.reshape(len(x), -1), y]).astype("float32")
table = np.concatenate([table, table[:20]])
table[::100, 30] = np.nan
np.save("data.npy", table)

# %% [markdown]
# ## Clean and normalise

# %%
data = np.load("data.npy")
print("rows in the file:", len(data))

data = data[~np.isnan(data).any(axis=1)]
print("rows without gaps:", len(data))

data = np.unique(data, axis=0)
np.random.shuffle(data)
print("rows that differ:", len(data))

# %%
x_train = data[:, :-1].reshape(-1, 8, 8, 1) / 16.0
y_train = data[:, -1].astype("int64")
x_test = x_test.reshape(-1, 8, 8, 1).astype("float32") / 16.0
print("images:", x_train.shape, "from", x_train.min(), "to", x_train.max())

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # the plots need: pip install 'maas[plot]'

if plt:
    figure, axes = plt.subplots(1, 8, figsize=(8, 1.5))
    for ax, image, label in zip(axes, x_train, y_train):
        ax.imshow(image[..., 0], cmap="gray_r")
        ax.set_title(label)
        ax.axis("off")
    plt.show()

# %% [markdown]
# ## Train

# %%
model = keras.Sequential(
    [
        keras.layers.Conv2D(32, (3, 3), activation="relu", input_shape=(8, 8, 1)),
        keras.layers.MaxPooling2D((2, 2)),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()

# %%
history = model.fit(x_train, y_train, epochs=30, batch_size=32, validation_split=0.1)

# %%
if plt:
    plt.plot(history.history["accuracy"], label="training")
    plt.plot(history.history["val_accuracy"], label="validation")
    plt.xlabel("epoch")
    plt.ylabel("accuracy")
    plt.legend()
    plt.show()

# %% [markdown]
# ## Save, load, predict

# %%
model.save("model.h5")
loaded = keras.models.load_model("model.h5")

# %%
predictions = loaded.predict(x_test)
classes = np.argmax(predictions, axis=1)
print("first ten predictions:", classes[:10])
print("first ten labels:     ", y_test[:10])

# %%
print(f"test accuracy: {np.mean(classes == y_test):.4f}")
