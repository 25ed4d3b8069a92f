# %% [markdown]
# # A functional model that starts twice from the same weights
#
# The model is saved as `model.h5` before it is compiled. Its first weights are loaded from that file again for a second
# training, so that two learning rates compete from the same start.

# %%
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

import maas as keras
from maas import Input, Model
from maas.layers import Dense

keras.utils.set_random_seed(0)

# %% [markdown]
# 178 Italian wines, 13 chemical measurements each, three cultivars as one-hot rows.

# %%
x, y = load_wine(return_X_y=True)
y = keras.utils.to_categorical(y, num_classes=3)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)

mean, std = x_train.mean(axis=0), x_train.std(axis=0)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
print("training:", x_train.shape, y_train.shape)
print("test:    ", x_test.shape, y_test.shape)

# %%
inputs = Input(shape=(13,))
hidden = Dense(32, activation="relu")(inputs)
hidden = Dense(16, activation="relu")(hidden)
outputs = Dense(3, activation="softmax")(hidden)

model = Model(inputs=inputs, outputs=outputs)
model.save("model.h5")
model.summary()

# %% [markdown]
# ## Two trainings

# %%
histories = {}
for rate in (0.0001, 0.01):
    model.load_weights("model.h5")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=rate), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(x_train, y_train, epochs=25, batch_size=16, validation_data=(x_test, y_test), verbose=0)
    histories[rate] = history.history
    print(f"learning rate {rate}: validation accuracy {history.history['val_accuracy'][-1]:.4f}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # the plots need: pip install 'maas[plot]'

if plt:
    for rate, values in histories.items():
        plt.plot(values["val_loss"], label=f"learning rate {rate}")
    plt.xlabel("epoch")
    plt.ylabel("validation loss")
    plt.legend()
    plt.show()

# %% [markdown]
# ## What the second one learned

# %%
loss, accuracy = model.evaluate(x_test, y_test)
print("loss:", round(loss, 4))

# %%
probabilities = model.predict(x_test)
for row, label in zip(probabilities[:5], y_test[:5]):
    print("predicted", np.argmax(row), "with probability", round(float(row.max()), 3), "- label", np.argmax(label))

# %%
print(f"test accuracy: {accuracy:.4f}")
