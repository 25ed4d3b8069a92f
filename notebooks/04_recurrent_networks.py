# %% [markdown]
# # Recurrent networks
#
# An LSTM and a simple RNN read a handwritten digit as a sequence: eight steps, one row of eight pixels at each step.

# %%
import numpy as np

import maas as keras
from maas.layers import LSTM, Dense, SimpleRNN

keras.utils.set_random_seed(0)

# %%
(x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()
x_train = x_train.astype("float32") / 16
x_test = x_test.astype("float32") / 16
print("sequences:", x_train.shape, "(digits, steps, values at each step)")

# %% [markdown]
# ## LSTM

# %%
lstm = keras.Sequential()
lstm.add(LSTM(64, input_shape=(8, 8)))
lstm.add(Dense(10, activation="softmax"))
lstm.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
lstm.summary()

# %%
lstm_history = lstm.fit(x_train, y_train, batch_size=32, epochs=30, validation_data=(x_test, y_test), verbose=2)

# %% [markdown]
# ## Simple RNN
#
# A stack of two: the first returns its state at every step, the second only the last one.

# %%
rnn = keras.Sequential()
rnn.add(SimpleRNN(64, return_sequences=True, input_shape=(8, 8)))
rnn.add(SimpleRNN(64))
rnn.add(Dense(10, activation="softmax"))
rnn.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
rnn_history = rnn.fit(x_train, y_train, batch_size=32, epochs=30, validation_data=(x_test, y_test), verbose=2)

# %% [markdown]
# ## Side by side

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # the plots need: pip install 'maas[plot]'

if plt:
    plt.plot(lstm_history.history["val_accuracy"], label="LSTM")
    plt.plot(rnn_history.history["val_accuracy"], label="simple RNN")
    plt.xlabel("epoch")
    plt.ylabel("validation accuracy")
    plt.legend()
    plt.show()

# %%
lstm_loss, lstm_accuracy = lstm.evaluate(x_test, y_test, verbose=0)
rnn_loss, rnn_accuracy = rnn.evaluate(x_test, y_test, verbose=0)
print(f"LSTM:       loss {lstm_loss:.4f}, accuracy {lstm_accuracy:.4f}")
print(f"simple RNN: loss {rnn_loss:.4f}, accuracy {rnn_accuracy:.4f}")

# %%
agree = np.mean(lstm.predict(x_test).argmax(axis=1) == rnn.predict(x_test).argmax(axis=1))
print(f"the two agree on {agree:.1%} of the digits")

# %%
print(f"test accuracy: {min(lstm_accuracy, rnn_accuracy):.4f}")
